"""RBAC: whether a service account has a permission in a namespace, by the roles bound to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rehearsal.simulator.gcp.rules import CLUSTER
from rehearsal.simulator.state import ApiError, CloudState
from rehearsal.simulator.values import Props, dig, items, many, text

_RBAC = "kubernetes:rbac.authorization.k8s.io/v1"
BINDINGS = (f"{_RBAC}:ClusterRoleBinding", f"{_RBAC}:RoleBinding")
_EVERYBODY = {
    "system:authenticated": "enableInsecureBindingSystemAuthenticated",
    "system:unauthenticated": "enableInsecureBindingSystemUnauthenticated",
    "system:anonymous": "enableInsecureBindingSystemUnauthenticated",
}


@dataclass(frozen=True)
class Permission:
    """A verb on a kind of object."""

    verb: str
    group: str
    resource: str
    name: str = ""
    """The object, where a role may name it; empty: any."""

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}" + (f".{self.group}" if self.group else "")


def may(state: CloudState, cluster: str, namespace: str, account: str, permission: Permission) -> bool:
    """Whether the service account `namespace`/`account` has `permission` in its own namespace."""
    return any(_allows(rule, permission) for rule in _rules(state, cluster, namespace, account))


def has_token(state: CloudState, cluster: str, namespace: str, pod: Props) -> bool:
    """Whether a pod gets a token of its service account: as it says itself, or else as the account says."""
    said = pod.get("automountServiceAccountToken")
    if said is None:
        account = state.get(
            "kubernetes:core/v1:ServiceAccount", f"{namespace}/{text(pod, 'serviceAccountName')}", cluster
        )
        said = account.outputs.get("automountServiceAccountToken") if account else None
    return said is not False


def refuse_binding(state: CloudState, cluster: str, inputs: Props) -> None:
    """GKE refuses bindings to everybody where the cluster says so, beside those that Kubernetes makes itself.

    GKE's best practices for RBAC, "Prevent usage of default groups"; the wording is not Google's.
    """
    for found in state.find(CLUSTER, where=lambda resource: resource.id == cluster):
        for name in (text(subject, "name") for subject in items(inputs, "subjects")):
            field = f"rbacBindingConfig.{_EVERYBODY.get(name)}"
            if dig(found.outputs, field) is False:
                raise ApiError(f"{inputs['kind']} {text(inputs, 'metadata.name')} names {name}: {field} is false")


def _rules(state: CloudState, cluster: str, namespace: str, account: str) -> Iterator[Props]:
    for kind in BINDINGS:
        for binding in state.find(kind, scope=cluster):
            inside = text(binding.outputs, "metadata.namespace")
            if inside not in ("", namespace):
                continue
            if not any(_names(subject, namespace, account) for subject in items(binding.outputs, "subjects")):
                continue
            role, name = text(binding.outputs, "roleRef.kind"), text(binding.outputs, "roleRef.name")
            bound = state.get(f"{_RBAC}:{role}", f"{inside}/{name}" if role == "Role" else name, cluster)
            if bound is not None:
                yield from items(bound.outputs, "rules")


def _names(subject: Props, namespace: str, account: str) -> bool:
    if text(subject, "kind") == "Group":
        everyone = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        return text(subject, "name") in everyone
    wanted = ("ServiceAccount", account, namespace)
    return (text(subject, "kind"), text(subject, "name"), text(subject, "namespace")) == wanted


def _allows(rule: Props, permission: Permission) -> bool:
    names = many(rule, "resourceNames")
    if names and permission.name not in names:
        return False
    wanted = (("apiGroups", permission.group), ("resources", permission.resource), ("verbs", permission.verb))
    return all({"*", value} & set(many(rule, field)) for field, value in wanted)
