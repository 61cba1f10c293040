"""What the nodes need inside the cluster: network objects, gIB, DRA driver."""

from __future__ import annotations

from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.platform import DeviceNetworks, GibInstaller
from components.platform.dra_driver import pod_quota
from reference import gke, machines
from reference.machines import A4X
from reference.mirrors import ImageMirrors
from tests.conftest import recorded
from tests.recorder import ProgramFailedError, Recording, Resource, record

ON_A4X = [
    {"key": "cloud.google.com/gke-accelerator", "operator": "In", "values": ["nvidia-gb200"]},
    {"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]},
]


@pytest.fixture
def built(preview: bool) -> Recording:
    """An environment that creates all of it, as `up` and as preview."""
    return recorded("prod", preview)


def installer(recording: Recording) -> Any:
    """The pod template of the gIB DaemonSet."""
    return recording.find("DaemonSet").inputs["spec"]["template"]["spec"]


def driver(recording: Recording) -> dict[str, Any]:
    """Inputs of the DRA driver's release."""
    return recording.find(name="dra-driver-release").inputs


def terms(of: Any) -> Any:
    """What a pod demands of its node."""
    (term,) = of["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    return term["matchExpressions"]


# --- device networks --------------------------------------------------------------------------------------


def networks(recording: Recording) -> list[Resource]:
    """The Networks of Kubernetes, in order of their names."""
    found = recording.of_type("kubernetes:networking.gke.io/v1:Network")
    return sorted(found, key=lambda network: gke.DEVICE_NETWORKS.index(network.inputs["metadata"]["name"]))


def parameter_sets(recording: Recording) -> list[Resource]:
    """The GKENetworkParamSets."""
    return recording.of_type("kubernetes:networking.gke.io/v1:GKENetworkParamSet")


def test_every_nic_has_a_parameter_set_and_a_network_of_the_fixed_name(built: Recording) -> None:
    assert [r.inputs["metadata"]["name"] for r in networks(built)] == list(gke.DEVICE_NETWORKS)
    for network in networks(built):
        name = network.inputs["metadata"]["name"]
        assert len(name) <= 41, "GKE's limit"
        reference = {"group": "networking.gke.io", "kind": "GKENetworkParamSet", "name": name}
        assert network.inputs["spec"] == {"type": "Device", "parametersRef": reference}


def test_the_device_mode_is_that_of_the_nic(built: Recording) -> None:
    rdma = "a4x-prod-rdma-us-central1-b"
    places = {"gvnic-1": ("a4x-prod-net-1", "a4x-prod-sub-1"), **{f"rdma-{i}": (rdma, f"{rdma}-{i}") for i in range(4)}}
    assert {r.inputs["metadata"]["name"]: r.inputs["spec"] for r in parameter_sets(built)} == {
        name: {"vpc": vpc, "vpcSubnet": subnet, "deviceMode": "NetDevice" if name == "gvnic-1" else "RDMA"}
        for name, (vpc, subnet) in places.items()
    }


def test_network_objects_are_awaited_until_gke_calls_them_ready(built: Recording) -> None:
    objects = [*parameter_sets(built), *networks(built)]
    assert len(objects) == 10
    for resource in objects:
        assert resource.inputs["metadata"]["annotations"]["pulumi.com/waitFor"] == "condition=Ready"


def test_a_nic_that_a4x_does_not_have_is_refused() -> None:
    nics: list[Any] = [{"name": name, "network": "net", "subnetwork": "sub"} for name in ("gvnic-1", "rdma-9")]

    def program() -> None:
        provider = kubernetes.Provider("cluster", kubeconfig="{}")
        DeviceNetworks("networks", {"environment": "prod", "provider": provider, "interfaces": nics})

    with pytest.raises(ProgramFailedError, match=r"\['rdma-9'\]: an A4X node has gvnic-1, rdma-0"):
        record(program)


# --- gIB --------------------------------------------------------------------------------------------------


def test_the_installer_runs_on_every_a4x_node_whatever_its_taints_and_nowhere_else(built: Recording) -> None:
    pod = installer(built)
    assert pod["tolerations"] == [{"operator": "Exists"}]
    assert terms(pod) == ON_A4X
    assert pod["priorityClassName"] == "system-node-critical"


def test_the_installer_may_write_to_the_host_and_waits_for_the_gpu_driver(built: Recording) -> None:
    pod = installer(built)
    (copying,) = pod["initContainers"]
    assert copying["securityContext"] == {"privileged": True}
    (volume,) = [volume for volume in pod["volumes"] if volume["name"] == "driver"]
    assert volume["hostPath"] == {"path": "/home/kubernetes/bin/nvidia", "type": "Directory"}


def test_the_selector_of_the_installer_matches_its_pods(built: Recording) -> None:
    spec = built.find("DaemonSet").inputs["spec"]
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()


def test_the_plugin_lands_where_pods_mount_it_from(built: Recording) -> None:
    paths = {volume["name"]: volume["hostPath"]["path"] for volume in installer(built)["volumes"]}
    (container,) = installer(built)["initContainers"]
    targets = {mount["mountPath"]: paths[mount["name"]] for mount in container["volumeMounts"]}
    copies = [line.removeprefix("cp -r ").split() for line in container["args"][0].splitlines() if line[:3] == "cp "]
    assert {source: targets[target] for source, target in copies} == {
        "/var/lib/gib/lib64/.": f"{machines.DRIVER_ROOT}/lib64",
        "/var/lib/gib/.": machines.GIB_ROOT,
    }


def test_the_recipes_plugin_is_the_default(built: Recording) -> None:
    (container,) = installer(built)["initContainers"]
    assert container["image"].endswith("/nccl-plugin-gib-arm64:v1.0.7")
    assert "/scripts/container_entry.sh install --install-nccl\n" in container["args"][0]


def test_the_plugin_reaches_many_nodes_at_once(built: Recording) -> None:
    """One at a time, 64 domains of 18 nodes would not be done within the time-out."""
    strategy = built.find("DaemonSet").inputs["spec"]["updateStrategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "50%"}}


def _daemon_set(*pools: str) -> dict[str, Any]:
    def program() -> None:
        provider = kubernetes.Provider("cluster", kubeconfig="{}")
        GibInstaller(
            "gib",
            {
                "environment": "prod",
                "provider": provider,
                "node_pools": pulumi.Output.from_input([*pools]),
                "version": "v1.0.7",
                "mirrors": ImageMirrors(),
                "install_nccl": True,
            },
        )

    return record(program).find("DaemonSet").inputs


def test_a_new_pool_does_not_run_the_installer_again_on_the_others() -> None:
    few, more = _daemon_set("a"), _daemon_set("a", "b")
    assert few["spec"] == more["spec"]
    assert few["metadata"] != more["metadata"]


def test_the_order_of_pools_is_no_change() -> None:
    assert _daemon_set("b", "a") == _daemon_set("a", "b")


# --- DRA driver -------------------------------------------------------------------------------------------


@given(st.integers(1, 1152))
def test_the_quota_admits_plugins_daemons_and_controller(nodes: int) -> None:
    assert int(pod_quota(nodes)) >= 2 * nodes + 1


def test_the_quota_stands_in_the_drivers_namespace_before_the_chart(built: Recording) -> None:
    quota, release = built.find("ResourceQuota"), built.find(name="dra-driver-release")
    assert quota.urn in release.depends_on
    assert built.find(name="dra-driver-namespace").inputs["metadata"]["name"] == "nvidia-dra-driver-gpu"
    assert quota.inputs["spec"]["scopeSelector"]["matchExpressions"] == [
        {
            "operator": "In",
            "scopeName": "PriorityClass",
            "values": ["system-node-critical", "system-cluster-critical"],
        }
    ]


def test_quota_and_release_are_in_the_namespace_of_the_program() -> None:
    quota = recorded("prod").find("ResourceQuota").inputs
    assert quota["metadata"]["namespace"] == driver(recorded("prod"))["namespace"] == "nvidia-dra-driver-gpu"
    assert quota["spec"]["hard"] == {"pods": "100"}


def test_the_chart_is_an_archive_of_nvidia(built: Recording) -> None:
    archive = "https://helm.ngc.nvidia.com/nvidia/charts/nvidia-dra-driver-gpu-25.12.0.tgz"
    assert driver(built)["chart"] == archive


def test_a_failed_install_is_rolled_back_and_has_time_to_succeed(built: Recording) -> None:
    assert driver(built)["atomic"] is True
    assert driver(built)["timeout"] >= 900
    assert not driver(built).get("skipAwait")


def test_the_driver_looks_where_gke_puts_the_gpu_driver_and_leaves_gpus_alone(built: Recording) -> None:
    values = driver(built)["values"]
    assert values["nvidiaDriverRoot"] == "/home/kubernetes/bin/nvidia"
    assert values["resources"] == {"gpus": {"enabled": False}, "computeDomains": {"enabled": True}}


def test_kubelet_plugins_run_on_a4x_nodes_and_the_controller_needs_no_control_plane_node(built: Recording) -> None:
    values = driver(built)["values"]
    assert terms(values["kubeletPlugin"]) == ON_A4X
    assert values["kubeletPlugin"]["tolerations"] == A4X.tolerations()
    assert terms(values["controller"]) == [{"key": "nvidia.com/gpu", "operator": "DoesNotExist"}]
    assert values["controller"]["tolerations"] == []
