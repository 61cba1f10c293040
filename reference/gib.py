"""Google's NCCL gIB plugin: its image and the form of its releases. Each Dynamo profile names its default."""

from __future__ import annotations

import re
from typing import Final

from reference import images
from validation.problems import RuleError

IMAGE: Final = "us-docker.pkg.dev/gce-ai-infra/gpudirect-gib/nccl-plugin-gib-arm64"
PAUSE: Final = "gke.gcr.io/pause:3.8@sha256:880e63f94b145e46f1b1082bb71b85e21f16b99b180b9996407d61240ceb9830"
"""Image of the container that remains of the installer's pods; GKE's own nodes run it too."""

_RELEASE: Final = re.compile(
    rf"v[0-9]{{1,4}}\.[0-9]{{1,4}}\.[0-9]{{1,4}}([-.][-.A-Za-z0-9_]{{0,60}})?(@{images.DIGEST})?"
)


def check(version: str, key: str = "nodeSoftware.gibVersion") -> None:
    """Raise `RuleError` unless `version` is the tag of a release of the plugin's image, with or without its digest."""
    if not _RELEASE.fullmatch(version):
        raise RuleError(
            key,
            version,
            "it is the tag of one release of the plugin's image, so that all nodes have the same",
            "write the release, such as v1.0.7, or v1.0.7@sha256:... for its digest as well",
        )
