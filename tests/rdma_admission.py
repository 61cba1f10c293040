"""Requests for RDMA interfaces and for other things, in every sort of namespace, and whether each is admitted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from manifests import gpu_pod
from reference import namespaces
from rehearsal.simulator.kubernetes import pods
from rehearsal.simulator.workloads import graphs
from tests.recorder import Recording, run_program
from tests.unit.configs import shipped

KIND: Final = "ValidatingAdmissionPolicy"
NAME: Final = "dynamo-a4x-rdma-prod"
CONTROLLER: Final = "system:serviceaccount:kube-system:resource-claim-controller"
"""It makes the claims of pods whose spec names a template."""

_ONE_OF_EACH: Final = ("a pod", "a pod on rdma-0", "a ResourceClaim of mrdma.google.com")

Manifest = Mapping[str, Any]


@dataclass(frozen=True)
class Ask:
    """What somebody asks of the API server, wherever it is."""

    what: str
    body: Manifest
    rdma: bool
    """Whether it asks for an RDMA interface."""
    operation: str = "CREATE"
    old: Manifest | None = None
    user: str = "somebody"

    @property
    def long(self) -> bool:
        """Whether it is near a limit of the API or of CEL."""
        return any(number in self.what for number in ("1000", "1001", "long"))

    def inside(self, namespace: str) -> Ask:
        """The same in a namespace."""
        return Ask(
            f"{self.what} in {namespace}",
            _placed(self.body, namespace),
            self.rdma,
            self.operation,
            None if self.old is None else _placed(self.old, namespace),
            self.user,
        )


@dataclass(frozen=True)
class Site:
    """A created cluster: the policy, namespaces and whether RDMA is theirs, and what is asked."""

    policy: dict[str, Any]
    binding: dict[str, Any]
    namespaces: Mapping[str, Mapping[str, str] | None]
    """Labels by name; None: it has no such field."""
    theirs: frozenset[str]
    asks: tuple[Ask, ...]

    def tries(self) -> Iterator[tuple[str, Ask]]:
        """Everything in every namespace."""
        for namespace in self.namespaces:
            for ask in self.asks:
                # What is long is tried where it counts.
                if not ask.long or namespace in ("default", "kube-system", "r1-1p1d"):
                    yield namespace, ask.inside(namespace)

    def some_tries(self) -> Iterator[tuple[str, Ask]]:
        """Everything but what is long in one namespace, and one of each sort in the others."""
        for namespace, ask in self.tries():
            one_of_each = ask.what.removesuffix(f" in {namespace}") in _ONE_OF_EACH
            if one_of_each or (namespace == "default" and not ask.long):
                yield namespace, ask

    def refused(self, namespace: str, ask: Ask) -> bool:
        """What must be: whoever asks for RDMA is a stack, a fabric test, or a part of Kubernetes or GKE."""
        return ask.rdma and namespace not in self.theirs and not is_system(namespace)

    def namespace(self, name: str) -> dict[str, Any]:
        """Its manifest."""
        labels = self.namespaces[name]
        metadata = {"name": name, **({} if labels is None else {"labels": dict(labels)})}
        return {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}


def is_system(namespace: str) -> bool:
    """Whether Kubernetes or GKE runs there."""
    return namespace.startswith(("kube-", "gke-", "gmp-")) or namespace in namespaces.SYSTEM


def site(rdma: str = "multi-network") -> Site:
    """The created cluster of prod with a fabric test, a neighbour environment that adopts it, and strangers."""
    cluster, domains = shipped("prod")["dynamo-a4x:cluster"], shipped("prod")["dynamo-a4x:domains"]
    domains = [{**domains[0], "fabricTest": {}}, *domains[1:]]
    own = run_program("prod", config={"cluster": {**cluster, "rdma": rdma}, "domains": domains})
    neighbour = run_program("dev")
    made = {**_namespaces(neighbour), **_namespaces(own)}
    theirs = frozenset(name for name, manifest in made.items() if _has_gpu_pods(name, own, neighbour))
    strangers: dict[str, Mapping[str, str] | None] = {
        "default": None,
        "team": {"team": "ml", "dynamo-a4x": "stack"},
        "kubernetes": {},
        "mygke-system": {"kubernetes.io/metadata.name": "mygke-system"},
        **dict.fromkeys(("kube-system", "gke-managed-system", "gmp-system", *namespaces.SYSTEM), None),
    }
    labels = {name: manifest["metadata"].get("labels") for name, manifest in made.items()}
    (policy,), (binding,) = (
        [m for _, m in own.manifests() if m.get("kind") == kind and m["metadata"]["name"] == NAME]
        for kind in (KIND, f"{KIND}Binding")
    )
    return Site(policy, binding, {**labels, **strangers}, theirs, (*_asks(), *_programs(own)))


def _placed(body: Manifest, namespace: str) -> dict[str, Any]:
    return {**body, "metadata": {**body["metadata"], "namespace": namespace}}


def _namespaces(recording: Recording) -> dict[str, dict[str, Any]]:
    manifests = (manifest for _, manifest in recording.manifests() if manifest.get("kind") == "Namespace")
    return {one["metadata"]["name"]: one for one in manifests if one["metadata"]["name"] != "default"}


def _has_gpu_pods(namespace: str, *recordings: Recording) -> bool:
    return any(namespace == space for recording in recordings for space, _ in _gpu_pods(recording))


def _gpu_pods(recording: Recording) -> Iterator[tuple[str, dict[str, Any]]]:
    """The pods of workers and fabric tests, with their namespaces."""
    for _, manifest in recording.manifests():
        space = manifest.get("metadata", {}).get("namespace", "")
        if manifest.get("kind") == "DynamoGraphDeployment":
            for role in graphs.roles(manifest):
                if role.gpus:
                    yield space, pods.of_template(space, role.name, role.metadata, role.pod)
        elif manifest.get("kind") == "Job" and "resourceClaims" in manifest["spec"]["template"]["spec"]:
            template = manifest["spec"]["template"]
            yield space, pods.of_template(space, "fabric", template["metadata"], template["spec"])


def _programs(recording: Recording) -> Iterator[Ask]:
    """What the program itself asks for: of pods and of claim templates."""
    for _, pod in _gpu_pods(recording):
        yield Ask(f"the program's {pod['metadata']['name']}", pod, "annotations" in pod["metadata"] and _annotated(pod))
    for _, manifest in recording.manifests():
        if manifest.get("kind") == "ResourceClaimTemplate":
            yield Ask(f"the program's template {manifest['metadata']['name']}", manifest, True)


def _annotated(pod: Manifest) -> bool:
    return "networking.gke.io/interfaces" in pod["metadata"]["annotations"]


def _pod(annotations: Mapping[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": "p", **({} if annotations is None else {"annotations": dict(annotations)})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {"containers": [{"name": "a", "image": "i"}], **spec},
    }


def _interfaces(text: str) -> dict[str, Any]:
    return _pod({"networking.gke.io/interfaces": text})


def _container(name: str = "a", **limits: str) -> dict[str, Any]:
    return {"name": name, "image": "i", "resources": {"limits": limits}}


def _claim(devices: Any, kind: str = "ResourceClaim") -> dict[str, Any]:
    spec: dict[str, Any] = {} if devices is None else {"devices": devices}
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": kind,
        "metadata": {"name": "c"},
        "spec": spec if kind == "ResourceClaim" else {"spec": spec},
    }


def _requests(*classes: str) -> dict[str, Any]:
    return {"requests": [{"name": f"r{i}", "exactly": {"deviceClassName": c}} for i, c in enumerate(classes)]}


def _asks() -> Iterator[Ask]:
    yield from _pods()
    yield from _changes()
    yield from _claims()


def _pods() -> Iterator[Ask]:
    mine, other = gpu_pod.nic_annotations(None), "nvidia.com/gpu"
    yield Ask("a pod", _pod(), False)
    yield Ask("a pod with no annotation", _pod({}), False)
    yield Ask("a pod with another annotation", _pod({"a": '"rdma-0"'}), False)
    yield Ask("a pod with a worker's annotations", _pod(mine), True)
    yield Ask("a pod on the default network", _interfaces('[{"interfaceName":"eth0","network":"default"}]'), False)
    yield Ask("a pod on the second gVNIC", _interfaces('[{"interfaceName":"eth1","network":"gvnic-1"}]'), False)
    for like in ("my-rdma-0", "rdma-00", "rdma-0-b", "rdma-4"):
        yield Ask(f"a pod on {like}", _interfaces(f'[{{"interfaceName":"eth1","network":"{like}"}}]'), False)
    for i in range(4):
        yield Ask(f"a pod on rdma-{i}", _interfaces(f'[ {{ "network" : "rdma-{i}" }} ]'), True)
    yield Ask("a pod that spells a name with an escape", _interfaces('[{"network":"\\u0072dma-0"}]'), True)
    yield Ask("a pod with limits", _pod(containers=[_container(cpu="1", **{other: "4"})]), False)
    yield Ask(
        "a pod with requests", _pod(containers=[{**_container(), "resources": {"requests": {"cpu": "1"}}}]), False
    )
    yield Ask("a pod with init containers", _pod(initContainers=[{"name": "b", "image": "i"}]), False)
    yield Ask("a pod with a claim on something", _pod(resourceClaims=[{"name": "x", "resourceClaimName": "c"}]), False)
    rdma = [f"networking.gke.io.networks/rdma-{i}{suffix}" for i in range(4) for suffix in ("", ".IP")]
    for name in (*rdma, "deviceclass.resource.kubernetes.io/mrdma.google.com"):
        yield Ask(f"a pod with {name}", _pod(containers=[_container(**{name: "1"})]), True)
        late = [_container("a", cpu="1"), {"name": "b", "image": "i"}, _container("c", **{name: "1"})]
        yield Ask(f"a pod with {name} in its last container", _pod(containers=late), True)
        yield Ask(
            f"a pod with {name} in an init container", _pod(initContainers=[_container("b", **{name: "1"})]), True
        )
    for name in ("networking.gke.io.networks/gvnic-1.IP", "deviceclass.resource.kubernetes.io/netdev.google.com"):
        yield Ask(f"a pod with {name}", _pod(containers=[_container(**{name: "1"})]), False)
    many = [_container(f"c{i}", cpu="1") for i in range(1001)]
    yield Ask("a pod with 1000 containers", _pod(containers=many[:1000]), False)
    yield Ask("a pod with 1001 containers", _pod(containers=many), True)
    yield Ask("a pod with 1001 containers of both sorts", _pod(containers=many[:500], initContainers=many[500:]), True)
    yield Ask("a pod with long annotations", _pod({"a": "x" * 250_000}), False)
    yield Ask("a pod with a long list of interfaces", _interfaces(" " * 250_000), False)


def _changes() -> Iterator[Ask]:
    """Of pods that exist."""
    plain, mine = _pod(), _pod(gpu_pod.nic_annotations(None))
    resource = _pod(containers=[_container(**{"networking.gke.io.networks/rdma-0": "1"})])
    other = _interfaces('[{"network":"gvnic-1"}]')
    for what, old, new, rdma in (
        ("plain", plain, {**plain, "metadata": {**plain["metadata"], "labels": {"a": "b"}}}, False),
        ("with the annotation from before", mine, {**mine, "metadata": {**mine["metadata"], "labels": {}}}, False),
        ("with the resource from before", resource, resource, False),
        ("that gives the annotation up", mine, plain, False),
        ("that gets the annotation", plain, mine, True),
        ("that had other annotations and gets this one", _pod({"a": "b"}), mine, True),
        ("that had other interfaces", other, mine, True),
    ):
        yield Ask(f"a change of a pod {what}", new, rdma, "UPDATE", old)


def _claims() -> Iterator[Ask]:
    rdma, other = "mrdma.google.com", "netdev.google.com"
    first = {"requests": [{"name": "r", "firstAvailable": [{"name": n, "deviceClassName": n} for n in (other, rdma)]}]}
    none = {"requests": [{"name": "r", "firstAvailable": [{"name": "a", "deviceClassName": other}]}]}
    for kind in ("ResourceClaim", "ResourceClaimTemplate"):
        for what, devices, asks in (
            ("no devices", None, False),
            ("no requests", {"constraints": []}, False),
            ("requests that are null", {"requests": None}, False),
            (other, _requests(other), False),
            ("a channel", _requests("compute-domain-default-channel.nvidia.com"), False),
            (rdma, _requests(rdma), True),
            ("both classes", _requests(other, rdma), True),
            ("the first of other and RDMA", first, True),
            ("the first of one", none, False),
        ):
            yield Ask(f"a {kind} of {what}", _claim(devices, kind), asks)
        standing = _claim(_requests(rdma), kind)
        yield Ask(f"a change of a {kind}", standing, False, "UPDATE", standing)
    yield Ask("a claim for a pod by its template", _claim(_requests(rdma)), True, user=CONTROLLER)
