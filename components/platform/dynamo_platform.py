"""Dynamo itself: operator, NATS, etcd and Grove, one installation per cluster.

Charts are installed as Helm releases, not as rendered objects: they rely on Helm hooks (for the ssh secret without
which the 0.7 operator reconciles nothing), and rendering drops hooks. If KAI runs, a hook also creates the queues
`dynamo-default` and `dynamo`; Helm never deletes them, and nothing here uses them (see `ServingQueues`).

KAI is not part of this release (see `KaiScheduler`): it comes first, because the operator looks for its API group only
once, at start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes
import pulumi_random as random

from components.nats_login import NatsLogin, login_secret
from components.network_policies import Specs, network_policies
from components.platform.chart_login import chart_login
from components.platform.owned_namespace import namespace_for
from components.platform.ssh_secret import ssh_secret
from reference import chart_images, encryption, machines, naming, nats
from reference.dynamo import VOLUME_CLASSES, DynamoProfile
from reference.mirrors import ImageMirrors
from reference.platform_parts import PlatformParts
from reference.registry import PULL_SECRET, docker_config_json

_CRDS_NAMESPACE = "default"
"""Where the recipe installs `dynamo-crds`. The objects are cluster-scoped; only Helm's record is in this namespace."""


class DynamoPlatformArgs(TypedDict):
    """Inputs of a `DynamoPlatform`."""

    environment: str
    """Name of the environment (the Pulumi stack), for labels."""

    profile: DynamoProfile
    """The Dynamo release to install."""

    pod_metadata: Mapping[str, Mapping[str, str]]
    """`labels` and `annotations` of the pods of NATS and etcd."""

    parts: PlatformParts
    """What the release installs, and what is somebody else's."""

    nats_login: nats.Login
    """Whether its NATS, if it installs one, has a generated login, and asks for it."""

    kai: bool
    """Whether KAI runs in the cluster."""

    before: Sequence[pulumi.Resource]
    """What the release is installed after and deleted before: KAI, if the program creates it, and what refuses another
    release."""

    namespace: str
    """Namespace of the platform's own pods."""

    create_namespace: bool
    """Whether the namespace is created; else it exists, and stays."""

    policies: Specs
    """NetworkPolicies of the namespace; none: every pod of the cluster reaches it."""

    provider: kubernetes.Provider
    """Provider of the cluster."""

    chart_source: str | None
    """Mirror of the charts (URL, folder or `oci://`); None: each publisher's own repository."""

    chart_key: pulumi.Input[str] | None
    """NGC key to fetch the charts with; None: without a login, which NVIDIA's repository allows."""

    mirrors: ImageMirrors
    """Mirrors of the charts' images. If Docker Hub has one, the program makes the ssh key for MPI in place of the 0.7
    chart's hook, whose images no value can move."""

    ngc_api_key: pulumi.Input[str] | None
    """NGC API key, a secret: pulls the operator's image from nvcr.io; None: no image needs it."""

    on_a4x: bool
    """Whether its pods may run on A4X nodes."""

    system_tolerations: list[machines.Toleration]
    """Tolerations for every system pod, for clusters whose only nodes are tainted."""

    storage_class: str | None
    """Name of a class that exists, for the volumes of NATS and etcd; None: the cluster's default, or a class that is
    made because the default does not serve."""

    volume_key: pulumi.Input[str] | None
    """Path of the key of those volumes, which Compute Engine's agent may use; None: Google's own."""


class DynamoPlatform(pulumi.ComponentResource):
    """The Dynamo CRDs and the platform release, with Grove on, as far as they are not somebody else's."""

    namespace: pulumi.Output[str]
    """Namespace of the platform, known once the platform runs."""
    namespace_name: pulumi.Output[str]
    """Name of the platform's namespace, known before the platform runs; another one means another platform."""
    nats_login: NatsLogin | None
    """With what pods log in to its NATS; None: there is no login, or NATS is somebody else's."""

    def __init__(self, name: str, args: DynamoPlatformArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:platform:DynamoPlatform", name, {}, opts)
        profile, provider = args["profile"], args["provider"]
        labels = naming.kubernetes_labels(args["environment"])
        login = chart_login(args["chart_key"])
        namespace = namespace_for(
            self, name, args["namespace"], labels, provider, part="dynamo", create=args["create_namespace"]
        )
        # Must exist before the operator starts; the release uses no output of these.
        isolation = network_policies(self, name, {"namespace": namespace, "labels": labels}, args["policies"], provider)
        first: list[pulumi.Resource] = [*args["before"], *isolation]
        metadata: Any = {"namespace": namespace, "labels": labels}
        if args["ngc_api_key"] is not None:
            first.append(
                kubernetes.core.v1.Secret(
                    f"{name}-nvcr-secret",
                    metadata=metadata | {"name": PULL_SECRET},
                    type="kubernetes.io/dockerconfigjson",
                    string_data={
                        ".dockerconfigjson": pulumi.Output.from_input(args["ngc_api_key"]).apply(docker_config_json)
                    },
                    opts=pulumi.ResourceOptions(parent=self, provider=provider),
                )
            )
        if profile.crds_chart is not None and args["parts"].crds:
            first.append(
                kubernetes.helm.v3.Release(
                    f"{name}-crds",
                    name=profile.crds_chart,
                    namespace=_CRDS_NAMESPACE,
                    chart=profile.chart(profile.crds_chart, args["chart_source"]),
                    version=profile.version,
                    repository_opts=login,
                    atomic=True,
                    timeout=600,
                    opts=pulumi.ResourceOptions(parent=self, provider=provider, replacement_trigger=profile.line),
                )
            )
        self.nats_login, nats_secret = None, None
        if args["nats_login"] != "none" and args["parts"].nats is None:
            password = random.RandomPassword(
                f"{name}-nats-password",
                length=nats.PASSWORD_LENGTH,
                numeric=False,
                special=False,
                opts=pulumi.ResourceOptions(parent=self),
            )
            self.nats_login = {"user": nats.USER, "password": password.result}
            if args["nats_login"] == "required":
                nats_secret = login_secret(self, name, self.nats_login, metadata, provider)
        moves_hook = any(args["mirrors"].of(image) != image for image in profile.ssh_key_images)
        values = profile.platform_values(
            PULL_SECRET if args["ngc_api_key"] is not None else None,
            args["system_tolerations"],
            args["kai"],
            self._storage_class(name, args),
            ssh_secret(self, name, metadata, provider) if moves_hook else None,
            parts=args["parts"],
            pod_metadata=args["pod_metadata"],
            nats_secret=nats_secret,
        )
        platform = kubernetes.helm.v3.Release(
            f"{name}-release",
            name=profile.platform_chart,
            namespace=namespace,
            chart=profile.chart(profile.platform_chart, args["chart_source"]),
            version=profile.version,
            repository_opts=login,
            values=chart_images.moved(values, chart_images.of_platform(profile, args["parts"]), args["mirrors"]),
            atomic=True,
            timeout=1200,
            # At start the operator looks for KAI, and exits after two minutes if a Dynamo CRD is missing; the pods
            # reference the pull secret; and nothing listens before it is isolated.
            # A volume keeps its class: Kubernetes refuses another one in a StatefulSet, and Helm undoes the upgrade.
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=provider,
                depends_on=first,
                ignore_changes=list(VOLUME_CLASSES),
                # Helm upgrades neither the CRDs of Grove nor an operator whose values have other names.
                replacement_trigger=profile.line,
            ),
        )
        self.namespace_name = namespace
        self.namespace = platform.status.namespace
        self.register_outputs({"namespace": self.namespace})

    def _storage_class(self, name: str, args: DynamoPlatformArgs) -> pulumi.Input[str] | None:
        """The class of the volumes of NATS and etcd; None: the cluster's default, or there are no volumes."""
        key = args["volume_key"]
        if not args["profile"].makes_volumes(args["parts"]):
            return None
        if args["storage_class"] is not None or not (args["on_a4x"] or key is not None):
            return args["storage_class"]
        # A4X does not support Persistent Disk; the default class of GKE has it.
        kind = "hyperdisk-balanced" if args["on_a4x"] else "pd-balanced"
        storage_class = kubernetes.storage.v1.StorageClass(
            f"{name}-{kind.partition('-')[0]}",
            metadata={
                "name": f"{naming.PROJECT}-{args['environment']}-{kind.partition('-')[0]}",
                "labels": naming.kubernetes_labels(args["environment"]),
            },
            provisioner="pd.csi.storage.gke.io",
            parameters={"type": kind} if key is None else {"type": kind, encryption.VOLUME_PARAMETER: key},
            volume_binding_mode="WaitForFirstConsumer",
            allow_volume_expansion=True,
            opts=pulumi.ResourceOptions(parent=self, provider=args["provider"]),
        )
        return storage_class.metadata["name"]
