"""What really has to wait for what, and why: the standard that the program's own order is held against.

A rule speaks of roles, not of names, so it holds for every environment. `ITS` means those of the needed role that the
task itself refers to (recorded by the engine: a subnet and its VPC); `ALL` means every one in the environment.
What a rule does not name is no reason to wait.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rehearsal.timeline.durations import row_of
from rehearsal.timeline.graph import Op, Plan, Task, closure

Which = Literal["its", "all"]
Ways = Literal["both", "up", "destroy"]
ITS: Which = "its"
ALL: Which = "all"


@dataclass(frozen=True)
class Rule:
    """Every task of role `who` waits for tasks of role `needs`."""

    who: str
    needs: str
    which: Which
    reason: str
    ways: Ways = "both"
    """`destroy` reads the other way round: what is needed goes after what needs it."""
    working: bool = False
    """Whether the need must work, not only exist (`Row.settles`)."""


_PODS = "its pods run on these nodes"
_API = "the cluster's API server takes it"

RULES: tuple[Rule, ...] = (
    # Google Cloud
    Rule("ClusterNetwork/Network", "*/Api:compute", ALL, "Compute Engine refuses calls while its API is off", "up"),
    Rule("DeviceVpcs/Network", "*/Api:compute", ALL, "Compute Engine refuses calls while its API is off", "up"),
    Rule("*/Account", "*/Api:iam", ALL, "IAM refuses calls while its API is off", "up"),
    Rule("*/IAMMember", "*/Api:cloudresourcemanager", ALL, "grants on the project go through this API", "up"),
    Rule("*/Cluster", "*/Api:container", ALL, "GKE refuses calls while its API is off", "up"),
    Rule("*/Subnetwork", "*/Network", ITS, "a subnet lies in its VPC"),
    Rule("*/Firewall", "*/Network", ITS, "a firewall rule lies in its VPC"),
    Rule("*/Router", "*/Network", ITS, "a router lies in its VPC"),
    Rule("*/RouterNat", "*/Router", ITS, "NAT is a part of its router"),
    Rule("*/IAMMember", "*/Account", ITS, "the grant names the account"),
    Rule("*/BucketIAMMember", "*/Bucket", ITS, "the grant is written on the bucket"),
    Rule(
        "*/BucketIAMMember", "*/Cluster", ITS, "the identity pool exists once the project's first cluster has it", "up"
    ),
    Rule("*/Cluster", "*/Subnetwork", ITS, "nodes and pods get addresses from it"),
    Rule("*/Cluster", "*/Network", ITS, "the cluster lies in its VPC"),
    Rule("*/Cluster", "*/Account", ITS, "its first nodes run as this account"),
    Rule("*/NodePool:*", "*/Cluster", ITS, "a pool is a part of its cluster"),
    Rule("*/NodePool:*", "*/Account", ITS, "the nodes run as this account"),
    Rule(
        "*/NodePool:*",
        "NodeAccount/IAMMember",
        ALL,
        "nodes that may not write logs or read images are reported broken",
        "up",
    ),
    Rule("*/NodePool:*", "*/RouterNat", ALL, "nodes have no address of their own; images come through the NAT", "up"),
    Rule(
        "NvlinkDomain/ResourcePolicy", "*/Api:compute", ALL, "Compute Engine refuses calls while its API is off", "up"
    ),
    Rule("NvlinkDomain/NodePool:*", "NvlinkDomain/ResourcePolicy", ITS, "the policy keeps the pool on one rack"),
    Rule("NvlinkDomain/NodePool:*", "DeviceVpcs/Subnetwork", ALL, "five NICs of each node lie in these subnets"),
    Rule("NvlinkDomain/NodePool:*", "DeviceVpcs/Firewall", ALL, "IMEX daemons reach each other through it", "up"),
    Rule("NvlinkDomain/NodePool:*", "*/GkeNetwork", ALL, "a pool that is made first gets NICs that no pod can attach"),
    # Kubernetes: what the cluster itself gives
    Rule("*/GKENetworkParamSet", "*/Cluster", ALL, _API),
    Rule("*/GKENetworkParamSet", "*/Subnetwork", ITS, "GKE checks that the subnet is there, and holds it in use"),
    Rule("*/GkeNetwork", "*/GKENetworkParamSet", ITS, "the network names its parameters"),
    Rule("*/Namespace", "*/Cluster", ALL, _API),
    Rule("*/Release:*", "*/Cluster", ALL, _API),
    Rule("*/Queue", "*/Cluster", ALL, _API),
    Rule("*/DaemonSet", "*/Cluster", ALL, _API),
    Rule("*/Secret", "*/Namespace", ITS, "it lies in the namespace"),
    Rule("*/ConfigMap", "*/Namespace", ITS, "it lies in the namespace"),
    Rule("*/ServiceAccount", "*/Namespace", ITS, "it lies in the namespace"),
    Rule("*/Service", "*/Namespace", ITS, "it lies in the namespace"),
    Rule("*/ResourceQuota", "*/Namespace", ITS, "it lies in the namespace"),
    Rule("*/Role", "*/Namespace", ITS, "it lies in the namespace"),
    Rule("*/RoleBinding", "*/Namespace", ITS, "it lies in the namespace"),
    Rule("*/Deployment", "*/Namespace", ITS, "it lies in the namespace"),
    Rule("*/Job", "*/Namespace", ITS, "it lies in the namespace"),
    Rule("*/Release:*", "*/Namespace", ITS, "its objects lie in the namespace"),
    Rule("*/ComputeDomain", "*/Namespace", ITS, "it lies in the namespace"),
    Rule("*/DynamoGraphDeployment", "*/Namespace", ITS, "it lies in the namespace"),
    Rule("*/Deployment", "*/ServiceAccount", ITS, "its pods run as this account"),
    Rule("*/Job", "*/ServiceAccount", ITS, "its pods run as this account"),
    Rule("*/DynamoGraphDeployment", "*/ServiceAccount", ITS, "its pods run as this account"),
    # Node software
    Rule("*/DaemonSet", "NvlinkDomain/NodePool:*", ALL, "it copies to every A4X node and is done when all have it"),
    Rule(
        "*/Release:nvidia-dra-driver-gpu",
        "NvlinkDomain/NodePool:*",
        ALL,
        "it is done when it runs on every A4X node, and gives back the nodes' IMEX channels before they go",
    ),
    Rule("*/Release:nvidia-dra-driver-gpu", "*/ResourceQuota", ITS, "GKE admits none of its pods without the quota"),
    Rule("*/Release:nvidia-dra-driver-gpu", "GkeCluster/NodePool:*", ALL, "its controller runs on a system node"),
    # Dynamo
    Rule("*/Release:dynamo-platform", "*/Release:dynamo-crds", ALL, "the operator ends itself when a CRD is missing"),
    Rule("*/Release:dynamo-platform", "*/SchedulingShard", ALL, "it looks for KAI once, when it starts"),
    Rule("*/Release:dynamo-platform", "*/ConfigPatch", ALL, "a hook of it makes queues, which KAI's webhook checks"),
    Rule("*/Release:dynamo-platform", "DynamoPlatform/Secret", ALL, "its pods pull with this secret"),
    Rule("*/Release:dynamo-platform", "GkeCluster/NodePool:*", ALL, _PODS),
    Rule("*/Release:kai-scheduler", "GkeCluster/NodePool:*", ALL, _PODS),
    Rule("*/SchedulingShard", "*/Release:kai-scheduler", ALL, "kind and operator come with the release"),
    Rule("*/ConfigPatch", "*/Release:kai-scheduler", ALL, "a hook of the release makes the Config"),
    Rule("*/Queue", "*/ConfigPatch", ALL, "KAI's webhook takes it only once it answers"),
    Rule("*/Queue", "*/Queue", ITS, "the child names its root"),
    # Weights
    Rule("ModelDownload/Job", "GkeCluster/NodePool:*", ALL, _PODS, "up"),
    Rule("ModelDownload/Job", "*/Secret", ITS, "it reads the token"),
    Rule("ModelDownload/Job", "*/Bucket", ITS, "it writes into the bucket"),
    Rule(
        "ModelDownload/Job",
        "WorkloadIdentity/BucketIAMMember",
        ITS,
        "it may write only once the grant works",
        "up",
        working=True,
    ),
    # Fabric tests
    Rule("FabricTest/Job", "NvlinkDomain/NodePool:*", ITS, _PODS),
    Rule("FabricTest/Job", "*/Release:nvidia-dra-driver-gpu", ALL, "claims are prepared by the driver"),
    Rule("FabricTest/Job", "*/DaemonSet", ALL, "NCCL reads the plugin when it starts"),
    Rule("FabricTest/Job", "*/ComputeDomain", ITS, "its pods claim a channel of it"),
    Rule("FabricTest/Job", "*/ConfigMap", ITS, "its code lies there"),
    Rule("FabricTest/Job", "*/Secret", ITS, "it pulls with it"),
    # Serving
    Rule("*/ComputeDomain", "*/Release:nvidia-dra-driver-gpu", ALL, "kind and controller come with the driver"),
    Rule("*/DynamoGraphDeployment", "*/ComputeDomain", ITS, "its pods claim a channel of it"),
    Rule("*/DynamoGraphDeployment", "NvlinkDomain/NodePool:*", ITS, _PODS),
    Rule(
        "*/DynamoGraphDeployment", "*/Release:dynamo-platform", ALL, "the operator makes its pods and takes them away"
    ),
    Rule("*/DynamoGraphDeployment", "*/Release:nvidia-dra-driver-gpu", ALL, "claims are prepared by the driver"),
    Rule("*/DynamoGraphDeployment", "*/DaemonSet", ALL, "NCCL reads the plugin when it starts"),
    Rule("*/DynamoGraphDeployment", "*/Queue", ITS, "pods are scheduled from the queue"),
    Rule("*/DynamoGraphDeployment", "*/Secret", ITS, "it pulls and downloads with these"),
    Rule("*/DynamoGraphDeployment", "*/ConfigMap", ITS, "servers read their arguments there"),
    Rule("*/DynamoGraphDeployment", "*/Bucket", ITS, "the weights are in it"),
    Rule("*/DynamoGraphDeployment", "ModelDownload/Job", ALL, "servers end when weights are missing", "up"),
    Rule(
        "*/DynamoGraphDeployment",
        "WorkloadIdentity/BucketIAMMember",
        ITS,
        "pods may mount the bucket only once the grant works",
        "up",
        working=True,
    ),
    Rule("ReadinessCheck/Job", "GkeCluster/NodePool:*", ALL, _PODS, "up"),
    Rule("ReadinessCheck/Job", "*/DynamoGraphDeployment", ITS, "it waits for this graph's pods"),
    Rule("ReadinessCheck/Job", "*/Service", ITS, "it asks the stack at this address"),
    Rule("ReadinessCheck/Job", "*/ConfigMap", ITS, "its code lies there"),
    Rule("ReadinessCheck/Job", "*/RoleBinding", ITS, "it may look at pods"),
    Rule("BenchmarkClient/Deployment", "NvlinkDomain/NodePool:*", ITS, _PODS),
    Rule("BenchmarkClient/Deployment", "*/Bucket", ITS, "it mounts the bucket"),
    # On the way down: the stack's namespace is gone only when its pods, cliques and claims are
    Rule("ServingStack/Namespace", "*/Release:*", ALL, "operators and driver remove the finalizers in it", "destroy"),
    Rule(
        "ServingStack/Namespace", "NvlinkDomain/NodePool:*", ALL, "pods end in order while their nodes live", "destroy"
    ),
    Rule("ServingStack/Namespace", "*/DaemonSet", ALL, "running servers have the plugin's libraries mapped", "destroy"),
    Rule(
        "*/Namespace",
        "GkeCluster/NodePool:*",
        ALL,
        "a namespace ends only while every API group answers, and GKE's metrics server runs on these nodes",
        "destroy",
    ),
)


@dataclass(frozen=True)
class Necessary:
    """The necessary order of one plan."""

    waits: Mapping[str, Mapping[str, float]]
    reasons: Mapping[tuple[str, str], Rule]
    """(task, need) -> the rule that says so."""
    missing: Sequence[tuple[str, str]]
    """(task, need) that are necessary and that the program does not have: the step may come too early."""


def necessary(plan: Plan, op: Op, rules: Iterable[Rule] = RULES) -> Necessary:
    """What the rules say about the tasks of a plan, in the direction of `up` (for `destroy`, turn it round)."""
    custom = {urn: task for urn, task in plan.tasks.items() if task.custom}
    recorded = closure(plan.waits)
    waits: dict[str, dict[str, float]] = {urn: {} for urn in custom}
    reasons: dict[tuple[str, str], Rule] = {}
    missing: list[tuple[str, str]] = []
    for rule in rules:
        if rule.ways not in ("both", op):
            continue
        needed = [task for task in custom.values() if fnmatch.fnmatchcase(task.role, rule.needs)]
        for task in custom.values():
            if not fnmatch.fnmatchcase(task.role, rule.who):
                continue
            for need in _meant(rule, task, needed, plan, recorded):
                lag = row_of(need).settles if rule.working else 0.0
                waits[task.urn][need.urn] = max(lag, waits[task.urn].get(need.urn, 0.0))
                reasons.setdefault((task.urn, need.urn), rule)
                if need.urn not in recorded[task.urn]:
                    missing.append((task.urn, need.urn))
    return Necessary(waits, reasons, missing)


def _meant(
    rule: Rule, task: Task, needed: Sequence[Task], plan: Plan, recorded: Mapping[str, frozenset[str]]
) -> list[Task]:
    others = [need for need in needed if need.urn != task.urn]
    if rule.which == ALL:
        return others
    # A grant is referred to through the account that carries it; all else is named by the task itself.
    known = recorded[task.urn] if rule.working else plan.waits[task.urn]
    return [need for need in others if need.urn in known]
