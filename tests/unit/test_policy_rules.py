"""The rules of the policy pack, without an engine; `tests/engine/test_policy.py` has them in it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policy import config
from policy.catalog import RULES
from policy.images import RELEASE as RELEASE_TYPE
from policy.rule import UNKNOWN, Provider, Resource, Rule, Run, at
from tests import policy_cases, recorder
from tests.conftest import recorded
from tests.policy_cases import KEY, PROVIDERS, Case, Example
from tests.recorder import ROOT
from tools import policy_rules

BY_NAME = {rule.name: rule for rule in RULES}


def run(**values: str) -> Run:
    known = {"gcp:project": "my-project", "dynamo-a4x:hfToken": KEY, **values}
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
    settings = {"gpus": 72} if rule.name == "gpu-limit" else {}
    [finding] = findings(rule, resource(case.example("bad")), within, **settings)
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
        ("bucket-writers", 1, {"writers": ["serviceAccount:somebody@{project}.*"]}),
        ("image-registry", 1, {"registries": ["docker.io/python"]}),
        ("image-registry", 4, {"registries": ["nvcr.io/*", "quay.io/*"]}),
        ("chart-source", 1, {"sources": ["ghcr.io"]}),
        ("known-namespace", 2, {"shared": ["somewhere/Service"]}),
        ("known-namespace", 1, {"clusterWide": ["Service"]}),
        ("labelled", 2, {"labels": ["app.kubernetes.io/managed-by"]}),
        ("privileged-pods", 3, {"roles": ["Job/download-*"]}),
        ("no-plaintext-secrets", 1, {"keys": ["ngcApiKey"], "names": []}),
    ],
)
def test_a_company_loosens_a_rule_by_config(rule: str, case: int, settings: dict[str, Any]) -> None:
    [chosen] = [one for one in policy_cases.cases() if (one.rule, one.number) == (rule, case)]
    within = started()
    findings(BY_NAME[rule], resource(chosen.example("good")), within)
    assert findings(BY_NAME[rule], resource(chosen.example("bad")), within, **settings) == []


LABELS = {"app.kubernetes.io/managed-by": "p", "app.kubernetes.io/part-of": "p", "dynamo-a4x/environment": "prod"}
METADATA = {"name": "x", "namespace": "r1-10p8d", "labels": LABELS}
RELEASE: dict[str, Any] = {"namespace": "r1-10p8d", "version": "1.2.3", "chart": "oci://ghcr.io/nvidia/x"}
JOB = "kubernetes:batch/v1:Job"


def pod(spec: Mapping[str, Any], name: Any = "x") -> dict[str, Any]:
    return {"metadata": {**METADATA, "name": name}, "spec": {"template": {"spec": spec}}}


def container(**more: Any) -> dict[str, Any]:
    return {"containers": [{"name": "c", "image": "nvcr.io/nvidia/x:1", **more}]}


@pytest.mark.parametrize(
    ("type_", "inputs", "secrets"),
    [
        (JOB, pod(container(), UNKNOWN) | {"spec": {"template": {"spec": {"hostPID": True, **container()}}}}, ()),
        (JOB, pod(container(image=UNKNOWN)), ()),
        (JOB, pod({"containers": UNKNOWN, "volumes": [{"name": "v", "hostPath": UNKNOWN}]}), ()),
        (JOB, pod(container(env=[{"name": "API_TOKEN", "valueFrom": {"secretKeyRef": {"name": "s"}}}])), ()),
        (JOB, pod(container(env=[{"name": "SORT_KEY", "value": "created"}, {"name": "A_TOKEN", "value": ""}])), ()),
        (JOB, pod(container(env=[{"name": "PULL_SECRET_NAME", "value": "nvcr"}])), ()),
        (JOB, pod(container(env=[{"name": "PULL_SECRET", "value": "nvcr-secret"}])), ()),
        (JOB, pod(container(env=[{"name": "ZONE_KEY", "value": "topology.kubernetes.io/zone"}])), ()),
        ("kubernetes:core/v1:ConfigMap", {"metadata": METADATA, "data": {"secret-store.yaml": "kind: Store"}}, ()),
        (RELEASE_TYPE, {**RELEASE, "values": {"logoImage": "/static/logo.png", "env": [{"name": "secretName"}]}}, ()),
        (JOB, pod(container(image="gcr.io/my-project/x:1")), ()),
        (RELEASE_TYPE, {**RELEASE, "values": {"image": {"repository": "nvcr.io/nvidia/x", "tag": UNKNOWN}}}, ()),
        (RELEASE_TYPE, {**RELEASE, "values": {"image": {"registry": UNKNOWN, "repository": "x", "tag": "1"}}}, ()),
        (RELEASE_TYPE, {**RELEASE, "values": {"image": {"repository": UNKNOWN, "tag": UNKNOWN}}}, ()),
        (RELEASE_TYPE, {**RELEASE, "values": UNKNOWN, "version": UNKNOWN}, ()),
        (RELEASE_TYPE, {**RELEASE, "values": {"image": {"repository": "nvcr.io/nvidia/x:1", "tag": ""}}}, ()),
        (RELEASE_TYPE, {**RELEASE, "values": {"key": "hf_" + 34 * "a"}}, [("values",)]),
        (
            RELEASE_TYPE,
            {**RELEASE, "values": {"global": {"imageRegistry": "nvcr.io"}, "image": {"repository": "nvidia/x"}}},
            (),
        ),
        ("kubernetes:core/v1:SecretPatch", {"metadata": METADATA, "stringData": {"k": KEY}}, [("stringData",)]),
        ("kubernetes:core/v1:Service", {"metadata": UNKNOWN, "spec": {"type": "LoadBalancer"}}, ()),
        (
            "kubernetes:core/v1:Service",
            {"metadata": METADATA, "spec": {"type": "LoadBalancer", "loadBalancerClass": UNKNOWN}},
            (),
        ),
        (
            "kubernetes:networking.k8s.io/v1:Ingress",
            {"metadata": {**METADATA, "annotations": {"kubernetes.io/ingress.class": "gce-internal"}}},
            (),
        ),
        (
            "gcp:storage/bucketIAMMember:BucketIAMMember",
            {"role": "projects/my-project/roles/reader", "member": "user:a@example.com"},
            (),
        ),
        ("gcp:projects/iAMMember:IAMMember", {"role": UNKNOWN, "member": "allUsers"}, ()),
    ],
)
def test_what_is_valid_or_not_known_is_not_refused(type_: str, inputs: dict[str, Any], secrets: Any) -> None:
    within = started()
    judged = Resource(type_, "x", "urn::x", inputs, provider=None, secrets=frozenset(secrets))
    said = {rule.name: findings(rule, judged, within) for rule in RULES if rule.level == "mandatory"}
    assert {name: texts for name, texts in said.items() if texts} == {}


@pytest.mark.parametrize(
    ("rule", "type_", "role", "member"),
    [
        ("no-public-access", "gcp:secretmanager/secretIamPolicy:SecretIamPolicy", "roles/x", "allUsers"),
        ("no-basic-roles", "gcp:projects/iAMPolicy:IAMPolicy", "roles/owner", "user:a@example.com"),
        ("no-basic-roles", "gcp:projects/iAMMember:IAMMember", "roles/admin", "user:a@example.com"),
        ("bucket-writers", "gcp:storage/bucketIAMPolicy:BucketIAMPolicy", "roles/storage.admin", "user:a@example.com"),
    ],
)
def test_roles_are_found_in_every_form(rule: str, type_: str, role: str, member: str) -> None:
    policy = json.dumps({"bindings": [{"role": role, "members": [member]}]})
    inputs = {"policyData": policy} if "Policy" in type_ else {"role": role, "member": member}
    [finding] = findings(BY_NAME[rule], Resource(type_, "x", "urn::x", inputs), run())
    assert member in finding


def test_a_policy_that_is_no_json_is_no_traceback() -> None:
    judged = Resource("gcp:projects/iAMPolicy:IAMPolicy", "x", "urn::x", {"policyData": "{"})
    assert findings(BY_NAME["no-public-access"], judged, run()) == []


def test_without_a_project_nothing_is_the_projects_own() -> None:
    judged = Resource(JOB, "x", "urn::x", pod(container(image="us-docker.pkg.dev/somebody/x:1")))
    assert findings(BY_NAME["image-registry"], judged, Run("dynamo-a4x", "prod", {}.get))


def test_a_pool_with_a_placement_policy_of_another_kind_is_refused() -> None:
    within = run()
    spread = {"name": "spread", "groupPlacementPolicy": {"collocation": "COLLOCATED"}}
    policy = Resource("gcp:compute/resourcePolicy:ResourcePolicy", "spread", "urn::spread", spread)
    assert findings(BY_NAME["a4x-placement"], policy, within) == []
    [case] = [one for one in policy_cases.cases() if str(one) == "a4x-placement-1"]
    pool = resource(case.example("good"))
    changed = replace(pool, inputs={**pool.inputs, "placementPolicy": {"policyName": "spread"}})
    [finding] = findings(BY_NAME["a4x-placement"], changed, within)
    assert "has no workloadPolicy" in finding


@pytest.mark.parametrize("stack", ["prod", "prod2", "eu-prod", "a4x-prod-eu", "Prod", "production1", "prd"])
def test_production_is_protected_under_any_name(stack: str) -> None:
    [case] = [one for one in policy_cases.cases() if str(one) == "protected-1"]
    judged = resource(case.example("bad"))
    assert findings(BY_NAME["protected"], judged, replace(run(), stack=stack))
    assert findings(BY_NAME["protected"], judged, replace(run(), stack=stack), **{"except": [stack]}) == []


@pytest.mark.parametrize("stack", ["dev", "nonprod", "eu-non-prod", "preprod", "pre-prod"])
def test_what_is_not_production_need_not_be_protected(stack: str) -> None:
    [case] = [one for one in policy_cases.cases() if str(one) == "protected-1"]
    assert findings(BY_NAME["protected"], resource(case.example("bad")), replace(run(), stack=stack)) == []


def test_a_namespace_without_a_fixed_name_makes_no_other_one_known() -> None:
    within = run()
    named = Resource("kubernetes:core/v1:Namespace", "n", "urn::n", {"metadata": {"generateName": "a-"}})
    findings(BY_NAME["known-namespace"], named, within)
    homeless = Resource("kubernetes:core/v1:ConfigMap", "c", "urn::c", {"metadata": {"name": "x"}})
    assert findings(BY_NAME["known-namespace"], homeless, within)


# --- the config -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "is not valid JSON"),
        ("[]", "is not a JSON object of rules"),
        ('{"gpu-limits": {"gpus": 144}}', "there is no rule gpu-limits; did you mean gpu-limit?"),
        ('{"gpu-limit": {"gpu": 144}}', "gpu-limit has no setting gpu; did you mean gpus?"),
        ('{"gpu-limit": {"gpus": "144"}}', 'gpu-limit.gpus = "144" is not a whole number from 0'),
        ('{"gpu-limit": {"gpus": 71.9}}', "gpu-limit.gpus = 71.9 is not a whole number from 0"),
        ('{"gpu-limit": {"gpus": null}}', "gpu-limit.gpus = null is not a whole number from 0"),
        ('{"gpu-limit": 144}', "gpu-limit is neither a level (advisory, mandatory, disabled) nor an object"),
        ('{"image-digest": "error"}', 'image-digest: "error" is not a level'),
        ('{"image-registry": {"registries": "nvcr.io"}}', 'registries = "nvcr.io" is not a list of strings'),
        ('{"image-registry": {"enforcementLevel": [], "registries": []}}', "image-registry: [] is not a level"),
    ],
)
def test_a_config_that_would_be_ignored_is_refused_with_one_message(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "config.json"
    file.write_text(text, encoding="utf-8")
    assert config.main([str(file)]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("policy: config.json")
    assert says in line


def test_a_config_that_is_missing_is_refused(tmp_path: Path) -> None:
    [problem] = config.problems(tmp_path / "config.json")
    assert "cannot be read" in problem


def test_the_config_of_the_project_is_valid() -> None:
    assert config.main([]) == 0


def test_a_setting_that_the_rule_does_not_have_is_refused_once() -> None:
    within = run()
    pools = [Resource("gcp:container/nodePool:NodePool", name, name, {}) for name in ("a", "b")]
    [finding] = [text for pool in pools for text in findings(BY_NAME["gpu-limit"], pool, within, gpu=144)]
    assert finding == "the pack's config sets gpu, which this rule does not have. Settings: gpus"


# --- what the project ships and documents ----------------------------------------------------------------------------


def documented() -> dict[str, Any]:
    """The file of docs/how-to/check-policies.md."""
    page = (ROOT / "docs" / "how-to" / "check-policies.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    return json.loads(block)


def shipped_refused(content: Mapping[str, Any], stack: str, more: Sequence[Resource] = ()) -> list[str]:
    """What the mandatory rules say of a stack of the project with such a config."""
    within, said = run(), list[str]()
    resources = [*map(of_program, recorded(stack).resources), *more]
    for rule in RULES:
        chosen = content.get(rule.name, {})
        level = chosen if isinstance(chosen, str) else chosen.get("enforcementLevel", rule.level)
        settings = {} if isinstance(chosen, str) else {k: v for k, v in chosen.items() if k != "enforcementLevel"}
        if level == "mandatory":
            said += [
                f"{rule.name}: {one.name}: {text}"
                for one in resources
                for text in findings(rule, one, within, **settings)
            ]
    return said


def of_program(one: recorder.Resource) -> Resource:
    named = one.provider.rpartition("::")[0]
    provider = Provider(named.rpartition("::")[2], {"clusterIdentifier": "c"}) if named else None
    secrets = frozenset(tuple(path.split(".")) for path in one.secrets)
    return Resource(one.type, one.name, one.urn, one.inputs, bool(one.protect), provider, secrets)


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_documented_config_is_valid_and_refuses_nothing_that_ships(stack: str, tmp_path: Path) -> None:
    file = tmp_path / "config.json"
    file.write_text(json.dumps(documented()), encoding="utf-8")
    assert config.problems(file) == []
    assert shipped_refused(documented(), stack) == []


COMPANY: Mapping[str, Any] = {
    "workloadIdentity": "serviceAccount",
    "identities": {
        "nodeServiceAccount": "gke-nodes@my-project.iam.gserviceaccount.com",
        "modelReader": "reader@my-project.iam.gserviceaccount.com",
        "modelWriter": "writer@my-project.iam.gserviceaccount.com",
    },
    "encryption": {
        **{
            use: f"projects/keys/locations/us-central1/keyRings/r/cryptoKeys/{use}"
            for use in ("disks", "secrets", "bucket", "volumes")
        },
        "grant": True,
    },
}


def test_a_companys_keys_and_accounts_break_no_rule_and_answer_the_advice_about_keys() -> None:
    resources = [of_program(one) for one in recorder.run_program("prod", config=COMPANY).resources]
    within = run()
    said = {rule.name: [text for one in resources for text in findings(rule, one, within)] for rule in RULES}
    assert {name: text for name, text in said.items() if text and BY_NAME[name].level == "mandatory"} == {}
    assert said["customer-managed-keys"] == said["secrets-encryption"] == []


def test_a_second_domain_is_refused_until_the_limit_is_raised() -> None:
    [pool] = [of_program(one) for one in recorded("prod").resources if one.name == "domain-a4x-0-pool"]
    second = replace(
        pool, name="second", urn="urn::second", inputs={**pool.inputs, "placementPolicy": {"policyName": "a4x-1"}}
    )
    [refused] = shipped_refused({}, "prod", [second])
    assert refused.startswith("gpu-limit: second: 144 GPUs with this pool (72), the limit is 72")
    assert shipped_refused({"gpu-limit": {"gpus": 144}}, "prod", [second]) == []


def test_every_setting_can_be_changed_and_its_default_fits_its_schema() -> None:
    for rule in RULES:
        for name, setting in rule.settings.items():
            wanted = {"array": list, "integer": int}[setting.schema["type"]]
            assert isinstance(setting.default, wanted), f"{rule.name}.{name}"


def test_a_message_about_a_secret_does_not_hold_it() -> None:
    for case in policy_cases.cases():
        if case.rule == "no-plaintext-secrets":
            said = findings(BY_NAME[case.rule], resource(case.example("bad")), started())
            assert said
            assert not any(KEY in text or "nvapi-0" in text for text in said)


def test_a_secret_in_its_place_is_accepted_where_the_engine_does_not_tell_what_is_marked() -> None:
    [case] = [one for one in policy_cases.cases() if str(one) == "no-plaintext-secrets-6"]
    bad = case.example("bad")
    unmarked = Resource(bad.type, bad.name, "urn", bad.inputs, secrets=None)
    assert findings(BY_NAME[case.rule], unmarked, run()) == []


def test_the_page_of_policies_is_what_the_pack_says() -> None:
    assert policy_rules.DOCUMENT.read_text(encoding="utf-8") == policy_rules.page()
