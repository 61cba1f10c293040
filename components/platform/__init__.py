"""What all serving stacks of a cluster share.

Device networks come before the node pools, node software and operators after them. The cluster's Kubernetes provider is
an input of every component.
"""

from __future__ import annotations

from components.platform.device_networks import DeviceNetworks, DeviceNetworksArgs
from components.platform.dra_driver import DraDriver, DraDriverArgs
from components.platform.dynamo_platform import DynamoPlatform, DynamoPlatformArgs
from components.platform.gib_installer import GibInstaller, GibInstallerArgs
from components.platform.kai_scheduler import KaiScheduler, KaiSchedulerArgs
from components.platform.model_download import ModelDownload, ModelDownloadArgs
from components.platform.platform_guard import (
    OwnedPart,
    Part,
    PlatformGuard,
    PlatformGuardArgs,
    PlatformUse,
    PlatformUseArgs,
)
from components.platform.queues import ServingQueues, ServingQueuesArgs
from components.platform.rdma_admission import RdmaAdmission, RdmaAdmissionArgs
from components.platform.release_record import ReleaseRecord, ReleaseRecordArgs

__all__ = [
    "DeviceNetworks",
    "DeviceNetworksArgs",
    "DraDriver",
    "DraDriverArgs",
    "DynamoPlatform",
    "DynamoPlatformArgs",
    "GibInstaller",
    "GibInstallerArgs",
    "KaiScheduler",
    "KaiSchedulerArgs",
    "ModelDownload",
    "ModelDownloadArgs",
    "OwnedPart",
    "Part",
    "PlatformGuard",
    "PlatformGuardArgs",
    "PlatformUse",
    "PlatformUseArgs",
    "RdmaAdmission",
    "RdmaAdmissionArgs",
    "ReleaseRecord",
    "ReleaseRecordArgs",
    "ServingQueues",
    "ServingQueuesArgs",
]
