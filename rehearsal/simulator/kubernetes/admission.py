"""What the API server and admission require of single kinds, and what blocks a deletion."""

from __future__ import annotations

from collections.abc import Callable

from rehearsal.simulator.gcp import networks
from rehearsal.simulator.gcp.rules import NETWORK, SUBNETWORK, short
from rehearsal.simulator.kubernetes import admission_policies, finalizers, pod_security, pods, rights
from rehearsal.simulator.kubernetes.system_objects import NAMESPACE
from rehearsal.simulator.service import Failure
from rehearsal.simulator.state import ApiError, CloudResource, CloudState
from rehearsal.simulator.values import Props, has_unknown, items, mapping, text
from rehearsal.simulator.workloads import graph_admission, kai, remains, serving
from rehearsal.simulator.workloads.nics import DEVICE_NETWORK, PARAM_SET

COMPUTE_DOMAIN = serving.COMPUTE_DOMAIN
CLAIM_TEMPLATE = finalizers.CLAIM_TEMPLATE
_POD_TEMPLATES = {
    "Job": "spec.template.spec",
    "Deployment": "spec.template.spec",
    "DaemonSet": "spec.template.spec",
    "StatefulSet": "spec.template.spec",
    "CronJob": "spec.jobTemplate.spec.template.spec",
    "Pod": "spec",
}
_TEMPLATE_NAME = "spec.channel.resourceClaimTemplate.name"
_DEVICE_NETWORK_NAME = 41
"""GKE: maximum length of the name of a Network of type Device."""


def judge(inputs: Props) -> list[Failure]:
    """Problems of an object beyond its schema."""
    if inputs.get("kind") == "Network" and text(inputs, "spec.type") == "Device":
        name = text(inputs, "metadata.name")
        if len(name) > _DEVICE_NETWORK_NAME:
            return [Failure("metadata.name", f"{name!r} is longer than {_DEVICE_NETWORK_NAME} characters")]
    if inputs.get("kind") == "Namespace":
        standard = mapping(inputs, "metadata.labels").get(pod_security.ENFORCE, "privileged")
        if standard not in pod_security.STANDARDS:
            return [Failure(f"metadata.labels[{pod_security.ENFORCE}]", f"Invalid value: {standard!r}")]
    if inputs.get("kind") == "ValidatingAdmissionPolicy":
        return admission_policies.judge(inputs)
    return []


def at_create(state: CloudState, cluster: str, kind: str, inputs: Props) -> None:
    """What rejects a new object, or would leave it waiting forever."""
    if kind in _AT_CREATE:
        _AT_CREATE[kind](state, cluster, inputs)
    if has_unknown(inputs):
        return
    admission_policies.refuse(state, cluster, "CREATE", inputs)
    path = _POD_TEMPLATES.get(str(inputs.get("kind")))
    if path:
        what = f"{inputs['kind']} {text(inputs, 'metadata.namespace')}/{text(inputs, 'metadata.name')}"
        pod = mapping(inputs, path)
        kai.refuse_pod(state, cluster, what, text(pod, "schedulerName"))
        pods.require(state, cluster, text(inputs, "metadata.namespace"), pods.references(pod), what)
        why = pod_security.refused(state, cluster, text(inputs, "metadata.namespace"), pod)
        if why:
            raise ApiError(f"{what}: pods cannot start: {why}")
        priority = text(pod, "priorityClassName")
        if priority and priority not in serving.priority_classes(state, cluster):
            raise ApiError(f"{what}: no PriorityClass with name {priority} was found")
        metadata = mapping(inputs, path.removesuffix("spec") + "metadata")
        pod_of_it = pods.of_template(text(inputs, "metadata.namespace"), what, metadata, pod)
        for denial in admission_policies.denials(state, cluster, "CREATE", pod_of_it):
            raise ApiError(f"{what}: no pod is created: {denial}")


def _compute_domain(state: CloudState, cluster: str, inputs: Props) -> None:
    namespace, template = text(inputs, "metadata.namespace"), text(inputs, _TEMPLATE_NAME)
    if state.get(CLAIM_TEMPLATE, f"{namespace}/{template}", cluster) is not None:
        name = text(inputs, "metadata.name")
        raise ApiError(f'ComputeDomain {namespace}/{name}: resourceclaimtemplates "{template}" already exists')


def _queue(state: CloudState, cluster: str, inputs: Props) -> None:
    kai.refuse_queue(state, cluster, text(inputs, "metadata.name"))
    parent = text(inputs, "spec.parentQueue")
    if parent and state.get(serving.QUEUE, parent, cluster) is None:
        raise ApiError(f"Queue {text(inputs, 'metadata.name')}: parent queue {parent} does not exist")


def _device_network(state: CloudState, cluster: str, inputs: Props) -> None:
    named, name = text(inputs, "spec.parametersRef.name"), text(inputs, "metadata.name")
    if named and state.get(PARAM_SET, named, cluster) is None:
        raise ApiError(f"Network {name} is not Ready: GKENetworkParamSet {named} not found (GNPNotFound)")


def at_update(state: CloudState, resource: CloudResource, inputs: Props, _preview: bool) -> None:
    """What rejects a change; the API server's own rules apply in a preview too (a server-side dry run)."""
    if not has_unknown(inputs):
        admission_policies.refuse(state, resource.scope, "UPDATE", inputs, resource.outputs)
    if resource.kind == COMPUTE_DOMAIN and inputs.get("spec") != resource.inputs.get("spec"):
        name = text(inputs, "metadata.name")
        raise ApiError(
            f'ComputeDomain.resource.nvidia.com "{name}" is invalid: spec: Invalid value: "object": '
            "A computeDomain.spec is immutable"
        )
    if resource.kind == serving.GRAPH and not has_unknown(inputs):
        graph_admission.at_update(state, resource, inputs)
    if resource.kind in rights.BINDINGS:
        rights.refuse_binding(state, resource.scope, inputs)


def at_delete(state: CloudState, resource: CloudResource) -> None:
    """What blocks a deletion: a policy, a user of the object, or a missing controller."""
    admission_policies.refuse_deletion(state, resource)
    remains.wait(state, resource)
    finalizers.begin(state, resource)
    if resource.kind == NAMESPACE:
        _delete_namespace(state, resource)
        return
    users = list(serving.users_of(state, resource))
    if users:
        raise ApiError(f"{resource} is still used by {', '.join(users)}")
    if resource.kind == PARAM_SET:
        users = [
            str(other)
            for other in state.find(DEVICE_NETWORK, scope=resource.scope)
            if text(other.outputs, "spec.parametersRef.name") == resource.id
        ]
        if users:
            raise ApiError(f"{resource} stays in Terminating: used by {', '.join(users)}")


def _delete_namespace(state: CloudState, namespace: CloudResource) -> None:
    inside = finalizers.inside(state, namespace)
    releases = [t for t in inside if t.kind == serving.RELEASE and t.origin == "program"]
    if releases:
        raise ApiError(
            f"namespace {namespace.id} would take the release {', '.join(map(str, releases))} with it, whose "
            "cluster-wide objects would stay: the release must go first"
        )
    for resource in inside:
        state.remove(resource.key)


def _param_set(state: CloudState, cluster: str, inputs: Props) -> None:
    name = text(inputs, "metadata.name")
    vpc, subnet = text(inputs, "spec.vpc"), text(inputs, "spec.vpcSubnet")
    if "/" in vpc or "/" in subnet:
        raise ApiError(f"GKENetworkParamSet {name}: vpc and vpcSubnet are names, not links (VPCNotFound)")
    if vpc == networks.clusters_name(state, cluster):
        raise ApiError(f"GKENetworkParamSet {name}: {vpc} is the cluster's own VPC (DeviceModeCantUseDefaultVPC)")
    if not state.find(NETWORK, where=lambda t: text(t.outputs, "name") == vpc):
        raise ApiError(f"GKENetworkParamSet {name}: VPC {vpc} not found (VPCNotFound)")
    subnets = state.find(SUBNETWORK, where=lambda t: text(t.outputs, "name") == subnet)
    mine = [t for t in subnets if short(text(t.outputs, "network")) == vpc]
    if not mine:
        raise ApiError(f"GKENetworkParamSet {name}: subnet {subnet} not found in VPC {vpc} (SubnetNotFound)")
    if items(mine[0].outputs, "secondaryIpRanges"):
        raise ApiError(
            f"GKENetworkParamSet {name}: subnet {subnet} has secondary ranges (DeviceModeCantBeUsedWithSecondaryRange)"
        )


_AT_CREATE: dict[str, Callable[[CloudState, str, Props], None]] = {
    serving.GRAPH: graph_admission.at_create,
    COMPUTE_DOMAIN: _compute_domain,
    serving.QUEUE: _queue,
    PARAM_SET: _param_set,
    DEVICE_NETWORK: _device_network,
    **dict.fromkeys(rights.BINDINGS, rights.refuse_binding),
}
