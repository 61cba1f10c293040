"""Configuration of a fabric test: written by the program, read by every pod."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass


@dataclass(frozen=True)
class Config:
    """The configuration file, key by key."""

    domain: str
    """Name of the NVLink domain, for messages."""
    namespace: str
    """Namespace of the test, for messages."""
    host: str
    """Host name of pod 0, to which the other pods connect."""
    nodes: int
    """Pods of the test, one on each node."""
    gpus: int
    """GPUs of a node."""
    all_gather: float
    """Least bus bandwidth of an all_gather in GB/s."""
    all_reduce: float
    """Least bus bandwidth of an all_reduce in GB/s."""
    next: str
    """The command to run next, the last line of a failure message."""
    arrival_seconds: float = 600.0
    """How long pod 0 waits for the others, and they for it. All pods start to pull the same image at the same time."""
    measure_seconds: float = 600.0
    """How long the measurement may take, including NCCL's initialization."""
    margin_seconds: float = 30.0
    """How much longer a pod waits for another one's message than that one may take."""
    port: int = 29400
    """Port of pod 0; PyTorch uses the next one."""

    @property
    def longest(self) -> float:
        """Seconds from the start of the last pod until all have ended."""
        return self.arrival_seconds + self.measure_seconds + 3 * self.margin_seconds


def write(config: Config) -> str:
    """The text of the file."""
    return json.dumps(dataclasses.asdict(config), indent=2)


def read(text: str) -> Config:
    """The configuration in a file's text."""
    return Config(**json.loads(text))
