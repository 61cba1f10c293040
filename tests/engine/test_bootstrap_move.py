"""A stack's state moves from one backend to another, in the real engine, whatever interrupts it.

Between two folders, with the passphrase provider on both sides: Cloud KMS and Cloud Storage cannot be run here.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from bootstrap import move as moves
from bootstrap.move import Move, MoveError, State
from rehearsal.run import ROOT, Rehearsal
from rehearsal.workspace import PASSPHRASE
from tests.resilience.proof import needs_engine

pytestmark = [pytest.mark.engine, needs_engine]

FOLDER = ROOT / "bootstrap"
STACK, SECRET, CONFIG_KEY = "team", "made-up-value", "gcp:accessToken"


def plan_of(folder: Path) -> Move:
    """A move between two folders beside the project."""
    (folder / "bucket").mkdir()
    return Move(folder / "project", STACK, f"file://{folder}/state", f"file://{folder}/bucket", "passphrase")


@pytest.fixture(scope="module")
def made() -> Iterator[Rehearsal]:
    """The bootstrap stack after its first `up`, with a secret in its config, which is in its state too."""
    with Rehearsal(STACK, root=FOLDER, secrets={CONFIG_KEY: SECRET}) as rehearsal:
        rehearsal.up()
        for part in ("project", "state"):
            shutil.copytree(rehearsal.folder / part, rehearsal.folder / "copy" / part)
        yield rehearsal


@pytest.fixture
def plan(made: Rehearsal, tmp_path: Path) -> Move:
    """A move of a copy of that stack, for one test."""
    shutil.copytree(made.folder / "copy", tmp_path, dirs_exist_ok=True)
    return plan_of(tmp_path)


@pytest.fixture
def cli(plan: Move, made: Rehearsal) -> Cli:
    return Cli(plan, made)


class Cli:
    """The engine's command line, on the files of a plan."""

    def __init__(self, plan: Move, rehearsal: Rehearsal) -> None:
        assert rehearsal.engine is not None
        self.plan = plan
        self.calls: list[str] = []
        self._engine = str(rehearsal.engine.path)
        self._home = str(rehearsal.folder / "home")

    def start(self, arguments: Sequence[str], backend: str) -> subprocess.Popen[str]:
        self.calls.append(" ".join(arguments[:2]))
        own = {key: value for key, value in os.environ.items() if not key.startswith("PULUMI_")}
        variables = {
            "PULUMI_BACKEND_URL": backend,
            "PULUMI_HOME": self._home,
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }
        return subprocess.Popen(  # noqa: S603 - the engine under test
            [self._engine, "--non-interactive", *arguments],
            cwd=self.plan.folder,
            env={**own, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __call__(self, arguments: Sequence[str], backend: str) -> str:
        process = self.start(arguments, backend)
        stdout, stderr = process.communicate()
        if process.returncode:
            raise MoveError(stderr)
        return stdout


def _state(plan: Move, backend: str, cli: Cli) -> State:
    return moves._exported(plan, backend, cli)


def _written(backend: str) -> list[Path]:
    """The files in which a backend keeps the stack."""
    return list(Path(backend.removeprefix("file://")).rglob(f"{STACK}.json"))


def _is_moved(plan: Move, cli: Cli) -> None:
    """The new backend has everything, secrets included, and the old one is as it was."""
    before, after = _state(plan, plan.source, cli), _state(plan, plan.target, cli)
    assert after.resources == before.resources
    assert len(after.resources) > 40
    assert SECRET in json.dumps(after.resources)
    assert not plan.kept_file.exists()
    assert SECRET not in "".join(path.read_text("utf-8") for path in [*_written(plan.target), plan.stack_file])


def test_a_moved_stack_goes_on_in_the_new_backend_and_is_never_overwritten_there(made: Rehearsal) -> None:
    plan = plan_of(made.folder)
    cli = Cli(plan, made)
    config = yaml.safe_load(plan.stack_file.read_text("utf-8"))["config"]
    assert list(moves.move(plan, cli))[-1].startswith("both states are equal")
    _is_moved(plan, cli)
    moved = yaml.safe_load(plan.stack_file.read_text("utf-8"))["config"]
    assert {**moved, CONFIG_KEY: None} == {**config, CONFIG_KEY: None}

    cli.calls.clear()
    assert f"{plan.target}: has the same state already" in list(moves.move(plan, cli))
    assert "stack migrate" not in cli.calls

    workspace = made.stack.workspace
    workspace.env_vars = {**workspace.env_vars, "PULUMI_BACKEND_URL": plan.target}
    made.up_without_change()
    made.set_config({"dynamo-a4x-bootstrap:keyRotationDays": 30})
    made.up()
    newer = _state(plan, plan.target, cli)
    with pytest.raises(MoveError, match="another state of stack 'team'"):
        list(moves.move(plan, cli))
    assert _state(plan, plan.target, cli) == newer


def test_a_move_is_finished_after_it_stopped_between_the_new_stack_and_its_state(
    plan: Move, made: Rehearsal, cli: Cli
) -> None:
    """The worst moment: the stack file belongs to the new stack already, which has no resources."""

    class Stopped(Cli):
        def __call__(self, arguments: Sequence[str], backend: str) -> str:
            if arguments[:2] != ["stack", "migrate"]:
                return super().__call__(arguments, backend)
            super().__call__(["stack", "init", STACK, "--no-select"], backend)
            spoilt = plan.stack_file.read_text("utf-8").replace("secure: v1:", "secure: v1:X")
            plan.stack_file.write_text(spoilt, "utf-8")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(moves.move(plan, Stopped(plan, made)))
    assert len(_state(plan, plan.source, cli).resources) > 40
    assert not _state(plan, plan.target, cli).resources
    assert "Pulumi.team.yaml: as it was before the interrupted move" in list(moves.move(plan, cli))
    _is_moved(plan, cli)
    assert cli(["config", "get", CONFIG_KEY, "--stack", STACK], plan.target).strip() == SECRET


@pytest.mark.parametrize("delay", [0.0, 0.05])
def test_a_move_is_finished_after_the_engine_was_killed(plan: Move, made: Rehearsal, cli: Cli, delay: float) -> None:
    class Killed(Cli):
        def __call__(self, arguments: Sequence[str], backend: str) -> str:
            if arguments[:2] != ["stack", "migrate"]:
                return super().__call__(arguments, backend)
            process = self.start(arguments, backend)
            while process.poll() is None and not _written(plan.target):
                time.sleep(0.002)
            time.sleep(delay)
            process.kill()
            process.communicate()
            raise MoveError("the power is gone")

    with pytest.raises(MoveError, match="the power is gone"):
        list(moves.move(plan, Killed(plan, made)))
    list(moves.move(plan, cli))
    _is_moved(plan, cli)
    assert not list((plan.folder.parent / "bucket" / ".pulumi" / "locks").rglob("*.json"))


def test_an_interrupted_up_is_not_moved_because_its_pending_operation_would_be_lost(plan: Move, cli: Cli) -> None:
    # `pulumi stack import` would drop it, so it is written where a killed engine leaves it.
    [file] = _written(plan.source)
    content: dict[str, Any] = json.loads(file.read_text("utf-8"))
    latest = content["checkpoint"]["latest"]
    latest["pending_operations"] = [{"type": "creating", "resource": {**latest["resources"][-1], "id": ""}}]
    file.write_text(json.dumps(content), "utf-8")
    with pytest.raises(MoveError, match="1 pending operations, which a move would lose"):
        list(moves.move(plan, cli))
    assert not _written(plan.target)


def test_a_secrets_provider_that_fails_leaves_everything_as_it_was(plan: Move, cli: Cli) -> None:
    file = plan.stack_file.read_bytes()
    unusable = replace(plan, secrets_provider="gcpkms://projects/p/locations/global/keyRings/r/cryptoKeys/k")
    with pytest.raises(MoveError, match="credentials"):
        list(moves.move(unusable, cli))
    assert plan.stack_file.read_bytes() == file
    list(moves.move(plan, cli))
    _is_moved(plan, cli)


def test_the_bootstrap_stack_knows_its_own_backend_and_secrets_provider(plan: Move, cli: Cli) -> None:
    key = "gcpkms://projects/my-state-project/locations/us-central1/keyRings/pulumi/cryptoKeys/secrets"
    assert moves.outputs(plan.folder, STACK, plan.source, cli) == ("gs://my-org-pulumi-state", key)


def test_nothing_to_move_is_said_in_one_message(plan: Move, cli: Cli, tmp_path: Path) -> None:
    with pytest.raises(MoveError, match=r"no Pulumi\.team\.yaml in"):
        list(moves.move(replace(plan, folder=tmp_path), cli))
    with pytest.raises(MoveError, match="no stack named 'team' found"):
        list(moves.move(replace(plan, source=plan.target), cli))
    with pytest.raises(MoveError, match="no outputs"):
        moves.outputs(plan.folder, STACK, plan.source, lambda *_: "{}")
