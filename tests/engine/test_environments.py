"""The command of the README, for each environment as it ships."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from rehearsal import engine as engines
from rehearsal.run import ROOT
from tests.resilience.proof import needs_policy_pack

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(
        engines.find() is None,
        reason=f"no Pulumi engine on PATH or at {engines.cached()}; `make rehearse` gets one",
    ),
]

KINDS = {
    "dev": {"kubernetes:helm.sh/v3:Release": 4},
    "prod": {"gcp:container/nodePool:NodePool": 2, "kubernetes:helm.sh/v3:Release": 4},
}


def _rehearse(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - this project's own command
        [sys.executable, "-m", "rehearsal", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_an_environment_is_rehearsed_from_preview_to_nothing_left(stack: str, tmp_path: Path) -> None:
    target = tmp_path / "export.json"
    done = _rehearse("--stack", stack, "--export", str(target))
    assert done.returncode == 0, done.stdout + done.stderr
    for phase in ("preview", "up", "up again", "destroy"):
        assert f"{phase}: done" in done.stdout
    assert "objects left in the embedded cloud after destroy: none" in done.stdout
    assert "(secret)" in done.stdout
    assert "made-up-" not in done.stdout + done.stderr

    text = target.read_text(encoding="utf-8")
    assert "made-up-" not in text
    assert "plaintext" not in text
    state = json.loads(text)
    # The engine's schema for states that use what older engines do not know.
    assert (state["version"], state["features"]) == (4, ["hooks", "replaceWith"])
    kinds = [resource["type"] for resource in state["deployment"]["resources"]]
    for kind, count in KINDS[stack].items():
        assert kinds.count(kind) == count
    assert kinds.count("kubernetes:nvidia.com/v1alpha1:DynamoGraphDeployment") == 1


@needs_policy_pack
def test_a_rehearsal_under_policies_tells_the_advice_and_writes_nothing_into_the_checkout() -> None:
    before = {path.name: path.stat().st_mtime_ns for path in ROOT.glob("Pulumi*")}
    done = _rehearse("--stack", "dev", "--policy")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "policy pack: 0 mandatory violations, 5 advisory" in done.stdout
    assert "image-digest: Job r1-1p1d-readiness-job: Images are named by digest." in done.stdout
    assert {path.name: path.stat().st_mtime_ns for path in ROOT.glob("Pulumi*")} == before
    assert not (ROOT / ".pulumi").exists()
