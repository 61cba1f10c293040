"""Starts, watches and always ends the measuring processes of one pod, one for each GPU."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fabric.bandwidth import Measured
from fabric.config import Config

MEASURE: Final = (sys.executable, "-u", "-B", "-m", "fabric.measure")
RESULT: Final = "FABRIC_RESULT"
"""Variable with the file that rank 0 writes its measurement to."""
SECONDS: Final = "FABRIC_SECONDS"
"""Variable with NCCL's timeout."""

_LINES: Final = 30
_POLL: Final = 0.1


class Ranks:
    """The processes of pod `index`."""

    def __init__(self, config: Config, index: int, command: Sequence[str] = MEASURE) -> None:
        self._first, self._until = index * config.gpus, time.monotonic() + config.measure_seconds
        self._config = config
        self._stopped = threading.Event()
        self._folder = tempfile.TemporaryDirectory()
        self._result = Path(self._folder.name) / "result.json"
        self._tails = [deque[str](maxlen=_LINES) for _ in range(config.gpus)]
        self._processes = [self._start(command, local) for local in range(config.gpus)]
        self._pumps = [
            threading.Thread(target=self._pump, args=(local,), daemon=True) for local in range(len(self._processes))
        ]
        for pump in self._pumps:
            pump.start()

    def _start(self, command: Sequence[str], local: int) -> subprocess.Popen[str]:
        environment = {
            "RANK": str(self._first + local),
            "LOCAL_RANK": str(local),
            "WORLD_SIZE": str(self._config.nodes * self._config.gpus),
            "MASTER_ADDR": self._config.host,
            "MASTER_PORT": str(self._config.port + 1),
            RESULT: str(self._result),
            SECONDS: str(int(self._config.measure_seconds)),
        }
        return subprocess.Popen(  # noqa: S603 - a command of ours
            list(command),
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )

    def _pump(self, local: int) -> None:
        """Copy a process's output to the log, and keep its last lines."""
        with self._processes[local].stdout or io.StringIO() as words:
            for line in words:
                self._tails[local].append(line)
                sys.stdout.write(f"[rank {self._first + local}] {line}")
                sys.stdout.flush()

    def wait(self) -> str:
        """Wait for all of them; the reason of a failure, empty if all succeeded."""
        try:
            return self._wait()
        finally:
            self._kill()

    def _wait(self) -> str:
        while True:
            codes = [process.poll() for process in self._processes]
            failed = next((local for local, code in enumerate(codes) if code), None)
            if failed is not None:
                return f"rank {self._first + failed} ended with {codes[failed]}\n{self._words(failed)}"
            if None not in codes:
                return ""
            if self._stopped.is_set():
                return "stopped"
            if time.monotonic() >= self._until:
                slow = codes.index(None)
                late = f"rank {self._first + slow} did not end within {self._config.measure_seconds:g} s"
                return f"{late}\n{self._words(slow)}"
            time.sleep(_POLL)

    def _words(self, local: int) -> str:
        self._kill()
        return "".join(self._tails[local]).strip()

    def _kill(self) -> None:
        for process in self._processes:
            process.kill()
        for process, pump in zip(self._processes, self._pumps, strict=True):
            process.wait()
            pump.join(timeout=1.0)

    def stop(self) -> None:
        """Make `wait` return now."""
        self._stopped.set()

    def measured(self) -> Measured | None:
        """The measurement of rank 0, in its pod."""
        try:
            return Measured(**json.loads(self._result.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def close(self) -> None:
        """Kill what still runs, and remove the temporary files."""
        self._kill()
        self._folder.cleanup()
