"""What keeps a platform that others use from being destroyed: the guards, the policy and who says that they use it."""

from __future__ import annotations

from typing import Any

import pytest

from components.platform.platform_guard import (
    NAMESPACE,
    Part,
    environment_guard,
    part_guard,
    policy_spec,
    user_annotation,
)
from rehearsal.simulator.kubernetes import admission_policies
from tests.conftest import recorded
from tests.recorder import Recording, Resource, run_program

POLICY = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy"
PATCH = "kubernetes:core/v1:NamespacePatch"
ADOPTING = {
    "dynamo-a4x:kai": {"mode": "adopt"},
    "dynamo-a4x:dynamo": {"mode": "adopt", "version": "0.7.0"},
    "dynamo-a4x:draDriver": {"mode": "adopt"},
}


def guards(recording: Recording) -> dict[str, Resource]:
    return {
        resource.name: resource
        for resource in recording.resources
        if resource.type == "kubernetes:core/v1:ConfigMap" and resource.name.startswith("guard-")
    }


def users_of(guard: str, annotations: dict[str, str] | None, parts: list[Part]) -> str:
    """The policy's answer to the deletion of a guard: its message, or an empty text."""
    spec: Any = policy_spec("dev", parts)
    metadata: dict[str, Any] = {"name": NAMESPACE, **({} if annotations is None else {"annotations": annotations})}
    known = {"oldObject": {"metadata": {"name": guard}}, "namespaceObject": {"metadata": metadata}}
    variables: dict[str, Any] = {}
    for variable in spec["variables"]:
        variables[variable["name"]] = admission_policies.evaluate(variable["expression"], known, variables)
    (validation,) = spec["validations"]
    if admission_policies.evaluate(validation["expression"], known, variables):
        return ""
    return str(admission_policies.evaluate(validation["message_expression"], known, variables))


BOB, CAROL = user_annotation("bob", "acme/dynamo-a4x/bob"), user_annotation("carol", "acme/dynamo-a4x/carol")
USERS = {BOB: "acme/dynamo-a4x/bob [dynamo] [dra-driver]", CAROL: "acme/dynamo-a4x/carol [dynamo]"}
MADE: list[Part] = ["dynamo", "dra-driver"]


@pytest.mark.parametrize("annotations", [None, {}, {"a": "b", "dynamo-a4x-user/x": "[dynamo]"}])
def test_a_platform_that_nobody_uses_may_go(annotations: dict[str, str] | None) -> None:
    for guard in (*map(part_guard, MADE), environment_guard("dev")):
        assert not users_of(guard, annotations, MADE)


def test_every_user_is_named_and_what_to_do() -> None:
    said = users_of(environment_guard("dev"), USERS, MADE)
    assert "acme/dynamo-a4x/bob [dynamo] [dra-driver], acme/dynamo-a4x/carol [dynamo]" in said
    assert "destroy these stacks first" in said
    assert f"kubectl annotate namespace default {BOB}- {CAROL}-" in said
    assert "\n" not in said


def test_a_part_is_held_by_its_own_users_alone() -> None:
    assert "carol" not in users_of(part_guard("dra-driver"), USERS, MADE)
    assert "bob" in users_of(part_guard("dra-driver"), USERS, MADE)
    assert not users_of(part_guard("dra-driver"), {CAROL: USERS[CAROL]}, MADE)
    assert not users_of(part_guard("kai"), USERS, MADE)


def test_a_part_that_was_given_up_is_held_by_its_users_still() -> None:
    # The policy is changed before the guard is deleted.
    assert "bob" in users_of(part_guard("dynamo"), USERS, ["dra-driver"])


def test_an_environment_is_held_by_the_users_of_what_it_makes_alone() -> None:
    assert not users_of(environment_guard("dev"), {CAROL: USERS[CAROL]}, ["dra-driver"])


def test_the_policy_names_guards_takes_no_parameters_and_answers_forbidden() -> None:
    spec: Any = policy_spec("dev", MADE)
    (rule,) = spec["match_constraints"]["resource_rules"]
    assert (rule["operations"], rule["resources"]) == (["DELETE"], ["configmaps"])
    parts: tuple[Part, ...] = ("dynamo", "kai", "dra-driver")
    assert set(rule["resource_names"]) == {*map(part_guard, parts), environment_guard("dev")}
    assert "param_kind" not in spec
    assert "match_conditions" not in spec
    assert [validation["reason"] for validation in spec["validations"]] == ["Forbidden"]
    assert spec["failure_policy"] == "Fail"


def test_what_the_policy_refuses_is_refused_and_not_warned_of(deployed: Recording) -> None:
    binding, policy = deployed.find(name="guard-binding").inputs, deployed.find(name="guard-policy").inputs
    assert binding["spec"] == {"policyName": policy["metadata"]["name"], "validationActions": ["Deny"]}


def test_the_environments_guard_is_deleted_before_everything_else(deployed: Recording) -> None:
    guard = guards(deployed)["guard-environment"]
    others = [resource for resource in deployed.resources if resource.custom and resource is not guard]
    assert [str(other) for other in others if not deployed.depends_on_transitively(guard, other)] == []


def test_a_parts_guard_is_deleted_before_the_part_and_while_the_policy_is_bound(deployed: Recording) -> None:
    made = guards(deployed)
    releases = (("dynamo", "dynamo-release"), ("kai", "kai-release"), ("dra-driver", "dra-driver-release"))
    for part, release in releases:
        guard = made[f"guard-{part}"]
        needed = {other.name for other in deployed.resources if deployed.depends_on_transitively(guard, other)}
        assert {release, "guard-binding", "guard-policy"} <= needed
        # Made as soon as the part is: a stack that does not come up leaves it guarded.
        assert not any("r1-" in name for name in needed)


def test_another_namespace_or_line_of_releases_is_another_part_and_an_upgrade_within_one_is_not(
    deployed: Recording,
) -> None:
    guard = guards(deployed)["guard-dynamo"]
    assert guard.inputs["data"] == {"guards": "dynamo", "namespace": "dynamo-cloud", "line": "0.7"}
    data = {urn.rsplit("::", 1)[-1] for urn in guard.property_dependencies["data"]}
    assert data == {"dynamo-namespace"}


def test_what_an_environment_uses_and_does_not_make_stands_on_the_namespace_default() -> None:
    recording = run_program("dev", config=ADOPTING)
    (use,) = [resource for resource in recording.resources if resource.type == PATCH]
    metadata = use.inputs["metadata"]
    assert metadata["name"] == NAMESPACE
    said = [value for key, value in metadata["annotations"].items() if key.startswith("dynamo-a4x-users/dev.")]
    assert len(said) == 1
    assert said[0].endswith("/dev [dra-driver] [dynamo] [kai]")
    assert not guards(recording)
    graph = next(r for r in recording.resources if r.type.endswith(":DynamoGraphDeployment"))
    assert recording.depends_on_transitively(graph, use)


def test_an_environment_that_makes_all_it_uses_says_nothing(stack: str) -> None:
    assert not [resource for resource in recorded(stack).resources if resource.type == PATCH]


def test_environments_that_are_called_alike_have_annotations_of_their_own() -> None:
    assert user_annotation("dev", "acme/one/dev") != user_annotation("dev", "acme/two/dev")
