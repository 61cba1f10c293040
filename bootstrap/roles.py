"""What each identity may do, and why: the whole table, as data. `docs/reference/bootstrap.md` is made from it.

Contents of predefined roles: Google's IAM reference. `roles/container.viewer` reads every kind of Kubernetes object
except Secrets (its list has no `container.secrets.*`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from reference import gke

READS: Final = (
    "container.clusters.connect",
    "iam.serviceAccounts.get",
    "iam.serviceAccounts.getIamPolicy",
    "resourcemanager.projects.get",
    "resourcemanager.projects.getIamPolicy",
    "serviceusage.services.get",
    "serviceusage.services.list",
    "storage.buckets.get",
    "storage.buckets.getIamPolicy",
)
"""What a refresh reads beside networks, cluster and Kubernetes objects: accounts, grants, APIs, and the bucket without
the objects in it. `roles/iam.securityReviewer` would list the policies of some hundred other services as well. The
first one is for the cluster's DNS endpoint."""

READS_SECRETS: Final = ("container.secrets.get", "container.secrets.list")
"""Helm keeps its releases in Secrets, so whoever refreshes a release reads them."""


@dataclass(frozen=True)
class Grant:
    """One role and its reason."""

    role: str
    why: str
    only: str = ""
    """IAM condition, in CEL; empty: none."""


@dataclass(frozen=True)
class CustomRole:
    """A role of this project's own."""

    id: str
    permissions: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Rights:
    """Everything that an identity may do."""

    purpose: str
    state: Grant
    """On the state bucket."""
    key: Grant
    """On the key."""
    roles: tuple[Grant, ...]
    """On each project with an environment."""
    custom: CustomRole | None = None
    """A further role there."""


GRANTED: Final = (*gke.NODE_ROLES, gke.DRANET_ROLE)
"""All roles that the main program grants on a project: those of the nodes, and that of GKE's agent for `dranet`."""

_LIMITED: Final = (
    "api.getAttribute('iam.googleapis.com/modifiedGrantsByRole', []).hasOnly(["
    + ", ".join(f"'{role}'" for role in GRANTED)
    + "])"
)
"""An administrator of these roles only (IAM documentation, "Setting limits on granting roles")."""

_VIEWS: Final = (
    Grant("roles/compute.viewer", "networks, firewall rules, placement policies, the pools' instance groups"),
    Grant("roles/container.viewer", "cluster, pools and Kubernetes objects, Secrets excepted"),
)
_READ_STATE: Final = Grant("roles/storage.objectViewer", "reads the stacks' state; a preview takes no lock")
_DECRYPT: Final = Grant("roles/cloudkms.cryptoKeyDecrypter", "decrypts the stack's secrets")

_DEPLOYS: Final[Mapping[str, str]] = {
    "roles/compute.admin": "networks, subnetworks, firewall rules, router and NAT, placement policies",
    "roles/container.admin": "cluster, pools, and every object in the cluster, RBAC among them",
    "roles/iam.serviceAccountAdmin": "accounts of nodes and pods, and who may use them",
    "roles/iam.serviceAccountUser": "node pools that run as the nodes' account",
    "roles/resourcemanager.projectIamAdmin": "the roles of the nodes' account, and no other role",
    "roles/serviceusage.serviceUsageAdmin": "enables the APIs",
    "roles/storage.admin": "the model bucket, and who may read it",
}

IDENTITIES: Final[Mapping[str, Rights]] = {
    "previewer": Rights(
        "`pulumi preview` of a pull request: reads, but no Kubernetes Secrets",
        _READ_STATE,
        _DECRYPT,
        _VIEWS,
        CustomRole("dynamoA4xPreviewer", READS, "accounts, grants, APIs, buckets"),
    ),
    "drift": Rights(
        "`pulumi preview --refresh` of main: reads, Kubernetes Secrets included",
        _READ_STATE,
        _DECRYPT,
        _VIEWS,
        CustomRole("dynamoA4xDrift", (*READS, *READS_SECRETS), "the same, and Helm's releases, which are Secrets"),
    ),
    "deployer": Rights(
        "`pulumi up` of every environment",
        Grant("roles/storage.objectUser", "writes the stacks' state, takes and releases locks"),
        Grant("roles/cloudkms.cryptoKeyEncrypterDecrypter", "encrypts and decrypts the stacks' secrets"),
        tuple(
            Grant(role, _DEPLOYS[role], _LIMITED if role == "roles/resourcemanager.projectIamAdmin" else "")
            for role in gke.DEPLOYER_ROLES
        ),
    ),
}
"""Rights by identity; each has its workflow in `trust.WORKFLOWS`."""
