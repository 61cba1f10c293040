"""The pods of a test: pod 0 waits for the others, all measure, pod 0 decides, and every pod ends with its verdict.

So the termination message of whichever pod Pulumi shows is the reason. A pod that does not connect, disappears or never
ends costs no more than its deadline.
"""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from fabric import bandwidth, line
from fabric.config import Config
from fabric.line import Line, Message
from fabric.ranks import Ranks
from readiness import message

Start: TypeAlias = Callable[[], Ranks]
"""Starts the measuring processes of this pod."""


@dataclass(frozen=True)
class Verdict:
    """Result of a test."""

    passed: bool
    text: str


def run(config: Config, index: int, node: str, start: Start) -> Verdict:
    """Take part in a test as pod `index`, on `node`."""
    return _host(config, node, start) if index == 0 else _guest(config, index, node, start)


def _host(config: Config, node: str, start: Start) -> Verdict:
    with socket.create_server(("", config.port), backlog=config.nodes) as server:
        came = line.gather(server, config.nodes, time.monotonic() + config.arrival_seconds)
        there = {0: node, **{index: name for index, (_, name) in came.items()}}
        lines = {index: found for index, (found, _) in came.items()}
        missing = [index for index in range(config.nodes) if index not in there]
        verdict = _absent(config, there, missing) if missing else _measured(config, there, lines, start)
        for found in lines.values():
            found.send({"passed": verdict.passed, "text": verdict.text})
        for found in lines.values():
            found.finish(time.monotonic() + config.margin_seconds)
        return verdict


def _measured(config: Config, there: Mapping[int, str], lines: Mapping[int, Line], start: Start) -> Verdict:
    """Start the measurement on all pods, and evaluate it."""
    for found in lines.values():
        found.send({"go": True})
    words: queue.Queue[tuple[int, Message | None]] = queue.Queue()
    until = time.monotonic() + config.measure_seconds + config.margin_seconds
    ranks = start()
    measuring = _aside(lambda: words.put((0, {"failed": ranks.wait()})))
    for index, found in lines.items():
        _aside(lambda i=index, f=found: words.put((i, f.receive(until))))
    try:
        failed = _first_failure(there, words, until)
        if failed:
            cause, _, last = failed.partition("\n")
            return _failed(config, f"is broken, or cannot be measured: {cause}", there, last)
        measured = ranks.measured()
        if measured is None:
            return _failed(config, "cannot be measured: the first rank exited successfully but wrote no result", there)
        short = bandwidth.shortfall(config, measured)
        if short:
            return _failed(config, f"is slow: {short}; measured: {measured}", there)
        return Verdict(True, f"the NVLink fabric of domain {config.domain} is healthy: {measured}")
    finally:
        _end(ranks, measuring)


def _first_failure(there: Mapping[int, str], words: queue.Queue[tuple[int, Message | None]], until: float) -> str:
    """Wait for all pods; the message of the first one that failed, empty if all succeeded."""
    waiting = set(there)
    while waiting:
        try:
            index, said = words.get(timeout=max(0.001, until - time.monotonic()))
        except queue.Empty:
            return f"no answer from {_display_name(sorted(waiting), there)}"
        failed = "disconnected during the measurement" if said is None else str(said.get("failed", ""))
        if failed:
            return f"{_display_name([index], there)}: {failed}"
        waiting.discard(index)
    return ""


def _guest(config: Config, index: int, node: str, start: Start) -> Verdict:
    host = line.join(config.host, config.port, time.monotonic() + config.arrival_seconds)
    if host is None:
        return _unreached(config, index)
    try:
        return _in_step(config, index, node, host, start)
    finally:
        host.close()


def _in_step(config: Config, index: int, node: str, host: Line, start: Start) -> Verdict:
    """Connect, measure when pod 0 says so, and end with its verdict."""
    host.send({"index": index, "node": node})
    first = host.receive(time.monotonic() + config.arrival_seconds + config.margin_seconds)
    if first is None:
        return _failed(config, f"cannot be measured: pod {index} lost its connection to pod 0 before the start", {})
    if "text" in first:
        return _verdict_of(first)
    until = time.monotonic() + config.measure_seconds + 2 * config.margin_seconds
    ranks = start()
    measuring = _aside(lambda: host.send({"failed": ranks.wait()}))
    verdict = host.receive(until)
    _end(ranks, measuring)
    if verdict is None:
        cause = f"cannot be measured: pod {index} lost its connection to pod 0 during the measurement"
        return _failed(config, cause, {index: node})
    return _verdict_of(verdict)


def _verdict_of(said: Message) -> Verdict:
    return Verdict(said.get("passed") is True, str(said.get("text")))


def _absent(config: Config, there: Mapping[int, str], missing: list[int]) -> Verdict:
    cause = (
        f"the fabric test of domain {config.domain} could not start: {_display_name(missing, {})} of {config.nodes} "
        f"did not connect within {config.arrival_seconds:g} s; no free node, or an image that cannot be pulled"
    )
    return Verdict(
        False, message.compose(cause, f"Connected: {_display_name(sorted(there), there)}", "", _look(config))
    )


def _unreached(config: Config, index: int) -> Verdict:
    cause = (
        f"the fabric test of domain {config.domain} could not start: pod {index} did not reach pod 0 at {config.host} "
        f"port {config.port} within {config.arrival_seconds:g} s; it has no free node, or cannot pull its image"
    )
    return Verdict(False, message.compose(cause, "", "", _look(config)))


def _failed(config: Config, cause: str, there: Mapping[int, str], words: str = "") -> Verdict:
    state = f"Nodes: {', '.join(there[index] for index in sorted(there))}" if there else ""
    whole = f"the NVLink fabric of domain {config.domain} {cause}"
    return Verdict(False, message.compose(whole, state, words, config.next))


def _look(config: Config) -> str:
    return f"kubectl describe pods -n {config.namespace}, repair what it shows, then {config.next}"


def _display_name(indexes: list[int], there: Mapping[int, str]) -> str:
    named = [f"{index} on {there[index]}" if index in there else str(index) for index in indexes]
    return f"pod{'s' if len(named) > 1 else ''} {', '.join(named)}"


def _end(ranks: Ranks, measuring: threading.Thread) -> None:
    ranks.stop()
    measuring.join()
    ranks.close()


def _aside(work: Callable[[], Any]) -> threading.Thread:
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    return thread
