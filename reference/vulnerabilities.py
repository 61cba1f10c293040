"""Known vulnerabilities of what the program deploys: which releases have them, and what they need to do harm.

What concerns an environment follows from the releases of its components (`releases`), so that another Dynamo release,
KAI release or NATS image has the right list by itself. This is the only module beside `reference.dynamo` and
`reference.kai` that compares releases.

Read in November 2026: NVIDIA's bulletins (product-security dbb4ada0), Go's vulnerability database (a752ea54), the
advisories of NATS, CERT/CC's and CVE records, and wheels of SGLang (0.5.4.post3, 0.5.9, 0.5.10.post1, and later ones
where a source names them). Marks of a source: [v] read in a released package, [d] a record or bulletin, [i] inferred.
Scores are CVSS 3.1 base scores of the record or bulletin.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal

from packaging.version import Version

from reference import chart_images, images
from reference.dynamo import DynamoProfile
from reference.platform_parts import OWN, PlatformParts

Component = Literal["SGLang", "Dynamo", "KAI", "NATS", "etcd"]

Reach = Literal["network", "clients", "cluster"]
"""Who can make use of it: every pod that reaches the port, which NetworkPolicies close; clients that can reach a
frontend; or anyone who can create pods in the cluster."""

BULLETINS: Final[Mapping[Component, str]] = {
    "Dynamo": "NVIDIA's bulletin 5842 of 2026-08-04",
    "KAI": "NVIDIA's bulletin 5818 of 2026-04-21",
}


class Feature(StrEnum):
    """What must be in use for a vulnerability to concern anybody, in words for the page."""

    DP_ATTENTION = "`enable-dp-attention` in a role that spans nodes"
    MESSAGE_QUEUE = 'a role that spans nodes without `SGLANG_USE_MESSAGE_QUEUE_BROADCASTER: "0"`'
    NODES = "a role that spans nodes"
    ENGINE_ROUTES = "routes `/engine/*` of the workers' port 9090, from Dynamo 1.0 on"
    MULTIMODAL = "a layout with `enable-multimodal`"
    ENCODER = "`language-only`, which is refused"
    LOGIT_PROCESSORS = "`enable-custom-logit-processor`, which is refused"
    DUMPER = "`SGLANG_DUMPER_SERVER_PORT` or `DUMPER_SERVER_PORT`, which are refused"
    LORA = "`DYN_LORA_ENABLED`, which is refused"
    EXPERT_BACKUP = "SGLang's backup of experts, which no layout switches on"
    GENERATION = "SGLang's generation of images and video, which no worker here runs"
    EXAMPLES = "Dynamo's own examples and recipes, which are not deployed"
    MQTT = "MQTT, which NATS has off"
    WEBSOCKET = "WebSockets, which NATS has off"
    LEAF_NODES = "leaf nodes and routes, which NATS has none of"
    NATS_RIGHTS = "NATS clients with different permissions, of which there are none"
    ETCD_LOGIN = "logins of etcd, which has none: only isolation guards it"
    ETCD_TLS = "TLS of etcd, which has none"


@dataclass(frozen=True, kw_only=True)
class Vulnerability:
    """One known vulnerability."""

    id: str
    """Number of the CVE, or of the advisory or issue where there is none."""
    component: Component
    score: float | None = None
    """None: neither record nor bulletin has one."""
    what: str
    since: str = "0"
    """First release that has it."""
    fixed: tuple[str, ...] = ()
    """First release without it of each line that got a fix, ascending; empty if no release is known to fix it."""
    reach: Reach = "network"
    needs: Feature | None = None
    """None: it concerns every stack."""
    source: str = "[d]"

    def affects(self, release: str) -> bool:
        """Whether a release of the component has it."""
        version = Version(release)
        if version < Version(self.since):
            return False
        fixes = [Version(fix) for fix in self.fixed]
        on_its_line = any(fix.release[:2] == version.release[:2] and fix <= version for fix in fixes)
        return not (on_its_line or (fixes and version >= max(fixes)))


def _dynamo(number: int, score: float, fixed: str, what: str, needs: Feature | None = None) -> Vulnerability:
    """One of NVIDIA's bulletin, which does not say where it is reached: taken as by requests to a frontend [i]."""
    return Vulnerability(
        id=f"CVE-2026-{number}",
        component="Dynamo",
        score=score,
        what=what,
        fixed=(fixed,),
        reach="clients",
        needs=needs,
        source="bulletin 5842 [d]",
    )


def _nats(
    name: str, fixed: tuple[str, ...], what: str, needs: Feature | None = Feature.NATS_RIGHTS, since: str = "2.2.0"
) -> Vulnerability:
    return Vulnerability(
        id=name, component="NATS", what=what, since=since, fixed=fixed, needs=needs, source="advisories.nats.io [d]"
    )


def _etcd(number: int, fixed: tuple[str, ...], what: str, needs: Feature = Feature.ETCD_LOGIN) -> Vulnerability:
    return Vulnerability(
        id=f"CVE-2026-{number}", component="etcd", what=what, fixed=fixed, needs=needs, source="Go vulndb [d]"
    )


_MARCH: Final = ("2.11.15", "2.12.6")
_JUNE: Final = ("2.12.12", "2.14.3")
"""Fixed releases of NATS's advisories 2026-05 to -15 and 2026-20 to -28."""

KNOWN: Final[tuple[Vulnerability, ...]] = (
    Vulnerability(
        id="CVE-2026-93034",
        component="SGLang",
        score=9.8,
        what="sockets between the nodes of a replica unpickle what they receive: code as root on the GPU nodes",
        needs=Feature.DP_ATTENTION,
        source="CVE record [d]; wheels to 0.5.23, `SGLANG_USE_PICKLE_IPC=0` is not a fix [v]",
    ),
    Vulnerability(
        id="CVE-2026-86793",
        component="SGLang",
        score=9.8,
        what="update_weights_from_tensor unpickles through a list of forbidden names that has gaps",
        fixed=("0.5.19",),
        needs=Feature.ENGINE_ROUTES,
        source="CVE record: to 0.5.18 [d]; that 0.5.19 fixes it is not verified",
    ),
    Vulnerability(
        id="CVE-2026-15976",
        component="SGLang",
        score=9.8,
        what="update_weights_from_disk loads old checkpoints with torch.load, which unpickles",
        since="0.5.5",
        fixed=("0.5.16",),
        needs=Feature.ENGINE_ROUTES,
        source="CVE record: to 0.5.15 [d]; not in 0.5.4.post3, in 0.5.9 [v]",
    ),
    Vulnerability(
        id="CVE-2025-10164",
        component="SGLang",
        what="update_weights_from_tensor unpickles anything",
        fixed=("0.5.4",),
        needs=Feature.ENGINE_ROUTES,
        source="SafeUnpickler is in 0.5.4.post3 [v]",
    ),
    Vulnerability(
        id="SGLang issue 39400",
        component="SGLang",
        what="PUT /route of the prefill bootstrap server (30001): anyone can rewrite where decode fetches the KV cache",
        source="open issue [d]; all wheels [v]",
    ),
    Vulnerability(
        id="SGLang issue 24618",
        component="SGLang",
        what="a broadcast between nodes is pickled, on a socket that accepts any connection",
        needs=Feature.MESSAGE_QUEUE,
        source="closed as inactive [d]; on unless the variable is 0, wheels 0.5.4.post3 and 0.5.9 [v]",
    ),
    Vulnerability(
        id="PyTorch's TCPStore",
        component="SGLang",
        what="the rendezvous store of a replica accepts any values, and SGLang unpickles what it reads there",
        needs=Feature.NODES,
        source="no record; `StatelessProcessGroup` in the wheels [v]",
    ),
    Vulnerability(
        id="CVE-2026-7304",
        component="SGLang",
        score=9.8,
        what="a request can contain code, which dill executes",
        reach="clients",
        needs=Feature.LOGIT_PROCESSORS,
        source="CERT/CC VU#777338 [d]; wheels to 0.5.18 [v]",
    ),
    Vulnerability(
        id="CVE-2026-3060",
        component="SGLang",
        score=9.8,
        what="the receiver of images' embeddings unpickles what it is sent, on a random port",
        since="0.5.5",
        fixed=("0.5.18",),
        needs=Feature.ENCODER,
        source="CERT/CC VU#665416 [d]; 0.5.10 only binds to `host`, which is 0.0.0.0 here [v]; safe in 0.5.18 [v]",
    ),
    Vulnerability(
        id="CVE-2026-15971",
        component="SGLang",
        score=9.8,
        what="the dumper, a server for debugging, runs what it is sent",
        since="0.5.9",
        needs=Feature.DUMPER,
        source="record [d]; 0.5.9 has the server and starts it nowhere [v]",
    ),
    Vulnerability(
        id="CVE-2026-111391",
        component="SGLang",
        what="another vulnerability in the dumper",
        since="0.5.9",
        needs=Feature.DUMPER,
    ),
    Vulnerability(
        id="CVE-2026-14890",
        component="SGLang",
        score=9.1,
        what="the backup of experts unpickles what it is sent",
        since="0.5.10",
        fixed=("0.5.15",),
        needs=Feature.EXPERT_BACKUP,
        source="CERT/CC VU#326070 [d]; not in 0.5.9, in 0.5.10.post1 [v]",
    ),
    Vulnerability(
        id="CVE-2026-3059",
        component="SGLang",
        score=9.8,
        what="the broker of image generation unpickles what it is sent",
        since="0.5.5",
        fixed=("0.5.10",),
        needs=Feature.GENERATION,
        source="CERT/CC VU#665416 [d]; not in 0.5.4.post3 [v]",
    ),
    Vulnerability(
        id="CVE-2026-7301",
        component="SGLang",
        score=9.8,
        what="the scheduler of image generation unpickles what it is sent, on all interfaces",
        since="0.5.10",
        needs=Feature.GENERATION,
    ),
    Vulnerability(
        id="CVE-2026-93088",
        component="SGLang",
        score=9.8,
        what="the orchestrator of diffusion unpickles what it is sent",
        since="0.5.10",
        needs=Feature.GENERATION,
    ),
    _dynamo(24254, 9.8, "1.1.1", "multimodal serving: write out of bounds, with which code runs", Feature.MULTIMODAL),
    _dynamo(24253, 8.2, "1.1.1", "write out of bounds: wrong data, denial of service"),
    _dynamo(47623, 8.2, "1.2.0", "deserialization of untrusted data: wrong data, denial of service"),
    _dynamo(24255, 7.5, "1.1.1", "cache of images' embeddings: one image is taken for another", Feature.MULTIMODAL),
    _dynamo(47612, 7.5, "1.1.0", "loader of images: reads other files", Feature.MULTIMODAL),
    _dynamo(47613, 7.5, "1.2.0", "path in a multimodal request: reads other files", Feature.MULTIMODAL),
    _dynamo(47614, 7.5, "1.2.0", "the server asks addresses that a request names"),
    _dynamo(47615, 7.5, "1.2.0", "address in a multimodal request: the server asks it", Feature.MULTIMODAL),
    _dynamo(47616, 7.5, "1.2.0", "fetcher of media: the server asks any address", Feature.MULTIMODAL),
    _dynamo(47617, 7.5, "1.2.0", "fetcher of media: the same by DNS", Feature.MULTIMODAL),
    _dynamo(47618, 7.5, "1.2.0", "fetcher of media in Rust: the same", Feature.MULTIMODAL),
    _dynamo(47619, 6.6, "1.2.0", "examples and recipes: code runs", Feature.EXAMPLES),
    _dynamo(47620, 6.5, "1.3.0", "manager of LoRA adapters: a race", Feature.LORA),
    _dynamo(47621, 6.5, "1.2.0", "manager of LoRA adapters: another race", Feature.LORA),
    _dynamo(47622, 5.3, "1.3.0", "error messages tell too much"),
    Vulnerability(
        id="CVE-2026-24177",
        component="KAI",
        score=7.7,
        what="an API without authentication tells about the cluster; probably 8081 of the scheduler, /get-snapshot [i]",
        fixed=("0.13.0",),
        source="bulletin 5818 [d]",
    ),
    Vulnerability(
        id="CVE-2026-24176",
        component="KAI",
        score=4.3,
        what="a pod names pods of another namespace",
        fixed=("0.13.0",),
        reach="cluster",
        source="bulletin 5818 [d]",
    ),
    _nats("GHSA-q59r-vq66-pxc2", _JUNE, "a monitoring request of any client crashes the server", None),
    _nats("CVE-2025-30215", ("2.10.27", "2.11.1"), "JetStream's API does not check permissions"),
    _nats("CVE-2026-33222", _MARCH, "JetStream restores streams without checking permissions"),
    _nats("CVE-2026-33223", _MARCH, "a client forges the header that says who it is"),
    _nats("CVE-2026-33247", _MARCH, "the monitor shows credentials of the command line"),
    _nats("CVE-2026-33248", _MARCH, "TLS client certificates are taken for another's"),
    _nats("CVE-2026-33249", _MARCH, "traces go to any subject", since="2.11.0"),
    _nats("CVE-2026-27571", ("2.11.12", "2.12.3"), "memory is exhausted before login", Feature.WEBSOCKET),
    _nats("CVE-2026-27889", ("2.11.14", "2.12.5"), "crash before login", Feature.WEBSOCKET),
    _nats("CVE-2026-33219", _MARCH, "memory is exhausted before login", Feature.WEBSOCKET),
    _nats("CVE-2026-29785", ("2.11.14", "2.12.5"), "crash before login", Feature.LEAF_NODES),
    _nats("CVE-2026-33218", _MARCH, "crash before login", Feature.LEAF_NODES),
    _nats("CVE-2026-33246", _MARCH, "a leaf node forges the header that says who it is", Feature.LEAF_NODES),
    _nats("CVE-2026-33215", _MARCH, "a session is taken over by its client id", Feature.MQTT),
    _nats("CVE-2026-33216", _MARCH, "the monitor shows passwords", Feature.MQTT),
    _nats("CVE-2026-33217", _MARCH, "permissions are not checked", Feature.MQTT),
    _etcd(33413, ("3.4.42", "3.5.28", "3.6.9"), "several requests bypass the permissions"),
    _etcd(33343, ("3.4.42", "3.5.28", "3.6.9"), "nested transactions bypass the permissions"),
    _etcd(44283, ("3.4.44", "3.5.30", "3.6.11"), "PrevKv in nested transactions bypasses the permissions"),
    _etcd(73499, ("3.5.33", "3.6.14", "3.7.1"), "watches bypass the permissions"),
    _etcd(73500, ("3.5.33", "3.6.14", "3.7.1"), "TLS handshakes exhaust the server", Feature.ETCD_TLS),
)
"""NATS's advisories 2026-16 to -27, of 2026-06-29, are not listed: they have no CVE number and concern what is off,
or rights that all clients have here. The last of them were fixed in `_JUNE` too."""


_SERVERS: Final[Mapping[str, Component]] = {"nats.container.image.repository": "NATS", "etcd.image": "etcd"}
"""Values of the platform's chart that name the servers' images."""


def releases(profile: DynamoProfile, parts: PlatformParts | None = OWN, kai: str | None = None) -> dict[Component, str]:
    """Release of each component of an environment; without those that are somebody else's.

    `parts` is None if the whole platform is; `kai` is the release that the program installs, or None.
    """
    found: dict[Component, str] = {"SGLang": profile.sglang, "Dynamo": profile.version}
    if parts is not None:
        for image in chart_images.of_platform(profile, parts):
            component = _SERVERS.get(image.path)
            if component is not None:
                # Tags go on with the distribution: 2.10.21-alpine.
                found[component] = images.tag(image.image).partition("-")[0]
    if kai is not None:
        found["KAI"] = kai
    return found


def of(found: Mapping[Component, str]) -> list[Vulnerability]:
    """Vulnerabilities of these releases, the worst first; one without a score counts as the least."""
    affected = [one for one in KNOWN if one.component in found and one.affects(found[one.component])]
    return sorted(affected, key=lambda one: -(one.score or 0))


def concerns(one: Vulnerability, used: Collection[Feature]) -> bool:
    """Whether what it needs is in use."""
    return one.needs is None or one.needs in used


def first_without(affected: Collection[Vulnerability]) -> dict[Component, str | None]:
    """First release of each component that has none of these; None if one of them is not fixed."""
    fixes: dict[Component, list[tuple[str, ...]]] = {}
    for one in affected:
        fixes.setdefault(one.component, []).append(one.fixed)
    return {
        component: max((fix[-1] for fix in found), key=Version) if all(found) else None
        for component, found in fixes.items()
    }
