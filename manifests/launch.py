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
from serving_rules.layout import Arguments

ARGUMENTS_FOLDER: Final = "/workload/configs"
ARGUMENTS_FILE: Final = "serving-args.yaml"
ARGUMENTS_KEY: Final = "serving-configuration"
"""Key of the arguments in their ConfigMap."""

COMMAND: Final = ("/bin/bash", "-c")


def script(*, privileged: bool) -> str:
    """The script of a worker, for a container with or without privileges."""
    return f"""\
nvidia-smi
{gpu_pod.preamble(privileged=privileged)}\
env | grep -E '^(NCCL|GLOO|UCX|MC|SGLANG)_' | sort
exec python3 -m dynamo.sglang --model-path "$MODEL_PATH" --config "$SERVER_ARGS_FILE"
"""


def arguments_file(arguments: Arguments) -> str:
    """The file for SGLang's `--config`: `true` sets a flag; an argument that is `false` is left out."""
    kept = {key: value for key, value in arguments.items() if value is not False}
    return yaml.safe_dump(kept, sort_keys=True, width=10_000)
