"""What the API server and the controllers demand of single kinds, and what holds an object back from deletion."""

from __future__ import annotations

import base64
from collections.abc import Callable

from rehearsal.cloud import admission_policies, finalizers, graph_status, jobs, kai, nodes, pods, serving
from rehearsal.cloud.gcp_rules import NETWORK, SUBNETWORK, short
from rehearsal.cloud.service import Failure
from rehearsal.cloud.system_objects import NAMESPACE
from rehearsal.cloud.values import Props, has_unknown, items, mapping, text
from rehearsal.cloud.world import Refusal, Thing, World

COMPUTE_DOMAIN = serving.COMPUTE_DOMAIN
PARAM_SET = "kubernetes:networking.gke.io/v1:GKENetworkParamSet"
DEVICE_NETWORK = "kubernetes:networking.gke.io/v1:Network"
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
"""GKE: longest name of a Network of type Device."""


def judge(inputs: Props) -> list[Failure]:
    """What is wrong with an object beyond its schema."""
    if inputs.get("kind") == "Network" and text(inputs, "spec.type") == "Device":
        name = text(inputs, "metadata.name")
        if len(name) > _DEVICE_NETWORK_NAME:
            return [Failure("metadata.name", f"{name!r} is longer than {_DEVICE_NETWORK_NAME} characters")]
    if inputs.get("kind") == "ValidatingAdmissionPolicy":
        return admission_policies.judge(inputs)
    return []


def at_create(world: World, cluster: str, kind: str, inputs: Props) -> None:
    """What refuses an object, or would leave it waiting for ever."""
    if kind in _AT_CREATE:
        _AT_CREATE[kind](world, cluster, inputs)
    path = _POD_TEMPLATES.get(str(inputs.get("kind")))
    if path and not has_unknown(inputs):
        what = f"{inputs['kind']} {text(inputs, 'metadata.namespace')}/{text(inputs, 'metadata.name')}"
        pod = mapping(inputs, path)
        kai.refuse_pod(world, cluster, what, text(pod, "schedulerName"))
        pods.require(world, cluster, text(inputs, "metadata.namespace"), pods.references(pod), what)
        priority = text(pod, "priorityClassName")
        if priority and priority not in serving.priority_classes(world, cluster):
            raise Refusal(f"{what}: no PriorityClass with name {priority} was found")


def _compute_domain(world: World, cluster: str, inputs: Props) -> None:
    namespace, template = text(inputs, "metadata.namespace"), text(inputs, _TEMPLATE_NAME)
    if world.get(CLAIM_TEMPLATE, f"{namespace}/{template}", cluster) is not None:
        name = text(inputs, "metadata.name")
        raise Refusal(f'ComputeDomain {namespace}/{name}: resourceclaimtemplates "{template}" already exists')


def _queue(world: World, cluster: str, inputs: Props) -> None:
    kai.refuse_queue(world, cluster, text(inputs, "metadata.name"))
    parent = text(inputs, "spec.parentQueue")
    if parent and world.get(serving.QUEUE, parent, cluster) is None:
        raise Refusal(f"Queue {text(inputs, 'metadata.name')}: parent queue {parent} does not exist")


def _device_network(world: World, cluster: str, inputs: Props) -> None:
    named, name = text(inputs, "spec.parametersRef.name"), text(inputs, "metadata.name")
    if named and world.get(PARAM_SET, named, cluster) is None:
        raise Refusal(f"Network {name} is not Ready: GKENetworkParamSet {named} not found (GNPNotFound)")


def at_update(_world: World, thing: Thing, inputs: Props, _preview: bool) -> None:
    """What refuses a change; the API server's own rules speak at preview too (a dry run on the server)."""
    if thing.kind == COMPUTE_DOMAIN and inputs.get("spec") != thing.inputs.get("spec"):
        name = text(inputs, "metadata.name")
        raise Refusal(
            f'ComputeDomain.resource.nvidia.com "{name}" is invalid: spec: Invalid value: "object": '
            "A computeDomain.spec is immutable"
        )


def at_delete(world: World, thing: Thing) -> None:
    """What holds an object back: a policy, something that lives and needs it, or nobody left to finish it."""
    admission_policies.refuse_deletion(world, thing)
    finalizers.begin(world, thing)
    if thing.kind == NAMESPACE:
        _delete_namespace(world, thing)
        return
    users = list(serving.users_of(world, thing))
    if users:
        raise Refusal(f"{thing} is still used by {', '.join(users)}")
    if thing.kind == PARAM_SET:
        users = [
            str(other)
            for other in world.find(DEVICE_NETWORK, scope=thing.scope)
            if text(other.outputs, "spec.parametersRef.name") == thing.id
        ]
        if users:
            raise Refusal(f"{thing} stays in Terminating: used by {', '.join(users)}")


def made(world: World, thing: Thing) -> None:
    """What controllers make in answer to an object, and what becomes of it. Raises `NotReady` for a Job that fails."""
    if thing.kind == serving.GRAPH:
        thing.outputs["status"] = graph_status.after_create(world, thing)
    if thing.kind == jobs.JOB:
        jobs.run(world, thing)
    if thing.kind == COMPUTE_DOMAIN:
        namespace = text(thing.outputs, "metadata.namespace")
        template = text(thing.outputs, "spec.channel.resourceClaimTemplate.name")
        body = {"metadata": {"name": template, "namespace": namespace}}
        world.add(
            Thing(
                CLAIM_TEMPLATE,
                thing.scope,
                f"{namespace}/{template}",
                body,
                body,
                origin="service",
                owner=thing.key,
            )
        )
        finalizers.daemons(world, thing)


def changed(world: World, thing: Thing, before: Props) -> None:
    """What becomes of an object that was changed; `before` are its outputs until then."""
    if thing.kind == serving.GRAPH:
        nodes.rolled(world, thing, before)
        thing.outputs["status"] = graph_status.after_update(world, thing, mapping(before, "status"))
    if thing.kind == jobs.JOB:
        jobs.require_complete(thing)


def written(world: World, thing: Thing) -> None:
    """What controllers do with an object that was just written, while its writer waits for it."""
    kai.awaited(world, thing)


def complete(world: World, outputs: Props, current: Thing | None) -> None:
    """Fill in what the API server and the controllers add to an object."""
    kind = outputs.get("kind")
    if kind == "Namespace":
        outputs["status"] = {"phase": "Active"}
    elif kind == "Secret":
        encoded = {
            key: base64.b64encode(str(value).encode()).decode() for key, value in mapping(outputs, "stringData").items()
        }
        # Write-only: the API server takes it and answers with `data` (E15).
        outputs.pop("stringData", None)
        outputs["data"] = {**mapping(outputs, "data"), **encoded}
    elif kind == "Service":
        kept = text(current.outputs, "spec.clusterIP") if current else ""
        address = kept or f"10.0.33.{world.random.randrange(2, 250)}"
        outputs["spec"] = {"clusterIP": address, "type": "ClusterIP", **mapping(outputs, "spec")}
        outputs["status"] = {"loadBalancer": {}}
    elif kind == "ComputeDomain":
        outputs["status"] = {"status": "Ready"}
    elif kind == "GKENetworkParamSet":
        outputs["status"] = {"conditions": [{"type": "Ready", "status": "True", "reason": "GNPReady"}]}
    elif kind == "Network":
        outputs["status"] = {"conditions": [{"type": "Ready", "status": "True", "reason": "GNPParamsReady"}]}
    elif kind == "Job":
        outputs["status"] = jobs.status(current)


def _delete_namespace(world: World, namespace: Thing) -> None:
    inside = finalizers.inside(world, namespace)
    releases = [t for t in inside if t.kind == serving.RELEASE and t.origin == "program"]
    if releases:
        raise Refusal(
            f"namespace {namespace.id} would take the release {', '.join(map(str, releases))} with it, whose "
            "cluster-wide objects would stay: the release must go first"
        )
    for thing in inside:
        world.remove(thing.key)


def _param_set(world: World, _: str, inputs: Props) -> None:
    name = text(inputs, "metadata.name")
    vpc, subnet = text(inputs, "spec.vpc"), text(inputs, "spec.vpcSubnet")
    if "/" in vpc or "/" in subnet:
        raise Refusal(f"GKENetworkParamSet {name}: vpc and vpcSubnet are names, not links (VPCNotFound)")
    if not world.find(NETWORK, where=lambda t: text(t.outputs, "name") == vpc):
        raise Refusal(f"GKENetworkParamSet {name}: VPC {vpc} not found (VPCNotFound)")
    subnets = world.find(SUBNETWORK, where=lambda t: text(t.outputs, "name") == subnet)
    mine = [t for t in subnets if short(text(t.outputs, "network")) == vpc]
    if not mine:
        raise Refusal(f"GKENetworkParamSet {name}: subnet {subnet} not found in VPC {vpc} (SubnetNotFound)")
    if items(mine[0].outputs, "secondaryIpRanges"):
        raise Refusal(
            f"GKENetworkParamSet {name}: subnet {subnet} has secondary ranges (DeviceModeCantBeUsedWithSecondaryRange)"
        )


_AT_CREATE: dict[str, Callable[[World, str, Props], None]] = {
    COMPUTE_DOMAIN: _compute_domain,
    serving.QUEUE: _queue,
    PARAM_SET: _param_set,
    DEVICE_NETWORK: _device_network,
}
