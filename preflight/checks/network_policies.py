"""NetworkPolicies that others made: whether they let more in than isolation does, or shut something out.

They are read, never changed. A policy adds to those of the program: Kubernetes has no rule that denies, and the first
policy that selects a pod isolates it (kubernetes.io, "Network Policies").
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from preflight.cloud import Cluster, NetworkPolicy
from preflight.results import NO_CLUSTER, Outcome, failed, passed, skipped, warned
from preflight.site import Site
from reference import flows
from reference.naming import NAME_LABEL, NAMESPACE_LABEL, ROLE_LABEL, STACK_LABEL
from serving_rules.layout import WORKER_ROLES
from settings.model import AdoptDynamo, Stack

Finding = tuple[str, str]
"""A finding and its fix."""

_PARTIES: Final = {"workers": WORKER_ROLES, "frontends": ("frontend",)}
"""Pods of a stack, by role."""
_NEEDED: Final = "each other, DNS, the metadata server, Cloud Storage, NATS and, with Dynamo 0.7, etcd"


def existing(site: Site) -> Outcome:
    """Policies in namespaces of others neither open the stacks' pods nor shut them out."""
    cluster = site.own_cluster()
    if cluster is None:
        return skipped(NO_CLUSTER)
    foreign = () if site.settings.namespaces.create else site.settings.stacks
    bad, doubtful = list(_platform(site, cluster)), list[Finding]()
    spaces = ["", *(stack.space for stack in foreign)]
    unjudged = [policy for space in spaces for policy in site.cloud.other_policies(cluster, space)]
    for stack in foreign:
        theirs = [
            policy
            for policy in site.cloud.network_policies(cluster, stack.space)
            if not site.is_own_namespace(policy.labels)
        ]
        doubtful += _opened(site, stack, theirs)
        doubtful += _cut_off(site, stack, theirs)
    if unjudged:
        text = f"not judged: {', '.join(dict.fromkeys(unjudged))}"
        doubtful.append((text, "look whether they select pods of the stacks or of the platform"))
    found = [*bad, *doubtful]
    if not found:
        return passed("no other NetworkPolicy exposes the stacks' pods or blocks their traffic")
    finding, fix = ("; ".join(dict.fromkeys(parts)) for parts in zip(*found, strict=True))
    return failed(finding, fix) if bad else warned(finding, fix)


def _opened(site: Site, stack: Stack, theirs: Iterable[NetworkPolicy]) -> Iterator[Finding]:
    for policy in theirs if site.settings.isolation.ingress else ():
        pods, rules = " and ".join(_selected(site, stack, policy)), _rules(policy, "ingress")
        if pods and rules and _isolates(policy, "Ingress"):
            who = "everybody" if any(not rule.get("from") for rule in rules) else "those that it lists"
            text = f"NetworkPolicy {policy.name} in {stack.space} lets {who} reach {pods}, whatever isolation says"
            yield text, f"have its owner narrow it: kubectl describe networkpolicy -n {stack.space} {policy.name}"


def _cut_off(site: Site, stack: Stack, theirs: Iterable[NetworkPolicy]) -> Iterator[Finding]:
    cutting = {policy: _selected(site, stack, policy) for policy in theirs if _isolates(policy, "Egress")}
    for pods in _PARTIES:
        chosen = [policy for policy, its in cutting.items() if pods in its]
        rules = [rule for policy in chosen for rule in _rules(policy, "egress")]
        if chosen and not any(not rule.get("to") and not rule.get("ports") for rule in rules):
            names = ", ".join(policy.name for policy in chosen)
            text = f"connections from {pods} reach only what NetworkPolicy {names} in {stack.space} lists"
            yield text, f"have it list {_NEEDED}: kubectl describe networkpolicy -n {stack.space}"


def _rules(policy: NetworkPolicy, direction: str) -> list[Any]:
    return policy.spec.get(direction) or []


def _isolates(policy: NetworkPolicy, direction: str) -> bool:
    # Without types a policy is for ingress, and for egress if it has rules for that (reference of NetworkPolicySpec).
    default = ["Ingress", *(["Egress"] if policy.spec.get("egress") else [])]
    return direction in (policy.spec.get("policyTypes") or default)


def _selected(site: Site, stack: Stack, policy: NetworkPolicy) -> list[str]:
    """The parties of a stack that a policy selects, by the labels that the program gives pods."""
    selector = policy.spec.get("podSelector")
    return [
        pods for pods, roles in _PARTIES.items() if any(selects(selector, _pod(site, stack, role)) for role in roles)
    ]


def _pod(site: Site, stack: Stack, role: str) -> Mapping[str, str]:
    return {**site.settings.metadata.pod_labels, STACK_LABEL: stack.name, ROLE_LABEL: role}


@dataclass(frozen=True)
class _Source:
    """Pods of a stack, which want to connect to the platform."""

    stack: Stack
    pod: Mapping[str, str]
    namespace: Mapping[str, str]
    """Labels of their namespace."""
    complete: bool
    """Whether these are all its labels."""


def _sources(site: Site, cluster: Cluster) -> Iterator[_Source]:
    for stack in site.settings.stacks:
        pod = _pod(site, stack, WORKER_ROLES[0])
        if site.settings.namespaces.create:
            yield _Source(stack, pod, {NAMESPACE_LABEL: stack.space, STACK_LABEL: stack.name}, complete=False)
            continue
        found = site.cloud.namespace(cluster, stack.space)
        # The check of namespaces says of one that it is not there.
        if found is not None:
            yield _Source(stack, pod, {NAMESPACE_LABEL: stack.space, **found.labels}, complete=True)


def _platform(site: Site, cluster: Cluster) -> Iterator[Finding]:
    """What keeps the stacks from the NATS and etcd of a platform of others, where its policies isolate these."""
    space, policies = site.settings.dynamo.namespace, list[NetworkPolicy]()
    if isinstance(site.settings.dynamo, AdoptDynamo):
        policies = [p for p in site.cloud.network_policies(cluster, space) if _isolates(p, "Ingress")]
    profile = site.settings.profile
    used = {"nats": (profile.needs_nats, flows.NATS_PORT), "etcd": (profile.needs_etcd, flows.ETCD_PORT)}
    ports = {name: port for name, (needed, port) in used.items() if needed}
    for pod in site.pods(cluster) if policies else ():
        port = ports.get(pod.labels.get(NAME_LABEL, "")) if pod.namespace == space else None
        chosen = [p for p in policies if selects(p.spec.get("podSelector"), pod.labels)]
        if port is None or not chosen:
            continue
        rules = [rule for p in chosen for rule in _rules(p, "ingress") if _has_port(rule, port)]
        for source in _sources(site, cluster):
            yield from _shut_out(source, rules, f"{pod.name} in {space} on port {port}")


def _shut_out(source: _Source, rules: Sequence[Mapping[str, Any]], target: str) -> Iterator[Finding]:
    if any(_lets_in(rule, source) for rule in rules):
        return
    name, space = source.stack.name, source.stack.space
    labelled = replace(source, namespace={**source.namespace, STACK_LABEL: name})
    if any(_lets_in(rule, labelled) for rule in rules):
        text = f"namespace {space} lacks the label {STACK_LABEL}, without which its pods do not reach {target}"
        yield text, f"kubectl label namespace {space} {STACK_LABEL}={name}"
    else:
        text = f"no NetworkPolicy there lets the pods of {space} reach {target}"
        yield text, f"have its owner let in pods with the label {STACK_LABEL}, of namespaces with the same label"


def _lets_in(rule: Mapping[str, Any], source: _Source) -> bool:
    """Whether a rule lets a pod of the source in; where that is not known, it does."""
    peers: list[Any] = rule.get("from") or []
    return not peers or any(
        # Addresses of pods are not known before there are any.
        "ipBlock" in peer
        or (
            "namespaceSelector" in peer
            and selects(peer["namespaceSelector"], source.namespace, complete=source.complete)
            # The operators give pods further labels.
            and selects(peer.get("podSelector"), source.pod, complete=False)
        )
        for peer in peers
    )


def _has_port(rule: Mapping[str, Any], port: int) -> bool:
    ports: list[Any] = rule.get("ports") or []
    return not ports or any(
        one.get("protocol", "TCP") == "TCP"
        # A name stands for a port of the pod's own list.
        and (not isinstance(first := one.get("port"), int) or first <= port <= one.get("endPort", first))
        for one in ports
    )


def selects(selector: Mapping[str, Any] | None, labels: Mapping[str, str], *, complete: bool = True) -> bool:
    """Whether a label selector selects an object; if the object may have further labels, whether it may."""
    selector = selector or {}
    wanted: list[Any] = [
        *({"key": key, "operator": "In", "values": [value]} for key, value in selector.get("matchLabels", {}).items()),
        *selector.get("matchExpressions", []),
    ]
    return all(_meets(one, labels) for one in wanted if complete or one["key"] in labels)


def _meets(expression: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    value, values = labels.get(expression["key"]), expression.get("values", [])
    match expression["operator"]:
        case "In":
            return value in values
        case "NotIn":
            return value not in values
        case "Exists":
            return value is not None
        case _:
            return value is None
