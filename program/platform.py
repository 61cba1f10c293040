"""What all serving stacks of an environment share: node software, DRA driver, KAI, Dynamo, queues, weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

from components import platform
from components.nats_login import NatsLogin
from components.serving.fabric_test import FabricTest
from program.bucket_access import bucket_access
from program.encryption import usable_key
from program.fabric import build_fabric_tests
from program.guard import platform_use
from program.infrastructure import Infrastructure
from program.isolation import isolation
from program.outbound import download_variables
from reference import kai, naming
from reference.registry import PYTHON_IMAGE
from serving_rules import layout
from settings import Secrets, Settings
from settings.model import CreateCluster, CreateDraDriver, CreateDynamo, CreateKai, NoKai


@dataclass(frozen=True)
class Platform:
    """What a serving stack needs beside its domain and the bucket."""

    queue: pulumi.Output[str] | None
    """KAI's queue for the stacks' pods; None if KAI does not schedule them."""
    ready: Sequence[pulumi.Resource]
    """What must run from a stack's first pod to its last; a stack uses no output of it."""
    nats_login: NatsLogin | None
    """With what the stacks' pods log in to NATS; None: without a login."""
    parts: Mapping[platform.Part, platform.OwnedPart]
    """What other environments on the cluster may use."""
    fabric_tests: Mapping[str, FabricTest]
    """Fabric tests by domain; they run before the domain's stacks."""


def build_platform(settings: Settings, secrets: Secrets, infrastructure: Infrastructure) -> Platform:
    """Install what the settings do not adopt."""
    provider, profile = infrastructure.cluster.provider, settings.profile
    install_nccl = settings.node_software.install_nccl
    ready: list[pulumi.Resource] = []
    if isinstance(settings.cluster, CreateCluster):
        if settings.isolation.rdma:
            ready.append(
                platform.RdmaAdmission(
                    "rdma-admission",
                    {"environment": settings.environment, "provider": provider},
                    # Deleted before what it guards.
                    pulumi.ResourceOptions(depends_on=infrastructure.device_networks),
                )
            )
        ready.append(
            platform.GibInstaller(
                "gib",
                {
                    "environment": settings.environment,
                    "provider": provider,
                    "node_pools": [f"{d.name}@{d.zone}/{d.reservation}" for d in settings.created_domains],
                    "version": settings.node_software.gib_version or profile.gib_version,
                    "mirrors": settings.mirrors,
                    "install_nccl": profile.install_nccl if install_nccl is None else install_nccl,
                },
                # It waits for all their nodes, and is deleted before them; it uses no output of theirs (see
                # `replacement`).
                pulumi.ResourceOptions(depends_on=infrastructure.pools),
            )
        )
    record = platform.ReleaseRecord(
        "dynamo-record",
        {
            "environment": settings.environment,
            "provider": provider,
            "profile": profile,
            "stacks": [stack.name for stack in settings.stacks],
        },
    )
    use = platform_use(settings, provider)
    parts: dict[platform.Part, platform.OwnedPart] = {}
    if isinstance(settings.dra_driver, CreateDraDriver):
        driver = _dra_driver(settings, settings.dra_driver.version, secrets, infrastructure)
        parts["dra-driver"] = platform.OwnedPart([driver], driver.namespace)
    scheduler: list[pulumi.Resource] = []
    if isinstance(settings.kai, CreateKai):
        parts["kai"] = _kai(settings, settings.kai.version, secrets, infrastructure)
        scheduler += parts["kai"].resources
    queue = None
    if not isinstance(settings.kai, NoKai):
        queues = platform.ServingQueues(
            "queues",
            {"environment": settings.environment, "provider": provider},
            # KAI installs kind and webhook; a queue uses no output of it.
            pulumi.ResourceOptions(depends_on=[*use, *scheduler]),
        )
        queue = queues.queue
    login: NatsLogin | None = None
    if settings.dynamo.nats_user is not None:
        login = {"user": settings.dynamo.nats_user, "password": secrets.nats_password}
    if isinstance(settings.dynamo, CreateDynamo):
        installed = _dynamo(settings, settings.dynamo, secrets, infrastructure, [*scheduler, record])
        parts["dynamo"] = platform.OwnedPart([installed], installed.namespace_name, profile.line)
        login = installed.nats_login or login
    made = [resource for part in parts.values() for resource in part.resources]
    # Fabric tests need only node software, so they run while the rest is installed and the weights are downloaded.
    software = [*use, *ready]
    if "dra-driver" in parts:
        software += parts["dra-driver"].resources
    tests = build_fabric_tests(settings, secrets, infrastructure, software)
    return Platform(queue, [*use, *ready, *made, *_downloads(settings, secrets, infrastructure)], login, parts, tests)


def _dra_driver(
    settings: Settings, version: str, secrets: Secrets, infrastructure: Infrastructure
) -> platform.DraDriver:
    nodes = [domain.nodes for domain in infrastructure.domains.values()]
    args: platform.DraDriverArgs = {
        "environment": settings.environment,
        "provider": infrastructure.cluster.provider,
        "version": version,
        "namespace": settings.namespaces.dra_driver,
        "create_namespace": settings.namespaces.create,
        "policies": isolation(settings, "dra-driver", infrastructure),
        "nodes": pulumi.Output.all(*nodes).apply(sum),
        "node_pools": infrastructure.pools,
        "chart_source": settings.dynamo.chart_source,
        "mirrors": settings.mirrors,
        "chart_key": secrets.ngc_api_key if settings.dynamo.chart_login else None,
        "tolerations": settings.tolerations,
        "system_tolerations": settings.system_tolerations,
    }
    # Its controller runs on a system node.
    return platform.DraDriver("dra-driver", args, pulumi.ResourceOptions(depends_on=infrastructure.system_nodes))


def _operators_nodes(settings: Settings, infrastructure: Infrastructure) -> list[pulumi.Resource]:
    """Nodes for operators, and for Helm's delete hooks: system nodes, and A4X nodes if tolerated."""
    return [*infrastructure.system_nodes, *(infrastructure.pools if settings.system_on_a4x else ())]


def _kai(settings: Settings, version: str, secrets: Secrets, infrastructure: Infrastructure) -> platform.OwnedPart:
    dynamo = settings.dynamo
    args: platform.KaiSchedulerArgs = {
        "environment": settings.environment,
        "version": version,
        "namespace": settings.namespaces.kai,
        "create_namespace": settings.namespaces.create,
        "policies": isolation(settings, "kai", infrastructure),
        "chart": kai.address(dynamo.chart_source, version),
        "provider": infrastructure.cluster.provider,
        "kubeconfig": infrastructure.cluster.kubeconfig,
        "cluster_identifier": infrastructure.cluster.identifier,
        # KAI's own registry does not accept an NGC key.
        "chart_key": secrets.ngc_api_key if dynamo.chart_login and dynamo.chart_source else None,
        "mirrors": settings.mirrors,
        "system_tolerations": settings.system_tolerations,
    }
    # Its pods need nodes.
    options = pulumi.ResourceOptions(depends_on=_operators_nodes(settings, infrastructure))
    installed = platform.KaiScheduler("kai", args, options)
    return platform.OwnedPart([installed], installed.namespace)


def _dynamo(
    settings: Settings,
    dynamo: CreateDynamo,
    secrets: Secrets,
    infrastructure: Infrastructure,
    before: Sequence[pulumi.Resource],
) -> platform.DynamoPlatform:
    profile = settings.profile
    return platform.DynamoPlatform(
        "dynamo",
        {
            "environment": settings.environment,
            "profile": profile,
            "pod_metadata": {
                field: said
                for field, said in (
                    ("labels", settings.metadata.pod_labels),
                    ("annotations", settings.metadata.pod_annotations),
                )
                if said
            },
            "parts": dynamo.parts,
            "nats_login": dynamo.nats_login if profile.nats_login else "none",
            "kai": not isinstance(settings.kai, NoKai),
            "before": before,
            "namespace": dynamo.namespace,
            "create_namespace": settings.namespaces.create,
            "policies": isolation(settings, "dynamo", infrastructure),
            "provider": infrastructure.cluster.provider,
            "chart_source": dynamo.chart_source,
            "chart_key": secrets.ngc_api_key if dynamo.chart_login else None,
            "ngc_api_key": secrets.ngc_api_key,
            "mirrors": settings.mirrors,
            "on_a4x": settings.system_on_a4x,
            "system_tolerations": settings.system_tolerations,
            "storage_class": dynamo.storage_class,
            "volume_key": _volume_key(settings, infrastructure),
        },
        # Its pods need nodes.
        pulumi.ResourceOptions(depends_on=_operators_nodes(settings, infrastructure)),
    )


def _volume_key(settings: Settings, infrastructure: Infrastructure) -> pulumi.Input[str] | None:
    """The key of volumes. They have the agent of boot disks, so one key for both is granted once."""
    chosen = settings.encryption
    if chosen.volumes is not None and chosen.volumes == chosen.disks:
        return infrastructure.disk_key
    return usable_key("volumes", settings, infrastructure.grants, infrastructure.project)


def _downloads(settings: Settings, secrets: Secrets, infrastructure: Infrastructure) -> list[pulumi.Resource]:
    """One download for each model that the stacks serve, if the settings ask for it."""
    if not settings.model_bucket.download:
        return []
    downloads: list[pulumi.Resource] = []
    for model in sorted({layout.load(stack.layout).model for stack in settings.stacks}):
        name = f"download-{naming.content_hash(model)}"
        own = f"{naming.DOWNLOAD_NAMESPACE}-{settings.environment}-{naming.content_hash(model)}"
        namespace = settings.namespaces.downloads or own
        identity = bucket_access(
            f"{name}-identity",
            settings,
            infrastructure,
            access="write",
            namespace=namespace,
            service_account=naming.DOWNLOAD_ACCOUNT,
        )
        downloads.append(
            platform.ModelDownload(
                name,
                {
                    "environment": settings.environment,
                    "model": model,
                    "provider": infrastructure.cluster.provider,
                    "namespace": namespace,
                    "create_namespace": settings.namespaces.create,
                    "policies": isolation(settings, "download", infrastructure),
                    "service_account": naming.DOWNLOAD_ACCOUNT,
                    "service_account_annotations": identity.annotations,
                    "bucket": infrastructure.bucket,
                    "hf_token": secrets.hf_token,
                    "variables": download_variables(settings),
                    "certificates": settings.pods.ca_bundle,
                    "image": settings.mirrors.of(PYTHON_IMAGE),
                    "tolerations": settings.system_tolerations,
                    "on_a4x": settings.system_on_a4x,
                },
                # The Job runs on a system node (or on A4X if tolerated), and its namespace can be deleted only while
                # GKE's own pods run there.
                pulumi.ResourceOptions(depends_on=_operators_nodes(settings, infrastructure)),
            )
        )
    return downloads
