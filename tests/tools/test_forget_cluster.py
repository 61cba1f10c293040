"""A state forgets what is inside its cluster, and only that; the old state is kept first."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from recovery import forget_cluster, pending_creates, state

STATE: dict[str, Any] = {
    "version": 3,
    "deployment": {
        "resources": [
            {"urn": "urn:stack", "type": "pulumi:pulumi:Stack"},
            {"urn": "urn:provider", "type": "pulumi:providers:kubernetes"},
            {"urn": "urn:component", "type": "dynamo-a4x:serving:ServingStack"},
            {"urn": "urn:release", "type": "kubernetes:helm.sh/v3:Release", "protect": True},
            {"urn": "urn:graph", "type": "kubernetes:nvidia.com/v1alpha1:DynamoGraphDeployment"},
            {"urn": "urn:pool", "type": "gcp:container/nodePool:NodePool", "protect": True},
        ]
    },
}


class Cli:
    """Stands in for the `pulumi` CLI: answers an export, keeps what is imported."""

    def __init__(self, export: str) -> None:
        self.export = export
        self.imported: dict[str, Any] | None = None

    def __call__(self, arguments: Sequence[str], text: str | None) -> str:
        if arguments[1] == "import":
            self.imported = json.loads(text or "")
        return self.export


def test_everything_inside_the_cluster_is_forgotten_and_nothing_else() -> None:
    changed, urns = forget_cluster.forget(STATE)
    assert urns == ["urn:release", "urn:graph"]
    retained = [r["urn"] for r in changed["deployment"]["resources"] if r.get("retainOnDelete")]
    assert retained == urns
    protected = [r["urn"] for r in changed["deployment"]["resources"] if r.get("protect")]
    assert protected == ["urn:pool"]
    assert "retainOnDelete" not in json.dumps(STATE)


def test_the_old_state_is_written_before_the_new_one_is_imported(tmp_path: Path) -> None:
    cli = Cli(json.dumps(STATE))
    forget_cluster.forget_cluster("prod", tmp_path / "old.json", cli)
    assert json.loads((tmp_path / "old.json").read_text(encoding="utf-8")) == STATE
    assert cli.imported == forget_cluster.forget(STATE)[0]


def test_a_backup_is_never_overwritten(tmp_path: Path) -> None:
    cli = Cli(json.dumps(STATE))
    (tmp_path / "old.json").write_text("precious", encoding="utf-8")
    with pytest.raises(state.StateError, match="exists"):
        forget_cluster.forget_cluster("prod", tmp_path / "old.json", cli)
    assert cli.imported is None
    assert (tmp_path / "old.json").read_text(encoding="utf-8") == "precious"


def test_what_is_no_state_is_refused(tmp_path: Path) -> None:
    with pytest.raises(state.StateError, match="printed no state"):
        forget_cluster.forget_cluster("prod", tmp_path / "old.json", Cli("error: no stack"))


def _no_terminal(_: str) -> str:
    raise EOFError


@pytest.mark.parametrize("answer", [lambda _: "no", _no_terminal], ids=["no", "no terminal"])
def test_without_a_confirmation_nothing_is_changed(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    answer: Callable[[str], str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("builtins.input", answer)
    monkeypatch.setattr(forget_cluster, "pulumi", lambda *_: pytest.fail("pulumi was run"))
    assert forget_cluster.main(["--stack", "prod"]) == 1
    assert "nothing was changed" in capsys.readouterr().out


def test_an_empty_state_has_nothing_to_forget(tmp_path: Path) -> None:
    cli = Cli('{"version": 3, "deployment": null}')
    assert forget_cluster.forget_cluster("prod", tmp_path / "old.json", cli) == []
    assert pending_creates.plan({"version": 3, "deployment": None}).looked_up == {}


def test_a_backup_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    cli = Cli(json.dumps(STATE))
    with pytest.raises(state.StateError, match="--backup"):
        forget_cluster.forget_cluster("prod", tmp_path / "missing" / "old.json", cli)
    assert cli.imported is None


def test_a_machine_without_pulumi_is_reported_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(state.StateError, match="install the Pulumi CLI"):
        state.pulumi(["version"], None)
