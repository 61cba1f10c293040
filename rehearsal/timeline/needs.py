"""The order of things: what really has to wait for what, and why. The only page that says so.

The program has an order because its resources depend on each other; this page is what that order is held against. A
wait that stands here and that the program has not is missing; one that the program has and that no rule asks for is
superfluous, unless `ALLOWED` says why it is there. `tests/resilience/order.py` judges what lives in the cloud by it.

A rule speaks of roles, not of names, so it holds for every environment. `ITS` means those of the needed role that the
task itself names (a subnet and its VPC), `HERE` those in its namespace; `GRANTED` means the rights of the account that
it runs as, which it has once they work (`Row.settles`); `ALL` means every one in the environment.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeVar

from rehearsal.timeline import graph
from rehearsal.timeline.durations import row_of
from rehearsal.timeline.graph import Op
from rehearsal.timeline.plan import Named, Plan

Key = TypeVar("Key")
Which = Literal["its", "here", "granted", "all"]
Ways = Literal["both", "up", "destroy"]
ITS: Which = "its"
HERE: Which = "here"
GRANTED: Which = "granted"
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
    outlives: bool = False
    """Whether `who` stays while one of what it needs is replaced: node software, when a node pool is."""


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
    Rule("RdmaFirewall/*WithRules", "*/Api:compute", ALL, "Compute Engine refuses calls while its API is off", "up"),
    Rule("RdmaFirewall/*Association", "RdmaFirewall/*WithRules", ITS, "it puts the policy in force"),
    Rule("RdmaFirewall/*Association", "*/Network", ITS, "the VPC cannot go while a policy is in force there"),
    Rule("*/Router", "*/Network", ITS, "a router lies in its VPC"),
    Rule("*/RouterNat", "*/Router", ITS, "NAT is a part of its router"),
    Rule("*/ManagedZone", "*/Network", ITS, "a private zone is for this VPC"),
    Rule("*/ManagedZone", "*/Api:dns", ALL, "Cloud DNS refuses calls while its API is off", "up"),
    Rule("*/RecordSet", "*/ManagedZone", ITS, "a record lies in its zone"),
    Rule("*/*IAMMember", "*/Account", ITS, "the grant names the account"),
    Rule("*/CryptoKeyIAMMember:compute-system", "*/Api:compute", ALL, "the agent exists once its API is on", "up"),
    Rule("*/CryptoKeyIAMMember:container-*", "*/Api:container", ALL, "the agent exists once its API is on", "up"),
    *(
        Rule(who, "*/CryptoKeyIAMMember:*", ITS, "it is read with the key for as long as it lives")
        for who in ("*/Cluster", "*/NodePool:*", "*/Bucket", "*/StorageClass")
    ),
    Rule("*/ServiceAccount", "*/Account", ITS, "its pods act as this account"),
    Rule("*/BucketIAMMember", "*/Bucket", ITS, "the grant is written on the bucket"),
    Rule("*/*IAMMember", "*/Cluster", ITS, "the identity pool exists once the project's first cluster has it", "up"),
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
    Rule("NvlinkDomain/NodePool:*", "RdmaFirewall/*Association", ALL, "no node is there before its firewall", "up"),
    Rule("NvlinkDomain/NodePool:*", "*/GkeNetwork", ALL, "a pool that is made first gets NICs that no pod can attach"),
    # Kubernetes: what the cluster itself gives
    Rule("*/GKENetworkParamSet", "*/Cluster", ALL, _API),
    Rule("*/GKENetworkParamSet", "*/Subnetwork", ITS, "GKE checks that the subnet is there, and holds it in use"),
    Rule("*/GkeNetwork", "*/GKENetworkParamSet", ITS, "the network names its parameters"),
    Rule("*/Namespace", "*/Cluster", ALL, _API),
    Rule("*/Release:*", "*/Cluster", ALL, _API),
    Rule("*/Queue", "*/Cluster", ALL, _API),
    Rule("*/DaemonSet", "*/Cluster", ALL, _API),
    Rule("*/StorageClass", "*/Cluster", ALL, _API),
    Rule("*/ValidatingAdmissionPolicy*", "*/Cluster", ALL, _API),
    Rule("ReleaseRecord/ConfigMap", "*/Cluster", ALL, _API),
    Rule("*", "*/Namespace", ITS, "it lies in the namespace"),
    Rule("*/Deployment", "*/ServiceAccount", ITS, "its pods run as this account"),
    Rule("*/Job", "*/ServiceAccount", ITS, "its pods run as this account"),
    Rule("*/DynamoGraphDeployment", "*/ServiceAccount", ITS, "its pods run as this account"),
    Rule("*/RoleBinding", "*/ServiceAccount", ITS, "it names the account"),
    Rule("*/RoleBinding", "*/Role", ITS, "it names the role"),
    Rule("*/DynamoGraphDeployment", "*/RoleBinding", GRANTED, "its pods find each other by this right"),
    # Node software
    Rule(
        "*/DaemonSet",
        "NvlinkDomain/NodePool:*",
        ALL,
        "it copies to every A4X node and is done when all have it",
        outlives=True,
    ),
    Rule(
        "*/Release:nvidia-dra-driver-gpu",
        "NvlinkDomain/NodePool:*",
        ALL,
        "it is done when it runs on every A4X node, and gives back the nodes' IMEX channels before they go",
        outlives=True,
    ),
    Rule(
        "*/Release:nvidia-dra-driver-gpu",
        "DraDriver/ResourceQuota",
        ALL,
        "GKE admits none of its pods without the quota",
    ),
    Rule("*/Release:nvidia-dra-driver-gpu", "GkeCluster/NodePool:*", ALL, "its controller runs on a system node"),
    # Dynamo
    Rule("*/Release:dynamo-platform", "*/Release:dynamo-crds", ALL, "the operator ends itself when a CRD is missing"),
    Rule("*/Release:dynamo-platform", "*/SchedulingShard", ALL, "it looks for KAI once, when it starts"),
    Rule("*/Release:dynamo-platform", "*/ConfigPatch", ALL, "a hook of it makes queues, which KAI's webhook checks"),
    Rule(
        "*/Release:dynamo-platform",
        "DynamoPlatform/Secret",
        ITS,
        "its pods pull with it, or take the login of NATS from it",
    ),
    Rule("*/Release:dynamo-platform", "*/StorageClass", ITS, "its volumes are of this class"),
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
        GRANTED,
        "it may write only once the grant works",
        "up",
    ),
    # Fabric tests
    Rule("FabricTest/Job", "NvlinkDomain/NodePool:*", ITS, _PODS),
    Rule("FabricTest/Job", "*/Release:nvidia-dra-driver-gpu", ALL, "claims are prepared by the driver"),
    Rule("FabricTest/Job", "*/DaemonSet", ALL, "NCCL reads the plugin when it starts"),
    Rule("FabricTest/Job", "*/ComputeDomain", ITS, "its pods claim a channel of it"),
    Rule("FabricTest/Job", "*/ConfigMap", ITS, "its code lies there", "up"),
    Rule("FabricTest/Job", "*/Secret", ITS, "it pulls with it"),
    Rule("FabricTest/Job", "*/ResourceClaimTemplate", ITS, "its pods claim their NICs by it"),
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
    Rule("*/DynamoGraphDeployment", "*/SchedulingShard", ALL, "pods are scheduled by its scheduler"),
    Rule("*/DynamoGraphDeployment", "*/Release:kai-scheduler", ALL, "its priority classes come with KAI"),
    Rule("*/DynamoGraphDeployment", "*/ResourceClaimTemplate", ITS, "its pods claim their NICs by it"),
    Rule("*/DynamoGraphDeployment", "*/Secret", ITS, "it pulls, downloads and logs in to NATS with these"),
    Rule("*/DynamoGraphDeployment", "*/ConfigMap", ITS, "servers read their arguments there"),
    Rule("*/DynamoGraphDeployment", "*/Bucket", ITS, "the weights are in it"),
    Rule("*/DynamoGraphDeployment", "ModelDownload/Job", ALL, "servers end when weights are missing", "up"),
    Rule(
        "*/DynamoGraphDeployment",
        "WorkloadIdentity/BucketIAMMember",
        GRANTED,
        "pods may mount the bucket only once the grant works",
        "up",
    ),
    Rule("ReadinessCheck/Job", "GkeCluster/NodePool:*", ALL, _PODS, "up"),
    Rule("ReadinessCheck/Job", "*/ConfigMap", ITS, "its code lies there"),
    Rule("ReadinessCheck/ConfigMap", "*/DynamoGraphDeployment", ITS, "the check is of this graph's pods"),
    Rule("ReadinessCheck/ConfigMap", "*/Service", ITS, "the check asks the stack at this address"),
    Rule("ReadinessCheck/Job", "*/RoleBinding", GRANTED, "it may look at pods"),
    Rule("BenchmarkClient/Deployment", "NvlinkDomain/NodePool:*", ITS, _PODS),
    Rule("BenchmarkClient/Deployment", "*/Bucket", ITS, "it mounts the bucket"),
    Rule("BenchmarkClient/Deployment", "*/Secret", ITS, "it pulls with it"),
    # Guard of a platform that others use
    Rule(
        "DynamoPlatform/Release:dynamo-platform",
        "ReleaseRecord/ConfigMap",
        ALL,
        "another release under running stacks is refused before the one that runs is touched",
    ),
    Rule("*/ValidatingAdmissionPolicyBinding", "*/ValidatingAdmissionPolicy", ITS, "it binds this policy"),
    Rule(
        "RdmaAdmission/ValidatingAdmissionPolicy", "*/GkeNetwork", ALL, "it goes before the interfaces that it guards"
    ),
    *(
        Rule(
            who,
            "RdmaAdmission/ValidatingAdmissionPolicyBinding",
            ALL,
            "nobody else has an interface that reaches its pods",
        )
        for who in ("*/DynamoGraphDeployment", "FabricTest/Job")
    ),
    Rule(
        "PlatformGuard/ConfigMap",
        "PlatformGuard/ValidatingAdmissionPolicyBinding",
        ALL,
        "its deletion is refused only while the policy is bound",
        "destroy",
    ),
    # Isolation: nothing listens before it is in force, nor after
    Rule("*/DynamoGraphDeployment", "*/NetworkPolicy", HERE, "its pods are isolated before they listen"),
    Rule("*/Job", "*/NetworkPolicy", HERE, "its pods are isolated before they listen"),
    Rule("*/Release:*", "*/NetworkPolicy", HERE, "its pods are isolated before they listen"),
    Rule("*/NetworkPolicy", "*/RecordSet", ITS, "pods may only connect to where the name leads"),
    # On the way down: the stack's namespace is gone only when its pods, cliques and claims are; so is its barrier
    *(
        rule
        for barrier in ("ServingStack/Namespace", "TeardownBarrier/Deployment")
        for rule in (
            Rule(barrier, "*/Release:*", ALL, "operators and driver remove the finalizers of the stack", "destroy"),
            Rule(barrier, "NvlinkDomain/NodePool:*", ALL, "pods end in order while their nodes live", "destroy"),
        )
    ),
    Rule("ServingStack/Namespace", "*/DaemonSet", ALL, "running servers have the plugin's libraries mapped", "destroy"),
    Rule("*/DynamoGraphDeployment", "TeardownBarrier/Deployment", HERE, "it waits for what the graph leaves"),
    Rule("TeardownBarrier/Deployment", "*/RoleBinding", GRANTED, "it may look at what is left"),
    Rule("TeardownBarrier/Deployment", "*/ConfigMap", ITS, "its code lies there"),
    Rule(
        "*/Namespace",
        "GkeCluster/NodePool:*",
        ALL,
        "a namespace ends only while every API group answers, and GKE's metrics server runs on these nodes",
        "destroy",
    ),
)


@dataclass(frozen=True)
class Allowed:
    """A wait of the program that nothing needs, and why it is there. Roles as in `Rule`, or those of components."""

    who: str
    needs: str
    reason: str


_TOLERANT = "with systemTolerations its pods may run on these nodes"

ALLOWED: tuple[Allowed, ...] = (
    Allowed("PlatformGuard/ConfigMap", "*", "a destroy of what is in use is refused before anything else is gone"),
    Allowed("ServingStack", "FabricTest", "a test takes all nodes of its domain, so it comes before the stacks"),
    Allowed("*/ServiceAccount", "WorkloadIdentity/BucketIAMMember", "with it every pod that runs as it waits"),
    Allowed("*/Cluster", "ClusterNetwork/*", "the subnet comes with NAT and firewall, so that no node is before them"),
    Allowed("*/GKENetworkParamSet", "DeviceVpcs/Firewall", "an interface comes with its firewall, for the pools' sake"),
    Allowed("*/GKENetworkParamSet", "RdmaFirewall/*", "the same"),
    Allowed("*/NetworkPolicy", "*/RecordSet", "one record has the addresses, the other leads all names to it"),
    Allowed("DynamoPlatform", "NvlinkDomain", _TOLERANT),
    Allowed("KaiScheduler", "NvlinkDomain", _TOLERANT),
    Allowed("ModelDownload", "NvlinkDomain", _TOLERANT),
    Allowed("NvlinkDomain/ResourcePolicy", "*/Cluster", "it takes its name and region from the cluster"),
)


@dataclass(frozen=True)
class Necessary:
    """The necessary order of one plan."""

    waits: Mapping[str, Mapping[str, float]]
    missing: Sequence[tuple[str, str]]
    """(task, need) that are necessary and that the program does not have: the step may come too early."""


def pairs(things: Mapping[Key, Named], op: Op, rules: Iterable[Rule] = RULES) -> Iterator[tuple[Rule, Key, Key]]:
    """(rule, task, need): what the rules say about some objects."""
    for rule in rules:
        if rule.ways not in ("both", op):
            continue
        needed = [key for key, thing in things.items() if fits(thing.role, rule.needs)]
        for key, thing in things.items() if needed else ():
            if fits(thing.role, rule.who):
                yield from ((rule, key, need) for need in needed if need != key and _meant(rule, key, need, things))


def _meant(rule: Rule, key: Key, need: Key, things: Mapping[Key, Named]) -> bool:
    if rule.which == GRANTED:
        accounts = (thing for thing in things.values() if thing.role.endswith("/ServiceAccount"))
        return any(things[key].refers_to(account) and account.refers_to(things[need]) for account in accounts)
    if rule.which == HERE:
        return things[key].namespace == things[need].namespace
    return rule.which == ALL or things[key].refers_to(things[need])


@cache
def fits(role: str, pattern: str) -> bool:
    """Whether a pattern means a role."""
    return fnmatch.fnmatchcase(role, pattern)


def necessary(plan: Plan, op: Op, rules: Iterable[Rule] = RULES) -> Necessary:
    """What the rules say about the tasks of a plan, in the direction of `up` (for `destroy`, turn it round)."""
    custom = {urn: task.named for urn, task in plan.tasks.items() if task.custom}
    recorded = graph.closure(plan.waits)
    waits: dict[str, dict[str, float]] = {urn: {} for urn in custom}
    missing: dict[tuple[str, str], None] = {}
    for rule, task, need in pairs(custom, op, rules):
        lag = row_of(plan.tasks[need]).settles if rule.which == GRANTED else 0.0
        waits[task][need] = max(lag, waits[task].get(need, 0.0))
        if need not in recorded[task]:
            missing[task, need] = None
    return Necessary(waits, list(missing))


def superfluous(plan: Plan, rules: Iterable[Rule] = RULES) -> list[tuple[str, str]]:
    """The waits of the program that no rule implies, as (who, need); either may be a component.

    A component waits for the sake of what is below it, and where something waits for all of a component, one of them
    is reason enough. Providers and random values hand on what they wait for.
    """
    tasks = plan.tasks
    helpers = {urn for urn, task in tasks.items() if task.kind.startswith(("pulumi:", "random:"))}
    real = [urn for urn, task in tasks.items() if task.custom and urn not in helpers]
    order = graph.union(necessary(plan, "up", rules).waits, necessary(plan, "destroy", rules).waits)
    implied = graph.closure(order)
    parts: dict[str, set[str]] = {}
    below: dict[str, list[str]] = {}
    for urn in real:
        parts.setdefault(tasks[urn].component, set()).add(urn)
        above = urn
        while above in tasks:
            below.setdefault(above, []).append(urn)
            above = tasks[above].parent
    found: dict[tuple[str, str], None] = {}
    for who, waits in graph.without(plan.waits, helpers).items():
        for need in waits:
            if need not in real or tasks[need].component == who:
                continue
            component = tasks[need].component
            whole = len(parts[component]) > 1 and parts[component] <= waits.keys()
            reasons = parts[component] if whole else {need}
            if all(reasons.isdisjoint(implied[urn]) for urn in below.get(who, ())):
                found[who, component if whole else need] = None
    return list(found)


def allowed(plan: Plan, wait: tuple[str, str]) -> Iterator[Allowed]:
    """Why a superfluous wait may be there."""
    who, need = (plan.tasks[urn].role for urn in wait)
    return (entry for entry in ALLOWED if fits(who, entry.who) and fits(need, entry.needs))
