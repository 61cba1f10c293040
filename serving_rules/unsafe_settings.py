"""Server arguments and variables that are refused because they expose a stack to others, and no stack needs them.

None of them is in Google's recipe or in NVIDIA's srt-slurm recipes for GB200. Read in the wheels of SGLang 0.5.4.post3,
0.5.9, 0.5.11 and 0.5.18 and of Dynamo 0.7.0, 1.0.2, 1.2.1 and 1.5.1, and left alone, because people need them or they
open nothing:

- `kv-events-config`: publishes events of the KV cache, which Dynamo's KV router reads; nothing is unpickled;
- `remote-instance-weight-loader-*`: its seed is asked over SGLang's HTTP server, which dynamo.sglang does not start;
- `encoder-only`, `grpc-mode`: servers that dynamo.sglang does not start;
- `enable-multimodal`, `trust-remote-code`, `enable-lora`: features of models that people serve;
- `SGLANG_USE_PICKLE_IPC`: pickle is its default, and the other value is not a fix (CVE-2026-93034);
- `DYN_ENABLE_RL`: lists workers, and frameworks for reinforcement learning need it;
- `DYN_REQUEST_PLANE`, `DYN_EVENT_PLANE`: other transports between the pods of one stack, which isolation covers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_OFF: Final = frozenset({"", "0", "false", "no", "n", "off"})
_NO_PORT: Final = frozenset({"", "0", "-1"})


@dataclass(frozen=True)
class UnsafeSetting:
    """A variable that is refused, with some of its values or all."""

    risk: str
    """What it opens, and the known vulnerability."""
    harmless: frozenset[str] = _OFF
    """Values, in lower case, that do not open it."""
    fix: str = "leave it out"


_ROUTES: Final = "port 9090 of every worker then has further methods of SGLang, without authentication"
_INSECURE: Final = "the peers of TLS connections are then not verified"
_RL: Final = (
    "in Dynamo 1.2 port 9090 then calls any method of SGLang's tokenizer manager, without authentication, and in 1.5 a "
    "request says to which address or file a worker writes"
)

ARGUMENTS: Final[Mapping[str, str]] = {
    "enable-custom-logit-processor": "a request can then contain code, which dill executes (CVE-2026-7304)",
    "language-only": "workers then unpickle whatever is sent to a random port (CVE-2026-3060)",
    "engine-route": _ROUTES,
    "enable-rl": _RL,
    "nats-tls-insecure": _INSECURE,
    "tcp-tls-insecure": _INSECURE,
}
"""By name, what an argument opens."""

_DUMPER: Final = "a debugging server then executes whatever it receives (CVE-2026-15971, CVE-2026-111391)"

VARIABLES: Final[Mapping[str, UnsafeSetting]] = {
    "SGLANG_USE_MESSAGE_QUEUE_BROADCASTER": UnsafeSetting(
        "requests are then pickled between nodes, over sockets that accept any connection (SGLang issue 24618)",
        _OFF - {"", "off"},
        'write "0"',
    ),
    "SGLANG_DUMPER_SERVER_PORT": UnsafeSetting(_DUMPER, _NO_PORT),
    "DUMPER_SERVER_PORT": UnsafeSetting(_DUMPER, _NO_PORT),
    "DYN_LORA_ENABLED": UnsafeSetting(
        "port 9090 of every worker then loads adapters on request, without authentication (to 1.2 also CVE-2026-47620)"
    ),
    "DYN_SGLANG_ENGINE_ROUTES": UnsafeSetting(_ROUTES, frozenset({""})),
    "DYN_SGL_ENABLE_RL": UnsafeSetting(_RL),
    "DYN_TCP_TLS_INSECURE": UnsafeSetting(_INSECURE),
    "NATS_TLS_INSECURE": UnsafeSetting(_INSECURE),
}
"""By name. `DUMPER_SERVER_PORT` is the name from SGLang 0.5.10 on; Dynamo's are of 1.0 (LoRA), 1.2 and 1.5. With the
first, the runtimes of 1.0.2, 1.2.1 and 1.5.1 were seen to pass `POST /v1/loras` of anybody to the worker's handler, and
without it to answer 404; SGLang's handler loads what it is sent in 1.2.1 and 1.5.1. None is harmless in a later
release, so all are refused on each."""


def of_argument(name: str) -> tuple[str, str] | None:
    """Rule and fix of an argument that is refused."""
    risk = ARGUMENTS.get(name)
    return None if risk is None else (risk, "leave it out")


def of_variable(name: str, value: str) -> tuple[str, str] | None:
    """Rule and fix of a variable whose value is refused."""
    setting = VARIABLES.get(name)
    if setting is None or value.strip().lower() in setting.harmless:
        return None
    return setting.risk, setting.fix
