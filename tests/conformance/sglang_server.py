"""SGLang's own parser, `--config` reader and checks of its arguments, from a released wheel, on a machine without GPUs.

Run in a process of its own: `python sglang_server.py FOLDER`, with a wheel's modules in FOLDER. Reads the files that it
is to judge as JSON, by name, from its input, and prints what the release says of them. What the package imports beside
the modules below, of itself and of others, is a stand-in: only names, types and the checks of values are real.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import logging
import os
import re
import sys
import tempfile
import types
from collections.abc import Callable, Mapping, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, Final
from unittest.mock import MagicMock

REAL: Final = re.compile(
    r"sglang/srt/(server_args|server_args_config_parser|environ|runtime_context|arg_groups/\w+|connector/__init__"
    r"|model_executor/cuda_graph_config|utils/(__init__|common|network))\.py"
)
"""Files of the wheel that are not replaced."""
_BARE: Final = ("sglang", "sglang.srt", "sglang.srt.model_executor")
_OTHERS: Final = frozenset({"packaging", "yaml", "_yaml"})

_GPU_MEMORY: Final = 189471
_MACHINE: Final[Mapping[str, Any]] = {
    "check_gguf_file": False,
    "get_device": "cuda",
    "get_device_memory_capacity": _GPU_MEMORY,
    "get_device_name": "NVIDIA GB200",
    "get_device_sm": 100,
    "get_linear_attn_spec_by_arch": None,
    "is_blackwell_supported": True,
    "is_cpu": False,
    "is_cuda": True,
    "is_fa3_default_architecture": False,
    "is_flashinfer_available": True,
    "is_hip": False,
    "is_hpu": False,
    "is_mps": False,
    "is_musa": False,
    "is_npu": False,
    "is_port_available": True,
    "is_remote_url": False,
    "is_sm90_supported": False,
    "is_sm100_supported": True,
    "is_sm120_supported": False,
    "is_triton_kernels_available": True,
    "is_xpu": False,
    "resolve_hf_gguf_reference": None,
}
"""What SGLang's functions say on a node with GB200, of DeepSeek-R1; whether anything else `is_...` is denied."""


class Model(types.SimpleNamespace):
    """DeepSeek-R1's config.json; what it does not have is None."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)


class Anything(MagicMock):
    """Stands for whatever a module of others has."""

    def __mro_entries__(self, _: Any) -> tuple[type, ...]:
        return ()

    def __or__(self, _: Any) -> Any:
        return self

    def __ror__(self, _: Any) -> Any:
        return self

    def __lt__(self, _: Any) -> Any:
        return False

    __gt__ = __le__ = __ge__ = __lt__


class StandIn(types.ModuleType):
    """A module of others."""

    __version__ = "9.0.0"

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.__path__: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        known = name in _MACHINE or name.startswith("is_")
        value = _constant(_MACHINE.get(name, False)) if known else Anything(name=f"{self.__name__}.{name}")
        setattr(self, name, value)
        return value


class Finder(MetaPathFinder, Loader):
    """Finds a stand-in for every module but Python's own, `_OTHERS` and the real ones."""

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> ModuleSpec | None:
        del path, target
        top, file = fullname.partition(".")[0], fullname.replace(".", "/")
        if top in sys.stdlib_module_names or top in _OTHERS:
            return None
        if any(REAL.fullmatch(f"{file}{ending}") for ending in (".py", "/__init__.py")) or file.endswith("/arg_groups"):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> StandIn:
        return StandIn(spec.name)

    def exec_module(self, module: types.ModuleType) -> None:
        del module


def _constant(value: Any) -> Callable[..., Any]:
    return lambda *_, **__: value


def load(folder: str) -> tuple[Any, Any]:
    """The modules with the arguments and with the reader."""
    sys.path.insert(0, folder)
    sys.meta_path.insert(0, Finder())
    for name in _BARE:
        module = types.ModuleType(name)
        module.__path__ = [os.path.join(folder, *name.split("."))]  # noqa: PTH118 - a name, not a file
        sys.modules[name] = module
    torch: Any = importlib.import_module("torch")
    torch.cuda.get_device_capability = _constant((10, 0))
    torch.cuda.device_count = _constant(4)
    torch.version.cuda, torch.version.hip = "13.0", None
    server_args = importlib.import_module("sglang.srt.server_args")
    reader = importlib.import_module("sglang.srt.server_args_config_parser")

    for module in [module for name, module in sys.modules.items() if name.startswith("sglang.srt")]:
        for name, value in _MACHINE.items():
            if callable(vars(module).get(name)):
                setattr(module, name, _constant(value))
    _model(server_args.ServerArgs)
    return server_args, reader


def _model(owner: Any) -> None:
    config = Model(
        architectures=["DeepseekV3ForCausalLM"],
        model_type="deepseek_v3",
        n_routed_experts=256,
        num_hidden_layers=61,
        hidden_size=7168,
        kv_lora_rank=512,
        quantization_config={"quant_method": "fp8", "weight_block_size": [128, 128]},
        max_position_embeddings=163840,
    )
    model = Model(hf_config=config, hf_text_config=config, context_len=163840, is_generation=True, is_multimodal=False)
    owner.get_model_config = _constant(model)
    owner.get_hf_config = _constant(config)
    owner.use_mla_backend = _constant(True)


class Judge:
    """One release."""

    def __init__(self, folder: str, files: str) -> None:
        self._module, reader = load(folder)
        self._files = Path(files)
        self._parser = argparse.ArgumentParser(add_help=False)
        self._module.ServerArgs.add_cli_args(self._parser)
        try:
            self._merger = reader.ConfigArgumentMerger(parser=self._parser)
        except TypeError:
            # The oldest reader takes names of flags; dynamo.sglang 0.7 finds none, because argparse's actions carry no
            # attribute `action`, and hands over an empty list.
            self._merger = reader.ConfigArgumentMerger(boolean_actions=[])

    def arguments(self) -> list[dict[str, Any]]:
        """Every argument of the parser, and which of its names a file may have."""
        found: list[dict[str, Any]] = []
        for action in self._parser._actions:
            names = [name.removeprefix("--") for name in action.option_strings]
            kind = type(action).__name__.strip("_")
            refused = [name for name in names if not self._takes(name, action)]
            found.append({"names": names, "kind": kind, "choices": list(action.choices or ()), "refused": refused})
        return found

    def environment(self) -> dict[str, str]:
        """Every variable that the release declares, and the type of its reader."""
        known = sys.modules["sglang.srt.environ"]
        kinds = {"bool": known.EnvBool, "int": known.EnvInt, "float": known.EnvFloat}
        declared = {name: f for name, f in vars(known.Envs).items() if isinstance(f, known.EnvField)}
        return {
            name: next((kind for kind, owner in kinds.items() if isinstance(field, owner)), "text")
            for name, field in declared.items()
        }

    def _takes(self, name: str, action: argparse.Action) -> bool:
        values = [True] if action.nargs == 0 else list(action.choices or ("1", "{}", "[]", "a"))[:4]
        return any("argv" in self.judge({"text": json.dumps({name: value}), "nodes": 0}) for value in values)

    def judge(self, file: Mapping[str, Any]) -> dict[str, Any]:
        """The command line of a file, or why it is refused; and what the checks of values say of it."""
        path = self._files / file.get("name", "arguments.yaml")
        path.write_text(file["text"], encoding="utf-8")
        said = io.StringIO()
        try:
            with contextlib.redirect_stderr(said):
                argv = self._merger.merge_config_with_args(["--config", str(path)])
                parsed = self._parser.parse_args(["--model-path", "/models/model", *argv])
        except SystemExit:
            return {"refused": said.getvalue().strip()[-300:]}
        except ValueError as error:
            return {"refused": str(error)}
        return {"argv": argv, "checked": self._checked(parsed, file["nodes"]) if file["nodes"] else None}

    def _checked(self, parsed: argparse.Namespace, nodes: int) -> str | None:
        parsed.nnodes = nodes
        before = dict(os.environ)
        try:
            with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
                self._module.ServerArgs.from_cli_args(parsed).check_server_args()
        except Exception as error:  # noqa: BLE001 - whatever it is, the server would have ended with it
            return f"{type(error).__name__}: {error}"
        finally:
            os.environ.clear()
            os.environ.update(before)
        return None


def main(command: Sequence[str]) -> None:
    """Judge what comes on the input."""
    logging.disable(logging.CRITICAL)
    files: Mapping[str, Mapping[str, Any]] = json.load(sys.stdin)
    with tempfile.TemporaryDirectory() as folder:
        judge = Judge(command[0], folder)
        # Profiles have many files in common.
        once = {json.dumps(file): judge.judge(file) for file in {json.dumps(f): f for f in files.values()}.values()}
        answers = {name: once[json.dumps(file)] for name, file in files.items()}
        found = {"arguments": judge.arguments(), "environment": judge.environment(), "answers": answers}
        json.dump(found, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
