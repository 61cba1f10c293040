"""The tests of NVLink domains, each before the stacks of its domain."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulumi

from components.serving.fabric_test import FabricTest
from program.infrastructure import Infrastructure
from program.isolation import isolation
from program.security import security
from serving_rules import layout
from settings import Secrets, Settings
from settings.model import Stack


def build_fabric_tests(
    settings: Settings, secrets: Secrets, infrastructure: Infrastructure, software: Sequence[pulumi.Resource]
) -> Mapping[str, FabricTest]:
    """A test of each domain that has `fabricTest` and a stack; `software` must run on its nodes before."""
    first = {stack.domain: stack for stack in reversed(settings.stacks)}
    tests: dict[str, FabricTest] = {}
    for domain in settings.domains:
        asked, stack, pool = domain.fabric_test, first.get(domain.name), infrastructure.domains[domain.name]
        if asked is None or stack is None:
            continue
        own = [pool] if isinstance(pool, pulumi.Resource) else []
        tests[domain.name] = FabricTest(
            f"fabric-{domain.name}",
            {
                "environment": settings.environment,
                "domain": domain.name,
                "node_pool": pool.node_pool_name,
                "tolerations": domain.tolerations,
                "nodes": domain.tested_nodes,
                "all_gather": asked.all_gather,
                "all_reduce": asked.all_reduce,
                "image": settings.mirrors.of(stack.image or settings.profile_of(stack).image),
                "variables": _nccl_variables(settings, stack),
                "privileged": security(settings, stack).privileged_workers,
                "root_image": not settings.profile_of(stack).sglang_image,
                "rdma": settings.cluster.rdma,
                "ngc_api_key": secrets.ngc_api_key,
                "policies": isolation(settings, "fabric-test", infrastructure),
                "provider": infrastructure.cluster.provider,
            },
            pulumi.ResourceOptions(depends_on=[*own, *software]),
        )
    return tests


def _nccl_variables(settings: Settings, stack: Stack) -> Mapping[str, str]:
    """NCCL variables of the stack's decode workers, the role that spans the most nodes."""
    chosen = layout.resolve(stack.layout, settings.profile_of(stack), stack.overrides)
    return {name: value for name, value in chosen.environment("decode").items() if name.startswith("NCCL_")}
