"""DRANET: the networks that GKE makes by itself, and whether it may."""

from __future__ import annotations

from typing import Final

from preflight.results import Outcome, passed, warned
from preflight.site import Site

ROLE: Final = "roles/compute.networkAdmin"
WIDER: Final = ("roles/compute.admin", "roles/editor", "roles/owner")
"""Roles that hold everything of `ROLE`."""


def agent(site: Site) -> Outcome:
    """GKE's service agent may make the VPC networks of the profile `auto`.

    NVIDIA's AICR says that it needs the role; Google's cluster-toolkit and XPK do not grant it. So this never fails.
    """
    name = site.settings.project
    member = f"serviceAccount:service-{site.project().number}@container-engine-robot.iam.gserviceaccount.com"
    for role in (ROLE, *WIDER):
        if member in site.cloud.members(name, role):
            return passed(f"GKE's service agent has {role}")
    return warned(
        f"GKE's service agent has no {ROLE} of the project's own policy; GKE may need it to make the RDMA networks",
        f"gcloud projects add-iam-policy-binding {name} --member={member} --role={ROLE} --condition=None",
    )
