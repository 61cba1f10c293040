"""Requests to container registries: whether an image exists, and for which architectures.

They are anonymous. If a registry requires a token, its anonymous one is used (the token flow of the distribution
specification, which Docker Hub, Google and NVIDIA share). The user's credentials are sent only to registries of Google,
and only if they refuse anonymous requests.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final, cast
from urllib.parse import urlsplit

import requests

from preflight.cloud import CloudError, Image
from reference.mirrors import GOOGLE

ACCEPT: Final = (
    "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
)
DOCKER_HUB: Final = "registry-1.docker.io"

_CHALLENGE: Final = re.compile(r'(realm|service|scope)="([^"]*)"')


def split(reference: str) -> tuple[str, str, str]:
    """Host, repository and tag or digest of an image, as container runtimes parse it."""
    name, _, digest = reference.partition("@")
    head, colon, tag = name.rpartition(":")
    if not colon or "/" in tag:
        head, tag = name, "latest"
    host, slash, path = head.partition("/")
    if not slash or not ({".", ":"} & set(host) or host == "localhost"):
        path = head if slash else f"library/{head}"
        host = "docker.io"
    return (DOCKER_HUB if host in {"docker.io", "index.docker.io"} else host), path, digest or tag


def image(reference: str, timeout: float, token_of_google: Callable[[], str]) -> Image:
    """The image `reference`; `timeout` is in seconds for one call, `token_of_google` gives the caller's access token.

    Raises:
        CloudError: it does not exist, may not be read, or the registry does not answer.
    """
    host, path, version = split(reference)
    url = f"https://{host}/v2/{path}/manifests/{version}"
    try:
        try:
            answer = _anonymous(host, url, timeout)
        except CloudError as error:
            if error.trouble != "denied" or not GOOGLE.fullmatch(host):
                raise
            answer = _get(url, timeout, {"Accept": ACCEPT, "Authorization": f"Bearer {token_of_google()}"})
            _raise(host, answer)
        content: Any = answer.json()
    except requests.exceptions.JSONDecodeError:
        raise CloudError("no answer", f"{host} answered, but not with JSON") from None
    except requests.RequestException as error:
        raise CloudError("no answer", f"{host}: {type(error).__name__}") from error
    listed: Any = cast("dict[str, Any]", content).get("manifests", []) if isinstance(content, dict) else []
    found = {str(entry.get("platform", {}).get("architecture", "")) for entry in listed}
    return Image(frozenset(found - {"", "unknown"}))


def _anonymous(host: str, url: str, timeout: float) -> requests.Response:
    answer = _get(url, timeout, {"Accept": ACCEPT})
    if answer.status_code == requests.codes.unauthorized:
        token = _token(answer.headers.get("www-authenticate", ""), timeout)
        answer = _get(url, timeout, {"Accept": ACCEPT, "Authorization": f"Bearer {token}"})
    _raise(host, answer)
    return answer


def _get(url: str, timeout: float, headers: dict[str, str], **parameters: str) -> requests.Response:
    return requests.get(url, params=parameters, headers=headers, timeout=timeout)


def _token(challenge: str, timeout: float) -> str:
    """The registry's anonymous token, from the URL in its challenge."""
    found = {match[1]: match[2] for match in _CHALLENGE.finditer(challenge)}
    realm = found.pop("realm", "")
    if not challenge.lower().startswith("bearer") or urlsplit(realm).scheme != "https":
        raise CloudError("denied", "the registry wants a login")
    answer = _get(realm, timeout, {}, **found)
    _raise(urlsplit(realm).netloc, answer)
    content: Any = answer.json()
    return str(content.get("token") or content.get("access_token") or "")


def _raise(host: str, answer: requests.Response) -> None:
    match answer.status_code:
        case 200:
            return
        case 401 | 403:
            raise CloudError("denied", f"{host} wants a login")
        case 404:
            raise CloudError("missing", f"{host} has no such image")
        case code:
            raise CloudError("no answer", f"{host} answered with {code}")
