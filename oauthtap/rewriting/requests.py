"""What goes up, put into upstream names: URLs, headers and bodies of requests. Text in, text out.

No local name may reach an upstream. Values keep the shape and the escaping the client gave
them, because a trailing slash decides whether two servers think of the same resource.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus, unquote_plus

from oauthtap.model import json_edit, urls
from oauthtap.model.exchange import Pairs, Request
from oauthtap.rewriting.origins import Origins

_NAMES_A_HOST = {"host", ":authority"}
_NAMES_AN_ORIGIN = {"origin", "referer"}
_THE_CLIENTS_OWN = {"redirect_uri", "redirect_uris", "post_logout_redirect_uri", "client_id"}
Rename = Callable[[str, str], str]
"""Takes a parameter's name and its decoded value, gives the value to send."""


def request(asked: Request, origins: Origins, upstream: str) -> Request:
    """A request of the client as it would have asked the upstream itself.

    `asked.url` is in local names; `upstream` is the origin it is for. The client's own
    `redirect_uri` stays: putting ours in its place is the relay's.
    """

    def renamed(name: str, value: str) -> str:
        return value if name in _THE_CLIENTS_OWN else origins.upstream(value)

    path = asked.url[len(urls.origin(asked.url)) :] if "://" in asked.url else asked.url
    before, question, query = path.partition("?")
    return Request.model_construct(
        method=asked.method,
        url=upstream + before + question + pairs(query, renamed),
        headers=headers(asked.headers, origins, upstream),
        body=body(asked, renamed),
    )


def is_authorization(asked: Request) -> bool:
    """The browser is sent to an authorization endpoint (RFC 6749, 4.1.1; RFC 9126, 4)."""
    names = {name for name, _ in (*asked.query, *(asked.form if asked.method == "POST" else ()))}
    opens = {"client_id", "response_type"} <= names or {"client_id", "request_uri"} <= names
    return opens and "grant_type" not in names and (asked.method == "GET" or not asked.form)


def headers(lines: Pairs, origins: Origins, upstream: str) -> Pairs:
    """`Host` becomes the upstream's, `Origin` and `Referer` too where they name us."""
    authority = upstream.partition("://")[2]

    def renamed(name: str, value: str) -> str:
        if name in _NAMES_A_HOST:
            return authority
        return origins.upstream(value) if name in _NAMES_AN_ORIGIN else value

    return tuple([(name, renamed(name.lower(), value)) for name, value in lines])


def body(asked: Request, renamed: Rename) -> str | None:
    """The body of a request to an authorization server. JSON-RPC is the user's own and stays."""
    text = asked.body
    if not text:
        return text
    if text.lstrip()[:1] in ("{", "["):
        if '"jsonrpc"' in text or "json" not in asked.media_type:
            return text
        return json_edit.edit_strings(text, lambda path, value: renamed(str(path[0]) if path else "", value))
    return pairs(text, renamed) if asked.form and asked.media_type != "text/plain" else text


def pairs(text: str, renamed: Rename) -> str:
    """A query or form with its values renamed. Order, repetition and escaping stay as they are."""
    return "&".join(_pair(piece, renamed) for piece in text.split("&")) if text else text


def _pair(piece: str, renamed: Rename) -> str:
    name, equals, raw = piece.partition("=")
    value = unquote_plus(raw)
    new = renamed(unquote_plus(name), value) if equals and value else value
    return piece if new == value else f"{name}={_escaped_like(new, raw)}"


def _escaped_like(value: str, raw: str) -> str:
    """Escaped as the client did it: with or without `:` and `/`, with small or capital hex digits."""
    safe = "".join(sign for sign in ":/?=@,;!$'()*[]" if sign in raw)
    escaped = quote_plus(value, safe=safe) if "+" in raw else quote(value, safe=safe)
    if re.search(r"%[0-9a-f]*[a-f]", raw):
        escaped = re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), escaped)
    return escaped
