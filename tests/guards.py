"""Rules on the source itself, read from the syntax tree: what a review would otherwise have to see each time.

Each guard takes parsed sources and returns what is wrong as `file:line: reason`. A guard knows nothing of the
repository, so a test can hand it planted code; `tests/harness/test_guards.py` does, for every one of them.
"""

from __future__ import annotations

import ast
import graphlib
import importlib
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import pulumi

from tests.recorder import ROOT
from tools import requirement_files
from tools.requirement_files import included, pins

LAYERS: Mapping[str, frozenset[str]] = {
    "validation": frozenset(),
    "readiness": frozenset(),
    "fabric": frozenset({"readiness"}),
    "barrier": frozenset({"readiness"}),
    "reference": frozenset({"validation"}),
    "serving_rules": frozenset({"validation", "reference"}),
    "manifests": frozenset({"reference", "serving_rules"}),
    "settings": frozenset({"validation", "reference", "serving_rules"}),
    "components.update_hooks": frozenset(),
    "components.nats_login": frozenset({"reference"}),
    "components.network_policies": frozenset({"reference"}),
    "components.gcp": frozenset({"validation", "reference", "components.update_hooks"}),
    "components.platform": frozenset(
        {"reference", "manifests", "components.nats_login", "components.network_policies"}
    ),
    "components.serving": frozenset(
        {
            "reference",
            "serving_rules",
            "manifests",
            "readiness",
            "fabric",
            "barrier",
            "components.update_hooks",
            "components.nats_login",
            "components.network_policies",
        }
    ),
    "program": frozenset({"reference", "serving_rules", "manifests", "settings", "components"}),
    "__main__": frozenset({"settings", "program"}),
    "bootstrap": frozenset({"validation", "reference"}),
    "artifacts": frozenset({"settings"}),
    "preflight": frozenset({"validation", "reference", "serving_rules", "settings"}),
    "recovery": frozenset(),
    "github_workflows": frozenset({"change_report", "policy"}),
    "policy": frozenset(),
    "rehearsal": frozenset(),
    "rehearsal.simulator": frozenset(),
    "change_report": frozenset({"rehearsal", "policy"}),
}
"""Every package to the packages of this repository that it may import, besides itself."""

PURE = ("validation", "reference", "serving_rules", "manifests", "readiness", "fabric", "barrier")
"""Packages that load neither Pulumi nor anything above them; `pure_imports` loads each in a process of its own."""

PROGRAM_PACKAGES = ("program", "settings", "components", "manifests", "serving_rules", "reference", "validation")

PROGRAM_LINES = 80
"""Longest that `__main__.py` may be."""


@dataclass(frozen=True)
class Source:
    """One Python file: where it lies, from the project's root, and what it says."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """The syntax tree."""
        return ast.parse(self.text, self.path)

    @cached_property
    def module(self) -> str:
        """Its dotted name."""
        parts = PurePosixPath(self.path).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    @cached_property
    def imports(self) -> list[tuple[int, str]]:
        """(line, dotted name) of everything imported anywhere in the file, `from a import b` as `a.b`."""
        found: list[tuple[int, str]] = []
        package = self.module.split(".") if self.path.endswith("__init__.py") else self.module.split(".")[:-1]
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found += [(node.lineno, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                base = package[: len(package) - node.level + 1] if node.level else []
                origin = ".".join([*base, *([node.module] if node.module else [])])
                found += [(node.lineno, f"{origin}.{alias.name}") for alias in node.names]
        return found

    @cached_property
    def aliases(self) -> Mapping[str, str]:
        """Local name to the dotted name that it stands for."""
        names: dict[str, str] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    names[alias.asname or alias.name.split(".")[0]] = (
                        alias.name if alias.asname else alias.name.split(".")[0]
                    )
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                for alias in node.names:
                    names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
        return names

    def at(self, node: ast.AST | int, reason: str) -> str:
        """`file:line: reason`."""
        return f"{self.path}:{node if isinstance(node, int) else getattr(node, 'lineno', 1)}: {reason}"

    def dotted(self, node: ast.AST) -> str:
        """The full dotted name of a name or attribute chain, or empty where it is nothing imported."""
        chain: list[str] = []
        while isinstance(node, ast.Attribute):
            chain.insert(0, node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id not in self.aliases:
            return ""
        return ".".join([self.aliases[node.id], *chain])

    def meaning(self, node: ast.AST) -> Any:
        """The object that a name or attribute chain stands for, or None where it is nothing imported."""
        dotted = self.dotted(node)
        return _resolved(dotted) if dotted else None

    @cached_property
    def classes(self) -> list[ast.ClassDef]:
        """Classes at any depth."""
        return [n for n in ast.walk(self.tree) if isinstance(n, ast.ClassDef)]

    def is_component(self, node: ast.ClassDef) -> bool:
        """Whether a class is a component by its own bases."""
        return any(_is_subclass(self.meaning(base), pulumi.ComponentResource) for base in node.bases)

    def components(self) -> list[ast.ClassDef]:
        """Components that the file defines."""
        return [n for n in self.classes if self.is_component(n)]

    def constructs(self, call: ast.Call) -> str | None:
        """`component`, `resource`, or None: what a call makes."""
        if isinstance(call.func, ast.Name):
            for node in self.classes:
                if node.name == call.func.id:
                    kind = [self.meaning(base) for base in node.bases]
                    if any(_is_subclass(k, pulumi.Resource) for k in kind):
                        return "component" if self.is_component(node) else "resource"
        meant = self.meaning(call.func)
        if not _is_subclass(meant, pulumi.Resource):
            return None
        return "component" if _is_subclass(meant, pulumi.ComponentResource) else "resource"


def _is_subclass(meant: Any, of: type) -> bool:
    return isinstance(meant, type) and issubclass(meant, of)


@cache
def _resolved(dotted: str) -> Any:
    """What a dotted name stands for: attributes first, since a class may have the name of its own module."""
    chain = dotted.split(".")
    found: Any = None
    for length in range(1, len(chain) + 1):
        inner = getattr(found, chain[length - 1], None)
        if inner is None:
            try:
                inner = importlib.import_module(".".join(chain[:length]))
            except ImportError:
                return None
        found = inner
    return found


def sources(*below: str, root: Path = ROOT) -> list[Source]:
    """Every Python file below these folders, or the file itself; what does not exist is no error here."""
    files: list[Path] = []
    for part in below:
        path = root / part
        files += sorted(path.rglob("*.py")) if path.is_dir() else [path] if path.exists() else []
    return [
        Source(f.relative_to(root).as_posix(), f.read_text(encoding="utf-8"))
        for f in files
        if not {"__pycache__", ".venv"} & set(f.parts)
    ]


def _within(name: str, prefixes: Iterable[str]) -> bool:
    return any(name == p or name.startswith(f"{p}.") for p in prefixes)


def _is_pulumi(name: str) -> bool:
    return name.split(".", maxsplit=1)[0] == "pulumi" or name.startswith("pulumi_")


def _calls(node: ast.AST) -> Iterator[ast.Call]:
    return (n for n in ast.walk(node) if isinstance(n, ast.Call))


# --- layers -----------------------------------------------------------------------------------------------


def _package(name: str) -> str:
    """The entry of `LAYERS` that a dotted name belongs to, or its first part."""
    first, _, rest = name.partition(".")
    inner = f"{first}.{rest.partition('.')[0]}".rstrip(".")
    return inner if inner in LAYERS or first == "components" else first


def upward_imports(program: Iterable[Source]) -> list[str]:
    """A package imports only what `LAYERS` allows it."""
    known = {name.split(".")[0] for name in LAYERS} | {"tools", "tests"}
    wrong: list[str] = []
    for source in program:
        here = _package(source.module)
        allowed = LAYERS.get(here, frozenset()) | {here, *({"components"} if source.module == "components" else ())}
        wrong += [
            source.at(line, f"imports {name}, which {here} may not")
            for line, name in source.imports
            if name.split(".")[0] in known and not _within(name, allowed)
        ]
    return wrong


def import_cycles(program: Iterable[Source]) -> list[str]:
    """No module imports itself through others."""
    by_name = {source.module: source for source in program}

    def module(name: str) -> str:
        while name and name not in by_name:
            name = name.rpartition(".")[0]
        return name

    needs = {
        own: {found for _, name in source.imports if (found := module(name)) and found != own}
        for own, source in by_name.items()
    }
    try:
        graphlib.TopologicalSorter(needs).prepare()
    except graphlib.CycleError as error:
        circle: list[str] = error.args[1]
        return [by_name[circle[0]].at(1, f"imports itself: {' <- '.join(circle)}")]
    return []


def pure_imports(package: str, root: Path = ROOT) -> list[str]:
    """What a pure package loads and must not: Pulumi, its providers, packages that `LAYERS` does not allow.

    Imports every module of the package in a new process and looks at what was loaded there.
    """
    modules = [source.module for source in sources(package, root=root) if not source.module.endswith("__main__")]
    script = "import importlib, sys\nfor m in sys.argv[1:]: importlib.import_module(m)\nprint(*sys.modules, sep='\\n')"
    ran = subprocess.run(  # noqa: S603 - this interpreter, on module names of the repository
        [sys.executable, "-c", script, *modules], cwd=root, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        return [f"{package}: {ran.stderr.strip().splitlines()[-1]}"]
    ours = {name.split(".")[0] for name in LAYERS} - {"__main__"}
    allowed = {package, *LAYERS[package], *(below for above in LAYERS[package] for below in LAYERS[above])}
    return [
        f"{package} loads {name}"
        for name in ran.stdout.split()
        if _is_pulumi(name) or (name.split(".")[0] in ours and not _within(name, allowed))
    ]


def provider_sdks_in_settings(program: Iterable[Source]) -> list[str]:
    """Settings reads config: it makes no resource and knows no provider."""
    wrong: list[str] = []
    for source in program:
        if not source.path.startswith("settings"):
            continue
        wrong += [source.at(n, f"imports {name}") for n, name in source.imports if name.startswith("pulumi_")]
        wrong += [source.at(c, "makes a resource") for c in _calls(source.tree) if source.constructs(c)]
    return wrong


def config_readers(program: Iterable[Source]) -> list[str]:
    """Only settings touches `pulumi.Config`, and the policy pack, which is no part of the program."""
    readers = re.compile(r"^pulumi\.(config\.)?Config$|^pulumi\.runtime\.(config\.)?(get_config|is_config)")
    return [
        source.at(node, "reads Pulumi config; only settings may")
        for source in program
        if not source.path.startswith(("settings/", "bootstrap/settings", "policy/"))
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Name | ast.Attribute) and readers.match(source.dotted(node))
    ]


_RELEASE = re.compile(r"v?\d+\.(\d+(\.(\d+([-+].*|\.[a-z].*)?)?)?)?")


def version_comparisons(program: Iterable[Source]) -> list[str]:
    """What differs between releases is a field of their profile in `reference`: nobody else asks which one runs."""
    reason = "compares a version; make the difference a field of the release's profile in reference/"
    return [
        source.at(node, reason)
        for source in program
        if not source.path.startswith("reference/")
        for node in ast.walk(source.tree)
        if _compares_versions(node)
    ]


def _compares_versions(node: ast.AST) -> bool:
    if isinstance(node, ast.MatchValue):
        return _release(node.value)
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        ordered = any(isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for op in node.ops)
        named = any(map(_named_version, sides))
        return any(map(_release, sides)) or (named and (ordered or any(map(_numbers, sides))))
    if isinstance(node, ast.Call):
        given = [*node.args, *(keyword.value for keyword in node.keywords)]
        if isinstance(node.func, ast.Attribute) and node.func.attr in {"startswith", "endswith"}:
            return _named_version(node.func.value) or any(map(_release, given))
        return any(map(_named_version, given)) and any(_release(a) or _numbers(a) for a in given)
    return False


def _release(node: ast.AST) -> bool:
    """Whether a literal is a release ("0.7.0", "0.7.") or a collection of them."""
    if isinstance(node, ast.Tuple | ast.List | ast.Set):
        return any(map(_release, node.elts))
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and bool(_RELEASE.fullmatch(node.value))


def _numbers(node: ast.AST) -> bool:
    """Whether a literal is a release as numbers: (0, 16) or (0, 16, 0)."""
    return (
        isinstance(node, ast.Tuple)
        and len(node.elts) in {2, 3}
        and all(isinstance(e, ast.Constant) and isinstance(e.value, int) for e in node.elts)
    )


def _named_version(node: ast.AST) -> bool:
    """Whether a name in an expression says that it is a version."""
    names = (
        n.id if isinstance(n, ast.Name) else n.attr for n in ast.walk(node) if isinstance(n, ast.Name | ast.Attribute)
    )
    return any(re.search(r"(^|_)(version|release)$", name) for name in names)


# --- resources --------------------------------------------------------------------------------------------


def merged_options(program: Iterable[Source]) -> list[str]:
    """`ResourceOptions` are never merged: that re-parents children, or copies the caller's options to them."""
    return [
        source.at(call, "merges resource options; write ResourceOptions(parent=self)")
        for source in program
        if any(_is_pulumi(name) for _, name in source.imports)
        for call in _calls(source.tree)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "merge"
    ]


def authoritative_iam(program: Iterable[Source]) -> list[str]:
    """IAM only ever adds members: a binding or a policy would throw out those that others gave."""
    bad = re.compile(r"IAM_?(Binding|Policy)(Args|ArgsDict)?$", re.IGNORECASE)
    wrong: list[str] = []
    for source in program:
        for node in ast.walk(source.tree):
            names = [node.attr] if isinstance(node, ast.Attribute) else []
            names += [node.id] if isinstance(node, ast.Name) else []
            names += [a.name for a in node.names] if isinstance(node, ast.ImportFrom) else []
            camel = [n for n in names if bad.search(n) and n[:1].isupper()]
            wrong += [source.at(node, f"{name} is authoritative; use IAMMember") for name in camel]
    return wrong


def resources_in_apply(program: Iterable[Source]) -> list[str]:
    """No resource is made inside `.apply`: a preview would not show it."""
    return [
        source.at(call, "makes a resource inside .apply")
        for source in program
        for applied in _applied(source)
        for call in _calls(applied)
        if source.constructs(call)
    ]


def _functions(source: Source) -> dict[str, list[ast.AST]]:
    found: dict[str, list[ast.AST]] = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.setdefault(node.name, []).append(node)
    return found


def _applied(source: Source, within: ast.AST | None = None) -> list[ast.AST]:
    """Functions handed to `.apply` (anywhere, or `within` a node), and local functions that those call."""
    functions = _functions(source)
    waiting = [
        argument
        for call in _calls(within or source.tree)
        if isinstance(call.func, ast.Attribute) and call.func.attr == "apply"
        for argument in (*call.args, *(k.value for k in call.keywords))
    ]
    found: list[ast.AST] = []
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Name | ast.Attribute):
            waiting += functions.get(node.id if isinstance(node, ast.Name) else node.attr, [])
        elif node not in found:
            found.append(node)
            waiting += [call.func for call in _calls(node) if isinstance(call.func, ast.Name)]
    return found


def program_file(source: Source) -> list[str]:
    """`__main__.py` is short and only wires components together."""
    lines = len(source.text.splitlines())
    if lines > PROGRAM_LINES:
        return [source.at(lines, f"has {lines} lines, at most {PROGRAM_LINES}"), *composes_only(source)]
    return composes_only(source)


def composes_only(source: Source) -> list[str]:
    """Wiring makes components and no resource or class of its own."""
    wrong: list[str] = []
    made = [c for c in _calls(source.tree) if source.constructs(c) == "resource"]
    wrong += [source.at(call, "makes a resource of its own") for call in made]
    wrong += [source.at(c, "defines a component") for c in source.components()]
    return wrong


# --- components -------------------------------------------------------------------------------------------


def component_contract(program: Iterable[Source]) -> list[str]:
    """Every component has the same outer shape: signature, args type, type token, names, options, last words."""
    wrong: list[str] = []
    for source in program:
        for node in source.components():
            wrong += _signature(source, node)
            wrong += _args_type(source, node)
            wrong += _type_token(source, node)
            wrong += _last_statement(source, node)
            wrong += _children(source, node)
        wrong += _parents(source)
    return wrong


def _init(node: ast.ClassDef) -> ast.FunctionDef | None:
    return next((n for n in node.body if isinstance(n, ast.FunctionDef) and n.name == "__init__"), None)


def _signature(source: Source, node: ast.ClassDef) -> list[str]:
    init = _init(node)
    if init is None:
        return [source.at(node, f"{node.name} has no __init__")]
    a = init.args
    names = [arg.arg for arg in a.args]
    if names != ["self", "name", "args", "opts"] or a.kwonlyargs or a.vararg or a.kwarg or a.posonlyargs:
        return [source.at(init, f"{node.name} takes {names}, not (self, name, args, opts)")]
    wrong: list[str] = []
    if len(a.defaults) != 1 or not isinstance(a.defaults[0], ast.Constant) or a.defaults[0].value is not None:
        wrong.append(source.at(init, f"{node.name}: opts, and only opts, defaults to None"))
    wanted = {"name": "str", "args": f"{node.name}Args"}
    for arg in a.args[1:3]:
        written = ast.unparse(arg.annotation) if arg.annotation else None
        if written != wanted[arg.arg]:
            wrong.append(source.at(arg, f"{node.name}: {arg.arg} is {written}, not {wanted[arg.arg]}"))
    return wrong


def _args_type(source: Source, node: ast.ClassDef) -> list[str]:
    args = next((c for c in source.classes if c.name == f"{node.name}Args"), None)
    if args is None:
        return [source.at(node, f"{node.name} has no {node.name}Args beside it")]
    if "TypedDict" not in {ast.unparse(b).rpartition(".")[2] for b in args.bases}:
        return [source.at(args, f"{args.name} is no TypedDict")]
    wrong: list[str] = []
    for field, after in zip(args.body, [*args.body[1:], None], strict=True):
        if isinstance(field, ast.AnnAssign) and not _is_text(after):
            wrong.append(source.at(field, f"{args.name}.{ast.unparse(field.target)} has no docstring under it"))
    return wrong


def _is_text(node: ast.AST | None) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and bool(node.value.value.strip())
    )


def _type_token(source: Source, node: ast.ClassDef) -> list[str]:
    folder, *rest = PurePosixPath(source.path).parts
    floor = rest[0] if folder == "components" else folder
    token = f"dynamo-a4x:{floor}:{node.name}"
    init = _init(node)
    calls = [
        c
        for c in _calls(init or node)
        if isinstance(c.func, ast.Attribute)
        and c.func.attr == "__init__"
        and isinstance(c.func.value, ast.Call)
        and ast.unparse(c.func.value) == "super()"
    ]
    if len(calls) != 1:
        return [source.at(node, f"{node.name} calls super().__init__ {len(calls)} times")]
    call = calls[0]
    given = [a.value if isinstance(a, ast.Constant) else ast.unparse(a) for a in call.args]
    if given[:2] != [token, "name"] or given[3:] != ["opts"]:
        return [source.at(call, f"{node.name}: super().__init__({token!r}, name, {{}}, opts) is the rule")]
    return []


def _last_statement(source: Source, node: ast.ClassDef) -> list[str]:
    init = _init(node)
    if init is None:
        return []
    calls = [c for c in _calls(init) if ast.unparse(c.func) == "self.register_outputs"]
    last = init.body[-1]
    if len(calls) != 1 or not (isinstance(last, ast.Expr) and last.value is calls[0]):
        return [source.at(last, f"{node.name}: self.register_outputs(...) is the last statement, and the only one")]
    return []


def _children(source: Source, node: ast.ClassDef) -> list[str]:
    wrong: list[str] = []
    for call in _calls(node):
        if not source.constructs(call):
            continue
        what = ast.unparse(call.func)
        named = call.args[0] if call.args else next((k.value for k in call.keywords if k.arg == "resource_name"), None)
        if not _starts_with_name(named):
            wrong.append(source.at(call, f'{node.name}: the name of {what} must be f"{{name}}-..."'))
        if len(call.args) < 3 and not any(k.arg == "opts" for k in call.keywords):
            wrong.append(source.at(call, f"{node.name}: {what} has no opts, so its parent is the stack"))
    return wrong


def _starts_with_name(node: ast.AST | None) -> bool:
    if not isinstance(node, ast.JoinedStr) or len(node.values) < 2:
        return False
    first, second = node.values[:2]
    return (
        isinstance(first, ast.FormattedValue)
        and ast.unparse(first.value) == "name"
        and isinstance(second, ast.Constant)
        and str(second.value).startswith("-")
        and len(node.values) + len(str(second.value)) > 3
    )


def _parents(source: Source) -> list[str]:
    """Options name their parent: `self` in a component, the parameter `parent` in a helper function."""
    wrong: list[str] = []
    helpers = {
        call
        for function in ast.walk(source.tree)
        if isinstance(function, ast.FunctionDef) and "parent" in {a.arg for a in function.args.args}
        for call in _calls(function)
    }
    for call in _calls(source.tree):
        if source.meaning(call.func) is not pulumi.ResourceOptions:
            continue
        parent = next((ast.unparse(k.value) for k in call.keywords if k.arg == "parent"), None)
        if parent != "self" and not (parent == "parent" and call in helpers):
            wrong.append(source.at(call, f"ResourceOptions has parent={parent}, not parent=self"))
    return wrong


# --- tests and requirements -------------------------------------------------------------------------------


def unawaited_assertions(tests: Iterable[Source]) -> list[str]:
    """A test that asserts inside `.apply` carries `@pulumi.runtime.test`: without it a false assertion passes."""
    return [
        source.at(node, f"{node.name} asserts inside .apply without @pulumi.runtime.test")
        for source in tests
        if ".apply(" in source.text
        for node in ast.walk(source.tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test")
        if not any(ast.unparse(d).endswith("runtime.test") for d in node.decorator_list)
        if any(_asserts(function) for function in _applied(source, node))
    ]


def _asserts(node: ast.AST) -> bool:
    return any(
        isinstance(n, ast.Assert)
        or (isinstance(n, ast.Call) and re.search(r"\b(assert\w*|fail)$", ast.unparse(n.func)) is not None)
        for n in ast.walk(node)
    )


def loose_requirements(name: str, text: str) -> list[str]:
    """Every requirement is pinned with `==` to one version."""
    exact = re.compile(r"^[A-Za-z0-9._-]+(\[[a-z,]+\])?==[A-Za-z0-9.!+]+( ; .+)?$")
    wrong: list[str] = []
    for number, line in enumerate(text.splitlines(), start=1):
        entry = line.partition("#")[0].strip()
        if entry and not entry.startswith("-r ") and not exact.match(entry):
            wrong.append(f"{name}:{number}: {entry} is not pinned with ==")
    return wrong


def stale_lock(source: Path) -> list[str]:
    """A `.txt` has exactly the pins of its `.in` and of those that it includes, a hash for each, and no index."""
    target = source.with_suffix(".txt")
    if not target.exists():
        return [f"{source.name}: there is no {target.name}; run make lock"]
    text = target.read_text(encoding="utf-8")
    locked = pins(text)
    wrong = [f"{target.name}: {pin.name} has no hash" for pin in locked if not pin.hashes]
    if re.search(r"://|^-|--(extra-)?index", text, re.MULTILINE):
        wrong.append(f"{target.name}: names an index or has an option of pip")
    waiting = [source]
    while waiting:
        own = waiting.pop()
        asked = own.read_text(encoding="utf-8")
        waiting += [own.parent / name for name in included(asked)]
        wanted = {(pin.name, pin.version) for pin in pins(asked)}
        got = {(pin.name, pin.version) for pin in locked if own.name in pin.sources}
        wrong += [
            f"{target.name}: {name}=={version} is {'not from' if (name, version) in got else 'missing; it stands in'} "
            f"{own.name}; run make lock"
            for name, version in sorted(wanted ^ got)
        ]
    return wrong


def split_releases(root: Path) -> list[str]:
    """SDK and engine are one release of Pulumi, in every requirement file and Go module."""
    modules = [*root.glob("[!.]*/go.mod"), *root.glob("[!.]*/[!.]*/go.mod")]
    asked = dict.fromkeys(requirement_files.sources(root), r"^pulumi==(\S+)")
    asked |= dict.fromkeys(modules, r"github\.com/pulumi/pulumi/(?:pkg|sdk)/v3 v(\S+)")
    found = {
        f"{file.relative_to(root)} has Pulumi {version}": version
        for file, pattern in asked.items()
        for version in re.findall(pattern, file.read_text(encoding="utf-8"), re.MULTILINE)
    }
    return sorted(found) if len(set(found.values())) != 1 else []
