"""Pod Security Standards: the pods that the API server refuses in a namespace, by its label `enforce`.

The checks are those of k8s.io/pod-security-admission v0.34.1 (package policy) for Linux pods of the host's user
namespace, without AppArmor's and seccomp's old annotations. tests/conformance compares both, check by check.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rehearsal.simulator.kubernetes.system_objects import NAMESPACE
from rehearsal.simulator.state import CloudState
from rehearsal.simulator.values import Props, dig, items, many, mapping, text

ENFORCE = "pod-security.kubernetes.io/enforce"
_CAPABILITIES = frozenset(
    (
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    )
)
_SYSCTLS = frozenset(
    (
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.ip_local_reserved_ports",
        "net.ipv4.ip_unprivileged_port_start",
        "net.ipv4.ping_group_range",
        "net.ipv4.tcp_fin_timeout",
        "net.ipv4.tcp_keepalive_intvl",
        "net.ipv4.tcp_keepalive_probes",
        "net.ipv4.tcp_keepalive_time",
        "net.ipv4.tcp_rmem",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.tcp_wmem",
    )
)
_SELINUX = frozenset(("", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"))
_VOLUMES = frozenset(
    (
        "configMap",
        "csi",
        "downwardAPI",
        "emptyDir",
        "ephemeral",
        "image",
        "persistentVolumeClaim",
        "projected",
        "secret",
    )
)
_PROFILES = ("RuntimeDefault", "Localhost")
_HOOKS = ("livenessProbe", "readinessProbe", "startupProbe", "lifecycle.postStart", "lifecycle.preStop")


def refused(state: CloudState, cluster: str, namespace: str, pod: Props) -> str:
    """Why the API server refuses a pod with this spec in a namespace; empty if it does not."""
    found = state.get(NAMESPACE, namespace, cluster)
    labels = mapping(found.outputs, "metadata.labels") if found else {}
    standard = str(labels.get(ENFORCE, "privileged"))
    reasons = violations(standard, pod)
    return f'violates PodSecurity "{standard}:latest": {", ".join(reasons)}' if reasons else ""


def violations(standard: str, pod: Props) -> list[str]:
    """The checks of a standard that a pod fails, by their names in the API server's message."""
    return [name for name, check in _STANDARDS[standard].items() if check(pod)]


def _containers(pod: Props) -> Iterator[Props]:
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        yield from items(pod, kind)


def _contexts(pod: Props) -> list[Props]:
    return [mapping(container, "securityContext") for container in _containers(pod)]


def _everywhere(pod: Props, field: str) -> list[object]:
    """The values of a field of the security contexts of the pod and of its containers, where it is set."""
    found = (dig(context, field) for context in (mapping(pod, "securityContext"), *_contexts(pod)))
    return [value for value in found if value is not None]


def _inherited(pod: Props, field: str) -> list[object]:
    """For each container the value of a field of its security context, or the pod's."""
    above = dig(mapping(pod, "securityContext"), field)
    return [above if dig(context, field) is None else dig(context, field) for context in _contexts(pod)]


def _adds(allowed: frozenset[str]) -> Callable[[Props], bool]:
    return lambda pod: any(not allowed.issuperset(many(c, "capabilities.add")) for c in _contexts(pod))


def _selinux(pod: Props) -> bool:
    options = [mapping({"one": one}, "one") for one in _everywhere(pod, "seLinuxOptions")]
    return any(text(one, "type") not in _SELINUX or text(one, "user") or text(one, "role") for one in options)


def _hosts(pod: Props) -> bool:
    return any(
        text(container, f"{hook}.{kind}.host")
        for container in _containers(pod)
        for hook in _HOOKS
        for kind in ("httpGet", "tcpSocket")
    )


_BASELINE: dict[str, Callable[[Props], bool]] = {
    "host namespaces": lambda pod: any(pod.get(field) is True for field in ("hostNetwork", "hostPID", "hostIPC")),
    "privileged": lambda pod: any(context.get("privileged") is True for context in _contexts(pod)),
    "non-default capabilities": _adds(_CAPABILITIES),
    "hostPath volumes": lambda pod: any(mapping(volume, "hostPath") for volume in items(pod, "volumes")),
    "hostPort": lambda pod: any(port.get("hostPort") for c in _containers(pod) for port in items(c, "ports")),
    "probe or lifecycle host": _hosts,
    "forbidden AppArmor profile": lambda pod: any(
        value not in _PROFILES for value in _everywhere(pod, "appArmorProfile.type")
    ),
    "seLinuxOptions": _selinux,
    "procMount": lambda pod: any(context.get("procMount", "Default") != "Default" for context in _contexts(pod)),
    "seccompProfile": lambda pod: any(value not in _PROFILES for value in _everywhere(pod, "seccompProfile.type")),
    "forbidden sysctls": lambda pod: any(
        text(sysctl, "name") not in _SYSCTLS for sysctl in items(pod, "securityContext.sysctls")
    ),
}
_RESTRICTED: dict[str, Callable[[Props], bool]] = {
    "restricted volume types": lambda pod: any(_VOLUMES.isdisjoint(volume) for volume in items(pod, "volumes")),
    "allowPrivilegeEscalation != false": lambda pod: any(
        context.get("allowPrivilegeEscalation") is not False for context in _contexts(pod)
    ),
    "runAsNonRoot != true": lambda pod: (
        False in _everywhere(pod, "runAsNonRoot") or any(value is not True for value in _inherited(pod, "runAsNonRoot"))
    ),
    "runAsUser=0": lambda pod: any(value == 0 for value in _everywhere(pod, "runAsUser")),
    "seccompProfile": lambda pod: any(
        value not in _PROFILES
        for value in (*_everywhere(pod, "seccompProfile.type"), *_inherited(pod, "seccompProfile.type"))
    ),
    "unrestricted capabilities": lambda pod: (
        any("ALL" not in many(context, "capabilities.drop") for context in _contexts(pod))
        or _adds(frozenset(("NET_BIND_SERVICE",)))(pod)
    ),
}
_STANDARDS: dict[str, dict[str, Callable[[Props], bool]]] = {
    "privileged": {},
    "baseline": _BASELINE,
    "restricted": {**_BASELINE, **_RESTRICTED},
}
STANDARDS = tuple(_STANDARDS)
