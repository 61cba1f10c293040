"""The connections that a graph needs, and whether NetworkPolicies let them through.

Who must reach whom was read in Dynamo and SGLang: workers connect to each other and to frontends on ports that six
libraries choose, a few of which are tried here; both connect to NATS and, before 1.0, to etcd; the readiness check and
the benchmark to the frontends. Pods of charts are known by the labels of the charts (nats 1.3.2, bitnami etcd).
"""

from __future__ import annotations

from collections.abc import Iterator

from rehearsal.simulator.kubernetes.network_policies import Address, Pod, refused
from rehearsal.simulator.state import CloudResource, CloudState
from rehearsal.simulator.values import Props, dig, mapping, text
from rehearsal.simulator.workloads import serving

_WORKER_PORTS = (9090, 29500, 29501, 30001, 41234)
"""Dynamo's system port, SGLang's rendezvous and dp-attention sockets, the prefill bootstrap, and a random one."""
_API = 8000
_CALL_HOME = 41234
_SERVICES = {"nats": 4222, "etcd": 2379}
_WEBHOOK = 9443
_CONTROL_PLANE = "172.16.0.2"
"""An address that no source list names."""
_DOMAIN_LABEL = "resource.nvidia.com/computeDomain"
_IMEX = 50000
_COMPONENT = "nvidia.com/dynamo-component-type"


def pods_of(graph: Props) -> Iterator[tuple[str, Pod, bool]]:
    """One pod of each role of a graph: the role, the pod, and whether it is a frontend."""
    namespace = text(graph, "metadata.namespace")
    for role in serving.roles(graph):
        service = mapping(graph, f"spec.services.{role.name}")
        frontend = text(service, "componentType") == "frontend"
        labels = {**mapping(service, "extraPodMetadata.labels"), _COMPONENT: text(service, "componentType")}
        yield role.name, Pod(namespace, labels), frontend


def blockers(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    """Connections of a graph's pods that never arrive."""
    pods = list(pods_of(graph))
    for source, one, _ in pods:
        for target, other, frontend in pods:
            for port in (_CALL_HOME,) if frontend else _WORKER_PORTS:
                why = refused(state, cluster, one, other, port)
                if why:
                    yield f"{source} to {target}: {why}"
        for why in filter(None, (refused(state, cluster, one, *its) for its in _services(state, cluster))):
            yield f"{source}: {why}"
    yield from _imex(state, cluster)


def _services(state: CloudState, cluster: str) -> Iterator[tuple[Pod, int]]:
    """NATS and etcd of the release that runs the operator."""
    release = serving.operator(state, cluster)
    if release is None:
        return
    early = serving.early(serving.version_of(release))
    for name in ("nats", "etcd") if early else ("nats",):
        if dig(release.inputs, f"values.{name}.enabled") is not False:
            labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/instance": text(release.outputs, "name")}
            yield Pod(text(release.outputs, "namespace"), labels), _SERVICES[name]


def _imex(state: CloudState, cluster: str) -> Iterator[str]:
    """The daemons of one ComputeDomain in the driver's namespace, which mount each other's memory."""
    for release in state.find(serving.RELEASE, scope=cluster):
        if text(release.outputs, "status.chart") == "nvidia-dra-driver-gpu":
            daemon = Pod(text(release.outputs, "namespace"), {_DOMAIN_LABEL: "uid"})
            why = refused(state, cluster, daemon, daemon, _IMEX)
            if why:
                yield f"no NVLink between nodes: {why}"


def unanswered(state: CloudState, cluster: str, job: CloudResource, graph: Props) -> Iterator[str]:
    """Why a readiness check gets no answer from any frontend."""
    labels = mapping(job.inputs, "spec.template.metadata.labels")
    check = Pod(text(job.inputs, "metadata.namespace"), labels)
    frontends = [pod for _, pod, frontend in pods_of(graph) if frontend]
    reasons = [refused(state, cluster, check, frontend, _API) for frontend in frontends]
    if reasons and all(reasons):
        yield f"timed out: {reasons[0]}"


def webhook_refused(state: CloudState, cluster: str, namespace: str, labels: Props) -> str:
    """Why the API server does not reach a webhook of a pod; empty if it does."""
    return refused(state, cluster, Address(_CONTROL_PLANE), Pod(namespace, labels), _WEBHOOK)
