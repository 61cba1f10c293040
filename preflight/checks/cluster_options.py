"""What the options of a created cluster need in other projects and APIs."""

from __future__ import annotations

from preflight.results import Outcome, failed, passed
from preflight.site import Site
from reference import cluster_options, iam


def binary_authorization(site: Site) -> Outcome:
    """The API is on; GKE refuses a cluster with the option otherwise [inferred]."""
    project, api = site.settings.project, cluster_options.BINARY_AUTHORIZATION_API
    if site.cloud.disabled_services(project, [api]):
        return failed(f"{api} is off in project {project}", f"gcloud services enable {api} --project {project}")
    return passed(f"{api} is on; whether the policy admits every image only a pod shows")


def fleet(site: Site, fleet_project: str) -> Outcome:
    """The fleet's API is on in its project, and its agent may work in the cluster's."""
    project, api = site.settings.project, cluster_options.FLEET_API
    if site.cloud.disabled_services(fleet_project, [api]):
        return failed(
            f"{api} is off in project {fleet_project}", f"gcloud services enable {api} --project {fleet_project}"
        )
    if fleet_project == project:
        return passed(f"{api} is on")
    agent = cluster_options.fleet_agent(site.cloud.project(fleet_project).number)
    member = f"serviceAccount:{agent}"
    missing = [role for role in cluster_options.FLEET_ROLES if member not in site.cloud.members(project, role)]
    if missing:
        commands = "; ".join(iam.command("project", project, role, member) for role in missing)
        return failed(f"{agent} has no {' and no '.join(missing)} on project {project}", commands)
    return passed(f"{api} is on in {fleet_project}, and its agent has its roles")
