"""Estimates for a layout: GPUs, memory for weights and KV cache, price. Arithmetic, not a measurement.

Weights on a GPU: its share of the routed experts, and the rest of the model. With data-parallel attention every
rank holds the rest whole (attention, shared experts, dense layers; `moe-dense-tp-size: 1` and `enable-dp-lm-head`
do the same for the others), otherwise it is split over the tensor-parallel group. All parameters count with the
model's `bytesPerParameter`, which underestimates embeddings and norms, kept in 16 bits, by about 2 GB. Activations,
CUDA graphs and communication buffers use what `mem-fraction-static` leaves free and are not counted.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from reference.machines import A4X
from serving_rules import arguments
from serving_rules.arguments import Catalog, Parallelism, Values
from serving_rules.layout import Layout, ModelFacts, WorkerRole

DEFAULT_MEMORY_SHARE: Final = 0.88
"""Assumed if `mem-fraction-static` is not set; SGLang then chooses a value itself."""

_KV_BYTES: Final = {"fp8_e4m3": 1.0, "fp8_e5m2": 1.0, "fp4_e2m1": 0.5}
"""Bytes of a KV cache element; SGLang's `auto` follows the model: 2 bytes."""


@dataclass(frozen=True)
class Memory:
    """One GPU of a role, in bytes and tokens."""

    weights: float
    cache: float
    """Bytes left for the KV cache; negative if the weights do not fit."""
    tokens: int
    """Tokens in the KV cache of one replica (data-parallel ranks hold different ones)."""


def weights(facts: ModelFacts, parallel: Parallelism, redundant: int) -> float:
    """Bytes of weights on one GPU."""
    routed = facts.moe_layers * facts.routed_experts * facts.expert_parameters
    others = (facts.parameters - routed) / parallel.pipeline
    ranks = parallel.tensor * parallel.pipeline
    copies = (facts.routed_experts + redundant) / facts.routed_experts if facts.routed_experts else 1
    rest = others if parallel.attention else others / parallel.tensor
    return (routed * copies / ranks + rest) * facts.bytes_per_parameter


def memory(facts: ModelFacts, values: Values) -> Memory:
    """Memory of one GPU of a role with the arguments `values`."""
    parallel = values.parallelism
    share = values.number("mem-fraction-static")
    loaded = weights(facts, parallel, values.integer("ep-num-redundant-experts") or 0)
    cache = A4X.gpu_memory * (DEFAULT_MEMORY_SHARE if share is None else share) - loaded
    element = _KV_BYTES.get(values.text("kv-cache-dtype") or "auto", 2.0)
    token = facts.kv_elements * facts.layers / parallel.pipeline * element
    # MLA caches one latent vector for each token, the same on all tensor-parallel ranks.
    tokens = max(0, int(cache / token)) * parallel.data
    limit = values.integer("max-total-tokens")
    return Memory(loaded, cache, tokens if limit is None else min(tokens, limit * parallel.data))


def line(layout: Layout, known: Catalog, frontends: int, price: float | None = None) -> str:
    """One-line estimate for `layout`; `price` is that of one GPU hour."""
    roles = [f"{w.replicas} x {w.nodes_per_replica} {role}" for role, w in layout.file.roles.items()]
    text = f"{layout.gpus} GPUs on {layout.nodes} nodes: {', '.join(roles)}, {frontends} frontends"
    context = arguments.values(layout.arguments("decode"), known).integer("context-length")
    text += f"; context {context} tokens" if context else ""
    if layout.file.model_facts is not None:
        text += f"; estimated {'; '.join(_memory_of(layout, role, known) for role in layout.file.roles)}"
    if price is not None:
        text += f"; {layout.gpus * price:,.2f} an hour at {price:g} a GPU hour"
    return text


def _memory_of(layout: Layout, role: WorkerRole, known: Catalog) -> str:
    facts = layout.file.model_facts
    if facts is None:
        return ""
    found = memory(facts, arguments.values(layout.arguments(role), known))
    return (
        f"{role} {found.weights / 1e9:.0f} of {A4X.gpu_memory / 1e9:.0f} GB weights a GPU, "
        f"room for {found.tokens / 1e6:.2f} M KV tokens a replica"
    )
