"""The fabric test's own code: what is fast enough, how pods meet and part, and that nobody waits for ever.

Pods are threads here, and processes of the files that are shipped; what measures is another program. `measure` itself
is run on a stand-in of PyTorch.
"""

from __future__ import annotations

import dataclasses
import json
import math
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from fabric import bandwidth, config, measure, package, pods
from fabric import line as fabric_line
from fabric.bandwidth import Measured
from fabric.config import Config
from fabric.pods import Verdict
from fabric.ranks import RESULT, Ranks
from readiness import message, mounted

NEXT = "pulumi up --stack dev"
FAST = Measured(gpus=6, size=2**33, all_gather=842.0, all_reduce=910.0)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def told(**changes: Any) -> Config:
    return Config(
        **{
            "domain": "a4x-0",
            "namespace": "fabric-test-dev-a4x-0",
            "host": "127.0.0.1",
            "nodes": 3,
            "gpus": 2,
            "all_gather": 200,
            "all_reduce": 250,
            "next": NEXT,
            "arrival_seconds": 5.0,
            "measure_seconds": 20.0,
            "margin_seconds": 2.0,
            "port": free_port(),
            **changes,
        }
    )


# What is fast enough -------------------------------------------------------------------------------------------------


def test_bus_bandwidth_is_that_of_nccl_tests() -> None:
    assert bandwidth.all_gather(8 * 10**9, 0.01, 8) == pytest.approx(800 * 7 / 8)
    assert bandwidth.all_reduce(8 * 10**9, 0.01, 8) == pytest.approx(800 * 2 * 7 / 8)
    # A fabric of links that carry 900 GB/s gives the same number whatever the number of GPUs.
    for ranks in (8, 72):
        seconds = 10**9 * (ranks - 1) / ranks / 900e9
        assert bandwidth.all_gather(10**9, seconds, ranks) == pytest.approx(900)


@pytest.mark.parametrize(
    ("all_gather", "all_reduce", "short"),
    [
        (200.0, 250.0, ""),
        (199.9, 250.0, "all_gather 199.9 GB/s, at least 200 required"),
        (842.0, 249.9, "all_reduce 249.9 GB/s, at least 250 required"),
        (1.0, 1.0, "all_gather 1.0 GB/s, at least 200 required, all_reduce 1.0 GB/s, at least 250 required"),
        (math.nan, 300.0, "all_gather nan GB/s, at least 200 required"),
    ],
)
def test_each_collective_has_a_minimum_of_its_own(all_gather: float, all_reduce: float, short: str) -> None:
    assert bandwidth.shortfall(told(), Measured(8, 1, all_gather, all_reduce)) == short


@pytest.mark.parametrize("ranks", [8, 16, 68, 72])
def test_shares_are_alike_aligned_and_fill_the_buffer(ranks: int) -> None:
    size = measure.share_of(ranks) * ranks * 2
    assert measure.share_of(ranks) % 1024 == 0
    assert 0.99 * measure.SIZE < size <= measure.SIZE


def test_the_config_is_read_as_it_was_written() -> None:
    given = told()
    assert config.read(config.write(given)) == given


# How pods meet and part ----------------------------------------------------------------------------------------------

WELL = f"""
import json, os, pathlib
if os.environ["RANK"] == "0":
    pathlib.Path(os.environ["{RESULT}"]).write_text(json.dumps({dataclasses.asdict(FAST)!r}))
"""


def python(code: str) -> Sequence[str]:
    return (sys.executable, "-c", code)


def together(
    given: Config, indexes: Sequence[int] | None = None, code: str | Callable[[int], str] = WELL
) -> dict[int, Verdict]:
    """Run these pods, each in a thread; those that are not named never come."""
    found: dict[int, Verdict] = {}

    def pod(index: int) -> None:
        command = python(code if isinstance(code, str) else code(index))
        found[index] = pods.run(given, index, f"node-{index}", lambda: Ranks(given, index, command))

    threads = [threading.Thread(target=pod, args=(index,)) for index in indexes or range(given.nodes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert set(found) == set(indexes or range(given.nodes))
    return found


def the_one(verdicts: dict[int, Verdict]) -> Verdict:
    """All pods end with the same verdict, in a message that the kubelet keeps whole."""
    (verdict,) = set(verdicts.values())
    assert len(verdict.text.encode()) <= message.LIMIT
    if not verdict.passed:
        assert verdict.text.splitlines()[-1].startswith("Next: ")
        assert verdict.text.splitlines()[-1].endswith(NEXT)
    return verdict


def test_a_fast_fabric_passes_in_every_pod() -> None:
    verdict = the_one(together(told()))
    assert verdict.passed
    assert verdict.text == f"the NVLink fabric of domain a4x-0 is healthy: {FAST}"


def test_a_slow_fabric_fails_in_every_pod_with_what_was_measured_and_where() -> None:
    verdict = the_one(together(told(all_gather=843)))
    assert not verdict.passed
    first, nodes, _ = verdict.text.splitlines()
    assert first.startswith("the NVLink fabric of domain a4x-0 is slow: all_gather 842.0 GB/s, at least 843 required;")
    assert nodes == "Nodes: node-0, node-1, node-2"


def test_a_pod_that_does_not_come_ends_the_test_at_the_deadline_and_is_named() -> None:
    begun = time.monotonic()
    verdict = the_one(together(told(arrival_seconds=2.0), [0, 2]))
    assert time.monotonic() - begun < 15
    first, came, _ = verdict.text.splitlines()
    assert "could not start: pod 1 of 3 did not connect within 2 s" in first
    assert came == "Connected: pods 0 on node-0, 2 on node-2"


def test_without_pod_0_the_others_say_so() -> None:
    verdicts = together(told(arrival_seconds=1.0), [1, 2])
    assert "pod 1 did not reach pod 0 at 127.0.0.1 port" in verdicts[1].text
    assert "pod 2 did not reach pod 0" in verdicts[2].text
    assert not any(verdict.passed for verdict in verdicts.values())


def test_a_stranger_on_the_port_is_no_pod() -> None:
    given, found = told(), dict[int, Verdict]()
    host = threading.Thread(target=lambda: found.update(together(given, [0])))
    host.start()
    stranger = fabric_line.join("127.0.0.1", given.port, time.monotonic() + 5)
    assert stranger
    stranger.send({"index": True, "node": "a scanner"})
    found |= together(given, [1, 2])
    host.join(timeout=30)
    stranger.close()
    assert the_one(found).passed


def test_a_pod_that_connects_again_takes_the_place_of_its_first_connection() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        until, (host, port) = time.monotonic() + 5, server.getsockname()
        lines = [fabric_line.join(host, port, until) for _ in range(3)]
        for line, index in zip(lines, (1, 1, 2), strict=True):
            assert line
            line.send({"index": index, "node": f"node-{index}"})
        came = fabric_line.gather(server, 3, until)
        first, second, _ = lines
        assert first
        assert second
        assert first.receive(until) is None
        assert time.monotonic() < until, "closed, not silent"
        came[1][0].send({"go": True})
        assert second.receive(until) == {"go": True}
        for line in (*lines, *(line for line, _ in came.values())):
            assert line
            line.close()


def test_a_rank_that_fails_is_named_with_its_node_and_last_words() -> None:
    def code(index: int) -> str:
        if index != 1:
            return "import time; time.sleep(600)"
        return (
            "import os, sys\nif os.environ['LOCAL_RANK'] == '1': sys.exit('NCCL error of rank ' + os.environ['RANK'])"
        )

    begun = time.monotonic()
    verdict = the_one(together(told(), code=code))
    # Nobody waits for those that wait for it.
    assert time.monotonic() - begun < 15
    assert "is broken, or cannot be measured: pod 1 on node-1: rank 3 ended with 1" in verdict.text.splitlines()[0]
    assert "NCCL error of rank 3" in verdict.text


def test_a_measurement_that_never_ends_is_ended_and_leaves_no_process(tmp_path: Path) -> None:
    code = (
        f"import os, pathlib, time; pathlib.Path({str(tmp_path)!r}, os.environ['RANK']).write_text(str(os.getpid())); "
        "print('stuck in all_gather', flush=True); time.sleep(600)"
    )
    verdict = the_one(together(told(measure_seconds=3.0), code=code))
    assert "did not end within 3 s" in verdict.text
    assert "stuck in all_gather" in verdict.text
    numbers = [int(file.read_text(encoding="utf-8")) for file in tmp_path.iterdir()]
    assert len(numbers) == 6
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{number}").exists() for number in numbers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert [number for number in numbers if Path(f"/proc/{number}").exists()] == []


def test_a_pod_that_goes_away_while_it_measures_ends_the_test() -> None:
    given = told(nodes=2)

    def leave() -> None:
        connection = socket.create_connection(("127.0.0.1", given.port), timeout=5)
        connection.sendall(json.dumps({"index": 1, "node": "node-1"}).encode() + b"\n")
        connection.recv(100)
        connection.close()

    host = threading.Thread(target=lambda: found.update(together(given, [0], "import time; time.sleep(600)")))
    found: dict[int, Verdict] = {}
    host.start()
    time.sleep(0.5)
    leave()
    host.join(timeout=30)
    assert "pod 1 on node-1: disconnected during the measurement" in the_one(found).text


def test_a_measurement_without_a_result_is_no_success() -> None:
    verdict = the_one(together(told(), code="pass"))
    assert not verdict.passed
    assert "wrote no result" in verdict.text


def test_the_longest_words_leave_cause_and_next_command_whole() -> None:
    code = "import sys; print('\\u00fc' * 20000); sys.exit(3)"
    verdict = the_one(together(told(), code=code))
    assert "ended with 3" in verdict.text.splitlines()[0]
    assert len(verdict.text.encode()) > message.LIMIT - 10


def test_every_end_comes_before_that_of_the_job() -> None:
    given = told()
    assert given.longest > given.arrival_seconds + given.measure_seconds + 2 * given.margin_seconds


# The files that are shipped ------------------------------------------------------------------------------------------


def shipped(folder: Path) -> Path:
    for path, content in package.source_files().items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_text(content, encoding="utf-8")
    return folder


def test_the_shipped_files_run_by_themselves_and_say_that_torch_is_missing(tmp_path: Path) -> None:
    """Two pods as processes with nothing of this repository but what the ConfigMap holds; no PyTorch is here."""
    folder = shipped(tmp_path)
    given = folder / package.CONFIG_KEY
    given.write_text(config.write(told(nodes=2)), encoding="utf-8")
    clean = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    running = [
        subprocess.Popen(  # noqa: S603 - our own files
            [sys.executable, "-I", "-c", _AS_MODULE, str(given), "--termination-log", str(folder / f"words-{index}")],
            cwd=folder,
            env={**clean, "JOB_COMPLETION_INDEX": str(index), package.NODE: f"node-{index}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for index in (1, 0)
    ]
    logs = [process.communicate(timeout=60)[0] for process in running]
    assert [process.returncode for process in running] == [1, 1], logs
    words = {(folder / f"words-{index}").read_text(encoding="utf-8") for index in (0, 1)}
    assert len(words) == 1
    assert "No module named 'torch'" in words.pop()


_AS_MODULE = (
    "import sys, runpy; sys.path.insert(0, '.'); runpy.run_module('fabric', run_name='__main__', alter_sys=True)"
)


def test_keys_are_keys_of_a_config_map_and_each_is_one_file() -> None:
    keys = [mounted.key(path) for path in package.source_files()]
    assert len(set(keys)) == len(keys)
    assert all(set(key) <= set("abcdefghijklmnopqrstuvwxyz._-") for key in keys)
    assert package.CONFIG_KEY not in keys
    assert package.command("/config").endswith(f"-m fabric /config/{package.CONFIG_KEY}")


# The measurement, on a stand-in of PyTorch ---------------------------------------------------------------------------


class Tensor:
    """A vector of numbers with what `measure` asks of one."""

    def __init__(self, values: list[float]) -> None:
        self.values = values

    def view(self, *shape: int) -> Tensor:
        assert math.prod(shape) == len(self.values)
        return self

    def unsqueeze(self, _: int) -> Tensor:
        return self

    def fill_(self, value: float) -> None:
        self.values = [value] * len(self.values)

    def zero_(self) -> None:
        self.fill_(0.0)

    def item(self) -> float:
        (value,) = self.values
        return value

    def all(self) -> bool:
        return all(self.values)

    def __hash__(self) -> int:
        return id(self)

    def __eq__(self, other: object) -> Any:
        if isinstance(other, Tensor):
            each = len(self.values) // len(other.values)
            other_values = [value for value in other.values for _ in range(each)]
        else:
            other_values = [other] * len(self.values)
        return Tensor([mine == its for mine, its in zip(self.values, other_values, strict=True)])


class Clock:
    """CUDA events: each collective takes its milliseconds."""

    now = 0.0

    def __init__(self, enable_timing: bool) -> None:
        assert enable_timing
        self.at = 0.0

    def record(self) -> None:
        self.at = Clock.now

    def elapsed_time(self, end: Clock) -> float:
        return end.at - self.at


def torch_of(ranks: int, spoil: str = "") -> tuple[SimpleNamespace, SimpleNamespace, list[str]]:
    calls: list[str] = []

    def gather(whole: Tensor, share: Tensor) -> None:
        calls.append("all_gather")
        Clock.now += 10.0
        each = len(share.values)
        whole.values = [float(rank) for rank in range(ranks) for _ in range(each)]
        if spoil == "all_gather":
            whole.values[-1] = 0.0

    def reduce(whole: Tensor, op: str = "sum") -> None:
        if op == "max":
            calls.append("slowest")
            whole.values = [value * 2 for value in whole.values]
            return
        calls.append("all_reduce")
        Clock.now += 20.0
        whole.values = [value * ranks for value in whole.values]
        if spoil == "all_reduce":
            whole.values[0] = -1.0

    torch = SimpleNamespace(
        bfloat16="bfloat16",
        float64="float64",
        full=lambda shape, value, **_: Tensor([value] * shape[0]),
        empty=lambda count, **_: Tensor([math.nan] * count),
        arange=lambda count, **_: Tensor([float(i) for i in range(count)]),
        tensor=lambda values, **_: Tensor(values),
        cuda=SimpleNamespace(Event=Clock, synchronize=lambda: None),
    )
    distributed = SimpleNamespace(
        all_gather_into_tensor=gather,
        all_reduce=reduce,
        barrier=lambda: calls.append("barrier"),
        ReduceOp=SimpleNamespace(MAX="max"),
    )
    return torch, distributed, calls


def test_what_is_timed_is_the_rounds_after_the_warm_up_on_the_slowest_rank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "SIZE", 8 * 1024 * 2)
    torch, distributed, calls = torch_of(8)
    found = measure._measure(torch, distributed, 3, 8)
    # The slowest rank takes twice the 10 and 20 ms of this one.
    assert found.all_gather == pytest.approx(bandwidth.all_gather(8 * 1024 * 2, 0.020, 8))
    assert found.all_reduce == pytest.approx(bandwidth.all_reduce(8 * 1024 * 2, 0.040, 8))
    assert (found.gpus, found.size) == (8, 8 * 1024 * 2)
    rounds = measure.WARM_UP + measure.ROUNDS
    assert calls.count("all_gather") == calls.count("all_reduce") == 1 + rounds
    assert calls.count("barrier") == calls.count("slowest") == 2


@pytest.mark.parametrize("spoil", ["all_gather", "all_reduce"])
def test_wrong_data_is_no_fabric_however_fast(monkeypatch: pytest.MonkeyPatch, spoil: str) -> None:
    monkeypatch.setattr(measure, "SIZE", 8 * 1024 * 2)
    torch, distributed, _ = torch_of(8, spoil)
    with pytest.raises(RuntimeError, match=f"{spoil} brought wrong data to rank 3"):
        measure._measure(torch, distributed, 3, 8)
