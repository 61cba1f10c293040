"""Valid layouts pass every rule, and every rule finds a wrong one."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.dynamo import PROFILES
from serving_rules import layout, rules
from serving_rules.layout import Layout, LayoutFile, Server
from tests.unit.test_bad_inputs import LAYOUTS, wrong_layout

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
        for profile in [PROFILES[case.get("dynamo", "0.7.0")]]
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
def test_the_layouts_that_ship_break_no_rule_and_warn_of_nothing(name: str, version: str) -> None:
    chosen = layout.resolve(name, PROFILES[version])
    assert rules.check(chosen, PROFILES[version]) == []
    assert rules.warnings(chosen, PROFILES[version]) == []


def test_a_share_that_public_recipes_use_leaves_room_for_the_weights() -> None:
    """A GB200 has 189,471 MiB: 0.9 of it holds DeepSeek-R1 in FP8 on 4 GPUs."""
    shipped = layout.resolve("deepseek-r1-fp8-1p1d", PROFILE)
    arguments = {**shipped.arguments("decode"), "mem-fraction-static": 0.9}
    assert rules.check(shipped.with_server("decode", Server(arguments, shipped.environment("decode"))), PROFILE) == []
