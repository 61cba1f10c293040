"""Parts of the Dynamo platform that somebody else runs: none is installed, and the operator uses theirs."""

from __future__ import annotations

from typing import Any

import pytest

from reference import chart_images, platform_parts
from reference.dynamo import PROFILES
from reference.platform_parts import PlatformParts
from settings import artifacts, parse, prerequisites
from tests.recorder import Recording, run_program
from tests.unit.configs import shipped

NATS, ETCD = "nats://nats.messaging.svc:4222", "http://etcd.data.svc:2379"
ALL = PlatformParts(grove=False, crds=False, nats=NATS, etcd=ETCD)
NONE: list[Any] = []


def values(version: str, parts: PlatformParts) -> Any:
    return PROFILES[version].platform_values(None, NONE, parts=parts)


def built(version: str, **dynamo: Any) -> Recording:
    return run_program("dev", config={"dynamo": {"mode": "create", "version": version, **dynamo}})


def release(recording: Recording) -> dict[str, Any]:
    return recording.find(name="dynamo-release").inputs["values"]


def test_the_0_7_release_without_any_part_installs_its_operator_alone() -> None:
    found = values("0.7.0", ALL)
    assert [found[name] for name in ("grove", "nats", "etcd", "kai-scheduler")] == [{"enabled": False}] * 4
    assert found["dynamo-operator"]["natsAddr"] == NATS
    assert found["dynamo-operator"]["etcdAddr"] == ETCD


def test_the_1_0_operator_uses_a_grove_that_runs_and_leaves_the_definitions_alone() -> None:
    found = values("1.0.2", PlatformParts(grove=False, crds=False, nats=NATS))
    assert found["global"]["grove"] == {"install": False, "enabled": True}
    assert found["dynamo-operator"]["upgradeCRD"] is False
    assert found["dynamo-operator"]["natsAddr"] == NATS
    assert found["nats"] == {"enabled": False}


@pytest.mark.parametrize("version", ["0.7.0", "1.0.2"])
def test_each_part_is_adopted_by_itself(version: str) -> None:
    whole = values(version, platform_parts.OWN)
    for changed in (PlatformParts(grove=False), PlatformParts(nats=NATS)):
        found = values(version, changed)
        (name,) = changed.adopted
        others = {"nats", "grove"} - {name}
        assert {other: found[other] for other in others} == {other: whole[other] for other in others}


def test_definitions_of_others_are_not_installed_again() -> None:
    assert [r.name for r in built("0.7.0").of_type("Release") if "crds" in r.name]
    assert [r.name for r in built("0.7.0", crds="adopt").of_type("Release") if "crds" in r.name] == []


def test_images_and_charts_of_parts_of_others_are_not_asked_for() -> None:
    config = shipped("dev")
    nats, etcd = ({"mode": "adopt", "address": address} for address in (NATS, ETCD))
    config["dynamo-a4x:dynamo"] |= {"grove": "adopt", "crds": "adopt", "nats": nats, "etcd": etcd}
    found = parse(config, "dev")
    names = " ".join(image.source for image in artifacts.images_of(found))
    assert [word for word in ("grove", "nats", "etcd") if word in names] == []
    assert "dynamo-crds" not in {chart.name for chart in artifacts.charts_of(found)}
    whole = chart_images.of_platform(PROFILES["0.7.0"])
    assert set(chart_images.of_platform(PROFILES["0.7.0"], found.dynamo.parts)) < set(whole)


def test_a_platform_without_volumes_has_no_class_for_them() -> None:
    nats, etcd = ({"mode": "adopt", "address": address} for address in (NATS, ETCD))
    classes = "kubernetes:storage.k8s.io/v1:StorageClass"
    assert built("1.0.2", systemTolerations=True).of_type(classes)
    assert built("1.0.2", systemTolerations=True, nats=nats).of_type(classes) == []
    assert built("0.7.0", systemTolerations=True, nats=nats).of_type(classes)
    assert built("0.7.0", systemTolerations=True, nats=nats, etcd=etcd).of_type(classes) == []


def test_another_nats_is_another_template_of_every_pod() -> None:
    nats = {"mode": "adopt", "address": NATS}
    other = {"mode": "adopt", "address": "nats://nats-2.messaging.svc:4222"}

    def hashes(**dynamo: Any) -> dict[str, str]:
        recording = built("0.7.0", **dynamo)
        (graph,) = recording.of_type("DynamoGraphDeployment")
        services = graph.inputs["spec"]["services"]
        return {
            name: next(v for k, v in service["extraPodMetadata"]["annotations"].items() if "template" in k)
            for name, service in services.items()
        }

    own, first, second = hashes(), hashes(nats=nats), hashes(nats=other)
    assert all(len({own[name], first[name], second[name]}) == 3 for name in own)


def test_whoever_provides_the_parts_is_told_each() -> None:
    profile = PROFILES["0.7.0"]
    found = list(platform_parts.prerequisites(ALL, profile.version, profile.grove_version, profile.crds))
    assert [one.key for one in found] == ["dynamo.grove", "dynamo.crds", "dynamo.nats", "dynamo.etcd"]
    assert "v0.1.0-alpha.3" in found[0].command
    assert "dynamographdeployments.nvidia.com" in found[1].what
    assert NATS in found[2].what
    assert list(platform_parts.prerequisites(platform_parts.OWN, profile.version, "", profile.crds)) == []


@pytest.mark.parametrize("version", ["1.2.1", "1.5.1"])
def test_definitions_of_others_name_the_service_that_converts_where_the_operator_does_not(version: str) -> None:
    config = shipped("dev")
    config["dynamo-a4x:dynamo"] |= {"version": version, "crds": "adopt", "namespace": "platform"}
    (found,) = [one for one in prerequisites.of(parse(config, "dev")) if one.key == "dynamo.crds"]
    service = "dynamo-platform-dynamo-operator-webhook-service in platform"
    assert (service in found.what) is (version == "1.5.1")


@pytest.mark.parametrize("address", ["nats:4222", "nats://nats", "http://nats:4222", "nats://a:4222,nats://b:4222"])
def test_an_address_of_nats_is_what_the_runtime_takes(address: str) -> None:
    with pytest.raises(ValueError, match="nats://HOST:PORT"):
        platform_parts.check_nats(address)


@pytest.mark.parametrize("address", ["nats://nats.a.svc.cluster.local:4222", "nats://10.0.0.1:4222", "nats://n:1"])
def test_addresses_that_people_use_are_accepted(address: str) -> None:
    platform_parts.check_nats(address)
    platform_parts.check_etcd(address.removeprefix("nats://"))
    platform_parts.check_etcd(address.replace("nats", "https", 1))
