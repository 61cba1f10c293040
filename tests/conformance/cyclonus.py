"""cyclonus, another judge of NetworkPolicies (mattfenwick/cyclonus, Apache-2.0), built once outside the checkout.

Chosen because it evaluates policies without a cluster. It reads only the first document of a file, so each policy gets
a file of its own.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from tests.conformance.go_programs import installed

VERSION: Final = "v0.5.6"
_PACKAGE: Final = "github.com/mattfenwick/cyclonus/cmd/cyclonus"
_ANSWER: Final = re.compile(r"IS ALLOWED\?\s*\|\s*(TRUE|FALSE)", re.IGNORECASE)


def binary() -> Path:
    """The program. Raises `AbsentError`."""
    return installed("cyclonus", _PACKAGE, VERSION)


def peer(namespace: str, namespace_labels: Mapping[str, str], pod_labels: Mapping[str, Any]) -> dict[str, Any]:
    """One end of a connection, in its words."""
    return {
        "Internal": {
            "Namespace": namespace,
            "NamespaceLabels": {"kubernetes.io/metadata.name": namespace, **namespace_labels},
            "PodLabels": dict(pod_labels),
        },
        "IP": "10.0.0.1",
    }


def judge(policies: Sequence[Mapping[str, Any]], connections: Sequence[Mapping[str, Any]], folder: Path) -> list[bool]:
    """Whether each connection is allowed. `policies` are whole manifests; `folder` is for its files."""
    inputs = folder / "policies"
    inputs.mkdir()
    for i, policy in enumerate(policies):
        (inputs / f"{i}.yaml").write_text(json.dumps(policy), encoding="utf-8")
    traffic = folder / "traffic.json"
    traffic.write_text(json.dumps(list(connections)), encoding="utf-8")
    command = [str(binary()), "analyze", "--mode", "query-traffic", "--policy-path", str(inputs)]
    ran = subprocess.run(  # noqa: S603 - our own build
        [*command, "--traffic-path", str(traffic)], capture_output=True, text=True, timeout=600, check=True
    )
    return [answer.upper() == "TRUE" for answer in _ANSWER.findall(ran.stdout)]
