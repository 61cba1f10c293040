"""The modes that an environment chooses once, and how many of their combinations a test run carries out.

`make test` takes a selection that holds every pair of values, `make test-all` every combination that the settings
accept. A failure of one mode, or between two of them, is found by the first; the second is for releases.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from reference.dynamo import PROFILES
from serving_rules import layout
from serving_rules.rules import experts
from tests import stacks

VALUES: dict[str, tuple[str, ...]] = {
    "environment": ("dev", "prod"),
    "rdma": ("multi-network", "dranet"),
    "dynamo": tuple(PROFILES),
    "layout": tuple(layout.available()),
    "kai": ("create", "adopt", "none"),
    "egress": ("open", "restricted", "private-googleapis"),
}


_STRANGERS = ({"rdma", "egress"}, {"kai", "egress"}, {"layout", "egress"}, {"layout", "kai"})
"""Modes whose code never meets: the scheduler and the RDMA interfaces are under no policy."""

OWN_IMAGE = "registry.example.com/team/sglang-deepep:gb200"
"""Image of a stack that no stock image can serve; its tag is no release."""


@dataclass(frozen=True)
class Modes:
    """One combination."""

    environment: str
    rdma: str
    dynamo: str
    layout: str
    kai: str
    egress: str

    def __str__(self) -> str:
        return "-".join(getattr(self, field.name) for field in fields(self))

    def config(self) -> dict[str, Any]:
        """What is laid over the environment's stack file."""
        shipped = stacks.config(self.environment)
        [domain], [stack] = shipped["dynamo-a4x:domains"], shipped["dynamo-a4x:stacks"]
        stack = {**stack, "name": "r1", "layout": self.layout}
        if experts.deepep_image(layout.load(self.layout), PROFILES[self.dynamo], "image", own_image=False):
            stack["image"] = OWN_IMAGE
        return {
            "dynamo-a4x:domains": [{**domain, "nodes": 18}],
            "dynamo-a4x:stacks": [stack],
            "dynamo-a4x:cluster": {**shipped["dynamo-a4x:cluster"], "rdma": self.rdma},
            "dynamo-a4x:dynamo": {**shipped["dynamo-a4x:dynamo"], "version": self.dynamo},
            "dynamo-a4x:kai": {"mode": self.kai},
            "dynamo-a4x:isolation": {"egress": self.egress},
        }


def every() -> list[Modes]:
    """All combinations that the settings accept."""
    return [modes for modes in map(Modes, *zip(*itertools.product(*VALUES.values()), strict=True)) if _accepted(modes)]


def every_open() -> set[Modes]:
    """Those with open egress: the others have to do with environment and release alone, and the selection has these."""
    return {modes for modes in every() if modes.egress == "open"}


def pairwise() -> list[Modes]:
    """A selection of `every` in which each two values that can meet do.

    Greedy: the combination that adds most comes next. (allpairspy 2.5.1 loses pairs where combinations are refused.)
    """
    left, selection = every(), list[Modes]()
    missing = {pair for modes in left for pair in pairs(modes)}
    while missing:
        best = max(left, key=lambda modes: len(missing.intersection(pairs(modes))))
        selection.append(best)
        missing.difference_update(pairs(best))
    return selection


def pairs(modes: Modes) -> Iterator[tuple[tuple[str, str], tuple[str, str]]]:
    """Every two values of one combination that have to do with each other, with their names."""
    chosen = [(field.name, getattr(modes, field.name)) for field in fields(modes)]
    return (pair for pair in itertools.combinations(chosen, 2) if {name for name, _ in pair} not in _STRANGERS)


def _accepted(modes: Modes) -> bool:
    # A cluster that the program creates has no KAI to adopt.
    return not (modes.environment == "prod" and modes.kai == "adopt")
