"""The catalogs are what they say, and the argument check judges by them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reference.dynamo import PROFILES
from reference.sglang import RELEASES
from serving_rules import arguments, environment, layout
from serving_rules.layout import WORKER_ROLES, Layout, Overrides, Server, WorkerRole
from tests.conformance import recipe
from tools import catalog_file, sglang_arguments

CATALOGS = sorted(arguments.CATALOG.glob("*.json"))
RECIPE = [(name, role) for name in recipe.LAYOUTS.values() for role in WORKER_ROLES]


def _catalog(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


# The lists ---------------------------------------------------------------------------------------------------------


def test_every_release_has_its_catalog() -> None:
    names = {f"sglang-{version}" for version in RELEASES} | {f"dynamo-{version}" for version in PROFILES}
    assert {path.stem for path in CATALOGS} == names
    assert {profile.sglang for profile in PROFILES.values()} <= set(RELEASES)


@pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.stem)
def test_a_catalog_is_as_its_script_writes_it(path: Path) -> None:
    assert catalog_file.text(_catalog(path)) == path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", CATALOGS, ids=lambda path: path.stem)
def test_a_catalog_names_the_wheel_that_it_is_of(path: Path) -> None:
    header = _catalog(path)["header"]
    package, _, version = path.stem.partition("-")
    assert header["wheel"].startswith(f"{'ai_dynamo' if package == 'dynamo' else package}-{version}-")
    assert re.fullmatch(r"[0-9a-f]{64}", header["sha256"])


@pytest.mark.parametrize("path", [p for p in CATALOGS if p.stem.startswith("sglang")], ids=lambda path: path.stem)
def test_no_name_belongs_to_two_arguments(path: Path) -> None:
    entries = _catalog(path)["arguments"]
    names = [name for first, entry in entries.items() for name in (first, *entry.get("aliases", ()))]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"[a-z0-9][a-z0-9-]*", name) for name in names)
    assert {entry["action"] for entry in entries.values() if not set(entry.get("refused", ())) & set(names)} <= {
        "store",
        "store_true",
        "LoRAPathAction",
        "DeprecatedAliasStoreAction",
    }
    assert len(entries) > 250


def test_the_reader_of_sources_sees_names_kinds_and_choices() -> None:
    source = """
BACKENDS = ["a", "b"]
class ServerArgs:
    def add_cli_args(parser):
        parser.add_argument("--tensor-parallel-size", "--tp-size", type=int, default=ServerArgs.tp_size)
        parser.add_argument("--backend", type=str, choices=BACKENDS + ["c"])
        parser.add_argument("--fast", action="store_true")
        parser.add_argument("--old", action=DeprecatedAction, help="Please use --nothing-of-this-name instead.")
        parser.add_argument("--older", action=DeprecatedAction, help="Please use --fast instead.")
        parser.add_argument("--sizes", type=int, nargs="+")
        parser.add_argument("--extra", type=str, help="Extra settings in JSON format.")
        parser.add_argument("--open", choices=list(Parsers.keys()))
"""
    assert sglang_arguments.server_arguments(source) == {
        "tensor-parallel-size": {"action": "store", "type": "int", "aliases": ["tp-size"]},
        "backend": {"action": "store", "type": "str", "choices": ["a", "b", "c"]},
        "fast": {"action": "store_true"},
        "old": {"action": "DeprecatedAction"},
        "older": {"action": "DeprecatedAction", "instead": "fast"},
        "sizes": {"action": "store", "type": "int", "nargs": "+"},
        "extra": {"action": "store", "type": "str", "json": True},
        "open": {"action": "store", "type": "str"},
    }


FIELDS = """
KINDS = ["a", "b"]
class Other:
    lost: A[int, "Of another class."] = 1
class ServerArgs:
    tp_size: A[int, Arg(help="Size.", aliases=["--tensor-parallel-size"]), NS("parallel")] = 1
    host: A[str, "The host."] = "127.0.0.1"
    port: A[Optional[int], f"The port, {HOW}."] = None
    fast: A[bool, "Faster."] = False
    backend: A[str, Arg(help="It.", choices=KINDS, cli_name="--some-backend")] = "a"
    mode: A[Optional[Literal["x", "y"]], "The mode."] = None
    sizes: A[Optional[List[int]], "Sizes."] = None
    length: A[int, Arg(type_parser=human_readable_int)] = 1
    extra: A[Optional[List[str]], Arg(help="Extra.", type_parser=json_list_type)] = None
    switch: A[bool, Arg(help="It.", action=argparse.BooleanOptionalAction)] = True
    graph_size: A[int, "New name."] = 1
    stream: A[bool, "New name of a flag."] = False
    inner: A[str, Arg(no_cli=True)] = ""
    unsaid: A[str, NS("nothing")] = ""
    plain: int = 1
    def add_cli_args(parser):
        add_cli_args_from_dataclass(parser, ServerArgs)
        parser.add_argument("--old-size", type=int, action=DeprecatedAliasStoreAction, dest="graph_size", new_flag="--graph-size")
        parser.add_argument("--old-stream", action=DeprecatedStoreTrueAction, dest="stream", new_flag="--stream")
"""  # noqa: E501


def test_the_reader_of_sources_sees_arguments_that_are_annotated_fields_and_which_names_a_file_may_not_have() -> None:
    assert sglang_arguments.server_arguments(FIELDS, selective=True) == {
        "tensor-parallel-size": {"action": "store", "type": "int", "aliases": ["tp-size"]},
        "host": {"action": "store", "type": "str"},
        "port": {"action": "store", "type": "int"},
        "fast": {"action": "store_true"},
        "some-backend": {"action": "store", "type": "str", "choices": ["a", "b"]},
        "mode": {"action": "store", "type": "str", "choices": ["x", "y"]},
        "sizes": {"action": "store", "type": "int", "nargs": "+"},
        "length": {"action": "store", "type": "human_readable_int"},
        "extra": {"action": "store", "type": "json_list_type", "json": True},
        "switch": {"action": "BooleanOptionalAction", "refused": ["switch"]},
        # The reader knows arguments by the attribute that they set, which the deprecated name shares.
        "graph-size": {"action": "store", "type": "int", "refused": ["graph-size"], "instead": "old-size"},
        "old-size": {"action": "DeprecatedAliasStoreAction", "type": "int"},
        "stream": {"action": "store_true", "refused": ["stream"]},
        "old-stream": {"action": "DeprecatedStoreTrueAction", "refused": ["old-stream"]},
    }


def test_the_reader_of_sources_sees_renamed_variables_in_each_way_that_they_are_declared() -> None:
    older = """
def _print_deprecated_env(new_name, old_name): ...
_print_deprecated_env("A_NEW", "A_OLD")
"""
    newer = """
class Envs:
    A_NEW = EnvBoolWithAlias(False, deprecated_name="A_OLDEST")
def _print_deprecated_env(old_name, new_name=None): ...
_print_deprecated_env("A_OLD", "A_NEW")
_print_deprecated_env("A_GONE")
"""
    newest = """
_DEPRECATED_ENVS: Dict[str, _DeprecatedEnv] = {
    "A_OLD": _DeprecatedEnv(replacement="A_NEW", transform=_invert_bool),
    "A_GONE": _DeprecatedEnv(),
    "A_FLAG": _DeprecatedEnv(note="Please use '--a-flag=on' instead."),
}
"""
    renamed, gone = {"type": "text", "deprecated": "A_NEW"}, {"type": "text", "unread": True}

    def found(source: str) -> dict[str, Any]:
        return sglang_arguments.variables(sglang_arguments.Wheel(Path("none.whl"), {"a.py": source}))

    assert found(older) == {"A_OLD": renamed}
    assert found(newer) == {
        "A_NEW": {"type": "bool", "unread": True},
        "A_OLDEST": renamed,
        "A_OLD": renamed,
        "A_GONE": gone,
    }
    assert found(newest) == {"A_OLD": renamed, "A_GONE": gone, "A_FLAG": {"type": "text", "deprecated": "a-flag: on"}}


def test_the_reader_of_sources_sees_dynamos_own_arguments_in_each_way_that_they_are_declared() -> None:
    sources = {
        "dynamo/sglang/args.py": """
ARGS = {"endpoint": {"flags": ["--endpoint"]}, "embed": {"flags": ["--embedding-worker"], "action": "store_true"}}
parser.add_argument("--migration-limit", type=int)
parser.add_argument("--version", action="version")
""",
        "dynamo/common/configuration/groups/runtime_args.py": """
add_argument(group, flag_name="--namespace", default="dynamo")
add_negatable_bool_argument(group, flag_name="--enable-local-indexer")
""",
        "dynamo/vllm/args.py": 'parser.add_argument("--of-another", action="store_true")',
    }
    found = sglang_arguments.own_arguments(sglang_arguments.Wheel(Path("x.whl"), sources))
    assert {name: entry["action"] for name, entry in found.items()} == {
        "endpoint": "store",
        "embedding-worker": "store_true",
        "migration-limit": "store",
        "version": "store_true",
        "namespace": "store",
        "enable-local-indexer": "store_true",
        "no-enable-local-indexer": "store_true",
    }


def test_the_reader_of_sources_sees_which_variables_are_read() -> None:
    source = """
class Envs:
    A_USED = EnvBool(False)
    A_UNUSED = EnvInt(1)
_print_deprecated_env("A_NEW", "A_OLD")
x = os.environ.get("A_GET"), os.getenv("A_GETENV"), get_int_env_var("A_NUMBER"), os.environ["A_INDEX"]
os.environ["A_WRITTEN"] = "1"
if "A_ASKED" in os.environ and envs.A_USED.get(): ...
"""
    wheel = sglang_arguments.Wheel(Path("none.whl"), {"a.py": source})
    assert sglang_arguments.variables(wheel) == {
        "A_USED": {"type": "bool"},
        "A_UNUSED": {"type": "int", "unread": True},
        "A_OLD": {"type": "text", "deprecated": "A_NEW"},
        "A_GET": {"type": "text"},
        "A_GETENV": {"type": "text"},
        "A_NUMBER": {"type": "int"},
        "A_INDEX": {"type": "text"},
        "A_ASKED": {"type": "text"},
    }


# The check ---------------------------------------------------------------------------------------------------------


def _recipe_layout(name: str, role: WorkerRole) -> Layout:
    """A layout whose arguments, of one role, are the recipe's."""
    shipped = layout.load(name)
    return shipped.with_server(role, Server(recipe.arguments(name, role), shipped.environment(role)))


@pytest.mark.parametrize(("name", "role"), RECIPE)
def test_the_recipes_arguments_are_right_for_the_release_that_it_uses(name: str, role: WorkerRole) -> None:
    assert list(arguments.check(_recipe_layout(name, role), PROFILES["0.7.0"])) == []


@pytest.mark.parametrize(("name", "role"), RECIPE)
def test_the_newer_release_refuses_one_argument_of_the_recipes_decode_roles(name: str, role: WorkerRole) -> None:
    made = _recipe_layout(name, role)
    other: WorkerRole = "prefill" if role == "decode" else "decode"
    made = made.with_server(other, Server({}, made.environment(other)))
    found = [problem.key.rsplit(" ", 1)[-1] for problem in arguments.check(made, PROFILES["1.0.2"])]
    assert found == (["prefill-round-robin-balance"] if role == "decode" else [])


def test_the_recipes_dead_variables_are_reported() -> None:
    name = "deepseek-r1-fp8-10p8d"
    scripts = ("SERVER_ARGS_FILE", "MODEL_PATH")
    variables = {key: value for key, value in recipe.variables(name, "decode").items() if key not in scripts}
    shipped = layout.load(name)
    made = shipped.with_server("prefill", Server(shipped.arguments("prefill"), {}))
    made = made.with_server("decode", Server(shipped.arguments("decode"), variables))
    told = "\n".join(environment.warnings(made, PROFILES["0.7.0"]))
    assert set(re.findall(r"environment\.(\w+):", told)) == {
        "SGLANG_DECODE_BOOTSTRAP_TIMEOUT",
        "SGLANG_HACK_SEQ_BOOTSTRAP_ROOM",
        "SGLANG_DISABLE_TP_MEMORY_INBALANCE_CHECK",
    }
    assert "declares this variable and reads it nowhere" in told


@pytest.mark.parametrize("name", layout.available())
@pytest.mark.parametrize("version", PROFILES)
def test_our_arguments_and_variables_are_right_for_every_profile(name: str, version: str) -> None:
    chosen = layout.resolve(name, PROFILES[version])
    assert list(arguments.check(chosen, PROFILES[version])) == []
    assert list(environment.check(chosen, PROFILES[version])) == []
    assert list(environment.warnings(chosen, PROFILES[version])) == []


def test_names_and_aliases_give_the_same_sizes() -> None:
    known = arguments.of(PROFILES["0.7.0"])
    short = arguments.values({"tp-size": 32, "dp-size": 32, "ep": 32, "enable-dp-attention": True}, known)
    long = arguments.values(
        {
            "tensor-parallel-size": "32",
            "data-parallel-size": "32",
            "expert-parallel-size": "32",
            "enable-dp-attention": True,
        },
        known,
    )
    assert short.parallelism == long.parallelism
    assert short.parallelism.gpus == 32
    assert replace(short.parallelism, attention=False, data=2).gpus == 64


def test_a_value_of_a_wrong_type_reads_as_not_set() -> None:
    read = arguments.values(
        {"tp-size": "many", "host": True, "mem-fraction-static": "0.9"}, arguments.of(PROFILES["0.7.0"])
    )
    assert (read.integer("tensor-parallel-size"), read.text("host")) == (None, None)
    assert read.number("mem-fraction-static") == 0.9


# Overrides and adaptation ------------------------------------------------------------------------------------------


def _overrides(**roles: Any) -> Overrides:
    return Overrides.model_validate(roles)


def test_an_override_changes_one_value_and_is_named_in_messages() -> None:
    changed = layout.load("deepseek-r1-fp8-1p1d").overridden(
        _overrides(decode={"arguments": {"mem-fraction-static": 0.9}, "environment": {"UCX_TLS": "^tcp"}}),
        "stacks[0].overrides",
    )
    assert changed.arguments("decode")["mem-fraction-static"] == 0.9
    assert changed.environment("decode")["UCX_TLS"] == "^tcp"
    assert changed.arguments("prefill") == layout.load("deepseek-r1-fp8-1p1d").arguments("prefill")
    assert changed.key("decode", "mem-fraction-static") == "stacks[0].overrides.decode.arguments.mem-fraction-static"
    assert changed.key("decode", "UCX_TLS", "environment") == "stacks[0].overrides.decode.environment.UCX_TLS"
    assert changed.key("decode", "host") == "sglang_configs/deepseek-r1-fp8-1p1d/decode.yaml: host"


def test_null_leaves_a_value_out() -> None:
    changed = layout.load("deepseek-r1-fp8-1p1d").overridden(
        _overrides(decode={"arguments": {"enable-symm-mem": None}, "environment": {"MC_TE_METRIC": None}})
    )
    assert "enable-symm-mem" not in changed.arguments("decode")
    assert "MC_TE_METRIC" not in changed.environment("decode")
    assert "MC_TE_METRIC" in changed.environment("prefill")


@pytest.mark.parametrize("role", WORKER_ROLES)
def test_a_layout_is_adapted_to_the_newer_release(role: layout.WorkerRole) -> None:
    changed = layout.resolve("deepseek-r1-fp8-1p1d", PROFILES["1.0.2"])
    assert "prefill-round-robin-balance" not in changed.arguments(role)
    assert changed.arguments(role)["fp8-gemm-backend"] == "flashinfer_trtllm"
    assert "SGLANG_ENABLE_FLASHINFER_GEMM" not in changed.environment(role)
    assert "SGL_DISABLE_TP_MEMORY_INBALANCE_CHECK" not in changed.environment(role)
    assert changed.environment(role)["SGLANG_ENABLE_TP_MEMORY_INBALANCE_CHECK"] == "0"


def test_what_a_user_has_set_survives_the_adaptation() -> None:
    own = _overrides(decode={"arguments": {"fp8-gemm-backend": "auto"}})
    assert (
        layout.resolve("deepseek-r1-fp8-1p1d", PROFILES["1.0.2"], own).arguments("decode")["fp8-gemm-backend"] == "auto"
    )


def test_an_override_that_the_newer_release_does_not_take_is_reported_not_dropped() -> None:
    own = _overrides(decode={"arguments": {"prefill-round-robin-balance": True}})
    chosen = layout.resolve("deepseek-r1-fp8-1p1d", PROFILES["1.0.2"], own, "stacks[0].overrides")
    assert [problem.key for problem in arguments.check(chosen, PROFILES["1.0.2"])] == [
        "stacks[0].overrides.decode.arguments.prefill-round-robin-balance"
    ]


def test_the_default_release_takes_layouts_as_they_are_written() -> None:
    for name in layout.available():
        assert layout.resolve(name, PROFILES["0.7.0"]) == layout.load(name)
