"""Volumes of NATS and etcd: their storage class has to exist, its key to be usable, and it never changes."""

from __future__ import annotations

from rehearsal.simulator.gcp import keys
from rehearsal.simulator.state import ApiError, CloudResource, CloudState
from rehearsal.simulator.values import Props, mapping, text
from rehearsal.simulator.workloads import platforms

_STORAGE_CLASS = "kubernetes:storage.k8s.io/v1:StorageClass"
_KEY = "disk-encryption-kms-key"
"""Parameter of GKE's Persistent Disk driver (GKE: "Use customer-managed encryption keys")."""
_CLASSES = ("values.nats.config.jetstream.fileStore.pvc.storageClassName", "values.etcd.persistence.storageClass")
_OF_GKE = ("standard", "standard-rwo", "premium-rwo")
"""Classes that every cluster has (GKE: "Persistent volumes and dynamic provisioning")."""


def refuse(state: CloudState, cluster: str, inputs: Props, version: str, upgraded: CloudResource | None) -> None:
    """Raise `ApiError` if the platform's volumes would not be made, or would have to change their class."""
    for path in _CLASSES:
        if not platforms.installs(version, mapping(inputs, "values"), path.split(".")[1]):
            continue
        name = text(inputs, path)
        if upgraded is not None and text(upgraded.inputs, path) != name:
            # Kubernetes' validation of a StatefulSet, whose volumeClaimTemplates are immutable.
            raise ApiError(
                f"cannot patch the StatefulSet of {path.split('.')[1]}: updates to statefulset spec for fields other "
                "than 'replicas', 'ordinals', 'template', 'updateStrategy', 'persistentVolumeClaimRetentionPolicy' "
                "and 'minReadySeconds' are forbidden"
            )
        if upgraded is not None or not name or name in _OF_GKE:
            # A volume that is there needs its class no more.
            continue
        found = state.get(_STORAGE_CLASS, name, cluster)
        if found is None:
            raise ApiError(f'context deadline exceeded: storageclass.storage.k8s.io "{name}" not found')
        key = str(mapping(found.outputs, "parameters").get(_KEY) or "")
        if key and not keys.usable(state, key, keys.DISK_AGENT):
            raise ApiError(
                f"context deadline exceeded: failed to provision volume with StorageClass {name!r}: Cloud KMS error "
                f"when using key {key}"
            )
