"""Positions of secrets, and of what is none, as lines of text: `tests/data/canaries/*.txt`.

A line is a place, a tab and a template. `§n` stands for a name, `§e` for it as a variable of an environment, `§w` as a
word of a program, `§v` for the secret, `§32` for so many letters and digits; `⟦q|…⟧` and its like encode, the inner
ones first. A line that begins with `?` is beyond what is promised, and only counted (`beyond`).
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

from oauthtap.model.exchange import Exchange, Request
from tests.support.positions import (
    PAD,
    answered,
    asked,
    b64,
    b64url,
    env,
    events,
    get,
    jwt,
    page,
    said,
    told,
    tool,
    word,
)

FOLDER = Path(__file__).parents[1] / "data" / "canaries"
HOST = "https://mcp.example.com"


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(": ")
    return name, value


def _parts(body: str) -> Exchange:
    return asked("multipart/form-data; boundary=b", f"--b\r\n{body}\r\n--b--\r\n")


PLACES: dict[str, Callable[[str], Exchange]] = {
    "hdr": lambda text: answered(_header(text)),
    "req": lambda text: get(f"{HOST}/mcp", _header(text)),
    "url": lambda text: get(HOST + text),
    "loc": lambda text: answered(("Location", text), status=302),
    "form": lambda text: asked("application/x-www-form-urlencoded", text),
    "part": _parts,
    "partlf": lambda text: asked("multipart/form-data; boundary=b", f"--b\n{text}\n--b--\n"),
    "json": lambda text: told("application/json", text),
    "lines": lambda text: told("application/json", text),
    "ask": lambda text: asked("application/json", text),
    "sse": lambda text: events(text),
    "xml": lambda text: told("application/xml", text),
    "page": page,
    "text": lambda text: told("text/plain", text),
    "tool": tool,
    "error": lambda text: Exchange(request=Request(method="GET", url=f"{HOST}/mcp"), error=text),
}
SHAPED: dict[str, Callable[[str], Exchange]] = {
    "in a tool's result": tool,
    "in an argument": lambda text: asked("application/json", json.dumps({"params": {"arguments": {"note": text}}})),
    "in an error": lambda text: said({"error": {"code": 1, "message": f"could not use {text} (402)"}}),
    "in a page": lambda text: page(f"<td>{text}</td>"),
    "in a parameter": lambda text: get(f"{HOST}/mcp?q={quote(text, safe='')}"),
    "in a header": lambda text: answered(("X-Note", re.sub(r"\s", " ", text))),
    "in an event": lambda text: events(f"data: {json.dumps({'delta': text})}"),
    "as a list": lambda text: said({"seen": [["a", text]]}),
}
ENCODINGS: dict[str, Callable[[str], str]] = {
    "q": lambda text: quote(text, safe=""),
    "b64": b64,
    "b64u": b64url,
    "jwt": lambda text: jwt(json.loads(text)),
    "qp": lambda text: "".join(c if c.isalnum() else f"={ord(c):02X}" for c in text),
    "gz": lambda text: base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode(),
    "defl": lambda text: base64.b64encode(zlib.compress(text.encode())[2:-4]).decode(),
    "up": lambda text: text.upper().translate(str.maketrans("0189", "2345")),
    "hex": lambda text: text.encode().hex(),
    "u16": lambda text: "\x00".join(text) + "\x00",
}
NAMES = {
    "third": (
        *("telegramBotToken", "CLIENT_SECRET", "admin-password", "x-goog-api-key", "vault.token", "appSecretKey"),
        *("user_passphrase", "API-KEY-2", "sessionToken", "webhook_signing_secret", "Jira-Api-Token"),
    ),
    "fourth": (
        *("mailerToken", "APP_SECRET", "rootPassword", "maps-api-key", "hmac.key", "oauth_client_secret"),
        *("Db-Password", "ACCESS_TOKEN_V2", "licenseKey", "cookie_secret", "bot-passphrase"),
    ),
}
"""The names of each lot."""
_ESCAPE = re.compile(r"\\(ufeff|u200b|[nrt\\])")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "ufeff": "\ufeff", "u200b": "\u200b"}


def lines(file: str, *, beyond: bool = False) -> Iterator[tuple[int, str, str]]:
    """Each line of a file of templates: its number, what stands before the tab, and behind it."""
    found = [line for line in (FOLDER / file).read_text("utf-8").split("\n") if line and not line.startswith("# ")]
    for number, line in enumerate(found):
        before, _, template = line.removeprefix("?").partition("\t")
        if beyond or not line.startswith("?"):
            yield number, before, template


def filled(template: str, secret: str, name: str = "") -> str:
    """The text that a template stands for."""
    text = template.replace("§n", name).replace("§e", env(name)).replace("§w", word(name)).replace("§v", secret)
    text = re.sub(r"§(\d+)", lambda match: (PAD * 2)[: int(match[1])], text)
    while (once := re.sub(r"⟦(\w+)\|([^⟦⟧]*)⟧", lambda match: ENCODINGS[match[1]](match[2]), text)) != text:
        text = once
    return text


def unescaped(place: str, template: str) -> str:
    """`\\n` and its like are the characters, but in JSON, which has its own."""
    return template if place in ("json", "ask") else _ESCAPE.sub(lambda match: _ESCAPES[match[1]], template)


def canaries(lot: str, mark: Callable[[str], str], *, beyond: bool = False) -> Iterator[tuple[str, str, Exchange]]:
    """Title, mark and exchange of each: a position with two names and values, a shape at two places."""
    names = NAMES[lot]
    for number, place, template in lines(f"{lot}-positions.txt", beyond=beyond):
        for turn in range(2 if "§n" in template or "§w" in template or "§e" in template else 1):
            name = names[(number * 3 + turn * 5) % len(names)]
            title = f"{lot}: {place} {template}, {name}"
            secret = (mark(title), f"Zq8{mark(title)}-x9", f"{mark(title)}+K/7w==", f"Vq_{mark(title)}.{PAD[:9]}")
            text = filled(unescaped(place, template), secret[(number + turn * 2) % 4], name)
            yield title, mark(title), PLACES[place](text)
    for number, shape, template in lines(f"{lot}-shapes.txt", beyond=beyond):
        for turn in range(2):
            where = list(SHAPED)[(number + turn * 3) % len(SHAPED)]
            title = f"{lot}: {shape}, {where}"
            yield title, mark(title), SHAPED[where](filled(unescaped("tool", template), mark(title)))


def harmless(lot: str) -> Iterator[tuple[str, str, Exchange]]:
    """A line, what of it has to stay readable, and the exchange."""
    for _, place, template in lines(f"{lot}-harmless.txt"):
        text = unescaped(place, template)
        exchange = PLACES[place](text.replace("«", "").replace("»", ""))
        for kept in re.findall("«([^»]*)»", text):
            yield f"{place} {template}", kept, exchange
