"""For tests that interrupt a process of their own."""

from __future__ import annotations

import sys

_RUN = """\
import runpy, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
runpy.run_module(sys.argv.pop(1), run_name="__main__", alter_sys=True)
"""


def module(name: str, *arguments: str) -> list[str]:
    """`python -m name` that heeds SIGINT, which the children of a shell in the background ignore."""
    return [sys.executable, "-c", _RUN, name, *arguments]
