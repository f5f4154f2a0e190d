"""What credentials look like: the short way past a text in which nothing is long enough to be one."""

from __future__ import annotations

import re
import tomllib
from importlib.resources import files
from typing import Any

import pytest

from oauthtap.redaction import shapes

SHAPES: list[dict[str, Any]] = tomllib.loads((files("oauthtap.redaction") / "shapes.toml").read_text("utf-8"))["shape"]
BLANKS = re.compile(r"\\s|\[\^| ")
BEFORE = re.compile(r"\(\?<=[^ )]+ ?\)")
"""What has to stand before a credential, in the same word or in the one before it."""


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: str(shape["id"]))
def test_no_shape_is_passed_by_where_a_text_is_looked_at_by_its_long_words(shape: dict[str, Any]) -> None:
    least, _ = re._parser.parse(shape["pattern"]).getwidth()  # type: ignore[attr-defined]
    assert least >= shapes.SHORTEST
    in_one_word = not BLANKS.search(BEFORE.sub("", shape["pattern"]))
    assert in_one_word or all(len(hint) >= shapes.SHORTEST for hint in shape["hints"])


@pytest.mark.parametrize(
    "text",
    ["Authorization: SSWS 00abcdefghijklmnopqrstuvwx", '{"key": "sk-proj-abcdefghijklmnop1234"}', "xoxa-abcd1234"],
)
def test_a_credential_among_short_words_is_struck(text: str) -> None:
    assert shapes.strike(f"a b c {text} d e", lambda kind, value: "‹struck›").count("‹struck›") == 1
