"""The components of Google Cloud, each alone: what it asks of the cloud, in which order, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pulumi
import pytest

from components.gcp import (
    AdoptedCluster,
    AdoptedClusterArgs,
    AdoptedDomain,
    ControlPlane,
    DeviceVpcs,
    GkeCluster,
    GkeClusterArgs,
    Grants,
    NvlinkDomain,
    NvlinkDomainArgs,
    PoolOptions,
    adopted_domain,
    maintenance,
)
from reference import addresses, gke
from reference.cluster import PoolFacts
from reference.dynamo import PROFILES
from tests import answers
from tests.conftest import recorded
from tests.recorder import UNKNOWN, ProgramFailedError, Recording, Resource, StackConfig, record, run_program
from tests.unit.configs import shipped

PROJECT, REGION, ZONE, CLUSTER = "my-project", "us-central1", "us-central1-b", "a4x-prod"
PLAN = addresses.plan(addresses.DEFAULT_BASE, 18)
DNS_NAME = answers.DNS_ENDPOINT

RACK = "reservationBlocks/a4x-block-0001/reservationSubBlocks/a4x-block-0001-subblock-0001"
RESERVATION = f"projects/{PROJECT}/reservations/a4x/{RACK}"


def cluster_args(**more: Any) -> GkeClusterArgs:
    """Inputs of a cluster, `more` laid over them and over its options."""
    args: GkeClusterArgs = {
        "environment": "prod",
        "project": PROJECT,
        "location": REGION,
        "cluster": CLUSTER,
        "network": f"{CLUSTER}-net-0",
        "subnetwork": f"{CLUSTER}-sub-0",
        "pods_range": "pods",
        "services_range": "services",
        "control_plane": ControlPlane(PLAN.control_plane),
        "options": {
            "version": gke.DEFAULT_VERSION,
            "channel": gke.DEFAULT_CHANNEL,
            "endpoint": "dns",
            "authorized_networks": [],
            "network_admin": None,
            "maintenance": maintenance.policy("09:00", [maintenance.HOLD]),
            "ignored_labels": [],
            "service_account": None,
            "cost_allocation": False,
            "fleet_project": None,
            "security_group": None,
            "binary_authorization": "DISABLED",
        },
        "rdma": "multi-network",
        "protect": False,
        "grants": Grants(written=True),
        "disk_key": None,
        "secrets_key": None,
    }
    options = {key: value for key, value in more.items() if key in args["options"]}
    args["options"].update(options)  # pyright: ignore[reportCallIssue, reportArgumentType] - a test hands in what it likes
    args.update({key: value for key, value in more.items() if key not in options})  # pyright: ignore[reportCallIssue, reportArgumentType]
    return args


@pytest.fixture
def built(preview: bool) -> Recording:
    """An environment in which everything is created, as `up` and as preview."""
    return recorded("prod", preview)


def pool_of(recording: Recording) -> Resource:
    """The A4X pool of the first domain."""
    return recording.find(name="domain-a4x-0-pool")


# --- contract ---------------------------------------------------------------------------------------------


def test_every_resource_names_its_project(built: Recording) -> None:
    for resource in built.resources:
        if resource.type.startswith("gcp:") and not resource.type.endswith(":BucketIAMMember"):
            assert resource.inputs["project"] == PROJECT, str(resource)


def test_every_name_that_users_see_is_given_and_starts_with_the_cluster(built: Recording) -> None:
    for resource in built.resources:
        if resource.type.startswith("gcp:compute/"):
            assert resource.inputs["name"].startswith(f"{CLUSTER}-"), str(resource)


def test_what_takes_labels_has_them(built: Recording) -> None:
    cluster = built.find("gcp:container/cluster:Cluster")
    assert cluster.inputs["resourceLabels"]["environment"] == "prod"
    for pool in built.of_type("gcp:container/nodePool:NodePool"):
        assert pool.inputs["nodeConfig"]["resourceLabels"]["environment"] == "prod"


def test_node_labels_stay_out_of_the_namespaces_that_kubelet_refuses(built: Recording) -> None:
    for pool in built.of_type("gcp:container/nodePool:NodePool"):
        for key in pool.inputs["nodeConfig"]["labels"]:
            assert "kubernetes.io/" not in key
            assert "k8s.io/" not in key


def test_iam_adds_members_and_replaces_none(built: Recording) -> None:
    kinds = {r.type.rsplit(":", 1)[-1] for r in built.resources}
    assert {k for k in kinds if "IAM" in k} == {"IAMMember", "BucketIAMMember"}


# --- order ------------------------------------------------------------------------------------------------


def test_an_object_that_needs_no_node_waits_for_none(built: Recording) -> None:
    provider = built.find(name="foundation-gke-kubernetes")
    assert built.depends_on_transitively(provider, built.find("Cluster"))
    assert not built.depends_on_transitively(provider, built.find(name="foundation-gke-system"))


def test_a_new_domain_changes_no_other_resource_of_google_cloud() -> None:
    (first,) = json.loads(StackConfig.read("prod").values["dynamo-a4x:domains"])
    three = [first, *({**first, "name": f"a4x-{i}", "reservation": f"a4x-{i}"} for i in (1, 2))]
    before, after = (
        {str(r): r.inputs for r in run.resources if r.type.startswith("gcp:")}
        for run in (recorded("prod"), run_program("prod", config={"domains": three}))
    )
    assert {name: after[name] for name in before} == before


# --- APIs -------------------------------------------------------------------------------------------------


def test_apis_are_enabled_and_stay_on_after_a_destroy(built: Recording) -> None:
    services = built.of_type("gcp:projects/service:Service")
    assert {s.inputs["service"] for s in services} == set(gke.APIS)
    assert all(s.inputs["disableOnDestroy"] is False for s in services)


# --- networks ---------------------------------------------------------------------------------------------


def test_every_network_carries_jumbo_frames_and_only_planned_subnets(built: Recording) -> None:
    networks = built.of_type("gcp:compute/network:Network")
    assert len(networks) == 3
    for network in networks:
        assert network.inputs["mtu"] == 8896
        assert network.inputs["autoCreateSubnetworks"] is False


def test_subnets_have_the_planned_ranges(built: Recording) -> None:
    subnets = {r.inputs["name"]: r.inputs for r in built.of_type("Subnetwork")}
    assert {name: inputs["ipCidrRange"] for name, inputs in subnets.items()} == {
        f"{CLUSTER}-sub-0": PLAN.nodes,
        f"{CLUSTER}-sub-1": PLAN.gvnic,
        **{f"{CLUSTER}-rdma-{ZONE}-{i}": cidr for i, cidr in enumerate(PLAN.rdma)},
    }
    assert subnets[f"{CLUSTER}-sub-0"]["privateIpGoogleAccess"] is True
    assert subnets[f"{CLUSTER}-sub-0"]["secondaryIpRanges"] == [
        {"rangeName": "pods", "ipCidrRange": PLAN.pods},
        {"rangeName": "services", "ipCidrRange": PLAN.services},
    ]


def test_device_subnets_have_no_secondary_range(built: Recording) -> None:
    for subnet in built.of_type("Subnetwork"):
        if subnet.name != "foundation-network-subnet":
            assert "secondaryIpRanges" not in subnet.inputs


def test_the_roce_network_has_the_profile_of_its_zone_and_no_firewall(built: Recording) -> None:
    roce = built.find("gcp:compute/network:Network", f"foundation-devices-rdma-{ZONE}")
    assert roce.inputs["networkProfile"] == f"projects/{PROJECT}/global/networkProfiles/{ZONE}-vpc-roce"
    assert roce.inputs["routingMode"] == "REGIONAL"
    firewalls = built.of_type("Firewall")
    assert {f.inputs["network"] for f in firewalls} == {f"{CLUSTER}-net-0", f"{CLUSTER}-net-1"}
    for network in built.of_type("gcp:compute/network:Network"):
        assert ("networkProfile" in network.inputs) == (network is roce)


def test_firewalls_let_nodes_pods_and_control_plane_in_and_nobody_else(built: Recording) -> None:
    own = {*PLAN.ranges().values()}
    for firewall in built.of_type("Firewall"):
        assert firewall.inputs["direction"] == "INGRESS"
        assert set(firewall.inputs["sourceRanges"]) <= own
    internal = built.find(name="foundation-network-internal").inputs["sourceRanges"]
    assert internal == [PLAN.nodes, PLAN.pods, PLAN.services]


def test_the_control_plane_reaches_the_port_of_every_webhook(built: Recording) -> None:
    webhooks = built.find(name="foundation-network-webhooks").inputs
    assert webhooks["sourceRanges"] == [PLAN.control_plane]
    # GKE's own two, and those of the webhooks of Dynamo, Grove and KAI.
    assert webhooks["allows"] == [{"protocol": "tcp", "ports": ["443", "8443", "9443", "10250"]}]


def test_nodes_and_pods_reach_each_other_by_every_protocol_on_both_gvnics(built: Recording) -> None:
    for name, ranges in (
        ("foundation-network-internal", [PLAN.nodes, PLAN.pods, PLAN.services]),
        ("foundation-devices-gvnic-internal", [PLAN.gvnic, PLAN.nodes, PLAN.pods]),
    ):
        rule = built.find(name=name).inputs
        assert rule["sourceRanges"] == ranges
        assert rule["allows"] == [{"protocol": "tcp"}, {"protocol": "udp"}, {"protocol": "icmp"}]


def test_a_rack_that_pulls_one_image_has_ports_enough_and_does_not_go_out_for_googles(built: Recording) -> None:
    nat = built.find("RouterNat").inputs
    assert nat["enableDynamicPortAllocation"] is True
    assert nat["enableEndpointIndependentMapping"] is False
    assert nat["maxPortsPerVm"] >= 8192
    assert built.find(name="foundation-network-subnet").inputs["privateIpGoogleAccess"] is True


def test_nat_takes_no_static_address_of_the_quota(built: Recording) -> None:
    nat = built.find("RouterNat")
    assert nat.inputs["natIpAllocateOption"] == "AUTO_ONLY"
    assert "natIps" not in nat.inputs
    assert len(built.of_type("RouterNat")) == 1


def test_a_zone_outside_the_region_is_refused_before_anything_is_registered() -> None:
    place: Any = {
        "project": PROJECT,
        "region": REGION,
        "zone": "us-east1-b",
        "cluster": CLUSTER,
        "addresses": PLAN,
        "firewall": True,
        "rdma_tag": None,
    }
    with pytest.raises(ProgramFailedError, match="outside the region us-central1") as refusal:
        record(lambda: DeviceVpcs("devices", place) and None)
    assert refusal.value.recording.resources == []


# --- cluster ----------------------------------------------------------------------------------------------


def test_the_cluster_has_what_rdma_and_the_bucket_need(built: Recording) -> None:
    inputs = built.find("gcp:container/cluster:Cluster").inputs
    assert inputs["location"] == REGION
    assert inputs["datapathProvider"] == "ADVANCED_DATAPATH"
    assert inputs["enableMultiNetworking"] is True
    assert inputs["networkingMode"] == "VPC_NATIVE"
    assert inputs["ipAllocationPolicy"] == {
        "clusterSecondaryRangeName": "pods",
        "servicesSecondaryRangeName": "services",
        "stackType": "IPV4",
    }
    assert inputs["workloadIdentityConfig"] == {"workloadPool": f"{PROJECT}.svc.id.goog"}
    assert inputs["addonsConfig"]["gcsFuseCsiDriverConfig"] == {"enabled": True}
    assert inputs["addonsConfig"]["gcePersistentDiskCsiDriverConfig"] == {"enabled": True}
    assert "DCGM" in inputs["monitoringConfig"]["enableComponents"]
    assert inputs["monitoringConfig"]["managedPrometheus"]["enabled"] is True
    assert inputs["removeDefaultNodePool"] is True
    assert "enableK8sBetaApis" not in inputs
    assert "advancedDatapathObservabilityConfig" not in inputs["monitoringConfig"]


def test_strangers_get_health_checks_and_no_role(built: Recording) -> None:
    inputs = built.find("gcp:container/cluster:Cluster").inputs
    assert inputs["anonymousAuthenticationConfig"] == {"mode": "LIMITED"}
    assert inputs["rbacBindingConfig"] == {
        "enableInsecureBindingSystemAuthenticated": False,
        "enableInsecureBindingSystemUnauthenticated": False,
    }


@pytest.mark.parametrize("version", ["0.7.0", "1.0.2"])
def test_the_program_binds_no_role_to_everybody(version: str) -> None:
    dynamo = {**shipped("prod")["dynamo-a4x:dynamo"], "version": version}
    made = run_program("prod", config={"dynamo": dynamo})
    bindings = [m for _, m in made.manifests() if m.get("kind") in ("ClusterRoleBinding", "RoleBinding")]
    assert bindings
    subjects = {subject["name"] for binding in bindings for subject in binding["subjects"]}
    assert not subjects & {"system:authenticated", "system:unauthenticated", "system:anonymous"}


def test_the_version_is_an_alias_that_gke_resolves_itself(built: Recording) -> None:
    inputs = built.find("gcp:container/cluster:Cluster").inputs
    assert inputs["minMasterVersion"] == "1.35"
    assert inputs["releaseChannel"] == {"channel": "REGULAR"}


def test_upgrades_of_nodes_are_excluded_without_an_end_date(built: Recording) -> None:
    (exclusion,) = built.find("gcp:container/cluster:Cluster").inputs["maintenancePolicy"]["maintenanceExclusions"]
    assert "endTime" not in exclusion
    assert exclusion["exclusionOptions"] == {
        "scope": "NO_MINOR_OR_NODE_UPGRADES",
        "endTimeBehavior": "UNTIL_END_OF_SUPPORT",
    }


def test_nodes_are_private_and_the_ip_endpoint_is_closed_unless_listed(built: Recording) -> None:
    inputs = built.find("gcp:container/cluster:Cluster").inputs
    assert inputs["privateClusterConfig"]["enablePrivateNodes"] is True
    assert inputs["privateClusterConfig"]["masterIpv4CidrBlock"] == PLAN.control_plane
    assert inputs["masterAuthorizedNetworksConfig"]["cidrBlocks"] == []
    assert inputs["masterAuthorizedNetworksConfig"]["gcpPublicCidrsAccessEnabled"] is False
    assert inputs["controlPlaneEndpointsConfig"]["dnsEndpointConfig"]["allowExternalTraffic"] is True


def test_what_gke_changes_by_itself_is_no_change(built: Recording) -> None:
    assert set(built.find("gcp:container/cluster:Cluster").ignore_changes) == {
        "nodeConfig",
        "minMasterVersion",
        "monitoringConfig.enableComponents",
        "loggingConfig.enableComponents",
    }


def test_no_node_runs_as_the_default_account(built: Recording) -> None:
    account = built.find("gcp:serviceaccount/account:Account")
    assert account.inputs["accountId"] == f"{CLUSTER}-nodes"
    for resource in (built.find("gcp:container/cluster:Cluster"), *built.of_type("gcp:container/nodePool:NodePool")):
        used = resource.inputs["nodeConfig"]["serviceAccount"]
        assert used is UNKNOWN or used.startswith(f"{CLUSTER}-nodes@")


def test_the_node_account_has_exactly_the_roles_of_a_node(built: Recording) -> None:
    assert {grant.inputs["role"] for grant in built.of_type("gcp:projects/iAMMember:IAMMember")} == {
        "roles/artifactregistry.reader",
        "roles/container.defaultNodeServiceAccount",
    }


def test_the_system_pool_repels_no_operator_and_grows(built: Recording) -> None:
    inputs = built.find(name="foundation-gke-system").inputs
    assert "taints" not in inputs["nodeConfig"]
    assert inputs["autoscaling"]["totalMaxNodeCount"] == 10
    assert inputs["nodeConfig"]["workloadMetadataConfig"] == {"mode": "GKE_METADATA"}


def kubeconfig_of(provider: Resource) -> dict[str, Any]:
    """The kubeconfig that the provider got."""
    assert "kubeconfig" in provider.secrets
    return json.loads(provider.inputs["kubeconfig"])


def test_the_kubeconfig_holds_no_credential_and_is_secret_all_the_same() -> None:
    config = kubeconfig_of(recorded("prod").find(name="foundation-gke-kubernetes"))
    assert config["users"][0]["user"].keys() == {"exec"}
    assert config["users"][0]["user"]["exec"]["command"] == "gke-gcloud-auth-plugin"
    assert config["current-context"] == f"gke_{PROJECT}_{REGION}_{CLUSTER}"


def test_the_provider_is_tied_to_the_clusters_identity() -> None:
    provider = recorded("prod").find(name="foundation-gke-kubernetes")
    assert provider.inputs["clusterIdentifier"] == f"projects/{PROJECT}/locations/{REGION}/clusters/{CLUSTER}"
    # Else a new key means that the secret which running pods use is deleted first.
    assert str(provider.inputs["enableSecretMutable"]).lower() == "true"


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"cluster": "a-name-that-is-too-long"}, "cluster.name"),
        ({"version": "newest"}, "cluster.version"),
        ({"endpoint": "public-ip"}, "cluster.authorizedNetworks"),
    ],
)
def test_a_cluster_that_cannot_work_is_refused_before_anything_is_registered(
    more: dict[str, Any], message: str
) -> None:
    with pytest.raises(ProgramFailedError, match=message) as refusal:
        record(lambda: GkeCluster("gke", cluster_args(**more)))
    assert refusal.value.recording.resources == []


# --- adopted cluster --------------------------------------------------------------------------------------


def reading(**more: Any) -> Mapping[str, answers.Answer]:
    """What GKE says of the cluster, `more` laid over it."""
    system: dict[str, Any] = {
        "name": "system",
        "nodeCount": 1,
        "nodeLocations": ["us-central1-a", ZONE, "us-central1-c"],
        "nodeConfigs": [{"machineType": "e2-standard-16"}],
        "networkConfigs": [{}],
    }

    def read(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**answers.cluster(arguments, [answers.node_pool("a4x", ZONE, 2), system]), **more}

    return {answers.GET_CLUSTER: read}


def adopted(**more: Any) -> AdoptedClusterArgs:
    """Inputs of an adopted cluster."""
    args: AdoptedClusterArgs = {
        "project": PROJECT,
        "location": REGION,
        "cluster": "existing",
        "rdma": "multi-network",
        "window": gke.version_window(PROFILES["0.7.0"]),
    }
    args.update(more)  # pyright: ignore[reportCallIssue, reportArgumentType] - a test hands in what it likes
    return args


@pytest.mark.parametrize("preview", [False, True])
def test_adopting_creates_nothing_but_a_provider(preview: bool) -> None:
    recording = record(lambda: AdoptedCluster("gke", adopted()), invokes=reading(), preview=preview)
    assert [r.type for r in recording.resources if r.custom] == ["pulumi:providers:kubernetes"]
    (invoke,) = recording.invokes
    assert invoke.arguments == {"name": "existing", "location": REGION, "project": PROJECT}
    assert (
        kubeconfig_of(recording.find("pulumi:providers:kubernetes"))["current-context"]
        == f"gke_{PROJECT}_{REGION}_existing"
    )
    provider = recording.find("pulumi:providers:kubernetes")
    assert provider.inputs["clusterIdentifier"] == f"projects/{PROJECT}/locations/{REGION}/clusters/existing"


CALICO: dict[str, Any] = {"networkPolicies": [{"enabled": True, "provider": "CALICO"}]}
OFF = {"disabled": True}
"""Of the add-on, without which nothing enforces the policies."""


def dns_endpoint(allowed: bool) -> list[dict[str, Any]]:
    """`controlPlaneEndpointsConfigs` of a cluster."""
    return [{"dnsEndpointConfigs": [{"allowExternalTraffic": allowed, "endpoint": DNS_NAME}]}]


@pytest.mark.parametrize(("allowed", "server"), [(True, DNS_NAME), (False, answers.ENDPOINT)])
def test_an_adopted_cluster_is_reached_the_way_that_is_open(allowed: bool, server: str) -> None:
    recording = record(
        lambda: AdoptedCluster("gke", adopted()),
        invokes=reading(controlPlaneEndpointsConfigs=dns_endpoint(allowed)),
    )
    assert (
        kubeconfig_of(recording.find("pulumi:providers:kubernetes"))["clusters"][0]["cluster"]["server"]
        == f"https://{server}"
    )


@pytest.mark.parametrize(
    ("answer", "more", "parts"),
    [
        ({"workloadIdentityConfigs": []}, {}, ("Workload Identity is off", "--workload-pool")),
        ({"addonsConfigs": []}, {}, ("Cloud Storage FUSE", "--update-addons=GcsFuseCsiDriver=ENABLED")),
        (
            {"addonsConfigs": [{"gcsFuseCsiDriverConfigs": [{"enabled": False}]}]},
            {},
            ("Cloud Storage FUSE",),
        ),
        ({"datapathProvider": "LEGACY_DATAPATH"}, {}, ("LEGACY_DATAPATH", "not be in force", "--enable-dataplane-v2")),
        (
            {"datapathProvider": "LEGACY_DATAPATH", **CALICO, "addonsConfigs": [{"networkPolicyConfigs": [OFF]}]},
            {},
            ("LEGACY_DATAPATH", "not be in force"),
        ),
        ({"enableMultiNetworking": False}, {}, ("multi-networking is off", "--enable-multi-networking")),
        ({"masterVersion": "1.37.0-gke.1"}, {}, ("the cluster runs 1.37.0-gke.1", "1.34 to 1.36")),
        (
            {"workloadIdentityConfigs": [], "addonsConfigs": [], "enableMultiNetworking": False},
            {},
            ("Workload Identity is off", "Cloud Storage FUSE", "multi-networking is off"),
        ),
    ],
)
def test_an_adopted_cluster_is_reported_everything_it_lacks_and_the_fix(
    answer: dict[str, Any], more: dict[str, Any], parts: tuple[str, ...]
) -> None:
    with pytest.raises(ProgramFailedError) as refusal:
        record(lambda: AdoptedCluster("gke", adopted(**more)), invokes=reading(**answer))
    assert isinstance(refusal.value.__cause__, pulumi.RunError)
    for part in ("existing", REGION, *parts):
        assert part in str(refusal.value)


def test_the_calico_add_on_enforces_policies_but_carries_no_rdma() -> None:
    answer: dict[str, Any] = {"datapathProvider": "LEGACY_DATAPATH", **CALICO}
    with pytest.raises(ProgramFailedError) as refusal:
        record(lambda: AdoptedCluster("gke", adopted()), invokes=reading(**answer))
    assert "RDMA needs Dataplane V2" in str(refusal.value)
    assert "in force" not in str(refusal.value)


def test_a_cluster_for_dranet_needs_no_multi_networking() -> None:
    record(lambda: AdoptedCluster("gke", adopted(rdma="dranet")), invokes=reading(enableMultiNetworking=False))


# --- NVLink domain ----------------------------------------------------------------------------------------


def test_the_pool_is_one_rack(built: Recording) -> None:
    policy = built.find("ResourcePolicy").inputs
    assert policy["workloadPolicy"] == {"type": "HIGH_THROUGHPUT", "acceleratorTopology": "1x72"}
    assert policy["region"] == REGION
    assert "groupPlacementPolicy" not in policy
    inputs = pool_of(built).inputs
    assert inputs["placementPolicy"] == {"type": "COMPACT", "policyName": f"{CLUSTER}-a4x-0-1x72"}
    assert inputs["nodeCount"] == 18
    assert inputs["nodeLocations"] == [ZONE]
    assert inputs["nodeConfig"]["reservationAffinity"] == {
        "consumeReservationType": "SPECIFIC_RESERVATION",
        "key": "compute.googleapis.com/reservation-name",
        "values": [RESERVATION],
    }


def test_the_nics_stand_in_the_order_of_the_node(built: Recording) -> None:
    networks = pool_of(built).inputs["networkConfig"]["additionalNodeNetworkConfigs"]
    assert networks == [
        {"network": f"{CLUSTER}-net-1", "subnetwork": f"{CLUSTER}-sub-1"},
        *[{"network": f"{CLUSTER}-rdma-{ZONE}", "subnetwork": f"{CLUSTER}-rdma-{ZONE}-{i}"} for i in range(4)],
    ]
    assert pool_of(built).inputs["networkConfig"]["enablePrivateNodes"] is True


def test_nodes_have_what_a4x_demands(built: Recording) -> None:
    node = pool_of(built).inputs["nodeConfig"]
    assert node["machineType"] == "a4x-highgpu-4g"
    assert node["diskType"] == "hyperdisk-balanced"
    assert node["ephemeralStorageLocalSsdConfig"] == {"localSsdCount": 4}
    assert node["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NO_SCHEDULE"}]
    assert node["guestAccelerators"] == [
        {
            "type": "nvidia-gb200",
            "count": 4,
            "gpuDriverInstallationConfig": {"gpuDriverVersion": "DEFAULT"},
        }
    ]
    assert node["gvnic"] == {"enabled": True}
    assert node["shieldedInstanceConfig"] == {"enableSecureBoot": True, "enableIntegrityMonitoring": True}
    assert node["workloadMetadataConfig"] == {"mode": "GKE_METADATA"}


def test_nothing_that_a4x_does_not_have_is_asked_for(built: Recording) -> None:
    inputs = pool_of(built).inputs
    assert not {"autoscaling", "queuedProvisioning", "maxPodsPerNode"} & inputs.keys()
    assert (
        not {"spot", "preemptible", "flexStart", "fastSocket", "advancedMachineFeatures"} & inputs["nodeConfig"].keys()
    )


def test_a_full_rack_is_upgraded_without_a_spare_node(built: Recording) -> None:
    assert pool_of(built).inputs["upgradeSettings"] == {"strategy": "SURGE", "maxSurge": 0, "maxUnavailable": 1}


def test_a_pool_has_time_to_come_and_ignores_what_gke_rewrites(built: Recording) -> None:
    pool = pool_of(built)
    assert pool.custom_timeouts["create"] == "2h"
    assert set(pool.ignore_changes) == {
        "initialNodeCount",
        'nodeConfig.labels["cloud.google.com/gke-accelerator"]',
        'nodeConfig.labels["cloud.google.com/gke-gpu-driver-version"]',
        "nodeConfig.ephemeralStorageLocalSsdConfig",
        "nodeConfig.localNvmeSsdBlockConfig",
        "placementPolicy",
    }


PLAIN_POOL: PoolOptions = {
    "labels": {},
    "ignored_labels": [],
    "taints": [],
    "sysctls": {},
    "kubelet": {},
    "hugepages": {},
    "boot_disk_gb": 100,
    "maintenance_interval": None,
    "max_unavailable": 1,
    "auto_upgrade": True,
    "auto_repair": True,
}


def created_domain(**more: Any) -> NvlinkDomainArgs:
    """Inputs of a created domain."""
    args: NvlinkDomainArgs = {
        "environment": "prod",
        "domain": "a4x-0",
        "zone": ZONE,
        "nodes": 18,
        "rdma": "multi-network",
        "project": PROJECT,
        "cluster": CLUSTER,
        "region": REGION,
        "location": REGION,
        "reservation": RESERVATION,
        "service_account": "nodes@example.com",
        "disk_key": None,
        "interfaces": [{"name": n, "network": "n", "subnetwork": "s"} for n in gke.DEVICE_NETWORKS],
        "device_networks": None,
        "node_version": None,
        "gpu_driver_version": None,
        "pool": PLAIN_POOL,
        "protect": False,
    }
    args.update(more)  # pyright: ignore[reportCallIssue, reportArgumentType] - a test hands in what it likes
    return args


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"nodes": 19}, r"domains\.a4x-0\.nodes = 19"),
        ({"nodes": 0}, r"domains\.a4x-0\.nodes = 0"),
        ({"domain": "A4X"}, r"domains\.A4X\.name"),
        ({"interfaces": []}, r"five additional NICs, in the order gvnic-1, rdma-0"),
        (
            {"interfaces": [{"name": n, "network": "n", "subnetwork": "s"} for n in reversed(gke.DEVICE_NETWORKS)]},
            r"five additional NICs, in the order gvnic-1, rdma-0",
        ),
        ({"rdma": "dranet", "interfaces": [{"name": "rdma-0"}]}, r"five additional NICs, in the order gvnic-1"),
    ],
)
def test_a_domain_that_cannot_work_is_refused_before_anything_is_registered(more: dict[str, Any], message: str) -> None:
    with pytest.raises(ProgramFailedError, match=message) as refusal:
        record(lambda: NvlinkDomain("domain-0", created_domain(**more)))
    assert refusal.value.recording.resources == []


POOL = PoolFacts("a4x-highgpu-4g", [ZONE], 2, 5)


def found_domain(pools: Any, **more: Any) -> AdoptedDomain:
    """The domain of the pool `a4x` among `pools`."""
    arguments: dict[str, Any] = {"zone": ZONE, "nodes": 2, "rdma": "multi-network", **more}
    return adopted_domain(pools, "a4x", **arguments)


@pytest.mark.parametrize("preview", [False, True])
def test_an_adopted_domain_comes_out_of_the_cluster_and_makes_nothing(preview: bool) -> None:
    def program() -> None:
        cluster = AdoptedCluster("gke", adopted())
        domain = found_domain(cluster.node_pools)
        pulumi.export("pool", domain.node_pool_name)
        pulumi.export("nodes", domain.nodes)

    recording = record(program, invokes=reading(), preview=preview)
    assert recording.outputs == {"pool": "a4x", "nodes": 2}
    assert [r.type for r in recording.resources if r.custom] == ["pulumi:providers:kubernetes"]


def test_nodes_of_a_pool_are_counted_over_its_zones() -> None:
    def program() -> None:
        pools = AdoptedCluster("gke", adopted()).node_pools
        pulumi.export("pools", {name: [pool.nodes, pool.additional_networks] for name, pool in pools.items()})

    assert record(program, invokes=reading()).outputs["pools"] == {"a4x": [2, 5], "system": [3, 0]}


@pytest.mark.parametrize(
    ("pool", "more", "parts"),
    [
        (None, {}, ("no node pool of this name", "it has: other", "mode to create")),
        ({"machine_type": "a3-ultragpu-8g"}, {}, ("a3-ultragpu-8g", "a4x-highgpu-4g")),
        ({"zones": ["us-central1-a"]}, {}, ("us-central1-a", ZONE, "domains.a4x.zone")),
        ({}, {"nodes": 18}, ("it has 2 nodes", "counts on 18", "domains.a4x.nodes")),
        ({"additional_networks": 0}, {}, ("0 additional networks", "needs 5", "gvnic-1")),
        (
            {"machine_type": "e2-standard-4", "zones": [], "nodes": 0},
            {},
            ("e2-standard-4", "no zone", "0 nodes"),
        ),
    ],
)
def test_an_adopted_pool_that_is_no_domain_is_reported_all_that_is_wrong(
    pool: dict[str, Any] | None, more: dict[str, Any], parts: tuple[str, ...]
) -> None:
    pools = {"other": POOL} if pool is None else {"a4x": replace(POOL, **pool)}
    with pytest.raises(ProgramFailedError) as refusal:
        record(lambda: found_domain(pools, **more))
    assert isinstance(refusal.value.__cause__, pulumi.RunError)
    for part in ("domains.a4x", *parts):
        assert part in str(refusal.value)


def test_an_adopted_pool_for_dranet_needs_no_additional_networks() -> None:
    record(lambda: found_domain({"a4x": replace(POOL, additional_networks=0)}, rdma="dranet"))
