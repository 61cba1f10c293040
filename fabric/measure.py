"""One measuring process: one GPU, one rank. Never run with GPUs; written from PyTorch's documentation.

It also checks the data: a fabric that is fast and corrupts data is broken.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import importlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from fabric import bandwidth
from fabric.bandwidth import Measured
from fabric.ranks import RESULT, SECONDS

SIZE: Final = 8 * 2**30
"""Bytes of the whole buffer: large, so that bandwidth dominates and not latency."""
_ELEMENT: Final = 2
"""Bytes of a bfloat16, which represents every rank's number exactly."""
_ALIGNED: Final = 1024
"""A rank's share is a multiple of this many elements."""
WARM_UP, ROUNDS = 5, 20


def share_of(ranks: int) -> int:
    """Elements of each rank's share of the buffer."""
    return SIZE // _ELEMENT // ranks // _ALIGNED * _ALIGNED


def main() -> None:
    """Measure, configured by environment variables; the first rank writes the result."""
    # Only the serving image has it.
    torch: Any = importlib.import_module("torch")
    distributed: Any = importlib.import_module("torch.distributed")
    rank, ranks, local = (int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    device = torch.device("cuda", local)
    torch.cuda.set_device(device)
    limit = dt.timedelta(seconds=int(os.environ[SECONDS]))
    distributed.init_process_group("nccl", timeout=limit, device_id=device)
    found = _measure(torch, distributed, rank, ranks)
    distributed.destroy_process_group()
    if rank == 0:
        Path(os.environ[RESULT]).write_text(json.dumps(dataclasses.asdict(found)), encoding="utf-8")


def _measure(torch: Any, distributed: Any, rank: int, ranks: int) -> Measured:
    count = share_of(ranks)
    share = torch.full((count,), float(rank), dtype=torch.bfloat16, device="cuda")
    whole = torch.empty(count * ranks, dtype=torch.bfloat16, device="cuda")
    size = count * ranks * _ELEMENT

    def gather() -> None:
        distributed.all_gather_into_tensor(whole, share)

    def reduce() -> None:
        distributed.all_reduce(whole)

    gather()
    numbers = torch.arange(ranks, dtype=torch.bfloat16, device="cuda").unsqueeze(1)
    _require(bool((whole.view(ranks, count) == numbers).all()), "all_gather", rank)
    whole.fill_(1.0)
    reduce()
    _require(bool((whole == float(ranks)).all()), "all_reduce", rank)
    gathered = _seconds(torch, distributed, gather)
    # Repeated sums of zeros stay zero.
    whole.zero_()
    reduced = _seconds(torch, distributed, reduce)
    return Measured(
        gpus=ranks,
        size=size,
        all_gather=bandwidth.all_gather(size, gathered, ranks),
        all_reduce=bandwidth.all_reduce(size, reduced, ranks),
    )


def _require(right: bool, what: str, rank: int) -> None:
    if not right:
        raise RuntimeError(f"{what} brought wrong data to rank {rank}")


def _seconds(torch: Any, distributed: Any, collective: Callable[[], None]) -> float:
    """Duration of one round on the slowest rank."""
    for _ in range(WARM_UP):
        collective()
    distributed.barrier()
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    for _ in range(ROUNDS):
        collective()
    end.record()
    torch.cuda.synchronize()
    slowest = torch.tensor([begin.elapsed_time(end) / 1000 / ROUNDS], dtype=torch.float64, device="cuda")
    distributed.all_reduce(slowest, op=distributed.ReduceOp.MAX)
    return float(slowest.item())


if __name__ == "__main__":
    main()
