"""What single Google Cloud services reject beyond the schema of a request.

`judge` needs only the inputs and so also runs in a preview; the others depend on the state and run when the engine
acts, as in the services.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from itertools import combinations
from typing import cast

from rehearsal.simulator.gcp import keys, networks
from rehearsal.simulator.gcp.rules import (
    ACCOUNT,
    ACCOUNT_MEMBER,
    BUCKET,
    BUCKET_MEMBER,
    BUCKET_OBJECT,
    CLUSTER,
    CRYPTO_KEY,
    FIREWALL,
    FIREWALL_ASSOCIATION,
    FIREWALL_POLICY,
    IDENTITY_POOL,
    IDENTITY_PROVIDER,
    KEY_MEMBER,
    MACHINE_A4X,
    NETWORK,
    NODE_POOL,
    NODES_PER_DOMAIN,
    PROJECT_MEMBER,
    RESOURCE_POLICY,
    SUBNETWORK,
    SUBNETWORK_MEMBER,
    TOPOLOGY_NVL72,
    short,
)
from rehearsal.simulator.kubernetes import nodes
from rehearsal.simulator.service import Failure
from rehearsal.simulator.state import ApiError, CloudResource, CloudState
from rehearsal.simulator.values import Props, Unknown, dig, items, many, mapping, number, text
from rehearsal.simulator.workloads import serving

_PARAM_SET = "kubernetes:networking.gke.io/v1:GKENetworkParamSet"
_DEVICE_NETWORK = "kubernetes:networking.gke.io/v1:Network"
DRANET_LABEL = "cloud.google.com/gke-networking-dra-driver"
_RESERVATION = "nodeConfig.reservationAffinity.values"
_GRANTS = (ACCOUNT_MEMBER, PROJECT_MEMBER, SUBNETWORK_MEMBER, BUCKET_MEMBER, KEY_MEMBER)
_POOLS = r"iam\.googleapis\.com/projects/\d+/locations/global/workloadIdentityPools"
_DAY = 86_400
_ROCE_POLICY = "RDMA_ROCE_POLICY"
_CONDITION_MAX, _MAPPING_MAX = 4096, 2048
"""Characters of an identity provider's condition and of each mapped attribute (SDK documentation)."""
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
    """Problems of the inputs by themselves."""
    return _JUDGES[kind](inputs) if kind in _JUDGES else []


def at_diff(kind: str, news: Props) -> None:
    """A plugin bug (E8): the engine makes a property unknown as a whole if a part of it comes from a resource that is
    deleted first, and the plugin counts a node pool's networks without checking that they are known.
    """
    if kind == NODE_POOL and isinstance(news.get("networkConfig"), Unknown):
        raise ApiError(
            "panic: can't use ElementIterator on unknown value, in nodePoolAcceleratorNetworkProfileCustomizeDiff: "
            "the plugin died"
        )


def at_create(state: CloudState, kind: str, placed: Props) -> None:
    """What the services reject when an object is created."""
    keys.refuse_unusable(state, kind, placed)
    if kind in (CLUSTER, NODE_POOL):
        _account_exists(state, text(placed, "nodeConfig.serviceAccount"))
    if kind == CLUSTER:
        networks.at_cluster(state, placed)
    elif kind == NODE_POOL:
        _not_newer(state, placed)
        _pool_fits(state, placed, None)
        networks.at_pool(state, state.get(CLUSTER, _cluster_of(state, placed)), placed)
        _pool_networks(state, placed)
    elif kind == SUBNETWORK:
        _no_overlap(state, placed)
    elif kind == FIREWALL:
        network = networks.named(state, NETWORK, text(placed, "network"), placed)
        if network is not None and "roce" in text(network.outputs, "networkProfile"):
            raise ApiError(
                f"Error 400: network '{text(network.outputs, 'name')}' has a RoCE network profile, which takes "
                "no firewall rules"
            )
    elif kind == FIREWALL_ASSOCIATION:
        _policy_fits(state, placed)
    elif kind in _GRANTS:
        _member_exists(state, text(placed, "member"))


def at_update(state: CloudState, kind: str, placed: Props, resource: CloudResource) -> None:
    """What the services reject when an object is updated."""
    if kind == CLUSTER:
        networks.at_endpoint(placed)
        # Its own nodes are those that it was made with; the key of a later change is that of the database.
        placed = {**placed, "nodeConfig": {}}
    keys.refuse_unusable(state, kind, placed)
    if kind == NODE_POOL:
        _not_newer(state, placed)
        _pool_fits(state, placed, resource)
        busy = nodes.in_use(state, _cluster_of(state, placed), text(placed, "name"))
        if number(placed, "nodeCount") < busy:
            raise ApiError(
                f"Error 400: node pool '{text(placed, 'name')}' cannot shrink to {number(placed, 'nodeCount')} "
                f"nodes: {busy} are in use"
            )
    elif kind == SUBNETWORK:
        old, new = text(resource.outputs, "ipCidrRange"), text(placed, "ipCidrRange")
        if not grows(resource.outputs, placed):
            raise ApiError(f"Error 400: ipCidrRange: {new} does not contain {old}; a range can only grow")


def grows(olds: Props, news: Props) -> bool:
    """Whether a subnetwork's new range contains the old one, which is possible in place."""
    old, new = text(olds, "ipCidrRange"), text(news, "ipCidrRange")
    return not (old and new) or ipaddress.IPv4Network(old).subnet_of(ipaddress.IPv4Network(new))


def at_delete(state: CloudState, resource: CloudResource) -> None:
    """What the services reject when an object is deleted."""
    if resource.kind == CLUSTER:
        if resource.outputs.get("deletionProtection") is not False:
            raise ApiError(
                f"cannot destroy cluster '{resource.id}' without setting deletion_protection=false and running up"
            )
        inside = state.find(scope=resource.id, where=lambda other: other.origin == "program")
        if inside and resource.id not in state.unreachable:
            names = ", ".join(str(other) for other in inside[:3])
            raise ApiError(
                f"cluster '{resource.id}' still holds {len(inside)} Kubernetes objects of the program ({names}): "
                "they must go first, nobody could reach them afterwards"
            )
    elif resource.kind == NODE_POOL:
        cluster = _cluster_of(state, resource.outputs)
        users = serving.users_of_pool(state, cluster, text(resource.outputs, "name"))
        if users and cluster not in state.unreachable:
            raise ApiError(
                f"node pool '{text(resource.outputs, 'name')}' still runs {', '.join(users)}: serving must go first"
            )
    elif resource.kind == BUCKET and not resource.outputs.get("forceDestroy"):
        name = text(resource.outputs, "name")
        if state.find(BUCKET_OBJECT, where=lambda other: text(other.outputs, "bucket") == name):
            raise ApiError(f"Error trying to delete bucket {name} containing objects without force_destroy")


def _judge_cluster(inputs: Props) -> list[Failure]:
    """The plugin's own checks of words (terraform-provider-google, resource_container_cluster.go)."""
    words = {
        "anonymousAuthenticationConfig.mode": ("ENABLED", "LIMITED"),
        "binaryAuthorization.evaluationMode": ("DISABLED", "PROJECT_SINGLETON_POLICY_ENFORCE"),
    }
    said = {path: text(inputs, path) for path in words}
    return [
        Failure(path, f"expected {path} to be one of {list(words[path])}, got {value}")
        for path, value in said.items()
        if value and value not in words[path]
    ]


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


def _judge_firewall_policy(inputs: Props) -> list[Failure]:
    """Sources of RoCE policies are secure tags, or everybody as 0.0.0.0/0 (Cloud NGFW for RoCE VPC networks). No two
    rules have the same priority (firewall policy rule components).
    """
    rules = items(inputs, "rules")
    priorities = [number(rule, "priority") for rule in rules]
    found: list[Failure] = []
    if len({*priorities}) != len(priorities):
        found.append(Failure("rules", f"two rules have the same priority: {sorted(priorities)}"))
    if text(inputs, "policyType") != _ROCE_POLICY:
        return found
    for i, rule in enumerate(rules):
        match = mapping(rule, "match")
        sources = [field for field in match if field.startswith("src")]
        if set(sources) - {"srcIpRanges", "srcSecureTags"} or len(sources) > 1:
            found.append(Failure(f"rules[{i}].match", f"{sources}: a RoCE policy takes secure tags or 0.0.0.0/0"))
        elif many(match, "srcIpRanges") not in ([], ["0.0.0.0/0"]):
            found.append(Failure(f"rules[{i}].match.srcIpRanges", "a RoCE policy takes 0.0.0.0/0 alone"))
    return found


def _judge_member(inputs: Props) -> list[Failure]:
    found: list[Failure] = []
    member, role = inputs.get("member"), inputs.get("role")
    if isinstance(member, str) and not member.startswith(_MEMBER_PREFIXES):
        found.append(Failure("member", f"{member!r} has no known prefix, such as serviceAccount: or principal://"))
    if (
        isinstance(member, str)
        and member.startswith("principal://iam")
        and not re.match(rf"principal://{_POOLS}/[^/]+/subject/.+", member)
    ):
        found.append(
            Failure(
                "member",
                f"{member!r}: needs the project *number* and .../workloadIdentityPools/POOL/subject/...",
            )
        )
    if (
        isinstance(member, str)
        and member.startswith("principalSet://iam")
        and not re.match(rf"principalSet://{_POOLS}/[^/]+/(attribute\.[a-z0-9_]+/.+|group/.+|namespace/.+|\*)$", member)
    ):
        found.append(Failure("member", f"{member!r}: needs .../workloadIdentityPools/POOL/attribute.NAME/VALUE"))
    if isinstance(role, str) and not re.match(r"(roles/|projects/[^/]+/roles/|organizations/\d+/roles/).+", role):
        found.append(Failure("role", f"{role!r} is not of the form roles/..."))
    return found


def _judge_key(inputs: Props) -> list[Failure]:
    """The plugin's own check of the rotation period (terraform-provider-google, validateKmsCryptoKeyRotationPeriod)."""
    period = inputs.get("rotationPeriod")
    if not isinstance(period, str):
        return []
    seconds = re.fullmatch(r"(\d+)(\.\d{1,9})?s", period)
    if seconds is None or int(seconds[1]) < _DAY:
        return [Failure("rotationPeriod", f"{period!r} is not a number of seconds of at least one day")]
    return []


def _judge_provider(inputs: Props) -> list[Failure]:
    """IAM reference, workloadIdentityPools.providers: one kind of provider, a mapped subject, bounded expressions."""
    found: list[Failure] = []
    if sum(bool(inputs.get(kind)) for kind in ("aws", "oidc", "saml", "x509")) != 1:
        found.append(Failure("oidc", "needs exactly one of aws, oidc, saml and x509"))
    mapped = inputs.get("attributeMapping")
    if isinstance(mapped, dict):
        if inputs.get("oidc") and "google.subject" not in mapped:
            found.append(Failure("attributeMapping", "must map google.subject"))
        found.extend(
            Failure(f"attributeMapping.{key}", f"has {len(value)} characters, at most {_MAPPING_MAX}")
            for key, value in cast("Props", mapped).items()
            if isinstance(value, str) and len(value) > _MAPPING_MAX
        )
    condition = inputs.get("attributeCondition")
    if isinstance(condition, str) and len(condition) > _CONDITION_MAX:
        found.append(Failure("attributeCondition", f"has {len(condition)} characters, at most {_CONDITION_MAX}"))
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


def _judge_subnetwork(inputs: Props) -> list[Failure]:
    try:
        _ranges(inputs)
    except ValueError as error:
        return [Failure("ipCidrRange", str(error))]
    return []


def _pool_fits(state: CloudState, placed: Props, current: CloudResource | None) -> None:
    nodes = number(placed, "nodeCount", number(placed, "initialNodeCount"))
    policy = short(text(placed, "placementPolicy.policyName"))
    for resource in state.find(RESOURCE_POLICY, where=lambda t: bool(policy) and text(t.outputs, "name") == policy):
        topology = text(resource.outputs, "workloadPolicy.acceleratorTopology")
        if topology == TOPOLOGY_NVL72 and nodes > NODES_PER_DOMAIN:
            raise ApiError(
                f"Error 400: node pool '{text(placed, 'name')}': {nodes} nodes do not fit accelerator topology "
                f"{topology} of policy '{policy}', which holds {NODES_PER_DOMAIN}"
            )
    for value in many(placed, _RESERVATION):
        for other in state.find(NODE_POOL, where=lambda t: t is not current):
            if "reservationSubBlocks" in str(value) and value in many(other.outputs, _RESERVATION):
                raise ApiError(
                    f"Error 400: ZONE_RESOURCE_POOL_EXHAUSTED: reservation sub-block {value} is held by "
                    f"node pool '{text(other.outputs, 'name')}'"
                )


def _not_newer(state: CloudState, placed: Props) -> None:
    version = text(placed, "version")
    for cluster in state.find(CLUSTER, where=lambda resource: resource.id == _cluster_of(state, placed)):
        control_plane = text(cluster.outputs, "masterVersion")
        if version and _build(version) > _build(control_plane):
            raise ApiError(
                f'Error 400: Node version "{version}" must not have a greater version than the master version '
                f'"{control_plane}"., badRequest'
            )


def _policy_fits(state: CloudState, placed: Props) -> None:
    """Cloud NGFW for RoCE VPC networks: the type is the profile's, and the policy's region has the profile's zone. The
    same project: regional network firewall policies, specifications.
    """
    network = networks.named(state, NETWORK, text(placed, "attachmentTarget"), placed)
    policies = state.find(FIREWALL_POLICY, where=lambda found: found.id == text(placed, "firewallPolicy"))
    if network is None or not policies:
        return
    profile, policy = short(text(network.outputs, "networkProfile")), policies[0].outputs
    wanted = _ROCE_POLICY if "roce" in profile else "VPC_POLICY"
    if text(policy, "policyType") != wanted:
        raise ApiError(f"Error 400: network '{network.id}' takes policies of type {wanted} alone")
    if profile and not profile.startswith(f"{text(policy, 'region')}-"):
        raise ApiError(f"Error 400: the policy is of region {text(policy, 'region')}, which has no zone of {profile}")
    if text(policy, "project") != text(network.outputs, "project"):
        raise ApiError(f"Error 400: network '{network.id}' is not of the policy's project {text(policy, 'project')}")


def _build(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def _pool_networks(state: CloudState, placed: Props) -> None:
    cluster = _cluster_of(state, placed)
    zones = [str(zone) for zone in many(placed, "nodeLocations")]
    ranges: list[tuple[str, ipaddress.IPv4Network]] = []
    for config in items(placed, "networkConfig.additionalNodeNetworkConfigs"):
        network = networks.named(state, NETWORK, text(config, "network"), placed)
        profile = short(text(network.outputs, "networkProfile")) if network else ""
        if profile and zones and not any(profile.startswith(f"{zone}-") for zone in zones):
            raise ApiError(
                f"Error 400: network '{text(config, 'network')}' has the profile {profile}, which is not of the "
                f"pool's zone {', '.join(zones)}"
            )
        found = networks.named(state, SUBNETWORK, text(config, "subnetwork"), placed)
        if found is None:
            continue
        subnet = short(found.id)
        ranges.extend((subnet, its) for its in _ranges(found.outputs))
        if mapping(placed, "nodeConfig.labels").get(DRANET_LABEL) == "true":
            # DRANET attaches the NICs; it takes no network objects.
            continue
        sets = [
            text(resource.outputs, "metadata.name")
            for resource in state.find(_PARAM_SET, scope=cluster)
            if text(resource.outputs, "spec.vpcSubnet") == subnet
        ]
        objects = state.find(_DEVICE_NETWORK, scope=cluster)
        if not any(text(resource.outputs, "spec.parametersRef.name") in sets for resource in objects):
            raise ApiError(
                f"Error 400: subnetwork '{subnet}' has no GKENetworkParamSet with a Network in cluster "
                f"'{short(cluster)}': network objects must be there before the node pool"
            )
    for (one, first), (two, second) in combinations(ranges, 2):
        if first.overlaps(second):
            raise ApiError(f"Error 400: the ranges of node networks {one} ({first}) and {two} ({second}) overlap")


def _no_overlap(state: CloudState, placed: Props) -> None:
    wanted = _ranges(placed)
    network = short(text(placed, "network"))
    for other in state.find(SUBNETWORK, where=lambda t: short(text(t.outputs, "network")) == network):
        for taken in _ranges(other.outputs):
            for new in wanted:
                if new.overlaps(taken):
                    raise ApiError(
                        f"Error 400: Invalid IPCidrRange: {new} conflicts with existing subnetwork "
                        f"'{text(other.outputs, 'name')}' ({taken})"
                    )


def _ranges(props: Props) -> list[ipaddress.IPv4Network]:
    texts = [text(props, "ipCidrRange")] + [text(r, "ipCidrRange") for r in items(props, "secondaryIpRanges")]
    return [ipaddress.IPv4Network(found) for found in texts if found]


def _cluster_of(state: CloudState, placed: Props) -> str:
    name = short(text(placed, "cluster"))
    named = state.find(
        CLUSTER,
        where=lambda t: text(t.outputs, "name") == name and t.outputs.get("location") == placed.get("location"),
    )
    return named[0].id if named else ""


def _member_exists(state: CloudState, member: str) -> None:
    pool = re.search(r"(?:serviceAccount:|workloadIdentityPools/)([^/\[]+\.svc\.id\.goog)", member)
    if pool:
        clusters = state.find(
            CLUSTER, where=lambda t: text(t.outputs, "workloadIdentityConfig.workloadPool") == pool[1]
        )
        if not clusters:
            raise ApiError(
                f"Error 400: Identity Pool does not exist ({pool[1]}): the first cluster with that workload "
                "pool makes it"
            )
        return
    named = re.match(rf"principal(?:Set)?://{_POOLS}/([^/]+)/", member)
    if named:
        pools = state.find(IDENTITY_POOL, where=lambda t: text(t.outputs, "workloadIdentityPoolId") == named[1])
        if not any(text(found.outputs, "state") == "ACTIVE" for found in pools):
            raise ApiError(f"Error 400: Identity Pool does not exist ({named[1]}), badRequest")
        return
    email = member.removeprefix("serviceAccount:")
    if email != member and _is_missing(state, email):
        raise ApiError(f"Error 400: Service account {email} does not exist., badRequest")


def _account_exists(state: CloudState, email: str) -> None:
    """The wording: midl-dev/tezos-on-gke#45, gruntwork-io/terraform-google-gke#56."""
    if _is_missing(state, email):
        raise ApiError(f'Error 400: Service account "{email}" does not exist., badRequest')


def _is_missing(state: CloudState, email: str) -> bool:
    """Whether an email names an account that is not there, of a project of which anything is."""
    project = email.rpartition("@")[2].removesuffix(".iam.gserviceaccount.com")
    mine = {str(t.outputs.get("project")) for t in state.find(where=lambda t: t.kind.startswith("gcp:"))}
    return project in mine and not state.find(ACCOUNT, where=lambda t: t.outputs.get("email") == email)


_JUDGES: dict[str, Callable[[Props], list[Failure]]] = {
    BUCKET: _judge_bucket,
    CLUSTER: _judge_cluster,
    CRYPTO_KEY: _judge_key,
    FIREWALL_POLICY: _judge_firewall_policy,
    IDENTITY_PROVIDER: _judge_provider,
    NODE_POOL: _judge_pool,
    SUBNETWORK: _judge_subnetwork,
    **dict.fromkeys(_GRANTS, _judge_member),
}
