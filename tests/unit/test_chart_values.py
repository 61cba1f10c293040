"""Values of the platform's chart by release: none that its template refuses, and none for what is not installed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest

from reference import chart_images
from reference.dynamo import PROFILES, DynamoProfile
from reference.mirrors import ImageMirrors
from reference.platform_parts import OWN, PlatformParts

NATS = "nats://nats.messaging.svc:4222"
REMOVED = (
    *("nats.enabled", "etcd.enabled", "grove.enabled", "kai-scheduler.enabled"),
    *("dynamo-operator.nats", "dynamo-operator.webhook", "dynamo-operator.checkpoint"),
    *("dynamo-operator.dynamo.mpiRun.sshKeygen", "dynamo-operator.dynamo.internalImages"),
    "dynamo-operator.dynamo.enableRestrictedSecurityContext",
)
"""Values on which the template of the chart fails from 1.2 on, and folders of them (its validate-values.yaml)."""
NEWER = [version for version, profile in PROFILES.items() if profile.nats_switch == "global.nats.install"]
SHAPES: Mapping[str, dict[str, Any]] = {
    "own": {},
    "adopted Grove": {"parts": PlatformParts(grove=False)},
    "adopted CRDs": {"parts": PlatformParts(crds=False)},
    "adopted NATS": {"parts": PlatformParts(nats=NATS)},
    "all": {
        "storage_class": "fast",
        "pod_metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}},
        "nats_secret": "login",
        "kai": False,
    },
}
MIRRORS = ImageMirrors({host: f"m.example/{host}" for host in ("nvcr.io", "ghcr.io", "docker.io", "gcr.io")})


def values(profile: DynamoProfile, shape: Mapping[str, Any]) -> dict[str, Any]:
    plain = profile.platform_values("secret", [{"key": "k", "operator": "Exists"}], **shape)
    return chart_images.moved(plain, chart_images.of_platform(profile, shape.get("parts", OWN)), MIRRORS)


def paths(found: Mapping[str, Any], above: str = "") -> Iterator[str]:
    for key, value in found.items():
        yield f"{above}{key}"
        if isinstance(value, Mapping):
            yield from paths(cast("Mapping[str, Any]", value), f"{above}{key}.")


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("version", NEWER)
def test_no_value_is_sent_on_which_the_template_fails(version: str, shape: str) -> None:
    assert set(REMOVED) & set(paths(values(PROFILES[version], SHAPES[shape]))) == set()


def test_the_switch_of_nats_is_where_the_chart_has_it() -> None:
    adopted = SHAPES["adopted NATS"]
    for version in ("0.7.0", "1.0.2"):
        found = values(PROFILES[version], adopted)
        assert found["nats"] == {"enabled": False}
        assert "nats" not in found.get("global", {})
        assert "enabled" not in values(PROFILES[version], {})["nats"]
    assert values(PROFILES["1.2.1"], {})["global"]["nats"] == {"install": True}
    found = values(PROFILES["1.2.1"], adopted)
    assert found["global"]["nats"] == {"install": False}
    assert found["dynamo-operator"]["natsAddr"] == NATS
    assert "nats" not in found


@pytest.mark.parametrize("shape", SHAPES)
def test_a_release_without_nats_installs_none_names_none_and_has_no_volumes(shape: str) -> None:
    profile = PROFILES["1.5.1"]
    found = values(profile, SHAPES[shape])
    assert "nats" not in found
    assert found["global"]["nats"] == {"install": False}
    assert not [image for image in chart_images.of_platform(profile) if "nats" in image.image]
    assert not profile.makes_volumes(SHAPES[shape].get("parts", OWN))


@pytest.mark.parametrize("version", NEWER)
def test_nothing_is_said_about_the_pods_of_a_grove_of_others(version: str) -> None:
    found = values(PROFILES[version], {**SHAPES["all"], "parts": PlatformParts(grove=False)})
    assert "grove" not in found
    assert found["global"]["grove"] == {"install": False, "enabled": True}


def test_images_of_containers_that_a_release_does_not_have_are_not_moved() -> None:
    named = {version: " ".join(paths(values(profile, {}))) for version, profile in PROFILES.items()}
    assert {version for version, text in named.items() if "kubeRbacProxy" in text} == {"0.7.0", "1.0.2"}
    assert {version for version, text in named.items() if "grove.crdInstaller.image.repository" in text} == {"1.5.1"}
    assert {version for version, text in named.items() if "internalImages" in text} == {"0.7.0"}
