"""The command line of `python -m bootstrap.move`; tests/engine/test_bootstrap_move.py has the moves themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap import move

COMMAND = ["--stack", "team", "--to", "file:///new", "--secrets-provider", "passphrase"]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a stack file, and a `pulumi` on PATH that fails as `said` says."""
    (tmp_path / "Pulumi.yaml").write_text("name: made-up\n", "utf-8")
    (tmp_path / "Pulumi.team.yaml").write_text("config: {}\n", "utf-8")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (tmp_path / "bin").mkdir()
    return tmp_path


def fails(project: Path, said: str) -> None:
    script = project / "bin" / "pulumi"
    script.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit 255\n", "utf-8")
    script.chmod(0o755)


@pytest.mark.parametrize(
    ("said", "fix"),
    [
        ("error: rpc error: Permission cloudkms.cryptoKeyVersions.useToEncrypt denied", "cryptoKeyEncrypterDecrypter"),
        ("error: passphrase must be set with PULUMI_CONFIG_PASSPHRASE", "set PULUMI_CONFIG_PASSPHRASE"),
        ("error: google: could not find default credentials", "gcloud auth application-default login"),
        ('error: unknown command "migrate"', "update the Pulumi CLI"),
    ],
)
def test_a_failure_of_the_cli_is_one_message_with_a_fix(
    project: Path, capsys: pytest.CaptureFixture[str], said: str, fix: str
) -> None:
    fails(project, said)
    assert move.main([*COMMAND, "--folder", str(project)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: pulumi stack export on file://~: error: ")
    assert f"fix: {fix}" in error or fix in error.partition("fix: ")[2]


def test_a_machine_without_pulumi_is_reported_so(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert move.main([*COMMAND, "--folder", str(project)]) == 1
    assert capsys.readouterr().err == "error: there is no `pulumi` on PATH; install the Pulumi CLI\n"


@pytest.mark.parametrize("folder", ["/nonexistent", "/etc/passwd", "/proc"])
def test_a_folder_without_a_project_is_named(folder: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert move.main([*COMMAND, "--folder", folder]) == 1
    assert capsys.readouterr().err.startswith(f"error: --folder = {folder}: a project's folder has a Pulumi.yaml")


@pytest.mark.parametrize("option", ["--from", "--to"])
@pytest.mark.parametrize("url", ["garbage://x", "my-bucket", "gs://", "", "file:/x"])
def test_what_is_no_url_of_a_backend_is_named_before_anything_runs(
    project: Path, capsys: pytest.CaptureFixture[str], option: str, url: str
) -> None:
    fails(project, "error: started")
    assert move.main([*COMMAND, "--folder", str(project), option, url]) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"error: {option} = {url!r}: the URL of a backend begins with")
    assert "gs://BUCKET" in error


def test_an_interrupted_move_says_that_nothing_is_lost(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(move, "move", interrupted)
    assert move.main([*COMMAND, "--folder", str(project)]) == 130
    assert "the old state is complete" in capsys.readouterr().err


def test_the_next_commands_name_the_new_backend_and_the_old_copy(
    project: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(move, "move", lambda *_: iter(["moved"]))
    monkeypatch.chdir(project)
    assert move.main([*COMMAND, "--folder", str(project)]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "moved",
        "next:  pulumi login file:///new && pulumi -C . stack select team",
        "       commit Pulumi.team.yaml",
        "then:  remove the old copy: PULUMI_BACKEND_URL=file://~ pulumi -C . stack rm team --force --preserve-config",
    ]
