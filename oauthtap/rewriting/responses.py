"""What comes down, put into local names: headers and bodies of answers. Text in, text out.

Only what tells the client where to go next is renamed, and nothing else of the text is
touched. What is signed cannot be renamed and passes as it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Literal
from urllib.parse import quote, unquote_plus

from oauthtap.model import json_edit
from oauthtap.model.exchange import Message, Pairs, Response
from oauthtap.rewriting.origins import Origins

DocumentKind = Literal["resource-metadata", "server-metadata", "registration", "token", "mcp", "other"]

_KINDS: tuple[tuple[str, DocumentKind], ...] = (
    ("prm-discovery", "resource-metadata"),
    ("as-discovery", "server-metadata"),
    ("client-registration", "registration"),
    ("token-", "token"),
    ("mcp-", "mcp"),
    ("legacy-sse", "mcp"),
)
_POINTER = re.compile(r"""(?P<name>\bresource_metadata\s*=\s*)(?:"(?P<quoted>[^"]*)"|(?P<bare>[^\s,"]+))""", re.I)
_ISS = re.compile(r"(?P<name>[?&#]iss=)(?P<value>[^&#]*)")
_LED_ELSEWHERE = {"strict-transport-security", "alt-svc"}
_LEADS = {"www-authenticate", "location"} | _LED_ELSEWHERE
_VALIDATORS = {"etag", "last-modified", "content-digest", "repr-digest", "digest", "content-md5", "expires", "age"}
_UNSIGNABLE = {"signed_metadata", "mtls_endpoint_aliases"}
_SIGNED_OVER_URLS = "dpop_signing_alg_values_supported"
_METHODS = "token_endpoint_auth_methods_supported"
SIGNED_METHODS = {"private_key_jwt", "client_secret_jwt"}
"""Ways of a client to identify itself whose proofs name the URL they are for (RFC 7523, 3)."""
_RESOURCE_MEMBERS = {"resource"}
_SERVER_MEMBERS = {"issuer", "jwks_uri"}
_CHALLENGE_KEY = "mcp/www_authenticate"


def headers(lines: Pairs, origins: Origins, host: str) -> Pairs:
    """The header lines of an answer for a client that knows us as `host`.

    `resource_metadata` of every challenge and `WellKnownLocation` are renamed; what would lead the
    client past us (HSTS, Alt-Svc) goes.
    """
    if not _has_location_headers(lines):
        return lines
    return tuple((name, _header(name.lower(), value, origins, host)) for name, value in lines if not _leads_past(name))


def kind_of(slugs: Iterable[str]) -> DocumentKind:
    """Which URLs an answer holds, by the stages it was classified as."""
    for slug in slugs:
        for beginning, kind in _KINDS:
            if slug.startswith(beginning):
                return kind
    return "other"


def is_a_page(answer: Response, redirect_uri: str | None) -> bool:
    """An authorization endpoint that no document named exists: the browser belongs there. A redirect to the client's
    own redirect URI is the answer itself."""
    if answer.status >= 400:
        return False
    return not (redirect_uri and (answer.header("location") or "").startswith(redirect_uri))


def _may_challenge(text: str) -> bool:
    return _CHALLENGE_KEY in text.replace("\\/", "/")


def drop_validators(lines: Pairs, *, metadata: bool) -> Pairs:
    """The header lines for a body that is not what the upstream sent.

    Validators and digests of the old body go. Metadata is never to be kept by a cache: it
    names ports that are there only while we are.
    """
    gone = _VALIDATORS | ({"cache-control", "pragma"} if metadata else set())
    kept = tuple((name, value) for name, value in lines if name.lower() not in gone)
    return (*kept, ("Cache-Control", "no-store")) if metadata else kept


def _has_location_headers(lines: Pairs) -> bool:
    """One of the lines may lead the client somewhere."""
    return any(name.lower() in _LEADS for name, _ in lines)


def _leads_past(name: str) -> bool:
    return name.lower() in _LED_ELSEWHERE


def _header(name: str, value: str, origins: Origins, host: str) -> str:
    if name == "www-authenticate":
        return challenge(value, origins, host)
    if name == "location":
        return _location(value, origins, host)
    return value


def challenge(value: str, origins: Origins, host: str) -> str:
    """A WWW-Authenticate line with its `resource_metadata` renamed, quoted or not, and nothing else."""

    def renamed(match: re.Match[str]) -> str:
        if match["bare"] is not None:
            return match["name"] + origins.local(match["bare"], host)
        return f'{match["name"]}"{origins.local(match["quoted"], host)}"'

    return _POINTER.sub(renamed, value)


def _location(value: str, origins: Origins, host: str) -> str:
    """A redirect. On its way to the client's callback the issuer is what the client was told."""

    def renamed(match: re.Match[str]) -> str:
        said = unquote_plus(match["value"])
        told = origins.local(said, host)
        return match[0] if told == said else match["name"] + quote(told, safe="")

    return _ISS.sub(renamed, origins.local(value, host))


def body(text: str, kind: DocumentKind, origins: Origins, host: str) -> str:
    """The body of an answer of that kind, renamed. Anything that is no JSON comes back as it is."""
    if kind == "other" or not text:
        return text
    if kind == "mcp":
        return _tool_challenges(text, origins, host) if _may_challenge(text) else text
    gone = _impossible(text) if kind.endswith("metadata") else set()
    return json_edit.edit_strings(
        text,
        lambda path, value: origins.local(value, host) if _is_named(kind, path) else value,
        drop=lambda path: path in gone,
    )


def _impossible(text: str) -> set[json_edit.Path]:
    """The places of a document that offer what only works under the real names, where there is something else.

    A client that is offered nothing else has to see it: `limits.py` says why it cannot go on.
    """
    document = Message(body=text).json_object
    gone: set[json_edit.Path] = {(member,) for member in _UNSIGNABLE}
    if document.get("dpop_bound_access_tokens_required") is not True:
        gone.add((_SIGNED_OVER_URLS,))
    methods = document.get(_METHODS)
    if isinstance(methods, list) and any(method not in SIGNED_METHODS for method in methods):
        gone |= {(_METHODS, number) for number, method in enumerate(methods) if method in SIGNED_METHODS}
    return gone


def _is_named(kind: DocumentKind, path: json_edit.Path) -> bool:
    """A string at this place of such a document tells the client where to go, or who it is dealing with."""
    member = path[0] if path else ""
    top = len(path) == 1 and isinstance(member, str)
    match kind:
        case "resource-metadata":
            return (top and member in _RESOURCE_MEMBERS) or (len(path) == 2 and member == "authorization_servers")
        case "server-metadata":
            return top and (member in _SERVER_MEMBERS or str(member).endswith("_endpoint"))
        case "registration":
            return top and member == "registration_client_uri"
        case "token":
            return member == "resource" and len(path) <= 2
    return False


def _tool_challenges(text: str, origins: Origins, host: str) -> str:
    """The challenges that a tool result carries in `_meta["mcp/www_authenticate"]`."""
    return json_edit.edit_strings(
        text, lambda path, value: challenge(value, origins, host) if _CHALLENGE_KEY in path else value
    )


def named(kind: DocumentKind, message: Message) -> Iterator[str]:
    """Every URL of an answer that tells the client where to go, as the upstream wrote it.

    These are the only ones for which a port may be opened. `resource` and `issuer` are not
    among them: on a foreign origin they are the fault, and the client has to see it.
    """
    for value in message.header_lines("www-authenticate"):
        for match in _POINTER.finditer(value):
            yield match["quoted"] if match["bare"] is None else match["bare"]
    yield from message.header_lines("location")
    document = message.json_object
    if kind == "resource-metadata" and isinstance(listed := document.get("authorization_servers"), list):
        yield from _strings(listed)
    elif kind == "server-metadata":
        yield from _strings(value for member, value in document.items() if member.endswith("_endpoint"))
    elif kind == "registration":
        yield from _strings([document.get("registration_client_uri")])


def _strings(found: Iterable[Any]) -> Iterator[str]:
    return (value for value in found if isinstance(value, str))
