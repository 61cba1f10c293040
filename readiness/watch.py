"""The check's loop: read, decide, report, until the stack answers or waiting is useless."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from readiness import endpoint, message, snapshot, verdict
from readiness.config import Config
from readiness.job_event import JobEvent
from readiness.kubernetes import ApiError, Kubernetes
from readiness.progress import time_left
from readiness.symptoms import minutes

Say = Callable[[str], None]

_LOG_LINES: Final = "60"
_FORBIDDEN: Final = (401, 403)


class Watch:
    """One run of the check."""

    def __init__(self, config: Config, api: Kubernetes, event: JobEvent, say: Say) -> None:
        self._config, self._api, self._event, self._say = config, api, event, say
        self._memory = verdict.Memory.begin(time.monotonic(), time.time())
        self._line = self._seen = "nothing seen of the cluster yet"
        self._shown, self._shown_at = "", -float("inf")
        self._forbidden_since: float | None = None
        self._ask_at = 0.0
        self._last_answer = ""
        self._event_works = True

    @property
    def state(self) -> str:
        """The last known state, for the message of a stopped check."""
        return self._line

    @property
    def age(self) -> str:
        """How long the check has run."""
        return minutes(time.monotonic() - self._memory.started)

    def run(self) -> verdict.Answers | verdict.Failed:
        """Run until there is a final verdict."""
        while True:
            found = self._look()
            if isinstance(found, verdict.Answers | verdict.Failed):
                if isinstance(found, verdict.Answers) and found.degraded:
                    self._show(found.degraded.cause)
                return found
            self._line = found.line
            self._tell()
            time.sleep(self._config.bounds.poll)

    def words_of(self, pod: str, container: str) -> str:
        """The end of the log of a container's previous run, else of the current one."""
        for previous in ("true", "false"):
            try:
                found = self._api.log(pod, container=container, previous=previous, tailLines=_LOG_LINES)
            except ApiError:
                continue
            if found.strip():
                return found.strip()
        return ""

    def _look(self) -> verdict.Found:
        try:
            seen = snapshot.take(self._api, self._config.deployment)
        except ApiError as error:
            return self._unseen(error)
        self._forbidden_since = None
        found, self._memory = verdict.judge(self._config, seen, self._memory, time.monotonic())
        self._seen = found.line
        if not isinstance(found, verdict.PodsReady):
            self._last_answer = ""
            return found
        if time.monotonic() < self._ask_at:
            return verdict.Waiting(self._with_answer(found.line))
        reply = endpoint.ask(self._config)
        now = time.monotonic()
        self._ask_at = now + self._config.bounds.answer_pause
        self._last_answer = reply.text
        weighed, self._memory = verdict.evaluate_reply(self._config, self._memory, reply, found, now)
        return weighed

    def _with_answer(self, line: str) -> str:
        return f"{line}; no answer yet: {self._last_answer}" if self._last_answer else line

    def _unseen(self, error: ApiError) -> verdict.Waiting | verdict.Failed:
        """The API server restarts or is slow: the previous state is kept until the next snapshot."""
        now, config = time.monotonic(), self._config
        if error.status not in _FORBIDDEN:
            self._forbidden_since = None
        elif self._forbidden_since is None:
            self._forbidden_since = now
        elif now - self._forbidden_since >= config.bounds.forbidden:
            return verdict.Failed(f"the check lacks permission to read what it needs: {error}", self._seen)
        if now - self._memory.started >= config.deadline:
            cause = f"not ready after {minutes(config.deadline)}, and the Kubernetes API cannot be read: {error}"
            return verdict.Failed(cause, self._seen)
        said = "says" if error.status else "gives no answer"
        return verdict.Waiting(f"{self._seen}; the Kubernetes API {said}: {error}")

    def _tell(self) -> None:
        """One line for each change, with a minimum pause, in the log and on the Job."""
        now, config = time.monotonic(), self._config
        if self._line == self._shown or now - self._shown_at < config.bounds.progress:
            return
        self._shown, self._shown_at = self._line, now
        self._show(f"{self._line}; {time_left(config.deadline - (now - self._memory.started))}")

    def _show(self, line: str) -> None:
        self._say(line)
        try:
            self._event.say(line)
            self._event_works = True
        except ApiError as error:
            if self._event_works:
                self._say(f"(the progress event cannot be written: {error})")
            self._event_works = False


def failure(config: Config, watch: Watch, failed: verdict.Failed) -> str:
    """The failure message, with the end of a container's log if its status has no message."""
    words = failed.words
    if failed.log_of:
        last = watch.words_of(*failed.log_of)
        words = "\n".join(part for part in (words, last) if part)
    return message.compose(failed.cause, failed.line, words, config.next)
