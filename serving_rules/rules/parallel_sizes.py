"""Shape of a replica: tensor, data and expert parallelism, and prefill chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reference.machines import A4X
from serving_rules.arguments import Values
from serving_rules.rules.context import Context, RoleContext
from validation.problems import Problem

PAGE: Final = 64
"""Tokens of a KV cache page that SGLang's trtllm_mla backend enforces, unless 32 is set."""


def parallelism_fills_the_nodes(context: Context) -> Iterator[Problem]:
    """One process for each GPU of every node of a replica.

    Source: `check_server_args`: tp x pp is a multiple of nnodes; the operator starts one process group over
    nodeCount pods with 4 GPUs each. Data parallelism outside the tensor-parallel group multiplies the GPUs.
    """
    for role in context.roles:
        parallel = role.parallel
        if parallel.gpus != role.gpus and not _attention_is_missing(role):
            yield role.problem(
                "tensor-parallel-size",
                f"a {role.name} replica has {role.gpus} GPUs ({role.nodes} x {A4X.gpus}), and its parallel "
                f"sizes take {parallel.gpus}",
                f"make tp-size x pp-size {role.gpus}, or change {role.name}.nodesPerReplica",
            )


def data_parallel_attention_divides(context: Context) -> Iterator[Problem]:
    """Data parallelism across nodes is data-parallel attention, which divides the tensor-parallel group evenly.

    Source: `check_server_args` (multi-node data parallel needs it), `_handle_data_parallelism` (tp % dp == 0; a
    size of 1 silently turns the flag off).
    """
    for role in context.roles:
        parallel, wanted = role.parallel, role.values.flag("enable-dp-attention")
        if _attention_is_missing(role):
            yield role.problem(
                "enable-dp-attention",
                f"data parallelism ({parallel.data}) over {role.nodes} nodes needs it",
                "set enable-dp-attention: true",
            )
        elif wanted and parallel.data <= 1:
            yield role.problem(
                "enable-dp-attention",
                f"SGLang silently turns it off if the data-parallel size is {parallel.data}",
                "set dp-size, or leave the flag out",
            )
        elif wanted and parallel.tensor % parallel.data:
            yield role.problem(
                "data-parallel-size",
                f"with enable-dp-attention it divides the tensor-parallel size ({parallel.tensor})",
                "choose a divisor of it; DeepSeek layouts use the size itself",
            )


def expert_parallelism_is_whole(context: Context) -> Iterator[Problem]:
    """Where tokens are sent to experts, by DeepEP or otherwise, every GPU of the replica is a rank of the expert group.

    Source: `_handle_a2a_moe` (from 0.5.16 on `_a2a_ep_size`) sets the expert-parallel size to the tensor-parallel size,
    whatever is given; without it the size divides the tensor-parallel size.
    """
    for role in context.roles:
        parallel, backend = role.parallel, role.values.text("moe-a2a-backend")
        written = "expert-parallel-size" in role.values.written
        if role.whole_experts and written and parallel.expert != parallel.tensor:
            yield role.problem(
                "expert-parallel-size",
                f"moe-a2a-backend: {backend} makes it the tensor-parallel size ({parallel.tensor}), whatever is given",
                f"set it to {parallel.tensor}",
            )
        elif not role.whole_experts and parallel.expert > 0 and parallel.tensor % parallel.expert:
            yield role.problem(
                "expert-parallel-size",
                f"it divides the tensor-parallel size ({parallel.tensor})",
                "choose a divisor of it, or 1",
            )


def prefill_chunks_are_whole_pages(context: Context) -> Iterator[Problem]:
    """A prefill chunk fills whole KV cache pages on every data-parallel rank.

    Source: `_handle_data_parallelism` divides the chunk by dp and drops the rest; `check_server_args` requires a
    multiple of the page size, except on decode; trtllm_mla's page has 64 tokens (or 32 if set).
    """
    for role in context.roles:
        chunk, parallel = role.values.integer("chunked-prefill-size"), role.parallel
        ranks = parallel.data if parallel.attention else 1
        if chunk is None or chunk <= 0:
            continue
        page = _page(role.values) if role.name == "prefill" else 1
        if chunk % (ranks * page):
            pages = f"whole pages of {page} tokens" if page > 1 else "the same number of tokens"
            yield role.problem(
                "chunked-prefill-size",
                f"each of {ranks} data-parallel ranks gets {pages}" if ranks > 1 else f"a chunk is {pages}",
                f"choose a multiple of {ranks * page}",
            )


def lm_head_needs_attention(context: Context) -> Iterator[Problem]:
    """A data-parallel output layer needs data-parallel attention.

    Source: `_handle_data_parallelism`.
    """
    for role in context.roles:
        if role.values.flag("enable-dp-lm-head") and not role.parallel.attention:
            yield role.problem(
                "enable-dp-lm-head",
                "it needs enable-dp-attention with a data-parallel size over 1",
                "set both, or leave it out",
            )


def _attention_is_missing(role: RoleContext) -> bool:
    return role.parallel.data > 1 and role.nodes > 1 and not role.values.flag("enable-dp-attention")


def _page(values: Values) -> int:
    asked = values.integer("page-size")
    if values.text("attention-backend") == "trtllm_mla":
        return asked if asked in (32, PAGE) else PAGE
    return 1 if asked is None or asked < 1 else asked
