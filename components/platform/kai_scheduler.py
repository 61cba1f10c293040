"""KAI, the scheduler of the GPU pods: one release per cluster, created before the Dynamo platform and deleted after it.

The operator looks for KAI's API group once, at start, so KAI comes first. `helm --wait` ends before KAI works: a hook
of the chart creates the object for which KAI's operator starts webhooks and controllers, and a Queue that is created in
between is rejected ("failed calling webhook", seen on 0.17.0). What depends on this component waits for them.

The SchedulingShard is an object of the program's own and is deleted before the release. The chart's shard would outlive
the release, and Helm does not update an existing one: a leftover shard would silently decide how this installation
schedules. A shard that an earlier installation has left is adopted. That is safe: the release, which comes first, is
rejected while another one owns KAI's cluster-scoped objects.
"""

from __future__ import annotations

from typing import Any, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from components.network_policies import Specs, network_policies
from components.platform.chart_login import chart_login
from components.platform.owned_namespace import namespace_for
from reference import chart_images, kai, machines, naming
from reference.mirrors import ImageMirrors

_READY = {"pulumi.com/waitFor": "condition=Ready"}
_TIMEOUT_SECONDS = 900
"""Time to pull images and start webhooks; seen with images present: 10 s for the release, 2 s for the scheduler."""


class SchedulingShard(kubernetes.apiextensions.CustomResource):
    """Configuration of one KAI scheduler, which KAI's operator runs for it."""

    def __init__(self, name: str, metadata: Any, spec: Any, opts: pulumi.ResourceOptions | None = None) -> None:
        # The SDK leaves two deprecated parameters of this constructor without a type.
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            name, kai.API, "SchedulingShard", spec, metadata, opts
        )


class ConfigPatch(kubernetes.apiextensions.CustomResourcePatch):
    """Fields of KAI's Config, which one hook of the chart creates and another deletes."""

    def __init__(self, name: str, metadata: Any, opts: pulumi.ResourceOptions | None = None) -> None:
        # The SDK leaves two deprecated parameters of this constructor without a type.
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            name, kai.API, "Config", None, metadata, opts
        )


class KaiSchedulerArgs(TypedDict):
    """Inputs of a `KaiScheduler`."""

    environment: str
    """Name of the environment (the Pulumi stack), for labels."""

    version: str
    """Release of KAI, such as 0.17.0."""

    namespace: str
    """Namespace of KAI's own pods."""

    create_namespace: bool
    """Whether the namespace is created; else it exists, and stays."""

    policies: Specs
    """NetworkPolicies of the namespace; none: every pod of the cluster reaches it."""

    chart: str
    """Address of the chart, or of its archive."""

    chart_key: pulumi.Input[str] | None
    """NGC key to fetch the chart with; None: without a login."""

    provider: kubernetes.Provider
    """Provider of the cluster."""

    kubeconfig: pulumi.Input[str]
    """The cluster's kubeconfig, for the provider that adopts a leftover shard."""

    cluster_identifier: pulumi.Input[str]
    """The cluster's identifier, as in `provider`."""

    mirrors: ImageMirrors
    """Mirrors of the chart's images."""

    system_tolerations: list[machines.Toleration]
    """Tolerations for every pod of KAI, for clusters whose only nodes are tainted."""


class KaiScheduler(pulumi.ComponentResource):
    """KAI's release with its SchedulingShard; complete once scheduler and webhooks run."""

    namespace: pulumi.Output[str]
    """Namespace of KAI's own pods."""

    def __init__(self, name: str, args: KaiSchedulerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:platform:KaiScheduler", name, {}, opts)
        provider, labels = args["provider"], naming.kubernetes_labels(args["environment"])
        namespace = namespace_for(
            self, name, args["namespace"], labels, provider, part="kai", create=args["create_namespace"]
        )
        isolation = network_policies(self, name, {"namespace": namespace, "labels": labels}, args["policies"], provider)
        release = kubernetes.helm.v3.Release(
            f"{name}-release",
            name=kai.CHART,
            namespace=namespace,
            chart=args["chart"],
            version=kai.tag(args["version"]),
            repository_opts=chart_login(args["chart_key"]),
            values=chart_images.moved(
                kai.values(args["system_tolerations"]), chart_images.of_kai(args["version"]), args["mirrors"]
            ),
            atomic=True,
            timeout=_TIMEOUT_SECONDS,
            # Nothing listens before it is isolated.
            opts=pulumi.ResourceOptions(parent=self, provider=provider, depends_on=isolation),
        )
        timeouts = pulumi.CustomTimeouts(create=f"{_TIMEOUT_SECONDS}s", update=f"{_TIMEOUT_SECONDS}s")
        ConfigPatch(
            f"{name}-operands",
            metadata={
                "name": kai.CONFIG,
                "labels": labels,
                # A patch waits when it changes (seen): with another version it waits again.
                "annotations": {
                    **_READY,
                    f"{naming.PROJECT}/kai-version": args["version"],
                    # If a create succeeds but is lost, the same field manager then applies it again.
                    "pulumi.com/patchFieldManager": f"{naming.PROJECT}-{args['environment']}",
                },
            },
            # The chart's hook creates the Config that is waited for, and a replaced release creates a new one.
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=provider,
                depends_on=[release],
                replace_with=[release],
                custom_timeouts=timeouts,
            ),
        )
        SchedulingShard(
            f"{name}-shard",
            metadata={
                "name": kai.SHARD,
                "labels": labels,
                # These values override those of an adopted shard; it keeps all others.
                "annotations": {**_READY, "pulumi.com/patchForce": "true"},
            },
            spec=kai.shard_spec(args["version"]),
            # The release installs the kind, and its operator starts and stops the scheduler.
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=self._taking_over(name, args),
                depends_on=[release],
                custom_timeouts=timeouts,
            ),
        )
        self.namespace = namespace
        self.register_outputs({"namespace": self.namespace})

    def _taking_over(self, name: str, args: KaiSchedulerArgs) -> kubernetes.Provider:
        """A second provider of the cluster, for one object: it may create objects that already exist."""
        return kubernetes.Provider(
            f"{name}-taking-over",
            kubeconfig=args["kubeconfig"],
            cluster_identifier=args["cluster_identifier"],
            enable_server_side_apply=True,
            upsert_existing_objects=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
