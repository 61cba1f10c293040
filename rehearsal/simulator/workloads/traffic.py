"""The connections that a graph needs, and whether NetworkPolicies let them through.

Who must reach whom was read in Dynamo and SGLang: workers connect to each other and to frontends on ports that six
libraries choose, a few of which are tried here; both connect to NATS and, before 1.0, to etcd; the readiness check and
the benchmark to the frontends. Pods of charts are known by the labels of the charts (nats 1.3.2, bitnami etcd). What
they need of the outside is in `outside`: before 1.4 frontends ask the hub (lib/llm/src/hub.rs), and from 1.0 on all
pods find each other through the API server.
"""

from __future__ import annotations

from collections.abc import Iterator

from rehearsal.simulator.kubernetes.network_policies import Address, Pod, refused
from rehearsal.simulator.state import CloudResource, CloudState
from rehearsal.simulator.values import Props, items, many, mapping, text
from rehearsal.simulator.workloads import outside, platforms, serving
from rehearsal.simulator.workloads.outside import Need

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
_FRONTEND = "frontend"


def pods_of(state: CloudState, cluster: str, graph: Props) -> Iterator[tuple[serving.Role, Pod]]:
    """One pod of each role of a graph."""
    namespace = text(graph, "metadata.namespace")
    for role in serving.roles(graph):
        yield role, Pod(namespace, serving.labels(state, cluster, role))


def blockers(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    """Connections of a graph's pods that never arrive."""
    pods = list(pods_of(state, cluster, graph))
    for source, one in pods:
        for target, other in pods:
            ports = (_CALL_HOME,) if target.type == _FRONTEND else _WORKER_PORTS
            dropped = {port: why for port in ports if (why := refused(state, cluster, one, other, port))}
            for why in list(dropped.values())[:1]:
                more = ", ".join(map(str, list(dropped)[1:]))
                yield f"{source.name} to {target.name}: {why}{f' (ports {more} too)' if more else ''}"
        for why in filter(None, (refused(state, cluster, one, *its) for its in _services(state, cluster))):
            yield f"{source.name}: {why}"
    for role, pod in pods:
        for why in outside.unmet(state, cluster, pod, _outgoing(state, cluster, role)):
            yield f"{role.name}: {why}"
    yield from _imex(state, cluster)


def _outgoing(state: CloudState, cluster: str, role: serving.Role) -> Iterator[Need]:
    """What a pod of a role needs of the outside."""
    release = serving.operator(state, cluster)
    yield outside.names()
    yield from outside.bucket(state, cluster, role.pod)
    if role.type == _FRONTEND and (release is None or platforms.of_release(release).asks_hub):
        yield from outside.site(items(role.main, "env"), "huggingface.co", "HF_ENDPOINT")
    if release is not None and not serving.early(serving.version_of(release)):
        yield outside.api_server(state, cluster)


def _services(state: CloudState, cluster: str) -> Iterator[tuple[Pod, int]]:
    """NATS and etcd of the release that runs the operator."""
    release = serving.operator(state, cluster)
    if release is None:
        return
    running = platforms.of_release(release)
    for name in (*(("nats",) if running.needs_nats else ()), *(("etcd",) if running.needs_etcd else ())):
        if platforms.installs(serving.version_of(release), mapping(release.inputs, "values"), name):
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
    """Why a readiness check gets no answer, from the API server or from any frontend."""
    check = _pod(job)
    yield from outside.unmet(state, cluster, check, (outside.names(), outside.api_server(state, cluster)))
    frontends = [pod for role, pod in pods_of(state, cluster, graph) if role.type == _FRONTEND]
    reasons = [refused(state, cluster, check, frontend, _API) for frontend in frontends]
    if reasons and all(reasons):
        yield f"timed out: {reasons[0]}"


def undownloaded(state: CloudState, job: CloudResource) -> str | None:
    """The last words of a Job that cannot download into a bucket; None if it can, or does something else."""
    spec = mapping(job.inputs, "spec.template.spec")
    needs = list(outside.bucket(state, job.scope, spec))
    for container in items(spec, "containers") if needs else ():
        said, script = items(container, "env"), " ".join(map(str, many(container, "command")))
        needs += outside.site(said, "huggingface.co", "HF_ENDPOINT") if "hf download" in script else ()
        needs += outside.site(said, "pypi.org", "PIP_INDEX_URL") if "pip install" in script else ()
    return next(outside.unmet(state, job.scope, _pod(job), (outside.names(), *needs) if needs else ()), None)


def unmet_peers(state: CloudState, job: CloudResource, port: int) -> str:
    """Why the pods of a Job do not find each other; empty if they do."""
    pod = _pod(job)
    peer = Need("pod 1 did not reach pod 0", pod, port)
    return next(outside.unmet(state, job.scope, pod, (outside.names(), peer)), "")


def cut_off(state: CloudState, deployment: CloudResource) -> str:
    """Why a Deployment's pod does not reach the API server; empty if it does."""
    pod, needed = _pod(deployment), outside.api_server(state, deployment.scope)
    return next(outside.unmet(state, deployment.scope, pod, (needed,)), "")


def _pod(owner: CloudResource) -> Pod:
    labels = mapping(owner.inputs, "spec.template.metadata.labels")
    return Pod(text(owner.inputs, "metadata.namespace"), labels)


def webhook_refused(state: CloudState, cluster: str, namespace: str, labels: Props) -> str:
    """Why the API server does not reach a webhook of a pod; empty if it does."""
    return refused(state, cluster, Address(_CONTROL_PLANE), Pod(namespace, labels), _WEBHOOK)
