"""Customer-managed keys in the real engine: a whole life, each key added to a living environment, and refusals."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from rehearsal import seeds
from rehearsal.run import Rehearsal
from rehearsal.simulator.gcp.rules import BUCKET, CLUSTER, CRYPTO_KEY, KEY_MEMBER, NODE_POOL
from rehearsal.simulator.state import ApiError
from rehearsal.simulator.values import Props, text
from tests.engine.driver import PROJECT, REGION, Driver, pool_inputs
from tests.resilience import life
from tests.resilience.proof import needs_engine

RING = f"projects/company-keys/locations/{REGION}/keyRings/a4x/cryptoKeys"
KEYS = {use: f"{RING}/{use}" for use in ("disks", "secrets", "bucket", "volumes")}
ENCRYPTION = "dynamo-a4x:encryption"
UNPROTECTED: dict[str, Any] = {"dynamo-a4x:protect": False}
STORAGE_CLASS = "kubernetes:storage.k8s.io/v1:StorageClass"


def fields(rehearsal: Rehearsal) -> dict[str, str]:
    """Every key that something in the cloud names."""
    paths = {
        CLUSTER: ("nodeConfig.bootDiskKmsKey", "databaseEncryption.keyName"),
        NODE_POOL: ("nodeConfig.bootDiskKmsKey",),
        BUCKET: ("encryption.defaultKmsKeyName",),
        STORAGE_CLASS: ("parameters.disk-encryption-kms-key",),
    }
    return {
        f"{resource.kind.rpartition(':')[2]} {text(resource.outputs, 'name')} {path}": text(resource.outputs, path)
        for kind, found in paths.items()
        for resource in rehearsal.state.find(kind)
        for path in found
        if text(resource.outputs, path)
    }


# --- the whole life ---------------------------------------------------------------------------------------


@pytest.mark.engine
@needs_engine
def test_an_environment_with_all_keys_lives_and_leaves_nothing() -> None:
    """With roles that somebody else has given. The order with roles of the program's own is that of `test_order`."""
    with Rehearsal("prod", config={ENCRYPTION: KEYS, **UNPROTECTED}) as rehearsal:
        rehearsal.preview()
        rehearsal.up()
        assert Counter(fields(rehearsal).values()) == {
            KEYS["disks"]: 3,
            KEYS["secrets"]: 1,
            KEYS["bucket"]: 1,
            KEYS["volumes"]: 1,
        }
        assert rehearsal.state.find(KEY_MEMBER, where=lambda found: found.origin == "program") == []
        rehearsal.up_without_change()
        rehearsal.destroy()
        assert rehearsal.state.leftovers() == []


# --- a key that comes later -------------------------------------------------------------------------------


@pytest.mark.engine
@needs_engine
def test_a_key_that_comes_later_replaces_pools_for_disks_if_nothing_is_protected_and_nothing_for_the_rest() -> None:
    with Rehearsal("prod", config={"dynamo-a4x:stacks": []}) as rehearsal:
        rehearsal.up()
        rehearsal.set_config({ENCRYPTION: {"disks": KEYS["disks"]}})
        seeds.plant_missing(rehearsal.cloud, rehearsal.settings)
        before = len(rehearsal.state.journal)
        error = life.failed(rehearsal.up)
        assert error is not None
        assert any("protect" in cause for cause in error.causes)
        assert {entry.op for entry in rehearsal.state.journal[before:]}.isdisjoint({"create", "update", "delete"})

        rehearsal.set_config({ENCRYPTION: {}, **UNPROTECTED})
        rehearsal.up("without protection")
        rehearsal.set_config({ENCRYPTION: {"disks": KEYS["disks"]}})
        phase = rehearsal.up("with a key")
        replaced = Counter(step.kind for step in phase.changed if step.op == "replace" and step.kind.startswith("gcp:"))
        assert replaced == {NODE_POOL: 2}
        assert [key for name, key in fields(rehearsal).items() if name.startswith("NodePool")] == [KEYS["disks"]] * 2

        rehearsal.set_config({ENCRYPTION: KEYS})
        seeds.plant_missing(rehearsal.cloud, rehearsal.settings)
        phase = rehearsal.up("with the other keys")
        # Volumes that exist keep their class, so the release stays as it is.
        wanted = {f"update {CLUSTER}": 1, f"update {BUCKET}": 1, f"create {STORAGE_CLASS}": 1}
        assert Counter(f"{step.op} {step.kind}" for step in phase.changed) == wanted
        rehearsal.up_without_change()


# --- what the embedded cloud refuses ----------------------------------------------------------------------


def use_key(cloud: Driver, kind: str, key: str) -> None:
    """Make one object of a kind with a key."""
    if kind == NODE_POOL:
        cloud.cluster()
        inputs: Props = pool_inputs()
        inputs["nodeConfig"]["bootDiskKmsKey"] = key
        cloud.create(NODE_POOL, "pool", inputs)
    elif kind == CLUSTER:
        cloud.cluster(databaseEncryption={"state": "ENCRYPTED", "keyName": key})
    else:
        encryption = {"defaultKmsKeyName": key}
        cloud.create(BUCKET, "weights", {"name": "weights-x", "location": REGION.upper(), "encryption": encryption})


def seeded(cloud: Driver, key: str, agent: str) -> None:
    ring, _, name = key.partition("/cryptoKeys/")
    cloud.cloud.gcp.seed(CRYPTO_KEY, {"keyRing": ring, "name": name}, project="company-keys", region=REGION)
    member = f"serviceAccount:service-1@{agent}.iam.gserviceaccount.com"
    grant = {"cryptoKeyId": key, "role": "roles/cloudkms.cryptoKeyEncrypterDecrypter", "member": member}
    cloud.cloud.gcp.seed(KEY_MEMBER, grant, project="company-keys", region=REGION)


AGENTS = {NODE_POOL: "compute-system", CLUSTER: "container-engine-robot", BUCKET: "gs-project-accounts"}
SAID = {
    NODE_POOL: "Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied",
    CLUSTER: "Permission 'cloudkms.cryptoKeyVersions.useToEncrypt' denied",
    BUCKET: "Please ensure that your Cloud Storage service account has been authorized to use this key",
}


@pytest.mark.parametrize("kind", AGENTS)
def test_a_key_is_usable_by_its_own_agent_only(kind: str) -> None:
    cloud = Driver()
    seeded(cloud, KEYS["disks"], AGENTS[kind])
    use_key(cloud, kind, KEYS["disks"])
    for other in set(AGENTS.values()) - {AGENTS[kind]}:
        cloud = Driver()
        seeded(cloud, KEYS["disks"], other)
        with pytest.raises(ApiError, match=SAID[kind]):
            use_key(cloud, kind, KEYS["disks"])


@pytest.mark.parametrize(
    ("kind", "location", "refused"),
    [
        (NODE_POOL, "europe-west4", True),
        (CLUSTER, "europe-west4", True),
        (BUCKET, "europe-west4", True),
        (NODE_POOL, "global", False),
        (BUCKET, "global", True),
        (BUCKET, "us", True),
    ],
)
def test_a_key_of_another_place_is_refused_where_google_refuses_it(kind: str, location: str, refused: bool) -> None:
    cloud, key = Driver(), KEYS["disks"].replace(REGION, location)
    seeded(cloud, key, AGENTS[kind])
    if refused:
        with pytest.raises(ApiError, match="Error 400"):
            use_key(cloud, kind, key)
    else:
        use_key(cloud, kind, key)


def test_another_key_of_a_boot_disk_replaces_the_pool_and_another_one_of_secrets_does_not_replace_the_cluster() -> None:
    cloud = Driver()
    seeded(cloud, KEYS["disks"], "compute-system")
    seeded(cloud, KEYS["secrets"], "container-engine-robot")
    cluster, pool = cloud.cluster(), cloud.pool()
    found = cloud.diff(
        pool, {**pool.inputs, "nodeConfig": {**pool.inputs["nodeConfig"], "bootDiskKmsKey": KEYS["disks"]}}
    )
    assert found.replaces
    encrypted = {"state": "ENCRYPTED", "keyName": KEYS["secrets"]}
    found = cloud.diff(cluster, {**cluster.inputs, "databaseEncryption": encrypted})
    assert not found.replaces
    cloud.update(cluster, {**cluster.inputs, "databaseEncryption": encrypted})


def test_nodes_do_not_run_as_an_account_that_is_not_there() -> None:
    cloud = Driver()
    cloud.cluster()
    email = f"nobody@{PROJECT}.iam.gserviceaccount.com"
    with pytest.raises(ApiError, match=f'Service account "{email}" does not exist'):
        cloud.pool(serviceAccount=email)


def test_volumes_wait_for_a_class_that_exists_and_never_change_it() -> None:
    def values(name: str) -> Props:
        return {"nats": {"config": {"jetstream": {"fileStore": {"pvc": {"storageClassName": name}}}}}}

    cloud = Driver()
    cloud.cluster()
    cloud.pool()
    cloud.release("dynamo-crds", "default")
    cloud.namespace("dynamo-cloud")
    with pytest.raises(ApiError, match='"company" not found'):
        cloud.release("dynamo-platform", "dynamo-cloud", values=values("company"))
    parameters = {"disk-encryption-kms-key": KEYS["volumes"]}
    cloud.kube(
        "storage.k8s.io/v1", "StorageClass", "company", provisioner="pd.csi.storage.gke.io", parameters=parameters
    )
    with pytest.raises(ApiError, match="Cloud KMS error when using key"):
        cloud.release("dynamo-platform", "dynamo-cloud", values=values("company"))
    seeded(cloud, KEYS["volumes"], "compute-system")
    release = cloud.release("dynamo-platform", "dynamo-cloud", values=values("company"))
    with pytest.raises(ApiError, match="updates to statefulset spec"):
        cloud.update(release, {**release.inputs, "values": values("standard-rwo")})
