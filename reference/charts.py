"""Sources of Helm charts: each publisher's own repository, or one mirror for all of them.

A source is an `https://` or local folder of archives `<chart>-<version>.tgz`, or an `oci://` registry, which holds each
chart under its name with the version as its tag. A Helm release gets both `address` and version.
"""

from __future__ import annotations

import re
from typing import Final

from validation.problems import HIDDEN, RuleError

OCI: Final = "oci://"
_WEB: Final = ("https://", "http://")
_SCHEME: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:")
_HOST: Final = re.compile(r"[a-z]+://[A-Za-z0-9][-.A-Za-z0-9]*(:[0-9]{1,5})?(/[!-~]*)?")
_TAG: Final = re.compile(r"^oci://[^/]+/.*[:@][^/]*$")


def address(source: str, name: str, version: str) -> str:
    """The chart reference of a Helm release: chart `name` of `version`, in `source` (URL, folder or `oci://`)."""
    place = source.rstrip("/")
    if place.startswith(OCI):
        return f"{place}/{name}"
    return f"{place}/{name}-{version}.tgz"


def check_source(source: str, key: str = "dynamo.chartSource") -> None:
    """Raise `RuleError` unless Helm can fetch charts below `source`."""
    fix = "Write https://HOST/FOLDER, oci://REGISTRY/FOLDER, or the path of a local folder"
    if not source.strip("/") or re.search(r"\s", source) or not source.isprintable():
        raise RuleError(key, source, "the place of the charts is a URL or a folder, without spaces", fix)
    if _SCHEME.match(source) and not source.startswith((OCI, *_WEB)):
        raise RuleError(key, source, "Helm fetches charts by https, http or oci, or from a local folder", fix)
    if source.startswith((OCI, *_WEB)) and not _HOST.fullmatch(source):
        rule = "the address must have a host and no user: a password would be in plaintext in the config"
        raise RuleError(key, HIDDEN if "@" in source else source, rule, fix)
    if source.startswith(_WEB) and re.search(r"[?#]", source):
        raise RuleError(key, source, "chart and version are appended to the address: it must not contain ? or #", fix)
    if source.rstrip("/").endswith(".tgz") or _TAG.match(source):
        rule = "it must be the repository of all charts, not a single chart or version"
        raise RuleError(key, source, rule, "Leave out the last part of it: the program adds chart and version")
