"""Google Cloud resources, created or adopted.

Nothing here depends on Dynamo or a model. A created environment consists of `ProjectApis`, `ClusterNetwork`,
`DeviceVpcs`, `GkeCluster` and one `NvlinkDomain` for each rack. Adopted resources are values with the same outputs:
`AdoptedCluster` (with its provider), `AdoptedNetwork`, `adopted_domain`, `adopted_bucket`.
"""

from __future__ import annotations

from components.gcp import maintenance
from components.gcp.adopted_cluster import AdoptedCluster, AdoptedClusterArgs, Cluster
from components.gcp.cluster_network import AdoptedNetwork, ClusterNetwork, ClusterNetworkArgs, ControlPlane
from components.gcp.device_vpcs import DeviceInterface, DeviceVpcs, DeviceVpcsArgs
from components.gcp.foundation import ClusterFoundation, ClusterFoundationArgs, KeyUse, OwnNetworks
from components.gcp.gke_cluster import AuthorizedNetwork, ClusterOptions, GkeCluster, GkeClusterArgs
from components.gcp.grants import Binding, Grants
from components.gcp.joined_outputs import once
from components.gcp.key_access import KeyAccess, KeyAccessArgs, storage_agent
from components.gcp.model_bucket import ModelBucket, ModelBucketArgs, adopted_bucket
from components.gcp.node_account import NodeAccount, NodeAccountArgs
from components.gcp.nvlink_domain import (
    AdoptedDomain,
    Domain,
    NvlinkDomain,
    NvlinkDomainArgs,
    PoolOptions,
    adopted_domain,
)
from components.gcp.project_apis import ProjectApis, ProjectApisArgs
from components.gcp.workload_identity import WorkloadIdentity, WorkloadIdentityArgs

__all__ = [
    "AdoptedCluster",
    "AdoptedClusterArgs",
    "AdoptedDomain",
    "AdoptedNetwork",
    "AuthorizedNetwork",
    "Binding",
    "Cluster",
    "ClusterFoundation",
    "ClusterFoundationArgs",
    "ClusterNetwork",
    "ClusterNetworkArgs",
    "ClusterOptions",
    "ControlPlane",
    "DeviceInterface",
    "DeviceVpcs",
    "DeviceVpcsArgs",
    "Domain",
    "GkeCluster",
    "GkeClusterArgs",
    "Grants",
    "KeyAccess",
    "KeyAccessArgs",
    "KeyUse",
    "ModelBucket",
    "ModelBucketArgs",
    "NodeAccount",
    "NodeAccountArgs",
    "NvlinkDomain",
    "NvlinkDomainArgs",
    "OwnNetworks",
    "PoolOptions",
    "ProjectApis",
    "ProjectApisArgs",
    "WorkloadIdentity",
    "WorkloadIdentityArgs",
    "adopted_bucket",
    "adopted_domain",
    "maintenance",
    "once",
    "storage_agent",
]
