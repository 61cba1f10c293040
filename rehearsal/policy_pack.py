"""Runs the policy pack in the rehearsal's engine.

A released Pulumi starts a pack through its language host, `pulumi-language-python`. An engine that was built from its
Go module has none: the host is a module of its own that no version of is published. Such an engine looks for the plugin
`pulumi-analyzer-policy-python`, which the host replaced in 3.221, and calls it with the same contract. The rehearsal
installs one, which runs what the host runs.
"""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

import yaml

PACK = Path(__file__).resolve().parent.parent / "policy"
"""The project's own pack."""
CONFIG = "config.json"
"""The pack's config, in its folder: whoever owns the rules owns their exceptions."""
_PLUGIN = "pulumi-analyzer-policy-python"
_FOLDER = "analyzer-policy-python-v0.0.0"
# The engine starts it in the pack's folder, with its own address, `.`, and the options of PulumiPolicy.yaml.
_LAUNCHER = """\
#!/bin/sh
python=python3
for argument do
  shift
  case $argument in
    -virtualenv=*) python=${argument#*=}/bin/python ;;
    *) set -- "$@" "$argument" ;;
  esac
done
exec "$python" -u -m pulumi.policy "$@"
"""


class PolicyPackError(Exception):
    """The pack cannot run; the text has the reason and the fix."""


@dataclass(frozen=True)
class Violation:
    """A rule that a resource violates."""

    policy: str
    level: str
    """`mandatory` or `advisory`."""
    kind: str
    name: str
    """Type token and logical name of the resource."""
    message: str

    def __str__(self) -> str:
        return f"{self.policy}: {self.kind.rpartition(':')[2]} {self.name}: {self.message}"


def install(home: Path) -> None:
    """Put the plugin into an engine's home folder."""
    folder = home / "plugins" / _FOLDER
    folder.mkdir(parents=True)
    launcher = folder / _PLUGIN
    launcher.write_text(_LAUNCHER, encoding="utf-8")
    launcher.chmod(0o755)


def check(pack: Path) -> None:
    """Raise `PolicyPackError` unless the pack is there and its environment can run it."""
    reason = lacks(pack)
    if reason is not None:
        raise PolicyPackError(reason)


def lacks(pack: Path) -> str | None:
    """What a pack lacks to run, and the fix; None if it can."""
    project = pack / "PulumiPolicy.yaml"
    if not project.is_file():
        return f"there is no policy pack in {pack}: {project.name} is missing"
    options = yaml.safe_load(project.read_text(encoding="utf-8"))["runtime"]["options"]
    python = pack / options["virtualenv"] / "bin" / "python"
    fix = f"create it with `make policy-venv`, which installs {pack.name}/requirements.txt"
    if not python.is_file():
        return f"the policy pack {pack.name} has no environment: {python} is missing; {fix}"
    # Found without importing it, which takes a second.
    find = "import importlib.util, sys; sys.exit(importlib.util.find_spec('pulumi_policy') is None)"
    if subprocess.run([str(python), "-c", find], capture_output=True, timeout=60, check=False).returncode != 0:
        return f"the environment of the policy pack {pack.name} lacks pulumi_policy ({python}); {fix}"
    return None
