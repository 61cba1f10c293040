"""ValidatingAdmissionPolicy: deletions that policies of the cluster deny.

Their CEL is evaluated as written, by an evaluator other than the API server's; the API server's extensions of the
language are added here. Only policies for deletions are evaluated (P7, P8): any other is rejected, so that none is
silently not enforced.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, cast

from rehearsal.simulator.kubernetes.system_objects import NAMESPACE
from rehearsal.simulator.service import Failure
from rehearsal.simulator.state import ApiError, CloudResource, CloudState
from rehearsal.simulator.values import Props, items, many, mapping, text

POLICY = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy"
BINDING = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding"
_NOT_EVALUATED = ("paramKind", "matchConditions", "auditAnnotations")


def judge(policy: Props) -> list[Failure]:
    """Problems of a policy: CEL that does not parse, and what is not evaluated here."""
    failures = [
        Failure(f"spec.{key}", "is not evaluated by the embedded cloud (P8: parameters have traps)")
        for key in _NOT_EVALUATED
        if mapping(policy, "spec").get(key)
    ]
    for index, rule in enumerate(items(policy, "spec.matchConstraints.resourceRules")):
        if many(rule, "operations") != ["DELETE"]:
            where = f"spec.matchConstraints.resourceRules[{index}].operations"
            failures.append(Failure(where, "the embedded cloud evaluates policies of DELETE alone"))
    for path, expression in _expressions(policy):
        reason = _syntax_error(expression)
        if reason:
            failures.append(Failure(path, f"Invalid value: {expression!r}: compilation failed: {reason}"))
    return failures


def refuse_deletion(state: CloudState, resource: CloudResource) -> None:
    """Raise the denial of the first bound policy that does not allow the deletion of this object."""
    for binding in state.find(BINDING, scope=resource.scope):
        name = text(binding.outputs, "spec.policyName")
        policy = state.get(POLICY, name, resource.scope)
        if policy is None or "Deny" not in many(binding.outputs, "spec.validationActions"):
            continue
        rules = items(policy.outputs, "spec.matchConstraints.resourceRules")
        if not any(_matches(rule, resource) for rule in rules):
            continue
        message = _denial(state, policy.outputs, resource)
        if message:
            plural, where = _plural(resource)
            raise ApiError(
                f'{plural} "{text(resource.outputs, "metadata.name")}" {where}: ValidatingAdmissionPolicy '
                f"'{name}' with binding '{binding.id}' denied request: {message}"
            )


def _matches(rule: Props, resource: CloudResource) -> bool:
    api_version = str(resource.outputs.get("apiVersion"))
    group, _, version = api_version.rpartition("/")
    names = many(rule, "resourceNames")
    return (
        _in(many(rule, "apiGroups"), group)
        and _in(many(rule, "apiVersions"), version)
        and _in(many(rule, "operations"), "DELETE")
        and _in(many(rule, "resources"), _plural(resource)[0])
        and (not names or text(resource.outputs, "metadata.name") in names)
    )


def _in(allowed: list[Any], value: str) -> bool:
    return "*" in allowed or value in allowed


def _plural(resource: CloudResource) -> tuple[str, str]:
    """The resource's name in the API, and the text of its denial."""
    return f"{resource.kind.rsplit(':', 1)[-1].lower()}s", "is forbidden"


def _denial(state: CloudState, policy: Props, resource: CloudResource) -> str:
    """Why the policy denies the deletion; empty if it does not."""
    namespace = state.get(NAMESPACE, text(resource.outputs, "metadata.namespace"), resource.scope)
    known: dict[str, Any] = {
        "oldObject": resource.outputs,
        "object": None,
        "namespaceObject": namespace.outputs if namespace else None,
        "request": {"operation": "DELETE", "name": text(resource.outputs, "metadata.name")},
    }
    try:
        variables = dict[str, Any]()
        for variable in items(policy, "spec.variables"):
            variables[text(variable, "name")] = evaluate(text(variable, "expression"), known, variables)
        for validation in items(policy, "spec.validations"):
            if not evaluate(text(validation, "expression"), known, variables):
                return _message(validation, known, variables)
    except CelError as error:
        # failurePolicy Fail, the default.
        return "" if text(policy, "spec.failurePolicy") == "Ignore" else f"{error}"
    return ""


def _message(validation: Props, known: Mapping[str, Any], variables: Mapping[str, Any]) -> str:
    if text(validation, "reason") != "Forbidden":
        return "(the API server garbles the text of any reason but Forbidden: P7)"
    expression, fixed = text(validation, "messageExpression"), text(validation, "message")
    said = str(evaluate(expression, known, variables)) if expression else ""
    # The API server uses the fixed text if the expression's has line breaks.
    return said if said and "\n" not in said else fixed or f"failed expression: {text(validation, 'expression')}"


class CelError(Exception):
    """An expression that cannot be evaluated."""


def evaluate(expression: str, known: Mapping[str, Any], variables: Mapping[str, Any]) -> Any:
    """The value of a CEL expression, as the evaluator's own types.

    Raises:
        CelError: it does not parse, or refers to something that does not exist.
    """
    cel = _cel()
    environment = cel.Environment()
    context = {name: cel.json_to_cel(value) for name, value in known.items()}
    context["variables"] = cel.celtypes.MapType({cel.celtypes.StringType(k): v for k, v in variables.items()})
    try:
        program = environment.program(environment.compile(expression), functions={"join": _join})
        return program.evaluate(context)
    except (cel.CELEvalError, cel.CELParseError) as error:
        raise CelError(f"expression '{expression}' resulted in error: {error.args[0]}") from error


def _join(texts: Any, separator: Any = "") -> Any:
    """`list.join(separator)`: Kubernetes has it from the string extensions of CEL."""
    return _cel().celtypes.StringType(str(separator).join(map(str, texts)))


@cache
def _syntax_error(expression: str) -> str:
    cel = _cel()
    try:
        cel.Environment().compile(expression)
    except cel.CELParseError as error:
        return str(error.args[0])
    return ""


def _expressions(policy: Props) -> list[tuple[str, str]]:
    found = [
        (f"spec.variables[{index}].expression", text(variable, "expression"))
        for index, variable in enumerate(items(policy, "spec.variables"))
    ]
    for index, validation in enumerate(items(policy, "spec.validations")):
        keys = [key for key in ("expression", "messageExpression") if text(validation, key)]
        found += [(f"spec.validations[{index}].{key}", text(validation, key)) for key in keys]
    return found


def _cel() -> Any:
    # Its import takes as long as a whole preview, and most runs delete nothing that a policy guards.
    import celpy  # noqa: PLC0415

    return cast("Any", celpy)
