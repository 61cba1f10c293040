"""Environment variables of the workers: which are read, by what, and with which type.

A variable that nothing reads does no harm to a running server, so it is a warning. A value that its reader cannot parse
is a problem: SGLang falls back to its default and continues.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from reference import nats
from reference.dynamo import DynamoProfile
from reference.registry import HF_KEY
from serving_rules import arguments, unsafe_settings
from serving_rules.layout import WORKER_ROLES, Layout
from validation.problems import HIDDEN, Problem

OTHERS: Final[Mapping[str, str]] = {
    "CUDA_": "the CUDA runtime",
    "DG_": "DeepGEMM",
    "ETCD_": "Dynamo's compiled runtime",
    "FLASHINFER_": "FlashInfer",
    "GLOO_": "Gloo, PyTorch's CPU collectives",
    "HF_": "Hugging Face's libraries",
    "LD_LIBRARY_PATH": "the dynamic linker",
    "LD_PRELOAD": "the dynamic linker",
    "MC_": "Mooncake's transfer engine, a compiled library",
    "NATS_": "Dynamo's compiled runtime",
    "NCCL_": "NCCL and its gIB plugin",
    "NIXL_": "NIXL",
    "NVIDIA_": "the NVIDIA container runtime",
    "NVSHMEM_": "NVSHMEM, which DeepEP is built on",
    "OMP_": "OpenMP",
    "OTEL_": "OpenTelemetry",
    "PYTHON": "the Python interpreter",
    "PYTORCH_": "PyTorch",
    "RUST_": "Dynamo's compiled runtime",
    "TORCH": "PyTorch",
    "TP_SOCKET_IFNAME": "TensorPipe, PyTorch's RPC transport",
    "TRANSFORMERS_": "Hugging Face's libraries",
    "TRITON_": "Triton",
    "UCX_": "UCX, which NIXL moves data with",
}
"""Names or prefixes of variables that other software than SGLang and Dynamo reads, and that software."""

GIVEN: Final[Mapping[str, str]] = {
    "SERVER_ARGS_FILE": "this program sets it for the start script",
    "MODEL_PATH": "this program sets it for the start script",
    HF_KEY: "this program takes it from the secret hfToken",
    **dict.fromkeys(
        (*nats.CLIENT_VARIABLES, *nats.OTHER_LOGINS),
        "this program sets the login of NATS where there is one (dynamo.natsUser)",
    ),
    "DYN_NAMESPACE": "the Dynamo operator sets it",
    "DYN_NAMESPACE_WORKER_SUFFIX": "the Dynamo operator sets it",
    "DYN_COMPONENT": "the Dynamo operator sets it",
    "DYN_DISCOVERY_BACKEND": "the Dynamo operator sets it",
    "DYN_PARENT_DGD_K8S_NAME": "the Dynamo operator sets it",
    "DYN_PARENT_DGD_K8S_NAMESPACE": "the Dynamo operator sets it",
    "DYN_SYSTEM_PORT": "the Dynamo operator sets it, and the probes go there",
    "POD_NAME": "the Dynamo operator sets it",
    "POD_NAMESPACE": "the Dynamo operator sets it",
    "POD_UID": "the Dynamo operator sets it",
}
"""Variables that pods already have."""

_SECRET: Final = re.compile(r"TOKEN\s*$|SECRET|PASSWORD|(API|ACCESS|PRIVATE)_KEY", re.IGNORECASE)
"""Names whose values are not shown."""

_BOOLEANS: Final = frozenset({"true", "1", "yes", "y", "false", "0", "no", "n"})


def check(layout: Layout, profile: DynamoProfile) -> Iterator[Problem]:
    """Variables that a layout may not set, and values that cannot be parsed."""
    known = arguments.of(profile)
    reported: set[str] = set()
    for role in WORKER_ROLES:
        for name, value in layout.environment(role).items():
            key = layout.key(role, name, "environment")
            found = _wrong(name, value, known.environment.get(name, {}))
            if found is not None and key not in reported:
                reported.add(key)
                yield Problem(key, HIDDEN if is_secret(name) else value, *found)


def warnings(layout: Layout, profile: DynamoProfile) -> Iterator[str]:
    """Variables that nothing in the image reads, and deprecated ones."""
    known = arguments.of(profile)
    reported: set[str] = set()
    for role in WORKER_ROLES:
        for name in layout.environment(role):
            key = layout.key(role, name, "environment")
            found = _unread(name, known)
            if found is not None and key not in reported:
                reported.add(key)
                yield f"{key}: {found}."


def reader(name: str) -> str | None:
    """Software other than SGLang and Dynamo that reads `name`."""
    return next((software for beginning, software in OTHERS.items() if name.startswith(beginning)), None)


def is_secret(name: str) -> bool:
    """Whether a variable's name says that its value is not to be shown."""
    return _SECRET.search(name) is not None


def unfit(name: str, value: str) -> tuple[str, str] | None:
    """Rule and fix of a variable that no pod of a stack may be given."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        return "this is not a valid name of an environment variable", "use letters, digits and underscores"
    if name in GIVEN:
        return GIVEN[name], "leave it out"
    if _SECRET.search(name):
        return "a secret would be in plaintext in the stack's graph", "leave it out"
    return unsafe_settings.of_variable(name, value)


def _wrong(name: str, value: str, entry: Mapping[str, Any]) -> tuple[str, str] | None:
    return unfit(name, value) or _typed(value, entry.get("type", "text"))


def _typed(value: str, kind: str) -> tuple[str, str] | None:
    if kind == "bool" and value.lower() not in _BOOLEANS:
        return "its reader takes true or false, 1 or 0", 'write "1" or "0"'
    if kind == "int" and not re.fullmatch(r"[+-]?[0-9]+", value):
        return "its reader takes a whole number", "write a whole number, quoted"
    if kind == "float" and not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)", value):
        return "its reader takes a number", "write a number, quoted"
    return None


def _unread(name: str, known: arguments.Catalog) -> str | None:
    entry = known.environment.get(name)
    if entry is not None and "deprecated" in entry:
        return f"deprecated in SGLang {known.sglang}; use {entry['deprecated']}"
    if reader(name) is not None:
        return None
    if entry is not None and "unread" not in entry:
        return None
    if name.startswith("SGL_") and f"SGLANG_{name[4:]}" in known.environment:
        return f"SGLang {known.sglang} copies it to SGLANG_{name[4:]}; use that name"
    if entry is not None:
        rule = f"SGLang {known.sglang} declares this variable and reads it nowhere"
    elif name.startswith("DYN"):
        rule = f"the Python code of Dynamo {known.dynamo} does not read it; only its compiled runtime could"
    else:
        rule = f"neither SGLang {known.sglang} nor Dynamo {known.dynamo} reads it"
    readable = [other for other, its in known.environment.items() if "unread" not in its and "deprecated" not in its]
    close = difflib.get_close_matches(name, readable, n=1, cutoff=0.85)
    return f"{rule}; did you mean {close[0]}" if close else rule
