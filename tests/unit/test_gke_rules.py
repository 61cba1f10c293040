"""Rules of GKE for A4X, each held against what it lets through and what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference import gke, naming
from reference.dynamo import PROFILES
from reference.gke import GkeRuleError, Reservation

_NAMES = st.from_regex(r"[a-z]([-a-z0-9]{0,20}[a-z0-9])?", fullmatch=True)
_PROJECTS = st.from_regex(r"[a-z][-a-z0-9]{4,20}[a-z0-9]", fullmatch=True)


# --- versions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "version", ["1.34", "1.35", "1.35.", "1.35.2", "1.35.2-gke.1485000", "1.34.1", "1.34.1-gke.2037001"]
)
def test_versions_in_the_window_pass(version: str) -> None:
    gke.version_window(PROFILES["0.7.0"]).check(version)


@pytest.mark.parametrize(
    ("version", "why"),
    [
        ("1.33", "beta APIs"),
        ("1.33.5-gke.2469000", "beta APIs"),
        ("1.37", "have not been checked"),
        ("1.37.0-gke.3302004", "have not been checked"),
    ],
)
def test_a_version_outside_the_window_is_refused_with_the_reason(version: str, why: str) -> None:
    with pytest.raises(GkeRuleError, match=why) as refusal:
        gke.version_window(PROFILES["0.7.0"]).check(version)
    for part in ("cluster.version", version, "0.7.0", "1.34", "1.36"):
        assert part in str(refusal.value)


@pytest.mark.parametrize("version", ["1.36", "1.36.0-gke.3302004"])
def test_a_version_that_was_not_run_passes_with_a_warning(version: str) -> None:
    window = gke.version_window(PROFILES["0.7.0"])
    window.check(version)
    assert window.warning(version) == f"cluster.version = {version}: Dynamo 0.7.0 was not run on 1.36; it was on 1.35."
    assert window.warning("1.35.2-gke.1485000") is None


@pytest.mark.parametrize("version", ["1.34.0", "1.34.0-gke.9999999", "1.34.1-gke.2037000"])
def test_builds_that_leave_a_taint_on_gpu_nodes_are_refused(version: str) -> None:
    with pytest.raises(GkeRuleError, match="impending-node-termination"):
        gke.version_window(PROFILES["0.7.0"]).check(version)


@pytest.mark.parametrize("version", ["", "latest", "2.0", "1", "1.35.x", "v1.35", "1.35.2-gke"])
def test_what_is_no_version_is_refused(version: str) -> None:
    for use in (gke.alias, gke.version_window(PROFILES["0.7.0"]).check):
        with pytest.raises(GkeRuleError, match="not a GKE version"):
            use(version)


@given(st.integers(0, 99), st.integers(0, 99), st.integers(0, 10**7))
def test_the_alias_of_every_form_is_what_the_api_takes(minor: int, patch: int, build: int) -> None:
    for version in (f"1.{minor}", f"1.{minor}.", f"1.{minor}.{patch}", f"1.{minor}.{patch}-gke.{build}"):
        assert gke.alias(version) == version.rstrip(".")


def test_the_default_version_lies_in_the_window() -> None:
    gke.version_window(PROFILES["0.7.0"]).check(gke.DEFAULT_VERSION)


# --- places -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("zone", "region"),
    [
        ("us-central1-b", "us-central1"),
        ("europe-west4-b", "europe-west4"),
        ("us-east1-d", "us-east1"),
        # AI zones.
        ("us-central1-ai1a", "us-central1"),
        ("us-south1-ai1b", "us-south1"),
    ],
)
def test_a_zone_of_the_region_passes(zone: str, region: str) -> None:
    gke.check_zone(zone, region)


@pytest.mark.parametrize(
    ("zone", "region", "part"),
    [
        ("us-central1-b", "us-central2", "outside the region us-central2"),
        ("us-central12-b", "us-central1", "outside the region us-central1"),
        ("us-central1", "us-central1", "not a zone"),
        ("b", "us-central1", "not a zone"),
        ("us-central1-ai1", "us-central1", "not a zone"),
        ("us-central1-ai1a", "us-central2", "outside the region us-central2"),
    ],
)
def test_a_zone_elsewhere_is_refused(zone: str, region: str, part: str) -> None:
    with pytest.raises(GkeRuleError, match=part) as refusal:
        gke.check_zone(zone, region, "domains.a4x-0.zone")
    assert "domains.a4x-0.zone" in str(refusal.value)
    assert zone in str(refusal.value)


def test_the_names_of_an_rdma_network_and_its_subnets_fit_in_every_zone() -> None:
    longest = gke.rdma_network("c" * naming.CLUSTER_MAX, "northamerica-northeast2-ai12a")
    assert len(f"{longest}-3") <= 63
    assert gke.rdma_network("c", "us-central1-a") != gke.rdma_network("c", "us-central1-b")


def test_domains_of_a_cluster_share_one_zone() -> None:
    assert gke.rdma_zone({"a": "us-central1-b", "b": "us-central1-b"}) == "us-central1-b"
    with pytest.raises(GkeRuleError, match="a in us-central1-b, b in us-central1-c"):
        gke.rdma_zone({"b": "us-central1-c", "a": "us-central1-b"})
    with pytest.raises(GkeRuleError, match="no domain"):
        gke.rdma_zone({})


def test_the_rdma_profile_is_that_of_the_zone() -> None:
    assert gke.rdma_profile("us-central1-b") == "us-central1-b-vpc-roce"
    assert gke.rdma_profile_path("p", "us-central1-b") == "projects/p/global/networkProfiles/us-central1-b-vpc-roce"


# --- domains ----------------------------------------------------------------------------------------------


@given(st.integers(-5, 40))
def test_a_domain_has_1_to_18_nodes_and_fewer_than_18_is_warned_of(nodes: int) -> None:
    if not 1 <= nodes <= 18:
        with pytest.raises(GkeRuleError, match=f"domains.d.nodes = {nodes}"):
            gke.check_nodes(nodes, "domains.d.nodes")
        return
    warning = gke.check_nodes(nodes, "domains.d.nodes")
    if nodes == 18:
        assert warning is None
    else:
        assert warning is not None
        assert f"other {18 - nodes} stay reserved" in warning


@pytest.mark.parametrize("name", ["a4x-0", "a", "a" * 40])
def test_pool_names_that_gke_takes_pass(name: str) -> None:
    gke.check_pool_name(name)


@pytest.mark.parametrize("name", ["", "A4X", "-a", "a-", "0a", "a_b", "a" * 41])
def test_pool_names_that_gke_refuses_are_refused(name: str) -> None:
    with pytest.raises(GkeRuleError, match="40"):
        gke.check_pool_name(name)


@given(_NAMES)
def test_a_cluster_name_that_passes_leaves_room_for_what_is_named_after_it(name: str) -> None:
    if len(name) > naming.CLUSTER_MAX:
        with pytest.raises(GkeRuleError, match=f"{len(name)} characters"):
            gke.check_cluster_name(name)
        return
    gke.check_cluster_name(name)
    assert 6 <= len(f"{name}-nodes") <= naming.SERVICE_ACCOUNT_MAX


# --- reservations -----------------------------------------------------------------------------------------


@given(_NAMES, st.none() | _PROJECTS, st.none() | _NAMES, st.none() | _NAMES)
def test_a_reservation_survives_its_own_path(
    name: str, project: str | None, block: str | None, sub_block: str | None
) -> None:
    reservation = Reservation(name, project, block, sub_block if block else None)
    parsed = gke.parse_reservation(reservation.path("own-project"))
    assert parsed.path("another-one") == reservation.path("own-project")
    assert (parsed.block, parsed.sub_block) == (reservation.block, reservation.sub_block)
    assert parsed.project == (project or "own-project")


def test_the_short_form_belongs_to_the_own_project() -> None:
    reservation = gke.parse_reservation("r/reservationBlocks/b/reservationSubBlocks/s")
    assert reservation == Reservation("r", None, "b", "s")
    assert (
        reservation.path("my-project")
        == "projects/my-project/reservations/r/reservationBlocks/b/reservationSubBlocks/s"
    )
    assert gke.parse_reservation("r").path("my-project") == "projects/my-project/reservations/r"


def test_a_sub_block_needs_its_block() -> None:
    with pytest.raises(GkeRuleError, match="together with its block"):
        gke.reservation("r", sub_block="s")


# --- nodes ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "control_plane"),
    [
        ("1.35.2-gke.1485000", "1.35.2-gke.1485000"),
        ("1.35.2-gke.1485000", "1.35.3-gke.1"),
        ("1.35.2-gke.1485000", "1.35"),
        ("1.34.1-gke.3971000", "1.35"),
        ("1.36.0-gke.1", None),
    ],
)
def test_nodes_may_be_as_new_as_the_control_plane(version: str, control_plane: str | None) -> None:
    gke.check_node_version(version, control_plane, "domains[0].nodeVersion")


@pytest.mark.parametrize(
    ("version", "control_plane", "part"),
    [
        ("1.35.2-gke.1485001", "1.35.2-gke.1485000", "never newer than the control plane, which is 1.35.2-gke.1485000"),
        ("1.36.0-gke.1", "1.35", "never newer than the control plane"),
        ("1.35", "1.35", "need an exact build"),
        ("1.35.2", None, "need an exact build"),
        ("latest", None, "not a GKE version"),
    ],
)
def test_a_version_that_nodes_cannot_have_is_refused(version: str, control_plane: str | None, part: str) -> None:
    with pytest.raises(GkeRuleError, match=part) as refusal:
        gke.check_node_version(version, control_plane, "domains[0].nodeVersion")
    assert refusal.value.key == "domains[0].nodeVersion"


# --- rights -----------------------------------------------------------------------------------------------


def test_no_list_of_roles_or_apis_holds_more_than_is_meant() -> None:
    assert all(api.endswith(".googleapis.com") for api in gke.APIS)
    for roles in (gke.NODE_ROLES, gke.DEPLOYER_ROLES):
        assert all(role.startswith("roles/") for role in roles)
        assert not {"roles/owner", "roles/editor"} & set(roles)
        assert len(set(roles)) == len(roles)
    assert not [role for role in gke.NODE_ROLES if role.endswith((".admin", "Admin"))]
