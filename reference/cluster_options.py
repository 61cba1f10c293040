"""What the options of a created cluster need from others: its fleet, its group, Binary Authorization, secure tags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from reference import gke, iam, shared_vpc
from reference.prerequisites import Prerequisite

BINARY_AUTHORIZATION_API: Final = "binaryauthorization.googleapis.com"
FLEET_API: Final = "gkehub.googleapis.com"
BINARY_AUTHORIZATION_CHECK: Final = "binary authorization"
FLEET_CHECK: Final = "fleet"
"""Names of the preflight checks."""

FLEET_ROLES: Final = ("roles/gkehub.serviceAgent", "roles/gkehub.crossProjectServiceAgent")
"""Roles of a fleet's agent on a project whose clusters join it (terraform-google-kubernetes-engine, sa.tf)."""

_TAG_ROLE: Final = "roles/resourcemanager.tagUser"


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
        f"the group {group}, whose members are the groups that Kubernetes roles name, and may see its members",
        f"gcloud identity groups create {group} --organization ORGANIZATION --with-initial-owner WITH_INITIAL_OWNER",
        "none: groups are read with rights in the organisation, not in the project",
        "GKE: configure Google Groups for RBAC",
    )


def binary_authorization(project: str, registries: Iterable[str]) -> Iterator[Prerequisite]:
    """The API, and a policy that lets every image of the environment through."""
    key, source = "cluster.binaryAuthorization", "Binary Authorization: policy YAML reference"
    enable = f"gcloud services enable {BINARY_AUTHORIZATION_API} --project {project}"
    what = f"the API {BINARY_AUTHORIZATION_API} is on in project {project}"
    yield Prerequisite(key, what, enable, BINARY_AUTHORIZATION_CHECK, source)
    paths = ", ".join(f"{registry}/**" for registry in registries)
    yield Prerequisite(
        key,
        f"the project's policy has globalPolicyEvaluationMode: ENABLE, and admits {paths}",
        f"gcloud container binauthz policy import POLICY_FILE --project {project}",
        "none: a policy is judged by Google, image by image",
        source,
    )


def secure_tags(tags: Mapping[str, str], project: str, project_number: str) -> Iterator[Prerequisite]:
    """The tags exist, and whoever creates nodes may put them on."""
    key, source = "metadata.secureTags", "GKE: tags for firewall policies; [inferred] that no other role is needed"
    for tag, value in tags.items():
        yield Prerequisite(
            key,
            f"the tag {tag} with the value {value}, of purpose GCE_FIREWALL",
            "gcloud resource-manager tags keys create KEY --parent=organizations/ORGANIZATION --purpose=GCE_FIREWALL "
            "--purpose-data=network=PROJECT/NETWORK; gcloud resource-manager tags values create VALUE --parent=KEY",
            "none: tags are read with rights in the organisation",
            source,
        )
    agents = (gke.service_agent(project_number), shared_vpc.apis_agent(project_number))
    for member in ("user:YOU", *(f"serviceAccount:{agent}" for agent in agents)) if tags else ():
        command = iam.command("project", project, _TAG_ROLE, member)
        what = f"{_TAG_ROLE} on the tag's values and on project {project} for {member.partition(':')[2]}"
        yield Prerequisite(key, what, command, "none: tags are read with rights in the organisation", source)
