"""Isolation in the real engine: everything that must connect does, and a policy that shuts it out is reported."""

from __future__ import annotations

from typing import Any

import pytest

from manifests import network_policies
from rehearsal.run import Rehearsal
from rehearsal.simulator.kubernetes.network_policies import POLICY
from tests.resilience import life
from tests.resilience.proof import needs_engine

pytestmark = [pytest.mark.engine, needs_engine]

OPEN: dict[str, Any] = {"dynamo-a4x:isolation": {"ingress": False}}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_an_environment_is_isolated_and_opened_again_in_place(stack: str) -> None:
    with Rehearsal(stack, config={"dynamo-a4x:protect": False}) as rehearsal:
        rehearsal.up()
        assert len(rehearsal.state.find(POLICY)) > 8
        rehearsal.set_config(OPEN)
        assert {step.op for step in rehearsal.up().changed} == {"delete"}
        assert rehearsal.state.find(POLICY) == []
        rehearsal.set_config({"dynamo-a4x:isolation": None})
        assert {step.op for step in rehearsal.up().changed} == {"create"}
        rehearsal.destroy()
        assert rehearsal.state.leftovers() == []


def test_a_preview_warns_once_of_known_vulnerabilities_and_of_what_protects() -> None:
    with Rehearsal("dev", config=OPEN) as rehearsal:
        [said] = [text for text in rehearsal.preview().warnings if "CVE-" in text]
    assert "CVE-2026-24253 (Dynamo 0.7.0, 8.2)" in said
    assert "isolation.ingress is false, so every pod of the cluster can use 6 of them" in said


NEEDED = {
    "workers": "Decode to Decode",
    "frontends": "port 8000",
    "nats": "port 4222",
    "etcd": "port 2379",
    "imex-daemons": "no NVLink between nodes",
    "kai": "failed calling webhook",
}
"""Sets of pods, and what is said of an environment in which nobody reaches them."""


@pytest.mark.parametrize("which", NEEDED)
def test_a_policy_that_shuts_out_what_is_needed_fails_the_rehearsal_with_its_name(
    which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = network_policies.policies

    def shut(*args: Any) -> dict[str, dict[str, Any]]:
        return {name: {**spec, "ingress": []} if name == which else spec for name, spec in whole(*args).items()}

    monkeypatch.setattr(network_policies, "policies", shut)
    with Rehearsal("dev") as rehearsal:
        error = life.failed(rehearsal.up)
        assert error is not None
        said = " ".join(error.causes)
        assert NEEDED[which] in said
        assert f"dynamo-a4x-{which}" in said
