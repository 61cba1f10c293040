"""The check against NVIDIA's own frontend and mocker workers, two releases, with and without the decode side.

The wheels come from the package index on the first run, which takes minutes, and stay in the project's cache
(`DYNAMO_A4X_CACHE`): 0.7 GB. Without network, without `unshare` and `ip`, or without the right to make a network
namespace the tests are skipped, and say so.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest

from tests import wheels
from tests.readiness.cluster import ROOT
from tests.wheels import INSTALL_SECONDS

RELEASES = ("1.0.1", "1.6.1")
NAMESPACE = ("unshare", "--user", "--map-root-user", "--net")


@pytest.fixture(scope="module", params=RELEASES)
def told(request: pytest.FixtureRequest) -> dict[str, Any]:
    """What the check said in each state of the deployment."""
    release: str = request.param
    _needs_a_namespace()
    command = [
        *NAMESPACE,
        sys.executable,
        "-m",
        "tests.readiness.dynamo_deployment",
        release,
        wheels.of_dynamo(release),
    ]
    # the children die with the namespace's first process
    ran = subprocess.run(  # noqa: S603 - our own module
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, ran.stderr
    return {"release": release, **json.loads(ran.stdout.splitlines()[-1])}


@pytest.mark.timeout(INSTALL_SECONDS * 2 + 300)
def test_the_check_succeeds_when_prefill_and_decode_are_there(told: dict[str, Any]) -> None:
    assert told["whole"]["code"] == 0, told["whole"]
    assert "the model answers: 32 tokens, finish_reason length" in told["whole"]["message"]
    assert told["again"]["code"] == 0, told["again"]


@pytest.mark.timeout(INSTALL_SECONDS * 2 + 300)
def test_a_stack_without_its_decode_side_is_never_called_ready(told: dict[str, Any]) -> None:
    """With all pods ready, as when decode workers have started and cannot be reached."""
    first = told["without_decode"]
    assert first["code"] == 1
    assert first["message"].startswith("not answering after 10 s, with all pods ready; the last answer: ")
    # 1.0.1 lists the model for its prefill side alone, so the list of models is no sign
    said = {"1.0.1": "HTTP 404 to a completion", "1.6.1": f"/v1/models does not list {told['model']}, but nothing"}
    assert said[told["release"]] in first["message"]


@pytest.mark.timeout(INSTALL_SECONDS * 2 + 300)
def test_a_decode_side_that_is_gone_is_noticed(told: dict[str, Any]) -> None:
    assert told["decode_gone"]["code"] == 1, told["decode_gone"]
    assert told["decode_gone"]["message"].startswith("not answering after 10 s, with all pods ready; the last answer: ")


def _needs_a_namespace() -> None:
    for tool in ("unshare", "ip"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} on PATH, so no network namespace for NVIDIA's frontend")
    tried = subprocess.run(  # noqa: S603 - asks for a namespace and ends
        [*NAMESPACE, "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"],
        capture_output=True,
        text=True,
        check=False,
    )
    if tried.returncode:
        pytest.skip(f"this machine gives no network namespace for NVIDIA's frontend: {tried.stderr.strip()}")
