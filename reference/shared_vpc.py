"""What a Shared VPC's host project must have granted before GKE can put a cluster of another project into it.

Two accounts of the cluster's project act in the host project, each named by the project's number: GKE's service agent,
which attaches the nodes, and Google's APIs agent, as which the nodes' instance groups are made. Both exist once the
container API is on in the cluster's project (GKE's guide on Shared VPC; cloud-foundation-fabric, sharedvpc-agent-iam).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from reference import iam, networks
from reference.gke import service_agent

HOST_AGENT: Final = "roles/container.hostServiceAgentUser"
NETWORK_USER: Final = "roles/compute.networkUser"

WIDER: Final = ("roles/compute.networkAdmin", "roles/compute.admin", "roles/editor", "roles/owner")
"""Roles that include the right to use a subnetwork."""

CHECK: Final = "shared vpc"
API_CHECK: Final = "host project"
"""Names of the preflight checks of the grants, and of the API."""
API: Final = "container.googleapis.com"
"""Must be on in the host project too (terraform-google-kubernetes-engine issue 302)."""

SOURCE: Final = "https://cloud.google.com/kubernetes-engine/docs/how-to/cluster-shared-vpc"


@dataclass(frozen=True)
class Grant:
    """A role that an account has on the host project, or on one of its subnetworks."""

    role: str
    account: str
    host: str
    subnetwork: networks.Place | None = None
    """None: on the project."""

    @property
    def member(self) -> str:
        """The account as a member of an IAM policy."""
        return f"serviceAccount:{self.account}"

    @property
    def where(self) -> str:
        """What the role is held on, in words."""
        return f"subnetwork {self.subnetwork.name}" if self.subnetwork else f"project {self.host}"

    @property
    def command(self) -> str:
        """The command that grants it."""
        if self.subnetwork is None:
            return iam.command("project", self.host, self.role, self.member)
        on = f"{self.subnetwork.name} --project {self.host} --region {self.subnetwork.region}"
        # A conditional policy makes gcloud ask.
        return (
            f"gcloud compute networks subnets add-iam-policy-binding {on} --member={self.member} --role={self.role} "
            "--condition=None"
        )


def apis_agent(project_number: str) -> str:
    """Email of the account as which Google's APIs make instance groups."""
    return f"{project_number}@cloudservices.gserviceaccount.com"


def grants(host: str, project_number: str, region: str, subnetworks: Sequence[str]) -> Iterator[Grant]:
    """The grants that a cluster needs whose nodes are in these subnetworks of the project `host`."""
    agent = service_agent(project_number)
    yield Grant(HOST_AGENT, agent, host)
    for path in dict.fromkeys(subnetworks):
        place = networks.subnetwork(path)
        its = networks.Place(place.name, host, place.region or region)
        for account in (agent, apis_agent(project_number)):
            yield Grant(NETWORK_USER, account, host, its)
