"""Who may do what in Google Cloud."""

from __future__ import annotations

from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Final

from policy.rule import UNKNOWN, Finding, Resource, Rule, Run, Settings, at, items, strings, text

_PUBLIC: Final = ("allUsers", "allAuthenticatedUsers")
_BASIC: Final = ("roles/owner", "roles/editor", "roles/viewer")
_READS: Final = ("roles/storage.objectViewer", "roles/storage.legacyObjectReader")


def _grants(resource: Resource) -> bool:
    """Whether a resource gives a role to members: `IAMMember`, `BucketIAMMember`, ..."""
    return resource.type.startswith("gcp:") and resource.type.lower().endswith(("iammember", "iambinding"))


def _members(resource: Resource) -> list[str]:
    listed = [at(resource.inputs, "member"), *items(at(resource.inputs, "members"))]
    return [member for member in listed if isinstance(member, str)]


def _authoritative(resource: Resource, _settings: Settings, _run: Run) -> Iterator[Finding]:
    kind = resource.type.rpartition(":")[2]
    if resource.type.startswith("gcp:") and kind.endswith(("IAMBinding", "IAMPolicy")):
        yield Finding(
            f"{kind} takes the role, or all roles, from every member that it does not list",
            f"Use {kind.removesuffix('Binding').removesuffix('Policy')}Member, which adds one",
        )


def _public(resource: Resource, _settings: Settings, _run: Run) -> Iterator[Finding]:
    who = _members(resource) if _grants(resource) else []
    if resource.type.startswith("gcp:storage/") and "AccessControl" in resource.type:
        who = [str(at(resource.inputs, "entity"))]
    for member in who:
        if member in _PUBLIC:
            yield Finding(f"member = {member}", "Name the accounts that need access; nothing here is public")


def _basic_role(resource: Resource, settings: Settings, _run: Run) -> Iterator[Finding]:
    role = at(resource.inputs, "role")
    if not _grants(resource) or role not in _BASIC:
        return
    for member in _members(resource):
        if not any(fnmatchcase(member, pattern) for pattern in settings["members"]):
            yield Finding(
                f"role = {role} for {member}",
                "Grant the predefined roles that are needed, or list the member in this rule's `members`",
            )


def _bucket_writer(resource: Resource, settings: Settings, _run: Run) -> Iterator[Finding]:
    role, member = at(resource.inputs, "role"), at(resource.inputs, "member")
    if not resource.type.endswith(":BucketIAMMember") or UNKNOWN in (role, member) or role in _READS:
        return
    if not any(fnmatchcase(str(member), pattern) for pattern in settings["writers"]):
        yield Finding(
            f"role = {text(role)} for {member}",
            "Only the download fills the bucket: grant roles/storage.objectViewer, or list the member in this rule's "
            "`writers`",
        )


RULES: Final = (
    Rule(
        "no-authoritative-iam",
        "Roles are given by IAM members, never by bindings or policies.",
        "mandatory",
        _authoritative,
    ),
    Rule("no-public-access", "No role is given to everybody on the internet.", "mandatory", _public),
    Rule(
        "no-basic-roles",
        "Nobody gets owner, editor or viewer of a project.",
        "mandatory",
        _basic_role,
        {"members": strings("members that may have a basic role, as patterns")},
    ),
    Rule(
        "bucket-writers",
        "Only the download's account may write the model bucket.",
        "mandatory",
        _bucket_writer,
        {
            "writers": strings(
                "members that may write, as patterns",
                "principal://*/sa/model-download",
                "serviceAccount:download-*@*.iam.gserviceaccount.com",
            )
        },
    ),
)
