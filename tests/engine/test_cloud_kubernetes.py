"""What the embedded cloud does in place of a Kubernetes API server and Helm. One test, one rule."""

from __future__ import annotations

import base64
import contextlib
from typing import Any

import pytest

from rehearsal.simulator import ApiError, CloudResource
from rehearsal.simulator.kubernetes import admission, chart_images
from rehearsal.simulator.values import UNKNOWN, Props
from tests.engine.driver import DOMAIN, GRAPH, NAMESPACE, RELEASE, CheckError, Driver, kube_inputs, kubeconfig, token

CONFIG_MAP = token("v1", "ConfigMap")
SECRET = token("v1", "Secret")


@pytest.fixture
def cloud() -> Driver:
    made = Driver()
    made.cluster()
    return made


def refused(cloud: Driver, kind: str, inputs: Props) -> dict[str, str]:
    with pytest.raises(CheckError) as caught:
        cloud.check(kind, "x", inputs)
    return caught.value.failures


def config_map(name: str = "conf", namespace: str = "default", **fields: Any) -> Props:
    return kube_inputs("v1", "ConfigMap", name, namespace, **fields)


# The provider's own configuration


def test_a_kubeconfig_without_an_https_server_is_refused(cloud: Driver) -> None:
    for text in (kubeconfig("http://1.2.3.4"), "~/.kube/config", "{", "[]"):
        found = cloud.check_config("kubernetes", {"kubeconfig": text, "clusterIdentifier": "c"})
        assert list(found) == ["kubeconfig"], text


def test_a_provider_without_cluster_identifier_is_refused(cloud: Driver) -> None:
    found = cloud.check_config("kubernetes", {"kubeconfig": kubeconfig("https://1.2.3.4")})
    assert list(found) == ["clusterIdentifier"]


def test_a_good_or_unknown_kubeconfig_is_taken(cloud: Driver) -> None:
    good = {"kubeconfig": kubeconfig("https://1.2.3.4"), "clusterIdentifier": "c"}
    assert not cloud.check_config("kubernetes", good)
    assert not cloud.check_config("kubernetes", {"kubeconfig": UNKNOWN})


def test_an_object_through_the_default_provider_is_refused(cloud: Driver) -> None:
    cloud.cloud.kubernetes.configure("", {})
    assert "without kubeconfig" in str(refused(cloud, NAMESPACE, kube_inputs("v1", "Namespace", "a")))


def test_a_cluster_that_is_not_there_cannot_be_reached(cloud: Driver) -> None:
    cloud.point_to("192.0.2.1")
    with pytest.raises(ApiError, match="cluster is unreachable"):
        cloud.namespace("a")


def test_objects_of_one_cluster_are_not_in_another(cloud: Driver) -> None:
    cloud.namespace("mine")
    cloud.cluster("other")
    cloud.namespace("mine")
    assert len(cloud.state.find(NAMESPACE, where=lambda resource: resource.id == "mine")) == 2


def test_deleting_from_an_unreachable_cluster_works_only_where_the_provider_says_so(cloud: Driver) -> None:
    made = cloud.namespace("mine")
    config = {"kubeconfig": kubeconfig("https://192.0.2.1")}
    cloud.cloud.kubernetes.configure("", config)
    with pytest.raises(ApiError, match="unreachable"):
        cloud.delete(made)
    cloud.cloud.kubernetes.configure("", {**config, "deleteUnreachable": True})
    cloud.delete(made)


def test_a_release_cannot_be_deleted_from_an_unreachable_cluster(cloud: Driver) -> None:
    made = cloud.release("other-chart", "default")
    config = {"kubeconfig": kubeconfig("https://192.0.2.1"), "deleteUnreachable": True}
    cloud.cloud.kubernetes.configure("", config)
    with pytest.raises(ApiError, match="unreachable"):
        cloud.delete(made)


# Shapes


def test_an_unknown_field_of_a_builtin_kind_is_refused(cloud: Driver) -> None:
    assert list(refused(cloud, CONFIG_MAP, config_map(dta={"a": "b"}))) == ["(object)"]


def test_a_wrong_type_deep_inside_is_refused_with_its_path(cloud: Driver) -> None:
    spec = {"template": {"spec": {"containers": [{"name": "a", "image": "b", "ports": [{"containerPort": "x"}]}]}}}
    failures = refused(cloud, token("batch/v1", "Job"), kube_inputs("batch/v1", "Job", "j", "default", spec=spec))
    assert list(failures) == ["spec.template.spec.containers[0].ports[0].containerPort"]


def test_unknown_values_pass_the_schema(cloud: Driver) -> None:
    pod = {"containers": [{"name": UNKNOWN, "image": UNKNOWN, "resources": {"limits": {"cpu": UNKNOWN}}}]}
    spec = {"template": {"spec": pod}}
    inputs = kube_inputs("batch/v1", "Job", "j", "default", spec=spec)
    cloud.check(token("batch/v1", "Job"), "j", inputs)


def test_a_builtin_kind_that_the_version_does_not_have_is_refused(cloud: Driver) -> None:
    inputs = kube_inputs("batch/v1beta1", "CronJob", "j", "default", spec={})
    assert 'no matches for kind "CronJob"' in refused(cloud, token("batch/v1beta1", "CronJob"), inputs)["kind"]


@pytest.mark.parametrize(
    ("api_version", "kind", "spec"),
    [
        ("nvidia.com/v1alpha1", "DynamoGraphDeployment", {"services": {"A": {"replica": 1}}}),
        ("nvidia.com/v1alpha1", "DynamoGraphDeployment", {"services": {"A": {"multinode": {"nodeCount": 1}}}}),
        ("nvidia.com/v1alpha1", "DynamoGraphDeployment", {"backendFramework": "tgi"}),
        ("nvidia.com/v1alpha1", "DynamoGraphDeployment", {"services": {"A": {"extraPodSpec": {"volume": []}}}}),
        ("resource.nvidia.com/v1beta1", "ComputeDomain", {"numNodes": 2}),
        ("scheduling.run.ai/v2", "Queue", {"parent": "a"}),
        ("networking.gke.io/v1", "Network", {"type": "device"}),
        ("networking.gke.io/v1", "GKENetworkParamSet", {"vpc": "a"}),
    ],
)
def test_a_custom_object_that_breaks_its_schema_is_refused(
    cloud: Driver, api_version: str, kind: str, spec: Props
) -> None:
    assert refused(cloud, token(api_version, kind), kube_inputs(api_version, kind, "x", spec=spec))


def test_a_device_network_with_a_name_that_is_too_long_is_refused(cloud: Driver) -> None:
    inputs = kube_inputs("networking.gke.io/v1", "Network", "n" * 42, spec={"type": "Device"})
    assert "metadata.name" in refused(cloud, token("networking.gke.io/v1", "Network"), inputs)


# Names and namespaces


def test_a_name_that_is_not_given_is_made_and_kept(cloud: Driver) -> None:
    inputs = {"apiVersion": "v1", "kind": "Namespace"}
    made = cloud.create(NAMESPACE, "serving", inputs)
    assert made.id.startswith("serving-")
    assert made.inputs["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
    assert cloud.check(NAMESPACE, "serving", inputs, made.inputs) == made.inputs


def test_a_namespaced_object_without_namespace_goes_to_default(cloud: Driver) -> None:
    assert cloud.kube("v1", "ConfigMap", "conf").id == "default/conf"


def test_a_cluster_wide_object_has_no_namespace(cloud: Driver) -> None:
    assert cloud.kube("rbac.authorization.k8s.io/v1", "ClusterRole", "reader", rules=[]).id == "reader"


def test_an_object_in_a_namespace_that_is_not_there_is_refused(cloud: Driver) -> None:
    with pytest.raises(ApiError, match='namespaces "nowhere" not found'):
        cloud.kube("v1", "ConfigMap", "conf", "nowhere")


def test_a_second_object_of_the_same_name_is_refused(cloud: Driver) -> None:
    cloud.kube("v1", "ConfigMap", "conf", "default")
    with pytest.raises(ApiError, match='configmaps "conf" already exists'):
        cloud.kube("v1", "ConfigMap", "conf", "default")


def test_the_same_name_in_another_namespace_is_another_object(cloud: Driver) -> None:
    cloud.namespace("other")
    cloud.kube("v1", "ConfigMap", "conf", "default")
    cloud.kube("v1", "ConfigMap", "conf", "other")


@pytest.mark.parametrize(
    ("api_version", "kind", "spec"),
    [
        ("nvidia.com/v1alpha1", "DynamoGraphDeployment", {}),
        (
            "resource.nvidia.com/v1beta1",
            "ComputeDomain",
            {"numNodes": 1, "channel": {"resourceClaimTemplate": {"name": "a"}}},
        ),
        ("scheduling.run.ai/v2", "Queue", {}),
    ],
)
def test_an_object_of_a_kind_whose_chart_is_not_installed_is_refused(
    cloud: Driver, api_version: str, kind: str, spec: Props
) -> None:
    with pytest.raises(ApiError, match="has not been installed yet"):
        cloud.kube(api_version, kind, "x", "default", spec=spec)


def test_gke_has_its_own_kinds_from_the_start(cloud: Driver) -> None:
    cloud.create("gcp:compute/network:Network", "n", {"name": "n"})
    subnet = {"name": "s", "network": "n", "ipCidrRange": "10.0.0.0/24"}
    cloud.create("gcp:compute/subnetwork:Subnetwork", "s", subnet)
    cloud.kube("networking.gke.io/v1", "GKENetworkParamSet", "p", spec={"vpc": "n", "vpcSubnet": "s"})


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ({"vpc": "nowhere", "vpcSubnet": "s"}, "VPCNotFound"),
        ({"vpc": "projects/p/global/networks/n", "vpcSubnet": "s"}, "names, not links"),
        ({"vpc": "n", "vpcSubnet": "nowhere"}, "SubnetNotFound"),
        ({"vpc": "n", "vpcSubnet": "pods"}, "DeviceModeCantBeUsedWithSecondaryRange"),
    ],
)
def test_a_param_set_that_gke_cannot_resolve_is_refused(cloud: Driver, spec: Props, reason: str) -> None:
    cloud.create("gcp:compute/network:Network", "n", {"name": "n"})
    kind = "gcp:compute/subnetwork:Subnetwork"
    cloud.create(kind, "s", {"name": "s", "network": "n", "ipCidrRange": "10.0.0.0/24"})
    secondary = [{"rangeName": "pods", "ipCidrRange": "10.4.0.0/14"}]
    inputs = {"name": "pods", "network": "n", "ipCidrRange": "10.1.0.0/24", "secondaryIpRanges": secondary}
    cloud.create(kind, "pods", inputs)
    with pytest.raises(ApiError, match=reason):
        cloud.kube("networking.gke.io/v1", "GKENetworkParamSet", "p", spec=spec)


def test_a_device_network_needs_its_param_set_and_holds_it(cloud: Driver) -> None:
    reference = {"group": "networking.gke.io", "kind": "GKENetworkParamSet", "name": "p"}
    spec = {"type": "Device", "parametersRef": reference}
    with pytest.raises(ApiError, match="GNPNotFound"):
        cloud.kube("networking.gke.io/v1", "Network", "p", spec=spec)
    test_gke_has_its_own_kinds_from_the_start(cloud)
    made = cloud.kube("networking.gke.io/v1", "Network", "p", spec=spec)
    param_set = cloud.state.find(token("networking.gke.io/v1", "GKENetworkParamSet"))[0]
    with pytest.raises(ApiError, match="used by Network p"):
        cloud.delete(param_set)
    cloud.delete(made)
    cloud.delete(param_set)


# What pods need


def job(name: str = "j", **pod: Any) -> Props:
    containers = pod.pop("containers", [{"name": "a", "image": "b"}])
    spec = {"template": {"spec": {"restartPolicy": "Never", "containers": containers, **pod}}}
    return kube_inputs("batch/v1", "Job", name, "default", spec=spec)


@pytest.mark.parametrize(
    ("pod", "missing"),
    [
        ({"serviceAccountName": "nobody"}, "ServiceAccount"),
        ({"imagePullSecrets": [{"name": "nothing"}]}, "Secret"),
        ({"volumes": [{"name": "v", "configMap": {"name": "nothing"}}]}, "ConfigMap"),
        ({"volumes": [{"name": "v", "secret": {"secretName": "nothing"}}]}, "Secret"),
        (
            {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "nothing"}}]},
            "PersistentVolumeClaim",
        ),
        ({"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "nothing"}}]}}]}, "Secret"),
        ({"resourceClaims": [{"name": "c", "resourceClaimTemplateName": "nothing"}]}, "ResourceClaimTemplate"),
        (
            {
                "containers": [
                    {
                        "name": "a",
                        "image": "b",
                        "env": [{"name": "T", "valueFrom": {"secretKeyRef": {"name": "nothing", "key": "token"}}}],
                    }
                ]
            },
            "Secret",
        ),
        (
            {"containers": [{"name": "a", "image": "b", "envFrom": [{"configMapRef": {"name": "nothing"}}]}]},
            "ConfigMap",
        ),
    ],
)
def test_pods_that_name_what_is_not_there_are_refused(cloud: Driver, pod: Props, missing: str) -> None:
    with pytest.raises(ApiError, match=f"{missing} .* not found in namespace default"):
        cloud.create(token("batch/v1", "Job"), "j", job(**pod))


def test_pods_that_need_a_key_which_a_secret_does_not_have_are_refused(cloud: Driver) -> None:
    cloud.kube("v1", "Secret", "hf", "default", stringData={"token": "x"})

    def env(key: str) -> Props:
        ref = {"secretKeyRef": {"name": "hf", "key": key}}
        return {"containers": [{"name": "a", "image": "b", "env": [{"name": "T", "valueFrom": ref}]}]}

    with pytest.raises(ApiError, match="no key HF_TOKEN in Secret default/hf"):
        cloud.create(token("batch/v1", "Job"), "j", job(**env("HF_TOKEN")))
    cloud.create(token("batch/v1", "Job"), "j", job(**env("token")))


def test_what_is_optional_may_be_missing(cloud: Driver) -> None:
    volumes = [{"name": "v", "configMap": {"name": "nothing", "optional": True}}]
    cloud.create(token("batch/v1", "Job"), "j", job(volumes=volumes))


def test_a_priority_class_that_is_not_there_is_refused(cloud: Driver) -> None:
    with pytest.raises(ApiError, match="no PriorityClass with name inference"):
        cloud.create(token("batch/v1", "Job"), "j", job(priorityClassName="inference"))


def enforcing(cloud: Driver, standard: str) -> None:
    inputs = kube_inputs("v1", "Namespace", standard)
    inputs["metadata"]["labels"] = {"pod-security.kubernetes.io/enforce": standard}
    cloud.create(NAMESPACE, "n", inputs)


@pytest.mark.parametrize("kind", ["Job", "Deployment"])
def test_a_pod_that_violates_what_its_namespace_enforces_never_starts(cloud: Driver, kind: str) -> None:
    enforcing(cloud, "restricted")
    group = "batch/v1" if kind == "Job" else "apps/v1"
    pod = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "b"}]}}
    if kind == "Job":
        pod["spec"]["restartPolicy"] = "Never"
    spec = {"template": pod, **({} if kind == "Job" else {"selector": {"matchLabels": {"a": "b"}}})}
    inputs = kube_inputs(group, kind, "j", "restricted", spec=spec)
    with pytest.raises(ApiError, match=r"restricted:latest.*runAsNonRoot"):
        cloud.create(token(group, kind), "j", inputs)


def test_a_standard_that_there_is_not_is_refused(cloud: Driver) -> None:
    with pytest.raises(CheckError) as caught:
        enforcing(cloud, "strict")
    assert "strict" in str(caught.value.failures)


# Changes


@pytest.mark.parametrize("mutable", [False, True])
@pytest.mark.parametrize(
    ("kind", "field", "option"),
    [("ConfigMap", "data", "enableConfigMapMutable"), ("Secret", "stringData", "enableSecretMutable")],
)
def test_data_of_config_maps_and_secrets_is_replaced_unless_the_provider_says_otherwise(
    cloud: Driver, mutable: bool, kind: str, field: str, option: str
) -> None:
    made = cloud.kube("v1", kind, "x", "default", **{field: {"a": "b"}})
    cloud.cloud.kubernetes.clients[""][option] = mutable
    difference = cloud.diff(made, kube_inputs("v1", kind, "x", "default", **{field: {"a": "c"}}))
    assert difference.changes
    assert difference.replaces == ([] if mutable else [field])
    assert difference.delete_before_replace != mutable


@pytest.mark.parametrize(("name", "namespace"), [("other", "default"), ("conf", "elsewhere")])
def test_another_name_or_namespace_is_another_object_that_can_come_first(
    cloud: Driver, name: str, namespace: str
) -> None:
    cloud.namespace("elsewhere")
    made = cloud.kube("v1", "ConfigMap", "conf", "default")
    difference = cloud.diff(made, config_map(name, namespace))
    assert difference.replaces == ["metadata"]
    assert not difference.delete_before_replace


def test_labels_change_in_place(cloud: Driver) -> None:
    made = cloud.kube("v1", "ConfigMap", "conf", "default")
    inputs = config_map()
    inputs["metadata"]["labels"] = {"dynamo-a4x/stack": "r1"}
    difference = cloud.diff(made, inputs)
    assert difference.changes
    assert not difference.replaces
    assert list(difference.detailed_diff) == ["metadata.labels"]


def test_a_jobs_template_is_replaced(cloud: Driver) -> None:
    made = cloud.create(token("batch/v1", "Job"), "j", job())
    difference = cloud.diff(made, job(containers=[{"name": "a", "image": "c"}]))
    assert difference.replaces == ["spec"]
    assert list(difference.detailed_diff) == ["spec.template.spec.containers[0].image"]


@pytest.mark.parametrize("preview", [True, False])
def test_the_spec_of_a_compute_domain_cannot_change_not_even_in_a_preview(preview: bool) -> None:
    cloud = Driver()
    cloud.platform()
    made = cloud.domain()
    spec = {"numNodes": 18, "channel": {"resourceClaimTemplate": {"name": "channel"}}}
    changed = kube_inputs("resource.nvidia.com/v1beta1", "ComputeDomain", "domain", "serving", spec=spec)
    assert not cloud.diff(made, changed).replaces
    with pytest.raises(ApiError, match=r"A computeDomain\.spec is immutable"):
        cloud.update(made, changed, preview=preview)


def test_changing_what_is_gone_fails(cloud: Driver) -> None:
    made = cloud.kube("v1", "ConfigMap", "conf", "default")
    cloud.delete(made)
    with pytest.raises(ApiError, match="ConfigMap default/conf not found"):
        cloud.update(made, config_map(data={"a": "b"}))


def test_a_preview_of_an_update_changes_nothing(cloud: Driver) -> None:
    made = cloud.kube("v1", "Service", "s", "default", spec={"ports": [{"port": 80}]})
    cloud.update(made, kube_inputs("v1", "Service", "s", "default", spec={"ports": [{"port": 81}]}), preview=True)
    assert made.outputs["spec"]["ports"] == [{"port": 80}]


def test_a_services_address_outlives_a_change(cloud: Driver) -> None:
    made = cloud.kube("v1", "Service", "s", "default", spec={"ports": [{"port": 80}]})
    address = made.outputs["spec"]["clusterIP"]
    cloud.update(made, kube_inputs("v1", "Service", "s", "default", spec={"ports": [{"port": 81}]}))
    assert made.outputs["spec"] == {"clusterIP": address, "type": "ClusterIP", "ports": [{"port": 81}]}


def test_a_secrets_text_comes_back_encoded(cloud: Driver) -> None:
    made = cloud.kube("v1", "Secret", "s", "default", stringData={"a": "b"})
    assert made.outputs["data"] == {"a": base64.b64encode(b"b").decode()}


def test_a_preview_makes_nothing_and_knows_no_status(cloud: Driver) -> None:
    outputs = cloud.preview(NAMESPACE, "n", kube_inputs("v1", "Namespace", "n"))
    assert outputs["metadata"]["name"] == "n"
    assert outputs["status"] is UNKNOWN
    assert cloud.read(NAMESPACE, "n").resource_id == ""


# Deletion


def test_a_namespace_takes_everything_in_it_along(cloud: Driver) -> None:
    namespace = cloud.namespace("n")
    inside = cloud.kube("v1", "ConfigMap", "conf", "n")
    cloud.delete(namespace)
    assert cloud.read(CONFIG_MAP, inside.id).resource_id == ""
    cloud.delete(inside)


def test_a_namespace_with_a_release_of_the_program_cannot_go(cloud: Driver) -> None:
    namespace = cloud.namespace("n")
    cloud.release("other-chart", "n")
    with pytest.raises(ApiError, match="the release must go first"):
        cloud.delete(namespace)


def test_a_namespace_with_a_compute_domain_and_no_driver_hangs() -> None:
    cloud = Driver()
    cloud.platform()
    cloud.domain()
    driver = next(t for t in cloud.state.find(RELEASE) if "dra-driver" in t.id)
    cloud.state.remove(driver.key)
    with pytest.raises(ApiError, match="stays in Terminating: ComputeDomain serving/domain have finalizers"):
        cloud.delete(cloud.state.find(NAMESPACE, where=lambda t: t.id == "serving")[0])


# Releases


def release(chart: str = "https://h/dynamo-crds-0.7.0.tgz", **fields: Any) -> Props:
    return {"chart": chart, "name": "r", "namespace": "default", **fields}


@pytest.mark.parametrize(
    ("where", "inputs"),
    [
        ("chrt", release(chrt="x")),
        ("version", release("dynamo-crds", repositoryOpts={"repo": "https://h"})),
        ("chart", release("dynamo-crds", version="0.7.0")),
        ("chart", release("oci://h/charts/dynamo-crds-0.7.0.tgz", version="0.7.0")),
        ("chart", release("ftp://h/dynamo-crds-0.7.0.tgz", version="0.7.0")),
        ("version", release("oci://h/charts/dynamo-crds")),
        ("values.groove", release("https://h/dynamo-platform-0.7.0.tgz", values={"groove": {}})),
        ("atomic", release(atomic="yes")),
    ],
)
def test_a_release_that_helm_could_not_install_is_refused(cloud: Driver, where: str, inputs: Props) -> None:
    assert list(refused(cloud, RELEASE, inputs)) == [where]


@pytest.mark.parametrize("chart", ["oci://h/charts/dynamo-crds", "./charts/dynamo-crds-0.7.0.tgz"])
def test_a_chart_may_come_from_a_registry_or_a_folder(cloud: Driver, chart: str) -> None:
    made = cloud.create(RELEASE, "crds", release(chart, version="0.7.0"))
    assert (made.outputs["status"]["chart"], made.outputs["status"]["version"]) == ("dynamo-crds", "0.7.0")


def test_a_release_name_that_is_in_use_is_refused(cloud: Driver) -> None:
    cloud.release("dynamo-crds", "default")
    with pytest.raises(ApiError, match="cannot re-use a name"):
        cloud.release("dynamo-crds", "default")


def test_a_release_in_a_namespace_that_is_not_there_is_refused(cloud: Driver) -> None:
    with pytest.raises(ApiError, match='namespaces "nowhere" not found'):
        cloud.release("dynamo-crds", "nowhere")
    cloud.release("dynamo-crds", "nowhere", createNamespace=True)


def test_the_plugins_defaults_become_inputs_of_a_release(cloud: Driver) -> None:
    """E15: what is not given is made up by the plugin, and is no change later."""
    made = cloud.create(RELEASE, "r", release())
    assert (made.inputs["timeout"], made.inputs["atomic"], made.inputs["skipAwait"]) == (300, False, False)
    assert not cloud.diff(made, release()).changes
    assert cloud.diff(made, release(atomic=True)).diffs == ["atomic"]


def test_the_api_server_answers_a_secret_without_the_text_that_it_was_given(cloud: Driver) -> None:
    """E15: `stringData` is write-only."""
    made = cloud.kube("v1", "Secret", "s", "default", stringData={"key": "text"})
    assert "stringData" not in made.outputs
    assert made.outputs["data"] == {"key": "dGV4dA=="}
    assert not cloud.diff(made, made.inputs).changes


def test_a_release_tells_its_status(cloud: Driver) -> None:
    made = cloud.release("dynamo-crds", "default")
    status = made.outputs["status"]
    assert (status["name"], status["namespace"], status["version"]) == ("dynamo-crds", "default", "0.7.0")
    cloud.update(made, {**made.inputs, "timeout": 600})
    assert made.outputs["status"]["revision"] == 2


def test_the_platform_without_its_crds_is_refused(cloud: Driver) -> None:
    with pytest.raises(ApiError, match="no CRDs DynamoGraphDeployment, DynamoGraphDeploymentRequest"):
        cloud.release("dynamo-platform", "default")


def test_the_platform_of_1_0_brings_its_crds_itself(cloud: Driver) -> None:
    cloud.release("dynamo-platform", "default", "1.0.1")


def test_a_second_cluster_wide_operator_is_refused(cloud: Driver) -> None:
    cloud.release("dynamo-crds", "default")
    cloud.release("dynamo-platform", "default")
    cloud.namespace("other")
    with pytest.raises(ApiError, match="existing cluster-wide Dynamo operator"):
        cloud.release("dynamo-platform", "other")


@pytest.mark.parametrize(
    ("made", "keys", "named", "installed"),
    [
        (None, (), None, False),
        ("mpi-run-ssh-secret", ("private.key", "private.key.pub"), None, True),
        ("mpi-run-ssh-secret", ("private.key",), None, False),
        ("own", ("private.key", "private.key.pub"), None, False),
        ("own", ("private.key", "private.key.pub"), "own", True),
    ],
)
def test_on_0_7_the_ssh_secret_comes_from_the_hook_or_before_the_release(
    cloud: Driver, made: str | None, keys: tuple[str, ...], named: str | None, installed: bool
) -> None:
    cloud.release("dynamo-crds", "default")
    if made is not None:
        cloud.kube("v1", "Secret", made, "default", stringData=dict.fromkeys(keys, "x"))
    run: dict[str, Any] = {"sshKeygen": {"enabled": False}, **({"secretName": named} if named else {})}
    values = {"dynamo-operator": {"dynamo": {"mpiRun": run}}}
    with contextlib.nullcontext() if installed else pytest.raises(ApiError, match=r"leave mpiRun\.sshKeygen on"):
        cloud.release("dynamo-platform", "default", values=values)


def test_etcd_of_another_registry_is_refused_unless_the_values_allow_it(cloud: Driver) -> None:
    cloud.release("dynamo-crds", "default")
    etcd: dict[str, Any] = {"image": {"registry": "mirror.example", "repository": "hub/bitnamilegacy/etcd"}}
    with pytest.raises(ApiError, match=r"Unrecognized images: mirror\.example/hub/bitnamilegacy/etcd:3"):
        cloud.release("dynamo-platform", "default", values={"etcd": etcd})
    allowed = {**etcd, "global": {"security": {"allowInsecureImages": True}}}
    cloud.release("dynamo-platform", "default", values={"etcd": allowed})
    assert "mirror.example/hub/bitnamilegacy/etcd:3.5.18-debian-12-r5" in chart_images.pulled(cloud.state)


@pytest.mark.parametrize(
    ("version", "values", "installed"),
    [
        ("0.7.0", {"kai-scheduler": {"enabled": True}}, True),
        ("0.7.0", {}, False),
        ("1.0.1", {"global": {"kai-scheduler": {"install": True}}}, True),
        ("1.0.1", {"kai-scheduler": {"enabled": True}}, False),
    ],
)
def test_kai_comes_only_with_the_value_names_of_the_release(
    cloud: Driver, version: str, values: Props, installed: bool
) -> None:
    cloud.release("dynamo-crds", "default")
    cloud.release("dynamo-platform", "default", version, values=values)
    if installed:
        cloud.kube("scheduling.run.ai/v2", "Queue", "mine", spec={})
    else:
        with pytest.raises(ApiError, match="has not been installed yet"):
            cloud.kube("scheduling.run.ai/v2", "Queue", "mine", spec={})


def test_the_dra_driver_needs_a_quota_for_critical_pods(cloud: Driver) -> None:
    cloud.namespace("nvidia-dra-driver-gpu")
    with pytest.raises(ApiError, match="insufficient quota"):
        cloud.release("nvidia-dra-driver-gpu", "nvidia-dra-driver-gpu", "25.12.0")


def released(cloud: Driver, chart: str) -> CloudResource:
    return next(t for t in cloud.state.find(RELEASE) if chart in t.id)


def namespace_of(cloud: Driver, name: str) -> CloudResource:
    return cloud.state.find(NAMESPACE, where=lambda t: t.id == name)[0]


def test_helm_uninstalls_a_driver_under_its_compute_domains_and_its_namespace_hangs() -> None:
    cloud = Driver()
    cloud.platform()
    domain = cloud.domain()
    cloud.delete(released(cloud, "dra-driver"))
    with pytest.raises(ApiError, match=r"stays in Terminating: DaemonSet .*, ResourceClaimTemplate .* have finalizers"):
        cloud.delete(namespace_of(cloud, "nvidia-dra-driver-gpu"))
    with pytest.raises(ApiError, match="stays in Terminating: finalizer"):
        cloud.delete(domain)


def test_nothing_new_comes_into_a_namespace_that_is_being_deleted() -> None:
    cloud = Driver()
    cloud.platform()
    cloud.domain()
    cloud.delete(released(cloud, "dra-driver"))
    with pytest.raises(ApiError, match="stays in Terminating"):
        cloud.delete(namespace_of(cloud, "nvidia-dra-driver-gpu"))
    with pytest.raises(ApiError, match="it is being terminated"):
        cloud.kube("v1", "ConfigMap", "conf", "nvidia-dra-driver-gpu")
    with pytest.raises(ApiError, match="it is being terminated"):
        cloud.release("nvidia-dra-driver-gpu", "nvidia-dra-driver-gpu", "25.12.0")


def test_a_namespace_that_hung_goes_once_its_finalizers_are_dropped() -> None:
    cloud = Driver()
    cloud.platform()
    cloud.domain()
    cloud.delete(released(cloud, "dra-driver"))
    with pytest.raises(ApiError, match="stays in Terminating"):
        cloud.delete(namespace_of(cloud, "nvidia-dra-driver-gpu"))
    for resource in cloud.state.find(where=lambda t: "/computedomain-daemon" in t.id):
        cloud.state.remove(resource.key)
    assert cloud.read(NAMESPACE, "nvidia-dra-driver-gpu").resource_id == ""
    cloud.driver()


def test_a_driver_takes_down_what_it_made_for_a_compute_domain() -> None:
    cloud = Driver()
    cloud.platform()
    cloud.delete(cloud.domain())
    cloud.delete(released(cloud, "dra-driver"))
    cloud.delete(namespace_of(cloud, "nvidia-dra-driver-gpu"))


@pytest.mark.parametrize("chart", ["dynamo-platform", "dynamo-crds"])
def test_helm_uninstalls_an_operator_under_its_graphs(chart: str) -> None:
    cloud = Driver()
    cloud.platform()
    graph = cloud.graph()
    cloud.delete(released(cloud, chart))
    assert cloud.state.find(GRAPH) == [graph]


def test_a_graph_hangs_without_its_operator_and_goes_by_itself_when_it_is_back() -> None:
    cloud = Driver()
    cloud.platform()
    graph = cloud.graph()
    cloud.delete(released(cloud, "dynamo-platform"))
    with pytest.raises(ApiError, match=r"stays in Terminating: finalizer nvidia.com/finalizer"):
        cloud.delete(graph)
    values = {"grove": {"enabled": True}, "kai-scheduler": {"enabled": False}}
    cloud.release("dynamo-platform", "dynamo-cloud", values=values)
    assert cloud.read(GRAPH, graph.id).resource_id == ""


def test_the_namespace_default_cannot_be_deleted(cloud: Driver) -> None:
    with pytest.raises(ApiError, match='namespaces "default" is forbidden: this namespace may not be deleted'):
        admission.at_delete(cloud.state, namespace_of(cloud, "default"))


def test_what_charts_leave_behind_on_purpose_is_reported_and_is_no_leftover() -> None:
    cloud = Driver()
    cloud.cluster()
    cloud.delete(cloud.release("dynamo-crds", "default"))
    assert len(cloud.state.kept()) == 4
    assert {resource.kind for resource in cloud.state.leftovers()} == {"gcp:container/cluster:Cluster"}


def test_a_list_kind_is_named_as_not_modelled(cloud: Driver) -> None:
    with pytest.raises(ApiError, match="has no kubernetes:core/v1:ServiceAccountList"):
        cloud.check(token("v1", "ServiceAccountList"), "x", {})


def test_a_compute_domain_makes_its_claim_template_and_takes_it_along() -> None:
    cloud = Driver()
    cloud.platform()
    domain = cloud.domain()
    kind = "kubernetes:resource.k8s.io/v1:ResourceClaimTemplate"
    assert [resource.id for resource in cloud.state.find(kind)] == [
        "serving/channel",
        "nvidia-dra-driver-gpu/computedomain-daemon-domain-claim",
    ]
    with pytest.raises(ApiError, match='resourceclaimtemplates "channel" already exists'):
        cloud.domain("second")
    cloud.delete(domain)
    assert not cloud.state.find(kind)
    assert not cloud.state.find(DOMAIN)


@pytest.mark.parametrize("name", ["system:authenticated", "system:unauthenticated", "system:anonymous"])
@pytest.mark.parametrize("kind", ["ClusterRoleBinding", "RoleBinding"])
def test_a_binding_to_everybody_is_refused_where_the_cluster_says_so(kind: str, name: str) -> None:
    group, namespace = "rbac.authorization.k8s.io/v1", "default" if kind == "RoleBinding" else ""
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}

    def inputs(subject: str) -> Props:
        subjects = [{"kind": "Group", "name": subject, "apiGroup": "rbac.authorization.k8s.io"}]
        return kube_inputs(group, kind, "viewers", namespace, roleRef=role, subjects=subjects)

    cloud = Driver()
    cloud.cluster("open")
    cloud.create(token(group, kind), "viewers", inputs(name))
    fields = ("enableInsecureBindingSystemAuthenticated", "enableInsecureBindingSystemUnauthenticated")
    cloud.cluster("closed", rbacBindingConfig=dict.fromkeys(fields, False))
    with pytest.raises(ApiError, match=f"{kind} viewers names {name}"):
        cloud.create(token(group, kind), "viewers", inputs(name))
    made = cloud.create(token(group, kind), "viewers", inputs("team"))
    with pytest.raises(ApiError, match=f"{kind} viewers names {name}"):
        cloud.update(made, inputs(name), preview=True)
