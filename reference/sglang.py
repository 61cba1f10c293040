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


@dataclass(frozen=True, kw_only=True)
class SglangRelease:
    """One SGLang release, as the layouts meet it."""

    version: str
    decode_needs_round_robin_balance: bool = False
    """Whether it rejects a decode role with data parallelism but no `prefill-round-robin-balance`."""
    migrations: tuple[Migration, ...] = ()
    """Changes to the layouts' arguments and variables."""


_ROUND_ROBIN: Final = Migration(
    "prefill-round-robin-balance",
    "SGLang does without it from 0.5.9 on, and its --config reader refuses the deprecated argument",
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
_FROM_0_5_9: Final = (_ROUND_ROBIN, _FLASHINFER_GEMM, _MEMORY_CHECK)

RELEASES: Final[Mapping[str, SglangRelease]] = {
    release.version: release
    for release in (
        SglangRelease(version="0.5.4.post3", decode_needs_round_robin_balance=True),
        SglangRelease(version="0.5.8", migrations=_FROM_0_5_9),
        SglangRelease(version="0.5.9", migrations=_FROM_0_5_9),
        SglangRelease(version="0.5.10.post1", migrations=_FROM_0_5_9),
        SglangRelease(version="0.5.11", migrations=_FROM_0_5_9),
        SglangRelease(version="0.5.14", migrations=(*_FROM_0_5_9, _CUDA_GRAPH)),
        SglangRelease(version="0.5.16", migrations=(*_FROM_0_5_9, _CUDA_GRAPH)),
        SglangRelease(version="0.5.18", migrations=(*_FROM_0_5_9, _CUDA_GRAPH)),
    )
}
"""Releases that have a catalog, by version."""
