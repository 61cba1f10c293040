"""KAI, by release: what its chart installs in a cluster, what it needs there, and when it schedules a pod.

Facts have the number of their observation; "read" means in the charts and the change log at the releases' tags.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from rehearsal.simulator.gcp.rules import CLUSTER
from rehearsal.simulator.kubernetes.custom_kinds import KAI_CONFIG, KAI_CRDS, KUEUE_TOPOLOGY, QUEUE, SHARD, TOPOLOGY
from rehearsal.simulator.kubernetes.system_objects import NAMESPACE
from rehearsal.simulator.state import ApiError, CloudResource, CloudState, now
from rehearsal.simulator.values import Props, dig, items, mapping, text
from rehearsal.simulator.workloads import graphs, platforms, serving, traffic

CHART = "kai-scheduler"
SCHEDULER = "kai-scheduler"
"""The pods' schedulerName."""

_RELEASE = "kubernetes:helm.sh/v3:Release"
_CRD = "kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition"
_PRIORITY_CLASS = "kubernetes:scheduling.k8s.io/v1:PriorityClass"
_RUNTIME_CLASS = "kubernetes:node.k8s.io/v1:RuntimeClass"
_MUTATING = "kubernetes:admissionregistration.k8s.io/v1:MutatingWebhookConfiguration"
_VALIDATING = "kubernetes:admissionregistration.k8s.io/v1:ValidatingWebhookConfiguration"
_QUEUE, _SHARD, _CONFIG = (f"kubernetes:{api}:{kind}" for api, kind in (QUEUE, SHARD, KAI_CONFIG))

_CONFIG_NAME = "kai-config"
_POD_WEBHOOK = "mutating-kai-admission"
_QUEUE_WEBHOOK = "kai-queue-validation-v2"
_WEBHOOKS = (
    (_MUTATING, _POD_WEBHOOK),
    (_VALIDATING, "validating-kai-admission"),
    (_VALIDATING, "kai-podgroup-validation-v2alpha2"),
    (_VALIDATING, _QUEUE_WEBHOOK),
)
_PRIORITIES = ("train", "build-preemptible", "build", "inference")
_KEEP = {"helm.sh/resource-policy": "keep"}
_CLUSTER_POLICY = "clusterpolicies.nvidia.com"
_CLASS_VALUE = "admission.gpuPodRuntimeClassName"
_GRACE = "default-staleness-grace-period"
_ONLY_KAIS = "object.spec.schedulerName == 'kai-scheduler'"
_BINDING_MINOR = 36
"""First minor version of Kubernetes in which a scheduler needs `resourceclaims/binding` (read)."""
_UP_AFTER_SECONDS = 1.0
"""Time from the end of Helm's install until KAI's webhooks answer (K7)."""

Version = tuple[int, int, int, bool]
"""Numbers of a release, and whether it is final: 0.13.0-rc1 comes before 0.13.0."""


@dataclass(frozen=True)
class Traits:
    """Behaviour of the releases from `first` on."""

    first: Version
    kinds: tuple[tuple[str, str], ...] = KAI_CRDS
    """Custom kinds of the chart; Helm deletes none of them."""
    needs_cluster_policy: bool = False
    """R1: without NVIDIA's kind ClusterPolicy the operator exits every two minutes: no pod-grouper, no admission."""
    runtime_class: str = ""
    """R2: the RuntimeClass of every GPU pod unless the chart's value says otherwise."""
    no_class: tuple[object, ...] = ()
    """R2, K1: values that mean none: two quotes where the template replaces an empty text by the default."""
    keeps_config: bool = False
    """R3: the post-delete hook leaves `kai-config`, and so the webhooks."""
    refuses_all_pods: bool = False
    """R3, K8: whether the pods' webhook, which fails closed, also applies to pods of other schedulers."""
    config_first: bool = False
    """Whether the hook creates `kai-config` before the operator starts, so that Helm waits for its webhooks (read)."""
    hook_races: bool = False
    """R10: a platform that bundles it creates its queues before the webhooks answer."""
    shard_switch: bool = False
    """K6: whether `defaultShard.enabled: false` omits the SchedulingShard."""
    shard_args: bool = False
    """Whether the chart has `scheduler.args` for the shard (read)."""
    binds_claims: bool = False
    """Whether its binder may update `resourceclaims/binding` (read; K1 for 1.35)."""


_OLD_CRDS = (*(kind for kind in KAI_CRDS if kind != TOPOLOGY), KUEUE_TOPOLOGY)
TRAITS = (
    Traits(
        (0, 0, 0, False),
        _OLD_CRDS,
        needs_cluster_policy=True,
        refuses_all_pods=True,
        config_first=True,
        hook_races=True,
    ),
    Traits(
        (0, 12, 0, False),
        runtime_class="nvidia",
        no_class=('""',),
        keeps_config=True,
        refuses_all_pods=True,
        config_first=True,
    ),
    Traits((0, 13, 0, True), runtime_class="nvidia", no_class=('""', ""), config_first=True),
    Traits((0, 14, 0, True), runtime_class="nvidia", no_class=('""', "")),
    Traits((0, 15, 0, True), runtime_class="nvidia", no_class=('""', ""), shard_args=True, binds_claims=True),
    Traits((0, 16, 0, True), shard_switch=True, shard_args=True, binds_claims=True),
)
"""By `first`, ascending; the last one that is not later than a release applies to it."""


@dataclass(frozen=True)
class Kai:
    """The KAI that a Helm release installs."""

    version: str
    values: Props = field(default_factory=dict[str, Any])
    """Its own values, from the top level or from the platform's `kai-scheduler`."""
    bundled: bool = False

    @property
    def traits(self) -> Traits:
        """How this release behaves."""
        return next(traits for traits in reversed(TRAITS) if traits.first <= _parsed(self.version))


def _parsed(version: str) -> Version:
    match = re.match(r"v?(\d+)\.(\d+)\.(\d+)(-.+)?$", version)
    if match is None:
        raise ApiError(f"chart {CHART}: {version or '(none)'} is no version of it")
    return int(match[1]), int(match[2]), int(match[3]), match[4] is None


def brought_by(chart: str, version: str, inputs: Props) -> Kai | None:
    """The KAI in a release of this chart: its own, or one that a platform's chart bundles and enables."""
    values = mapping(inputs, "values")
    if chart == CHART:
        return Kai(version, values)
    if chart != platforms.CHART:
        return None
    # From 1.0 on the old name is silently ignored.
    if not platforms.installs(version, values, CHART):
        return None
    return Kai(platforms.of(version).kai, mapping(values, "kai-scheduler"), bundled=True)


def of_release(release: CloudResource) -> Kai | None:
    """The KAI that a release has installed."""
    return brought_by(text(release.outputs, "status.chart"), text(release.outputs, "status.version"), release.inputs)


def installed(state: CloudState, cluster: str) -> tuple[CloudResource, Kai] | None:
    """The release that runs KAI in a cluster."""
    for release in state.find(_RELEASE, scope=cluster):
        found = of_release(release)
        if found is not None:
            return release, found
    return None


def operator_uses(state: CloudState, cluster: str, version: str, platform: Props) -> bool:
    """Whether the operator of a platform (given by version and inputs) assigns pods to KAI.

    From 1.0 on a value decides; the operator of 0.7 does if KAI's API group is served in the cluster.
    """
    if not platforms.of(version).global_switches:
        return state.get(_CRD, "queues.scheduling.run.ai", cluster) is not None
    return platforms.uses(version, mapping(platform, "values"), CHART)


# Helm


def refuse_install(state: CloudState, cluster: str, kai: Kai, upgraded: CloudResource | None) -> None:
    """Errors of Helm or the API server when KAI is installed."""
    other = installed(state, cluster)
    if other is not None and other[0] is not upgraded:
        raise ApiError(
            'ClusterRole "kai-binder" in namespace "" exists and cannot be imported into the current release: invalid '
            f"ownership metadata; it belongs to release {other[0].id}"
        )
    shard = state.get(_SHARD, "default", cluster)
    if shard is not None and upgraded is None and _makes_shard(kai) and not _of_a_chart(shard):
        # K10
        raise ApiError(
            'SchedulingShard "default" in namespace "" exists and cannot be imported into the current release'
        )


def install(state: CloudState, release: CloudResource, kai: Kai) -> None:
    """Create the chart's objects; its operator starts the rest for `kai-config`, which a hook creates."""
    cluster, name = release.scope, text(release.inputs, "name")
    owned = {"meta.helm.sh/release-name": name}
    for priority in _PRIORITIES:
        _make(state, cluster, _PRIORITY_CLASS, priority, owner=release)
    # R13, K2: kept by Helm.
    _make(state, cluster, NAMESPACE, "kai-resource-reservation", annotations=_KEEP)
    if _makes_shard(kai):
        # K4: an existing one is adopted and not patched.
        _make(state, cluster, _SHARD, "default", annotations={**owned, **_KEEP}, spec=_shard_of_chart(kai))
    if not kai.bundled and dig(kai.values, "defaultQueue.createDefaultQueue") is not False:
        for queue in ("default-parent-queue", "default-queue"):
            _make(state, cluster, _QUEUE, queue, annotations={**owned, **_KEEP})
    if _hooks_run(release):
        config = _make(state, cluster, _CONFIG, _CONFIG_NAME)
        # Applied over an existing one, which the uninstall deletes whoever created it (read).
        config.origin = "service"
        config.outputs["status"] = _ready(False)
        if operates(state, cluster, kai):
            for kind, webhook in _WEBHOOKS:
                _make(state, cluster, kind, webhook, owner=config)
            asked = [] if kai.traits.refuses_all_pods else [{"expression": _ONLY_KAIS}]
            pod_webhook = state.get(_MUTATING, _POD_WEBHOOK, cluster)
            if pod_webhook is not None:
                pod_webhook.outputs["webhooks"] = [{"failurePolicy": "Fail", "matchConditions": asked}]
        if kai.traits.config_first:
            settle(state, config)


def uninstall(state: CloudState, release: CloudResource, kai: Kai) -> None:
    """What is deleted with the release beside what it owns, and what stays (R3, K2, K8)."""
    config = state.get(_CONFIG, _CONFIG_NAME, release.scope)
    if config is not None and _hooks_run(release) and not kai.traits.keeps_config:
        state.remove(config.key)
    elif config is not None:
        config.outputs["status"] = _ready(False)


def _hooks_run(release: CloudResource) -> bool:
    return release.inputs.get("disableWebhooks") is not True


def _makes_shard(kai: Kai) -> bool:
    off = kai.traits.shard_switch and dig(kai.values, "defaultShard.enabled") is False
    return not off


def _shard_of_chart(kai: Kai) -> Props:
    args = mapping(kai.values, "scheduler.args") if kai.traits.shard_args else {}
    actions = mapping(kai.values, "scheduler.actions")
    return {"partitionLabelValue": "", **({"args": args} if args else {}), **({"actions": actions} if actions else {})}


def _of_a_chart(resource: CloudResource) -> bool:
    return "meta.helm.sh/release-name" in mapping(resource.outputs, "metadata.annotations")


def _make(
    state: CloudState,
    cluster: str,
    kind: str,
    name: str,
    *,
    owner: CloudResource | None = None,
    annotations: Props | None = None,
    spec: Props | None = None,
) -> CloudResource:
    found = state.get(kind, name, cluster)
    if found is not None:
        return found
    group, _, short = kind.removeprefix("kubernetes:").rpartition(":")
    body: Props = {"apiVersion": group.removeprefix("core/"), "kind": short, "metadata": {"name": name}}
    if annotations:
        body["metadata"]["annotations"] = dict(annotations)
    if spec is not None:
        body["spec"] = spec
    key = owner.key if owner else None
    outputs = copy.deepcopy(body)
    return state.add(CloudResource(kind, cluster, name, body, outputs, origin="service", owner=key))


# What runs


def operates(state: CloudState, cluster: str, kai: Kai) -> bool:
    """Whether KAI's operator keeps running and starts anything."""
    return not kai.traits.needs_cluster_policy or state.get(_CRD, _CLUSTER_POLICY, cluster) is not None


def settle(state: CloudState, resource: CloudResource) -> None:
    """Let KAI's operator reconcile an object."""
    found = installed(state, resource.scope)
    if resource.kind not in (_CONFIG, _SHARD) or found is None:
        return
    works = operates(state, resource.scope, found[1])
    if resource.kind == _SHARD:
        # K6: a scheduler runs 2 s after its shard is created.
        resource.outputs["status"] = _ready(works)
    elif resource.owner is None:
        resource.outputs["status"] = _ready(works)


def awaited(state: CloudState, resource: CloudResource) -> None:
    """As `settle`, for an object that was just written: KAI's operands start while its Config is awaited (K7)."""
    if resource.kind == _SHARD or "pulumi.com/waitFor" in mapping(resource.outputs, "metadata.annotations"):
        settle(state, resource)


def answers(state: CloudState, cluster: str) -> bool:
    """Whether KAI's webhooks answer: if its Config is Ready, or a second after its release was installed (K7)."""
    config, found = state.get(_CONFIG, _CONFIG_NAME, cluster), installed(state, cluster)
    if found is None or config is None:
        return False
    return _is_ready(config) or now() - found[0].written > _UP_AFTER_SECONDS


def _ready(works: bool) -> Props:
    return {"conditions": [{"type": "Ready", "status": "True" if works else "False"}]}


def _is_ready(resource: CloudResource) -> bool:
    return any(
        text(c, "type") == "Ready" and text(c, "status") == "True" for c in items(resource.outputs, "status.conditions")
    )


# Admission


def refuse_queue(state: CloudState, cluster: str, name: str) -> None:
    """K7, R10: while the queue webhook does not answer, queues are rejected."""
    if state.get(_VALIDATING, _QUEUE_WEBHOOK, cluster) is None:
        return
    _require_reached(state, cluster, f"Queue {name}", "queue-validation.kai.scheduler", {"app": "queue-controller"})
    if answers(state, cluster):
        return
    raise ApiError(
        f'Queue {name}: Internal error occurred: failed calling webhook "queue-validation.kai.scheduler": '
        "connect: connection refused"
    )


def refuse_pod(state: CloudState, cluster: str, what: str, scheduler: str = "") -> None:
    """R3: webhooks that an uninstalled KAI has left behind fail closed: no pod is created."""
    webhook = state.get(_MUTATING, _POD_WEBHOOK, cluster)
    if webhook is None:
        return
    _require_reached(state, cluster, f"{what}: pods", "kai-admission.kai.scheduler", {"app": "admission"})
    if installed(state, cluster) is not None:
        return
    hooks = items(webhook.outputs, "webhooks")
    if scheduler == SCHEDULER or any(not hook.get("matchConditions") for hook in hooks):
        raise ApiError(
            f"{what}: pods cannot be created: Internal error occurred: failed calling webhook "
            '"kai-admission.kai.scheduler": service "admission" not found (a KAI that was uninstalled left it: kubectl '
            "delete configs.kai.scheduler kai-config)"
        )


def _require_reached(state: CloudState, cluster: str, what: str, webhook: str, labels: Props) -> None:
    """A webhook that a NetworkPolicy cuts off stops what it should only look at (failurePolicy Fail)."""
    running = installed(state, cluster)
    if running is None:
        return
    why = traffic.webhook_refused(state, cluster, text(running[0].outputs, "namespace"), labels)
    if why:
        raise ApiError(f'{what}: Internal error occurred: failed calling webhook "{webhook}": timed out: {why}')


def refuse_hook(state: CloudState, cluster: str, kai: Kai) -> None:
    """R10: the queues that a platform creates in a hook right after it has installed KAI."""
    if kai.bundled and kai.traits.hook_races and operates(state, cluster, kai):
        raise ApiError(
            "failed post-install: warning: Hook post-install dynamo-platform/templates/kai.yaml failed: Internal error "
            'occurred: failed calling webhook "queue-validation.kai.scheduler": connect: connection refused; the '
            "release was rolled back"
        )


# Pods of a graph


def blockers(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    """Why KAI would never start the pods of a graph that the operator assigns to it."""
    roles = graphs.roles(graph)
    if all(text(role.pod, "schedulerName") for role in roles):
        return
    found = installed(state, cluster)
    if found is None:
        yield f"its pods ask for the scheduler {SCHEDULER}, and none runs (KAI's kinds are served in the cluster)"
        return
    kai = found[1]
    yield from _never_scheduled(state, cluster, kai)
    gpu = [role.name for role in roles if role.gpus]
    if gpu and _runtime_class(state, cluster, kai):
        yield (
            f'pods of {gpu[0]} are refused: RuntimeClass "{kai.traits.runtime_class}" not found; KAI {kai.version} '
            f"asks for it (value {_CLASS_VALUE}: {kai.traits.no_class[0]!r})"
        )
    minor, claims = _minor(state, cluster), any(items(role.pod, "resourceClaims") for role in roles)
    if claims and minor >= _BINDING_MINOR and not kai.traits.binds_claims:
        yield f"KAI {kai.version} may not write resourceclaims/binding: no pod with a claim is bound on 1.{minor}"


def too_old(state: CloudState, cluster: str, first: tuple[int, int, int]) -> Iterator[str]:
    """A KAI below the first release that the platform's table of compatible releases has (read; not run)."""
    found = installed(state, cluster)
    if found is not None and _parsed(found[1].version)[:3] < first:
        yield f"KAI {found[1].version} is older than {'.'.join(map(str, first))}, the first that this Dynamo supports"


def rank(state: CloudState, cluster: str, graph: Props) -> str:
    """The priority class by which KAI ranks a graph's gangs; `train` is preemptible (V8, N3)."""
    running = serving.platform(state, cluster)
    pods = [text(role.pod, "priorityClassName") for role in graphs.roles(graph)]
    of_gang = running is not None and running.gang_priority
    return (graphs.gang_priority(graph) if of_gang else next(filter(None, pods), "")) or _PRIORITIES[0]


def _never_scheduled(state: CloudState, cluster: str, kai: Kai) -> Iterator[str]:
    if not operates(state, cluster, kai):
        # R1
        yield (
            f"the operator of KAI {kai.version} ends every 2 minutes: no matches for kind ClusterPolicy in version "
            "nvidia.com/v1; pods stay Pending"
        )
    elif not state.find(_SHARD, scope=cluster):
        # K6, K8
        yield "KAI runs no scheduler: there is no SchedulingShard"


def _minor(state: CloudState, cluster: str) -> int:
    found = state.get(CLUSTER, cluster)
    match = re.match(r"1\.(\d+)", text(found.outputs, "masterVersion") if found else "")
    return int(match[1]) if match else 0


def _runtime_class(state: CloudState, cluster: str, kai: Kai) -> bool:
    wanted = kai.traits.runtime_class
    if not wanted or dig(kai.values, _CLASS_VALUE) in kai.traits.no_class:
        return False
    return state.get(_RUNTIME_CLASS, wanted, cluster) is None


def evicts_gangs(state: CloudState, cluster: str) -> bool:
    """K3, M10: whether a gang that lacks one pod for a minute loses all others."""
    for shard in state.find(_SHARD, scope=cluster):
        grace = mapping(shard.outputs, "spec.args").get(_GRACE)
        on = mapping(shard.outputs, "spec.actions.stalegangeviction").get("enabled") is not False
        if on and not (isinstance(grace, str) and grace.startswith("-")):
            return True
    return False
