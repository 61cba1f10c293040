"""Another evaluator of NetworkPolicies says of every pair of pods what the tests' own says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from reference.egress import Mode
from rehearsal.simulator.kubernetes.network_policies import Address, allowed
from tests.conformance import cyclonus
from tests.conformance.go_programs import AbsentError
from tests.isolation import Actor, Spot, site
from tests.resilience.proof import RecordProperty

pytestmark = pytest.mark.conformance

PORTS = (8000, 4222, 2379, 9443, 29501, 50000, 8081)
OUTER_PORTS = (53, 80, 443, 987, 3128, 4222)


@pytest.fixture(scope="module", autouse=True)
def judge() -> None:
    try:
        cyclonus.binary()
    except AbsentError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("version", "mode"),
    [("0.7.0", "open"), ("1.0.2", "open"), ("0.7.0", "restricted"), ("1.0.2", "private-googleapis")],
)
def test_two_judges_agree_on_every_pair_of_pods_and_everything_outside(
    version: str, mode: Mode, tmp_path: Path, record_property: RecordProperty
) -> None:
    found = site(version, mode)
    manifests: list[dict[str, Any]] = [
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "NetworkPolicy",
            "metadata": {"name": name, "namespace": namespace},
            "spec": spec,
        }
        for namespace, name, spec in found.policies
    ]
    closed = {space for space, _, spec in found.policies if "Egress" in spec["policyTypes"]}
    tried = [
        (source, target, port, protocol)
        for source, target, port, protocol in found.tries()
        # Where egress is closed, only what its rules are about: the rest is as where it is open.
        if port in (PORTS if isinstance(target, Actor) else OUTER_PORTS)
        and (not closed or source.pod.namespace in closed)
    ]

    def peer(end: Actor | Spot) -> dict[str, Any]:
        if isinstance(end.pod, Address):
            return {"IP": end.pod.ip}
        return cyclonus.peer(end.pod.namespace, found.labels_of(end.pod.namespace), end.pod.labels)

    connections = [
        {"Source": peer(source), "Destination": peer(target), "ResolvedPort": port, "Protocol": protocol}
        for source, target, port, protocol in tried
    ]
    answers = cyclonus.judge(manifests, connections, tmp_path)
    assert len(answers) == len(tried) > 5000
    assert {True, False} == set(answers)
    specs: dict[str, list[dict[str, Any]]] = {}
    for namespace, _, spec in found.policies:
        specs.setdefault(namespace, []).append(spec)
    differing = [
        f"{source.name} to {target.name}, {protocol} port {port}: cyclonus says {answer}"
        for (source, target, port, protocol), answer in zip(tried, answers, strict=True)
        if answer
        != allowed(lambda space: specs.get(space, ()), found.labels_of, source.pod, target.pod, port, protocol=protocol)
        or answer == bool(found.blocked(source, target, port, protocol))
    ]
    assert differing == []
    record_property("counted", f"{len(found.actors)} pods, {len(tried)} pairs and ports, 0 differences of two judges")
