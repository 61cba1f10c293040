"""Customer-managed keys: which resource gets which, who is given a role, and what waits for it."""

from __future__ import annotations

from typing import Any, get_args

import pytest

import settings
from reference import encryption
from reference.encryption import ROLE, Use
from settings import checks
from tests import answers
from tests.recorder import Recording, Resource, run_program
from tests.unit.configs import Config, problems, put, shipped

RING = "projects/company-keys/locations/us-central1/keyRings/a4x/cryptoKeys"
KEYS: dict[Use, str] = {use: f"{RING}/for-{use}" for use in get_args(Use)}
NUMBER = "123456789012"
MEMBER = "gcp:kms/cryptoKeyIAMMember:CryptoKeyIAMMember"
NODE_POOL = "gcp:container/nodePool:NodePool"


def built(environment: str = "prod", **encryption: Any) -> Recording:
    return run_program(environment, config={"encryption": encryption})


def named(recording: Recording) -> dict[str, str | None]:
    """Each resource that can have a key, and the one that it has."""
    fields = {
        NODE_POOL: ("nodeConfig", "bootDiskKmsKey"),
        "gcp:storage/bucket:Bucket": ("encryption", "defaultKmsKeyName"),
        "kubernetes:storage.k8s.io/v1:StorageClass": ("parameters", encryption.VOLUME_PARAMETER),
    }
    found = {
        resource.name: (resource.inputs.get(holder) or {}).get(field)
        for kind, (holder, field) in fields.items()
        for resource in recording.of_type(kind)
    }
    (cluster,) = recording.of_type("gcp:container/cluster:Cluster")
    found["default pool"] = cluster.inputs["nodeConfig"].get("bootDiskKmsKey")
    found["secrets"] = (cluster.inputs.get("databaseEncryption") or {}).get("keyName")
    return found


def grants(recording: Recording) -> dict[tuple[str, str], Resource]:
    """Roles on keys: (key, member) -> grant."""
    found = recording.of_type(MEMBER)
    assert {grant.inputs["role"] for grant in found} <= {ROLE}
    return {(grant.inputs["cryptoKeyId"], grant.inputs["member"]): grant for grant in found}


def member(use: str) -> str:
    agent = {"secrets": "container-engine-robot", "bucket": "gs-project-accounts"}.get(use, "compute-system")
    return f"serviceAccount:service-{NUMBER}@{agent}.iam.gserviceaccount.com"


def test_without_keys_nothing_names_one() -> None:
    recording = run_program("prod")
    assert set(named(recording).values()) == {None}
    assert recording.of_type(MEMBER) == []


def test_every_pool_the_default_one_too_and_everything_else_is_encrypted_with_its_key() -> None:
    assert named(built(**KEYS)) == {
        "default pool": KEYS["disks"],
        "foundation-gke-system": KEYS["disks"],
        "domain-a4x-0-pool": KEYS["disks"],
        "secrets": KEYS["secrets"],
        "model-bucket-bucket": KEYS["bucket"],
        "dynamo-pd": KEYS["volumes"],
    }


def test_no_role_is_given_unless_the_settings_say_so() -> None:
    assert grants(built(**KEYS)) == {}


def test_each_agent_gets_the_role_on_its_key_before_anything_is_encrypted_with_it() -> None:
    recording = built(**KEYS, grant=True)
    found = grants(recording)
    assert set(found) == {(key, member(use)) for use, key in KEYS.items()}
    users: dict[Use, tuple[str, ...]] = {
        "disks": ("foundation-gke-cluster", "foundation-gke-system", "domain-a4x-0-pool"),
        "secrets": ("foundation-gke-cluster",),
        "bucket": ("model-bucket-bucket",),
        "volumes": ("dynamo-pd", "dynamo-release"),
    }
    for use, names in users.items():
        for name in names:
            assert recording.depends_on_transitively(recording.find(name=name), found[KEYS[use], member(use)]), name


def test_agents_exist_once_the_apis_are_on() -> None:
    recording = built(**KEYS, grant=True)
    api = recording.find(name="foundation-apis-compute")
    uses: tuple[Use, ...] = ("disks", "secrets", "volumes")
    for use in uses:
        assert recording.depends_on_transitively(grants(recording)[KEYS[use], member(use)], api), use


def test_one_key_for_disks_and_volumes_is_granted_once() -> None:
    recording = built(disks=KEYS["disks"], volumes=KEYS["disks"], grant=True)
    assert set(grants(recording)) == {(KEYS["disks"], member("disks"))}
    assert named(recording)["dynamo-pd"] == KEYS["disks"]


def test_pools_of_an_adopted_cluster_have_the_key_of_disks() -> None:
    cluster = {
        "mode": "adopt",
        "name": "a4x-dev",
        "deviceNetworks": {
            "gvnic": {"network": "n", "subnetwork": "s"},
            "rdmaNetwork": "r",
            "rdmaSubnetworks": ["s0", "s1", "s2", "s3"],
        },
    }
    domain = {"name": "a4x-0", "mode": "create", "zone": "us-central1-b", "nodes": 2, "reservation": "a4x"}
    config = {"cluster": cluster, "domains": [domain], "encryption": {"disks": KEYS["disks"], "grant": True}}
    recording = run_program("dev", config=config)
    (pool,) = recording.of_type(NODE_POOL)
    assert pool.inputs["nodeConfig"]["bootDiskKmsKey"] == KEYS["disks"]
    assert recording.depends_on_transitively(pool, grants(recording)[KEYS["disks"], member("disks")])


@pytest.mark.parametrize(
    ("dynamo", "key", "expected"),
    [
        ({}, None, None),
        ({}, KEYS["volumes"], {"type": "pd-balanced", encryption.VOLUME_PARAMETER: KEYS["volumes"]}),
        ({"systemTolerations": True}, None, {"type": "hyperdisk-balanced"}),
        (
            {"systemTolerations": True},
            KEYS["volumes"],
            {"type": "hyperdisk-balanced", encryption.VOLUME_PARAMETER: KEYS["volumes"]},
        ),
        ({"systemTolerations": True, "storageClass": "company"}, None, None),
    ],
)
def test_volumes_get_a_class_of_their_own_where_the_clusters_does_not_serve(
    dynamo: dict[str, Any], key: str | None, expected: dict[str, str] | None
) -> None:
    config: Config = {"dynamo": {"mode": "create", "version": "0.7.0", **dynamo}}
    recording = run_program("dev", config={**config, **({"encryption": {"volumes": key}} if key else {})})
    made = recording.of_type("kubernetes:storage.k8s.io/v1:StorageClass")
    assert [found.inputs["parameters"] for found in made] == ([expected] if expected else [])
    values = recording.find(name="dynamo-release").inputs["values"]
    wanted = dynamo.get("storageClass") or (made[0].inputs["metadata"]["name"] if made else None)
    claim = values["nats"].get("config", {}).get("jetstream", {}).get("fileStore", {}).get("pvc", {})
    assert claim.get("storageClassName") == wanted
    assert values["etcd"].get("persistence", {}).get("storageClass") == wanted


def test_a_key_of_another_kind_of_place_is_accepted_for_disks_with_a_warning() -> None:
    key = KEYS["disks"].replace("us-central1", "global")
    config = put(shipped("prod"), "encryption.disks", key)
    assert problems(config, "prod") == []
    (said,) = [text for text in checks.warnings(settings.parse(config, "prod")) if key in text]
    assert "a key in us-central1" in said


@pytest.mark.parametrize("granted", [True, False])
def test_whoever_provides_the_keys_is_told_each_role_that_the_program_does_not_give(granted: bool) -> None:
    found = list(encryption.prerequisites(KEYS, NUMBER, granted=granted))
    keys = [one for one in found if "keys create" in one.command]
    roles = [one for one in found if one not in keys]
    assert {one.key for one in keys} == {f"encryption.{use}" for use in KEYS}
    assert [one.key for one in roles] == ([] if granted else [one.key for one in keys])
    wanted = [
        f"gcloud kms keys add-iam-policy-binding {key} --role={ROLE} --member='{member(use)}'"
        for use, key in KEYS.items()
    ]
    assert [one.command for one in roles] == ([] if granted else wanted)


def test_cloud_storage_is_asked_for_its_agent_only_where_it_is_given_a_role() -> None:
    def refuse(_: Any) -> Any:
        raise AssertionError("Google Cloud was asked")

    run_program("prod", config={"encryption": KEYS}, invokes={answers.GET_STORAGE_AGENT: refuse})
