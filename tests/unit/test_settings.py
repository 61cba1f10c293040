"""A wrong config ends with one message that names key, value, rule and fix, for all problems at once."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import settings
from reference import naming
from tools import config_reference

ROOT = Path(__file__).resolve().parents[2]
Config = dict[str, Any]


def _config(environment: str = "dev") -> Config:
    return yaml.safe_load((ROOT / f"Pulumi.{environment}.yaml").read_text(encoding="utf-8"))["config"]


def _set(path: str, value: object, environment: str = "dev") -> Config:
    """The config of `environment` with the value at `path` (keys and list places, dotted) replaced."""
    config = copy.deepcopy(_config(environment))
    first, *rest = path.split(".")
    key = first if ":" in first else f"dynamo-a4x:{first}"
    if not rest:
        config[key] = value
        return config
    place = config.setdefault(key, {})
    for part in rest[:-1]:
        place = place[int(part)] if part.isdigit() else place.setdefault(part, {})
    place[int(rest[-1]) if rest[-1].isdigit() else rest[-1]] = value
    return config


def _without(path: str, environment: str = "dev") -> Config:
    config = copy.deepcopy(_config(environment))
    first, *rest = path.split(".")
    place: Any = config
    last: Any = first if ":" in first else f"dynamo-a4x:{first}"
    for part in rest:
        place, last = place[last], int(part) if part.isdigit() else part
    del place[last]
    return config


def _stack(**values: object) -> Config:
    config = _config()
    config["dynamo-a4x:stacks"][0].update(values)
    return config


PROD = "prod"

# (what is wrong, the config, parts that the message must have: key = value, rule, fix)
BAD: list[tuple[str, Config, tuple[str, str, str]]] = [
    (
        "unknown key",
        _set("cluter", {"mode": "adopt"}),
        ("cluter = {'mode': 'adopt'}", "this key does not exist", "did you mean 'cluster'?"),
    ),
    (
        "unknown nested key",
        _set("cluster.nam", "x"),
        ("cluster.nam = 'x'", "this key does not exist", "did you mean 'name'?"),
    ),
    (
        "wrong type",
        _set("domains.0.nodes", "two"),
        ("domains[0].nodes = 'two'", "must be a valid integer", "give the number of nodes, 1 to 18"),
    ),
    (
        "wrong outer type",
        _set("cluster", "a4x"),
        ("cluster = 'a4x'", "must be an object", "give a mapping with mode, name"),
    ),
    (
        "missing key",
        _without("modelBucket"),
        ("modelBucket = (not set)", "this key is required", "set it: a mapping with mode and name"),
    ),
    (
        "missing project",
        _without("gcp:project"),
        ("gcp:project = (not set)", "this key is required", "set it: the Google Cloud project id"),
    ),
    (
        "unknown mode",
        _set("cluster.mode", "addopt"),
        ("cluster.mode = 'addopt'", "must be one of 'adopt' or 'create'", "`create` to have it created"),
    ),
    (
        "a mode that is no text",
        _set("cluster.mode", 3),
        ("cluster.mode = 3\n", "must be one of 'adopt' or 'create'", "`create` to have it created"),
    ),
    (
        "a mode that is empty",
        _set("cluster.mode", None),
        ("cluster.mode = (not set)", "this key is required", "`create` to have it created"),
    ),
    (
        "unknown layout",
        _stack(layout="deepseek-r1-fp8-1p2d"),
        (
            "stacks[0].layout = 'deepseek-r1-fp8-1p2d'",
            "a layout is a folder of sglang_configs/",
            "did you mean 'deepseek-r1-fp8-1p1d'?",
        ),
    ),
    (
        "unknown Dynamo version",
        _set("dynamo.version", "0.7"),
        ("dynamo.version = '0.7'", "there is no profile for this release", "did you mean '0.7."),
    ),
    (
        "known-bad Dynamo version",
        _set("dynamo.version", "0.9.0"),
        ("dynamo.version = '0.9.0'", "ships the operator image 0.7.1", "choose one of"),
    ),
    (
        "a version of nodes without a build",
        _set("domains.0.nodeVersion", "1.35", PROD),
        ("domains[0].nodeVersion = '1.35'", "one exact build", "Write it like"),
    ),
    (
        "nodes newer than their control plane",
        _set("domains.0.nodeVersion", "1.36.0-gke.1", PROD),
        ("domains[0].nodeVersion = '1.36.0-gke.1'", "never newer than the control plane", "raise cluster.version"),
    ),
    (
        "a version for nodes that are adopted",
        _set("domains.0.nodeVersion", "1.35.2-gke.1485000"),
        ("domains[0].nodeVersion = '1.35.2-gke.1485000'", "has no meaning with mode: adopt", "remove it"),
    ),
    (
        "a driver for nodes that are adopted",
        _set("nodeSoftware.gpuDriverVersion", "LATEST"),
        ("nodeSoftware.gpuDriverVersion = 'LATEST'", "no pool is created here", "remove the key"),
    ),
    (
        "a driver that GKE does not know",
        _set("nodeSoftware.gpuDriverVersion", "R580", PROD),
        ("nodeSoftware.gpuDriverVersion = 'R580'", "'DEFAULT', 'LATEST' or 'INSTALLATION_DISABLED'", "choose one"),
    ),
    (
        "DRANET's right without DRANET",
        _set("cluster.dranetNetworkAdmin", True, PROD),
        ("cluster.dranetNetworkAdmin = True", "DRANET's networks", "set cluster.rdma: dranet"),
    ),
    (
        "charts by a scheme that Helm does not know",
        _set("dynamo.chartSource", "ftp://x"),
        ("dynamo.chartSource = 'ftp://x'", "Helm fetches charts by https, http or oci", "Write https://HOST/FOLDER"),
    ),
    (
        "one chart in place of their folder",
        _set("dynamo.chartSource", "oci://mirror.example/charts/dynamo-platform:0.7.0"),
        ("dynamo.chartSource = 'oci://mirror", "the place that holds all charts", "Leave out the last part"),
    ),
    (
        "name too long for the operator",
        _stack(name="deepseek-r1-production-eu"),
        (
            "stacks[0].name = 'deepseek-r1-production-eu'",
            "the operator takes 27 characters",
            "shorten it to 22 characters",
        ),
    ),
    (
        "name with capitals",
        _stack(name="R1"),
        ("stacks[0].name = 'R1'", "lower-case letters", "choose a name such as r1"),
    ),
    (
        "name of the platform's namespace",
        _stack(name="dynamo-cloud"),
        ("stacks[0].name = 'dynamo-cloud'", "this namespace has another use", "choose another name"),
    ),
    (
        "more nodes than the domain has",
        _stack(layout="deepseek-r1-fp8-10p8d"),
        (
            "stacks[0].layout = 'deepseek-r1-fp8-10p8d'",
            "it takes 18 nodes (72 GPUs), domain 'a4x-0' has 2",
            "choose a smaller layout",
        ),
    ),
    (
        "more nodes than a domain can have",
        _set("domains.0.nodes", 19),
        ("domains[0].nodes = 19", "less than or equal to 18", "list a further domain for more"),
    ),
    (
        "bucket name that is none",
        _set("modelBucket.name", "gs://My_Bucket!/models"),
        ("modelBucket.name = 'gs://My_Bucket!/models'", "a bucket's name has 3 to 63", "give the name of the bucket"),
    ),
    (
        "domain that does not exist",
        _stack(domain="a4x-1"),
        ("stacks[0].domain = 'a4x-1'", "a domain that the config lists", "did you mean 'a4x-0'?"),
    ),
    (
        "no project number for direct Workload Identity",
        _without("projectNumber"),
        ("projectNumber = (not set)", "names the project by its number", "gcloud projects describe my-project"),
    ),
    (
        "a pool to adopt in a cluster to create",
        _set("domains.0", {"name": "a4x-0", "mode": "adopt", "zone": "us-central1-b", "nodes": 18}, PROD),
        ("domains[0].mode = 'adopt'", "no node pool to adopt", "set domains[0].mode: create"),
    ),
    (
        "a platform to adopt in a cluster to create",
        _set("dynamo.mode", "adopt", PROD),
        ("dynamo.mode = 'adopt'", "nothing to adopt yet", "set dynamo.mode: create"),
    ),
    (
        "no reservation",
        _without("domains.0.reservation", PROD),
        ("domains[0].reservation = (not set)", "spot and on-demand do not exist", "reservationSubBlocks/S"),
    ),
    (
        "spot",
        _set("domains.0.spot", True, PROD),
        ("domains[0].spot = True", "this key does not exist", "known:"),
    ),
    (
        "autoscaling",
        _set("domains.0.maxNodes", 36, PROD),
        ("domains[0].maxNodes = 36", "this key does not exist", "known:"),
    ),
    (
        "reservation path that does not parse",
        _set("domains.0.reservation", "projects/p/reservations", PROD),
        ("domains[0].reservation = 'projects/p/reservations'", "not a reservation", "reservationBlocks/BLOCK"),
    ),
    (
        "zone outside the region",
        _set("domains.0.zone", "europe-west4-b", PROD),
        ("domains[0].zone = 'europe-west4-b'", "outside the region us-central1", "gcp:region to europe-west4"),
    ),
    (
        "cluster version outside the window",
        _set("cluster.version", "1.37", PROD),
        ("cluster.version = '1.37'", "runs on GKE 1.34 to 1.36", 'Set it to "1.35"'),
    ),
    (
        "cluster name that leaves no room",
        _set("cluster.name", "a4x-production-eu", PROD),
        ("cluster.name = 'a4x-production-eu'", "the name has 17 characters", "Choose a shorter name"),
    ),
    (
        "address range that is too small",
        _set("cluster.addressRange", "10.0.0.0/22", PROD),
        ("cluster.addressRange = '10.0.0.0/22'", "nine ranges do not fit", "give a private range"),
    ),
    (
        "no domain at all",
        _set("domains", []),
        ("domains = []", "at least one NVLink domain", "list one with name, mode, zone and nodes"),
    ),
    (
        "project name in place of its id",
        _set("gcp:project", "My Project"),
        ("gcp:project = 'My Project'", "a project id has 6 to 30", "gcloud projects list"),
    ),
    (
        "truth value in words",
        _set("protect", "yes"),
        ("protect = 'yes'", "must be true or false", "write true or false: whether cluster"),
    ),
    (
        "image without a tag",
        _stack(image="my image"),
        ("stacks[0].image = 'my image'", "a repository with a tag or a digest", "write it like nvcr.io/"),
    ),
    (
        "nobody reaches the control plane",
        _set("cluster.dnsEndpoint", False, PROD),
        ("cluster.authorizedNetworks = (not set)", "authorised networks only", "set cluster.dnsEndpoint: true"),
    ),
]


@pytest.mark.parametrize(("config", "parts"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_a_wrong_config_names_key_value_rule_and_fix(config: Config, parts: tuple[str, str, str]) -> None:
    with pytest.raises(settings.SettingsError) as caught:
        settings.parse(config, "dev")
    message = str(caught.value)
    for part in parts:
        assert part in message
    assert "no resource was registered" in message


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_environments_that_ship_are_valid(environment: str) -> None:
    assert settings.parse(_config(environment), environment).environment == environment


def test_all_problems_are_reported_at_once() -> None:
    config = _stack(domain="nowhere", layout="none")
    config["dynamo-a4x:dynamo"]["version"] = "9.9.9"
    config["dynamo-a4x:oops"] = 1
    with pytest.raises(settings.SettingsError) as caught:
        settings.parse(config, "dev")
    assert sorted(problem.key for problem in caught.value.problems) == [
        "dynamo.version",
        "oops",
        "stacks[0].domain",
        "stacks[0].layout",
    ]
    assert [problem.key for problem in caught.value.problems if f"  {problem.key} = " not in str(caught.value)] == []
    assert str(caught.value).startswith(f"{len(caught.value.problems)} problems in ")


def test_texts_that_hold_json_read_like_yaml() -> None:
    """The engine hands every value over as a text."""
    as_text = {
        key: value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True, width=10**6).strip()
        for key, value in _config().items()
    }
    as_json = {key: json.dumps(value) for key, value in _config().items() if not isinstance(value, str)}
    assert settings.parse({**as_text, **as_json}, "dev") == settings.parse(_config(), "dev")


@pytest.mark.parametrize("name", ["models", "gs://models", "gs://models/"])
def test_a_bucket_may_be_named_with_its_scheme(name: str) -> None:
    assert settings.parse(_set("modelBucket.name", name), "dev").model_bucket.name == "models"


def test_two_stacks_share_a_domain_only_if_both_fit() -> None:
    config = _config()
    stack = config["dynamo-a4x:stacks"][0]
    config["dynamo-a4x:stacks"] = [stack, {**stack, "name": "second"}]
    with pytest.raises(settings.SettingsError, match="and other stacks take 2"):
        settings.parse(config, "dev")
    config["dynamo-a4x:domains"][0]["nodes"] = 4
    assert len(settings.parse(config, "dev").stacks) == 2


def test_two_domains_never_share_a_sub_block() -> None:
    config = _config(PROD)
    domain = config["dynamo-a4x:domains"][0]
    config["dynamo-a4x:domains"] = [domain, {**domain, "name": "a4x-1"}]
    with pytest.raises(settings.SettingsError, match="a sub-block is one NVLink domain"):
        settings.parse(config, PROD)


def test_the_domains_of_a_created_cluster_share_a_zone() -> None:
    config = _config(PROD)
    domain = config["dynamo-a4x:domains"][0]
    other = {**domain, "name": "a4x-1", "zone": "us-central1-c", "reservation": "other"}
    config["dynamo-a4x:domains"] = [domain, other]
    with pytest.raises(settings.SettingsError, match="share one RDMA network"):
        settings.parse(config, PROD)


def test_a_secret_is_never_shown_in_a_message() -> None:
    config = _config()
    config["dynamo-a4x:ngcApiKey"] = "nvapi-made-up"
    config["dynamo-a4x:oops"] = 1
    with pytest.raises(settings.SettingsError) as caught:
        settings.parse(config, "dev")
    assert "nvapi-made-up" not in str(caught.value)


def test_a_stack_name_leaves_room_for_the_suffix() -> None:
    longest = "a" * naming.STACK_MAX
    assert settings.parse(_stack(name=longest), "dev").stacks[0].name == longest
    assert len(longest) + 1 + naming.DGD_SUFFIX == naming.DGD_MAX


def test_every_key_of_the_project_file_is_a_setting_or_a_secret() -> None:
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text(encoding="utf-8"))["config"]
    fields = {field.alias or name for name, field in settings.Settings.model_fields.items()}
    fields = {name for name in fields if ":" not in name} - {"environment"}
    assert set(declared) == fields | set(settings.SECRETS)
    assert all(entry.get("type") and entry.get("description") for entry in declared.values())


def test_the_config_reference_is_what_the_models_say() -> None:
    assert config_reference.DOCUMENT.read_text(encoding="utf-8") == config_reference.page()


@pytest.mark.parametrize(
    ("key", "default", "modes"),
    [
        ("cluster.version", "`1.35`", ("create",)),
        ("cluster.deviceNetworks.rdmaNetwork", "required with `deviceNetworks`", ("adopt",)),
        ("domains[].zone", "required", ()),
        ("kai.mode", "`create`", ()),
        ("nodeSoftware.gibVersion", "the Dynamo release's", ()),
    ],
)
def test_a_key_is_explained_with_its_default_and_its_modes(key: str, default: str, modes: tuple[str, ...]) -> None:
    (row,) = [row for row in config_reference.rows(settings.Settings) if row.key == key]
    assert (row.default, row.modes) == (default, modes)
    assert f"| `{key}` | {row.meaning}" in config_reference.page()
