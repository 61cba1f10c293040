"""`docs/how-to/come-from-the-recipe.md`, step by step: an environment that was built by hand as the recipe says becomes
one of this program, in the real engine against the embedded cloud.

What was built by hand is made and deleted here as `kubectl` and `helm` would; the values are the recipe's own
(`docs/reference/recipe.md`).
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from rehearsal import CloudResource, Rehearsal
from rehearsal.simulator.kubernetes import admission, finalizers, helm, nodes
from rehearsal.simulator.kubernetes.system_objects import NAMESPACE
from rehearsal.simulator.state import ApiError
from rehearsal.simulator.values import dig
from rehearsal.simulator.workloads import blockers
from rehearsal.simulator.workloads.serving import COMPUTE_DOMAIN, GRAPH, RELEASE
from tests.conformance.recipe import around, facts
from tests.recorder import ROOT
from tests.resilience import life
from tests.resilience.proof import needs_engine

pytestmark = [pytest.mark.engine, needs_engine]

PAGE = ROOT / "docs" / "how-to" / "come-from-the-recipe.md"
LAYOUT = "deepseek-r1-fp8-1p1d"
RECIPE = around(LAYOUT)
VERSION, PLATFORM = str(RECIPE["platform.version"]), str(RECIPE["platform.namespace"])
WORKLOAD = "u-dynamo-a4x-1p1d"
"""The Helm release of the recipe's own chart: graph, ComputeDomain, arguments."""
OLD_GRAPH = "dynamo-disagg1p1d"
DRIVER = {"chart": "nvidia-dra-driver-gpu", "version": "25.12.0", "namespace": "nvidia-dra-driver-gpu"}
STACK = [{"name": "r1-1p1d", "layout": LAYOUT, "domain": "a4x-0"}]


def keys(**parts: Any) -> dict[str, Any]:
    return {f"dynamo-a4x:{key}": value for key, value in parts.items()}


CLUSTER = keys(stacks=[])
"""What exists before anybody follows the recipe: cluster, A4X pool, networks, bucket."""
KEPT = keys(kai={"mode": "none"}, dynamo={"mode": "adopt", "version": VERSION}, draDriver={"mode": "adopt"}, stacks=[])
"""Everything is adopted and nothing served: step 1."""
REPLACED = keys(kai={"mode": "create"}, dynamo={"mode": "create", "version": VERSION}, draDriver={"mode": "create"})


class ByHand:
    """An adopted cluster on which somebody has followed the recipe; `kai` as in the recipe, or left out."""

    def __init__(self, rehearsal: Rehearsal, *, kai: bool = False) -> None:
        self.rehearsal, self.state = rehearsal, rehearsal.state
        (self.cluster,) = self.state.find("gcp:container/cluster:Cluster")
        self.apply("v1", "Namespace", PLATFORM)
        self.apply("v1", "Secret", str(RECIPE["secrets.pull"]), PLATFORM, type="kubernetes.io/dockerconfigjson")
        self.apply("v1", "Secret", str(RECIPE["secrets.token"]), PLATFORM, data={"HF_TOKEN": "aGY="})
        self.install({"chart": "dynamo-crds", "version": VERSION, "namespace": RECIPE["platform.crds.namespace"]})
        self.install_platform(kai=kai)
        self.apply("apps/v1", "DaemonSet", "nccl-rdma-installer", "kube-system", spec=_daemon_set())
        self.apply("v1", "Namespace", DRIVER["namespace"])
        self.apply("v1", "ResourceQuota", "critical-pods", DRIVER["namespace"], spec={"hard": {"pods": "100"}})
        self.install(DRIVER)
        self.apply_workload()

    def apply_workload(self) -> None:
        """`helm install` of the recipe's own chart."""
        for role in ("prefill", "decode"):
            self.apply("v1", "ConfigMap", f"{WORKLOAD}-{role}-config", PLATFORM, data={"serving-configuration": ""})
        template = {"name": RECIPE["domain.channel.resourceClaimTemplate.name"]}
        spec = {"numNodes": RECIPE["domain.numNodes"], "channel": {"resourceClaimTemplate": template}}
        self.apply("resource.nvidia.com/v1beta1", "ComputeDomain", "a4x-domain", PLATFORM, spec=spec)
        self.apply("nvidia.com/v1alpha1", "DynamoGraphDeployment", OLD_GRAPH, PLATFORM, spec=_graph())

    def apply(self, api_version: str, kind: str, name: str, namespace: str = "", **fields: Any) -> CloudResource:
        """`kubectl apply`, or one object of a chart."""
        metadata = {"name": name, **({"namespace": namespace} if namespace else {})}
        body = {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}
        kubernetes = self.rehearsal.cloud.kubernetes
        assert kubernetes.schemas.failures(body) == []
        group = api_version if "/" in api_version else f"core/{api_version}"
        return kubernetes.seed(self.cluster, f"kubernetes:{group}:{kind}", body)

    def delete(self, kind: str, id_: str) -> None:
        """`kubectl delete`; raises `ApiError` where it would hang."""
        found = self.state.get(kind, id_, self.cluster.id)
        assert found is not None
        admission.at_delete(self.state, found)
        self.state.remove(found.key)

    def install(self, release: dict[str, Any]) -> None:
        """`helm install`; raises `ApiError` as Helm fails."""
        archive = f"https://charts.example/{release['chart']}-{release['version']}.tgz"
        inputs, failures = helm.check(release["chart"], "", {}, {"name": release["chart"], **release, "chart": archive})
        assert failures == []
        id_, _ = helm.create(self.state, self.cluster.id, inputs, "")
        made = self.state.get(RELEASE, id_, self.cluster.id)
        assert made is not None
        made.origin = "seed"

    def install_platform(self, *, kai: bool = False) -> None:
        values = {"grove": {"enabled": True}, "kai-scheduler": {"enabled": kai}}
        self.install({"chart": "dynamo-platform", "version": VERSION, "namespace": PLATFORM, "values": values})

    def uninstall(self, id_: str) -> None:
        """`helm uninstall` of a chart that the embedded cloud knows."""
        found = self.state.get(RELEASE, id_, self.cluster.id)
        assert found is not None
        helm.delete(self.state, found)

    def uninstall_workload(self) -> None:
        """`helm uninstall` of the recipe's own chart."""
        self.delete(GRAPH, f"{PLATFORM}/{OLD_GRAPH}")
        self.delete(COMPUTE_DOMAIN, f"{PLATFORM}/a4x-domain")
        for role in ("prefill", "decode"):
            self.delete("kubernetes:core/v1:ConfigMap", f"{PLATFORM}/{WORKLOAD}-{role}-config")

    def uninstall_platform(self) -> None:
        self.uninstall(f"{PLATFORM}/dynamo-platform")
        self.uninstall(f"{RECIPE['platform.crds.namespace']}/dynamo-crds")
        self.delete(NAMESPACE, PLATFORM)

    def uninstall_driver(self) -> None:
        self.uninstall(f"{DRIVER['namespace']}/{DRIVER['chart']}")
        self.delete(NAMESPACE, DRIVER["namespace"])

    @property
    def nodes_in_use(self) -> int:
        return nodes.in_use(self.state, self.cluster.id, "a4x-0")

    @property
    def serves(self) -> bool:
        """Whether the old graph runs on its nodes."""
        found = self.state.get(GRAPH, f"{PLATFORM}/{OLD_GRAPH}", self.cluster.id)
        return found is not None and self.nodes_in_use == RECIPE["domain.numNodes"]


def _daemon_set() -> dict[str, Any]:
    labels = {"k8s-app": "nccl-rdma-installer"}
    container = {"name": "pause", "image": "gke.gcr.io/pause:3.8"}
    return {
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
    }


def _graph() -> dict[str, Any]:
    """The recipe's graph: the fields by which it holds nodes and other objects."""

    def worker(role: str) -> dict[str, Any]:
        known = {field: value for (of, field), value in facts(LAYOUT).items() if of == role}
        claim = known["extraPodSpec.resourceClaims[compute-domain-channel].resourceClaimTemplateName"]
        return {
            "componentType": known["componentType"],
            "subComponentType": known["subComponentType"],
            "replicas": known["replicas"],
            "envFromSecret": known["envFromSecret"],
            "resources": {
                "limits": {"gpu": known["resources.limits.gpu"]},
                "claims": [{"name": "compute-domain-channel"}],
            },
            "extraPodSpec": {
                "resourceClaims": [{"name": "compute-domain-channel", "resourceClaimTemplateName": claim}],
                "mainContainer": {"image": known["extraPodSpec.mainContainer.image"]},
            },
        }

    frontend = {"componentType": "frontend", "replicas": facts(LAYOUT)["frontend", "replicas"]}
    services = {"Frontend": frontend, "Prefill": worker("prefill"), "Decode": worker("decode")}
    return {"backendFramework": RECIPE["graph.backendFramework"], "services": services}


def refusal(rehearsal: Rehearsal, name: str) -> str:
    """What an `up` ends with."""
    error = life.failed(lambda: rehearsal.up(name))
    assert error is not None
    return " ".join(error.causes)


def test_the_page_has_these_steps_in_this_order() -> None:
    steps = re.findall(r"^## (.*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert steps == [
        "What can stay",
        "1. Adopt what is there, without a stack",
        "2. Remove the graph",
        "3. Only where the platform is replaced: remove its releases",
        "4. Deploy the stack",
        "If the order was wrong",
    ]


def test_with_an_adopted_platform_only_the_graph_goes() -> None:
    with life.rehearse("dev", CLUSTER) as rehearsal:
        hand = ByHand(rehearsal)
        rehearsal.set_config(KEPT)
        theirs = rehearsal.state.snapshot()
        # Step 1: nothing that is there is touched, and the old graph goes on.
        rehearsal.up("adopt")
        assert hand.serves
        after = rehearsal.state.snapshot()
        default = (NAMESPACE, hand.cluster.id, "default")
        changed = {key for key, outputs in theirs.items() if after.get(key) != outputs}
        assert changed <= {default}, "only the mark of a user of the platform is written into what was there"
        # Step 4 before step 2: the new pods have no nodes, and the readiness check says so.
        rehearsal.set_config(keys(stacks=STACK))
        assert "2 GPU nodes wanted in node pool a4x-0, 0 of 2 are free" in refusal(rehearsal, "too early")
        assert hand.serves
        # Steps 2 and 4.
        hand.uninstall_workload()
        life.finish(rehearsal, "with the adopted platform")
        assert hand.nodes_in_use == 2
        rehearsal.destroy()
        life.require_empty(rehearsal, "with the adopted platform")
        kept = {release.id for release in rehearsal.state.find(RELEASE)}
        assert {
            f"{PLATFORM}/dynamo-platform",
            "default/dynamo-crds",
            f"{DRIVER['namespace']}/{DRIVER['chart']}",
        } == kept


def test_a_platform_of_ones_own_needs_the_old_releases_gone() -> None:
    with life.rehearse("dev", CLUSTER) as rehearsal:
        hand = ByHand(rehearsal)
        rehearsal.set_config(KEPT)
        rehearsal.up("adopt")
        # Step 4 before step 3.
        hand.uninstall_workload()
        rehearsal.set_config({**REPLACED, **keys(stacks=STACK)})
        assert "already exists" in refusal(rehearsal, "over the old releases")
        elsewhere = {"mode": "create", "version": VERSION, "namespace": "dynamo-new"}
        rehearsal.set_config(keys(dynamo=elsewhere, draDriver={"mode": "adopt"}))
        assert "re-use a name that is still in use: release dynamo-crds" in refusal(rehearsal, "beside them")
        rehearsal.set_config({**REPLACED, **keys(stacks=STACK)})
        # Steps 3 and 4.
        hand.uninstall_platform()
        hand.uninstall_driver()
        life.finish(rehearsal, "with a platform of its own")
        assert hand.nodes_in_use == 2
        assert {release.origin for release in rehearsal.state.find(RELEASE)} == {"program"}


def test_the_recipes_own_scheduler_cannot_be_adopted() -> None:
    with life.rehearse("dev", CLUSTER) as rehearsal:
        hand = ByHand(rehearsal, kai=True)
        hand.uninstall_workload()
        rehearsal.set_config({**KEPT, **keys(kai={"mode": "adopt"}, stacks=STACK)})
        assert "no matches for kind ClusterPolicy" in refusal(rehearsal, "with the bundled KAI")


def test_a_platform_that_goes_before_its_graph_leaves_it_hanging_until_it_is_back() -> None:
    with life.rehearse("dev", CLUSTER) as rehearsal:
        hand = ByHand(rehearsal)
        hand.uninstall(f"{PLATFORM}/dynamo-platform")
        hand.uninstall(f"{DRIVER['namespace']}/{DRIVER['chart']}")
        with pytest.raises(ApiError, match=r"nvidia\.com/finalizer, and its operator is gone"):
            hand.delete(GRAPH, f"{PLATFORM}/{OLD_GRAPH}")
        with pytest.raises(ApiError, match="the driver's controller is gone"):
            hand.delete(COMPUTE_DOMAIN, f"{PLATFORM}/a4x-domain")
        # The way out of the page: the same releases again, which remove the finalizers, and then the right order.
        hand.install(DRIVER)
        hand.install_platform()
        finalizers.settle(rehearsal.state, hand.cluster.id)
        assert not rehearsal.state.find(GRAPH)
        assert not rehearsal.state.find(COMPUTE_DOMAIN)
        hand.uninstall_platform()
        hand.uninstall_driver()
        rehearsal.set_config({**REPLACED, **keys(stacks=STACK)})
        rehearsal.up("after the way out")


def test_a_namespace_that_goes_after_its_operators_hangs_too() -> None:
    with life.rehearse("dev", CLUSTER) as rehearsal:
        hand = ByHand(rehearsal)
        hand.uninstall(f"{PLATFORM}/dynamo-platform")
        with pytest.raises(ApiError, match="have finalizers and their operator is gone"):
            hand.delete(NAMESPACE, PLATFORM)
        with pytest.raises(ApiError, match="is being terminated"):
            hand.install_platform()


def test_what_was_built_by_hand_is_as_the_recipe_has_it() -> None:
    """The old graph runs, but for what this program adds to the recipe: its pods are bound to no pool. A second one of
    its name does not.
    """
    with life.rehearse("dev", CLUSTER) as rehearsal:
        hand = ByHand(rehearsal)
        graph = rehearsal.state.get(GRAPH, f"{PLATFORM}/{OLD_GRAPH}", hand.cluster.id)
        assert graph is not None
        assert hand.serves
        reasons = list(blockers.of(rehearsal.state, hand.cluster.id, graph.outputs))
        assert all("may be spread over two NVLink domains" in reason for reason in reasons), reasons
        assert dig(graph.outputs, "spec.services.Frontend.replicas") == 9
        assert not rehearsal.state.leftovers()
        hand.uninstall_workload()
        hand.apply_workload()
        again = rehearsal.state.get(GRAPH, f"{PLATFORM}/{OLD_GRAPH}", hand.cluster.id)
        assert again is not None
        reasons = " ".join(blockers.of(rehearsal.state, hand.cluster.id, again.outputs))
        assert "stays pending for ever: a graph of this name was there before" in reasons
