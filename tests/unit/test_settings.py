"""A wrong config ends with one message that names key, value, rule and fix, for all problems at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import settings
from reference import naming
from settings import stack_file
from tests.recorder import ROOT
from tests.unit.configs import Config, put, shipped
from tools import config_reference


def _two(kind: str, environment: str, **second: Any) -> Config:
    """The config of an environment with its only stack or domain twice, `second` laid over the second one."""
    config = shipped(environment)
    (first,) = config[f"dynamo-a4x:{kind}"]
    return config | {f"dynamo-a4x:{kind}": [first, {**first, **second}]}


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_environments_that_ship_are_valid(environment: str) -> None:
    assert settings.parse(shipped(environment), environment).environment == environment


@pytest.mark.parametrize("path", sorted(ROOT.glob("Pulumi.*.yaml")), ids=lambda path: path.name)
def test_every_stack_file_of_the_project_is_valid(path: Path) -> None:
    environment = path.name.removeprefix("Pulumi.").removesuffix(".yaml")
    assert settings.parse(stack_file.read(path), environment).environment == environment


def test_all_problems_are_reported_at_once() -> None:
    config = shipped("dev")
    for path in ("stacks[0].domain", "stacks[0].layout", "dynamo.version", "oops"):
        put(config, path, "none")
    with pytest.raises(settings.SettingsError, match="no resource was registered") as caught:
        settings.parse(config, "dev")
    reported = sorted(problem.key for problem in caught.value.problems)
    assert reported == ["dynamo.version", "oops", "stacks[0].domain", "stacks[0].layout"]
    assert [key for key in reported if f"  {key} = " not in str(caught.value)] == []
    assert str(caught.value).startswith("4 problems in ")


def test_texts_that_hold_json_read_like_yaml() -> None:
    """The engine hands every value over as a text."""
    as_text = {
        key: value if isinstance(value, str) else yaml.safe_dump(value, default_flow_style=True, width=10**6).strip()
        for key, value in shipped("dev").items()
    }
    as_json = {key: json.dumps(value) for key, value in shipped("dev").items() if not isinstance(value, str)}
    assert settings.parse({**as_text, **as_json}, "dev") == settings.parse(shipped("dev"), "dev")


@pytest.mark.parametrize("name", ["models", "gs://models", "gs://models/"])
def test_a_bucket_may_be_named_with_its_scheme(name: str) -> None:
    assert settings.parse(put(shipped("dev"), "modelBucket.name", name), "dev").model_bucket.name == "models"


def test_two_stacks_share_a_domain_only_if_both_fit() -> None:
    config = _two("stacks", "dev", name="second")
    with pytest.raises(settings.SettingsError, match="and other stacks take 2"):
        settings.parse(config, "dev")
    assert len(settings.parse(put(config, "domains[0].nodes", 4), "dev").stacks) == 2


def test_two_domains_never_share_a_sub_block() -> None:
    with pytest.raises(settings.SettingsError, match="a sub-block is one NVLink domain"):
        settings.parse(_two("domains", "prod", name="a4x-1"), "prod")


def test_the_domains_of_a_created_cluster_share_a_zone() -> None:
    config = _two("domains", "prod", name="a4x-1", zone="us-central1-c", reservation="other")
    with pytest.raises(settings.SettingsError, match="share one RDMA network"):
        settings.parse(config, "prod")


def test_a_secret_is_never_shown_in_a_message() -> None:
    config = put(put(shipped("dev"), "ngcApiKey", "nvapi-made-up"), "oops", 1)
    with pytest.raises(settings.SettingsError) as caught:
        settings.parse(config, "dev")
    assert "nvapi-made-up" not in str(caught.value)


def test_a_stack_name_leaves_room_for_the_suffix() -> None:
    longest = "a" * naming.STACK_MAX
    assert settings.parse(put(shipped("dev"), "stacks[0].name", longest), "dev").stacks[0].name == longest
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
        ("cluster.deviceNetworks.rdmaNetwork", "required with `deviceNetworks`", ()),
        ("cluster.network.podsRange", "required", ("adopt",)),
        ("cluster.network.mode", "`create`", ("create",)),
        ("domains[].zone", "required", ()),
        ("kai.mode", "`create`", ()),
        ("nodeSoftware.gibVersion", "the Dynamo release's", ()),
    ],
)
def test_a_key_is_explained_with_its_default_and_its_modes(key: str, default: str, modes: tuple[str, ...]) -> None:
    (row,) = [row for row in config_reference.rows(settings.Settings) if row.key == key]
    assert (row.default, row.modes) == (default, modes)
    assert f"| `{key}` | {row.meaning}" in config_reference.page()
