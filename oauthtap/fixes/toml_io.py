"""Fixes as TOML: read from text, with line and key in every complaint, and written. Opens no file itself."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from oauthtap.fixes.model import Fix
from oauthtap.fixes.presets import presets


class FixError(Exception):
    """Text that is no list of fixes. The message names the line and the key, and ends in what to do."""


def read(text: str) -> tuple[Fix, ...]:
    """The fixes of a `fixes.toml`: its tables `[[fix]]`, in their order. Raises FixError."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise FixError(f"no TOML: {problem}") from None
    except RecursionError:
        raise FixError("no TOML of ours: lists in lists, hundreds deep. See docs/fixes.md") from None
    unknown = [key for key in document if key != "fix"]
    tables = document.get("fix", [])
    if unknown or not isinstance(tables, list):
        key = unknown[0] if unknown else "fix"
        raise FixError(f"line {_line(text, 0, (key,), top=True)}: `{key}` is not known here. Try: [[fix]]")
    return tuple(fix for number, table in enumerate(tables) for fix in _fixes(table, number, text))


def _fixes(table: Any, number: int, text: str) -> Sequence[Fix]:
    if isinstance(table, dict) and "use" in table:
        return _used(table, number, text)
    try:
        return (Fix.model_validate(table),)
    except ValidationError as problem:
        first = problem.errors()[0]
        place = tuple(str(part) for part in first["loc"] if not isinstance(part, int))
        where = ".".join(place) or "fix"
        words = first["msg"].removeprefix("Value error, ")
        raise FixError(f"line {_line(text, number, place)}: `{where}`: {words}. See docs/fixes.md") from None


def _used(table: dict[str, Any], number: int, text: str) -> Sequence[Fix]:
    """`use = "NAME"`: a preset, by its name or by the rule it cures."""
    extra = [key for key in table if key not in ("use", "value")]
    if extra:
        raise FixError(f"line {_line(text, number, (extra[0],))}: `{extra[0]}` does not go with `use`")
    try:
        return presets_for(str(table["use"]), str(table.get("value", "")))
    except FixError as problem:
        raise FixError(f"line {_line(text, number, ('use',))}: `use`: {problem}") from None


def presets_for(name: str, value: str = "") -> tuple[Fix, ...]:
    """The presets of that name, or that cure the rule of that name. Raises FixError when none goes with the value.

    With a value those that want one; without, those that want none, and of these the first for a stage.
    """
    named = [fix for fix in presets() if fix.name == name] or [fix for fix in presets() if name in fix.cures]
    if not named:
        raise FixError(f"there is no preset {name}")
    fits = [fix for fix in named if ("value" in fix.needs) is bool(value)]
    if not fits and value:
        raise FixError(f"{name} takes no value. Try: --fix {name}")
    if not fits:
        raise FixError(f"{name} needs a value, and oauthtap does not guess one. Try: --fix {name}=…")
    kinds: dict[tuple[str, ...], Fix] = {}
    for fix in fits:
        kinds.setdefault(fix.when.stage, fix)
    return tuple(fix.model_copy(update={"value": value}) for fix in kinds.values())


def write(fixes: Iterable[Fix], heading: str = "") -> str:
    """The text of a `fixes.toml` that reads back as these fixes."""
    lines = [f"# {line}".rstrip() for line in heading.splitlines()]
    for fix in fixes:
        lines += ["", "[[fix]]", *_written(fix)]
    return "\n".join(lines) + "\n"


def _written(fix: Fix) -> Iterable[str]:
    preset = next((one for one in presets() if one.name == fix.name), None)
    if preset is not None and preset.model_copy(update={"value": fix.value}) == fix:
        yield f"# {fix.says}"
        yield f"use = {_quoted(fix.name)}"
        if fix.value:
            yield f"value = {_quoted(fix.value)}"
        return
    told = fix.model_dump(mode="json", exclude_defaults=True)
    tables = {name: told.pop(name) for name in ("when", "answer", "request") if name in told}
    for key, value in told.items():
        yield f"{key} = {_value(value)}"
    for name, table in tables.items():
        yield f"[fix.{name}]"
        for key, value in table.items():
            yield f"{key} = {_quoted(json.dumps(value)) if key in ('merge', 'patch') else _value(value)}"


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_quoted(name)} = {_value(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    """A basic string; in a literal one where that reads better."""
    if '"' in text and "'" not in text and text.isprintable():
        return f"'{text}'"
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _line(text: str, number: int, place: tuple[str, ...], *, top: bool = False) -> int:
    """The line of a key within the numbered `[[fix]]` table; that of its header when the key is not written."""
    lines = text.split("\n")
    headers = [index for index, line in enumerate(lines) if re.match(r"\s*\[\[\s*fix\s*\]\]", line)]
    start = 0 if top or number >= len(headers) else headers[number]
    end = len(lines) if top or number + 1 >= len(headers) else headers[number + 1]
    for key in reversed(place):
        written = re.compile(rf"""(^\s*\[\[?|[\s{{,.]|^)["']?{re.escape(key)}["']?\s*(=|\]|\.)""")
        for index in range(start, end):
            if written.search(lines[index].partition("#")[0]):
                return index + 1
    return start + 1
