"""What all services of the embedded cloud stand on: values, memory, journal, faults, random values, the server."""

from __future__ import annotations

import threading
import time
from typing import Any

import grpc
import pulumi
import pytest
from google.protobuf import empty_pb2
from hypothesis import given
from hypothesis import strategies as st
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc

from rehearsal.simulator import ApiError, Call, CloudResource, CloudServer, CloudState, EmbeddedCloud
from rehearsal.simulator.provider import kind_of, name_of
from rehearsal.simulator.values import (
    UNKNOWN,
    changes,
    dig,
    from_plain,
    has_unknown,
    props_from_plain,
    props_to_plain,
    to_plain,
)
from tests.engine.driver import REGION, CheckError, Driver

BUCKET = "gcp:storage/bucket:Bucket"
STRING = "random:index/randomString:RandomString"
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text(max_size=8) | st.just(UNKNOWN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=12,
)


@pytest.fixture
def cloud() -> Driver:
    return Driver()


def make_bucket(cloud: Driver, name: str = "weights") -> CloudResource:
    return cloud.create(BUCKET, name, {"name": name, "location": REGION})


# Values


@given(JSON)
def test_a_value_comes_back_from_the_engine_as_it_went(value: Any) -> None:
    assert to_plain(from_plain(value)) == value


@given(JSON)
def test_nothing_differs_from_itself(value: Any) -> None:
    assert not list(changes(value, value))


@given(st.dictionaries(st.text(max_size=4), JSON, max_size=3), st.dictionaries(st.text(max_size=4), JSON, max_size=3))
def test_values_that_differ_have_a_change(old: dict[str, Any], new: dict[str, Any]) -> None:
    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: bare(item) for key, item in value.items() if item is not None}
        return [bare(item) for item in value] if isinstance(value, list) else value

    assert bool(list(changes(old, new))) == (repr(bare(old)) != repr(bare(new)) and bare(old) != bare(new))


def test_a_secret_is_unwrapped_and_an_asset_survives() -> None:
    asset = pulumi.StringAsset("x")
    assert to_plain(from_plain("x").with_secret(is_secret=True)) == "x"
    assert to_plain(from_plain(asset)).text == "x"


def test_a_null_at_the_top_is_no_value() -> None:
    assert props_to_plain(props_from_plain({"a": None, "b": 1})) == {"b": 1}


def test_true_is_not_one() -> None:
    assert [str(change) for change in changes({"a": True}, {"a": 1})] == ["a"]


def test_paths_are_written_as_the_engine_reads_them() -> None:
    old = {"metadata": {"labels": {"a/b": "c"}}, "list": [{"x": 1}]}
    new = {"metadata": {"labels": {"a/b": "d"}}, "list": [{"x": 2}]}
    assert [str(change) for change in changes(old, new)] == ["list[0].x", 'metadata.labels["a/b"]']


def test_a_change_is_under_a_path_that_it_swallows() -> None:
    change = next(changes({"a": {"b": [{"c": 1}]}}, {}))
    assert change.under("a.b.c")
    assert not change.under("b")


def test_unknown_is_found_at_any_depth() -> None:
    assert has_unknown({"a": [{"b": UNKNOWN}]})
    assert dig({"a": UNKNOWN}, "a.b.c") is UNKNOWN
    assert not has_unknown({"a": [1]})


def test_the_kind_of_a_child_is_read_without_its_parents() -> None:
    urn = "urn:pulumi:dev::p::x:y:Z$gcp:storage/bucket:Bucket::a::b"
    assert (kind_of(urn), name_of(urn)) == (BUCKET, "a::b")


# Memory


def test_an_owned_object_goes_with_its_owner() -> None:
    state = CloudState()
    owner = state.add(CloudResource("k", "", "owner", {}, {}))
    state.add(CloudResource("k", "", "owned", {}, {}, origin="service", owner=owner.key))
    assert [resource.id for resource in state.remove(owner.key)] == ["owner", "owned"]
    assert not state.remove(owner.key)


def test_only_what_the_program_made_is_left_over() -> None:
    state = CloudState()
    state.add(CloudResource("k", "", "a", {}, {}))
    state.add(CloudResource("k", "", "b", {}, {}, origin="seed"))
    state.add(CloudResource("k", "", "c", {}, {}, origin="service"))
    assert [resource.id for resource in state.leftovers()] == ["a"]
    assert [resource.id for resource in state.kept()] == ["c"]


def test_a_used_name_is_remembered() -> None:
    state = CloudState()
    key = state.add(CloudResource("k", "", "a", {}, {})).key
    state.remove(key)
    assert state.times_made(key) == 1
    assert not state.times_made(("k", "", "b"))


def test_many_threads_make_as_many_objects() -> None:
    state = CloudState()

    def work(number: int) -> None:
        for index in range(100):
            state.add(CloudResource("k", "", f"{number}-{index}", {}, {}))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({resource.born for resource in state}) == 800


def test_the_journal_holds_every_call_with_its_outcome(cloud: Driver) -> None:
    make_bucket(cloud)
    with pytest.raises(ApiError):
        make_bucket(cloud)
    told = [(entry.op, entry.kind, entry.name, bool(entry.refused)) for entry in cloud.state.journal]
    assert told == [
        ("check", BUCKET, "weights", False),
        ("create", BUCKET, "weights", False),
        ("check", BUCKET, "weights", False),
        ("create", BUCKET, "weights", True),
    ]
    assert all(entry.started <= entry.ended for entry in cloud.state.journal)


# Faults


def creates(call: Call) -> bool:
    return call.op == "create"


def test_a_call_can_fail_before_it_is_carried_out(cloud: Driver) -> None:
    cloud.cloud.faults.fail(creates, "the network is down")
    with pytest.raises(ApiError, match="the network is down"):
        make_bucket(cloud)
    assert not cloud.state.leftovers()
    make_bucket(cloud)


def test_a_call_can_fail_after_it_was_carried_out(cloud: Driver) -> None:
    cloud.cloud.faults.fail(creates, "no answer", carried_out=True)
    with pytest.raises(ApiError, match="no answer"):
        make_bucket(cloud)
    assert len(cloud.state.leftovers()) == 1
    assert cloud.state.journal[-1].refused == "no answer"


def test_a_call_can_be_late(cloud: Driver) -> None:
    cloud.cloud.faults.delay(creates, 0.05)
    started = time.monotonic()
    make_bucket(cloud)
    assert time.monotonic() - started >= 0.05
    cloud.cloud.faults.clear()
    assert not cloud.cloud.faults.before


def test_a_kind_can_take_its_time_on_a_scaled_clock(cloud: Driver) -> None:
    cloud.state.durations[BUCKET] = 60.0
    cloud.state.time_scale = 0.001
    started = time.monotonic()
    make_bucket(cloud)
    assert time.monotonic() - started >= 0.06


# Random values


def test_a_random_string_keeps_to_its_classes(cloud: Driver) -> None:
    made = cloud.create(STRING, "s", {"length": 40, "upper": False, "special": False, "minNumeric": 3})
    result = made.outputs["result"]
    assert len(result) == 40
    assert all(letter.islower() or letter.isdigit() for letter in result)
    assert sum(letter.isdigit() for letter in result) >= 3


def test_new_keepers_draw_a_new_value(cloud: Driver) -> None:
    made = cloud.create(STRING, "s", {"length": 4, "keepers": {"shape": "1p1d"}})
    difference = cloud.diff(made, {"length": 4, "keepers": {"shape": "10p8d"}})
    assert difference.replaces == ["keepers"]
    assert not cloud.diff(made, {"length": 4, "keepers": {"shape": "1p1d"}}).changes


def test_two_equal_random_values_are_two_objects(cloud: Driver) -> None:
    for name in ("a", "b"):
        cloud.create("random:index/randomPassword:RandomPassword", name, {"length": 8})
    assert len(cloud.state.leftovers()) == 2


def test_a_random_string_that_cannot_be_drawn_is_refused(cloud: Driver) -> None:
    for inputs in ({"length": 0}, {"length": 2, "minLower": 3}, {"length": 2, "lengh": 2}):
        with pytest.raises(CheckError):
            cloud.check(STRING, "s", inputs)


def test_a_random_value_is_unknown_in_a_preview(cloud: Driver) -> None:
    assert cloud.preview(STRING, "s", {"length": 4})["result"] is UNKNOWN


def test_a_random_kind_that_is_not_modelled_is_named(cloud: Driver) -> None:
    with pytest.raises(ApiError, match="the embedded cloud has no random:index/randomPet:RandomPet"):
        cloud.check("random:index/randomPet:RandomPet", "p", {})


def test_a_random_value_is_never_changed_in_place(cloud: Driver) -> None:
    made = cloud.create(STRING, "s", {"length": 4})
    with pytest.raises(ApiError, match="only recreated"):
        cloud.update(made, {"length": 5})


def test_a_random_id_tells_all_its_forms(cloud: Driver) -> None:
    made = cloud.create("random:index/randomId:RandomId", "i", {"byteLength": 4})
    assert int(made.outputs["hex"], 16) == int(made.outputs["dec"])


# The server


@pytest.fixture
def server() -> Any:
    running = CloudServer(EmbeddedCloud()).start()
    yield running
    running.stop()


def stub(server: CloudServer, package: str) -> Any:
    # A connection of its own, as each of the engine's clients has: channels to one address share theirs otherwise.
    options = [("grpc.use_local_subchannel_pool", 1)]
    channel = grpc.insecure_channel(f"127.0.0.1:{server.ports[package]}", options=options)
    return provider_pb2_grpc.ResourceProviderStub(channel)


def test_an_engine_can_attach_to_every_package(server: CloudServer) -> None:
    assert server.attach == ",".join(f"{name}:{port}" for name, port in server.ports.items())
    for package in ("gcp", "kubernetes", "random"):
        provider = stub(server, package)
        provider.Attach(plugin_pb2.PluginAttach(address="127.0.0.1:1"))
        assert provider.GetPluginInfo(empty_pb2.Empty()).version


def test_a_refusal_reaches_the_engine_as_its_message_alone(server: CloudServer) -> None:
    request = provider_pb2.InvokeRequest(tok="gcp:no/such:function")
    with pytest.raises(grpc.RpcError) as caught:
        stub(server, "gcp").Invoke(request)
    assert caught.value.details() == "the embedded cloud has no answer for the function gcp:no/such:function"


def test_each_connection_has_its_own_configuration(server: CloudServer) -> None:
    for project in ("one", "two"):
        request = provider_pb2.ConfigureRequest()
        request.args.update({"project": project})
        stub(server, "gcp").Configure(request)
    assert sorted(config["project"] for config in server.cloud.gcp.clients.values()) == ["one", "two"]
    assert not server.cloud.kubernetes.clients


def test_a_changed_provider_configuration_is_reported_as_a_change(server: CloudServer) -> None:
    request = provider_pb2.DiffRequest(id="p", urn="urn:pulumi:t::t::pulumi:providers:kubernetes::p")
    request.old_inputs.update({"clusterIdentifier": "a"})
    request.news.update({"clusterIdentifier": "b"})
    response = stub(server, "kubernetes").DiffConfig(request)
    assert response.changes == provider_pb2.DiffResponse.DIFF_SOME
    assert list(response.replaces) == ["clusterIdentifier"]


def test_a_server_can_be_stopped_twice() -> None:
    running = CloudServer(EmbeddedCloud()).start()
    running.stop()
    running.stop()
