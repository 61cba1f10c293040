"""The NGC key and the Hugging Face token are nowhere in plaintext.

Searched, byte by byte and in every encoding that carries a text inside another one: the engine's folder (state,
backups, history, logs, stack file) after each phase, everything the engine said, its exports and outputs, the
command lines of all processes while it runs, and every object in the cloud that is no Kubernetes Secret.
"""

from __future__ import annotations

import base64
import json
import threading
import urllib.parse
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from rehearsal import Call, Rehearsal
from rehearsal.run import ROOT
from rehearsal.simulator.faults import LostConnectionError
from tests.resilience import life
from tests.resilience.proof import RecordProperty, needs_engine

SAMPLE = ROOT / "tests" / "engine" / "sample"
SECRETS: Mapping[str, str] = {
    "ngcApiKey": "nvapi-made-up~key/with+signs&0123456789",
    "hfToken": 'hf_made"up\\token<with>signs9876543210',
}
"""With characters that JSON, YAML, HTML and URLs write in another way."""
KEY = SECRETS["ngcApiKey"]
_SECRET = "kubernetes:core/v1:Secret"


def needles(secret: str) -> dict[bytes, str]:
    """Every form of a secret that is searched for, and what it is called."""
    as_json = json.dumps(secret)[1:-1]
    forms = {
        "plaintext": secret,
        "as JSON": as_json,
        # Go's encoder escapes these as well.
        "as JSON of Go": as_json.replace("&", r"\u0026").replace("<", r"\u003c").replace(">", r"\u003e"),
        "as JSON in JSON": json.dumps(as_json)[1:-1],
        "as part of a URL": urllib.parse.quote(secret, safe=""),
        "as hex digits": secret.encode().hex(),
    }
    for shift in range(3):
        # Base64 of any text that holds the secret has one of three inner parts.
        inner = base64.b64encode(b"\0" * shift + secret.encode()).decode()[4 if shift else 0 : -4]
        forms[f"as base64 (offset {shift})"] = inner
        forms[f"as URL base64 (offset {shift})"] = inner.replace("+", "-").replace("/", "_")
    # Where two forms are the same bytes, the first one gives the name.
    return {needle.encode(): form for form, needle in reversed(forms.items())}


class Search:
    """Looks through bytes for secrets."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self.needles = {needle: form for secret in secrets for needle, form in needles(secret).items()}
        self.places = 0
        self.found: list[str] = []

    def look(self, where: str, content: bytes) -> None:
        """Search one piece."""
        self.places += 1
        self.found += [f"{where}: {form}" for needle, form in self.needles.items() if needle in content]

    def folder(self, where: str, folder: Path) -> None:
        """Search every file in a folder."""
        for path in folder.rglob("*"):
            try:
                if path.is_file():
                    self.look(f"{where}: {path.relative_to(folder)}", path.read_bytes())
            except FileNotFoundError:
                continue

    def processes(self) -> None:
        """Search the command lines of all processes."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                self.look(f"process {path.parent.name}", path.read_bytes())
            except (FileNotFoundError, ProcessLookupError, PermissionError):
                continue

    def value(self, where: str, value: Any) -> None:
        """Search anything that JSON can hold."""
        text = json.dumps(value, default=str, ensure_ascii=False)
        self.look(where, text.encode())
        self.look(where, json.dumps(json.loads(text)).encode())


@contextmanager
def repeated(action: Callable[[], None]) -> Iterator[None]:
    """Do something over and over in a thread of its own, while the engine runs."""
    over = threading.Event()

    def run() -> None:
        while not over.wait(0.15):
            action()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def searched(rehearsal: Rehearsal, *, lose_a_secret: bool) -> Search:
    """Live through every phase and search after each."""
    search = Search(SECRETS.values())
    assert rehearsal.command is not None
    engine = Search([rehearsal.command.command])

    def while_running() -> None:
        search.processes()
        search.folder("while running", rehearsal.folder)
        engine.processes()

    said: list[str] = []
    loud: dict[str, Any] = {"on_output": said.append, "on_error": said.append}
    with repeated(while_running):
        rehearsal.preview(**loud)
        if lose_a_secret:
            _lose_and_import(rehearsal)
            search.folder("after an import", rehearsal.folder)
        rehearsal.up(diff=True, **loud)
        search.folder("after up", rehearsal.folder)
        rehearsal.refresh(show_secrets=False, **loud)
        search.folder("after refresh", rehearsal.folder)
        search.value("export", rehearsal.export())
        search.value("outputs", json.loads(rehearsal.cli(["stack", "output", "--json"])))
        for phase in rehearsal.phases:
            shown = {key: output.value for key, output in phase.outputs.items() if not output.secret}
            search.value(f"{phase.name}, outputs", shown)
            search.value(f"{phase.name}, messages", [*phase.warnings, *phase.errors])
        _objects(search, rehearsal)
        rehearsal.destroy(**loud)
        search.folder("after destroy", rehearsal.folder)
    search.look("what the engine said", "\n".join(said).encode())
    assert said
    assert engine.found, "no look at the processes saw the engine's"
    return search


def _lose_and_import(rehearsal: Rehearsal) -> None:
    """A Secret whose create fails after the effect, and comes into the state through `pulumi import`."""
    lost: list[str] = []

    def answer_lost(call: Call) -> None:
        if call.op == "create" and call.kind == _SECRET and not call.preview and not lost:
            lost.append(call.urn)
            raise LostConnectionError("made-up fault")

    rehearsal.cloud.faults.after.append(answer_lost)
    assert life.failed(rehearsal.up) is not None
    life.adopt_lost(rehearsal, lost)


def _objects(search: Search, rehearsal: Rehearsal) -> None:
    """Objects in the cluster, but Secrets; of a Helm release all but what its provider keeps to itself."""
    for resource in rehearsal.state:
        if resource.kind != _SECRET:
            for where, props in (("inputs", resource.inputs), ("outputs", resource.outputs)):
                content = {key: value for key, value in props.items() if key != "repositoryOpts"}
                search.value(f"{resource}, {where}", content)


@pytest.mark.engine
@needs_engine
@pytest.mark.parametrize("environment", ["dev", *life.whole(["prod"])])
def test_no_secret_stands_in_clear_anywhere_in_a_whole_life(environment: str, record_property: RecordProperty) -> None:
    config = {"dynamo-a4x:dynamo": {"mode": "create", "chartLogin": True}}
    with life.rehearse(environment, config, secrets=SECRETS) as rehearsal:
        search = searched(rehearsal, lose_a_secret=True)
    assert sorted(set(search.found)) == []
    assert search.places > 1000
    record_property("places searched", search.places)


@pytest.mark.engine
@needs_engine
def test_a_secret_that_a_program_gives_away_is_found(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "import pulumi\n"
        "config = pulumi.Config()\n"
        "pulumi.export('oops', pulumi.Output.unsecret(config.require_secret('token')))\n",
        encoding="utf-8",
    )
    with Rehearsal("dev", root=SAMPLE, program=program, secrets={"token": KEY}) as rehearsal:
        found = searched(rehearsal, lose_a_secret=False).found
    assert any("state/" in place for place in found)
    assert any(place.startswith("outputs") for place in found)
    # In what it prints the engine masks the values of its own config, whoever gave them away.
    assert not any("what the engine said" in place for place in found)


DISGUISES = {
    "plaintext": KEY,
    "as JSON": json.dumps({"password": SECRETS["hfToken"]}),
    "as JSON of Go": json.dumps({"password": KEY}).replace("&", r"\u0026"),
    "as JSON in JSON": json.dumps({"inner": json.dumps({"password": SECRETS["hfToken"]})}),
    "as part of a URL": f"https://example.com/?token={urllib.parse.quote(KEY, safe='')}",
    "as hex digits": KEY.encode().hex(),
    "as base64 (offset 0)": base64.b64encode(f"$oauthtoken:{KEY}".encode()).decode(),
    "as base64 (offset 1)": base64.b64encode(f"x{KEY}".encode()).decode(),
    "as base64 (offset 2)": base64.b64encode(f"xx{KEY}yy".encode()).decode(),
    "as URL base64 (offset 1)": base64.urlsafe_b64encode(f"x{KEY}yyy".encode()).decode(),
}


@pytest.mark.parametrize("form", DISGUISES)
def test_the_search_finds_a_secret_in_every_disguise(form: str) -> None:
    content = f"before {DISGUISES[form]} after".encode()
    search, other = Search(SECRETS.values()), Search(["another secret"])
    search.look("here", content)
    other.look("here", content)
    assert f"here: {form}" in search.found
    assert other.found == []


def test_the_search_finds_a_secret_in_a_file_a_value_and_a_command_line(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "log").write_text(f"token={KEY}", encoding="utf-8")
    search = Search([KEY])
    search.folder("files", tmp_path)
    assert search.found == ["files: deep/log: plaintext"]
    search = Search([KEY])
    search.value("value", {"a": [KEY]})
    assert set(search.found) == {"value: plaintext"}
    search = Search([Path("/proc/self/cmdline").read_bytes().split(b"\0")[0].decode()])
    search.processes()
    assert any(place.startswith("process ") for place in search.found)
