"""Drafts of exchanges, as far as a text shows them, and the recording they make.

What a text does not show is unseen: a body is None, a message whose header lines it does not all show is
`partial`, and the exchanges are an `excerpt`, since others may have happened that the text says nothing of.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from oauthtap.clients import profiles
from oauthtap.model.exchange import BLANKED, Actor, Exchange, Pairs, Request, Response
from oauthtap.model.recording import Recording

STAND_IN = "https://host-not-shown.invalid"
"""The origin of paths of which the text does not show whose they are."""
TOKEN = "‹token 1›"
CHALLENGE = "-".join([BLANKED] * 6) + "-u"
STATE = "-".join([BLANKED] * 4)

_ENDPOINT = re.compile(r"/(?:mcp|sse)(?:/[\w-]+)?/?$")
_STEP = re.compile(
    r"/(?:token|register|registration|clients-registrations|revoke|introspect|authorize|login|par)\b|-endpoint-not-shown",
    re.I,
)
"""Paths of other endpoints of a sign-in."""
_MCP_LINE = re.compile(r"^[^\S\n]*# mcp: (\S+)\s*$", re.MULTILINE)
_METADATA = re.compile(r'resource_metadata="?(https?://[^/"\s,]+)')
_RESOURCE = re.compile(r'"resource"\s*:\s*"(https?://[^/"\s]+)')
_ELIDED = re.compile(
    r"^(?:\*+|x{3,}|…+|\.{3,}|<[^>]*>|\[[^\]]*\]|\$\{?\w+\}?|.*(?:\.\.\.|…|\*{3}|REDACTED|redacted).*)$", re.I
)
_PARAMETER = re.compile(r"(?<=[?&])([\w.-]+)=([^&#]*)(&|(?=#|$))")
_BLANKED = re.compile(
    r"^(?:\*{2,}|[Xx]{3,}|…+|\.{3,}|<.*>|%3C.*%3E|\[.*\]|%5B.*%5D|.*(?:\.{3}|…|%E2%80%A6|redacted).*)$", re.I
)
_ELIDED_CHALLENGE = re.compile(r"=\s*[\"“]?(?:…|\.{3}|\*{3,}|<[^<>\n]{1,60}>)[\"”]?\s*(?:,|$)")
_SHORT = 8
"""A `code_challenge` with fewer characters than that was blanked by whoever pasted it: nothing hashes to so few."""
_ELIDED_MEMBERS = re.compile(r"(?:,|(?<!\s))\s*(?:\.\.\.|…)\s*(?=[}\]])|(?<=[{\[])\s*(?:\.\.\.|…)\s*,?")
_COMMA_TOO_MANY = re.compile(r",\s*([}\]])")
_ASKS = re.compile(r"[?&](?:client_id|response_type|request_uri)=")
_AUTHORIZE = re.compile(
    r"^(?!.*/\.well-known/).*(?:/authorize/?$|/oauth2?/(?:v\d(?:\.\d)?/)?auth/?$|/openid-connect/auth/?$)"
)
_BROWSER = re.compile(r"^Mozilla/5\.0 .*(?:Gecko|WebKit).*(?:Chrome|Firefox|Safari|Edg)/")
_PAGES = re.compile(r"/(?:authorize|auth|login|signin|sign-in|consent|oauth2?/authorize)(?:$|[/?])", re.I)


@dataclass
class Draft:
    """One exchange as far as a text shows it. `target` is a URL, or a path."""

    method: str
    target: str
    headers: list[tuple[str, str]] = field(default_factory=list)
    headers_shown: bool = False
    """Every header line of the request is there."""
    absent: tuple[str, ...] = ()
    """Headers (in lower case) that were not sent, as the text says."""
    body: str | None = None
    status: int | None = None
    answer_headers: list[tuple[str, str]] = field(default_factory=list)
    answer_headers_shown: bool = False
    answer_body: str | None = None
    cut: bool = False
    """Of the answer's body only a part is there."""
    error: str | None = None
    started_at: float | None = None
    duration: float | None = None
    actor: Actor = "client"
    role: str | None = None
    method_shown: bool = True
    """False for a URL told with its status alone: such a sentence may tell an exchange again."""
    sse: bool = False
    """The stream of the older SSE transport, which a client opens with GET."""
    of_prose: bool = False
    """A sentence tells it by one segment of a path, without a method."""
    summary: bool = False
    """A sentence about several requests, which other lines may tell one by one."""
    reported: bool = False
    """A line of an error log tells it: the access log may have it, too."""
    presumed: bool = False
    """The status is not shown: it is what the body implies."""


def recording(
    drafts: Sequence[Draft], text: str, *, client: str | None = None, upstream: str | None = None, what: str,
    notes: Iterable[str] = (), until: float | None = None, said: Iterable[str] = (),
) -> Recording:  # fmt: skip
    """The recording that drafts make. `text`: where the origin of paths may stand; `what`: what it was read from."""
    named = _MCP_LINE.search(text)
    upstream = named[1] if named else upstream
    base = origin_of(upstream or "") or _origin_in(drafts, text)
    told = [f"read from {what}: what it leaves out is not judged", *notes]
    exchanges: list[Exchange] = []
    for number, draft in enumerate(drafts, 1):
        url, base = _placed(draft, base)
        exchanges.append(_exchange(draft, url, number))
        if draft.presumed:
            told.append(f"the status of exchange {number} is not shown; {draft.status} is what the answer implies")
    upstream = upstream or _mcp_url(exchanges)
    if any(exchange.request.url.startswith(STAND_IN) for exchange in exchanges):
        told.append(
            "the host is not shown. Try: put a first line `# mcp: https://HOST/PATH` (the MCP URL the client was given)"
        )
    header: dict[str, Any] = {"upstream": upstream, "client": client}
    header |= {"notes": list(said)} if list(said) else {}
    return Recording(tuple(exchanges), header, until, tuple(dict.fromkeys(told)))


def _mcp_url(exchanges: Sequence[Exchange]) -> str | None:
    """The URL that was evidently spoken to as an MCP server."""

    def speaks(exchange: Exchange) -> bool:
        return exchange.request.json_object.get("jsonrpc") == "2.0"

    def challenges(exchange: Exchange) -> bool:
        answer = exchange.response
        said = (answer.header("www-authenticate") or "") if answer is not None else ""
        return "resource_metadata" in said and "/.well-known/" not in exchange.request.path

    def is_named(exchange: Exchange) -> bool:
        path = exchange.request.path
        posted = exchange.request.method == "POST"
        other = ("/.well-known/" in path and not posted) or _STEP.search(path)
        return (posted or exchange.request.method == "GET") and bool(_ENDPOINT.search(path)) and not other

    def is_refused(exchange: Exchange) -> bool:
        posted = exchange.request.method == "POST" and exchange.response is not None and exchange.response.status == 401
        return posted and not _STEP.search(exchange.request.path)

    for sign in (speaks, challenges, is_named, is_refused):
        found = next((e for e in exchanges if e.actor != "browser" and sign(e)), None)
        if found:
            return found.request.bare_url
    return None


def origin_of(url: str) -> str | None:
    """Scheme and host of a URL; None for a path."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc}" if parts.scheme in ("http", "https") and parts.netloc else None


@cache
def _hosted() -> frozenset[str | None]:
    """Origins of hosted clients, where they are called back: no server's paths are theirs."""
    return frozenset(origin_of(u) for one in profiles() for u in one.recognize.redirect_uri if u.startswith("https:"))


def _origin_in(drafts: Sequence[Draft], text: str) -> str | None:
    """Whose paths these are, where a document or a challenge among them says so."""
    whole = next((o for one in drafts if (o := origin_of(one.target)) and o not in _hosted()), None)
    shown = [whole, *(match[1] for pattern in (_RESOURCE, _METADATA) if (match := pattern.search(text)))]
    return next(filter(None, shown), None)


def _placed(draft: Draft, base: str | None) -> tuple[str, str | None]:
    own = origin_of(draft.target)
    if own:
        return draft.target, base or (None if own in _hosted() else own)
    host = next((value for name, value in draft.headers if name.lower() in ("host", ":authority")), None)
    if host and re.fullmatch(r"[\w.:\[\]-]+", host):
        local = re.match(r"(?:localhost|127\.|\[::1\]|0\.0\.0\.0)", host) is not None
        own = f"http{'' if local else 's'}://{host}"
    path = draft.target if draft.target.startswith("/") else f"/{draft.target}"
    return f"{own or base or STAND_IN}{path}", base


def _exchange(draft: Draft, url: str, number: int) -> Exchange:
    url = _PARAMETER.sub(_stood_in, url)
    called_back = origin_of(url) in _hosted() and "callback" in url
    body, cut = shown_body(draft.answer_body)
    headers = _shown(draft.headers)
    answered = draft.status is not None and 100 <= draft.status <= 599
    answer = None
    if answered and draft.status is not None:
        # A challenge of which a value was left out is one that is not shown.
        told = [
            (name, value) for name, value in draft.answer_headers
            if name.lower() != "www-authenticate" or not _ELIDED_CHALLENGE.search(value)
        ]  # fmt: skip
        whole = draft.answer_headers_shown and len(told) == len(draft.answer_headers)
        answer = Response(
            status=draft.status,
            headers=tuple(told) if whole else with_type(tuple(told), body),
            body=body, truncated=cut or draft.cut, partial=not whole,
        )  # fmt: skip
    role = draft.role or ("authorization-response" if called_back else None)
    if role is None and draft.method == "GET" and _AUTHORIZE.search(url):
        role = "authorization-request"  # a log without query strings
    bare = draft.body is None and draft.method in ("GET", "HEAD", "OPTIONS")
    request_body = "" if bare and (role != "authorization-request" or _ASKS.search(url)) else draft.body
    return Exchange(
        id=number,
        started_at=draft.started_at,
        duration=draft.duration,
        actor="browser" if called_back else _actor(draft),
        request=Request(
            method=draft.method,
            url=url,
            headers=with_type(headers, request_body),
            body=request_body,
            partial=not draft.headers_shown,
            absent_headers=draft.absent,
        ),
        response=answer,
        error=None if answer else draft.error,
        excerpt=True,
        role=role,
    )


def _stood_in(match: re.Match[str]) -> str:
    """A parameter whose value was blanked: one of the right shape, or none where there is no right shape to guess."""
    name, value = match[1], match[2]
    if not (_BLANKED.match(value) or (name == "code_challenge" and len(value) < _SHORT)):
        return match[0]
    if name in ("resource", "redirect_uri", "scope"):
        return ""
    return f"{name}={ {'code_challenge': CHALLENGE, 'state': STATE}.get(name, BLANKED) }{match[3]}"


def _actor(draft: Draft) -> Actor:
    agent = next((value for name, value in draft.headers if name.lower() == "user-agent"), "")
    if draft.actor == "client" and _BROWSER.match(agent) and _PAGES.search(draft.target):
        return "browser"
    return draft.actor


def _shown(headers: Iterable[tuple[str, str]]) -> Pairs:
    """The lines, a token that was made unreadable replaced by one that looks like ours."""
    lines = []
    for name, value in headers:
        scheme, _, credentials = value.partition(" ")
        if name.lower() == "authorization" and (_ELIDED.match(credentials.strip()) or _ELIDED.match(value)):
            value = f"{scheme if credentials else 'Bearer'} {TOKEN}"
        lines.append((name, value))
    return tuple(lines)


def with_type(headers: Pairs, body: str | None) -> Pairs:
    """The lines, with the Content-Type that a body evidently has where none is shown."""
    if not body or any(name.lower() == "content-type" for name, _ in headers):
        return headers
    start = body.lstrip()
    if start[:1] in ("{", "["):
        kind = "application/json"
    elif start.startswith(("event:", "data:", "id:")):
        kind = "text/event-stream"
    elif start[:1] == "<":
        kind = "text/html"
    elif re.match(r"[\w.~%-]+=[^\s{<]*$", body):
        kind = "application/x-www-form-urlencoded"
    else:
        return headers
    return (("Content-Type", kind), *headers)


def shown_body(body: str | None) -> tuple[str | None, bool]:
    """A body without the marks of what was left out of it, and whether anything was."""
    if body is None:
        return None, False
    text = body.strip()
    if text in ("...", "…", "[...]", "{...}", "{…}", "<body>", "<omitted>"):
        return None, False
    if text[:1] not in ("{", "["):
        return body, False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        mended = re.sub(r"\s*\n\s*", "", _ELIDED_MEMBERS.sub("", text))  # a mail breaks lines within values
        mended = _COMMA_TOO_MANY.sub(r"\1", mended)  # somebody took the last member out
        try:
            json.loads(mended)
        except (ValueError, RecursionError):
            return text, True
        return mended, True
    return text, False


def seconds(value: Any) -> float | None:
    """Seconds since 1970 of a number or a time stamp in ISO 8601, also with a comma or a blank; None for others."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        number = float(value)
        while number > 1e11:  # milli-, micro- or nanoseconds
            number /= 1000
        return number
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip().replace(",", "."))
    except ValueError:
        return seconds(float(value)) if re.fullmatch(r"\d{9,19}(?:\.\d+)?", value) else None
    try:
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
