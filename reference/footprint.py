"""Resource requests of the pods without a GPU, for their manifests and for the check that they fit on the nodes.

A worker requests its node's 4 GPUs and no CPU or memory, so to the scheduler it takes none; its 80 GiB of shared memory
count only when used. The gcsfuse sidecar, whose limits are removed, requests GKE's defaults ("Configure the Cloud
Storage FUSE CSI driver sidecar container").
"""

from __future__ import annotations

from typing import Final

from reference.capacity import GIB, MIB, Size

FRONTEND: Final = Size(5000, 50 * GIB)
"""As in the recipe: the tokenizer's processes and their request buffers."""

BENCHMARK: Final = Size(4000, 8 * GIB)
"""SGLang's `bench_serving` with its random data set."""

READINESS_CHECK: Final = Size(100, 64 * MIB)
"""A Python interpreter that polls; it mounts no bucket."""

TEARDOWN_BARRIER: Final = Size(10, 32 * MIB)
"""A Python interpreter that sleeps until its stack is torn down."""

SIDECAR: Final = Size(250, 256 * MIB)
"""gcsfuse in each pod that mounts the bucket."""
