"""Find out what a killed `pulumi` made and could not write down, and put it into the state.

The engine writes down that it begins to create a resource, and writes down the result. A process that dies between
the two leaves a pending create: the object may exist or not, and the engine does not know its id. `pulumi refresh`
takes an id for each and looks: what exists is adopted, what does not is dropped. Here the ids are worked out from
the recorded inputs, so that nobody has to look them up.

What needs no look is cleared: a grant or an enabled API is made again without harm, a random value exists in the
state only. The formats are the import ids of the providers' documentation.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from recovery.forget_cluster import ForgetError, Run, pulumi

_GCP_IDS: Final[Mapping[str, str]] = {
    "gcp:compute/firewall:Firewall": "projects/{project}/global/firewalls/{name}",
    "gcp:compute/network:Network": "projects/{project}/global/networks/{name}",
    "gcp:compute/resourcePolicy:ResourcePolicy": "projects/{project}/regions/{region}/resourcePolicies/{name}",
    "gcp:compute/router:Router": "projects/{project}/regions/{region}/routers/{name}",
    "gcp:compute/routerNat:RouterNat": "{project}/{region}/{router}/{name}",
    "gcp:compute/subnetwork:Subnetwork": "projects/{project}/regions/{region}/subnetworks/{name}",
    "gcp:container/cluster:Cluster": "projects/{project}/locations/{location}/clusters/{name}",
    "gcp:container/nodePool:NodePool": (
        "projects/{project}/locations/{location}/clusters/{cluster}/nodePools/{name}"
    ),
    "gcp:serviceaccount/account:Account": (
        "projects/{project}/serviceAccounts/{accountId}@{project}.iam.gserviceaccount.com"
    ),
    "gcp:storage/bucket:Bucket": "{name}",
}
_MADE_AGAIN: Final = ("gcp:projects/service:Service", "random:", "pulumi:")
"""Kinds, or beginnings of kinds, whose create may simply be repeated; grants (`...IAMMember`) are too."""


@dataclass(frozen=True)
class Plan:
    """What to do about the pending creates of a state."""

    looked_up: dict[str, str]
    """URN -> id of what may exist."""
    cleared: list[str]
    """URNs of what may be made again."""
    unknown: list[str]
    """URNs of kinds that have no known id format; `pulumi refresh` asks for their ids."""

    @property
    def arguments(self) -> list[str]:
        """The flags of `pulumi refresh`."""
        flags = [part for urn, id_ in self.looked_up.items() for part in (urn, id_)]
        found = [word for part in flags for word in ("--import-pending-creates", part)]
        return [*found, *([] if self.unknown else ["--clear-pending-creates"])]


def plan(state: Mapping[str, Any]) -> Plan:
    """Work out the ids of all pending creates of an exported state."""
    deployment = state.get("deployment", {})
    place = _place(deployment.get("resources") or [])
    found = Plan({}, [], [])
    for operation in deployment.get("pending_operations") or []:
        if operation.get("type") != "creating":
            continue
        resource = operation["resource"]
        kind, urn = str(resource["type"]), str(resource["urn"])
        if kind.startswith(_MADE_AGAIN) or kind.endswith("IAMMember"):
            found.cleared.append(urn)
            continue
        id_ = id_of(kind, {**place, **resource.get("inputs", {})})
        if id_ is None:
            found.unknown.append(urn)
        else:
            found.looked_up[urn] = id_
    return found


def id_of(kind: str, inputs: Mapping[str, Any]) -> str | None:
    """The id that an object of `kind` with these inputs has, or None where that cannot be known."""
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
    return value.rsplit("/", 1)[-1] if key in ("router", "cluster") and isinstance(value, str) else value


def _place(resources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Project and region of the Google Cloud provider: what a resource does not say itself."""
    for resource in resources:
        if resource.get("type") == "pulumi:providers:gcp":
            inputs = resource.get("inputs", {})
            region = inputs.get("region")
            return {"project": inputs.get("project"), "region": region, "location": region}
    return {}


def resolve(stack: str, run: Run) -> Plan:
    """Adopt or drop the pending creates of `stack`, and refresh it.

    Raises:
        ForgetError: the state cannot be read, or `pulumi` says no.
    """
    text = run(["stack", "export", "--stack", stack], None)
    try:
        state: dict[str, Any] = json.loads(text)
    except json.JSONDecodeError:
        raise ForgetError(f"`pulumi stack export` printed no state: {text[:120]!r}") from None
    found = plan(state)
    if found.unknown:
        raise ForgetError(
            f"no id is known for {', '.join(found.unknown)}; run `pulumi refresh --run-program=false` by hand, it "
            "asks for them"
        )
    flags = ["--yes", "--skip-preview", "--run-program=false", *found.arguments]
    run(["refresh", *flags, "--stack", stack], None)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of `python -m recovery.pending_creates`."""
    parser = argparse.ArgumentParser(
        prog="python -m recovery.pending_creates", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--stack", required=True, help="the Pulumi stack whose last operation was killed")
    options = parser.parse_args(argv)
    try:
        found = resolve(options.stack, pulumi)
    except ForgetError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for urn, id_ in found.looked_up.items():
        print(f"looked for  {id_}  ({urn.rsplit('::', 1)[-1]})")
    print(f"{len(found.looked_up)} looked for, {len(found.cleared)} cleared; the stack is refreshed")
    print(f"next:  pulumi up --stack {options.stack}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
