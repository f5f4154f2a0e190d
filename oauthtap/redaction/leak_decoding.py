"""A text as `oauthtap verify` reads it once it is decoded: URLs, HTML, JSON, base64, the claims of tokens."""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, unquote, unquote_plus

from oauthtap.model.exchange import Exchange, Request

JWT = re.compile(r"(?<![\w.-])ey[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*(?:\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]+)?")


def is_jwt(text: str) -> bool:
    """Its first part is the header of a JWT (RFC 7519, 5)."""
    part = text.partition(".")[0]
    try:
        header = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        return False
    return isinstance(header, dict) and bool({"alg", "typ", "enc", "kid"} & header.keys())


def parsed_json(text: str) -> Any:
    """The object or list that the text is; None for any other text."""
    stripped = text.strip()
    if stripped[:1] not in ("{", "["):
        return None
    try:
        return json.loads(stripped)
    except (ValueError, RecursionError):
        return None


def named_values(exchange: Exchange) -> Iterator[tuple[str, str]]:
    """Name and value of whatever has a name in an exchange, in the claims of tokens too."""
    for message in (exchange.request, exchange.response, exchange.delivered_response, exchange.forwarded_request):
        if message is None:
            continue
        yield from message.headers
        for text in (message.body or "", *(value for _, value in message.headers)):
            yield from parse_qsl(text.partition("?")[2] or text) if "=" in text and len(text) < 100_000 else ()
            for match in re.finditer(r'"([\w./-]{1,60})\\*"\s*:\s*\\*"([^"\\]{1,4000})', text):
                yield match[1], match[2]
            for match in re.finditer(r"\b(s256|boundary|client_id)=([\w.%~-]+)", text):
                yield match[1], unquote(match[2])
        if isinstance(message, Request):
            yield from parse_qsl(message.url.partition("?")[2])


def views(text: str) -> Iterator[str]:
    """The text as those read it who decode it, where that says something else."""
    seen = {text}
    for decode in (
        unquote,
        html.unescape,
        without_escapes,
        lambda one: html.unescape(without_escapes(unquote(unquote(one)))),
        lambda one: html.unescape(html.unescape(without_escapes(unquote(unquote(unquote(one)))))),
    ):
        if (view := decode(text)) not in seen:
            seen.add(view)
            yield view
    for run in re.findall(r"(?<![\w+/.-])(?!ey[\w-]*\.)[A-Za-z0-9+/_-]{24,4000}={0,2}(?![\w.-])", text)[:50]:
        hidden = from_base64(run)
        if hidden is not None and hidden.isprintable() and hidden not in seen:
            seen.add(hidden)
            yield hidden


def readings(line: str) -> Iterator[str]:
    """For a value that is known: also at any offset of base64."""
    yield line
    deep = html.unescape(html.unescape(without_escapes(unquote_plus(unquote(line)))))
    yield from (unquote(unquote(line)), deep)
    for run in re.findall(r"[A-Za-z0-9+/_-]{12,}", without_escapes(unquote(unquote(line)))):
        for start in range(4):
            part = run[start:].translate(str.maketrans("-_", "+/"))
            part = part[:-1] if len(part) % 4 == 1 else part
            yield base64.b64decode(part + "=" * (-len(part) % 4)).decode("latin-1")


def without_escapes(text: str) -> str:
    """The text without JSON's escapes (RFC 8259, 7), however often it was escaped."""
    if "\\" not in text:
        return text
    text = re.sub(r"(?<!\\)\\+u([0-9a-fA-F]{4})", lambda match: chr(int(match[1], 16)), text)
    return re.sub(r"(?<!\\)\\+([/\"])", r"\1", text)


def from_base64(run: str) -> str | None:
    """What base64 or base64url says in ASCII; None where it is none."""
    plain = run.rstrip("=").translate(str.maketrans("-_", "+/"))
    if len(plain) % 4 == 1:
        return None
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode("ascii")
    except (ValueError, binascii.Error):
        return None
