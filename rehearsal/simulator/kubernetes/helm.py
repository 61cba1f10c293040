"""Helm releases: what the real charts install in a cluster, and what they need there.

No chart is loaded and no host is contacted: the charts that the program installs are modelled by what they create in a
cluster. An unknown chart installs nothing.
"""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from rehearsal.simulator import sdk_schema
from rehearsal.simulator.kubernetes import chart_images, crds, finalizers, volumes
from rehearsal.simulator.kubernetes.custom_kinds import DRA_CRDS
from rehearsal.simulator.kubernetes.system_objects import NAMESPACE
from rehearsal.simulator.service import Failure
from rehearsal.simulator.state import ApiError, CloudResource, CloudState, now
from rehearsal.simulator.values import UNKNOWN, Props, Unknown, dig, mapping, text
from rehearsal.simulator.workloads import kai, nats_login, platforms, remains, serving

RELEASE = serving.RELEASE
early = serving.early
CRD = crds.CRD
_HOOK_QUEUES = ("dynamo-default", "dynamo")
_SECRET = "kubernetes:core/v1:Secret"
_LEASE = "kubernetes:coordination.k8s.io/v1:Lease"


_SWITCHES = (
    *("allowNullValues", "atomic", "cleanupOnFail", "createNamespace", "dependencyUpdate", "devel", "disableCRDHooks"),
    *("disableOpenapiValidation", "disableWebhooks", "forceUpdate", "lint", "recreatePods", "renderSubchartNotes"),
    *("replace", "resetValues", "reuseValues", "skipAwait", "skipCrds", "verify", "waitForJobs"),
)
_DEFAULTS: Props = {**dict.fromkeys(_SWITCHES, False), "timeout": 300}
"""Defaults that the plugin adds to the inputs of a release (E15)."""


@dataclass(frozen=True)
class Chart:
    """Facts about one chart."""

    values: frozenset[str] | None = None
    """Top-level keys of its values; None: unknown, anything is accepted."""
    kinds: tuple[tuple[str, str], ...] = ()
    """Custom kinds that it always installs. They outlive the release: Helm deletes no CRDs."""


PLATFORM_VALUES = frozenset({"dynamo-operator", "grove", "kai-scheduler", "etcd", "nats", "global"})
CHARTS: dict[str, Chart] = {
    "dynamo-crds": Chart(frozenset(), platforms.of("0.7").kinds),
    platforms.CHART: Chart(PLATFORM_VALUES),
    "nvidia-dra-driver-gpu": Chart(None, DRA_CRDS),
    serving.GROVE: Chart(None),
}


def chart_of(inputs: Props) -> tuple[str, str]:
    """Name and version of the chart, from an archive's file name or the inputs; the version may be empty."""
    reference = text(inputs, "chart")
    base = reference.rstrip("/").rsplit("/", 1)[-1]
    archive = re.fullmatch(r"(.+?)-v?(\d+\.\d+\.\d+[^/]*?)\.tgz", base)
    if archive:
        return archive[1], archive[2]
    return base, text(inputs, "version").lstrip("v")


def check(name: str, suffix: str, olds: Props, news: Props) -> tuple[Props, list[Failure]]:
    """Complete and validate the inputs of a release; `suffix` ends a generated name."""
    inputs = dict(news)
    if inputs.get("name") is None:
        inputs["name"] = olds.get("name") or f"{name}-{suffix}"
    if inputs.get("namespace") is None:
        inputs["namespace"] = "default"
    inputs = {**_DEFAULTS, **inputs}
    failures = sdk_schema.check(inputs, sdk_schema.resource(RELEASE).inputs)
    chart, version = chart_of(inputs)
    reference = inputs.get("chart")
    if isinstance(reference, str):
        failures += _check_reference(reference, text(inputs, "repositoryOpts.repo"))
        if not version and not isinstance(inputs.get("version"), Unknown):
            failures.append(Failure("version", f"chart {chart} has no pinned version"))
    known = CHARTS.get(chart)
    if known and known.values is not None:
        for key in mapping(inputs, "values"):
            if key not in known.values:
                expected = ", ".join(sorted(known.values)) or "none"
                failures.append(Failure(f"values.{key}", f"chart {chart} has no such value (it has: {expected})"))
    return inputs, failures


def _check_reference(reference: str, repository: str) -> list[Failure]:
    """Validate the reference of a chart: a URL for Helm's getters (https, http, oci), a folder, or in a repository."""
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", reference)
    if scheme and scheme[1] not in ("https", "http", "oci"):
        return [Failure("chart", f"could not find protocol handler for: {scheme[1]}")]
    if reference.startswith("oci://") and reference.endswith(".tgz"):
        # A registry stores a chart under its name, with the version as its tag.
        return [Failure("chart", f"{reference}: not found (an archive's name is no repository of a registry)")]
    if not scheme and not reference.startswith(("/", ".")) and not reference.endswith(".tgz") and not repository:
        return [Failure("chart", f"chart {reference!r} needs repositoryOpts.repo, a URL or a path")]
    return []


def before(inputs: Props) -> Props:
    """Outputs in a preview."""
    return {**inputs, "status": UNKNOWN, "resourceNames": UNKNOWN}


def create(state: CloudState, cluster: str, inputs: Props, urn: str) -> tuple[str, Props]:
    """Install the release: its id (namespace/name) and outputs."""
    namespace, name = text(inputs, "namespace"), text(inputs, "name")
    chart, version = chart_of(inputs)
    id_ = f"{namespace}/{name}"
    if state.get(RELEASE, id_, cluster) is not None:
        raise ApiError(f"cannot re-use a name that is still in use: release {name} in namespace {namespace}")
    if state.get(NAMESPACE, namespace, cluster) is None:
        if inputs.get("createNamespace") is not True:
            raise ApiError(f'create: failed to create: namespaces "{namespace}" not found')
        _make_namespace(state, cluster, namespace)
    finalizers.refuse_new(
        state, cluster, namespace, f'create: failed to create: secrets "sh.helm.release.v1.{name}.v1"'
    )
    _needs(state, cluster, inputs)
    outputs = _outputs(inputs, chart, version, 1)
    resource = state.add(CloudResource(RELEASE, cluster, id_, copy.deepcopy(inputs), outputs, urn=urn))
    install(state, resource)
    return id_, outputs


def update(state: CloudState, resource: CloudResource, inputs: Props, preview: bool) -> Props:
    """Upgrade the release."""
    chart, version = chart_of(inputs)
    revision = int(dig(resource.outputs, "status.revision") or 1) + 1
    outputs = _outputs(inputs, chart, version, revision)
    if not preview:
        _needs(state, resource.scope, inputs, upgraded=resource)
        resource.inputs, resource.outputs, resource.written = copy.deepcopy(inputs), outputs, now()
        install(state, resource)
    return outputs


def delete(state: CloudState, resource: CloudResource) -> None:
    """Uninstall the release. Helm does not check whether its controllers still have anything to clean up (R8)."""
    brought = kai.of_release(resource)
    state.remove(resource.key)
    if brought is not None:
        kai.uninstall(state, resource, brought)
    remains.orphan(state, resource.scope)


def install(state: CloudState, release: CloudResource) -> None:
    """Create what the release's chart does: custom kinds, KAI's objects, and what the platform leaves behind."""
    chart, version = text(release.outputs, "status.chart"), text(release.outputs, "status.version")
    brought = kai.of_release(release)
    cluster, values = release.scope, mapping(release.inputs, "values")
    if chart == "dynamo-crds":
        crds.serve(state, cluster, CHARTS[chart].kinds, version, over=True)
    crds.serve(state, cluster, CHARTS.get(chart, Chart()).kinds)
    crds.serve(state, cluster, brought.traits.kinds if brought else ())
    grove = _grove_of(chart, version, values)
    if grove:
        crds.serve(state, cluster, platforms.grove_kinds(grove), grove, over=_replaces_kinds(grove, values))
    if chart == platforms.CHART and _applies_crds(version, release.inputs):
        platform = platforms.of(version)
        crds.serve(state, cluster, (*platform.kinds, *platform.more_kinds), version, over=True)
    if brought is not None:
        kai.install(state, release, brought)
    if chart == platforms.CHART:
        # R13: the operator's own, never deleted.
        _extra(state, release, _LEASE, "kube-system/dynamo.nvidia.com")
        for kind, name in _left_behind(version, values):
            _extra(state, release, kind, f"{text(release.outputs, 'namespace')}/{name}")
        if _makes_queues(state, release.scope, release.inputs, version):
            # Created by hooks of the chart, so Helm never deletes them.
            for name in _HOOK_QUEUES:
                _extra(state, release, serving.QUEUE, name)


def _left_behind(version: str, values: Props) -> Iterator[tuple[str, str]]:
    """What operators make in the platform's namespace for themselves (N17, M15)."""
    if not early(version):
        yield _SECRET, "mpi-run-ssh-secret"
        yield _SECRET, "webhook-server-cert"
        if platforms.installs(version, values, "grove"):
            yield _LEASE, "grove-operator-leader-election"


def _grove_of(chart: str, version: str, values: Props) -> str:
    """The Grove that a release of a chart installs; empty if none."""
    if chart == platforms.CHART:
        return platforms.of(version).grove if platforms.installs(version, values, "grove") else ""
    return version if chart == serving.GROVE else ""


def _replaces_kinds(grove: str, values: Props) -> bool:
    """Whether Grove's chart replaces the kinds of another Grove: from alpha.13 on, by its own installer (read)."""
    return platforms.alpha(grove) >= 13 and dig(values, "grove.crdInstaller.enabled") is not False


def _applies_crds(version: str, inputs: Props) -> bool:
    """Whether a hook of the platform's release applies Dynamo's CRDs: from 1.0 on, unless `upgradeCRD` is off."""
    return not early(version) and dig(inputs, "values.dynamo-operator.upgradeCRD") is not False


def _makes_queues(state: CloudState, cluster: str, inputs: Props, version: str) -> bool:
    used = kai.operator_uses(state, cluster, version, inputs)
    return used and inputs.get("disableWebhooks") is not True


def _needs(state: CloudState, cluster: str, inputs: Props, upgraded: CloudResource | None = None) -> None:
    chart, version = chart_of(inputs)
    if chart == platforms.CHART:
        _refuse_values(version, mapping(inputs, "values"))
    if chart in (platforms.CHART, "dynamo-crds"):
        _refuse_newer_kinds(state, cluster, version)
    if chart != "dynamo-crds":
        kai.refuse_pod(state, cluster, f"release {text(inputs, 'name')}: timed out waiting")
    brought = kai.brought_by(chart, version, inputs)
    if brought is not None:
        kai.refuse_install(state, cluster, brought, upgraded)
        if upgraded is None:
            kai.refuse_hook(state, cluster, brought)
    if chart == "dynamo-platform":
        _platform_needs(state, cluster, inputs, upgraded)
        volumes.refuse(state, cluster, inputs, version, upgraded)
    if chart == "nvidia-dra-driver-gpu":
        namespace = text(inputs, "namespace")
        quotas = state.find("kubernetes:core/v1:ResourceQuota", scope=cluster)
        if namespace != "kube-system" and not any(quota.id.startswith(f"{namespace}/") for quota in quotas):
            raise ApiError(
                f"timed out waiting: pods of {chart} in {namespace}: insufficient quota to match these scopes: "
                "[{PriorityClass In [system-node-critical system-cluster-critical]}]; a ResourceQuota comes first"
            )


def _platform_needs(state: CloudState, cluster: str, inputs: Props, upgraded: CloudResource | None) -> None:
    _, version = chart_of(inputs)
    platform, values = platforms.of(version), mapping(inputs, "values")
    _refuse_groves_kinds(state, cluster, version, values)
    if not _applies_crds(version, inputs):
        missing = [kind for kind in platform.kinds if not crds.serves(state, cluster, *kind)]
        if missing:
            names = ", ".join(kind for _, kind in missing)
            first = "dynamo-crds comes first" if early(version) else "upgradeCRD is off, so that they come first"
            raise ApiError(f"the Dynamo operator ends after 2 minutes: no CRDs {names}; {first}")
    if _makes_queues(state, cluster, inputs, version):
        for name in _HOOK_QUEUES:
            if state.get(serving.QUEUE, name, cluster) is None:
                kai.refuse_queue(state, cluster, name)
    other = serving.operator(state, cluster)
    restricted = dig(inputs, "values.dynamo-operator.namespaceRestriction.enabled") is True
    if other is not None and other is not upgraded and not restricted:
        raise ApiError(f"Found existing cluster-wide Dynamo operator: release {other.id}")
    for reason in nats_login.missing(state, cluster, inputs, version):
        raise ApiError(reason)
    if early(version):
        _ssh_key(state, cluster, inputs)
    chart_images.refuse_unrecognized(version, values)


def _refuse_values(version: str, values: Props) -> None:
    """Values on which the templates of a release fail (read: templates/validate-values.yaml)."""
    for path in platforms.removed_values(version, values):
        raise ApiError(
            f"execution error at (dynamo-platform/templates/validate-values.yaml): '{path}' has been removed "
            f"(dynamo-platform {version})"
        )
    both = all(platforms.installs(version, values, part) for part in (kai.CHART, "grove"))
    grace = mapping(values, "kai-scheduler.scheduler.args").get("default-staleness-grace-period")
    if both and platforms.of(version).gang_priority and grace != "-1s":
        raise ApiError(
            "execution error at (dynamo-platform/templates/validate-values.yaml): bundled KAI Scheduler must disable "
            'stale PodGroup eviction: kai-scheduler.scheduler.args.default-staleness-grace-period: "-1s"'
        )


def _refuse_newer_kinds(state: CloudState, cluster: str, version: str) -> None:
    """Dynamo's kinds that a newer release has left [inferred; only that there is no support for it was read].

    The operator of 0.7 and 1.0 would take away a version that is in the definition's `status.storedVersions`, which the
    API server refuses, and 1.2 would take the storage version back. Helm does not adopt what an operator has applied.
    """
    found = crds.dynamo(state, cluster)
    if found and platforms.minor(found) > platforms.minor(version):
        raise ApiError(
            f"Dynamo {version} does not start: the CRDs are of Dynamo {found}, which is newer; delete them: kubectl "
            f"delete crd {' '.join(crds.name_of(*kind) for kind in platforms.of(found).kinds)}"
        )


def _refuse_groves_kinds(state: CloudState, cluster: str, version: str, values: Props) -> None:
    """Kinds of another Grove, which Helm leaves as they are (see `crds`); what its operator does then was not run."""
    grove = _grove_of(platforms.CHART, version, values)
    left = crds.release_of(state, cluster, *platforms.GROVES[0][1][0])
    if grove and left and left != grove and not _replaces_kinds(grove, values):
        raise ApiError(
            f"Grove {grove} finds the CRDs of Grove {left}, which Helm does not change; delete them: kubectl delete "
            f"crd {' '.join(crds.name_of(*kind) for kind in platforms.grove_kinds(left))}"
        )


def _ssh_key(state: CloudState, cluster: str, inputs: Props) -> None:
    """The 0.7 operator reconciles no graph without the secret with the MPI ssh key (V5), which a hook makes."""
    run = mapping(inputs, "values.dynamo-operator.dynamo.mpiRun")
    if dig(run, "sshKeygen.enabled") is not False:
        return
    name = f"{text(inputs, 'namespace')}/{text(run, 'secretName') or 'mpi-run-ssh-secret'}"
    secret = state.get("kubernetes:core/v1:Secret", name, cluster)
    content = {**mapping(secret.outputs, "data"), **mapping(secret.outputs, "stringData")} if secret else {}
    missing = [key for key in ("private.key", "private.key.pub") if not content.get(key)]
    if missing:
        raise ApiError(
            f"the 0.7 operator reconciles no graph without the MPI ssh secret: {name} has no {', '.join(missing)}; "
            "leave mpiRun.sshKeygen on, or create it before the release"
        )


def _outputs(inputs: Props, chart: str, version: str, revision: int) -> Props:
    status = {
        "name": text(inputs, "name"),
        "namespace": text(inputs, "namespace"),
        "revision": revision,
        "status": "deployed",
        "chart": chart,
        "version": version,
        "appVersion": version,
    }
    return {
        **copy.deepcopy(inputs),
        "status": status,
        "resourceNames": {},
        "version": inputs.get("version") or version,
    }


def _make_namespace(state: CloudState, cluster: str, name: str) -> None:
    # Helm creates it and never deletes it.
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    state.add(CloudResource(NAMESPACE, cluster, name, body, body, origin="service"))


def _extra(state: CloudState, release: CloudResource, kind: str, name: str) -> None:
    if state.get(kind, name, release.scope) is None:
        body = {"metadata": {"name": name}}
        state.add(CloudResource(kind, release.scope, name, body, body, origin="service"))


def seed(state: CloudState, cluster: str, release: Props) -> CloudResource:
    """Create a release that existed before the program ran, from `chart`, `version`, `namespace` and `values`."""
    chart, namespace, version = str(release["chart"]), str(release["namespace"]), str(release["version"])
    if state.get(NAMESPACE, namespace, cluster) is None:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        state.add(CloudResource(NAMESPACE, cluster, namespace, body, body, origin="seed"))
    inputs: Props = {"name": chart, **release}
    outputs = _outputs(inputs, chart, version, 1)
    id_ = f"{namespace}/{chart}"
    resource = state.add(CloudResource(RELEASE, cluster, id_, inputs, outputs, origin="seed", written=-math.inf))
    install(state, resource)
    for extra in state.find(scope=cluster, where=lambda t: t.origin == "service" and t.owner is None):
        extra.origin = "seed"
    return resource
