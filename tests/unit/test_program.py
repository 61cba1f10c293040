"""The real program, in both environments: what it registers, in what order it can be taken down, what stays secret."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import pytest

from reference import naming
from reference.machines import A4X
from tests import answers
from tests.conftest import STACKS, a4x_pool, recorded
from tests.recorder import SECRETS, ProgramFailedError, Recording, Resource, Selector, StackConfig, run_program

Order = Sequence[Selector]


def _called(start: str, ending: str = "", kind: str = "") -> Callable[[Resource], bool]:
    """Chooses resources by the beginning and the end of their names and by a part of their type."""
    return lambda r: r.name.startswith(start) and r.name.endswith(ending) and kind in r.type


def _release(chart: str) -> Callable[[Resource], bool]:
    return lambda resource: resource.type.endswith(":Release") and resource.inputs["name"] == chart


_graph = "DynamoGraphDeployment"
_stack_namespace = _called("r1-", kind=":Namespace")
_system_pool = _called("foundation-gke-system")
_of_cluster_network = _called("foundation-network-", kind="gcp:compute/")
_of_device_network = _called("foundation-devices-", kind="gcp:compute/")
_readiness = _called("", "-readiness-job")


# Each order is a claim about every pair in it: the earlier one is always deleted before the later one.
DELETE_ORDERS: list[Order] = [
    ["DynamoGraphDeployment", "ComputeDomain", _stack_namespace, _release("dynamo-platform"), _release("dynamo-crds")],
    [_stack_namespace, _release("nvidia-dra-driver-gpu"), "ResourceQuota"],
    [_graph, "ServiceAccount", "BucketIAMMember"],
    [_graph, "Queue", _release("kai-scheduler")],
    [_stack_namespace, _release("dynamo-platform"), "SchedulingShard", _release("kai-scheduler")],
    ["Queue", "ConfigPatch", _release("kai-scheduler")],
    [_readiness, _graph],
    [_readiness, "kubernetes:core/v1:Service"],
    [_readiness, "RoleBinding"],
]
PROD_DELETE_ORDERS: list[Order] = [
    [_stack_namespace, _release("nvidia-dra-driver-gpu"), a4x_pool, "Cluster", _of_cluster_network],
    [_stack_namespace, "DaemonSet", a4x_pool, "kubernetes:networking.gke.io/v1:Network"],
    [a4x_pool, "GKENetworkParamSet", "Cluster"],
    [a4x_pool, _of_device_network],
    ["NodePool", _of_cluster_network],
    ["NodePool", "gcp:projects/iAMMember:IAMMember"],
    [_graph, _called("download-", "-job"), "Bucket"],
    [_release("dynamo-platform"), _system_pool, "Cluster"],
    [_release("kai-scheduler"), _system_pool],
    [_release("nvidia-dra-driver-gpu"), _system_pool],
    ["Job", _system_pool],
    [_stack_namespace, _system_pool],
    [_release("dynamo-platform"), "Cluster", _of_cluster_network, "gcp:projects/service:Service"],
]


@pytest.mark.parametrize("order", DELETE_ORDERS)
def test_nothing_is_deleted_before_what_needs_it(deployed: Recording, order: Order) -> None:
    # Accounts of the Jobs outlive nothing but these; the claim is about the stack's.
    own = [r for r in deployed.resources if "download-" not in r.name and "readiness-service" not in r.name]
    assert Recording(deployed.stack, deployed.preview, own).delete_order_violations(order) == []


@pytest.mark.parametrize("order", PROD_DELETE_ORDERS)
def test_a_created_environment_goes_from_the_stack_down_to_the_networks(
    prod: Recording, order: Sequence[Selector]
) -> None:
    assert prod.delete_order_violations(order) == []


def test_a_network_object_goes_before_its_parameters_and_these_before_their_subnet(prod: Recording) -> None:
    for parameters in prod.of_type("GKENetworkParamSet"):
        name = parameters.inputs["metadata"]["name"]
        network = next(
            r for r in prod.of_type("kubernetes:networking.gke.io/v1:Network") if r.inputs["metadata"]["name"] == name
        )
        subnet = next(
            r for r in prod.of_type("Subnetwork") if r.inputs["name"] == parameters.inputs["spec"]["vpcSubnet"]
        )
        assert prod.depends_on_transitively(network, parameters)
        assert prod.depends_on_transitively(parameters, subnet)


def test_a_reversed_order_is_no_order(prod: Recording) -> None:
    """The negative control: the check of delete orders can fail."""
    assert prod.delete_order_violations(["Cluster", _graph]) != []


def test_a_preview_registers_what_an_up_registers(stack: str) -> None:
    assert sorted(recorded(stack, preview=True).by_urn) == sorted(recorded(stack).by_urn)


def test_every_kubernetes_object_goes_through_the_clusters_provider(recording: Recording) -> None:
    clusters, taking_over = recording.of_type("pulumi:providers:kubernetes")
    through = {r.provider_urn for r, _ in recording.manifests() if not r.type.endswith(":SchedulingShard")}
    assert through == {clusters.urn}
    # What another installation may have left there goes through a provider that takes it over.
    assert recording.find("SchedulingShard").provider_urn == taking_over.urn
    assert clusters.inputs["clusterIdentifier"]
    assert taking_over.inputs["clusterIdentifier"] == clusters.inputs["clusterIdentifier"]
    assert "upsertExistingObjects" not in clusters.inputs


def test_every_resource_has_a_component_for_parent_and_is_named_after_it(recording: Recording) -> None:
    for resource in recording.resources:
        if resource.custom:
            parent = recording.by_urn[resource.parent]
            assert not parent.custom
            assert resource.name.startswith(f"{parent.name}-")


def test_every_kubernetes_object_says_of_which_environment_it_is(recording: Recording) -> None:
    for _, manifest in recording.manifests():
        assert manifest["metadata"]["labels"]["dynamo-a4x/environment"] == recording.stack


def test_no_secret_is_in_clear_anywhere(recording: Recording) -> None:
    for value in SECRETS.values():
        assert recording.in_clear(value) == []


def test_the_kubeconfig_is_secret_and_holds_no_credential(deployed: Recording) -> None:
    assert "kubeconfig" in deployed.secret_outputs
    text = deployed.outputs["kubeconfig"]
    assert "gke-gcloud-auth-plugin" in text
    assert "token" not in text


def test_each_secret_is_in_its_place(deployed: Recording) -> None:
    for secret in deployed.of_type("Secret"):
        if secret.inputs.get("type") == "kubernetes.io/basic-auth":
            continue
        (held,) = secret.inputs["stringData"].values()
        token = secret.inputs["metadata"]["name"] == "hf-token-secret"
        assert (SECRETS["hfToken"] in held, SECRETS["ngcApiKey"] in held) == (token, not token), str(secret)
    login = next(s for s in deployed.of_type("Secret") if s.inputs["metadata"]["name"] == "nvcr-secret")
    (entry,) = json.loads(login.inputs["stringData"][".dockerconfigjson"])["auths"].values()
    assert (entry["username"], entry["password"]) == ("$oauthtoken", SECRETS["ngcApiKey"])
    assert base64.b64decode(entry["auth"]).decode() == f"$oauthtoken:{SECRETS['ngcApiKey']}"


def test_a_graph_is_deleted_in_the_background(deployed: Recording) -> None:
    """In the foreground Dynamo before 1.0.2 makes again what is being deleted."""
    annotations = deployed.find("DynamoGraphDeployment").inputs["metadata"]["annotations"]
    assert annotations["pulumi.com/deletionPropagationPolicy"] == "background"


def test_a_bucket_that_is_made_is_private_and_lies_where_the_nodes_are(prod: Recording) -> None:
    bucket = prod.find("Bucket").inputs
    assert bucket["publicAccessPrevention"] == "enforced"
    assert bucket["uniformBucketLevelAccess"] is True
    assert bucket["location"] == "US-CENTRAL1"
    assert bucket["forceDestroy"] is False, "protect is on"


def test_the_benchmark_client_is_no_frontend_and_writes_nothing(deployed: Recording) -> None:
    service = deployed.find("kubernetes:core/v1:Service").inputs["spec"]["selector"]
    client = deployed.find("Deployment").inputs["spec"]
    assert not service.items() <= client["template"]["metadata"]["labels"].items()
    assert naming.STACK_LABEL not in client["template"]["metadata"]["labels"]
    bucket, scratch = client["template"]["spec"]["volumes"]
    assert bucket["csi"]["readOnly"] is True
    assert scratch["emptyDir"] == {}
    container = client["template"]["spec"]["containers"][0]
    written = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
    # It leaves its results where it is started, and its data set in /tmp (bench_serving of sglang 0.5.9).
    assert written == {container["workingDir"]} == {"/tmp"}  # noqa: S108


def test_a_compute_domain_counts_the_nodes_of_its_graph(deployed: Recording) -> None:
    graph = deployed.find("DynamoGraphDeployment").inputs
    domain = deployed.find("ComputeDomain").inputs
    assert domain["apiVersion"] == "resource.nvidia.com/v1beta1", "what the driver serves"
    services = [s for s in graph["spec"]["services"].values() if s["componentType"] == "worker"]
    nodes = sum(s["replicas"] * s.get("multinode", {"nodeCount": 1})["nodeCount"] for s in services)
    assert domain["spec"]["numNodes"] == nodes == {"dev": 2, "prod": 18}[deployed.stack]
    template = domain["spec"]["channel"]["resourceClaimTemplate"]["name"]
    for service in services:
        claim = service["extraPodSpec"]["resourceClaims"][0]
        assert claim["resourceClaimTemplateName"] == template
        assert service["resources"]["claims"] == [{"name": claim["name"]}]
        assert service["resources"]["limits"] == {"gpu": "4"}


def test_only_what_runs_on_a_pool_takes_a_value_from_it() -> None:
    recording = recorded("prod")
    pool = recording.find(a4x_pool)
    takers = {
        resource.name
        for resource in recording.resources
        if resource.custom and any(pool.urn in urns for urns in resource.property_dependencies.values())
    }
    # What takes a value from a pool may be deleted before the engine replaces the pool.
    readiness = {"r1-10p8d-readiness-config", "r1-10p8d-readiness-job"}
    assert takers == {"r1-10p8d-graph", "r1-10p8d-bench-client", *readiness}


def test_the_gib_plugin_is_waited_for_on_a_pool_that_takes_the_place_of_another() -> None:
    domain = StackConfig.read("prod").values["dynamo-a4x:domains"]
    moved = run_program("prod", config={"domains": domain.replace("subblock-0001", "subblock-0002")})
    before, after = (run.find("kubernetes:apps/v1:DaemonSet").inputs for run in (recorded("prod"), moved))
    assert before["metadata"]["annotations"] != after["metadata"]["annotations"]
    # The pods stay as they are: the installer must not run again underneath the libraries of running workloads.
    assert before["spec"] == after["spec"]


def test_a_graphs_name_is_new_whenever_its_shape_is(deployed: Recording) -> None:
    (stack,) = deployed.of_type("ServingStack")
    suffix = deployed.find("RandomString", f"{stack.name}-suffix")
    graph = deployed.find("DynamoGraphDeployment")
    assert set(suffix.inputs["keepers"]) == {"namespace", "domain", "shape"}
    assert deployed.depends_on_transitively(graph, suffix)
    assert len(graph.inputs["metadata"]["name"]) <= naming.DGD_MAX
    assert graph.delete_before_replace


def test_the_stable_service_selects_the_frontends_by_the_stacks_own_label(deployed: Recording) -> None:
    service = deployed.find("kubernetes:core/v1:Service")
    graph = deployed.find("DynamoGraphDeployment").inputs
    labels = graph["spec"]["services"]["Frontend"]["extraPodMetadata"]["labels"]
    selector = dict(service.inputs["spec"]["selector"])
    assert selector.pop("nvidia.com/dynamo-component-type") == "frontend"
    assert selector.items() <= labels.items()
    suffix = graph["metadata"]["name"]
    assert suffix not in service.inputs["metadata"]["name"]


def test_every_pod_that_mounts_the_bucket_may_read_it(deployed: Recording) -> None:
    members = {r.inputs["member"] for r in deployed.of_type("BucketIAMMember")}
    graph = deployed.find("DynamoGraphDeployment").inputs
    namespace = graph["metadata"]["namespace"]
    accounts = {s["extraPodSpec"]["serviceAccountName"] for s in graph["spec"]["services"].values()}
    client = deployed.find("Deployment").inputs["spec"]["template"]["spec"]
    for account in accounts | {client["serviceAccountName"]}:
        assert any(member.endswith(f"/subject/ns/{namespace}/sa/{account}") for member in members)


def test_serving_pods_only_read_the_bucket_and_the_download_writes_it(prod: Recording) -> None:
    roles = {r.inputs["member"].rpartition("/")[2]: r.inputs["role"] for r in prod.of_type("BucketIAMMember")}
    assert roles == {"dynamo-serving": "roles/storage.objectViewer", "model-download": "roles/storage.objectUser"}


def test_the_recipes_way_of_workload_identity_impersonates_a_google_account() -> None:
    run = run_program("dev", config={"workloadIdentity": "serviceAccount", "projectNumber": None})
    account = run.find("gcp:serviceaccount/account:Account")
    member = run.find("gcp:serviceaccount/iAMMember:IAMMember").inputs
    assert member["role"] == "roles/iam.workloadIdentityUser"
    assert member["member"] == "serviceAccount:my-project.svc.id.goog[r1-1p1d/dynamo-serving]"
    kubernetes = run.find("kubernetes:core/v1:ServiceAccount", "r1-1p1d-service-account").inputs
    assert kubernetes["metadata"]["annotations"]["iam.gke.io/gcp-service-account"].endswith("gserviceaccount.com")
    assert run.find("BucketIAMMember").inputs["member"].startswith("serviceAccount:")
    assert len(account.inputs["accountId"]) <= naming.SERVICE_ACCOUNT_MAX


def test_the_charts_values_name_secrets_and_hold_none(deployed: Recording) -> None:
    for release in deployed.of_type("Release"):
        assert not any(path.startswith("values") for path in release.secrets)
        assert release.inputs["atomic"] is True


def test_helm_hooks_run(deployed: Recording) -> None:
    """The ssh secret without which this operator reconciles nothing comes from a hook."""
    for release in deployed.of_type("Release"):
        assert not release.inputs.get("disableWebhooks")
        assert not release.inputs.get("skipAwait")


def test_protection_covers_what_is_expensive_and_nothing_else(prod: Recording, dev: Recording) -> None:
    protected = {r.type.rsplit(":", 1)[-1] for r in prod.resources if r.protect}
    # The last one is met before anything else that a change would replace.
    assert protected == {"Cluster", "NodePool", "Bucket", "ResourcePolicy", "RandomUuid"}
    assert not any(r.protect for r in dev.resources)
    assert prod.find("Cluster").inputs["deletionProtection"] is True


def test_lifting_protection_changes_nothing_but_the_guards(prod: Recording) -> None:
    lifted = run_program("prod", config={"protect": "false"})
    assert not any(r.protect for r in lifted.resources)
    changed = {
        f"{r.name}.{key}"
        for r in prod.resources
        for key in r.inputs.keys() | lifted.by_urn[r.urn].inputs.keys()
        if r.inputs.get(key) != lifted.by_urn[r.urn].inputs.get(key)
    }
    assert changed == {"foundation-gke-cluster.deletionProtection", "model-bucket-bucket.forceDestroy"}


def test_a_created_environment_asks_the_cloud_nothing(prod: Recording) -> None:
    assert prod.invokes == []


@pytest.mark.parametrize("missing", sorted(SECRETS))
def test_a_missing_secret_stops_an_up_before_anything_is_registered(missing: str) -> None:
    secrets = {key: value for key, value in SECRETS.items() if key != missing}
    with pytest.raises(ProgramFailedError, match=f"pulumi config set --secret {missing}") as caught:
        run_program("dev", secrets=secrets)
    assert caught.value.recording.resources == []


@pytest.mark.parametrize("stack", STACKS)
def test_a_preview_needs_no_secret(stack: str) -> None:
    run = run_program(stack, secrets={}, preview=True)
    assert sum("is not set" in message for _, message in run.logs) == len(SECRETS)


def test_a_secret_in_clear_text_is_refused_and_not_repeated() -> None:
    with pytest.raises(ProgramFailedError, match="must not be in plaintext") as caught:
        run_program("dev", secrets={}, config={"ngcApiKey": "nvapi-made-up", "hfToken": ""})
    assert "nvapi-made-up" not in str(caught.value)
    assert caught.value.recording.resources == []


def test_a_bad_config_registers_nothing() -> None:
    with pytest.raises(ProgramFailedError, match="did you mean 'domains'") as caught:
        run_program("prod", config={"domain": "[]"})
    assert caught.value.recording.resources == []


def test_an_adopted_platform_is_used_and_not_touched() -> None:
    parts: list[str] = ["kai", "dynamo", "draDriver"]
    run = run_program("dev", config=dict.fromkeys(parts, '{"mode": "adopt"}'))
    assert run.of_type("Release") == []
    assert len(run.of_type("Queue")) == 2
    assert run.find("DynamoGraphDeployment")


@cache
def _two_stacks() -> Recording:
    stack = {"layout": "deepseek-r1-fp8-1p1d", "domain": "a4x-0"}
    return run_program("prod", config={"stacks": [{**stack, "name": "one"}, {**stack, "name": "two"}]})


def test_a_model_is_downloaded_once_however_many_stacks_serve_it() -> None:
    run = _two_stacks()
    assert len(run.select(_called("download-", "-job"))) == 1
    assert len(run.of_type("DynamoGraphDeployment")) == 2


def test_two_stacks_share_no_name_in_the_cluster() -> None:
    run = _two_stacks()
    keys = [
        (m["kind"], m["metadata"].get("namespace"), m["metadata"]["name"]) for _, m in run.manifests() if "kind" in m
    ]
    assert len(keys) == len(set(keys))


def test_an_environment_without_stacks_is_ground_and_platform_only() -> None:
    run = run_program("prod", config={"stacks": "[]"})
    assert run.of_type("DynamoGraphDeployment") == []
    assert run.of_type("Job") == []
    assert {r.inputs["name"] for r in run.of_type("Release")} == {
        "nvidia-dra-driver-gpu",
        "kai-scheduler",
        "dynamo-crds",
        "dynamo-platform",
    }


def test_a_domain_is_created_in_an_adopted_cluster_on_networks_that_exist() -> None:
    run = run_program(
        "dev",
        config={
            "cluster": {
                "mode": "adopt",
                "name": "a4x-dev",
                "deviceNetworks": {
                    "gvnic": {"network": "net-1", "subnetwork": "sub-1"},
                    "rdmaNetwork": "rdma",
                    "rdmaSubnetworks": ["r0", "r1", "r2", "r3"],
                },
            },
            "domains": [
                {
                    "name": "a4x-0",
                    "mode": "create",
                    "zone": "us-central1-b",
                    "nodes": 2,
                    "reservation": "projects/my-project/reservations/r",
                }
            ],
        },
    )
    pool = run.find("NodePool").inputs
    attached = pool["networkConfig"]["additionalNodeNetworkConfigs"]
    assert [entry["subnetwork"] for entry in attached] == ["sub-1", "r0", "r1", "r2", "r3"]
    assert pool["nodeConfig"]["serviceAccount"].endswith("gserviceaccount.com")
    assert run.depends_on_transitively(run.find("NodePool"), run.of_type("gcp:projects/iAMMember:IAMMember")[0])


def test_dranet_takes_resource_claims_in_place_of_networks_and_annotations() -> None:
    cluster = {"mode": "create", "name": "a4x-prod", "rdma": "dranet"}
    run = run_program("prod", config={"cluster": cluster})
    assert len(run.of_type("gcp:compute/network:Network")) == 1
    assert run.of_type("GKENetworkParamSet") == []
    assert run.find("Cluster").inputs["enableMultiNetworking"] is False
    pool = run.find(a4x_pool).inputs
    assert pool["networkConfig"] == {"enablePrivateNodes": True, "acceleratorNetworkProfile": "auto"}
    assert pool["nodeConfig"]["labels"]["cloud.google.com/gke-networking-dra-driver"] == "true"
    template = run.find("ResourceClaimTemplate").inputs
    request = template["spec"]["spec"]["devices"]["requests"][0]
    assert request["exactly"] == {"deviceClassName": "mrdma.google.com", "allocationMode": "All"}
    for service in run.find("DynamoGraphDeployment").inputs["spec"]["services"].values():
        if service["componentType"] == "frontend":
            continue
        claims = {c["name"]: c["resourceClaimTemplateName"] for c in service["extraPodSpec"]["resourceClaims"]}
        assert claims["rdma"] == template["metadata"]["name"]
        assert {"name": "rdma"} in service["resources"]["claims"]
        assert not any("interfaces" in key for key in service["extraPodMetadata"]["annotations"])


def _installer(**config: object) -> tuple[str, bool]:
    """Release of the NCCL plugin that a created environment installs, and whether its NCCL comes with it."""
    template = run_program("prod", config=dict(config)).find("kubernetes:apps/v1:DaemonSet").inputs["spec"]["template"]
    (container,) = template["spec"]["initContainers"]
    return container["image"].rpartition(":")[2], "--install-nccl" in container["args"][0]


def test_each_release_of_dynamo_gets_the_nccl_plugin_that_fits_its_image() -> None:
    assert _installer() == ("v1.0.7", True)
    newer = {"mode": "create", "version": "1.0.2"}
    assert _installer(dynamo=newer) == ("v1.1.0", False)
    # What the config says wins, and is warned of.
    software = {"gibVersion": "v1.1.2", "installNccl": True}
    assert _installer(dynamo=newer, nodeSoftware=software) == ("v1.1.2", True)
    logs = run_program("prod", config={"dynamo": newer, "nodeSoftware": software}, preview=True).logs
    assert any("installNccl" in message and "ncclWaitSignal" in message for _, message in logs)


def test_version_and_driver_of_a_pools_nodes_are_as_configured() -> None:
    (domain,) = json.loads(StackConfig.read("prod").values["dynamo-a4x:domains"])
    pinned = {**domain, "nodeVersion": "1.35.2-gke.1485000"}
    run = run_program("prod", config={"domains": [pinned], "nodeSoftware": {"gpuDriverVersion": "LATEST"}})
    old, new = (recording.find(a4x_pool).inputs for recording in (recorded("prod"), run))
    assert "version" not in old
    assert new["version"] == "1.35.2-gke.1485000"
    drivers = [pool["nodeConfig"]["guestAccelerators"][0]["gpuDriverInstallationConfig"] for pool in (old, new)]
    assert [driver["gpuDriverVersion"] for driver in drivers] == ["DEFAULT", "LATEST"]


def test_a_reservation_that_is_named_alone_is_one_of_the_clusters_project() -> None:
    (domain,) = json.loads(StackConfig.read("prod").values["dynamo-a4x:domains"])
    run = run_program("prod", config={"domains": [{**domain, "reservation": "racks"}]})
    pool = run.find(a4x_pool).inputs
    assert pool["nodeConfig"]["reservationAffinity"]["values"] == ["projects/my-project/reservations/racks"]


@pytest.mark.parametrize(
    ("endpoint", "listed", "server", "by_ip"),
    [
        ("dns", [], answers.DNS_ENDPOINT, None),
        ("dns", ["203.0.113.0/24"], answers.DNS_ENDPOINT, True),
        ("dns-only", [], answers.DNS_ENDPOINT, False),
        ("private-ip", ["10.0.0.0/8"], answers.PRIVATE_ENDPOINT, True),
        ("public-ip", ["203.0.113.0/24"], answers.ENDPOINT, True),
    ],
)
def test_the_control_plane_is_reached_as_configured(
    endpoint: str, listed: list[str], server: str, by_ip: bool | None
) -> None:
    cluster = {"mode": "create", "name": "a4x-prod", "endpoint": endpoint, "authorizedNetworks": listed}
    run = run_program("prod", config={"cluster": cluster})
    inputs = run.find("gcp:container/cluster:Cluster").inputs
    by_dns = endpoint.startswith("dns")
    endpoints = inputs["controlPlaneEndpointsConfig"]
    assert endpoints["dnsEndpointConfig"]["allowExternalTraffic"] is by_dns
    assert endpoints.get("ipEndpointsConfig", {}).get("enabled") is by_ip
    assert inputs["privateClusterConfig"]["enablePrivateEndpoint"] is (endpoint == "private-ip")
    assert [block["cidrBlock"] for block in inputs["masterAuthorizedNetworksConfig"]["cidrBlocks"]] == listed
    authority = {"certificate-authority-data": answers.CA_CERTIFICATE}
    assert json.loads(run.outputs["kubeconfig"])["clusters"][0]["cluster"] == (
        # A DNS name has a certificate of a public authority.
        {"server": f"https://{server}", **({} if by_dns else authority)}
    )


def test_an_adopted_cluster_of_a_version_that_the_platform_does_not_run_on_is_refused() -> None:
    def old(arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**answers.cluster(arguments), "masterVersion": "1.33.5-gke.1000000"}

    with pytest.raises(ProgramFailedError, match=r"1\.33\.5-gke\.1000000"):
        run_program("dev", invokes={answers.GET_CLUSTER: old})


def test_gke_gets_the_right_to_make_networks_for_dranet_only_when_asked() -> None:
    cluster = {"mode": "create", "name": "a4x-prod", "rdma": "dranet"}
    run = run_program("prod", config={"cluster": {**cluster, "dranetNetworkAdmin": True}})
    (grant,) = [r for r in run.of_type("IAMMember") if r.inputs["role"] == "roles/compute.networkAdmin"]
    assert (
        grant.inputs["member"] == "serviceAccount:service-123456789012@container-engine-robot.iam.gserviceaccount.com"
    )
    pool = run.find(a4x_pool)
    assert run.depends_on_transitively(pool, grant)
    without = run_program("prod", config={"cluster": cluster})
    assert not [r for r in without.of_type("IAMMember") if r.inputs["role"] == "roles/compute.networkAdmin"]


def test_a_stack_waits_for_its_own_domain_only_as_far_as_data_goes(prod: Recording) -> None:
    graph, pool = prod.find("DynamoGraphDeployment"), prod.find(a4x_pool)
    assert prod.depends_on_transitively(graph, pool)
    assert pool.urn not in graph.depends_on


def test_system_tolerations_reach_the_controller_of_the_dra_driver() -> None:
    run = run_program("dev", config={"dynamo": {"mode": "create", "systemTolerations": True}})
    controller = run.find("Release", "dra-driver-release").inputs["values"]["controller"]
    assert controller["tolerations"] == A4X.tolerations()


def test_system_pods_on_a4x_get_volumes_that_a4x_can_attach() -> None:
    run = run_program("dev", config={"dynamo": {"mode": "create", "systemTolerations": True}})
    storage = run.find("StorageClass").inputs
    assert storage["parameters"]["type"] == "hyperdisk-balanced"
    assert storage["volumeBindingMode"] == "WaitForFirstConsumer"
    values = run.find("Release", "dynamo-release").inputs["values"]
    name = storage["metadata"]["name"]
    assert values["etcd"]["persistence"]["storageClass"] == name
    assert values["nats"]["config"]["jetstream"]["fileStore"]["pvc"]["storageClassName"] == name
    assert values["etcd"]["tolerations"]
