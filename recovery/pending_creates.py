"""Find resources that a killed `pulumi` created but did not record, and add them to the state.

The engine records when it begins to create a resource, and when it has the result. A process that dies between the two
leaves a pending create: the object may exist or not, and the engine does not know its id. Clearing it, as
`pulumi refresh --clear-pending-creates` does, orphans what exists. `--import-pending-creates` does the same: Pulumi
3.259 marks the entry as an import, and nothing in its engine reads that mark (seen: no call to the provider, entry
gone, object orphaned). The answer `import` to the prompt of `pulumi refresh` sets that mark too (read).

So the id is derived here from the recorded inputs, the entry becomes a resource with that id, and a plain refresh does
the rest: it reads what exists, and drops what does not. The formats are the import ids in the providers' documentation.
What need not be looked up is cleared: grants and enabled APIs can be created again without harm, a random value exists
in the state only.

A kill during a replacement leaves two resources of one name. If the old object was deleted first, its entry
(`pendingReplacement`) says that it is gone, and the new one takes its place. If the old one is to be deleted last, it
exists: the new one is looked up under another name, and only if it exists is the old one marked for deletion.

A patch of a Kubernetes object owns its fields under a generated name that a kill loses, so that no destroy would remove
them. The object itself says who owns them.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from recovery.state import Run, StateError, export_with_backup, import_state, pulumi, read

_GCP_IDS: Final[Mapping[str, str]] = {
    "gcp:compute/firewall:Firewall": "projects/{project}/global/firewalls/{name}",
    "gcp:compute/network:Network": "projects/{project}/global/networks/{name}",
    "gcp:compute/regionNetworkFirewallPolicyAssociation:RegionNetworkFirewallPolicyAssociation": (
        "projects/{project}/regions/{region}/firewallPolicies/{firewallPolicy}/associations/{name}"
    ),
    "gcp:compute/regionNetworkFirewallPolicyWithRules:RegionNetworkFirewallPolicyWithRules": (
        "projects/{project}/regions/{region}/firewallPolicies/{name}"
    ),
    "gcp:compute/resourcePolicy:ResourcePolicy": "projects/{project}/regions/{region}/resourcePolicies/{name}",
    "gcp:compute/router:Router": "projects/{project}/regions/{region}/routers/{name}",
    "gcp:compute/routerNat:RouterNat": "{project}/{region}/{router}/{name}",
    "gcp:compute/subnetwork:Subnetwork": "projects/{project}/regions/{region}/subnetworks/{name}",
    "gcp:container/cluster:Cluster": "projects/{project}/locations/{location}/clusters/{name}",
    "gcp:container/nodePool:NodePool": ("projects/{project}/locations/{location}/clusters/{cluster}/nodePools/{name}"),
    "gcp:dns/managedZone:ManagedZone": "projects/{project}/managedZones/{name}",
    "gcp:dns/recordSet:RecordSet": "projects/{project}/managedZones/{managedZone}/rrsets/{name}/{type}",
    "gcp:iam/workloadIdentityPool:WorkloadIdentityPool": (
        "projects/{project}/locations/global/workloadIdentityPools/{workloadIdentityPoolId}"
    ),
    "gcp:iam/workloadIdentityPoolProvider:WorkloadIdentityPoolProvider": (
        "projects/{project}/locations/global/workloadIdentityPools/{workloadIdentityPoolId}/providers/"
        "{workloadIdentityPoolProviderId}"
    ),
    "gcp:kms/cryptoKey:CryptoKey": "{keyRing}/cryptoKeys/{name}",
    "gcp:kms/keyRing:KeyRing": "projects/{project}/locations/{location}/keyRings/{name}",
    "gcp:projects/iAMCustomRole:IAMCustomRole": "projects/{project}/roles/{roleId}",
    "gcp:serviceaccount/account:Account": (
        "projects/{project}/serviceAccounts/{accountId}@{project}.iam.gserviceaccount.com"
    ),
    "gcp:storage/bucket:Bucket": "{name}",
}
_BESIDE: Final = "-pending-create"
"""Suffix of the name of a looked-up resource while its old object still has the name."""
_REPEATABLE: Final = ("gcp:projects/service:Service", "random:", "pulumi:")
"""Kinds, or prefixes of kinds, whose create can simply be repeated; so can grants (`...IAMMember`)."""


@dataclass(frozen=True)
class Plan:
    """What to do about the pending creates of a state."""

    looked_up: dict[str, str]
    """URN -> id of resources that may exist."""
    cleared: list[str]
    """URNs of resources that can be created again."""
    unknown: list[str]
    """URNs of kinds without a known id format; they stay pending."""
    beside: frozenset[str] = frozenset()
    """Those of `looked_up` whose old object is to be deleted after their creation: it is in the state, and exists."""


def plan(state: Mapping[str, Any]) -> Plan:
    """Derive the ids of all pending creates of an exported state."""
    deployment: dict[str, Any] = state.get("deployment") or {}
    place = _place(deployment.get("resources") or [])
    found = Plan({}, [], [], _living(deployment.get("resources") or []))
    operations: list[dict[str, Any]] = deployment.get("pending_operations") or []
    for operation in operations:
        if operation.get("type") != "creating":
            continue
        resource = operation["resource"]
        kind, urn = str(resource["type"]), str(resource["urn"])
        if kind.startswith(_REPEATABLE) or kind.endswith("IAMMember"):
            found.cleared.append(urn)
            continue
        id_ = id_of(kind, {**place, **resource.get("inputs", {})})
        if id_ is None:
            found.unknown.append(urn)
        else:
            found.looked_up[urn] = id_
    return replace(found, beside=found.beside & found.looked_up.keys())


def _living(resources: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """URNs of resources that exist according to a state."""
    return frozenset(str(r["urn"]) for r in resources if not r.get("pendingReplacement") and not r.get("delete"))


def id_of(kind: str, inputs: Mapping[str, Any]) -> str | None:
    """The id of an object of `kind` with these inputs, or None if it cannot be known."""
    if kind == "kubernetes:helm.sh/v3:Release":
        name, namespace = inputs.get("name"), inputs.get("namespace")
        return f"{namespace}/{name}" if name and namespace else None
    if kind.startswith("kubernetes:"):
        metadata = inputs.get("metadata", {})
        name, namespace = metadata.get("name"), metadata.get("namespace")
        return f"{namespace}/{name}" if name and namespace else name
    form = _GCP_IDS.get(kind)
    if form is None:
        return None
    try:
        return form.format(**{key: _short(key, value) for key, value in inputs.items()})
    except KeyError:
        return None


def _short(key: str, value: Any) -> Any:
    shortened = key in ("router", "cluster", "firewallPolicy") and isinstance(value, str)
    return value.rsplit("/", 1)[-1] if shortened else value


def _place(resources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Project and region of the Google Cloud provider: the defaults of resources."""
    for resource in resources:
        if resource.get("type") == "pulumi:providers:gcp":
            inputs = resource.get("inputs", {})
            region = inputs.get("region")
            return {"project": inputs.get("project"), "region": region, "location": region}
    return {}


def with_pending_resolved(state: Mapping[str, Any], found: Plan) -> dict[str, Any]:
    """A copy of an exported `state` in which the pending creates are resources with ids, or gone."""
    changed = copy.deepcopy(dict(state))
    deployment: dict[str, Any] = changed["deployment"]
    kept: list[dict[str, Any]] = []
    operations: list[dict[str, Any]] = deployment.get("pending_operations") or []
    for operation in operations:
        urn = str(operation["resource"]["urn"])
        if operation.get("type") == "creating" and urn in found.looked_up:
            resource = {**operation["resource"], "id": found.looked_up[urn]}
            if urn in found.beside:
                resource["urn"] = urn + _BESIDE
            _insert(deployment["resources"], resource)
        elif operation.get("type") != "creating" or urn in found.unknown:
            kept.append(operation)
    deployment["pending_operations"] = kept
    return changed


def _insert(resources: list[dict[str, Any]], made: dict[str, Any]) -> None:
    """Put a resource in place of the entry that it replaces, or after all others: dependents come after it."""
    for index, other in enumerate(resources):
        if other.get("pendingReplacement") and other["urn"] == made["urn"]:
            # It is deleted already, and two entries with one URN are invalid.
            resources[index] = made
            return
    # After everything that it depends on, which was created before it.
    resources.append(made)


def with_replacements_separated(state: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a refreshed `state`: what was found beside its old object takes its name, and the old one is marked for
    deletion.
    """
    changed = copy.deepcopy(dict(state))
    resources: list[dict[str, Any]] = changed["deployment"].get("resources") or []
    found = {str(r["urn"]).removesuffix(_BESIDE): r for r in resources if str(r["urn"]).endswith(_BESIDE)}
    for index, old in enumerate(resources):
        made = found.pop(str(old["urn"]), None)
        if made is not None:
            # In the old one's place, since others depend on it; the old one to the end, as the engine does it.
            resources[resources.index(made)] = {**old, "delete": True}
            resources[index] = {**made, "urn": old["urn"]}
    return changed


def resolve(stack: str, backup: Path, run: Run) -> Plan:
    """Adopt or drop the pending creates of `stack`, and refresh it; the old state is written to `backup` first.

    Raises:
        StateError: `backup` exists, the state cannot be read, or `pulumi` fails.
    """
    state = export_with_backup(stack, backup, run)
    found = plan(state)
    if found.looked_up or found.cleared:
        import_state(stack, with_pending_resolved(state, found), run)
    run(["refresh", "--yes", "--skip-preview", "--run-program=false", "--stack", stack], None)
    if found.beside or any(is_patch(urn) for urn in found.looked_up):
        import_state(stack, owned(with_replacements_separated(read(stack, run)), found), run)
    return found


def owned(state: Mapping[str, Any], found: Plan) -> dict[str, Any]:
    """A copy of a refreshed `state` in which the patches that were found have their original field manager."""
    changed = copy.deepcopy(dict(state))
    resources: list[dict[str, Any]] = changed["deployment"].get("resources") or []
    for resource in resources:
        if resource["urn"] in found.looked_up and is_patch(str(resource["urn"])):
            manager = _owner(resource)
            if manager:
                resource["outputs"]["__fieldManager"] = manager
    return changed


def is_patch(urn: str) -> bool:
    """Whether a resource is a patch of a Kubernetes object."""
    kind = urn.rsplit("::", 1)[0].rsplit("$", 1)[-1].rsplit("::", 1)[-1]
    return kind.startswith("kubernetes:") and kind.endswith("Patch")


def _owner(resource: Mapping[str, Any]) -> str:
    """The field manager that applied a patch's annotations and labels; empty if there is none."""
    metadata: dict[str, dict[str, str]] = resource["inputs"]["metadata"]
    asked = {f"{group}/{key}" for group in ("annotations", "labels") for key in metadata.get(group, {})}
    entries: list[dict[str, Any]] = resource["outputs"]["metadata"].get("managedFields") or []
    for entry in entries:
        fields: dict[str, dict[str, Any]] = entry.get("fieldsV1", {}).get("f:metadata") or {}
        owns = {f"{group}/{key}".replace("f:", "") for group, keys in fields.items() for key in keys}
        if entry.get("operation") == "Apply" and asked and asked <= owns:
            return str(entry["manager"])
    return ""


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `python -m recovery.pending_creates`."""
    parser = argparse.ArgumentParser(
        prog="python -m recovery.pending_creates", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--stack", required=True, help="the Pulumi stack whose last operation was killed")
    parser.add_argument("--backup", type=Path, help="where the old state goes (default: <stack>.before-pending.json)")
    options = parser.parse_args(argv)
    backup: Path = options.backup or Path(f"{options.stack}.before-pending.json")
    try:
        found = resolve(options.stack, backup, pulumi)
    except StateError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for urn, id_ in found.looked_up.items():
        print(f"looked up  {id_}  ({urn.rsplit('::', 1)[-1]})")
    print(f"{len(found.looked_up)} looked up, {len(found.cleared)} cleared; the old state is in {backup}")
    for urn in found.unknown:
        print(f"still pending, import it by hand if it exists: {urn}")
    print(f"next:  pulumi up --stack {options.stack}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
