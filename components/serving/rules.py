"""Rules of a layout: arithmetic and names that a running server would refuse, or would follow into nonsense.

Each rule is one function from a `Case` to the problems it finds, with its source in the docstring: SGLang's
`server_args.py` (both releases, 0.5.4.post3 and 0.5.9, unless it says one), its DeepEP dispatcher, Dynamo's operator,
or the field. `check` collects all of them with the checks of single arguments and variables.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from components.base import a4x
from components.base.dynamo import DynamoProfile
from components.base.problems import Problem
from components.serving import arguments, environment, estimate, graph
from components.serving.arguments import Parallelism, Values
from components.serving.layout import WORKER_ROLES, Layout, LayoutFile, ModelFacts, WorkerRole

PAGE: Final = 64
"""Tokens of a KV cache page: what SGLang's trtllm_mla backend forces, unless 32 is asked for."""

DISPATCH: Final = "SGLANG_DEEPEP_NUM_MAX_DISPATCH_TOKENS_PER_RANK"
DISPATCH_DEFAULT: Final = 128
DISPATCH_MAX: Final = 1024

SYSTEM_PORT: Final = 9090
START_PORT: Final = 29500

_TRTLLM_CACHE: Final = ("fp8_e4m3", "fp4_e2m1", "auto")
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
_WHOLE_EXPERTS: Final = ("deepep", "mooncake")
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


@dataclass(frozen=True)
class Side:
    """One role of a layout, with its arguments read."""

    layout: Layout
    role: WorkerRole
    values: Values

    @property
    def nodes(self) -> int:
        """Nodes of one replica."""
        return self.layout.workers(self.role).nodes_per_replica

    @property
    def gpus(self) -> int:
        """GPUs of one replica."""
        return self.nodes * a4x.GPUS_PER_NODE

    @property
    def parallel(self) -> Parallelism:
        """How one replica is spread over its GPUs."""
        return self.values.parallelism

    @property
    def deepep(self) -> bool:
        """Whether experts are reached through DeepEP."""
        return self.values.text("moe-a2a-backend") == "deepep"

    def problem(self, name: str, rule: str, cure: str) -> Problem:
        """A problem with the argument whose first name is `name`."""
        return Problem(self.layout.key(self.role, self.values.name(name)), self.values.raw(name), rule, cure)


@dataclass(frozen=True)
class Case:
    """A layout as a Dynamo release runs it."""

    layout: Layout
    profile: DynamoProfile

    @property
    def file(self) -> LayoutFile:
        """The layout's own file."""
        return self.layout.file

    @property
    def facts(self) -> ModelFacts | None:
        """Sizes of the model, where the layout gives them."""
        return self.file.model_facts

    def side(self, role: WorkerRole) -> Side:
        """One role of the layout."""
        known = arguments.of(self.profile)
        return Side(self.layout, role, arguments.values(self.layout.arguments(role), known))

    @property
    def sides(self) -> tuple[Side, ...]:
        """Both roles."""
        return tuple(self.side(role) for role in WORKER_ROLES)

    def problem(self, key: str, value: object, rule: str, cure: str) -> Problem:
        """A problem with `key` of the layout's own file."""
        return Problem(f"{self.layout.folder}/{self.layout.name}/layout.yaml: {key}", value, rule, cure)


Rule = Callable[[Case], Iterator[Problem]]


def check(layout: Layout, profile: DynamoProfile) -> list[Problem]:
    """Everything that is wrong with `layout`, as `profile` runs it (see `layout.resolve`)."""
    case = Case(layout, profile)
    single = [*arguments.check(layout, profile), *environment.check(layout, profile)]
    told = {problem.key for problem in single}
    # A value that is wrong by itself takes part in no arithmetic.
    return [
        *single,
        *(problem for rule in RULES for problem in rule(case) if problem.key not in told),
        *check_graph(layout, graph.spec(layout, NOWHERE), layout.nodes),
    ]


def warnings(layout: Layout, profile: DynamoProfile) -> list[str]:
    """What is allowed and does nothing, or soon will."""
    return [*arguments.warnings(layout, profile), *environment.warnings(layout, profile)]


# The shape ---------------------------------------------------------------------------------------------------------


def parallelism_fills_the_nodes(case: Case) -> Iterator[Problem]:
    """One process a GPU, on every GPU of every node of a replica.

    Source: `check_server_args`: tp x pp is a multiple of nnodes; the operator starts one process group over
    nodeCount pods with 4 GPUs each. Data parallelism outside the tensor-parallel group multiplies the GPUs.
    """
    for side in case.sides:
        parallel = side.parallel
        if parallel.gpus != side.gpus and not _attention_is_missing(side):
            yield side.problem(
                "tensor-parallel-size",
                f"a {side.role} replica has {side.gpus} GPUs ({side.nodes} x {a4x.GPUS_PER_NODE}), and its parallel "
                f"sizes take {parallel.gpus}",
                f"make tp-size x pp-size {side.gpus}, or change {side.role}.nodesPerReplica",
            )


def data_parallel_attention_divides(case: Case) -> Iterator[Problem]:
    """Data parallelism over nodes is data-parallel attention, which cuts the tensor-parallel group evenly.

    Source: `check_server_args` (multi-node data parallel needs it), `_handle_data_parallelism` (tp % dp == 0; a
    size of 1 switches the flag off again without a word).
    """
    for side in case.sides:
        parallel, wanted = side.parallel, side.values.flag("enable-dp-attention")
        if _attention_is_missing(side):
            yield side.problem(
                "enable-dp-attention",
                f"data parallelism ({parallel.data}) over {side.nodes} nodes needs it",
                "set enable-dp-attention: true",
            )
        elif wanted and parallel.data <= 1:
            yield side.problem(
                "enable-dp-attention",
                f"SGLang switches it off without a word when the data-parallel size is {parallel.data}",
                "set dp-size, or leave the flag out",
            )
        elif wanted and parallel.tensor % parallel.data:
            yield side.problem(
                "data-parallel-size",
                f"with enable-dp-attention it divides the tensor-parallel size ({parallel.tensor})",
                "choose a divisor of it; DeepSeek layouts use the size itself",
            )


def expert_parallelism_is_whole(case: Case) -> Iterator[Problem]:
    """With DeepEP every GPU of the replica is a rank of the expert group.

    Source: `_handle_a2a_moe` sets the expert-parallel size to the tensor-parallel size, whatever was asked for;
    without it the size divides the tensor-parallel size.
    """
    for side in case.sides:
        parallel, backend = side.parallel, side.values.text("moe-a2a-backend")
        written = "expert-parallel-size" in side.values.written
        if backend in _WHOLE_EXPERTS and written and parallel.expert != parallel.tensor:
            yield side.problem(
                "expert-parallel-size",
                f"moe-a2a-backend: {backend} makes it the tensor-parallel size ({parallel.tensor}), whatever is given",
                f"set it to {parallel.tensor}",
            )
        elif backend not in _WHOLE_EXPERTS and parallel.expert > 0 and parallel.tensor % parallel.expert:
            yield side.problem(
                "expert-parallel-size",
                f"it divides the tensor-parallel size ({parallel.tensor})",
                "choose a divisor of it, or 1",
            )


def prefill_chunks_are_whole_pages(case: Case) -> Iterator[Problem]:
    """A chunk of a prompt fills whole pages of the KV cache, on every data-parallel rank.

    Source: `_handle_data_parallelism` divides the chunk by dp and drops the rest; `check_server_args` wants a
    multiple of the page size, except on decode; trtllm_mla's page has 64 tokens (32 if asked for).
    """
    for side in case.sides:
        chunk, parallel = side.values.integer("chunked-prefill-size"), side.parallel
        ranks = parallel.data if parallel.attention else 1
        if chunk is None or chunk <= 0:
            continue
        page = _page(side.values) if side.role == "prefill" else 1
        if chunk % (ranks * page):
            pages = f"whole pages of {page} tokens" if page > 1 else "the same number of tokens"
            yield side.problem(
                "chunked-prefill-size",
                f"each of {ranks} data-parallel ranks gets {pages}" if ranks > 1 else f"a chunk is {pages}",
                f"choose a multiple of {ranks * page}",
            )


def lm_head_needs_attention(case: Case) -> Iterator[Problem]:
    """A data-parallel output layer needs data-parallel attention.

    Source: `_handle_data_parallelism`.
    """
    for side in case.sides:
        if side.values.flag("enable-dp-lm-head") and not side.parallel.attention:
            yield side.problem(
                "enable-dp-lm-head",
                "it needs enable-dp-attention with a data-parallel size over 1",
                "set both, or leave it out",
            )


# DeepEP and experts ------------------------------------------------------------------------------------------------


def deepep_mode_suits_the_role(case: Case) -> Iterator[Problem]:
    """Prefill sends whole chunks (normal mode, no CUDA graphs), decode sends few tokens fast (low latency).

    Source: `_handle_a2a_moe` switches CUDA graphs off in normal mode; the low-latency dispatcher holds at most 1024
    tokens of a rank, fewer than a prompt's chunk has.
    """
    for side in case.sides:
        if not side.deepep:
            continue
        mode = side.values.text("deepep-mode") or "auto"
        if side.role == "decode" and mode == "normal":
            yield side.problem(
                "deepep-mode", "normal mode switches CUDA graphs off, which decode lives by", "set low_latency"
            )
        if side.role == "prefill" and mode == "low_latency":
            yield side.problem(
                "deepep-mode",
                f"the low-latency dispatcher takes up to {DISPATCH_MAX} tokens of a rank, fewer than a prompt's chunk",
                "set normal",
            )
        if mode == "normal" and not side.values.flag("disable-cuda-graph"):
            yield side.problem(
                "disable-cuda-graph",
                "deepep-mode: normal runs without CUDA graphs; a layout says what runs",
                "set disable-cuda-graph: true",
            )


def dispatch_buffer_holds_a_batch(case: Case) -> Iterator[Problem]:
    """Every token of a decode batch finds room in DeepEP's low-latency dispatch buffer.

    Source: the DeepEP dispatcher: default 128 tokens a rank, at most 1024; a rank's batch is the running requests
    over the data-parallel ranks, and CUDA graphs are captured up to cuda-graph-max-bs.
    """
    side = case.side("decode")
    if not side.deepep or side.values.text("deepep-mode") == "normal":
        return
    key, buffer = case.layout.key("decode", DISPATCH, "environment"), _dispatch(case.layout)
    if buffer is None:
        return
    value = case.layout.environment("decode").get(DISPATCH)
    if not 0 < buffer <= DISPATCH_MAX:
        yield Problem(key, value, f"DeepEP takes 1 to {DISPATCH_MAX} tokens a rank", "set it to cuda-graph-max-bs")
        return
    ranks = max(side.parallel.data, 1)
    for name, most in (("cuda-graph-max-bs", buffer), ("max-running-requests", buffer * ranks)):
        if side.values.raw(name) is None:
            yield side.problem(
                name,
                f"SGLang then chooses by the GPU's memory, and the dispatch buffer holds {buffer} tokens a rank",
                f"set it to {most}",
            )
    graphs, running = side.values.integer("cuda-graph-max-bs"), side.values.integer("max-running-requests")
    batch = None if running is None else -(-running // ranks)
    if graphs is not None and graphs != buffer:
        yield side.problem(
            "cuda-graph-max-bs",
            f"graphs up to this batch size dispatch through a buffer of {buffer} tokens a rank ({DISPATCH})",
            "make the two equal",
        )
    if batch is not None and batch > buffer:
        yield side.problem(
            "max-running-requests",
            f"over {ranks} ranks it is {batch} requests a rank, and the dispatch buffer holds {buffer} ({DISPATCH})",
            f"set it to {buffer * ranks} or fewer, or enlarge the buffer (up to {DISPATCH_MAX})",
        )


def deepep_is_switched_on(case: Case) -> Iterator[Problem]:
    """DeepEP's own arguments are there only where DeepEP is.

    Source: SGLang reads them in the DeepEP dispatcher, which `moe-a2a-backend: deepep` makes; without it they say
    nothing and experts are reached by collectives.
    """
    for side in case.sides:
        own = [side.values.name(name) for name in _DEEPEP if name in side.values.written]
        if own and not side.deepep:
            yield side.problem(
                "moe-a2a-backend",
                f"SGLang reads {' and '.join(own)} only with moe-a2a-backend: deepep",
                "set moe-a2a-backend: deepep, or leave the others out",
            )


def experts_are_dispatched(case: Case) -> Iterator[Problem]:
    """Tokens reach the copies of experts by an algorithm that there is, and that serves.

    Source: `ExpertLocationDispatchInfo` (static, dynamic, or fake, which routes at random and is for measuring
    only; none at all leaves the redundant experts idle) and `EplbAlgorithm` in SGLang's eplb package. SGLang's
    parser takes any text here.
    """
    for side in case.sides:
        algorithm, balance = side.values.text("ep-dispatch-algorithm"), side.values.text("eplb-algorithm")
        redundant = side.values.integer("ep-num-redundant-experts") or 0
        if algorithm is not None and algorithm not in _DISPATCH_ALGORITHMS:
            yield side.problem(
                "ep-dispatch-algorithm",
                f"algorithms that serve are {', '.join(_DISPATCH_ALGORITHMS)}",
                "set dynamic on prefill, static on decode, as the recipe",
            )
        elif algorithm is None and redundant > 0:
            yield side.problem(
                "ep-dispatch-algorithm",
                f"without it no token reaches the {redundant} redundant experts, which take memory all the same",
                "set dynamic on prefill, static on decode, as the recipe",
            )
        if balance is not None and balance not in _BALANCE_ALGORITHMS:
            yield side.problem(
                "eplb-algorithm",
                f"algorithms are {', '.join(_BALANCE_ALGORITHMS)}",
                "set deepseek as the recipe, or leave it out",
            )


def experts_divide(case: Case) -> Iterator[Problem]:
    """Every rank of the expert group holds the same number of experts.

    Source: `ExpertLocationMetadata` in SGLang's eplb package: (routed + redundant) % ep == 0; DeepSeek-R1 has 256
    routed experts.
    """
    if case.facts is None:
        return
    for side in case.sides:
        experts = case.facts.routed_experts + (side.values.integer("ep-num-redundant-experts") or 0)
        parallel = side.parallel
        ranks = parallel.tensor if side.deepep else parallel.expert
        if ranks > 1 and parallel.tensor % ranks == 0 and experts % ranks:
            yield side.problem(
                "ep-num-redundant-experts",
                f"{case.facts.routed_experts} experts and the redundant ones are {experts}, which {ranks} ranks cannot "
                "share evenly",
                f"set it to {-case.facts.routed_experts % ranks}, or that plus a multiple of {ranks}",
            )


def expert_kernels_suit_the_weights(case: Case) -> Iterator[Problem]:
    """Some expert kernels run some kinds of quantised weights only.

    Source: `_handle_moe_kernel_config`. For flashinfer_cutlass 0.5.4.post3 takes modelopt_fp4 alone; what 0.5.9
    takes beside it is let through on both.
    """
    for side in case.sides:
        backend, weights = side.values.text("moe-runner-backend"), side.values.text("quantization")
        suited = _EXPERT_KERNELS.get(backend or "")
        if suited is not None and weights not in suited:
            named = ", ".join(kind for kind in suited if kind)
            yield side.problem(
                "quantization",
                f"moe-runner-backend: {backend} runs experts in {named} only",
                "set quantization to one of these, or choose another moe-runner-backend",
            )


def dense_layers_are_not_cut(case: Case) -> Iterator[Problem]:
    """The tensor-parallel size of dense layers is 1 or left out.

    Source: `check_server_args`.
    """
    for side in case.sides:
        if side.values.integer("moe-dense-tp-size") not in (None, 1):
            yield side.problem("moe-dense-tp-size", "SGLang takes 1 or nothing", "set it to 1, or leave it out")


def deepep_config_is_complete(case: Case) -> Iterator[Problem]:
    """DeepEP's tuning has both halves, with one number of SMs.

    Source: `DeepEPConfig` in SGLang's DeepEP dispatcher. A value that is a path is not looked into.
    """
    for side in case.sides:
        text = side.values.text("deepep-config") or ""
        if not text.lstrip().startswith("{"):
            continue
        try:
            tuning: Mapping[str, Any] = json.loads(text)
        except json.JSONDecodeError:
            continue
        dispatch, combine = (_sms(tuning.get(half)) for half in ("normal_dispatch", "normal_combine"))
        if dispatch is None or dispatch != combine:
            yield side.problem(
                "deepep-config",
                "it holds normal_dispatch and normal_combine, both with the same num_sms",
                "compare with deepseek-r1-fp8-10p8d",
            )


# Requests and memory -----------------------------------------------------------------------------------------------


def context_holds_a_request(case: Case) -> Iterator[Problem]:
    """The longest request of the layout's own load fits, on both roles alike, and the model can read it.

    Source: the field: prompt and answer share the context; a request goes through both roles.
    """
    load = case.file.benchmark
    longest = load.input_tokens + load.output_tokens
    lengths = {side.role: side.values.integer("context-length") for side in case.sides}
    for side in case.sides:
        length = lengths[side.role]
        if length is None:
            continue
        if length < longest:
            yield side.problem(
                "context-length",
                f"the load has requests of {load.input_tokens} + {load.output_tokens} = {longest} tokens",
                f"set it to {longest} or more",
            )
        elif case.facts is not None and length > case.facts.max_context:
            yield side.problem(
                "context-length",
                f"the model was made for {case.facts.max_context} tokens",
                f"set it to {case.facts.max_context} or fewer",
            )
    if lengths["prefill"] != lengths["decode"]:
        yield case.side("decode").problem(
            "context-length",
            f"a request goes through both roles, and prefill's is {_shown(lengths['prefill'])}",
            "make the two equal",
        )


def prefill_holds_a_prompt(case: Case) -> Iterator[Problem]:
    """The token limit of a prefill rank lets at least one prompt of the load in.

    Source: the field: a prompt longer than `max-total-tokens` waits for ever.
    """
    side = case.side("prefill")
    tokens, prompt = side.values.integer("max-total-tokens"), case.file.benchmark.input_tokens
    if tokens is not None and 0 < tokens < prompt:
        yield side.problem(
            "max-total-tokens",
            f"a prompt of the load has up to {prompt} tokens",
            f"set it to {prompt} or more",
        )


def weights_leave_room(case: Case) -> Iterator[Problem]:
    """Weights fit into the memory that SGLang may take, and one request's KV cache beside them.

    Source: estimate.py; the sizes are estimates, so only what is far off is refused.
    """
    if case.facts is None:
        return
    for side in case.sides:
        share = side.values.number("mem-fraction-static")
        if share is not None and not 0 < share < 1:
            yield side.problem("mem-fraction-static", "it is a share of a GPU's memory", "choose one between 0 and 1")
            continue
        if side.parallel.gpus != side.gpus:
            continue
        found = estimate.memory(case.facts, side.values)
        needed = side.values.integer("context-length") or case.file.benchmark.input_tokens
        ranks = max(side.parallel.data, 1)
        if found.cache <= 0 or (side.values.integer("max-total-tokens") is None and found.tokens < needed * ranks):
            yield side.problem(
                "mem-fraction-static",
                f"weights take an estimated {found.weights / 1e9:.0f} GB of a GPU's "
                f"{estimate.GPU_MEMORY / 1e9:.0f} GB, which leaves no room for the KV cache of one request",
                "raise it, or spread the replica over more nodes",
            )


def load_fits_the_roles(case: Case) -> Iterator[Problem]:
    """The layout is measured with no more requests in flight than its roles run, and with enough to keep them so.

    Source: the field: beyond that the benchmark measures its own queue.
    """
    load = case.file.benchmark
    if load.prompts < load.concurrency:
        yield case.problem(
            "benchmark.prompts",
            load.prompts,
            f"fewer requests than are to be in flight ({load.concurrency})",
            f"set it to {load.concurrency} or more",
        )
    for side in case.sides:
        running = side.values.integer("max-running-requests")
        limit = None if running is None else running * case.layout.workers(side.role).replicas
        if limit is not None and 0 < limit < load.concurrency:
            yield case.problem(
                "benchmark.concurrency",
                load.concurrency,
                f"all {side.role} replicas together run {limit} requests (max-running-requests)",
                f"set it to {limit} or fewer",
            )


def counts_are_positive(case: Case) -> Iterator[Problem]:
    """What counts something is 1 or more.

    Source: the field; SGLang takes 0 and negative numbers here and fails later, or never does its work.
    """
    for side in case.sides:
        for name in _COUNTS:
            number = side.values.integer(name)
            if number is not None and number < 1:
                yield side.problem(name, "it counts something, so it is 1 or more", "set it to 1 or more")


# Between the roles -------------------------------------------------------------------------------------------------


def decode_balances_like_prefill(case: Case) -> Iterator[Problem]:
    """A decode role with data parallelism knows how prefill spread its requests.

    Source: `_handle_disaggregation` of SGLang 0.5.4.post3; 0.5.9 does without (the profile says which).
    """
    if not case.profile.decode_needs_round_robin_balance:
        return
    prefill, decode = case.side("prefill"), case.side("decode")
    if decode.parallel.data > 1 and not decode.values.flag("prefill-round-robin-balance"):
        yield decode.problem(
            "prefill-round-robin-balance",
            f"SGLang {case.profile.sglang} refuses decode with a data-parallel size over 1 without it",
            "set prefill-round-robin-balance: true",
        )
    method = prefill.values.text("load-balance-method")
    if decode.values.flag("prefill-round-robin-balance") and method not in (None, "round_robin"):
        yield prefill.problem(
            "load-balance-method",
            "decode counts on prefill's round robin (prefill-round-robin-balance)",
            "set round_robin, or leave it out",
        )


def roles_meet_at_one_port(case: Case) -> Iterator[Problem]:
    """Decode finds prefill's bootstrap server: the same port on both roles, and not one that is taken.

    Source: dynamo issue 4855 (connection refused); 9090 is the operator's system port, 29500 its rendezvous.
    """
    prefill, decode = case.side("prefill"), case.side("decode")
    name = "disaggregation-bootstrap-port"
    ports = [side.values.integer(name) for side in (prefill, decode)]
    for side, port in zip((prefill, decode), ports, strict=True):
        own = side.values.integer("port")
        if port is None:
            rule = "without it dynamo.sglang takes a free port, which the other role does not know"
            yield side.problem(name, rule, "set it on both roles, to 30001 as the recipe")
        elif port in (SYSTEM_PORT, START_PORT, own) or not 1024 <= port <= 65535:
            taken = f"not {SYSTEM_PORT} (system port), {START_PORT} (rendezvous) or the role's own port"
            yield side.problem(name, f"a free port from 1024 to 65535, {taken}", "set it to 30001 as the recipe")
    if None not in ports and ports[0] != ports[1]:
        yield decode.problem(name, f"prefill listens on {ports[0]}", f"set it to {ports[0]}, or change both")


def roles_listen_to_all(case: Case) -> Iterator[Problem]:
    """Both roles listen on all addresses of the pod.

    Source: dynamo issues 4855 and 1148: SGLang's default is 127.0.0.1, which no other pod reaches.
    """
    for side in case.sides:
        if side.values.text("host") != "0.0.0.0":  # noqa: S104 - the rule itself
            yield side.problem("host", "other pods reach the bootstrap server only on all addresses", "set 0.0.0.0")


def port_is_one(case: Case) -> Iterator[Problem]:
    """The server's own port is one.

    Source: the field. SGLang derives further ports from it (port + 100 and up), so room is left above.
    """
    for side in case.sides:
        port = side.values.integer("port")
        if port is not None and not 1024 <= port <= 60000:
            yield side.problem("port", "a port from 1024 to 60000", "set it to 9090 as the recipe, or leave it out")


def roles_are_themselves(case: Case) -> Iterator[Problem]:
    """Each role's arguments say the role.

    Source: the operator hands the role to no argument; two prefill roles start and answer nothing.
    """
    for side in case.sides:
        if side.values.text("disaggregation-mode") != side.role:
            yield side.problem(
                "disaggregation-mode", f"these are the arguments of {side.role}", f"set it to {side.role}"
            )


def cache_is_moved_for_real(case: Case) -> Iterator[Problem]:
    """The KV cache travels from prefill to decode.

    Source: SGLang's `fake` transfer backend is for measuring one role alone: decode answers from an empty cache.
    """
    for side in case.sides:
        if side.values.text("disaggregation-transfer-backend") == "fake":
            yield side.problem(
                "disaggregation-transfer-backend",
                "fake moves nothing, so decode answers from an empty cache",
                "set nixl or mooncake",
            )


def roles_share_the_cache(case: Case) -> Iterator[Problem]:
    """What decode gets from prefill is what it expects: bytes of the KV cache, moved the same way, same weights.

    Source: SGLang moves pages of the KV cache as they lie in memory; a layout sets these on both roles or on none.
    """
    prefill, decode = case.side("prefill"), case.side("decode")
    for name in ("kv-cache-dtype", "page-size", "disaggregation-transfer-backend", "quantization", "attention-backend"):
        ours, theirs = decode.values.text(name), prefill.values.text(name)
        if ours != theirs:
            yield decode.problem(name, f"both roles share it, and prefill's is {_shown(theirs)}", "make the two equal")


def trtllm_attention_reads_the_cache(case: Case) -> Iterator[Problem]:
    """TRT-LLM's MLA kernels read these types of KV cache only.

    Source: `_handle_attention_backend_compatibility`.
    """
    for side in case.sides:
        cache = side.values.text("kv-cache-dtype") or "auto"
        if side.values.text("attention-backend") == "trtllm_mla" and cache not in _TRTLLM_CACHE:
            yield side.problem(
                "kv-cache-dtype",
                "attention-backend: trtllm_mla does not read it",
                f"set it to one of {', '.join(_TRTLLM_CACHE)}",
            )


def served_name_is_the_model(case: Case) -> Iterator[Problem]:
    """Workers are known by the model's id, by which frontends find the tokenizer and users ask.

    Source: dynamo issues 4748, 4976, 11650.
    """
    for side in case.sides:
        if side.values.text("served-model-name") != case.layout.model:
            yield side.problem(
                "served-model-name",
                f"frontends load the tokenizer by this name, and the model is {case.layout.model}",
                f"set it to {case.layout.model}",
            )


def fits_one_rack(case: Case) -> Iterator[Problem]:
    """Prefill and decode share one NVLink domain.

    Source: Google's A4X pages: 18 nodes of 4 GPUs; the ComputeDomain counts exactly the layout's nodes.
    """
    if case.layout.nodes > a4x.NODES_PER_DOMAIN:
        counted = " + ".join(f"{w.replicas} x {w.nodes_per_replica}" for w in (case.file.prefill, case.file.decode))
        yield case.problem(
            "prefill.replicas",
            case.file.prefill.replicas,
            f"{counted} = {case.layout.nodes} nodes, and one NVLink domain has {a4x.NODES_PER_DOMAIN}",
            "take fewer replicas or nodes; two layouts make two stacks in two domains",
        )


RULES: Final[tuple[Rule, ...]] = (
    parallelism_fills_the_nodes,
    data_parallel_attention_divides,
    expert_parallelism_is_whole,
    prefill_chunks_are_whole_pages,
    lm_head_needs_attention,
    deepep_mode_suits_the_role,
    dispatch_buffer_holds_a_batch,
    experts_divide,
    deepep_is_switched_on,
    experts_are_dispatched,
    expert_kernels_suit_the_weights,
    dense_layers_are_not_cut,
    deepep_config_is_complete,
    context_holds_a_request,
    prefill_holds_a_prompt,
    weights_leave_room,
    load_fits_the_roles,
    counts_are_positive,
    decode_balances_like_prefill,
    roles_meet_at_one_port,
    roles_listen_to_all,
    port_is_one,
    roles_are_themselves,
    cache_is_moved_for_real,
    roles_share_the_cache,
    trtllm_attention_reads_the_cache,
    served_name_is_the_model,
    fits_one_rack,
)


def check_graph(layout: Layout, spec: Mapping[str, Any], domain_nodes: int) -> Iterator[Problem]:
    """A graph's pods take whole nodes, and its ComputeDomain counts exactly those nodes.

    Source: A4X passes a node's 4 GPUs and its NVLink channel to one pod; a ComputeDomain that counts other nodes
    than run is never ready. `spec` is what `graph.spec` makes, `domain_nodes` the ComputeDomain's numNodes.
    """
    counted = 0
    for role in WORKER_ROLES:
        service = spec["services"][graph.SERVICES[role]]
        nodes = service["replicas"] * service.get("multinode", {"nodeCount": 1})["nodeCount"]
        counted += nodes
        gpus = service["resources"]["limits"]["gpu"]
        if gpus != str(a4x.GPUS_PER_NODE):
            yield Problem(
                f"{layout.name}: {role} GPUs of a pod",
                gpus,
                f"a pod takes all {a4x.GPUS_PER_NODE} GPUs of its node",
                f"set resources.limits.gpu to {a4x.GPUS_PER_NODE}",
            )
        if nodes != layout.workers(role).nodes:
            yield Problem(
                f"{layout.name}: {role} pods",
                nodes,
                f"the layout has {layout.workers(role).nodes} {role} nodes",
                "make replicas and multinode.nodeCount those of the layout",
            )
    if counted != domain_nodes:
        yield Problem(
            f"{layout.name}: ComputeDomain numNodes",
            domain_nodes,
            f"the graph's workers run on {counted} nodes",
            f"set it to {counted}",
        )


NOWHERE: Final = graph.Placement(
    stack="",
    image="",
    frontend_image="",
    frontend_replicas=1,
    frontend_side="a4x",
    node_pool="",
    bucket="",
    service_account="",
    claim_template="",
    config_maps={"prefill": "", "decode": ""},
)
"""Stands for a placement where only the shape of a graph is looked at."""


def _attention_is_missing(side: Side) -> bool:
    return side.parallel.data > 1 and side.nodes > 1 and not side.values.flag("enable-dp-attention")


def _page(values: Values) -> int:
    asked = values.integer("page-size")
    if values.text("attention-backend") == "trtllm_mla":
        return asked if asked in (32, PAGE) else PAGE
    return 1 if asked is None or asked < 1 else asked


def _sms(half: Any) -> Any:
    return half.get("num_sms") if isinstance(half, Mapping) else None  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType] - JSON is untyped


def _dispatch(layout: Layout) -> int | None:
    text = layout.environment("decode").get(DISPATCH, str(DISPATCH_DEFAULT))
    return int(text) if text.lstrip("-").isdigit() else None


def _shown(value: object) -> str:
    return "not set" if value is None else str(value)
