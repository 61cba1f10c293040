"""What prefill and decode must agree on, and how they connect."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reference.machines import A4X
from serving_rules.rules.context import Context, shown
from validation.problems import Problem

SYSTEM_PORT: Final = 9090
START_PORT: Final = 29500


def decode_balances_like_prefill(context: Context) -> Iterator[Problem]:
    """A decode role with data parallelism knows how prefill distributes requests.

    Source: `_handle_disaggregation` of SGLang 0.5.4.post3; later ones do not need it.
    """
    if not context.profile.server.decode_needs_round_robin_balance:
        return
    prefill, decode = context.role("prefill"), context.role("decode")
    if decode.parallel.data > 1 and not decode.values.flag("prefill-round-robin-balance"):
        yield decode.problem(
            "prefill-round-robin-balance",
            f"SGLang {context.profile.sglang} refuses decode with a data-parallel size over 1 without it",
            "set prefill-round-robin-balance: true",
        )
    method = prefill.values.text("load-balance-method")
    if decode.values.flag("prefill-round-robin-balance") and method not in (None, "round_robin"):
        yield prefill.problem(
            "load-balance-method",
            "decode counts on prefill's round robin (prefill-round-robin-balance)",
            "set round_robin, or leave it out",
        )


def roles_meet_at_one_port(context: Context) -> Iterator[Problem]:
    """Decode can reach prefill's bootstrap server: the same, free port on both roles.

    Source: dynamo issue 4855 (connection refused); 9090 is the operator's system port, 29500 its rendezvous.
    """
    prefill, decode = context.role("prefill"), context.role("decode")
    name = "disaggregation-bootstrap-port"
    ports = [role.values.integer(name) for role in (prefill, decode)]
    for role, port in zip((prefill, decode), ports, strict=True):
        own = role.values.integer("port")
        if port is None:
            rule = "without it dynamo.sglang takes a free port, which the other role does not know"
            yield role.problem(name, rule, "set it on both roles, to 30001 as the recipe")
        elif port in (SYSTEM_PORT, START_PORT, own) or not 1024 <= port <= 65535:
            taken = f"not {SYSTEM_PORT} (system port), {START_PORT} (rendezvous) or the role's own port"
            yield role.problem(name, f"a free port from 1024 to 65535, {taken}", "set it to 30001 as the recipe")
    if None not in ports and ports[0] != ports[1]:
        yield decode.problem(name, f"prefill listens on {ports[0]}", f"set it to {ports[0]}, or change both")


def roles_listen_to_all(context: Context) -> Iterator[Problem]:
    """Both roles listen on all addresses of the pod.

    Source: dynamo issues 4855 and 1148: SGLang's default is 127.0.0.1, which no other pod can reach.
    """
    for role in context.roles:
        if role.values.text("host") != "0.0.0.0":  # noqa: S104 - the rule itself
            yield role.problem("host", "other pods reach the bootstrap server only on all addresses", "set 0.0.0.0")


def port_is_valid(context: Context) -> Iterator[Problem]:
    """The server's own port is valid.

    Reason: SGLang derives more ports from it (port + 100 and up), so there must be room above.
    """
    for role in context.roles:
        port = role.values.integer("port")
        if port is not None and not 1024 <= port <= 60000:
            yield role.problem("port", "a port from 1024 to 60000", "set it to 9090 as the recipe, or leave it out")


def mode_matches_role(context: Context) -> Iterator[Problem]:
    """Each role's arguments name the role.

    Source: the operator does not set it; two prefill roles start and answer nothing.
    """
    for role in context.roles:
        if role.values.text("disaggregation-mode") != role.name:
            yield role.problem(
                "disaggregation-mode", f"these are the arguments of {role.name}", f"set it to {role.name}"
            )


def transfer_backend_is_real(context: Context) -> Iterator[Problem]:
    """The KV cache is really transferred from prefill to decode.

    Source: SGLang's `fake` transfer backend is for measuring a single role: decode answers from an empty cache.
    """
    for role in context.roles:
        if role.values.text("disaggregation-transfer-backend") == "fake":
            yield role.problem(
                "disaggregation-transfer-backend",
                "fake moves nothing, so decode answers from an empty cache",
                "set nixl or mooncake",
            )


def roles_share_the_cache(context: Context) -> Iterator[Problem]:
    """Format of the KV cache, transfer backend and weights are the same on both roles.

    Source: SGLang transfers pages of the KV cache as raw memory; a layout sets these on both roles or on none. The kind
    of weights is otherwise read from the model's files, so it may be said of one role alone.
    """
    prefill, decode = context.role("prefill"), context.role("decode")
    for name in ("kv-cache-dtype", "page-size", "disaggregation-transfer-backend", "quantization", "attention-backend"):
        ours, theirs = decode.values.text(name), prefill.values.text(name)
        if ours != theirs and not (name == "quantization" and None in (ours, theirs)):
            yield decode.problem(name, f"both roles share it, and prefill's is {shown(theirs)}", "make the two equal")


def trtllm_attention_reads_the_cache(context: Context) -> Iterator[Problem]:
    """TRT-LLM's MLA kernels support only some KV cache types.

    Source: `_handle_attention_backend_compatibility` of each release.
    """
    caches = context.profile.server.mla_caches
    for role in context.roles:
        cache = role.values.text("kv-cache-dtype") or "auto"
        if role.values.text("attention-backend") == "trtllm_mla" and cache not in caches:
            yield role.problem(
                "kv-cache-dtype",
                "attention-backend: trtllm_mla does not read it",
                f"set it to one of {', '.join(caches)}",
            )


def served_name_is_the_model(context: Context) -> Iterator[Problem]:
    """Workers serve under the model's id, which frontends use to find the tokenizer and users in requests.

    Source: dynamo issues 4748, 4976, 11650.
    """
    for role in context.roles:
        if role.values.text("served-model-name") != context.layout.model:
            yield role.problem(
                "served-model-name",
                f"frontends load the tokenizer by this name, and the model is {context.layout.model}",
                f"set it to {context.layout.model}",
            )


def fits_one_rack(context: Context) -> Iterator[Problem]:
    """Prefill and decode share one NVLink domain.

    Source: Google's A4X pages: 18 nodes of 4 GPUs; the ComputeDomain counts exactly the layout's nodes.
    """
    if context.layout.nodes > A4X.nodes_per_domain:
        counted = " + ".join(f"{w.replicas} x {w.nodes_per_replica}" for w in context.file.roles.values())
        yield context.problem(
            "prefill.replicas",
            context.file.prefill.replicas,
            f"{counted} = {context.layout.nodes} nodes, and one NVLink domain has {A4X.nodes_per_domain}",
            "take fewer replicas or nodes; two layouts make two stacks in two domains",
        )
