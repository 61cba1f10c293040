"""The last resort: fields of the provider that have no setting of their own."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from validation.strict_model import StrictModel

_AS = "as Pulumi's reference writes them; a preview shows whether they replace it"


class RawFields(StrictModel):
    """Merged into what the program sets, never over it."""

    cluster: dict[str, Any] = Field(default={}, description=f"fields of gcp.container.Cluster, {_AS}")
    node_pools: dict[str, Any] = Field(
        default={}, description=f"fields of gcp.container.NodePool, for the pools of all created domains, {_AS}"
    )
    system_pool: dict[str, Any] = Field(
        default={}, description=f"fields of gcp.container.NodePool, for the system pool of a created cluster, {_AS}"
    )
