"""Every SGLang release that an image may have takes the layouts' files, by its own word.

Its parser, its `--config` reader and the checks of its values run as they are in the released wheel, in a process for
each release, with stand-ins for what they import (`sglang_server.py`). The wheel comes by its name from the package
index that pip is set to, once a machine, and is the one that the argument catalog was made from. Without a network
these tests are skipped, and say so.
"""

from __future__ import annotations

import functools
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from manifests import launch
from reference.dynamo import PROFILES, DynamoProfile
from reference.sglang import RELEASES
from serving_rules import arguments, layout, rules
from serving_rules.layout import WORKER_ROLES, Arguments, Layout, Server, WorkerRole
from tests import wheels
from tests.conformance import recipe, sglang_server

pytestmark = pytest.mark.conformance

DEFAULT = PROFILES["0.7.0"]
SMALL = "deepseek-r1-fp8-1p1d"
_PROGRAM = Path(sglang_server.__file__)
_SECONDS = 300
WEIGHTS = ("fp8", "modelopt_fp8", "modelopt_fp4", "modelopt_mixed", "mxfp8", "compressed-tensors", "nvfp4_online")
KERNELS = ("flashinfer_trtllm", "flashinfer_trtllm_routed", "flashinfer_cutlass", "flashinfer_cutedsl")
_IN_THE_MODEL = ("0.5.16", "0.5.18")
"""Releases where flashinfer_cutedsl is also judged by what is in the model's files."""


def _runs(version: str, sglang: str) -> DynamoProfile:
    return PROFILES[version].serving(sglang)


def _any(sglang: str) -> DynamoProfile:
    """A profile with that SGLang release, its own where there is one."""
    return next((p for p in PROFILES.values() if p.sglang == sglang), PROFILES["1.2.1"].serving(sglang))


def _changed(made: Layout, role: WorkerRole, **changes: Any) -> Layout:
    named = {name.replace("_", "-"): value for name, value in changes.items()}
    merged = {name: value for name, value in {**made.arguments(role), **named}.items() if value is not None}
    return made.with_server(role, Server(merged, made.environment(role)))


WRONG: Mapping[str, Mapping[str, Any]] = {
    "data parallelism that does not divide": {"dp_size": 3},
    "a cache that the kernels do not read": {"kv_cache_dtype": "fp8_e5m2"},
    "dense layers cut": {"moe_dense_tp_size": 2},
    "chunks of broken pages": {"chunked_prefill_size": 131072 + 8},
}
"""Changes to the prefill role of the large layout, each refused by the server itself."""


_SIZES = (1, 2, 4, 512)


def _kernels(sglang: str) -> dict[str, tuple[Layout, DynamoProfile]]:
    """The small layout with every pair of expert kernels and weights that the parser knows."""
    profile = _any(sglang)
    known = arguments.of(profile).arguments
    made = layout.resolve(SMALL, profile)
    return {
        f"{kernels} {weights}": (
            _changed(
                _changed(made, "prefill", quantization=weights),
                "decode",
                quantization=weights,
                moe_runner_backend=kernels,
            ),
            profile,
        )
        for kernels in KERNELS
        for weights in WEIGHTS
        if kernels in known["moe-runner-backend"].choices
        and weights in known["quantization"].choices
        and not (kernels == "flashinfer_cutedsl" and sglang in _IN_THE_MODEL)
    }


def _questions(sglang: str) -> dict[str, dict[str, Any]]:
    """Every file that this release is asked about."""

    def file(values: Arguments, nodes: int = 0) -> dict[str, Any]:
        return {"text": launch.arguments_file(values), "nodes": nodes}

    asked: dict[str, dict[str, Any]] = {}
    for name in layout.available():
        for role in WORKER_ROLES:
            asked[f"{name} {role} as written"] = file(layout.load(name).arguments(role))
            for version in PROFILES:
                made = layout.resolve(name, _runs(version, sglang))
                nodes = made.workers(role).nodes_per_replica
                asked[f"{name} {role} {version}"] = file(made.arguments(role), nodes)
    for case, changes in WRONG.items():
        asked[case] = file(_wrong(sglang, changes).arguments("prefill"), 2)
    asked |= {pair: file(made.arguments("decode"), 1) for pair, (made, _) in _kernels(sglang).items()}
    config = {"cuda-graph-config": json.dumps({"decode": {"backend": "disabled"}, "prefill": {"backend": "disabled"}})}
    asked["graphs off"] = file({**config, "served-model-name": "m", "disable-radix-cache": True}, 1)
    asked["list"] = file({**layout.resolve(SMALL, _any(sglang)).arguments("decode"), "cuda-graph-bs": _SIZES}, 1)
    asked["other ending"] = {**file({"host": "::"}), "name": "serving-configuration"}
    return asked


def _wrong(sglang: str, changes: Mapping[str, Any]) -> Layout:
    return _changed(layout.resolve("deepseek-r1-fp8-10p8d", _any(sglang)), "prefill", **changes)


@functools.cache
def _answers(sglang: str) -> dict[str, Any]:
    """What a release says of all questions, and its arguments."""
    folder = wheels.of_sglang(sglang, sglang_server.REAL)
    command = [sys.executable, "-I", str(_PROGRAM), str(folder)]
    ran = subprocess.run(  # noqa: S603 - our own program with a released wheel
        command, input=json.dumps(_questions(sglang)), capture_output=True, text=True, timeout=_SECONDS, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def _answer(sglang: str, question: str) -> dict[str, Any]:
    return _answers(sglang)["answers"][question]


def _pairs(argv: list[str]) -> list[tuple[str, str | None]]:
    """(flag, value) of a command line, sorted; a flag without a value has None."""
    found: list[tuple[str, str | None]] = []
    for word in argv:
        if word.startswith("--"):
            found.append((word.removeprefix("--"), None))
        else:
            assert found[-1][1] is None
            found[-1] = (found[-1][0], word)
    return sorted(found)


@pytest.mark.parametrize("sglang", RELEASES)
@pytest.mark.parametrize("version", PROFILES)
def test_every_release_takes_every_layout_and_makes_of_it_what_it_says(version: str, sglang: str) -> None:
    for name in layout.available():
        ours = layout.resolve(name, _runs(version, sglang))
        for role in WORKER_ROLES:
            answer = _answer(sglang, f"{name} {role} {version}")
            assert "argv" in answer, answer
            expected = {key: value for key, value in ours.arguments(role).items() if value is not False}
            assert _pairs(answer["argv"]) == recipe.argv(expected)


@pytest.mark.parametrize("sglang", RELEASES)
def test_no_check_of_values_of_a_release_refuses_a_layout(sglang: str) -> None:
    """`ServerArgs.__post_init__` and `check_server_args`, which a server runs before anything else."""
    questions = [f"{name} {role} {v}" for name in layout.available() for role in WORKER_ROLES for v in PROFILES]
    assert {q: a["checked"] for q in questions for a in [_answer(sglang, q)] if a["checked"] is not None} == {}


@pytest.mark.parametrize("sglang", RELEASES)
@pytest.mark.parametrize("case", WRONG)
def test_what_a_release_refuses_in_its_checks_is_refused_here(sglang: str, case: str) -> None:
    """And the checks of a release are alive with the stand-ins."""
    assert _answer(sglang, case).get("checked"), _answer(sglang, case)
    assert rules.check(_wrong(sglang, WRONG[case]), _any(sglang)) != []


@pytest.mark.parametrize("sglang", RELEASES)
def test_expert_kernels_run_the_weights_that_the_release_says(sglang: str) -> None:
    said = {pair: _answer(sglang, pair)["checked"] is None for pair in _kernels(sglang)}
    ours = {
        pair: not [
            problem for problem in rules.check(made, profile) if problem.key.endswith("decode.yaml: quantization")
        ]
        for pair, (made, profile) in _kernels(sglang).items()
    }
    assert ours == said
    assert set(said.values()) == {True, False}


@pytest.mark.parametrize("sglang", RELEASES)
def test_the_catalog_has_the_arguments_of_the_parser(sglang: str) -> None:
    """Names, kinds, choices, and what a file may not have."""
    known = arguments.of(_any(sglang)).arguments
    theirs = {name: entry for entry in _answers(sglang)["arguments"] for name in entry["names"]}
    ours = {name: entry for name, entry in known.items() if entry.owner == "SGLang"}
    # Boolean options have two names; a file may have neither.
    assert (
        theirs.keys() - ours.keys()
        == {n for n in theirs if n.startswith("no-") and n in theirs[n]["refused"]} - ours.keys()
    )
    assert ours.keys() - theirs.keys() == set()
    for name, entry in ours.items():
        real = theirs[name]
        if real["kind"] in ("StoreAction", "StoreTrueAction"):
            assert (entry.action == "store_true") == (real["kind"] == "StoreTrueAction"), name
        else:
            assert entry.action == real["kind"], name
        if name in entry.refused or name in real["refused"]:
            # Choices that come from a stand-in are none.
            assert (name in entry.refused) or not any(map(str, real["choices"])), name
            assert name in real["refused"], name
        elif entry.choices:
            assert sorted(map(str, entry.choices)) == sorted(map(str, real["choices"])), name


@pytest.mark.parametrize("sglang", RELEASES)
def test_the_catalog_has_the_variables_that_the_release_declares(sglang: str) -> None:
    known = arguments.of(_any(sglang)).environment
    declared = _answers(sglang)["environment"]
    assert len(declared) > 90
    assert {name: known.get(name, {}).get("type") for name in declared} == declared


@pytest.mark.parametrize("sglang", RELEASES)
def test_what_is_to_be_written_for_graphs_that_are_off_is_taken(sglang: str) -> None:
    known = arguments.of(_any(sglang)).arguments
    refused = "disable-cuda-graph" in known["disable-cuda-graph"].refused
    answer = _answer(sglang, "graphs off")
    assert ("argv" in answer, answer.get("checked")) == (refused, None)
    assert ("cuda-graph-config" in known) == refused


@pytest.mark.parametrize("sglang", RELEASES)
def test_a_list_of_batch_sizes_reaches_the_parser_as_one_argument(sglang: str) -> None:
    argv, checked = _answer(sglang, "list")["argv"], _answer(sglang, "list")["checked"]
    at = argv.index("--cuda-graph-bs") + 1
    assert argv[at : at + len(_SIZES)] == [str(size) for size in _SIZES]
    assert checked is None


@pytest.mark.parametrize("name", sorted(recipe.LAYOUTS.values()))
@pytest.mark.parametrize("role", WORKER_ROLES)
def test_the_reader_makes_of_our_file_what_the_recipes_parser_makes_of_its(name: str, role: WorkerRole) -> None:
    answer = _answer(DEFAULT.sglang, f"{name} {role} as written")
    assert _pairs(answer["argv"]) == recipe.argv(recipe.arguments(name, role))


@pytest.mark.parametrize("sglang", [sglang for sglang in RELEASES if sglang != DEFAULT.sglang])
@pytest.mark.parametrize("name", layout.available())
def test_newer_readers_refuse_what_the_release_drops(sglang: str, name: str) -> None:
    for role in WORKER_ROLES:
        written = layout.load(name).arguments(role)
        gone = [change.name for change in RELEASES[sglang].migrations if change.name in written]
        answer = _answer(sglang, f"{name} {role} as written")
        assert ("refused" in answer) == bool(gone), answer
        assert any(change.replace("-", "_") in answer.get("refused", "") for change in gone) == bool(gone)


@pytest.mark.parametrize("sglang", RELEASES)
def test_the_reader_refuses_a_file_of_another_ending(sglang: str) -> None:
    """Why the file in the pod ends in .yaml."""
    assert "YAML" in _answer(sglang, "other ending")["refused"]
    assert yaml.safe_load(_questions(sglang)["other ending"]["text"]) == {"host": "::"}
