"""What the project made of files that are no part of it is what those files say: definitions, recordings, a graph.

They stand beside the checkout, or in the folders that `DYNAMO_A4X_CRDS` and `DYNAMO_A4X_RECORDINGS` name; the recipe's
own files have `test_recipe_files.py`.
"""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import yaml

from readiness import verdict
from rehearsal.simulator.workloads import blockers, graphs
from tests.conformance import schemas
from tests.engine.driver import BETA_GRAPH, Driver
from tests.readiness import recordings, states
from tests.readiness.time_passes import hold
from tools import custom_kinds

pytestmark = pytest.mark.conformance

NO_DEFINITIONS = "" if custom_kinds.CRDS.is_dir() else f"no definitions at {custom_kinds.CRDS} (set DYNAMO_A4X_CRDS)"
if NO_DEFINITIONS and recordings.MISSING:
    pytest.skip(
        f"catalogs, states and graphs are not compared with their sources: {NO_DEFINITIONS}; {recordings.MISSING}",
        allow_module_level=True,
    )
defined = pytest.mark.skipif(bool(NO_DEFINITIONS), reason=NO_DEFINITIONS)

SERVED = custom_kinds.CRDS / "graph-10p8d-v1beta1.yaml"
"""A graph that operators of 1.2 and 1.5 served on 18 nodes (M2, N2)."""
HOUR = 3600.0
HARMLESS = re.compile(
    "PodGrouperWarning|RollingUpdateNotSupported|AllScheduledReplicasLost|UpdatePodCliqueSet|has been modified"
)
"""Warnings of healthy starts, which the states do not keep."""


def _named(found: verdict.Verdict) -> verdict.Verdict:
    """The verdict without what else is known: the states keep the last warning of a kind only."""
    return replace(found, words="") if isinstance(found, verdict.Failed) else found


@defined
def test_the_catalogs_are_what_the_tool_makes_of_the_definitions() -> None:
    written = {path.stem: path.read_text(encoding="utf-8") for path in custom_kinds.CATALOG.glob("*.json")}
    assert custom_kinds.catalogs(custom_kinds.CRDS) == written, "run: python -m tools.custom_kinds"


@pytest.mark.skipif(bool(recordings.MISSING), reason=recordings.MISSING)
def test_the_states_are_what_was_recorded_and_come_to_the_same_verdicts() -> None:
    assert recordings.all_distilled() == states.FILE.read_text(encoding="utf-8"), (
        "run: python -m tests.readiness.recordings"
    )
    for release in states.RELEASES:
        for name in recordings.names(release):
            config, reduced = states.wanted(release, name), states.seen(release, name)
            whole = recordings.seen(release, name)
            started = recordings.started_at(release, name)
            assert states.canonical(whole, started) == reduced, (release, name)
            told, kept = hold(config, whole, HOUR, started_at=started), hold(config, reduced, HOUR)
            assert (_named(told.verdict), told.at) == (_named(kept.verdict), kept.at), (release, name)
            if isinstance(told.verdict, verdict.Failed):
                assert not HARMLESS.search(told.verdict.cause + told.verdict.words), (release, name)


@defined
def test_a_graph_that_was_served_is_taken_by_both_releases_that_served_it() -> None:
    served = yaml.safe_load(SERVED.read_text(encoding="utf-8"))
    for version in ("1.2.1", "1.5.1"):
        assert schemas.problems(served, "1.34", dynamo=version) == []
    assert {role.name: (role.type, role.nodes, role.gpus) for role in graphs.roles(served)} == {
        "Frontend": ("frontend", 0, 0),
        "Decode": ("decode", 8, 4),
        "Prefill": ("prefill", 10, 4),
    }


@defined
@pytest.mark.parametrize("version", ["1.2.1", "1.5.1"])
def test_a_graph_that_was_served_serves_here(version: str) -> None:
    cloud = Driver(dynamo_version=version)
    cloud.current(version, 18)
    cloud.domain(template="prod-compute-domain-channel", nodes=18)
    cloud.kube("v1", "ServiceAccount", "prod-worker", "serving")
    cloud.kube("v1", "Secret", "hf-token-secret", "serving", stringData={"HF_TOKEN": "x"})
    for name in ("prod-decode-args", "prod-prefill-args"):
        cloud.kube("v1", "ConfigMap", name, "serving", data={"serving-configuration": "a: b"})
    written = SERVED.read_text(encoding="utf-8").replace(":VER", f":{version}").replace("a4x-prod", "a4x-0")
    graph = cloud.create(BETA_GRAPH, "prod", yaml.safe_load(written))
    unlike = ("may not read gs://", "Network rdma-", "no node of pool a4x-0 is attached", "never find each other")
    assert [
        why for why in blockers.of(cloud.state, graph.scope, graph.outputs) if not any(one in why for one in unlike)
    ] == []
    assert sum(role.replicas * role.nodes_each for role in graphs.roles(graph.outputs)) == 27
