"""The few requests to the Kubernetes API that the check needs, with the pod's service account."""

from __future__ import annotations

import ssl
import urllib.parse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from readiness import web
from readiness.fields import Object, objects, text

SERVICE_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_MERGE_PATCH: Final = "application/merge-patch+json"


class ApiError(Exception):
    """The API rejected the request, or did not answer."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status: Final = status
        """HTTP status; 0 if there was no answer."""


class Kubernetes:
    """A client of the API server, for one namespace."""

    def __init__(self, base: str, namespace: str, folder: Path, timeout: float) -> None:
        self._base, self._namespace, self._folder, self._timeout = base, namespace, folder, timeout

    @classmethod
    def in_cluster(cls, environment: Mapping[str, str], namespace: str, folder: Path, timeout: float) -> Kubernetes:
        """The API server from the container's environment."""
        host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
        if not host:
            raise ApiError(0, "KUBERNETES_SERVICE_HOST is not set: this runs in a pod of the cluster")
        return cls(f"https://{f'[{host}]' if ':' in host else host}:{port}", namespace, folder, timeout)

    def list(self, group: str, kind: str, **query: str) -> list[Object]:
        """The objects of `kind` (plural) in `group` (`v1`, `grove.io/v1alpha1`)."""
        return list(objects(self._ask("GET", self._path(group, kind), query).json(), "items"))

    def serves(self, group: str, kind: str) -> Iterator[str]:
        """The versions (`grove.io/v1alpha1`) in which the API serves `kind` (plural) of a named group."""
        try:
            versions = [
                text(one, "groupVersion") for one in objects(self._ask("GET", f"/apis/{group}").json(), "versions")
            ]
        except ApiError as error:
            if error.status != 404:
                raise
            return
        for version in versions:
            known = objects(self._ask("GET", f"/apis/{version}").json(), "resources")
            if kind in {text(one, "name") for one in known}:
                yield version

    def get(self, group: str, kind: str, name: str) -> Object:
        """One object."""
        return self._ask("GET", self._path(group, kind, name)).json()

    def log(self, pod: str, **query: str) -> str:
        """A container's log."""
        return self._ask("GET", self._path("v1", "pods", pod, "log"), query).text

    def create(self, group: str, kind: str, body: Any) -> None:
        """Creates an object."""
        self._ask("POST", self._path(group, kind), body=body, content="application/json")

    def patch(self, group: str, kind: str, name: str, body: Any) -> None:
        """Merges `body` into an object."""
        self._ask("PATCH", self._path(group, kind, name), body=body, content=_MERGE_PATCH)

    def _path(self, group: str, kind: str, *rest: str) -> str:
        root = f"/api/{group}" if "/" not in group else f"/apis/{group}"
        return "/".join((root, "namespaces", self._namespace, kind, *rest))

    def _ask(
        self, method: str, path: str, query: Mapping[str, str] | None = None, *, body: Any = None, content: str = ""
    ) -> web.Answer:
        url = self._base + path + (f"?{urllib.parse.urlencode(query)}" if query else "")
        try:
            # read for each request: the kubelet rotates token and certificate while the check runs
            context = ssl.create_default_context(cafile=str(self._folder / "ca.crt"))
            token = (self._folder / "token").read_text(encoding="utf-8").strip()
        except (OSError, ssl.SSLError) as error:
            raise ApiError(0, f"the service account cannot be read: {error}") from None
        headers = {"Authorization": f"Bearer {token}"} | ({"Content-Type": content} if content else {})
        try:
            answer = web.ask(method, url, timeout=self._timeout, body=body, headers=headers, context=context)
        except web.NoAnswerError as error:
            raise ApiError(0, str(error)) from None
        if answer.status >= 300:
            raise ApiError(
                answer.status, text(answer.json(), "message") or f"HTTP {answer.status}: {answer.text[:300]}"
            )
        return answer
