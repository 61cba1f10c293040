"""What controllers do with an object: set its status, create further objects, run pods."""

from __future__ import annotations

import base64

from rehearsal.simulator.kubernetes import finalizers, jobs, nodes
from rehearsal.simulator.state import CloudResource, CloudState
from rehearsal.simulator.values import Props, mapping, text
from rehearsal.simulator.workloads import graph_admission, graph_parts, graph_status, kai, remains, serving


def made(state: CloudState, resource: CloudResource) -> None:
    """Effects of controllers on a new object; `NotReadyError` for a Job that fails."""
    if resource.kind == serving.GRAPH:
        resource.fixed = graph_admission.made_with(resource.outputs)
        graph_parts.make(state, resource)
        resource.outputs["status"] = graph_status.after_create(state, resource)
    if resource.kind == jobs.JOB:
        jobs.run(state, resource)
    if resource.kind == serving.COMPUTE_DOMAIN:
        namespace = text(resource.outputs, "metadata.namespace")
        template = text(resource.outputs, "spec.channel.resourceClaimTemplate.name")
        body = {"metadata": {"name": template, "namespace": namespace}}
        state.add(
            CloudResource(
                finalizers.CLAIM_TEMPLATE,
                resource.scope,
                f"{namespace}/{template}",
                body,
                body,
                origin="service",
                owner=resource.key,
            )
        )
        finalizers.daemons(state, resource)


def changed(state: CloudState, resource: CloudResource, before: Props) -> None:
    """Effects of controllers on a changed object; `before` are its previous outputs."""
    if resource.kind == serving.GRAPH:
        nodes.rolled(state, resource, before)
        resource.outputs["status"] = graph_status.after_update(state, resource, mapping(before, "status"))
    if resource.kind == jobs.JOB:
        jobs.require_complete(resource)


def deleted(state: CloudState, resource: CloudResource) -> None:
    """Effects of controllers on an object that was just deleted."""
    if resource.kind == serving.GRAPH:
        remains.leave(state, resource)


def written(state: CloudState, resource: CloudResource) -> None:
    """Effects of controllers on an object that was just written, while the plugin waits for it."""
    kai.awaited(state, resource)


def complete(state: CloudState, outputs: Props, current: CloudResource | None) -> None:
    """Add what the API server and the controllers add to an object."""
    kind = outputs.get("kind")
    if kind == "Namespace":
        outputs["status"] = {"phase": "Active"}
    elif kind == "Secret":
        encoded = {
            key: base64.b64encode(str(value).encode()).decode() for key, value in mapping(outputs, "stringData").items()
        }
        # Write-only: the API server accepts it and returns `data` (E15).
        outputs.pop("stringData", None)
        outputs["data"] = {**mapping(outputs, "data"), **encoded}
    elif kind == "Service":
        kept = text(current.outputs, "spec.clusterIP") if current else ""
        address = kept or f"10.0.33.{state.random.randrange(2, 250)}"
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
