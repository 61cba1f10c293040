"""How a worker starts: one short bash script, with all settings in a file.

The Dynamo operator inserts `--dist-init-addr --nnodes --node-rank` after the first match of `python... sglang` in a
container's first argument; the match may span lines but stops at `|`, `&` and `;`. So the script contains
`python3 -m dynamo.sglang` exactly once, on its last line, and nothing similar.

SGLang reads its arguments through its own `--config`; the file's name must end in .yaml.
"""

from __future__ import annotations

from typing import Final

import yaml

from manifests import gpu_pod
from reference import machines
from serving_rules.layout import Arguments

ARGUMENTS_FOLDER: Final = "/workload/configs"
ARGUMENTS_FILE: Final = "serving-args.yaml"
ARGUMENTS_KEY: Final = "serving-configuration"
"""Key of the arguments in their ConfigMap."""

COMMAND: Final = ("/bin/bash", "-c")


_EXTENDED_PATH: Final = f'export LD_LIBRARY_PATH="${{LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}}{machines.DRIVER_LIBRARIES}"\n'


def script(*, privileged: bool, extends_path: bool = False) -> str:
    """The script of a worker, for a container with or without privileges; `extends_path` adds the driver's libraries to
    the image's own path, where the layout does not name a whole one.
    """
    return f"""\
nvidia-smi
{_EXTENDED_PATH if extends_path else ""}{gpu_pod.preamble(privileged=privileged)}\
env | grep -E '^(NCCL|GLOO|UCX|MC|SGLANG)_' | sort
exec python3 -m dynamo.sglang --model-path "$MODEL_PATH" --config "$SERVER_ARGS_FILE"
"""


def arguments_file(arguments: Arguments) -> str:
    """The file for SGLang's `--config`: `true` sets a flag; an argument that is `false` is left out."""
    kept = {key: value for key, value in arguments.items() if value is not False}
    return yaml.safe_dump(kept, sort_keys=True, width=10_000)
