"""Rules of the A4X nodes themselves: version, GPU driver, NCCL plugin, and who creates DRANET's networks.

Each check is a function from `Settings` to the problems it finds, as in `checks`.
"""

from __future__ import annotations

from collections.abc import Iterator

from reference import gke
from reference.dynamo import PROFILES
from settings.model import CreateCluster, CreateDomain, Settings
from validation.problems import Problem, RuleError


def versions(settings: Settings) -> Iterator[Problem]:
    """A created pool may have a version of its own: an exact build that cluster and Dynamo release support."""
    profile = PROFILES.get(settings.dynamo.version)
    control_plane = settings.cluster.version if isinstance(settings.cluster, CreateCluster) else None
    for i, domain in enumerate(settings.domains):
        if not isinstance(domain, CreateDomain) or domain.node_version is None:
            continue
        key, version = f"domains[{i}].nodeVersion", domain.node_version
        try:
            gke.check_node_version(version, control_plane, key)
            if profile is not None:
                gke.version_window(profile).check(version, key)
        except RuleError as error:
            yield Problem(error.key, error.value, error.rule, error.fix)


def software(settings: Settings) -> Iterator[Problem]:
    """GPU driver and NCCL plugin can be chosen only where the program installs them."""
    chosen = settings.node_software
    if chosen.gpu_driver_version is not None and not settings.created_domains:
        rule = "the driver of an adopted pool is its owner's, and no pool is created here"
        yield Problem("nodeSoftware.gpuDriverVersion", chosen.gpu_driver_version, rule, "remove the key")
    if isinstance(settings.cluster, CreateCluster):
        return
    for key, value in (("gibVersion", chosen.gib_version), ("installNccl", chosen.install_nccl)):
        if value is not None:
            rule = "the NCCL plugin of an adopted cluster is its owner's, and none is installed here"
            yield Problem(f"nodeSoftware.{key}", value, rule, "remove the key")


def dranet(settings: Settings) -> Iterator[Problem]:
    """GKE's permission to create networks is granted for DRANET only, where GKE creates them."""
    cluster, key = settings.cluster, "cluster.dranetNetworkAdmin"
    if not isinstance(cluster, CreateCluster) or not cluster.dranet_network_admin:
        return
    if cluster.rdma != "dranet":
        rule = "it is the permission that lets GKE create DRANET's networks"
        yield Problem(key, True, rule, "remove the key, or set cluster.rdma: dranet")
    elif cluster.device_networks is not None:
        rule = "it is the permission that lets GKE create DRANET's networks, and cluster.deviceNetworks names them"
        yield Problem(key, True, rule, "remove the key")


def number_needed(settings: Settings) -> str:
    """Why DRANET's grant needs the project's number; empty: nothing is granted, or `dranet` refuses it."""
    cluster = settings.cluster
    granted = isinstance(cluster, CreateCluster) and cluster.dranet_network_admin and not list(dranet(settings))
    if not granted:
        return ""
    return (
        "the name of GKE's service agent, to which cluster.dranetNetworkAdmin grants the role, contains the project "
        "number"
    )


def warnings(settings: Settings) -> Iterator[str]:
    """What is allowed but probably a mistake."""
    software, profile = settings.node_software, settings.profile
    if software.gpu_driver_version == "INSTALLATION_DISABLED":
        yield (
            "nodeSoftware.gpuDriverVersion = INSTALLATION_DISABLED: GKE installs no GPU driver, and neither does this "
            "program; NCCL plugin and DRA driver wait until another installer has put one on the nodes."
        )
    if isinstance(settings.cluster, CreateCluster) and software.install_nccl and not profile.install_nccl:
        yield (
            f"nodeSoftware.installNccl = true with Dynamo {profile.version}: the plugin's NCCL takes the place of the "
            "image's; where that is newer, workers end with an undefined symbol such as ncclWaitSignal."
        )
