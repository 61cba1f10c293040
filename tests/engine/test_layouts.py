"""Every layout that ships is deployed and taken down in both environments, on both generations of Dynamo."""

from __future__ import annotations

from typing import Any

import pytest

from rehearsal import engine as engines
from rehearsal.run import Rehearsal
from serving_rules import layout
from tests import stacks

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        engines.find() is None,
        reason=f"no Pulumi engine on PATH or at {engines.cached()}; `make rehearse` gets one",
    ),
]

RELEASES = ("0.7.0", "1.0.1")


def config_of(stack: str, name: str, version: str) -> dict[str, Any]:
    """The stack file with this layout on this release; the domain has a whole rack."""
    shipped = stacks.config(stack)
    domain, serving = shipped["dynamo-a4x:domains"][0], shipped["dynamo-a4x:stacks"][0]
    return {
        "dynamo-a4x:protect": False,
        "dynamo-a4x:dynamo": {**shipped["dynamo-a4x:dynamo"], "version": version},
        "dynamo-a4x:domains": [{**domain, "nodes": 18}],
        "dynamo-a4x:stacks": [{**serving, "name": "r1", "layout": name}],
    }


@pytest.mark.parametrize("version", RELEASES)
@pytest.mark.parametrize("name", layout.available())
@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_layout_comes_up_stays_and_goes_on_this_release(stack: str, name: str, version: str) -> None:
    with Rehearsal(stack, config=config_of(stack, name, version)) as rehearsal:
        rehearsal.up()
        graphs = [resource for resource in rehearsal.state.find() if resource.kind.endswith("DynamoGraphDeployment")]
        assert len(graphs) == 1
        rehearsal.up_without_change()
        rehearsal.destroy()
        assert rehearsal.state.leftovers() == []
