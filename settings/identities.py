"""Identities, APIs and roles that somebody else provides."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from settings.fields import Change, ServiceAccount
from validation.strict_model import StrictModel


class Identities(StrictModel):
    """What the program must not make itself."""

    node_service_account: Annotated[ServiceAccount | None, Change.POOLS] = Field(
        default=None,
        description="the email of the service account of all created nodes, with the roles that nodes need; "
        "default: one that the program makes",
    )
    model_reader: Annotated[ServiceAccount | None, Change.IN_PLACE] = Field(
        default=None,
        description="the email of a Google service account that may read the model bucket, for the stacks' pods "
        "(with `workloadIdentity: serviceAccount`); default: one for each stack that the program makes",
    )
    model_writer: Annotated[ServiceAccount | None, Change.IN_PLACE] = Field(
        default=None,
        description="the same for downloads, with permission to write; default: one that the program makes",
    )
    enable_apis: Annotated[bool, Change.IN_PLACE] = Field(
        default=True, description="whether the program enables the APIs of a created cluster's project"
    )
    iam: Annotated[Literal["write", "none"], Change.IN_PLACE] = Field(
        default="write",
        description="`write` to grant roles to the program's own identities, `none` to grant none: the output "
        "`iamBindings` lists the commands that do it. `none` later revokes the roles that it granted",
    )
