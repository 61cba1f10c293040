"""NVIDIA's image registry and its pull secret, and the image of this program's own Jobs."""

from __future__ import annotations

import base64
import json
from typing import Final

PYTHON_IMAGE: Final = "mirror.gcr.io/library/python:3.12-slim"
"""Image of this program's own Jobs, for amd64 and arm64. Google's mirror of Docker Hub is reachable over Private Google
Access, without an account and without Docker Hub's rate limit."""

NVCR: Final = "nvcr.io"
NGC_USER: Final = "$oauthtoken"
"""The literal user name that NGC expects with every API key."""

PULL_SECRET: Final = "nvcr-secret"  # noqa: S105 - a name, not a secret
"""Name of the pull secret, which every pod with an image from nvcr.io references."""

HF_SECRET: Final = "hf-token-secret"  # noqa: S105 - a name, not a secret
HF_KEY: Final = "HF_TOKEN"


def docker_config_json(api_key: str) -> str:
    """Content of a `kubernetes.io/dockerconfigjson` secret that logs in to nvcr.io with `api_key`."""
    auth = base64.b64encode(f"{NGC_USER}:{api_key}".encode()).decode()
    entry = {"username": NGC_USER, "password": api_key, "auth": auth}
    return json.dumps({"auths": {NVCR: entry}})
