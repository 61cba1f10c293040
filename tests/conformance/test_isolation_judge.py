"""Another evaluator of NetworkPolicies says of every pair of pods what the tests' own says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rehearsal.simulator.kubernetes.network_policies import allowed
from tests.conformance import cyclonus
from tests.conformance.go_programs import AbsentError
from tests.isolation import Actor, site
from tests.resilience.proof import RecordProperty

pytestmark = pytest.mark.conformance

PORTS = (8000, 4222, 2379, 9443, 29501, 50000, 8081)


@pytest.fixture(scope="module", autouse=True)
def judge() -> None:
    try:
        cyclonus.binary()
    except AbsentError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("version", ["0.7.0", "1.0.2"])
def test_two_judges_agree_on_every_pair_of_pods(version: str, tmp_path: Path, record_property: RecordProperty) -> None:
    found = site(version)
    manifests: list[dict[str, Any]] = [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        }
        for namespace, name, spec in found.policies
    ]
    tried = [(source, target, port) for source, target, port in found.tries() if port in PORTS]

    def peer(actor: Actor) -> dict[str, Any]:
        return cyclonus.peer(actor.pod.namespace, found.namespaces[actor.pod.namespace], actor.pod.labels)

    connections = [
        {"Source": peer(source), "Destination": peer(target), "ResolvedPort": port, "Protocol": "TCP"}
        for source, target, port in tried
    ]
    answers = cyclonus.judge(manifests, connections, tmp_path)
    assert len(answers) == len(tried) > 5000
    assert {True, False} == set(answers)
    specs: dict[str, list[dict[str, Any]]] = {}
    for namespace, _, spec in found.policies:
        specs.setdefault(namespace, []).append(spec)
    differing = [
        f"{source.name} to {target.name}, port {port}: cyclonus says {answer}"
        for (source, target, port), answer in zip(tried, answers, strict=True)
        if answer
        != allowed(specs.get(target.pod.namespace, ()), found.namespaces.__getitem__, source.pod, target.pod, port)
        or answer != found.expected(source, target, port)
    ]
    assert differing == []
    record_property("counted", f"{len(found.actors)} pods, {len(tried)} pairs and ports, 0 differences of two judges")
