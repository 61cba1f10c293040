"""Names stay inside the limits of the services that take them, whatever a user calls things."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from reference import naming
from reference.machines import A4X
from tests.recorder import run_program

ACCOUNT_ID = re.compile(r"^[a-z][-a-z0-9]{4,28}[a-z0-9]$")
stack_names = st.from_regex(rf"\A[a-z]([-a-z0-9]{{0,{naming.STACK_MAX - 2}}}[a-z0-9])?\Z")
environments = st.from_regex(rf"\A[a-z]([-a-z0-9]{{0,{naming.ENVIRONMENT_MAX - 2}}}[a-z0-9])?\Z")


@given(stack_names, environments)
def test_a_service_account_id_is_valid_for_every_stack_and_environment(stack: str, environment: str) -> None:
    assert ACCOUNT_ID.match(naming.bounded(f"{stack}-identity-{environment}", naming.SERVICE_ACCOUNT_MAX))


@given(st.text("abc-", min_size=1, max_size=60), st.text("abc-", min_size=1, max_size=60))
def test_two_long_names_are_never_cut_to_the_same(one: str, other: str) -> None:
    if one != other:
        assert naming.bounded(one, 20) != naming.bounded(other, 20)


@given(st.text("abc-", min_size=1, max_size=80), st.integers(min_value=12, max_value=63))
def test_a_bounded_name_keeps_its_bound(name: str, limit: int) -> None:
    assert len(naming.bounded(name, limit)) <= limit


@given(stack_names)
def test_a_graphs_name_fits_the_operator_for_every_stack(stack: str) -> None:
    name = f"{stack}-{'x' * naming.DGD_SUFFIX}"
    assert len(name) <= naming.DGD_MAX
    for group, clique in (("prefill", "prefill-wkr"), ("decode", "decode-wkr")):
        assert len(name) + len(group) + len(clique) <= 45


def test_the_longest_name_of_a_graph_is_one_that_grove_takes() -> None:
    """Name, scaling group and clique of a prefill worker have 45 characters together, at most."""
    assert naming.DGD_MAX + len("prefill") + len("prefill-wkr") == 45
    assert naming.STACK_MAX + 1 + naming.DGD_SUFFIX == naming.DGD_MAX


@given(environments)
def test_a_namespace_is_valid_for_every_environment(environment: str) -> None:
    assert naming.DNS_LABEL.fullmatch(f"{naming.DOWNLOAD_NAMESPACE}-{environment}-{naming.content_hash('model')}")


def test_device_networks_keep_the_names_that_every_a4x_recipe_uses() -> None:
    names = (A4X.gvnic_network, *A4X.rdma_networks)
    assert names == ("gvnic-1", "rdma-0", "rdma-1", "rdma-2", "rdma-3")


def test_two_environments_with_a_stack_of_one_name_make_two_google_accounts() -> None:
    run = run_program("dev", config={"workloadIdentity": "serviceAccount", "projectNumber": None})
    assert "dev" in run.find("gcp:serviceaccount/account:Account").inputs["accountId"]
