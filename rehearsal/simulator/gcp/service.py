"""Google Cloud: the lifecycle of an object, for every kind of the installed SDK.

Rules of single kinds are in `gcp_rules.py` (tables) and `admission.py` (code); computed outputs in
`gcp_outputs.py`; function calls in `invokes.py`.
"""

from __future__ import annotations

import copy
import re
from typing import Any

from typing_extensions import override

from rehearsal.simulator import sdk_schema
from rehearsal.simulator.faults import Call
from rehearsal.simulator.gcp import admission, invokes, networks
from rehearsal.simulator.gcp import outputs as gcp_outputs
from rehearsal.simulator.gcp.rules import (
    ADDITIVE,
    CLUSTER,
    NAME_RULES,
    NODE_POOL,
    RULES,
    SOFT_DELETED,
    SUBNETWORK,
    UNDELETABLE,
    Reference,
    Rule,
    short,
)
from rehearsal.simulator.kubernetes.system_objects import boot_cluster
from rehearsal.simulator.service import Difference, Failure, Service
from rehearsal.simulator.state import ApiError, CloudResource
from rehearsal.simulator.values import Change, Props, Unknown, changes, has_unknown, items, text

_DEFAULTS = "__defaults"
"""Where the real plugin records which inputs it generated (the name)."""


class GoogleCloud(Service):
    """The service behind the `gcp` package."""

    package = "gcp"

    @override
    def check(self, call: Call, olds: Props, news: Props) -> tuple[Props, list[Failure]]:
        known = sdk_schema.resource(call.kind)
        rule = _rule(call.kind)
        inputs = {key: value for key, value in news.items() if key != _DEFAULTS}
        made_up = [key for key in rule.defaults if inputs.get(key) is None]
        inputs |= {key: rule.defaults[key] for key in made_up}
        field = rule.autoname if rule.autoname in known.inputs.fields else ""
        if field and inputs.get(field) is None and inputs.get("namePrefix") is None:
            kept = olds.get(field) if field in (olds.get(_DEFAULTS) or []) else None
            inputs[field] = kept or f"{call.name.lower()}-{self.state.text(7)}"
            made_up.append(field)
        if made_up:
            inputs[_DEFAULTS] = sorted(made_up)
        failures = sdk_schema.check(inputs, known.inputs)
        failures += _check_name(call.kind, inputs)
        failures += admission.judge(call.kind, inputs)
        return inputs, failures

    @override
    def diff(self, call: Call, id_: str, olds: Props, news: Props) -> Difference:
        rule = _rule(call.kind)
        admission.at_diff(call.kind, news)
        # The plugin compares the inputs with the service's answer.
        answered = gcp_outputs.in_own_order(call.kind, olds)
        found = Difference(
            [
                change
                for change in changes(answered, news)
                if change.path[0] != _DEFAULTS and not _suppressed(rule, change, answered, news)
            ]
        )
        paths = rule.replaces
        if paths is not None and call.kind == SUBNETWORK and not admission.grows(olds, news):
            paths = (*paths, "ipCidrRange")
        for change in found.changes:
            if paths is None or any(change.under(path) for path in paths):
                found.replaces.append(change)
        named_by_hand = bool(rule.autoname) and rule.autoname not in (news.get(_DEFAULTS) or [])
        same_name = olds.get(rule.autoname) == news.get(rule.autoname)
        found.delete_first = bool(found.replaces) and named_by_hand and same_name
        return found

    @override
    def preview(self, call: Call, inputs: Props) -> Props:
        known = sdk_schema.resource(call.kind)
        placed = self._placed(call, inputs)
        outputs = sdk_schema.unknown_outputs(known, inputs)
        return {**outputs, **gcp_outputs.before(call.kind, placed, known.outputs)}

    @override
    def create(self, call: Call, inputs: Props) -> tuple[str, Props]:
        placed = self._placed(call, inputs)
        id_ = self._id(call.kind, placed)
        present = self.state.get(call.kind, id_)
        if present is not None and call.kind in ADDITIVE:
            present.urn = call.urn
            return id_, present.outputs
        if present is not None:
            raise ApiError(f"Error 409: The resource '{id_}' already exists, alreadyExists")
        self._require_references(call.kind, placed)
        admission.at_create(self.state, call.kind, placed)
        outputs = self._outputs(call.kind, id_, inputs, placed)
        resource = self.state.add(CloudResource(call.kind, "", id_, copy.deepcopy(inputs), outputs, urn=call.urn))
        if call.kind == CLUSTER:
            boot_cluster(self.state, resource)
        return id_, outputs

    @override
    def update(self, call: Call, id_: str, inputs: Props) -> Props:
        resource = self.state.get(call.kind, id_)
        if resource is None:
            raise ApiError(f"Error 404: The resource '{id_}' was not found, notFound")
        placed = self._placed(call, inputs)
        if not has_unknown(placed):
            self._require_references(call.kind, placed)
            admission.at_update(self.state, call.kind, placed, resource)
        # Values that the service generated at creation stay; given values are taken from the inputs.
        computed = {key: value for key, value in resource.outputs.items() if key not in resource.inputs}
        given = {key: value for key, value in inputs.items() if key != _DEFAULTS}
        outputs = {**computed, **given, **gcp_outputs.merged(call.kind, resource.outputs, given)}
        outputs = gcp_outputs.in_own_order(call.kind, outputs)
        if not call.preview:
            resource.inputs, resource.outputs = copy.deepcopy(inputs), outputs
        return outputs

    @override
    def delete(self, call: Call, id_: str) -> None:
        resource = self.state.get(call.kind, id_)
        if resource is None:
            return
        holders = [
            f"{other.kind.rsplit(':', 1)[-1]} {other.id}"
            for other in self.state.find(scope="")
            if any(ref.holds and resource in self._targets(ref, other) for ref in _rule(other.kind).references)
        ]
        if holders:
            raise ApiError(
                f"Error 400: The resource '{id_}' is already being used by {', '.join(sorted(holders))}, "
                "resourceInUseByAnotherResource"
            )
        admission.at_delete(self.state, resource)
        if call.kind in UNDELETABLE | SOFT_DELETED:
            resource.origin = "service"
            resource.outputs |= gcp_outputs.deleted(call.kind, resource.outputs)
            return
        self.state.remove(resource.key)
        if resource.kind == CLUSTER:
            # Its objects are deleted with it.
            for inside in self.state.find(scope=resource.id):
                self.state.remove(inside.key)

    @override
    def read(self, call: Call, id_: str) -> tuple[Props, Props] | None:
        resource = self.state.get(call.kind, id_) or self._by_short_id(call, id_)
        if resource is not None and _is_deleted(resource):
            return None
        return (gcp_outputs.in_own_order(call.kind, resource.inputs), resource.outputs) if resource else None

    @override
    def invoke(self, call: Call, args: Props) -> Props:
        return invokes.answer(self.state, self.config_of(call), call.kind, args)

    def seed(self, kind: str, inputs: Props, *, project: str, region: str) -> CloudResource:
        """Create an object that existed before the program ran; returns it."""
        placed = {"project": project, "region": region, "location": region, **inputs}
        id_ = self._id(kind, placed)
        outputs = self._outputs(kind, id_, inputs, placed)
        resource = self.state.add(CloudResource(kind, "", id_, dict(inputs), outputs, origin="seed"))
        if kind == CLUSTER:
            boot_cluster(self.state, resource)
        return resource

    def _placed(self, call: Call, inputs: Props) -> Props:
        """The inputs with project and location from the provider's configuration."""
        config = self.config_of(call)
        region = config.get("region") or "us-central1"
        placed: Props = {"project": config.get("project"), "region": region, "location": region}
        placed.update({key: value for key, value in inputs.items() if value is not None and key != _DEFAULTS})
        if placed["project"] is None:
            raise ApiError("project: required field is not set: give gcp:project in the stack's config")
        cluster = placed.get("cluster")
        if call.kind == NODE_POOL and isinstance(cluster, str) and cluster.startswith("projects/"):
            parts = cluster.split("/")
            placed["project"], placed["location"], placed["cluster"] = parts[1], parts[3], parts[5]
        return placed

    def _id(self, kind: str, placed: Props) -> str:
        rule = _rule(kind)
        parts = {key: value for key, value in placed.items() if isinstance(value, (str, int))}
        for key in ("network", "router", "bucket", "cluster", "firewallPolicy"):
            if isinstance(parts.get(key), str):
                parts[key] = short(str(parts[key]))
        try:
            return rule.id.format(**parts)
        except KeyError as missing:
            raise ApiError(f"{missing.args[0]}: required field is not set") from None

    def _outputs(self, kind: str, id_: str, inputs: Props, placed: Props) -> Props:
        known = sdk_schema.resource(kind)
        outputs = sdk_schema.default_outputs(known, copy.deepcopy(inputs))
        outputs = {**outputs, **gcp_outputs.after(self.state, kind, id_, placed, known.outputs)}
        return gcp_outputs.in_own_order(kind, outputs)

    def _require_references(self, kind: str, placed: Props) -> None:
        for reference in _rule(kind).references:
            for value in values_at(placed, reference.path):
                if self._find(reference.kind, value, placed) is None:
                    raise ApiError(
                        f"Error 404: {reference.path}: the {reference.kind.rsplit(':', 1)[-1]} "
                        f"'{value}' was not found, notFound"
                    )

    def _targets(self, reference: Reference, holder: CloudResource) -> list[CloudResource]:
        """The objects that a holder references at a path; several for a list."""
        values = values_at(holder.outputs, reference.path)
        found = [self._find(reference.kind, value, holder.outputs) for value in values]
        return [resource for resource in found if resource is not None]

    def _find(self, kind: str, value: str, placed: Props) -> CloudResource | None:
        if kind in networks.KINDS:
            return networks.named(self.state, kind, value, placed)
        for resource in self.state.find(kind, where=lambda other: not _is_deleted(other)):
            names = (resource.id, resource.outputs.get("selfLink"), resource.outputs.get("email"), short(resource.id))
            if value in names or resource.outputs.get("name") == short(value):
                if kind == CLUSTER and placed.get("location") not in (None, resource.outputs.get("location")):
                    continue
                return resource
        return None

    def _by_short_id(self, call: Call, id_: str) -> CloudResource | None:
        """An id may be given without its leading parts when an object is imported."""
        wanted = re.sub(r"^https://[^/]+/(compute|container)/v1/", "", id_)
        for resource in self.state.find(call.kind):
            if wanted == resource.id or resource.id.endswith(f"/{wanted}"):
                return resource
            flat = "/".join(re.split(r"/[a-zA-Z]+/", f"/{resource.id}")).strip("/")
            if wanted == flat or flat.endswith(f"/{wanted}"):
                return resource
        return None


def values_at(value: Any, path: str) -> list[str]:
    """Every known text at a path in which `[]` means each element of a list."""
    head, each, rest = path.partition("[].")
    if each:
        return [found for item in items(value, head) for found in values_at(item, rest)]
    found = text(value, path)
    return [found] if found else []


def _suppressed(rule: Rule, change: Change, olds: Props, news: Props) -> bool:
    """Whether the plugin sees no change where the inputs differ."""
    if change.kind == "delete" and any(change.within(path) for path in rule.kept):
        return True
    path = ".".join(str(step) for step in change.path)
    new = text(news, path)
    return path in rule.same_by_name and bool(new) and "/" not in new and short(text(olds, path)) == new


def _is_deleted(resource: CloudResource) -> bool:
    return resource.kind in SOFT_DELETED and resource.outputs.get("state") == "DELETED"


def _rule(kind: str) -> Rule:
    return RULES.get(kind) or Rule(
        id="projects/{project}/" + kind.rsplit("/", maxsplit=1)[-1].split(":", maxsplit=1)[0] + "/{name}"
    )


def _check_name(kind: str, inputs: Props) -> list[Failure]:
    if kind not in NAME_RULES:
        return []
    field, pattern, words = NAME_RULES[kind]
    value = inputs.get(field)
    if value is None or isinstance(value, Unknown) or not isinstance(value, str):
        return []
    return [] if pattern.fullmatch(value) else [Failure(field, f"{value!r} is not {words}")]
