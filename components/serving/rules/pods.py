"""What a graph asks the scheduler for: whole nodes, as many as its ComputeDomain counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from components.base import a4x
from components.base.problems import Problem
from components.serving import graph
from components.serving.layout import WORKER_ROLES, Layout


def check_graph(layout: Layout, spec: Mapping[str, Any], domain_nodes: int) -> Iterator[Problem]:
    """A graph's pods take whole nodes, and its ComputeDomain counts exactly those nodes.

    Source: A4X passes a node's 4 GPUs and its NVLink channel to one pod; a ComputeDomain that counts other nodes
    than run is never ready. `spec` is what `graph.spec` makes, `domain_nodes` the ComputeDomain's numNodes.
    """
    counted = 0
    for role in WORKER_ROLES:
        service = spec["services"][graph.SERVICES[role]]
        nodes = service["replicas"] * service.get("multinode", {"nodeCount": 1})["nodeCount"]
        counted += nodes
        gpus = service["resources"]["limits"]["gpu"]
        if gpus != str(a4x.GPUS_PER_NODE):
            yield Problem(
                f"{layout.name}: {role} GPUs of a pod",
                gpus,
                f"a pod takes all {a4x.GPUS_PER_NODE} GPUs of its node",
                f"set resources.limits.gpu to {a4x.GPUS_PER_NODE}",
            )
        if nodes != layout.workers(role).nodes:
            yield Problem(
                f"{layout.name}: {role} pods",
                nodes,
                f"the layout has {layout.workers(role).nodes} {role} nodes",
                "make replicas and multinode.nodeCount those of the layout",
            )
    if counted != domain_nodes:
        yield Problem(
            f"{layout.name}: ComputeDomain numNodes",
            domain_nodes,
            f"the graph's workers run on {counted} nodes",
            f"set it to {counted}",
        )


NOWHERE: Final = graph.Placement(
    stack="",
    image="",
    frontend_image="",
    frontend_replicas=1,
    frontend_side="a4x",
    node_pool="",
    bucket="",
    service_account="",
    pull_secret="",
    claim_template="",
    config_maps={"prefill": "", "decode": ""},
)
"""Stands for a placement where only the shape of a graph is looked at."""
