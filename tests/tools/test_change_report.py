"""The report of a change: which fields differ, and that no text of a report becomes Markdown."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token
from pydantic import ValidationError

from change_report import __main__ as command
from change_report import fields, markdown, model, stack_files, trees
from change_report.assembly import assembled
from change_report.model import Environment, FieldChange, Impact, Report, Resource, Stack
from github_workflows import cut as cutting
from rehearsal.simulator.values import UNKNOWN_TEXTS

UNKNOWN = min(UNKNOWN_TEXTS)
HOSTILE = (
    "@team",
    "#1 fixes #2",
    "[a](https://example.com)",
    "![a](https://example.com/a.png)",
    "https://example.com",
    "<img src=x onerror=alert(1)>",
    "</details>",
    "`@team` `` ``` ~~~",
    "a | b \\| c \\",
    "line\n\n# heading\n```\n@team",
    "\r\n> quote\x00\x1b[31m\u202e\u2066\ufeff\u3164\u2800\U000e0101",
    "<!-- dynamo-a4x -->",
    "$x$ :tada: **b**",
)


def _differences(before: Any, after: Any, **more: Any) -> dict[str, tuple[str | None, str | None]]:
    return {one.path: (one.before, one.after) for one in fields.differences(before, after, **more)}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, {"a.b": ("1", "2")}),
        ({"a": 1}, {"a": None}, {"a": ("1", None)}),
        ({"a": True}, {"a": 1}, {"a": ("true", "1")}),
        ({"a": {"b": 1, "c": "x"}}, {}, {"a.b": ("1", None), "a.c": ("x", None)}),
        ({"a": []}, {"a": [{"name": "x", "value": "1"}]}, {"a.x.value": (None, "1")}),
        # By name: what moves down a list does not differ.
        (
            {"e": [{"name": "a", "v": "1"}, {"name": "b", "v": "2"}]},
            {"e": [{"name": "b", "v": "3"}, {"name": "a", "v": "1"}]},
            {"e.b.v": ("2", "3")},
        ),
        ({"e": [{"name": "a"}, {"name": "a"}]}, {"e": [{"name": "a"}]}, {"e[1].name": ("a", None)}),
        ({"e": [1, 2]}, {"e": [1]}, {"e[1]": ("2", None)}),
        ({"f": "a: 1\nb: 2\n"}, {"f": "a: 1\nb: 3\n"}, {"f.b": ("2", "3")}),
        ({"f": "one\ntwo\n"}, {"f": "one\nthree\n"}, {"f": ("two", "three")}),
        ({"f": "one\n"}, {"f": "one\nmore\n"}, {"f": (None, "more")}),
        ({"m": {"a/b": 1}}, {"m": {"a/b": 2}}, {'m["a/b"]': ("1", "2")}),
        ({"a": "x"}, {"a": UNKNOWN}, {"a": ("x", "(known after up)")}),
        # A digest is no hash of content: it is a change of its own.
        ({"image": "r/i@sha256:" + "a" * 64}, {"image": "r/i@sha256:" + "b" * 64}, None),
        # Nor is a tag that looks like one.
        ({"tag": "build-12345678"}, {"tag": "build-87654321"}, {"tag": ("build-12345678", "build-87654321")}),
        ({"m": {"name": "r1-12345678"}}, {"m": {"name": "r1-87654321"}}, {}),
        ({"m": {"name": "r1-12345678"}}, {"m": {"name": "r2-12345678"}}, {"m.name": ("r1-12345678", "r2-12345678")}),
    ],
)
def test_each_field_that_differs_is_named_once_with_both_values(before: Any, after: Any, expected: Any) -> None:
    found = _differences(before, after)
    assert found == expected if expected is not None else len(found) == 1


def test_random_names_and_what_is_known_later_do_not_differ_in_what_is_recreated() -> None:
    names = {"-weac": "-…"}
    assert _differences({"n": "r1-weac"}, {"n": UNKNOWN}, names=names) == {}
    assert _differences({"n": "r1-weac-x"}, {"n": "r2"}, names=names) == {"n": ("r1-…-x", "r2")}
    assert _differences({"n": "plain"}, {"n": UNKNOWN}, recreated=True) == {}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
def test_a_value_does_not_differ_from_itself(value: Any) -> None:
    assert fields.differences(value, value) == ()


def _report(text: str) -> Report:
    """A report with `text` in every place that has one."""
    change = FieldChange(path=text, before=text, after=text)
    environment = Environment(
        name=text,
        base="failed",
        base_error=text,
        error=text,
        failed="up",
        config=(change,),
        gpus=(1, 2),
        price=(None, 1.0),
        impacts=(
            Impact(op="update", what="graph", name=text, gpus=8, roles=(text,)),
            Impact(op="replace", what="cluster", name=text, gpus=0),
        ),
        stacks=(
            Stack(name=text, op="replace", layouts=(text, text), gpus=(8, 8), fields=(change,), down_minutes=21.0),
            Stack(name=text, op="update", layouts=(text, ""), gpus=(8, 8), fields=(change,) * 20),
        ),
        resources=tuple(Resource(op="update", kind=text, name=text, fields=(change,)) for _ in range(20)),
        warnings=(text,),
    )
    return Report(base=text, head=text, packages=(change,), environments=(environment,))


def _tokens(text: str) -> list[Token]:
    found = MarkdownIt("commonmark").enable("table").parse(text)
    return [inner for token in found for inner in [token, *(token.children or [])]]


OURS = {
    "<details><summary>20 updated</summary>",
    "<details><summary>20 fields of its graph and arguments</summary>",
    "</details>",
}


@pytest.mark.parametrize("text", HOSTILE)
def test_a_text_of_the_report_is_code_and_nothing_else(text: str) -> None:
    _assert_harmless(text)


@given(st.text(alphabet="`~|\\<>[]()!@#*_\n\r\t abc/:&\u202e\x1b", max_size=60))
def test_no_text_whatever_becomes_markdown(text: str) -> None:
    _assert_harmless(text)


def _assert_harmless(text: str) -> None:
    shown = markdown.render(_report(text))
    plain = markdown.render(_report("x"))
    tokens, expected = _tokens(shown), _tokens(plain)
    kinds = {"link_open", "image", "html_inline", "heading_open", "table_open", "tr_open", "td_open", "fence"}
    # The structure is that of a report with harmless texts.
    assert [t.type for t in tokens if t.type in kinds] == [t.type for t in expected if t.type in kinds]
    assert {line for t in tokens if t.type == "html_block" for line in t.content.splitlines()} == OURS
    assert {t.content for t in tokens if t.type == "text"} == {t.content for t in expected if t.type == "text"}
    assert not any(
        (ord(char) < 32 and char not in "\n\t") or char in "\u202e\u2066\ufeff\u3164\u2800\U000e0101" for char in shown
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "format"),
        ({"base": "x" * (model.LONGEST + 1)}, "base"),
        ({"base": 1}, "base"),
        ({"more": 1}, "more"),
        ({"environments": [{"name": "dev"}] * 51}, "environments"),
        ({"environments": [{"name": "dev", "gpus": [-1, 0]}]}, "gpus"),
        ({"environments": [{"name": "dev", "price": ["NaN", None]}]}, "price"),
        ({"environments": [{"name": "dev", "failed": "@team"}]}, "failed"),
    ],
)
def test_a_report_that_is_not_one_is_refused(change: dict[str, Any], reason: str) -> None:
    good = {"base": "a", "head": "b", "environments": []}
    Report.model_validate_json(json.dumps(good))
    with pytest.raises(ValidationError, match=reason):
        Report.model_validate_json(json.dumps({**good, **change}))


@pytest.mark.parametrize(
    ("ref", "said"),
    [
        ("no-such-branch", "git rev-parse: fatal: Needed a single revision; fetch it with its history: git fetch"),
        ("--output=x", "the base '--output=x' is not the name of a commit or branch"),
        ("", "the base '' is not the name of a commit or branch"),
    ],
)
def test_a_base_that_does_not_exist_ends_with_one_message(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], ref: str, said: str
) -> None:
    _repository(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: x\n")
    assert command.main([f"--base={ref}"], tmp_path) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"compare: {said}")
    assert error.count("\n") == 1


def test_a_folder_that_is_no_checkout_and_a_base_that_is_no_project_are_named(tmp_path: Path) -> None:
    with pytest.raises(trees.TreeError, match="run it in a Git checkout of the project"):
        trees.head(tmp_path)
    _repository(tmp_path)
    with pytest.raises(trees.TreeError, match=r"has no Pulumi\.yaml; run it in a checkout of the project"):
        trees.head(tmp_path)
    with pytest.raises(trees.TreeError, match=r"has no Pulumi\.yaml; choose a later base than HEAD"):
        trees.base(tmp_path, "HEAD", tmp_path / "base")


def test_a_package_differs_by_its_version_or_by_its_hashes_alone(tmp_path: Path) -> None:
    def tree(name: str, pulumi: str, digest: str) -> trees.Tree:
        root = tmp_path / name
        (root / "policy").mkdir(parents=True)
        (root / "Pulumi.yaml").write_text("name: x\n")
        text = (
            f"-r other.txt\npulumi=={pulumi} \\\n    --hash=sha256:{digest}\n# x==1\nA[b]==1 ; python_version > '3'\n"
        )
        (root / "requirements.txt").write_text(text)
        (root / "policy" / "requirements.txt").write_text(text)
        return trees.Tree(root, name)

    def found(base: trees.Tree, head: trees.Tree) -> list[tuple[str, str | None, str | None]]:
        return [(one.path.rsplit("]", 1)[-1], one.before, one.after) for one in assembled(base, head, []).packages]

    first = tree("1", "3.1.0", "0")
    assert found(first, first) == []
    assert found(first, tree("2", "3.2.0", "1")) == [(".pulumi.version", "3.1.0", "3.2.0")]
    [(path, before, after)] = found(first, tree("3", "3.1.0", "1"))
    assert path == ".pulumi.hashes"
    assert before != after


@pytest.mark.parametrize(
    ("content", "shown"),
    [
        ("config: {1: 2}", {"1": "2"}),
        ("config: {x:y: 2020-01-01}", {"x:y": "2020-01-01"}),
        ("config: {a: &a [*a]}", {}),
        ("config: " + "[" * 3000, {}),
        ("config: {p:x: " + "[" * 60 + "]" * 60 + "}", {}),
        ('config: {a: "\\ud800x"}', {"a": "?x"}),
        ("- a", {}),
        ("secretsprovider: gcpkms://k\nencryptedkey: AAAAbbbbbb", {"secretsprovider": "gcpkms://k"}),
        ("config: {p:ngcApiKey: nvapi-made-up-1234567890}", {"p:ngcApiKey": "(hidden)"}),
        ("config: {p:hfToken: {secure: v1:xxxxxxxxx123456}}", {"p:hfToken": "(secret, ciphertext …123456)"}),
        ("config: {p:note: 'use hf_abcdefghijklmnopqrstuvwxyzabcdef'}", {"p:note": "use (hidden)"}),
        ("config: {p:max-total-tokens: 8192}", {"p:max-total-tokens": "8192"}),
    ],
)
def test_any_stack_file_is_compared_and_no_secret_of_it_shown(
    tmp_path: Path, content: str, shown: dict[str, str]
) -> None:
    for name in ("base", "head"):
        (tmp_path / name).mkdir()
    (tmp_path / "head" / "Pulumi.dev.yaml").write_text(content, encoding="utf-8")
    base, head = trees.Tree(tmp_path / "base", "base"), trees.Tree(tmp_path / "head", "head")
    found = {one.path: one.after for one in stack_files.changes(base, head, "dev")}
    assert found.pop("encryptedkey", "(secret, ciphertext …bbbbbb)") == "(secret, ciphertext …bbbbbb)"
    assert found == shown
    assert Environment(name="dev", config=stack_files.changes(base, head, "dev")).model_dump_json()


def test_names_of_stacks_may_have_dots_and_too_many_are_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _repository(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("name: x\n")
    for name in ("qa.eu", "qa"):
        (tmp_path / f"Pulumi.{name}.yaml").write_text("config: {}\n")
    assert trees.head(tmp_path).stacks == ["qa", "qa.eu"]
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "--quiet", "--message", "stacks")
    for index in range(60):
        (tmp_path / f"Pulumi.s{index}.yaml").write_text("config: {}\n")
    assert command.main(["--base=HEAD"], tmp_path) == 2
    assert capsys.readouterr().err.startswith("compare: there are 62 stack files")


def test_what_is_cut_closes_its_own_folds_and_not_those_in_code() -> None:
    text = "<details><summary>x</summary>\n\n" + "- `</details>` `<details>`\n" * 50 + "\n</details>\n"
    cut = cutting.shortened(text, 400, "_more_")
    assert cut.split("\n").count("</details>") == 1


def _git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false"]
    done = ["git", *identity, *arguments]
    subprocess.run(done, cwd=folder, check=True, capture_output=True)  # noqa: S603 - fixed arguments


def _repository(folder: Path) -> None:
    _git(folder, "init", "--quiet")
    (folder / "file").write_text("x")
    _git(folder, "add", "file")
    _git(folder, "commit", "--quiet", "--message", "x")
