"""Requests and memory: lengths, concurrency, and memory for the weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reference.machines import A4X
from serving_rules import estimate
from serving_rules.rules.context import Context, shown
from validation.problems import Problem

_COUNTS: Final = (
    "context-length",
    "max-running-requests",
    "max-total-tokens",
    "cuda-graph-max-bs",
    "stream-interval",
    "decode-log-interval",
    "scheduler-recv-interval",
    "watchdog-timeout",
    "tensor-parallel-size",
    "data-parallel-size",
    "expert-parallel-size",
    "pipeline-parallel-size",
)


def context_holds_a_request(context: Context) -> Iterator[Problem]:
    """A context length holds the longest request of the benchmark load and is supported by the model; two are equal.

    Reason: prompt and answer share the context; a request goes through both roles. Left out, it is the model's.
    """
    load = context.file.benchmark
    longest = load.input_tokens + load.output_tokens
    lengths = {role.name: role.values.integer("context-length") for role in context.roles}
    for role in context.roles:
        length = lengths[role.name]
        if length is None:
            continue
        if length < longest:
            yield role.problem(
                "context-length",
                f"the load has requests of {load.input_tokens} + {load.output_tokens} = {longest} tokens",
                f"set it to {longest} or more",
            )
        elif context.facts is not None and length > context.facts.max_context:
            yield role.problem(
                "context-length",
                f"the model was made for {context.facts.max_context} tokens",
                f"set it to {context.facts.max_context} or fewer",
            )
    if None not in lengths.values() and lengths["prefill"] != lengths["decode"]:
        yield context.role("decode").problem(
            "context-length",
            f"a request goes through both roles, and prefill's is {shown(lengths['prefill'])}",
            "make the two equal",
        )


def prefill_holds_a_prompt(context: Context) -> Iterator[Problem]:
    """The token limit of a prefill rank admits at least one prompt of the load.

    Reason: a prompt longer than `max-total-tokens` waits forever.
    """
    role = context.role("prefill")
    tokens, prompt = role.values.integer("max-total-tokens"), context.file.benchmark.input_tokens
    if tokens is not None and 0 < tokens < prompt:
        yield role.problem(
            "max-total-tokens",
            f"a prompt of the load has up to {prompt} tokens",
            f"set it to {prompt} or more",
        )


def weights_leave_room(context: Context) -> Iterator[Problem]:
    """Weights and the KV cache of one request fit into the memory that SGLang may use.

    Source: estimate.py; the sizes are estimates, so only a clear excess is a problem.
    """
    if context.facts is None:
        return
    for role in context.roles:
        share = role.values.number("mem-fraction-static")
        if share is not None and not 0 < share < 1:
            yield role.problem("mem-fraction-static", "it is a share of a GPU's memory", "choose one between 0 and 1")
            continue
        if role.parallel.gpus != role.gpus:
            continue
        found = estimate.memory(context.facts, role.values)
        needed = role.values.integer("context-length") or context.file.benchmark.input_tokens
        ranks = max(role.parallel.data, 1)
        if found.cache <= 0 or (role.values.integer("max-total-tokens") is None and found.tokens < needed * ranks):
            yield role.problem(
                "mem-fraction-static",
                f"weights take an estimated {found.weights / 1e9:.0f} GB of a GPU's "
                f"{A4X.gpu_memory / 1e9:.0f} GB, which leaves no room for the KV cache of one request",
                "raise it, or spread the replica over more nodes",
            )


def load_fits_the_roles(context: Context) -> Iterator[Problem]:
    """The benchmark has no more requests in flight than the roles run, and enough requests to keep them in flight.

    Reason: beyond that the benchmark measures its own queue.
    """
    load = context.file.benchmark
    if load.prompts < load.concurrency:
        yield context.problem(
            "benchmark.prompts",
            load.prompts,
            f"fewer requests than are to be in flight ({load.concurrency})",
            f"set it to {load.concurrency} or more",
        )
    for role in context.roles:
        running = role.values.integer("max-running-requests")
        limit = None if running is None else running * context.layout.workers(role.name).replicas
        if limit is not None and 0 < limit < load.concurrency:
            yield context.problem(
                "benchmark.concurrency",
                load.concurrency,
                f"all {role.name} replicas together run {limit} requests (max-running-requests)",
                f"set it to {limit} or fewer",
            )


def counts_are_positive(context: Context) -> Iterator[Problem]:
    """Counts are 1 or more.

    Reason: SGLang accepts 0 and negative numbers here and fails later, or does no work.
    """
    for role in context.roles:
        for name in _COUNTS:
            number = role.values.integer(name)
            if number is not None and number < 1:
                yield role.problem(name, "a count must be 1 or more", "set it to 1 or more")
