"""NVIDIA's DRA driver: the chart, its default release, and which releases cannot work."""

from __future__ import annotations

import re
from typing import Final

from reference import namespaces
from validation.problems import RuleError

CHART: Final = "nvidia-dra-driver-gpu"
CHARTS: Final = "https://helm.ngc.nvidia.com/nvidia/charts"
"""NVIDIA's chart repository, readable without an account."""
IMAGE: Final = "nvcr.io/nvidia/k8s-dra-driver-gpu"

NAMESPACE: Final = namespaces.DRA_DRIVER

DEFAULT_VERSION: Final = "25.12.0"
"""First release that works on every GKE minor version from 1.34 on."""

FLOOR: Final = (25, 3, 2)
"""First release that asks the API server which DeviceClass version it serves. 25.3.0 and 25.3.1 create v1beta1 classes,
which a cluster of 1.34 or later does not serve."""

_RELEASE: Final = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})\.([0-9]{1,4})(-[0-9A-Za-z]+([-.][0-9A-Za-z]+)*)?")


def check(version: str, key: str = "draDriver.version") -> None:
    """Raise `RuleError` unless `version` is a release of the driver's chart that works from 1.34 on."""
    match = _RELEASE.fullmatch(version)
    if match is None:
        raise RuleError(
            key,
            version,
            "the chart of one release is installed, so that every node and every later run has the same",
            f"write the release, such as {DEFAULT_VERSION}",
        )
    found = int(match[1]), int(match[2]), int(match[3])
    if found < FLOOR:
        floor = ".".join(str(part) for part in FLOOR)
        raise RuleError(
            key,
            version,
            f"before {floor} the driver makes device classes of v1beta1, which GKE 1.34 and later do not serve",
            f"set it to {floor} or later; {DEFAULT_VERSION} is the default",
        )
