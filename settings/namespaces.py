"""Settings of Kubernetes namespaces: their names, and whether the program makes them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from reference import namespaces
from settings.fields import Change, KubernetesName
from validation.strict_model import StrictModel


class Namespaces(StrictModel):
    """Namespaces of an environment beside those of `dynamo` and of each stack."""

    create: Annotated[bool, Change.IN_PLACE] = Field(
        default=True,
        description="whether namespaces are created; false: somebody else has made all of them, or has them from then "
        "on: those that the program created stay, with what runs in them",
    )
    kai: KubernetesName = Field(default=namespaces.KAI, description="the namespace of a KAI that is created")
    dra_driver: KubernetesName = Field(
        default=namespaces.DRA_DRIVER, description="the namespace of a DRA driver that is created"
    )
    downloads: KubernetesName | None = Field(
        default=None, description="the namespace of the download of the model; default: one is created for each model"
    )
