"""Writes the tables of docs/reference/changes.md: what a preview says to each field of the config, changed alone.

python -m tools.config_changes            # prints them
python -m tools.config_changes --write    # writes them; minutes, in the real engine against the embedded cloud
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import itertools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rehearsal import ConfigError, Rehearsal, RehearsalError, Step, seeds
from rehearsal.run import RUNS_AGAIN
from settings import SECRETS

DOCUMENT: Final = Path(__file__).resolve().parents[1] / "docs" / "reference" / "changes.md"
ENVIRONMENTS: Final = ("dev", "prod")
_OPS = {"create": "create", "update": "update", "delete": "delete", "replace": "**replace**"}
_MANY = 8
"""Resources of one operation that are named one by one."""


@dataclass(frozen=True)
class Case:
    """One field, changed alone."""

    key: str
    """Dotted path below the project's namespace; `[0]` steps into a list."""
    value: Any
    """The new value."""
    replaces: tuple[str, ...] = ()
    """Ends of the logical names of what holds GPUs and must be replaced by this change."""
    only: str = ""
    """The environment that has this field; empty: both."""
    also: tuple[tuple[str, Any], ...] = ()
    """Other fields that must follow."""
    note: str = ""
    """What the preview cannot know."""

    def apply(self, raw: Mapping[str, Any]) -> dict[str, Any]:
        """The top-level config keys that the change rewrites; none for a secret."""
        found: dict[str, Any] = {}
        if self.key not in SECRETS:
            for key, value in ((self.key, self.value), *self.also):
                found |= _changed({**raw, **found}, key, value)
        return found

    @contextlib.contextmanager
    def applied(self, rehearsal: Rehearsal) -> Iterator[None]:
        """Change the field of an environment for a while. Raises `ConfigError` where the program does not take it."""
        raw = rehearsal.config
        changes = self.apply(raw)
        rehearsal.set_config(changes)
        if self.key in SECRETS:
            rehearsal.cli(["config", "set", "--secret", self.key], text=self.value)
        try:
            yield
        finally:
            rehearsal.set_config({key: raw.get(key) for key in changes})
            if self.key in SECRETS:
                rehearsal.cli(["config", "set", "--secret", self.key], text=rehearsal.secrets[self.key])


def _changed(raw: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    full = key if ":" in key else f"dynamo-a4x:{key}"
    top, *steps = full.replace("[", ".[").split(".")
    content: Any = copy.deepcopy(raw.get(top))
    if not steps:
        return {top: value}
    content = {} if content is None else content
    place = content
    for step, following in itertools.pairwise(steps):
        place = place[int(step[1:-1])] if step.startswith("[") else place.setdefault(step, _empty(following))
    last = steps[-1]
    if last == "[+]":
        place.append(value)
    elif last.startswith("["):
        place[int(last[1:-1])] = value
    else:
        place[last] = value
    return {top: content}


def _empty(following: str) -> Any:
    return [] if following.startswith("[") else {}


_POOL, _GRAPH = "domain-a4x-0-pool", "-graph"
_EVERYTHING = (_POOL, "system", _GRAPH)
_SUBBLOCK = "projects/my-project/reservations/a4x/reservationBlocks/a4x-block-0001/reservationSubBlocks/"
_ACCOUNT = "given@my-project.iam.gserviceaccount.com"
_KEY = "projects/keys/locations/us-central1/keyRings/r/cryptoKeys/k"
_FIRST = (
    "; take the stack away first (`stacks: []` and `up`): the embedded cloud refuses it under a "
    "running graph, a real cluster evicts its pods"
)
_UNGUARDED = "; take the stack away first (`stacks: []` and `up`): Helm uninstalls the platform while a graph runs"
_NEVER = "; refused at preview while `protect` is on; else it stops partway, and only a destroy recovers"
_SCHEDULER = "; on 0.7 the operator notices when it is restarted (releases.md)"
_NODES = "; GKE recreates the nodes one after the other, as `upgrade.maxUnavailable` says, and their pods stop"
_EVICTED = "; NoExecute evicts the pods that run; NoSchedule lets them roll"
_WINDOW = {"start": "2026-01-03T01:00:00Z", "end": "2026-01-03T09:00:00Z", "recurrence": "FREQ=WEEKLY;BYDAY=SA,SU"}
_EXCLUSION = {"name": "freeze", "start": "2026-12-15T00:00:00Z", "end": "2027-01-05T00:00:00Z"}
_PROXY = "http://proxy.example.com:3128"
_CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
_SHARED = {
    "mode": "adopt",
    "network": "projects/net-host/global/networks/corp",
    "subnetwork": "corp-gke",
    "podsRange": "pods",
    "servicesRange": "services",
}
_DEVICES = (
    (
        "cluster.deviceNetworks",
        {
            "gvnic": {"network": "projects/net-host/global/networks/gpu-net-1", "subnetwork": "gpu-sub-1"},
            "rdmaNetwork": "projects/net-host/global/networks/gpu-rdma",
            "rdmaSubnetworks": [f"gpu-rdma-{i}" for i in range(4)],
        },
    ),
)
CASES: tuple[Case, ...] = (
    Case("projectNumber", "210987654321"),
    Case("protect", True),
    Case("workloadIdentity", "serviceAccount"),
    Case("identities.nodeServiceAccount", _ACCOUNT, replaces=(_POOL, "system"), only="prod", note=_FIRST),
    Case("identities.modelReader", _ACCOUNT, also=(("workloadIdentity", "serviceAccount"),)),
    Case("identities.modelWriter", _ACCOUNT, also=(("workloadIdentity", "serviceAccount"),), only="prod"),
    Case("identities.enableApis", False, only="prod"),
    Case("identities.iam", "none", only="dev"),
    Case("encryption.disks", _KEY, replaces=(_POOL, "system"), only="prod", note=_FIRST),
    Case("encryption.secrets", _KEY, only="prod"),
    Case("encryption.bucket", _KEY, only="prod"),
    Case("encryption.volumes", _KEY, note="; the volumes that exist keep theirs"),
    Case("encryption.grant", True, also=(("encryption.secrets", _KEY),), only="prod"),
    Case("cluster.name", "a4x-other", replaces=_EVERYTHING, only="dev"),
    Case("cluster.name", "a4x-other", replaces=_EVERYTHING, only="prod", note=_NEVER),
    Case("cluster.version", "1.34", only="prod"),
    Case("cluster.channel", "STABLE", only="prod"),
    Case("cluster.maintenance.dailyStart", "03:00", only="prod"),
    Case("cluster.maintenance.holdUpgrades", False, only="prod"),
    Case("cluster.maintenance.window", _WINDOW, only="prod"),
    Case("cluster.maintenance.exclusions", [_EXCLUSION], only="prod"),
    Case("metadata.labels", {"cost-centre": "4711"}),
    Case("metadata.kubernetesLabels", {"example.com/team": "ml"}),
    Case("metadata.podLabels", {"sidecar.istio.io/inject": "false"}),
    Case("metadata.annotations", {"example.com/contact": "ml"}),
    Case("metadata.podAnnotations", {"example.com/scrape": "no"}),
    Case("metadata.namespaceLabels", {"example.com/team": "ml"}),
    Case("metadata.namespaceAnnotations", {"example.com/contact": "ml"}),
    Case("metadata.networkTags", ["gpu-nodes"], only="prod"),
    Case("metadata.secureTags", {"tagKeys/1": "tagValues/2"}, only="prod"),
    Case("metadata.ignoredNodeLabels", ["example.com/inventory"], only="prod"),
    Case("pods.proxy.url", _PROXY),
    Case("pods.proxy.noProxy", ["10.0.0.0/8"], also=(("pods.proxy.url", _PROXY),), only="prod"),
    Case("pods.caBundle", _CERTIFICATE),
    Case("pods.hubEndpoint", "https://hub.example.com"),
    Case("pods.pipIndex", "https://pip.example.com/simple"),
    Case("pods.systemTolerations", [{"key": "team", "operator": "Exists"}]),
    Case("raw.cluster", {"enableFqdnNetworkPolicy": True}, only="prod"),
    Case("raw.systemPool", {"nodeConfig": {"loggingVariant": "MAX_THROUGHPUT"}}, only="prod"),
    Case("raw.nodePools", {"nodeConfig": {"loggingVariant": "MAX_THROUGHPUT"}}, only="prod", note=_NODES),
    Case("domains[0].taints", [{"key": "dedicated", "effect": "NoExecute"}], only="dev"),
    Case("domains[0].taints", [{"key": "dedicated", "effect": "NoExecute"}], only="prod", note=_EVICTED),
    Case("domains[0].pool.labels", {"example.com/team": "ml"}, only="prod"),
    Case("domains[0].pool.sysctls", {"net.core.somaxconn": "4096"}, only="prod", note=_NODES),
    Case("domains[0].pool.kubelet.cpuManagerPolicy", "static", only="prod", note=_NODES),
    Case("domains[0].pool.kubelet.memoryManagerPolicy", "Static", only="prod", note=_NODES),
    Case("domains[0].pool.kubelet.topologyManagerPolicy", "best-effort", only="prod", note=_NODES),
    Case("domains[0].pool.kubelet.podPidsLimit", 65536, only="prod", note=_NODES),
    Case("domains[0].pool.kubelet.maxParallelImagePulls", 5, only="prod", note=_NODES),
    Case("domains[0].pool.kubelet.containerLogMaxSize", "50Mi", only="prod", note=_NODES),
    Case("domains[0].pool.kubelet.containerLogMaxFiles", 5, only="prod", note=_NODES),
    Case("domains[0].pool.kubelet.allowedUnsafeSysctls", ["net.core.somaxconn"], only="prod", note=_NODES),
    Case("domains[0].pool.hugepages2Mi", 1024, only="prod", note=_NODES),
    Case("domains[0].pool.hugepages1Gi", 2, only="prod", note=_NODES),
    Case("domains[0].pool.bootDiskGb", 200, only="prod", note=_NODES),
    Case("domains[0].pool.maintenanceInterval", "PERIODIC", replaces=(_POOL,), only="prod", note=_FIRST),
    Case("domains[0].pool.upgrade.maxUnavailable", 18, only="prod"),
    Case("domains[0].pool.upgrade.autoRepair", False, only="prod"),
    Case("domains[0].pool.upgrade.autoUpgrade", False, only="prod"),
    Case("stacks[0].priorityClass", "company-serving"),
    Case("stacks[0].resources.worker.requests", {"memory": "600Gi"}),
    Case("stacks[0].resources.worker.limits", {"memory": "800Gi"}),
    Case("stacks[0].resources.gcsfuse.requests", {"memory": "1Gi"}),
    Case("stacks[0].resources.gcsfuse.limits", {"memory": "20Gi"}),
    Case("stacks[0].volumes", [{"name": "own", "mountPath": "/own", "source": {"emptyDir": {}}}]),
    Case("stacks[0].namespace", "team-serving", replaces=(_GRAPH,)),
    Case("stacks[0].frontend.environment", {"DYN_ROUTER_MODE": "kv"}),
    Case("cluster.network.addressRange", "10.32.0.0/12", replaces=_EVERYTHING, only="prod", note=_NEVER),
    Case("cluster.network.nat", "none", only="prod"),
    Case("cluster.network.firewall", "none", only="prod"),
    Case("cluster.network", _SHARED, replaces=_EVERYTHING, only="prod", also=_DEVICES, note=_NEVER),
    Case("cluster.location", "us-central1-b", replaces=_EVERYTHING, only="prod", note=_NEVER),
    Case("cluster.endpoint", "dns-only", only="prod"),
    Case("cluster.endpoint", "private-ip", only="prod"),
    Case("cluster.rdma", "dranet", replaces=(_POOL, _GRAPH), only="prod", note=_FIRST),
    Case("cluster.dranetNetworkAdmin", True, only="prod", also=(("cluster.rdma", "dranet"),), replaces=(_POOL, _GRAPH)),
    Case("cluster.costAllocation", True, only="prod"),
    Case("cluster.fleetProject", "company-fleet", only="prod"),
    Case("cluster.securityGroup", "gke-security-groups@example.com", only="prod"),
    Case("cluster.binaryAuthorization", "PROJECT_SINGLETON_POLICY_ENFORCE", only="prod"),
    Case("cluster.authorizedNetworks", ["203.0.113.0/24"], only="prod"),
    Case("domains[0].name", "a4x-9", (_POOL, _GRAPH), also=(("stacks[0].domain", "a4x-9"),)),
    Case("domains[0].zone", "us-central1-a", replaces=_EVERYTHING, only="prod", note=_FIRST),
    Case("domains[0].nodes", 17, only="prod"),
    Case("domains[0].nodes", 1, only="dev"),
    Case(
        "domains[0].reservation",
        f"{_SUBBLOCK}a4x-block-0001-subblock-0002",
        replaces=(_POOL,),
        only="prod",
        note=_FIRST,
    ),
    Case("domains[0].nodeVersion", "1.35.1-gke.1000000", only="prod", note="; nodes are upgraded one by one"),
    Case("domains[0].fabricTest.nodes", 2, note="...; take the stack away first (`stacks: []` and `up`)"),
    Case("domains[0].pricePerGpuHour", 10.5),
    Case(
        "domains[+]",
        {
            "name": "a4x-1",
            "mode": "create",
            "zone": "us-central1-b",
            "nodes": 18,
            "reservation": f"{_SUBBLOCK}a4x-block-0001-subblock-0002",
        },
        only="prod",
    ),
    Case("domains[+]", {"name": "a4x-1", "mode": "adopt", "zone": "us-central1-b", "nodes": 2}, only="dev"),
    Case("modelBucket.name", "other-models"),
    Case("modelBucket.download", True, only="dev"),
    Case("modelBucket.download", False, only="prod"),
    Case("modelBucket.forceDestroy", False, only="prod"),
    Case("dynamo.version", "1.2.1"),
    Case("dynamo.chartSource", "https://charts.example.com/dynamo"),
    Case("dynamo.chartLogin", True),
    Case("dynamo.systemTolerations", True),
    Case("dynamo.grove", "adopt", only="dev"),
    Case("dynamo.crds", "adopt", only="dev"),
    Case("dynamo.nats", {"mode": "adopt", "address": "nats://nats.messaging.svc:4222"}),
    Case("dynamo.nats.login", "offered"),
    Case("dynamo.natsUser", "dynamo"),
    Case("dynamo.etcd", {"mode": "adopt", "address": "http://etcd.data.svc:2379"}),
    Case("namespaces.create", False),
    Case("isolation.ingress", False),
    Case("isolation.rdma", False, only="prod"),
    Case(
        "isolation.rdmaFirewall",
        "tagKeys/1",
        only="prod",
        also=(("metadata.secureTags", {"tagKeys/1": "tagValues/2"}),),
    ),
    Case("stacks[0].security.privilegedWorkers", False),
    Case("stacks[0].security.offlineWorkers", True),
    Case("stacks[0].security.restrictedFrontends", True),
    Case("stacks[0].security.bindToPodAddress", True),
    Case("isolation.egress", "restricted", only="dev"),
    Case("isolation.egress", "private-googleapis", only="prod"),
    Case(
        "isolation.egressRanges",
        [{"range": "10.200.0.8/32", "ports": [3128]}],
        also=(("isolation.egress", "restricted"),),
    ),
    Case("stacks[0].clients", "cluster"),
    Case("namespaces.kai", "team-kai"),
    Case("namespaces.draDriver", "team-dra"),
    Case("namespaces.downloads", "team-weights", only="prod"),
    Case("dynamo.storageClass", "company-ssd", only="dev", note="; the volumes that exist keep theirs"),
    Case("dynamo.namespace", "dynamo-other", note=_UNGUARDED),
    Case("kai.mode", "none", note=_SCHEDULER),
    Case("kai.version", "0.16.8"),
    Case("draDriver.version", "25.12.1"),
    Case("nodeSoftware.gibVersion", "v1.0.8", only="prod"),
    Case("nodeSoftware.installNccl", False, only="prod"),
    Case("nodeSoftware.gpuDriverVersion", "LATEST", replaces=(_POOL,), only="prod", note=_FIRST),
    Case("stacks[0].name", "r1-other", replaces=(_GRAPH,)),
    Case("stacks[0].layout", "deepseek-r1-fp8-1p1d", replaces=(_GRAPH,), only="prod"),
    Case("stacks[0].image", "example.com/worker:2"),
    Case(
        "stacks[0].sglang", "0.5.11", note="; with an image, new arguments replace their ConfigMap and roll the graph"
    ),
    Case("stacks[0].gang", "whole", note="; on 1.5 another gang **replaces** the graph", replaces=(_GRAPH,)),
    Case("stacks[0].frontend.replicas", 3),
    Case("stacks[0].frontend.placement", "system"),
    Case("stacks[0].frontend.image", "example.com/frontend:2"),
    Case("stacks[0].overrides.decode.arguments", {"watchdog-timeout": 2000000}),
    Case("stacks[0].wait", False),
    Case("stacks[0].readiness.deadlineMinutes", 60),
    Case("stacks[0].readiness.unschedulableMinutes", 20),
    Case("stacks[0].benchmark", False),
    Case("stacks", []),
    Case(
        "images.mirrors",
        {"nvcr.io": "us-docker.pkg.dev/my-project/nvcr", "docker.io": "us-docker.pkg.dev/my-project/hub"},
    ),
    Case("images.onlyMirrors", True),
    Case("ngcApiKey", "another-key"),
    Case("hfToken", "another-token"),
)


def case_of(key: str, environment: str) -> Case:
    """The change of a field of an environment."""
    return next(one for one in CASES if one.key == key and one.only in ("", environment))


@dataclass(frozen=True)
class Row:
    """What a preview said to one change."""

    case: Case
    changed: Sequence[Step] = ()
    refused: str = ""

    def __str__(self) -> str:
        what = self.refused or ", ".join(_steps(self.changed)) or "no resource changes"
        return f"| `{self.case.key}` | `{_shown(self.case.value)}` | {what}{self.case.note} |"


def _shown(value: Any) -> str:
    """A value in one cell of a table, as YAML takes it."""
    if isinstance(value, dict) and (name := value.get("name") or value.get("network")):
        value = name
    text = value if isinstance(value, str) else json.dumps(value)
    first, *more = text.splitlines() or [""]
    return f"{first} ..." if more else first


def rows(rehearsal: Rehearsal, chosen: Sequence[Case] = CASES) -> list[Row]:
    """Preview each change, alone, on an environment that is deployed and not protected."""
    return [_row(rehearsal, one) for one in chosen if one.only in ("", rehearsal.name)]


def _row(rehearsal: Rehearsal, case: Case) -> Row:
    try:
        with case.applied(rehearsal):
            seeds.plant_missing(rehearsal.cloud, rehearsal.settings)
            try:
                return Row(case, rehearsal.preview().changed)
            except RehearsalError as error:
                return Row(case, refused=f"refused at preview: {error.causes[0][:160]}")
    except ConfigError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return Row(case, refused=f"refused before anything is registered: {' '.join(lines[1:3])[:160]}")


def _steps(changed: Sequence[Step]) -> tuple[str, ...]:
    """Operations and logical names; a replacement is one word, and many of one operation are counted."""
    shown: dict[str, list[str]] = {}
    for step in changed:
        op = _OPS.get(step.op)
        if op is not None and not step.runs_again and not step.kind.startswith(("dynamo-a4x:", "pulumi:pulumi:")):
            shown.setdefault(op, []).append(step.name)
    lines: list[str] = []
    for op in _OPS.values():
        names = sorted(set(shown.get(op, [])))
        if len(names) > _MANY:
            holders = [name for name in names if name.endswith(("-pool", "-graph", "-cluster"))]
            more = f", with {', '.join(holders)}" if holders else ""
            lines.append(f"{op} {len(names)} resources{more}")
        elif names:
            lines.append(f"{op} {', '.join(names)}")
    if any(step.runs_again for step in changed):
        lines.append(RUNS_AGAIN)
    return tuple(lines)


def table(environment: str, found: Sequence[Row]) -> str:
    """The part of the document that belongs to an environment."""
    head = f"## `{environment}`\n\n| key | new value | what `pulumi up` does |\n|---|---|---|\n"
    return head + "\n".join(map(str, found)) + "\n"


def main(command: Sequence[str] | None = None) -> None:
    """Command line: print the tables, or write them behind what the page says first."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--write", action="store_true", help=f"write {DOCUMENT.name}")
    write: bool = parser.parse_args(command).write
    tables: list[str] = []
    for environment in ENVIRONMENTS:
        with Rehearsal(environment, config={"dynamo-a4x:protect": False}) as rehearsal:
            rehearsal.up()
            tables.append(table(environment, rows(rehearsal)))
    if write:
        text = DOCUMENT.read_text(encoding="utf-8")
        DOCUMENT.write_text(text[: text.index("## `dev`")] + "\n".join(tables), encoding="utf-8")
    else:
        sys.stdout.write("\n".join(tables))


if __name__ == "__main__":
    main()
