"""What a ConfigMap holds means to SGLang's own `--config` reader what the recipe's shell parser would have made of it.

The reader is one module of the package that imports nothing of it, so it is loaded by itself. The wheel comes by its
name from the package index that pip is set to, once a machine, and is the one that the argument catalog was made from.
Without a network these tests are skipped, and say so.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.util
import json
import re
import subprocess
import tempfile
import zipfile
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from manifests import launch
from reference.dynamo import PROFILES
from rehearsal.engine import cache_folder
from serving_rules import arguments, layout
from serving_rules.layout import WORKER_ROLES, WorkerRole
from tests.conformance import recipe
from tools import sglang_arguments

DEFAULT, NEWER = PROFILES["0.7.0"], PROFILES["1.0.1"]
NO_NETWORK = re.compile(r"Retrying|timed out|from versions: none")
"""What pip says when it cannot reach an index, or has none."""


@cache
def _reader(sglang: str) -> Path | str:
    """The source of the reader of release `sglang`, or why it is not here; kept beside the engine."""
    folder = cache_folder() / f"sglang-{sglang}"
    source = folder / sglang_arguments.CONFIG_READER
    if not source.is_file():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as temporary:
            try:
                wheel = sglang_arguments.download(f"sglang=={sglang}", Path(temporary))
            except subprocess.CalledProcessError as error:
                if NO_NETWORK.search(error.stderr):
                    return error.stderr.strip()[-300:]
                raise AssertionError(error.stderr) from error
            header = json.loads((arguments.CATALOG / f"sglang-{sglang}.json").read_text(encoding="utf-8"))["header"]
            found = {"wheel": wheel.name, "sha256": hashlib.sha256(wheel.read_bytes()).hexdigest()}
            assert found == {name: header[name] for name in found}, "not the wheel that the catalog was made from"
            with zipfile.ZipFile(wheel) as archive:
                archive.extract(sglang_arguments.CONFIG_READER, temporary)
            source.parent.mkdir(parents=True, exist_ok=True)
            (Path(temporary) / sglang_arguments.CONFIG_READER).replace(source)
    return source


def _load(sglang: str) -> ModuleType:
    source = _reader(sglang)
    if isinstance(source, str):
        pytest.skip(f"no network, so no SGLang {sglang}: {source}")
    spec = importlib.util.spec_from_file_location("sglang_config_reader", source)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class _Other(argparse.Action):
    """Stands for an action of SGLang's own."""

    def __call__(self, *_: Any, **__: Any) -> None:
        raise AssertionError("the reader should have refused this argument")


def _parser(sglang: str) -> argparse.ArgumentParser:
    """A parser with the arguments that the catalog lists, as far as argparse itself judges them."""
    parser = argparse.ArgumentParser(exit_on_error=False)
    known = arguments.catalog(sglang, next(p.version for p in PROFILES.values() if p.sglang == sglang)).arguments
    for entry in {entry.name: entry for entry in known.values() if entry.owner == "SGLang"}.values():
        names = [f"--{name}" for name, other in known.items() if other == entry]
        if entry.flag:
            parser.add_argument(*names, action="store_true")
        elif entry.action == "store":
            kind = {"int": int, "float": float}.get(entry.type, str)
            parser.add_argument(*names, type=kind, choices=entry.choices or None)
        else:
            parser.add_argument(*names, action=_Other, nargs="*")
    return parser


def _read(sglang: str, file: Path) -> list[str]:
    """The command line that `python3 -m dynamo.sglang --config file` makes of the file."""
    module = _load(sglang)
    parser = _parser(sglang)
    try:
        merger = module.ConfigArgumentMerger(parser=parser)
    except TypeError:
        # The older reader takes names of flags; dynamo.sglang 0.7 finds none, because argparse's actions carry no
        # attribute `action`, and hands over an empty list.
        merger = module.ConfigArgumentMerger(boolean_actions=[])
    return merger.merge_config_with_args(["--config", str(file)])


def _pairs(argv: list[str]) -> list[tuple[str, str | None]]:
    """(flag, value) of a command line, sorted; a flag without a value has None."""
    found: list[tuple[str, str | None]] = []
    for word in argv:
        if word.startswith("--"):
            found.append((word.removeprefix("--"), None))
        else:
            assert found[-1][1] is None
            found[-1] = (found[-1][0], word)
    return sorted(found)


@pytest.mark.conformance
@pytest.mark.parametrize("profile", [DEFAULT, NEWER], ids=lambda profile: profile.version)
@pytest.mark.parametrize("name", layout.available())
@pytest.mark.parametrize("role", WORKER_ROLES)
def test_the_reader_makes_of_our_file_what_it_says(profile: Any, name: str, role: WorkerRole, tmp_path: Path) -> None:
    ours = layout.resolve(name, profile).arguments(role)
    file = tmp_path / launch.ARGUMENTS_FILE
    file.write_text(launch.arguments_file(ours), encoding="utf-8")
    argv = _read(profile.sglang, file)
    assert _pairs(argv) == recipe.argv({key: value for key, value in ours.items() if value is not False})
    assert _parser(profile.sglang).parse_known_args(argv)[1] == []


@pytest.mark.conformance
@pytest.mark.parametrize("name", sorted(recipe.LAYOUTS.values()))
@pytest.mark.parametrize("role", WORKER_ROLES)
def test_the_reader_makes_of_our_file_what_the_recipes_parser_makes_of_its(
    name: str, role: WorkerRole, tmp_path: Path
) -> None:
    file = tmp_path / launch.ARGUMENTS_FILE
    file.write_text(launch.arguments_file(layout.load(name).arguments(role)), encoding="utf-8")
    assert _pairs(_read(DEFAULT.sglang, file)) == recipe.argv(recipe.arguments(name, role))


@pytest.mark.conformance
@pytest.mark.parametrize("name", layout.available())
def test_the_newer_reader_refuses_the_argument_that_the_profile_drops(name: str, tmp_path: Path) -> None:
    file = tmp_path / launch.ARGUMENTS_FILE
    file.write_text(launch.arguments_file(layout.load(name).arguments("decode")), encoding="utf-8")
    reader = _load(NEWER.sglang)
    assert reader
    with pytest.raises(ValueError, match="prefill_round_robin_balance"):
        _read(NEWER.sglang, file)


@pytest.mark.conformance
@pytest.mark.parametrize("profile", [DEFAULT, NEWER], ids=lambda profile: profile.version)
def test_the_reader_refuses_a_file_of_another_ending(profile: Any, tmp_path: Path) -> None:
    """Why the file in the pod ends in .yaml."""
    file = tmp_path / "serving-configuration"
    file.write_text(yaml.safe_dump({"host": "::"}), encoding="utf-8")
    _load(profile.sglang)
    with pytest.raises(ValueError, match="YAML"):
        _read(profile.sglang, file)
