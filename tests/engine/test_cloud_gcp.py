"""What the embedded cloud does in place of Google Cloud. One test, one rule."""

from __future__ import annotations

from typing import Any

import pytest

from rehearsal.simulator import ApiError
from rehearsal.simulator.state import CloudResource
from rehearsal.simulator.values import UNKNOWN, Props
from tests.engine.driver import CLUSTER, NODE_POOL, PROJECT, REGION, ZONE, CheckError, Driver, pool_inputs

BUCKET = "gcp:storage/bucket:Bucket"
MEMBER = "gcp:storage/bucketIAMMember:BucketIAMMember"
NETWORK = "gcp:compute/network:Network"
SUBNET = "gcp:compute/subnetwork:Subnetwork"
FIREWALL = "gcp:compute/firewall:Firewall"
ACCOUNT = "gcp:serviceaccount/account:Account"
ACCOUNT_MEMBER = "gcp:serviceaccount/iAMMember:IAMMember"
POOLS = "principal://iam.googleapis.com/projects/1/locations/global/workloadIdentityPools"
PROJECT_MEMBER = "gcp:projects/iAMMember:IAMMember"
FIREWALL_POLICY = "gcp:compute/regionNetworkFirewallPolicyWithRules:RegionNetworkFirewallPolicyWithRules"
ASSOCIATION = "gcp:compute/regionNetworkFirewallPolicyAssociation:RegionNetworkFirewallPolicyAssociation"
POLICY = "gcp:compute/resourcePolicy:ResourcePolicy"


@pytest.fixture
def cloud() -> Driver:
    return Driver()


def bucket(name: Any = "weights", **more: Any) -> Props:
    return {"name": name, "location": REGION, **more}


def subnet(name: str, network: str, cidr: str, **more: Any) -> Props:
    return {"name": name, "network": network, "region": REGION, "ipCidrRange": cidr, **more}


def refused(cloud: Driver, kind: str, inputs: Props) -> dict[str, str]:
    with pytest.raises(CheckError) as caught:
        cloud.check(kind, "x", inputs)
    return caught.value.failures


# Shapes, read from the SDK


def test_an_unknown_field_is_refused(cloud: Driver) -> None:
    assert refused(cloud, BUCKET, bucket(storageKlass="STANDARD")) == {"storageKlass": "unknown field"}


def test_an_unknown_nested_field_is_refused_with_its_path_and_the_field_that_was_meant(cloud: Driver) -> None:
    inputs = pool_inputs()
    inputs["nodeConfig"]["machine_type"] = "x"
    assert refused(cloud, NODE_POOL, inputs) == {"nodeConfig.machine_type": "unknown field, did you mean machineType?"}


def test_an_unknown_field_in_a_list_is_refused(cloud: Driver) -> None:
    inputs = pool_inputs()
    inputs["nodeConfig"]["taints"] = [{"key": "a", "value": "b", "efect": "NO_SCHEDULE"}]
    assert set(refused(cloud, NODE_POOL, inputs)) == {
        "nodeConfig.taints[0].efect",
        "nodeConfig.taints[0].effect",
    }


def test_a_missing_required_field_is_refused(cloud: Driver) -> None:
    assert refused(cloud, BUCKET, {"name": "weights"}) == {"location": "required field is missing"}


@pytest.mark.parametrize(
    ("field", "value"),
    [("forceDestroy", "yes"), ("labels", ["a"]), ("cors", {"a": 1}), ("versioning", True), ("location", 3)],
)
def test_a_value_of_another_type_is_refused(cloud: Driver, field: str, value: Any) -> None:
    assert list(refused(cloud, BUCKET, bucket(**{field: value}))) == [field]


def test_an_unknown_value_is_judged_by_nobody(cloud: Driver) -> None:
    cloud.check(BUCKET, "x", bucket(name=UNKNOWN, forceDestroy=UNKNOWN, labels={"a": UNKNOWN}))


def test_a_kind_that_the_sdk_does_not_have_is_refused(cloud: Driver) -> None:
    with pytest.raises(ApiError, match="has no gcp:storage/bukket:Bukket"):
        cloud.check("gcp:storage/bukket:Bukket", "x", {})


# Names


def test_a_name_that_is_not_given_is_made_from_the_logical_name_and_kept(cloud: Driver) -> None:
    made = cloud.create(NETWORK, "net", {})
    assert made.inputs["name"].startswith("net-")
    assert "name" in made.inputs["__defaults"]
    assert cloud.check(NETWORK, "net", {}, made.inputs)["name"] == made.inputs["name"]


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (ACCOUNT, "accountId", "short"),
        (ACCOUNT, "accountId", "a" * 31),
        (ACCOUNT, "accountId", "Upper-case"),
        (BUCKET, "name", "gs://weights"),
        (BUCKET, "name", "Weights"),
        (BUCKET, "name", "google-weights"),
        (NETWORK, "name", "net_0"),
        (NODE_POOL, "name", "a" * 41),
    ],
)
def test_a_name_that_the_service_does_not_take_is_refused(cloud: Driver, kind: str, field: str, value: str) -> None:
    given = {ACCOUNT: {}, BUCKET: bucket(), NETWORK: {}, NODE_POOL: pool_inputs()}[kind]
    assert field in refused(cloud, kind, {**given, field: value})


# Existence


def test_a_second_object_of_the_same_name_is_refused(cloud: Driver) -> None:
    cloud.create(BUCKET, "one", bucket())
    with pytest.raises(ApiError, match="409"):
        cloud.create(BUCKET, "two", bucket())


def test_the_same_name_in_another_place_is_another_object(cloud: Driver) -> None:
    cloud.create(NETWORK, "net", {"name": "net"})
    cloud.create(SUBNET, "a", subnet("s", "net", "10.0.0.0/24"))
    cloud.create(SUBNET, "b", {**subnet("s", "net", "10.1.0.0/24"), "region": "europe-west4"})


def test_a_pool_of_a_cluster_that_is_not_there_is_refused(cloud: Driver) -> None:
    with pytest.raises(ApiError, match="Cluster 'a4x' was not found"):
        cloud.pool()


def test_a_pool_of_a_cluster_in_another_place_is_refused(cloud: Driver) -> None:
    cloud.cluster()
    with pytest.raises(ApiError, match="Cluster 'a4x' was not found"):
        cloud.create(NODE_POOL, "pool", {**pool_inputs(), "location": "europe-west4"})


@pytest.mark.parametrize(
    ("kind", "inputs", "missing"),
    [
        (SUBNET, subnet("s", "nowhere", "10.0.0.0/24"), "Network 'nowhere'"),
        (MEMBER, {"bucket": "nowhere", "role": "roles/storage.objectViewer", "member": "allUsers"}, "Bucket"),
        (
            ACCOUNT_MEMBER,
            {"serviceAccountId": "projects/p/serviceAccounts/x", "role": "roles/a.b", "member": "allUsers"},
            "Account",
        ),
        (CLUSTER, {"name": "c", "location": REGION, "network": "nowhere"}, "Network 'nowhere'"),
    ],
)
def test_a_reference_to_what_is_not_there_is_refused(cloud: Driver, kind: str, inputs: Props, missing: str) -> None:
    with pytest.raises(ApiError, match=missing):
        cloud.create(kind, "x", inputs)


def test_a_grant_to_an_account_that_is_not_there_is_refused(cloud: Driver) -> None:
    cloud.create(BUCKET, "b", bucket())
    member = f"serviceAccount:nobody-here@{PROJECT}.iam.gserviceaccount.com"
    with pytest.raises(ApiError, match="does not exist"):
        cloud.create(MEMBER, "m", {"bucket": "weights", "role": "roles/storage.objectViewer", "member": member})


@pytest.mark.parametrize(
    "member",
    [
        f"serviceAccount:{PROJECT}.svc.id.goog[ns/ksa]",
        f"{POOLS}/{PROJECT}.svc.id.goog/subject/ns/n/sa/s",
    ],
)
def test_a_grant_to_a_workload_pool_needs_a_cluster_that_has_made_it(cloud: Driver, member: str) -> None:
    cloud.create(BUCKET, "b", bucket())
    inputs = {"bucket": "weights", "role": "roles/storage.objectViewer", "member": member}
    with pytest.raises(ApiError, match="Identity Pool does not exist"):
        cloud.create(MEMBER, "m", inputs)
    cloud.cluster()
    cloud.create(MEMBER, "m", inputs)


@pytest.mark.parametrize(
    "member",
    [
        "nobody@example.com",
        "principal://iam.googleapis.com/projects/my-project/locations/global/workloadIdentityPools/p/subject/s",
    ],
)
def test_a_member_that_iam_cannot_read_is_refused(cloud: Driver, member: str) -> None:
    assert "member" in refused(cloud, PROJECT_MEMBER, {"project": "p", "role": "roles/a.b", "member": member})


def test_a_role_that_is_no_role_is_refused(cloud: Driver) -> None:
    inputs = {"project": "p", "role": "storage.objectViewer", "member": "allUsers"}
    assert "role" in refused(cloud, PROJECT_MEMBER, inputs)


def test_without_a_project_nothing_can_be_made() -> None:
    cloud = Driver()
    cloud.cloud.gcp.configure("", {})
    with pytest.raises(ApiError, match="gcp:project"):
        cloud.create(NETWORK, "net", {"name": "net"})


# Pools of A4X


def policy(cloud: Driver) -> None:
    workload = {"type": "HIGH_THROUGHPUT", "acceleratorTopology": "1x72"}
    cloud.create(POLICY, "p", {"name": "nvl72", "region": REGION, "workloadPolicy": workload})


def test_a_pool_under_a_1x72_policy_takes_18_nodes_and_no_more(cloud: Driver) -> None:
    cloud.cluster()
    policy(cloud)
    placed = {"type": "COMPACT", "policyName": "nvl72"}
    cloud.create(NODE_POOL, "full", {**pool_inputs("full", 18), "placementPolicy": placed})
    with pytest.raises(ApiError, match="19 nodes do not fit"):
        cloud.create(NODE_POOL, "more", {**pool_inputs("more", 19), "placementPolicy": placed})


def test_two_pools_on_one_sub_block_are_refused(cloud: Driver) -> None:
    cloud.cluster()
    first = cloud.pool("one")
    with pytest.raises(ApiError, match="held by node pool 'one'"):
        cloud.pool("two", reservationAffinity=first.inputs["nodeConfig"]["reservationAffinity"])


@pytest.mark.parametrize(
    ("where", "change"),
    [
        ("nodeLocations", {"nodeLocations": [ZONE, "us-central1-a"]}),
        ("autoscaling", {"autoscaling": {"maxNodeCount": 3}}),
        ("nodeConfig.spot", {"nodeConfig": {"spot": True}}),
        ("nodeConfig.diskType", {"nodeConfig": {"diskType": "pd-balanced"}}),
        ("nodeConfig.reservationAffinity", {"nodeConfig": {"reservationAffinity": None}}),
    ],
)
def test_what_a4x_cannot_do_is_refused(cloud: Driver, where: str, change: Props) -> None:
    inputs = pool_inputs()
    inputs["nodeConfig"] |= change.pop("nodeConfig", {})
    assert where in refused(cloud, NODE_POOL, {**inputs, **change})


# Keys, identity pools and their grants

RING = "gcp:kms/keyRing:KeyRing"
CRYPTO_KEY = "gcp:kms/cryptoKey:CryptoKey"
KEY_MEMBER = "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember"
IDENTITY_POOL = "gcp:iam/workloadIdentityPool:WorkloadIdentityPool"
IDENTITY_PROVIDER = "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider"
CUSTOM_ROLE = "gcp:projects/iAMCustomRole:IAMCustomRole"


def crypto_key(**more: Any) -> Props:
    return {"name": "k", "keyRing": f"projects/{PROJECT}/locations/{REGION}/keyRings/r", **more}


def federation(**more: Any) -> Props:
    return {
        "workloadIdentityPoolId": "pool",
        "workloadIdentityPoolProviderId": "github",
        "oidc": {"issuerUri": "https://issuer.example"},
        "attributeMapping": {"google.subject": "assertion.sub"},
        **more,
    }


def test_key_ring_and_key_are_there_after_their_deletion_and_their_names_never_free(cloud: Driver) -> None:
    ring = cloud.create(RING, "r", {"name": "r", "location": REGION})
    key = cloud.create(CRYPTO_KEY, "k", crypto_key())
    for made in (key, ring):
        cloud.delete(made)
        assert cloud.read(made.kind, made.id).resource_id == made.id
    assert not cloud.state.leftovers()
    assert key.outputs["primaries"][0]["state"] == "DESTROY_SCHEDULED"
    with pytest.raises(ApiError, match="409"):
        cloud.create(RING, "r", {"name": "r", "location": REGION})
    with pytest.raises(ApiError, match="409"):
        cloud.create(CRYPTO_KEY, "k", crypto_key())


def test_a_key_without_its_key_ring_is_refused(cloud: Driver) -> None:
    with pytest.raises(ApiError, match="KeyRing"):
        cloud.create(CRYPTO_KEY, "k", crypto_key())


@pytest.mark.parametrize("period", ["90d", "3600s", "86399s"])
def test_a_rotation_of_less_than_a_day_is_refused(cloud: Driver, period: str) -> None:
    assert set(refused(cloud, CRYPTO_KEY, crypto_key(rotationPeriod=period))) == {"rotationPeriod"}


def test_a_deleted_pool_is_gone_and_its_id_taken(cloud: Driver) -> None:
    pool = cloud.create(IDENTITY_POOL, "p", {"workloadIdentityPoolId": "pool"})
    assert pool.outputs["name"].endswith("/locations/global/workloadIdentityPools/pool")
    assert not pool.outputs["name"].startswith(f"projects/{PROJECT}/")
    provider = cloud.create(IDENTITY_PROVIDER, "g", federation())
    for made in (provider, pool):
        cloud.delete(made)
        assert not cloud.read(made.kind, made.id).resource_id
    assert not cloud.state.leftovers()
    with pytest.raises(ApiError, match="409"):
        cloud.create(IDENTITY_POOL, "p", {"workloadIdentityPoolId": "pool"})
    with pytest.raises(ApiError, match="not found"):
        cloud.create(IDENTITY_PROVIDER, "g", federation(workloadIdentityPoolProviderId="other"))


@pytest.mark.parametrize(
    ("where", "change"),
    [
        ("oidc", {"oidc": None}),
        ("oidc", {"aws": {"accountId": "1"}}),
        ("attributeMapping", {"attributeMapping": {"attribute.ref": "assertion.ref"}}),
        ("attributeMapping.google.subject", {"attributeMapping": {"google.subject": "x" * 2049}}),
        ("attributeCondition", {"attributeCondition": "x" * 4097}),
        ("workloadIdentityPoolProviderId", {"workloadIdentityPoolProviderId": "gcp-github"}),
    ],
)
def test_an_identity_provider_that_iam_does_not_take_is_refused(cloud: Driver, where: str, change: Props) -> None:
    assert where in refused(cloud, IDENTITY_PROVIDER, federation(**change))


def test_a_grant_to_an_identity_pool_needs_that_pool(cloud: Driver) -> None:
    cloud.create(RING, "r", {"name": "r", "location": REGION})
    key = cloud.create(CRYPTO_KEY, "k", crypto_key())
    member = f"{POOLS.replace('principal:', 'principalSet:')}/pool/attribute.identity/1/deployer"
    inputs = {"cryptoKeyId": key.id, "role": "roles/cloudkms.cryptoKeyDecrypter", "member": member}
    with pytest.raises(ApiError, match=r"Identity Pool does not exist \(pool\)"):
        cloud.create(KEY_MEMBER, "m", inputs)
    pool = cloud.create(IDENTITY_POOL, "p", {"workloadIdentityPoolId": "pool"})
    cloud.create(KEY_MEMBER, "m", inputs)
    cloud.delete(pool)
    with pytest.raises(ApiError, match="Identity Pool does not exist"):
        cloud.create(KEY_MEMBER, "n", {**inputs, "role": "roles/cloudkms.viewer"})


@pytest.mark.parametrize("rest", ["", "/attribute.identity", "/attribute.Identity/x", "/subject/x"])
def test_a_set_of_principals_that_iam_cannot_read_is_refused(cloud: Driver, rest: str) -> None:
    member = f"{POOLS.replace('principal:', 'principalSet:')}/pool{rest}"
    assert "member" in refused(cloud, PROJECT_MEMBER, {"project": "p", "role": "roles/a.b", "member": member})


def test_the_id_of_a_custom_role_has_no_hyphen(cloud: Driver) -> None:
    role = {"roleId": "my-role", "title": "t", "permissions": ["a.b.get"]}
    assert "roleId" in refused(cloud, CUSTOM_ROLE, role)


# Networks


def rdma(cloud: Driver, zone: str = ZONE) -> None:
    profile = f"projects/{PROJECT}/global/networkProfiles/{zone}-vpc-roce"
    cloud.create(NETWORK, "rdma", {"name": "rdma", "networkProfile": profile})
    cloud.create(SUBNET, "rdma-0", subnet("rdma-0", "rdma", "192.168.128.0/20"))


def attached() -> Props:
    config = {"additionalNodeNetworkConfigs": [{"network": "rdma", "subnetwork": "rdma-0"}]}
    return {**pool_inputs(), "networkConfig": config}


def device_network(cloud: Driver) -> None:
    api, name = "networking.gke.io/v1", "rdma-0"
    cloud.kube(api, "GKENetworkParamSet", name, spec={"vpc": "rdma", "vpcSubnet": name, "deviceMode": "RDMA"})
    reference = {"group": "networking.gke.io", "kind": "GKENetworkParamSet", "name": name}
    cloud.kube(api, "Network", name, spec={"type": "Device", "parametersRef": reference})


def test_a_pool_before_its_network_objects_is_refused(cloud: Driver) -> None:
    cloud.cluster()
    rdma(cloud)
    with pytest.raises(ApiError, match="network objects must be there before"):
        cloud.create(NODE_POOL, "pool", attached())
    device_network(cloud)
    cloud.create(NODE_POOL, "pool", attached())


def test_a_pool_on_a_network_profile_of_another_zone_is_refused(cloud: Driver) -> None:
    cloud.cluster()
    rdma(cloud, "us-central1-a")
    device_network(cloud)
    with pytest.raises(ApiError, match="not of the pool's zone"):
        cloud.create(NODE_POOL, "pool", attached())


def test_a_firewall_rule_on_a_roce_network_is_refused(cloud: Driver) -> None:
    rdma(cloud)
    with pytest.raises(ApiError, match="takes no firewall rules"):
        cloud.create(FIREWALL, "fw", {"network": "rdma", "allows": [{"protocol": "tcp"}]})


def firewall_policy(*matches: Props, **more: Any) -> Props:
    rules = [
        {"priority": i, "action": "allow", "match": {**match, "layer4Configs": [{"ipProtocol": "all"}]}}
        for i, match in enumerate(matches)
    ]
    return {"name": "rdma", "region": REGION, "policyType": "RDMA_ROCE_POLICY", "rules": rules, **more}


@pytest.mark.parametrize(
    ("match", "where"),
    [
        ({"srcIpRanges": ["10.0.0.0/8"]}, "rules[0].match.srcIpRanges"),
        ({"srcIpRanges": ["0.0.0.0/0"], "srcSecureTags": [{"name": "tagValues/1"}]}, "rules[0].match"),
        ({"srcFqdns": ["example.com"]}, "rules[0].match"),
    ],
)
def test_a_source_that_a_roce_policy_does_not_take_is_refused(cloud: Driver, match: Props, where: str) -> None:
    assert where in refused(cloud, FIREWALL_POLICY, firewall_policy(match))
    cloud.create(FIREWALL_POLICY, "policy", firewall_policy(match, policyType="VPC_POLICY"))


def test_two_rules_of_one_priority_are_refused(cloud: Driver) -> None:
    inputs = firewall_policy({"srcIpRanges": ["0.0.0.0/0"]})
    inputs["rules"] *= 2
    assert "rules" in refused(cloud, FIREWALL_POLICY, inputs)


def associated(cloud: Driver, **more: Any) -> CloudResource:
    made = cloud.create(FIREWALL_POLICY, "policy", firewall_policy({"srcIpRanges": ["0.0.0.0/0"]}, **more))
    network = f"projects/{PROJECT}/global/networks/rdma"
    inputs = {"name": "rdma", "region": REGION, "firewallPolicy": made.id, "attachmentTarget": network}
    return cloud.create(ASSOCIATION, "association", inputs)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"policyType": "VPC_POLICY"}, "takes policies of type RDMA_ROCE_POLICY alone"),
        ({"region": "us-east1"}, "has no zone of us-central1-b-vpc-roce"),
        ({"project": "another"}, "not of the policy's project another"),
    ],
)
def test_a_policy_that_does_not_fit_a_networks_profile_is_refused(cloud: Driver, change: Props, said: str) -> None:
    rdma(cloud)
    with pytest.raises(ApiError, match=said):
        associated(cloud, **change)


def test_a_roce_policy_is_refused_in_a_network_without_a_profile(cloud: Driver) -> None:
    cloud.create(NETWORK, "rdma", {"name": "rdma"})
    with pytest.raises(ApiError, match="takes policies of type VPC_POLICY alone"):
        associated(cloud)


def test_an_association_holds_its_policy_and_its_network(cloud: Driver) -> None:
    cloud.create(NETWORK, "rdma", {"name": "rdma", "networkProfile": f"networkProfiles/{ZONE}-vpc-roce"})
    association = associated(cloud)
    held = [cloud.state.find(kind)[0] for kind in (FIREWALL_POLICY, NETWORK)]
    for resource in held:
        with pytest.raises(ApiError, match="already being used by RegionNetworkFirewallPolicyAssociation"):
            cloud.delete(resource)
    cloud.delete(association)
    for resource in held:
        cloud.delete(resource)
    assert not cloud.state.leftovers()


def test_overlapping_ranges_in_one_network_are_refused(cloud: Driver) -> None:
    cloud.create(NETWORK, "net", {"name": "net"})
    secondary = [{"rangeName": "pods", "ipCidrRange": "10.4.0.0/14"}]
    cloud.create(SUBNET, "a", subnet("a", "net", "10.0.0.0/20", secondaryIpRanges=secondary))
    with pytest.raises(ApiError, match=r"10\.5\.0\.0/16 conflicts"):
        cloud.create(SUBNET, "b", subnet("b", "net", "10.5.0.0/16"))


def test_a_range_that_is_no_range_is_refused(cloud: Driver) -> None:
    assert "ipCidrRange" in refused(cloud, SUBNET, subnet("a", "net", "10.0.0.1/20"))


def test_overlapping_ranges_of_a_pools_networks_are_refused(cloud: Driver) -> None:
    cloud.cluster()
    rdma(cloud)
    device_network(cloud)
    cloud.create(NETWORK, "gvnic", {"name": "gvnic"})
    cloud.create(SUBNET, "g", subnet("gvnic-1", "gvnic", "192.168.0.0/16"))
    api = "networking.gke.io/v1"
    cloud.kube(api, "GKENetworkParamSet", "gvnic-1", spec={"vpc": "gvnic", "vpcSubnet": "gvnic-1"})
    reference = {"group": "networking.gke.io", "kind": "GKENetworkParamSet", "name": "gvnic-1"}
    cloud.kube(api, "Network", "gvnic-1", spec={"type": "Device", "parametersRef": reference})
    inputs = attached()
    inputs["networkConfig"]["additionalNodeNetworkConfigs"].append({"network": "gvnic", "subnetwork": "gvnic-1"})
    with pytest.raises(ApiError, match="overlap"):
        cloud.create(NODE_POOL, "pool", inputs)


def test_a_range_can_grow_and_not_shrink(cloud: Driver) -> None:
    cloud.create(NETWORK, "net", {"name": "net"})
    made = cloud.create(SUBNET, "a", subnet("a", "net", "10.0.0.0/20"))
    cloud.update(made, subnet("a", "net", "10.0.0.0/18"))
    with pytest.raises(ApiError, match="can only grow"):
        cloud.update(made, subnet("a", "net", "10.0.0.0/24"))


# Deletion


def test_a_network_in_use_cannot_go(cloud: Driver) -> None:
    network = cloud.create(NETWORK, "net", {"name": "net"})
    inside = cloud.create(SUBNET, "a", subnet("a", "net", "10.0.0.0/20"))
    with pytest.raises(ApiError, match="already being used by Subnetwork"):
        cloud.delete(network)
    cloud.delete(inside)
    cloud.delete(network)
    assert not cloud.state.leftovers()


def test_a_network_of_a_cluster_cannot_go(cloud: Driver) -> None:
    network = cloud.create(NETWORK, "net", {"name": "net"})
    cloud.cluster(network="net")
    with pytest.raises(ApiError, match="already being used by Cluster"):
        cloud.delete(network)


def test_a_policy_of_a_pool_cannot_go(cloud: Driver) -> None:
    cloud.cluster()
    policy(cloud)
    placed = {"type": "COMPACT", "policyName": "nvl72"}
    cloud.create(NODE_POOL, "pool", {**pool_inputs(), "placementPolicy": placed})
    with pytest.raises(ApiError, match="already being used by NodePool"):
        cloud.delete(cloud.state.find(POLICY)[0])


def test_a_cluster_with_pools_of_the_program_cannot_go(cloud: Driver) -> None:
    cluster = cloud.cluster()
    cloud.pool()
    with pytest.raises(ApiError, match="already being used by NodePool"):
        cloud.delete(cluster)


def test_a_cluster_with_objects_of_the_program_cannot_go(cloud: Driver) -> None:
    cluster = cloud.cluster()
    namespace = cloud.namespace("mine")
    with pytest.raises(ApiError, match="still holds 1 Kubernetes objects"):
        cloud.delete(cluster)
    cloud.delete(namespace)
    cloud.delete(cluster)
    assert len(cloud.state) == 0


@pytest.mark.parametrize("protection", [True, None])
def test_a_cluster_is_protected_from_deletion_unless_it_says_otherwise(cloud: Driver, protection: bool | None) -> None:
    cluster = cloud.cluster(deletionProtection=protection)
    with pytest.raises(ApiError, match="deletion_protection"):
        cloud.delete(cluster)


def test_nodes_are_never_newer_than_the_control_plane(cloud: Driver) -> None:
    cloud.cluster(minMasterVersion="1.35.1-gke.1000000")
    with pytest.raises(ApiError, match="must not have a greater version than the master"):
        cloud.create(NODE_POOL, "pool", {**pool_inputs(), "version": "1.35.1-gke.1000001"})
    made = cloud.create(NODE_POOL, "pool", {**pool_inputs(), "version": "1.35.1-gke.999999"})
    assert made.outputs["version"] == "1.35.1-gke.999999"
    with pytest.raises(ApiError, match="must not have a greater version than the master"):
        cloud.update(made, {**pool_inputs(), "version": "1.36.0-gke.1"})


def test_a_pool_on_which_a_graph_runs_cannot_go(cloud: Driver) -> None:
    cloud.platform()
    cloud.graph()
    with pytest.raises(ApiError, match="still runs DynamoGraphDeployment serving/r1-abcd"):
        cloud.delete(cloud.state.find(NODE_POOL)[0])


def test_a_pool_on_which_a_graph_runs_cannot_shrink_below_it(cloud: Driver) -> None:
    cloud.platform()
    cloud.graph()
    with pytest.raises(ApiError, match="2 are in use"):
        cloud.update(cloud.state.find(NODE_POOL)[0], pool_inputs(nodes=1))


def test_a_bucket_with_files_goes_only_by_force(cloud: Driver) -> None:
    made = cloud.create(BUCKET, "b", bucket())
    cloud.create("gcp:storage/bucketObject:BucketObject", "o", {"bucket": "weights", "name": "f", "content": "x"})
    with pytest.raises(ApiError, match="without force_destroy"):
        cloud.delete(made)
    cloud.update(made, bucket(forceDestroy=True))
    cloud.delete(made)


def test_deleting_what_is_gone_is_no_error(cloud: Driver) -> None:
    made = cloud.create(BUCKET, "b", bucket())
    cloud.delete(made)
    cloud.delete(made)


def test_changing_what_is_gone_fails(cloud: Driver) -> None:
    made = cloud.create(BUCKET, "b", bucket())
    cloud.delete(made)
    with pytest.raises(ApiError, match="Error 404"):
        cloud.update(made, bucket(forceDestroy=True))


# Changes


@pytest.mark.parametrize(
    ("change", "replaces"),
    [
        ({"nodeCount": 3}, []),
        ({"placementPolicy": {"type": "COMPACT"}}, ["placementPolicy"]),
        ({"nodeLocations": ["us-central1-a"]}, []),
        ({"nodeConfig": {"guestAccelerators": [{"type": "nvidia-gb200", "count": 4}]}}, ["nodeConfig"]),
        ({"nodeConfig": {"labels": {"a": "b"}}}, []),
        ({"networkConfig": {"additionalNodeNetworkConfigs": [{"network": "n"}]}}, ["networkConfig"]),
        ({"maxPodsPerNode": 64}, ["maxPodsPerNode"]),
    ],
)
def test_a_pool_is_replaced_by_what_gke_cannot_change(cloud: Driver, change: Props, replaces: list[str]) -> None:
    cloud.cluster()
    made = cloud.pool()
    inputs = pool_inputs()
    inputs["nodeConfig"] |= change.pop("nodeConfig", {})
    difference = cloud.diff(made, {**inputs, **change})
    assert difference.changes
    assert difference.replaces == replaces
    assert difference.delete_before_replace == bool(replaces)


def test_a_pool_whose_networks_are_unknown_cannot_be_compared(cloud: Driver) -> None:
    """E8: what the engine asks about a pool when a network that it names is to be deleted first."""
    cloud.cluster()
    made = cloud.pool()
    with pytest.raises(ApiError, match="ElementIterator on unknown value, in nodePoolAcceleratorNetworkProfile"):
        cloud.diff(made, {**pool_inputs(), "networkConfig": UNKNOWN})
    assert cloud.diff(made, {**pool_inputs(), "cluster": UNKNOWN}).replaces == ["cluster"]


@pytest.mark.parametrize("config", ["monitoringConfig", "loggingConfig"])
def test_gke_answers_a_list_of_components_in_another_order(cloud: Driver, config: str) -> None:
    """E9: the list as it was asked for is a change, for ever."""
    asked: dict[str, Any] = {config: {"enableComponents": ["SYSTEM_COMPONENTS", "POD", "WORKLOADS"]}}
    cluster = cloud.cluster(**asked)
    assert cluster.outputs[config]["enableComponents"] == ["WORKLOADS", "SYSTEM_COMPONENTS", "POD"]
    assert cloud.diff(cluster, cluster.inputs).diffs == [config]
    assert not cloud.diff(cluster, cluster.inputs, ignored=[f"{config}.enableComponents"]).changes
    cloud.update(cluster, {**cluster.inputs, "resourceLabels": {"a": "b"}})
    assert cloud.diff(cluster, cluster.inputs).diffs == [config]


@pytest.mark.parametrize(
    "change", [{"enableMultiNetworking": True}, {"privateClusterConfig": {"enablePrivateNodes": True}}]
)
def test_a_cluster_is_changed_in_place_where_the_plugin_can(cloud: Driver, change: Props) -> None:
    """E15: not everything that is chosen at creation is chosen for good."""
    before: dict[str, Any] = {"enableMultiNetworking": False, "privateClusterConfig": {"enablePrivateNodes": False}}
    cluster = cloud.cluster(**before)
    difference = cloud.diff(cluster, {**cluster.inputs, **change})
    assert difference.changes
    assert not difference.replaces


@pytest.mark.parametrize(
    ("kind", "inputs", "defaults"),
    [
        (NETWORK, {"name": "other"}, {"networkFirewallPolicyEnforcementOrder": "AFTER_CLASSIC_FIREWALL"}),
        (FIREWALL, {"name": "f", "network": "net"}, {"priority": 1000}),
        (
            "gcp:compute/routerNat:RouterNat",
            {"name": "n", "router": "r", "sourceSubnetworkIpRangesToNat": "ALL_SUBNETWORKS_ALL_IP_RANGES"},
            {"type": "PUBLIC", "udpIdleTimeoutSec": 30, "tcpEstablishedIdleTimeoutSec": 1200},
        ),
    ],
)
def test_the_plugins_defaults_become_inputs(cloud: Driver, kind: str, inputs: Props, defaults: Props) -> None:
    """E15: what is not given is made up by the plugin, and is no change later."""
    cloud.create(NETWORK, "net", {"name": "net"})
    cloud.create("gcp:compute/router:Router", "r", {"name": "r", "network": "net"})
    made = cloud.create(kind, "thing", inputs)
    assert {key: made.inputs[key] for key in defaults} == defaults
    assert set(defaults) <= set(made.inputs["__defaults"])
    assert not cloud.diff(made, inputs).changes
    assert cloud.check(FIREWALL, "g", {"name": "g", "network": "net", "priority": 7})["priority"] == 7


def test_no_change_is_no_change(cloud: Driver) -> None:
    cloud.cluster()
    assert not cloud.diff(cloud.pool(), pool_inputs()).changes


def test_a_replacement_with_a_made_up_name_is_made_before_the_old_one_goes(cloud: Driver) -> None:
    made = cloud.create(NETWORK, "net", {})
    difference = cloud.diff(made, {"networkProfile": "projects/p/global/networkProfiles/x"})
    assert difference.replaces == ["networkProfile"]
    assert not difference.delete_before_replace


def test_any_change_of_a_grant_replaces_it(cloud: Driver) -> None:
    cloud.create(BUCKET, "b", bucket())
    inputs = {"bucket": "weights", "role": "roles/storage.objectViewer", "member": "allUsers"}
    made = cloud.create(MEMBER, "m", inputs)
    assert cloud.diff(made, {**inputs, "role": "roles/storage.objectUser"}).replaces == ["role"]


# Outputs and reads


def test_a_cluster_tells_its_endpoint_and_certificate_and_keeps_them(cloud: Driver) -> None:
    made = cloud.cluster()
    endpoint = made.outputs["endpoint"]
    assert made.id == f"projects/{PROJECT}/locations/{REGION}/clusters/a4x"
    assert made.outputs["masterAuth"]["clusterCaCertificate"]
    assert made.outputs["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["endpoint"].endswith(".gke.goog")
    cloud.update(made, {**made.inputs, "resourceLabels": {"a": "b"}})
    assert made.outputs["endpoint"] == endpoint
    assert made.outputs["resourceLabels"] == {"a": "b"}


def test_an_accounts_email_is_known_before_it_exists(cloud: Driver) -> None:
    outputs = cloud.preview(ACCOUNT, "a", {"accountId": "serving-pods"})
    assert outputs["email"] == f"serving-pods@{PROJECT}.iam.gserviceaccount.com"
    assert outputs["uniqueId"] is UNKNOWN


def test_a_clusters_endpoint_is_unknown_before_it_exists(cloud: Driver) -> None:
    outputs = cloud.preview(CLUSTER, "c", {"name": "c", "location": REGION})
    assert outputs["endpoint"] is UNKNOWN
    assert outputs["masterAuth"] is UNKNOWN
    assert not cloud.state.find(CLUSTER)


def test_a_cluster_can_be_looked_up_as_adoption_does(cloud: Driver) -> None:
    made = cloud.cluster(addonsConfig={"gcsFuseCsiDriverConfig": {"enabled": True}})
    cloud.pool()
    found = cloud.invoke("gcp:container/getCluster:getCluster", {"name": "a4x", "location": REGION})
    assert found["endpoint"] == made.outputs["endpoint"]
    assert found["masterAuths"] == [made.outputs["masterAuth"]]
    assert found["addonsConfigs"] == [{"gcsFuseCsiDriverConfigs": [{"enabled": True}]}]
    assert found["nodePools"][0]["nodeConfigs"][0]["machineType"] == "a4x-highgpu-4g"


@pytest.mark.parametrize(
    ("function", "args"),
    [
        ("gcp:container/getCluster:getCluster", {"name": "nowhere", "location": REGION}),
        ("gcp:storage/getBucket:getBucket", {"name": "nowhere"}),
        ("gcp:compute/getNetwork:getNetwork", {"name": "nowhere"}),
    ],
)
def test_looking_up_what_is_not_there_fails(cloud: Driver, function: str, args: Props) -> None:
    with pytest.raises(ApiError, match="404"):
        cloud.invoke(function, args)


def test_a_function_without_an_answer_is_named(cloud: Driver) -> None:
    with pytest.raises(ApiError, match="gcp:compute/getZones:getZones"):
        cloud.invoke("gcp:compute/getZones:getZones", {})


def test_reading_what_is_gone_says_so(cloud: Driver) -> None:
    made = cloud.create(BUCKET, "b", bucket())
    assert cloud.read(BUCKET, "weights").resource_id == "weights"
    cloud.delete(made)
    assert cloud.read(BUCKET, "weights").resource_id == ""


def test_a_package_that_nobody_stands_in_for_is_named(cloud: Driver) -> None:
    with pytest.raises(ApiError, match="no package aws"):
        cloud.check("aws:s3/bucket:Bucket", "b", {})


def test_a_cluster_takes_only_the_modes_that_the_plugin_knows(cloud: Driver) -> None:
    wrong = {
        "anonymousAuthenticationConfig": {"mode": "DISABLED"},
        "binaryAuthorization": {"evaluationMode": "POLICY_BINDINGS"},
    }
    said = refused(cloud, CLUSTER, {"name": "a4x", "location": REGION, **wrong})
    assert set(said) == {"anonymousAuthenticationConfig.mode", "binaryAuthorization.evaluationMode"}


def test_a_cluster_keeps_what_is_not_said_of_anonymous_requests_and_bindings(cloud: Driver) -> None:
    said = {
        "anonymousAuthenticationConfig": {"mode": "LIMITED"},
        "rbacBindingConfig": {"enableInsecureBindingSystemAuthenticated": False},
    }
    cluster = cloud.cluster(**said)
    silent = {key: value for key, value in cluster.inputs.items() if key not in said}
    assert not cloud.diff(cluster, silent).changes
    opened = cloud.diff(cluster, {**cluster.inputs, "anonymousAuthenticationConfig": {"mode": "ENABLED"}})
    assert (bool(opened.changes), opened.replaces) == (True, [])
