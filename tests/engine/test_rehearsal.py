"""A small program through the real engine: the life cycle, and that the rehearsal tells what goes wrong."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rehearsal import ConfigError, EngineError, Rehearsal, RehearsalError
from rehearsal import engine as engines
from rehearsal.command import EngineCommand
from rehearsal.run import ROOT, STACK_FILES, write_export
from tests import interrupts, stacks

SAMPLE = Path(__file__).parent / "sample"
PROGRAM = SAMPLE / "program.py"
TOKEN = "hf_made_up_and_easy_to_search_for"
SECRETS = {"token": TOKEN}

pytestmark = pytest.mark.engine
needs_engine = pytest.mark.skipif(
    engines.find() is None,
    reason=f"no Pulumi engine on PATH or at {engines.cached()}; `python -m rehearsal` gets one",
)


def sample(**options: Any) -> Rehearsal:
    return Rehearsal("dev", root=SAMPLE, program=PROGRAM, secrets=SECRETS, **options)


@pytest.fixture
def rehearsal() -> Iterator[Rehearsal]:
    with sample() as running:
        yield running


@needs_engine
def test_a_program_lives_from_preview_to_destroy_and_leaves_nothing(rehearsal: Rehearsal) -> None:
    preview = rehearsal.preview()
    assert {step.op for step in preview.steps} == {"create"}
    assert not rehearsal.state.leftovers()
    up = rehearsal.up()
    assert {str(s) for s in up.steps} == {str(s) for s in preview.steps}
    assert up.outputs["bucket"].value == "gs://sample-weights"
    assert up.outputs["kubeconfig"].secret
    assert not up.outputs["settings"].secret
    assert re.fullmatch(r"settings-\w{4}", up.outputs["settings"].value)
    assert {resource.kind for resource in rehearsal.state.leftovers()} >= {"gcp:storage/bucket:Bucket"}
    assert not rehearsal.up_without_change().changed
    refreshed = rehearsal.refresh()
    assert {step.op for step in refreshed.steps} <= {"same", "refresh"}
    assert len(rehearsal.destroy().steps) == len(up.steps)
    assert not rehearsal.state.leftovers()
    assert not up.warnings


@needs_engine
def test_a_secret_stands_nowhere_in_clear(rehearsal: Rehearsal) -> None:
    rehearsal.up()
    exported = json.dumps(rehearsal.export())
    assert '"type": "kubernetes:core/v1:Secret"' in exported
    folder = rehearsal.folder
    for path in [p for p in folder.rglob("*") if p.is_file()]:
        assert TOKEN.encode() not in path.read_bytes(), path.relative_to(folder)
    assert TOKEN not in exported


@needs_engine
def test_a_change_of_config_reaches_the_program(rehearsal: Rehearsal) -> None:
    rehearsal.up()
    rehearsal.set_config({"sample:text": "two"})
    changed = {f"{step.op} {step.name}" for step in rehearsal.up().changed}
    assert changed == {"replace settings", "create-replacement settings", "delete-replaced settings"}
    rehearsal.set_config({"sample:suffix": "two"})
    assert {step.name for step in rehearsal.up().changed} == {"suffix", "settings"}
    rehearsal.destroy()
    assert not rehearsal.state.leftovers()


@needs_engine
def test_a_create_that_fails_once_is_named_and_made_by_the_next_up(rehearsal: Rehearsal) -> None:
    rehearsal.cloud.faults.fail(lambda call: call.op == "create" and call.name == "grant", "quota exceeded")
    with pytest.raises(RehearsalError, match=r"up failed: gcp:storage/bucketIAMMember:BucketIAMMember grant") as caught:
        rehearsal.up()
    assert "quota exceeded" in str(caught.value)
    assert "\n" not in str(caught.value)
    rehearsal.up()
    rehearsal.destroy()
    assert not rehearsal.state.leftovers()


@needs_engine
def test_an_object_that_vanished_is_found_by_refresh_and_made_again(rehearsal: Rehearsal) -> None:
    rehearsal.up()
    bucket = rehearsal.state.find("gcp:storage/bucket:Bucket")[0]
    rehearsal.state.remove(bucket.key)
    assert [step.name for step in rehearsal.refresh().steps if step.op == "delete"] == ["bucket"]
    assert "create bucket" in {f"{step.op} {step.name}" for step in rehearsal.up().changed}


@needs_engine
def test_an_object_that_was_changed_by_hand_is_put_right(rehearsal: Rehearsal) -> None:
    rehearsal.up()
    bucket = rehearsal.state.find("gcp:storage/bucket:Bucket")[0]
    for props in (bucket.inputs, bucket.outputs):
        props["labels"] = {"by": "hand"}
    rehearsal.refresh()
    assert [str(step) for step in rehearsal.up().changed] == ["update gcp:storage/bucket:Bucket bucket"]
    assert "labels" not in bucket.inputs


@needs_engine
def test_an_up_that_changes_something_the_second_time_is_an_error(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import time, pulumi_gcp as gcp\n"
        "gcp.storage.Bucket('b', name='weights', location='us', labels={'at': str(time.time_ns())})\n",
        encoding="utf-8",
    )
    with Rehearsal("dev", root=SAMPLE, program=program, secrets={}) as rehearsal:
        rehearsal.up()
        with pytest.raises(RehearsalError, match="update gcp:storage/bucket:Bucket b, although nothing changed"):
            rehearsal.up_without_change()


@needs_engine
def test_an_error_of_the_program_is_one_line(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("def inner():\n    raise KeyError('zone')\ninner()\n", encoding="utf-8")
    with (
        Rehearsal("dev", root=SAMPLE, program=program, secrets={}) as rehearsal,
        pytest.raises(RehearsalError) as caught,
    ):
        rehearsal.preview()
    assert str(caught.value) == "preview failed: KeyError: 'zone'"


@needs_engine
def test_nothing_is_left_on_the_disk_and_nothing_is_written_to_the_checkout() -> None:
    before = {path: path.stat().st_mtime_ns for path in SAMPLE.iterdir()}
    with sample() as rehearsal:
        folder = rehearsal.folder
        rehearsal.up()
        assert folder.is_dir()
    assert not folder.exists()
    assert {path: path.stat().st_mtime_ns for path in SAMPLE.iterdir()} == before


@needs_engine
def test_an_equal_stack_is_not_made_again_and_has_its_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[str] = []
    run = EngineCommand.run

    def noted(self: EngineCommand, args: list[str], *others: Any, **options: Any) -> Any:
        commands.append(" ".join(args[:2]))
        return run(self, args, *others, **options)

    with sample():
        pass
    monkeypatch.setattr(EngineCommand, "run", noted)
    with sample() as equal:
        assert not commands
        equal.up()
        assert equal.secret("token") == {"token": TOKEN}
        equal.destroy()
        assert not equal.state.leftovers()
    del commands[:]
    with Rehearsal("dev", root=SAMPLE, program=PROGRAM, secrets={"token": "another"}) as other:
        assert commands == ["stack init", "config set"]
        assert json.loads(other.cli(["config", "get", "token", "--json"]))["value"] == "another"


@needs_engine
def test_the_state_is_saved_after_every_step_only_where_it_is_asked_for() -> None:
    for checkpoints in (False, True):
        seen: list[int] = []
        with sample(checkpoints=checkpoints) as rehearsal:
            [file] = (rehearsal.folder / "state").rglob("stacks/**/dev.json")

            def saved(_: Any, file: Path = file, seen: list[int] = seen) -> None:
                latest = json.loads(file.read_text(encoding="utf-8"))["checkpoint"]["latest"] or {}
                seen.append(len(latest.get("resources") or []))

            rehearsal.cloud.faults.before.append(saved)
            rehearsal.up()
            assert rehearsal.export()["deployment"]["resources"]
        assert (max(seen) > 0) is checkpoints


@needs_engine
def test_the_users_own_pulumi_is_neither_read_nor_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    engine = engines.find()
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://somewhere")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "the user's own")
    monkeypatch.setenv("HOME", str(tmp_path / "nobody"))
    with sample(engine=engine) as rehearsal:
        rehearsal.preview()
    assert not list(tmp_path.rglob("*"))


@needs_engine
def test_an_engine_that_was_killed_leaves_a_state_that_can_be_mended() -> None:
    # In a process of its own: the SDK closes neither its event loop nor its event stream when the engine dies.
    result = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(SAMPLE / "kill.py")],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout == "left: 0\n"


# The command line


def command_line(*arguments: str, root: Path = ROOT) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(root)}
    command = [sys.executable, "-m", "rehearsal", *arguments]
    return subprocess.run(  # noqa: S603 - our own module
        command, cwd=tempfile.gettempdir(), capture_output=True, text=True, check=False, env=environment
    )


def test_an_unknown_stack_is_reported_with_those_that_exist() -> None:
    result = command_line("--stack", "staging")
    assert result.returncode == 2
    assert "there is no stack 'staging': Pulumi.staging.yaml is missing (stacks: dev, prod)" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_export_into_a_folder_that_does_not_exist_is_refused_before_anything_starts() -> None:
    result = command_line("--export", "/nowhere/at/all.json")
    assert result.returncode == 2
    assert "there is no folder /nowhere/at" in result.stderr


def test_a_program_that_does_not_exist_is_refused() -> None:
    assert "there is no file" in command_line("--program", "/nowhere.py").stderr


def test_a_wrong_config_ends_with_the_programs_own_message_and_without_an_engine() -> None:
    with pytest.raises(ConfigError, match="layout") as caught:
        Rehearsal("dev", config={"dynamo-a4x:stacks": [{"name": "a", "layout": "none", "domain": "a4x-0"}]})
    assert "Traceback" not in str(caught.value)


def test_a_stack_file_that_is_no_yaml_is_reported_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "Pulumi.dev.yaml").write_text("config: [", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"Pulumi\.dev\.yaml is not valid YAML") as caught:
        Rehearsal("dev", root=tmp_path, program=PROGRAM)
    assert "\n" not in str(caught.value)


def test_a_config_change_that_the_program_refuses_changes_nothing() -> None:
    rehearsal = Rehearsal("dev")
    settings = rehearsal.settings
    with pytest.raises(ConfigError):
        rehearsal.set_config({"dynamo-a4x:cluster": None})
    assert rehearsal.settings is settings


def test_the_tests_have_stack_files_of_their_own() -> None:
    assert os.environ[STACK_FILES] == str(stacks.FOLDER)


@needs_engine
def test_ctrl_c_ends_the_engine_and_leaves_nothing() -> None:
    folder = tempfile.mkdtemp()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": folder, "PYTHONUNBUFFERED": "1"}
    command = interrupts.module("rehearsal", "--stack", "dev")
    with subprocess.Popen(  # noqa: S603 - our own module
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("up ..."):
                break
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert process.returncode == 130, rest
    assert "Traceback" not in rest
    assert rest.endswith("rehearsal: interrupted; nothing is left behind\n")
    left = [path.name for path in Path(folder).iterdir()]
    assert not left
    Path(folder).rmdir()


def test_an_export_replaces_a_file_only_as_a_whole(tmp_path: Path) -> None:
    target = tmp_path / "stack.json"
    write_export({"version": 3}, target)
    with pytest.raises(TypeError):
        write_export({"version": object()}, target)
    assert json.loads(target.read_text(encoding="utf-8")) == {"version": 3}
    assert [path.name for path in tmp_path.iterdir()] == ["stack.json"]


def test_an_engine_that_cannot_be_had_is_one_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("DYNAMO_A4X_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(engines, "download", lambda *_: "no network")
    with pytest.raises(EngineError, match=r"there is no Go to build it\. Install Pulumi") as caught, sample():
        pass
    assert "\n" not in str(caught.value)
