"""What a fabric test is told: written by the program, read by every pod."""

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
    """Name of pod 0, where the pods meet."""
    nodes: int
    """Pods of the test, one on each node."""
    gpus: int
    """GPUs of a node."""
    all_gather: float
    """Least bus bandwidth of an all_gather in GB/s."""
    all_reduce: float
    """Least bus bandwidth of an all_reduce in GB/s."""
    next: str
    """The command to run next, last line of a failure."""
    arrival_seconds: float = 600.0
    """How long pod 0 waits for the others, and they for it. The pods pull one image from the same minute on."""
    measure_seconds: float = 600.0
    """How long the measurement may take, the start of NCCL included."""
    margin_seconds: float = 30.0
    """How much longer a pod waits for another one's word than that one has."""
    port: int = 29400
    """Where pod 0 listens; PyTorch takes the next one."""

    @property
    def longest(self) -> float:
        """Seconds after the start of the last pod by which all have ended."""
        return self.arrival_seconds + self.measure_seconds + 3 * self.margin_seconds


def write(config: Config) -> str:
    """The text of the file."""
    return json.dumps(dataclasses.asdict(config), indent=2)


def read(text: str) -> Config:
    """The configuration in a file's text."""
    return Config(**json.loads(text))
