"""Parts of a Dynamo platform that somebody else may run: Grove, NATS, etcd, and the custom resource definitions.

Value names: values of dynamo-platform 0.7.0 and 1.0.1; how the operator gets the addresses: templates of its chart.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from reference import nats
from reference.prerequisites import Prerequisite
from validation.problems import HIDDEN, RuleError

GROVE_OPERATOR: Final = "grove-operator"
"""Name of Grove's Deployment, whatever its release is called (its chart's template)."""
GROVE_CRDS: Final = (
    "podcliquesets.grove.io",
    "podcliques.grove.io",
    "podcliquescalinggroups.grove.io",
    "podgangs.scheduler.grove.io",
)
GROVE_CHECK: Final = "grove"
CRDS_CHECK: Final = "crds"
"""Names of the preflight checks of an adopted Grove and of CRDs that others keep."""

_HOST: Final = r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?"
_NATS: Final = re.compile(rf"nats://{_HOST}:\d+")
_USER: Final = re.compile(r"\S+")
_ETCD: Final = re.compile(rf"(https?://)?{_HOST}:\d+")


@dataclass(frozen=True)
class PlatformParts:
    """Which parts the program's release of the platform installs; by default all."""

    grove: bool = True
    """Whether it installs Grove; else one runs already."""
    crds: bool = True
    """Whether Dynamo's CRDs are installed; else they are there already."""
    nats: str | None = None
    """Address of a NATS that runs; None: it installs one."""
    etcd: str | None = None
    """Address of an etcd that runs; None: it installs one, where the release needs etcd."""

    @property
    def adopted(self) -> frozenset[str]:
        """Names of the sub-charts that are not installed."""
        absent = {"grove": not self.grove, "nats": self.nats is not None, "etcd": self.etcd is not None}
        return frozenset(name for name, others in absent.items() if others)

    @property
    def addresses(self) -> Mapping[str, str]:
        """Addresses of others' services, which the operator writes into every pod of a graph."""
        given = {"nats": self.nats, "etcd": self.etcd}
        return {name: address for name, address in given.items() if address is not None}


OWN: Final = PlatformParts()
"""The program installs all of them."""


def check_nats(address: str) -> None:
    """Require what Dynamo's runtime accepts (lib/runtime/src/transports/nats.rs)."""
    if "@" in address:
        raise RuleError(
            "address", HIDDEN, "a login in the address would be readable in every pod", "leave it out: nats://HOST:PORT"
        )
    if not _NATS.fullmatch(address):
        rule = "Dynamo's runtime takes the address of one server, with nats:// in front and its port"
        raise RuleError("address", address, rule, "write nats://HOST:PORT, such as nats://nats.messaging.svc:4222")


def check_nats_user(user: str) -> None:
    """Require a name."""
    if not _USER.fullmatch(user):
        rule = "it is the name of a user of NATS, without spaces"
        raise RuleError("natsUser", user, rule, f"take it from the login, such as {nats.USER}")


def check_etcd(address: str) -> None:
    """Require an address as in the chart's values."""
    if not _ETCD.fullmatch(address):
        rule = "the operator takes the address of one server with its port"
        raise RuleError("address", address, rule, "write http://HOST:PORT, such as http://etcd.data.svc:2379")


def prerequisites(
    parts: PlatformParts,
    release: str,
    grove_version: str,
    crds: tuple[str, ...],
    *,
    nats_user: str | None = None,
    converter: str | None = None,
) -> Iterator[Prerequisite]:
    """What a platform team provides for Dynamo `release`, with the CRDs `crds`; pods log in to NATS as `nats_user`.
    The CRDs name the Service `converter`, unless the operator writes its name into them.
    """
    if not parts.grove:
        yield Prerequisite(
            "dynamo.grove",
            f"Grove {grove_version} runs in the cluster, before Dynamo's operator starts",
            f"helm install grove oci://REGISTRY/grove-charts --version {grove_version} --namespace GROVE",
            GROVE_CHECK,
            "values of dynamo-platform: grove",
        )
    if not parts.crds:
        names = ", ".join(crds)
        if converter is not None:
            names += f"; their conversion webhook names the Service {converter}, not the one of the published files"
        yield Prerequisite(
            "dynamo.crds",
            f"the CRDs of Dynamo {release}, whole: {names}",
            f"kubectl apply --server-side -f CRDS_OF_DYNAMO_{release}",
            CRDS_CHECK,
            "values of dynamo-operator: upgradeCRD; chart dynamo-crds; operator internal/cert/cert.go",
        )
    for name, address in parts.addresses.items():
        jetstream = ", with JetStream and a payload of 10 MB or more" if name == "nats" else ""
        login = f"as the user {nats_user}" if name == "nats" and nats_user is not None else "without a login"
        yield Prerequisite(
            f"dynamo.{name}",
            f"pods of every stack and of the platform reach {address} {login}{jetstream}",
            f"a network policy or firewall rule that lets them reach {address.rpartition('/')[2]}",
            "none: only a pod of the cluster can tell",
            "values of dynamo-platform: nats.config.jetstream and nats.config.merge.max_payload",
        )
