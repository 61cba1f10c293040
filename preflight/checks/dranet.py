"""DRANET: whether GKE may create its networks."""

from __future__ import annotations

from typing import Final

from preflight.results import Outcome, passed, warned
from preflight.site import Site
from reference import gke, iam
from settings.model import CreateCluster

WIDER: Final = ("roles/compute.admin", "roles/editor", "roles/owner")
"""Roles that include all of `gke.DRANET_ROLE`."""


def agent(site: Site) -> Outcome:
    """GKE's service agent may create the VPC networks of the profile `auto`.

    NVIDIA's AICR says that it needs the role; Google's cluster-toolkit and XPK do not grant it. So this never fails.
    """
    name, role = site.settings.project, gke.DRANET_ROLE
    cluster = site.settings.cluster
    if isinstance(cluster, CreateCluster) and cluster.dranet_network_admin:
        return passed(f"the program grants {role} (cluster.dranetNetworkAdmin)")
    member = f"serviceAccount:{gke.service_agent(site.project().number)}"
    for held in (role, *WIDER):
        if member in site.cloud.members(name, held):
            return passed(f"GKE's service agent has {held}")
    return warned(
        f"GKE's service agent has no {role} of the project's own policy; GKE may need it to make the RDMA networks",
        f"set cluster.dranetNetworkAdmin: true, or {iam.command('project', name, role, member)}",
    )
