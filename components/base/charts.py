"""Where Helm charts come from: each publisher's own place, or one mirror for all of them.

A place is an `https://` folder or a local one, which holds archives `<chart>-<version>.tgz`, or an `oci://` registry,
which holds the chart under its name with the version as its tag. A release is given both `address` and version.
"""

from __future__ import annotations

import re
from typing import Final

from components.base.problems import RuleError

OCI: Final = "oci://"
_WEB: Final = ("https://", "http://")
_SCHEME: Final = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]*:")
_TAG: Final = re.compile(r"^oci://[^/]+/.*[:@][^/]*$")


def address(source: str, name: str, version: str) -> str:
    """What a Helm release names as its chart: chart `name` of `version`, in `source` (URL, folder or `oci://`)."""
    place = source.rstrip("/")
    if place.startswith(OCI):
        return f"{place}/{name}"
    return f"{place}/{name}-{version}.tgz"


def check_source(source: str, key: str = "dynamo.chartSource") -> None:
    """Raise `RuleError` unless Helm can fetch charts below `source`."""
    cure = "Write https://HOST/FOLDER, oci://REGISTRY/FOLDER, or the path of a local folder"
    if not source.strip("/") or re.search(r"\s", source):
        raise RuleError(key, source, "the place of the charts is a URL or a folder, without spaces", cure)
    if _SCHEME.match(source) and not source.startswith((OCI, *_WEB)):
        raise RuleError(key, source, "Helm fetches charts by https, http or oci, or from a local folder", cure)
    if source.rstrip("/") in {OCI.rstrip("/"), *(web.rstrip("/") for web in _WEB)}:
        raise RuleError(key, source, "the address names no host", cure)
    if source.rstrip("/").endswith(".tgz") or _TAG.match(source):
        rule = "the place that holds all charts is named, no single chart or version of it"
        raise RuleError(key, source, rule, "Leave out the last part of it: the program adds chart and version")
