"""The comment on a pull request, against a stand-in for GitHub: one comment, brought up to date, of untrusted parts."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from github_workflows import archive, outcome, pull_request, sections
from github_workflows.__main__ import main
from github_workflows.outcome import Outcome
from tests.tools import github_server
from tests.tools.github_server import BOT, OLD, REPOSITORY, TOKEN, Answer, FakeRepository

REPORT = b'{"changes": "one pool"}'


class Report(BaseModel):
    """Stands for the model of `change_report`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    changes: str


def render(report: bytes) -> str:
    """Stands for its Markdown."""
    return f"Changes: `{Report.model_validate_json(report).changes}`"


@pytest.fixture
def world() -> Iterator[FakeRepository]:
    """A repository with one open pull request."""
    with github_server.serving() as found:
        found.pull()
        yield found


class Job:
    """One run of comment.yml."""

    def __init__(self, world: FakeRepository, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.world, self._folder, self._capsys = world, folder, capsys
        self.out = self.err = ""

    def stacks(self, *names: str) -> str:
        """The project of main, with these stacks initialised."""
        for name in names:
            (self._folder / f"Pulumi.{name}.yaml").write_text("secretsprovider: gcpkms://k\n", encoding="utf-8")
        return str(self._folder)

    def __call__(self, run: dict[str, Any], token: str = TOKEN) -> int:
        event = self._folder / "event.json"
        event.write_text(json.dumps({"workflow_run": run, "repository": {"default_branch": "main"}}), encoding="utf-8")
        arguments = ["comment", "--root", str(self._folder)]
        code = main(arguments, {"GITHUB_EVENT_PATH": str(event)}, render, lambda _: self.world.github(token))
        self.out, self.err = self._capsys.readouterr()
        assert TOKEN not in self.out + self.err
        return code

    def body(self, number: int = 7) -> str:
        """The one comment of the workflow."""
        [comment] = [c for c in self.world.comments.get(number, []) if c["user"]["login"] == BOT]
        assert len(comment["body"]) <= sections.BODY_MOST
        return comment["body"]


@pytest.fixture
def job(world: FakeRepository, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Job:
    """comment.yml's command."""
    made = Job(world, tmp_path, capsys)
    made.stacks("dev", "prod")
    return made


def result(subject: str, verdict: Any = "done", message: str = "", text: str = "") -> bytes:
    return Outcome(subject=subject, verdict=verdict, message=message, text=text).model_dump_json().encode()


def previews(dev: str = "dev: 1 to create", prod: str = "prod: 1 to create") -> dict[str, bytes]:
    return {"dev.json": result("dev", text=dev), "prod.json": result("prod", text=prod)}


# --- one comment ------------------------------------------------------------------------------------------------------


def test_the_first_report_becomes_a_comment_and_the_second_edits_it(world: FakeRepository, job: Job) -> None:
    assert job(world.run("compare.yml", {"report.json": REPORT})) == 0
    assert "Changes: `one pool`" in job.body()
    assert job(world.run("compare.yml", {"report.json": b'{"changes": "two pools"}'})) == 0
    assert "Changes: `two pools`" in job.body()
    assert "one pool" not in job.body()
    assert [request.method for request in world.writes()] == ["POST", "PATCH"]


def test_a_comment_that_says_the_same_is_not_written_again(world: FakeRepository, job: Job) -> None:
    run = world.run("compare.yml", {"report.json": REPORT})
    assert (job(run), job(run)) == (0, 0)
    assert len(world.writes()) == 1


def test_a_section_is_replaced_and_the_others_are_kept(world: FakeRepository, job: Job) -> None:
    job(world.run("compare.yml", {"report.json": REPORT}))
    comparison = sections.found_in(job.body())["comparison"]
    world.runs["compare.yml"].clear()
    job(world.run("preview.yml", previews()))
    found = sections.found_in(job.body())
    assert list(found) == ["comparison", "preview-dev", "preview-prod"]
    assert found["comparison"] == comparison
    assert "prod: 1 to create" in found["preview-prod"]


def test_the_comment_is_found_on_any_page_of_comments(world: FakeRepository, job: Job) -> None:
    for number in range(230):
        world.comment(f"comment {number}", author="someone")
    world.comment(sections.assembled(pull_request.MARKER, {"comparison": "old"}, pull_request.ORDER))
    job(world.run("compare.yml", {"report.json": REPORT}))
    assert [request.method for request in world.writes()] == ["PATCH"]
    assert "one pool" in job.body()


def test_a_comment_of_somebody_else_with_the_marker_is_left_alone(world: FakeRepository, job: Job) -> None:
    forged = f"{pull_request.MARKER}\n<!-- section comparison -->\nAll is well\n<!-- end comparison -->"
    world.comment(forged, author="someone")
    world.comment(f"I quote: {pull_request.MARKER}")
    job(world.run("compare.yml", {"report.json": REPORT}))
    assert [c["body"] for c in world.comments[7][:2]] == [forged, f"I quote: {pull_request.MARKER}"]
    assert len(world.comments[7]) == 3


# --- which pull request, which runs -----------------------------------------------------------------------------------


def test_the_pull_request_of_a_fork_is_found_by_owner_and_branch(world: FakeRepository, job: Job) -> None:
    fork = github_server.repository_of("someone/dynamo-a4x")
    world.pull(9, "d" * 40, "change", "someone/dynamo-a4x")
    world.pull(10, "e" * 40, "change", "someone/another")
    run = world.run("compare.yml", {"report.json": REPORT}, head_sha="d" * 40, head_repository=fork)
    assert run["pull_requests"] == []  # as GitHub sends it for forks
    assert job(run) == 0
    assert "one pool" in job.body(9)
    assert set(world.comments) <= {7, 9}
    assert world.comments.get(7, []) == []


def test_a_preview_that_a_fork_brings_is_not_shown(world: FakeRepository, job: Job) -> None:
    fork = github_server.repository_of("someone/dynamo-a4x")
    world.pull(9, "d" * 40, "change", "someone/dynamo-a4x")
    run = world.run("preview.yml", previews(), head_sha="d" * 40, head_repository=fork)
    assert job(run) == 0
    assert world.writes() == []


@pytest.mark.parametrize(
    "reviews",
    [
        [],
        [github_server.review_of("rejected", "preview")],
        [github_server.review_of("pending", "preview")],
        [github_server.review_of("approved", "mine", "preview2")],
    ],
)
def test_a_preview_that_no_reviewer_has_approved_is_not_shown(
    world: FakeRepository, job: Job, reviews: list[dict[str, Any]]
) -> None:
    run = world.run("preview.yml", previews(prod="made up"))
    world.reviews[run["id"]] = reviews
    assert job(run) == 0
    assert list(sections.found_in(job.body())) == ["preview-dev", "preview-prod"]
    assert job.body().count("No reviewer has approved this run for the environment `preview`") == 2
    assert "made up" not in job.body()
    assert world.downloads == []


def test_the_preview_of_a_stack_that_main_does_not_have_yet_is_shown(world: FakeRepository, job: Job) -> None:
    files = {"new.json": result("new", text="new: 1 to create"), "dev.json": result("dev", text="dev: no change")}
    job(world.run("preview.yml", files))
    found = sections.found_in(job.body())
    assert list(found) == ["preview-dev", "preview-new", "preview-prod"]
    assert "new: 1 to create" in found["preview-new"]
    assert "It gave no result" in found["preview-prod"]


def test_a_section_says_whose_code_it_is_and_of_when(world: FakeRepository, job: Job) -> None:
    job(world.run("compare.yml", {"report.json": REPORT}))
    job(world.run("preview.yml", previews()))
    for section in sections.found_in(job.body()).values():
        assert "this pull request's own code" in section
        assert "main as of that run" in section


def test_a_run_of_an_old_commit_writes_what_is_known_of_the_head(world: FakeRepository, job: Job) -> None:
    job(world.run("compare.yml", {"report.json": REPORT}))
    old = world.run("compare.yml", {"report.json": b'{"changes": "old"}'}, head_sha=OLD)
    assert job(old) == 0
    assert "one pool" in job.body()
    assert f"commit {OLD[:7]} is no longer its head" in job.out
    assert len(world.writes()) == 1


def test_only_the_newest_run_of_the_head_is_shown(world: FakeRepository, job: Job) -> None:
    first = world.run("compare.yml", {"report.json": b'{"changes": "first"}'})
    world.run("compare.yml", {"report.json": REPORT})
    job(first)
    assert "one pool" in job.body()


@pytest.mark.parametrize("changes", [{"status": "in_progress", "conclusion": None}, {"conclusion": "cancelled"}])
def test_a_run_that_did_not_end_leaves_the_comment_as_it_is(
    world: FakeRepository, job: Job, changes: dict[str, Any]
) -> None:
    job(world.run("preview.yml", previews()))
    before = job.body()
    world.run("preview.yml", previews("other"), **changes)
    job(world.run("compare.yml", {"report.json": REPORT}))
    assert sections.found_in(job.body())["preview-dev"] == sections.found_in(before)["preview-dev"]


@pytest.mark.parametrize(
    "changes",
    [
        {"head_branch": "another"},
        {"head_branch": None},
        {"head_repository": None},
        {"event": "push"},
        {"head_repository": github_server.repository_of("company/another")},
    ],
)
def test_a_run_without_an_open_pull_request_writes_nothing(
    world: FakeRepository, job: Job, changes: dict[str, Any]
) -> None:
    assert job({**github_server.run_of(1), **changes}) == 0
    assert "no open pull request" in job.out
    assert world.writes() == []


def test_one_run_brings_every_section_up_to_date(world: FakeRepository, job: Job) -> None:
    # Of the runs that wait in a concurrency group GitHub keeps one.
    world.run("compare.yml", {"report.json": REPORT})
    job(world.run("preview.yml", previews()))
    assert list(sections.found_in(job.body())) == ["comparison", "preview-dev", "preview-prod"]


# --- failures comment as well -----------------------------------------------------------------------------------------


def test_a_failing_preview_comments_with_its_message(world: FakeRepository, job: Job) -> None:
    files = {
        "dev.json": result("dev", "failed", "the state bucket does not exist. Fix: ...", "error: bucket"),
        "prod.json": result("prod", text="no change"),
    }
    job(world.run("preview.yml", files, conclusion="failure"))
    found = sections.found_in(job.body())
    assert "**It failed.**" in found["preview-dev"]
    assert "the state bucket does not exist. Fix: ..." in found["preview-dev"]
    assert "error: bucket" in found["preview-dev"]
    assert "no change" in found["preview-prod"]


def test_a_failing_comparison_comments_with_its_message(world: FakeRepository, job: Job) -> None:
    files = {"failure.json": result("comparison", "failed", "prod: nodes must be 18", "Traceback")}
    job(world.run("compare.yml", files, conclusion="failure"))
    assert "prod: nodes must be 18" in job.body()


def test_a_report_of_a_run_that_failed_is_not_taken_for_its_result(world: FakeRepository, job: Job) -> None:
    files = {"report.json": REPORT, "failure.json": result("comparison", "failed", "head failed")}
    job(world.run("compare.yml", files, conclusion="failure"))
    assert "one pool" not in job.body()
    assert "head failed" in job.body()


@pytest.mark.parametrize("conclusion", ["failure", "timed_out", "success"])
def test_a_run_without_a_result_says_so(world: FakeRepository, job: Job, conclusion: str) -> None:
    run = world.run("preview.yml", conclusion=conclusion)
    job(run)
    found = sections.found_in(job.body())["preview-dev"]
    assert "It gave no result" in found
    assert f"https://github.com/{REPOSITORY}/actions/runs/{run['id']}" in found


# --- the artifact is somebody else's ----------------------------------------------------------------------------------


def _lying_size() -> bytes:
    """A zip file whose directory says that a member is small."""
    content = bytearray(github_server.zipped({"report.json": b"0" * (outcome.FILE_MOST * 2)}))
    place = content.rindex(b"PK\x01\x02")
    content[place + 24 : place + 28] = (10).to_bytes(4, "little")
    return bytes(content)


def _twice() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as opened:
        opened.writestr("report.json", REPORT)
        with pytest.warns(UserWarning, match="Duplicate name"):
            opened.writestr("report.json", b'{"changes": "other"}')
    return target.getvalue()


def _method(kind: int) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", kind) as opened:
        opened.writestr("report.json", REPORT)
    return target.getvalue()


NO_ZIP = "it is not a readable zip file"
LARGE = f"a file in it has more than {outcome.FILE_MOST} bytes"
UNUSUAL = "a file in it is encrypted, or compressed in an unusual way"
MODEL = "its report does not have the form of this project's reports"
ATTACKS: dict[str, tuple[Any, str]] = {
    "no zip file": (b"hello", NO_ZIP),
    "nothing": (b"", NO_ZIP),
    "cut off": (github_server.zipped({"report.json": REPORT})[:-30], NO_ZIP),
    "a bomb": (github_server.zipped({"report.json": b"0" * (outcome.FILE_MOST + 1)}), LARGE),
    "a bomb that lies": (_lying_size(), NO_ZIP),
    "many files": (
        github_server.zipped({f"{number}": b"" for number in range(archive.MEMBERS_MOST)} | {"report.json": REPORT}),
        f"it holds {archive.MEMBERS_MOST + 1} files, at most {archive.MEMBERS_MOST} are expected",
    ),
    "one name twice": (_twice(), "it holds two files of one name"),
    "LZMA": (_method(zipfile.ZIP_LZMA), UNUSUAL),
    "bzip2": (_method(zipfile.ZIP_BZIP2), UNUSUAL),
    "no JSON": ({"report.json": b"\xff\xfe"}, MODEL),
    "another model": ({"report.json": b'{"changes": "x", "html": "<b>"}'}, MODEL),
    "deep": ({"report.json": b"[" * 100_000}, MODEL),
    "too large": (
        b"\0" * (archive.ARCHIVE_MOST + 1),
        f"it has {archive.ARCHIVE_MOST + 1} bytes, at most {archive.ARCHIVE_MOST} are read",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_artifact_that_is_not_ours_is_refused_and_the_comment_says_so(
    world: FakeRepository, job: Job, attack: str
) -> None:
    artifact, reason = ATTACKS[attack]
    assert job(world.run("compare.yml", artifact)) == 0
    assert f"The result of this run is refused: {reason}." in job.body()


def test_an_artifact_above_the_limit_is_not_even_downloaded(world: FakeRepository, job: Job) -> None:
    job(world.run("compare.yml", ATTACKS["too large"][0]))
    assert world.downloads == []


@pytest.mark.parametrize("name", ["../report.json", "/report.json", "a/report.json", "..\\report.json", "report.json/"])
def test_a_path_in_an_artifact_leads_nowhere(world: FakeRepository, job: Job, name: str, tmp_path: Path) -> None:
    before = set(tmp_path.rglob("*"))
    job(world.run("compare.yml", {name: REPORT}))
    assert "It gave no result" in job.body()
    assert set(tmp_path.rglob("*")) - before == {tmp_path / "event.json"}


def test_an_artifact_of_another_name_is_not_read(world: FakeRepository, job: Job) -> None:
    run = world.run("compare.yml")
    world.artifacts[run["id"]] = {"preview": github_server.zipped(previews())}
    job(run)
    assert list(sections.found_in(job.body())) == ["comparison"]
    assert world.downloads == []


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b'{"subject": "dev", "verdict": "done", "more": 1}',
        b'{"subject": "prod", "verdict": "done"}',
        b'{"subject": "dev", "verdict": 1}',
        b'{"subject": "<b>", "verdict": "done"}',
        json.dumps({"subject": "dev", "verdict": "done", "text": "x" * (outcome.TEXT_MOST + 1)}).encode(),
        b'{"subject": "dev", "verdict": "done", "evil<img>": 1}',
    ],
)
def test_a_result_of_another_form_is_refused_without_a_word_of_it(
    world: FakeRepository, job: Job, content: bytes
) -> None:
    job(world.run("preview.yml", {"dev.json": content, "prod.json": result("prod", text="fine")}))
    found = sections.found_in(job.body())
    assert "The result of this run is refused" in found["preview-dev"]
    assert "evil" not in job.body()
    assert "fine" in found["preview-prod"]


HOSTILE = """\
@everyone #1 fixes #2 https://evil.example ![i](https://evil.example/i.png) <img src=x onerror=alert(1)> [a](b)
```
````
</details>
<!-- end preview-dev -->
<!-- section comparison -->
All is well
<!-- end comparison -->
\u202eright to left\u2066\u200b\x00\x07\x1b[31mred\x1b[0m \x1b]8;;https://evil.example\x07link\x1b]8;;\x07
"""


@pytest.mark.parametrize("verdict", ["done", "failed"])
def test_text_of_the_pull_request_stays_inside_its_code_block(world: FakeRepository, job: Job, verdict: str) -> None:
    files = {"dev.json": result("dev", verdict, HOSTILE, HOSTILE), "prod.json": result("prod", text="fine")}
    job(world.run("preview.yml", files))
    body = job.body()
    outside = _outside_code(body)
    for piece in ("@everyone", "#1", "evil.example", "<img", "[a](b)", "All is well"):
        assert piece in body
        assert piece not in outside
    assert list(sections.found_in(body)) == ["preview-dev", "preview-prod"]
    assert not set("\u202e\u2066\u200b\x00\x07\x1b") & set(body)
    assert "\\u202eright to left" in body


def _outside_code(body: str) -> str:
    """What of Markdown is in no fenced code block (GFM, 4.5), by a reading of its own."""
    shown: list[str] = []
    fence = ""
    for line in body.splitlines():
        mark = line.strip(" ")
        ticks = len(mark) - len(mark.lstrip("`"))
        if not fence and ticks >= 3:
            fence = "`" * ticks
        elif fence and ticks >= len(fence) and not mark.strip("`"):
            fence = ""
        elif not fence:
            shown.append(line)
    assert not fence, "a code block is left open"
    return "\n".join(shown)


def test_the_reading_of_code_blocks_sees_what_is_outside() -> None:
    assert _outside_code("a\n````\nb\n```\nc\n````\nd") == "a\nd"


# --- length -----------------------------------------------------------------------------------------------------------


def test_long_sections_are_shortened_and_short_ones_are_whole(world: FakeRepository, job: Job) -> None:
    line = "+ resource 0123456789\n"
    world.run("preview.yml", {"dev.json": result("dev", text="short"), "prod.json": result("prod", text=line * 15_000)})
    job(
        world.run("compare.yml", {"report.json": json.dumps({"changes": "y" * 300 + "\n" * 5 + "z" * 90_000}).encode()})
    )
    body, found = job.body(), sections.found_in(job.body())
    assert len(body) > 30_000
    assert "short\n" in found["preview-dev"]
    assert "(shortened)" in found["preview-prod"]
    assert sections.SHORTENED in found["comparison"]
    assert "/actions/runs/" in found["comparison"]
    _outside_code(body)
    assert body.count("<details>") == body.count("</details>")


# --- GitHub does not do what was asked --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (
            Answer(403, "Resource not accessible by integration", times=9),
            "permissions that docs/reference/workflows.md",
        ),
        (Answer(403, "Unable to create comment because issue is locked.", times=9), "unlock it"),
        (Answer(404, "Not Found", times=9), "does not exist, or the token may not see it"),
        (Answer(410, "Issues are disabled for this repo", times=9), "Settings, General, Features"),
        (Answer(422, "Validation Failed", times=9), "refuses the content"),
        (Answer(500, "oops", times=99), "run the job again"),
        (Answer(403, "API rate limit exceeded", {"x-ratelimit-remaining": "0"}, times=9), "rate limit"),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else None,
)
def test_a_comment_that_cannot_be_posted_ends_with_one_message(
    world: FakeRepository, job: Job, answer: Answer, said: str
) -> None:
    world.instead.append(("POST", r"issues/7/comments", answer))
    assert job(world.run("compare.yml", {"report.json": REPORT})) == 1
    assert job.out == ""
    assert job.err.startswith("comment: commenting on pull request #7: GitHub answers ")
    assert said in job.err
    assert job.err.count("\n") == 1


def test_a_token_that_is_not_accepted_is_said(world: FakeRepository, job: Job) -> None:
    assert job(world.run("compare.yml", {"report.json": REPORT}), token="ghs_expired") == 1
    assert "GitHub answers 401 (Bad credentials): the token is not accepted" in job.err
    assert "ghs_expired" not in job.err


def test_without_a_connection_there_is_one_message(job: Job, world: FakeRepository) -> None:
    run = world.run("compare.yml", {"report.json": REPORT})
    world.address = "http://127.0.0.1:9"
    assert job(run) == 1
    assert "GitHub cannot be reached (ConnectionError)" in job.err


@pytest.mark.parametrize(
    ("answer", "pauses"),
    [
        (Answer(502), [2.0]),
        (Answer(503, times=2), [2.0, 4.0]),
        (Answer(429, headers={"retry-after": "7"}), [7.0]),
        (Answer(403, "You have exceeded a secondary rate limit", {"retry-after": "3"}), [3.0]),
        (Answer(403, "You have exceeded a secondary rate limit"), [60.0]),
        (Answer(403, "limit", {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "0"}), [1.0]),
    ],
    ids=lambda value: str(value.status) if isinstance(value, Answer) else None,
)
def test_what_passes_is_waited_for(world: FakeRepository, job: Job, answer: Answer, pauses: list[float]) -> None:
    # "Rate limits for the REST API", exceeding the rate limit
    world.instead.append(("GET", "pulls", answer))
    assert job(world.run("compare.yml", {"report.json": REPORT})) == 0
    assert world.pauses == pauses


def test_an_hour_is_not_waited_for(world: FakeRepository, job: Job) -> None:
    world.instead.append(("GET", "pulls", Answer(403, "limit", {"retry-after": "3600"}, times=9)))
    assert job(world.run("compare.yml", {"report.json": REPORT})) == 1
    assert world.pauses == []


def test_a_comment_whose_answer_was_lost_is_not_written_twice(world: FakeRepository, job: Job) -> None:
    world.instead.append(("POST", r"issues/7/comments", Answer(502, effect=True)))
    assert job(world.run("compare.yml", {"report.json": REPORT})) == 0
    assert "one pool" in job.body()


def test_a_comment_that_was_deleted_meanwhile_is_written_again(world: FakeRepository, job: Job) -> None:
    world.comment(sections.assembled(pull_request.MARKER, {"comparison": "old"}, pull_request.ORDER))
    world.before.append(("PATCH", world.comments[7].clear))
    assert job(world.run("compare.yml", {"report.json": REPORT})) == 0
    assert [request.method for request in world.writes()] == ["PATCH", "POST"]
    assert "one pool" in job.body()


def test_an_answer_of_another_form_is_said(world: FakeRepository, job: Job) -> None:
    world.pulls[0].pop("base")
    world.pulls[0]["base"] = {"ref": "main"}
    assert job(world.run("compare.yml", {"report.json": REPORT})) == 1
    assert "GitHub's answer is not of the documented form (base.sha: missing)" in job.err


# --- the token --------------------------------------------------------------------------------------------------------


def test_the_token_goes_to_github_and_not_to_the_storage(world: FakeRepository, job: Job) -> None:
    job(world.run("compare.yml", {"report.json": REPORT}))
    assert all(request.authorized for request in world.requests)
    assert [request.authorized for request in world.downloads] == [False]


def test_a_next_page_elsewhere_is_not_followed(world: FakeRepository, job: Job) -> None:
    answer = Answer(200, headers={"Link": f'<{world.storage}/x/y>; rel="next"'})
    world.instead.append(("GET", r"issues/7/comments", answer))
    assert job(world.run("compare.yml", {"report.json": REPORT})) == 1
    assert world.downloads[1:] == []


@pytest.mark.parametrize("content", ["", "{}", '{"workflow_run": {}}', "[]"])
def test_outside_of_its_event_the_command_says_what_it_needs(
    tmp_path: Path, content: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "event.json").write_text(content, encoding="utf-8")
    assert main(["comment"], {"GITHUB_EVENT_PATH": str(tmp_path / "event.json")}) == 2
    assert "holds no `workflow_run` event" in capsys.readouterr().err
    assert main(["comment"], {}) == 2
    assert "GITHUB_EVENT_PATH is not set" in capsys.readouterr().err


def test_without_a_token_the_command_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    event = {"workflow_run": github_server.run_of(1), "repository": {"default_branch": "main"}}
    (tmp_path / "event.json").write_text(json.dumps(event), encoding="utf-8")
    environment = {"GITHUB_EVENT_PATH": str(tmp_path / "event.json"), "GITHUB_REPOSITORY": REPOSITORY}
    assert main(["comment"], environment) == 2
    assert "GITHUB_TOKEN is not set" in capsys.readouterr().err
