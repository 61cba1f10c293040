"""Kubernetes: the lifecycle of an object in a cluster of the embedded cloud.

Objects belong to the cluster whose endpoint is in the provider's kubeconfig; without one they are rejected. Rules of
single kinds are in `admission.py`, effects of controllers in `controllers.py`, Helm releases in
`helm.py`.
"""

from __future__ import annotations

import copy
import uuid
from functools import cache
from typing import Any, cast

import yaml
from typing_extensions import override

from rehearsal.simulator.faults import Call
from rehearsal.simulator.gcp.rules import CLUSTER
from rehearsal.simulator.kubernetes import admission, controllers, crds, finalizers, helm, patches, schema, waiting
from rehearsal.simulator.kubernetes.system_objects import NAMESPACE
from rehearsal.simulator.service import Difference, Failure, Service
from rehearsal.simulator.state import ApiError, CloudResource, CloudState
from rehearsal.simulator.values import UNKNOWN, Props, Unknown, changes, has_unknown, items, mapping, text
from rehearsal.simulator.workloads import graph_admission, graphs, remains

_AUTONAMED = "pulumi.com/autonamed"
_UNREACHABLE = "configured Kubernetes cluster is unreachable"

# Fields (dotted paths, by kind) whose change replaces the object, for the API server or the plugin; the plugin treats
# ConfigMap and Secret as immutable unless its options say otherwise.
_REPLACES: dict[str, tuple[str, ...]] = {
    "ConfigMap": ("data", "binaryData", "immutable"),
    "Secret": ("data", "stringData", "type", "immutable"),
    "Service": ("spec.clusterIP", "spec.type"),
    "PersistentVolumeClaim": (
        "spec.accessModes",
        "spec.selector",
        "spec.storageClassName",
        "spec.volumeName",
    ),
    "Job": ("spec.template", "spec.selector", "spec.completions", "spec.completionMode"),
    "Deployment": ("spec.selector",),
    "DaemonSet": ("spec.selector",),
    "StatefulSet": (
        "spec.selector",
        "spec.serviceName",
        "spec.volumeClaimTemplates",
        "spec.podManagementPolicy",
    ),
    "StorageClass": ("provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"),
    "PriorityClass": ("value",),
    "ResourceQuota": ("spec.scopes", "spec.scopeSelector"),
    "RoleBinding": ("roleRef",),
    "ClusterRoleBinding": ("roleRef",),
    "Release": ("name", "namespace"),
}
_MUTABLE_OPTION = {"ConfigMap": "enableConfigMapMutable", "Secret": "enableSecretMutable"}


class Kubernetes(Service):
    """The service behind the `kubernetes` package."""

    package = "kubernetes"

    def __init__(self, state: CloudState, version: str = "1.34", dynamo: str = "0.7.0") -> None:
        super().__init__(state)
        self.version, self.dynamo = version, dynamo

    @property
    def schemas(self) -> schema.Schemas:
        """The schemas of the cluster's version; loaded lazily."""
        return schema.schemas(self.version, self.dynamo)

    @override
    def check_config(self, call: Call, props: Props) -> list[Failure]:
        kubeconfig = props.get("kubeconfig")
        if kubeconfig is None or isinstance(kubeconfig, Unknown):
            return []
        failures: list[Failure] = []
        server = server_of(kubeconfig)
        if not server.startswith("https://"):
            failures.append(Failure("kubeconfig", "is no kubeconfig whose current context names an https server"))
        if props.get("clusterIdentifier") is None:
            failures.append(
                Failure("clusterIdentifier", "is not set: any change of the kubeconfig would replace every object")
            )
        return failures

    @override
    def config_differs(self, old: Props, new: Props) -> list[str]:
        # As in the plugin's DiffConfig: setting or removing it replaces nothing, and an unknown one (the cluster is
        # about to be replaced) is a different one.
        key = "clusterIdentifier"
        before, after = old.get(key), new.get(key)
        return [key] if before is not None and after is not None and before != after else []

    @override
    def check(self, call: Call, olds: Props, news: Props) -> tuple[Props, list[Failure]]:
        if not self.config_of(call).get("kubeconfig"):
            reason = "made through a kubernetes provider without kubeconfig: pass the cluster's own provider"
            return news, [Failure("(provider)", reason)]
        if call.kind == helm.RELEASE:
            return helm.check(call.name, self.state.text(8), olds, news)
        patch = patches.is_patch(call.kind, news.get("kind"))
        if call.kind.endswith("List"):
            raise ApiError(self.unmodelled(call.kind))
        if patch:
            self._require_patchable(call, news)
        inputs = copy.deepcopy(news)
        metadata = cast("Props", inputs.setdefault("metadata", {}))
        if isinstance(metadata, Unknown):
            return inputs, []
        if metadata.get("name") is None and metadata.get("generateName") is None:
            kept = text(olds, "metadata.name") if _autonamed(olds) else ""
            metadata["name"] = kept or f"{call.name.lower()}-{self.state.text(8)}"
            annotations = cast("Props", metadata.setdefault("annotations", {}))
            annotations[_AUTONAMED] = "true"
        api_version, kind = str(inputs.get("apiVersion")), str(inputs.get("kind"))
        if self.schemas.namespaced(api_version, kind) and metadata.get("namespace") is None:
            metadata["namespace"] = self.config_of(call).get("namespace") or "default"
        schemas = self._schemas_of(call)
        failures = schemas.failures(inputs, partial=patch) if _judged(schemas, api_version, kind) else []
        return inputs, failures if patch else failures + admission.judge(inputs)

    def _require_patchable(self, call: Call, inputs: Props) -> None:
        if str(self.config_of(call).get("enableServerSideApply", "true")).lower() == "false":
            raise ApiError(
                "patch resources require Server-Side Apply mode, which is enabled using the `enableServerSideApply` "
                "Provider config"
            )
        if mapping(inputs, "metadata").get("name") is None:
            raise ApiError("patch resources require the `.metadata.name` field to be set")

    def _schemas_of(self, call: Call) -> schema.Schemas:
        """The schemas by which a cluster judges: those of the Dynamo whose kinds it has, if it is there and has any."""
        cluster = cluster_at(self.state, server_of(self.config_of(call).get("kubeconfig")))
        served = crds.dynamo(self.state, cluster.id) if cluster is not None else ""
        return schema.schemas(self.version, served or self.dynamo)

    @override
    def diff(self, call: Call, id_: str, olds: Props, news: Props) -> Difference:
        found = Difference(list(changes(olds, news)))
        kind = call.kind.rsplit(":", 1)[-1]
        option = _MUTABLE_OPTION.get(kind, "")
        mutable = str(self.config_of(call).get(option, "")).lower() == "true" if option else False
        # A patch has no entry there: everything but its target is updated in place.
        paths = () if mutable else _REPLACES.get(kind, ())
        always = () if call.kind == helm.RELEASE else ("metadata.name", "metadata.namespace", "apiVersion", "kind")
        for change in found.changes:
            if any(change.under(path) for path in (*paths, *always)):
                found.replaces.append(change)
        same = _identity(olds) == _identity(news) and not has_unknown(_identity(news))
        found.delete_first = bool(found.replaces) and same and not _autonamed(news)
        return found

    @override
    def preview(self, call: Call, inputs: Props) -> Props:
        if call.kind == helm.RELEASE:
            return helm.before(inputs)
        outputs = copy.deepcopy(inputs)
        if patches.is_patch(call.kind, inputs.get("kind")):
            return outputs
        # Unknown to the plugin: added by the API server and the controllers.
        outputs["status"] = UNKNOWN
        if outputs.get("kind") == "Secret":
            outputs.pop("stringData", None)
            outputs["data"] = outputs.get("data", UNKNOWN)
        return outputs

    @override
    def create(self, call: Call, inputs: Props) -> tuple[str, Props]:
        cluster = self._cluster(call)
        if call.kind == helm.RELEASE:
            return helm.create(self.state, cluster.id, inputs, call.urn)
        self._require_kind(cluster, str(inputs["apiVersion"]), str(inputs["kind"]))
        id_ = self._id(inputs)
        if patches.is_patch(call.kind, inputs["kind"]):
            return id_, self._apply(call, cluster, id_, inputs)
        resource = self.state.get(graphs.stored(call.kind), id_, cluster.id) if self._upserts(call) else None
        if resource is None:
            resource = self._make(graphs.stored(call.kind), cluster, inputs, call.urn)
        else:
            self._take_over(resource, inputs, call.urn)
        controllers.written(self.state, resource)
        waiting.refuse_unready(id_, resource.outputs)
        return id_, resource.outputs

    def _take_over(self, resource: CloudResource, inputs: Props, urn: str) -> None:
        if resource.kind == graphs.GRAPH:
            before = resource.outputs
            graph_admission.at_update(self.state, resource, inputs)
            inputs = graph_admission.damaged(inputs, before)
            if graphs.version_of(inputs) != graphs.version_of(before):
                resource.outputs = {**before, "apiVersion": inputs["apiVersion"], "spec": inputs["spec"]}
        patches.take_over(resource, inputs, urn)

    def _upserts(self, call: Call) -> bool:
        """Whether the provider adopts existing objects (its option `upsertExistingObjects`)."""
        return str(self.config_of(call).get("upsertExistingObjects", "")).lower() == "true"

    def _make(self, kind_token: str, cluster: CloudResource, inputs: Props, urn: str) -> CloudResource:
        api_version, kind = str(inputs["apiVersion"]), str(inputs["kind"])
        id_, namespace = self._id(inputs), text(inputs, "metadata.namespace")
        if "/" in id_ and self.state.get(NAMESPACE, namespace, cluster.id) is None:
            raise ApiError(f'namespaces "{namespace}" not found')
        plural = f'{_plural(api_version, kind)} "{text(inputs, "metadata.name")}"'
        finalizers.refuse_new(self.state, cluster.id, namespace, plural)
        if self.state.get(kind_token, id_, cluster.id) is not None:
            raise ApiError(f"{plural} already exists")
        admission.at_create(self.state, cluster.id, kind_token, inputs)
        outputs = self._outputs(inputs, None)
        resource = self.state.add(CloudResource(kind_token, cluster.id, id_, copy.deepcopy(inputs), outputs, urn=urn))
        controllers.made(self.state, resource)
        return resource

    def _apply(self, call: Call, cluster: CloudResource, id_: str, inputs: Props, *, dry_run: bool = False) -> Props:
        """Apply a patch, which creates a missing object."""
        manager = patches.manager_of(self.state, call, inputs)
        resource = self._patched(call, cluster, id_)
        if resource is None:
            resource = self._made_by_patch(call, cluster, inputs)
        else:
            changed = patches.over(resource.inputs, inputs)
            admission.at_update(self.state, resource, changed, call.preview)
        live = patches.apply(resource, manager, inputs, dry_run=dry_run)
        if not dry_run:
            controllers.written(self.state, resource)
        outputs = patches.outputs_of(live, resource, manager)
        if not dry_run:
            waiting.refuse_unready(id_, outputs)
        return outputs

    def _patched(self, call: Call, cluster: CloudResource, id_: str) -> CloudResource | None:
        return self.state.get(graphs.stored(patches.target(call.kind)), id_, cluster.id)

    def _made_by_patch(self, call: Call, cluster: CloudResource, inputs: Props) -> CloudResource:
        """Server-side apply of a missing object: created as given, if it is complete, and owned by the patch."""
        schemas = self._schemas_of(call)
        if _judged(schemas, str(inputs["apiVersion"]), str(inputs["kind"])):
            for failure in schemas.failures(inputs):
                raise ApiError(f"{call.kind} {self._id(inputs)} is invalid: {failure.property}: {failure.reason}")
        resource = self._make(graphs.stored(patches.target(call.kind)), cluster, inputs, call.urn)
        resource.inputs = patches.identity(inputs)
        return resource

    @override
    def update(self, call: Call, id_: str, inputs: Props) -> Props:
        cluster = self._cluster(call)
        if patches.is_patch(call.kind, inputs.get("kind")):
            if self._patched(call, cluster, id_) is None:
                raise _not_found(inputs)
            return self._apply(call, cluster, id_, inputs, dry_run=call.preview)
        resource = self.state.get(graphs.stored(call.kind), id_, cluster.id)
        if resource is None:
            raise ApiError(f"{call.kind.rsplit(':', 1)[-1]} {id_} not found")
        if call.kind == helm.RELEASE:
            return helm.update(self.state, resource, inputs, call.preview)
        admission.at_update(self.state, resource, inputs, call.preview)
        if resource.kind == graphs.GRAPH:
            inputs = graph_admission.damaged(inputs, resource.outputs)
        patches.refuse_conflicts(resource, patches.MAKER, dict(patches.leaves(inputs)))
        outputs = patches.keep(resource, self._outputs(inputs, resource))
        if not call.preview:
            before = resource.outputs
            resource.inputs, resource.outputs = copy.deepcopy(inputs), outputs
            controllers.changed(self.state, resource, before)
            controllers.written(self.state, resource)
            waiting.refuse_unready(id_, outputs)
        return outputs

    @override
    def delete(self, call: Call, id_: str) -> None:
        try:
            cluster = self._cluster(call)
        except ApiError:
            forced = str(self.config_of(call).get("deleteUnreachable", "")).lower() == "true"
            if forced and call.kind != helm.RELEASE:
                return
            raise
        if patches.is_patch(call.kind, (call.outputs_before or {}).get("kind")):
            self._relinquish(call, cluster, id_)
            return
        resource = self.state.get(graphs.stored(call.kind), id_, cluster.id)
        if resource is None:
            return
        if call.kind == helm.RELEASE:
            helm.delete(self.state, resource)
            return
        admission.at_delete(self.state, resource)
        self.state.remove(resource.key)
        controllers.deleted(self.state, resource)

    def _relinquish(self, call: Call, cluster: CloudResource, id_: str) -> None:
        """Delete a patch: release its fields, by applying an object without any."""
        state = call.outputs_before or {}
        if self._served(cluster, str(state["apiVersion"]), str(state["kind"])):
            self._apply(call, cluster, id_, patches.identity(state))

    @override
    def read(self, call: Call, id_: str) -> tuple[Props, Props] | None:
        cluster = self._cluster(call)
        resource = self.state.get(graphs.stored(call.kind), id_, cluster.id)
        if resource is not None and call.kind in graphs.TOKENS:
            version = call.kind.split(":")[1]
            return (
                graphs.in_version(patches.seen_by_maker(resource), version),
                graphs.in_version(resource.outputs, version),
            )
        if resource is not None:
            return patches.seen_by_maker(resource), resource.outputs
        patched = self._patched(call, cluster, id_) if call.kind.endswith("Patch") else None
        if patched is None:
            return None
        # Without recorded inputs (an import) the plugin takes the whole object as the patch's inputs.
        inputs = patches.pruned(patched.outputs, call.inputs_before or patched.outputs)
        manager = patches.manager_of(self.state, call, inputs)
        return inputs, patches.outputs_of(patched.outputs, patched, manager)

    def seed(self, cluster: CloudResource, kind: str, body: Props) -> CloudResource:
        """Create an object that existed in a cluster before the program ran; returns it."""
        outputs = self._outputs(body, None)
        kind = graphs.stored(kind)
        resource = self.state.add(CloudResource(kind, cluster.id, self._id(body), dict(body), outputs, origin="seed"))
        controllers.made(self.state, resource)
        return resource

    def _id(self, inputs: Props) -> str:
        name, namespace = text(inputs, "metadata.name"), text(inputs, "metadata.namespace")
        namespaced = self.schemas.namespaced(str(inputs["apiVersion"]), str(inputs["kind"]))
        return f"{namespace}/{name}" if namespaced else name

    def _cluster(self, call: Call) -> CloudResource:
        """The cluster that the provider's kubeconfig points to."""
        server = server_of(self.config_of(call).get("kubeconfig"))
        found = cluster_at(self.state, server)
        if found is None or found.id in self.state.unreachable:
            raise ApiError(f"{_UNREACHABLE}: no cluster answers at {server or '(no server)'}")
        crds.require_conversion(self.state, found.id, patches.target(call.kind))
        finalizers.settle(self.state, found.id)
        if call.op != "delete":
            remains.time_passes(self.state, found.id)
        return found

    def _served(self, cluster: CloudResource, api_version: str, kind: str) -> bool:
        known = self.schemas.custom(api_version, kind)
        builtin = known.builtin if known else self.schemas.knows(api_version, kind)
        return builtin or crds.serves(self.state, cluster.id, api_version, kind)

    def _require_kind(self, cluster: CloudResource, api_version: str, kind: str) -> None:
        if not self._served(cluster, api_version, kind):
            raise ApiError(
                f'no matches for kind "{kind}" in version "{api_version}": the chart that brings its '
                "CustomResourceDefinition has not been installed yet"
            )

    def _outputs(self, inputs: Props, current: CloudResource | None) -> Props:
        outputs = copy.deepcopy(inputs)
        metadata = cast("Props", outputs.setdefault("metadata", {}))
        old = mapping(current.outputs, "metadata") if current else {}
        metadata["uid"] = old.get("uid") or str(uuid.UUID(int=self.state.random.getrandbits(128), version=4))
        metadata["creationTimestamp"] = old.get("creationTimestamp") or "2026-01-01T00:00:00Z"
        metadata["generation"] = int(old.get("generation", 0)) + 1
        metadata["resourceVersion"] = str(int(old.get("resourceVersion", 0)) + 1)
        controllers.complete(self.state, outputs, current)
        return outputs


def _judged(schemas: schema.Schemas, api_version: str, kind: str) -> bool:
    """Custom kinds without a schema are accepted unchecked; misspelt built-in kinds are not."""
    group = api_version.rsplit("/", 1)[0] if "/" in api_version else ""
    builtin_group = "." not in group or group.endswith(".k8s.io")
    return builtin_group or schemas.knows(api_version, kind)


def server_of(kubeconfig: Any) -> str:
    """The server of the current context of a kubeconfig (YAML or JSON text), else an empty string."""
    return _server_of(kubeconfig) if isinstance(kubeconfig, str) else ""


@cache
def _server_of(kubeconfig: str) -> str:
    """Every call has the kubeconfig: reading it was an eighth of the cloud's time."""
    try:
        loaded = yaml.safe_load(kubeconfig)
    except yaml.YAMLError:
        return ""
    if not isinstance(loaded, dict):
        return ""
    config = cast("Props", loaded)
    contexts = {text(c, "name"): text(c, "context.cluster") for c in items(config, "contexts")}
    clusters = {text(c, "name"): text(c, "cluster.server") for c in items(config, "clusters")}
    return clusters.get(contexts.get(text(config, "current-context"), ""), "")


def cluster_at(state: CloudState, server: str) -> CloudResource | None:
    """The cluster that answers at a server address: by its DNS name, or by the IP address that is not switched off."""
    host = server.removeprefix("https://").rstrip("/").split(":")[0]
    for cluster in state.find(CLUSTER):
        endpoints = mapping(cluster.outputs, "controlPlaneEndpointsConfig")
        dns = mapping(endpoints, "dnsEndpointConfig")
        answering = {dns.get("endpoint")} if dns.get("allowExternalTraffic") is True else set[Any]()
        if mapping(endpoints, "ipEndpointsConfig").get("enabled") is not False:
            answering.add(cluster.outputs.get("endpoint"))
        if host and host in answering:
            return cluster
    return None


def _autonamed(inputs: Props) -> bool:
    return mapping(inputs, "metadata.annotations").get(_AUTONAMED) == "true"


def _identity(inputs: Props) -> list[Any]:
    if "metadata" in inputs:
        return [mapping(inputs, "metadata").get("name"), mapping(inputs, "metadata").get("namespace")]
    return [inputs.get("name"), inputs.get("namespace")]


def _not_found(inputs: Props) -> ApiError:
    plural = _plural(str(inputs["apiVersion"]), str(inputs["kind"]))
    return ApiError(f'{plural} "{text(inputs, "metadata.name")}" not found')


def _plural(api_version: str, kind: str) -> str:
    group = api_version.rsplit("/", 1)[0] if "/" in api_version else ""
    return f"{kind.lower()}s" + (f".{group}" if group else "")
