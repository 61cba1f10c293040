"""Pods of a cluster with two environments and strangers, and who of them may connect to whom by the table of flows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from reference import flows
from reference.dynamo import PROFILES
from reference.flows import Flow
from rehearsal.simulator.kubernetes.network_policies import Pod, allowed
from tests.recorder import Recording, run_program
from tests.unit.configs import shipped

PORTS: Final = (
    *(flows.FRONTEND_PORT, flows.NATS_PORT, flows.ETCD_PORT, flows.WEBHOOK_PORT),
    *(29500, 29501, 29505, 30001, 9090, 41234, 50000, 50005, 8081, 8222, 8443, 9445, 51515, 22),
)
"""Every port of the table, some of those that libraries choose, and some that nobody needs."""

LAYOUT: Final = "deepseek-r1-fp8-1p1d"
CLIENTS: Final = [{"namespace": "chat", "pods": {"app": "web"}}, {"namespaceLabels": {"team": "ml"}}]


Policy = tuple[str, str, dict[str, Any]]
"""Namespace, name and spec."""


@dataclass(frozen=True)
class Actor:
    """A pod, and what it is in the table; a stranger is nothing."""

    name: str
    pod: Pod
    party: str = ""


@dataclass
class Site:
    """One cluster: its pods, namespaces and policies."""

    actors: list[Actor]
    namespaces: Mapping[str, Mapping[str, str]]
    policies: list[Policy]
    table: list[Flow] = field(default_factory=list)

    def tries(self) -> Iterator[tuple[Actor, Actor, int]]:
        """Every pair of pods and every port."""
        for source in self.actors:
            for target in self.actors:
                if source != target:
                    yield from ((source, target, port) for port in PORTS)

    def expected(self, source: Actor, target: Actor, port: int) -> bool:
        """What the table says. A pod that is not the program's is shut off in the program's namespaces, and open in
        its own; where a namespace has pods of one party alone, every pod of it is taken for one.
        """
        mine = [flow for flow in self.table if flow.listener == target.party]
        if not mine:
            return target.pod.namespace in {"chat", "ml", "elsewhere"}
        return any((not flow.ports or port in flow.ports) and self._is_source(flow, source, target) for flow in mine)

    def _is_source(self, flow: Flow, source: Actor, target: Actor) -> bool:
        if "anybody" in flow.sources:
            return True
        if source.party == "clients":
            return "clients" in flow.sources and target.pod.namespace == "r1"
        if "stacks of any environment" in flow.sources and source.party in ("workers", "frontends"):
            return True
        return source.party in flow.sources and source.pod.namespace == target.pod.namespace

    def differences(self, policies: Sequence[Policy] | None = None, namespace: str | None = None) -> Iterator[str]:
        """Where other policies, or the site's own, and the table differ; for pods in one namespace, if it is named."""
        specs: dict[str, list[Mapping[str, Any]]] = {}
        for space, _, spec in self.policies if policies is None else policies:
            specs.setdefault(space, []).append(spec)
        for source, target, port in self.tries():
            if namespace not in (None, target.pod.namespace):
                continue
            wanted = self.expected(source, target, port)
            its = specs.get(target.pod.namespace, ())
            if allowed(its, self.namespaces.__getitem__, source.pod, target.pod, port) != wanted:
                yield f"{source.name} to {target.name}, port {port}: the table says {wanted}"


def site(version: str = "0.7.0") -> Site:
    """Two stacks of one environment with its platform, one of another environment that uses that platform, a download,
    a fabric test, clients and strangers.
    """
    dynamo = {**shipped("dev")["dynamo-a4x:dynamo"], "version": version}
    domains = shipped("dev")["dynamo-a4x:domains"]
    two = [{**domains[0], "fabricTest": {}}, {**domains[0], "name": "a4x-1"}]
    stacks: list[dict[str, Any]] = [
        {"name": "r1", "layout": LAYOUT, "domain": "a4x-0", "clients": CLIENTS},
        {"name": "r2", "layout": LAYOUT, "domain": "a4x-1"},
    ]
    bucket = {**shipped("dev")["dynamo-a4x:modelBucket"], "download": True}
    one = run_program("dev", config={"dynamo": dynamo, "domains": two, "stacks": stacks, "modelBucket": bucket})
    adopt: dict[str, Any] = {"kai": {"mode": "adopt"}, "draDriver": {"mode": "adopt"}}
    theirs = [{"name": "n1", "layout": LAYOUT, "domain": "a4x-0"}]
    other = run_program("dev", config={**adopt, "dynamo": {**dynamo, "mode": "adopt"}, "stacks": theirs})
    profile, own = PROFILES[version], {**_namespaces(one), **_namespaces(other)}
    whole = {"kai-scheduler": "KAI", "fabric-test-dev-a4x-0": "fabric test"}
    inside = [
        Actor(f"a pod in {name} with labels {labels}", Pod(name, labels), whole.get(name, ""))
        for name in own
        for labels in ({}, {"app.kubernetes.io/name": "other"})
    ]
    return Site(
        [*_strangers(), *inside, *_charts(version), *_of(one), *_of(other)],
        {**own, "chat": {}, "ml": {"team": "ml"}, "elsewhere": {}},
        [*_policies(one), *_policies(other)],
        list(flows.of(profile)),
    )


def _policies(recording: Recording) -> Iterator[Policy]:
    for _, manifest in recording.manifests():
        if manifest.get("kind") == "NetworkPolicy":
            yield manifest["metadata"]["namespace"], manifest["metadata"]["name"], manifest["spec"]


def _namespaces(recording: Recording) -> dict[str, Mapping[str, str]]:
    return {
        manifest["metadata"]["name"]: manifest["metadata"].get("labels", {})
        for _, manifest in recording.manifests()
        if manifest.get("kind") == "Namespace" and manifest["metadata"]["name"] != "default"
    }


def _of(recording: Recording) -> Iterator[Actor]:
    """The pods that an environment describes, by what they are called there."""
    names = {"readiness-check": "readiness check", "fabric-test": "fabric test"}
    for _, manifest in recording.manifests():
        kind, metadata, spec = manifest.get("kind"), manifest.get("metadata", {}), manifest.get("spec", {})
        space = metadata.get("namespace")
        for role, service in spec.get("services", {}).items() if kind == "DynamoGraphDeployment" else ():
            labels = {
                **service["extraPodMetadata"]["labels"],
                "nvidia.com/dynamo-component-type": service["componentType"],
            }
            party = "frontends" if service["componentType"] == "frontend" else "workers"
            for pod in range(2):
                yield Actor(f"{space} {role} {pod}", Pod(space, labels), party)
        if kind in ("Job", "Deployment"):
            labels = spec["template"]["metadata"].get("labels", {})
            called = labels.get("app.kubernetes.io/name", "")
            party = "benchmark client" if called.endswith("-bench") else names.get(called, "download")
            for pod in range(2 if party == "fabric test" else 1):
                yield Actor(f"{space} {party} {pod}", Pod(space, labels), party)


def _charts(version: str) -> Iterator[Actor]:
    """Pods of the charts, by the labels that these give them (reference.chart_pods says where they were rendered)."""
    name = "app.kubernetes.io/name"
    found = [
        ("NATS", "dynamo-cloud", {name: "nats", "app.kubernetes.io/component": "nats"}),
        ("Dynamo operator", "dynamo-cloud", {name: "dynamo-operator", "control-plane": "controller-manager"}),
        ("Grove operator", "dynamo-cloud", {name: "grove-operator"}),
        ("KAI", "kai-scheduler", {"app": "admission"}),
        ("KAI", "kai-scheduler", {"app": "scheduler"}),
        ("IMEX daemons", "nvidia-dra-driver-gpu", {"resource.nvidia.com/computeDomain": "a"}),
        ("IMEX daemons", "nvidia-dra-driver-gpu", {"resource.nvidia.com/computeDomain": "b"}),
        ("DRA driver", "nvidia-dra-driver-gpu", {name: "nvidia-dra-driver-gpu"}),
    ]
    if PROFILES[version].needs_etcd:
        found.append(("etcd", "dynamo-cloud", {name: "etcd"}))
    for party, namespace, labels in found:
        yield Actor(f"{party} {labels}", Pod(namespace, labels), party)


def _strangers() -> Iterator[Actor]:
    worn = {"dynamo-a4x/stack": "r1", "dynamo-a4x/role": "decode"}
    yield Actor("a pod elsewhere", Pod("elsewhere", {"app": "x"}))
    yield Actor("a pod elsewhere with a stack's labels", Pod("elsewhere", worn))
    yield Actor("a pod elsewhere with the labels of a client", Pod("elsewhere", {"app": "web"}))
    yield Actor("a client by name", Pod("chat", {"app": "web"}), "clients")
    yield Actor("another pod of the client's namespace", Pod("chat", {"app": "db"}))
    yield Actor("a client by label", Pod("ml", {"app": "x"}), "clients")
