"""`python -m github_workflows preview` and `drift` with the real engine: its messages, its exit codes, its secrets.

The embedded cloud takes the place of the providers, a loopback server that of Google, and a server in this
process that of the host for Python programs, which the rehearsal's engine does not have.
"""

from __future__ import annotations

import base64
import json
import subprocess
import threading
from collections.abc import Iterator, Mapping
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from pulumi.automation._server import LanguageServer
from pulumi.runtime.proto import language_pb2_grpc

from github_workflows import engine_errors, masking, outcome, stacks
from github_workflows.__main__ import main
from github_workflows.engine_errors import KNOWN
from github_workflows.outcome import Outcome
from rehearsal import Rehearsal
from rehearsal import engine as engines
from tests.resilience.proof import needs_engine

pytestmark = [pytest.mark.engine, needs_engine]

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "tests" / "engine" / "sample"
KEY = "nvapi-made-up~key/with+signs&0123456789"
KMS = "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k"


class Project:
    """A project with a stack `dev` that has a secret, in a state of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("project", "state", "home", "bin", "config"):
            (folder / name).mkdir()
        engine = engines.find()
        assert engine is not None
        (folder / "bin" / "pulumi").symlink_to(engine.path)
        (folder / "project" / "Pulumi.yaml").write_text("name: dynamo-a4x\nruntime: python\n", encoding="utf-8")
        self.environment = {
            "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
            "HOME": str(folder / "home"),
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_BACKEND_URL": f"file://{folder / 'state'}",
            "PULUMI_CONFIG_PASSPHRASE": "right",
            "CLOUDSDK_CONFIG": str(folder / "config"),
            "NO_GCE_CHECK": "true",
        }

    @property
    def stack_file(self) -> Path:
        return self.folder / "project" / "Pulumi.dev.yaml"

    def preview(self, changes: Mapping[str, str | None] | None = None, stack: str = "dev") -> Outcome:
        """Run the check with other variables; None takes one away."""
        environment = {k: v for k, v in {**self.environment, **(changes or {})}.items() if v is not None}
        code = main(["preview", "--stack", stack, "--out", str(self.folder), "--minutes", "2"], environment)
        result = outcome.read((self.folder / f"{stack}.json").read_bytes())
        assert code == int(result.verdict == "failed")
        return result


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = Project(tmp_path_factory.mktemp("preview"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(project.folder / "project")
        for arguments in (["stack", "init", "dev"], ["config", "set", "--secret", "ngcApiKey", "--stack", "dev"]):
            subprocess.run(  # noqa: S603 - the engine
                [str(project.folder / "bin" / "pulumi"), *arguments, "--non-interactive"],
                env=project.environment,
                input=KEY,
                text=True,
                capture_output=True,
                check=True,
            )
    return project


@pytest.fixture
def project(made: Project, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    monkeypatch.chdir(made.folder / "project")
    kept = made.stack_file.read_text(encoding="utf-8")
    yield made
    made.stack_file.write_text(kept, encoding="utf-8")


def test_a_stack_that_the_engine_has_made_is_an_initialised_one(project: Project) -> None:
    (project.folder / "project" / "Pulumi.shipped.yaml").write_text("config: {}\n", encoding="utf-8")
    assert stacks.initialised(project.folder / "project") == ("dev",)


def explained(result: Outcome, name: str) -> bool:
    assert result.verdict == "failed"
    assert KNOWN[name].origin == "seen"
    return result.message == f"{KNOWN[name].cause}. Fix: {KNOWN[name].fix}. See {engine_errors.HOW_TO}."


@contextmanager
def google(answers: Mapping[str, tuple[int, Any]]) -> Iterator[str]:
    """A stand-in for Google: status and JSON by the beginning of a path; returns its host and port."""

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = next(found for start, found in answers.items() if self.path.startswith(start))
            content = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            pass

        do_GET = do_POST = _answer  # noqa: N815 - the base class's names

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def error(status: int, message: str) -> tuple[int, Any]:
    """As Google's JSON APIs answer."""
    return status, {"error": {"code": status, "message": message, "errors": [{"reason": "x"}]}}


SEEN: Mapping[str, Mapping[str, str | None]] = {
    "no state bucket": {"PULUMI_BACKEND_URL": None},
    "no credentials": {"PULUMI_BACKEND_URL": "gs://made-up"},
    "no such state": {"PULUMI_BACKEND_URL": "file:///made/up"},
    "passphrase": {"PULUMI_CONFIG_PASSPHRASE": None},
    "no language host": {},
}
BUCKET = {
    "no such bucket": (404, "The specified bucket does not exist."),
    "bucket is closed": (403, "previewer@p.iam.gserviceaccount.com does not have storage.objects.list access"),
    "credentials are refused": (401, "Invalid Credentials"),
}

ADMITTED = (
    200,
    {
        "access_token": "made-up",
        "issued_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "token_type": "Bearer",
        "expires_in": 3600,
    },
)
FEDERATION: Mapping[str, Mapping[str, tuple[int, Any]]] = {
    "no federation": {
        "/sts": (400, {"error": "unauthorized_client", "error_description": "The given credential is rejected by ..."})
    },
    "no impersonation": {
        "/sts": ADMITTED,
        "/iam": error(403, "Permission 'iam.serviceAccounts.getAccessToken' denied on resource (or it may not exist)."),
    },
}


def test_every_message_that_is_seen_is_seen_here() -> None:
    seen = {name for name, known in KNOWN.items() if known.origin == "seen"}
    assert seen == {*SEEN, *BUCKET, *FEDERATION, "no such stack"}


@pytest.mark.parametrize("name", SEEN)
def test_what_the_engine_says_is_explained(project: Project, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    summary = project.folder / "summary.md"
    assert explained(project.preview({**SEEN[name], "GITHUB_STEP_SUMMARY": str(summary)}), name)
    said = capsys.readouterr()
    written = said.out + said.err + summary.read_text(encoding="utf-8")
    assert not [form for form in masking.forms(KEY) if form in written]


@pytest.mark.parametrize("name", BUCKET)
def test_what_cloud_storage_answers_is_explained(project: Project, name: str) -> None:
    with google({"/": error(*BUCKET[name])}) as address:
        result = project.preview(
            {
                "PULUMI_BACKEND_URL": "gs://made-up",
                "STORAGE_EMULATOR_HOST": address,
                "GOOGLE_OAUTH_ACCESS_TOKEN": "made-up",
            }
        )
    assert explained(result, name)


@pytest.mark.parametrize("name", FEDERATION)
def test_what_google_says_of_the_workflows_token_is_explained(project: Project, name: str) -> None:
    # The file that google-github-actions/auth writes, with addresses of a stand-in.
    credentials, token = project.folder / "federated.json", project.folder / "token"
    token.write_text("made-up", encoding="utf-8")
    with google(FEDERATION[name]) as address:
        content = {
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": f"http://{address}/sts",
            "service_account_impersonation_url": f"http://{address}/iam/x:generateAccessToken",
            "credential_source": {"file": str(token)},
        }
        credentials.write_text(json.dumps(content), encoding="utf-8")
        variables = {"PULUMI_BACKEND_URL": "gs://made-up", "GOOGLE_APPLICATION_CREDENTIALS": str(credentials)}
        assert explained(project.preview(variables), name)


@pytest.mark.parametrize("credentials", ["/made/up", "{}"])
def test_credentials_that_cannot_be_read_are_explained(project: Project, credentials: str) -> None:
    if credentials == "{}":
        credentials = str(project.folder / "credentials.json")
        Path(credentials).write_text("{", encoding="utf-8")
    result = project.preview({"PULUMI_BACKEND_URL": "gs://made-up", "GOOGLE_APPLICATION_CREDENTIALS": credentials})
    assert explained(result, "no credentials")


def test_a_key_without_credentials_is_explained(project: Project) -> None:
    lines = project.stack_file.read_text(encoding="utf-8").splitlines()
    own = [f"secretsprovider: {KMS}", "encryptedkey: AAAA", *(x for x in lines if not x.startswith("encryptionsalt"))]
    project.stack_file.write_text("\n".join(own), encoding="utf-8")
    assert explained(project.preview(), "no credentials")


def test_another_passphrase_and_another_stack_are_explained(project: Project) -> None:
    assert explained(project.preview({"PULUMI_CONFIG_PASSPHRASE": "wrong"}), "passphrase")
    assert explained(project.preview(stack="prod"), "no such stack")


# --- with a program ---------------------------------------------------------------------------------------------------

OLD = "nvapi-of-last-year-0123456789"
PROGRAM = """\
import base64
import pulumi
import pulumi_gcp as gcp

config = pulumi.Config()
bucket = gcp.storage.Bucket("models", name="models", location="US", labels={"size": config.get("suffix") or "none"})
# What the engine does not mask: something that a program made of a secret, and gave away.
token = config.require_secret("token")
old = config.require("old")
pulumi.log.warn("was {old}, is " + old)
pulumi.export("old", pulumi.Output.secret(old))
leak = pulumi.Output.unsecret(token.apply(lambda t: base64.b64encode(f"$oauthtoken:{t}".encode()).decode()))
leak.apply(lambda text: pulumi.log.warn(f"docker login with {text}"))
pulumi.log.warn("\\x1b[31msaid by the program\\x1b[0m @everyone")
"""


@contextmanager
def deployed(folder: Path) -> Iterator[tuple[Rehearsal, Mapping[str, str]]]:
    """The program, deployed in the embedded cloud; and an environment in which `pulumi` runs it."""
    program = folder / "program.py"
    program.write_text(PROGRAM.replace("{old}", OLD), encoding="utf-8")
    with Rehearsal("dev", root=SAMPLE, program=program, secrets={"token": KEY, "old": OLD}) as rehearsal:
        rehearsal.up()
        server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
        language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageServer(rehearsal._run_program), server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        launcher = folder / "bin" / "pulumi"
        launcher.parent.mkdir()
        engine = rehearsal.engine
        assert engine is not None
        launcher.write_text(
            f'#!/bin/sh\ncase "$1" in preview) set -- "$@" --client=127.0.0.1:{port};; esac\n'
            f'exec "{engine.path}" "$@"\n',
            encoding="utf-8",
        )
        launcher.chmod(0o755)
        workspace = rehearsal.stack.workspace
        environment = {
            "HOME": str(folder),
            **workspace.env_vars,
            "PULUMI_HOME": workspace.pulumi_home or "",
            "PATH": f"{launcher.parent}:/usr/bin:/bin",
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
        }
        try:
            yield rehearsal, environment
        finally:
            server.stop(0).wait()


def test_previews_and_the_drift_check_of_a_program_that_gives_a_secret_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with deployed(tmp_path) as (rehearsal, environment):
        monkeypatch.chdir(rehearsal.folder / "project")

        def check(*arguments: str) -> Outcome:
            out = tmp_path / "results" / f"{len(results)}"
            assert main([*arguments, "--stack", "dev", "--out", str(out)], environment) == 0
            return outcome.read((out / "dev.json").read_bytes())

        results: list[Outcome] = []
        results.append(check("drift"))
        assert results[-1].verdict == "done"

        [bucket] = rehearsal.state.find("gcp:storage/bucket:Bucket")
        for side in (bucket.inputs, bucket.outputs):
            side["labels"] = {"size": "changed-by-hand"}
        results.append(check("drift"))
        assert results[-1].verdict == "drift"
        assert "changed-by-hand" in results[-1].text

        rehearsal.set_config({"sample:suffix": "two"})
        # A secret that the stack has and the change has not any more.
        file = Path("Pulumi.dev.yaml")
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        content["config"]["sample:old"] = "nothing"
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        results.append(check("preview"))
        assert "two" in results[-1].text
        assert f"was {masking.MASK}, is nothing" in results[-1].text
        assert "said by the program @everyone" in results[-1].text
        assert "\x1b" not in results[-1].text

    said = capsys.readouterr()
    written = "".join([said.out, said.err, *(p.read_text(encoding="utf-8") for p in tmp_path.rglob("*.json"))])
    written += (tmp_path / "summary.md").read_text(encoding="utf-8")
    assert f"docker login with JG9hdXRodG9r{masking.MASK}" in written
    assert not [form for secret in (KEY, OLD) for form in masking.forms(secret) if form in written]
    inner = base64.b64encode(f"$oauthtoken:{KEY}".encode()).decode()[20:40]
    assert inner not in written
