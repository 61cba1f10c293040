"""DeepSeek-R1 on NVIDIA Dynamo and SGLang on A4X (GB200 NVL72) GKE: the whole environment of one Pulumi stack.

settings -> ground (cluster, NVLink domains, bucket) -> shared (drivers, Dynamo, queues, weights) -> serving stacks
-> guard -> outputs. Everything is validated before the first resource is registered.
"""

from __future__ import annotations

import gc

import pulumi

import settings as config
from wiring import build_ground, build_guard, build_shared, build_stack, delete_first, remembered

# The provider SDKs are imported as they are used, a million objects that all stay: looking for garbage among them
# takes a quarter of a preview (docs/performance.md).
gc.set_threshold(100_000, 20, 20)

settings, secrets = config.load()

delete_first()
registered = remembered()
ground = build_ground(settings)
shared = build_shared(settings, secrets, ground)
stacks = {stack.name: build_stack(settings, secrets, stack, ground, shared) for stack in settings.stacks}
build_guard(settings, ground, shared.parts, registered)

pulumi.export("cluster", ground.cluster.name)
pulumi.export("kubeconfig", ground.cluster.kubeconfig)
pulumi.export("modelBucket", pulumi.Output.concat("gs://", ground.bucket.bucket_name))
pulumi.export("nodePools", {name: domain.node_pool_name for name, domain in ground.domains.items()})
pulumi.export("stacks", stacks)
if shared.fabric_tests:
    pulumi.export("fabricTests", {domain: test.logs for domain, test in shared.fabric_tests.items()})
