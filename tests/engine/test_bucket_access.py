"""Whether the pods of a graph may read the bucket that they mount: the embedded cloud, and the program's grants."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from rehearsal.run import Rehearsal
from rehearsal.simulator.state import CloudResource
from rehearsal.simulator.workloads import bucket_access
from tests.engine.driver import GRAPH, PROJECT, Driver, role
from tests.resilience.proof import needs_engine

BUCKET_MEMBER = "gcp:storage/bucketIAMMember:BucketIAMMember"
ACCOUNT_MEMBER = "gcp:serviceaccount/iAMMember:IAMMember"
POOL = f"{PROJECT}.svc.id.goog"
PRINCIPAL = f"iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/{POOL}"
EMAIL = f"reader@{PROJECT}.iam.gserviceaccount.com"
VOLUME = {"csi": {"driver": bucket_access.DRIVER, "volumeAttributes": {"bucketName": "weights"}}}


@pytest.fixture
def graph() -> tuple[Driver, CloudResource]:
    cloud = Driver()
    cloud.platform()
    annotations = {"iam.gke.io/gcp-service-account": EMAIL}
    account = {"apiVersion": "v1", "kind": "ServiceAccount"}
    metadata = {"name": "ksa", "namespace": "serving", "annotations": annotations}
    cloud.create("kubernetes:core/v1:ServiceAccount", "ksa", {**account, "metadata": metadata})
    return cloud, cloud.graph(Decode=role(serviceAccountName="ksa", volumes=[{"name": "model", **VOLUME}]))


def _grant(cloud: Driver, kind: str, outputs: Mapping[str, str]) -> None:
    cloud.state.add(CloudResource(kind, "", f"grant-{len(cloud.state)}", {}, dict(outputs)))


def _blockers(cloud: Driver, graph: CloudResource) -> list[str]:
    return list(bucket_access.blockers(cloud.state, graph.scope, graph.outputs))


@pytest.mark.parametrize(
    ("member", "bucket", "wanted", "reads"),
    [
        (f"principal://{PRINCIPAL}/subject/ns/serving/sa/ksa", "weights", "objectViewer", True),
        (f"principal://{PRINCIPAL}/subject/ns/serving/sa/ksa", "b/weights", "objectUser", True),
        (f"principalSet://{PRINCIPAL}/namespace/serving", "weights", "objectViewer", True),
        (f"principal://{PRINCIPAL}/subject/ns/serving/sa/default", "weights", "objectViewer", False),
        (f"principal://{PRINCIPAL}/subject/ns/other/sa/ksa", "weights", "objectViewer", False),
        (f"principalSet://{PRINCIPAL}/namespace/other", "weights", "objectViewer", False),
        (f"principal://{PRINCIPAL}/subject/ns/serving/sa/ksa", "others", "objectViewer", False),
        (f"principal://{PRINCIPAL}/subject/ns/serving/sa/ksa", "weights", "objectCreator", False),
    ],
)
def test_a_direct_grant_reaches_the_account_that_it_names(
    graph: tuple[Driver, CloudResource], member: str, bucket: str, wanted: str, reads: bool
) -> None:
    cloud, made = graph
    _grant(cloud, BUCKET_MEMBER, {"bucket": bucket, "role": f"roles/storage.{wanted}", "member": member})
    assert (_blockers(cloud, made) == []) == reads


@pytest.mark.parametrize(
    ("identity", "reads"),
    [(f"{POOL}[serving/ksa]", True), (f"{POOL}[serving/default]", False), (f"{POOL}[x/ksa]", False)],
)
def test_a_google_account_is_reached_by_who_may_impersonate_it(
    graph: tuple[Driver, CloudResource], identity: str, reads: bool
) -> None:
    cloud, made = graph
    reader = {"bucket": "weights", "role": "roles/storage.objectViewer", "member": f"serviceAccount:{EMAIL}"}
    _grant(cloud, BUCKET_MEMBER, reader)
    assert "serving/ksa may not read gs://weights" in _blockers(cloud, made)[0]
    account = f"projects/{PROJECT}/serviceAccounts/{EMAIL}"
    user = {
        "serviceAccountId": account,
        "role": "roles/iam.workloadIdentityUser",
        "member": f"serviceAccount:{identity}",
    }
    _grant(cloud, ACCOUNT_MEMBER, user)
    assert (_blockers(cloud, made) == []) == reads


@pytest.mark.engine
@needs_engine
@pytest.mark.parametrize("identity", ["direct", "serviceAccount"])
@pytest.mark.parametrize("version", ["0.7.0", "1.0.2"])
def test_the_programs_pods_may_read_their_bucket_by_a_grant_to_their_account(version: str, identity: str) -> None:
    config = {
        "dynamo-a4x:dynamo": {"mode": "create", "version": version},
        "dynamo-a4x:workloadIdentity": identity,
    }
    with Rehearsal("dev", config=config) as rehearsal:
        rehearsal.up()
        state, made = rehearsal.state, rehearsal.state.find(GRAPH)[0]
        assert list(bucket_access.blockers(state, made.scope, made.outputs)) == []
        [grant] = state.find(BUCKET_MEMBER)
        assert not str(grant.outputs["member"]).startswith("principalSet:")
        state.remove(grant.key)
        assert len(list(bucket_access.blockers(state, made.scope, made.outputs))) == 3
