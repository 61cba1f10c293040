"""Text of others in Markdown, and secrets in text."""

from __future__ import annotations

import base64
import json
import random
import urllib.parse

import pytest
from hypothesis import given
from hypothesis import strategies as st

from change_report import safe_text
from github_workflows import cut as cutting
from github_workflows import masking, sections
from github_workflows.masking import MASK, Masker

KEY = "nvapi-made-up~key/with+signs&0123456789"
TOKEN = 'hf_made"up\\token<with>signs9876543210'
TEXT = st.text(st.sampled_from("`~ab \n<>!-@\u202e\r\x1b[m\t"), max_size=60)


@given(TEXT)
def test_a_block_ends_where_its_text_ends(text: str) -> None:
    first, *inner, last = safe_text.block(text, "diff").split("\n")
    fence = first.removesuffix("diff")
    assert last == fence
    assert set(fence) == {"`"}
    assert not any(line.strip().startswith(fence) for line in inner)


@given(TEXT)
def test_a_span_is_one_line_and_ends_where_its_text_ends(text: str) -> None:
    shown = safe_text.span(text)
    ticks = shown[: len(shown) - len(shown.lstrip("`"))]
    assert "\n" not in shown
    assert shown.endswith(ticks)
    assert ticks not in shown[len(ticks) : -len(ticks)]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]8;;https://a.example\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b]0;title\x07", ""),
        ("a\r\nb\rc", "a\nb\nc"),
        ("\x1b", "\\u001b"),
        ("\u202e\u2066\u200b\ufeff", "\\u202e\\u2066\\u200b\\ufeff"),
        ("\U000e0041\ud800\ue000\u2028\x85", "\\U000e0041\\ud800\\ue000\\u2028\\u0085"),
        ("tab\tä 漢 🙂", "tab\tä 漢 🙂"),
    ],
)
def test_what_hides_is_shown(text: str, shown: str) -> None:
    assert safe_text.plain(text) == shown


@given(st.text(st.sampled_from("ab\n"), max_size=200), st.integers(min_value=25, max_value=120))
def test_a_cut_in_the_middle_keeps_both_ends(text: str, most: int) -> None:
    cut = cutting.middle_cut(text, most)
    assert len(cut) <= most
    if len(text) > most:
        head, tail = cut.split("\n... (shortened) ...\n")
        assert text.startswith(head)
        assert text.endswith(tail)


def test_shortened_markdown_closes_what_it_opened() -> None:
    markdown = "# Title\n\n<details>\n\n````diff\n" + "```\n+ line <details>\n" * 50 + "````\n\n</details>"
    cut = cutting.shortened(markdown, 200, "_more_")
    assert len(cut) <= 200
    assert cut.splitlines()[-6:] == ["````", "", "</details>", "", "_more_"] or cut.endswith(
        "````\n\n</details>\n\n_more_"
    )


@given(st.lists(st.integers(min_value=0, max_value=90_000), min_size=1, max_size=4), st.integers(0, 100))
def test_a_text_of_sections_fits_and_can_be_read_back(lengths: list[int], seed: int) -> None:
    letters = random.Random(seed)  # noqa: S311 - text for a test
    parts = {
        f"s{index}": "\n".join("x" * letters.randint(0, 80) for _ in range(length // 40))
        for index, length in enumerate(lengths)
    }
    body = sections.assembled("<!-- marker -->", parts, ["s1"])
    assert len(body) <= sections.BODY_MOST
    found = sections.found_in(body)
    assert found.keys() == parts.keys()
    room = sections.BODY_MOST // len(parts) - 100
    assert all(found[name] == part for name, part in parts.items() if len(part) <= room)


def test_what_somebody_edited_on_the_page_is_still_read() -> None:
    body = sections.assembled("<!-- m -->", {"a": "one\ntwo", "b": "three"}, [])
    assert sections.found_in(body.replace("\n", "\r\n")) == {"a": "one\ntwo", "b": "three"}


DISGUISES = {
    "plaintext": KEY,
    "as JSON": json.dumps({"password": TOKEN}),
    "as JSON of Go": json.dumps({"password": KEY}).replace("&", r"\u0026"),
    "as JSON in JSON": json.dumps({"inner": json.dumps({"password": TOKEN})}),
    "as part of a URL": f"https://example.com/?token={urllib.parse.quote(KEY, safe='')}",
    "as hex digits": KEY.encode().hex(),
    **{f"as base64 ({shift})": base64.b64encode(f"{'x' * shift}{KEY}yy".encode()).decode() for shift in range(3)},
    "as URL base64": base64.urlsafe_b64encode(f"x{KEY}yyy".encode()).decode(),
    "as Docker config": base64.b64encode(
        json.dumps({"auths": {"nvcr.io": {"auth": base64.b64encode(f"$oauthtoken:{KEY}".encode()).decode()}}}).encode()
    ).decode(),
}


@pytest.mark.parametrize("disguise", [name for name in DISGUISES if name != "as Docker config"])
def test_a_secret_is_masked_in_every_disguise(disguise: str) -> None:
    masked = Masker([KEY, TOKEN]).masked(f"before {DISGUISES[disguise]} after")
    assert MASK in masked
    assert masked.startswith("before ")
    assert masked.endswith(" after")
    for secret in (KEY, TOKEN):
        assert not [form for form in masking.forms(secret) if form in masked]


def test_lines_of_a_secret_are_masked_one_by_one() -> None:
    secret = "-----BEGIN KEY-----\nabcdefghijkl\nmnopqrstuvwx\n-----END KEY-----"
    shown = "\n".join(f"  + {line}" for line in secret.splitlines())
    assert Masker([secret]).masked(shown).count(MASK) == 4


def test_what_is_too_short_to_tell_from_text_is_left() -> None:
    assert Masker(["prod", ""]).masked("stack prod") == "stack prod"


def test_only_secrets_of_the_config_are_taken_and_all_of_their_texts() -> None:
    shown = json.dumps(
        {
            "a:plain": {"value": "visible", "secret": False},
            "a:token": {"value": "hidden-1", "secret": True},
            "a:object": {"value": "x", "objectValue": {"k": ["hidden-2"], "n": 1}, "secret": True},
        }
    )
    assert sorted(masking.config_secrets(shown)) == ["hidden-1", "hidden-2", "x"]


@pytest.mark.parametrize("shown", ["", "[]", "error: x", "null"])
def test_without_the_config_nothing_can_be_masked(shown: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the JSON reader's error is one
        masking.config_secrets(shown)
