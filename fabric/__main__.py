"""`python3 -m fabric FILE`: 0 when the fabric is fast enough, else 1; the verdict is the termination message."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from fabric import config, package, pods
from fabric.ranks import Ranks

_TERMINATION_LOG: Final = Path("/dev/termination-log")


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="fabric", description=__doc__)
    parser.add_argument("config", type=Path, help="the configuration, a JSON file")
    parser.add_argument("--termination-log", type=Path, default=_TERMINATION_LOG, metavar="FILE")
    given = parser.parse_args(arguments)
    read = config.read(given.config.read_text(encoding="utf-8"))
    # Kubernetes sets this in each pod of an Indexed Job.
    index = int(os.environ["JOB_COMPLETION_INDEX"])
    verdict = pods.run(read, index, os.environ.get(package.NODE, "?"), lambda: Ranks(read, index))
    sys.stdout.write(verdict.text + "\n")
    sys.stdout.flush()
    given.termination_log.write_text(verdict.text, encoding="utf-8")
    return 0 if verdict.passed else 1


if __name__ == "__main__":
    sys.exit(main())
