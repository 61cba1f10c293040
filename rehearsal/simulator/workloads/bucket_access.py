"""Whether a pod's account may read the bucket that the pod mounts: both forms of Workload Identity.

Without the grant the gcsfuse sidecar fails with "PermissionDenied" and the pod never starts. R6: a grant to another
account, or to a namespace without pods, has no effect.
"""

from __future__ import annotations

from collections.abc import Iterator

from rehearsal.simulator.gcp.rules import ACCOUNT_MEMBER, BUCKET_MEMBER, CLUSTER
from rehearsal.simulator.state import CloudState
from rehearsal.simulator.values import Props, items, mapping, text
from rehearsal.simulator.workloads import serving

DRIVER = "gcsfuse.csi.storage.gke.io"
_READERS = frozenset(f"roles/storage.{role}" for role in ("objectViewer", "objectUser", "objectAdmin", "admin"))


def blockers(state: CloudState, cluster: str, graph: Props) -> Iterator[str]:
    """Pods of a graph whose account may not read their bucket."""
    namespace = text(graph, "metadata.namespace")
    for role in serving.roles(graph):
        account = text(role.pod, "serviceAccountName") or "default"
        mine = set(_identities(state, cluster, namespace, account))
        for bucket in _buckets(role.pod):
            if not mine & _readers(state, bucket):
                yield (
                    f"{role.name}: MountVolume.SetUp failed: PermissionDenied: serviceaccount {namespace}/{account} "
                    f"may not read gs://{bucket}"
                )


def _buckets(pod: Props) -> Iterator[str]:
    for volume in items(pod, "volumes"):
        if text(volume, "csi.driver") == DRIVER:
            yield text(volume, "csi.volumeAttributes.bucketName")


def _readers(state: CloudState, bucket: str) -> set[str]:
    grants = state.find(BUCKET_MEMBER, where=lambda grant: text(grant.outputs, "bucket").removeprefix("b/") == bucket)
    return {text(grant.outputs, "member") for grant in grants if text(grant.outputs, "role") in _READERS}


def _identities(state: CloudState, cluster: str, namespace: str, account: str) -> Iterator[str]:
    """Grant members that include a Kubernetes account: itself, its namespace, the Google account it impersonates."""
    made = state.get(CLUSTER, cluster)
    pool = text(made.outputs, "workloadIdentityConfig.workloadPool") if made else ""
    here = f"/locations/global/workloadIdentityPools/{pool}"
    for member in {text(grant.outputs, "member") for grant in state.find(BUCKET_MEMBER)}:
        direct = member.startswith("principal://") and member.endswith(f"{here}/subject/ns/{namespace}/sa/{account}")
        whole = member.startswith("principalSet://") and member.endswith(f"{here}/namespace/{namespace}")
        if direct or whole:
            yield member
    kubernetes = state.get("kubernetes:core/v1:ServiceAccount", f"{namespace}/{account}", cluster)
    annotations = mapping(kubernetes.outputs, "metadata.annotations") if kubernetes else {}
    email = str(annotations.get("iam.gke.io/gcp-service-account") or "")
    wanted = ("roles/iam.workloadIdentityUser", f"serviceAccount:{pool}[{namespace}/{account}]")
    for grant in state.find(ACCOUNT_MEMBER):
        found = (text(grant.outputs, "role"), text(grant.outputs, "member"))
        if email and found == wanted and text(grant.outputs, "serviceAccountId").endswith(f"/{email}"):
            yield f"serviceAccount:{email}"
