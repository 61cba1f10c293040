"""Settings of the parts of a Dynamo platform, each of which may be somebody else's."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from reference.nats import Login
from settings.fields import EtcdAddress, NatsAddress
from validation.strict_model import StrictModel

_MODE = "`create` to have it installed with the platform, `adopt` to use one that runs"


class CreateService(StrictModel):
    """A service of the platform that comes with its chart."""

    mode: Literal["create"] = Field(default="create", description=_MODE)


class CreateNats(CreateService):
    """A NATS that comes with the platform's chart."""

    login: Login = Field(
        default="required",
        description="`required` to have it ask for a generated password, which the pods of this environment have and "
        "others take from its output natsLogin (dynamo.natsUser), `offered` to let everybody in while pods get the "
        "password, `none` for no login",
    )


class AdoptNats(StrictModel):
    """A NATS that runs."""

    mode: Literal["adopt"] = Field(description=_MODE)
    address: NatsAddress = Field(description="its address, such as nats://nats.messaging.svc:4222")


class AdoptEtcd(StrictModel):
    """An etcd that runs."""

    mode: Literal["adopt"] = Field(description=_MODE)
    address: EtcdAddress = Field(description="its address, such as http://etcd.data.svc:2379")
