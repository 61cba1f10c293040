"""What real API servers and operators answered, state by state, and `states.json` made of it; no part of this project.

Name the folder by `DYNAMO_A4X_RECORDINGS`, or put it beside the checkout.

    python -m tests.readiness.recordings   # write states.json
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from readiness import snapshot
from readiness.config import ROLE_LABEL, TEMPLATE_ANNOTATION
from tests.readiness import states

_ROOT = Path(__file__).parents[2]
FOLDER = Path(os.environ.get("DYNAMO_A4X_RECORDINGS") or _ROOT / ".." / "shared" / "reference" / "recordings").resolve()
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
    return json.loads((FOLDER / release / f"{name}.json").read_text(encoding="utf-8"))


def wanted(release: str, name: str) -> dict[str, tuple[int, int]]:
    """Role to the replicas, and the pods of each, that the program would have waited for."""
    graphs = load(release, name)["DynamoGraphDeployment"]["items"]
    spec = graphs[0]["spec"] if graphs else {}
    found: dict[str, tuple[int, int]] = {}
    for service in [*spec.get("services", {}).values(), *spec.get("components", [])]:
        pod = service.get("extraPodMetadata") or service["podTemplate"]["metadata"]
        nodes = (service.get("multinode") or {}).get("nodeCount", 1)
        found[pod["labels"][ROLE_LABEL]] = (service.get("replicas", 1), nodes)
    return found or dict.fromkeys(("frontend", "prefill", "decode"), (1, 1))


def started_at(release: str, name: str) -> float:
    """The check begins a little after the graph was created or changed."""
    found = load(release, name)["recording"]
    return datetime.fromisoformat(found["at"]).timestamp() - min(found["secondsSinceStart"], 10.0)


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
        groups=found["PodGroup"]["items"],
    )


def distilled(release: str, name: str) -> dict[str, Any]:
    """One state, reduced to what a verdict can depend on."""
    graphs = load(release, name)["DynamoGraphDeployment"]["items"]
    reduced = states.canonical(seen(release, name), started_at(release, name))
    graph = graphs[0]["metadata"]["name"] if graphs else "r1-1p1d"
    return {"wanted": dict(sorted(wanted(release, name).items())), **states.encoded(reduced, graph)}


def text(found: Mapping[str, Mapping[str, Any]]) -> str:
    """The file of states: one a line."""
    lines = (f"  {json.dumps(key)}: {json.dumps(state)}" for key, state in found.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


def all_distilled() -> str:
    """The file of states, as the recordings have them."""
    return text(
        {f"{release} {name}": distilled(release, name) for release in states.RELEASES for name in names(release)}
    )


def _last(release: str, name: str) -> str:
    """The state that a roll ends with."""
    series = _SERIES.match(name)
    if not series:
        return name
    return [one for one in names(release) if (found := _SERIES.match(one)) and found[1] == series[1]][-2]


if __name__ == "__main__":
    states.FILE.write_text(all_distilled(), encoding="utf-8")
