"""Dynamo releases: one profile object for each, with everything that differs between them.

Charts, value names, the SGLang release in the image, requirements of the operator and names of SGLang's arguments
change from release to release. They are defined here only; no other module compares versions, but for
`reference.vulnerabilities`, which compares them with the releases that fix one.

Read from released charts, wheels and source, not run, unless a note says otherwise: only 0.7.0 was run against a
real API server (without GPUs).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from reference import charts, nats
from reference.machines import Toleration
from reference.platform_parts import OWN, PlatformParts
from reference.sglang import RELEASES, Migration, SglangRelease

CHARTS: Final = "https://helm.ngc.nvidia.com/nvidia/ai-dynamo/charts"
"""NVIDIA's repository of the Dynamo charts, readable without an account."""

GraphApi = Literal["nvidia.com/v1alpha1", "nvidia.com/v1beta1"]
"""Versions of the API of graphs."""

Gang = Literal["serving", "whole"]
"""Which replicas of a stack start together or not at all: what it needs to serve, every decode replica and one prefill
replica, or all of them. With the first, a stack on a rack with one dead node serves with what is left."""

IMAGE_LOOKUP_OFF: Final = "nvidia.com/disable-image-pull-secret-discovery"
"""Annotation that turns off the operator's discovery of pull secrets. Its index of them is empty for the first minute
after it starts: it rewrites every pod without the secret, and later with it (seen on 0.7.0 and 1.0.1: a restart of the
operator replaced 27 of 27 pods). Pods that name their secret keep running."""

DISCOVERY_RULES: Final[tuple[Mapping[str, list[str]], ...]] = (
    {"apiGroups": [""], "resources": ["endpoints", "pods"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]},
    {
        "apiGroups": ["nvidia.com"],
        "resources": ["dynamoworkermetadatas"],
        "verbs": ["create", "get", "list", "watch", "update", "patch", "delete"],
    },
)
"""Permissions of pods where Kubernetes is the discovery backend: workers register what they serve, frontends read it.
The operator grants these only to a service account of its own (its `internal/discovery/resource.go`)."""


_LIBRARY_PATH: Final = Migration(
    "LD_LIBRARY_PATH",
    "from 1.1 on the image has other libraries, in a path of its own, which the start script extends",
)


@dataclass(frozen=True, kw_only=True)
class DynamoProfile:
    """One Dynamo release as this program deploys it."""

    version: str
    sglang: str
    """SGLang release in the runtime image, or in a stack's own."""

    crds_chart: str | None
    """Chart of the custom resource definitions; None where the operator applies them itself."""
    crds: tuple[str, ...]
    """Custom resource definitions without which the operator does not start, or no graph runs."""
    platform_chart: str = "dynamo-platform"
    runtime_image: str = "nvcr.io/nvidia/ai-dynamo/sglang-runtime"
    """Image of workers and frontends, without a tag."""

    graph_api: GraphApi = "nvidia.com/v1alpha1"
    """API version of the graphs. From 1.2 on v1alpha1 is deprecated, and a graph in another version is another object:
    in place 1.2 refuses it, and 1.5 damages it (seen)."""
    min_available: bool = False
    """Whether a role says how many of its replicas start together, and a graph its priority class (from 1.3 on;
    1.2 refuses both fields: seen)."""
    runtime_version: bool = False
    """Whether the operator wants to know the runtime's release of every image: by a tag that is one, or by
    `runtimeVersionOverride` (from 1.4 on)."""
    one_worker_hash: bool = False
    """Whether a change of one worker role replaces the pods of both (seen on 1.5; before, each role rolls alone)."""
    reverts_mix: bool = False
    """Whether an exact revert during a rollout ends with pods of both states, for good (seen with Grove alpha.8 on 1.2;
    1.5 heals by itself)."""
    kubernetes: tuple[int, int] = (34, 36)
    """First and last supported minor version of Kubernetes 1.x: below 1.34 DRA needs beta APIs that can never be
    disabled again."""

    grove: str = "ghcr.io/ai-dynamo/grove"
    """Where the images of the chart's Grove are."""
    grove_version: str = "v0.1.0-alpha.6"

    kai: tuple[int, int, int] = (0, 9, 4)
    """First release of KAI that its operator and Grove take, by NVIDIA's table of compatibility; for 0.7 that of its
    chart. No last one is known."""
    kai_run: tuple[str, ...] = ("0.17.0",)
    """Releases of KAI that were run with this release, or with its line at a commit nearby."""
    line: str
    """Releases of one line replace each other in place, under running stacks; others only while there are none."""

    needs_nats: bool = True
    """Whether workers and frontends exchange requests or events through NATS."""
    needs_etcd: bool = False
    """Whether workers and frontends find each other through etcd; else nothing uses it."""

    engine_routes: bool = True
    """Whether workers have routes `/engine/*` on their system port, which load other weights, without authentication
    (read in the wheels: 1.0.2, 1.2.1 and 1.5.1 have them, 0.7.0 does not)."""
    nats_login: bool = False
    """Whether its client was seen to log in to NATS with a password (see `reference.nats`)."""

    operator_webhooks: bool = True
    """Whether the operator serves admission webhooks."""
    metrics_proxy: bool = True
    """Whether a container of its own, kube-rbac-proxy, guards the operator's metrics; from 1.2 on the operator does."""
    crds_name_operator: bool = False
    """Whether the CRDs must name the operator's Service, which converts between the versions of a graph: the operator
    writes only its certificate into them (from 1.3 on; before, it writes both)."""

    values_style: Literal["subcharts", "global"]
    """Where the chart's switches are: `grove.enabled`, or `global.grove.install` and `.enabled`."""
    nats_switch: Literal["nats.enabled", "global.nats.install"] = "nats.enabled"
    """The chart's switch of NATS. The template of a chart that has the second fails on the first, on `etcd.enabled` and
    on `grove.enabled`."""
    operator_pod_values: bool = False
    """Whether the charts of the operator and of Grove have values for labels and annotations of their pods (Grove's
    for annotations alone)."""
    installs_grove_crds: bool = False
    """Whether an init container of Grove's operator applies its CRDs; else Helm does, once and never again."""

    image_lookup_switch: Literal["service", "pod"] = "service"
    """Where the operator reads `IMAGE_LOOKUP_OFF`: in the annotations of the service (seen on 0.7.0 and 1.0.1) or
    of the pod template (seen on 1.2 and 1.5, which ignore those of the service)."""

    pod_rules: tuple[Mapping[str, list[str]], ...] = ()
    """Rules of the Role that the pods' account needs in its namespace; empty where discovery goes through etcd, and
    where pods therefore need no token."""

    frontend_asks_hub: bool = True
    """Whether frontends ask Hugging Face's hub for a model's configuration although its files are in the bucket (to
    1.3: dynamo `lib/llm/src/hub.rs`)."""
    privileged_workers: bool = True
    """Whether workers are privileged unless a stack says otherwise: as in Google's recipe, except where NVIDIA's own
    recipes for GB200 on this release are not."""

    gib_version: str = "v1.1.0"
    """Release of Google's NCCL gIB plugin for the images of this release."""
    install_nccl: bool = False
    """Whether the plugin's own NCCL replaces the image's, as Google's installer did until 2026-05-06. An image with a
    newer NCCL does not start with it (undefined symbol ncclWaitSignal)."""

    ssh_key_images: tuple[str, ...] = ()
    """Images of a hook that makes an ssh key for MPI; the chart has no value for them. The operator reconciles no graph
    while its secret is missing. Empty where the operator makes the key itself."""

    finds_kai: bool = False
    """Whether the operator assigns pods to KAI if KAI's API group is served when the operator starts, whatever the
    values say."""

    own_arguments_in_config: bool = True
    """Whether the `--config` file may contain arguments of `dynamo.sglang` beside those of SGLang."""

    sglang_image: bool = False
    """Whether the runtime image is SGLang's own with Dynamo's wheels in it (from 1.1 on): its user is `dynamo`, who may
    not write compiled kernels, it has no folder of Dynamo's sources, and its libraries have a path of their own, which
    the start script extends."""
    deepep_in_image: bool = True
    """Whether the image has a DeepEP for GB200: those with CUDA 12.9, the last of them 1.2.1, can; SGLang's image with
    CUDA 13 has none (sgl-project/sglang#26413)."""
    worker_environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables of the workers that a layout may set otherwise."""

    @property
    def image(self) -> str:
        """The runtime image with the tag of this release."""
        return f"{self.runtime_image}:{self.version}"

    @property
    def graph_versions(self) -> tuple[str, ...]:
        """The versions that its definition of a graph has: v1alpha1 in every release, and the one that is written."""
        return tuple(dict.fromkeys(("v1alpha1", self.graph_api.rpartition("/")[2])))

    @property
    def webhook_service(self) -> str:
        """The operator's Service, in the platform's namespace."""
        return f"{self.platform_chart}-dynamo-operator-webhook-service"

    @property
    def server(self) -> SglangRelease:
        """The SGLang release."""
        return RELEASES[self.sglang]

    @property
    def migrations(self) -> tuple[Migration, ...]:
        """All changes to the layouts' arguments and variables, which are written for 0.7.0."""
        return (*((_LIBRARY_PATH,) if self.sglang_image else ()), *self.server.migrations)

    def serving(self, sglang: str | None) -> DynamoProfile:
        """This profile with another SGLang release in the image; None: its own."""
        return self if sglang is None else replace(self, sglang=sglang)

    def makes_volumes(self, parts: PlatformParts) -> bool:
        """Whether the release has a NATS or an etcd of its own, and so volumes."""
        return self.installs_nats(parts) or (self.needs_etcd and parts.etcd is None)

    def installs_nats(self, parts: PlatformParts) -> bool:
        """Whether the release has a NATS of its own."""
        return self.needs_nats and parts.nats is None

    def chart(self, name: str, mirror: str | None) -> str:
        """Address of a chart of this release, at NVIDIA or in the mirror."""
        return charts.address(mirror or CHARTS, name, self.version)

    def platform_values(
        self,
        pull_secret: str | None,
        tolerations: list[Toleration],
        kai: bool = True,
        storage_class: Any = None,
        ssh_secret: Any = None,
        *,
        parts: PlatformParts = OWN,
        pod_metadata: Mapping[str, Mapping[str, str]] | None = None,
        nats_secret: Any = None,
    ) -> Mapping[str, Any]:
        """Helm values of `dynamo-platform`: Grove on, `tolerations` on every system pod, volumes of NATS and etcd in
        `storage_class` (a name or an output; None: the cluster's default). What `parts` leaves to others is off, and
        the operator uses theirs. `pod_metadata` has labels and annotations for the pods of every chart that takes them.
        NATS asks for the login in `nats_secret`; None: for none. Nothing is said about a part that is not installed,
        but that it is not.

        Without `ssh_secret` the 0.7 chart's `mpiRun.sshKeygen` hook makes the ssh key: that operator reconciles no
        deployment while the secret is missing, with SGLang too. With the name of a secret (keys `private.key` and
        `private.key.pub`) the operator uses that one, and the hook is off. The chart never installs KAI
        (`reference.kai`). `kai` says whether KAI runs: from 1.0 on it is a value for the operator; 0.7 looks for KAI's
        API group once, at start.
        """
        pods = {kind.title(): dict(said) for kind, said in (pod_metadata or {}).items()}
        manager: dict[str, Any] = {"tolerations": tolerations}
        operator: dict[str, Any] = {
            "imagePullSecrets": [{"name": pull_secret}] if pull_secret else [],
            "controllerManager": manager,
        }
        if ssh_secret is not None:
            operator["dynamo"] = {"mpiRun": {"secretName": ssh_secret, "sshKeygen": {"enabled": False}}}
        operator |= {f"{name}Addr": address for name, address in parts.addresses.items()}
        values: dict[str, Any] = {"dynamo-operator": operator}
        if self.operator_pod_values:
            manager |= {f"pod{kind}": said for kind, said in pods.items()}
        if parts.grove:
            values["grove"] = dict[str, Any](tolerations=tolerations)
            if self.operator_pod_values and "Annotations" in pods:
                values["grove"]["podAnnotations"] = pods["Annotations"]
        if self.installs_nats(parts):
            values["nats"] = _nats_values(tolerations, pod_metadata or {}, storage_class, nats_secret)
        elif self.nats_switch == "nats.enabled":
            values["nats"] = {"enabled": False}
        if self.values_style == "global":
            operator["upgradeCRD"] = parts.crds
            values["global"] = {
                # Kubernetes is the discovery backend of this release: nothing uses etcd.
                "etcd": {"install": False},
                "grove": {"install": parts.grove, "enabled": True},
                "kai-scheduler": {"install": False, "enabled": kai},
            }
            if self.nats_switch == "global.nats.install":
                values["global"]["nats"] = {"install": self.installs_nats(parts)}
            return values
        # The chart's own NetworkPolicy lets everybody in, and what policies allow adds up (bitnami/charts etcd).
        etcd: dict[str, Any] = {"tolerations": tolerations, "networkPolicy": {"enabled": False}}
        etcd |= {f"pod{kind}": said for kind, said in pods.items()}
        if storage_class is not None:
            etcd["persistence"] = {"storageClass": storage_class}
        values["etcd"] = etcd if parts.etcd is None else {"enabled": False}
        # The operator looks for Grove's API group itself.
        values.setdefault("grove", {})["enabled"] = parts.grove
        values["kai-scheduler"] = {"enabled": False}
        return values


def _nats_values(
    tolerations: list[Toleration], pod_metadata: Mapping[str, Mapping[str, str]], storage_class: Any, secret: Any
) -> dict[str, Any]:
    """Values of the chart of NATS."""
    merged: dict[str, Any] = {"spec": {"tolerations": tolerations}}
    if pod_metadata:
        merged["metadata"] = {kind: dict(said) for kind, said in pod_metadata.items()}
    server: dict[str, Any] = {"podTemplate": {"merge": merged}, **nats.server_values(secret)}
    if storage_class is not None:
        jetstream = {"fileStore": {"pvc": {"storageClassName": storage_class}}}
        server["config"] = {**server.get("config", {}), "jetstream": jetstream}
    return server


_CRDS_0_7: Final = (
    "dynamographdeployments",
    "dynamocomponentdeployments",
    "dynamographdeploymentrequests",
    "dynamomodels",
)
"""Of the chart dynamo-crds; the operator needs all four (without the second it exits after two minutes: seen)."""
_CRDS_1_5: Final = (*_CRDS_0_7, "dynamographdeploymentscalingadapters", "dynamoworkermetadatas")
"""What its operator watches (`cmd/main.go`), and what its pods write for discovery. That it does not start without one
of them is [inferred] from 0.7."""
_CRDS_1_0: Final = (*_CRDS_1_5, "dynamocheckpoints")
"""Until mid-September 2026 the operator watched them too, whatever its features."""


def _before_1(version: str) -> DynamoProfile:
    """0.7.x: etcd and NATS, and a separate chart for the custom resource definitions.

    The operator sets the gang minimum to one pod of each clique: leader and one worker of a replica, not all of them.
    """
    return DynamoProfile(
        version=version,
        line="0.7",
        sglang="0.5.4.post3",
        crds_chart="dynamo-crds",
        crds=tuple(f"{kind}.nvidia.com" for kind in _CRDS_0_7),
        needs_etcd=True,
        engine_routes=False,
        nats_login=True,
        kai_run=("0.13.4", "0.16.8", "0.17.0"),
        operator_webhooks=False,
        values_style="subcharts",
        grove="ghcr.io/nvidia/grove",
        grove_version="v0.1.0-alpha.3",
        ssh_key_images=("bitnamisecure/git:latest", "alpine/k8s:1.34.1"),
        # The recipe's NCCL values were tuned with these.
        gib_version="v1.0.7",
        install_nccl=True,
        finds_kai=True,
    )


def _from_1(version: str) -> DynamoProfile:
    """1.0.x: Kubernetes as the discovery backend, CRDs applied by the operator, values below `global`.

    Charts and wheels were read; the operator near 1.0.1 was run: pods run as the service account that the graph names,
    and it needs the permissions that the operator grants only to its own. Until 1.1.0 the operator sets the gang
    minimum to one pod of each clique.
    """
    return DynamoProfile(
        version=version,
        line="1.0",
        sglang="0.5.9",
        crds_chart=None,
        crds=tuple(f"{kind}.nvidia.com" for kind in _CRDS_1_0),
        kai=(0, 13, 0),
        nats_login=True,
        values_style="global",
        pod_rules=DISCOVERY_RULES,
        own_arguments_in_config=False,
    )


def _from_1_2(version: str) -> DynamoProfile:
    """1.2.x: graphs in v1beta1; the last images with CUDA 12.9.

    The operator near 1.2.1 was run with Grove alpha.8 and KAI 0.13.4; the chart was read. The gang holds all pods of
    frontend, decode and the first prefill replica.
    """
    return DynamoProfile(
        version=version,
        line="1.2",
        sglang="0.5.11",
        crds_chart=None,
        crds=tuple(f"{kind}.nvidia.com" for kind in _CRDS_1_0),
        graph_api="nvidia.com/v1beta1",
        reverts_mix=True,
        nats_login=True,
        metrics_proxy=False,
        values_style="global",
        nats_switch="global.nats.install",
        operator_pod_values=True,
        image_lookup_switch="pod",
        grove_version="v0.1.0-alpha.8",
        kai=(0, 13, 4),
        kai_run=("0.13.4", "0.17.0"),
        pod_rules=DISCOVERY_RULES,
        own_arguments_in_config=False,
        sglang_image=True,
        privileged_workers=False,
    )


def _from_1_5(version: str) -> DynamoProfile:
    """1.5.x: neither NATS nor etcd; roles say how many replicas start together; images with CUDA 13.

    The operator of 2026-08-21 (chart 1.5.0-dev) was run with Grove at fcc3b3bb (about alpha.13) and KAI 0.17.0; a
    chart of mid-September was read.
    """
    return DynamoProfile(
        version=version,
        line="1.5",
        sglang="0.5.18",
        crds_chart=None,
        crds=tuple(f"{kind}.nvidia.com" for kind in _CRDS_1_5),
        graph_api="nvidia.com/v1beta1",
        min_available=True,
        runtime_version=True,
        one_worker_hash=True,
        needs_nats=False,
        metrics_proxy=False,
        crds_name_operator=True,
        values_style="global",
        nats_switch="global.nats.install",
        operator_pod_values=True,
        installs_grove_crds=True,
        image_lookup_switch="pod",
        grove_version="v0.1.0-alpha.13",
        kai=(0, 17, 0),
        pod_rules=DISCOVERY_RULES,
        frontend_asks_hub=False,
        own_arguments_in_config=False,
        sglang_image=True,
        privileged_workers=False,
        deepep_in_image=False,
        # A canary request of the operator's health check goes through the engine; not seen with 32 data-parallel ranks.
        worker_environment={"DYN_HEALTH_CHECK_ENABLED": "false"},
    )


PROFILES: Final[Mapping[str, DynamoProfile]] = {
    profile.version: profile
    for profile in (
        _before_1("0.7.0"),
        _from_1("1.0.2"),
        _from_1_2("1.2.1"),
        _from_1_5("1.5.1"),
    )
}

VOLUME_CLASSES: Final = ("values.nats.config.jetstream", "values.etcd.persistence")
"""Where `DynamoProfile.platform_values` names a storage class, and nothing else; without one they are not there."""

REFUSED: Final[Mapping[str, str]] = {
    "0.9.0": "the chart dynamo-platform-0.9.0 ships the operator image 0.7.1 (fixed in 0.9.0-post1)",
}
"""Releases that must not be deployed, with the reason."""
