"""What real API servers and operators answered, state by state; not part of this project.

Recorded on Kubernetes 1.34.4 with Dynamo 0.7.0 and 1.5, Grove alpha.3 and about alpha.13, and KAI 0.17.0. Name the
folder by `DYNAMO_A4X_RECORDINGS`, or put it beside the checkout; without it these tests are skipped, and say so.
"""

from __future__ import annotations

import json
import os
import re
from functools import cache
from pathlib import Path
from typing import Any

from readiness import config, snapshot
from readiness.config import ROLE_LABEL, TEMPLATE_ANNOTATION, Config, Role

_ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("DYNAMO_A4X_RECORDINGS") or _ROOT / ".." / "shared" / "reference" / "recordings").resolve()
RELEASES = ("0.7.0", "1.5-dev")
MISSING = "" if FOLDER.is_dir() else f"no recordings at {FOLDER} (set DYNAMO_A4X_RECORDINGS)"

_GROVE_HASH = "grove.io/pod-template-hash"
_CHANGED = re.compile(r"11-|12-|20-multinode-11-|07-roll|10-edit")
"""States in which the graph's pod templates were changed."""
_SERIES = re.compile(r"^((?:20-multinode-)?1[12]-roll-?[a-z-]*?)-(\d\d|before)$")


def names(release: str) -> list[str]:
    """All states of one release that show a graph."""
    files = sorted((FOLDER / release).glob("*.json"))
    return [file.stem for file in files if not file.stem.startswith("14-platform")]


@cache
def load(release: str, name: str) -> dict[str, Any]:
    """One state, as recorded."""
    return json.loads((FOLDER / release / f"{name}.json").read_text())


def wanted(release: str, name: str) -> Config:
    """The check's configuration for the graph of one state: what the program would have written."""
    found = load(release, name)
    graphs = found["DynamoGraphDeployment"]["items"]
    spec = graphs[0]["spec"] if graphs else {}
    services = list(spec.get("services", {}).values()) + spec.get("components", [])
    roles: dict[str, Role] = {}
    for service in services:
        pod = service.get("extraPodMetadata") or service["podTemplate"]["metadata"]
        role = pod["labels"][ROLE_LABEL]
        nodes = (service.get("multinode") or {}).get("nodeCount", 1)
        roles[role] = Role(pods=service.get("replicas", 1) * nodes, template=f"wanted-{role}")
    return Config(
        namespace=found["recording"]["namespace"],
        deployment=graphs[0]["metadata"]["name"] if graphs else "r1-1p1d",
        job="readiness-check",
        roles=roles or {role: Role(1, f"wanted-{role}") for role in ("frontend", "prefill", "decode")},
        url="http://r1-frontend.r1.svc.cluster.local:8000",
        model="deepseek-ai/DeepSeek-R1",
        next="kubectl -n r1-1p1d get pods",
        bounds=config.Bounds(),
    )


def seen(release: str, name: str) -> snapshot.Snapshot:
    """What the check would see: the recorded objects, with the program's annotation laid over the pods.

    The recorded graphs had no such annotation. Where the graph's template was changed, a pod is of the wanted one
    when its Grove hash is that of its PodClique at the end of the series; elsewhere all pods are.
    """
    found, last = load(release, name), load(release, _last(release, name))
    hashes = {
        clique["metadata"]["name"]: clique["metadata"]["labels"][_GROVE_HASH] for clique in last["PodClique"]["items"]
    }
    pods = json.loads(json.dumps(found["Pod"]["items"]))
    for pod in pods:
        labels = pod["metadata"]["labels"]
        new = labels[_GROVE_HASH] == hashes.get(labels["grove.io/podclique"]) or not _CHANGED.match(name)
        template = f"{'wanted' if new else 'old'}-{labels[ROLE_LABEL]}"
        pod["metadata"].setdefault("annotations", {})[TEMPLATE_ANNOTATION] = template
    graphs = found["DynamoGraphDeployment"]["items"]
    return snapshot.read(
        pods=pods,
        cliques=found["PodClique"]["items"],
        events=[event for event in found["Event"]["items"] if event["type"] == "Warning"],
        graph=graphs[0] if graphs else {},
    )


def _last(release: str, name: str) -> str:
    """The state that a roll ends with."""
    series = _SERIES.match(name)
    if not series:
        return name
    return [one for one in names(release) if (found := _SERIES.match(one)) and found[1] == series[1]][-2]
