"""Where images come from: mirrors of registries."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from settings.fields import Change
from validation.strict_model import StrictModel


class Images(StrictModel):
    """Mirrors of image registries, readable by the account of the nodes."""

    mirrors: Annotated[dict[str, str] | None, Change.PODS] = Field(
        default=None,
        description="a mapping of registries (hosts, or folders in them) to their mirrors, such as `nvcr.io: "
        "us-docker.pkg.dev/my-project/nvcr`. Every image of a mirrored registry is pulled from there, with its own "
        "path, tag and digest; Docker Hub is `docker.io`. The nodes' account reads the mirror, no pull secret: if no "
        "image comes from nvcr.io, ngcApiKey is not needed; default: each publisher's registry",
    )
    only_mirrors: bool = Field(
        default=False,
        description="whether an image that comes from no mirror is a mistake, as it is for nodes without internet; "
        "only a check",
    )
