"""The ssh key for MPI that the Dynamo 0.7 operator wants in a secret before it reconciles any graph.

The chart's own way is a hook with two images of Docker Hub that no value moves, so the program makes the key. Only MPI
would use it, which SGLang does without, but the operator copies it to every graph's namespace, also to those of other
environments: it is a real key.

It must be the same in every run and secret in the state. No provider of this program makes ssh keys; one that does
(pulumi-tls) would be another plugin for one secret. An Ed25519 key, however, is 32 random bytes (RFC 8032, 5.1.5),
which `RandomBytes` keeps in the state; the rest follows from them.
"""

from __future__ import annotations

import base64
import struct
from typing import Any, Final

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

NAME: Final = "mpi-run-ssh-key"
"""Not the name of the hook's secret, which Helm leaves behind and which would be in the way."""
SEED_BYTES: Final = 32
_KIND: Final = b"ssh-ed25519"
_COMMENT: Final = b"dynamo-a4x"
_LINE: Final = 70
_BLOCK: Final = 8


def ssh_secret(parent: pulumi.Resource, name: str, metadata: Any, provider: kubernetes.Provider) -> pulumi.Output[str]:
    """Create the secret; returns its name. `metadata` has namespace and labels."""
    seed = random.RandomBytes(f"{name}-ssh-seed", length=SEED_BYTES, opts=pulumi.ResourceOptions(parent=parent))
    pair = pulumi.Output.secret(seed.base64.apply(lambda text: key_pair(base64.b64decode(text))))
    secret = kubernetes.core.v1.Secret(
        f"{name}-ssh-secret",
        metadata=metadata | {"name": NAME},
        string_data={
            "private.key": pair.apply(lambda keys: keys[0]),
            "private.key.pub": pair.apply(lambda keys: keys[1]),
        },
        opts=pulumi.ResourceOptions(parent=parent, provider=provider),
    )
    return secret.metadata["name"]


def key_pair(seed: bytes) -> tuple[str, str]:
    """Private and public key as `ssh-keygen -t ed25519` writes them, without a passphrase.

    `cryptography` could write the private key too, but with two random check numbers, and so differently in every run;
    the format (PROTOCOL.key of OpenSSH) only asks that both are equal.
    """
    public = Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    blob = _text(_KIND) + _text(public)
    check = seed[:4] * 2
    private = check + blob + _text(seed + public) + _text(_COMMENT)
    private += bytes(range(1, -len(private) % _BLOCK + 1))
    content = (
        b"openssh-key-v1\0" + _text(b"none") * 2 + _text(b"") + struct.pack(">I", 1) + _text(blob) + _text(private)
    )
    written = base64.b64encode(content).decode()
    lines = [written[start : start + _LINE] for start in range(0, len(written), _LINE)]
    head, tail = (f"-----{word} OPENSSH PRIVATE KEY-----" for word in ("BEGIN", "END"))
    line = f"{_KIND.decode()} {base64.b64encode(blob).decode()} {_COMMENT.decode()}\n"
    return "\n".join([head, *lines, tail, ""]), line


def _text(value: bytes) -> bytes:
    """A string of the ssh protocols: its length in four bytes, then the bytes."""
    return struct.pack(">I", len(value)) + value
