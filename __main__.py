"""DeepSeek-R1 on NVIDIA Dynamo and SGLang on A4X (GB200 NVL72) GKE: the whole environment of one Pulumi stack.

settings -> infrastructure (cluster, NVLink domains, bucket) -> platform (drivers, Dynamo, queues, weights)
-> serving stacks -> guard -> outputs. Everything is validated before the first resource is registered.
"""

from __future__ import annotations

import gc

import pulumi

import settings as config
from program import (
    add_metadata,
    add_raw_fields,
    build_guard,
    build_infrastructure,
    build_platform,
    build_stack,
    collect_policy_exemptions,
    delete_first,
    track_resources,
)

# The provider SDKs create a million objects that all stay alive; collecting garbage among them takes a quarter of a
# preview (docs/contributing/performance.md).
gc.set_threshold(100_000, 20, 20)

settings, secrets = config.load()

delete_first()
add_metadata(settings)
add_raw_fields(settings)
policies = collect_policy_exemptions(settings)
registered = track_resources()
infrastructure = build_infrastructure(settings)
platform = build_platform(settings, secrets, infrastructure)
stacks = {stack.name: build_stack(settings, secrets, stack, infrastructure, platform) for stack in settings.stacks}
build_guard(settings, infrastructure, platform.parts, registered)

pulumi.export("cluster", infrastructure.cluster.name)
pulumi.export("kubeconfig", infrastructure.cluster.kubeconfig)
pulumi.export("modelBucket", pulumi.Output.concat("gs://", infrastructure.bucket))
pulumi.export("nodePools", {name: domain.node_pool_name for name, domain in infrastructure.domains.items()})
pulumi.export("stacks", stacks)
pulumi.export("policyExemptions", policies)
if platform.nats_login and "dynamo" in platform.parts:
    pulumi.export("natsLogin", pulumi.Output.secret(platform.nats_login))
if not infrastructure.grants.written:
    pulumi.export("iamBindings", infrastructure.grants.commands)
if infrastructure.firewall_rules:
    pulumi.export("firewallRules", infrastructure.firewall_rules)
if platform.fabric_tests:
    pulumi.export("fabricTests", {domain: test.logs for domain, test in platform.fabric_tests.items()})
