"""One message of the page: its lines, each with the findings about it and the tokens decoded below it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from oauthtap.diagnosis.findings import Finding
from oauthtap.redaction.alias_format import ALIAS, claims, jose_header
from oauthtap.render.html.message_lines import Line, line_of
from oauthtap.render.labels import MARK

_TIMES = {"exp", "iat", "nbf", "auth_time", "client_secret_expires_at", "client_id_issued_at"}


@dataclass(frozen=True)
class Token:
    """A decoded token: its JOSE header and its claims, a member a line."""

    header: str
    claims: str | None


@dataclass(frozen=True)
class Piece:
    """Lines that stand in one element, and what stands below them."""

    text: str
    kind: str = ""
    """`patched`, `hit error`, …; empty for lines that nobody has anything to say about."""
    tokens: tuple[Token, ...] = ()
    findings: tuple[Finding, ...] = ()


def pieces(lines: Sequence[Line], findings: Iterable[Finding], changed: frozenset[str] = frozenset()) -> list[Piece]:
    """The lines, each with its findings and decoded tokens below it. `changed`: texts of lines that a patch touched.

    Lines without any are put together: thousands of elements would make the page slow.
    """
    about: dict[int, list[Finding]] = {}
    for finding in findings:
        about.setdefault(line_of(finding.at, lines), []).append(finding)
    made: list[Piece] = []
    quiet: list[str] = []
    for number, line in enumerate(lines):
        found, tokens = tuple(about.get(number, ())), tuple(_tokens(line.value))
        if not found and not tokens and line.text not in changed:
            quiet.append(line.text)
            continue
        made += _together(quiet)
        kind = "patched" if line.text in changed else f"hit {_worst(found)}" if found else "line"
        made.append(Piece(line.text or " ", kind, tokens, found))
    return [*made, *_together(quiet)]


def _together(quiet: list[str]) -> list[Piece]:
    text = "\n".join(quiet).rstrip("\n")
    quiet.clear()
    return [Piece(text)] if text else []


def _worst(findings: Sequence[Finding]) -> str:
    found = {finding.severity for finding in findings}
    return next(severity for severity in MARK if severity in found)


def _tokens(value: str) -> Iterator[Token]:
    """Every token in a value, decoded from its alias or, where it is public, from itself."""
    for text in [match[0] for match in ALIAS.finditer(value) if match["jwt"]] or [value]:
        header = jose_header(text)
        if header is not None:
            payload = claims(text)
            yield Token(_pretty(header), None if payload is None else _pretty(payload))


def _pretty(members: dict[str, Any]) -> str:
    return "\n".join(f"{name}: {_readable(name, value)}" for name, value in members.items())


def _readable(name: str, value: Any) -> str:
    shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if name in _TIMES and isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return f"{shown} ({datetime.fromtimestamp(value, UTC):%Y-%m-%d %H:%M:%S} UTC)"
        except (ValueError, OverflowError, OSError):
            return shown
    return shown
