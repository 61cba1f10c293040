"""Bad values by kind: every key that takes such a value refuses all of the kind, with one message a cause."""

from __future__ import annotations

import copy
import datetime as dt
import math
from collections.abc import Iterator
from typing import Any, get_args

import pytest
from pydantic import BaseModel

import settings
from reference import namespaces
from settings import keys
from tests.conftest import STACKS, recorded
from tests.recorder import ROOT
from tests.unit.configs import Config, problems, put, shipped
from validation.problems import Problem

DIGEST = "0123456789abcdef" * 4
GVNIC, RDMA = "cluster.deviceNetworks.gvnic", "cluster.deviceNetworks.rdmaSubnetworks"
NETWORKS = {
    "gvnic": {"network": "net-1", "subnetwork": "net-1-sub"},
    "rdmaNetwork": "rdma-net",
    "rdmaSubnetworks": ["rdma-sub-0", "rdma-sub-1", "rdma-sub-2", "rdma-sub-3"],
}
TAINT = {"key": "dedicated", "value": "ml", "effect": "NoExecute"}
TOLERATION = {"key": "team", "operator": "Equal", "value": "ml", "effect": "NoSchedule"}
VOLUME = {"name": "mine", "mountPath": "/mine", "source": {"emptyDir": {}}}
EXCLUSION = {"name": "freeze", "start": "2026-12-15T00:00:00Z", "end": "2027-01-05T00:00:00Z"}


def of(path: str) -> str:
    """The environment in which a value at `path` is looked at."""
    return "dev" if "deviceNetworks" in path else "prod"


def config(environment: str = "prod") -> Config:
    """An environment that ships, with the lists that a value can be wrong in."""
    written = put(shipped(environment), "domains[0].taints", [dict(TAINT)])
    put(written, "stacks[0].volumes", [copy.deepcopy(VOLUME)])
    put(written, "stacks[0].clients", [{"namespace": "chat"}])
    put(written, "isolation", {"egress": "restricted", "egressRanges": [{"range": "10.0.0.8/32"}]})
    put(written, "pods", {"systemTolerations": [dict(TOLERATION)]})
    if environment == "prod":
        put(written, "cluster.maintenance", {"exclusions": [dict(EXCLUSION)]})
        return put(written, "cluster.authorizedNetworks", ["198.51.100.0/24"])
    return put(written, "cluster.deviceNetworks", copy.deepcopy(NETWORKS))


def found(path: str, value: object, environment: str = "") -> list[Problem]:
    """The problems of an environment with `value` at `path`."""
    environment = environment or of(path)
    return problems(put(config(environment), path, value), environment)


def refused(path: str, value: object, environment: str = "") -> Problem:
    """The one problem that `value` has."""
    reported = found(path, value, environment)
    assert [problem.key for problem in reported] == [path], f"{path} = {value!r}: {reported}"
    assert reported[0].rule
    assert reported[0].fix
    return reported[0]


def words(text: str) -> list[str]:
    """The values of `text`, which has spaces between them."""
    return text.split()


ACCEPTED: dict[str, list[Any]] = {
    "gcp:project": ["my-project"],
    "gcp:region": ["us-central1"],
    "projectNumber": ["123456789012"],
    "cluster.name": ["a4x-prod"],
    "cluster.version": ["1.35"],
    "cluster.network.addressRange": ["10.16.0.0/12"],
    "cluster.authorizedNetworks[0]": words("203.0.113.0/24 10.0.0.0/8 198.51.100.7/32 0.0.0.0/0"),
    f"{GVNIC}.network": ["net-1"],
    f"{GVNIC}.subnetwork": ["net-1-sub"],
    "cluster.deviceNetworks.rdmaNetwork": ["rdma-net"],
    f"{RDMA}[1]": ["rdma-sub-1"],
    "domains[0].name": ["a4x-0"],
    "domains[0].zone": ["us-central1-b"],
    "domains[0].reservation": ["projects/my-project/reservations/a4x"],
    "modelBucket.name": words(
        "my-project-models models gs://models gs://models/ m0d my_models models.example.com 1.2.3 m.1"
    ),
    "dynamo.version": ["0.7.0"],
    "dynamo.namespace": ["dynamo-cloud"],
    "dynamo.chartSource": words(
        """https://charts.example/mirror/ http://10.0.0.5:8080 oci://registry.example:5000/charts /srv/charts
        ./charts ../charts charts"""
    ),
    "draDriver.version": words("25.12.0 25.3.2 25.8.0 25.8.1 26.4.0 25.12.0-rc.1 25.12.0-dev"),
    "nodeSoftware.gibVersion": words(f"v1.0.7 v1.1.0 v1.0.6-1 v1.1.2-rc.1 v1.0.7@sha256:{DIGEST}"),
    # Some only look like a namespace that has an owner.
    "stacks[0].name": words("r1-10p8d gke kai kube models defaults model-downloader dynamo kai-test"),
    "stacks[0].layout": ["deepseek-r1-fp8-10p8d"],
    "stacks[0].domain": ["a4x-0"],
    "stacks[0].image": words(
        f"""registry.example/team/sglang:0.7.0 sglang:1 localhost:5000/x:latest a/b_c/d__e/f-g.h:V1.0 a--b:1
        nvcr.io/nvidia/ai-dynamo/sglang-runtime:0.7.0 Registry.Example/x:1 x@sha256:{DIGEST}
        us-docker.pkg.dev/p/r/x:1@sha256:{DIGEST}"""
    ),
    "stacks[0].frontend.image": [f"registry.example/team/sglang@sha256:{DIGEST}"],
}
"""Keys that take a name, and right values; the first one is spoilt below."""

NO_NUMBERS = [
    *(math.inf, -math.inf, math.nan, -1, 0, -0.0, True, False, [], {}, 10**30, 1e300, "", " ", "4.5 ", "\n5", "5\n"),
    *words("+5 007 0x10 0o17 1_000 1e999 inf .inf nan NaN five \u0664 4,5 1.2.3 --1 true"),
    "9" * 5000,
]
NO_RATES = [*NO_NUMBERS, 1801, 2.5]
NO_TRUTHS = [*words("on off yes no y TRUE tRue 1"), 1, 0, "", " true", "true\n", []]
RANGES = [
    *words(
        """office 10.0.0.1 10.0.0.1/8 10.0.0.0/255.0.0.0 10.0.0.0/33 10.0.0.0/-1 10.0.0.0/08 256.0.0.0/8 010.0.0.0/8
        10.0.0/8 ::/0 2001:db8::/32 127.0.0.1 \u0661\u0660.0.0.0/8 10.0.0.0/8,10.1.0.0/16"""
    ),
    "10.0.0.0 / 8",
]
IMAGES = [
    *words(
        f"""sglang Team/sglang:1 registry.example/Team/x:1 x: :1 x@sha256:abc x:1@ /x:1 x@sha512:{DIGEST}
        x@sha256:{DIGEST.upper()} x:-1 http://registry.example/x:1 x//y:1 x/:1 -x:1 x-:1 r\u00e9gistry/x:1
        registry.example:port/x:1"""
    ),
    *("my image:1", f"x:{'1' * 129}", f"{'x' * 600}:1"),
]
REFUSED: dict[str, list[Any]] = {
    "projectNumber": [*words("0 0123456789 12a -5 1.5 1e12 \u0661\u0662"), "123 456", "9" * 30],
    "cluster.version": words("banana 1 1. 1.35.. 2.35 1.035 1.35.x 1.35-gke.1 v1.35 latest"),
    "cluster.network.addressRange": RANGES,
    "cluster.authorizedNetworks[0]": RANGES,
    "cluster.authorizedNetworks": [["10.0.0.0/8", "10.0.0.0/8"]],
    "gcp:region": words("us-central1-b US us"),
    "domains[0].reservation": [
        *words(
            """projects/p projects/my-project/reservations/ projects/my-project/reservations/r/
            projects/my-project/reservations/r/reservationSubBlocks/s projects/my-project/reservations/r/blocks/b
            projects/P/reservations/r r/reservationBlocks/ R"""
        ),
        "r /reservationBlocks/b",
    ],
    # What Cloud Storage would not create.
    "modelBucket.name": [
        *words(
            """192.168.5.4 10.0.0.1 999.1.1.1 google my-google-models g00gle my-go0g1e goog-models My-Models a ab
            -models models- _models models_ mod..els .models models. a.-b gs:// gs://models/folder s3://models GS://models
            models?x m\u00f6dels"""
        ),
        *("m" * 64, f"{'m' * 64}.com", ".".join(["m" * 60] * 4)),
    ],
    # Older ones cannot serve the claims of these clusters.
    "draDriver.version": words("25.3.0 25.3.1 24.12.9 0.1.0 latest 25 25.12 v25.12.0 >=25.8 25.12.x ^25.8.0 *"),
    "nodeSoftware.gibVersion": [*words("latest 1.0.7 v1 v1.0 V1.0.7 v1.0.7@sha256:0 v1.0.7/x"), "not a tag"],
    "stacks[0].image": IMAGES,
    "stacks[0].frontend.image": IMAGES,
    "dynamo.chartSource": [
        *words(
            """/ ftp://x FTP://x file:///srv s3://b git+https://x https:// https:///x oci:// http://-x
            https://charts.example/a?b=c oci://charts.example/dynamo-platform:0.7.0
            https://charts.example/kai-scheduler-v0.17.0.tgz oci://x/charts@sha256:0"""
        ),
        *("", " ", "https://charts.example/a\n", " https://charts.example", "./my charts", "https://a b/c", "x\0"),
    ],
    RDMA: [[], ["a"], ["a", "b", "c"], ["a", "b", "c", "a"], ["a", "b", "c", "d", "e"]],
    f"{GVNIC}.network": ["projects/host-project/regions/us-central1/networks/net-1"],
    f"{GVNIC}.subnetwork": ["projects/HOST/regions/us-central1/subnetworks/net-1"],
    "domains[0].pricePerGpuHour": NO_NUMBERS,
    "domains[0].nodes": NO_NUMBERS,
    "domains[0].fabricTest.nodes": [*NO_NUMBERS, 1],
    "domains[0].fabricTest.allGatherGBps": NO_RATES,
    "domains[0].fabricTest.allReduceGBps": NO_RATES,
    "stacks[0].frontend.replicas": [*NO_NUMBERS, 2.5, "2.5", 1e3, "1e1"],
    **dict.fromkeys(
        words(
            """protect modelBucket.download modelBucket.forceDestroy dynamo.chartLogin
            dynamo.systemTolerations nodeSoftware.installNccl images.onlyMirrors stacks[0].wait stacks[0].benchmark"""
        ),
        NO_TRUTHS,
    ),
}
NAMES = [path for path in ACCEPTED if path != "dynamo.chartSource"]
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


@pytest.mark.parametrize("path", ACCEPTED)
def test_a_right_value_is_accepted(path: str) -> None:
    for value in ACCEPTED[path]:
        assert found(path, value) == [], f"{path} = {value!r}"


@pytest.mark.parametrize("path", REFUSED)
def test_a_wrong_value_is_refused_with_one_message(path: str) -> None:
    for value in REFUSED[path]:
        refused(path, value)


@pytest.mark.parametrize("path", NAMES)
def test_a_name_with_something_invisible_about_it_is_refused(path: str) -> None:
    for kind, spoilt in SPOILT.items():
        reported = found(path, spoilt.format(ACCEPTED[path][0]))
        assert [problem.key for problem in reported] == [path], kind


@pytest.mark.parametrize("path", NAMES)
def test_a_text_that_is_no_name_is_refused(path: str) -> None:
    for value in ("", " ", "-", "x" * 5000, "NULL\0", "../../etc/passwd", "${x}", "a b"):
        reported = found(path, value)
        assert [problem.key for problem in reported] == [path], repr(value)
        assert all(len(str(problem)) < 1000 for problem in reported)


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
def test_whatever_stands_in_a_key_ends_in_one_message_or_is_accepted(path: str) -> None:
    for kind, value in NASTY.items():
        reported = found(path, value)
        assert len({problem.key for problem in reported}) == len(reported), kind
        for problem in reported:
            assert problem.key, kind
            assert problem.rule, kind
            assert problem.fix, kind
            # Key, value, rule and fix, each in one line.
            assert str(problem).count("\n") == 2, kind


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
    value: Any = settings.parse(put(config(), path, stored), "prod").model_dump(by_alias=True)
    for step in path.replace("[", ".").replace("]", "").split("."):
        value = value[int(step) if step.isdigit() else step]
    assert value == read
    assert type(value) is type(read)


def test_a_variable_is_a_text_although_the_cli_stores_a_number() -> None:
    """No quotes make the CLI store a text here, and a variable has no other type."""
    given = {"NCCL_IB_QPS_PER_CONNECTION": 4, "NCCL_DEBUG_SUBSYS": True}
    parsed = settings.parse(put(config(), "stacks[0].overrides.prefill.environment", given), "prod")
    assert parsed.stacks[0].overrides.prefill.environment == {
        "NCCL_IB_QPS_PER_CONNECTION": "4",
        "NCCL_DEBUG_SUBSYS": "true",
    }


def test_an_argument_keeps_the_type_that_it_was_written_in() -> None:
    given = {"mem-fraction-static": "0.8", "watchdog-timeout": 3600, "enable-metrics": True}
    parsed = settings.parse(put(config(), "stacks[0].overrides.prefill.arguments", given), "prod")
    assert parsed.stacks[0].overrides.prefill.arguments == given


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


@pytest.mark.parametrize("stack", STACKS)
def test_every_namespace_that_the_program_makes_has_an_owner_or_a_key(stack: str) -> None:
    """What the program makes beside the stacks' and the platform's own is on the list of owners."""
    made = {r.inputs["metadata"]["name"] for r in recorded(stack).of_type("kubernetes:core/v1:Namespace")}
    own = {"dynamo-cloud", *(entry["name"] for entry in config(stack)["dynamo-a4x:stacks"])}
    assert own <= made
    assert [name for name in made - own if namespaces.owner(name) is None] == []


def test_a_platform_that_somebody_installed_in_the_default_namespace_is_adopted() -> None:
    adopted = put(config("dev"), "dynamo", {"mode": "adopt", "namespace": "default"})
    assert problems(put(adopted, "kai", {"mode": "adopt"}), "dev") == []
    refused("dynamo.namespace", "default", "dev")


# Google Cloud --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", ["", "https://www.googleapis.com/compute/v1/"])
def test_a_network_of_a_host_project_is_named_by_its_path(before: str) -> None:
    network = f"{before}projects/host-project/global/networks/net-1"
    subnetwork = f"{before}projects/host-project/regions/us-central1/subnetworks/net-1-sub"
    assert found(GVNIC, {"network": network, "subnetwork": subnetwork}) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("cluster.version", "banana"),
        ("cluster.version", "1.35"),
        ("cluster.authorizedNetworks", ["203.0.113.0/24"]),
        ("cluster.endpoint", "dns-only"),
        ("domains[0].reservation", "projects/my-project/reservations/a4x"),
        ("domains[0].nodeVersion", "1.35.2-gke.1485000"),
        ("modelBucket.forceDestroy", True),
    ],
)
def test_a_key_that_its_mode_does_not_have_is_refused(path: str, value: object) -> None:
    rule, fix = "this key has no meaning with mode: adopt", "remove it, or set mode: create"
    assert found(path, value, "dev") == [Problem(path, value, rule, fix)]


@pytest.mark.parametrize("part", ["kai", "draDriver"])
def test_what_is_adopted_has_no_version_in_the_config(part: str) -> None:
    (problem,) = found(part, {"mode": "adopt", "version": "1.2.3"}, "dev")
    assert (problem.key, problem.rule) == (f"{part}.version", "this key has no meaning with mode: adopt")


@pytest.mark.parametrize(("key", "value"), [("gibVersion", "v1.0.7"), ("installNccl", True)])
def test_the_nccl_plugin_of_an_adopted_cluster_is_not_chosen_here(key: str, value: object) -> None:
    refused(f"nodeSoftware.{key}", value, "dev")
    assert found(f"nodeSoftware.{key}", value, "prod") == []


def test_a_project_s_number_needs_no_quotes() -> None:
    assert settings.parse(put(config(), "projectNumber", 123456789012), "prod").project_number == "123456789012"


def test_a_project_s_number_may_be_left_out_where_nothing_needs_it() -> None:
    """The engine fills in the empty text that Pulumi.yaml declares."""
    without = put(put(config(), "projectNumber", ""), "workloadIdentity", "serviceAccount")
    assert settings.parse(without, "prod").project_number is None


def test_a_password_in_the_address_of_charts_is_refused_and_not_shown() -> None:
    for address in ("https://me:made-up@charts.example/x", "oci://me:made-up@charts.example", "https://made-up@host"):
        assert "made-up" not in str(refused("dynamo.chartSource", address))


# Keys ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "namespace", ["", "dynamo-a4", "dynamo-a4x-prod", "Dynamo-a4x", "dynamo_a4x", "dynamoa4x", "dynamo", " dynamo-a4x"]
)
@pytest.mark.parametrize("name", ["protect", "protekt", "cluster", "anything"])
def test_a_key_outside_the_program_s_namespace_is_reported_once(namespace: str, name: str) -> None:
    raw = config()
    key = f"{namespace}:{name}" if namespace else name
    raw[key] = raw.pop(f"dynamo-a4x:{name}", False)
    assert [problem.key for problem in problems(raw, "prod")] == [key]


def test_a_key_in_a_stranger_s_namespace_is_reported_if_it_is_ours() -> None:
    raw = config()
    raw["a4x:modelBucket"] = raw.pop("dynamo-a4x:modelBucket")
    (problem,) = problems(raw, "prod")
    assert (problem.key, problem.fix) == ("a4x:modelBucket", "write dynamo-a4x:modelBucket")


@pytest.mark.parametrize(
    "key",
    [
        *("gcp:zone", "gcp:impersonateServiceAccount", "kubernetes:cluster", "kubernetes:context", "pulumi:tags"),
        *("pulumi:disable-default-providers", "random:x", "acme-policies:team", "datadog:apiKey", "aws-native:region"),
    ],
)
def test_other_namespaces_are_their_owners(key: str) -> None:
    assert problems({**config(), key: "x"}, "prod") == []


def test_a_path_that_was_set_without_path_says_how() -> None:
    (problem,) = problems({**config(), "dynamo-a4x:cluster.name": "x"}, "prod")
    assert problem.fix == "a key inside cluster is set by its path: pulumi config set --path 'cluster.name' VALUE"


@pytest.mark.parametrize(
    "key", ["dynamo-a4x:hfTokn", "dynamo-a4x:ngcKey", "hfToken", "dynamo-a4:ngcApiKey", "a:hfToken"]
)
def test_a_token_under_a_wrong_key_is_not_shown(key: str) -> None:
    for secret in ("hf_made_up", "nvapi-made-up", "made-up", {"secure": "made-up"}):
        (problem,) = problems({**config(), key: secret}, "prod")
        assert "made" not in str(problem)


@pytest.mark.parametrize("secret", ["nvapi-made-up", "hf_made_up"])
def test_a_token_under_any_unknown_key_is_not_shown(secret: str) -> None:
    (problem,) = problems({**config(), "dynamo-a4x:x": secret}, "prod")
    assert "made" not in str(problem)


@pytest.mark.parametrize("key", [5, None, True, 1.5, ("a", "b")])
def test_a_key_that_is_no_text_is_reported(key: Any) -> None:
    (problem,) = problems({**config(), key: 1}, "prod")
    assert problem.key == str(key)


@pytest.mark.parametrize(
    ("name", "wrong"), [("dev\n", True), ("Dev", True), ("d" * 31, True), ("", True), ("d" * 30, False)]
)
def test_an_environment_s_name_becomes_names_of_objects(name: str, wrong: bool) -> None:
    assert bool(problems(config(), name)) == wrong


def test_the_namespaces_of_keys_that_are_left_alone_are_those_of_what_the_program_uses() -> None:
    pinned = (ROOT / "requirements.in").read_text(encoding="utf-8")
    providers = {
        line.split("==")[0].removeprefix("pulumi-") for line in pinned.splitlines() if line.startswith("pulumi-")
    }
    assert providers | {"pulumi"} == keys.OTHERS
