"""A stand-in for GitHub's REST API on the loopback interface: the calls that `github_workflows` makes, as documented.

Each rule names its page below docs.github.com/en/rest; `seen` means an answer that GitHub's users report.
"""

from __future__ import annotations

import io
import json
import re
import threading
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from github_workflows.api import GitHub
from github_workflows.objects import BOT

REPOSITORY = "company/dynamo-a4x"
TOKEN = "ghs_made-up-token-0123456789"
HEAD = "a" * 40
OLD = "b" * 40
LONGEST_BODY = 65_536


@dataclass
class Answer:
    """What is answered to a call in place of the usual."""

    status: int
    message: str = ""
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    times: int = 1
    effect: bool = False
    """The call is carried out, and only its answer is lost."""


@dataclass(frozen=True)
class Request:
    """A call that was made."""

    method: str
    path: str
    body: dict[str, Any]
    authorized: bool


class FakeRepository:
    """What is in the repository."""

    def __init__(self) -> None:
        self.pulls: list[dict[str, Any]] = []
        self.runs: dict[str, list[dict[str, Any]]] = {"compare.yml": [], "preview.yml": []}
        self.artifacts: dict[int, dict[str, bytes]] = {}
        self.reviews: dict[int, list[dict[str, Any]]] = {}
        self.environments: dict[str, dict[str, Any]] = {}
        self.deployment_branches: dict[str, list[dict[str, Any]]] = {}
        self.branch_rules: list[dict[str, Any]] = []
        self.branch_protection: dict[str, Any] | None = None
        self.comments: dict[int, list[dict[str, Any]]] = {}
        self.issues: list[dict[str, Any]] = []
        self.requests: list[Request] = []
        self.downloads: list[Request] = []
        self.instead: list[tuple[str, str, Answer]] = []
        """(method, pattern of the path, answer)."""
        self.before: list[tuple[str, Callable[[], None]]] = []
        """What others do just before a call of this method, once."""
        self.pauses: list[float] = []
        self.address = ""
        self.storage = ""
        self._next = 1000

    def github(self, token: str = TOKEN) -> GitHub:
        """A client; it does not sleep, but records for how long it would have."""
        return GitHub(REPOSITORY, token, self.address, self.pauses.append)

    def number(self) -> int:
        """A new id."""
        self._next += 1
        return self._next

    def pull(self, number: int = 7, head: str = HEAD, branch: str = "change", repository: str = REPOSITORY) -> None:
        """An open pull request to main."""
        self.pulls.append(
            {
                "number": number,
                "head": {"sha": head, "ref": branch, "repo": repository_of(repository)},
                "base": {"sha": "c" * 40, "ref": "main", "repo": repository_of(REPOSITORY)},
            }
        )

    def run(self, workflow: str, files: Mapping[str, bytes] | bytes | None = None, **changes: Any) -> dict[str, Any]:
        """A run of a workflow on a pull request, with an artifact that holds `files` (or, of bytes, is them)."""
        found = {**run_of(self.number()), **changes}
        self.runs[workflow].append(found)
        if workflow == "preview.yml":
            self.reviews[found["id"]] = [review_of("approved", "preview")]
        if files is not None:
            name = "comparison" if workflow == "compare.yml" else "preview"
            self.artifacts[found["id"]] = {name: files if isinstance(files, bytes) else zipped(files)}
        return found

    def comment(self, body: str, number: int = 7, author: str = BOT) -> dict[str, Any]:
        """A comment that is there already."""
        found = {"id": self.number(), "body": body, "user": {"login": author}}
        self.comments.setdefault(number, []).append(found)
        return found

    def writes(self) -> list[Request]:
        """The calls that wrote."""
        return [request for request in self.requests if request.method != "GET"]

    def answer(self, method: str, path: str, query: Mapping[str, str], body: dict[str, Any]) -> tuple[int, Any]:
        """Status and content."""
        for pattern, handle in self._routes():
            found = re.fullmatch(pattern, f"{method} {path}")
            if found:
                return handle(found, query, body)
        return 404, {"message": "Not Found"}

    def _routes(self) -> Sequence[tuple[str, Callable[..., tuple[int, Any]]]]:
        return (
            (r"GET pulls", self._list_pulls),
            (r"GET actions/workflows/([\w.-]+)/runs", self._list_runs),
            (r"GET actions/runs/(\d+)/artifacts", self._list_artifacts),
            # Get the review history for a workflow run (actions/workflow-runs): a list, without pages.
            (r"GET actions/runs/(\d+)/approvals", lambda m, _q, _b: (200, self.reviews.get(int(m[1]), []))),
            # Get an environment and List deployment branch policies: deployments/environments and branch-policies
            (r"GET environments/(\w+)", lambda m, _q, _b: _found(self.environments.get(m[1]))),
            (r"GET environments/(\w+)/deployment-branch-policies", self._list_deployment_branches),
            # Get rules for a branch (repos/rules); Get branch protection (branches/branch-protection)
            (r"GET rules/branches/main", lambda _m, _q, _b: (200, self.branch_rules)),
            (r"GET branches/main/protection", lambda _m, _q, _b: _found(self.branch_protection)),
            (r"GET issues/(\d+)/comments", lambda m, _q, _b: (200, self.comments.get(int(m[1]), []))),
            (r"POST issues/(\d+)/comments", self._comment),
            (r"PATCH issues/comments/(\d+)", self._edit_comment),
            (r"GET issues", lambda _m, q, _b: (200, [i for i in self.issues if i["state"] == q["state"]])),
            (r"POST issues", self._open_issue),
            (r"PATCH issues/(\d+)", self._edit_issue),
        )

    def _list_deployment_branches(self, found: re.Match[str], _q: Any, _b: Any) -> tuple[int, Any]:
        policies = self.deployment_branches.get(found[1], [])
        return 200, {"total_count": len(policies), "branch_policies": policies}

    def _list_pulls(self, _m: re.Match[str], query: Mapping[str, str], _b: Any) -> tuple[int, Any]:
        # List pull requests (pulls): `head` is `owner:branch`; one of another form is ignored (seen).
        def fits(pull: Mapping[str, Any]) -> bool:
            repository = pull["head"]["repo"]
            owner = repository["owner"]["login"] if repository else "unknown"
            return query["head"] == f"{owner}:{pull['head']['ref']}" and query["base"] == pull["base"]["ref"]

        return 200, [pull for pull in self.pulls if fits(pull)]

    def _list_runs(self, found: re.Match[str], query: Mapping[str, str], _b: Any) -> tuple[int, Any]:
        # List workflow runs for a workflow (actions/workflow-runs): newest first.
        if found[1] not in self.runs:
            return 404, {"message": "Not Found"}
        runs = [
            run
            for run in reversed(self.runs[found[1]])
            if run["head_sha"] == query["head_sha"] and run["event"] == query["event"]
        ]
        return 200, {"total_count": len(runs), "workflow_runs": runs}

    def _list_artifacts(self, found: re.Match[str], query: Mapping[str, str], _b: Any) -> tuple[int, Any]:
        # List workflow run artifacts (actions/artifacts): `name` filters. Here an artifact has the id of its run.
        run = int(found[1])
        listed = [
            {"id": run, "name": name, "size_in_bytes": len(content), "expired": False}
            for name, content in self.artifacts.get(run, {}).items()
            if name == query["name"]
        ]
        return 200, {"total_count": len(listed), "artifacts": listed}

    def _comment(self, found: re.Match[str], _q: Any, body: dict[str, Any]) -> tuple[int, Any]:
        if len(body["body"]) > LONGEST_BODY:
            return self._too_long()
        return 201, self.comment(body["body"], int(found[1]))

    def _edit_comment(self, found: re.Match[str], _q: Any, body: dict[str, Any]) -> tuple[int, Any]:
        for comment in (comment for comments in self.comments.values() for comment in comments):
            if comment["id"] == int(found[1]):
                if len(body["body"]) > LONGEST_BODY:
                    return self._too_long()
                comment["body"] = body["body"]
                return 200, comment
        return 404, {"message": "Not Found"}

    def _open_issue(self, _m: re.Match[str], _q: Any, body: dict[str, Any]) -> tuple[int, Any]:
        if len(body["body"]) > LONGEST_BODY:
            return self._too_long()
        self.issues.append({"number": self.number(), "state": "open", "user": {"login": BOT}, **body})
        return 201, self.issues[-1]

    def _edit_issue(self, found: re.Match[str], _q: Any, body: dict[str, Any]) -> tuple[int, Any]:
        for issue in self.issues:
            if issue["number"] == int(found[1]):
                issue.update(body)
                return 200, issue
        return 404, {"message": "Not Found"}

    @staticmethod
    def _too_long() -> tuple[int, Any]:
        # seen; the limit itself is in no reference page.
        reason = f"body is too long (maximum is {LONGEST_BODY} characters)"
        return 422, {"message": "Validation Failed", "errors": [{"field": "data", "message": reason}]}


def _found(content: Any) -> tuple[int, Any]:
    return (404, {"message": "Not Found"}) if content is None else (200, content)


def review_of(state: str, *environments: str) -> dict[str, Any]:
    """What a reviewer has said of a run."""
    return {"state": state, "comment": "", "environments": [{"id": 1, "name": name} for name in environments]}


def repository_of(full_name: str) -> dict[str, Any]:
    """A repository, as GitHub describes one."""
    return {"full_name": full_name, "owner": {"login": full_name.split("/", maxsplit=1)[0]}}


def run_of(number: int, **changes: Any) -> dict[str, Any]:
    """A run that ended well on the head of the pull request."""
    return {
        "id": number,
        "run_number": number,
        "run_attempt": 1,
        "event": "pull_request",
        "status": "completed",
        "conclusion": "success",
        "head_sha": HEAD,
        "head_branch": "change",
        "head_repository": repository_of(REPOSITORY),
        "pull_requests": [],
        **changes,
    }


def zipped(files: Mapping[str, bytes]) -> bytes:
    """An artifact."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return target.getvalue()


@contextmanager
def serving() -> Iterator[FakeRepository]:
    """A repository behind a server; artifacts are on another one, as at GitHub."""
    world = FakeRepository()
    with _server(_Api, world) as world.address, _server(_Storage, world) as world.storage:
        yield world


@contextmanager
def _server(handler: type[_Handler], world: FakeRepository) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (handler,), {"world": world}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    world: FakeRepository

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's name
        pass

    def _send(self, status: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class _Storage(_Handler):
    def do_GET(self) -> None:
        self.world.downloads.append(Request("GET", self.path, {}, "Authorization" in self.headers))
        run, name = self.path.strip("/").split("/")
        self._send(200, self.world.artifacts[int(run)][name], {"Content-Type": "application/zip"})


class _Api(_Handler):
    def _serve(self) -> None:
        world, parts = self.world, urlsplit(self.path)
        path = parts.path.removeprefix(f"/repos/{REPOSITORY}/")
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        length = int(self.headers.get("Content-Length") or 0)
        body = json.loads(self.rfile.read(length)) if length else {}
        authorized = self.headers.get("Authorization") == f"Bearer {TOKEN}"
        world.requests.append(Request(self.command, path, body, authorized))
        for waiting in [waiting for waiting in world.before if waiting[0] == self.command]:
            world.before.remove(waiting)
            waiting[1]()
        instead = self._instead(path)
        if not authorized:
            instead = Answer(401, "Bad credentials")
        if instead is not None and not instead.effect:
            return self._json(instead.status, {"message": instead.message}, instead.headers)
        download = re.fullmatch(r"actions/artifacts/(\d+)/zip", path)
        if download:
            # Download an artifact (actions/artifacts): 302, to an address that is valid for a minute.
            [name] = world.artifacts[int(download[1])]
            return self._send(302, b"", {"Location": f"{world.storage}/{download[1]}/{name}"})
        status, content = world.answer(self.command, path, query, body)
        if instead is not None:
            return self._json(instead.status, {"message": instead.message}, instead.headers)
        return self._page(status, content, query, parts.path)

    def _instead(self, path: str) -> Answer | None:
        for method, pattern, answer in self.world.instead:
            if method == self.command and re.fullmatch(pattern, path) and answer.times > 0:
                answer.times -= 1
                return answer
        return None

    def _page(self, status: int, content: Any, query: Mapping[str, str], path: str) -> None:
        # Using pagination (using-the-rest-api): 30 items a page, at most 100; the header `link` has the next page.
        items = content if isinstance(content, list) else None
        if isinstance(content, dict):
            items = next((value for value in content.values() if isinstance(value, list) and value), None)
        if status != 200 or self.command != "GET" or not items:
            return self._json(status, content, {})
        size, page = min(100, int(query.get("per_page", 30))), int(query.get("page", 1))
        shown = items[(page - 1) * size : page * size]
        more = urlencode({**query, "page": page + 1})
        headers = {"Link": f'<{self.world.address}{path}?{more}>; rel="next"'} if page * size < len(items) else {}
        if isinstance(content, dict):
            return self._json(status, {k: shown if v is items else v for k, v in content.items()}, headers)
        return self._json(status, shown, headers)

    def _json(self, status: int, content: Any, headers: Mapping[str, str]) -> None:
        self._send(status, json.dumps(content).encode(), {"Content-Type": "application/json", **headers})

    do_GET = do_POST = do_PATCH = _serve  # noqa: N815 - the base class's names
