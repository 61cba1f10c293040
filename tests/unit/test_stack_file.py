"""A stack file is read as the engine reads it; tests/engine/test_config_cli.py asks the engine itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from settings.stack_file import StackFileError, read

SCALARS: dict[str, tuple[str, Any]] = {
    "truth": ("true", True),
    "truth with a capital": ("True", True),
    "untruth in capitals": ("FALSE", False),
    "on": ("on", "on"),
    "off": ("off", "off"),
    "yes": ("yes", "yes"),
    "no": ("No", "No"),
    "quoted truth": ('"true"', "true"),
    "zero": ("0", 0),
    "negative": ("-3", -3),
    "octal of old": ("0123", 83),
    "octal": ("0o17", 15),
    "hexadecimal": ("0x10", 16),
    "binary": ("0b11", 3),
    "no octal": ("089", 89),
    "underscores": ("1_000", 1000),
    "exponent": ("1e3", 1000),
    "whole with a fraction": ("2.0", 2),
    "fraction": ("4.5", 4.5),
    "quoted number": ('"4.5"', "4.5"),
    "time": ("12:30", "12:30"),
    "version": ("1.35.2-gke.1", "1.35.2-gke.1"),
    "version that is a number": ("1.35", 1.35),
    "nothing": ("", None),
    "tilde": ("~", None),
    "null": ("null", None),
    "newline": ('"a\\n"', "a\n"),
    "block": ("|\n      abc", "abc\n"),
    "list": ("[1, 2.0, on]", [1, 2, "on"]),
}


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "Pulumi.dev.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("kind", SCALARS)
def test_a_value_has_the_type_that_the_engine_gives_it(tmp_path: Path, kind: str) -> None:
    text, expected = SCALARS[kind]
    found = read(written(tmp_path, f"config:\n  dynamo-a4x:a:\n    b: {text}\n"))["dynamo-a4x:a"]["b"]
    assert (found, type(found)) == (expected, type(expected))


def test_a_key_of_the_first_level_without_a_value_is_an_empty_text(tmp_path: Path) -> None:
    assert read(written(tmp_path, "config:\n  a:\n  b: ~\n")) == {"a": "", "b": ""}


def test_a_mapping_may_take_over_another(tmp_path: Path) -> None:
    text = "config:\n  a: &a {x: 1, y: 2}\n  b:\n    <<: *a\n    y: 3\n"
    assert read(written(tmp_path, text))["b"] == {"x": 1, "y": 3}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("config:\n  a: 1\n  a: 2\n", "the key a stands here twice"),
        ("config:\n  a:\n    b: 1\n    b: 1\n", "the key b stands here twice"),
        ("config: []\n", "has no config: mapping"),
        ("config:\n", "has no config: mapping"),
        ("", "has no config: mapping"),
        ("- a\n", "has no config: mapping"),
        ("config: {\n", "is not valid YAML"),
        ("config:\n\ta: 1\n", "is not valid YAML"),
        (b"config:\n  a: \xff\xfe\n", "is not valid YAML"),
        ("config:\n  a: &a [*a]\n", "is not valid YAML"),
        ("config:\n  [1, 2]: 3\n", "is not valid YAML"),
        ("config:\n  a: " + "[" * 5000, "is not valid YAML"),
        ("config:\n  a: " + "9" * 5000, "is not valid YAML"),
        ("config:\n  a: !!python/object/apply:os.getcwd []\n", "is not valid YAML"),
        ("config:\n  a: b\0c\n", "is not valid YAML"),
    ],
)
def test_what_is_no_stack_file_ends_in_one_line(tmp_path: Path, text: str | bytes, said: str) -> None:
    with pytest.raises(StackFileError, match=said) as caught:
        read(written(tmp_path, text))
    assert str(caught.value).startswith("Pulumi.dev.yaml ")
    assert "\n" not in str(caught.value)
