"""Admission policies in the embedded cloud: what a ValidatingAdmissionPolicy refuses. One test, one rule."""

from __future__ import annotations

from typing import Any

import pytest

from rehearsal.simulator import ApiError, CloudResource
from rehearsal.simulator.values import Props
from tests.engine.driver import CheckError, Driver, kube_inputs, token

POLICY, BINDING = "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding"
GROUP = "admissionregistration.k8s.io/v1"
IN_USE = "!(has(namespaceObject.metadata.annotations) && namespaceObject.metadata.annotations.exists(k, k == 'used'))"


@pytest.fixture
def cloud() -> Driver:
    made = Driver()
    made.cluster()
    return made


def policy(expression: str = IN_USE, *, names: tuple[str, ...] = ("guard",), **more: Any) -> Props:
    rule = {
        "apiGroups": [""],
        "apiVersions": ["v1"],
        "operations": ["DELETE"],
        "resources": ["configmaps"],
        **({"resourceNames": list(names)} if names else {}),
    }
    validation = {"expression": expression, "reason": "Forbidden", "messageExpression": "'used in ' + oldObject.kind"}
    spec = {"matchConstraints": {"resourceRules": [rule]}, "validations": [{**validation, **more.pop("said", {})}]}
    return kube_inputs(GROUP, POLICY, "p", spec={**spec, **more})


def enforced(cloud: Driver, inputs: Props) -> CloudResource:
    cloud.create(token(GROUP, POLICY), "p", inputs)
    return cloud.kube(GROUP, BINDING, "b", spec={"policyName": "p", "validationActions": ["Deny"]})


def guard(cloud: Driver, *, used: bool = True, name: str = "guard") -> CloudResource:
    made = cloud.namespace("n")
    if used:
        made.outputs["metadata"]["annotations"] = {"used": "yes"}
    return cloud.kube("v1", "ConfigMap", name, "n")


def test_a_bound_policy_refuses_the_deletion_in_the_api_servers_words(cloud: Driver) -> None:
    enforced(cloud, policy())
    words = (
        "^configmaps \"guard\" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'b' denied request: "
        "used in ConfigMap$"
    )
    with pytest.raises(ApiError, match=words):
        cloud.delete(guard(cloud))


def test_a_policy_that_holds_refuses_nothing(cloud: Driver) -> None:
    enforced(cloud, policy())
    cloud.delete(guard(cloud, used=False))


def test_a_policy_that_is_not_bound_is_not_enforced(cloud: Driver) -> None:
    made = guard(cloud)
    binding = enforced(cloud, policy())
    cloud.delete(binding)
    cloud.delete(made)


def test_objects_of_other_names_and_kinds_are_left_alone(cloud: Driver) -> None:
    enforced(cloud, policy())
    cloud.delete(guard(cloud, name="other"))
    cloud.delete(cloud.kube("v1", "Secret", "guard", "n"))


def test_an_expression_that_fails_refuses_unless_the_policy_says_otherwise(cloud: Driver) -> None:
    inputs = policy("namespaceObject.metadata.annotations.exists(k, k == 'x')")
    enforced(cloud, inputs)
    made = guard(cloud, used=False)
    with pytest.raises(ApiError, match="resulted in error"):
        cloud.delete(made)
    cloud.state.find(token(GROUP, POLICY))[0].outputs["spec"]["failurePolicy"] = "Ignore"
    cloud.delete(made)


def test_without_the_reason_forbidden_nobody_learns_why(cloud: Driver) -> None:
    enforced(cloud, policy(said={"reason": "Invalid"}))
    with pytest.raises(ApiError, match="garbles"):
        cloud.delete(guard(cloud))


def test_a_message_of_two_lines_gives_way_to_the_fixed_one(cloud: Driver) -> None:
    enforced(cloud, policy(said={"messageExpression": "'one' + '\\n' + 'two'", "message": "in use"}))
    with pytest.raises(ApiError, match=r"denied request: in use$"):
        cloud.delete(guard(cloud))


def test_variables_are_known_to_what_comes_after_them(cloud: Driver) -> None:
    variables = [
        {"name": "keys", "expression": "['a', 'b'].filter(k, k != 'c')"},
        {"name": "text", "expression": "variables.keys.map(k, k + '!').join(', ')"},
    ]
    enforced(cloud, policy("false", variables=variables, said={"messageExpression": "variables.text"}))
    with pytest.raises(ApiError, match=r"denied request: a!, b!$"):
        cloud.delete(guard(cloud))


@pytest.mark.parametrize(
    ("inputs", "where"),
    [
        (policy("1 +"), "spec.validations[0].expression"),
        (policy(paramKind={"apiVersion": "v1", "kind": "ConfigMap"}), "spec.paramKind"),
        (policy(matchConditions=[{"name": "m", "expression": "1 +"}]), "spec.matchConditions[0].expression"),
        (policy(auditAnnotations=[{"key": "k", "valueExpression": "'v'"}]), "spec.auditAnnotations"),
    ],
)
def test_a_policy_that_does_not_parse_or_would_not_be_enforced_is_refused(
    cloud: Driver, inputs: Props, where: str
) -> None:
    with pytest.raises(CheckError) as caught:
        cloud.check(token(GROUP, POLICY), "p", inputs)
    assert list(caught.value.failures) == [where]


@pytest.mark.parametrize(
    ("conditions", "refused"),
    [
        (["true"], True),
        (["true", "false"], False),
        (["absent.field", "false"], False),
        (["absent.field", "true"], True),
    ],
)
def test_a_condition_that_is_false_leaves_the_request_alone_whatever_the_others_do(
    cloud: Driver, conditions: list[str], refused: bool
) -> None:
    named = [{"name": f"c{i}", "expression": expression} for i, expression in enumerate(conditions)]
    enforced(cloud, policy("false", matchConditions=named))
    made = guard(cloud)
    if not refused:
        cloud.delete(made)
        return
    with pytest.raises(ApiError, match="denied request"):
        cloud.delete(made)


def of_pods(*operations: str) -> Props:
    inputs = policy("object.metadata.labels.team == 'ours'", names=(), said={"messageExpression": "'not ours'"})
    (rule,) = inputs["spec"]["matchConstraints"]["resourceRules"]
    rule.update({"operations": list(operations), "resources": ["pods"]})
    return inputs


def template(team: str) -> Props:
    return {"metadata": {"labels": {"team": team}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}


def test_a_pod_is_refused_itself_or_to_what_would_make_it(cloud: Driver) -> None:
    enforced(cloud, of_pods("CREATE"))
    cloud.namespace("n")
    for team, refused in (("ours", False), ("theirs", True)):
        body = template(team)
        for kind, fields in (
            ("Pod", {"spec": body["spec"]}),
            ("Deployment", {"spec": {"selector": {"matchLabels": {"team": team}}, "template": body}}),
        ):
            group = "v1" if kind == "Pod" else "apps/v1"
            inputs = kube_inputs(group, kind, f"{team}-x", "n", **fields)
            inputs["metadata"]["labels"] = {"team": team}
            if not refused:
                cloud.create(token(group, kind), f"{team}-x", inputs)
                continue
            with pytest.raises(ApiError, match=r"pods .* is forbidden: .* denied request: not ours$"):
                cloud.create(token(group, kind), f"{team}-x", inputs)


def test_a_change_is_judged_by_a_policy_of_changes(cloud: Driver) -> None:
    cloud.namespace("n")
    made = cloud.kube("v1", "Pod", "p", "n", spec=template("ours")["spec"])
    enforced(cloud, of_pods("UPDATE"))
    inputs = kube_inputs("v1", "Pod", "p", "n", spec=template("ours")["spec"])
    cloud.update(made, {**inputs, "metadata": {**inputs["metadata"], "labels": {"team": "ours"}}})
    with pytest.raises(ApiError, match="not ours"):
        cloud.update(made, {**inputs, "metadata": {**inputs["metadata"], "labels": {"team": "theirs"}}})
