"""Numbers of releases that the config names: which are releases at all, and which cannot work."""

from __future__ import annotations

import re
from typing import Final

from validation.problems import RuleError

DRA_DRIVER_FLOOR: Final = (25, 3, 2)
"""First release of NVIDIA's DRA driver that asks the API server which device classes it serves. 25.3.0 and 25.3.1
make those of v1beta1, which a cluster of 1.34 or later does not serve."""

_DRA_DRIVER: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})(-[0-9A-Za-z]+([-.][0-9A-Za-z]+)*)?")
_GIB: Final = re.compile(r"v[0-9]{1,4}\.[0-9]{1,4}\.[0-9]{1,4}([-.][-.A-Za-z0-9_]{0,60})?")


def check_dra_driver(version: str, key: str = "draDriver.version") -> None:
    """Raise `RuleError` unless `version` is a release of the driver's chart that works from 1.34 on."""
    match = _DRA_DRIVER.fullmatch(version)
    if match is None:
        raise RuleError(
            key,
            version,
            "the chart of one release is installed, so that every node and every later run has the same",
            "write the release, such as 25.12.0",
        )
    found = int(match[1]), int(match[2]), int(match[3])
    if found < DRA_DRIVER_FLOOR:
        floor = ".".join(str(part) for part in DRA_DRIVER_FLOOR)
        raise RuleError(
            key,
            version,
            f"before {floor} the driver makes device classes of v1beta1, which GKE 1.34 and later do not serve",
            f"set it to {floor} or later; 25.12.0 is the default",
        )


def check_gib(version: str, key: str = "nodeSoftware.gibVersion") -> None:
    """Raise `RuleError` unless `version` is the tag of a release of Google's NCCL gIB plugin."""
    if not _GIB.fullmatch(version):
        raise RuleError(
            key,
            version,
            "it is the tag of one release of the plugin's image, so that all nodes have the same",
            "write the release, such as v1.0.7",
        )
