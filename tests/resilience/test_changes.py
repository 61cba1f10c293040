"""The documented table of changes is what the engine says, and no change takes GPUs away needlessly.

The changes that matter most are carried out as well, there and back, while the invariant checker looks. Each test
leaves the environment as it found it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from rehearsal import Rehearsal, RehearsalError, Step
from rehearsal.simulator.workloads.serving import COMPUTE_DOMAIN, GRAPH
from settings.model import Settings
from tests.resilience import life
from tests.resilience.order import InvariantChecker
from tests.resilience.proof import RecordProperty, needs_engine
from tools.config_changes import CASES, DOCUMENT, Case, Row, case_of, rows, table
from tools.config_reference import rows as keys

GPU_HOLDERS = ("gcp:container/nodePool:NodePool", GRAPH)
PROD = pytest.param("prod", marks=pytest.mark.whole)


@pytest.fixture(scope="module")
def rehearsal(request: pytest.FixtureRequest) -> Iterator[Rehearsal]:
    """An environment that is deployed once for all tests of it."""
    with life.rehearse(request.param) as found:
        found.up()
        yield found
        found.destroy()
        life.require_empty(found, "after the changes")


def deployed(*environments: Any) -> Callable[[Callable[..., None]], Any]:
    """Run a test in the real engine, in these environments."""
    parametrized = pytest.mark.parametrize("rehearsal", environments, indirect=True)
    return lambda test: pytest.mark.engine(needs_engine(parametrized(test)))


@deployed("dev")
def test_a_selection_of_the_documented_changes_is_what_the_preview_says(
    rehearsal: Rehearsal, record_property: RecordProperty
) -> None:
    chosen = [one for one in CASES if one.only in ("", rehearsal.name)][::4]
    _require_documented(rehearsal, rows(rehearsal, chosen))
    record_property("previewed", len(chosen))


@pytest.mark.whole
@deployed("dev", "prod")
def test_the_documented_changes_are_what_the_preview_says(
    rehearsal: Rehearsal, record_property: RecordProperty
) -> None:
    found = rows(rehearsal)
    _require_documented(rehearsal, found)
    assert _section(rehearsal.name).strip() == table(rehearsal.name, found).strip(), _WRITE
    assert len(found) > 25
    record_property("previewed", len(found))


_WRITE = "write it: python -m tools.config_changes --write"


def _require_documented(rehearsal: Rehearsal, found: Sequence[Row]) -> None:
    documented = _section(rehearsal.name).splitlines()
    assert [str(row) for row in found if str(row) not in documented] == [], _WRITE
    assert [f"{row.case.key} takes {step} away" for row in found for step in _needless(row.case, row.changed)] == []


def _section(environment: str) -> str:
    section = re.search(rf"^## `{environment}`$.*?(?=^## |\Z)", DOCUMENT.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert section is not None
    return section[0]


def _needless(case: Case, changed: Sequence[Step]) -> list[Step]:
    """Steps that take away what holds GPUs and should stay."""
    return [
        step
        for step in changed
        if step.op in ("replace", "delete-replaced", "delete")
        and step.kind in GPU_HOLDERS
        and not any(end in step.name for end in case.replaces)
        and not (case.key == "stacks" and step.op == "delete")
    ]


def test_a_change_that_takes_a_graph_away_needlessly_is_seen() -> None:
    step = Step("replace", f"urn:pulumi:dev::p::{GRAPH}::r1-graph")
    assert _needless(Case("stacks[0].image", "x"), [step]) == [step]
    assert _needless(Case("stacks[0].layout", "x", replaces=("-graph",)), [step]) == []


def test_every_field_of_the_config_is_changed_once() -> None:
    assert {row.key for row in keys(Settings)} - {case.key.replace("[0]", "[]") for case in CASES} == _ELSEWHERE


_ELSEWHERE = {
    # The two modes are two lives of an environment: `dev` and `prod` are one each.
    "cluster.mode",
    "domains[].mode",
    "modelBucket.mode",
    "dynamo.mode",
    "draDriver.mode",
    # The place of everything: another one is another environment.
    "gcp:project",
    "gcp:region",
    # With a network that exists, whose keys come together (`cluster.network` is changed as a whole).
    "cluster.network.mode",
    "cluster.network.network",
    "cluster.network.subnetwork",
    "cluster.network.podsRange",
    "cluster.network.servicesRange",
    "cluster.network.controlPlaneRange",
    "cluster.network.controlPlaneSubnetwork",
    "cluster.deviceNetworks.gvnic.network",
    "cluster.deviceNetworks.gvnic.subnetwork",
    "cluster.deviceNetworks.rdmaNetwork",
    "cluster.deviceNetworks.rdmaSubnetworks",
    # The only domain of both environments; with another name for it, `domains[].name` is changed.
    "stacks[].domain",
    # Same kind of object as the one that is changed.
    "stacks[].overrides.decode.environment",
    "stacks[].overrides.prefill.arguments",
    "stacks[].overrides.prefill.environment",
    # Of a domain that is not tested, each of them alone asks for the same test.
    "domains[].fabricTest.allGatherGBps",
    "domains[].fabricTest.allReduceGBps",
    # Of what is changed as a whole.
    *(f"cluster.maintenance.exclusions[].{part}" for part in ("name", "start", "end", "scope", "untilEndOfSupport")),
    *(f"cluster.maintenance.window.{part}" for part in ("start", "end", "recurrence")),
    *(f"domains[].taints[].{part}" for part in ("key", "value", "effect")),
    *(f"pods.systemTolerations[].{part}" for part in ("key", "operator", "value", "effect", "tolerationSeconds")),
    *(f"stacks[].clients[].{part}" for part in ("namespace", "namespaceLabels", "pods", "range", "cluster")),
    *(f"isolation.egressRanges[].{part}" for part in ("range", "ports")),
    *(f"stacks[].volumes[].{part}" for part in ("name", "mountPath", "source", "readOnly", "roles")),
    *(f"dynamo.{part}" for part in ("nats.mode", "nats.address", "etcd.mode", "etcd.address")),
}


# Changes that are carried out


@deployed("dev")
def test_a_new_token_leaves_the_graph_alone(rehearsal: Rehearsal) -> None:
    _there_and_back(rehearsal, "hfToken")


_IN_PLACE = (
    "stacks[0].image",
    "stacks[0].frontend.replicas",
    "stacks[0].overrides.decode.arguments",
    "ngcApiKey",
)
CARRIED_OUT = {"dev": _IN_PLACE, "prod": (*_IN_PLACE, "hfToken", "stacks[0].layout", "domains[+]")}


@pytest.mark.whole
@deployed("dev", "prod")
def test_what_may_be_changed_at_once_leads_there_and_back(rehearsal: Rehearsal) -> None:
    for key in CARRIED_OUT[rehearsal.name]:
        _there_and_back(rehearsal, key)


def _there_and_back(rehearsal: Rehearsal, key: str) -> None:
    """The graph stays the same object exactly where the change need not replace it."""
    case = case_of(key, rehearsal.name)
    before = {resource.id for resource in rehearsal.state.find(GRAPH)}
    with case.applied(rehearsal):
        _checked_up(rehearsal, key)
        rehearsal.up_without_change()
        kept = before & {resource.id for resource in rehearsal.state.find(GRAPH)}
        assert bool(kept) == ("-graph" not in case.replaces), key
    _checked_up(rehearsal, f"{key} as it was")


def _checked_up(rehearsal: Rehearsal, what: str) -> None:
    """An `up` in which nothing that lives lacks what it needs, and graphs and ComputeDomains change in order."""
    checker = InvariantChecker(rehearsal)
    checker.arm()
    rehearsal.up(what)
    rehearsal.cloud.faults.clear()
    checker.require(what)
    made, gone = checker.position("create", GRAPH), checker.position("delete", GRAPH)
    assert not (made and gone) or max(gone) < min(made), f"{what}: the new graph came before the old one was gone"
    made, gone = checker.position("create", COMPUTE_DOMAIN), checker.position("delete", COMPUTE_DOMAIN)
    assert not (made and gone) or max(made) < min(gone), f"{what}: the old ComputeDomain went before the new one came"
    assert checker.most_graphs_on_a_node_pool <= 1, what
    life.require_clean(rehearsal, what)


@deployed("dev")
def test_a_stack_in_a_full_domain_gets_another_name_in_two_steps(rehearsal: Rehearsal) -> None:
    stacks = {"dynamo-a4x:stacks": rehearsal.config["dynamo-a4x:stacks"]}
    renamed = case_of("stacks[0].name", rehearsal.name).apply(rehearsal.config)
    rehearsal.set_config(renamed)
    error = life.failed(rehearsal.up)
    assert error is not None
    assert "are free" in str(error.causes)
    # The API server took the second graph, and its pods wait: both are there until this step takes them away.
    rehearsal.set_config({"dynamo-a4x:stacks": []})
    rehearsal.up("both names taken away")
    life.require_clean(rehearsal, "both names taken away")
    for config in (renamed, {"dynamo-a4x:stacks": []}, stacks):
        rehearsal.set_config(config)
        _checked_up(rehearsal, "one step at a time")


@deployed("dev", PROD)
def test_a_platform_moves_to_another_namespace_once_no_graph_runs(rehearsal: Rehearsal) -> None:
    """Nobody refuses it under a graph, which is without its platform for a while."""

    def damage(_: RehearsalError | None, checker: InvariantChecker) -> bool:
        return any("lives without dynamo-platform" in wrong for wrong in checker.wrong)

    _in_two_steps(rehearsal, "dynamo.namespace", damage)


@pytest.mark.whole
@pytest.mark.parametrize("key", ["domains[0].reservation", "domains[0].zone"])
@deployed("prod")
def test_a_domain_moves_once_no_graph_runs(rehearsal: Rehearsal, key: str) -> None:
    """Another zone takes another RoCE network."""

    def refused(error: RehearsalError | None, _: InvariantChecker) -> bool:
        return error is not None and "serving must go first" in str(error.causes)

    _in_two_steps(rehearsal, key, refused)


def _in_two_steps(
    rehearsal: Rehearsal, key: str, forbidden: Callable[[RehearsalError | None, InvariantChecker], bool]
) -> None:
    """A change that a running graph forbids: at once it is refused or does damage, and the old value leads back."""
    raw = rehearsal.config
    changed = case_of(key, rehearsal.name).apply(raw)
    old = {name: raw.get(name) for name in changed}
    rehearsal.set_config(changed)
    checker = InvariantChecker(rehearsal)
    checker.arm()
    error = life.failed(rehearsal.up)
    rehearsal.cloud.faults.clear()
    assert forbidden(error, checker), f"{key} was changed under a graph, and nobody noticed: {error}"
    rehearsal.set_config(old)
    life.finish(rehearsal, f"{key} as it was")
    # In one step the engine would replace what the stack stands on before it takes the stack away.
    no_stack, stack = {"dynamo-a4x:stacks": []}, {"dynamo-a4x:stacks": raw["dynamo-a4x:stacks"]}
    for config in (no_stack, changed, stack, no_stack, old, stack):
        rehearsal.set_config(config)
        _checked_up(rehearsal, f"{key}: {list(config)}")


@pytest.mark.whole
@deployed("prod")
def test_protection_refuses_what_would_replace_the_cluster_or_a_pool(rehearsal: Rehearsal) -> None:
    refused = ("cluster.name", "cluster.network.addressRange", "domains[0].zone", "domains[0].reservation")
    rehearsal.set_config({"dynamo-a4x:protect": True})
    _checked_up(rehearsal, "protection on")
    for key in refused:
        with case_of(key, "prod").applied(rehearsal):
            life.require_protected(rehearsal, key)
    rehearsal.set_config(life.UNPROTECTED)
    _checked_up(rehearsal, "protection off")


@pytest.mark.whole
@pytest.mark.engine
@needs_engine
def test_only_a_destroy_leads_out_of_another_name_for_the_cluster() -> None:
    with life.rehearse("prod") as rehearsal:
        rehearsal.up()
        rehearsal.set_config(case_of("cluster.name", "prod").apply(rehearsal.config))
        assert life.failed(rehearsal.up) is not None
        rehearsal.destroy()
        life.require_empty(rehearsal, "after a cluster was replaced under everything in it")
