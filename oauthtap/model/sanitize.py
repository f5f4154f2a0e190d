"""Upstream text made safe to show: it is data, never markup, never a terminal command."""

from __future__ import annotations

import re
import unicodedata

_KEEP = {"\n", "\t"}
_BIDI = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def escape_controls(text: str, *, limit: int | None = None, lines: bool = False) -> str:
    """The text with every control, escape and direction character written out (`\\x1b`).

    `limit`: at most so many characters, an ellipsis in place of the rest.
    `lines`: line ends and tabs may stay; otherwise they are written out too.
    """
    if limit is not None and len(text) > limit:
        text = text[: limit - 1] + "…"
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if _shows(c, lines) else c.encode("unicode_escape").decode("ascii") for c in text)


_SUSPECT = re.compile(r"[^\x20-\x7e\n\t]")


def escaped(text: str) -> str:
    """The text with the same characters written out as JSON does (`\\u001b`), so that JSON stays what it is.

    Line ends and tabs stay. For streams, behind which nobody looks any more.
    """
    return _SUSPECT.sub(lambda found: found[0] if _shows(found[0], lines=True) else _as_json(found[0]), text)


def _as_json(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place : place + 2].hex()}" for place in range(0, len(units), 2))


def _shows(character: str, lines: bool) -> bool:
    if character in _KEEP:
        return lines
    return character not in _BIDI and unicodedata.category(character) not in (
        "Cc",
        "Cf",
        "Cs",
        "Co",
        "Zl",
        "Zp",
    )
