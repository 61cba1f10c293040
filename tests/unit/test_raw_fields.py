"""Raw provider fields: those of the pinned provider, merged under what the program sets, which keeps its own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from reference import raw_fields
from reference.raw_fields import OWN, Kind
from tests.conftest import recorded
from tests.recorder import ProgramFailedError, run_program
from tools import catalog_file, provider_fields

KINDS: Mapping[Kind, str] = {"Cluster": "gcp:container/cluster:Cluster", "NodePool": "gcp:container/nodePool:NodePool"}


def leaves(value: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Paths of everything that is set."""
    for key, inner in value.items():
        if isinstance(inner, Mapping) and inner:
            yield from leaves(inner, f"{path}{key}.")
        elif inner is not None:
            yield f"{path}{key}"


def test_the_catalog_is_that_of_the_pinned_provider() -> None:
    assert provider_fields.FILE.read_text(encoding="utf-8") == catalog_file.text(provider_fields.catalog())


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_program_sets_is_its_own(kind: Kind) -> None:
    for resource in recorded("prod").of_type(KINDS[kind]):
        for path in leaves(resource.inputs):
            assert any(path == own or path.startswith(f"{own}.") for own in OWN[kind]), path


@pytest.mark.parametrize("kind", KINDS)
def test_every_own_field_is_one_of_the_provider_or_left_out_of_the_catalog(kind: Kind) -> None:
    left_out = {"nodeConfig", "nodePools", "nodePoolDefaults"} if kind == "Cluster" else set[str]()
    for path in OWN[kind]:
        raw: Any = "x"
        for part in reversed(path.split(".")):
            raw = {part: raw}
        [problem] = raw_fields.problems(kind, raw, "raw")
        assert problem.rule.startswith("the program sets"), path
        if path not in left_out:
            assert _exists(kind, path), path


def _exists(kind: str, path: str) -> bool:
    types = provider_fields.catalog()
    type_ = kind
    for part in path.split("."):
        if part not in types.get(type_, {}):
            return False
        type_ = types[type_][part][1]
    return True


def test_raw_fields_arrive_beside_the_programs_own() -> None:
    raw = {
        "cluster": {
            "inTransitEncryptionConfig": "IN_TRANSIT_ENCRYPTION_INTER_NODE_TRANSPARENT",
            "addonsConfig": {"rayOperatorConfigs": [{"enabled": False}]},
        },
        "nodePools": {"nodeConfig": {"gcfsConfig": {"enabled": True}, "loggingVariant": "MAX_THROUGHPUT"}},
        "systemPool": {"maxPodsPerNode": 64},
    }
    plain, recording = recorded("prod"), run_program("prod", config={"raw": raw})
    cluster = recording.find(KINDS["Cluster"]).inputs
    before = plain.find(KINDS["Cluster"]).inputs
    assert cluster == {
        **before,
        "inTransitEncryptionConfig": "IN_TRANSIT_ENCRYPTION_INTER_NODE_TRANSPARENT",
        "addonsConfig": {**before["addonsConfig"], "rayOperatorConfigs": [{"enabled": False}]},
    }
    pool, system = "domain-a4x-0-pool", "foundation-gke-system"
    was = plain.find(name=pool).inputs
    added = {"gcfsConfig": {"enabled": True}, "loggingVariant": "MAX_THROUGHPUT"}
    assert recording.find(name=pool).inputs == {**was, "nodeConfig": {**was["nodeConfig"], **added}}
    assert recording.find(name=system).inputs == {**plain.find(name=system).inputs, "maxPodsPerNode": 64}


def test_a_conflict_that_no_rule_knows_stops_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_fields, "OWN", {"Cluster": (), "NodePool": ()})
    with pytest.raises(ProgramFailedError, match="raw: the program sets datapath_provider itself"):
        run_program("prod", config={"raw": {"cluster": {"datapathProvider": "LEGACY_DATAPATH"}}})
