"""The model bucket in a pod: Cloud Storage FUSE's volume, the sidecar's annotations, and the path of the weights."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from manifests.gpu_pod import Value

MODEL_ROOT: Final = "/data/model"
"""Where pods mount the bucket."""
VOLUME: Final = "gcs-model-volume"

ANNOTATIONS: Final[Mapping[str, str]] = {
    "gke-gcsfuse/volumes": "true",
    "gke-gcsfuse/cpu-limit": "0",
    "gke-gcsfuse/memory-limit": "0",
    "gke-gcsfuse/ephemeral-storage-limit": "0",
}
"""Adds the sidecar, without limits on CPU, memory and disk."""


def sidecar(requests: Mapping[str, str], limits: Mapping[str, str]) -> Mapping[str, str]:
    """`ANNOTATIONS` with requests and limits of the sidecar: cpu, memory, ephemeral-storage."""
    return {
        **ANNOTATIONS,
        **{f"gke-gcsfuse/{name}-request": value for name, value in requests.items()},
        **{f"gke-gcsfuse/{name}-limit": value for name, value in limits.items()},
    }


def model_path(model: str) -> str:
    """Where the download puts the weights and pods find them: below the model's id."""
    return f"{MODEL_ROOT}/{model}"


def cached_volume(bucket: Value, chunk_megabytes: int) -> Any:
    """The bucket as a volume to read from, which downloads files in parallel chunks of this size into its cache."""
    return volume(
        bucket,
        "file-cache:enable-parallel-downloads:true",
        "file-cache:parallel-downloads-per-file:100",
        "file-cache:max-parallel-downloads:-1",
        f"file-cache:download-chunk-size-mb:{chunk_megabytes}",
        "file-cache:max-size-mb:-1",
        read_only=True,
    )


def volume(bucket: Value, *options: str, read_only: bool = False) -> Any:
    """The bucket as a volume with these mount options; `implicit-dirs` shows folders that have no object."""
    csi: dict[str, Any] = {
        "driver": "gcsfuse.csi.storage.gke.io",
        "volumeAttributes": {"bucketName": bucket, "mountOptions": ",".join(("implicit-dirs", *options))},
    }
    if read_only:
        csi["readOnly"] = True
    return {"name": VOLUME, "csi": csi}
