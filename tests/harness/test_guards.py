"""The rules of `tests/guards.py` hold for this repository, and each of them finds code that breaks it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from tests import guards
from tests.guards import Source
from tests.recorder import ROOT

PROGRAM = guards.sources(
    *guards.PROGRAM_PACKAGES,
    "readiness",
    "fabric",
    "barrier",
    "bootstrap",
    "preflight",
    "recovery",
    "artifacts",
    "policy",
    "rehearsal",
    "change_report",
    "github_workflows",
    "__main__.py",
)
COMPONENTS = [s for s in PROGRAM if s.path.startswith(("components/", "bootstrap/"))]
TESTS = guards.sources("tests")

Guard = Callable[[Iterable[Source]], list[str]]

GUARDS: dict[Guard, list[Source]] = {
    guards.upward_imports: PROGRAM,
    guards.import_cycles: PROGRAM,
    guards.provider_sdks_in_settings: PROGRAM,
    guards.config_readers: PROGRAM,
    guards.merged_options: PROGRAM,
    guards.authoritative_iam: PROGRAM,
    guards.resources_in_apply: PROGRAM,
    guards.version_comparisons: [s for s in PROGRAM if not s.path.startswith("rehearsal/")],
    guards.component_contract: COMPONENTS,
    guards.unawaited_assertions: TESTS,
}

COMPONENT = '''
from __future__ import annotations
from typing import TypedDict
import pulumi
import pulumi_gcp as gcp

class NetArgs(TypedDict):
    """Inputs."""

    region: pulumi.Input[str]
    """Region of the subnets."""

class Net(pulumi.ComponentResource):
    """A network."""

    def __init__(self, name: str, args: NetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo-a4x:gcp:Net", name, {}, opts)
        net = gcp.compute.Network(f"{name}-net", opts=pulumi.ResourceOptions(parent=self))
        self.register_outputs({"id": net.id})
'''
"""A component as it should be; the negative controls below break it in one place each."""


def id_of(guard: Guard) -> str:
    return guard.__name__


@pytest.mark.parametrize(("guard", "where"), GUARDS.items(), ids=map(id_of, GUARDS))
def test_the_repository_keeps_the_rule(guard: Guard, where: list[Source]) -> None:
    assert where, "a rule about no file proves nothing"
    wrong = guard(where)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", guards.PURE)
def test_a_pure_package_loads_no_pulumi(package: str) -> None:
    assert guards.pure_imports(package) == []


def test_the_guards_see_the_whole_program() -> None:
    assert {guards._package(s.module) for s in PROGRAM} - {"components"} == set(guards.LAYERS)
    assert sum(len(s.components()) for s in COMPONENTS) >= 6
    assert any(s.constructs(call) for s in COMPONENTS for call in guards._calls(s.tree))
    assert any(guards._applied(s) for s in COMPONENTS)


def test_the_program_file_only_wires() -> None:
    [program] = guards.sources("__main__.py")
    assert guards.program_file(program) == []
    for part in guards.sources("program"):
        assert guards.composes_only(part) == []


def test_ci_runs_what_a_developer_runs() -> None:
    lines = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    assert [x for x in lines if x and not x.startswith(("#", "set ", "cd "))] == ["make test"]


# --- negative controls: each rule bites -------------------------------------------------------------------------------


GCP = "import pulumi\nimport pulumi_gcp as gcp\n"
BREAKS: dict[Guard, list[tuple[str, str]]] = {
    guards.upward_imports: [
        ("components/gcp/x.py", "from components.platform import queues"),
        ("components/platform/x.py", "import components.serving.stack"),
        ("components/serving/x.py", "from components import gcp"),
        ("components/serving/x.py", "from ..gcp import cluster"),
        ("reference/x.py", "from serving_rules.layout import Layout"),
        ("policy/x.py", "from reference import gke"),
        ("components/gcp/x.py", "def f():\n    import settings"),
        ("reference/x.py", "from rehearsal import simulator"),
        ("settings/x.py", "from components.gcp import cluster"),
        ("serving_rules/rules/x.py", "from manifests import graph"),
        ("rehearsal/x.py", "from tests.recorder import run_program"),
        ("rehearsal/x.py", "from reference import gke"),
        ("change_report/x.py", "from reference import machines"),
        ("recovery/x.py", "import program"),
        ("github_workflows/x.py", "from settings import parse"),
        ("rehearsal/simulator/x.py", "from rehearsal.run import Rehearsal"),
        ("rehearsal/simulator/x.py", "from reference import gke"),
    ],
    guards.provider_sdks_in_settings: [
        ("settings/x.py", "import pulumi_gcp"),
        ("settings/x.py", "import pulumi\npulumi.ComponentResource('a:b:C', 'c')"),
    ],
    guards.config_readers: [
        ("components/gcp/x.py", "import pulumi\nc = pulumi.Config('a')"),
        ("components/gcp/x.py", "from pulumi import Config as C\nc = C()"),
        ("components/gcp/x.py", "import pulumi as p\np.Config()"),
    ],
    guards.merged_options: [
        ("components/gcp/x.py", "import pulumi\nx = pulumi.ResourceOptions.merge(opts, o)"),
        ("components/gcp/x.py", "import pulumi\nx = pulumi.ResourceOptions(parent=self).merge(opts)"),
    ],
    guards.authoritative_iam: [
        ("components/gcp/x.py", f"{GCP}gcp.projects.IAMBinding('x')"),
        ("components/gcp/x.py", f"{GCP}gcp.storage.BucketIAMPolicy('x')"),
        ("components/gcp/x.py", "from pulumi_gcp.projects import IAMPolicy"),
        ("components/gcp/x.py", f"{GCP}gcp.serviceaccount.IAMBindingArgs()"),
    ],
    guards.resources_in_apply: [
        ("components/gcp/x.py", f"{GCP}o.apply(lambda v: gcp.compute.Network(v))"),
        ("components/gcp/x.py", f"{GCP}def make(v):\n    gcp.compute.Network(v)\no.apply(make)"),
        (
            "components/gcp/x.py",
            f"{GCP}def make(v):\n    gcp.compute.Network(v)\npulumi.Output.all(a, b).apply(lambda v: make(v))",
        ),
        ("components/gcp/x.py", f"{GCP}class C(pulumi.ComponentResource): ...\no.apply(lambda v: C('c'))"),
    ],
    guards.version_comparisons: [
        ("components/platform/x.py", "if dynamo.version == '0.7.0':\n    pass"),
        ("program/x.py", "if settings.dynamo.version in ('1.0.0', '1.0.1'):\n    pass"),
        ("program/x.py", "early = profile.version.startswith('0.')"),
        ("manifests/x.py", "early = v.startswith('0.7.')"),
        ("settings/x.py", "new = kai.parse(chosen.version) >= first"),
        ("preflight/x.py", "old = parse(version) < (0, 16)"),
        ("preflight/x.py", "old = before(version, (0, 16, 0))"),
        ("serving_rules/x.py", "match release:\n    case '0.5.9':\n        pass"),
        ("serving_rules/x.py", "old = '0.5.4.post3' != other"),
    ],
}
KEEPS: dict[Guard, list[tuple[str, str]]] = {
    guards.upward_imports: [
        ("components/gcp/x.py", "from reference import naming\nfrom components.gcp import ordering"),
        ("settings/x.py", "from serving_rules.layout import Layout"),
        ("__main__.py", "import settings\nfrom program import build_stack"),
    ],
    guards.config_readers: [("settings/x.py", "import pulumi\nc = pulumi.Config('a')")],
    guards.authoritative_iam: [
        ("components/gcp/x.py", f"{GCP}gcp.projects.IAMMember('x')\ngcp.storage.get_bucket_iam_policy('x')"),
    ],
    guards.resources_in_apply: [("components/gcp/x.py", "import pulumi\no.apply(lambda v: str(v))\nNetwork('x')")],
    guards.version_comparisons: [
        ("reference/kai.py", "new = parse(version) >= (0, 16, 0)"),
        ("settings/x.py", "known = version in PROFILES and profile.pod_rules and version != None"),
        ("serving_rules/x.py", "wrong = host != '0.0.0.0' and code in (401, 403)"),
        ("settings/x.py", "version: str = Field(default='0.7.0')\ngke.check(version, 'cluster.version')"),
    ],
}


def _planted(table: dict[Guard, list[tuple[str, str]]]) -> list[Any]:
    rows = [(guard, number, code) for guard, codes in table.items() for number, code in enumerate(codes)]
    return [pytest.param(guard, Source(*code), id=f"{guard.__name__}-{number}") for guard, number, code in rows]


@pytest.mark.parametrize(("guard", "planted"), _planted(BREAKS))
def test_code_that_breaks_a_rule_is_found(guard: Guard, planted: Source) -> None:
    assert len(guard([planted])) == 1


@pytest.mark.parametrize(("guard", "planted"), _planted(KEEPS))
def test_code_that_keeps_a_rule_is_allowed(guard: Guard, planted: Source) -> None:
    assert guard([planted]) == []


def test_modules_that_import_each_other_are_found() -> None:
    circle = [
        Source("reference/a.py", "from reference import b"),
        Source("reference/b.py", "def late():\n    from reference.c import thing"),
        Source("reference/c.py", "from reference.a import other"),
    ]
    assert "imports itself" in guards.import_cycles(circle)[0]
    assert guards.import_cycles(circle[:2]) == []


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("serving_rules/rules/deep.py", "import pulumi", "serving_rules loads pulumi"),
        ("serving_rules/x.py", "import manifests", "serving_rules loads manifests"),
        ("serving_rules/x.py", "import nothing_of_the_kind", "serving_rules: ModuleNotFoundError"),
        ("serving_rules/x.py", "import reference", None),
    ],
)
def test_what_a_pure_package_loads_is_found(path: str, text: str, found: str | None, tmp_path: Path) -> None:
    for name in ("serving_rules/__init__.py", "serving_rules/rules/__init__.py", "reference.py", "manifests.py", path):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text if name == path else "", encoding="utf-8")
    wrong = guards.pure_imports("serving_rules", tmp_path)
    assert bool(wrong) == bool(found)
    assert found is None or wrong[0].startswith(found)


def test_a_program_file_that_is_long_or_makes_resources_is_found() -> None:
    resource = Source("__main__.py", "import pulumi_kubernetes as k8s\nk8s.core.v1.Namespace('n')")
    assert guards.program_file(resource) == ["__main__.py:2: makes a resource of its own"]
    assert len(guards.program_file(Source("__main__.py", "x = 1\n" * 81))) == 1
    assert guards.program_file(Source("__main__.py", "x = 1\n" * 80)) == []


def test_a_component_as_it_should_be_is_allowed() -> None:
    assert guards.component_contract([Source("components/gcp/net.py", COMPONENT)]) == []


@pytest.mark.parametrize(
    ("right", "wrong", "reason"),
    [
        ("args: NetArgs, opts", "opts", "takes"),
        (" = None) -> None", ") -> None", "defaults to None"),
        ("args: NetArgs", "args: dict", "not NetArgs"),
        ("class NetArgs(TypedDict)", "class OtherArgs(TypedDict)", "has no NetArgs"),
        ("class NetArgs(TypedDict)", "class NetArgs(object)", "no TypedDict"),
        ('    """Region of the subnets."""\n', "", "no docstring under it"),
        ("dynamo-a4x:gcp:Net", "dynamo-a4x:platform:Net", "is the rule"),
        ("dynamo-a4x:gcp:Net", "dynamo-a4x:gcp:Nets", "is the rule"),
        ("name, {}, opts", "name, {}", "is the rule"),
        ('self.register_outputs({"id": net.id})', "pass", "last statement"),
        ('({"id": net.id})', '({"id": net.id})\n        print()', "last statement"),
        ('f"{name}-net"', '"net"', "must be f"),
        ('f"{name}-net"', 'f"net-{name}"', "must be f"),
        ('f"{name}-net"', 'f"{name}"', "must be f"),
        (", opts=pulumi.ResourceOptions(parent=self)", "", "has no opts"),
        ("parent=self", "protect=True", "not parent=self"),
        ("parent=self", "parent=net", "not parent=self"),
    ],
)
def test_a_component_that_breaks_the_contract_is_found(right: str, wrong: str, reason: str) -> None:
    assert right in COMPONENT
    found = guards.component_contract([Source("components/gcp/net.py", COMPONENT.replace(right, wrong, 1))])
    assert any(reason in violation for violation in found), found


@pytest.mark.parametrize(
    ("decorator", "text", "count"),
    [
        ("", "o.apply(lambda v: check.assert_called(v))", 1),
        ("", "def see(v):\n        assert v\n    o.apply(see)", 1),
        ("", "def see(v):\n        pytest.fail(v)\n    return pulumi.Output.all(o).apply(see)", 1),
        ("@pulumi.runtime.test\n", "def see(v):\n        assert v\n    o.apply(see)", 0),
        ("", "o.apply(print)\n    assert o", 0),
    ],
)
def test_an_assertion_that_nobody_awaits_is_found(decorator: str, text: str, count: int) -> None:
    planted = Source("tests/unit/test_x.py", f"{decorator}def test_x():\n    {text}\n")
    assert len(guards.unawaited_assertions([planted])) == count
