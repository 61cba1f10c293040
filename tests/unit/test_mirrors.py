"""Mirrors: one rule for every image, and nothing that an environment runs is left out."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

import pytest
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

import settings
from artifacts import __main__ as command
from components.platform.ssh_secret import NAME, key_pair
from policy.catalog import RULES
from policy.rule import Resource, Run
from reference import chart_images, gib, images, kai
from reference.dynamo import PROFILES
from reference.mirrors import ImageMirrors
from reference.registry import PYTHON_IMAGE
from settings import artifacts
from settings.checks import warnings
from tests import stacks
from tests.recorder import ROOT, Recording, run_program
from tests.unit.configs import put, shipped

DIGEST = "sha256:" + "5" * 64
REGISTRIES = ("nvcr.io", "ghcr.io", "docker.io", "gcr.io", "us-docker.pkg.dev", "gke.gcr.io")
MIRROR = "europe-docker.pkg.dev/company/"
ALL = {registry: f"{MIRROR}{registry.partition('.')[0]}" for registry in REGISTRIES}


@pytest.mark.parametrize(
    ("image", "pulled"),
    [
        ("nvcr.io/nvidia/x:1", "m.example/n/nvidia/x:1"),
        (f"nvcr.io/nvidia/x:1@{DIGEST}", f"m.example/n/nvidia/x:1@{DIGEST}"),
        (f"nvcr.io/x@{DIGEST}", f"m.example/n/x@{DIGEST}"),
        ("nats:2.10", "m.example/hub/library/nats:2.10"),
        ("docker.io/nats:2.10", "m.example/hub/library/nats:2.10"),
        ("natsio/nats-box:0.14", "m.example/hub/natsio/nats-box:0.14"),
        # Google's cache holds what Docker Hub holds.
        ("mirror.gcr.io/library/python:3.12", "m.example/hub/library/python:3.12"),
        ("gcr.io/other/x:1", "gcr.io/other/x:1"),
        ("gcr.io/folder/x:1", "m.example/f/x:1"),
        ("gcr.io/folder/deep/x:1", "m.example/d/x:1"),
        ("gcr.io/folders/x:1", "gcr.io/folders/x:1"),
        ("localhost:5000/x:1", "localhost:5000/x:1"),
        ("nvcr.io.example/x:1", "nvcr.io.example/x:1"),
        # Names of mirrors, which are no sources.
        ("m.example/n/nvidia/x:1", "m.example/n/nvidia/x:1"),
        ("own.gcr.io/m/x:1", "own.gcr.io/m/x:1"),
    ],
)
def test_an_image_keeps_path_tag_and_digest_below_its_mirror(image: str, pulled: str) -> None:
    mirrors = ImageMirrors(
        {
            "nvcr.io": "m.example/n",
            "docker.io": "m.example/hub",
            "gcr.io/folder": "m.example/f",
            "gcr.io/folder/deep": "m.example/d",
            "own.gcr.io": "own.gcr.io/m",
        }
    )
    assert mirrors.of(image) == pulled
    assert mirrors.of(pulled) == pulled


@pytest.mark.parametrize("image", ["nats:2", "nvcr.io/x:1", PYTHON_IMAGE, gib.PAUSE])
def test_without_mirrors_an_image_stays_as_it_is_written(image: str) -> None:
    assert ImageMirrors().of(image) == image


@pytest.mark.parametrize("version", PROFILES)
def test_without_mirrors_no_value_of_a_chart_names_an_image(version: str) -> None:
    values = PROFILES[version].platform_values(None, [])
    assert chart_images.moved(values, chart_images.of_platform(PROFILES[version]), ImageMirrors()) == values


@pytest.mark.parametrize("registry", ["nvcr.io", "ghcr.io", "docker.io", "gcr.io"])
@pytest.mark.parametrize("version", PROFILES)
def test_one_mirror_moves_the_images_of_its_registry_and_no_others(version: str, registry: str) -> None:
    found = chart_images.of_platform(PROFILES[version])
    values = chart_images.moved({}, found, ImageMirrors({registry: "m.example/x"}))
    assert {image.image for image in found if image.form == "fixed"} == set(PROFILES[version].ssh_key_images)
    for image in found:
        named = _at(values, image.path) if image.path else None
        target = ImageMirrors({registry: "m.example/x"}).of(image.image)
        repository = images.repository(target)
        expected: dict[str, Any] = {
            "repository": repository,
            "reference": target,
            "parts": {"registry": "m.example", "repository": repository.removeprefix("m.example/")},
            "variable": [{"name": "GROVE_INIT_CONTAINER_IMAGE", "value": repository}],
        }
        moves = images.split(image.image)[0] == registry and image.form != "fixed"
        assert named == (expected[image.form] if moves else None), image
    assert ("etcd" in values) is (registry == "docker.io" and version == "0.7.0")
    if "etcd" in values:
        # Bitnami's charts refuse other registries without it.
        assert values["etcd"]["global"] == {"security": {"allowInsecureImages": True}}
        assert values["etcd"]["image"] == {"registry": "m.example", "repository": "x/bitnamilegacy/etcd"}


def test_all_images_of_kai_move_by_one_value() -> None:
    values = chart_images.moved(kai.values([]), chart_images.of_kai("0.17.0"), ImageMirrors({"ghcr.io": "m.example/x"}))
    assert values["global"] == {"tolerations": [], "registry": "m.example/x/kai-scheduler/kai-scheduler"}


def _at(values: Mapping[str, Any], path: str) -> Any:
    found: Any = values
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for inner in cast("Mapping[str, object]", value).values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in cast("list[object]", value):
            yield from _texts(inner)


def _mirrored(version: str) -> dict[str, Any]:
    return {"images": {"mirrors": ALL, "onlyMirrors": True}, "dynamo": {"mode": "create", "version": version}}


@pytest.fixture(scope="module", params=[("dev", "1.0.2"), ("prod", "0.7.0"), ("dev", "1.5.1")])
def mirrored(request: pytest.FixtureRequest) -> Recording:
    environment, version = request.param
    return run_program(environment, config=_mirrored(version))


def test_no_resource_names_a_registry_outside_the_mirror(mirrored: Recording) -> None:
    for resource in mirrored.resources:
        if "Release" in resource.type:
            where = json.dumps(resource.inputs.get("values"))
        else:
            where = json.dumps([text for text in _texts(resource.inputs) if "/" in text])
        for host in ("nvcr.io", "ghcr.io", "docker.io", "mirror.gcr.io", "gke.gcr.io", "us-docker.pkg.dev", "bitnami/"):
            assert host not in where.replace("docker-io", ""), f"{resource}: {host}"


def test_a_mirror_needs_no_key_of_nvidia_and_no_pull_secret(mirrored: Recording) -> None:
    assert not [r for r in mirrored.of_type("Secret") if r.inputs.get("type") == "kubernetes.io/dockerconfigjson"]
    assert "nvcr-secret" not in json.dumps([resource.inputs for resource in mirrored.resources])


def test_the_policy_pack_is_content_with_the_mirror_as_the_only_registry(mirrored: Recording) -> None:
    rule = next(rule for rule in RULES if rule.name == "image-registry")
    run = Run("dynamo-a4x", "prod", lambda _: None)

    def found(allowed: str) -> list[str]:
        judged = [Resource(r.type, r.name, r.urn, r.inputs) for r in mirrored.resources]
        return [str(one) for r in judged for one in rule.findings(r, {"registries": [allowed]}, run)]

    assert found(MIRROR.rstrip("/")) == []
    assert found(f"{MIRROR}other")


def test_pods_of_images_that_are_not_mirrored_keep_their_pull_secret() -> None:
    run = run_program("dev", config={"images": {"mirrors": {"docker.io": "m.example/x"}}})
    secrets = [r for r in run.of_type("Secret") if r.inputs.get("type") == "kubernetes.io/dockerconfigjson"]
    assert len(secrets) == 2


@pytest.mark.parametrize(
    ("changed", "needed"),
    [
        ({}, True),
        ({"images": {"mirrors": {"docker.io": "m.example/x"}}}, True),
        ({"images": {"mirrors": {"nvcr.io": "m.example/x"}}}, False),
        # A team of NVIDIA's has an image of its own in another folder.
        ({"images": {"mirrors": {"nvcr.io/nvidia": "m.example/x"}}, "stacks[0].image": "nvcr.io/team/x:1"}, True),
        ({"images": {"mirrors": {"nvcr.io": "m.example/x"}}, "dynamo.chartLogin": True}, True),
    ],
)
def test_the_key_of_nvidia_is_needed_exactly_where_something_is_fetched_with_it(
    changed: dict[str, Any], needed: bool
) -> None:
    config = shipped("dev")
    for path, value in changed.items():
        put(config, path, value)
    assert artifacts.needs_ngc_key(settings.parse(config, "dev")) is needed


def test_an_image_of_ones_own_in_the_mirror_stays_as_it_is() -> None:
    own = f"{ALL['nvcr.io']}/team/sglang:1@{DIGEST}"
    base = stacks.config("dev")["dynamo-a4x:stacks"][0]
    run = run_program("dev", config={**_mirrored("0.7.0"), "stacks": [{**base, "image": own}]})
    graph = run.find("DynamoGraphDeployment").inputs["spec"]["services"]
    assert graph["Decode"]["extraPodSpec"]["mainContainer"]["image"] == own


def test_a_digest_that_the_config_names_reaches_pods_mirror_list_and_policy() -> None:
    own, runtime = f"nvcr.io/nvidia/ai-dynamo/sglang-runtime:0.7.0@{DIGEST}", shipped("prod")["dynamo-a4x:stacks"][0]
    named: dict[str, Any] = {
        "stacks": [{**runtime, "image": own, "frontend": {"image": own}}],
        "nodeSoftware": {"gibVersion": f"v1.0.7@{DIGEST}"},
    }
    run = run_program("prod", config={**_mirrored("0.7.0"), **named})
    pinned = {image for image in _images(run) if "sglang-runtime" in image or "gib" in image}
    places = (
        f"{ALL['nvcr.io']}/nvidia/ai-dynamo/sglang-runtime:0.7.0",
        f"{ALL['us-docker.pkg.dev']}/gce-ai-infra/gpudirect-gib/nccl-plugin-gib-arm64:v1.0.7",
    )
    assert pinned == {f"{place}@{DIGEST}" for place in places}
    config = shipped("prod")
    for key, value in named.items():
        put(config, key, value)
    listed = command.content(settings.parse(config, "prod"))["images"]
    assert {i["digest"] for i in listed if "sglang-runtime" in i["source"] or "gib" in i["source"]} == {DIGEST}
    patterns = artifacts.image_patterns(settings.parse(config, "prod"))
    assert "nvcr.io/nvidia/ai-dynamo/sglang-runtime*" in patterns


@pytest.mark.parametrize(("environment", "version"), [("dev", "0.7.0"), ("dev", "1.0.2"), ("prod", "0.7.0")])
def test_the_list_of_artifacts_has_every_image_and_chart_of_the_program(environment: str, version: str) -> None:
    run = run_program(environment, config={"dynamo": {"mode": "create", "version": version}})
    config = put(shipped(environment), "dynamo.version", version)
    listed = command.content(settings.parse(config, environment))
    sources = {image["source"] for image in listed["images"]}
    assert set(_images(run)) <= sources
    charts = {(chart["target"], chart["version"]) for chart in listed["charts"]}
    assert charts == {(r.inputs["chart"], r.inputs["version"]) for r in run.of_type("Release")}
    for name in chart_images.of_platform(PROFILES[version]):
        assert (name.image in sources) is name.runs


def _images(run: Recording) -> Iterator[str]:
    def walk(value: object) -> Iterator[str]:
        if isinstance(value, Mapping):
            for key, inner in cast("Mapping[str, object]", value).items():
                if key == "image" and isinstance(inner, str):
                    yield inner
                else:
                    yield from walk(inner)
        elif isinstance(value, list):
            for inner in cast("list[object]", value):
                yield from walk(inner)

    for resource in run.resources:
        if "Release" not in resource.type:
            yield from walk(resource.inputs)


def test_the_list_says_where_each_artifact_is_and_who_uses_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Any
) -> None:
    text = stacks.path("prod").read_text(encoding="utf-8")
    text += "  dynamo-a4x:images:\n    mirrors:\n      nvcr.io: m.example/nvcr\n"
    (tmp_path / "Pulumi.prod.yaml").write_text(text, encoding="utf-8")
    assert command.main(["--stack", "prod", "--root", str(tmp_path), "--json"]) == 0
    listed = json.loads(capsys.readouterr().out)
    image = next(i for i in listed["images"] if "sglang-runtime" in i["source"])
    assert image == {
        "source": "nvcr.io/nvidia/ai-dynamo/sglang-runtime:0.7.0",
        "target": "m.example/nvcr/nvidia/ai-dynamo/sglang-runtime:0.7.0",
        "digest": None,
        "architectures": ["arm64"],
        "usedBy": ["workers of stack r1-10p8d", "frontends of stack r1-10p8d"],
    }
    pause = next(i for i in listed["images"] if "pause" in i["source"])
    assert pause["digest"] == gib.PAUSE.partition("@")[2]
    assert command.main(["--stack", "prod", "--root", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(listed["images"]) + len(listed["charts"])
    assert "chart oci://ghcr.io/kai-scheduler/kai-scheduler/kai-scheduler v0.17.0" in lines


def test_the_list_of_a_wrong_config_is_one_message(capsys: pytest.CaptureFixture[str], tmp_path: Any) -> None:
    assert command.main(["--stack", "none", "--root", str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("artifacts: there is no Pulumi.none.yaml; stacks with a file: ")
    (tmp_path / "Pulumi.bad.yaml").write_text("config: {dynamo-a4x:images: 5}\n", encoding="utf-8")
    assert command.main(["--stack", "bad", "--root", str(tmp_path)]) == 2
    assert "images" in capsys.readouterr().err


def test_a_mirror_that_no_image_uses_is_a_warning() -> None:
    config = put(shipped("dev"), "images.mirrors", {"quay.io": "m.example/quay", "gke.gcr.io": "m.example/gke"})
    found = [warning for warning in warnings(settings.parse(config, "dev")) if warning.startswith("images")]
    assert found == ["images.mirrors: no image comes from quay.io."]


def test_the_example_in_the_docs_leaves_no_image_out() -> None:
    page = (ROOT / "docs" / "how-to" / "company" / "images.md").read_text(encoding="utf-8")
    example = yaml.safe_load(page.partition("```yaml\n")[2].partition("```")[0])
    for environment in ("dev", "prod"):
        config = {**shipped(environment), **example}
        found = settings.parse(config, environment)
        assert all(image.target.startswith("us-docker.pkg.dev/my-project/") for image in artifacts.images_of(found))
        assert {chart.target for chart in artifacts.charts_of(found)} == {
            f"oci://us-docker.pkg.dev/my-project/charts/{chart.name}" for chart in artifacts.charts_of(found)
        }
        assert not artifacts.needs_ngc_key(found)


# The ssh key of 0.7


def test_the_ssh_key_is_the_programs_own_exactly_where_the_hooks_images_would_be_mirrored() -> None:
    for version, mirrors, own in (
        ("0.7.0", ALL, True),
        ("0.7.0", {"docker.io": "m.example/x"}, True),
        ("0.7.0", {"nvcr.io": "m.example/x"}, False),
        ("1.0.2", ALL, False),
    ):
        dynamo = {"mode": "create", "version": version}
        run = run_program("dev", config={"images": {"mirrors": mirrors}, "dynamo": dynamo})
        values = next(r for r in run.of_type("Release") if r.inputs["name"] == "dynamo-platform").inputs["values"]
        found = [r for r in run.of_type("Secret") if r.inputs["metadata"]["name"] == NAME]
        assert bool(found) is own, version
        run_of_mpi = values["dynamo-operator"].get("dynamo", {}).get("mpiRun")
        assert run_of_mpi == ({"secretName": NAME, "sshKeygen": {"enabled": False}} if own else None)
        if own:
            assert found[0].inputs["metadata"]["name"] != "mpi-run-ssh-secret"
            assert set(found[0].inputs["stringData"]) == {"private.key", "private.key.pub"}
            assert any(path.startswith("stringData") for path in found[0].secrets)


def test_a_seed_always_gives_the_same_key_which_ssh_reads() -> None:
    seed = bytes(range(32))
    private, public = key_pair(seed)
    assert key_pair(seed) == (private, public)
    assert key_pair(bytes(32)) != (private, public)
    read = serialization.load_ssh_private_key(private.encode(), password=None)
    assert isinstance(read, Ed25519PrivateKey)
    assert read.private_bytes_raw() == seed
    written = read.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    assert public.split()[:2] == written.decode().split()
    assert base64.b64decode(public.split()[1])[-32:] == read.public_key().public_bytes_raw()
