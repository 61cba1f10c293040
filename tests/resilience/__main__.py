"""`python -m tests.resilience [NAME] [--stack dev|prod] [--short]`: run one proof, or `all`; counts last.

Exit codes: 0 everything survived; 1 something did not.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence

from pulumi.automation import CommandError

from rehearsal import ConfigError, EngineError, RehearsalError
from tests.resilience import changes, dead_cluster, drift, faults, kill, life, neighbours, order, replacements, secrets
from tests.resilience.life import ProofError, Say, Tally

Proof = Callable[[str, bool, Say], list[Tally]]
"""A proof of one environment; the flag asks for its short form."""


def _faults(environment: str, short: bool, say: Say) -> list[Tally]:
    return faults.short(environment, faults.BEFORE, say) if short else faults.whole(environment, say)


def _kill(environment: str, short: bool, say: Say) -> list[Tally]:
    return kill.kills(environment, 2 if short else kill.POINTS, say)


PROOFS: dict[str, tuple[str, Proof]] = {
    "faults": ("every create and every delete fails once, in six ways", _faults),
    "kill": ("the engine's process dies in the middle of an up, at ten points", _kill),
    "order": ("nothing that a living object needs goes before it", order.proof),
    "replacements": ("a replacement of each resource stops half-way and is given up", replacements.proof),
    "cluster": ("the cluster is gone or out of reach", dead_cluster.proof),
    "drift": ("objects are changed and deleted behind the program's back", drift.proof),
    "changes": ("each field of the config is changed alone", changes.proof),
    "secrets": ("the two secrets are searched for in every byte", secrets.proof),
    "neighbours": ("two stacks, and two environments, on one cluster", neighbours.proof),
}
_BOTH_WAYS = ("faults", "kill", "order", "replacements", "cluster", "drift")
"""Proofs of an environment's life, which are made with DRANET too."""
TABLE = "table"
"""Writes `docs/reference/changes.md` again; proves nothing."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _options(arguments)
    if options.proof == TABLE:
        changes.write(_say)
        return 0
    names = list(PROOFS) if options.proof == "all" else [options.proof]
    tallies: list[Tally] = []
    started = time.monotonic()
    wrong: list[str] = []
    for name in names:
        variants = life.VARIANTS if name in _BOTH_WAYS else ()
        for stack in [options.stack] if options.stack else [*life.ENVIRONMENTS, *variants]:
            _say(f"{name}, {stack} ...")
            try:
                tallies += PROOFS[name][1](stack, options.short, _say)
            except (ProofError, RehearsalError, EngineError, ConfigError, CommandError) as error:
                wrong.append(f"{name}, {stack}: {error}")
                _say(f"FAILED {wrong[-1]}")
    _report(tallies, wrong, time.monotonic() - started)
    return 1 if wrong else 0


def _report(tallies: Sequence[Tally], wrong: Sequence[str], seconds: float) -> None:
    _say("")
    for tally in tallies:
        _say(str(tally))
    for text in wrong:
        _say(f"FAILED {text}")
    tried, survived = sum(t.tried for t in tallies), sum(t.survived for t in tallies)
    orphans = sum(t.orphans for t in tallies)
    _say(
        f"total: {tried} tried, {survived} survived, {orphans} orphans, {len(wrong)} proofs failed, "
        f"{seconds / 60:.1f} min"
    )


def _say(text: str) -> None:
    print(text, flush=True)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    what = "\n".join(f"  {name:12} {text}" for name, (text, _) in PROOFS.items())
    parser = argparse.ArgumentParser(
        prog="python -m tests.resilience",
        description="Break things on purpose and prove that nothing is lost:\n" + what,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("proof", nargs="?", default="all", choices=[*PROOFS, TABLE, "all"])
    parser.add_argument("--stack", choices=[*life.ENVIRONMENTS, *life.VARIANTS], help="one environment (default: all)")
    parser.add_argument("--short", action="store_true", help="the form that `make test` runs")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
