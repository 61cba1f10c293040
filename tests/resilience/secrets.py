"""Secrets: the NGC key and the Hugging Face token stand nowhere in clear.

Searched, byte by byte and in every encoding that carries a text inside another one: the engine's folder (state,
backups, history, logs, stack file) after each phase, everything the engine said, its exports and outputs, the
command lines of all processes while it runs, and every object in the cloud that is no Kubernetes Secret.
"""

from __future__ import annotations

import base64
import json
import threading
import time
import urllib.parse
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Self

from rehearsal import Call, Rehearsal
from rehearsal.simulator.faults import LostConnectionError
from tests.resilience import life
from tests.resilience.life import ProofError, Say, Tally

SECRETS: Mapping[str, str] = {
    "ngcApiKey": "nvapi-made-up~key/with+signs&0123456789",
    "hfToken": 'hf_made"up\\token<with>signs9876543210',
}
"""With characters that JSON, YAML, HTML and URLs write in another way."""
_SECRET = "kubernetes:core/v1:Secret"


def needles(secrets: Iterable[str]) -> dict[bytes, str]:
    """Every form of the secrets that is searched for, and what it is called."""
    found: dict[bytes, str] = {}
    for secret in secrets:
        raw = secret.encode()
        found[raw] = "in clear"
        found[json.dumps(secret)[1:-1].encode()] = "as JSON"
        # Go's encoder writes these three as escapes.
        escaped = json.dumps(secret)[1:-1]
        for letter in "&<>":
            escaped = escaped.replace(letter, f"\\u{ord(letter):04x}")
        found[escaped.encode()] = "as JSON of Go"
        found[json.dumps(json.dumps(secret)[1:-1])[1:-1].encode()] = "as JSON in JSON"
        found[urllib.parse.quote(secret, safe="").encode()] = "as part of a URL"
        found[raw.hex().encode()] = "as hex digits"
        for shift in range(3):
            # Base64 of any text that holds the secret has one of three inner parts.
            encoded = base64.b64encode(b"\0" * shift + raw)
            inner = encoded[4 if shift else 0 : -4]
            found[inner] = f"as base64 (offset {shift})"
            found[inner.replace(b"+", b"-").replace(b"/", b"_")] = f"as URL base64 (offset {shift})"
    return found


class Search:
    """Looks through bytes for secrets."""

    def __init__(self, secrets: Iterable[str]) -> None:
        self.needles = needles(secrets)
        self.places = 0
        self.size = 0
        self.found: list[str] = []

    def look(self, where: str, content: bytes) -> None:
        """Search one piece."""
        self.places += 1
        self.size += len(content)
        for needle, form in self.needles.items():
            if needle in content:
                self.found.append(f"{where}: {form}")

    def folder(self, where: str, folder: Path) -> None:
        """Search every file in a folder."""
        for path in folder.rglob("*"):
            try:
                if path.is_file():
                    self.look(f"{where}: {path.relative_to(folder)}", path.read_bytes())
            except FileNotFoundError:
                continue

    def processes(self) -> None:
        """Search the command lines and names of all processes."""
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


class _Watch:
    """Searches processes and the engine's folder while the engine runs."""

    def __init__(self, search: Search, folder: Path) -> None:
        self._search, self._folder = search, folder
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.samples = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.15):
            self.samples += 1
            self._search.processes()
            self._search.folder("while running", self._folder)


def proof(environment: str, short: bool, say: Say) -> list[Tally]:
    """A whole life under search."""
    tally = Tally(f"{environment}, secrets searched")
    started = time.monotonic()
    config = {"dynamo-a4x:dynamo": {"mode": "create", "chartLogin": True}}
    with life.rehearse(environment, config, secrets=SECRETS) as rehearsal:
        search, samples = searched(rehearsal, short=short)
    if search.found:
        raise ProofError(f"{environment}: {'; '.join(dict.fromkeys(search.found))}")
    tally.tried = tally.survived = search.places
    tally.seconds = time.monotonic() - started
    tally.notes.append(
        f"{search.size / 1e6:.0f} MB in {len(search.needles)} forms; {samples} looks at processes and files while "
        "the engine ran"
    )
    say(str(tally))
    return [tally]


def searched(rehearsal: Rehearsal, *, short: bool = False) -> tuple[Search, int]:
    """Live through every phase and search after each."""
    search = Search(SECRETS.values())
    said: list[str] = []
    loud: dict[str, Any] = {"on_output": said.append, "on_error": said.append}
    with _Watch(search, rehearsal.folder) as watch:
        rehearsal.preview(**loud)
        if not short:
            _lost_and_found(rehearsal)
            search.folder("after an import", rehearsal.folder)
        rehearsal.up(diff=True, **loud)
        search.folder("after up", rehearsal.folder)
        if not short:
            rehearsal.refresh(show_secrets=False, **loud)
            search.folder("after refresh", rehearsal.folder)
        search.value("export", rehearsal.export())
        outputs = json.loads(rehearsal.cli(["stack", "output", "--json"]))
        search.value("outputs", outputs)
        for phase in rehearsal.phases:
            shown = {key: output.value for key, output in phase.outputs.items() if not output.secret}
            search.value(f"{phase.name}, outputs", shown)
            search.value(f"{phase.name}, messages", [*phase.warnings, *phase.errors])
        _objects(search, rehearsal)
        rehearsal.destroy(**loud)
        search.folder("after destroy", rehearsal.folder)
    search.look("what the engine said", "\n".join(said).encode())
    return search, watch.samples


def _lost_and_found(rehearsal: Rehearsal) -> None:
    """A Secret whose create fails after the effect, and comes into the state through `pulumi import`."""
    lost: list[str] = []

    def answer_lost(call: Call) -> None:
        if call.op == "create" and call.kind == _SECRET and not call.preview and not lost:
            lost.append(call.urn)
            raise LostConnectionError("made-up fault")

    rehearsal.cloud.faults.after.append(answer_lost)
    if life.failed(rehearsal.up) is None:
        raise ProofError("no Secret was lost")
    life.adopt_lost(rehearsal, lost)


def _objects(search: Search, rehearsal: Rehearsal) -> None:
    """Objects in the cluster, but Secrets; of a Helm release all but what its provider keeps to itself."""
    for resource in rehearsal.state:
        if resource.kind == _SECRET:
            continue
        content = {**resource.inputs, **{f"outputs.{key}": value for key, value in resource.outputs.items()}}
        for key in ("repositoryOpts", "outputs.repositoryOpts"):
            content.pop(key, None)
        search.value(f"{resource}", content)
