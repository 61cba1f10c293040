"""From settings to components: which ones an environment has, and how they are connected.

It has no resources of its own. `replacement` sets the order in which the engine replaces resources, `metadata` puts a
company's labels on everything; `infrastructure` builds cluster, node pools and bucket, `platform` what all serving
stacks share (`fabric`: the tests of their domains), `stacks` the serving stacks; `guard` protects a platform that other
environments use. `__main__` calls them in this order.
"""

from __future__ import annotations

from program.exemptions import collect_policy_exemptions
from program.guard import build_guard, track_resources
from program.infrastructure import Infrastructure, build_infrastructure
from program.metadata import add_metadata
from program.platform import Platform, build_platform
from program.raw_fields import add_raw_fields
from program.replacement import delete_first
from program.stacks import build_stack

__all__ = [
    "Infrastructure",
    "Platform",
    "add_metadata",
    "add_raw_fields",
    "build_guard",
    "build_infrastructure",
    "build_platform",
    "build_stack",
    "collect_policy_exemptions",
    "delete_first",
    "track_resources",
]
