"""The login of NATS, and the Secret in each namespace whose pods have it."""

from __future__ import annotations

from typing import Any, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random

from reference import nats

_REVISION = 5


class NatsLogin(TypedDict):
    """With what pods log in to NATS."""

    user: str
    password: pulumi.Input[str]
    """A secret."""


def login_secret(
    parent: pulumi.Resource, name: str, login: NatsLogin, metadata: Any, provider: kubernetes.Provider
) -> pulumi.Output[str]:
    """Create the Secret with `login`; returns its name. `metadata` has namespace and labels.

    Pods read it when they start, and another password gives it another name, so that they start anew. The name has
    random characters and not a hash of the password, from which a guess could be confirmed.
    """
    revision = random.RandomString(
        f"{name}-nats-revision",
        length=_REVISION,
        upper=False,
        special=False,
        keepers={"user": login["user"], "password": login["password"]},
        opts=pulumi.ResourceOptions(parent=parent),
    )
    secret = kubernetes.core.v1.Secret(
        f"{name}-nats-secret",
        metadata=metadata | {"name": pulumi.Output.concat(nats.SECRET, "-", revision.result)},
        type="kubernetes.io/basic-auth",
        string_data={nats.USER_KEY: login["user"], nats.PASSWORD_KEY: login["password"]},
        # Running pods may start anew until they have the next one.
        opts=pulumi.ResourceOptions(parent=parent, provider=provider, delete_before_replace=False),
    )
    return secret.metadata["name"]
