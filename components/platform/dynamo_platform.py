"""Dynamo itself: operator, NATS, etcd, Grove and KAI, one installation a cluster.

Charts are installed as Helm releases, not as rendered objects: they do work in Helm hooks (the ssh secret without
which this operator reconciles nothing, KAI's own queues), and rendering drops hooks.
"""

from __future__ import annotations

from typing import TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from components.base import a4x, naming
from components.base.dynamo import DynamoProfile
from components.base.registry import NGC_USER, PULL_SECRET, docker_config_json

_CRDS_NAMESPACE = "default"
"""Where the recipe installs `dynamo-crds`. The objects are cluster-wide; only Helm's record lives there."""


class DynamoPlatformArgs(TypedDict):
    """Inputs of a `DynamoPlatform`."""

    environment: str
    """Name of the environment (the Pulumi stack), for labels."""

    profile: DynamoProfile
    """The Dynamo release to install."""

    namespace: str
    """Namespace of the platform's own pods."""

    provider: kubernetes.Provider
    """Provider of the cluster."""

    chart_source: str
    """URL or folder that holds the chart archives."""

    chart_login: bool
    """Whether the chart archives are fetched with the NGC key (NVIDIA serves them without)."""

    ngc_api_key: pulumi.Input[str]
    """NGC API key, a secret: pulls the operator's image from nvcr.io."""

    system_tolerations: list[a4x.Toleration]
    """Tolerations for every system pod, for clusters whose only nodes are tainted."""


class DynamoPlatform(pulumi.ComponentResource):
    """The Dynamo custom resource definitions and the platform release, with Grove and KAI on."""

    namespace: pulumi.Output[str]
    """Namespace of the platform, known once the platform runs."""

    def __init__(self, name: str, args: DynamoPlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:platform:DynamoPlatform", name, {}, opts)
        profile, provider = args["profile"], args["provider"]
        labels = naming.kubernetes_labels(args["environment"])
        repository: kubernetes.helm.v3.RepositoryOptsArgsDict = (
            {"username": NGC_USER, "password": args["ngc_api_key"]} if args["chart_login"] else {}
        )
        namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata={"name": args["namespace"], "labels": labels},
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        pull_secret = kubernetes.core.v1.Secret(
            f"{name}-nvcr-secret",
            metadata={"name": PULL_SECRET, "namespace": namespace.metadata["name"], "labels": labels},
            type="kubernetes.io/dockerconfigjson",
            string_data={".dockerconfigjson": pulumi.Output.from_input(args["ngc_api_key"]).apply(docker_config_json)},
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        crds = kubernetes.helm.v3.Release(
            f"{name}-crds",
            name=profile.crds_chart,
            namespace=_CRDS_NAMESPACE,
            chart=profile.chart(profile.crds_chart, args["chart_source"]),
            version=profile.version,
            repository_opts=repository,
            atomic=True,
            timeout=600,
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        platform = kubernetes.helm.v3.Release(
            f"{name}-release",
            name=profile.platform_chart,
            namespace=namespace.metadata["name"],
            chart=profile.chart(profile.platform_chart, args["chart_source"]),
            version=profile.version,
            repository_opts=repository,
            values=profile.platform_values(PULL_SECRET, args["system_tolerations"]),
            atomic=True,
            timeout=1200,
            # The operator ends itself two minutes after its start when a Dynamo CRD is missing; the pods name
            # the pull secret. No value of either flows into the release.
            opts=pulumi.ResourceOptions(parent=self, provider=provider, depends_on=[crds, pull_secret]),
        )
        self.namespace = platform.status.namespace
        self.register_outputs({"namespace": self.namespace})
