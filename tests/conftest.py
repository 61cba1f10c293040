"""Recordings of the real program, made once per test session.

`recording` runs a test four times: dev and prod, as an `up` and as a preview. `deployed` runs it twice, with
everything known. `dev`, `prod`, `dev_preview`, `prod_preview` are the single ones.
"""

from __future__ import annotations

import gc
import logging
from functools import cache
from typing import ClassVar

import hypothesis
import pytest
from pulumi.runtime import resource as resource_runtime
from pulumi.runtime.proto.source_pb2 import StackTrace
from typing_extensions import override
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from reference.machines import A4X
from tests import stacks
from tests.recorder import Recording, Resource, run_program

stacks.install()

# As `__main__` does, but before the provider SDKs are imported: half of their import is a search for garbage.
gc.set_threshold(200_000, 50, 50)

# Recordings keep no source positions, and the stack below a test is sixty frames deep for every resource.
resource_runtime._get_stack_trace = StackTrace

# asyncio tells of tasks that a program's error left behind, after the error itself has been told.
logging.getLogger("asyncio").setLevel(logging.CRITICAL)

STACKS = ("dev", "prod")

# Enough for arithmetic on a handful of small numbers; what needs more says so itself.
hypothesis.settings.register_profile("quick", max_examples=40, deadline=None)
hypothesis.settings.load_profile("quick")


class _ByFile(LoadFileScheduling):
    """Tests of a file share what it deploys, so they run on one worker; those of `SHARE_NOTHING` run on any.

    Not by marks of `loadgroup`: with pytest 9.2 xdist 3.8 writes the groups where nothing reads them, and silently
    deals out single tests.
    """

    SHARE_NOTHING: ClassVar = frozenset({"tests/engine/test_modes.py"})

    @override
    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return nodeid if file in self.SHARE_NOTHING else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _ByFile | None:
    """The scheduler of `--dist loadfile`."""
    return _ByFile(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_collection_finish() -> None:
    """Takes what is imported out of garbage collection: the provider SDKs are large and never go away."""
    gc.collect()
    gc.freeze()


@cache
def recorded(stack: str, preview: bool = False) -> Recording:
    """The run of `stack` as its files say it, with made-up secrets."""
    return run_program(stack, preview=preview)


def a4x_pool(resource: Resource) -> bool:
    """Whether a resource is the node pool of an NVLink domain."""
    return resource.type.endswith(":NodePool") and resource.inputs["nodeConfig"]["machineType"] == A4X.machine_type


@pytest.fixture(params=STACKS)
def stack(request: pytest.FixtureRequest) -> str:
    """Name of each environment in turn."""
    return request.param


@pytest.fixture(params=[False, True], ids=["up", "preview"])
def preview(request: pytest.FixtureRequest) -> bool:
    """Whether the run is a preview, each in turn."""
    return request.param


@pytest.fixture
def recording(stack: str, preview: bool) -> Recording:
    """Each environment, as `up` and as preview."""
    return recorded(stack, preview)


@pytest.fixture
def deployed(stack: str) -> Recording:
    """Each environment, as `up`: every value is known."""
    return recorded(stack)


@pytest.fixture
def dev() -> Recording:
    """The `dev` environment, as `up`."""
    return recorded("dev")


@pytest.fixture
def prod() -> Recording:
    """The `prod` environment, as `up`."""
    return recorded("prod")


@pytest.fixture
def dev_preview() -> Recording:
    """The `dev` environment, as preview."""
    return recorded("dev", preview=True)


@pytest.fixture
def prod_preview() -> Recording:
    """The `prod` environment, as preview."""
    return recorded("prod", preview=True)
