"""The recorder sees what it promises to see, and a wrong program does not get past it."""

from __future__ import annotations

import base64
import textwrap
from collections.abc import Callable
from pathlib import Path

import pulumi
import pulumi_gcp as gcp
import pulumi_kubernetes as k8s
import pulumi_random as random
import pytest

from tests import answers
from tests.recorder import UNKNOWN, ProgramFailedError, Recording, record, run_program

TOKEN = "nvapi-planted-0003"


class Box(pulumi.ComponentResource):
    """A component with one child."""

    def __init__(self, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("test:index:Box", name, {}, opts)
        self.account = gcp.serviceaccount.Account(
            f"{name}-account", account_id=name, opts=pulumi.ResourceOptions(parent=self)
        )
        self.register_outputs({"email": self.account.email})


def namespaces(*options: pulumi.ResourceOptions) -> Callable[[], None]:
    """A program that makes the namespaces n0, n1, ... with these options."""

    def program() -> None:
        for index, opts in enumerate(options):
            k8s.core.v1.Namespace(f"n{index}", opts=opts)

    return program


# --- options ----------------------------------------------------------------------------------------------


def test_every_option_that_tests_look_at_is_recorded() -> None:
    def program() -> None:
        owner = k8s.core.v1.Namespace("owner")
        k8s.core.v1.Namespace(
            "n",
            opts=pulumi.ResourceOptions(
                protect=True,
                delete_before_replace=True,
                ignore_changes=["metadata"],
                replace_on_changes=["spec"],
                custom_timeouts=pulumi.CustomTimeouts(create="30m", delete="5m"),
                depends_on=[owner],
            ),
        )

    recording = record(program)
    owner, seen = recording.find(name="owner"), recording.find(name="n")
    assert (seen.protect, seen.delete_before_replace) == (True, True)
    assert (seen.ignore_changes, seen.replace_on_changes) == (("metadata",), ("spec",))
    assert seen.custom_timeouts == {"create": "30m", "delete": "5m"}
    assert seen.depends_on == {owner.urn}
    assert (owner.protect, owner.delete_before_replace) == (None, None)


def test_hooks_are_recorded_by_name() -> None:
    def program() -> None:
        hook = pulumi.ResourceHook("sweep", lambda _: None)
        binding = pulumi.ResourceHookBinding(before_delete=[hook])
        namespaces(pulumi.ResourceOptions(hooks=binding))()

    assert record(program).find(name="n0").hooks == {"before_delete": ("sweep",)}


def test_the_explicit_provider_is_recorded_and_the_default_one_is_empty() -> None:
    def program() -> None:
        provider = k8s.Provider("cluster", kubeconfig="{}", cluster_identifier="c")
        namespaces(pulumi.ResourceOptions(provider=provider), pulumi.ResourceOptions())()

    recording = record(program)
    assert recording.find(name="n0").provider_urn == recording.find("pulumi:providers:kubernetes").urn
    assert recording.find(name="n1").provider_urn == ""


def test_children_carry_their_parent_in_urn_and_in_parent() -> None:
    recording = record(lambda: Box("b") and None)
    box, account = recording.find("Box"), recording.find("Account")
    assert account.parent == box.urn
    assert box.parent == ""
    assert account.urn == ("urn:pulumi:test::dynamo-a4x::test:index:Box$gcp:serviceaccount/account:Account::b-account")


def test_two_resources_of_one_urn_are_refused() -> None:
    def program() -> None:
        k8s.core.v1.Namespace("same")
        k8s.core.v1.Namespace("same")

    with pytest.raises(ProgramFailedError, match="duplicate resource URN"):
        record(program)


# --- values -----------------------------------------------------------------------------------------------


def test_computed_outputs_are_what_a_provider_computes() -> None:
    def program() -> None:
        box = Box("reader")
        suffix = random.RandomString("suffix", length=4, upper=False, special=False)
        pulumi.export("email", box.account.email)
        pulumi.export("suffix", suffix.result)

    outputs = record(program).outputs
    assert outputs["email"] == "reader@mock-project.iam.gserviceaccount.com"
    assert len(outputs["suffix"]) == 4
    assert outputs["suffix"] == outputs["suffix"].lower()


def test_a_preview_leaves_computed_outputs_unknown_and_runs_no_apply() -> None:
    ran: list[str] = []

    def program() -> None:
        email = Box("reader").account.email
        email.apply(ran.append)
        k8s.core.v1.ConfigMap("c", data={"email": email, "fixed": "x"})

    recording = record(program, preview=True)
    assert ran == []
    assert recording.find("ConfigMap").inputs["data"] == {"email": UNKNOWN, "fixed": "x"}
    assert recording.find("ConfigMap").id == ""


def test_a_read_is_refused() -> None:
    pool = "projects/p/locations/l/clusters/c/nodePools/pool-1"
    with pytest.raises(ProgramFailedError, match=r"reads gcp:container/nodePool:NodePool pool"):
        record(lambda: gcp.container.NodePool.get("pool", pool) and None)


def test_an_invoke_is_recorded_and_its_answer_can_be_replaced() -> None:
    def program() -> None:
        cluster = gcp.container.get_cluster(name="adopted", location="l", project="p")
        pulumi.export("pools", [p.name for p in cluster.node_pools])

    token = answers.GET_CLUSTER
    recording = record(program, invokes={token: {"nodePools": [{"name": "a4x"}]}})
    assert recording.outputs["pools"] == ["a4x"]
    assert [(i.token, i.arguments["name"]) for i in recording.invokes] == [(token, "adopted")]
    assert record(program).outputs["pools"] == []


def test_an_invoke_that_nobody_answers_is_refused() -> None:
    with pytest.raises(ProgramFailedError, match=r"calls gcp:compute/getZones:getZones"):
        record(lambda: gcp.compute.get_zones() and None)


# --- secrets ----------------------------------------------------------------------------------------------


def test_secret_inputs_and_outputs_are_reported_from_plain_ones() -> None:
    def program() -> None:
        token = pulumi.Output.secret(TOKEN)
        secret = k8s.core.v1.Secret("s", string_data={"token": token, "user": "u"})
        pulumi.export("token", token)
        pulumi.export("user", "u")
        pulumi.export("copy", secret.string_data["token"])

    recording = record(program)
    assert recording.find("Secret").secrets == {"stringData"}, "the SDK marks all of stringData at once"
    assert recording.find("Secret").inputs["stringData"] == {"token": TOKEN, "user": "u"}
    assert recording.secret_outputs == {"token", "copy"}
    assert recording.in_clear(TOKEN) == []


@pytest.mark.parametrize("prefix", ["", "x", "xy"])
def test_a_secret_in_clear_is_found_even_inside_base64(prefix: str) -> None:
    encoded = base64.b64encode(f"{prefix}{TOKEN}:rest".encode()).decode()
    recording = record(lambda: k8s.core.v1.ConfigMap("c", data={"auth": f"a {encoded}"}) and None)
    assert recording.in_clear(TOKEN) == ["inputs of kubernetes:core/v1:ConfigMap c: data.auth"]
    assert recording.in_clear("nvapi-another-0003") == []


def planted_in_an_export() -> None:
    pulumi.export("t", f"token={TOKEN}")


def planted_in_a_log() -> None:
    pulumi.log.info(TOKEN)


def planted_in_a_name() -> None:
    k8s.core.v1.Namespace(TOKEN)


def planted_in_an_invoke() -> None:
    gcp.container.get_cluster(name=TOKEN)


def planted_in_component_outputs() -> None:
    pulumi.ComponentResource("test:index:C", "c").register_outputs({"x": {"y": [TOKEN]}})


@pytest.mark.parametrize(
    ("program", "place"),
    [
        (planted_in_an_export, "stack outputs: t"),
        (planted_in_a_log, "log (info): message"),
        (planted_in_a_name, "options of"),
        (planted_in_an_invoke, "arguments of gcp:container/getCluster"),
        (planted_in_component_outputs, "x.y[0]"),
    ],
)
def test_a_secret_in_clear_is_found_wherever_it_is(program: Callable[[], None], place: str) -> None:
    assert any(place in found for found in record(program).in_clear(TOKEN))


# --- dependencies and delete order ------------------------------------------------------------------------


def chain(*, linked: bool) -> Recording:
    """A namespace, a release in it, and an object that needs the release only if `linked`."""

    def program() -> None:
        namespace = k8s.core.v1.Namespace("n")
        release = k8s.helm.v3.Release("r", chart="c", namespace=namespace.metadata["name"])
        needs = [release] if linked else []
        k8s.core.v1.ConfigMap("o", opts=pulumi.ResourceOptions(depends_on=needs))

    return record(program)


def test_a_claim_of_delete_order_holds_when_dependencies_enforce_it() -> None:
    recording = chain(linked=True)
    assert recording.delete_order_violations(["ConfigMap", "Release", "Namespace"]) == []
    assert recording.depends_on_transitively(recording.find("ConfigMap"), recording.find("Namespace"))
    assert recording.find("Release").property_dependencies == {"namespace": {recording.find("Namespace").urn}}
    assert recording.find("Release").depends_on == frozenset()


def test_a_missing_dependency_breaks_the_claim_of_delete_order() -> None:
    wrong = chain(linked=False).delete_order_violations(["ConfigMap", "Release", "Namespace"])
    assert len(wrong) == 2
    assert all("ConfigMap o may outlive" in w for w in wrong)


def test_the_reversed_delete_order_is_a_violation() -> None:
    assert chain(linked=True).delete_order_violations(["Namespace", "ConfigMap"])


def test_a_claim_about_nothing_is_a_violation() -> None:
    assert chain(linked=True).delete_order_violations(["ConfigMap", "NoSuchKind"]) == [
        "nothing is chosen by 'NoSuchKind'"
    ]


def test_dependencies_go_through_parents_and_providers() -> None:
    def program() -> None:
        first = k8s.core.v1.Namespace("first")
        box = Box("b", pulumi.ResourceOptions(depends_on=[first]))
        provider = k8s.Provider("p", kubeconfig=box.account.email)
        k8s.core.v1.Namespace("last", opts=pulumi.ResourceOptions(provider=provider))

    recording = record(program)
    first, last = recording.find(name="first"), recording.find(name="last")
    assert recording.depends_on_transitively(recording.find("Account"), first), "through the parent"
    assert recording.depends_on_transitively(last, recording.find("Account")), "through the provider's input"
    assert recording.depends_on_transitively(last, first)
    assert not recording.depends_on_transitively(first, last)


# --- failures are not swallowed ---------------------------------------------------------------------------


def refuse(email: str) -> None:
    raise AssertionError(email)


def test_an_error_inside_apply_fails_the_run() -> None:
    with pytest.raises(ProgramFailedError, match="b@mock-project"):
        record(lambda: Box("b").account.email.apply(refuse) and None)


def stop() -> None:
    raise SystemExit("bad config")


def fail() -> None:
    raise ValueError("bad config")


@pytest.mark.parametrize("end", [stop, fail])
def test_a_program_that_ends_early_says_why_and_what_it_had_registered(end: Callable[[], None]) -> None:
    def program() -> None:
        k8s.core.v1.Namespace("n")
        end()

    with pytest.raises(ProgramFailedError, match="bad config") as failed:
        record(program)
    assert failed.value.recording.names() == ["kubernetes:core/v1:Namespace n"]


def test_find_says_what_is_there_when_it_is_not_exactly_one() -> None:
    recording = record(namespaces(pulumi.ResourceOptions(), pulumi.ResourceOptions()))
    with pytest.raises(LookupError, match="2 resources"):
        recording.find("Namespace")
    with pytest.raises(LookupError, match="n1"):
        recording.find(name="n2")


def test_runs_do_not_see_each_other() -> None:
    with pytest.raises(ProgramFailedError):
        record(fail)
    first = record(namespaces(pulumi.ResourceOptions()))
    second = record(namespaces(pulumi.ResourceOptions()), stack="other", preview=True)
    assert len(first.resources) == len(second.resources) == 1
    assert first.resources[0].urn != second.resources[0].urn
    assert pulumi.runtime.settings.get_root_resource() is None


# --- the program file and its config ----------------------------------------------------------------------


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A small project whose program exports its config."""
    files = {
        "Pulumi.yaml": """
            name: sample
            config:
              gcp:region: {value: r-default}
              size: {type: integer, default: 2}
              shapes: {type: array, items: {type: string}, default: [a, b]}
              shade: {type: object, default: {deep: true}}
              token: {type: string, default: ""}
              needed: {type: string}
        """,
        "Pulumi.dev.yaml": """
            config:
              gcp:region: r-dev
              sample:needed: yes-please
              sample:nested: {b: [1, {c: x}], a: null}
              sample:cipher: {secure: v1:abc}
        """,
        "__main__.py": """
            import json, pulumi
            config = pulumi.Config()
            pulumi.export("region", pulumi.Config("gcp").get("region"))
            pulumi.export("size", config.get_int("size"))
            pulumi.export("nested", config.get_object("nested"))
            pulumi.export("raw", [config.get(k) for k in ("shapes", "shade", "needed", "cipher", "extra")])
            pulumi.export("token", config.get_secret("token"))
            pulumi.export("where", __import__("os").getcwd())
        """,
    }
    for name, text in files.items():
        (tmp_path / name).write_text(textwrap.dedent(text), encoding="utf-8")
    return tmp_path


def test_the_program_gets_its_config_as_from_the_engine(project: Path) -> None:
    recording = run_program("dev", root=project, secrets={"token": TOKEN})
    assert recording.outputs["region"] == "r-dev"
    assert recording.outputs["size"] == 2
    assert recording.outputs["nested"] == {"b": [1, {"c": "x"}], "a": None}
    assert recording.outputs["raw"] == ['["a","b"]', '{"deep":true}', "yes-please", None, None]
    assert recording.outputs["where"] == str(project)
    assert "token" in recording.secret_outputs
    assert recording.in_clear(TOKEN) == []


def test_a_test_can_lay_config_over_the_stack_file(project: Path) -> None:
    changed = {"gcp:region": None, "size": 3, "extra": {"z": [1]}}
    recording = run_program("dev", root=project, config=changed, secrets={})
    assert "region" not in recording.outputs, "an export of None is dropped by the SDK"
    assert recording.outputs["size"] == 3
    assert recording.outputs["raw"][-1] == '{"z":[1]}'
    assert recording.outputs["token"] == ""
