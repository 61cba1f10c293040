"""Drives the embedded cloud as the engine does, call by call, without an engine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

from pulumi.provider.experimental import provider as sdk

from rehearsal.simulator import CloudResource, CloudState, EmbeddedCloud
from rehearsal.simulator.provider import inputs_on_record
from rehearsal.simulator.values import Props, dig, props_from_plain, props_to_plain
from rehearsal.simulator.workloads import graphs

PROJECT, REGION, ZONE = "my-project", "us-central1", "us-central1-b"
CLUSTER = "gcp:container/cluster:Cluster"
NODE_POOL = "gcp:container/nodePool:NodePool"
NAMESPACE = "kubernetes:core/v1:Namespace"
RELEASE = "kubernetes:helm.sh/v3:Release"
GRAPH = "kubernetes:nvidia.com/v1alpha1:DynamoGraphDeployment"
BETA_GRAPH = "kubernetes:nvidia.com/v1beta1:DynamoGraphDeployment"
DOMAIN = "kubernetes:resource.nvidia.com/v1beta1:ComputeDomain"
QUEUE = "kubernetes:scheduling.run.ai/v2:Queue"
CONFIG_PATCH = "kubernetes:kai.scheduler/v1:ConfigPatch"
CURRENT_VALUES = {
    "grove": {"install": True, "enabled": True},
    "kai-scheduler": {"install": False, "enabled": True},
}
"""Below `global` in the values of a platform from 1.0 on."""


class CheckError(Exception):
    """The cloud refused inputs at check."""

    def __init__(self, failures: dict[str, str]) -> None:
        super().__init__("; ".join(f"{where}: {why}" for where, why in failures.items()))
        self.failures = failures


class Driver:
    """An embedded cloud with a configured project; `cluster()` adds a cluster and points Kubernetes at it."""

    def __init__(self, *, dynamo_version: str = "0.7.0") -> None:
        self.cloud = EmbeddedCloud(CloudState(seed=7), dynamo_version=dynamo_version)
        self.cloud.gcp.configure("", {"project": PROJECT, "region": REGION})

    @property
    def state(self) -> CloudState:
        return self.cloud.state

    def check(self, kind: str, name: str, inputs: Props, olds: Props | None = None) -> Props:
        """The completed inputs; raises CheckError."""
        request = sdk.CheckRequest(urn(kind, name), props_from_plain(olds or {}), props_from_plain(inputs), b"")
        response = asyncio.run(self.cloud.check(request))
        if response.failures:
            raise CheckError({failure.property: failure.reason for failure in response.failures})
        return props_to_plain(response.inputs or {})

    def create(self, kind: str, name: str, inputs: Props) -> CloudResource:
        """Check and create; returns what is in the world then."""
        checked = self.check(kind, name, inputs)
        request = sdk.CreateRequest(urn(kind, name), props_from_plain(checked), 0, preview=False)
        response = asyncio.run(self.cloud.create(request))
        stored = graphs.stored(kind)
        found = self.state.find(stored, where=lambda resource: resource.id == response.resource_id)
        assert found, f"{kind} {response.resource_id} is not in the world"
        return found[-1]

    def preview(self, kind: str, name: str, inputs: Props) -> Props:
        """The outputs that a preview shows."""
        checked = self.check(kind, name, inputs)
        request = sdk.CreateRequest(urn(kind, name), props_from_plain(checked), 0, preview=True)
        return props_to_plain(asyncio.run(self.cloud.create(request)).properties)

    def diff(self, resource: CloudResource, inputs: Props, ignored: Sequence[str] = ()) -> sdk.DiffResponse:
        """How new inputs differ from those that the object was made with."""
        name = resource.urn.rsplit("::", 1)[-1]
        checked = self.check(resource.kind, name, inputs, resource.inputs)
        token = inputs_on_record.set(resource.inputs)
        try:
            request = sdk.DiffRequest(
                resource.urn, resource.id, props_from_plain(resource.outputs), props_from_plain(checked), list(ignored)
            )
            return asyncio.run(self.cloud.diff(request))
        finally:
            inputs_on_record.reset(token)

    def update(self, resource: CloudResource, inputs: Props, *, preview: bool = False) -> Props:
        """Check and update."""
        checked = self.check(resource.kind, resource.urn.rsplit("::", 1)[-1], inputs, resource.inputs)
        request = sdk.UpdateRequest(
            resource.urn,
            resource.id,
            props_from_plain(resource.outputs),
            props_from_plain(checked),
            timeout=0,
            ignore_changes=[],
            preview=preview,
        )
        return props_to_plain(asyncio.run(self.cloud.update(request)).properties)

    def delete(self, resource: CloudResource) -> None:
        request = sdk.DeleteRequest(resource.urn, resource.id, props_from_plain(resource.outputs), timeout=0)
        asyncio.run(self.cloud.delete(request))

    def read(self, kind: str, id_: str) -> sdk.ReadResponse:
        return asyncio.run(self.cloud.read(sdk.ReadRequest(urn(kind, "x"), id_, {}, {})))

    def invoke(self, token: str, args: Props) -> Props:
        response = asyncio.run(self.cloud.invoke(sdk.InvokeRequest(token, props_from_plain(args))))
        return props_to_plain(response.return_value or {})

    def check_config(self, package: str, inputs: Props) -> dict[str, str]:
        request = sdk.CheckRequest(urn(f"pulumi:providers:{package}", "p"), {}, props_from_plain(inputs), b"")
        response = asyncio.run(self.cloud.check_config(request))
        return {failure.property: failure.reason for failure in response.failures or []}

    # What tests stand on

    def cluster(self, name: str = "a4x", **more: Any) -> CloudResource:
        """Make a cluster and let the Kubernetes provider point to it."""
        inputs = {
            "name": name,
            "location": REGION,
            "deletionProtection": False,
            "initialNodeCount": 1,
            "workloadIdentityConfig": {"workloadPool": f"{PROJECT}.svc.id.goog"},
            **more,
        }
        made = self.create(CLUSTER, name, inputs)
        self.point_to(str(made.outputs["endpoint"]))
        return made

    def point_to(self, host: str) -> None:
        config = {"kubeconfig": kubeconfig(f"https://{host}"), "clusterIdentifier": "c"}
        self.cloud.kubernetes.configure("", config)

    def pool(self, name: str = "a4x-0", nodes: int = 2, **node_config: Any) -> CloudResource:
        """Make an A4X node pool in cluster a4x."""
        inputs = pool_inputs(name, nodes)
        inputs["nodeConfig"].update(node_config)
        return self.create(NODE_POOL, name, inputs)

    def namespace(self, name: str) -> CloudResource:
        return self.kube("v1", "Namespace", name)

    def kube(self, api_version: str, kind: str, name: str, namespace: str = "", **fields: Any) -> CloudResource:
        """Make a Kubernetes object."""
        return self.create(token(api_version, kind), name, kube_inputs(api_version, kind, name, namespace, **fields))

    def release(self, chart: str, namespace: str, version: str = "0.7.0", **fields: Any) -> CloudResource:
        inputs = {
            "name": chart,
            "namespace": namespace,
            "chart": f"https://charts.example/{chart}-{version}.tgz",
            **fields,
        }
        return self.create(RELEASE, chart, inputs)

    def platform(self) -> None:
        """Everything that a graph needs on a cluster with one pool: charts, queues, namespace `serving`."""
        self.cluster()
        self.pool()
        self.release("dynamo-crds", "default")
        self.kai()
        self.namespace("dynamo-cloud")
        self.release("dynamo-platform", "dynamo-cloud", values={"grove": {"enabled": True}})
        self.driver()
        self.namespace("serving")
        self.kube("scheduling.run.ai/v2", "Queue", "root", spec={})
        self.kube("scheduling.run.ai/v2", "Queue", "team", spec={"parentQueue": "root"})

    def current(self, version: str, nodes: int = 2, **values: Any) -> CloudResource:
        """As `platform`, on Dynamo from 1.0 on; returns the platform's release."""
        self.cluster()
        self.pool(nodes=nodes)
        self.kai()
        self.namespace("dynamo-cloud")
        release = self.release("dynamo-platform", "dynamo-cloud", version, values={"global": CURRENT_VALUES, **values})
        self.driver()
        self.namespace("serving")
        self.kube("scheduling.run.ai/v2", "Queue", "team", spec={})
        return release

    def kai(self, version: str = "0.17.0", **values: Any) -> CloudResource:
        """KAI as the program installs it: its release without a shard, its operands, and a shard."""
        self.namespace("kai-scheduler")
        off = {"defaultShard": {"enabled": False}, "defaultQueue": {"createDefaultQueue": False}}
        release = self.release("kai-scheduler", "kai-scheduler", version, values={**off, **values})
        self.operands()
        self.shard()
        return release

    def operands(self) -> None:
        """Wait until KAI's webhooks answer."""
        inputs = kube_inputs("kai.scheduler/v1", "Config", "kai-config")
        inputs["metadata"]["annotations"] = {"pulumi.com/waitFor": "condition=Ready"}
        checked = self.check(CONFIG_PATCH, "operands", inputs)
        request = sdk.CreateRequest(urn(CONFIG_PATCH, "operands"), props_from_plain(checked), 0, preview=False)
        asyncio.run(self.cloud.create(request))

    def shard(self, **args: str) -> CloudResource:
        spec = {"partitionLabelValue": "", "args": {"default-staleness-grace-period": "-1s", **args}}
        return self.kube("kai.scheduler/v1", "SchedulingShard", "default", spec=spec)

    def driver(self) -> CloudResource:
        self.namespace("nvidia-dra-driver-gpu")
        self.kube("v1", "ResourceQuota", "critical", "nvidia-dra-driver-gpu", spec={"hard": {"pods": "37"}})
        return self.release("nvidia-dra-driver-gpu", "nvidia-dra-driver-gpu", "25.12.0")

    def domain(self, name: str = "domain", template: str = "channel", nodes: int = 2) -> CloudResource:
        spec = {"numNodes": nodes, "channel": {"resourceClaimTemplate": {"name": template}}}
        return self.kube("resource.nvidia.com/v1beta1", "ComputeDomain", name, "serving", spec=spec)

    def graph(self, name: str = "r1-abcd", **changes: Any) -> CloudResource:
        return self.create(GRAPH, name, graph_inputs(name, **changes))

    def beta(self, name: str = "r1-abcd", *components: Props, **spec: Any) -> CloudResource:
        """A graph in v1beta1: of one prefill and one decode node, unless other components are given."""
        return self.create(BETA_GRAPH, name, beta_inputs(name, *components, **spec))


def urn(kind: str, name: str) -> str:
    return f"urn:pulumi:test::test::{kind}::{name}"


def token(api_version: str, kind: str) -> str:
    group = f"core/{api_version}" if "/" not in api_version else api_version
    return f"kubernetes:{group}:{kind}"


def kubeconfig(server: str) -> str:
    return json.dumps(
        {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": server}}],
        }
    )


def kube_inputs(api_version: str, kind: str, name: str, namespace: str = "", **fields: Any) -> Props:
    metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}


def pool_inputs(name: str = "a4x-0", nodes: int = 2) -> Props:
    return {
        "name": name,
        "cluster": "a4x",
        "location": REGION,
        "nodeLocations": [ZONE],
        "nodeCount": nodes,
        "nodeConfig": {
            "machineType": "a4x-highgpu-4g",
            "diskType": "hyperdisk-balanced",
            "reservationAffinity": {
                "consumeReservationType": "SPECIFIC_RESERVATION",
                "key": "compute.googleapis.com/reservation-name",
                "values": [f"projects/p/reservations/r/reservationBlocks/b/reservationSubBlocks/{name}"],
            },
        },
    }


TOLERATIONS = [
    {"key": "kubernetes.io/arch", "operator": "Equal", "value": "arm64", "effect": "NoSchedule"},
    {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"},
]


def role(replicas: int = 1, nodes: int = 1, pool: str = "a4x-0", **pod: Any) -> Props:
    """One GPU service of a graph."""
    service: Props = {
        "componentType": "worker",
        "replicas": replicas,
        "resources": {"limits": {"gpu": "4"}},
        "extraPodSpec": {
            "priorityClassName": "inference",
            "nodeSelector": {"cloud.google.com/gke-nodepool": pool},
            "tolerations": TOLERATIONS,
            "mainContainer": {"image": "example/worker:1.0.0"},
            **pod,
        },
    }
    if nodes > 1:
        service["multinode"] = {"nodeCount": nodes}
    return service


def graph_inputs(name: str = "r1-abcd", queue: str = "team", **services: Any) -> Props:
    """A graph of one prefill and one decode node, unless other services are given."""
    inputs = kube_inputs("nvidia.com/v1alpha1", "DynamoGraphDeployment", name, "serving")
    inputs["metadata"]["annotations"] = {"nvidia.com/kai-scheduler-queue": queue}
    inputs["spec"] = {"services": services or {"Prefill": role(), "Decode": role()}}
    return inputs


def component(name: str, replicas: int = 1, nodes: int = 1, pool: str = "a4x-0", **more: Any) -> Props:
    """One component of a graph in v1beta1; GPUs for all but a frontend."""
    worker = name != "Frontend"
    pod: Props = {
        "containers": [{"name": "main", "image": "example/worker:1.5.1"}],
        **({"nodeSelector": {"cloud.google.com/gke-nodepool": pool}, "tolerations": TOLERATIONS} if worker else {}),
    }
    if worker:
        pod["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": "4"}}
    made: Props = {"name": name, "type": name.lower(), "replicas": replicas, "podTemplate": {"spec": pod}, **more}
    return {**made, "multinode": {"nodeCount": nodes}} if nodes > 1 else made


def beta_inputs(name: str = "r1-abcd", *components: Props, **spec: Any) -> Props:
    inputs = kube_inputs("nvidia.com/v1beta1", "DynamoGraphDeployment", name, "serving")
    inputs["metadata"]["annotations"] = {"nvidia.com/kai-scheduler-queue": "team"}
    inputs["spec"] = {"components": list(components or (component("Prefill"), component("Decode"))), **spec}
    return inputs


def state_of(resource: CloudResource) -> str:
    return str(dig(resource.outputs, "status.state"))
