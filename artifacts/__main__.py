"""`python -m artifacts --stack NAME`: the images and charts that the stack needs, and where they are fetched from.

Reads the stack file alone: no cloud, no engine, no registry. Exit codes: 0, or 2 if the config is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import settings as config
from settings import Settings, SettingsError, artifacts, stack_file

ROOT: Final = Path(__file__).resolve().parents[1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    options = _options(arguments)
    try:
        settings = config.parse(stack_file.of_stack(options.stack, options.root), options.stack)
    except (stack_file.StackFileError, SettingsError) as error:
        return _wrong(str(error))
    listed = content(settings)
    sys.stdout.write((json.dumps(listed, indent=2) if options.json else table(listed)) + "\n")
    return 0


def content(settings: Settings) -> dict[str, Any]:
    """What is listed, as JSON: `source` is the publisher's name of an artifact, `target` the one that is fetched."""
    images: dict[str, dict[str, Any]] = {}
    for image in artifacts.images_of(settings):
        entry = images.setdefault(
            image.source,
            {
                "source": image.source,
                "target": image.target,
                # Without it the publisher may put something else under the tag.
                "digest": image.source.partition("@")[2] or None,
                "architectures": [],
                "usedBy": [],
            },
        )
        entry["architectures"] = sorted({*entry["architectures"], *image.architectures})
        entry["usedBy"] = list(dict.fromkeys([*entry["usedBy"], image.purpose]))
    charts = [
        {"name": chart.name, "version": chart.version, "source": chart.source, "target": chart.target}
        for chart in artifacts.charts_of(settings)
    ]
    return {"images": sorted(images.values(), key=lambda entry: str(entry["source"])), "charts": charts}


def table(listed: dict[str, Any]) -> str:
    """One line for each artifact: source, and target where it is another."""
    lines: list[str] = []
    for image in listed["images"]:
        moved = f" -> {image['target']}" if image["target"] != image["source"] else ""
        lines.append(
            f"image {image['source']}{moved}  ({'+'.join(image['architectures'])}; {', '.join(image['usedBy'])})"
        )
    for chart in listed["charts"]:
        moved = f" -> {chart['target']}" if chart["target"] != chart["source"] else ""
        lines.append(f"chart {chart['source']} {chart['version']}{moved}")
    return "\n".join(lines)


def _wrong(text: str) -> int:
    sys.stderr.write(f"artifacts: {text}\n")
    return 2


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m artifacts",
        description="List every image and chart that a stack needs, and its place in the mirror if there is one.",
    )
    parser.add_argument("--stack", default="dev", help="the stack whose Pulumi.STACK.yaml is read (default: dev)")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--root", type=Path, default=ROOT, help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
