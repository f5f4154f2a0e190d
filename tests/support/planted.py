"""Canaries by name and by shape: every position x every kind of name, encodings, and the tokens of known services.

Each is an exchange with one secret in it, which nobody has told oauthtap before. The secret holds a mark of its own, so
that one search over a text, decoded in every way, finds whichever is left.
"""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote

from oauthtap.model.exchange import Exchange, Request, Response
from tests.support import later_positions, templates
from tests.support.canaries import readings
from tests.support.positions import FRESH_NAMES, FRESH_PLACES, FRESH_SHAPES, POSITIONS

URL = "https://mcp.example.com/mcp"
MARK = re.compile(r"cnry[0-9a-f]{12}", re.IGNORECASE)

NAMES = (
    "access_token", "slackBotToken", "SLACK_TOKEN", "my.auth.token", "client-secret", "webhookSecret", "dbPassword",
    "DB_PASSWORD", "wifi_passphrase", "pwd", "x-api-key", "googleApiKey", "signing_key", "deploy-key", "x-auth-user-7",
    "jwt", "sig", "bearer_assertion", "sessionCookie", "session", "X-CSRF-Token", "private_key", "service_credentials",
)  # fmt: skip
"""With prefixes and suffixes, in every casing; what the issue names, and its neighbours."""


def _get(url: str = URL, headers: tuple[tuple[str, str], ...] = (), response: Response | None = None) -> Exchange:
    return Exchange(request=Request(method="GET", url=url, headers=headers), response=response)


def _asked(kind: str, body: str) -> Exchange:
    headers = (("Content-Type", kind),)
    return Exchange(request=Request(method="POST", url=URL, headers=headers, body=body), response=Response(status=202))


def _told(kind: str, body: str) -> Exchange:
    return _get(response=Response(status=200, headers=(("Content-Type", kind),), body=body))


def _tool(text: str) -> Exchange:
    result = {"jsonrpc": "2.0", "id": 7, "result": {"content": [{"type": "text", "text": text}]}}
    return _told("application/json", json.dumps(result))


def _arguments(arguments: object) -> Exchange:
    call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "t", "arguments": arguments}}
    return _asked("application/json", json.dumps(call))


def _part(name: str, value: str) -> str:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n--b--\r\n'


def _said(**members: object) -> Exchange:
    return _told("application/json", json.dumps({"note": "x", **members}))


NAMED: dict[str, Callable[[str, str], Exchange]] = {
    "request header": lambda n, v: _get(headers=((n.replace(".", "-"), v),)),
    "response header": lambda n, v: _get(response=Response(status=200, headers=((n.replace(".", "-"), v),))),
    "query": lambda n, v: _get(f"{URL}?a=1&{n}={quote(v)}"),
    "fragment": lambda n, v: _get(
        response=Response(status=302, headers=(("Location", f"https://c.example/#{n}={v}"),))
    ),
    "nested query": lambda n, v: _get(f"{URL}?next={quote(f'https://c.example/x?{n}={quote(v)}&b=2', safe='')}"),
    "form": lambda n, v: _asked("application/x-www-form-urlencoded", f"a=1&{n}={quote(v)}"),
    "multipart": lambda n, v: _asked("multipart/form-data; boundary=b", _part(n, v)),
    "cookie": lambda n, v: _get(headers=(("Cookie", f"theme=dark; {n}={v}"),)),
    "set-cookie": lambda n, v: _get(response=Response(status=200, headers=(("Set-Cookie", f"{n}={v}; Path=/"),))),
    "json": lambda n, v: _said(**{n: v}),
    "json array": lambda n, v: _said(**{f"{n}s" if not n.endswith("s") else n: ["first", v]}),
    "json object": lambda n, v: _said(**{n: {"type": "static", "value": v}}),
    "json in json": lambda n, v: _said(text=json.dumps({n: v})),
    "json three deep": lambda n, v: _said(text=json.dumps({"inner": json.dumps({n: v})})),
    "json pair": lambda n, v: _said(env=[{"name": n, "value": v}]),
    "json list": lambda n, v: _said(headers=[[n, v]]),
    "tool arguments": lambda n, v: _arguments({"config": {n: v}}),
    "tool result": lambda n, v: _tool(json.dumps({n: v}, indent=1)),
    "environment": lambda n, v: _tool(f"HOME=/root\n{n.replace('.', '_').replace('-', '_')}={v}\nLANG=C"),
    "yaml": lambda n, v: _told("application/yaml", f"server:\n  {n}: {v}\n  port: 80\n"),
    "yaml in json": lambda n, v: _tool(f'server:\n  {n}: "{v}"\n'),
    "text": lambda n, v: _told("text/plain", f"Could not connect with {n}={v}, try again"),
    "xml": lambda n, v: _told("application/xml", f"<c><n:{n} a='1'>{v}</n:{n}></c>"),
    "xml attribute": lambda n, v: _told("application/xml", f'<add key="{n}" value="{v}" />'),
    "html field": lambda n, v: _told("text/html", f"<form><input type='hidden' value='{v}' name='{n}'></form>"),
    "html meta": lambda n, v: _told("text/html", f'<meta name="{n}" content="{v}">'),
    "script": lambda n, v: _told("text/html", f"<script>var c = {{'{n}': '{v}'}}</script>"),
    "stream": lambda n, v: _told("text/event-stream", f"event: message\ndata: {json.dumps({n: v})}\n\n"),
    "error": lambda n, v: Exchange(request=Request(method="GET", url=URL), error=f"GET {URL}?{n}={v} failed"),
}
"""Where something has a name."""


def _unicode(text: str) -> str:
    return "".join(f"\\u{ord(character):04x}" for character in text)


ENCODED: dict[str, Callable[[str], Exchange]] = {
    "%XX of every character, in a form": lambda v: _asked(
        "application/x-www-form-urlencoded", f"db_password={''.join(f'%{ord(c):02X}' for c in v)}"
    ),
    "%XX of the name too": lambda v: _asked("application/x-www-form-urlencoded", f"%64b_%70assword={quote(v)}"),
    "\\u of every character": lambda v: _told("application/json", f'{{"db_password": "{_unicode(v)}"}}'),
    "\\u of the name too": lambda v: _told("application/json", f'{{"db_\\u0070assword": "{_unicode(v)}"}}'),
    "&#N; of every character": lambda v: _told(
        "text/html", f"<input name='db_password' value='{''.join(f'&#{ord(c)};' for c in v)}'>"
    ),
    "&quot; around": lambda v: _told("text/html", html.escape(json.dumps({"db_password": v}))),
    "JSON in a URL": lambda v: _get(f"{URL}?q={quote(json.dumps({'db_password': v}))}"),
    "JSON in a URL, twice": lambda v: _get(f"{URL}?q={quote(quote(json.dumps({'db_password': v})))}"),
    "JSON in base64": lambda v: _get(
        f"{URL}?cursor={base64.urlsafe_b64encode(json.dumps({'dbPassword': v}).encode()).decode()}"
    ),
    "Bearer in a URL": lambda v: _get(f"{URL}?h={quote('Bearer ' + v)}"),
}  # fmt: skip
"""The same where name and value are encoded, in full."""

ECHOED: dict[str, Callable[[str], str]] = {
    "%XX": lambda v: "".join(f"%{ord(c):02x}" for c in v),
    "%25XX": lambda v: "".join(f"%25{ord(c):02X}" for c in v),
    "&#N;": lambda v: "".join(f"&#{ord(c)};" for c in v),
    "&#xN;": lambda v: "".join(f"&#x{ord(c):X};" for c in v),
    "\\u": _unicode,
    "\\\\u": lambda v: _unicode(v).replace("\\", "\\\\"),
    "half %XX": lambda v: "".join(c if i % 2 else f"%{ord(c):02X}" for i, c in enumerate(v)),
    "base64": lambda v: base64.b64encode(f"x{v}y".encode()).decode(),
}
"""How a server repeats a secret that has been in its place."""

PAD = "aB3dE6gH9jK2mN5pQ8rS1tU4vW7xY0zA"
SHAPES: dict[str, Callable[[str], str]] = {
    "github": lambda m: f"ghp_{m}{PAD[:20]}",
    "github app": lambda m: f"ghs_{m}{PAD[:20]}",
    "github fine-grained": lambda m: f"github_pat_{m}{PAD}_{PAD}1",
    "gitlab": lambda m: f"glpat-{m}{PAD[:4]}",
    "slack bot": lambda m: f"xoxb-123456789012-1234567890123-{m}{PAD[:8]}",
    "slack app": lambda m: f"xapp-1-A012-3456789-{m}",
    "slack webhook": lambda m: f"https://hooks.slack.com/services/T0123456/B0123456/{m}{PAD[:8]}",
    "stripe": lambda m: f"sk_live_{m}{PAD[:8]}",
    "stripe restricted": lambda m: f"rk_test_{m}{PAD[:8]}",
    "aws": lambda m: f"AKIA{m.upper().replace('0', '2').replace('1', '3').replace('8', '4').replace('9', '5')}",
    "google": lambda m: f"AIza{m}{PAD[:19]}",
    "google token": lambda m: f"ya29.{m}{PAD}",
    "openai": lambda m: f"sk-proj-{m}{PAD}",
    "openai old": lambda m: f"sk-{m}{PAD}",
    "anthropic": lambda m: f"sk-ant-api03-{m}{PAD}{PAD}",
    "npm": lambda m: f"npm_{m}{PAD[:20]}",
    "pypi": lambda m: f"pypi-AgEIcHlwaS5vcmc{m}{PAD}{PAD}",
    "huggingface": lambda m: f"hf_{m}{PAD[:18]}",
    "sendgrid": lambda m: f"SG.{m}{PAD[:6]}.{PAD}{PAD[:11]}",
    "pem": lambda m: f"-----BEGIN RSA PRIVATE KEY-----\n{PAD}{m}{PAD}\n{PAD}\n-----END RSA PRIVATE KEY-----",
    "user in a url": lambda m: f"https://deploy:{m}@git.example.com/x.git",
    "dsn": lambda m: f"postgresql+asyncpg://app:{m}@db.example.com:5432/app",
    "redis": lambda m: f"redis://:{m}@cache.example.com:6379/0",
    "bearer": lambda m: f"Bearer {m}",
    "basic": lambda m: f"Basic {base64.b64encode(f'admin:{m}'.encode()).decode()}",
    "curl": lambda m: f"curl -H 'Authorization: Bearer {m}' https://a.example",
    "curl user": lambda m: f"curl -u admin:{m} https://a.example",
    "jwt": lambda m: f"eyJhbGciOiJIUzI1NiJ9.eyJhdWQiOiJhIn0.{m}",
    "storage": lambda m: f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={m}{PAD}{PAD}=={''}",
}  # fmt: skip

ANYWHERE: dict[str, Callable[[str], Exchange]] = {
    "response header": lambda v: _get(response=Response(status=200, headers=(("X-Note", v.replace("\n", "\\n")),))),
    "json": lambda v: _said(text=f"use {v} here"),
    "tool result": lambda v: _tool(f"Your configuration:\n{v}\nend"),
    "tool arguments": lambda v: _arguments({"command": v}),
    "text": lambda v: _told("text/plain", f"failed: {v} was refused"),
    "html": lambda v: _told("text/html", f"<p>{html.escape(v)}</p>"),
    "query": lambda v: _get(f"{URL}?q={quote(v, safe='')}"),
    "json in json": lambda v: _said(text=json.dumps({"a": json.dumps({"b": v})})),
    "%XX": lambda v: _get(f"{URL}?q={''.join(f'%{ord(c):02X}' for c in v)}"),
    "\\u": lambda v: _told("application/json", f'{{"a": "{_unicode(v)}"}}'),
    "error": lambda v: Exchange(request=Request(method="GET", url=URL), error=f"could not use {v}"),
}
"""Where nothing has a name."""

PATHS: dict[str, Callable[[str], Exchange]] = {
    "random segment": lambda m: _get(f"https://mcp.example.com/s/{m}{PAD[:12]}/mcp"),
    "location": lambda m: _get(response=Response(status=302, headers=(("Location", f"/go/{m}{PAD[:12]}"),))),
    "named segment": lambda m: _get(f"https://mcp.example.com/token/{m}"),
    "matrix": lambda m: _get(f"https://mcp.example.com/a;jsessionid={m}/x"),
    "userinfo": lambda m: _get(f"https://me:{m}@mcp.example.com/mcp"),
    "referer": lambda m: _get(headers=(("Referer", f"https://a.example/reset/{m}{PAD[:12]}"),)),
}


@dataclass(frozen=True)
class Canary:
    """One secret, and the exchanges by which it comes."""

    name: str
    mark: str
    exchanges: tuple[Exchange, ...]


def _mark(name: str) -> str:
    """Letters and digits in no order, the same in every run."""
    return f"cnry{hashlib.sha256(name.encode()).hexdigest()[:12]}"


def planted() -> Iterator[Canary]:
    """Every canary."""
    for position, named in NAMED.items():
        for name in NAMES:
            title = f"named: {position}, {name}"
            yield Canary(title, _mark(title), (named(name, f"{_mark(title)}-Zq8"),))
    for encoding, encoded in ENCODED.items():
        title = f"encoded: {encoding}"
        yield Canary(title, _mark(title), (encoded(f"{_mark(title)}-Zq8"),))
    for encoding, echoed in ECHOED.items():
        for kind in ("text/plain", "application/json"):
            title = f"echoed: {encoding} in {kind}"
            secret = f"{_mark(title)}+Zq/8"
            issued = _told("application/json", json.dumps({"access_token": secret, "token_type": "Bearer"}))
            said = echoed(secret)
            body = f"it was {said} I think" if kind == "text/plain" else f'{{"a": "{said}"}}'
            yield Canary(title, _mark(title), (issued, _told(kind, body)))
    for position, anywhere in ANYWHERE.items():
        for shape, shaped in SHAPES.items():
            title = f"shaped: {position}, {shape}"
            mark = _mark(title)
            if shape == "aws":
                mark = mark.upper().replace("0", "2").replace("1", "3").replace("8", "4").replace("9", "5")
            yield Canary(title, mark, (anywhere(shaped(_mark(title))),))
    for position, at in PATHS.items():
        title = f"path: {position}"
        yield Canary(title, _mark(title), (at(_mark(title)),))
    title = "public: a token that was the state before"
    secret = f"{_mark(title)}-Zq8"
    asked = _get(f"https://as.example/authorize?state={secret}")
    issued = _told("application/json", json.dumps({"access_token": secret}))
    yield Canary(title, _mark(title), (issued, _tool(f"it was {secret}")) if asked is None else (asked, issued))


def invented() -> Iterator[Canary]:
    """Every canary at a position that nobody listed, four names at each; every shape at four places."""
    for place, (position, named) in enumerate(POSITIONS.items()):
        for turn in range(4):
            name = FRESH_NAMES[(place * 5 + turn * 3) % len(FRESH_NAMES)]
            title = f"invented: {position}, {name}"
            mark = _mark(title)
            value = (mark, f"{mark}-Zq8", f"Zq8/{mark}+x==", f"Zq!{mark}.9")[turn]
            yield Canary(title, mark, (named(name, value),))
    for place, (position, named) in enumerate(later_positions.POSITIONS.items()):
        for turn in range(4):
            name = later_positions.NAMES[(place * 3 + turn * 3) % len(later_positions.NAMES)]
            title = f"invented later: {position}, {name}"
            mark = _mark(title)
            yield Canary(title, mark, (named(name, (mark, f"{mark}-Zq8", f"Zq8/{mark}+x==", f"Zq!{mark}.9")[turn]),))
    places = list(FRESH_PLACES.items())
    for number, (shape, shaped) in enumerate(FRESH_SHAPES.items()):
        for turn in range(4):
            position, anywhere = places[(number + turn * 5) % len(places)]
            title = f"invented: {position}, {shape}"
            yield Canary(title, _mark(title), (anywhere(shaped(_mark(title))),))


def templated(lot: str) -> Iterator[Canary]:
    """Every canary of a lot of templates that the search can find again: it does not unpack gzip or hexadecimal."""
    for title, mark, exchange in templates.canaries(lot, _mark):
        if mark.lower() in left_in(exchange.as_json()):
            yield Canary(title, mark, (exchange,))


def left_in(text: str) -> set[str]:
    """The marks that stand in a text, in whatever encoding, in lower case."""
    return {found.lower() for reading in readings(text) for found in MARK.findall(reading)}
