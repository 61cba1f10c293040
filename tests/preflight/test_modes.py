"""For every mode that the settings accept: preflight passes on a healthy cloud, and sees each thing that is wrong."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

import pytest

import settings
from preflight.checks import plan
from preflight.cloud import (
    Bucket,
    Cloud,
    CloudError,
    Definition,
    Image,
    NetworkPolicy,
    OrgPolicy,
    Project,
    Quota,
    Versions,
)
from preflight.results import Outcome
from preflight.run import run
from preflight.site import Site
from reference.cluster_options import fleet_agent
from reference.gke import service_agent
from settings import Settings, SettingsError
from settings.model import FabricTest
from tests.preflight.healthy import NUMBER, HealthyCloud, kind

MODES: Final[dict[str, tuple[Any, ...]]] = {
    "cluster": ("create", "adopt"),
    "domains": (("create",), ("adopt",), ("create", "create"), ("adopt", "create"), ("adopt", "adopt")),
    "rdma": ("multi-network", "dranet"),
    "network": ("create", "adopt", "shared"),
    "nat and firewall": ("own", "none"),
    "devices": (False, True),
    "zonal": (False, True),
    "two zones": (False, True),
    "workloadIdentity": ("direct", "serviceAccount"),
    "bucket": ("create", "adopt"),
    "download": (False, True),
    "kai": ("create", "adopt", "none"),
    "dynamo": ("create", "adopt"),
    "version": ("0.7.0", "1.0.2"),
    "systemTolerations": (False, True),
    "stacks": (0, 1, 2),
    "sub-block": (False, True),
    "mirrors": (False, True),
    "keys": (False, True),
    "grant": (False, True),
    "accounts": (False, True),
    "iam": ("write", "none"),
    "options": (False, True),
}
"""Every key whose value decides what preflight has to ask about."""

DRAWS: Final = 1500
"""Combinations that are drawn; those that add a pair are looked at. More draws add none."""
ROWS: Final[list[dict[str, Any]]] = []

MIRRORS: Final = {"nvcr.io": "us-docker.pkg.dev/other/mirror", "docker.io": "us-docker.pkg.dev/other/mirror"}
LAYOUT: Final = "deepseek-r1-fp8-1p1d"
HOST: Final = "projects/host-project"
KEYS: Final = "projects/company-keys/locations/us-central1/keyRings/a4x/cryptoKeys"
OWN: Final = "my-project.iam.gserviceaccount.com"


@cache
def combinations() -> tuple[Settings, ...]:
    """Few combinations that the settings accept, in which each two values of two modes meet that can meet."""
    dice, met, chosen = random.Random(11), set[tuple[Any, ...]](), list[Settings]()  # noqa: S311 - no secret
    for _ in range(DRAWS):
        row = {name: dice.choice(values) for name, values in MODES.items()}
        pairs = {(a, row[a], b, row[b]) for a, b in itertools.combinations(MODES, 2)}
        found = accepted(row) if pairs - met else None
        if found is not None:
            met |= pairs
            chosen.append(found)
            ROWS.append(row)
    return tuple(chosen)


def config(row: dict[str, Any]) -> dict[str, Any]:
    """The stack config of one combination."""
    zones = ("us-central1-b", "us-central1-c" if row["two zones"] else "us-central1-b")
    domains: list[dict[str, Any]] = [
        {"name": f"a4x-{i}", "mode": mode, "zone": zones[i], "nodes": 4} for i, mode in enumerate(row["domains"])
    ]
    for i, domain in enumerate(domains):
        if domain["mode"] == "create":
            rack = f"/reservationBlocks/block-1/reservationSubBlocks/sub-block-{i}" if row["sub-block"] else ""
            domain["reservation"] = f"projects/capacity/reservations/a4x{rack}"
    cluster: dict[str, Any] = {"mode": row["cluster"], "name": "a4x", "rdma": row["rdma"]}
    if row["zonal"]:
        cluster["location"] = zones[0]
    if row["options"] and row["cluster"] == "create":
        cluster |= {"binaryAuthorization": "PROJECT_SINGLETON_POLICY_ENFORCE", "fleetProject": "fleet-project"}
    host = HOST if row["network"] == "shared" else "projects/my-project"
    if row["cluster"] == "create" and row["network"] == "create":
        cluster["network"] = {"nat": row["nat and firewall"], "firewall": row["nat and firewall"]}
    elif row["cluster"] == "create":
        cluster["network"] = {
            "mode": "adopt",
            "network": f"{host}/global/networks/net-0",
            "subnetwork": "sub-0",
            "podsRange": "pods",
            "servicesRange": "services",
            "controlPlaneSubnetwork": "control-plane",
        }
    if row["devices"] or (row["cluster"] == "adopt" and row["rdma"] == "multi-network"):
        cluster["deviceNetworks"] = {
            "gvnic": {"network": f"{host}/global/networks/net-1", "subnetwork": "sub-1"},
            "rdmaNetwork": f"{host}/global/networks/rdma-net",
            "rdmaSubnetworks": [f"rdma-sub-{i}" for i in range(4)],
        }
    created, pools = row["cluster"] == "create", "create" in row["domains"]
    uses = {
        "disks": created or pools,
        "secrets": created,
        "bucket": row["bucket"] == "create",
        "volumes": row["dynamo"] == "create",
    }
    keys: dict[str, Any] = {use: f"{KEYS}/{use}" for use, possible in uses.items() if possible and row["keys"]}
    accounts: dict[str, str] = {}
    if row["accounts"]:
        accounts |= {"nodeServiceAccount": f"nodes@{OWN}"} if created or pools else {}
        if row["workloadIdentity"] == "serviceAccount":
            accounts |= {"modelReader": f"reader@{OWN}", "modelWriter": f"writer@{OWN}"}
    # Who has installed KAI for others is likely to have done so with the rest.
    parts = "adopt" if (row["cluster"], row["dynamo"], row["kai"]) == ("adopt", "create", "adopt") else "create"
    return {
        "dynamo-a4x:encryption": {**keys, "grant": bool(keys) and row["grant"]},
        "dynamo-a4x:identities": {**accounts, "iam": row["iam"]},
        "gcp:project": "my-project",
        "gcp:region": "us-central1",
        "dynamo-a4x:projectNumber": "123456789012",
        "dynamo-a4x:workloadIdentity": row["workloadIdentity"],
        "dynamo-a4x:cluster": cluster,
        "dynamo-a4x:domains": domains,
        "dynamo-a4x:modelBucket": {"mode": row["bucket"], "name": "models-of-mine", "download": row["download"]},
        "dynamo-a4x:kai": {"mode": row["kai"]},
        "dynamo-a4x:dynamo": {
            "mode": row["dynamo"],
            "version": row["version"],
            "systemTolerations": row["systemTolerations"],
            **({"grove": parts, "crds": parts} if row["dynamo"] == "create" else {}),
        },
        "dynamo-a4x:draDriver": {"mode": row["dynamo"]},
        "dynamo-a4x:images": {"mirrors": MIRRORS} if row["mirrors"] else {},
        "dynamo-a4x:stacks": [{"name": f"r{i}", "layout": LAYOUT, "domain": "a4x-0"} for i in range(row["stacks"])],
    }


def accepted(row: dict[str, Any]) -> Settings | None:
    try:
        return settings.parse(config(row), "dev")
    except SettingsError:
        return None


def looked(found: Settings, cloud: Cloud) -> dict[str, Outcome]:
    return {result.name: result.outcome for result in run(plan(Site(found, cloud)), limit=60)}


ALLOWED: Final = {
    "model deepseek-ai/DeepSeek-R1": "is not there yet, and the program does not download it",
    "vulnerabilities": "known vulnerabilities concern this environment",
}
"""What a healthy cloud is warned of all the same: a bucket that is created and that nobody fills, and the releases."""


def test_preflight_passes_on_a_healthy_cloud_in_every_pair_of_modes() -> None:
    seen = 0
    for found in combinations():
        outcomes = looked(found, HealthyCloud(found))
        bad = {name: o for name, o in outcomes.items() if o.status in {"warn", "fail"}}
        assert {name: o for name, o in bad.items() if ALLOWED.get(name, "\n") not in o.finding} == {}, found
        seen += 1
    assert seen >= 20


def test_the_pairs_that_are_looked_at_hold_every_mode() -> None:
    assert combinations()
    for name, values in MODES.items():
        assert {row[name] for row in ROWS} == set(values), name
    met = {(a, row[a], b, row[b]) for row in ROWS for a, b in itertools.combinations(MODES, 2)}
    assert ("cluster", "create", "rdma", "dranet") in met
    assert ("rdma", "dranet", "two zones", True) in met


def test_what_the_program_grants_by_itself_is_no_warning() -> None:
    row = {name: values[0] for name, values in MODES.items()} | {"rdma": "dranet"}
    found = accepted(row)
    assert found is not None
    granting = found.model_copy(update={"cluster": found.cluster.model_copy(update={"dranet_network_admin": True})})
    cloud: Any = HealthyCloud(granting)
    cloud.members = lambda *_: frozenset()
    assert looked(found, cloud)["dranet agent"].status == "warn"
    assert looked(granting, cloud)["dranet agent"].status == "pass"


@pytest.mark.parametrize("cluster", ["create", "adopt"])
def test_each_zone_of_created_domains_has_its_network_profile(cluster: str) -> None:
    row = {name: values[0] for name, values in MODES.items()}
    row |= {"cluster": cluster, "domains": ("create", "create"), "rdma": "dranet", "two zones": True}
    found = accepted(row)
    assert found is not None
    asked = {name for name in looked(found, HealthyCloud(found)) if name.startswith("rdma profile")}
    assert asked == {"rdma profile us-central1-b", "rdma profile us-central1-c"}


# --- what is wrong, one thing at a time ------------------------------------------------------------------


@dataclass(frozen=True)
class Wrong:
    """One thing that is wrong with a cloud."""

    check: str
    """Kind of the check that sees it."""
    question: str
    """The question that is answered otherwise."""
    answer: Callable[[Any], Any]
    """The healthy answer, turned bad."""
    status: str = "fail"


def _raise(trouble: Any) -> Callable[[Any], Any]:
    def answer(_: Any) -> Any:
        raise CloudError(trouble, "no")

    return answer


def _of_pools(**changes: Any) -> Callable[[Any], Any]:
    return lambda cluster: replace(cluster, pools={n: replace(p, **changes) for n, p in cluster.pools.items()})


def _of_networks(**changes: Any) -> Callable[[Any], Any]:
    return lambda found: {name: replace(network, **changes) for name, network in found.items()}


def _of_ranges(**ranges: str) -> Callable[[Any], Any]:
    return lambda found: replace(found, secondary={**found.secondary, **ranges} if found.secondary else {})


BETA = frozenset({"v1beta1"})
WRONGS: Final = [
    Wrong("credentials", "login", _raise("login")),
    Wrong("project", "project", lambda _: Project("999", "ACTIVE")),
    Wrong(
        "permissions",
        "granted",
        lambda all_: all_ - {"compute.instanceGroupManagers.list", "container.clusters.create"},
    ),
    Wrong("organisation policies", "org_policy", lambda _: OrgPolicy(enforced=True)),
    Wrong("organisation policies", "org_policy", lambda _: OrgPolicy(denies_all=True)),
    Wrong("organisation policies", "org_policy", _raise("denied"), "skip"),
    Wrong("node account", "account_disabled", _raise("missing")),
    Wrong("node account", "account_disabled", lambda _: True),
    Wrong("node account", "members", lambda found: found - {f"serviceAccount:nodes@{OWN}"}),
    Wrong("node account", "granted_on_account", lambda _: frozenset()),
    Wrong("model reader", "account_disabled", _raise("missing")),
    Wrong("model reader", "bucket_members", lambda _: frozenset()),
    Wrong("model writer", "account_disabled", lambda _: True),
    Wrong("model writer", "bucket_members", lambda _: frozenset()),
    Wrong("key", "key", _raise("missing")),
    Wrong("key", "key", lambda found: replace(found, state="DISABLED")),
    Wrong("key", "key", lambda found: replace(found, purpose="ASYMMETRIC_SIGN")),
    Wrong("key", "key_members", lambda _: frozenset()),
    Wrong("key", "granted_on_key", lambda _: frozenset()),
    Wrong("apis", "disabled_services", lambda _: ["storage.googleapis.com"], "warn"),
    Wrong("binary authorization", "disabled_services", lambda _: ["binaryauthorization.googleapis.com"]),
    Wrong("fleet", "disabled_services", lambda _: ["gkehub.googleapis.com"]),
    Wrong("fleet", "members", lambda found: found - {f"serviceAccount:{fleet_agent(NUMBER)}"}),
    Wrong("reservation", "reservation", lambda found: replace(found, machine_type="a3-megagpu-8g")),
    Wrong("sub-block", "sub_block", lambda found: replace(found, in_use=18)),
    Wrong("quota networks", "project_quotas", lambda found: {**found, "NETWORKS": Quota(5, 5)}),
    Wrong("quota system pool", "region_quotas", lambda found: {**found, "CPUS": Quota(5, 5)}),
    Wrong("quota nat", "region_quotas", lambda found: {**found, "STATIC_ADDRESSES": Quota(8, 8)}, "warn"),
    Wrong("quota hyperdisk", "region_quotas", lambda found: {**found, "HDB_TOTAL_GB": Quota(5, 5)}),
    Wrong("networks", "networks", lambda found: {**found, "a4x-net-0": found["default"]}),
    Wrong("rdma profile", "network_profile_zone", _raise("missing")),
    Wrong("dranet agent", "members", lambda _: frozenset(), "warn"),
    Wrong("cluster network", "networks", lambda found: {n: v for n, v in found.items() if n != "net-0"}),
    Wrong("cluster network", "networks", _of_networks(mtu=1460), "warn"),
    Wrong("cluster network", "subnetwork", _raise("missing")),
    Wrong("cluster network", "subnetwork", lambda found: replace(found, secondary={})),
    Wrong("cluster network", "subnetwork", _of_ranges(pods="10.64.0.0/21")),
    Wrong("cluster network", "subnetwork", _of_ranges(services="10.96.0.0/28")),
    Wrong("cluster network", "subnetwork", lambda found: replace(found, private_access=False)),
    Wrong("cluster network", "subnetwork", lambda found: replace(found, network="another")),
    Wrong("cluster network", "subnetwork", lambda found: replace(found, range="10.32.0.0/29")),
    Wrong("shared vpc", "members", lambda found: found - {f"serviceAccount:{service_agent(NUMBER)}"}),
    Wrong("shared vpc", "subnetwork_members", lambda _: {}),
    Wrong("shared vpc", "subnetwork_members", lambda found: {r: m - {min(m)} for r, m in found.items()}),
    Wrong("host project", "disabled_services", lambda _: ["container.googleapis.com"]),
    Wrong("device networks", "networks", lambda found: {"default": found["default"]}),
    Wrong("device networks", "networks", _of_networks(mtu=1460)),
    Wrong("device networks", "networks", _of_networks(profile="us-central1-f-vpc-roce")),
    Wrong("device networks", "subnetwork", _raise("missing")),
    Wrong("device networks", "subnetwork", lambda found: replace(found, secondary={"pods": "10.64.0.0/16"})),
    Wrong("device networks", "subnetwork", lambda found: replace(found, range="10.32.0.0/30")),
    Wrong("device networks", "subnetwork", lambda found: replace(found, network="another")),
    Wrong("gke version", "versions", lambda _: Versions("1.33.1-gke.1", ("1.33.1-gke.1",))),
    Wrong("gke version", "cluster", lambda found: replace(found, version="1.33.1-gke.1")),
    Wrong("cluster", "cluster", lambda found: replace(found, status="ERROR")),
    Wrong("dataplane", "cluster", lambda found: replace(found, datapath="LEGACY_DATAPATH")),
    Wrong("multi-networking", "cluster", lambda found: replace(found, multi_networking=False)),
    Wrong("workload identity", "cluster", lambda found: replace(found, workload_pool="")),
    Wrong("gcs fuse", "cluster", lambda found: replace(found, gcs_fuse=False)),
    Wrong("system nodes", "nodes", lambda found: [replace(node, taints=frozenset({"dedicated"})) for node in found]),
    Wrong("system nodes", "nodes", lambda found: [replace(node, cpu=300) for node in found], "warn"),
    Wrong("pool", "cluster", _of_pools(machine_type="a3-megagpu-8g")),
    Wrong("pool", "cluster", _of_pools(additional_networks=0, accelerator_profile="")),
    Wrong("free nodes", "nodes", lambda found: [replace(node, ready=False) for node in found]),
    Wrong("frontends", "nodes", lambda found: [replace(node, cpu=1000) for node in found]),
    Wrong("kai", "kai", lambda found: replace(found, namespace="", shards={})),
    Wrong("kai", "kai", lambda found: replace(found, namespace="kai", version="v0.9.4", shards={}, ready=True)),
    Wrong("kai", "kai", lambda found: replace(found, ready=False)),
    Wrong("kai", "kai", lambda found: replace(found, missing_class="nvidia")),
    Wrong("kai", "kai", lambda found: replace(found, waits_for_cluster_policy=True)),
    Wrong("kai", "kai", lambda found: replace(found, served=True)),
    Wrong("kai", "kai", lambda found: replace(found, namespace="", webhooks=["mutatingwebhookconfigurations/x"])),
    Wrong("kai", "kai", lambda found: replace(found, namespace="", webhooks=[], shards={"default": "30s"}), "warn"),
    Wrong("kai", "kai", lambda found: replace(found, shards={"default": ""}), "warn"),
    Wrong("kai", "kai", lambda found: replace(found, version="nightly"), "warn"),
    Wrong("grove", "deployments", lambda _: []),
    Wrong("grove", "deployments", lambda found: [replace(one, available=False) for one in found]),
    Wrong("grove", "deployments", lambda found: [replace(one, image=f"{one.image}-rc1") for one in found], "warn"),
    Wrong("grove", "crds", lambda _: {}),
    Wrong("crds", "crds", lambda _: {}),
    Wrong("crds", "crds", lambda found: {name: Definition(frozenset({"v1"})) for name in found}),
    Wrong("crds left", "crds", lambda found: {n: replace(one, stored=one.stored | BETA) for n, one in found.items()}),
    Wrong("crds left", "crds", lambda found: {n: replace(one, served=BETA) for n, one in found.items()}, "warn"),
    Wrong("network policies", "network_policies", lambda _: [NetworkPolicy("shut", {}, {"podSelector": {}})]),
    Wrong("network policies", "other_policies", lambda _: ["adminnetworkpolicies fence"], "warn"),
    Wrong("bucket", "bucket", lambda _: Bucket("US", False, {})),
    Wrong("model", "files", lambda _: {"model.safetensors.index.json": 1}),
    Wrong("image", "image", _raise("missing")),
    Wrong("image", "image", lambda _: Image(frozenset({"s390x"}))),
    Wrong("mirror", "image", _raise("missing")),
    Wrong("mirror", "image", lambda _: Image(frozenset({"s390x"}))),
    Wrong("mirror", "readers", lambda _: frozenset(), "warn"),
]


def spoilt(found: Settings, wrong: Wrong) -> Cloud:
    """A healthy cloud but for one answer."""
    cloud: Any = HealthyCloud(found)
    healthy = getattr(cloud, wrong.question)
    setattr(cloud, wrong.question, lambda *args: wrong.answer(healthy(*args)))
    return cloud


@pytest.mark.parametrize("wrong", WRONGS, ids=lambda wrong: f"{wrong.check}-{wrong.question}")
def test_every_check_sees_what_is_wrong_in_every_mode_that_has_it(wrong: Wrong) -> None:
    seen = 0
    for found in combinations():
        healthy, bad = looked(found, HealthyCloud(found)), looked(found, spoilt(found, wrong))
        for name in (name for name in bad if kind(name) == wrong.check and bad[name] != healthy[name]):
            # Nodes that a mode has still to make are not judged.
            assert bad[name].status in {"fail", "warn", "skip"}, (name, bad[name])
            assert bool(bad[name].fix) == (bad[name].status != "skip")
            seen += bad[name].status == wrong.status
    assert seen


def test_every_kind_of_check_has_something_wrong_that_it_sees() -> None:
    kinds = {kind(name) for found in combinations() for name in looked(found, HealthyCloud(found))}
    # It asks no cloud.
    assert kinds - {"vulnerabilities"} == {wrong.check for wrong in WRONGS}


@pytest.mark.parametrize("version", ["1.2.1", "1.5.1"])
def test_definitions_that_another_service_converts_fail_where_the_operator_does_not_write_its_own(version: str) -> None:
    chosen = next(found for found in combinations() if not found.dynamo.parts.crds)
    later = chosen.model_copy(update={"dynamo": chosen.dynamo.model_copy(update={"version": version})})
    others = Wrong("crds", "crds", lambda found: {n: replace(one, converter="x in y") for n, one in found.items()})
    assert looked(later, HealthyCloud(later))["crds"].status == "pass"
    told = looked(later, spoilt(later, others))["crds"]
    assert told.status == ("fail" if version == "1.5.1" else "pass")
    assert ("the operator's is dynamo-platform-dynamo-operator-webhook-service in" in told.finding) is (
        version == "1.5.1"
    )


def test_the_nodes_of_a_fabric_test_are_counted_where_the_stacks_take_fewer() -> None:
    chosen = next(found for found in combinations() if found.cluster.mode == "adopt" and len(found.stacks) == 1)
    ready = Site(chosen, HealthyCloud(chosen)).worker_nodes(chosen.domains[0])

    def broken(nodes: list[Any]) -> list[Any]:
        mine = [node for node in nodes if chosen.domains[0].name in node.name]
        return [replace(node, ready=node not in mine[: len(mine) - ready]) for node in nodes]

    wrong = Wrong("free nodes", "nodes", broken)
    assert looked(chosen, spoilt(chosen, wrong))["free nodes a4x-0"].status == "warn"
    tested = chosen.domains[0].model_copy(update={"fabric_test": FabricTest()})
    asked = chosen.model_copy(update={"domains": (tested, *chosen.domains[1:])})
    told = looked(asked, spoilt(asked, wrong))["free nodes a4x-0"]
    assert told.status == "fail"
    assert f"the stacks take {ready}, the fabric test {tested.nodes}" in told.finding
    assert looked(asked, HealthyCloud(asked))["free nodes a4x-0"].status == "pass"
