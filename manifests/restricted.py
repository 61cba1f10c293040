"""Security contexts of pods that satisfy the Pod Security Standard `restricted`, with the API's field names."""

from __future__ import annotations

from typing import Any, Final

USER: Final = 65532
"""User and group of such pods: no user of the images that they run."""


def pod(*, owns_volumes: bool = False) -> Any:
    """The pod's context; with `owns_volumes` its group may write to its volumes."""
    return {
        "runAsNonRoot": True,
        "runAsUser": USER,
        "runAsGroup": USER,
        **({"fsGroup": USER} if owns_volumes else {}),
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def container(*, read_only: bool = False) -> Any:
    """A container's context; `read_only` is for images whose programs write to volumes alone."""
    return {
        "allowPrivilegeEscalation": False,
        **({"readOnlyRootFilesystem": True} if read_only else {}),
        "capabilities": {"drop": ["ALL"]},
    }
