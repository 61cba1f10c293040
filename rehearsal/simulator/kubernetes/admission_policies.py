"""ValidatingAdmissionPolicy: requests that policies of the cluster deny.

Their CEL is evaluated as written, by an evaluator other than the API server's; the API server's extensions of the
language are added here. What decides was read in Kubernetes (apiserver, plugin/policy/validating): a condition that is
false leaves the request alone, whatever the others do; an error is decided by the failure policy. Parameters and audit
annotations are rejected, so that none is silently not enforced (P7, P8).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, cast

from rehearsal.simulator.kubernetes.system_objects import NAMESPACE
from rehearsal.simulator.service import Failure
from rehearsal.simulator.state import ApiError, CloudResource, CloudState
from rehearsal.simulator.values import Props, items, many, mapping, text

POLICY = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicy"
BINDING = "kubernetes:admissionregistration.k8s.io/v1:ValidatingAdmissionPolicyBinding"
_NOT_EVALUATED = ("paramKind", "auditAnnotations")
_OPERATIONS = {"CREATE", "UPDATE", "DELETE"}


def judge(policy: Props) -> list[Failure]:
    """Problems of a policy: CEL that does not parse, and what is not evaluated here."""
    failures = [
        Failure(f"spec.{key}", "is not evaluated by the embedded cloud (P8: parameters have traps)")
        for key in _NOT_EVALUATED
        if mapping(policy, "spec").get(key)
    ]
    for index, rule in enumerate(items(policy, "spec.matchConstraints.resourceRules")):
        if not {str(operation) for operation in many(rule, "operations")} <= _OPERATIONS:
            where = f"spec.matchConstraints.resourceRules[{index}].operations"
            failures.append(Failure(where, f"the embedded cloud evaluates {', '.join(sorted(_OPERATIONS))} alone"))
    for path, expression in _expressions(policy):
        reason = _syntax_error(expression)
        if reason:
            failures.append(Failure(path, f"Invalid value: {expression!r}: compilation failed: {reason}"))
    return failures


def refuse_deletion(state: CloudState, resource: CloudResource) -> None:
    """Raise the denial of the first bound policy that does not allow the deletion of this object."""
    refuse(state, resource.scope, "DELETE", None, resource.outputs)


def refuse(state: CloudState, cluster: str, operation: str, body: Props | None, old: Props | None = None) -> None:
    """Raise the denial of the first bound policy that does not allow this request."""
    for denial in denials(state, cluster, operation, body, old):
        raise ApiError(denial)


def denials(
    state: CloudState, cluster: str, operation: str, body: Props | None, old: Props | None = None
) -> Iterator[str]:
    """What the bound policies say against a request that makes `body` of the object `old`."""
    asked = body or old or {}
    for binding in state.find(BINDING, scope=cluster):
        name = text(binding.outputs, "spec.policyName")
        policy = state.get(POLICY, name, cluster)
        if policy is None or "Deny" not in many(binding.outputs, "spec.validationActions"):
            continue
        message = denial(policy.outputs, _known(state, cluster, operation, body, old))
        if message:
            yield (
                f'{_plural(asked)} "{text(asked, "metadata.name")}" is forbidden: ValidatingAdmissionPolicy '
                f"'{name}' with binding '{binding.id}' denied request: {message}"
            )


def _matches(rule: Props, operation: str, asked: Props) -> bool:
    group, _, version = text(asked, "apiVersion").rpartition("/")
    names = many(rule, "resourceNames")
    return (
        _in(many(rule, "apiGroups"), group)
        and _in(many(rule, "apiVersions"), version)
        and _in(many(rule, "operations"), operation)
        and _in(many(rule, "resources"), _plural(asked))
        and (not names or text(asked, "metadata.name") in names)
    )


def _in(allowed: list[Any], value: str) -> bool:
    return "*" in allowed or value in allowed


def _plural(asked: Props) -> str:
    """The resource's name in the API."""
    return f"{text(asked, 'kind').lower()}s"


def _known(state: CloudState, cluster: str, operation: str, body: Props | None, old: Props | None) -> dict[str, Any]:
    """The variables of an expression."""
    asked = body or old or {}
    name, space = text(asked, "metadata.name"), text(asked, "metadata.namespace")
    namespace = state.get(NAMESPACE, space, cluster)
    return {
        "object": body,
        "oldObject": old,
        # The API server gives every namespace its name as a label; nobody else's namespaces are kept here.
        "namespaceObject": namespace.outputs if namespace else {"metadata": {"name": space}},
        "request": {"operation": operation, "name": name, "namespace": space},
    }


def denial(policy: Props, known: Mapping[str, Any]) -> str:
    """Why a bound policy denies a request, of which `known` are the variables; empty if it does not."""
    asked, operation = known["object"] or known["oldObject"], text(known["request"], "operation")
    if not any(_matches(rule, operation, asked) for rule in items(policy, "spec.matchConstraints.resourceRules")):
        return ""
    try:
        if not _meant(policy, known):
            return ""
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


def _meant(policy: Props, known: Mapping[str, Any]) -> bool:
    """Whether all conditions are met. Raises the `CelError` of one only if none of the others is false."""
    failed: CelError | None = None
    for condition in items(policy, "spec.matchConditions"):
        try:
            if not evaluate(text(condition, "expression"), known, {}):
                return False
        except CelError as error:
            failed = error
    if failed:
        raise failed
    return True


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
    context = {name: cel.json_to_cel(value) for name, value in known.items()}
    context["variables"] = cel.celtypes.MapType({cel.celtypes.StringType(k): v for k, v in variables.items()})
    try:
        return _program(expression).evaluate(context)
    except (cel.CELEvalError, cel.CELParseError) as error:
        raise CelError(f"expression '{expression}' resulted in error: {error.args[0]}") from error


@cache
def _program(expression: str) -> Any:
    environment = _cel().Environment()
    return environment.program(environment.compile(expression), functions={"join": _join})


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
    found += [
        (f"spec.matchConditions[{index}].expression", text(condition, "expression"))
        for index, condition in enumerate(items(policy, "spec.matchConditions"))
    ]
    for index, validation in enumerate(items(policy, "spec.validations")):
        keys = [key for key in ("expression", "messageExpression") if text(validation, key)]
        found += [(f"spec.validations[{index}].{key}", text(validation, key)) for key in keys]
    return found


def _cel() -> Any:
    # Its import takes as long as a whole preview, and most runs delete nothing that a policy guards.
    import celpy  # noqa: PLC0415

    return cast("Any", celpy)
