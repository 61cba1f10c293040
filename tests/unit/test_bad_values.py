"""Bad values by kind: every key that takes such a value refuses all of the kind, with one message a cause."""

from __future__ import annotations

import copy
import datetime as dt
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

import settings
from reference import namespaces
from settings import keys
from tests.conftest import STACKS, recorded
from validation.problems import Problem

ROOT = Path(__file__).resolve().parents[2]
NETWORKS = {
    "gvnic": {"network": "net-1", "subnetwork": "net-1-sub"},
    "rdmaNetwork": "rdma-net",
    "rdmaSubnetworks": ["rdma-sub-0", "rdma-sub-1", "rdma-sub-2", "rdma-sub-3"],
}
DIGEST = "0123456789abcdef" * 4


def config(environment: str = "prod") -> dict[str, Any]:
    """An environment that ships, with every key that a value can be wrong in."""
    content: dict[str, Any] = yaml.safe_load((ROOT / f"Pulumi.{environment}.yaml").read_text(encoding="utf-8"))
    found = content["config"]
    found["dynamo-a4x:nodeSoftware"] = {}
    stack = found["dynamo-a4x:stacks"][0]
    stack["frontend"] = {}
    stack["overrides"] = {"prefill": {"arguments": {}, "environment": {}}}
    if environment == "prod":
        found["dynamo-a4x:cluster"]["authorizedNetworks"] = ["198.51.100.0/24"]
    else:
        found["dynamo-a4x:cluster"]["deviceNetworks"] = copy.deepcopy(NETWORKS)
    return found


def changed(path: str, value: object, environment: str = "prod") -> dict[str, Any]:
    """The config with `value` at `path`, written as a message writes it: `domains[0].zone`."""
    found = config(environment)
    steps: list[Any] = [int(s) if s.isdigit() else s for s in path.replace("[", ".").replace("]", "").split(".")]
    place: Any = found
    steps[0] = steps[0] if ":" in steps[0] else f"dynamo-a4x:{steps[0]}"
    for step in steps[:-1]:
        place = place[step] if isinstance(step, int) else place.setdefault(step, {})
    place[steps[-1]] = value
    return found


def problems(raw: dict[str, Any], environment: str = "prod") -> list[Problem]:
    """What is told of a config; nothing where it is taken."""
    try:
        settings.parse(raw, environment)
    except settings.SettingsError as error:
        return error.problems
    return []


def refused(path: str, value: object, environment: str = "prod") -> Problem:
    """The one problem that `value` at `path` is told."""
    found = problems(changed(path, value, environment), environment)
    assert [problem.key for problem in found] == [path], f"{path} = {value!r}: {found}"
    assert found[0].rule
    assert found[0].fix
    return found[0]


def taken(path: str, value: object, environment: str = "prod") -> None:
    assert problems(changed(path, value, environment), environment) == [], f"{path} = {value!r}"


@dataclass(frozen=True)
class Text:
    """A key that takes a name: a right value, and the environment in which it is looked at."""

    path: str
    right: str
    environment: str = "prod"


TEXTS = [
    Text("gcp:project", "my-project"),
    Text("gcp:region", "us-central1"),
    Text("projectNumber", "123456789012"),
    Text("cluster.name", "a4x-prod"),
    Text("cluster.version", "1.35"),
    Text("cluster.addressRange", "10.16.0.0/12"),
    Text("cluster.authorizedNetworks[0]", "203.0.113.0/24"),
    Text("cluster.deviceNetworks.gvnic.network", "net-1", "dev"),
    Text("cluster.deviceNetworks.gvnic.subnetwork", "net-1-sub", "dev"),
    Text("cluster.deviceNetworks.rdmaNetwork", "rdma-net", "dev"),
    Text("cluster.deviceNetworks.rdmaSubnetworks[1]", "rdma-sub-1", "dev"),
    Text("domains[0].name", "a4x-0"),
    Text("domains[0].zone", "us-central1-b"),
    Text("domains[0].reservation", "projects/my-project/reservations/a4x"),
    Text("modelBucket.name", "my-project-models"),
    Text("dynamo.version", "0.7.0"),
    Text("dynamo.namespace", "dynamo-cloud"),
    Text("draDriver.version", "25.12.0"),
    Text("nodeSoftware.gibVersion", "v1.0.7"),
    Text("stacks[0].name", "r1-10p8d"),
    Text("stacks[0].layout", "deepseek-r1-fp8-10p8d"),
    Text("stacks[0].domain", "a4x-0"),
    Text("stacks[0].image", "registry.example/team/sglang:0.7.0"),
    Text("stacks[0].frontend.image", f"registry.example/team/sglang@sha256:{DIGEST}"),
]

SPOILT = {
    "newline behind": "{}\n",
    "two newlines behind": "{}\r\n",
    "newline in front": "\n{}",
    "space in front": " {}",
    "space behind": "{} ",
    "tab behind": "{}\t",
    "a second line": "{0}\n{0}",
    "null character": "{}\0",
    "character of no width": "{}\u200b",
    "letter of another script": "{}\u0430",
    "digit of another script": "{}\u0663",
}


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.path)
def test_the_right_value_is_taken(text: Text) -> None:
    taken(text.path, text.right, text.environment)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.path)
def test_a_name_with_something_invisible_about_it_is_refused(text: Text) -> None:
    for kind, spoilt in SPOILT.items():
        told = problems(changed(text.path, spoilt.format(text.right), text.environment), text.environment)
        assert [problem.key for problem in told] == [text.path], kind


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text.path)
def test_a_text_that_is_no_name_is_refused(text: Text) -> None:
    for value in ("", " ", "-", "x" * 5000, "NULL\0", "../../etc/passwd", "${x}", "a b"):
        told = problems(changed(text.path, value, text.environment), text.environment)
        assert [problem.key for problem in told] == [text.path], repr(value)
        assert all(len(str(problem)) < 1000 for problem in told)


def leaves(model: type[BaseModel] = settings.Settings, above: str = "") -> Iterator[str]:
    """Every key, the lists' first entries included."""
    for name, field in model.model_fields.items():
        if name == "environment":
            continue
        path = f"{above}.{field.alias or name}" if above else field.alias or name
        yield path
        for inner, listed in models(field.annotation):
            yield from leaves(inner, f"{path}[0]" if listed else path)


def models(annotation: Any, listed: bool = False) -> Iterator[tuple[type[BaseModel], bool]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, listed
    for argument in get_args(annotation):
        yield from models(argument, listed or "tuple" in str(annotation))


LOOP: list[Any] = []
LOOP.append(LOOP)
NASTY: dict[str, Any] = {
    "nothing": None,
    "empty text": "",
    "list": ["x", 1],
    "empty list": [],
    "mapping": {"x": 1},
    "key that is no text": {1: 2, None: 3, (1, 2): 4},
    "truth": True,
    "text of a truth": "on",
    "zero": 0,
    "below zero": -1,
    "fraction": 2.5,
    "huge": 10**400,
    "text that is huge": "9" * 5000,
    "infinite": math.inf,
    "no number": math.nan,
    "text of no number": ".nan",
    "date": dt.date(2026, 11, 25),
    "bytes": b"\xff\xfe",
    "set": {"a"},
    "itself": LOOP,
    "half a character": "\ud800",
    "deep": "[" * 100_000,
    "long": "x" * 100_000,
}


@pytest.mark.parametrize("path", list(leaves()))
def test_whatever_stands_in_a_key_ends_in_one_message_or_is_taken(path: str) -> None:
    environment = "dev" if "deviceNetworks" in path else "prod"
    for kind, value in NASTY.items():
        told = problems(changed(path, value, environment), environment)
        assert len({problem.key for problem in told}) == len(told), kind
        for problem in told:
            assert problem.key, kind
            assert problem.rule, kind
            assert problem.fix, kind
            # Key, value, rule and fix, each in one line.
            assert str(problem).count("\n") == 2, kind


NUMBERS = [
    *("domains[0].pricePerGpuHour", "domains[0].nodes", "stacks[0].frontend.replicas"),
    *("domains[0].fabricTest.nodes", "domains[0].fabricTest.allGatherGBps", "domains[0].fabricTest.allReduceGBps"),
]
NO_NUMBERS = [
    *(math.inf, -math.inf, math.nan, -1, 0, -0.0, True, False, [], {}, 10**30, 1e300),
    *(
        "",
        " ",
        "4.5 ",
        "\n5",
        "5\n",
        "+5",
        "007",
        "0x10",
        "0o17",
        "1_000",
        "1e999",
        "inf",
        ".inf",
        "nan",
        "NaN",
        "five",
    ),
    *("\u0664", "4,5", "1.2.3", "--1", "9" * 5000, "true"),
]


@pytest.mark.parametrize("path", NUMBERS)
def test_what_is_no_sensible_number_is_refused(path: str) -> None:
    for value in NO_NUMBERS:
        refused(path, value)


@pytest.mark.parametrize("value", [2.5, "2.5", 1e3, "1e1"])
def test_a_number_of_things_is_whole(value: object) -> None:
    refused("stacks[0].frontend.replicas", value)


TRUTHS = [
    *("protect", "cluster.dnsEndpoint", "modelBucket.download", "modelBucket.forceDestroy", "dynamo.chartLogin"),
    *("dynamo.systemTolerations", "nodeSoftware.installNccl", "stacks[0].wait", "stacks[0].benchmark"),
]


@pytest.mark.parametrize("path", TRUTHS)
def test_what_is_neither_true_nor_false_is_refused(path: str) -> None:
    for value in ("on", "off", "yes", "no", "y", "TRUE", "tRue", "1", 1, 0, "", " true", "true\n", []):
        refused(path, value)


# Values as `pulumi config set --path` stores them -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "stored", "read"),
    [
        ("domains[0].pricePerGpuHour", "4.5", 4.5),
        ("domains[0].pricePerGpuHour", 4, 4.0),
        ("domains[0].pricePerGpuHour", "1e1", 10.0),
        ("domains[0].nodes", "18", 18),
        ("stacks[0].frontend.replicas", "9", 9),
        ("domains[0].fabricTest.nodes", "4", 4),
        ("domains[0].fabricTest.allGatherGBps", "700", 700),
        ("stacks[0].wait", "false", False),
        ("stacks[0].wait", "False", False),
        ("stacks[0].benchmark", "True", True),
        ("modelBucket.forceDestroy", "true", True),
        ("protect", "true", True),
        ("protect", "True", True),
    ],
)
def test_numbers_and_truths_are_read_as_the_cli_stores_them(path: str, stored: object, read: object) -> None:
    found: Any = settings.parse(changed(path, stored), "prod")
    for step in path.replace("[", ".").replace("]", "").split("."):
        names = {
            "pricePerGpuHour": "price_per_gpu_hour",
            "fabricTest": "fabric_test",
            "allGatherGBps": "all_gather",
            "modelBucket": "model_bucket",
            "forceDestroy": "force_destroy",
        }
        found = found[int(step)] if step.isdigit() else getattr(found, names.get(step, step))
    assert found == read
    assert type(found) is type(read)


def test_a_variable_is_a_text_although_the_cli_stores_a_number() -> None:
    """No quotes make the CLI store a text here, and a variable has no other type."""
    given = {"NCCL_IB_QPS_PER_CONNECTION": 4, "NCCL_DEBUG_SUBSYS": True}
    found = settings.parse(changed("stacks[0].overrides.prefill.environment", given), "prod")
    assert found.stacks[0].overrides.prefill.environment == {
        "NCCL_IB_QPS_PER_CONNECTION": "4",
        "NCCL_DEBUG_SUBSYS": "true",
    }


def test_an_argument_keeps_the_type_that_it_was_written_in() -> None:
    given = {"mem-fraction-static": "0.8", "watchdog-timeout": 3600, "enable-metrics": True}
    found = settings.parse(changed("stacks[0].overrides.prefill.arguments", given), "prod")
    assert found.stacks[0].overrides.prefill.arguments == given


def test_a_version_without_quotes_says_that_it_wants_them() -> None:
    assert "in quotes" in refused("cluster.version", 1.35).fix


# Namespaces ----------------------------------------------------------------------------------------------------------

TAKEN = [
    *("default", "kube-system", "kube-public", "kube-node-lease", "kube-anything", "gke-managed-system"),
    *("gke-managed-cim", "gmp-system", "gmp-public", "nvidia-dra-driver-gpu", "kai-scheduler"),
    *("kai-resource-reservation", "model-download", "model-download-dev-0", "fabric-test-dev-a4x-0"),
]


@pytest.mark.parametrize("name", TAKEN)
def test_a_namespace_with_an_owner_is_no_stack_s_and_no_platform_s(name: str) -> None:
    assert "belongs to" in refused("dynamo.namespace", name).rule
    if len(name) <= 22:
        assert "belongs to" in refused("stacks[0].name", name).rule


@pytest.mark.parametrize("name", ["gke", "kai", "kube", "models", "defaults", "model-downloader", "dynamo", "kai-test"])
def test_a_name_that_only_looks_like_an_owned_one_is_free(name: str) -> None:
    assert namespaces.owner(name) is None
    taken("stacks[0].name", name)


@pytest.mark.parametrize("stack", STACKS)
def test_every_namespace_that_the_program_makes_has_an_owner_or_a_key(stack: str) -> None:
    """What the program makes beside the stacks' and the platform's own is on the list of owners."""
    made = {r.inputs["metadata"]["name"] for r in recorded(stack).of_type("kubernetes:core/v1:Namespace")}
    own = {"dynamo-cloud", *(entry["name"] for entry in config(stack)["dynamo-a4x:stacks"])}
    assert own <= made
    assert [name for name in made - own if namespaces.owner(name) is None] == []


def test_a_platform_that_somebody_installed_in_the_default_namespace_is_adopted() -> None:
    raw = {**changed("dynamo", {"mode": "adopt", "namespace": "default"}, "dev"), "dynamo-a4x:kai": {"mode": "adopt"}}
    assert problems(raw, "dev") == []
    refused("dynamo.namespace", "default", "dev")


# Google Cloud --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        *("192.168.5.4", "10.0.0.1", "999.1.1.1", "google", "my-google-models", "g00gle", "my-go0g1e", "goog-models"),
        *("My-Models", "a", "ab", "-models", "models-", "_models", "models_", "mod..els", ".models", "models.", "a.-b"),
        *("m" * 64, "gs://", "gs://models/folder", "s3://models", "GS://models", "models?x", "m\u00f6dels"),
        ".".join(["m" * 64, "com"]),
        ".".join(["m" * 60] * 4),
    ],
)
def test_a_bucket_that_cloud_storage_would_not_make_is_refused(name: str) -> None:
    refused("modelBucket.name", name)


@pytest.mark.parametrize(
    "name",
    ["models", "gs://models", "gs://models/", "m0d", "my_models", "models.example.com", "1.2.3", "m.1"],
)
def test_a_bucket_that_cloud_storage_has_is_taken(name: str) -> None:
    taken("modelBucket.name", name)


@pytest.mark.parametrize(
    "cidr",
    [
        *("office", "", "10.0.0.1", "10.0.0.1/8", "10.0.0.0/255.0.0.0", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/08"),
        *(
            "256.0.0.0/8",
            "010.0.0.0/8",
            "10.0.0/8",
            "::/0",
            "2001:db8::/32",
            "10.0.0.0/8\n",
            " 10.0.0.0/8",
            "127.0.0.1",
        ),
        *("\u0661\u0660.0.0.0/8", "10.0.0.0/8,10.1.0.0/16", "10.0.0.0 / 8"),
    ],
)
def test_what_is_no_ipv4_range_is_refused(cidr: str) -> None:
    key = "cluster.authorizedNetworks"
    assert [problem.key for problem in problems(changed(key, [cidr]))] == [f"{key}[0]"]
    refused("cluster.addressRange", cidr)


@pytest.mark.parametrize("cidr", ["203.0.113.0/24", "10.0.0.0/8", "198.51.100.7/32", "0.0.0.0/0"])
def test_a_range_that_may_reach_the_control_plane_may_be_public(cidr: str) -> None:
    taken("cluster.authorizedNetworks", [cidr])


def test_an_entry_is_listed_once() -> None:
    refused("cluster.authorizedNetworks", ["10.0.0.0/8", "10.0.0.0/8"])
    refused("cluster.deviceNetworks.rdmaSubnetworks", ["a", "b", "c", "a"], "dev")


@pytest.mark.parametrize("names", [[], ["a"], ["a", "b", "c"], ["a", "b", "c", "d", "e"]])
def test_four_subnetworks_are_named(names: list[str]) -> None:
    refused("cluster.deviceNetworks.rdmaSubnetworks", names, "dev")


def test_a_network_of_a_host_project_is_named_by_its_path() -> None:
    path = "cluster.deviceNetworks.gvnic"
    host = {"network": "projects/host-project/global/networks/net-1"}
    host["subnetwork"] = "projects/host-project/regions/us-central1/subnetworks/net-1-sub"
    taken(path, host, "dev")
    taken(path, {key: f"https://www.googleapis.com/compute/v1/{value}" for key, value in host.items()}, "dev")
    refused(f"{path}.network", "projects/host-project/regions/us-central1/networks/net-1", "dev")
    refused(f"{path}.subnetwork", "projects/HOST/regions/us-central1/subnetworks/net-1", "dev")


@pytest.mark.parametrize(
    "version", ["banana", "1", "1.", "1.35..", "2.35", "1.035", "1.35.x", "1.35-gke.1", "v1.35", "latest", "-"]
)
def test_a_version_of_gke_has_its_form(version: str) -> None:
    refused("cluster.version", version)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("cluster.version", "banana"),
        ("cluster.version", "1.35"),
        ("cluster.authorizedNetworks", ["203.0.113.0/24"]),
        ("cluster.dnsEndpoint", False),
        ("domains[0].reservation", "projects/my-project/reservations/a4x"),
        ("domains[0].nodeVersion", "1.35.2-gke.1485000"),
        ("modelBucket.forceDestroy", True),
    ],
)
def test_a_key_that_its_mode_does_not_have_is_refused(path: str, value: object) -> None:
    (told,) = problems(changed(path, value, "dev"), "dev")
    assert (told.key, told.value) == (path, value)
    assert told.rule == "this key has no meaning with mode: adopt"
    assert told.fix == "remove it, or set mode: create"


@pytest.mark.parametrize("part", ["kai", "draDriver"])
def test_what_is_adopted_has_no_version_in_the_config(part: str) -> None:
    (told,) = problems(changed(part, {"mode": "adopt", "version": "1.2.3"}, "dev"), "dev")
    assert (told.key, told.rule) == (f"{part}.version", "this key has no meaning with mode: adopt")


@pytest.mark.parametrize(("key", "value"), [("gibVersion", "v1.0.7"), ("installNccl", True)])
def test_the_nccl_plugin_of_an_adopted_cluster_is_not_chosen_here(key: str, value: object) -> None:
    refused(f"nodeSoftware.{key}", value, "dev")
    taken(f"nodeSoftware.{key}", value, "prod")


@pytest.mark.parametrize("number", ["0", "0123456789", "12a", "-5", "1.5", "1e12", "123 456", "9" * 30, "\u0661\u0662"])
def test_a_project_s_number_is_one(number: str) -> None:
    refused("projectNumber", number)


def test_a_project_s_number_needs_no_quotes() -> None:
    assert settings.parse(changed("projectNumber", 123456789012), "prod").project_number == "123456789012"


def test_a_project_s_number_may_be_left_out_where_nothing_needs_it() -> None:
    """The engine fills in the empty text that Pulumi.yaml declares."""
    raw = changed("projectNumber", "")
    raw["dynamo-a4x:workloadIdentity"] = "serviceAccount"
    assert settings.parse(raw, "prod").project_number is None


# Releases and images -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "version",
    ["25.3.0", "25.3.1", "24.12.9", "0.1.0", "latest", "25", "25.12", "v25.12.0", ">=25.8", "25.12.x", "^25.8.0", "*"],
)
def test_a_dra_driver_that_cannot_serve_is_refused(version: str) -> None:
    refused("draDriver.version", version)


@pytest.mark.parametrize("version", ["25.3.2", "25.8.0", "25.8.1", "25.12.0", "26.4.0", "25.12.0-rc.1", "25.12.0-dev"])
def test_a_dra_driver_that_asks_what_the_cluster_serves_is_taken(version: str) -> None:
    taken("draDriver.version", version)


@pytest.mark.parametrize(
    "version", ["not a tag", "latest", "1.0.7", "v1", "v1.0", "V1.0.7", "v1.0.7@sha256:0", "v1.0.7/x"]
)
def test_a_gib_release_is_one(version: str) -> None:
    refused("nodeSoftware.gibVersion", version)


@pytest.mark.parametrize("version", ["v1.0.7", "v1.1.0", "v1.0.6-1", "v1.1.2-rc.1"])
def test_a_gib_release_is_taken(version: str) -> None:
    taken("nodeSoftware.gibVersion", version)


@pytest.mark.parametrize(
    "image",
    [
        *(
            "sglang",
            "my image:1",
            "Team/sglang:1",
            "registry.example/Team/x:1",
            "x:",
            ":1",
            "x@sha256:abc",
            "x:1@",
            "/x:1",
        ),
        *(f"x@sha512:{DIGEST}", f"x@sha256:{DIGEST.upper()}", "x:-1", f"x:{'1' * 129}", "http://registry.example/x:1"),
        *("x//y:1", "x/:1", "-x:1", "x-:1", "r\u00e9gistry/x:1", "registry.example:port/x:1", f"{'x' * 600}:1"),
    ],
)
def test_what_no_runtime_could_pull_is_refused(image: str) -> None:
    refused("stacks[0].image", image)
    refused("stacks[0].frontend.image", image)


@pytest.mark.parametrize(
    "image",
    [
        *(
            "sglang:1",
            "localhost:5000/x:latest",
            "nvcr.io/nvidia/ai-dynamo/sglang-runtime:0.7.0",
            "a/b_c/d__e/f-g.h:V1.0",
        ),
        *(f"x@sha256:{DIGEST}", f"us-docker.pkg.dev/p/r/x:1@sha256:{DIGEST}", "Registry.Example/x:1", "a--b:1"),
    ],
)
def test_what_runtimes_pull_is_taken(image: str) -> None:
    taken("stacks[0].image", image)


@pytest.mark.parametrize(
    "source",
    [
        *(
            "",
            " ",
            "/",
            "ftp://x",
            "FTP://x",
            "file:///srv",
            "s3://b",
            "git+https://x",
            "https://",
            "https:///x",
            "oci://",
        ),
        *(
            "https://charts.example/a\n",
            " https://charts.example",
            "./my charts",
            "https://charts.example/a?b=c",
            "x\0",
        ),
        *(
            "oci://charts.example/dynamo-platform:0.7.0",
            "https://charts.example/kai-scheduler-v0.17.0.tgz",
            "http://-x",
        ),
    ],
)
def test_a_place_without_charts_is_refused(source: str) -> None:
    refused("dynamo.chartSource", source)


def test_a_password_in_the_address_of_charts_is_refused_and_not_shown() -> None:
    for address in ("https://me:made-up@charts.example/x", "oci://me:made-up@charts.example", "https://made-up@host"):
        assert "made-up" not in str(refused("dynamo.chartSource", address))


@pytest.mark.parametrize(
    "source",
    [
        *(
            "https://charts.example/mirror/",
            "http://10.0.0.5:8080",
            "oci://registry.example:5000/charts",
            "/srv/charts",
        ),
        *("./charts", "../charts", "charts"),
    ],
)
def test_a_place_of_charts_is_taken(source: str) -> None:
    taken("dynamo.chartSource", source)


# Keys ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "namespace", ["", "dynamo-a4", "dynamo-a4x-prod", "Dynamo-a4x", "dynamo_a4x", "dynamoa4x", "dynamo", " dynamo-a4x"]
)
@pytest.mark.parametrize("name", ["protect", "protekt", "cluster", "anything"])
def test_a_key_outside_the_program_s_namespace_is_reported_once(namespace: str, name: str) -> None:
    raw = config()
    key = f"{namespace}:{name}" if namespace else name
    raw[key] = raw.pop(f"dynamo-a4x:{name}", False)
    assert [problem.key for problem in problems(raw)] == [key]


def test_a_key_in_a_stranger_s_namespace_is_reported_if_it_is_ours() -> None:
    raw = config()
    raw["a4x:modelBucket"] = raw.pop("dynamo-a4x:modelBucket")
    (problem,) = problems(raw)
    assert (problem.key, problem.fix) == ("a4x:modelBucket", "write dynamo-a4x:modelBucket")


@pytest.mark.parametrize(
    "key",
    [
        *("gcp:zone", "gcp:impersonateServiceAccount", "kubernetes:cluster", "kubernetes:context", "pulumi:tags"),
        *("pulumi:disable-default-providers", "random:x", "acme-policies:team", "datadog:apiKey", "aws-native:region"),
    ],
)
def test_other_namespaces_are_their_owners(key: str) -> None:
    assert problems({**config(), key: "x"}) == []


def test_a_path_that_was_set_without_path_says_how() -> None:
    (problem,) = problems({**config(), "dynamo-a4x:cluster.name": "x"})
    assert problem.fix == "a key inside cluster is set by its path: pulumi config set --path 'cluster.name' VALUE"


@pytest.mark.parametrize(
    "key", ["dynamo-a4x:hfTokn", "dynamo-a4x:ngcKey", "hfToken", "dynamo-a4:ngcApiKey", "a:hfToken"]
)
def test_a_token_under_a_wrong_key_is_not_shown(key: str) -> None:
    for secret in ("hf_made_up", "nvapi-made-up", {"secure": "made-up"}):
        (problem,) = problems({**config(), key: secret})
        assert "made" not in str(problem)


@pytest.mark.parametrize("secret", ["nvapi-made-up", "hf_made_up"])
def test_a_token_under_any_unknown_key_is_not_shown(secret: str) -> None:
    (problem,) = problems({**config(), "dynamo-a4x:x": secret})
    assert "made" not in str(problem)


@pytest.mark.parametrize("key", [5, None, True, 1.5, ("a", "b")])
def test_a_key_that_is_no_text_is_reported(key: Any) -> None:
    (problem,) = problems({**config(), key: 1})
    assert problem.key == str(key)


@pytest.mark.parametrize(
    ("name", "told"), [("dev\n", True), ("Dev", True), ("d" * 31, True), ("", True), ("d" * 30, False)]
)
def test_an_environment_s_name_becomes_names_of_objects(name: str, told: bool) -> None:
    assert bool(problems(config(), name)) == told


def test_the_namespaces_of_keys_that_are_left_alone_are_those_of_what_the_program_uses() -> None:
    pinned = (ROOT / "requirements.txt").read_text(encoding="utf-8")
    providers = {
        line.split("==")[0].removeprefix("pulumi-") for line in pinned.splitlines() if line.startswith("pulumi-")
    }
    assert providers | {"pulumi"} == keys.OTHERS
