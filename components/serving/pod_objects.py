"""Objects that GPU pods reference in their namespace, one of each."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes

from manifests.gpu_pod import RDMA_CLAIM
from reference import gke
from reference.registry import PULL_SECRET, docker_config_json


def pull_secret(
    parent: pulumi.Resource,
    name: str,
    metadata: Any,
    ngc_api_key: pulumi.Input[str] | None,
    provider: kubernetes.Provider,
) -> pulumi.Output[str] | None:
    """Create the pull secret for nvcr.io; returns its name, or None without a key. `metadata` has namespace and
    labels.
    """
    if ngc_api_key is None:
        return None
    secret = kubernetes.core.v1.Secret(
        f"{name}-nvcr-secret",
        metadata=metadata | {"name": PULL_SECRET},
        type="kubernetes.io/dockerconfigjson",
        string_data={".dockerconfigjson": pulumi.Output.from_input(ngc_api_key).apply(docker_config_json)},
        opts=pulumi.ResourceOptions(parent=parent, provider=provider),
    )
    return secret.metadata["name"]


def rdma_claims(
    parent: pulumi.Resource,
    name: str,
    metadata: Any,
    provider: kubernetes.Provider,
) -> pulumi.Output[str]:
    """Create the template of claims on all RDMA NICs of a node, of GKE DRANET's device class; returns its name."""
    template = kubernetes.resource.v1.ResourceClaimTemplate(
        f"{name}-rdma-claims",
        metadata=metadata,
        spec={
            "spec": {
                "devices": {
                    "requests": [
                        {
                            "name": RDMA_CLAIM,
                            "exactly": {"device_class_name": gke.DRANET_CLASS, "allocation_mode": "All"},
                        }
                    ]
                }
            }
        },
        opts=pulumi.ResourceOptions(parent=parent, provider=provider),
    )
    return template.metadata["name"]
