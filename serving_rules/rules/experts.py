"""DeepEP and the experts: dispatch, kernels, redundancy."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from reference.dynamo import PROFILES, DynamoProfile
from serving_rules import arguments
from serving_rules.layout import WORKER_ROLES, Layout
from serving_rules.rules.context import Context, RoleContext
from validation.problems import Problem

DISPATCH: Final = "SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK"
DISPATCH_DEFAULT: Final = 128
DISPATCH_MAX: Final = 1024
GRAPHS_DEFAULT: Final = 512

_DEEPEP: Final = ("deepep-mode", "deepep-config")
_DISPATCH_ALGORITHMS: Final = ("static", "dynamic")
_BUILD: Final = "GRACE_BLACKWELL=1 and NUM_CPU_TIMEOUT_SECS 1000"
"""What makes SGLang's image build a DeepEP for GB200, and one that waits long enough at the start."""


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


_GRAPHS: Final = "cuda-graph-bs"
_MOST_GRAPHS: Final = "cuda-graph-max-bs"


def dispatch_buffer_holds_a_batch(context: Context) -> Iterator[Problem]:
    """The largest batch with a CUDA graph fits into DeepEP's low-latency dispatch buffer on decode.

    Source: the DeepEP dispatcher: default 128 tokens a rank, at most 1024. Graphs are captured up to cuda-graph-max-bs
    requests, or what `_handle_gpu_memory_settings` chooses for a GPU of 160 GB and more.
    """
    found = _low_latency(context)
    if found is None:
        return
    role, buffer, tokens = found
    key, value = context.layout.key("decode", DISPATCH, "environment"), context.layout.environment("decode")
    if not 0 < buffer <= DISPATCH_MAX:
        fix = "set it to cuda-graph-max-bs"
        yield Problem(key, value.get(DISPATCH), f"DeepEP takes 1 to {DISPATCH_MAX} tokens a rank", fix)
        return
    name, graphs = _graphs(role)
    written = name is not None
    if graphs is not None and graphs > buffer:
        asked = "graphs up to this batch size" if written else f"by itself SGLang makes graphs up to {graphs}, which"
        yield role.problem(
            name or _MOST_GRAPHS,
            f"{asked} dispatch through a buffer of {buffer} tokens a rank ({DISPATCH})",
            f"{_no_more(name, buffer // tokens)}, or enlarge the buffer (up to {DISPATCH_MAX})",
        )


def dispatch_warnings(context: Context) -> Iterator[str]:
    """More requests on decode than DeepEP's low-latency dispatch buffer holds.

    A request has one token, or as many as speculative decoding drafts. Published recipes have more running requests,
    with a load that never comes to so many, and one of them more in graphs too.
    """
    found = _low_latency(context)
    if found is None:
        return
    role, buffer, tokens = found
    ranks, most = max(role.parallel.data, 1), buffer // tokens
    held = f"the dispatch buffer holds the tokens of {most} requests ({DISPATCH})"

    def key(name: str) -> str:
        return context.layout.key("decode", role.values.name(name))

    name, graphs = _graphs(role)
    if name is not None and graphs is not None and most < graphs <= buffer:
        yield f"{key(name)}: {held}, each with {tokens}; {_no_more(name, most)}, or enlarge the buffer."
    running = role.values.integer("max-running-requests")
    batch = None if running is None else -(-running // ranks)
    if batch is None or batch > most:
        said = "SGLang chooses it by the GPU's memory" if batch is None else f"over {ranks} ranks it is {batch} a rank"
        yield (
            f"{key('max-running-requests')}: {said}, and {held}: a rank with more requests crashes; the maximum is "
            f"{most * ranks}."
        )


def _graphs(role: RoleContext) -> tuple[str | None, int | None]:
    """The argument that says for how many requests there are CUDA graphs, and the most; without one, SGLang's default.

    Source: `_handle_gpu_memory_settings`: a list decides alone.
    """
    for name, most in ((_GRAPHS, role.values.largest), (_MOST_GRAPHS, role.values.integer)):
        if role.values.raw(name) is not None:
            return name, most(name)
    return None, GRAPHS_DEFAULT


def _no_more(name: str | None, most: int) -> str:
    return f"leave out what is above {most}" if name == _GRAPHS else f"set it to {most} or fewer"


def _low_latency(context: Context) -> tuple[RoleContext, int, int] | None:
    """Decode, its dispatch buffer and the tokens that a request dispatches at once; None without such a buffer."""
    role, buffer = context.role("decode"), _dispatch(context.layout)
    if not role.deepep or role.values.text("deepep-mode") == "normal" or buffer is None:
        return None
    return role, buffer, max(role.values.integer("speculative-num-draft-tokens") or 1, 1)


def deepep_is_switched_on(context: Context) -> Iterator[Problem]:
    """DeepEP's own arguments are set only where tokens are sent to experts.

    Source: SGLang reads them in the DeepEP dispatcher, which `moe-a2a-backend: deepep` selects, and some in other
    dispatchers; with none they are ignored and collectives are used.
    """
    for role in context.roles:
        own = [role.values.name(name) for name in _DEEPEP if name in role.values.written]
        if own and not role.whole_experts:
            yield role.problem(
                "moe-a2a-backend",
                f"SGLang reads {' and '.join(own)} only with moe-a2a-backend: deepep",
                "set moe-a2a-backend: deepep, or leave the others out",
            )


def experts_are_dispatched(context: Context) -> Iterator[Problem]:
    """Dispatch and balancing algorithms exist, and are fit for serving.

    Source: `ExpertLocationDispatchInfo` (static, dynamic, or fake, which routes at random and is for measurements
    only; with none the redundant experts are idle) and `EplbAlgorithm` in SGLang's eplb package. SGLang's parser
    accepts any text for the second, and to 0.5.11 for the first.
    """
    known = arguments.of(context.profile).arguments["ep-dispatch-algorithm"].choices or _DISPATCH_ALGORITHMS
    serving = [algorithm for algorithm in known if algorithm != "fake"]
    balances = context.profile.server.balance_algorithms
    for role in context.roles:
        algorithm, balance = role.values.text("ep-dispatch-algorithm"), role.values.text("eplb-algorithm")
        redundant = role.values.integer("ep-num-redundant-experts") or 0
        if algorithm is not None and algorithm not in serving:
            yield role.problem(
                "ep-dispatch-algorithm",
                f"algorithms that serve are {', '.join(serving)}",
                "set dynamic on prefill, static on decode, as the recipe",
            )
        elif algorithm is None and redundant > 0:
            yield role.problem(
                "ep-dispatch-algorithm",
                f"without it no token reaches the {redundant} redundant experts, which take memory all the same",
                "set dynamic on prefill, static on decode, as the recipe",
            )
        if balance is not None and balance not in balances:
            yield role.problem(
                "eplb-algorithm",
                f"algorithms are {', '.join(balances)}",
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
        ranks = parallel.tensor if role.whole_experts else parallel.expert
        if ranks > 1 and parallel.tensor % ranks == 0 and experts % ranks:
            yield role.problem(
                "ep-num-redundant-experts",
                f"{context.facts.routed_experts} experts and the redundant ones are {experts}, which {ranks} ranks "
                "cannot share evenly",
                f"set it to {-context.facts.routed_experts % ranks}, or that plus a multiple of {ranks}",
            )


def expert_kernels_suit_the_weights(context: Context) -> Iterator[Problem]:
    """Some expert kernels support only some kinds of quantized weights.

    Source: `_handle_moe_kernel_config` of each release. Where the kind is left out, the model's files decide.
    """
    for role in context.roles:
        backend, weights = role.values.text("moe-runner-backend"), role.values.text("quantization")
        suited = context.profile.server.kernels.get(backend or "")
        if suited is not None and weights is not None and weights not in suited:
            yield role.problem(
                "quantization",
                f"moe-runner-backend: {backend} runs experts in {', '.join(suited)} only",
                "set quantization to one of these, or choose another moe-runner-backend",
            )


def expert_kernels_suit_the_sizes(context: Context) -> Iterator[Problem]:
    """Some expert kernels take only some expert-parallel sizes, and only some take tokens from FlashInfer's dispatch.

    Source: `_handle_moe_kernel_config` and `_handle_a2a_moe` of each release. Where tokens are sent to experts, the
    size is the tensor-parallel size anyhow (`expert_parallelism_is_whole`).
    """
    server = context.profile.server
    for role in context.roles:
        parallel, weights = role.parallel, role.values.text("quantization")
        backend = role.values.text("moe-runner-backend")
        alone = backend == "cutlass" and weights in ("fp8", "mxfp8")
        sizes = (1,) if alone else (1, parallel.tensor) if backend in server.whole_kernels else (parallel.expert,)
        if parallel.expert not in sizes and (alone or not role.whole_experts):
            yield role.problem(
                "expert-parallel-size",
                f"moe-runner-backend: {backend} takes 1{'' if alone else ' or the tensor-parallel size'}",
                f"set it to {sizes[-1]}, or choose another moe-runner-backend",
            )
        if role.values.text("moe-a2a-backend") != "flashinfer":
            continue
        if backend not in server.flashinfer_dispatch:
            yield role.problem(
                "moe-runner-backend",
                f"moe-a2a-backend: flashinfer sends tokens to {' or '.join(server.flashinfer_dispatch)} only",
                f"set {server.flashinfer_dispatch[0]}, or choose another moe-a2a-backend",
            )
        if server.flashinfer_dispatch_is_whole and not (parallel.attention and parallel.data == parallel.tensor):
            yield role.problem(
                "data-parallel-size",
                "moe-a2a-backend: flashinfer takes data-parallel attention over all ranks only",
                f"set enable-dp-attention and a data-parallel size of {parallel.tensor}",
            )


def dense_layers_are_not_cut(context: Context) -> Iterator[Problem]:
    """The tensor-parallel size of dense layers is 1 or left out; later releases also take that of the role.

    Source: `check_server_args`.
    """
    for role in context.roles:
        own, whole = role.values.integer("moe-dense-tp-size"), role.parallel.tensor
        if own not in (None, 1) and not (context.profile.server.dense_over_all and own == whole):
            taken = f"1, {whole} or nothing" if context.profile.server.dense_over_all else "1 or nothing"
            yield role.problem("moe-dense-tp-size", f"SGLang takes {taken}", "set it to 1, or leave it out")


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


def deepep_image(layout: Layout, profile: DynamoProfile, key: str, *, own_image: bool) -> Problem | str | None:
    """A problem if `layout` needs a DeepEP that the stock image has not, and a warning if the image is a stack's own.

    `key` is the config key of the stack's image.
    """
    known = arguments.of(profile)
    uses = any(
        arguments.values(layout.arguments(role), known).text("moe-a2a-backend") == "deepep" for role in WORKER_ROLES
    )
    if not uses or profile.deepep_in_image:
        return None
    if own_image:
        return (
            f"{key}: layout {layout.name} needs a DeepEP for GB200 in this image, built with {_BUILD}: nothing here "
            "can tell whether it has one."
        )
    last = [other.version for other in PROFILES.values() if other.deepep_in_image][-1]
    return Problem(
        key,
        None,
        f"layout {layout.name} needs DeepEP, and the image of Dynamo {profile.version} has none for GB200",
        f"set an image of your own with DeepEP (built with {_BUILD}), or choose a layout without it, or Dynamo {last}: "
        "the last release whose image has CUDA 12.9, for which there is one",
    )
