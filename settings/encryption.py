"""Keys of the company's own Cloud KMS."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, get_args

from pydantic import Field

from reference.encryption import Use
from settings.fields import Change, KmsKey
from validation.strict_model import StrictModel


class Encryption(StrictModel):
    """Customer-managed encryption keys, each by its path; without one Google's own key is used."""

    disks: Annotated[KmsKey | None, Change.POOLS] = Field(
        default=None,
        description="the key of the boot disks of all created pools: projects/P/locations/REGION/keyRings/R/"
        "cryptoKeys/K. It does not reach the local SSDs",
    )
    secrets: Annotated[KmsKey | None, Change.IN_PLACE] = Field(
        default=None, description="the key of Kubernetes Secrets in the database of a created cluster"
    )
    bucket: Annotated[KmsKey | None, Change.IN_PLACE] = Field(
        default=None, description="the key of a created model bucket; files that are in it keep theirs"
    )
    volumes: Annotated[KmsKey | None, Change.NONE] = Field(
        default=None, description="the key of the volumes of NATS and etcd, if the program installs Dynamo"
    )
    grant: Annotated[bool, Change.IN_PLACE] = Field(
        default=False,
        description="whether the program grants Google's service agents their role on the keys; if not, preflight "
        "names each one that is missing. Switched off later, it revokes the roles that it granted",
    )

    @property
    def keys(self) -> Mapping[Use, str]:
        """The given keys by what they encrypt."""
        given: dict[Use, str | None] = {use: getattr(self, use) for use in get_args(Use)}
        return {use: key for use, key in given.items() if key is not None}
