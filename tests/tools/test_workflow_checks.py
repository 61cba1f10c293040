"""The commands around the engine and the comparison, with stand-ins for both: what is said, written, and never said."""

from __future__ import annotations

import base64
import json
import stat
import sys
import time
from pathlib import Path

import pytest

from github_workflows import comparison, engine_errors, masking, outcome, variables
from github_workflows.__main__ import SUMMARY_MOST, main

SECRET = "nvapi-made-up~key/with+signs&0123456789"
CONFIG = json.dumps({"a:token": {"value": SECRET, "secret": True}, "a:n": {"value": "1", "secret": False}})

OLD_SECRET = "nvapi-of-last-year-0123456789"
DOCKER = json.dumps({"auths": {"nvcr.io": {"username": "$oauthtoken", "password": "nvapi-in-a-docker-config-0123"}}})


def state_of(*secrets: object) -> str:
    """A state as `pulumi stack export --show-secrets` prints it."""
    marked = [
        {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "plaintext": json.dumps(secret)}
        for secret in secrets
    ]
    return json.dumps(
        {"version": 3, "deployment": {"resources": [{"outputs": {"data": marked, "name": "in-clear-text"}}]}}
    )


STATE = state_of(OLD_SECRET, {"a": base64.b64encode(DOCKER.encode()).decode()}, "short")

ENGINE = """\
#!{python}
import json, os, sys, time
said = json.loads(open({file!r}).read())
open({calls!r}, "a").write(json.dumps(sys.argv[1:]) + "\\n")
out, err, code, seconds = said[sys.argv[1] if sys.argv[1] in ("config", "stack") else "preview"]
time.sleep(seconds)
sys.stdout.buffer.write(out.encode("utf-8", "surrogatepass")); sys.stdout.flush()
sys.stderr.write(err)
sys.exit(code)
"""


class Checks:
    """The commands, with an engine that says what a test wants."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self._capsys = folder, capsys
        self.out = self.err = ""
        self.result_file = folder / "out" / "dev.json"
        self.summary_file = folder / "summary.md"
        self.stacks("dev")
        self.environment = {"PATH": str(folder / "bin"), "GITHUB_STEP_SUMMARY": str(self.summary_file)}

    def stacks(self, *names: str) -> None:
        """Initialise these stacks, and no other."""
        for path in self.folder.glob("Pulumi.*.yaml"):
            path.unlink()
        for name in names:
            (self.folder / f"Pulumi.{name}.yaml").write_text("secretsprovider: gcpkms://k\n", encoding="utf-8")

    def engine(
        self,
        text: str = "",
        code: int = 0,
        *,
        config: tuple[str, str, int, float] = (CONFIG, "", 0, 0.0),
        state: str = STATE,
        seconds: float = 0.0,
    ) -> None:
        """Put it on PATH."""
        said = {"config": config, "stack": (state, "", 0, 0.0), "preview": (text, "", code, seconds)}
        (self.folder / "said.json").write_text(json.dumps(said), encoding="utf-8")
        path = self.folder / "bin" / "pulumi"
        path.parent.mkdir(exist_ok=True)
        script = ENGINE.format(
            python=sys.executable, file=str(self.folder / "said.json"), calls=str(self.folder / "calls")
        )
        path.write_text(script, encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    def __call__(self, *arguments: str) -> int:
        root = [] if "--root" in arguments else ["--root", str(self.folder)]
        code = main([*arguments, *root], self.environment)
        self.out, self.err = self._capsys.readouterr()
        return code

    @property
    def calls(self) -> list[list[str]]:
        """Arguments of each call of the engine."""
        return [json.loads(line) for line in (self.folder / "calls").read_text(encoding="utf-8").splitlines()]

    @property
    def result(self) -> outcome.Outcome:
        """The file for the comment."""
        return outcome.read(self.result_file.read_bytes())

    def everything(self) -> bytes:
        """All that was written and said."""
        files = [path for path in (self.result_file, self.summary_file) if path.exists()]
        return b"\n".join([*(path.read_bytes() for path in files), self.out.encode(), self.err.encode()])


@pytest.fixture
def checks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Checks:
    return Checks(tmp_path, capsys)


def preview(checks: Checks, *more: str) -> int:
    return checks("preview", "--out", str(checks.result_file.parent), *more)


def test_a_preview_is_handed_on_and_shown_in_the_summary(checks: Checks) -> None:
    checks.engine("Previewing\n + pool create\n")
    assert preview(checks) == 0
    assert (checks.result.subject, checks.result.verdict) == ("dev", "done")
    assert checks.result.text == "Previewing\n + pool create\n"
    assert "+ pool create" in checks.summary_file.read_text(encoding="utf-8")
    assert checks.out == "dev: done\n"
    assert checks.calls[2][:4] == ["preview", "--diff", "--stack", "dev"]


def test_a_preview_is_judged_by_the_policy_pack_with_the_config_of_the_project(checks: Checks) -> None:
    checks.engine("Previewing")
    (checks.folder / "policy").mkdir()
    config = checks.folder / "policy" / "config.json"
    config.write_text('{"gpu-limits": {"gpus": 144}}', encoding="utf-8")
    assert preview(checks, "--policy") == 1
    assert checks.result.message == "config.json: there is no rule gpu-limits; did you mean gpu-limit?"
    config.write_text('{"gpu-limit": {"gpus": 144}}', encoding="utf-8")
    assert preview(checks, "--policy") == 0
    options = "--policy-pack policy --policy-pack-config policy/config.json"
    assert checks.calls[2][:7] == ["preview", "--diff", *options.split(), "--stack"]


STACK_FILES = {
    "made with a key": "secretsprovider: gcpkms://k\nencryptedkey: abc\nconfig: {}\n",
    "made with a passphrase": "encryptionsalt: v1:abc\n",
}
OTHER_FILES = {"shipped": "config:\n  gcp:project: my-project\n", "empty": "", "a list": "- 1\n"}


def test_only_initialised_stacks_are_checked(checks: Checks) -> None:
    checks.engine("no change")
    checks.stacks()
    for number, text in enumerate([*STACK_FILES.values(), *OTHER_FILES.values()]):
        (checks.folder / f"Pulumi.s{number}.yaml").write_text(text, encoding="utf-8")
    assert preview(checks) == 0
    assert sorted(path.name for path in checks.result_file.parent.iterdir()) == ["s0.json", "s1.json"]


def test_without_an_initialised_stack_the_fix_is_named(checks: Checks) -> None:
    checks.stacks()
    assert preview(checks) == 2
    assert "no stack is initialised" in checks.err
    assert "pulumi stack init" in checks.err


@pytest.mark.parametrize("content", [b"a: [", b"\xff"])
def test_a_stack_file_that_cannot_be_read_is_named(checks: Checks, content: bytes) -> None:
    (checks.folder / "Pulumi.dev.yaml").write_bytes(content)
    assert preview(checks) == 1
    assert checks.err.startswith("preview: Pulumi.dev.yaml cannot be read (")
    assert checks.err.count("\n") == 1


def test_a_stack_that_fails_does_not_keep_the_next_from_being_checked(checks: Checks) -> None:
    checks.engine("error: something", 1)
    checks.stacks("dev", "prod")
    assert preview(checks) == 1
    assert [call[3] for call in checks.calls if call[0] == "preview"] == ["dev", "prod"]


@pytest.mark.parametrize("place", ["/proc/x/y", "/dev/null"])
@pytest.mark.parametrize("command", ["preview", "drift", "variables", "compare"])
def test_a_place_that_cannot_be_written_is_one_message(checks: Checks, command: str, place: str) -> None:
    checks.engine("no change")
    more = {"variables": ["PULUMI_BACKEND_URL"], "compare": ["--base", "HEAD"]}.get(command, [])
    assert checks(command, *more, "--out", place) == 1
    assert checks.err.startswith(f"{command}: {place.removesuffix('/y')}")
    assert "Fix: name a place that can be written" in checks.err
    assert checks.err.count("\n") == 1


def test_a_summary_that_cannot_be_written_is_one_message(checks: Checks) -> None:
    checks.engine("no change")
    checks.environment["GITHUB_STEP_SUMMARY"] = str(checks.folder)
    assert preview(checks) == 1
    assert checks.err == f"preview: {checks.folder}: Is a directory. Fix: name a place that can be written\n"
    assert checks.result.verdict == "done"


def test_the_flags_of_each_check(checks: Checks) -> None:
    checks.engine()
    preview(checks)
    checks("drift", "--stack", "prod")
    assert checks.calls[2][:2] == ["preview", "--diff"]
    assert checks.calls[5][:4] == ["preview", "--diff", "--refresh", "--expect-no-changes"]
    assert all({"--non-interactive", "--stack"} <= set(call) for call in checks.calls)


@pytest.mark.parametrize(("code", "verdict", "exit_code"), [(0, "done", 0), (7, "drift", 0), (1, "failed", 1)])
def test_drift_is_told_from_a_failed_check(checks: Checks, code: int, verdict: str, exit_code: int) -> None:
    checks.engine("error: something", code)
    assert checks("drift", "--stack", "dev", "--out", str(checks.result_file.parent)) == exit_code
    assert checks.result.verdict == verdict


def test_a_preview_that_ends_as_drift_does_has_failed(checks: Checks) -> None:
    checks.engine("error: x", 7)
    assert preview(checks) == 1
    assert checks.result.verdict == "failed"


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("form", sorted(masking.forms(SECRET)))
def test_no_form_of_a_secret_is_written_or_said(checks: Checks, form: str, code: int) -> None:
    checks.engine(f"before\nerror: value {form} after\n{form[:8]}\x1b[31m{form[8:]}\x1b[0m", code)
    assert preview(checks) == code
    written = checks.everything()
    assert b"after" in written
    assert not [found for found in masking.forms(SECRET) if found.encode() in written]


@pytest.mark.parametrize("secret", [OLD_SECRET, "nvapi-in-a-docker-config-0123"])
def test_a_secret_that_only_the_state_has_is_masked_as_well(checks: Checks, secret: str) -> None:
    checks.engine(f"- {secret}\n+ short in-clear-text\n")
    assert preview(checks) == 0
    assert checks.result.text == f"- {masking.MASK}\n+ short in-clear-text\n"


@pytest.mark.parametrize("state", ["", "[]", SECRET])
def test_without_the_secrets_of_the_state_nothing_is_previewed(checks: Checks, state: str) -> None:
    checks.engine("no change", state=state)
    assert preview(checks) == 1
    assert "the secrets to mask are not known" in checks.result.message
    assert "preview" not in {call[0] for call in checks.calls}
    assert SECRET.encode() not in checks.everything()


def test_a_stack_without_a_state_is_previewed(checks: Checks) -> None:
    checks.engine("no change", state='{"version": 3, "deployment": null}')
    assert preview(checks) == 0


def test_output_of_the_config_is_never_shown_also_where_it_is_not_understood(checks: Checks) -> None:
    for config in ((SECRET, "", 0, 0.0), (SECRET, "error: no stack named 'dev' found", 6, 0.0)):
        checks.engine("", config=config)
        assert preview(checks) == 1
        assert SECRET.encode() not in checks.everything()
    assert "no such stack" in checks.result.message
    assert "preview" not in {call[0] for call in checks.calls}, "without the secrets to mask, nothing is previewed"


def test_a_line_of_the_engine_is_no_command_to_the_runner(checks: Checks) -> None:
    # The runner takes lines of a step's output that begin with :: for commands ("Workflow commands").
    checks.engine("::add-mask::x\n::error::y\nerror: ::set-output name=a::b\n::stop-commands::z", 1)
    preview(checks)
    assert not [line for line in (checks.out + checks.err).splitlines() if line.lstrip().startswith(("::", "##["))]
    assert "::add-mask::x" in checks.result.text


def test_an_endless_preview_is_stopped_with_all_its_children(checks: Checks) -> None:
    checks.engine(seconds=60)
    started = time.monotonic()
    assert preview(checks, "--minutes", "0.02") == 1
    assert time.monotonic() - started < 20
    assert "took more than 0.02 minutes and was stopped" in checks.result.message


def test_without_an_engine_the_check_says_so(checks: Checks) -> None:
    assert preview(checks) == 1
    assert "there is no `pulumi` on PATH" in checks.result.message
    assert checks.err.startswith("dev: there is no `pulumi` on PATH. Fix: ")


def test_a_flood_is_cut_and_its_end_is_kept(checks: Checks) -> None:
    checks.engine("+ resource 0123456789\n" * 60_000 + "Resources:\n    + 60000 to create\n")
    assert preview(checks) == 0
    assert len(checks.result.text) <= outcome.TEXT_MOST
    assert checks.result.text.endswith("+ 60000 to create\n")
    assert checks.summary_file.read_text(encoding="utf-8").rstrip().endswith("+ 60000 to create\n```")
    assert checks.summary_file.stat().st_size <= SUMMARY_MOST


def test_bytes_that_are_no_text_are_no_traceback(checks: Checks) -> None:
    checks.engine("\ud800 \x00 \u202e")
    assert preview(checks) == 0
    assert "\\u0000" in checks.result.text


# --- the engine's messages --------------------------------------------------------------------------------------------

# Not printed here by an engine, because they need Google: put together from the sources (`read`), and from answers that
# users quote. tests/engine/test_preview_errors.py has those that are seen.
_KMS = (
    "error: getting stack configuration: get stack secrets manager: secrets (code={code}): rpc error: code = {code} "
    "desc = {text}"
)
READ = {
    "key is closed": [
        _KMS.format(
            code="PermissionDenied",
            text="Permission 'cloudkms.cryptoKeyVersions.useToDecrypt' denied on resource 'projects/p' (or it may not "
            "exist).",
        ),
    ],
    "no such key": [_KMS.format(code="NotFound", text="CryptoKey projects/p/locations/l/keyRings/r/k not found.")],
}


def test_every_message_that_is_only_read_has_an_example() -> None:
    assert READ.keys() == {name for name, known in engine_errors.KNOWN.items() if known.origin == "read"}


@pytest.mark.parametrize(("name", "line"), [(name, line) for name, lines in READ.items() for line in lines])
def test_a_message_is_explained_with_cause_and_fix(name: str, line: str) -> None:
    known = engine_errors.KNOWN[name]
    said = engine_errors.explained(f"Previewing\n{line}\n")
    assert said == f"{known.cause}. Fix: {known.fix}. See {engine_errors.HOW_TO}."


def test_only_errors_of_the_engine_are_explained() -> None:
    assert engine_errors.explained("warning: incorrect passphrase\n  hint: no stack named 'x' found") is None


# --- variables --------------------------------------------------------------------------------------------------------

GOOD = {
    "WORKLOAD_IDENTITY_PROVIDER": "projects/123456/locations/global/workloadIdentityPools/github/providers/main",
    "PULUMI_BACKEND_URL": "gs://my-project-state",
    "PREVIEWER_ACCOUNT": "previewer@my-project.iam.gserviceaccount.com",
    "DRIFT_ACCOUNT": "drift-check@my-project.iam.gserviceaccount.com",
    "DEPLOYER_ACCOUNT": "deployer@my-project.iam.gserviceaccount.com",
}


def test_variables_of_the_right_form_pass(checks: Checks) -> None:
    checks.environment |= GOOD
    assert checks("variables", *variables.NAMES) == 0
    assert checks.out + checks.err == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "") for name in GOOD),
        ("WORKLOAD_IDENTITY_PROVIDER", "projects/my-project/locations/global/workloadIdentityPools/g/providers/m"),
        ("WORKLOAD_IDENTITY_PROVIDER", "projects/123456/locations/global/workloadIdentityPools/github"),
        ("PULUMI_BACKEND_URL", "my-project-state"),
        ("PULUMI_BACKEND_URL", "gs://state\n::error::x"),
        ("PREVIEWER_ACCOUNT", "previewer"),
        ("DEPLOYER_ACCOUNT", "me@example.com"),
    ],
)
def test_a_variable_that_is_wrong_ends_with_one_message_for_the_log_and_the_comment(
    checks: Checks, name: str, value: str
) -> None:
    checks.environment |= {**GOOD, name: value}
    assert checks("variables", *variables.NAMES, "--out", str(checks.result_file.parent)) == 1
    assert checks.err.count("\n") == 1
    assert name in checks.err
    assert "gh variable set NAME" in checks.err
    assert not [other for other in GOOD if other != name and other in checks.err]
    assert checks.result.verdict == "failed"
    assert checks.result.message in checks.err


# --- the comparison ---------------------------------------------------------------------------------------------------

TOOL = """\
import argparse, pathlib, sys
parser = argparse.ArgumentParser()
for name in ("base", "json", "markdown"): parser.add_argument(f"--{name}")
options = parser.parse_args()
"""


def compare(checks: Checks, program: str) -> int:
    """Run with a `change_report` that does what a test wants."""
    package = checks.folder / "root" / comparison.MODULE
    package.mkdir(parents=True, exist_ok=True)
    (package / "__init__.py").write_text("", encoding="utf-8")
    (package / "__main__.py").write_text(TOOL + program, encoding="utf-8")
    folder = str(checks.folder / "comparison")
    return checks("compare", "--base", "HEAD^1", "--out", folder, "--root", str(checks.folder / "root"))


def test_a_comparison_leaves_a_report_for_the_comment_and_a_summary(checks: Checks) -> None:
    done = "pathlib.Path(options.json).write_text('{}'); pathlib.Path(options.markdown).write_text('# One pool')"
    assert compare(checks, done) == 0
    assert (checks.folder / "comparison" / "report.json").read_text(encoding="utf-8") == "{}"
    assert "# One pool" in checks.summary_file.read_text(encoding="utf-8")


@pytest.mark.parametrize("program", ["sys.exit('prod: nodes must be 18')", "print('prod: nodes must be 18')"])
def test_a_comparison_that_fails_leaves_its_message(checks: Checks, program: str) -> None:
    assert compare(checks, program) == 1
    failed = outcome.read((checks.folder / "comparison" / "failure.json").read_bytes())
    assert failed.message == "the comparison with HEAD^1 failed: prod: nodes must be 18"
    assert not (checks.folder / "comparison" / "report.json").exists()


def test_a_long_report_fits_into_a_summary(checks: Checks) -> None:
    report = "pathlib.Path(options.json).write_text('{}')"
    assert compare(checks, f"{report}; pathlib.Path(options.markdown).write_text('\\U0001f642 x\\n' * 500_000)") == 0
    assert checks.summary_file.stat().st_size <= SUMMARY_MOST


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["preview", "--stack", "../x"],
        ["issue"],
        *(["preview", "--minutes", value] for value in ("inf", "nan", "1e300", "-1", "0", "361", "x")),
        ["variables", "PATH"],
        ["compare", "--base", "x"],
    ],
)
def test_a_wrong_command_line_is_no_traceback(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments, {})
    assert ended.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
