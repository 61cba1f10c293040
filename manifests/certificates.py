"""The volume with a company's certificates."""

from __future__ import annotations

from typing import Any, Final

from reference import outbound

VOLUME: Final = "company-ca"
CONFIG_MAP: Final = "company-ca"
"""Name of the ConfigMap with the certificates, in each namespace that needs them."""

Value = Any
"""A string or an `Output[str]`: this module only passes it on."""


def volume(config_map: Value) -> dict[str, Any]:
    """The ConfigMap as a volume of a pod."""
    return {"name": VOLUME, "configMap": {"name": config_map}}


def mount() -> dict[str, Any]:
    """Its mount in a container."""
    return {"name": VOLUME, "mountPath": outbound.CA_FOLDER, "readOnly": True}
