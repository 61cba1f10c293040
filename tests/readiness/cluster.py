"""A Kubernetes API server and an OpenAI endpoint on loopback, and the check run against them as its Job runs it."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from readiness import package
from readiness.config import DEPLOYMENT_LABEL
from tests.readiness import objects

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
"""The project's folder."""

FAST = {
    "poll": 0.05,
    "progress": 0.05,
    "api_request": 1.0,
    "models_request": 1.0,
    "completion_request": 1.0,
    "answer_pause": 0.05,
    "unusable_answers": 3,
    "forbidden": 0.5,
    "graph_failed": 0.3,
    "refused": 0.3,
    "webhook": 5.0,
    "image": 0.3,
    "crash": 0.3,
    "stalled": 3.0,
    "settling": 0.3,
    "unseen_attempt": 1.0,
    "unseen_pull": 1.0,
}
"""Bounds with which a test takes a second."""


@dataclass(frozen=True)
class Request:
    """What the API server was asked."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    body: Json
    token: str


@dataclass
class Cluster:
    """The state that the API server serves; a test changes it while the check runs."""

    pods: list[Json] = field(default_factory=list)
    cliques: list[Json] = field(default_factory=list)
    groups: list[Json] | None = field(default_factory=list)
    """KAI's groups of pods; None: KAI is not installed."""
    warnings: list[Json] = field(default_factory=list)
    graph: Json | None = field(default_factory=objects.graph)
    logs: dict[str, str] = field(default_factory=dict)
    more: dict[str, Json] = field(default_factory=dict)
    """What else it serves, by path."""
    events: dict[str, Json] = field(default_factory=dict)
    """Events that were created, by name."""
    shown: list[str] = field(default_factory=list)
    """Messages that those events have had, in order."""
    token: str = "first-token"
    refuse: Callable[[Request], tuple[int, str] | None] = lambda _request: None
    """Answers in the API server's place: status and message."""
    asked: list[Request] = field(default_factory=list)
    before: Callable[[Cluster, Request], None] = lambda _cluster, _request: None

    def answer(self, request: Request) -> tuple[int, Any]:
        """Status and body."""
        self.asked.append(request)
        if request.token != self.token:
            return 401, _status("Unauthorized")
        self.before(self, request)
        refused = self.refuse(request)
        if refused:
            return refused[0], _status(refused[1])
        kind = request.path.removeprefix(f"/api/v1/namespaces/{objects.NAMESPACE}/")
        if request.method == "PATCH" and request.path in self.more:
            return 200, self.more[request.path]
        if request.method != "GET":
            return self._write(request, kind)
        return (200, self.more[request.path]) if request.path in self.more else self._read(request, kind)

    def _read(self, request: Request, kind: str) -> tuple[int, Any]:
        selector = "".join(request.query.get("labelSelector", []))
        if kind == "pods":
            own = {"metadata": {"name": "check-pod", "ownerReferences": [{"kind": "Job", "uid": "job-uid"}]}}
            return 200, {"items": self.pods if selector.startswith(DEPLOYMENT_LABEL) else [own]}
        if kind.startswith("pods/"):
            name = kind.split("/")[1]
            return (200, self.logs[name]) if name in self.logs else (400, _status("previous terminated container"))
        lists = {
            f"/api/v1/namespaces/{objects.NAMESPACE}/events": self.warnings,
            f"/apis/grove.io/v1alpha1/namespaces/{objects.NAMESPACE}/podcliques": self.cliques,
            f"/apis/scheduling.run.ai/v2alpha2/namespaces/{objects.NAMESPACE}/podgroups": self.groups,
        }
        if lists.get(request.path) is not None:
            return 200, {"items": lists[request.path]}
        graphs = f"/apis/nvidia.com/v1alpha1/namespaces/{objects.NAMESPACE}/dynamographdeployments/{objects.DEPLOYMENT}"
        if request.path == graphs and self.graph is not None:
            return 200, self.graph
        return 404, _status("not found")

    def _write(self, request: Request, kind: str) -> tuple[int, Any]:
        if request.method == "POST" and kind == "events":
            name = request.body["metadata"]["name"]
            if name in self.events:
                return 409, _status("already exists")
            self.events[name] = request.body
        elif request.method == "PATCH" and kind.removeprefix("events/") in self.events:
            self.events[kind.removeprefix("events/")] |= request.body
        else:
            return 404, _status("not found")
        self.shown.append(request.body["message"])
        return 201, request.body


@dataclass
class Endpoint:
    """The frontends: what they answer to each path."""

    models: Callable[[], tuple[int, Any]] = lambda: (200, {"data": [{"id": objects.MODEL}]})
    completion: Callable[[Json], tuple[int, Any]] = lambda _body: (200, completion("ready"))
    asked: list[Json] = field(default_factory=list)

    def answer(self, request: Request) -> tuple[int, Any]:
        """Status and body."""
        if request.path == "/v1/models":
            return self.models()
        self.asked.append(request.body)
        return self.completion(request.body)


def completion(content: str | None, *, finish: str = "stop", tokens: int = 3, **message: Any) -> Json:
    """A chat completion."""
    return {
        "choices": [{"message": {"role": "assistant", "content": content, **message}, "finish_reason": finish}],
        "usage": {"completion_tokens": tokens},
    }


class Drip:
    """A body that is sent a byte at a time."""

    def __init__(self, pause: float = 0.2, count: int = 100) -> None:
        self.pause, self.count = pause, count


@dataclass
class Site:
    """Both servers, and the folders that the check's container has."""

    cluster: Cluster
    endpoint: Endpoint
    folder: Path
    api_port: int
    url: str

    def configuration(self, **changes: Any) -> Json:
        """The check's configuration."""
        roles = {"frontend": 2, "prefill": 1, "decode": 2}
        return {
            "namespace": objects.NAMESPACE,
            "deployment": objects.DEPLOYMENT,
            "job": "readiness-check",
            "roles": {role: {"replicas": pods, "template": f"new-{role}"} for role, pods in roles.items()},
            "url": self.url,
            "model": objects.MODEL,
            "next": "kubectl -n serving get pods",
            "deadlineSeconds": 20,
            "unschedulableSeconds": 1,
            "bounds": FAST,
            **changes,
        }

    def start(self, **changes: Any) -> subprocess.Popen[str]:
        """The check, as a process, with its files where a ConfigMap's volume has them."""
        _mount(self.folder / "code" / package.PACKAGE, package.source_files())
        _mount(self.folder / "config", {package.CONFIG_KEY: json.dumps(self.configuration(**changes))})
        return self.process(
            [*package.command(str(self.folder / "config")), "--termination-log", str(self.folder / "termination-log")]
        )

    def process(self, command: list[str]) -> subprocess.Popen[str]:
        """A command of a pod, with the code in `code`."""
        command = [sys.executable, *command[1:], "--service-account", str(self.folder)]
        environment = {
            "PATH": os.environ["PATH"],
            "HOSTNAME": "check-pod",
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(self.api_port),
            # a proxy of the machine has no business in a cluster
            "http_proxy": "http://127.0.0.1:1",
        }
        return subprocess.Popen(  # noqa: S603 - our own module
            command,
            cwd=self.folder / "code",
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, **changes: Any) -> Ran:
        """The check, to its end."""
        return self.finish(self.start(**changes))

    def finish(self, process: subprocess.Popen[str]) -> Ran:
        """Waits for the end of `process`."""
        log, _ = process.communicate(timeout=60)
        written = self.folder / "termination-log"
        return Ran(process.returncode, log, written.read_text() if written.exists() else "")

    def stop(self, process: subprocess.Popen[str]) -> Ran:
        """Stops `process` as the kubelet does."""
        process.send_signal(signal.SIGTERM)
        return self.finish(process)


@dataclass(frozen=True)
class Ran:
    """A check that has ended."""

    code: int
    log: str
    message: str

    @property
    def lines(self) -> list[str]:
        """The termination message's lines."""
        return self.message.splitlines()


def until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    """Waits for `condition`."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)


def _mount(folder: Path, files: Mapping[str, str]) -> None:
    """As the kubelet mounts a ConfigMap: each file is a link through `..data`."""
    if folder.exists():
        shutil.rmtree(folder)
    (folder / "..2026").mkdir(parents=True)
    (folder / "..data").symlink_to("..2026")
    for name, text in files.items():
        (folder / "..2026" / name).write_text(text)
        (folder / name).symlink_to(Path("..data") / name)


@contextmanager
def site(folder: Path) -> Iterator[Site]:
    """Both servers, running."""
    cluster, endpoint = Cluster(), Endpoint()
    key = _certificates(folder)
    (folder / "token").write_text(cluster.token + "\n")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.crt", key)
    with _serve(cluster.answer, context) as api_port, _serve(endpoint.answer) as port:
        yield Site(cluster, endpoint, folder, api_port, f"http://127.0.0.1:{port}")


@contextmanager
def _serve(answer: Callable[[Request], tuple[int, Any]], context: ssl.SSLContext | None = None) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            token = self.headers.get("Authorization", "").removeprefix("Bearer ")
            body = json.loads(raw) if raw else {}
            status, answered = answer(Request(self.command, parts.path, parse_qs(parts.query), body, token))
            self.send_response(status)
            if isinstance(answered, Drip):
                self.send_header("Content-Length", str(answered.count))
                self.end_headers()
                for _ in range(answered.count):
                    self.wfile.write(b" ")
                    time.sleep(answered.pause)
                return
            sent = answered.encode() if isinstance(answered, str) else json.dumps(answered).encode()
            self.send_header("Content-Length", str(len(sent)))
            self.end_headers()
            self.wfile.write(sent)

        do_POST = do_GET  # noqa: N815 - the names that the base calls
        do_PATCH = do_GET  # noqa: N815

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A check that was stopped closes its connections; nothing to report."""

    server = Server(("127.0.0.1", 0), Handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _status(message: str) -> Json:
    return {"kind": "Status", "status": "Failure", "message": message}


def _certificates(folder: Path) -> Path:
    """A CA in `ca.crt`, a server's certificate of it in `server.crt`; the server's key."""
    now = dt.datetime.now(dt.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())

    def certificate(key: ec.EllipticCurvePrivateKey, subject: str, *, ca: bool) -> x509.Certificate:
        identifier = x509.SubjectKeyIdentifier.from_public_key(authority.public_key())
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(minutes=5))
            .not_valid_after(now + dt.timedelta(hours=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        )
        if ca:
            # Signs certificates and lists of revoked ones, and nothing else.
            usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
            builder = builder.add_extension(identifier, critical=False).add_extension(usage, critical=True)
        else:
            names = [x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(authority, hashes.SHA256())

    for file, made in (
        ("ca.crt", certificate(authority, "test", ca=True)),
        ("server.crt", certificate(server, "server", ca=False)),
    ):
        (folder / file).write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "server.key").write_bytes(
        server.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return folder / "server.key"
