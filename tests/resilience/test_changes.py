"""The documented table of changes is what the engine says, and no change takes GPUs away needlessly."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from rehearsal import Step
from settings.model import Settings
from tests.resilience import changes
from tests.resilience.changes import Case
from tests.resilience.life import ProofError
from tests.resilience.proof import needs_engine, silent


@pytest.mark.engine
@needs_engine
def test_the_documented_changes_of_dev_are_what_the_preview_says() -> None:
    assert changes.proof("dev", True, silent)[0].tried > 25


@pytest.mark.engine
@needs_engine
def test_a_new_key_leaves_the_graph_alone_and_what_a_graph_forbids_is_done_in_two_steps() -> None:
    done: list[str] = []
    assert changes.applied("dev", done.append, short=True).survived == 3
    assert [line.split(", ")[0] for line in done] == [
        "  dev: a new Hugging Face token",
        "  dev: another name for a stack",
        "  dev: another namespace for the platform",
    ]


def test_a_change_that_takes_a_graph_away_needlessly_fails_the_proof() -> None:
    step = Step("replace", f"urn:pulumi:dev::p::{changes.GRAPH}::r1-graph")
    with pytest.raises(ProofError, match="needlessly"):
        changes._no_needless_replacement(Case("stacks[0].image", "x"), [step])
    changes._no_needless_replacement(Case("stacks[0].layout", "x", replaces=("-graph",)), [step])


def test_every_field_of_the_config_is_changed_once() -> None:
    covered = {case.key.replace("[0]", "").replace("[+]", "") for case in changes.CASES}
    missing = {field for field in _fields(Settings) if not any(_covers(key, field) for key in covered)}
    assert missing - _ELSEWHERE == set()


_ELSEWHERE = {
    # The two modes are two lives of an environment: `dev` and `prod` are one each.
    "cluster.mode",
    "domains.mode",
    "modelBucket.mode",
    "dynamo.mode",
    "draDriver.mode",
    # The place of everything: another one is another environment.
    "gcp:project",
    "gcp:region",
    # Only for pools that are made in an adopted cluster, which neither environment has.
    "cluster.deviceNetworks",
    # The only domain of both environments; with another name for it, `domains.name` is changed.
    "stacks.domain",
    # Same kind of object as the one that is changed.
    "stacks.overrides.prefill",
    # Of a domain that is not tested, each of them alone asks for the same test.
    "domains.fabricTest.allGatherGBps",
    "domains.fabricTest.allReduceGBps",
}


def _covers(key: str, field: str) -> bool:
    return key == field or key.startswith(f"{field}.")


def _fields(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Dotted aliases of all fields; lists and nested models are stepped into, down to two levels."""
    for name, field in model.model_fields.items():
        alias = f"{prefix}{field.alias or name}"
        if alias == "environment":
            continue
        inner = _model(field.annotation)
        if inner is not None and prefix.count(".") < 2 and not alias.endswith(("deviceNetworks", "prefill", "decode")):
            yield from _fields(inner, f"{alias}.")
        else:
            yield alias


def _model(annotation: Any) -> type[BaseModel] | None:
    for candidate in (annotation, *getattr(annotation, "__args__", ())):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
