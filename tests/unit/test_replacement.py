"""The engine is told outright to delete first whatever keeps its name when it is replaced."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as k8s
import pytest

from program.replacement import CREATED_FIRST, delete_first
from tests.recorder import Recording, Resource, record

NAMED_ANEW = {"ConfigMap", "ComputeDomain"}
"""Kinds whose every replacement has a name of its own: by content, or by the stack's suffix. Three maps keep theirs: a
guard and the record of the release are known by their names, and the readiness check's goes with its Job."""
MADE_FIRST = "foundation-devices-"
"""Networks of the NICs: named by cluster and zone, and never unknown to the pools that list them."""

LOGIN = "-nats-secret"
"""Named by a revision of the login."""


def _ruled(resource: Resource) -> bool:
    return resource.custom and not resource.type.startswith("pulumi:providers:") and resource.type not in CREATED_FIRST


def test_every_resource_that_keeps_its_name_is_deleted_before_it_is_replaced(deployed: Recording) -> None:
    ruled = [resource for resource in deployed.resources if _ruled(resource)]
    assert len(ruled) > 15
    for resource in ruled:
        kept = resource.name.startswith(("guard-", "dynamo-record-")) or resource.name.endswith("-readiness-config")
        of_its_own = resource.type.rsplit(":", 1)[-1] in NAMED_ANEW and not kept
        anew = of_its_own or resource.name.startswith(MADE_FIRST) or resource.name.endswith(LOGIN)
        assert resource.delete_before_replace is (not anew), resource.name


@pytest.mark.parametrize("kind", sorted(CREATED_FIRST))
def test_a_kind_that_is_made_first_is_left_to_its_plugin(kind: str) -> None:
    def program() -> None:
        delete_first()
        pulumi.CustomResource(kind, "thing", {})

    assert record(program).find(name="thing").delete_before_replace is None


def test_what_a_component_says_itself_is_kept_and_its_other_options_too() -> None:
    def program() -> None:
        delete_first()
        first = k8s.core.v1.Namespace("first", opts=pulumi.ResourceOptions(delete_before_replace=False))
        k8s.core.v1.Namespace("second", opts=pulumi.ResourceOptions(depends_on=[first], protect=True))

    recording = record(program)
    first, second = recording.find(name="first"), recording.find(name="second")
    assert first.delete_before_replace is False
    assert (second.delete_before_replace, second.protect) == (True, True)
    assert recording.depends_on_transitively(second, first)


def test_without_the_rule_nothing_says_so() -> None:
    def program() -> None:
        k8s.core.v1.Namespace("first")

    assert record(program).find(name="first").delete_before_replace is None
