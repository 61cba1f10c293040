"""What a deleted graph leaves for half a minute: Grove's PodCliqueSet, until its pods have ended.

Without Grove it stays for good (M14: graph deleted and platform uninstalled at once). It ends with its namespace, for
which the plugin waits, or while something else takes time: any call but a deletion, and the deletion of a Deployment
whose pod waits for it and then removes its finalizer. Such a pod is recognized by its config in a ConfigMap, an object
with a `stack` and its own `deployment`.
"""

from __future__ import annotations

from rehearsal.simulator.kubernetes import config_maps, rights
from rehearsal.simulator.state import CloudResource, CloudState
from rehearsal.simulator.values import Props, many, mapping, text
from rehearsal.simulator.workloads import serving, traffic

CLIQUES = "kubernetes:grove.io/v1alpha1:PodCliqueSet"
_DEPLOYMENT = "kubernetes:apps/v1:Deployment"
_PROPAGATION = "pulumi.com/deletionPropagationPolicy"
_FINALIZER = "grove.io/podcliqueset.grove.io"


def leave(state: CloudState, graph: CloudResource) -> None:
    """A graph was deleted, and Grove begins to clean up."""
    if not serving.runs_grove(state, graph.scope):
        return
    body = {"metadata": {"name": graph.id.rpartition("/")[2], "namespace": graph.id.partition("/")[0]}}
    left = CloudResource(CLIQUES, graph.scope, graph.id, body, body, origin="service")
    if state.get(CLIQUES, left.id, left.scope) is None:
        state.add(left)


def held(state: CloudState, resource: CloudResource) -> str:
    """What blocks the end of a PodCliqueSet; empty if nothing does, or for other kinds."""
    if resource.kind == CLIQUES and not serving.runs_grove(state, resource.scope):
        return f"finalizer {_FINALIZER}, and Grove is gone"
    return ""


def time_passes(state: CloudState, cluster: str, namespace: str | None = None) -> None:
    """Grove cleans up: in a namespace, or everywhere."""
    for left in state.find(CLIQUES, scope=cluster):
        if namespace in (None, left.id.partition("/")[0]) and not held(state, left):
            state.remove(left.key)


def orphan(state: CloudState, cluster: str) -> None:
    """A release was uninstalled: what only Grove would clean up is left by whoever made it."""
    for left in state.find(CLIQUES, scope=cluster):
        if held(state, left):
            left.origin = "program"


def wait(state: CloudState, deployment: CloudResource) -> None:
    """The plugin waits for a Deployment that is deleted, and Grove cleans up meanwhile what its pod waits for."""
    if _barrier(state, deployment) is not None:
        time_passes(state, deployment.scope, deployment.id.partition("/")[0])


def barred(state: CloudState, deployment: CloudResource) -> str:
    """What keeps a Deployment in deletion whose pod removes its finalizer; empty if nothing does, or for others.

    The pod runs on while the Deployment is deleted in the background. Deleted in the foreground, the Deployment would
    lose the pod first and stay for good.
    """
    config = _barrier(state, deployment)
    if config is None:
        return ""
    if mapping(deployment.inputs, "metadata.annotations").get(_PROPAGATION) != "background":
        return "its pod ended before it could remove the finalizer"
    namespace, _, name = deployment.id.partition("/")
    account = text(deployment.inputs, "spec.template.spec.serviceAccountName")
    for permission in (
        rights.Permission("get", "apps", "deployments", name),
        rights.Permission("patch", "apps", "deployments", name),
        rights.Permission("list", "grove.io", "podcliquesets"),
    ):
        if not rights.may(state, deployment.scope, namespace, account, permission):
            return f"its pod is forbidden to {permission}"
    if unreached := traffic.cut_off(state, deployment):
        return f"its pod cannot look: {unreached}"
    left = [
        str(one)
        for kind in (CLIQUES, serving.GRAPH)
        for one in state.find(kind, scope=deployment.scope)
        if one.id.startswith(f"{namespace}/{text(config, 'stack')}-")
    ]
    return f"its pod waits for {', '.join(left)}" if left else ""


def _barrier(state: CloudState, deployment: CloudResource) -> Props | None:
    """The config of the pod that removes the Deployment's finalizer; None for other objects."""
    if deployment.kind != _DEPLOYMENT or not many(deployment.inputs, "metadata.finalizers"):
        return None
    return config_maps.config_of(state, deployment, "stack", "deployment")
