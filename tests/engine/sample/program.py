"""A bucket and a grant, a cluster, a provider, a namespace with objects, a release, a queue, a random suffix."""

from __future__ import annotations

import json
from typing import Any

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as kubernetes
import pulumi_random as random

config = pulumi.Config()

bucket = gcp.storage.Bucket("bucket", name="sample-weights", location="us-central1")
account = gcp.serviceaccount.Account("account", account_id="sample-pods")
gcp.storage.BucketIAMMember("grant", bucket=bucket.name, role="roles/storage.objectViewer", member=account.member)
cluster = gcp.container.Cluster(
    "cluster", name="sample", location="us-central1", initial_node_count=1, deletion_protection=False
)


def write(values: list[Any]) -> str:
    endpoint, certificate = values
    return json.dumps(
        {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [
                {
                    "name": "c",
                    "cluster": {"server": f"https://{endpoint}", "certificate-authority-data": certificate},
                }
            ],
        }
    )


kubeconfig = pulumi.Output.secret(
    pulumi.Output.all(cluster.endpoint, cluster.master_auth.cluster_ca_certificate).apply(write)
)
provider = kubernetes.Provider("provider", kubeconfig=kubeconfig, cluster_identifier=cluster.id)
options = pulumi.ResourceOptions(provider=provider)
suffix = random.RandomString("suffix", length=4, special=False, keepers={"by": config.get("suffix") or ""})
namespace = kubernetes.core.v1.Namespace("namespace", metadata={"name": "sample"}, opts=options)
settings = kubernetes.core.v1.ConfigMap(
    "settings",
    metadata={"name": pulumi.Output.concat("settings-", suffix.result), "namespace": namespace.metadata["name"]},
    data={"text": config.get("text") or "one"},
    opts=options,
)
secret = kubernetes.core.v1.Secret(
    "secret",
    metadata={"namespace": namespace.metadata["name"]},
    string_data={"token": config.require_secret("token")},
    opts=options,
)
crds = kubernetes.helm.v3.Release(
    "crds",
    chart="https://charts.example/dynamo-crds-0.7.0.tgz",
    name="dynamo-crds",
    namespace="default",
    opts=options,
)
platform = kubernetes.helm.v3.Release(
    "platform",
    chart="https://charts.example/dynamo-platform-0.7.0.tgz",
    name="dynamo-platform",
    namespace=namespace.metadata["name"],
    values={"kai-scheduler": {"enabled": True}},
    opts=pulumi.ResourceOptions(provider=provider, depends_on=[crds]),
)
kubernetes.apiextensions.CustomResource(
    "queue",
    api_version="scheduling.run.ai/v2",
    kind="Queue",
    metadata={"name": "sample"},
    spec={"resources": {"gpu": {"quota": -1}}},
    opts=pulumi.ResourceOptions(provider=provider, depends_on=[platform]),
)

pulumi.export("bucket", bucket.url)
pulumi.export("kubeconfig", kubeconfig)
pulumi.export("settings", settings.metadata["name"])
pulumi.export("token", secret.string_data)
