"""Mirrors under the real program and engine: no image of an environment comes from anywhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rehearsal import Rehearsal, RehearsalError
from rehearsal.simulator.kubernetes import chart_images
from settings import artifacts
from tests import stacks
from tests.resilience.proof import needs_engine

pytestmark = [pytest.mark.engine, needs_engine]

MIRROR = "europe-docker.pkg.dev/company/"
REGISTRIES = ("nvcr.io", "ghcr.io", "docker.io", "gcr.io", "us-docker.pkg.dev", "gke.gcr.io")
HOSTS = (*REGISTRIES, "mirror.gcr.io", "helm.ngc.nvidia.com", "bitnamisecure")
IMAGES = {
    "mirrors": {registry: f"{MIRROR}{registry.partition('.')[0]}" for registry in REGISTRIES},
    "onlyMirrors": True,
}
NO_KEY = {"hfToken": "made-up"}


def config(environment: str, version: str, **more: Any) -> dict[str, Any]:
    dynamo = {**stacks.config(environment)["dynamo-a4x:dynamo"], "version": version}
    charts = {"chartSource": f"oci://{MIRROR}charts"}
    return {"dynamo-a4x:images": IMAGES, "dynamo-a4x:dynamo": {**dynamo, **charts}, **more}


def outside(rehearsal: Rehearsal) -> dict[str, list[str]]:
    """Images that do not come from the mirror, with what pulls them."""
    pulled = chart_images.pulled(rehearsal.state)
    return {image: users for image, users in pulled.items() if not image.startswith(MIRROR)}


@pytest.mark.parametrize(
    ("environment", "version"), [("dev", "1.0.2"), ("dev", "1.2.1"), ("dev", "1.5.1"), ("prod", "0.7.0")]
)
def test_with_all_mirrors_an_environment_without_a_key_of_nvidia_names_nothing_outside(
    environment: str, version: str
) -> None:
    chosen = {**config(environment, version), "dynamo-a4x:protect": False}
    with Rehearsal(environment, config=chosen, secrets=NO_KEY) as rehearsal:
        rehearsal.up()
        assert outside(rehearsal) == {}
        listed = {image.target for image in artifacts.images_of(rehearsal.settings)}
        assert set(chart_images.pulled(rehearsal.state)) == listed
        state = json.dumps(rehearsal.export()["deployment"]["resources"])
        assert [host for host in HOSTS if host in state] == []
        rehearsal.up_without_change()
        rehearsal.destroy()
        assert not rehearsal.state.leftovers()


def test_mirrors_move_into_a_living_environment_in_place() -> None:
    with Rehearsal("dev") as rehearsal:
        rehearsal.up()
        # The embedded cloud's charts and the program's table were written independently of each other.
        listed = {image.source for image in artifacts.images_of(rehearsal.settings)}
        assert set(chart_images.pulled(rehearsal.state)) == listed
        rehearsal.set_config(config("dev", "0.7.0"))
        moved = rehearsal.up("with mirrors")
        assert outside(rehearsal) == {}
        replaced = {step.name for step in moved.changed if step.op in {"replace", "create-replacement"}}
        # Of a Job the template cannot change, and its ConfigMap has the hashes of the pods that it waits for.
        assert replaced == {"r1-1p1d-readiness-job", "r1-1p1d-readiness-config"}
        rehearsal.up_without_change()
        rehearsal.destroy()
        assert not rehearsal.state.leftovers()


def test_the_key_of_nvidia_is_asked_for_where_something_still_needs_it() -> None:
    some = {"dynamo-a4x:images": {"mirrors": {"docker.io": f"{MIRROR}docker"}}}
    with Rehearsal("dev", config=some, secrets=NO_KEY) as rehearsal, pytest.raises(RehearsalError) as raised:
        rehearsal.up()
    assert "ngcApiKey" in str(raised.value)
