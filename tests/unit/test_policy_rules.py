"""The rules of the policy pack, without an engine; `tests/engine/test_policy.py` has them in it."""

from __future__ import annotations

from typing import Any

import pytest

from policy.catalog import RULES
from policy.rule import UNKNOWN, Provider, Resource, Rule, Run, at
from tests import policy_cases
from tests.policy_cases import KEY, PROVIDERS, Case, Example
from tools import policy_rules

BY_NAME = {rule.name: rule for rule in RULES}


def run(**config: str) -> Run:
    known = {"gcp:project": "my-project", "dynamo-a4x:hfToken": KEY, **config}
    return Run("dynamo-a4x", "prod", known.get)


def resource(example: Example) -> Resource:
    if not example.provider:
        provider = Provider("default_9_37_1", {"region": "us-central1"})
    elif example.provider == "default":
        provider = Provider("default_4_34_2", {})
    else:
        cluster = PROVIDERS[example.provider]
        provider = Provider(example.provider, {} if cluster is None else {"clusterIdentifier": cluster})
    secrets = frozenset((name,) for name in example.secrets)
    return Resource(
        example.type, example.name, f"urn::{example.name}", example.inputs, example.protect, provider, secrets
    )


def findings(rule: Rule, judged: Resource, within: Run, **settings: Any) -> list[str]:
    return [str(finding) for finding in rule.findings(judged, settings, within)]


def started() -> Run:
    """A run that has already seen the program's namespaces."""
    begun = run()
    for one in policy_cases.namespaces():
        BY_NAME["known-namespace"].findings(Resource(one.type, one.name, one.urn, one.inputs), {}, begun)
    return begun


@pytest.mark.parametrize("case", policy_cases.cases(), ids=str)
def test_a_rule_refuses_what_breaks_it_and_accepts_what_does_not(case: Case) -> None:
    rule, within = BY_NAME[case.rule], started()
    assert findings(rule, resource(case.example("good")), within) == []
    [finding] = findings(rule, resource(case.example("bad")), within, gpus=72 if case.alone else 144)
    assert case.says in finding


def test_every_rule_has_a_case() -> None:
    assert {case.rule for case in policy_cases.cases()} == set(BY_NAME)
    assert len(BY_NAME) == len(RULES)


@pytest.mark.parametrize("case", policy_cases.cases(), ids=str)
def test_what_a_preview_does_not_know_is_not_judged(case: Case) -> None:
    good = resource(case.example("good"))
    inputs = {key: _hidden(value) for key, value in good.inputs.items()}
    provider = Provider("cluster", {"clusterIdentifier": UNKNOWN})
    unknown = Resource(good.type, good.name, good.urn, inputs, good.protect, provider, frozenset())
    assert findings(BY_NAME[case.rule], unknown, started()) == []


def _hidden(value: Any) -> Any:
    """Everything unknown but the machine type, which tells an A4X pool."""
    machine = at(value, "machineType")
    kept = isinstance(machine, str)
    return {**dict.fromkeys(value, UNKNOWN), "machineType": machine} if kept else UNKNOWN


@pytest.mark.parametrize(
    ("rule", "case", "settings"),
    [
        ("gpu-limit", 1, {"gpus": 144}),
        ("protected", 1, {"environments": ["live"]}),
        ("no-basic-roles", 1, {"members": ["serviceAccount:a4x-prod-nodes@*"]}),
        ("bucket-writers", 1, {"writers": ["serviceAccount:somebody@*"]}),
        ("image-registry", 1, {"registries": ["docker.io/python"]}),
        ("image-registry", 4, {"registries": ["nvcr.io/*", "quay.io/*"]}),
        ("chart-source", 1, {"sources": ["ghcr.io"]}),
        ("known-namespace", 2, {"shared": ["somewhere/Service"]}),
        ("known-namespace", 1, {"clusterWide": ["Service"]}),
        ("labelled", 2, {"labels": ["app.kubernetes.io/managed-by"]}),
        ("privileged-pods", 2, {"roles": ["Job/download-*"]}),
        ("no-secret-in-clear", 1, {"keys": ["ngcApiKey"]}),
    ],
)
def test_a_company_loosens_a_rule_by_config(rule: str, case: int, settings: dict[str, Any]) -> None:
    [chosen] = [one for one in policy_cases.cases() if (one.rule, one.number) == (rule, case)]
    within = started()
    findings(BY_NAME[rule], resource(chosen.example("good")), within)
    assert findings(BY_NAME[rule], resource(chosen.example("bad")), within, **settings) == []


def test_every_setting_can_be_changed_and_its_default_fits_its_schema() -> None:
    for rule in RULES:
        for name, setting in rule.settings.items():
            wanted = {"array": list, "number": int}[setting.schema["type"]]
            assert isinstance(setting.default, wanted), f"{rule.name}.{name}"


def test_a_message_about_a_secret_does_not_hold_it() -> None:
    for case in policy_cases.cases():
        if case.rule == "no-secret-in-clear":
            said = findings(BY_NAME[case.rule], resource(case.example("bad")), started())
            assert said
            assert not any(KEY in text or "nvapi-0" in text for text in said)


def test_a_secret_in_its_place_is_accepted_where_the_engine_does_not_tell_what_is_marked() -> None:
    [case] = [one for one in policy_cases.cases() if str(one) == "no-secret-in-clear-6"]
    bad = case.example("bad")
    unmarked = Resource(bad.type, bad.name, "urn", bad.inputs, secrets=None)
    assert findings(BY_NAME[case.rule], unmarked, run()) == []


def test_the_page_of_policies_is_what_the_pack_says() -> None:
    assert policy_rules.DOCUMENT.read_text(encoding="utf-8") == policy_rules.page()
