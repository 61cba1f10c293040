"""What the options of a created cluster need from others: its fleet, its group, Binary Authorization, secure tags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, Literal

from reference import gke, iam, shared_vpc
from reference.prerequisites import Prerequisite

EvaluationMode = Literal["DISABLED", "PROJECT_SINGLETON_POLICY_ENFORCE"]
"""How Binary Authorization judges images: not at all, or by the project's one policy. GKE has two more modes, for
policies that are bound to a cluster; pulumi-gcp 9.37.1 takes neither these modes nor the bindings."""

BINARY_AUTHORIZATION_OFF: Final = "DISABLED"
BINARY_AUTHORIZATION_API: Final = "binaryauthorization.googleapis.com"
FLEET_API: Final = "gkehub.googleapis.com"
BINARY_AUTHORIZATION_CHECK: Final = "binary authorization"
FLEET_CHECK: Final = "fleet"
"""Names of the preflight checks."""

FLEET_ROLES: Final = ("roles/gkehub.serviceAgent", "roles/gkehub.crossProjectServiceAgent")
"""Roles of a fleet's agent on a project whose clusters join it (terraform-google-kubernetes-engine, sa.tf)."""

_TAG_USER: Final = "roles/resourcemanager.tagUser"
_TAG_HOLDER: Final = "roles/resourcemanager.tagHoldAdmin"


def fleet_agent(project_number: str) -> str:
    """Email of the agent of a fleet, which is in the project of this number."""
    return f"service-{project_number}@gcp-sa-gkehub.iam.gserviceaccount.com"


def fleet(project: str, fleet_project: str, fleet_number: str) -> Iterator[Prerequisite]:
    """What a fleet needs that a cluster of `project` joins."""
    key, source = "cluster.fleetProject", "Fleets: prerequisites; terraform-google-kubernetes-engine sa.tf"
    enable = f"gcloud services enable {FLEET_API} --project {fleet_project}"
    yield Prerequisite(key, f"the API {FLEET_API} is on in project {fleet_project}", enable, FLEET_CHECK, source)
    for role in () if fleet_project == project else FLEET_ROLES:
        agent = fleet_agent(fleet_number)
        command = iam.command("project", project, role, f"serviceAccount:{agent}")
        yield Prerequisite(key, f"{agent} has {role} on project {project}", command, FLEET_CHECK, source)


def security_group(group: str) -> Prerequisite:
    """The group that holds the groups which roles of Kubernetes can name."""
    return Prerequisite(
        "cluster.securityGroup",
        f"the group {group}; its members are the groups that Kubernetes roles name, and may view its membership",
        f"gcloud identity groups create {group} --organization ORGANIZATION --with-initial-owner WITH_INITIAL_OWNER",
        "none: groups are read with permissions in the organisation, not in the project",
        "GKE: configure Google Groups for RBAC",
    )


def binary_authorization(project: str, patterns: Iterable[str]) -> Iterator[Prerequisite]:
    """The API, and a policy that lets every image of the environment through."""
    key, source = "cluster.binaryAuthorization", "Binary Authorization: policy YAML reference"
    enable = f"gcloud services enable {BINARY_AUTHORIZATION_API} --project {project}"
    what = f"the API {BINARY_AUTHORIZATION_API} is on in project {project}"
    yield Prerequisite(key, what, enable, BINARY_AUTHORIZATION_CHECK, source)
    yield Prerequisite(
        key,
        f"the project's policy has globalPolicyEvaluationMode: ENABLE, and admits {', '.join(patterns)}",
        f"gcloud container binauthz policy import POLICY_FILE --project {project}",
        "none: a policy is judged by Google, image by image",
        source,
    )


def secure_tags(tags: Mapping[str, str], project: str, project_number: str) -> Iterator[Prerequisite]:
    """The tags exist, and GKE may put them on nodes."""
    key, source = "metadata.secureTags", "GKE: use tags in firewall policies, prerequisites"
    check = "none: tags are read with permissions in the organisation"
    agent, apis = gke.service_agent(project_number), shared_vpc.apis_agent(project_number)
    add = "add-iam-policy-binding"
    for tag, value in tags.items():
        yield Prerequisite(
            key,
            f"the tag {tag} with the value {value}, of purpose GCE_FIREWALL",
            "gcloud resource-manager tags keys create KEY --parent=organizations/ORGANIZATION --purpose=GCE_FIREWALL "
            "--purpose-data=organization=auto; gcloud resource-manager tags values create VALUE --parent=KEY",
            check,
            source,
        )
        grants = [
            *(("keys", tag, one, _TAG_USER) for one in (agent, apis)),
            *(("values", value, one, _TAG_USER) for one in (agent, apis)),
            ("values", value, agent, _TAG_HOLDER),
        ]
        for kind, name, account, role in grants:
            member = f"--member=serviceAccount:{account} --role={role}"
            command = f"gcloud resource-manager tags {kind} {add} {name} {member}"
            yield Prerequisite(key, f"{account} has {role} on the tag's {kind[:-1]} {name}", command, check, source)
    if tags:
        command = iam.command("project", project, _TAG_USER, "user:YOU")
        yield Prerequisite(
            key, f"whoever runs pulumi has {_TAG_USER} on the tags and on {project}", command, check, source
        )
