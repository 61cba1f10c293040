"""Access to a created or adopted cluster: kubeconfig and Kubernetes provider."""

from __future__ import annotations

import json

import pulumi
import pulumi_kubernetes as kubernetes


def kubeconfig(context: str, server: str, ca_certificate: str | None) -> str:
    """A kubeconfig (JSON, which is YAML) that gets its token from gke-gcloud-auth-plugin and holds no credential.

    `server` is a host name or address without a scheme. `ca_certificate` is the cluster's own CA in base64;
    None for the DNS endpoint, whose certificate is signed by a public CA.
    """
    cluster: dict[str, str] = {"server": f"https://{server}"}
    if ca_certificate is not None:
        cluster["certificate-authority-data"] = ca_certificate
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": context, "cluster": cluster}],
        "contexts": [{"name": context, "context": {"cluster": context, "user": context}}],
        "current-context": context,
        "users": [
            {
                "name": context,
                "user": {
                    "exec": {
                        "apiVersion": "client.authentication.k8s.io/v1beta1",
                        "command": "gke-gcloud-auth-plugin",
                        "installHint": "Install it with: gcloud components install gke-gcloud-auth-plugin",
                        "interactiveMode": "IfAvailable",
                        "provideClusterInfo": True,
                    }
                },
            }
        ],
    }
    return json.dumps(document, sort_keys=True)


def context(project: str, location: str, name: str) -> str:
    """The context's name, as `gcloud container clusters get-credentials` writes it."""
    return f"gke_{project}_{location}_{name}"


def provider(
    name: str, config: pulumi.Output[str], cluster_id: pulumi.Output[str], parent: pulumi.Resource
) -> kubernetes.Provider:
    """The provider of one cluster.

    Only a change of `cluster_id` replaces the provider, and with it every object in the cluster; without it a changed
    endpoint would count as another cluster.
    """
    return kubernetes.Provider(
        f"{name}-kubernetes",
        kubeconfig=config,
        cluster_identifier=cluster_id,
        enable_server_side_apply=True,
        # A new key or token updates the secret that pods use, which otherwise would be deleted and recreated.
        enable_secret_mutable=True,
        opts=pulumi.ResourceOptions(parent=parent),
    )
