"""Pods of a cluster with two environments and strangers, addresses outside, and who may connect to what."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final

from manifests import graph_api
from reference import egress, flows
from reference.dynamo import PROFILES
from reference.egress import Destination, Mode, WayOut
from reference.flows import Flow
from rehearsal.simulator.kubernetes.network_policies import TCP, UDP, Address, Pod, blocking, matches
from tests.answers import ENDPOINT
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


Doors = Mapping[Destination, frozenset[tuple[str, int]]]
"""Protocols and ports, by what they are in the table."""


@dataclass(frozen=True)
class Spot:
    """Something outside of the environments that pods may connect to."""

    name: str
    pod: Pod | Address
    doors: Doors = field(default_factory=dict[Destination, frozenset[tuple[str, int]]])
    party: str = ""


Target = Actor | Spot
"""Where a connection goes to."""
_FEW_PORTS: Final = (flows.FRONTEND_PORT, flows.NATS_PORT, flows.ETCD_PORT, flows.WEBHOOK_PORT, 29500, 41234)
"""Every port of the tables, and two of those that libraries choose: where egress is judged as well."""
_OUTER_PORTS: Final = (22, 53, 80, 443, 987, 988, 2379, 3128, 4222, 8080)
LISTED: Final = {"range": "10.200.0.8/32", "ports": [3128]}
"""A proxy with a private address."""


@dataclass
class Site:
    """One cluster: its pods, namespaces and policies."""

    actors: list[Actor]
    namespaces: Mapping[str, Mapping[str, str]]
    policies: list[Policy]
    table: list[Flow] = field(default_factory=list)
    ways: list[WayOut] = field(default_factory=list)
    """Ways out; none where egress is open."""
    spots: list[Spot] = field(default_factory=list)

    def tries(self) -> Iterator[tuple[Actor, Target, int, str]]:
        """Every pair of pods and every port, and every pod with everything outside."""
        for source in self.actors:
            for spot in self.spots:
                yield from ((source, spot, port, TCP) for port in _OUTER_PORTS)
                yield from ((source, spot, port, UDP) for port in (53, 443))
            for target in self.actors:
                if source != target:
                    yield from ((source, target, port, TCP) for port in (_FEW_PORTS if self.ways else PORTS))

    def blocked(self, source: Actor, target: Target, port: int, protocol: str) -> set[str]:
        """What the tables say: the directions in which a connection is dropped."""
        ways = {"ingress": self._taken(source, target, port), "egress": self._made(source, target, port, protocol)}
        return {way for way, free in ways.items() if not free}

    def _made(self, source: Actor, target: Target, port: int, protocol: str) -> bool:
        """Whether a pod may connect to something; one that is nothing in the table may not, in a stack's namespace."""
        space, party = source.pod.namespace, _party_of_namespace(source.pod.namespace) or source.party
        mine: list[Destination] = [to for way in self.ways if way.party == party for to in way.to]
        if not self.ways or (not mine and space not in STACKS):
            return True
        listed = isinstance(target.pod, Address) and target.pod.ip == LISTED["range"][:-3] and port in LISTED["ports"]
        return (listed and protocol == TCP and bool(mine)) or any(
            self._leads_to(to, source, target, (protocol, port)) for to in mine
        )

    def _leads_to(self, to: Destination, source: Actor, target: Target, door: tuple[str, int]) -> bool:
        if isinstance(target, Spot):
            # The platform of others is wherever they have put it.
            elsewhere = target.party == to and source.pod.namespace == "n1"
            return door in target.doors.get(to, ()) or (elsewhere and door == (TCP, _PORT_OF[to]))
        if to in _PORT_OF and target.party == to:
            here = to in ("NATS", "etcd") or source.pod.namespace == target.pod.namespace
            return here and door == (TCP, _PORT_OF[to])
        parties = {"the stack's pods": ("workers", "frontends"), "fabric test": ("fabric test",)}.get(to, ())
        return target.party in parties and source.pod.namespace == target.pod.namespace

    def _taken(self, source: Actor, target: Target, port: int) -> bool:
        """Whether something lets a pod in. A pod that is not the program's is shut off in the program's namespaces, and
        open in its own; where a namespace has pods of one party alone, every pod of it is taken for one.
        """
        if isinstance(target, Spot):
            return True
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

    @cached_property
    def cases(self) -> list[tuple[Actor, Target, int, str, set[str]]]:
        """Everything that is tried, with what the tables say."""
        return [(*one, self.blocked(*one)) for one in self.tries()]

    @cached_property
    def _cases_of(self) -> Mapping[tuple[str, str], list[int]]:
        """Places in `cases` by the direction and by the pod whose policies count in it."""
        found: dict[tuple[str, str], list[int]] = {}
        for i, (source, target, *_) in enumerate(self.cases):
            found.setdefault(("egress", source.name), []).append(i)
            found.setdefault(("ingress", target.name), []).append(i)
        return found

    def differences(self, changed: tuple[int, Mapping[str, Any]] | None = None) -> Iterator[str]:
        """Where the policies and the tables differ; with a policy changed, of the pods that it selects or did."""
        policies, places = list(self.policies), list[int]()
        if changed is None:
            places += range(len(self.cases))
        else:
            at, spec = changed
            space, name, old = policies[at]
            policies[at] = (space, name, {**spec})
            ways = {
                way
                for way in ("egress", "ingress")
                if (old.get(way), old["podSelector"]) != (spec.get(way), spec["podSelector"])
            }
            for actor in self.actors:
                if actor.pod.namespace == space and any(
                    matches(one["podSelector"], actor.pod.labels) for one in (old, spec)
                ):
                    places += (place for way in sorted(ways) for place in self._cases_of.get((way, actor.name), ()))
        specs: dict[str, list[Mapping[str, Any]]] = {}
        for space, _, spec in policies:
            specs.setdefault(space, []).append(spec)
        for source, target, port, protocol, wanted in (self.cases[place] for place in places):
            found = blocking(
                lambda space: specs.get(space, ()),
                self.labels_of,
                source.pod,
                target.pod,
                port,
                protocol=protocol,
            )
            if {way for _, way in found} != wanted:
                yield f"{source.name} to {target.name}, {protocol} port {port}: the tables say blocked by {wanted}"

    def labels_of(self, namespace: str) -> Mapping[str, str]:
        """Labels of a namespace."""
        return self.namespaces.get(namespace, {})


STACKS: Final = frozenset({"r1", "r2", "n1"})
_PORT_OF: Final[Mapping[str, int]] = {
    "NATS": flows.NATS_PORT,
    "etcd": flows.ETCD_PORT,
    "frontends": flows.FRONTEND_PORT,
}


def _party_of_namespace(namespace: str) -> str:
    """What all pods of a namespace are, where it has pods of one party alone."""
    found = {"model-download": "download", "fabric-test": "fabric test"}
    return next((party for start, party in found.items() if namespace.startswith(start)), "")


def _spots(mode: Mode) -> list[Spot]:
    """Everything outside, with what it is in the table."""
    https = frozenset({(TCP, 443)})
    dns = frozenset({(TCP, 53), (UDP, 53)})
    web: Doors = dict.fromkeys(("internet", "model hub", "package index"), https)
    google: Doors = {"Google's APIs": https}
    public: Doors = {**web, **google} if mode == "restricted" else web
    name = "app.kubernetes.io/name"
    return [
        Spot("kube-dns", Pod("kube-system", {"k8s-app": "kube-dns"}), {"DNS": dns}),
        Spot("node-local-dns", Pod("kube-system", {"k8s-app": "node-local-dns"}), {"DNS": dns}),
        Spot("another pod of the system", Pod("kube-system", {"k8s-app": "metrics-server"})),
        Spot("a pod that calls itself kube-dns", Pod("elsewhere", {"k8s-app": "kube-dns"})),
        Spot("a pod that calls itself node-local-dns", Pod("elsewhere", {"k8s-app": "node-local-dns"})),
        Spot("a pod that calls itself NATS", Pod("elsewhere", {name: "nats"}), party="NATS"),
        Spot("a pod that calls itself etcd", Pod("elsewhere", {name: "etcd"}), party="etcd"),
        Spot("NodeLocal DNSCache", Address("169.254.20.10"), {"DNS": dns}),
        Spot(
            "metadata server and Cloud DNS",
            Address("169.254.169.254"),
            {"DNS": dns, "metadata server": frozenset({(TCP, 80), (TCP, 8080)})},
        ),
        Spot("metadata server", Address("169.254.169.252"), {"metadata server": frozenset({(TCP, 987), (TCP, 988)})}),
        Spot("the control plane", Address(ENDPOINT), {"API server": https}),
        Spot("the internet", Address("151.101.0.223"), public),
        Spot("private.googleapis.com", Address("199.36.153.10"), {**public, **google}),
        Spot("the proxy that is listed", Address("10.200.0.8")),
        *(Spot(f"an address of {one}", Address(_inside(one))) for one in egress.NOT_PUBLIC),
    ]


def _inside(cidr: str) -> str:
    return str(ipaddress.ip_network(cidr)[9])


def site(version: str = "0.7.0", mode: Mode = "open") -> Site:
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
    out: dict[str, Any] = {} if mode == "open" else {"isolation": {"egress": mode, "egressRanges": [LISTED]}}
    one = run_program("dev", config={**out, "dynamo": dynamo, "domains": two, "stacks": stacks, "modelBucket": bucket})
    adopt: dict[str, Any] = {"kai": {"mode": "adopt"}, "draDriver": {"mode": "adopt"}}
    theirs = [{"name": "n1", "layout": LAYOUT, "domain": "a4x-0"}]
    other = run_program("dev", config={**out, **adopt, "dynamo": {**dynamo, "mode": "adopt"}, "stacks": theirs})
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
        [] if mode == "open" else list(egress.of(profile)),
        [] if mode == "open" else _spots(mode),
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
        for role, component in graph_api.components(spec).items() if kind == "DynamoGraphDeployment" else ():
            party = "frontends" if role == "frontend" else "workers"
            # What else it says of workers differs from release to release.
            labels = {**component.pod["metadata"]["labels"], "nvidia.com/dynamo-component-type": role}
            for pod in range(2):
                yield Actor(f"{space} {component.name} {pod}", Pod(space, labels), party)
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
        ("Dynamo operator", "dynamo-cloud", {name: "dynamo-operator", "control-plane": "controller-manager"}),
        ("Grove operator", "dynamo-cloud", {name: "grove-operator"}),
        ("KAI", "kai-scheduler", {"app": "admission"}),
        ("KAI", "kai-scheduler", {"app": "scheduler"}),
        ("IMEX daemons", "nvidia-dra-driver-gpu", {"resource.nvidia.com/computeDomain": "a"}),
        ("IMEX daemons", "nvidia-dra-driver-gpu", {"resource.nvidia.com/computeDomain": "b"}),
        ("DRA driver", "nvidia-dra-driver-gpu", {name: "nvidia-dra-driver-gpu"}),
    ]
    if PROFILES[version].needs_nats:
        found.append(("NATS", "dynamo-cloud", {name: "nats", "app.kubernetes.io/component": "nats"}))
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
