"""The graph of a layout, for tests that look at its shape or at one field of it."""

from __future__ import annotations

from typing import Any

from manifests import graph, graph_api
from manifests.graph_api import Component, Graph
from reference.dynamo import PROFILES, DynamoProfile
from serving_rules import layout
from tests.recorder import Recording


def describe(name: str, profile: DynamoProfile = PROFILES["0.7.0"], **changes: Any) -> Graph:
    """The graph of a layout; `changes` are fields of its `Placement`."""
    values: dict[str, Any] = {
        "stack": "r1",
        "image": "image:1",
        "frontend_image": "image:2",
        "frontend_replicas": 9,
        "frontend_nodes": "a4x",
        "node_pool": "pool",
        "bucket": "bucket",
        "service_account": "account",
        "pull_secret": "nvcr-secret",
        "claim_template": "template",
        "config_maps": {"prefill": "p", "decode": "d"},
    }
    return graph.describe(layout.load(name), graph.Placement(**{**values, **changes}), profile)


def recorded(recording: Recording) -> dict[str, Component]:
    """The components of the only graph of a recording, by role."""
    return graph_api.components(recording.find("DynamoGraphDeployment").inputs["spec"])


def spec(name: str, profile: DynamoProfile = PROFILES["0.7.0"], **changes: Any) -> dict[str, Any]:
    """Spec of the layout's DynamoGraphDeployment."""
    return graph_api.write(describe(name, profile, **changes), profile.graph_api)
