"""Kubernetes' own evaluator of Pod Security judges the program's pods, and the embedded cloud's evaluator."""

from __future__ import annotations

import copy
import itertools
import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from manifests import restricted
from rehearsal.simulator.kubernetes.pod_security import STANDARDS, violations
from tests.conformance import go_programs
from tests.pods import described, standard_of
from tests.recorder import Recording
from tests.resilience.proof import RecordProperty

pytestmark = pytest.mark.conformance

Pod = dict[str, Any]
_FOLDER: Final = Path(__file__).parent / "pod_security"


@pytest.fixture(scope="module", autouse=True)
def judge() -> None:
    try:
        go_programs.built(_FOLDER)
    except go_programs.AbsentError as error:
        pytest.skip(str(error))


def _judged(questions: Sequence[tuple[str, dict[str, Any], Pod]]) -> list[str]:
    asked = [{"level": level, "metadata": metadata, "spec": spec} for level, metadata, spec in questions]
    ran = subprocess.run(  # noqa: S603 - our own build
        [str(go_programs.built(_FOLDER))],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(ran.stdout)


def _plain() -> Pod:
    """A pod that satisfies every standard."""
    containers = [{"name": name, "image": "x", "securityContext": restricted.container()} for name in ("a", "b")]
    return {"securityContext": restricted.pod(), "containers": containers}


def _set(path: str, value: Any) -> Callable[[Pod], None]:
    """Set or, with None, remove what is at a path of keys and positions."""

    def change(pod: Pod) -> None:
        *steps, last = path.split(".")
        inner: Any = pod
        for step in steps:
            inner = inner[int(step)] if isinstance(inner, list) else inner.setdefault(step, {})
        if value is None:
            inner.pop(last, None)
        else:
            inner[last] = copy.deepcopy(value)

    return change


_HOOK = {"httpGet": {"port": 1, "host": "10.0.0.1"}}
CHANGES: Final[dict[str, Callable[[Pod], None]]] = {
    "host network": _set("hostNetwork", True),
    "no host network": _set("hostNetwork", False),
    "host PID": _set("hostPID", True),
    "privileged": _set("containers.0.securityContext.privileged", True),
    "not privileged": _set("containers.0.securityContext.privileged", False),
    "no context": _set("containers.1.securityContext", None),
    "CHOWN": _set("containers.0.securityContext.capabilities.add", ["CHOWN"]),
    "IPC_LOCK": _set("containers.0.securityContext.capabilities.add", ["IPC_LOCK", "SYS_RESOURCE"]),
    "NET_BIND_SERVICE": _set("containers.0.securityContext.capabilities.add", ["NET_BIND_SERVICE"]),
    "drops all, in small letters": _set("containers.0.securityContext.capabilities.drop", ["all"]),
    "drops one": _set("containers.0.securityContext.capabilities.drop", ["CHOWN"]),
    "escalation": _set("containers.0.securityContext.allowPrivilegeEscalation", True),
    "escalation unsaid": _set("containers.1.securityContext.allowPrivilegeEscalation", None),
    "host path": _set("volumes", [{"name": "v", "hostPath": {"path": "/x"}}]),
    "bucket": _set("volumes", [{"name": "v", "csi": {"driver": "gcsfuse.csi.storage.gke.io"}}]),
    "NFS": _set("volumes", [{"name": "v", "nfs": {"server": "x", "path": "/"}}]),
    "volumes": _set("volumes", [{"name": "v", "configMap": {"name": "x"}}, {"name": "w", "emptyDir": {}}]),
    "host port": _set("containers.0.ports", [{"containerPort": 1, "hostPort": 1}]),
    "port": _set("containers.0.ports", [{"containerPort": 1}]),
    "probe of a host": _set("containers.0.livenessProbe", _HOOK),
    "hook of a host": _set("containers.0.lifecycle", {"preStop": _HOOK}),
    "probe": _set("containers.0.livenessProbe", {"httpGet": {"port": 1}}),
    "AppArmor": _set("containers.0.securityContext.appArmorProfile", {"type": "Unconfined"}),
    "SELinux type": _set("securityContext.seLinuxOptions", {"type": "spc_t"}),
    "SELinux user": _set("containers.0.securityContext.seLinuxOptions", {"user": "x"}),
    "SELinux level": _set("securityContext.seLinuxOptions", {"level": "s0"}),
    "proc": _set("containers.0.securityContext.procMount", "Unmasked"),
    "no seccomp": _set("securityContext.seccompProfile", None),
    "seccomp off": _set("containers.0.securityContext.seccompProfile", {"type": "Unconfined"}),
    "seccomp of a container": _set("containers.0.securityContext.seccompProfile", {"type": "RuntimeDefault"}),
    "sysctl": _set("securityContext.sysctls", [{"name": "kernel.msgmax", "value": "1"}]),
    "safe sysctl": _set("securityContext.sysctls", [{"name": "net.ipv4.tcp_rmem", "value": "1"}]),
    "root unsaid": _set("securityContext.runAsNonRoot", None),
    "root allowed": _set("securityContext.runAsNonRoot", False),
    "root allowed in a container": _set("containers.0.securityContext.runAsNonRoot", False),
    "no root in a container": _set("containers.0.securityContext.runAsNonRoot", True),
    "root": _set("securityContext.runAsUser", 0),
    "root in a container": _set("containers.0.securityContext.runAsUser", 0),
    "init container": _set("initContainers", [{"name": "i", "image": "x"}]),
}


def test_the_embedded_cloud_judges_pods_as_kubernetes_does(record_property: RecordProperty) -> None:
    questions: list[tuple[str, dict[str, Any], Pod]] = []
    for names in itertools.chain([()], itertools.combinations(CHANGES, 1), itertools.combinations(CHANGES, 2)):
        pod = _plain()
        for name in names:
            # The second of a pair may change what the first took away.
            CHANGES[name](pod)
        questions += [(standard, {"name": " and ".join(names)}, pod) for standard in STANDARDS]
    answers = _judged(questions)
    differing = [
        f"{metadata['name']}: {standard}: Kubernetes says {answer or 'allowed'}"
        for (standard, metadata, pod), answer in zip(questions, answers, strict=True)
        if bool(answer) != bool(violations(standard, pod))
    ]
    assert differing == []
    record_property("pods judged twice", len(questions))
    refused = sum(1 for answer in answers if answer)
    assert 0.3 < refused / len(answers) < 0.9


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_kubernetes_lets_every_pod_into_its_namespace(environment: str, request: pytest.FixtureRequest) -> None:
    recording: Recording = request.getfixturevalue(environment)
    pods = list(described(recording))
    refused = _judged([(standard_of(recording, pod.namespace), {}, pod.spec) for pod in pods])
    assert [(pod.name, why) for pod, why in zip(pods, refused, strict=True) if why] == []
    # What a standard refuses, Kubernetes would say.
    workers = [pod for pod in pods if pod.name.endswith(("/Decode", "/Prefill"))]
    assert all(_judged([("baseline", {}, pod.spec) for pod in workers]))


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_what_needs_no_node_satisfies_the_strictest_standard(environment: str, request: pytest.FixtureRequest) -> None:
    recording: Recording = request.getfixturevalue(environment)
    pods = [
        pod for pod in described(recording) if pod.name.startswith(("readiness", "download")) or "bench" in pod.name
    ]
    assert len(pods) >= 2
    assert _judged([("restricted", {}, pod.spec) for pod in pods]) == ["" for _ in pods]
