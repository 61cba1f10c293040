"""How long things take, in minutes, and where each figure comes from.

No figure was measured by this project: it has not run on A4X. A source says what others published; where there is
none the row says "estimate", and why it was set so.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass

from rehearsal.timeline.graph import Op
from rehearsal.timeline.plan import Task

ESTIMATE = "estimate"
TERRAFORM_LOG = "log of a Terraform run, regional cluster in europe-west2, 2020"
"""In a public repository: VPC 23 s and 11 s, subnet 13 s and 12 s, cluster 6 m 13 s and 2 m 44 s, e2 pool 1 m 4 s and
4 m 17 s (made, deleted)."""


@dataclass(frozen=True)
class Row:
    """How long one kind of task takes."""

    roles: str
    """Which tasks: a pattern on `Task.role`."""
    up: float
    destroy: float
    source: str
    """Where the figures come from; begins with "estimate" where they come from nobody."""
    settles: float = 0.0
    """Minutes after the task has ended until what it made works. The engine does not wait for that; what uses it
    does."""


ROWS: tuple[Row, ...] = (
    Row("*/Api:*", 0.5, 0.0, f"{ESTIMATE}: an operation of some seconds to a minute; stays on at destroy"),
    Row("*/Network", 0.4, 0.2, f"{TERRAFORM_LOG} (23 s, 11 s); 58 s in turbot/steampipe-plugin-gcp#214"),
    Row("*/Subnetwork", 0.2, 0.2, f"{TERRAFORM_LOG} (13 s, 12 s)"),
    Row("*/Firewall", 0.2, 0.2, f"{ESTIMATE}: as a subnet"),
    Row("RdmaFirewall/*", 0.2, 0.2, f"{ESTIMATE}: as a subnet"),
    Row("*/Router", 0.2, 0.2, f"{ESTIMATE}: as a subnet"),
    Row("*/RouterNat", 0.3, 0.2, f"{ESTIMATE}: as a subnet, with addresses"),
    Row("*/ManagedZone", 0.1, 0.1, f"{ESTIMATE}: one call"),
    Row("*/RecordSet", 0.1, 0.1, f"{ESTIMATE}: one call"),
    Row("*/Account", 0.1, 0.1, "6 s in turbot/steampipe-plugin-gcp#214; deleted: estimate"),
    Row(
        "*/*IAMMember",
        0.2,
        0.2,
        "call: estimate; propagation: typically 2 min, 7 min or longer possible "
        "(cloud.google.com/iam/docs/access-change-propagation)",
        settles=2.0,
    ),
    Row("*/CryptoKeyIAMMember:*", 0.2, 0.2, f"{ESTIMATE}: one call; as every grant it may take minutes to work"),
    Row("*/IAMCustomRole", 0.2, 0.1, f"{ESTIMATE}: one call"),
    Row("*/Bucket", 0.1, 0.5, f"{ESTIMATE}: deleted with some 170 objects in it"),
    Row("*/ResourcePolicy", 0.1, 0.1, f"{ESTIMATE}: one call"),
    Row("*/Cluster", 6.2, 2.7, f"{TERRAFORM_LOG} (6 m 13 s, 2 m 44 s); over 8 min in eclipse-theia/theia-cloud#336"),
    Row("*/NodePool:a4x-*", 15.0, 8.0, f"{ESTIMATE}: 18 machines with GPU driver; no published figure for A4X"),
    Row("*/NodePool:*", 1.1, 4.3, f"{TERRAFORM_LOG} (1 m 4 s, 4 m 17 s)"),
    Row("*/Release:dynamo-platform", 5.0, 2.0, f"{ESTIMATE}: images of five systems, volumes of NATS and etcd, hooks"),
    Row("*/Release:dynamo-crds", 0.2, 0.2, f"{ESTIMATE}: objects only, no pod"),
    Row(
        "*/Release:kai-scheduler",
        2.0,
        0.5,
        f"{ESTIMATE}: one operator and hooks; 10 s if already pulled",
    ),
    Row(
        "*/ConfigPatch",
        1.0,
        0.05,
        f"{ESTIMATE}: images of KAI's webhooks and controllers; 1 s if already pulled (run on simulated nodes)",
    ),
    Row(
        "*/SchedulingShard",
        0.5,
        0.05,
        f"{ESTIMATE}: the scheduler's image; 2 s if already pulled (run on simulated nodes)",
    ),
    Row("*/Release:nvidia-dra-driver-gpu", 3.0, 1.0, f"{ESTIMATE}: one image on every A4X node, through the NAT"),
    Row("*/Release:*", 3.0, 1.0, f"{ESTIMATE}: a chart that this table does not know"),
    Row("*/DaemonSet", 3.0, 0.5, f"{ESTIMATE}: one image on every A4X node, and the copy to the host"),
    Row(
        "ReadinessCheck/Job",
        20.0,
        0.2,
        "20 min with download on 8 H200 (sgl-project/sglang#3825); estimate for A4X from a cold bucket. Scheduling "
        "(60-95 s on simulated nodes), the image and the first answer are in it",
    ),
    Row(
        "FabricTest/Job",
        6.0,
        0.2,
        f"{ESTIMATE}: the runtime image, which the workers then have, and two minutes for NCCL to start and measure",
    ),
    Row(
        "*/Job", 30.0, 0.2, 'the recipe\'s README: "can take 30 minutes to download"; 45 min in sgl-project/sglang#3825'
    ),
    Row("*/Deployment", 4.0, 0.5, f"{ESTIMATE}: pulls the runtime image, over 10 GB"),
    Row("*/DynamoGraphDeployment", 0.1, 0.1, f"{ESTIMATE}: one object; the readiness check waits for its pods"),
    Row("*/ComputeDomain", 0.1, 0.3, f"{ESTIMATE}: a claim template; deleted when its daemons are gone"),
    Row(
        "ServingStack/Namespace",
        0.1,
        1.2,
        "created: estimate; deleted: pods have 60 s to terminate and were gone 6 s later (run on simulated nodes)",
    ),
    Row("*/Namespace", 0.1, 0.3, f"{ESTIMATE}: created in a second, deleted at the garbage collector's next run"),
    Row("*/GKENetworkParamSet", 0.2, 0.2, f"{ESTIMATE}: GKE looks up VPC and subnet, then reports Ready"),
    Row("*/GkeNetwork", 0.2, 0.2, f"{ESTIMATE}: GKE reports Ready"),
    Row("*/Random*", 0.0, 0.0, "the engine's own machine"),
    Row("*", 0.05, 0.05, f"{ESTIMATE}: one object of the Kubernetes API, some seconds"),
)
"""The first row that matches counts."""


def table() -> list[str]:
    """The rows as lines of a Markdown table, for docs/explanation/timeline.md."""
    lines = ["| task | up, min | destroy, min | source |", "|---|---:|---:|---|"]
    for row in ROWS:
        late = f" (works {row.settles:g} later)" if row.settles else ""
        lines.append(f"| `{row.roles}` | {row.up:g}{late} | {row.destroy:g} | {row.source} |")
    return lines


def row_of(task: Task) -> Row:
    """The row of the table that a task falls under."""
    return next(row for row in ROWS if fnmatch.fnmatchcase(task.role, row.roles))


def minutes_of(tasks: Mapping[str, Task], op: Op) -> dict[str, float]:
    """Minutes that each task takes; components and providers take none."""
    return {
        urn: (0.0 if not task.custom else row_of(task).up if op == "up" else row_of(task).destroy)
        for urn, task in tasks.items()
    }
