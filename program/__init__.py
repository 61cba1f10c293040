"""From settings to components: which ones an environment has, and what flows from one to the next.

No resource of its own. `replacement` sets the order in which the engine replaces resources; `infrastructure` ends with
node pools that pods can run on, `platform` with what all serving stacks of the cluster share (`fabric`: the tests of
their domains), `stacks` with one serving stack each; `guard` protects a platform that other environments use.
`__main__` calls them in this order.
"""

from __future__ import annotations

from program.guard import build_guard, remembered
from program.infrastructure import Infrastructure, build_infrastructure
from program.platform import Platform, build_platform
from program.replacement import delete_first
from program.stacks import build_stack

__all__ = [
    "Infrastructure",
    "Platform",
    "build_guard",
    "build_infrastructure",
    "build_platform",
    "build_stack",
    "delete_first",
    "remembered",
]
