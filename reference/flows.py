"""Who listens in the namespaces of the program, who may connect, and why: the one page that says so.

The NetworkPolicies (`manifests.network_policies`), the table in docs/reference/isolation.md and the expected results of
the tests come from it. What a kubelet or another process of the pod's own node sends is never under a policy, nor is
what a pod sends to itself; so probes and `kubectl port-forward` and `exec` need no flow.

Marks of a source: [v] read in a released package or run, [s] source at a commit, [d] documentation, [i] inferred.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from reference.dynamo import DynamoProfile
from reference.platform_parts import OWN, PlatformParts

Party = Literal[
    "workers",
    "frontends",
    "benchmark client",
    "readiness check",
    "teardown barrier",
    "clients",
    "stacks of any environment",
    "NATS",
    "etcd",
    "Dynamo operator",
    "Grove operator",
    "KAI",
    "IMEX daemons",
    "DRA driver",
    "fabric test",
    "download",
    "anybody",
]
"""A set of pods. `clients` are those that `stacks[].clients` names."""

Part = Literal["stack", "dynamo", "kai", "dra-driver", "fabric-test", "download"]
"""What has a namespace of its own."""

FRONTEND_PORT: Final = 8000
NATS_PORT: Final = 4222
ETCD_PORT: Final = 2379
WEBHOOK_PORT: Final = 9443


@dataclass(frozen=True)
class Flow:
    """Connections to one set of pods."""

    part: Part
    """The namespace of the listener."""
    listener: Party
    sources: tuple[Party, ...]
    """Who may connect; nobody, if it is empty."""
    ports: tuple[int, ...]
    """TCP ports; all ports of all protocols, if it is empty."""
    what: str
    """What listens there, and why it is open or shut."""
    source: str


_OPERATOR: Final = "dynamo-operator chart, deployment.yaml [s]"
_STACK_PODS: Final = ("workers", "frontends")
_WEBHOOK: Final = (
    "admission webhook, with TLS; the API server reaches it through a pod of konnectivity or from the control plane's "
    "range, and a source list that misses it would stop every creation of a pod"
)


def of(profile: DynamoProfile, parts: PlatformParts = OWN) -> Iterator[Flow]:
    """Every listener of an environment with this Dynamo release, of which `parts` are somebody else's."""
    events, event_source = "", ""
    if not profile.needs_nats:
        # The port is the system's choice: the publisher binds port 0 and registers what it got.
        events = "; without NATS also events over ZeroMQ, on random ports"
        event_source = "; dynamo lib/runtime/src/transports/event_plane [s]"
    yield Flow(
        "stack",
        "workers",
        _STACK_PODS,
        (),
        "SGLang's rendezvous store (29500), sockets that unpickle what they receive (29501 to 29505, random ones), "
        "prefill bootstrap (30001), KV transfer, Dynamo's requests (from 1.0 on) and system port (9090): six libraries "
        f"choose ports at random{events}",
        f"CVE-2026-93034; wheels sglang 0.5.4.post3 to 0.5.23 [v]{event_source}",
    )
    yield Flow(
        "stack",
        "frontends",
        _STACK_PODS,
        (),
        f"response streams, for which a worker dials back to the frontend on a random port{events}",
        f"dynamo pipeline/network/tcp/server.rs [s]{event_source}",
    )
    yield Flow(
        "stack",
        "frontends",
        ("benchmark client", "readiness check", "clients"),
        (FRONTEND_PORT,),
        "the OpenAI-compatible API, without authentication",
        "dynamo lib/llm/src/http/service [s]",
    )
    yield Flow("stack", "benchmark client", (), (), "nothing listens", "components/serving/benchmark.py [v]")
    yield Flow("stack", "readiness check", (), (), "nothing listens", "components/serving/readiness_check.py [v]")
    yield Flow("stack", "teardown barrier", (), (), "nothing listens", "components/serving/teardown_barrier.py [v]")
    if profile.installs_nats(parts):
        yield Flow(
            "dynamo",
            "NATS",
            ("stacks of any environment",),
            (NATS_PORT,),
            "request plane of 0.7, events from 1.0 on, with a generated password unless `dynamo.nats.login` says "
            "otherwise; its monitor (8222) has none and is for the kubelet only",
            "chart nats 1.3.2, nats-server 2.12.15 and the clients of these releases [v]; advisories of NATS [d]",
        )
    if profile.needs_etcd and parts.etcd is None:
        yield Flow(
            "dynamo",
            "etcd",
            ("stacks of any environment", "Dynamo operator"),
            (ETCD_PORT,),
            "discovery, without a login; its chart's own policy, which lets everybody in, is off",
            "operator cmd/main.go:430 [s]; bitnami/charts etcd networkpolicy.yaml [s]",
        )
    if profile.operator_webhooks:
        metrics = "8443" if profile.metrics_proxy else "8080, with authentication"
        what = f"{_WEBHOOK}; metrics ({metrics}) and health (8081) accept no connections"
        if profile.graph_api != "nvidia.com/v1alpha1":
            what = f"conversion between the versions of a graph, and {what}"
        yield Flow("dynamo", "Dynamo operator", ("anybody",), (WEBHOOK_PORT,), what, _OPERATOR)
    else:
        shut = "no webhook before 1.0; metrics (8443) and health (8081) are for the kubelet alone"
        yield Flow("dynamo", "Dynamo operator", (), (), shut, _OPERATOR)
    if parts.grove:
        yield Flow(
            "dynamo",
            "Grove operator",
            ("anybody",),
            (WEBHOOK_PORT,),
            f"{_WEBHOOK}; metrics (9445) and health (9444) accept no connections",
            "Grove's chart, service.yaml [v]",
        )
    yield Flow(
        "kai",
        "KAI",
        ("anybody",),
        (WEBHOOK_PORT,),
        f"{_WEBHOOK}; the scheduler's plugin server (8081, /get-snapshot; no authentication) accepts no connections",
        "KAI pkg/scheduler/plugins/snapshot [s]; CVE-2026-24177 [d]",
    )
    yield Flow(
        "dra-driver",
        "IMEX daemons",
        ("IMEX daemons",),
        (),
        "memory of other nodes (50000) and its control (50005), without authentication; NVLink between nodes needs it",
        "k8s-dra-driver-gpu templates/compute-domain-daemon.tmpl.yaml [s]",
    )
    yield Flow("dra-driver", "DRA driver", (), (), "health (51515) is for the kubelet alone", "k8s-dra-driver-gpu [s]")
    yield Flow(
        "fabric-test",
        "fabric test",
        ("fabric test",),
        (),
        "NCCL's bootstrap, on random ports",
        "PyTorch's rendezvous and NCCL choose them [v]",
    )
    yield Flow("download", "download", (), (), "nothing listens", "components/platform/model_download.py [v]")
