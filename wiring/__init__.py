"""From settings to components: which ones an environment has, and what flows from one to the next.

No resource of its own. `replacement` says in which order the engine replaces things; `ground` ends with node pools
that pods can run on, `shared` with what all serving stacks of the cluster share (`fabric`: the tests of their
domains), `stacks` with one serving stack each; `guard` keeps a platform that other environments use. `__main__` calls
them in this order.
"""

from __future__ import annotations

from wiring.ground import Ground, build_ground
from wiring.guard import build_guard, remembered
from wiring.replacement import delete_first
from wiring.shared import Shared, build_shared
from wiring.stacks import build_stack

__all__ = [
    "Ground",
    "Shared",
    "build_ground",
    "build_guard",
    "build_shared",
    "build_stack",
    "delete_first",
    "remembered",
]
