"""The whole program at the size that it promises: 64 NVLink domains, 4,608 GPUs."""

from __future__ import annotations

from tests.conftest import a4x_pool
from tests.recorder import run_program
from tests.unit.configs import shipped


def test_sixty_four_domains_preview_without_a_special_case() -> None:
    config = shipped("prod")
    domain, stack = config["dynamo-a4x:domains"][0], config["dynamo-a4x:stacks"][0]
    domains = [{**domain, "name": f"a4x-{i}", "reservation": f"{domain['reservation']}-{i}"} for i in range(64)]
    run = run_program("prod", config={"domains": domains, "stacks": [{**stack, "domain": "a4x-63"}]}, preview=True)
    pools = [r.inputs for r in run.of_type("NodePool") if a4x_pool(r)]
    assert len({pool["name"] for pool in pools}) == 64
    assert sum(pool["nodeCount"] for pool in pools) == 64 * 18
    assert len({r.inputs["name"] for r in run.of_type("ResourcePolicy")}) == 64
    assert len(run.of_type("gcp:compute/network:Network")) == 3
