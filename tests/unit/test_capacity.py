"""Pods without a GPU are held against the nodes: refused is what no scheduler could place, and nothing else."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reference import capacity, system_pool
from reference.capacity import GIB, MIB, Node, Size
from reference.footprint import BENCHMARK, FRONTEND, READINESS_CHECK, SIDECAR
from tests.recorder import run_program
from tests.unit.configs import problems, put, shipped

# Arithmetic --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cpus", "memory", "room"),
    [
        # The table of Google's page on node sizes, rounded as it stands there.
        (4, 4, (3.92, 2.9)),
        (8, 8, (7.91, 6.1)),
        (16, 16, (15.89, 13.3)),
        (32, 128, (31.85, 118.6)),
    ],
)
def test_a_node_has_for_pods_what_gke_documents(cpus: int, memory: int, room: tuple[float, float]) -> None:
    found = capacity.node(cpus, memory).room
    assert (found.cpu / 1000, found.memory / GIB) == pytest.approx(room, abs=0.06)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (Size(5000, 50 * GIB), {"cpu": "5", "memory": "50Gi"}),
        (Size(250, 256 * MIB), {"cpu": "250m", "memory": "256Mi"}),
    ],
)
def test_a_size_is_written_as_kubernetes_writes_it(size: Size, text: dict[str, str]) -> None:
    assert size.requests() == text


@given(st.integers(1, 10**6), st.integers(1, 2**20))
def test_a_size_is_read_back_as_it_was_written(cpu: int, memory: int) -> None:
    size = Size(cpu, memory * MIB)
    asked = size.requests()
    read = Size(round(capacity.quantity(asked["cpu"]) * 1000), int(capacity.quantity(asked["memory"])))
    assert read == size


@pytest.mark.parametrize("text", ["", "five", "5 Gi", "5Xi", "-1"])
def test_what_is_no_quantity_is_not_read_as_one(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        capacity.quantity(text)


def _packs(node: Node, nodes: int, pods: tuple[Size, ...]) -> bool:
    """Every way to put the pods on the nodes, one pod after the other: slow and beyond doubt."""

    @functools.cache
    def place(index: int, rooms: tuple[tuple[int, int, int], ...]) -> bool:
        if index == len(pods):
            return True
        pod = pods[index]
        tried: set[tuple[int, int, int]] = set()
        for at, (cpu, memory, count) in enumerate(rooms):
            if (cpu, memory, count) in tried or cpu < pod.cpu or memory < pod.memory or not count:
                continue
            tried.add((cpu, memory, count))
            after = (*rooms[:at], (cpu - pod.cpu, memory - pod.memory, count - 1), *rooms[at + 1 :])
            if place(index + 1, tuple(sorted(after))):
                return True
        return False

    return place(0, tuple((node.room.cpu, node.room.memory, node.pods) for _ in range(nodes)))


_SIZES = st.builds(Size, st.integers(1, 9), st.integers(1, 9))


@given(
    st.builds(Node, st.builds(Size, st.integers(1, 20), st.integers(1, 20)), st.integers(1, 5)),
    st.integers(1, 3),
    st.lists(st.tuples(_SIZES, st.integers(0, 4)), min_size=1, max_size=3),
)
def test_what_fits_is_what_some_way_of_packing_finds(node: Node, nodes: int, wanted: list[tuple[Size, int]]) -> None:
    pods = tuple(size for size, count in wanted for _ in range(count))
    assert capacity.fits(node, nodes, wanted) == _packs(node, nodes, pods)


# The config --------------------------------------------------------------------------------------------------------


def _refusals(environment: str, **stack: Any) -> list[str]:
    """Keys that are refused when the shipped stack is changed like this."""
    raw = shipped(environment)
    raw["dynamo-a4x:stacks"][0] |= stack
    return [problem.key for problem in problems(raw, environment)]


@pytest.mark.parametrize(
    ("environment", "frontend", "refused"),
    [
        ("dev", {"replicas": 60}, True),
        ("dev", {"replicas": 10_000}, True),
        ("prod", {"replicas": 10_000}, True),
        ("prod", {"replicas": 10, "placement": "system"}, True),
        ("dev", {}, False),
        ("prod", {}, False),
        ("dev", {"replicas": 33}, False),
        ("prod", {"replicas": 60}, False),
        ("prod", {"replicas": 9, "placement": "system"}, False),
        # The nodes of an adopted cluster are counted by the preflight.
        ("dev", {"replicas": 60, "placement": "system"}, False),
    ],
)
def test_frontends_without_room_are_refused_and_all_others_pass(
    environment: str, frontend: dict[str, Any], refused: bool
) -> None:
    expected = ["stacks[0].frontend.replicas"] if refused else []
    assert _refusals(environment, frontend=frontend) == expected


@given(st.integers(2, 18), st.integers(1, 320), st.booleans())
def test_no_number_of_frontends_is_refused_that_a_packing_holds(nodes: int, replicas: int, benchmark: bool) -> None:
    """The largest number that fits is found by hand: 17 of 50.25 GiB in the 859 of a node, a client in what is left."""
    spare = 859 - 17 * 50.25
    most = nodes * 17 - (1 if benchmark and spare < 8.25 else 0)
    raw = put(shipped("dev"), "domains[0].nodes", nodes)
    raw["dynamo-a4x:stacks"][0] |= {"frontend": {"replicas": replicas}, "benchmark": benchmark}
    assert bool(problems(raw, "dev")) == (replicas > most)


def test_a_second_stack_has_what_the_first_one_leaves() -> None:
    raw = put(shipped("dev"), "domains[0].nodes", 4)
    first = raw["dynamo-a4x:stacks"][0]
    raw["dynamo-a4x:stacks"] = [{**first, "frontend": {"replicas": 60}}, {**first, "name": "second"}]
    [problem] = problems(raw, "dev")
    assert problem.key == "stacks[1].layout"
    assert "60 frontends and 1 clients of other stacks" in problem.rule
    assert problem.fix.startswith("set frontend.replicas to 7 or fewer")


def test_a_system_pool_full_of_frontends_has_room_for_a_readiness_check_of_every_stack() -> None:
    wanted = [(FRONTEND + SIDECAR, 9), (BENCHMARK + SIDECAR, 1), (READINESS_CHECK, 64)]
    assert capacity.fits(system_pool.node(), system_pool.NODES_MAX, wanted)
    assert not capacity.fits(system_pool.node(), system_pool.NODES_MAX, [*wanted[:2], (READINESS_CHECK, 1100)])


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_the_pods_ask_for_what_is_counted(stack: str) -> None:
    run = run_program(stack)
    frontend = run.find("DynamoGraphDeployment").inputs["spec"]["services"]["Frontend"]
    assert frontend["resources"]["requests"] == FRONTEND.requests()
    pod = run.find("Deployment").inputs["spec"]["template"]
    assert pod["spec"]["containers"][0]["resources"]["requests"] == BENCHMARK.requests()
    for service in run.find("DynamoGraphDeployment").inputs["spec"]["services"].values():
        annotations = service["extraPodMetadata"]["annotations"]
        assert annotations["gke-gcsfuse/memory-limit"] == "0", "then the sidecar asks for GKE's default"
        assert "gke-gcsfuse/memory-request" not in annotations
    services = run.find("DynamoGraphDeployment").inputs["spec"]["services"].values()
    workers = [service for service in services if service["componentType"] == "worker"]
    assert all("cpu" not in str(worker["resources"]) for worker in workers)
    assert SIDECAR.memory == 256 * MIB


def test_the_created_system_pool_is_the_one_that_is_counted() -> None:
    pool = run_program("prod").find("gcp:container/nodePool:NodePool", "foundation-gke-system").inputs
    assert pool["nodeConfig"]["machineType"] == system_pool.MACHINE
    assert system_pool.MACHINE.endswith(f"-{system_pool.CPUS}")
    assert pool["autoscaling"]["totalMaxNodeCount"] == system_pool.NODES_MAX
    assert "maxPodsPerNode" not in pool


# Spread ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_frontends_prefer_nodes_of_their_own_and_nothing_constrains_their_topology(stack: str) -> None:
    run = run_program(stack)
    for name, service in run.find("DynamoGraphDeployment").inputs["spec"]["services"].items():
        assert "topologySpreadConstraints" not in service["extraPodSpec"]
        spread = service["extraPodSpec"].get("affinity", {}).get("podAntiAffinity")
        assert (spread is not None) == (name == "Frontend")
        if spread is not None:
            [preferred] = spread["preferredDuringSchedulingIgnoredDuringExecution"]
            term = preferred["podAffinityTerm"]
            assert term["topologyKey"] == "kubernetes.io/hostname"
            labels = service["extraPodMetadata"]["labels"]
            assert term["labelSelector"]["matchLabels"].items() <= labels.items()
            assert "requiredDuringSchedulingIgnoredDuringExecution" not in spread
