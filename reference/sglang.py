"""SGLang releases: what of the layouts, which are written for the recipe's 0.5.4.post3, a release takes otherwise.

Read in the released wheels and tried with each release's own parser and `--config` reader
(`tests/conformance/test_sglang_config_reader.py`). Which arguments a release has is in `serving_rules/catalog/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True)
class Migration:
    """A server argument or environment variable of the layouts that a release does not accept as written."""

    name: str
    """Argument (without dashes) or variable to remove."""

    reason: str
    arguments: Mapping[str, str | int | float | bool] = field(default_factory=dict[str, "str | int | float | bool"])
    """Replacement arguments."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Replacement variables."""


Kernels = Mapping[str, tuple[str, ...]]
"""Kinds of quantized weights by the expert kernels (`moe-runner-backend`) that run them. Where a layout names none, the
model's files decide."""


@dataclass(frozen=True, kw_only=True)
class SglangRelease:
    """One SGLang release, as the layouts meet it."""

    version: str
    decode_needs_round_robin_balance: bool = False
    """Whether it rejects a decode role with data parallelism but no `prefill-round-robin-balance`."""
    migrations: tuple[Migration, ...] = ()
    """Changes to the layouts' arguments and variables."""

    kernels: Kernels
    """Expert kernels that run some kinds of weights only (`_handle_moe_kernel_config`)."""
    whole_kernels: tuple[str, ...] = ("flashinfer_cutlass",)
    """Expert kernels that take an expert-parallel size of 1 or the tensor-parallel size only (the same function)."""
    flashinfer_dispatch: tuple[str, ...] = ("flashinfer_cutlass",)
    """Expert kernels that FlashInfer's dispatch between GPUs (`moe-a2a-backend: flashinfer`) takes."""
    flashinfer_dispatch_is_whole: bool = False
    """Whether that dispatch takes a data-parallel size only that is the tensor-parallel size."""
    balance_algorithms: tuple[str, ...]
    """`EplbAlgorithm` of SGLang's eplb package."""
    mla_caches: tuple[str, ...] = ("fp8_e4m3", "fp4_e2m1", "bf16", "auto")
    """Types of the KV cache that attention-backend: trtllm_mla reads."""
    dense_over_all: bool = False
    """Whether the tensor-parallel size of dense layers may be that of the role, beside 1 (`check_server_args`)."""


_ROUND_ROBIN: Final = Migration(
    "prefill-round-robin-balance",
    "SGLang does without it from 0.5.8 on, and its --config reader refuses the deprecated argument",
)
_FLASHINFER_GEMM: Final = Migration(
    "SGLANG_ENABLE_FLASHINFER_GEMM",
    "deprecated in SGLang 0.5.9 for an argument, and gone from 0.5.10 on",
    arguments={"fp8-gemm-backend": "flashinfer_trtllm"},
)
_MEMORY_CHECK: Final = Migration(
    "SGL_DISABLE_TP_MEMORY_INBALANCE_CHECK",
    "from SGLang 0.5.9 on its value is copied to SGLANG_ENABLE_..., which means the opposite, or nothing reads it",
    environment={"SGLANG_ENABLE_TP_MEMORY_INBALANCE_CHECK": "0"},
)
_CUDA_GRAPH: Final = Migration(
    "disable-cuda-graph",
    "deprecated from SGLang 0.5.14 on, whose --config reader refuses it; deepep-mode: normal disables graphs by itself",
)
_FROM_0_5_8: Final = (_ROUND_ROBIN, _FLASHINFER_GEMM, _MEMORY_CHECK)

_BALANCE: Final = ("auto", "deepseek", "deepseek_hierarchical", "deepseek_vec", "deepseek_vec_hierarchical")
_BALANCE_0_5_4: Final = (*_BALANCE, "elasticity_aware")
_BALANCE_0_5_10: Final = (*_BALANCE_0_5_4, "elasticity_aware_hierarchical")

_TRTLLM: Final = ("fp8", "modelopt_fp8", "modelopt_fp4")
_TRTLLM_0_5_8: Final = (*_TRTLLM, "compressed-tensors")
_CUTLASS: Final = ("modelopt_fp8", "modelopt_fp4")
# From 0.5.9 on mxfp8 goes with every kernel: SGLang replaces one that cannot run it.
_TRTLLM_0_5_10: Final = ("mxfp8", "modelopt_mixed", *_TRTLLM_0_5_8)
_CUTLASS_0_5_10: Final = ("mxfp8", "modelopt_mixed", *_CUTLASS)
_ROUTED: Final = ("fp8", "mxfp8")
_TRTLLM_0_5_14: Final = (*_TRTLLM_0_5_10, "nvfp4_online")
_ROUTED_0_5_14: Final = (*_ROUTED, "modelopt_fp4", "nvfp4_online")
_NEWEST: Final[Kernels] = {
    "flashinfer_trtllm": _TRTLLM_0_5_14,
    "experimental_sgl_trtllm": _TRTLLM_0_5_14,
    "flashinfer_trtllm_routed": (*_ROUTED_0_5_14, "modelopt_mixed"),
    "flashinfer_cutlass": _CUTLASS_0_5_10,
}
"""0.5.16 and later: flashinfer_cutedsl also takes what it finds in a model's files."""
_CUTEDSL: Final = ("flashinfer_cutlass", "flashinfer_cutedsl")
_ROUTED_DISPATCH: Final = (*_CUTEDSL, "flashinfer_trtllm_routed")

RELEASES: Final[Mapping[str, SglangRelease]] = {
    release.version: release
    for release in (
        SglangRelease(
            version="0.5.4.post3",
            decode_needs_round_robin_balance=True,
            kernels={"flashinfer_trtllm": _TRTLLM, "flashinfer_cutlass": ("modelopt_fp4",)},
            balance_algorithms=_BALANCE_0_5_4,
            mla_caches=("fp8_e4m3", "fp4_e2m1", "auto"),
        ),
        SglangRelease(
            version="0.5.8",
            migrations=_FROM_0_5_8,
            kernels={"flashinfer_trtllm": _TRTLLM_0_5_8, "flashinfer_cutlass": _CUTLASS},
            balance_algorithms=_BALANCE_0_5_4,
        ),
        SglangRelease(
            version="0.5.9",
            migrations=_FROM_0_5_8,
            kernels={"flashinfer_trtllm": ("mxfp8", *_TRTLLM_0_5_8), "flashinfer_cutlass": ("mxfp8", *_CUTLASS)},
            balance_algorithms=_BALANCE_0_5_4,
        ),
        SglangRelease(
            version="0.5.10.post1",
            migrations=_FROM_0_5_8,
            kernels={
                "flashinfer_trtllm": _TRTLLM_0_5_10,
                "flashinfer_trtllm_routed": _ROUTED,
                "flashinfer_cutlass": _CUTLASS_0_5_10,
            },
            balance_algorithms=_BALANCE_0_5_10,
        ),
        SglangRelease(
            version="0.5.11",
            migrations=_FROM_0_5_8,
            kernels={
                "flashinfer_trtllm": _TRTLLM_0_5_10,
                "flashinfer_trtllm_routed": (*_ROUTED, "modelopt_fp4"),
                "flashinfer_cutlass": _CUTLASS_0_5_10,
                "flashinfer_cutedsl": ("mxfp8", "modelopt_fp4"),
            },
            whole_kernels=_CUTEDSL,
            balance_algorithms=_BALANCE_0_5_10,
        ),
        SglangRelease(
            version="0.5.14",
            migrations=(*_FROM_0_5_8, _CUDA_GRAPH),
            kernels={
                **_NEWEST,
                "flashinfer_trtllm_routed": _ROUTED_0_5_14,
                "flashinfer_cutedsl": ("mxfp8", "modelopt_fp4"),
            },
            whole_kernels=_CUTEDSL,
            flashinfer_dispatch=_CUTEDSL,
            flashinfer_dispatch_is_whole=True,
            balance_algorithms=_BALANCE_0_5_10,
            dense_over_all=True,
        ),
        *(
            SglangRelease(
                version=version,
                migrations=(*_FROM_0_5_8, _CUDA_GRAPH),
                kernels=_NEWEST,
                whole_kernels=_CUTEDSL,
                flashinfer_dispatch=_ROUTED_DISPATCH,
                flashinfer_dispatch_is_whole=True,
                balance_algorithms=_BALANCE_0_5_10,
                dense_over_all=True,
            )
            for version in ("0.5.16", "0.5.18")
        ),
    )
}
"""Releases that have a catalog, by version."""
