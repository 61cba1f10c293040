"""Which features with known vulnerabilities a layout has in use."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from reference.dynamo import DynamoProfile
from reference.vulnerabilities import Feature
from serving_rules import arguments, unsafe_settings
from serving_rules.layout import WORKER_ROLES, Layout

_QUEUE: Final = "SGLANG_USE_MESSAGE_QUEUE_BROADCASTER"


def features(layout: Layout, profile: DynamoProfile) -> Iterator[Feature]:
    """Those in use by `layout`, as `profile` runs it."""
    if profile.engine_routes:
        yield Feature.ENGINE_ROUTES
    known = arguments.of(profile)
    for role in WORKER_ROLES:
        values = arguments.values(layout.arguments(role), known)
        if values.flag("enable-multimodal"):
            yield Feature.MULTIMODAL
        if layout.workers(role).nodes_per_replica == 1:
            continue
        yield Feature.NODES
        if values.parallelism.attention:
            yield Feature.DP_ATTENTION
        # SGLang's default is on.
        if unsafe_settings.of_variable(_QUEUE, layout.environment(role).get(_QUEUE, "1")) is not None:
            yield Feature.MESSAGE_QUEUE
