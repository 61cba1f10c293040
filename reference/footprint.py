"""What the pods without a GPU ask for, said once: the graph and the clients are written from it, and it is held against
the nodes before anything is made.

A worker asks for its node's 4 GPUs and for no CPU or memory, so it takes none from the scheduler's point of view; its
80 GiB of shared memory count only when they are used. The sidecar of gcsfuse asks for GKE's defaults where its limits
are lifted ("Configure the Cloud Storage FUSE CSI driver sidecar container").
"""

from __future__ import annotations

from typing import Final

from reference.capacity import GIB, MIB, Size

FRONTEND: Final = Size(5000, 50 * GIB)
"""As in the recipe: the tokenizer's processes and what they hold of requests."""

BENCHMARK: Final = Size(4000, 8 * GIB)
"""SGLang's `bench_serving` with its random data set."""

READINESS_CHECK: Final = Size(100, 64 * MIB)
"""A Python interpreter that asks and waits; it mounts no bucket."""

SIDECAR: Final = Size(250, 256 * MIB)
"""gcsfuse beside each pod that mounts the bucket."""
