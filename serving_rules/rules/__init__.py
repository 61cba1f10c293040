"""Rules of a layout: values that a running server would reject, or would accept and then not work with.

Each rule is one function from a `Context` to the problems it finds, with its source in the docstring: SGLang's
`server_args.py` (both releases, 0.5.4.post3 and 0.5.9, unless one is named), its DeepEP dispatcher, Dynamo's operator,
or plain arithmetic. `check` runs all of them, after the checks of single arguments and variables.
"""

from __future__ import annotations

from typing import Final

from reference.dynamo import DynamoProfile
from serving_rules import arguments, environment
from serving_rules.layout import Layout
from serving_rules.rules import experts, requests, roles, shape
from serving_rules.rules.context import Context, Rule
from validation.problems import Problem

RULES: Final[tuple[Rule, ...]] = (
    shape.parallelism_fills_the_nodes,
    shape.data_parallel_attention_divides,
    shape.expert_parallelism_is_whole,
    shape.prefill_chunks_are_whole_pages,
    shape.lm_head_needs_attention,
    experts.deepep_mode_suits_the_role,
    experts.dispatch_buffer_holds_a_batch,
    experts.experts_divide,
    experts.deepep_is_switched_on,
    experts.experts_are_dispatched,
    experts.expert_kernels_suit_the_weights,
    experts.dense_layers_are_not_cut,
    experts.deepep_config_is_complete,
    requests.context_holds_a_request,
    requests.prefill_holds_a_prompt,
    requests.weights_leave_room,
    requests.load_fits_the_roles,
    requests.counts_are_positive,
    roles.decode_balances_like_prefill,
    roles.roles_meet_at_one_port,
    roles.roles_listen_to_all,
    roles.port_is_one,
    roles.roles_are_themselves,
    roles.cache_is_moved_for_real,
    roles.roles_share_the_cache,
    roles.trtllm_attention_reads_the_cache,
    roles.served_name_is_the_model,
    roles.fits_one_rack,
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
    """What has no effect, or is deprecated."""
    return [*arguments.warnings(layout, profile), *environment.warnings(layout, profile)]
