"""One serving stack: its identity, the stack itself, and the benchmark client."""

from __future__ import annotations

from typing import Any

import pulumi

from components.serving.benchmark import BenchmarkClient
from components.serving.readiness_check import ReadinessCheck
from components.serving.stack import BarrierPod, ServingStack, StackOptions
from manifests import commands, graph
from manifests.graph import ExtraVolume
from program.bucket_access import bucket_access
from program.infrastructure import Infrastructure
from program.isolation import isolation
from program.outbound import frontend_variables
from program.platform import Platform
from program.security import security
from reference import naming
from reference.registry import PYTHON_IMAGE
from serving_rules import layout
from settings import Secrets, Settings
from settings.model import Stack


def build_stack(
    settings: Settings, secrets: Secrets, stack: Stack, infrastructure: Infrastructure, platform: Platform
) -> dict[str, Any]:
    """Build `stack`; returns its outputs for the user."""
    profile = settings.profile_of(stack)
    chosen = layout.resolve(stack.layout, profile, stack.overrides)
    node_pool = infrastructure.domains[stack.domain].node_pool_name
    [tolerations] = [domain.tolerations for domain in settings.domains if domain.name == stack.domain]
    beside = settings.said_tolerations if stack.frontend.placement == "system" else []
    test = platform.fabric_tests.get(stack.domain)
    mirrors = settings.mirrors
    frontend_image = mirrors.of(stack.frontend.image or profile.image)
    frontends = stack.frontend.replicas or chosen.file.frontend.replicas
    identity = bucket_access(
        f"{stack.name}-identity",
        settings,
        infrastructure,
        access="read",
        namespace=stack.space,
        service_account=naming.SERVING_ACCOUNT,
    )
    small_pod: BarrierPod = {
        "image": mirrors.of(PYTHON_IMAGE),
        "tolerations": settings.system_tolerations,
        "on_a4x": settings.system_on_a4x,
    }
    built = ServingStack(
        stack.name,
        {
            "environment": settings.environment,
            "stack": stack.name,
            "namespace": stack.space,
            "barrier": None if settings.namespaces.create else small_pod,
            "layout": chosen,
            "profile": profile,
            "provider": infrastructure.cluster.provider,
            "node_pool": node_pool,
            "tolerations": tolerations,
            "frontend_tolerations": beside,
            "domain": stack.domain,
            "fabric_tested": test is not None,
            "bucket": infrastructure.bucket,
            "service_account": naming.SERVING_ACCOUNT,
            "service_account_annotations": identity.annotations,
            "queue": platform.queue,
            "services": settings.dynamo.parts.addresses,
            "nats_login": platform.nats_login,
            "image": mirrors.of(stack.image or profile.image),
            "frontend_image": frontend_image,
            "frontend_replicas": frontends,
            "frontend_nodes": stack.frontend.placement,
            "gang": stack.gang,
            "ngc_api_key": secrets.ngc_api_key,
            "hf_token": secrets.hf_token,
            "rdma": settings.cluster.rdma,
            "options": _options(settings, stack),
            "policies": isolation(settings, "stack", infrastructure, stack),
        },
        pulumi.ResourceOptions(depends_on=[*platform.ready, *([test] if test else [])]),
    )
    facts: dict[str, Any] = {
        "namespace": built.namespace,
        "deployment": built.deployment,
        "endpoint": built.url,
        "model": chosen.model,
        "gpus": chosen.gpus,
        "request": commands.request(stack.name, stack.space, chosen),
        "logs": commands.logs(stack.name, stack.space),
    }
    if stack.wait:
        workers = {role: chosen.workers(role) for role in layout.WORKER_ROLES}
        replicas = {"frontend": frontends, **{role: one.replicas for role, one in workers.items()}}
        ReadinessCheck(
            f"{stack.name}-readiness",
            {
                "environment": settings.environment,
                "stack": stack.name,
                "provider": infrastructure.cluster.provider,
                "namespace": built.namespace,
                "deployment": built.deployment,
                "deployment_uid": built.deployment_uid,
                "replicas": replicas,
                "pods_per_replica": {"frontend": 1, **{role: one.nodes_per_replica for role, one in workers.items()}},
                "minimum": {
                    role: graph.gang_replicas(role, count, stack.gang) if profile.min_available else count
                    for role, count in replicas.items()
                },
                "templates": built.templates,
                "url": built.url,
                "model": chosen.model,
                "deadline_minutes": stack.readiness.deadline_minutes,
                "unschedulable_minutes": stack.readiness.unschedulable_minutes,
                **small_pod,
            },
        )
        facts["readiness"] = commands.readiness(stack.space)
    if stack.benchmark:
        client = BenchmarkClient(
            f"{stack.name}-bench",
            {
                "environment": settings.environment,
                "stack": stack.name,
                "layout": chosen,
                "provider": infrastructure.cluster.provider,
                "namespace": built.namespace,
                "image": frontend_image,
                "nodes": stack.frontend.placement,
                "node_pool": node_pool,
                "tolerations": [*tolerations, *beside],
                "bucket": infrastructure.bucket,
                "service_account": built.service_account,
                "pull_secret": built.pull_secret,
            },
        )
        facts["benchmark"] = client.commands
    return facts


def _options(settings: Settings, stack: Stack) -> StackOptions:
    resources = stack.resources
    worker = resources.worker
    return {
        "labels": settings.metadata.pod_labels,
        "annotations": settings.metadata.pod_annotations,
        "priority_class": stack.priority_class,
        "frontend_environment": {**frontend_variables(settings), **stack.frontend.environment},
        "certificates": settings.pods.ca_bundle,
        "worker_resources": {
            part: said for part, said in (("requests", worker.requests), ("limits", worker.limits)) if said
        },
        "sidecar_requests": resources.gcsfuse.requests,
        "sidecar_limits": resources.gcsfuse.limits,
        "security": security(settings, stack),
        "volumes": [
            ExtraVolume(volume.name, volume.mount_path, volume.source, volume.read_only, volume.roles)
            for volume in stack.volumes
        ],
    }
