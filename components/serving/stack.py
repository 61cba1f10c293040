"""A serving stack: one layout of one model, in one NVLink domain.

Everything here belongs to one stack and is in a Kubernetes namespace of its own, which makes a teardown finish: a
DynamoGraphDeployment is deleted in the background (foreground deletion makes Dynamo before 1.0.2 recreate what is being
deleted), so its pods, cliques and claims outlive it by a minute. Pulumi waits until a namespace is gone, which it is
only when everything in it is, and deletes the platform's charts afterwards: the operators run until nothing needs them.

The DynamoGraphDeployment's name has a random suffix. On Dynamo 0.7.0 a second one of the same name never starts,
because Grove keeps the first one's generation by name; so every replacement gets a new name. Users reach the stack
through its own Service, whose name is stable.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random

from components.nats_login import NatsLogin, login_secret
from components.network_policies import Specs, network_policies
from components.serving import pod_objects, pod_templates, rollout_warnings
from components.serving.discovery_role import DiscoveryRole
from components.serving.kinds import ComputeDomain, DynamoGraphDeployment
from components.serving.teardown_barrier import DELETE_MINUTES, TeardownBarrier
from manifests import certificates, commands, gcsfuse, graph, graph_api, launch
from reference import gke, naming, outbound, pod_security
from reference.dynamo import DynamoProfile, Gang
from reference.flows import FRONTEND_PORT
from reference.kai import QUEUE_ANNOTATION
from reference.machines import Toleration
from reference.registry import HF_KEY, HF_SECRET
from serving_rules.layout import WORKER_ROLES, Layout, WorkerRole

_NEVER_WAIT = {"pulumi.com/skipAwait": "true"}


class StackOptions(TypedDict):
    """What an environment may set on the pods of a stack, beside what they need."""

    labels: Mapping[str, str]
    """Labels of all pods."""

    annotations: Mapping[str, str]
    """Annotations of all pods."""

    priority_class: str | None
    """Priority class of all pods; None: KAI's, where KAI runs."""

    frontend_environment: Mapping[str, str]
    """Variables of the frontends."""

    certificates: str | None
    """Certificates (PEM) that the frontends trust; None: their image's own."""

    worker_resources: Mapping[str, Mapping[str, str]]
    """`requests` and `limits` of the workers beside their GPUs."""

    sidecar_requests: Mapping[str, str]
    """Requests of the sidecar that reads the bucket; GKE's own where none is given."""

    sidecar_limits: Mapping[str, str]
    """Its limits; none where none is given."""

    security: graph.Security
    """How much the pods may do."""

    volumes: Sequence[graph.ExtraVolume]
    """Volumes of the user's own."""


class BarrierPod(TypedDict):
    """How the pod of a teardown barrier runs (see `teardown_barrier`)."""

    image: str
    """Image with Python."""

    tolerations: list[Toleration]
    """For the taints of its nodes."""

    on_a4x: bool
    """Whether it may run on A4X nodes; else it runs on an amd64 node."""


class ServingStackArgs(TypedDict):
    """Inputs of a `ServingStack`."""

    environment: str
    """Name of the environment (the Pulumi stack), for labels."""

    stack: str
    """Name of the serving stack, at most 22 characters: the prefix of its objects' names."""

    namespace: str
    """Name of its namespace, which no other stack has."""

    barrier: BarrierPod | None
    """The pod that makes a teardown wait if the namespace exists and stays; None: the namespace is created."""

    layout: Layout
    """The layout to serve."""

    profile: DynamoProfile
    """The Dynamo release that the cluster runs."""

    provider: kubernetes.Provider
    """Provider of the domain's cluster."""

    node_pool: pulumi.Input[str]
    """Node pool of the NVLink domain, over whose NVLink prefill and decode exchange the KV cache."""

    tolerations: Sequence[Toleration]
    """For the taints of the pool's nodes."""

    frontend_tolerations: Sequence[Toleration]
    """Of frontends beside these: for the taints of system nodes, if they run there."""

    domain: str
    """Name of the domain in the config; another one means another graph."""

    fabric_tested: bool
    """Whether the domain's fabric is tested before the stack is created."""

    bucket: pulumi.Input[str]
    """Name of the bucket, with the weights below the model's id."""

    service_account: str
    """Name of the pods' Kubernetes service account, which may read the bucket."""

    service_account_annotations: pulumi.Input[Mapping[str, str]]
    """Annotations that Workload Identity needs on that account."""

    queue: pulumi.Input[str] | None
    """KAI queue of the pods; None if KAI does not schedule them."""

    services: Mapping[str, str]
    """Addresses of somebody else's NATS and etcd: the operator writes them into the pods, so others restart them."""

    nats_login: NatsLogin | None
    """With what the pods log in to NATS; None: without a login."""

    image: pulumi.Input[str]
    """Image of the workers (arm64)."""

    frontend_image: pulumi.Input[str]
    """Image of the frontends."""

    frontend_replicas: int
    """Number of frontend pods."""

    frontend_nodes: graph.NodeKind
    """Nodes for the frontends: the domain's A4X nodes (arm64) or the x86 system nodes."""

    gang: Gang
    """Which replicas start together, where the release can say so; another one means another graph."""

    ngc_api_key: pulumi.Input[str] | None
    """NGC API key, a secret: pulls images from nvcr.io; None: no image needs it."""

    hf_token: pulumi.Input[str]
    """Hugging Face token, a secret."""

    rdma: gke.RdmaMode
    """How pods reach the RDMA NICs: an annotation (`multi-network`) or a resource claim (`dranet`)."""

    options: StackOptions
    """What an environment may set on the pods."""

    policies: Specs
    """NetworkPolicies of its namespace; none: every pod of the cluster reaches the stack."""


class ServingStack(pulumi.ComponentResource):
    """A DynamoGraphDeployment that serves one layout, and the objects that it needs."""

    namespace: pulumi.Output[str]
    """The stack's namespace."""

    deployment: pulumi.Output[str]
    """Name of the DynamoGraphDeployment with its random suffix, known once it exists."""

    templates: Mapping[str, pulumi.Output[str]]
    """Mark on the pods of each role (see `pod_templates`)."""

    deployment_uid: pulumi.Output[str]
    """Uid of the DynamoGraphDeployment."""

    service_account: pulumi.Output[str]
    """Name of the Kubernetes service account of the pods."""

    pull_secret: pulumi.Output[str] | None
    """Name of the pull secret for images from nvcr.io; None without a key."""

    url: pulumi.Output[str]
    """Address of the OpenAI-compatible API inside the cluster; stays when the deployment is replaced."""

    def __init__(self, name: str, args: ServingStackArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:serving:ServingStack", name, {}, opts)
        layout, stack, provider = args["layout"], args["stack"], args["provider"]
        profile = args["profile"]
        labels = naming.kubernetes_labels(args["environment"], stack=stack)

        self.namespace = self._namespace(name, args, labels)

        metadata: Any = {"namespace": self.namespace, "labels": labels}
        self.pull_secret = pod_objects.pull_secret(self, name, metadata, args["ngc_api_key"], provider)
        account = kubernetes.core.v1.ServiceAccount(
            f"{name}-service-account",
            metadata={
                "name": args["service_account"],
                "namespace": self.namespace,
                "labels": labels,
                "annotations": args["service_account_annotations"],
            },
            # Pods that need a token ask for it.
            automount_service_account_token=False,
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        # Closed before anything listens.
        isolation = network_policies(self, name, metadata, args["policies"], provider)
        first: list[pulumi.Resource] = [*isolation]
        if profile.frontend_asks_hub:
            first.append(
                kubernetes.core.v1.Secret(
                    f"{name}-hf-token-secret",
                    metadata={"name": HF_SECRET, "namespace": self.namespace, "labels": labels},
                    string_data={HF_KEY: args["hf_token"]},
                    opts=pulumi.ResourceOptions(parent=self, provider=provider),
                )
            )
        if profile.pod_rules:
            first.append(
                DiscoveryRole(
                    f"{name}-discovery",
                    {
                        "environment": args["environment"],
                        "stack": stack,
                        "rules": profile.pod_rules,
                        "provider": provider,
                        "namespace": self.namespace,
                        "service_account": account.metadata["name"],
                    },
                    pulumi.ResourceOptions(parent=self),
                )
            )

        suffix = random.RandomString(
            f"{name}-suffix",
            length=naming.DGD_SUFFIX,
            upper=False,
            special=False,
            # What cannot be changed in place: placement and cliques of the graph.
            keepers={
                "namespace": args["namespace"],
                "domain": args["domain"],
                "shape": layout.shape,
                **({"gang": args["gang"]} if profile.min_available else {}),
            },
            opts=pulumi.ResourceOptions(parent=self),
        )
        deployment = pulumi.Output.concat(stack, "-", suffix.result)

        # Its spec is immutable: a new shape gets a new name, and the old domain is deleted after the graph that uses
        # it.
        domain = ComputeDomain(
            f"{name}-compute-domain",
            metadata={"name": deployment, "namespace": self.namespace, "labels": labels},
            spec={
                "numNodes": layout.nodes,
                "channel": {"resourceClaimTemplate": {"name": pulumi.Output.concat(deployment, "-channel")}},
            },
            opts=pulumi.ResourceOptions(
                parent=self, provider=provider, replace_on_changes=["spec"], delete_before_replace=False
            ),
        )
        rdma_claims = None
        if args["rdma"] == "dranet":
            rdma_claims = pod_objects.rdma_claims(self, name, {**metadata, "name": f"{stack}-rdma"}, provider)
        config_maps: dict[WorkerRole, kubernetes.core.v1.ConfigMap] = {
            role: kubernetes.core.v1.ConfigMap(
                f"{name}-{role}-arguments",
                # Named by content: changed arguments create a new map, and so new pods; the old map is deleted after
                # its pods.
                metadata={
                    "name": f"{stack}-{role}-{naming.content_hash(launch.arguments_file(layout.arguments(role)))}",
                    "namespace": self.namespace,
                    "labels": labels,
                },
                data={launch.ARGUMENTS_KEY: launch.arguments_file(layout.arguments(role))},
                opts=pulumi.ResourceOptions(parent=self, provider=provider, delete_before_replace=False),
            )
            for role in WORKER_ROLES
        }
        login = args["nats_login"]
        options, certificate_map = args["options"], None
        if options["certificates"] is not None:
            certificate_map = kubernetes.core.v1.ConfigMap(
                f"{name}-certificates",
                metadata=metadata | {"name": certificates.CONFIG_MAP},
                data={outbound.CA_KEY: options["certificates"]},
                opts=pulumi.ResourceOptions(parent=self, provider=provider),
            ).metadata["name"]
        placement = graph.Placement(
            stack=stack,
            image=args["image"],
            frontend_image=args["frontend_image"],
            frontend_replicas=args["frontend_replicas"],
            frontend_nodes=args["frontend_nodes"],
            node_pool=args["node_pool"],
            bucket=args["bucket"],
            service_account=account.metadata["name"],
            pull_secret=self.pull_secret,
            claim_template=domain.claim_template,
            config_maps={role: config_map.metadata["name"] for role, config_map in config_maps.items()},
            rdma_claim_template=rdma_claims,
            kai=args["queue"] is not None,
            tolerations=args["tolerations"],
            frontend_tolerations=args["frontend_tolerations"],
            labels=options["labels"],
            annotations=options["annotations"],
            priority_class=options["priority_class"],
            frontend_environment=options["frontend_environment"],
            certificates=certificate_map,
            worker_resources=options["worker_resources"],
            sidecar=gcsfuse.sidecar(options["sidecar_requests"], options["sidecar_limits"]),
            security=options["security"],
            volumes=options["volumes"],
            gang=args["gang"],
            nats_secret=None if login is None else login_secret(self, name, login, metadata, provider),
        )
        annotations: dict[str, pulumi.Input[str]] = {
            **({} if args["queue"] is None else {QUEUE_ANNOTATION: args["queue"]}),
            "pulumi.com/deletionPropagationPolicy": "background",
            # Its status is no signal (see `readiness_check`); the readiness check waits for its pods.
            **_NEVER_WAIT,
        }
        stamped = pod_templates.stamp(
            self,
            name,
            graph.describe(layout, placement, profile),
            {"api": profile.graph_api, "queue": args["queue"], **args["services"]},
            profile,
        )
        deployed = DynamoGraphDeployment(
            f"{name}-graph",
            api_version=profile.graph_api,
            metadata={
                "name": deployment,
                "namespace": self.namespace,
                "labels": labels,
                "annotations": annotations,
            },
            spec=graph_api.write(stamped.graph, profile.graph_api),
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=provider,
                # The pods use the token's secret, the role and the isolation; the graph uses no output of these.
                depends_on=first,
                # A domain has no room for old and new pods at once.
                delete_before_replace=True,
                hooks=rollout_warnings.of_graph(name, stack),
                custom_timeouts=pulumi.CustomTimeouts(delete=f"{DELETE_MINUTES}m"),
            ),
        )
        service = kubernetes.core.v1.Service(
            f"{name}-service",
            # Without skipAwait Pulumi waits for endpoints, which exist only when the model is loaded.
            metadata={
                "name": commands.service_name(stack),
                "namespace": self.namespace,
                "labels": labels,
                "annotations": _NEVER_WAIT,
            },
            spec={
                "type": "ClusterIP",
                "selector": {
                    naming.STACK_LABEL: stack,
                    "nvidia.com/dynamo-component-type": "frontend",
                },
                "ports": [{"name": "http", "port": FRONTEND_PORT, "target_port": FRONTEND_PORT}],
            },
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        self.deployment = deployed.metadata["name"]
        self.deployment_uid = deployed.metadata.apply(lambda metadata: str(metadata.get("uid", "")))
        self.templates = stamped.marks
        self.service_account = account.metadata["name"]
        self.url = pulumi.Output.format(
            "http://{0}.{1}.svc.cluster.local:{2}", service.metadata["name"], self.namespace, FRONTEND_PORT
        )
        self.register_outputs({"namespace": self.namespace, "deployment": self.deployment, "url": self.url})

    def _namespace(self, name: str, args: ServingStackArgs, labels: Mapping[str, str]) -> pulumi.Output[str]:
        """The stack's namespace, with what announces its changes (see `rollout_warnings`); one of somebody else with a
        barrier in it.
        """
        annotations = {
            **rollout_warnings.place(args["layout"].shape, args["domain"]),
            **({rollout_warnings.FABRIC: args["domain"]} if args["fabric_tested"] else {}),
        }
        options = pulumi.ResourceOptions(
            parent=self,
            provider=args["provider"],
            custom_timeouts=pulumi.CustomTimeouts(delete=f"{DELETE_MINUTES}m"),
            hooks=rollout_warnings.of_namespace(name, args["stack"]),
        )
        if args["barrier"] is None:
            return kubernetes.core.v1.Namespace(
                f"{name}-namespace",
                metadata={
                    "name": args["namespace"],
                    "labels": {**labels, **pod_security.labels("stack")},
                    "annotations": annotations,
                },
                opts=options,
            ).metadata["name"]
        # Read under the name of one of ours: the engine then gives up one that it created in an earlier run.
        existing = kubernetes.core.v1.Namespace.get(
            f"{name}-namespace",
            args["namespace"],
            pulumi.ResourceOptions(parent=self, provider=args["provider"]),
        )
        # The annotations of a namespace are its owner's.
        kubernetes.core.v1.ConfigMap(
            f"{name}-placement",
            metadata={
                "name": f"{args['stack']}-placement",
                "namespace": existing.metadata["name"],
                "labels": labels,
                "annotations": annotations,
            },
            opts=options,
        )
        return TeardownBarrier(
            f"{name}-barrier",
            {
                "environment": args["environment"],
                "stack": args["stack"],
                "namespace": existing.metadata["name"],
                "provider": args["provider"],
                **args["barrier"],
            },
            pulumi.ResourceOptions(parent=self),
        ).namespace
