"""KAI under the real program and engine: made, adopted, left out, over what others left, and twice in one cluster."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from rehearsal import Rehearsal, RehearsalError, report, seeds
from rehearsal.simulator.kubernetes import helm
from rehearsal.simulator.workloads import kai
from tests.resilience.proof import needs_engine

pytestmark = [pytest.mark.engine, needs_engine]

SHARD = "kubernetes:kai.scheduler/v1:SchedulingShard"
QUEUE = "kubernetes:scheduling.run.ai/v2:Queue"
CRD_NAMES = (
    "bindrequests.scheduling.run.ai, computedomaincliques.resource.nvidia.com, computedomains.resource.nvidia.com, "
    "configs.kai.scheduler, dynamocomponentdeployments.nvidia.com, dynamographdeploymentrequests.nvidia.com, "
    "dynamographdeployments.nvidia.com, dynamomodels.nvidia.com, podcliques.grove.io, podcliquescalinggroups.grove.io, "
    "podcliquesets.grove.io, podgangs.scheduler.grove.io, podgroups.scheduling.run.ai, queues.scheduling.run.ai, "
    "schedulingshards.kai.scheduler, topologies.kai.scheduler"
)


def config(**parts: Mapping[str, Any]) -> dict[str, Any]:
    return {f"dynamo-a4x:{key}": value for key, value in parts.items()}


def cluster(rehearsal: Rehearsal) -> str:
    return rehearsal.state.find("gcp:container/cluster:Cluster")[0].id


def leave_behind(rehearsal: Rehearsal, version: str, values: dict[str, Any] | None = None) -> None:
    """What an installation of KAI that was uninstalled has left in the adopted cluster."""
    release = {"chart": "kai-scheduler", "version": version, "namespace": "kai-old", "values": values or {}}
    helm.delete(rehearsal.state, helm.seed(rehearsal.state, cluster(rehearsal), release))


def test_what_stays_after_a_destroy_is_exactly_this_and_a_second_up_works_over_it() -> None:
    with Rehearsal("dev") as rehearsal:
        rehearsal.up()
        assert not kai.evicts_gangs(rehearsal.state, cluster(rehearsal))
        rehearsal.destroy()
        assert not rehearsal.state.leftovers()
        assert report.kept_lines(rehearsal.state.kept()) == [
            "kept by the charts that created them (Helm never deletes these):",
            f"  16 CustomResourceDefinition: {CRD_NAMES}",
            "  1 Lease: kube-system/dynamo.nvidia.com",
            "  1 Namespace: kai-resource-reservation",
            "  2 Queue: dynamo, dynamo-default",
        ]
        rehearsal.up("up over what stayed")
        rehearsal.up_without_change()
        rehearsal.destroy("destroy again")
        assert not rehearsal.state.leftovers()


def test_a_shard_that_was_left_behind_is_taken_over_and_goes_with_the_environment() -> None:
    with Rehearsal("dev") as rehearsal:
        leave_behind(rehearsal, "0.17.0", {"scheduler": {"args": {"default-staleness-grace-period": "30s"}}})
        assert kai.evicts_gangs(rehearsal.state, cluster(rehearsal))
        rehearsal.up()
        assert not kai.evicts_gangs(rehearsal.state, cluster(rehearsal))
        rehearsal.up_without_change()
        rehearsal.destroy()
        assert not rehearsal.state.find(SHARD)


def test_webhooks_that_an_old_kai_left_stop_an_up_with_the_way_out() -> None:
    with Rehearsal("dev") as rehearsal:
        leave_behind(rehearsal, "0.12.17")
        with pytest.raises(RehearsalError, match="kubectl delete configs\\.kai\\.scheduler kai-config"):
            rehearsal.up()
        config = rehearsal.state.find("kubernetes:kai.scheduler/v1:Config")[0]
        rehearsal.state.remove(config.key)
        rehearsal.up("up after the recovery")


@pytest.mark.parametrize(("mode", "dynamo"), [("adopt", "1.0.2"), ("none", "0.7.0")])
def test_each_mode_serves_changes_nothing_twice_and_leaves_nothing(mode: str, dynamo: str) -> None:
    parts = config(kai={"mode": mode}, dynamo={"mode": "create", "version": dynamo})
    with Rehearsal("dev", config=parts) as rehearsal:
        before = len(rehearsal.state)
        rehearsal.up()
        rehearsal.up_without_change()
        assert len(rehearsal.state.find(QUEUE, where=lambda queue: queue.origin == "program")) == (
            0 if mode == "none" else 2
        )
        rehearsal.destroy()
        assert not rehearsal.state.leftovers()
        assert len(rehearsal.state) == before + len(rehearsal.state.kept())
        rehearsal.up("second up")


@pytest.mark.parametrize("mode", ["adopt", "none"])
def test_an_adopted_platform_serves_with_and_without_kai(mode: str) -> None:
    parts = config(kai={"mode": mode}, dynamo={"mode": "adopt"}, draDriver={"mode": "adopt"})
    with Rehearsal("dev", config=parts) as rehearsal:
        rehearsal.up()
        rehearsal.destroy()
        assert not rehearsal.state.leftovers()
        assert not rehearsal.state.kept()


def test_an_old_kai_that_is_adopted_does_not_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds, "KAI_VERSION", "0.12.17")
    parts = config(kai={"mode": "adopt"})
    with Rehearsal("dev", config=parts) as rehearsal, pytest.raises(RehearsalError, match='RuntimeClass "nvidia"'):
        rehearsal.up()


def test_kai_is_upgraded_in_place_under_a_running_stack() -> None:
    with Rehearsal("dev", config=config(kai={"version": "0.16.8"})) as rehearsal:
        rehearsal.up()
        rehearsal.set_config(config(kai={"version": "0.17.0"}))
        changed = {(step.op, step.name) for step in rehearsal.up("upgrade").changed}
        # The graph and everything else of the stack is left alone.
        assert changed == {("update", "kai-release"), ("update", "kai-operands"), ("update", "kai-shard")}
        assert rehearsal.state.find(SHARD)[0].outputs["spec"]["goMemLimitRatio"] == 0.9
