"""What the nodes need inside the cluster: network objects, gIB, DRA driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import pulumi
import pulumi_kubernetes as kubernetes
import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.platform import DeviceNetworks, DraDriver, GibInstaller
from components.platform.dra_driver import pod_quota
from reference import gke, machines
from reference.machines import A4X
from tests.recorder import ProgramFailedError, Recording, Resource, record

OPERATORS: list[machines.Toleration] = [{"key": "operators", "operator": "Exists", "effect": "NoSchedule"}]


def interfaces(names: tuple[str, ...] = gke.DEVICE_NETWORKS) -> list[Any]:
    """NICs of an A4X node."""
    return [{"name": name, "network": f"net-of-{name}", "subnetwork": f"sub-of-{name}"} for name in names]


def node_software(gib: dict[str, Any] | None = None, dra: dict[str, Any] | None = None) -> Callable[[], None]:
    """A program that makes all of it, with pools (stand-ins) between the networks and the rest."""

    def program() -> None:
        provider = kubernetes.Provider("cluster", kubeconfig="{}")
        networks = DeviceNetworks("networks", {"environment": "prod", "provider": provider, "interfaces": interfaces()})
        pulumi.export("networks", networks.names)
        pool = kubernetes.core.v1.ConfigMap(
            "pool",
            metadata={"name": "a4x-1", "namespace": "default"},
            data={"nodes": "36"},
            opts=pulumi.ResourceOptions(provider=provider, depends_on=[networks]),
        )

        def pools(name: str) -> list[str]:
            return [name, "a4x-0"]

        def count(data: Mapping[str, str]) -> int:
            return int(data["nodes"])

        gib_args: Any = {
            "environment": "prod",
            "provider": provider,
            "node_pools": pool.metadata.name.apply(pools),
            "version": "v1.0.7",
            "install_nccl": True,
            **(gib or {}),
        }
        pulumi.export("gib", GibInstaller("gib", gib_args).version)
        dra_args: Any = {
            "environment": "prod",
            "provider": provider,
            "nodes": pool.data.apply(count),
            "node_pools": [],
            "version": "25.12.0",
            "chart_source": None,
            "chart_key": None,
            "system_tolerations": [],
            **(dra or {}),
        }
        driver = DraDriver("dra", dra_args)
        pulumi.export("dra", driver.status)

    return program


@cache
def _built(preview: bool) -> Recording:
    return record(node_software(), preview=preview)


@pytest.fixture(params=[False, True], ids=["up", "preview"])
def built(request: pytest.FixtureRequest) -> Recording:
    """All of it with the default inputs, as `up` and as preview."""
    return _built(request.param)


def installer(recording: Recording) -> dict[str, Any]:
    """Inputs of the gIB DaemonSet."""
    return recording.find("DaemonSet").inputs


def script(recording: Recording) -> str:
    """What the gIB installer runs."""
    return installer(recording)["spec"]["template"]["spec"]["initContainers"][0]["args"][0]


# --- contract ---------------------------------------------------------------------------------------------


def test_every_object_goes_through_the_clusters_provider_and_carries_labels(built: Recording) -> None:
    provider = built.find("pulumi:providers:kubernetes")
    for resource in built.resources:
        if resource.custom and resource.type.startswith("kubernetes:"):
            assert resource.provider_urn == provider.urn, str(resource)
            if resource.is_kubernetes_object and resource.name != "pool":
                assert resource.inputs["metadata"]["labels"]["dynamo-a4x/environment"] == "prod", str(resource)


def test_every_resource_is_named_after_its_component(built: Recording) -> None:
    for resource in built.resources:
        if resource.custom and resource.parent:
            assert resource.name.startswith(f"{built.by_urn[resource.parent].name}-")


def test_destroy_takes_drivers_before_pools_before_network_objects(built: Recording) -> None:
    def pool(resource: Resource) -> bool:
        return resource.name == "pool"

    for driver in ("Release", "DaemonSet"):
        assert not built.delete_order_violations([driver, pool, "Network"])
        assert not built.delete_order_violations([driver, pool, "GKENetworkParamSet"])
    for network in built.of_type("kubernetes:networking.gke.io/v1:Network"):
        parameters = built.find(name=f"{network.name}-parameters")
        assert built.depends_on_transitively(network, parameters)
        assert not network.depends_on, "the order comes from the reference, not from depends_on"


# --- device networks --------------------------------------------------------------------------------------


def parameter_sets(recording: Recording) -> list[Resource]:
    """The GKENetworkParamSets, in order."""
    return recording.of_type("kubernetes:networking.gke.io/v1:GKENetworkParamSet")


def test_every_nic_has_a_parameter_set_and_a_network_of_the_fixed_name(built: Recording) -> None:
    networks = built.of_type("kubernetes:networking.gke.io/v1:Network")
    assert [r.inputs["metadata"]["name"] for r in networks] == list(gke.DEVICE_NETWORKS)
    assert [r.inputs["metadata"]["name"] for r in parameter_sets(built)] == list(gke.DEVICE_NETWORKS)
    for network in networks:
        assert network.inputs["spec"] == {
            "type": "Device",
            "parametersRef": {
                "group": "networking.gke.io",
                "kind": "GKENetworkParamSet",
                "name": network.inputs["metadata"]["name"],
            },
        }


def test_the_device_mode_is_that_of_the_nic(built: Recording) -> None:
    modes = {r.inputs["metadata"]["name"]: r.inputs["spec"] for r in parameter_sets(built)}
    assert modes == {
        name: {
            "vpc": f"net-of-{name}",
            "vpcSubnet": f"sub-of-{name}",
            "deviceMode": "NetDevice" if name == "gvnic-1" else "RDMA",
        }
        for name in gke.DEVICE_NETWORKS
    }


def test_network_objects_are_awaited_until_gke_calls_them_ready(built: Recording) -> None:
    objects = [*parameter_sets(built), *built.of_type("kubernetes:networking.gke.io/v1:Network")]
    assert len(objects) == 10
    for resource in objects:
        assert resource.inputs["metadata"]["annotations"]["pulumi.com/waitFor"] == "condition=Ready"


def test_the_names_of_ready_networks_are_handed_on() -> None:
    assert _built(False).outputs["networks"] == list(gke.DEVICE_NETWORKS)


def test_the_name_of_a_device_network_fits_gkes_limit(built: Recording) -> None:
    for network in built.of_type("kubernetes:networking.gke.io/v1:Network"):
        assert len(network.inputs["metadata"]["name"]) <= 41


def test_a_nic_that_a4x_does_not_have_is_refused() -> None:
    def program() -> None:
        provider = kubernetes.Provider("cluster", kubeconfig="{}")
        DeviceNetworks(
            "networks",
            {"environment": "prod", "provider": provider, "interfaces": interfaces(("gvnic-1", "rdma-9"))},
        )

    with pytest.raises(ProgramFailedError, match=r"\['rdma-9'\]: an A4X node has gvnic-1, rdma-0"):
        record(program)


# --- gIB --------------------------------------------------------------------------------------------------


def test_the_installer_runs_on_every_a4x_node_whatever_its_taints_and_nowhere_else(built: Recording) -> None:
    pod = installer(built)["spec"]["template"]["spec"]
    assert pod["tolerations"] == [{"operator": "Exists"}]
    (term,) = pod["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert term["matchExpressions"] == [
        {"key": "cloud.google.com/gke-accelerator", "operator": "In", "values": ["nvidia-gb200"]},
        {"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]},
    ]
    assert pod["priorityClassName"] == "system-node-critical"


def test_the_installer_may_write_to_the_host_and_waits_for_the_gpu_driver(built: Recording) -> None:
    pod = installer(built)["spec"]["template"]["spec"]
    (copying,) = pod["initContainers"]
    assert copying["securityContext"] == {"privileged": True}
    (driver,) = [volume for volume in pod["volumes"] if volume["name"] == "driver"]
    assert driver["hostPath"] == {"path": "/home/kubernetes/bin/nvidia", "type": "Directory"}


def test_the_selector_of_the_installer_matches_its_pods(built: Recording) -> None:
    spec = installer(built)["spec"]
    assert spec["selector"]["matchLabels"].items() <= spec["template"]["metadata"]["labels"].items()


def test_the_plugin_lands_where_pods_mount_it_from(built: Recording) -> None:
    pod = installer(built)["spec"]["template"]["spec"]
    paths = {volume["name"]: volume["hostPath"]["path"] for volume in pod["volumes"]}
    (container,) = pod["initContainers"]
    targets = {mount["mountPath"]: paths[mount["name"]] for mount in container["volumeMounts"]}
    copies = {
        source: targets[target]
        for source, target in (
            line.removeprefix("cp -r ").split() for line in script(built).splitlines() if line.startswith("cp ")
        )
    }
    assert copies == {
        "/var/lib/gib/lib64/.": f"{machines.DRIVER_ROOT}/lib64",
        "/var/lib/gib/.": machines.GIB_ROOT,
    }
    assert container["securityContext"] == {"privileged": True}


def test_the_recipes_plugin_is_the_default(built: Recording) -> None:
    (container,) = installer(built)["spec"]["template"]["spec"]["initContainers"]
    assert container["image"].endswith("/nccl-plugin-gib-arm64:v1.0.7")
    assert "/scripts/container_entry.sh install --install-nccl\n" in script(built)


def test_version_and_nccl_come_from_the_configuration() -> None:
    recording = record(node_software(gib={"version": "v1.1.2", "install_nccl": False}))
    (container,) = installer(recording)["spec"]["template"]["spec"]["initContainers"]
    assert container["image"].endswith(":v1.1.2")
    assert "/scripts/container_entry.sh install\n" in script(recording)
    assert recording.outputs["gib"] == "v1.1.2"


def test_the_plugin_reaches_many_nodes_at_once(built: Recording) -> None:
    """One at a time, 64 domains of 18 nodes would not be done within the time-out."""
    strategy = installer(built)["spec"]["updateStrategy"]
    assert strategy == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "50%"}}


def test_a_new_pool_does_not_run_the_installer_again_on_the_others() -> None:
    few = installer(record(node_software()))
    more = installer(record(node_software(gib={"node_pools": ["a4x-0", "a4x-1", "a4x-2"]})))
    assert few["spec"] == more["spec"]
    assert few["metadata"] != more["metadata"]


def test_the_order_of_pools_is_no_change() -> None:
    one = installer(record(node_software(gib={"node_pools": ["b", "a"]})))
    assert one == installer(record(node_software(gib={"node_pools": ["a", "b"]})))


# --- DRA driver -------------------------------------------------------------------------------------------


@given(st.integers(1, 1152))
def test_the_quota_admits_plugins_daemons_and_controller(nodes: int) -> None:
    assert int(pod_quota(nodes)) >= 2 * nodes + 1


def test_the_quota_stands_in_the_drivers_namespace_before_the_chart(built: Recording) -> None:
    quota, release = built.find("ResourceQuota"), built.find("Release")
    assert quota.urn in release.depends_on
    namespace = built.find("Namespace").inputs["metadata"]["name"]
    assert namespace == "nvidia-dra-driver-gpu"
    assert quota.inputs["spec"]["scopeSelector"]["matchExpressions"] == [
        {
            "operator": "In",
            "scopeName": "PriorityClass",
            "values": ["system-node-critical", "system-cluster-critical"],
        }
    ]


def test_quota_and_release_are_in_the_namespace_of_the_program() -> None:
    recording = _built(False)
    assert recording.find("ResourceQuota").inputs["metadata"]["namespace"] == "nvidia-dra-driver-gpu"
    assert recording.find("Release").inputs["namespace"] == "nvidia-dra-driver-gpu"
    assert recording.find("ResourceQuota").inputs["spec"]["hard"] == {"pods": "100"}


def test_the_chart_is_an_archive_from_the_configured_source() -> None:
    default = _built(False).find("Release").inputs
    assert default["chart"] == "https://helm.ngc.nvidia.com/nvidia/charts/nvidia-dra-driver-gpu-25.12.0.tgz"
    other = record(node_software(dra={"chart_source": "./charts/", "version": "25.8.1"})).find("Release").inputs
    assert other["chart"] == "./charts/nvidia-dra-driver-gpu-25.8.1.tgz"


def test_a_failed_install_is_rolled_back_and_has_time_to_succeed(built: Recording) -> None:
    inputs = built.find("Release").inputs
    assert inputs["atomic"] is True
    assert inputs["timeout"] >= 900
    assert not inputs.get("skipAwait")


def test_the_driver_looks_where_gke_puts_the_gpu_driver_and_leaves_gpus_alone(built: Recording) -> None:
    values = built.find("Release").inputs["values"]
    assert values["nvidiaDriverRoot"] == "/home/kubernetes/bin/nvidia"
    assert values["resources"] == {"gpus": {"enabled": False}, "computeDomains": {"enabled": True}}


def test_kubelet_plugins_run_on_a4x_nodes_and_the_controller_needs_no_control_plane_node(built: Recording) -> None:
    values = built.find("Release").inputs["values"]

    def terms(of: str) -> Any:
        (term,) = values[of]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"][
            "nodeSelectorTerms"
        ]
        return term["matchExpressions"]

    assert terms("kubeletPlugin") == [
        {"key": "cloud.google.com/gke-accelerator", "operator": "In", "values": ["nvidia-gb200"]},
        {"key": "kubernetes.io/arch", "operator": "In", "values": ["arm64"]},
    ]
    assert values["kubeletPlugin"]["tolerations"] == A4X.tolerations()
    assert terms("controller") == [{"key": "nvidia.com/gpu", "operator": "DoesNotExist"}]
    assert values["controller"]["tolerations"] == []


def test_system_tolerations_reach_the_controller() -> None:
    recording = record(node_software(dra={"system_tolerations": OPERATORS}))
    assert recording.find("Release").inputs["values"]["controller"]["tolerations"] == OPERATORS
