"""Credentials, project, permissions and APIs."""

from __future__ import annotations

from typing import Final

from preflight.cloud import CloudError
from preflight.results import Outcome, failed, passed, skipped, warned
from preflight.site import Site
from reference import egress, gke
from settings.model import CreateModelBucket

PERMISSIONS_MAX: Final = 4
"""Missing permissions that are listed; the roles cover the rest."""

CREATE_CLUSTER: Final[tuple[str, ...]] = (
    "serviceusage.services.enable",
    "container.clusters.create",
    "iam.serviceAccounts.create",
    "iam.serviceAccounts.actAs",
    "resourcemanager.projects.setIamPolicy",
)
"""A permission of each role in `gke.DEPLOYER_ROLES` that creating a cluster needs."""
CREATE_NETWORK: Final[tuple[str, ...]] = ("compute.networks.create", "compute.subnetworks.create")
CREATE_ZONE: Final[tuple[str, ...]] = ("dns.managedZones.create", "dns.networks.bindPrivateDNSZone")
CREATE_DOMAIN: Final[tuple[str, ...]] = ("compute.resourcePolicies.create", "container.clusters.update")
ADOPT_CLUSTER: Final[tuple[str, ...]] = ("compute.instanceGroupManagers.list",)
"""GKE's `getCluster` lists the instance group managers of the pools on behalf of the caller."""
NODE_ACCOUNT: Final[tuple[str, ...]] = (
    "iam.serviceAccounts.create",
    "iam.serviceAccounts.actAs",
    "resourcemanager.projects.setIamPolicy",
)
"""For the service account of a created pool's nodes."""
CREATE_BUCKET: Final[tuple[str, ...]] = ("storage.buckets.create", "storage.buckets.setIamPolicy")
SERVICE_ACCOUNT: Final[tuple[str, ...]] = ("iam.serviceAccounts.create", "iam.serviceAccounts.setIamPolicy")
IN_CLUSTER: Final[tuple[str, ...]] = (
    "container.clusters.get",
    "container.namespaces.create",
    "container.customResourceDefinitions.create",
)
"""What installing the platform and the stacks needs, as far as IAM and not RBAC grants it."""


def credentials(site: Site) -> Outcome:
    """The user has credentials that yield a token."""
    try:
        return passed(f"logged in: {site.cloud.login()}")
    except CloudError as error:
        if error.trouble != "login":
            raise
        return failed(f"no token: {error}", "log in: gcloud auth application-default login")


def project(site: Site) -> Outcome:
    """The project exists, is active and has the number in the config."""
    name, number = site.settings.project, site.settings.project_number
    try:
        found = site.project()
    except CloudError as error:
        if error.trouble != "missing":
            raise
        return failed(f"there is no project {name}", "correct gcp:project: gcloud projects list")
    if found.state != "ACTIVE":
        return failed(f"project {name} is {found.state or 'in an unknown state'}", "restore it, or choose another")
    if number is not None and number != found.number:
        return failed(
            f"project {name} has the number {found.number}, the config says {number}: pods would get no access "
            "to the bucket",
            f'pulumi config set projectNumber "{found.number}"',
        )
    return passed(f"{name}, number {found.number}")


def permissions(site: Site) -> Outcome:
    """The caller has the permissions that `pulumi up` needs on the project."""
    wanted = _wanted(site)
    try:
        granted = site.cloud.granted(site.settings.project, wanted)
    except CloudError as error:
        # It rejects the whole request if a single permission does not exist for projects.
        if error.trouble != "refused":
            raise
        return skipped(f"Resource Manager does not answer: {error}")
    missing = [permission for permission in wanted if permission not in granted]
    if not missing:
        return passed(f"all {len(wanted)} checked permissions are granted")
    more = f" and {len(missing) - PERMISSIONS_MAX} more" if len(missing) > PERMISSIONS_MAX else ""
    roles = ", ".join(_roles(site))
    return failed(
        f"{len(missing)} of {len(wanted)} are missing: {', '.join(missing[:PERMISSIONS_MAX])}{more}",
        f"have the roles granted on project {site.settings.project}: {roles}",
    )


def _wanted(site: Site) -> list[str]:
    settings = site.settings
    given = settings.identities
    accounts = settings.workload_identity == "serviceAccount" and not (given.model_reader and given.model_writer)
    wanted = [
        *IN_CLUSTER,
        *(CREATE_CLUSTER if site.creates_cluster else ADOPT_CLUSTER),
        *_network(site),
        *((*CREATE_DOMAIN, *NODE_ACCOUNT) if settings.created_domains else ()),
        *(CREATE_BUCKET if isinstance(settings.model_bucket, CreateModelBucket) else ()),
        *(SERVICE_ACCOUNT if accounts else ()),
    ]
    others = {
        *(() if given.enable_apis else ("serviceusage.services.enable",)),
        *(permission for permission in wanted if given.iam == "none" and permission.endswith(".setIamPolicy")),
        # Only on the account that is given, which a check of its own looks at.
        *(("iam.serviceAccounts.actAs",) if given.node_service_account else ()),
        *(("iam.serviceAccounts.create",) if given.node_service_account and not accounts else ()),
    }
    return [permission for permission in dict.fromkeys(wanted) if permission not in others]


def _network(site: Site) -> list[str]:
    created = site.settings.created_network
    if created is None:
        return []
    wanted = [*CREATE_NETWORK]
    if created.firewall == "own":
        wanted.append("compute.firewalls.create")
    if created.nat == "own":
        wanted.append("compute.routers.create")
    if site.settings.creates_apis_zone:
        wanted += CREATE_ZONE
    return wanted


def _roles(site: Site) -> list[str]:
    """The roles that together have all permissions that are checked."""
    settings = site.settings
    if site.creates_cluster or settings.created_domains:
        given = settings.identities
        others = {
            *(() if given.enable_apis else ("roles/serviceusage.serviceUsageAdmin",)),
            *(("roles/resourcemanager.projectIamAdmin",) if given.iam == "none" else ()),
        }
        roles = (*gke.DEPLOYER_ROLES, *((egress.DNS_ROLE,) if settings.creates_apis_zone else ()))
        return [role for role in roles if role not in others]
    account = settings.workload_identity == "serviceAccount"
    return [*gke.ADOPTER_ROLES, *(["roles/iam.serviceAccountAdmin"] if account else [])]


def apis(site: Site) -> Outcome:
    """The APIs that the program uses are enabled, or the program will enable them."""
    name = site.settings.project
    used = site.settings.apis
    disabled = site.cloud.disabled_services(name, used)
    if not disabled:
        return passed(f"all {len(used)} are on")
    finding = f"disabled: {', '.join(disabled)}"
    fix = f"gcloud services enable {' '.join(disabled)} --project {name}"
    if site.creates_cluster and site.settings.identities.enable_apis:
        return warned(f"{finding}; `pulumi up` enables them", f"to enable them beforehand: {fix}")
    return failed(finding, fix)
