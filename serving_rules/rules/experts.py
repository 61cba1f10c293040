"""DeepEP and the experts: dispatch, kernels, redundancy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from serving_rules.layout import Layout
from serving_rules.rules.context import Context
from validation.problems import Problem

DISPATCH: Final = "SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK"
DISPATCH_DEFAULT: Final = 128
DISPATCH_MAX: Final = 1024

_EXPERT_KERNELS: Final[Mapping[str, tuple[str | None, ...]]] = {
    "flashinfer_trtllm": ("fp8", "modelopt_fp8", "modelopt_fp4"),
    "flashinfer_cutlass": ("modelopt_fp8", "modelopt_fp4", None),
}
_DEEPEP: Final = ("deepep-mode", "deepep-config")
_DISPATCH_ALGORITHMS: Final = ("static", "dynamic")
_BALANCE_ALGORITHMS: Final = (
    "auto",
    "deepseek",
    "deepseek_hierarchical",
    "deepseek_vec",
    "deepseek_vec_hierarchical",
    "elasticity_aware",
)


def deepep_mode_suits_the_role(context: Context) -> Iterator[Problem]:
    """Prefill sends whole chunks (normal mode, no CUDA graphs), decode sends few tokens fast (low latency).

    Source: `_handle_a2a_moe` of every release disables CUDA graphs in normal mode, said or not; the low-latency
    dispatcher takes at most 1024 tokens of a rank, fewer than a prefill chunk has.
    """
    for role in context.roles:
        if not role.deepep:
            continue
        mode = role.values.text("deepep-mode") or "auto"
        if role.name == "decode" and mode == "normal":
            yield role.problem(
                "deepep-mode", "normal mode disables CUDA graphs, which decode depends on", "set low_latency"
            )
        if role.name == "prefill" and mode == "low_latency":
            yield role.problem(
                "deepep-mode",
                f"the low-latency dispatcher takes up to {DISPATCH_MAX} tokens of a rank, fewer than a prompt's chunk",
                "set normal",
            )


def dispatch_buffer_holds_a_batch(context: Context) -> Iterator[Problem]:
    """A decode batch fits into DeepEP's low-latency dispatch buffer.

    Source: the DeepEP dispatcher: default 128 tokens a rank, at most 1024; a rank's batch is the number of running
    requests divided by the data-parallel ranks, and CUDA graphs are captured up to cuda-graph-max-bs.
    """
    role = context.role("decode")
    if not role.deepep or role.values.text("deepep-mode") == "normal":
        return
    key, buffer = context.layout.key("decode", DISPATCH, "environment"), _dispatch(context.layout)
    if buffer is None:
        return
    value = context.layout.environment("decode").get(DISPATCH)
    if not 0 < buffer <= DISPATCH_MAX:
        yield Problem(key, value, f"DeepEP takes 1 to {DISPATCH_MAX} tokens a rank", "set it to cuda-graph-max-bs")
        return
    ranks = max(role.parallel.data, 1)
    for name, most in (("cuda-graph-max-bs", buffer), ("max-running-requests", buffer * ranks)):
        if role.values.raw(name) is None:
            yield role.problem(
                name,
                f"SGLang then chooses by the GPU's memory, and the dispatch buffer holds {buffer} tokens a rank",
                f"set it to {most}",
            )
    graphs, running = role.values.integer("cuda-graph-max-bs"), role.values.integer("max-running-requests")
    batch = None if running is None else -(-running // ranks)
    if graphs is not None and graphs != buffer:
        yield role.problem(
            "cuda-graph-max-bs",
            f"graphs up to this batch size dispatch through a buffer of {buffer} tokens a rank ({DISPATCH})",
            "make the two equal",
        )
    if batch is not None and batch > buffer:
        yield role.problem(
            "max-running-requests",
            f"over {ranks} ranks it is {batch} requests a rank, and the dispatch buffer holds {buffer} ({DISPATCH})",
            f"set it to {buffer * ranks} or fewer, or enlarge the buffer (up to {DISPATCH_MAX})",
        )


def deepep_is_switched_on(context: Context) -> Iterator[Problem]:
    """DeepEP's own arguments are set only together with DeepEP.

    Source: SGLang reads them in the DeepEP dispatcher, which `moe-a2a-backend: deepep` selects; without it they are
    ignored and collectives are used.
    """
    for role in context.roles:
        own = [role.values.name(name) for name in _DEEPEP if name in role.values.written]
        if own and not role.deepep:
            yield role.problem(
                "moe-a2a-backend",
                f"SGLang reads {' and '.join(own)} only with moe-a2a-backend: deepep",
                "set moe-a2a-backend: deepep, or leave the others out",
            )


def experts_are_dispatched(context: Context) -> Iterator[Problem]:
    """Dispatch and balancing algorithms exist, and are fit for serving.

    Source: `ExpertLocationDispatchInfo` (static, dynamic, or fake, which routes at random and is for measurements
    only; with none the redundant experts are idle) and `EplbAlgorithm` in SGLang's eplb package. SGLang's parser
    accepts any text here.
    """
    for role in context.roles:
        algorithm, balance = role.values.text("ep-dispatch-algorithm"), role.values.text("eplb-algorithm")
        redundant = role.values.integer("ep-num-redundant-experts") or 0
        if algorithm is not None and algorithm not in _DISPATCH_ALGORITHMS:
            yield role.problem(
                "ep-dispatch-algorithm",
                f"algorithms that serve are {', '.join(_DISPATCH_ALGORITHMS)}",
                "set dynamic on prefill, static on decode, as the recipe",
            )
        elif algorithm is None and redundant > 0:
            yield role.problem(
                "ep-dispatch-algorithm",
                f"without it no token reaches the {redundant} redundant experts, which take memory all the same",
                "set dynamic on prefill, static on decode, as the recipe",
            )
        if balance is not None and balance not in _BALANCE_ALGORITHMS:
            yield role.problem(
                "eplb-algorithm",
                f"algorithms are {', '.join(_BALANCE_ALGORITHMS)}",
                "set deepseek as the recipe, or leave it out",
            )


def experts_divide(context: Context) -> Iterator[Problem]:
    """Every rank of the expert group holds the same number of experts.

    Source: `ExpertLocationMetadata` in SGLang's eplb package: (routed + redundant) % ep == 0; DeepSeek-R1 has 256
    routed experts.
    """
    if context.facts is None:
        return
    for role in context.roles:
        experts = context.facts.routed_experts + (role.values.integer("ep-num-redundant-experts") or 0)
        parallel = role.parallel
        ranks = parallel.tensor if role.deepep else parallel.expert
        if ranks > 1 and parallel.tensor % ranks == 0 and experts % ranks:
            yield role.problem(
                "ep-num-redundant-experts",
                f"{context.facts.routed_experts} experts and the redundant ones are {experts}, which {ranks} ranks "
                "cannot share evenly",
                f"set it to {-context.facts.routed_experts % ranks}, or that plus a multiple of {ranks}",
            )


def expert_kernels_suit_the_weights(context: Context) -> Iterator[Problem]:
    """Some expert kernels support only some kinds of quantized weights.

    Source: `_handle_moe_kernel_config`. For flashinfer_cutlass 0.5.4.post3 accepts modelopt_fp4 only; what 0.5.9
    accepts as well is allowed on both.
    """
    for role in context.roles:
        backend, weights = role.values.text("moe-runner-backend"), role.values.text("quantization")
        suited = _EXPERT_KERNELS.get(backend or "")
        if suited is not None and weights not in suited:
            named = ", ".join(kind for kind in suited if kind)
            yield role.problem(
                "quantization",
                f"moe-runner-backend: {backend} runs experts in {named} only",
                "set quantization to one of these, or choose another moe-runner-backend",
            )


def dense_layers_are_not_cut(context: Context) -> Iterator[Problem]:
    """The tensor-parallel size of dense layers is 1 or left out.

    Source: `check_server_args`.
    """
    for role in context.roles:
        if role.values.integer("moe-dense-tp-size") not in (None, 1):
            yield role.problem("moe-dense-tp-size", "SGLang takes 1 or nothing", "set it to 1, or leave it out")


def deepep_config_is_complete(context: Context) -> Iterator[Problem]:
    """DeepEP's tuning has both halves, with the same number of SMs.

    Source: `DeepEPConfig` in SGLang's DeepEP dispatcher. A value that is a path is not checked.
    """
    for role in context.roles:
        text = role.values.text("deepep-config") or ""
        if not text.lstrip().startswith("{"):
            continue
        try:
            tuning: Mapping[str, Any] = json.loads(text)
        except json.JSONDecodeError:
            continue
        dispatch, combine = (_sms(tuning.get(half)) for half in ("normal_dispatch", "normal_combine"))
        if dispatch is None or dispatch != combine:
            yield role.problem(
                "deepep-config",
                "it holds normal_dispatch and normal_combine, both with the same num_sms",
                "compare with deepseek-r1-fp8-10p8d",
            )


def _sms(half: Any) -> Any:
    return half.get("num_sms") if isinstance(half, Mapping) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - JSON is untyped


def _dispatch(layout: Layout) -> int | None:
    text = layout.environment("decode").get(DISPATCH, str(DISPATCH_DEFAULT))
    return int(text) if text.lstrip("-").isdigit() else None
