"""Valid layouts pass every rule, and every rule finds a wrong one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.dynamo import PROFILES
from reference.sglang import RELEASES
from serving_rules import layout, rules
from serving_rules.layout import Layout, LayoutFile, Server
from tests.unit.test_bad_inputs import LAYOUTS, profile_of, wrong_layout

PROFILE = PROFILES["0.7.0"]
MODEL = "deepseek-ai/DeepSeek-R1"
FACTS = layout.load("deepseek-r1-fp8-1p1d").file.model_facts
EXPERTS = 256


def _side(role: str, nodes: int, *, wide: bool, context: int) -> dict[str, Any]:
    gpus = nodes * 4
    common: dict[str, Any] = {
        "served-model-name": MODEL,
        "disaggregation-mode": role,
        "disaggregation-bootstrap-port": 30001,
        "host": "0.0.0.0",  # noqa: S104 - what pods must listen on
        "port": 9090,
        "tp-size": gpus,
        "quantization": "fp8",
        "kv-cache-dtype": "fp8_e4m3",
        "attention-backend": "trtllm_mla",
        "moe-dense-tp-size": 1,
        "context-length": context,
        "mem-fraction-static": 0.95,
    }
    if not wide:
        return {**common, "moe-runner-backend": "flashinfer_trtllm", "chunked-prefill-size": 8192}
    common |= {
        "dp-size": gpus,
        "ep-size": gpus,
        "enable-dp-attention": True,
        "enable-dp-lm-head": True,
        "moe-a2a-backend": "deepep",
        "ep-num-redundant-experts": -EXPERTS % gpus,
        "ep-dispatch-algorithm": "dynamic" if role == "prefill" else "static",
        "deepep-config": json.dumps({half: {"num_sms": 128} for half in ("normal_dispatch", "normal_combine")}),
        "chunked-prefill-size": 64 * gpus,
    }
    if role == "prefill":
        return common | {"deepep-mode": "normal", "disable-cuda-graph": True, "load-balance-method": "round_robin"}
    return common | {"deepep-mode": "low_latency", "prefill-round-robin-balance": True}


@st.composite
def layouts(draw: st.DrawFn, *, wide: bool | None = None) -> Layout:
    """A valid layout: some nodes for each role, with DeepEP or without, and a load that fits it."""
    deepep = draw(st.booleans()) if wide is None else wide
    prefill_nodes = draw(st.integers(2, 4)) if deepep else draw(st.sampled_from([1, 2, 4]))
    decode_nodes = draw(st.integers(2, 8)) if deepep else draw(st.sampled_from([1, 2, 4]))
    room = 18 - decode_nodes
    replicas = draw(st.integers(1, room // prefill_nodes))
    inputs, outputs = draw(st.integers(64, 8192)), draw(st.integers(1, 1024))
    context = inputs + outputs + draw(st.integers(0, 512))
    batch = draw(st.integers(1, 1024))
    prefill = _side("prefill", prefill_nodes, wide=deepep, context=context)
    decode = _side("decode", decode_nodes, wide=deepep, context=context)
    prefill["max-total-tokens"] = inputs + draw(st.integers(0, 4096))
    environment: dict[str, str] = {}
    concurrency = 1
    if deepep:
        decode |= {"cuda-graph-max-bs": batch, "max-running-requests": batch * decode_nodes * 4}
        environment[rules.experts.DISPATCH] = str(batch)
        concurrency = draw(st.integers(1, batch * decode_nodes * 4))
    file = LayoutFile.model_validate(
        {
            "description": "made up",
            "model": MODEL,
            "modelFacts": FACTS.model_dump(by_alias=True) if FACTS else None,
            "frontend": {"replicas": 1},
            "prefill": {"replicas": replicas, "nodesPerReplica": prefill_nodes},
            "decode": {"replicas": 1, "nodesPerReplica": decode_nodes},
            "benchmark": {
                "inputTokens": inputs,
                "outputTokens": outputs,
                "rangeRatio": 0.8,
                "prompts": concurrency,
                "concurrency": concurrency,
            },
        }
    )
    return Layout("made-up", file, {"prefill": Server(prefill, {}), "decode": Server(decode, environment)})


@given(layouts())
@settings(max_examples=40, deadline=None)
def test_a_valid_layout_breaks_no_rule(made: Layout) -> None:
    assert rules.check(made, PROFILE) == []


def test_every_rule_is_broken_by_a_layout_of_the_table() -> None:
    broken = {
        rule
        for base, case in (row.values for row in LAYOUTS)
        for profile in [profile_of(case)]
        for rule in rules.RULES
        if list(rule(rules.Context(wrong_layout(layout.resolve(base, profile), case)[0], profile)))
    }
    assert broken == set(rules.RULES)


def test_every_rule_names_its_source_or_reason() -> None:
    assert [
        rule.__name__ for rule in rules.RULES if not {"Source:", "Reason:"} & set((rule.__doc__ or "").split())
    ] == []


@pytest.mark.parametrize("name", layout.available())
@pytest.mark.parametrize("version", PROFILES)
@pytest.mark.parametrize("sglang", RELEASES)
def test_the_layouts_that_ship_break_no_rule_and_warn_of_nothing(name: str, version: str, sglang: str) -> None:
    profile = PROFILES[version].serving(sglang)
    chosen = layout.resolve(name, profile)
    assert rules.check(chosen, profile) == []
    assert rules.warnings(chosen, profile) == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"max-running-requests": 8193},
            "over 32 ranks it is 257 a rank, and the dispatch buffer holds the tokens of 256",
        ),
        ({"max-running-requests": None}, "SGLang chooses it by the GPU's memory, and the dispatch buffer holds"),
        ({"speculative-num-draft-tokens": 2, "cuda-graph-max-bs": 128}, "the tokens of 128 requests"),
        ({"max-running-requests": 8193, "cuda-graph-bs": (1, 8, 256), "cuda-graph-max-bs": None}, "256 requests"),
    ],
    ids=["one too many", "left to SGLang", "each with two tokens", "a list of graphs"],
)
def test_more_requests_than_the_dispatch_buffer_holds_are_warned_about(changed: dict[str, Any], said: str) -> None:
    """Published recipes have them, with a load that never comes to so many."""
    shipped = layout.resolve("deepseek-r1-fp8-10p8d", PROFILE)
    arguments = {name: v for name, v in {**shipped.arguments("decode"), **changed}.items() if v is not None}
    made = shipped.with_server("decode", Server(arguments, shipped.environment("decode")))
    assert rules.check(made, PROFILE) == []
    (warning,) = rules.warnings(made, PROFILE)
    assert said in warning


@pytest.mark.parametrize("backend", ["mooncake", "nixl", "megamoe"])
def test_other_ways_to_send_tokens_to_experts_are_as_whole_as_deepep(backend: str) -> None:
    profile = PROFILES["1.5.1"]
    made = layout.resolve("deepseek-r1-fp8-10p8d", profile)
    for role in layout.WORKER_ROLES:
        made = made.with_server(
            role, Server({**made.arguments(role), "moe-a2a-backend": backend, "ep-size": 4}, made.environment(role))
        )
    assert [problem.rule for problem in rules.check(made, profile)] == [
        f"moe-a2a-backend: {backend} makes it the tensor-parallel size ({size}), whatever is given" for size in (8, 32)
    ]


# DeepEP in the image -----------------------------------------------------------------------------------------------

WIDE, NARROW = "deepseek-r1-fp8-10p8d", "deepseek-r1-fp8-1p1d"
KEY = "stacks[0].image"


def _image(name: str, version: str, *, own: bool) -> Any:
    profile = PROFILES[version]
    return rules.experts.deepep_image(layout.resolve(name, profile), profile, KEY, own_image=own)


def test_a_layout_with_deepep_is_refused_where_the_stock_image_has_none() -> None:
    assert str(_image(WIDE, "1.5.1", own=False)) == (
        "stacks[0].image = (not set)\n"
        "    rule: layout deepseek-r1-fp8-10p8d needs DeepEP, and the image of Dynamo 1.5.1 has none for GB200\n"
        "    fix: set an image of your own with DeepEP (built with GRACE_BLACKWELL=1 and NUM_CPU_TIMEOUT_SECS 1000), "
        "or choose a layout without it, or Dynamo 1.2.1: the last release whose image has CUDA 12.9, for which there "
        "is one"
    )


def test_a_layout_with_deepep_is_warned_about_where_the_image_is_a_stacks_own() -> None:
    assert _image(WIDE, "1.5.1", own=True) == (
        "stacks[0].image: layout deepseek-r1-fp8-10p8d needs a DeepEP for GB200 in this image, built with "
        "GRACE_BLACKWELL=1 and NUM_CPU_TIMEOUT_SECS 1000: nothing here can tell whether it has one."
    )


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(("name", "version"), [(NARROW, "1.5.1"), (WIDE, "1.2.1"), (WIDE, "0.7.0")])
def test_nothing_is_said_of_layouts_without_deepep_and_of_images_that_have_it(
    name: str, version: str, own: bool
) -> None:
    assert _image(name, version, own=own) is None


def test_a_share_that_public_recipes_use_leaves_room_for_the_weights() -> None:
    """A GB200 has 189,471 MiB: 0.9 of it holds DeepSeek-R1 in FP8 on 4 GPUs."""
    shipped = layout.resolve("deepseek-r1-fp8-1p1d", PROFILE)
    arguments = {**shipped.arguments("decode"), "mem-fraction-static": 0.9}
    assert rules.check(shipped.with_server("decode", Server(arguments, shipped.environment("decode"))), PROFILE) == []
