"""GitHub's REST API: the few calls that the comment and the issue need, with retries, and errors that name a fix."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import requests
from pydantic import BaseModel, ValidationError

ATTEMPTS: Final = 4
TIMEOUT_SECONDS: Final = 30.0
LONGEST_WAIT_SECONDS: Final = 120.0
"""A longer wait, as after the hourly limit, is left to a new run."""
PAGES_MOST: Final = 50
_CHUNK: Final = 65_536

Model = TypeVar("Model", bound=BaseModel)


class GitHubError(Exception):
    """A call that failed for good. The text has cause and fix; `status` is None if there was no answer."""

    def __init__(self, text: str, status: int | None = None) -> None:
        super().__init__(text)
        self.status = status


class GitHub:
    """One repository."""

    def __init__(
        self,
        repository: str,
        token: str,
        address: str = "https://api.github.com",
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.repository = repository
        self._root = f"{address}/repos/{repository}"
        self._address = urlsplit(address)
        self._sleep = sleep
        self._session = requests.Session()
        self._session.headers.update(
            {
                "Authorization": f"Bearer {token}",
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
                "User-Agent": "dynamo-a4x",
            }
        )

    def pages(self, what: str, model: type[Model], path: str, key: str = "", **query: str) -> Iterator[Model]:
        """Every item of a list, over all pages; `key` is where the items are, if the answer is an object."""
        url: str | None = f"{self._root}/{path}"
        parameters: Mapping[str, str] = {**query, "per_page": "100"}
        for _ in range(PAGES_MOST):
            answer = self._call("GET", url, what, params=parameters)
            try:
                found = answer.json()
                yield from [model.model_validate(item) for item in (found[key] if key else found)]
            except (ValueError, KeyError, TypeError) as error:
                raise GitHubError(f"{what}: GitHub's answer is not of the documented form ({_brief(error)})") from None
            url, parameters = answer.links.get("next", {}).get("url"), {}
            if url is None:
                return
            if urlsplit(url)[:2] != self._address[:2]:  # the token goes nowhere else
                raise GitHubError(f"{what}: the next page is on another server")
        raise GitHubError(f"{what}: more than {PAGES_MOST} pages")

    def one(self, what: str, model: type[Model], path: str) -> Model | None:
        """One object; None if there is none, or the token may not see it."""
        try:
            return model.model_validate_json(self._call("GET", f"{self._root}/{path}", what).content)
        except ValidationError as error:
            raise GitHubError(f"{what}: GitHub's answer is not of the documented form ({_brief(error)})") from None
        except GitHubError as error:
            if error.status == 404:
                return None
            raise

    def send(self, what: str, method: str, path: str, content: Mapping[str, Any]) -> None:
        """Write. A POST is not repeated where it may have worked: raises `GitHubError` with a status of 5xx or None."""
        self._call(method, f"{self._root}/{path}", what, json=content)

    def download(self, what: str, path: str, most: int) -> bytes:
        """A file of at most `most` bytes; requests follows to the storage, without the token."""
        content = bytearray()
        with self._call("GET", f"{self._root}/{path}", what, stream=True) as answer:
            try:
                for chunk in answer.iter_content(_CHUNK):
                    content += chunk
                    if len(content) > most:
                        raise GitHubError(f"{what}: it has more than {most} bytes")
            except requests.RequestException as error:
                raise GitHubError(
                    f"{what}: the download broke off ({type(error).__name__}); run the job again"
                ) from None
        return bytes(content)

    def _call(self, method: str, url: str, what: str, **options: Any) -> requests.Response:
        for attempt in range(1, ATTEMPTS + 1):
            answer, reason = None, ""
            try:
                answer = self._session.request(method, url, timeout=TIMEOUT_SECONDS, **options)
            except requests.RequestException as error:
                reason = type(error).__name__
            if answer is not None and answer.ok:
                return answer
            pause = _pause(method, answer, attempt)
            if pause is None or pause > LONGEST_WAIT_SECONDS or attempt == ATTEMPTS:
                raise _error(what, answer, reason)
            self._sleep(pause)
        raise AssertionError("unreachable")


def _pause(method: str, answer: requests.Response | None, attempt: int) -> float | None:
    """Seconds until the next attempt, by docs.github.com, "Rate limits for the REST API"; None: no other attempt."""
    if answer is None or answer.status_code >= 500:
        return None if method == "POST" else 2.0**attempt
    if answer.status_code in (403, 429):
        if (after := answer.headers.get("retry-after", "")).isdecimal():
            return float(after)
        if answer.headers.get("x-ratelimit-remaining") == "0":
            reset = answer.headers.get("x-ratelimit-reset", "")
            return max(1.0, float(reset) - time.time()) if reset.isdecimal() else 60.0
        if answer.status_code == 429 or "rate limit" in _message(answer).lower():
            return 60.0 * 2 ** (attempt - 1)
    return None


_FIXES: Final[Mapping[int, str]] = {
    401: "the token is not accepted; GITHUB_TOKEN must be `github.token` of the running job",
    403: (
        "the token may not do this; the job needs the permissions that docs/reference/workflows.md lists, and the "
        "organisation must allow them (Settings, Actions, General). A locked conversation takes no comment: unlock it"
    ),
    404: "it does not exist, or the token may not see it; the job needs the permissions of docs/reference/workflows.md",
    410: "issues are switched off in this repository; switch them on (Settings, General, Features)",
    422: "GitHub refuses the content",
    429: "the rate limit of GitHub's API is used up; run the job again later",
}


def _error(what: str, answer: requests.Response | None, reason: str) -> GitHubError:
    if answer is None:
        return GitHubError(f"{what}: GitHub cannot be reached ({reason}); run the job again")
    status = answer.status_code
    fix = _FIXES.get(status, "an error at GitHub; run the job again" if status >= 500 else "an unexpected answer")
    if status == 403 and (answer.headers.get("x-ratelimit-remaining") == "0" or "rate limit" in _message(answer)):
        fix = _FIXES[429]
    return GitHubError(f"{what}: GitHub answers {status} ({_message(answer) or 'no reason'}): {fix}", status)


def _message(answer: requests.Response) -> str:
    """GitHub's own reason, on one line of at most 200 characters."""
    try:
        message = answer.json()["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return " ".join(str(message).split())[:200]


def _brief(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['type']}"
    return type(error).__name__
