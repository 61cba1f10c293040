"""What a company sets on pods arrives in the pods that it is for, and in no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from reference import outbound, pod_volumes
from tests import graphs
from tests.conftest import recorded
from tests.recorder import Recording, run_program
from tests.unit.configs import shipped

PEM = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUQm9ndXM=\n-----END CERTIFICATE-----\n"
PODS: Mapping[str, Any] = {
    "proxy": {"url": "http://proxy.example.com:3128", "noProxy": ["registry.example.com"]},
    "caBundle": PEM,
    "hubEndpoint": "https://hub.example.com",
    "pipIndex": "https://pip.example.com/simple",
    "systemTolerations": [{"key": "team", "operator": "Exists", "effect": "NoSchedule"}],
}
STACK: Mapping[str, Any] = {
    "priorityClass": "company-serving",
    "frontend": {"environment": {"DYN_ROUTER_MODE": "kv"}},
    "resources": {
        "worker": {"requests": {"cpu": "64", "memory": "600Gi"}, "limits": {"memory": "800Gi"}},
        "gcsfuse": {"requests": {"memory": "1Gi"}, "limits": {"memory": "20Gi"}},
    },
    "volumes": [
        {
            "name": "tokenizers",
            "mountPath": "/tokenizers",
            "source": {"configMap": {"name": "tokenizers"}},
            "roles": ["frontend"],
        }
    ],
}


@pytest.fixture(scope="module")
def company() -> Recording:
    """The created environment with everything of `PODS` and `STACK`."""
    config = shipped("prod")
    [stack] = config["dynamo-a4x:stacks"]
    bucket = {**config["dynamo-a4x:modelBucket"], "download": True}
    return run_program("prod", config={"pods": PODS, "stacks": [{**stack, **STACK}], "modelBucket": bucket})


def services(recording: Recording) -> Mapping[str, Any]:
    """The roles of the graph."""
    return recording.find("DynamoGraphDeployment").inputs["spec"]["services"]


def environment(entries: Any) -> dict[str, str]:
    """Plain variables of a container."""
    return {entry["name"]: entry["value"] for entry in entries if "value" in entry}


def download(recording: Recording) -> Mapping[str, Any]:
    """The pod of the download."""
    [job] = [r for r in recording.of_type("kubernetes:batch/v1:Job") if "download" in r.name]
    return job.inputs["spec"]["template"]["spec"]


def test_proxy_mirrors_and_certificates_reach_frontends_and_downloads_and_no_worker(company: Recording) -> None:
    found = services(company)
    frontend = environment(found["Frontend"]["envs"])
    [container] = download(company)["containers"]
    loader = environment(container["env"])
    for variables in (frontend, loader):
        assert variables["HTTPS_PROXY"] == variables["https_proxy"] == "http://proxy.example.com:3128"
        direct = variables["NO_PROXY"].split(",")
        assert {"169.254.169.254", "metadata.google.internal", ".googleapis.com", ".svc"} < set(direct)
        assert {"registry.example.com", "10.16.0.0/17"} < set(direct) or "registry.example.com" in direct
        assert variables["HF_ENDPOINT"] == "https://hub.example.com"
        for name in outbound.CA_VARIABLES:
            assert variables[name] == "/etc/company-ca/ca.crt"
    assert frontend["DYN_ROUTER_MODE"] == "kv"
    assert loader["PIP_INDEX_URL"] == "https://pip.example.com/simple"
    assert "PIP_INDEX_URL" not in frontend
    for role in ("Prefill", "Decode"):
        assert not {name for name in environment(found[role]["envs"]) if "PROXY" in name.upper() or "CA_" in name}
        assert all(volume["name"] != "company-ca" for volume in found[role]["extraPodSpec"]["volumes"])


def test_certificates_are_in_the_namespace_of_each_pod_that_trusts_them(company: Recording) -> None:
    maps = [m for m in company.of_type("kubernetes:core/v1:ConfigMap") if m.inputs["metadata"]["name"] == "company-ca"]
    assert {m.inputs["data"]["ca.crt"] for m in maps} == {PEM}
    spaces = {m.inputs["metadata"]["namespace"] for m in maps}
    assert len(spaces) == 2
    frontend = services(company)["Frontend"]["extraPodSpec"]
    for pod, container in (
        (frontend, frontend["mainContainer"]),
        (download(company), download(company)["containers"][0]),
    ):
        assert {"name": "company-ca", "configMap": {"name": "company-ca"}} in pod["volumes"]
        assert {"name": "company-ca", "mountPath": "/etc/company-ca", "readOnly": True} in container["volumeMounts"]


def test_resources_priority_and_volumes_are_those_of_the_stack(company: Recording) -> None:
    found = services(company)
    for role, service in found.items():
        pod = service["extraPodSpec"]
        assert pod["priorityClassName"] == "company-serving"
        annotations = service["extraPodMetadata"]["annotations"]
        assert annotations["gke-gcsfuse/memory-limit"] == "20Gi"
        assert annotations["gke-gcsfuse/memory-request"] == "1Gi"
        assert annotations["gke-gcsfuse/cpu-limit"] == "0"
        mounted = {"name": "tokenizers", "mountPath": "/tokenizers", "readOnly": True}
        assert (mounted in pod["mainContainer"]["volumeMounts"]) == (role == "Frontend")
        assert ({"name": "tokenizers", "configMap": {"name": "tokenizers"}} in pod["volumes"]) == (role == "Frontend")
    for role in ("Prefill", "Decode"):
        resources = found[role]["resources"]
        assert resources["limits"] == {"gpu": "4", "memory": "800Gi"}
        assert resources["requests"] == {"cpu": "64", "memory": "600Gi"}


def test_system_pods_tolerate_what_the_system_nodes_have(company: Recording) -> None:
    toleration = {"key": "team", "operator": "Exists", "effect": "NoSchedule"}
    assert toleration in download(company)["tolerations"]
    assert toleration in company.find(name="dra-driver-release").inputs["values"]["controller"]["tolerations"]
    [check] = [r for r in company.of_type("kubernetes:batch/v1:Job") if "readiness" in r.name]
    assert toleration in check.inputs["spec"]["template"]["spec"]["tolerations"]


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_names_and_mounts_of_the_pods_are_not_for_volumes_of_others(stack: str) -> None:
    for service in services(recorded(stack)).values():
        pod = service["extraPodSpec"]
        assert {volume["name"] for volume in pod["volumes"]} <= pod_volumes.NAMES
        assert {mount["mountPath"] for mount in pod["mainContainer"]["volumeMounts"]} <= pod_volumes.PATHS


def test_without_settings_a_frontend_has_no_variables_of_its_own() -> None:
    assert "envs" not in graphs.spec("deepseek-r1-fp8-1p1d")["services"]["Frontend"]
