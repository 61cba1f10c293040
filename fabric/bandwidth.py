"""Bus bandwidth and its minimums. The formulas are those of NVIDIA's nccl-tests (doc/PERFORMANCE.md).

Bus bandwidth is what each link has carried, so it does not depend on the number of GPUs.
"""

from __future__ import annotations

from dataclasses import dataclass

from fabric.config import Config


@dataclass(frozen=True)
class Measured:
    """Result of a test, in GB/s."""

    gpus: int
    size: int
    """Bytes of the whole buffer."""
    all_gather: float
    all_reduce: float

    def __str__(self) -> str:
        return (
            f"all_gather {self.all_gather:.1f} GB/s, all_reduce {self.all_reduce:.1f} GB/s "
            f"({self.gpus} GPUs, {self.size / 2**30:.1f} GiB)"
        )


def all_gather(size: int, seconds: float, ranks: int) -> float:
    """GB/s, where `size` is the sum of all ranks' shares in bytes."""
    return size / seconds * (ranks - 1) / ranks / 1e9


def all_reduce(size: int, seconds: float, ranks: int) -> float:
    """GB/s, where each rank has `size` bytes."""
    return size / seconds * 2 * (ranks - 1) / ranks / 1e9


def shortfall(config: Config, measured: Measured) -> str:
    """What is slower than its minimum; empty if nothing is."""
    wanted = (
        ("all_gather", measured.all_gather, config.all_gather),
        ("all_reduce", measured.all_reduce, config.all_reduce),
    )
    return ", ".join(
        f"{name} {found:.1f} GB/s, at least {least:g} required"
        for name, found, least in wanted
        # NaN counts as too slow.
        if not found >= least
    )
