"""Valid layouts pass every rule; a single mutation of a valid one is caught by the rule that owns it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reference.dynamo import PROFILES
from serving_rules import layout, rules
from serving_rules.layout import Layout, LayoutFile, Server, WorkerRole

PROFILE = PROFILES["0.7.0"]
MODEL = "deepseek-ai/DeepSeek-R1"
FACTS = layout.load("deepseek-r1-fp8-1p1d").file.model_facts
EXPERTS = 256
few = settings(max_examples=4, deadline=None)


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


def _set(role: WorkerRole, **changes: Any) -> Callable[[Layout], Layout]:
    """A mutation that sets arguments of `role` (underscores for dashes); None leaves one out."""
    named = {name.replace("_", "-"): value for name, value in changes.items()}

    def mutate(made: Layout) -> Layout:
        arguments = {**made.arguments(role), **named}
        kept = {name: value for name, value in arguments.items() if value is not None}
        return made.with_server(role, Server(kept, made.environment(role)))

    return mutate


def _scaled(role: WorkerRole, name: str, change: Callable[[int], int]) -> Callable[[Layout], Layout]:
    def mutate(made: Layout) -> Layout:
        return _set(role, **{name: change(int(made.arguments(role)[name]))})(made)

    return mutate


def _file(part: str, **changes: Any) -> Callable[[Layout], Layout]:
    def mutate(made: Layout) -> Layout:
        owner = getattr(made.file, part).model_copy(update=changes)
        return replace(made, file=made.file.model_copy(update={part: owner}))

    return mutate


def _buffer(value: str) -> Callable[[Layout], Layout]:
    variables = {rules.experts.DISPATCH: value}
    return lambda made: made.with_server("decode", Server(made.arguments("decode"), variables))


Mutation = Callable[[Layout], Layout]
WIDE: list[tuple[rules.Rule, Mutation]] = [
    (rules.shape.parallelism_fills_the_nodes, _scaled("decode", "tp-size", lambda size: size * 2)),
    (rules.shape.parallelism_fills_the_nodes, _scaled("prefill", "tp-size", lambda size: size - 4)),
    (rules.shape.parallelism_fills_the_nodes, _set("decode", pp_size=2)),
    (rules.shape.data_parallel_attention_divides, _set("prefill", enable_dp_attention=None)),
    (rules.shape.data_parallel_attention_divides, _set("decode", dp_size=1)),
    (rules.shape.data_parallel_attention_divides, _scaled("decode", "dp-size", lambda size: size - 1)),
    (rules.shape.expert_parallelism_is_whole, _scaled("decode", "ep-size", lambda size: size // 2)),
    (rules.shape.prefill_chunks_are_whole_pages, _scaled("prefill", "chunked-prefill-size", lambda size: size + 1)),
    (rules.shape.prefill_chunks_are_whole_pages, _scaled("prefill", "chunked-prefill-size", lambda size: size // 2)),
    (rules.shape.prefill_chunks_are_whole_pages, _scaled("decode", "chunked-prefill-size", lambda size: size + 1)),
    (rules.shape.lm_head_needs_attention, _set("decode", enable_dp_attention=None)),
    (rules.experts.deepep_mode_suits_the_role, _set("decode", deepep_mode="normal")),
    (rules.experts.deepep_mode_suits_the_role, _set("prefill", deepep_mode="low_latency")),
    (rules.experts.deepep_mode_suits_the_role, _set("prefill", disable_cuda_graph=None)),
    (rules.experts.dispatch_buffer_holds_a_batch, _scaled("decode", "cuda-graph-max-bs", lambda size: size + 1)),
    (rules.experts.dispatch_buffer_holds_a_batch, _scaled("decode", "max-running-requests", lambda size: size + 1)),
    (rules.experts.dispatch_buffer_holds_a_batch, _buffer("1025")),
    (rules.experts.dispatch_buffer_holds_a_batch, _buffer("0")),
    (rules.experts.experts_divide, _scaled("decode", "ep-num-redundant-experts", lambda number: number + 1)),
    (rules.experts.dispatch_buffer_holds_a_batch, _set("decode", max_running_requests=None)),
    (rules.experts.dispatch_buffer_holds_a_batch, _set("decode", cuda_graph_max_bs=None)),
    (rules.experts.deepep_is_switched_on, _set("decode", moe_a2a_backend=None)),
    (rules.experts.deepep_is_switched_on, _set("prefill", moe_a2a_backend="mooncake")),
    (rules.experts.experts_are_dispatched, _set("decode", ep_dispatch_algorithm="fake")),
    (rules.experts.experts_are_dispatched, _set("decode", ep_dispatch_algorithm=None, ep_num_redundant_experts=64)),
    (rules.experts.experts_are_dispatched, _set("prefill", eplb_algorithm="best")),
    (rules.experts.deepep_config_is_complete, _set("prefill", deepep_config='{"normal_dispatch": {"num_sms": 1}}')),
    (rules.roles.decode_balances_like_prefill, _set("decode", prefill_round_robin_balance=None)),
    (rules.roles.decode_balances_like_prefill, _set("prefill", load_balance_method="shortest_queue")),
]
ANY: list[tuple[rules.Rule, Mutation]] = [
    (rules.experts.dense_layers_are_not_cut, _set("decode", moe_dense_tp_size=2)),
    (rules.requests.context_holds_a_request, _scaled("decode", "context-length", lambda size: size - 1)),
    (rules.requests.context_holds_a_request, _set("prefill", context_length=8)),
    (rules.requests.context_holds_a_request, _set("decode", context_length=163841)),
    (rules.requests.prefill_holds_a_prompt, _set("prefill", max_total_tokens=63)),
    (rules.requests.weights_leave_room, _set("decode", mem_fraction_static=1.5)),
    (rules.requests.weights_leave_room, _set("prefill", mem_fraction_static=0.05)),
    (rules.requests.load_fits_the_roles, _file("benchmark", prompts=0)),
    (rules.requests.load_fits_the_roles, _file("benchmark", prompts=10**6, concurrency=10**6)),
    (rules.requests.counts_are_positive, _set("decode", stream_interval=0)),
    (rules.requests.counts_are_positive, _set("prefill", watchdog_timeout=-1)),
    (rules.roles.roles_meet_at_one_port, _set("decode", disaggregation_bootstrap_port=30002)),
    (rules.roles.roles_meet_at_one_port, _set("prefill", disaggregation_bootstrap_port=None)),
    (rules.roles.roles_meet_at_one_port, _set("prefill", disaggregation_bootstrap_port=29500)),
    (rules.roles.roles_listen_to_all, _set("prefill", host="127.0.0.1")),
    (rules.roles.roles_listen_to_all, _set("decode", host=None)),
    (rules.roles.port_is_one, _set("decode", port=90)),
    (rules.roles.roles_are_themselves, _set("decode", disaggregation_mode="prefill")),
    (rules.roles.roles_are_themselves, _set("prefill", disaggregation_mode=None)),
    (rules.roles.cache_is_moved_for_real, _set("decode", disaggregation_transfer_backend="fake")),
    (rules.roles.roles_share_the_cache, _set("decode", kv_cache_dtype="auto")),
    (rules.roles.roles_share_the_cache, _set("prefill", disaggregation_transfer_backend="nixl")),
    (rules.roles.trtllm_attention_reads_the_cache, _set("decode", kv_cache_dtype="fp8_e5m2")),
    (rules.roles.served_name_is_the_model, _set("prefill", served_model_name="R1")),
    (rules.roles.fits_one_rack, _file("prefill", replicas=18)),
]


def _case(made: Layout) -> rules.Context:
    return rules.Context(made, PROFILE)


@pytest.mark.parametrize(("rule", "mutate"), WIDE, ids=[f"{r.__name__}-{i}" for i, (r, _) in enumerate(WIDE)])
@given(data=st.data())
@few
def test_a_mutated_deepep_layout_is_caught(rule: rules.Rule, mutate: Mutation, data: st.DataObject) -> None:
    made = data.draw(layouts(wide=True).filter(lambda made: made.arguments("decode")["cuda-graph-max-bs"] != 1024))
    assert list(rule(_case(made))) == []
    assert list(rule(_case(mutate(made))))


@pytest.mark.parametrize(("rule", "mutate"), ANY, ids=[f"{r.__name__}-{i}" for i, (r, _) in enumerate(ANY)])
@given(data=st.data())
@few
def test_a_mutated_layout_is_caught(rule: rules.Rule, mutate: Mutation, data: st.DataObject) -> None:
    wide = data.draw(st.booleans()) or rule is rules.requests.load_fits_the_roles
    made = data.draw(layouts(wide=wide))
    assert list(rule(_case(made))) == []
    assert list(rule(_case(mutate(made))))


@pytest.mark.parametrize(("kernel", "weights"), [("flashinfer_trtllm", None), ("flashinfer_cutlass", "fp8")])
@given(data=st.data())
@few
def test_expert_kernels_need_their_kind_of_weights(kernel: str, weights: str | None, data: st.DataObject) -> None:
    made = data.draw(layouts(wide=False))
    mutated = _set("decode", quantization=weights, moe_runner_backend=kernel)(made)
    assert [p.key for p in rules.experts.expert_kernels_suit_the_weights(_case(mutated))] == [
        "sglang_configs/made-up/decode.yaml: quantization"
    ]


def test_every_rule_has_a_mutation_that_it_catches() -> None:
    covered = {rule for rule, _ in WIDE + ANY} | {rules.experts.expert_kernels_suit_the_weights}
    assert covered == set(rules.RULES)


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
    made = _set("decode", mem_fraction_static=0.9)(layout.resolve("deepseek-r1-fp8-1p1d", PROFILE))
    assert rules.check(made, PROFILE) == []
