"""Patch resources (`ConfigMapPatch`, `NamespacePatch`, ...) as the plugin applies them: by server-side apply.

A patch owns its fields, under a field manager of its own. Another manager's field is a conflict if the values differ,
unless the patch is forced; deleting the patch releases its fields and removes those without another owner.

Apply creates a missing object, at deletion too: that a patch of a missing object creates it, and that its destroy
leaves it, was seen (P8); that the destroy itself applies an empty object was read in the plugin (`ssa.Relinquish` of
pulumi-kubernetes 4).

Lists are atomic: no list of a kind that is patched here is merged by keys.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, cast

from rehearsal.simulator.faults import Call
from rehearsal.simulator.state import ApiError, CloudResource, CloudState
from rehearsal.simulator.values import Props, dig, mapping, text

FIELD_MANAGER = "__fieldManager"
"""Where the plugin records the field manager in the outputs of a resource."""
MAKER = "pulumi-kubernetes"
"""The field manager of objects that the plugin creates."""
_FORCE = "pulumi.com/patchForce"
_NAMED_MANAGER = "pulumi.com/patchFieldManager"
_IDENTITY = frozenset([("apiVersion",), ("kind",), ("metadata", "name"), ("metadata", "namespace")])

Path = tuple[str, ...]


def is_patch(token: str, kind: object) -> bool:
    """Whether the type token is the patch of that kind (a custom kind's own name may end in "Patch")."""
    return token.rsplit(":", 1)[-1] == f"{kind}Patch"


def target(token: str) -> str:
    """The type token of what is patched."""
    return token.removesuffix("Patch")


def manager_of(state: CloudState, call: Call, inputs: Props) -> str:
    """The field manager of a patch: from its annotation, from the state, or a new one."""
    named = mapping(inputs, "metadata.annotations").get(_NAMED_MANAGER)
    kept = text(call.outputs_before or {}, FIELD_MANAGER)
    return str(named) if named else kept or f"pulumi-kubernetes-{state.text(8)}"


def apply(resource: CloudResource, manager: str, body: Props, *, dry_run: bool = False) -> Props:
    """Apply `body` to the object as `manager`, replacing its previous fields; returns the object."""
    wanted = dict(leaves(body))
    force = str(mapping(body, "metadata.annotations").get(_FORCE)).lower() == "true"
    refuse_conflicts(resource, manager, wanted, force=force)
    live = copy.deepcopy(resource.outputs)
    others = {name: fields for name, fields in resource.applied.items() if name != manager}
    if force:
        others = {name: _without(fields, wanted) for name, fields in others.items()}
    for path in resource.applied.get(manager, {}):
        if path not in wanted and not _owned(resource, others, path):
            _drop(live, path)
    for path, value in wanted.items():
        _put(live, path, copy.deepcopy(value))
    metadata = cast("Props", live["metadata"])
    metadata["resourceVersion"] = str(int(metadata.get("resourceVersion", 0)) + 1)
    if not dry_run:
        resource.outputs, resource.applied = live, {**others, **({manager: wanted} if wanted else {})}
    return live


def take_over(resource: CloudResource, inputs: Props, urn: str) -> None:
    """Server-side apply of a whole object that already exists; from now on it is the program's (P11)."""
    force = str(mapping(inputs, "metadata.annotations").get(_FORCE)).lower() == "true"
    refuse_conflicts(resource, f"{MAKER}-upsert", dict(leaves(inputs)), force=force)
    resource.outputs = over(resource.outputs, inputs)
    resource.inputs, resource.urn, resource.origin, resource.owner = copy.deepcopy(inputs), urn, "program", None


def over(base: Props, body: Props) -> Props:
    """`base` with the fields of `body` merged into it."""
    merged = copy.deepcopy(base)
    for path, value in leaves(body):
        _put(merged, path, copy.deepcopy(value))
    return merged


def keep(resource: CloudResource, outputs: Props) -> Props:
    """Keep all patches when the object's creator updates it."""
    for fields in resource.applied.values():
        for path, value in fields.items():
            _put(outputs, path, copy.deepcopy(value))
    return outputs


def refuse_conflicts(resource: CloudResource, manager: str, wanted: dict[Path, Any], *, force: bool = False) -> None:
    """Raise a conflict if another manager's field would get another value, like the API server."""
    if force:
        return
    conflicts: dict[str, list[str]] = {}
    for path, value in wanted.items():
        for owner in _owners(resource, path):
            if owner != manager and dig_path(resource.outputs, path) != value:
                conflicts.setdefault(owner, []).append("." + ".".join(path))
    if not conflicts:
        return
    count = sum(map(len, conflicts.values()))
    listed = "; ".join(f'conflict with "{owner}": {", ".join(paths)}' for owner, paths in conflicts.items())
    raise ApiError(
        "server-side apply field conflict detected, see https://www.pulumi.com/registry/packages/kubernetes/"
        "how-to-guides/managing-resources-with-server-side-apply/#handle-field-conflicts-on-existing-resources for "
        f'troubleshooting help\nThe resource managed by field manager "{manager}" had an apply conflict: Apply failed '
        f"with {count} conflict{'' if count == 1 else 's'}: {listed}"
    )


def outputs_of(live: Props, resource: CloudResource, manager: str) -> Props:
    """What the plugin records of a patched object: the object, its managedFields, and the patch's field manager."""
    outputs = copy.deepcopy(live)
    cast("Props", outputs["metadata"])["managedFields"] = [
        {"manager": name, "operation": "Apply", "fieldsV1": _field_set(fields)}
        for name, fields in resource.applied.items()
    ]
    return {**outputs, FIELD_MANAGER: manager}


def _field_set(fields: dict[Path, Any]) -> Props:
    """Fields in the format of managedFields: `f:` before each name."""
    found: Props = {}
    for path in fields:
        _put(found, tuple(f"f:{step}" for step in path), {})
    return found


def seen_by_maker(resource: CloudResource) -> Props:
    """The creator's inputs as read back: fields that a patch has taken have the patch's values."""
    inputs = copy.deepcopy(resource.inputs)
    for fields in resource.applied.values():
        for path, value in fields.items():
            if dig_path(inputs, path) is not None:
                _put(inputs, path, copy.deepcopy(value))
    return inputs


def pruned(live: Any, inputs: Any) -> Any:
    """The fields of a live object that are also in `inputs`."""
    if not isinstance(live, dict) or not isinstance(inputs, dict):
        return copy.deepcopy(cast("Any", live))
    seen, wanted = cast("Props", live), cast("Props", inputs)
    return {key: pruned(seen[key], value) for key, value in wanted.items() if key in seen}


def leaves(body: Props, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every field of an object except those of its identity; a list is one field."""
    for key, value in body.items():
        here = (*path, key)
        if isinstance(value, dict) and value:
            yield from leaves(cast("Props", value), here)
        elif here not in _IDENTITY and value is not None:
            yield here, value


def dig_path(value: Any, path: Path) -> Any:
    """The value at a path whose steps may contain dots, like the keys of annotations."""
    for step in path:
        if not isinstance(value, dict):
            return None
        value = cast("Props", value).get(step)
    return value


def _owners(resource: CloudResource, path: Path) -> list[str]:
    found = [name for name, fields in resource.applied.items() if path in fields]
    made = dig_path(resource.inputs, path)
    # A creator whose value is gone has lost the field to a forced patch.
    if made is not None and made == dig_path(resource.outputs, path):
        found.append(MAKER)
    return found


def _owned(resource: CloudResource, others: dict[str, dict[Path, Any]], path: Path) -> bool:
    made = dig_path(resource.inputs, path)
    by_maker = made is not None and made == dig_path(resource.outputs, path)
    return by_maker or any(path in fields for fields in others.values())


def _without(fields: dict[Path, Any], taken: dict[Path, Any]) -> dict[Path, Any]:
    return {path: value for path, value in fields.items() if path not in taken or taken[path] == value}


def _put(body: Props, path: Path, value: Any) -> None:
    for step in path[:-1]:
        inner = body.get(step)
        if not isinstance(inner, dict):
            inner = body[step] = {}
        body = cast("Props", inner)
    body[path[-1]] = value


def _drop(body: Props, path: Path) -> None:
    inner = body.get(path[0])
    if len(path) == 1:
        body.pop(path[0], None)
    elif isinstance(inner, dict):
        _drop(cast("Props", inner), path[1:])
        if not inner:
            body.pop(path[0])


def identity(body: Props) -> Props:
    """An object with only its identity."""
    names = {key: dig(body, f"metadata.{key}") for key in ("name", "namespace")}
    metadata = {key: value for key, value in names.items() if value}
    return {"apiVersion": body["apiVersion"], "kind": body["kind"], "metadata": metadata}
