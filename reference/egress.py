"""What the pods of stacks, fabric tests and downloads may connect to, and why: the counterpart of `flows`.

In force with `isolation.egress`. The namespaces of the platform are not in it: hooks of charts and operators talk to
the API server, and nothing there runs a user's code. Images and volumes of the node (NFS, block storage) are fetched by
the kubelet, which is under no policy; the sidecar that reads the bucket shares the pod's network and is.

Marks of a source as in `flows`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from reference.dynamo import DynamoProfile
from reference.firewall import GOOGLE_APIS
from reference.flows import ETCD_PORT, FRONTEND_PORT, NATS_PORT, Part, Party

Mode = Literal["open", "restricted", "private-googleapis"]
Destination = Literal[
    "the stack's pods",
    "frontends",
    "fabric test",
    "DNS",
    "metadata server",
    "Google's APIs",
    "API server",
    "NATS",
    "etcd",
    "model hub",
    "package index",
    "internet",
]

ANYWHERE: Final = "0.0.0.0/0"
NOT_PUBLIC: Final = (
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10",
    "169.254.0.0/16",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
)
"""Ranges that a VPC can use and the internet does not, and link-local addresses
(https://cloud.google.com/vpc/docs/subnets#valid-ranges)."""
HTTPS: Final = 443
DNS_PORT: Final = 53
DNS_PODS: Final = ("kube-dns", "node-local-dns")
"""Values of the label `k8s-app` in kube-system."""
DNS_ADDRESSES: Final = ("169.254.20.10/32", "169.254.169.254/32")
"""NodeLocal DNSCache; Cloud DNS."""
METADATA: Final[Mapping[str, tuple[int, ...]]] = {"169.254.169.254/32": (80, 8080), "169.254.169.252/32": (987, 988)}
"""Of Dataplane V2, which judges before the address is translated, and of Calico, which judges after it."""
PRIVATE_APIS: Final = tuple(str(address) for address in ipaddress.ip_network(GOOGLE_APIS))
"""Addresses of private.googleapis.com."""
ZONE: Final = "googleapis.com."
"""Name of the private zone that leads there."""
VIRTUAL_HOST: Final = "private.googleapis.com."
DNS_API: Final = "dns.googleapis.com"
DNS_ROLE: Final = "roles/dns.admin"
"""What creating the zone and attaching it to a network needs on the project."""


@dataclass(frozen=True)
class WayOut:
    """What one set of pods connects to."""

    part: Part
    """Their namespace."""
    party: Party
    to: tuple[Destination, ...]
    source: str


_BUCKET: Final[tuple[Destination, ...]] = ("DNS", "metadata server", "Google's APIs")
"""What the sidecar that reads the bucket needs."""
_SIDECAR: Final = "gcsfuse-csi docs/troubleshooting.md [s]"


def of(profile: DynamoProfile) -> Iterator[WayOut]:
    """Everything that the pods of this Dynamo release connect to."""
    runtime: list[Destination] = ["the stack's pods", *_BUCKET]
    evidence = f"{_SIDECAR}; dynamo lib/runtime/src/transports [s]"
    if profile.needs_nats:
        runtime.append("NATS")
    if profile.needs_etcd:
        runtime.append("etcd")
    if profile.pod_rules:
        runtime.append("API server")
        evidence += "; discovery through Kubernetes, reference/dynamo.py DISCOVERY_RULES [s]"
    yield WayOut("stack", "workers", tuple(runtime), evidence)
    hub: tuple[Destination, ...] = ("model hub",) if profile.frontend_asks_hub else ()
    yield WayOut("stack", "frontends", (*runtime, *hub), f"{evidence}; dynamo lib/llm/src/hub.rs [s]")
    yield WayOut(
        "stack",
        "benchmark client",
        ("frontends", *_BUCKET, "internet"),
        f"{_SIDECAR}; the prompts are cut from a data set that it downloads: sglang 0.5.9 bench_serving.py:1568 [v]",
    )
    yield WayOut("stack", "readiness check", ("frontends", "DNS", "API server"), "readiness/ [v]")
    yield WayOut("stack", "teardown barrier", ("API server",), "barrier/, by the address in its environment [v]")
    yield WayOut("fabric-test", "fabric test", ("fabric test", "DNS"), "fabric/: pod 0 is found by name [v]")
    yield WayOut(
        "download",
        "download",
        (*_BUCKET, "model hub", "package index"),
        f"{_SIDECAR}; components/platform/model_download.py [v]",
    )


@dataclass(frozen=True)
class Where:
    """Addresses and ports of a destination, in words for the documentation, and who says so."""

    addresses: str
    source: str


DESTINATIONS: Final[Mapping[Destination, Where]] = {
    "the stack's pods": Where("workers and frontends of the same stack, every port", "reference/flows.py"),
    "frontends": Where(f"those of the stack, TCP {FRONTEND_PORT}", "reference/flows.py"),
    "fabric test": Where("the pods of the same test, every port", "reference/flows.py"),
    "DNS": Where(
        "kube-dns and node-local-dns in kube-system, 169.254.20.10 (NodeLocal DNSCache), 169.254.169.254 (Cloud DNS); "
        "UDP and TCP 53",
        "tektoncd/operator 4000, kube-agents 1169 [d]",
    ),
    "metadata server": Where(
        "169.254.169.254, TCP 80 and 8080 (Dataplane V2); 169.254.169.252, TCP 987 and 988 (Calico)",
        "GKE: Workload Identity with network policies [d]",
    ),
    "Google's APIs": Where(
        f"with `restricted` as the internet; with `private-googleapis` {GOOGLE_APIS}, TCP {HTTPS}",
        "VPC: configure Private Google Access [d]",
    ),
    "API server": Where(
        "the /28 of the control plane, else its private address; of an adopted cluster its private and its public "
        "address; TCP 443",
        "the Service's address is translated before a policy judges: endpoints of kubernetes.default [i]",
    ),
    "NATS": Where(f"the platform's pods, TCP {NATS_PORT}, or `dynamo.nats.address`", "chart nats 1.3.2 [v]"),
    "etcd": Where(f"the platform's pods, TCP {ETCD_PORT}, or `dynamo.etcd.address`", "bitnami/charts etcd [s]"),
    "model hub": Where(
        "`pods.proxy`, `pods.hubEndpoint`, else huggingface.co as the internet", "reference/outbound.py"
    ),
    "package index": Where("`pods.proxy`, `pods.pipIndex`, else pypi.org as the internet", "reference/outbound.py"),
    "internet": Where(
        f"every public address, TCP {HTTPS}", "https://cloud.google.com/vpc/docs/subnets#valid-ranges [d]"
    ),
}
