"""References to container images, in the grammar that container runtimes and registries share."""

from __future__ import annotations

import re
from typing import Final

from validation.problems import RuleError

TAG: Final = re.compile(r"[A-Za-z0-9_][-.A-Za-z0-9_]{0,127}")
DIGEST: Final = r"sha256:[0-9a-f]{64}"
_LABEL: Final = r"[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?"
_PORT: Final = r":[0-9]{1,5}"
_HOST: Final = rf"({_LABEL}(\.{_LABEL})+({_PORT})?|{_LABEL}{_PORT}|localhost)"
_COMPONENT: Final = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_PATH: Final = rf"{_COMPONENT}(/{_COMPONENT})*"
_REFERENCE: Final = re.compile(
    rf"((?P<host>{_HOST})/)?(?P<repository>{_PATH})"
    rf"(:(?P<tag>{TAG.pattern}))?(@(?P<digest>{DIGEST}))?"
)
PLACE: Final = re.compile(rf"{_HOST}(/{_PATH})?")
"""A registry, or a folder in it."""
DOCKER_HUB: Final = "docker.io"
_LONGEST: Final = 255 + 129 + 72
"""Characters of repository, tag and digest. Longer texts are not matched, which would take long."""


def check(image: str, key: str = "image") -> None:
    """Raise `RuleError` unless `image` names one version of an image, by tag or digest."""
    match = _REFERENCE.fullmatch(image) if len(image) <= _LONGEST else None
    if match is None or not (match["tag"] or match["digest"]):
        raise RuleError(
            key,
            image,
            "an image is a repository with a tag or a digest, without spaces; the repository is in lower case",
            "write it like nvcr.io/nvidia/ai-dynamo/sglang-runtime:0.7.0, or leave it out for the release's own",
        )


def split(image: str) -> tuple[str, str]:
    """Host and path of an image, as container runtimes read it: without a host it is Docker Hub's, and there without a
    folder it is in `library`.
    """
    host, slash, path = image.partition("/")
    if not slash or not (set(host) & {".", ":"} or host == "localhost"):
        host, path = DOCKER_HUB, image
    if host == DOCKER_HUB and "/" not in path:
        path = f"library/{path}"
    return host, path


def repository(image: str) -> str:
    """An image without tag and digest."""
    name = image.partition("@")[0]
    head, colon, tag = name.rpartition(":")
    return head if colon and "/" not in tag else name


def tag(image: str) -> str:
    """The tag of an image; empty if it has none."""
    # A registry's port is also preceded by a colon.
    return image.rpartition("/")[2].partition("@")[0].partition(":")[2]
