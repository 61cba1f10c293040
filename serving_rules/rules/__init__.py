"""Rules of a layout: values that a running server would reject, or would accept and then not work with.

Each rule is one function from a `Context` to the problems it finds, with its source in the docstring: SGLang's
`server_args.py` (of every release in `reference.sglang`, unless one is named), its DeepEP dispatcher, Dynamo's
operator, or plain arithmetic. What differs between releases is data of `SglangRelease`. `check` runs all of them, after
the checks of single arguments and variables.
"""

from __future__ import annotations

from typing import Final

from reference.dynamo import DynamoProfile
from serving_rules import arguments, environment
from serving_rules.layout import Layout
from serving_rules.rules import experts, parallel_sizes, prefill_decode, request_limits
from serving_rules.rules.context import Context, Rule
from validation.problems import Problem

RULES: Final[tuple[Rule, ...]] = (
    parallel_sizes.parallelism_fills_the_nodes,
    parallel_sizes.data_parallel_attention_divides,
    parallel_sizes.expert_parallelism_is_whole,
    parallel_sizes.prefill_chunks_are_whole_pages,
    parallel_sizes.lm_head_needs_attention,
    experts.deepep_mode_suits_the_role,
    experts.dispatch_buffer_holds_a_batch,
    experts.experts_divide,
    experts.deepep_is_switched_on,
    experts.experts_are_dispatched,
    experts.expert_kernels_suit_the_weights,
    experts.expert_kernels_suit_the_sizes,
    experts.dense_layers_are_not_cut,
    experts.deepep_config_is_complete,
    request_limits.context_holds_a_request,
    request_limits.prefill_holds_a_prompt,
    request_limits.weights_leave_room,
    request_limits.load_fits_the_roles,
    request_limits.counts_are_positive,
    prefill_decode.decode_balances_like_prefill,
    prefill_decode.roles_meet_at_one_port,
    prefill_decode.roles_listen_to_all,
    prefill_decode.port_is_valid,
    prefill_decode.mode_matches_role,
    prefill_decode.transfer_backend_is_real,
    prefill_decode.roles_share_the_cache,
    prefill_decode.trtllm_attention_reads_the_cache,
    prefill_decode.served_name_is_the_model,
    prefill_decode.fits_one_rack,
)


def check(layout: Layout, profile: DynamoProfile) -> list[Problem]:
    """All problems of `layout`, as `profile` runs it (see `layout.resolve`)."""
    context = Context(layout, profile)
    single = [*arguments.check(layout, profile), *environment.check(layout, profile)]
    reported = {problem.key for problem in single}
    # A value that is invalid by itself is not checked any further.
    return [
        *single,
        *(problem for rule in RULES for problem in rule(context) if problem.key not in reported),
    ]


def warnings(layout: Layout, profile: DynamoProfile) -> list[str]:
    """What has no effect, is deprecated, or fails under a load that may never come."""
    return [
        *arguments.warnings(layout, profile),
        *environment.warnings(layout, profile),
        *experts.dispatch_warnings(Context(layout, profile)),
    ]
