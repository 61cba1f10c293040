"""What a company sets on node pools and their maintenance arrives, and each taint is tolerated."""

from __future__ import annotations

from typing import Any

import pytest

from tests.recorder import Recording, run_program
from tests.unit.configs import shipped

TAINT = {"key": "dedicated", "value": "ml", "effect": "NoExecute"}
TOLERATION = {"key": "dedicated", "operator": "Equal", "value": "ml", "effect": "NoExecute"}
POOL: dict[str, Any] = {
    "labels": {"example.com/team": "ml"},
    "sysctls": {"net.core.somaxconn": "4096", "net.ipv4.tcp_rmem": "4096 87380 33554432"},
    "kubelet": {"cpuManagerPolicy": "static", "topologyManagerPolicy": "best-effort", "podPidsLimit": 65536},
    "hugepages2Mi": 1024,
    "bootDiskGb": 200,
    "maintenanceInterval": "PERIODIC",
    "upgrade": {"maxUnavailable": 18, "autoRepair": False},
}


def run(environment: str, *, cluster: dict[str, Any] | None = None, **domain: Any) -> Recording:
    """An environment with keys added to its first domain and its cluster."""
    config = shipped(environment)
    (first,) = config["dynamo-a4x:domains"]
    changed = {"domains": [{**first, **domain}], "cluster": {**config["dynamo-a4x:cluster"], **(cluster or {})}}
    return run_program(environment, config=changed)


def test_settings_of_a_pool_reach_its_nodes_beside_the_programs_own() -> None:
    pool = run("prod", pool=POOL, taints=[TAINT]).find(name="domain-a4x-0-pool").inputs
    node = pool["nodeConfig"]
    assert node["labels"]["example.com/team"] == "ml"
    assert node["labels"]["dynamo-a4x/domain"] == "a4x-0"
    assert node["linuxNodeConfig"]["sysctls"] == {
        "net.core.somaxconn": "4096",
        "net.ipv4.tcp_rmem": "4096 87380 33554432",
        "net.ipv4.tcp_wmem": "4096 16384 16777216",
    }
    assert node["linuxNodeConfig"]["hugepagesConfig"] == {"hugepageSize2m": 1024}
    assert node["kubeletConfig"] == {
        "cpuManagerPolicy": "static",
        "podPidsLimit": 65536,
        "topologyManager": {"policy": "best-effort"},
    }
    assert node["diskSizeGb"] == 200
    assert node["hostMaintenancePolicy"] == {"maintenanceInterval": "PERIODIC"}
    assert [taint["key"] for taint in node["taints"]] == ["nvidia.com/gpu", "dedicated"]
    assert node["taints"][1] == {"key": "dedicated", "value": "ml", "effect": "NO_EXECUTE"}
    assert pool["upgradeSettings"] == {"strategy": "SURGE", "maxSurge": 0, "maxUnavailable": 18}
    assert pool["management"] == {"autoRepair": False, "autoUpgrade": True}


def test_a_pool_without_settings_says_nothing_of_kubelet_huge_pages_and_hosts() -> None:
    node = run("prod").find(name="domain-a4x-0-pool").inputs["nodeConfig"]
    assert not {"kubeletConfig", "hostMaintenancePolicy", "tags", "resourceManagerTags"} & node.keys()
    assert set(node["linuxNodeConfig"]) == {"sysctls"}


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_every_pod_that_runs_on_the_nodes_tolerates_their_taints(environment: str) -> None:
    recording = run(environment, taints=[TAINT], fabricTest={})
    tolerant = 0
    for resource in recording.resources:
        spec = resource.inputs.get("spec") or {}
        pods = [service["extraPodSpec"] for service in spec.get("services", {}).values()]
        pods += [spec["template"]["spec"]] if "template" in spec else []
        for pod in pods:
            on_a4x = "cloud.google.com/gke-nodepool" in (pod.get("nodeSelector") or {})
            everywhere = {"operator": "Exists"} in (pod.get("tolerations") or [])
            assert (TOLERATION in (pod.get("tolerations") or [])) == on_a4x or everywhere, str(resource)
            tolerant += on_a4x
    assert tolerant == 5
    driver = recording.find(name="dra-driver-release").inputs["values"]
    assert TOLERATION in driver["kubeletPlugin"]["tolerations"]
    assert driver["controller"]["tolerations"] == []


def test_system_pods_on_a4x_tolerate_the_taints_too() -> None:
    config = shipped("dev")
    (domain,) = config["dynamo-a4x:domains"]
    dynamo = {**config["dynamo-a4x:dynamo"], "systemTolerations": True}
    recording = run_program("dev", config={"domains": [{**domain, "taints": [TAINT]}], "dynamo": dynamo})
    driver = recording.find(name="dra-driver-release").inputs["values"]
    assert TOLERATION in driver["controller"]["tolerations"]


def policy(**said: Any) -> dict[str, Any]:
    """The maintenance policy of a cluster with this setting."""
    found = run("prod", cluster={"maintenance": said}).find("gcp:container/cluster:Cluster")
    return found.inputs["maintenancePolicy"]


def test_maintenance_is_as_said_and_holds_upgrades_unless_told_otherwise() -> None:
    plain = policy()
    assert plain["dailyMaintenanceWindow"] == {"startTime": "09:00"}
    [hold] = plain["maintenanceExclusions"]
    assert hold["exclusionOptions"] == {"scope": "NO_MINOR_OR_NODE_UPGRADES", "endTimeBehavior": "UNTIL_END_OF_SUPPORT"}
    assert "endTime" not in hold

    window = {"start": "2026-01-03T01:00:00Z", "end": "2026-01-03T07:00:00Z", "recurrence": "FREQ=WEEKLY;BYDAY=SA,SU"}
    freeze = {"name": "freeze", "start": "2026-12-15T00:00:00Z", "end": "2027-01-05T00:00:00Z"}
    said = policy(window=window, exclusions=[freeze])
    assert said["recurringWindow"] == {
        "startTime": window["start"],
        "endTime": window["end"],
        "recurrence": window["recurrence"],
    }
    assert "dailyMaintenanceWindow" not in said
    assert said["maintenanceExclusions"] == [
        hold,
        {
            "exclusionName": "freeze",
            "startTime": freeze["start"],
            "endTime": freeze["end"],
            "exclusionOptions": {"scope": "NO_UPGRADES"},
        },
    ]
    assert policy(holdUpgrades=False)["maintenanceExclusions"] == []
