"""What single Google Cloud services refuse beyond the shape of a request.

`judge` needs only the inputs and so speaks at preview; the others look at what exists and speak when the engine
acts, as the services do.
"""

from __future__ import annotations

import ipaddress
import re
from itertools import combinations

from rehearsal.cloud import nodes, serving
from rehearsal.cloud.gcp_rules import (
    ACCOUNT,
    ACCOUNT_MEMBER,
    BUCKET,
    BUCKET_MEMBER,
    BUCKET_OBJECT,
    CLUSTER,
    FIREWALL,
    MACHINE_A4X,
    NETWORK,
    NODE_POOL,
    NODES_PER_DOMAIN,
    PROJECT_MEMBER,
    RESOURCE_POLICY,
    SUBNETWORK,
    TOPOLOGY_NVL72,
    short,
)
from rehearsal.cloud.service import Failure
from rehearsal.cloud.values import Props, Unknown, dig, items, many, number, text
from rehearsal.cloud.world import Refusal, Thing, World

_PARAM_SET = "kubernetes:networking.gke.io/v1:GKENetworkParamSet"
_DEVICE_NETWORK = "kubernetes:networking.gke.io/v1:Network"
_RESERVATION = "nodeConfig.reservationAffinity.values"
_MEMBER_PREFIXES = (
    "user:",
    "group:",
    "domain:",
    "serviceAccount:",
    "principal://",
    "principalSet://",
    "allUsers",
    "allAuthenticatedUsers",
    "deleted:",
)


def judge(kind: str, inputs: Props) -> list[Failure]:
    """What is wrong with the inputs by themselves."""
    if kind == BUCKET:
        return _judge_bucket(inputs)
    if kind in (ACCOUNT_MEMBER, PROJECT_MEMBER, BUCKET_MEMBER):
        return _judge_member(inputs)
    if kind == NODE_POOL:
        return _judge_pool(inputs)
    if kind == SUBNETWORK:
        try:
            _ranges(inputs)
        except ValueError as error:
            return [Failure("ipCidrRange", str(error))]
    return []


def at_diff(kind: str, news: Props) -> None:
    """What the plugin cannot compare (E8): the engine hides a whole property that comes from something which is to be
    deleted first, and a node pool's networks are counted without a look whether they are known.
    """
    if kind == NODE_POOL and isinstance(news.get("networkConfig"), Unknown):
        raise Refusal(
            "panic: can't use ElementIterator on unknown value, in nodePoolAcceleratorNetworkProfileCustomizeDiff: "
            "the plugin died"
        )


def at_create(world: World, kind: str, placed: Props) -> None:
    """What the services refuse when an object is made."""
    if kind == NODE_POOL:
        _not_newer(world, placed)
        _pool_fits(world, placed, None)
        _pool_networks(world, placed)
    elif kind == SUBNETWORK:
        _no_overlap(world, placed)
    elif kind == FIREWALL:
        network = _network(world, text(placed, "network"))
        if network is not None and "roce" in text(network.outputs, "networkProfile"):
            raise Refusal(
                f"Error 400: network '{text(network.outputs, 'name')}' has a RoCE network profile, which takes "
                "no firewall rules"
            )
    elif kind in (ACCOUNT_MEMBER, PROJECT_MEMBER, BUCKET_MEMBER):
        _member_exists(world, text(placed, "member"))


def at_update(world: World, kind: str, placed: Props, thing: Thing) -> None:
    """What the services refuse when an object is changed."""
    if kind == NODE_POOL:
        _not_newer(world, placed)
        _pool_fits(world, placed, thing)
        busy = nodes.in_use(world, _cluster_of(world, placed), text(placed, "name"))
        if number(placed, "nodeCount") < busy:
            raise Refusal(
                f"Error 400: node pool '{text(placed, 'name')}' cannot shrink to {number(placed, 'nodeCount')} "
                f"nodes: {busy} are in use"
            )
    elif kind == SUBNETWORK:
        old, new = text(thing.outputs, "ipCidrRange"), text(placed, "ipCidrRange")
        if not grows(thing.outputs, placed):
            raise Refusal(f"Error 400: ipCidrRange: {new} does not contain {old}; a range can only grow")


def grows(olds: Props, news: Props) -> bool:
    """Whether a subnetwork's new range holds the old one: what can be done in place."""
    old, new = text(olds, "ipCidrRange"), text(news, "ipCidrRange")
    return not (old and new) or ipaddress.IPv4Network(old).subnet_of(ipaddress.IPv4Network(new))


def at_delete(world: World, thing: Thing) -> None:
    """What the services refuse when an object is taken away."""
    if thing.kind == CLUSTER:
        if thing.outputs.get("deletionProtection") is not False:
            raise Refusal(
                f"cannot destroy cluster '{thing.id}' without setting deletion_protection=false and running up"
            )
        inside = world.find(scope=thing.id, where=lambda other: other.origin == "program")
        if inside and thing.id not in world.unreachable:
            names = ", ".join(str(other) for other in inside[:3])
            raise Refusal(
                f"cluster '{thing.id}' still holds {len(inside)} Kubernetes objects of the program ({names}): "
                "they must go first, nobody could reach them afterwards"
            )
    elif thing.kind == NODE_POOL:
        cluster = _cluster_of(world, thing.outputs)
        users = serving.users_of_pool(world, cluster, text(thing.outputs, "name"))
        if users and cluster not in world.unreachable:
            raise Refusal(
                f"node pool '{text(thing.outputs, 'name')}' still runs {', '.join(users)}: serving must go first"
            )
    elif thing.kind == BUCKET and not thing.outputs.get("forceDestroy"):
        name = text(thing.outputs, "name")
        if world.find(BUCKET_OBJECT, where=lambda other: text(other.outputs, "bucket") == name):
            raise Refusal(f"Error trying to delete bucket {name} containing objects without force_destroy")


def _judge_bucket(inputs: Props) -> list[Failure]:
    name = text(inputs, "name")
    found: list[Failure] = []
    if name and (name.startswith("goog") or "google" in name or any(len(p) > 63 for p in name.split("."))):
        found.append(Failure("name", f"{name!r} may not start with 'goog', contain 'google' or exceed 63 characters"))
    if dig(inputs, "hierarchicalNamespace.enabled") is True:
        if inputs.get("uniformBucketLevelAccess") is not True:
            found.append(Failure("hierarchicalNamespace", "needs uniformBucketLevelAccess"))
        if dig(inputs, "versioning.enabled") is True:
            found.append(Failure("hierarchicalNamespace", "cannot go with object versioning"))
    return found


def _judge_member(inputs: Props) -> list[Failure]:
    found: list[Failure] = []
    member, role = inputs.get("member"), inputs.get("role")
    if isinstance(member, str) and not member.startswith(_MEMBER_PREFIXES):
        found.append(Failure("member", f"{member!r} has no known prefix, such as serviceAccount: or principal://"))
    if (
        isinstance(member, str)
        and member.startswith("principal://iam")
        and not re.match(
            r"principal://iam\.googleapis\.com/projects/\d+/locations/global/workloadIdentityPools/[^/]+/subject/.+",
            member,
        )
    ):
        found.append(
            Failure(
                "member",
                f"{member!r}: needs the project *number* and .../workloadIdentityPools/POOL/subject/...",
            )
        )
    if isinstance(role, str) and not re.match(r"(roles/|projects/[^/]+/roles/|organizations/\d+/roles/).+", role):
        found.append(Failure("role", f"{role!r} is not of the form roles/..."))
    return found


def _judge_pool(inputs: Props) -> list[Failure]:
    if not text(inputs, "nodeConfig.machineType").startswith(MACHINE_A4X):
        return []
    found: list[Failure] = []
    if isinstance(inputs.get("nodeLocations"), list) and len(inputs["nodeLocations"]) != 1:
        found.append(Failure("nodeLocations", f"{MACHINE_A4X} needs exactly one zone"))
    if inputs.get("autoscaling"):
        found.append(Failure("autoscaling", f"{MACHINE_A4X} pools have a fixed size"))
    found.extend(
        Failure(f"nodeConfig.{field}", f"{MACHINE_A4X} comes from a reservation only")
        for field in ("spot", "preemptible", "flexStart")
        if dig(inputs, f"nodeConfig.{field}") is True
    )
    if text(inputs, "nodeConfig.diskType").startswith("pd-"):
        found.append(
            Failure(
                "nodeConfig.diskType",
                f"{text(inputs, 'nodeConfig.diskType')} disk type cannot be used by {MACHINE_A4X}",
            )
        )
    affinity = dig(inputs, "nodeConfig.reservationAffinity.consumeReservationType")
    if not isinstance(affinity, Unknown) and affinity != "SPECIFIC_RESERVATION":
        found.append(Failure("nodeConfig.reservationAffinity", f"{MACHINE_A4X} comes from a specific reservation only"))
    return found


def _pool_fits(world: World, placed: Props, current: Thing | None) -> None:
    nodes = number(placed, "nodeCount", number(placed, "initialNodeCount"))
    policy = short(text(placed, "placementPolicy.policyName"))
    for thing in world.find(RESOURCE_POLICY, where=lambda t: bool(policy) and text(t.outputs, "name") == policy):
        topology = text(thing.outputs, "workloadPolicy.acceleratorTopology")
        if topology == TOPOLOGY_NVL72 and nodes > NODES_PER_DOMAIN:
            raise Refusal(
                f"Error 400: node pool '{text(placed, 'name')}': {nodes} nodes do not fit accelerator topology "
                f"{topology} of policy '{policy}', which holds {NODES_PER_DOMAIN}"
            )
    for value in many(placed, _RESERVATION):
        for other in world.find(NODE_POOL, where=lambda t: t is not current):
            if "reservationSubBlocks" in str(value) and value in many(other.outputs, _RESERVATION):
                raise Refusal(
                    f"Error 400: ZONE_RESOURCE_POOL_EXHAUSTED: reservation sub-block {value} is held by "
                    f"node pool '{text(other.outputs, 'name')}'"
                )


def _not_newer(world: World, placed: Props) -> None:
    version = text(placed, "version")
    for cluster in world.find(CLUSTER, where=lambda thing: thing.id == _cluster_of(world, placed)):
        control_plane = text(cluster.outputs, "masterVersion")
        if version and _build(version) > _build(control_plane):
            raise Refusal(
                f'Error 400: Node version "{version}" must not have a greater version than the master version '
                f'"{control_plane}"., badRequest'
            )


def _build(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def _pool_networks(world: World, placed: Props) -> None:
    cluster = _cluster_of(world, placed)
    zones = [str(zone) for zone in many(placed, "nodeLocations")]
    ranges: list[tuple[str, ipaddress.IPv4Network]] = []
    for config in items(placed, "networkConfig.additionalNodeNetworkConfigs"):
        network = _network(world, text(config, "network"))
        profile = short(text(network.outputs, "networkProfile")) if network else ""
        if profile and zones and not any(profile.startswith(f"{zone}-") for zone in zones):
            raise Refusal(
                f"Error 400: network '{text(config, 'network')}' has the profile {profile}, which is not of the "
                f"pool's zone {', '.join(zones)}"
            )
        subnet = short(text(config, "subnetwork"))
        sets = [
            text(thing.outputs, "metadata.name")
            for thing in world.find(_PARAM_SET, scope=cluster)
            if short(text(thing.outputs, "spec.vpcSubnet")) == subnet
        ]
        networks = world.find(_DEVICE_NETWORK, scope=cluster)
        if not any(text(thing.outputs, "spec.parametersRef.name") in sets for thing in networks):
            raise Refusal(
                f"Error 400: subnetwork '{subnet}' has no GKENetworkParamSet with a Network in cluster "
                f"'{short(cluster)}': network objects must be there before the node pool"
            )
        for thing in world.find(SUBNETWORK, where=lambda t, s=subnet: text(t.outputs, "name") == s):
            ranges.extend((subnet, found) for found in _ranges(thing.outputs))
    for (one, first), (two, second) in combinations(ranges, 2):
        if first.overlaps(second):
            raise Refusal(f"Error 400: the ranges of node networks {one} ({first}) and {two} ({second}) overlap")


def _no_overlap(world: World, placed: Props) -> None:
    wanted = _ranges(placed)
    network = short(text(placed, "network"))
    for other in world.find(SUBNETWORK, where=lambda t: short(text(t.outputs, "network")) == network):
        for taken in _ranges(other.outputs):
            for new in wanted:
                if new.overlaps(taken):
                    raise Refusal(
                        f"Error 400: Invalid IPCidrRange: {new} conflicts with existing subnetwork "
                        f"'{text(other.outputs, 'name')}' ({taken})"
                    )


def _ranges(props: Props) -> list[ipaddress.IPv4Network]:
    texts = [text(props, "ipCidrRange")] + [text(r, "ipCidrRange") for r in items(props, "secondaryIpRanges")]
    return [ipaddress.IPv4Network(found) for found in texts if found]


def _network(world: World, reference: str) -> Thing | None:
    named = world.find(NETWORK, where=lambda t: text(t.outputs, "name") == short(reference))
    return named[0] if named else None


def _cluster_of(world: World, placed: Props) -> str:
    name = short(text(placed, "cluster"))
    named = world.find(
        CLUSTER,
        where=lambda t: text(t.outputs, "name") == name and t.outputs.get("location") == placed.get("location"),
    )
    return named[0].id if named else ""


def _member_exists(world: World, member: str) -> None:
    pool = re.search(r"(?:serviceAccount:|workloadIdentityPools/)([^/\[]+\.svc\.id\.goog)", member)
    if pool:
        clusters = world.find(
            CLUSTER, where=lambda t: text(t.outputs, "workloadIdentityConfig.workloadPool") == pool[1]
        )
        if not clusters:
            raise Refusal(
                f"Error 400: Identity Pool does not exist ({pool[1]}): the first cluster with that workload "
                "pool makes it"
            )
        return
    email = member.removeprefix("serviceAccount:")
    if email != member and email.count("@") == 1:
        project = email.split("@")[1].removesuffix(".iam.gserviceaccount.com")
        mine = {str(t.outputs.get("project")) for t in world.find(where=lambda t: t.kind.startswith("gcp:"))}
        if project in mine and not world.find(ACCOUNT, where=lambda t: t.outputs.get("email") == email):
            raise Refusal(f"Error 400: Service account {email} does not exist., badRequest")
