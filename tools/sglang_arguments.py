"""Generates the argument catalogs in serving_rules/catalog/ from the released wheels of SGLang and Dynamo.

The packages are not imported or run: their source is parsed as a syntax tree. A catalog has the arguments that a
release accepts (names, kind, type, choices), which of their names its `--config` reader refuses, and the environment
variables that its code reads. The wheels are downloaded from PyPI into a folder that is removed afterwards, or taken
from `--wheels`.

    python -m tools.sglang_arguments                  # all releases of `reference`, downloaded
    python -m tools.sglang_arguments --wheels FOLDER  # the same, from wheels in FOLDER
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from reference import dynamo, sglang
from tools.catalog_file import text

CATALOG: Final = Path(__file__).resolve().parents[1] / "serving_rules" / "catalog"


SERVER_ARGS: Final = "sglang/srt/server_args.py"
CONFIG_READER: Final = "sglang/srt/server_args_config_parser.py"
DYNAMO_ARGUMENTS: Final = re.compile(r"dynamo/(sglang/(backend_)?args|common/configuration/groups/runtime_args)\.py")

_VARIABLE: Final = re.compile(r"[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9]")
_TYPES: Final = {
    "EnvBool": "bool",
    "EnvBoolWithAlias": "bool",
    "EnvInt": "int",
    "EnvIntWithAlias": "int",
    "EnvFloat": "float",
}
_JSON_TYPES: Final = ("loads", "json_list_type", "parse_cuda_graph_config_arg")
_JSON_IN_TEXT: Final = re.compile(r"json-?formatted|in json format|json string|json dict", re.IGNORECASE)
_REPLACEMENT_IN_TEXT: Final = re.compile(r"[Uu]se '?--([a-z0-9-]+)(?:=([\w]+))?")


@dataclass
class Wheel:
    """One released package from PyPI."""

    path: Path
    sources: dict[str, str] = field(default_factory=dict)
    """Python sources by path in the wheel, without the package's tests."""

    @property
    def header(self) -> dict[str, str]:
        """The catalog's record of its wheel."""
        return {"wheel": self.path.name, "sha256": hashlib.sha256(self.path.read_bytes()).hexdigest()}

    @classmethod
    def read(cls, path: Path) -> Wheel:
        """Read the sources of the wheel at `path`."""
        wheel = cls(path)
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".py") and not re.search(r"(^|/)tests?/", name):
                    wheel.sources[name] = archive.read(name).decode("utf-8-sig", "replace")
        return wheel


# Arguments ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class Declared:
    """One argument as the source declares it, whichever form it has there."""

    names: tuple[str, ...]
    dest: str
    """The attribute that it sets; SGLang's `--config` reader knows arguments by it."""
    action: str = "store"
    type: str = "str"
    choices: Any = None
    nargs: Any = None
    text: str = ""
    """The help."""
    instead: str | None = None
    """The name that replaces it."""

    @property
    def canonical(self) -> str:
        """The longest name, which is the same in every release; which one is first is not."""
        return max(self.names, key=len)

    @property
    def takes_value(self) -> bool:
        """Whether a value follows it on a command line."""
        return self.action in ("store", "DeprecatedAliasStoreAction") or self.nargs is not None

    def entry(self, refused: Sequence[str], instead: str | None) -> dict[str, Any]:
        """Its catalog entry; `refused` are those of its names that a `--config` file may not have."""
        entry: dict[str, Any] = {"action": self.action}
        if self.action in ("store", "DeprecatedAliasStoreAction"):
            entry["type"] = self.type
        if len(self.names) > 1:
            entry["aliases"] = sorted(set(self.names) - {self.canonical})
        if self.nargs is not None:
            entry["nargs"] = self.nargs
        if self.choices:
            entry["choices"] = sorted(self.choices) if isinstance(self.choices, set) else list(self.choices)
        if self.type in _JSON_TYPES or (_JSON_IN_TEXT.search(self.text) and "path" not in self.text):
            entry["json"] = True
        if refused:
            entry["refused"] = sorted(refused)
        if instead is not None:
            entry["instead"] = instead
        return entry


def server_arguments(source: str, *, selective: bool = False) -> dict[str, dict[str, Any]]:
    """Every argument of SGLang's `ServerArgs`: longest name to kind, type, choices, aliases and refused names.

    Releases to 0.5.11 add each one in `add_cli_args`; later ones derive most of them from annotated fields. A
    `selective` release has a `--config` reader that refuses arguments by the attribute that they set.
    """
    declared = list(_arguments(ast.parse(source)))
    refused = _refused(declared) if selective else set[str]()
    taken = {name for argument in declared for name in argument.names} - refused
    return {
        argument.canonical: argument.entry(
            [name for name in argument.names if name in refused], _instead(argument, declared, taken)
        )
        for argument in declared
    }


def _arguments(tree: ast.Module) -> Iterator[Declared]:
    constants = _constants(tree)
    owner = next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "ServerArgs")
    for node in owner.body:
        found = _field(node, constants) if isinstance(node, ast.AnnAssign) else None
        if found is not None:
            yield found
    adder = next(node for node in owner.body if isinstance(node, ast.FunctionDef) and node.name == "add_cli_args")
    for node in ast.walk(adder):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "add_argument":
            yield _call(node, constants)


def _refused(declared: Sequence[Declared]) -> set[str]:
    """Names that a selective reader refuses, or turns into a command line that the parser refuses."""
    unsupported = {argument.dest for argument in declared if argument.action not in ("store", "store_true")}
    flags = {argument.dest for argument in declared if argument.action == "store_true"}
    return {
        name
        for argument in declared
        for name in argument.names
        for key in (name.replace("-", "_"),)
        if key in unsupported or not (argument.takes_value or key in flags)
    }


def _instead(argument: Declared, declared: Sequence[Declared], taken: set[str]) -> str | None:
    """The name to write for a deprecated argument, or for one whose attribute only an old name may set in a file."""
    if argument.action == "store" and not taken.intersection(argument.names):
        others = (other for other in declared if other.dest == argument.dest)
        return next((name for other in others if other.takes_value for name in other.names if name in taken), None)
    return argument.instead if argument.instead in taken else None


def _field(node: ast.AnnAssign, constants: Mapping[str, Any]) -> Declared | None:
    """The argument of a field `name: A[type, "help" or Arg(...), ...]`; None where it has none."""
    annotation = node.annotation
    if not (isinstance(annotation, ast.Subscript) and _name(annotation.value) == "A"):
        return None
    kind, *notes = annotation.slice.elts if isinstance(annotation.slice, ast.Tuple) else [annotation.slice]
    note = next((n for n in notes if not isinstance(n, ast.Call) or _name(n.func) == "Arg"), None)
    if note is None:
        return None
    keywords = {k.arg: k.value for k in note.keywords if k.arg} if isinstance(note, ast.Call) else {"help": note}
    if _literal(keywords.get("no_cli", ast.Constant(False)), {}):
        return None
    dest = _name(node.target)
    given: str | None = _literal(keywords.get("cli_name", ast.Constant(None)), constants)
    names = [given or dest.replace("_", "-"), *(_literal(keywords.get("aliases", ast.List([])), constants) or ())]
    inner, choices, many = _kind(kind)
    action = _action(keywords.get("action"), constants)
    if action == "store" and inner == "bool":
        action = "store_true"
    parser = _name(keywords["type_parser"]) if "type_parser" in keywords else None
    nargs: Any = _literal(keywords.get("nargs", ast.Constant("+" if many and not parser else None)), constants)
    extra = keywords.get("action_kwargs")
    if extra is not None:
        pairs = zip(extra.keys, extra.values, strict=True) if isinstance(extra, ast.Dict) else ()
        nargs = next((_literal(v, {}) for k, v in pairs if k and _literal(k, {}) == "nargs"), None)
    return Declared(
        names=tuple(str(name).removeprefix("--") for name in names),
        dest=dest,
        action=action,
        type=parser or (inner if inner in ("int", "float") else "str"),
        choices=(_literal(keywords["choices"], constants) if "choices" in keywords else None) or choices,
        nargs=nargs,
        text=_text(keywords.get("help", ast.Constant("")), constants),
    )


def _kind(node: ast.expr) -> tuple[str, list[Any] | None, bool]:
    """Name of an annotated type without `Optional`, its literal values, and whether it is a list."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _kind(node.left)
    if not isinstance(node, ast.Subscript):
        return _name(node), None, False
    outer = _name(node.value)
    if outer == "Optional":
        return _kind(node.slice)
    if outer == "Literal":
        values = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        choices = [_literal(value, {}) for value in values]
        return type(choices[0]).__name__, choices, False
    if outer in ("List", "list"):
        return _kind(node.slice)[0], None, True
    return outer, None, False


def own_arguments(wheel: Wheel) -> dict[str, dict[str, Any]]:
    """Arguments of `python3 -m dynamo.sglang` itself, in the three forms in which the releases declare them."""
    entries: dict[str, dict[str, Any]] = {}
    for path, source in wheel.sources.items():
        if not DYNAMO_ARGUMENTS.fullmatch(path):
            continue
        for node in ast.walk(ast.parse(source)):
            for name, flag in _declared(node):
                entries[name.removeprefix("--")] = {"action": "store_true" if flag else "store"}
    return entries


def _declared(node: ast.AST) -> Iterator[tuple[str, bool]]:
    """Arguments that one node declares, with whether each is a flag."""
    if isinstance(node, ast.Dict):
        values = {k.value: v for k, v in zip(node.keys, node.values, strict=True) if isinstance(k, ast.Constant)}
        if isinstance(values.get("flags"), ast.List):
            for name in _literal(values["flags"], {}) or []:
                yield name, "action" in values
    elif isinstance(node, ast.Call):
        called = _name(node.func)
        keywords = {k.arg: k.value for k in node.keywords}
        if called in ("add_argument", "add_negatable_bool_argument") and "flag_name" in keywords:
            name = str(_literal(keywords["flag_name"], {}))
            yield name, called != "add_argument"
            if called != "add_argument":
                yield f"--no-{name.removeprefix('--')}", True
        elif called == "add_argument" and node.args and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value), "action" in keywords


def _call(call: ast.Call, constants: Mapping[str, Any]) -> Declared:
    """The argument of one `add_argument`."""
    names = tuple(str(_literal(a, constants)).removeprefix("--") for a in call.args if isinstance(a, ast.Constant))
    keywords = {k.arg: k.value for k in call.keywords if k.arg}
    text = _text(keywords.get("help", ast.Constant("")), constants)
    action = _action(keywords.get("action"), constants)
    if action == "DeprecatedAliasStoreAction":
        instead = str(_literal(keywords["new_flag"], constants)).removeprefix("--")
    else:
        found = _REPLACEMENT_IN_TEXT.search(text) if action.startswith("Deprecated") else None
        instead = found.group(1) if found else None
    return Declared(
        names=names,
        dest=str(_literal(keywords["dest"], constants)) if "dest" in keywords else names[0].replace("-", "_"),
        action=action,
        type=_name(keywords["type"]) if "type" in keywords else "str",
        choices=_literal(keywords["choices"], constants) if "choices" in keywords else None,
        nargs=_literal(keywords["nargs"], constants) if "nargs" in keywords else None,
        text=text,
        instead=instead,
    )


def _text(node: ast.expr, constants: Mapping[str, Any]) -> str:
    """A text, or the literal parts of one that is put together."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part, constants) for part in node.values)
    return str(_literal(node, constants) or "")


def _action(node: ast.expr | None, constants: Mapping[str, Any]) -> str:
    if node is None:
        return "store"
    value = _literal(node, constants)
    return value if isinstance(value, str) else _name(node)


def _constants(tree: ast.Module) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            value = _literal(node.value, found)
            if value is not None:
                found[node.targets[0].id] = value
    return found


def _literal(node: ast.expr, constants: Mapping[str, Any]) -> Any:
    """Value of a literal, a known constant or a sum of them; None for anything else."""
    if isinstance(node, ast.Name):
        return constants.get(node.id)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _literal(node.left, constants), _literal(node.right, constants)
        return left + right if left is not None and right is not None and type(left) is type(right) else None
    try:
        return ast.literal_eval(node)
    except (ValueError, SyntaxError):
        return None


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


# Environment variables ---------------------------------------------------------------------------------------------


@dataclass
class Variables:
    """Environment variables in the code of a package."""

    read: dict[str, str] = field(default_factory=dict)
    """Type by name (`text` if the code does not say)."""
    declared: dict[str, str] = field(default_factory=dict)
    """Fields of SGLang's `Envs`: declared, and read only if the code uses them."""
    used: set[str] = field(default_factory=set)
    """Fields of `Envs` that the code uses."""
    deprecated: dict[str, str] = field(default_factory=dict)
    """Replacement by old name."""
    old_first: bool = False
    """Whether the code names the old variable before the new one where it renames one (from SGLang 0.5.11 on)."""

    def entries(self) -> dict[str, dict[str, Any]]:
        """Catalog entries: variables that are read, declared but unused, or deprecated."""
        entries: dict[str, dict[str, Any]] = {name: {"type": kind} for name, kind in self.read.items()}
        for name, kind in self.declared.items():
            if name in self.used or name in entries:
                entries[name] = {"type": kind}
            else:
                entries[name] = {"type": kind, "unread": True}
        for name, instead in self.deprecated.items():
            entries[name] = {**entries.get(name, {"type": "text"}), "deprecated": instead}
            # A renamed variable is copied to its new name, so it is read.
            entries[name].pop("unread", None)
        return entries


def variables(wheel: Wheel) -> dict[str, dict[str, Any]]:
    """Environment variables that the Python code of `wheel` reads, declares or renames."""
    found = Variables()
    for source in wheel.sources.values():
        for node in ast.walk(ast.parse(source)):
            _note(node, found)
    return found.entries()


def _note(node: ast.AST, found: Variables) -> None:
    if isinstance(node, ast.ClassDef) and node.name == "Envs":
        _note_fields(node, found)
    elif isinstance(node, ast.FunctionDef) and node.name == "_print_deprecated_env":
        found.old_first = node.args.args[0].arg == "old_name"
    elif isinstance(node, ast.AnnAssign) and _name(node.target) == "_DEPRECATED_ENVS":
        if isinstance(node.value, ast.Dict):
            _note_table(node.value, found)
    elif isinstance(node, ast.Attribute) and _name(node.value) == "envs":
        found.used.add(node.attr)
    elif isinstance(node, ast.Call):
        _note_call(node, found)
    elif isinstance(node, ast.Subscript) and _is_environ(node.value) and isinstance(node.ctx, ast.Load):
        _note_name(node.slice, "text", found)
    elif isinstance(node, ast.Compare) and any(_is_environ(c) for c in node.comparators):
        _note_name(node.left, "text", found)


def _note_fields(owner: ast.ClassDef, found: Variables) -> None:
    for line in owner.body:
        if isinstance(line, ast.Assign) and isinstance(line.value, ast.Call):
            for target in line.targets:
                found.declared[_name(target)] = _TYPES.get(_name(line.value.func), "text")
                for keyword in line.value.keywords:
                    if keyword.arg == "deprecated_name":
                        found.deprecated[str(_literal(keyword.value, {}))] = _name(target)


def _note_call(call: ast.Call, found: Variables) -> None:
    called, first = _name(call.func), call.args[0] if call.args else None
    if called == "_print_deprecated_env":
        names = [str(_literal(a, {})) for a in call.args]
        old, new = (names if found.old_first else names[::-1]) if len(names) == 2 else (names[0], None)
        _note_deprecated(old, new, found)
    elif called == "_warn_deprecated_env_to_cli_flag" and first is not None:
        instead = _REPLACEMENT_IN_TEXT.search(str(_literal(call.args[1], {})))
        if instead:
            value = f": {instead.group(2)}" if instead.group(2) else ""
            found.deprecated[str(_literal(first, {}))] = f"{instead.group(1)}{value}"
    elif first is not None and (called == "getenv" or (called == "get" and _is_environ(_owner(call.func)))):
        _note_name(first, "text", found)
    elif first is not None and "env" in called.lower():
        kind = next((kind for kind in ("bool", "int", "float") if kind in called), "text")
        _note_name(first, kind, found)
    for keyword in call.keywords:
        if keyword.arg == "env_var":
            _note_name(keyword.value, "text", found)


def _note_table(table: ast.Dict, found: Variables) -> None:
    """Renames and removals in a dictionary of old names (SGLang's from 0.5.18 on)."""
    for key, value in zip(table.keys, table.values, strict=True):
        if key is None or not isinstance(value, ast.Call):
            continue
        said = {k.arg: _literal(k.value, {}) for k in value.keywords}
        instead = _REPLACEMENT_IN_TEXT.search(str(said.get("note")))
        named = f"{instead.group(1)}: {instead.group(2)}" if instead and instead.group(2) else None
        new = said.get("replacement") or named or (instead.group(1) if instead else None)
        _note_deprecated(str(_literal(key, {})), new, found)


def _note_deprecated(old: str, new: str | None, found: Variables) -> None:
    if new is None:
        found.declared.setdefault(old, "text")
    else:
        found.deprecated.setdefault(old, new)


def _note_name(node: ast.expr, kind: str, found: Variables) -> None:
    name = _literal(node, {})
    if isinstance(name, str) and _VARIABLE.fullmatch(name):
        known = found.read.get(name)
        # The type is open if two readers disagree.
        found.read[name] = kind if known in (None, kind) else "text"


def _is_environ(node: ast.expr | None) -> bool:
    return node is not None and _name(node) == "environ"


def _owner(node: ast.expr) -> ast.expr | None:
    return node.value if isinstance(node, ast.Attribute) else None


# Files -------------------------------------------------------------------------------------------------------------


def sglang_catalog(wheel: Wheel) -> dict[str, Any]:
    """Catalog of one SGLang release."""
    return {
        "header": wheel.header,
        "arguments": server_arguments(
            wheel.sources[SERVER_ARGS], selective="unsupported_actions" in wheel.sources[CONFIG_READER]
        ),
        "environment": variables(wheel),
    }


def dynamo_catalog(wheel: Wheel, runtime: Wheel) -> dict[str, Any]:
    """Catalog of one Dynamo release: its own arguments, and the variables that its Python code reads.

    Variables of the compiled runtime are not included: its strings have no terminators.
    """
    environment = {**variables(runtime), **variables(wheel)}
    return {
        "header": {**wheel.header, "runtimeWheel": runtime.path.name, "runtimeSha256": runtime.header["sha256"]},
        "arguments": own_arguments(wheel),
        "environment": {name: entry for name, entry in environment.items() if name.startswith("DYN")},
    }


def download(requirement: str, folder: Path) -> Path:
    """The wheel of `requirement` (`name==version`) in `folder`, downloaded from the package index if missing."""
    name, version = requirement.split("==")
    pattern = f"{name.replace('-', '_')}-{version}-*.whl"
    if not any(folder.glob(pattern)):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"]
        # The same wheel on every machine that runs this.
        command += ["--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_34_x86_64"]
        command += ["--python-version", "3.12"]
        try:
            subprocess.run(  # noqa: S603 - fixed words
                [*command, "--dest", str(folder), requirement], check=True, stderr=subprocess.PIPE, text=True
            )
        except subprocess.CalledProcessError as error:
            error.add_note(error.stderr)
            raise
    return next(folder.glob(pattern))


def fetch(requirement: str, folder: Path) -> Wheel:
    """The wheel of `requirement`, read."""
    return Wheel.read(download(requirement, folder))


def write(folder: Path, target: Path = CATALOG) -> list[Path]:
    """Write all catalogs into `target`, with wheels from `folder`; returns the files."""
    catalogs: dict[str, dict[str, Any]] = {}
    for version in sglang.RELEASES:
        catalogs[f"sglang-{version}"] = sglang_catalog(fetch(f"sglang=={version}", folder))
    for version in dynamo.PROFILES:
        wheel, runtime = (fetch(f"{name}=={version}", folder) for name in ("ai-dynamo", "ai-dynamo-runtime"))
        catalogs[f"dynamo-{version}"] = dynamo_catalog(wheel, runtime)
    written: list[Path] = []
    for name, catalog in catalogs.items():
        path = target / f"{name}.json"
        path.write_text(text(catalog), encoding="utf-8")
        written.append(path)
    return written


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line: write the catalogs and print the size of each."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--wheels", type=Path, help="folder with the wheels; missing ones are fetched into it")
    folder: Path | None = parser.parse_args(arguments).wheels
    with tempfile.TemporaryDirectory() as temporary:
        for path in write(folder or Path(temporary)):
            catalog = json.loads(path.read_text(encoding="utf-8"))
            counts = ", ".join(f"{len(catalog[part])} {part}" for part in ("arguments", "environment"))
            sys.stdout.write(f"{path.name}: {counts}\n")


if __name__ == "__main__":
    main()
