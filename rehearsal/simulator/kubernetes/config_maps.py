"""Jobs that run code from a ConfigMap, recognized by the config in it."""

from __future__ import annotations

import json
from typing import Any, cast

from rehearsal.simulator.state import CloudResource, CloudState
from rehearsal.simulator.values import Props, items, mapping, text

CONFIG_MAP = "kubernetes:core/v1:ConfigMap"


def config_of(state: CloudState, job: CloudResource, *keys: str) -> Props | None:
    """The JSON object with these keys that a Job's pod mounts; None if there is none."""
    namespace = job.id.rpartition("/")[0]
    for volume in items(job.inputs, "spec.template.spec.volumes"):
        found = state.get(CONFIG_MAP, f"{namespace}/{text(volume, 'configMap.name')}", job.scope)
        for content in mapping(found.outputs, "data").values() if found is not None else ():
            config = _read(content)
            if all(key in config for key in keys):
                return config
    return None


def _read(content: object) -> Props:
    try:
        loaded: Any = json.loads(content) if isinstance(content, str) else None
    except json.JSONDecodeError:
        return {}
    return cast("Props", loaded) if isinstance(loaded, dict) else {}
