"""What pods connect to outside of their stack, where that is, and whether NetworkPolicies let them.

Addresses: the metadata server and DNS as GKE's data planes have them (Google's page on Workload Identity with network
policies); Google's APIs at public addresses, or at those of private.googleapis.com if a private zone of the cluster's
network says so (VPC: configure Private Google Access); the hub and the package index somewhere on the internet.
`kubernetes.default` has the control plane's private address if the nodes are private [inferred].
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from rehearsal.simulator.gcp.rules import CLUSTER, MANAGED_ZONE, RECORD_SET, short
from rehearsal.simulator.kubernetes.network_policies import TCP, UDP, Address, Pod, refused
from rehearsal.simulator.state import CloudState
from rehearsal.simulator.values import Props, items, many, mapping, text

_DNS = Pod("kube-system", {"k8s-app": "kube-dns"})
_GOOGLE = "142.250.4.207"
"""One of Google's public addresses."""
_SITES = {"huggingface.co": "18.164.174.17", "pypi.org": "151.101.0.223"}
"""Public addresses of the sites that pods use."""
_BUCKET_DRIVER = "gcsfuse.csi.storage.gke.io"
_SERVICE = re.compile(r"[a-z0-9-]+\.(?P<namespace>[a-z0-9-]+)\.svc(\..*)?")


@dataclass(frozen=True)
class Need:
    """A connection that a pod cannot do without."""

    what: str
    target: Pod | Address
    port: int
    protocol: str = TCP


def unmet(state: CloudState, cluster: str, pod: Pod, needs: Iterable[Need]) -> Iterator[str]:
    """Connections of a pod that never arrive."""
    for need in needs:
        why = refused(state, cluster, pod, need.target, need.port, protocol=need.protocol)
        if why:
            yield f"{need.what}: {why}"


def names() -> Need:
    """Every pod that reaches a server by its name."""
    return Need("no name is resolved", _DNS, 53, UDP)


def bucket(state: CloudState, cluster: str, spec: Props) -> Iterator[Need]:
    """The sidecar of a pod that mounts a bucket."""
    if not any(text(volume, "csi.driver") == _BUCKET_DRIVER for volume in items(spec, "volumes")):
        return
    made = state.get(CLUSTER, cluster)
    outputs = made.outputs if made else {}
    own = outputs.get("datapathProvider") == "ADVANCED_DATAPATH"
    metadata = Need("no token for the bucket", Address("169.254.169.254"), 80)
    yield metadata if own else Need(metadata.what, Address("169.254.169.252"), 988)
    yield Need("the bucket is not read", Address(_google(state, text(outputs, "network"))), 443)


def api_server(state: CloudState, cluster: str) -> Need:
    """A client of the API server."""
    made = state.get(CLUSTER, cluster)
    private = mapping(made.outputs, "privateClusterConfig") if made else {}
    address = text(private, "privateEndpoint") if private.get("enablePrivateNodes") else ""
    return Need(
        "the API server does not answer", Address(address or text(made.outputs if made else {}, "endpoint")), 443
    )


def site(environment: Iterable[Props], host: str, mirror: str = "") -> Iterator[Need]:
    """A client of a public site, by the variables that name its proxy and its mirror. Where another name leads is not
    modelled.
    """
    said = {text(one, "name"): text(one, "value") for one in environment}
    without = [entry for entry in said.get("NO_PROXY", "").split(",") if entry]
    url = said.get(mirror) or f"https://{host}"
    wanted = urlsplit(url)
    if said.get("HTTPS_PROXY") and not any((wanted.hostname or "").endswith(entry) for entry in without):
        wanted = urlsplit(said["HTTPS_PROXY"])
    name, port = wanted.hostname or "", wanted.port or (443 if wanted.scheme == "https" else 80)
    service = _SERVICE.fullmatch(name)
    if service:
        yield Need(f"{host} is not reached", Pod(service["namespace"], {}), port)
    elif name in _SITES or _is_address(name):
        yield Need(f"{host} is not reached", Address(_SITES.get(name, name)), port)


def _google(state: CloudState, network: str) -> str:
    """Where the name storage.googleapis.com leads from a network."""
    for zone in state.find(MANAGED_ZONE, where=lambda zone: text(zone.outputs, "dnsName") == "googleapis.com."):
        attached = items(zone.outputs, "privateVisibilityConfig.networks")
        if not any(short(text(one, "networkUrl")) == short(network) for one in attached):
            continue
        its = [
            one.outputs for one in state.find(RECORD_SET) if text(one.outputs, "managedZone") == zone.outputs["name"]
        ]
        alias = [many(one, "rrdatas")[0] for one in its if text(one, "name") == "*.googleapis.com."]
        found = [many(one, "rrdatas")[0] for one in its if text(one, "name") in alias]
        if found:
            return str(found[0])
    return _GOOGLE


def _is_address(host: str) -> bool:
    try:
        ipaddress.IPv4Address(host)
    except ValueError:
        return False
    return True
