"""The x86 system pool of a created cluster, for operators, readiness checks, downloads and, on request, frontends.

Machine and disk are those of Google's A4X blueprint.
"""

from __future__ import annotations

from typing import Final

from reference import capacity

NAME: Final = "system"
MACHINE: Final = "e2-standard-16"
CPUS: Final = 16
MEMORY_GB: Final = 64
DISK_GB: Final = 200
NODES_MIN: Final = 2
NODES_MAX: Final = 10
"""Limits of the pool's autoscaling."""


def node() -> capacity.Node:
    """A node of the pool."""
    return capacity.node(CPUS, MEMORY_GB)
