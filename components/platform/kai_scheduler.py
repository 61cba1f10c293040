"""KAI, the scheduler of the GPU pods: one release a cluster, before the Dynamo platform and after it.

The operator looks for KAI's API group once, when it starts, so KAI comes first. `helm --wait` ends before KAI works:
a hook of the chart writes the object that KAI's operator starts webhooks and controllers for, and a Queue that is made
in between is refused ("failed calling webhook", seen on 0.17.0). What depends on this component waits for them.

The SchedulingShard is an object of the program's own and goes before the release. The chart's would be kept when the
release goes, and Helm does not change one that is there: another installation's shard would decide how this one
schedules, in silence. A shard that an earlier installation has left is taken over. That is safe: the release, which
comes first, is refused while another one owns KAI's cluster-wide objects.
"""

from __future__ import annotations

from typing import Any, TypedDict

import pulumi
import pulumi_kubernetes as kubernetes

from components.platform.chart_login import chart_login
from reference import kai, machines, naming

_READY = {"pulumi.com/waitFor": "condition=Ready"}
_TIMEOUT_SECONDS = 900
"""Until images are pulled and webhooks answer; seen: 10 s for the release and 2 s for the scheduler, images at hand."""


class SchedulingShard(kubernetes.apiextensions.CustomResource):
    """What one scheduler of KAI looks after, and how; KAI's operator runs a scheduler for it."""

    def __init__(self, name: str, metadata: Any, spec: Any, opts: pulumi.ResourceOptions | None = None) -> None:
        # The SDK leaves two deprecated parameters of this constructor without a type.
        super().__init__(  # pyright: ignore[reportUnknownMemberType]
            name, kai.API, "SchedulingShard", spec, metadata, opts
        )


class ConfigPatch(kubernetes.apiextensions.CustomResourcePatch):
    """Fields of KAI's Config, which a hook of the chart makes and another takes away."""

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

    chart: str
    """Address of the chart, or of its archive."""

    chart_key: pulumi.Input[str] | None
    """NGC key to fetch the chart with; None: without a login."""

    provider: kubernetes.Provider
    """Provider of the cluster."""

    kubeconfig: pulumi.Input[str]
    """The cluster's kubeconfig, for the provider that takes over a shard which was left there."""

    cluster_identifier: pulumi.Input[str]
    """What tells the cluster from another one, as in `provider`."""

    system_tolerations: list[machines.Toleration]
    """Tolerations for every pod of KAI, for clusters whose only nodes are tainted."""


class KaiScheduler(pulumi.ComponentResource):
    """KAI's release with its SchedulingShard; there once scheduler and webhooks answer."""

    home: pulumi.Output[str]
    """Namespace of KAI's own pods."""

    def __init__(self, name: str, args: KaiSchedulerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:platform:KaiScheduler", name, {}, opts)
        provider, labels = args["provider"], naming.kubernetes_labels(args["environment"])
        namespace = kubernetes.core.v1.Namespace(
            f"{name}-namespace",
            metadata={"name": kai.NAMESPACE, "labels": labels},
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        release = kubernetes.helm.v3.Release(
            f"{name}-release",
            name=kai.CHART,
            namespace=namespace.metadata["name"],
            chart=args["chart"],
            version=kai.tag(args["version"]),
            repository_opts=chart_login(args["chart_key"]),
            values=kai.values(args["system_tolerations"]),
            atomic=True,
            timeout=_TIMEOUT_SECONDS,
            opts=pulumi.ResourceOptions(parent=self, provider=provider),
        )
        timeouts = pulumi.CustomTimeouts(create=f"{_TIMEOUT_SECONDS}s", update=f"{_TIMEOUT_SECONDS}s")
        ConfigPatch(
            f"{name}-operands",
            metadata={
                "name": kai.CONFIG,
                "labels": labels,
                # A patch waits when it changes (seen): with another release it waits again.
                "annotations": {
                    **_READY,
                    f"{naming.PROJECT}/kai-version": args["version"],
                    # A create that was carried out and lost is then written once more by the same manager.
                    "pulumi.com/patchFieldManager": f"{naming.PROJECT}-{args['environment']}",
                },
            },
            # The chart's hook makes the Config that is waited for, and another release makes another one.
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
                # The values here win over those of a shard that is taken over; what is not said here it keeps.
                "annotations": {**_READY, "pulumi.com/patchForce": "true"},
            },
            spec=kai.shard_spec(args["version"]),
            # The kind comes with the release, and its operator runs the scheduler and takes it away.
            opts=pulumi.ResourceOptions(
                parent=self,
                provider=self._taking_over(name, args),
                depends_on=[release],
                custom_timeouts=timeouts,
            ),
        )
        self.home = namespace.metadata["name"]
        self.register_outputs({"home": self.home})

    def _taking_over(self, name: str, args: KaiSchedulerArgs) -> kubernetes.Provider:
        """The cluster's provider once more, for one object: what it makes may be there already."""
        return kubernetes.Provider(
            f"{name}-taking-over",
            kubeconfig=args["kubeconfig"],
            cluster_identifier=args["cluster_identifier"],
            enable_server_side_apply=True,
            upsert_existing_objects=True,
            opts=pulumi.ResourceOptions(parent=self),
        )
