"""Volumes and mounts that the pods of a stack have: names and paths that a user's own volumes may not take."""

from __future__ import annotations

from typing import Final

from reference import machines

NAMES: Final = frozenset(
    {
        "gcs-model-volume",
        "local-ssd",
        "library-dir-host",
        "gib",
        "serving-configuration",
        "company-ca",
        # Dynamo's operator adds this one for `sharedMemory`.
        "shared-memory",
    }
)
PATHS: Final = frozenset(
    {
        "/data/model",
        "/gcs-cache",
        machines.DRIVER_MOUNT,
        "/usr/local/gib",
        "/workload/configs",
        "/etc/company-ca",
        "/dev/shm",  # noqa: S108 - where POSIX has it
    }
)

SOURCES: Final = frozenset(
    {
        *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "fc", "flexVolume", "gcePersistentDisk"),
        *("hostPath", "image", "iscsi", "nfs", "persistentVolumeClaim", "projected", "secret"),
    }
)
"""Kinds of volumes of Kubernetes 1.34 to 1.36 that GKE can mount."""

RESTRICTED: Final = frozenset(
    {
        *("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected"),
        "secret",
    }
)
"""Those that the Pod Security Standard `restricted` allows (k8s.io/pod-security-admission v0.34.1)."""
