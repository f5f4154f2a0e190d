"""Objects as Node prints them (`util.inspect`): `{ status: 401, error: undefined, stack: 'a' + 'b' }`. Never raises."""

from __future__ import annotations

import ast
import json
import re
from typing import Any

_TOKEN = re.compile(
    r"""\s+|(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`)|(?P<mark>[{}\[\]:,+])"""
    r"""|(?P<number>-?\d+(?:\.\d+)?(?=[\s,}\]]|$))|(?P<word>[^\s{}\[\]:,'"`]+)""",
    re.DOTALL,
)
_WORDS = {"undefined": None, "null": None, "true": True, "false": False}


class _Broken(Exception):
    pass


def read_object(text: str) -> dict[str, Any]:
    """The object that a text begins with, JSON or as Node prints it; an empty one when it begins with none."""
    try:
        value = json.loads(text)
        return value if isinstance(value, dict) else {}
    except (ValueError, RecursionError):
        pass
    try:
        value, _ = _value(_tokens(text), 0)
    except (_Broken, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _tokens(text: str) -> list[tuple[str, str]]:
    found, place = [], 0
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            break
        if match.lastgroup:
            found.append((match.lastgroup, match[0]))
        place = match.end()
    return found


def _value(tokens: list[tuple[str, str]], place: int) -> tuple[Any, int]:
    kind, text = tokens[place] if place < len(tokens) else ("", "")
    if text == "{" and kind == "mark":
        return _members(tokens, place + 1)
    if text == "[" and kind == "mark":
        return _items(tokens, place + 1)
    if kind == "text":
        value, place = _unquoted(text), place + 1
        while place + 1 < len(tokens) and tokens[place] == ("mark", "+") and tokens[place + 1][0] == "text":
            value, place = value + _unquoted(tokens[place + 1][1]), place + 2
        return value, place
    if kind == "number":
        return (float(text) if "." in text else int(text)), place + 1
    if kind == "word":
        if text not in _WORDS and place + 1 < len(tokens) and tokens[place + 1] == ("mark", "{"):
            return _members(tokens, place + 2)  # `Headers { … }`: the name of its class stands before it
        return _WORDS.get(text, text), place + 1
    raise _Broken


def _members(tokens: list[tuple[str, str]], place: int) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    while place < len(tokens):
        kind, text = tokens[place]
        if (kind, text) == ("mark", "}"):
            return found, place + 1
        if (kind, text) == ("mark", ","):
            place += 1
            continue
        if kind not in ("text", "word", "number") or tokens[place + 1 : place + 2] != [("mark", ":")]:
            raise _Broken
        value, place = _value(tokens, place + 2)
        found[_unquoted(text) if kind == "text" else text] = value
    raise _Broken


def _items(tokens: list[tuple[str, str]], place: int) -> tuple[list[Any] | None, int]:
    found: list[Any] = []
    while place < len(tokens):
        if tokens[place] == ("mark", "]"):
            # `[Object]` stands for what lies too deep to be printed.
            return (None if found in (["Object"], ["Array"]) else found), place + 1
        if tokens[place] == ("mark", ","):
            place += 1
            continue
        value, place = _value(tokens, place)
        found.append(value)
    raise _Broken


def _unquoted(text: str) -> str:
    try:
        value = ast.literal_eval(text if text[0] != "`" else f"'''{text[1:-1]}'''")
    except (ValueError, SyntaxError):
        return text[1:-1]
    return value if isinstance(value, str) else text[1:-1]
