"""Sends the requests of a user to the stack: the list of models, and one short completion.

Neither the frontends' health nor the list of models shows that workers answer: health is 200 without any worker,
Dynamo 1.0.1 lists a model whose decode workers are missing (seen; 1.6.1 does not), and a split NVLink domain answers
200 with no content.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from readiness import web
from readiness.config import Config
from readiness.fields import first, inner, number, objects, text

QUESTION: Final = "Reply with the word ready."
TOKENS: Final = 32

_PASSES: Final = frozenset({404, 408, 409, 425, 429})
"""Transient client errors: routes and models appear one after the other, queues drain."""
_SHOWN: Final = 400


@dataclass(frozen=True)
class Reply:
    """Result of one request."""

    kind: Literal["good", "later", "empty", "unusable"]
    """`later`: a transient error. `empty`, `unusable`: an answer that does not improve by itself."""
    text: str
    """One line, for users."""


def ask(config: Config) -> Reply:
    """Get the list of models, and once the model is listed, one short completion."""
    listed = _models(config)
    return listed if listed is not None else _completion(config)


def judge_completion(answer: web.Answer) -> Reply:
    """Whether a chat completion's `answer` shows that the model works."""
    shown = " ".join(answer.text.split())[:_SHOWN]
    if answer.status != 200:
        passes = answer.status >= 500 or answer.status in _PASSES
        return Reply("later" if passes else "unusable", f"HTTP {answer.status} to a completion: {shown}")
    body = answer.json()
    choice = first(objects(body, "choices"))
    message = inner(choice, "message")
    if not text(message, "content").strip() and not text(message, "reasoning_content").strip():
        return Reply("empty", f"HTTP 200 without content: {shown}")
    finish, tokens = text(choice, "finish_reason"), number(body, "usage", "completion_tokens")
    if finish not in ("stop", "length"):
        return Reply("unusable", f"HTTP 200 with finish_reason {finish or 'missing'}: {shown}")
    if tokens <= 0:
        return Reply("unusable", f"HTTP 200 with usage.completion_tokens {tokens}: {shown}")
    return Reply("good", f"{tokens} tokens, finish_reason {finish}")


def _models(config: Config) -> Reply | None:
    """Why no completion can be requested yet."""
    try:
        answer = web.ask("GET", f"{config.url}/v1/models", timeout=config.bounds.models_request)
    except web.NoAnswerError as error:
        return Reply("later", f"GET {config.url}/v1/models: {error}")
    if answer.status != 200:
        return Reply("later", f"HTTP {answer.status} to GET /v1/models: {' '.join(answer.text.split())[:_SHOWN]}")
    names = [text(model, "id") for model in objects(answer.json(), "data")]
    if config.model in names:
        return None
    return Reply("later", f"/v1/models does not list {config.model}, but {', '.join(names) or 'nothing'}")


def _completion(config: Config) -> Reply:
    body = {
        "model": config.model,
        "messages": [{"role": "user", "content": QUESTION}],
        "max_tokens": TOKENS,
        "temperature": 0,
        "stream": False,
    }
    try:
        answer = web.ask(
            "POST",
            f"{config.url}/v1/chat/completions",
            timeout=config.bounds.completion_request,
            body=body,
            headers={"Content-Type": "application/json"},
        )
    except web.NoAnswerError as error:
        return Reply("later", f"POST {config.url}/v1/chat/completions: {error}")
    return judge_completion(answer)
