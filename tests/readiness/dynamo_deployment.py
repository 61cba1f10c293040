"""NVIDIA's own frontend and mocker workers, prefill and decode apart, in a network namespace of their own.

Run as `python -m tests.readiness.dynamo_deployment RELEASE PACKAGES` inside a new namespace: makes its network, starts
the frontend and the prefill side, runs the check, starts the decode side, runs the check again, takes the decode side
away and runs it once more. Prints one JSON object.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from readiness import web
from tests.readiness import objects
from tests.readiness.cluster import FAST, Site, site

PORT = 8000
VOCABULARY = 4096
"""The mocker answers with token ids from 1000 to 1999."""
_STARTS_WITHIN = 90.0

# 1.0.1 asks for NATS whatever the request plane is, unless told otherwise where its runtime is made.
_MOCKER_WITHOUT_NATS = """
import dynamo.mocker.main as mocker
runtime = mocker.DistributedRuntime
mocker.DistributedRuntime = lambda loop, discovery, requests: runtime(loop, discovery, requests, False)
mocker.main()
"""


def make_model(folder: Path) -> None:
    """A model without weights: all that frontend and mocker read of it."""
    vocabulary = {"<s>": 0, "</s>": 1}
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [number for number in range(256) if number not in printable]
    for letter in [*map(chr, printable), *(chr(256 + place) for place in range(len(others)))]:
        vocabulary[letter] = len(vocabulary)
    while len(vocabulary) < VOCABULARY:
        vocabulary[f"\u0120w{len(vocabulary)}"] = len(vocabulary)
    bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    files: dict[str, Any] = {
        "config.json": {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": VOCABULARY,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "max_position_embeddings": 4096,
            "bos_token_id": 0,
            "eos_token_id": 1,
            "torch_dtype": "bfloat16",
        },
        "generation_config.json": {"bos_token_id": 0, "eos_token_id": 1},
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "model_max_length": 4096,
            "chat_template": "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant:",
        },
        "tokenizer.json": {
            "version": "1.0",
            "added_tokens": [
                {"id": number, "content": token, "special": True, "normalized": False}
                | {"single_word": False, "lstrip": False, "rstrip": False}
                for number, token in enumerate(["<s>", "</s>"])
            ],
            "pre_tokenizer": bytes_,
            "decoder": bytes_,
            "model": {"type": "BPE", "vocab": vocabulary, "merges": []},
        },
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))


def _make_network() -> None:
    """An address besides the loopback's, and a route: 1.0.1 looks for the machine's own address through it."""
    for command in (
        "link set lo up",
        "link add v0 type veth peer name v1",
        "addr add 10.99.0.1/24 dev v0",
        "link set v0 up",
        "link set v1 up",
        "route add default via 10.99.0.2",
    ):
        subprocess.run(["ip", *command.split()], check=True)  # noqa: S603, S607 - in our own namespace


class _Deployment:
    """The processes of one deployment."""

    def __init__(self, release: str, packages: str, folder: Path) -> None:
        self._release, self._folder = release, folder
        self.model = str(folder / "model")
        Path(self.model).mkdir()
        make_model(Path(self.model))
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": packages,
            "DYN_DISCOVERY_BACKEND": "file",
            "DYN_FILE_KV": str(folder / "discovery"),
            "DYN_REQUEST_PLANE": "tcp",
            "DYN_EVENT_PLANE": "zmq",
            "DYN_TCP_RPC_HOST": "127.0.0.1",
            "DYN_NAMESPACE": "dynamo",
            "HF_HUB_OFFLINE": "1",
        }

    @contextmanager
    def frontend(self) -> Iterator[None]:
        """The frontend."""
        with self._process("frontend", ["-m", "dynamo.frontend", "--http-port", str(PORT)]):
            yield

    @contextmanager
    def worker(self, side: str, *more: str) -> Iterator[None]:
        """One mocker, known to the frontend."""
        start = ["-c", _MOCKER_WITHOUT_NATS] if self._release.startswith("1.0.") else ["-m", "dynamo.mocker"]
        # 1.0.1 looks for the model by its served name
        served = ["--model-path", self.model, "--model-name", self.model]
        with self._process(side, [*start, *served, "--disaggregation-mode", side, "--speedup-ratio", "100", *more]):
            yield

    def await_prefill(self) -> None:
        """Waits until the frontend knows the prefill side; its health is 200 with or without any."""
        self._await("/health", "dynamo.prefill.generate")
        if self._release.startswith("1.0."):
            self._await("/v1/models", self.model)

    def _await(self, path: str, wanted: str) -> None:
        end = time.monotonic() + _STARTS_WITHIN
        while True:
            try:
                answer = web.ask("GET", f"http://127.0.0.1:{PORT}{path}", timeout=2.0)
                if wanted in answer.text:
                    return
            except web.NoAnswerError:
                pass
            if time.monotonic() > end:
                raise TimeoutError(f"{wanted} was not seen within {_STARTS_WITHIN:g} s\n{self._logs()}")
            time.sleep(0.2)

    @contextmanager
    def _process(self, name: str, arguments: Sequence[str]) -> Iterator[None]:
        with (self._folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(  # noqa: S603 - NVIDIA's own modules, in our own namespace
                [sys.executable, *arguments], env=self._environment, cwd=self._folder, stdout=log, stderr=log
            )
            try:
                yield
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait()

    def _logs(self) -> str:
        return "\n".join(
            f"== {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in self._folder.glob("*.log")
        )


def _check(running: Site, model: str, **changes: Any) -> dict[str, Any]:
    begun = time.monotonic()
    bounds = FAST | {"poll": 0.2, "answer_pause": 0.5, "completion_request": 5.0, "models_request": 5.0}
    ran = running.run(url=f"http://127.0.0.1:{PORT}", model=model, bounds=bounds, **changes)
    return {"code": ran.code, "message": ran.message, "seconds": time.monotonic() - begun}


def main(release: str, packages: str) -> None:
    """The whole story."""
    _make_network()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in ("world", "check"):
            (folder / part).mkdir()
        state = _Deployment(release, packages, folder / "world")
        with site(folder / "check") as running:
            running.cluster.pods = objects.all_ready()
            found: dict[str, Any] = {"model": state.model}
            with state.frontend(), state.worker("prefill", "--bootstrap-ports", "9101"):
                state.await_prefill()
                found["without_decode"] = _check(running, state.model, deadlineSeconds=10)
                with state.worker("decode"):
                    found["whole"] = _check(running, state.model, deadlineSeconds=60)
                    found["again"] = _check(running, state.model, deadlineSeconds=60)
                found["decode_gone"] = _check(running, state.model, deadlineSeconds=10)
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
