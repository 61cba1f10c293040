"""Credentials with which Helm fetches a chart from NGC."""

from __future__ import annotations

import pulumi
import pulumi_kubernetes as kubernetes

from reference.registry import NGC_USER


def chart_login(api_key: pulumi.Input[str] | None) -> kubernetes.helm.v3.RepositoryOptsArgsDict:
    """`repository_opts` of a release: NGC's user name and the key, or none."""
    return {} if api_key is None else {"username": NGC_USER, "password": api_key}
