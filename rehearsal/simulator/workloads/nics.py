"""How a graph's pods get the RDMA NICs of their nodes, and what prevents it.

There are two mutually exclusive ways: GKE `Network` objects, which a pod's annotation references and whose subnets the
node pool is attached to; and DRANET, whose devices a pod claims and a node pool offers if it has the network profile
`auto`, or networks of its own, and the label that runs the driver. A pod that does not match its pool never starts.
Read in GKE's multi-networking and DRANET guides; not run.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final, cast

from rehearsal.simulator.gcp.rules import NODE_POOL, short
from rehearsal.simulator.kubernetes import admission_policies, pods
from rehearsal.simulator.state import CloudResource, CloudState
from rehearsal.simulator.values import Props, items, mapping, text
from rehearsal.simulator.workloads import serving

PARAM_SET: Final = "kubernetes:networking.gke.io/v1:GKENetworkParamSet"
DEVICE_NETWORK: Final = "kubernetes:networking.gke.io/v1:Network"
DRANET_CLASS: Final = "mrdma.google.com"
DRANET_LABEL: Final = "cloud.google.com/gke-networking-dra-driver"
_TEMPLATE: Final = "kubernetes:resource.k8s.io/v1:ResourceClaimTemplate"
_ANNOTATION: Final = "networking.gke.io/interfaces"
_DEFAULT: Final = "default"
"""The cluster's own network, on every node."""


def blockers(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    """What prevents pods of a graph from getting their NICs, each reason prefixed with its role."""
    namespace = text(graph, "metadata.namespace")
    for role in serving.roles(graph):
        annotations = mapping(role.metadata, "annotations")
        yield from (f"{role.name}: {why}" for why in of_pod(state, cluster, namespace, role.pod, annotations))


def of_pod(state: CloudState, cluster: str, namespace: str, pod: Props, annotations: Props) -> Iterator[str]:
    """What prevents a pod with these annotations from getting its NICs."""
    made = pods.of_template(namespace, namespace, {"annotations": annotations}, pod)
    yield from admission_policies.denials(state, cluster, "CREATE", made)
    for pool in _pools(state, cluster, pod):
        yield from _unattached(state, cluster, pool, annotations)
        yield from _unclaimed(state, cluster, namespace, pool, pod)


def _pools(state: CloudState, cluster: str, pod: Props) -> list[CloudResource]:
    named = pods.pools_of(pod)
    inside = state.find(NODE_POOL, where=lambda resource: resource.id.startswith(f"{cluster}/"))
    return [pool for pool in inside if text(pool.outputs, "name") in named]


def _unattached(state: CloudState, cluster: str, pool: CloudResource, annotations: Props) -> Iterator[str]:
    """Networks in an annotation that the pool's nodes do not have."""
    configs = items(pool.outputs, "networkConfig.additionalNodeNetworkConfigs")
    attached = {short(text(config, "subnetwork")) for config in configs}
    name = text(pool.outputs, "name")
    for network in _networks(annotations):
        found = state.get(DEVICE_NETWORK, network, cluster)
        parameters = text(found.outputs, "spec.parametersRef.name") if found else ""
        behind = state.get(PARAM_SET, parameters, cluster)
        if found is None or behind is None:
            yield f"Network {network} of the annotation {_ANNOTATION} is not in the cluster"
        elif short(text(behind.outputs, "spec.vpcSubnet")) not in attached:
            yield f"no node of pool {name} is attached to Network {network}"


def _networks(annotations: Props) -> list[str]:
    written = annotations.get(_ANNOTATION)
    if not isinstance(written, str):
        return []
    entries = cast("list[Any]", json.loads(written))
    return [name for entry in entries if (name := text(entry, "network")) and name != _DEFAULT]


def _unclaimed(state: CloudState, cluster: str, namespace: str, pool: CloudResource, pod: Props) -> Iterator[str]:
    """Claims on DRANET's devices that the pool's nodes do not offer."""
    config = mapping(pool.outputs, "networkConfig")
    offered = config.get("acceleratorNetworkProfile") == "auto" or bool(items(config, "additionalNodeNetworkConfigs"))
    driver = mapping(pool.outputs, "nodeConfig.labels").get(DRANET_LABEL) == "true"
    for claim in items(pod, "resourceClaims"):
        template = state.get(_TEMPLATE, f"{namespace}/{text(claim, 'resourceClaimTemplateName')}", cluster)
        requests = items(template.outputs, "spec.spec.devices.requests") if template else []
        classes = {text(request, "exactly.deviceClassName") for request in requests}
        if DRANET_CLASS in classes and not (offered and driver):
            yield f"cannot allocate all claims: no node of pool {text(pool.outputs, 'name')} offers {DRANET_CLASS}"
