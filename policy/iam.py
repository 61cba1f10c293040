"""Who may do what in Google Cloud."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from policy.rule import Finding, Resource, Rule, Run, Settings, at, filled, items, matches, strings

_PUBLIC: Final = ("allUsers", "allAuthenticatedUsers")
_EVERYBODY: Final = ("system:authenticated", "system:unauthenticated", "system:anonymous")
"""Of Kubernetes; on GKE the first is everybody with a Google account."""
_BASIC: Final = ("roles/owner", "roles/editor", "roles/viewer", "roles/admin", "roles/writer", "roles/reader")
_STORAGE: Final = ("gcp:storage/", "gcp:projects/", "gcp:folder/", "gcp:organizations/")
"""Where a role on storage can be given: of a bucket or managed folder, and above."""


def _kind(resource: Resource) -> str:
    """`IAMMember`, `BucketIAMPolicy`, `RepositoryIamBinding`, ...; empty for what is not of Google Cloud."""
    return resource.type.rpartition(":")[2] if resource.type.startswith("gcp:") else ""


def _grants(resource: Resource) -> Iterator[tuple[Any, str]]:
    """Every role that a resource gives, and to whom; neither is UNKNOWN."""
    kind = _kind(resource).lower()
    if kind.endswith(("iammember", "iambinding")):
        bindings: list[Any] = [resource.inputs]
    elif kind.endswith("iampolicy"):
        bindings = items(at(_parsed(at(resource.inputs, "policyData")), "bindings"))
    else:
        return
    for binding in bindings:
        role = at(binding, "role")
        for member in (at(binding, "member"), *items(at(binding, "members"))):
            if isinstance(role, str) and isinstance(member, str):
                yield role, member


def _parsed(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except ValueError:
        return None


def _authoritative(resource: Resource, _settings: Settings, _run: Run) -> Iterator[Finding]:
    kind = _kind(resource)
    if kind.lower().endswith(("iambinding", "iampolicy")):
        yield Finding(
            f"{kind} takes the role, or all roles, from every member that it does not list",
            f"Use {kind.removesuffix('Binding').removesuffix('Policy')}Member, which adds one",
        )


def _public(resource: Resource, _settings: Settings, _run: Run) -> Iterator[Finding]:
    who = [member for _role, member in _grants(resource)]
    if resource.type.startswith("gcp:storage/"):
        # ACLs: of one entity, and lists of ROLE:ENTITY.
        who += [str(at(resource.inputs, "entity"))]
        who += [str(one).partition(":")[2] for one in items(at(resource.inputs, "roleEntities"))]
    if resource.type.startswith("kubernetes:rbac.authorization.k8s.io/"):
        who += [str(at(subject, "name")) for subject in items(at(resource.inputs, "subjects"))]
    for member in who:
        if member in (*_PUBLIC, *_EVERYBODY):
            yield Finding(f"member = {member}", "Name the accounts that need access; nothing here is public")


def _basic_role(resource: Resource, settings: Settings, run: Run) -> Iterator[Finding]:
    for role, member in _grants(resource):
        if role in _BASIC and not any(matches(member, pattern) for pattern in filled(settings["members"], run)):
            yield Finding(
                f"role = {role} for {member}",
                "Grant the predefined roles that are needed, or list the member in this rule's `members`",
            )


def _bucket_writer(resource: Resource, settings: Settings, run: Run) -> Iterator[Finding]:
    if not resource.type.startswith(_STORAGE):
        return
    for role, member in _grants(resource):
        if role in settings["roles"] and not any(matches(member, one) for one in filled(settings["writers"], run)):
            yield Finding(
                f"role = {role} for {member}",
                "Only the download fills the bucket: grant roles/storage.objectViewer, or list the member in this "
                "rule's `writers`",
            )


RULES: Final = (
    Rule(
        "no-authoritative-iam",
        "Roles are granted by IAMMember resources, never by IAMBinding or IAMPolicy.",
        "mandatory",
        _authoritative,
    ),
    Rule("no-public-access", "No role is given to everybody, in Google Cloud or in the cluster.", "mandatory", _public),
    Rule(
        "no-basic-roles",
        "Nobody gets owner, editor or viewer of a project.",
        "mandatory",
        _basic_role,
        {"members": strings("members that may have a basic role, as patterns; {project} is gcp:project")},
    ),
    Rule(
        "bucket-writers",
        "Only the download's account may write the model bucket.",
        "mandatory",
        _bucket_writer,
        {
            "writers": strings(
                "members that may write, as patterns; {project} is gcp:project",
                "principal://iam.googleapis.com/projects/*/locations/global/workloadIdentityPools/"
                "{project}.svc.id.goog/subject/ns/*/sa/model-download",
                "serviceAccount:download-*@{project}.iam.gserviceaccount.com",
            ),
            "roles": strings(
                "roles that write; add custom ones",
                "roles/storage.admin",
                "roles/storage.objectAdmin",
                "roles/storage.objectUser",
                "roles/storage.objectCreator",
                "roles/storage.folderAdmin",
                "roles/storage.legacyBucketOwner",
                "roles/storage.legacyBucketWriter",
                "roles/storage.legacyObjectOwner",
            ),
        },
    ),
)
