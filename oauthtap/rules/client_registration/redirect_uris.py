"""Redirect URIs, in registrations, client metadata documents and authorization requests."""

from __future__ import annotations

import re
from collections.abc import Iterator

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import AuthorizationRequest, ClientMetadata, Registration, texts
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):.", re.I)
_PATTERN = re.compile(r"\*|\{[^{}/]*\}")
_OWNERS = ("client", "browser")

type Names = Registration | ClientMetadata | AuthorizationRequest


def _named(stage: Names, so_far: Handshake) -> Iterator[tuple[str, str]]:
    """Place and value of every redirect URI that this exchange is the first to name."""
    if isinstance(stage, Registration):
        if stage.exchange.actor == "client":
            uris = texts(stage.requested.get("redirect_uris"))
            yield from ((f"request.json.redirect_uris[{number}]", uri) for number, uri in enumerate(uris))
    elif isinstance(stage, ClientMetadata):
        uris = stage.list("redirect_uris")
        yield from ((f"response.json.redirect_uris[{number}]", uri) for number, uri in enumerate(uris))
    elif stage.exchange.actor in _OWNERS and (uri := stage.redirect_uri):
        before = [
            known
            for registration in so_far.all(Registration)
            for known in texts(registration.request.json_object.get("redirect_uris"))
        ]
        earlier = [document.exchange.response for document in so_far.all(ClientMetadata)]
        before += [u for answer in earlier if answer for u in texts(answer.json_object.get("redirect_uris"))]
        if uri not in before:
            yield "request.query.redirect_uri", uri


@rule(
    "redirect-uri-insecure",
    must(
        "MCP 2026-07-28 Authorization Security Considerations 'Communication Security'; OAuth 2.1 draft-13 §1.5",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations#communication-security",
    ),
    who="client",
    stops_at=("authorization-request", "authorization-interaction"),
)
def insecure(stage: Registration | ClientMetadata | AuthorizationRequest, so_far: Handshake) -> Problems:
    """A redirect URI is plain `http` and not a loopback address.

    The authorization code travels in this URL. Over plain http it can be read in transit, so
    authorization servers refuse such URIs. Plain http is allowed only for loopback: `localhost`,
    `127.0.0.1`, `[::1]`.

    Usual causes: the client's public URL was configured with `http:`, or is derived from a request
    that lost its TLS at a reverse proxy.

    Repair: Use https for the callback, or a loopback address.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://app.example.org/callback"]}
        400 {"error": "invalid_redirect_uri"}

    Good:
        POST https://as.example.com/register
          {"redirect_uris": ["https://app.example.org/callback", "http://127.0.0.1:4711/callback"]}
        201 {"client_id": "c1", "redirect_uris": ["https://app.example.org/callback", "http://127.0.0.1:4711/callback"]}
    """
    for at, uri in _named(stage, so_far):
        parts = urls.split(uri)
        if parts and parts.scheme == "http" and not urls.is_loopback(uri):
            yield Problem(
                message=f"the redirect URI {uri} is plain http to {parts.hostname}; outside loopback it has to be https",
                at=at,
                expected="https, or a loopback address",
                actual=uri,
            )


@rule(
    "redirect-uri-fragment",
    must(
        "OAuth 2.1 draft-13 §2.3; RFC 6749 §3.1.2",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-2.3",
    ),
    who="client",
    stops_at=("authorization-request", "authorization-interaction"),
)
def fragment(stage: Registration | ClientMetadata | AuthorizationRequest, so_far: Handshake) -> Problems:
    """A redirect URI is not an absolute URL, or has a fragment.

    The server appends `?code=…` to this URL and sends the browser there. A fragment never leaves
    the browser, and a path without scheme and host is not a target, so servers have to refuse both.

    Usual causes: the URL of a page with client-side routing (`/#/callback`) was used, or
    only the path was configured.

    Repair: Give the whole URL, and route the callback without `#`.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["https://app.example.org/#/callback"]}
        400 {"error": "invalid_redirect_uri"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["https://app.example.org/callback"]}
        201 {"client_id": "c1", "redirect_uris": ["https://app.example.org/callback"]}
    """
    for at, uri in _named(stage, so_far):
        if "#" in uri:
            flaw = f"has the fragment #{uri.partition('#')[2]}"
        elif not _SCHEME.match(uri):
            flaw = "is not an absolute URL"
        else:
            continue
        yield Problem(
            message=f"the redirect URI {uri or '(empty)'} {flaw}; it has to be a whole URL without one",
            at=at,
            expected="an absolute URL without fragment",
            actual=uri,
        )


@rule(
    "redirect-uri-wildcard",
    must(
        "OAuth 2.1 draft-13 §2.3.1; MCP 2026-07-28 Authorization Security Considerations 'Open Redirection'",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-2.3.1",
    ),
    who="client",
    severity="warning",
    stops_at=("authorization-request", "authorization-interaction"),
)
def wildcard(stage: Registration | ClientMetadata | AuthorizationRequest, so_far: Handshake) -> Problems:
    """A redirect URI contains a wildcard or a placeholder.

    Redirect URIs are compared character by character. A server that does so never finds a match for
    `*`, and one that reads it as a pattern may send codes to an attacker's page.

    Usual causes: one entry was meant to cover redirect URIs with a variable part (a connector's id,
    a preview host).

    Repair: Register every redirect URI as it will be sent; where a part varies, let the client
    register dynamically or publish a client ID metadata document.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["https://*.example.org/callback"]}
        201 {"client_id": "c1", "redirect_uris": ["https://*.example.org/callback"]}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["https://app.example.org/callback"]}
        201 {"client_id": "c1", "redirect_uris": ["https://app.example.org/callback"]}
    """
    for at, uri in _named(stage, so_far):
        if found := _PATTERN.search(uri):
            yield Problem(
                message=f"the redirect URI {uri} contains {found[0]!r}; it is compared literally and matches nothing else",
                at=at,
                expected="a literal URL",
                actual=uri,
            )


@rule(
    "redirect-uri-localhost-name",
    practice("RFC 8252 §8.3; OAuth 2.1 draft-13 §8.4.2", "https://www.rfc-editor.org/rfc/rfc8252.html#section-8.3"),
    who="client",
)
def localhost_name(stage: Registration | ClientMetadata | AuthorizationRequest, so_far: Handshake) -> Problems:
    """A loopback redirect URI uses `localhost` instead of `127.0.0.1`.

    Most clients do, and it mostly works. But `localhost` may resolve to IPv6 while the
    client listens on IPv4, and some servers allow a changing port only for `127.0.0.1`, or
    only for `localhost`: to them the two are different hosts.

    Usual causes: it is what the MCP documents themselves write.

    Repair: Register and accept both spellings; prefer `127.0.0.1` in new clients.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://localhost:4711/callback"]}
        201 {"client_id": "c1", "redirect_uris": ["http://localhost:4711/callback"]}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/callback"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/callback"]}
    """
    named = [(at, uri, urls.split(uri)) for at, uri in _named(stage, so_far)]
    if any(parts and parts.hostname in ("127.0.0.1", "::1") for _, _, parts in named):
        return
    for at, uri, parts in named:
        if parts and parts.hostname == "localhost":
            yield Problem(
                message=f"the redirect URI {uri} names `localhost`; servers may treat 127.0.0.1 as another host",
                at=at,
                expected=uri.replace("localhost", "127.0.0.1", 1),
                actual=uri,
            )


@rule(
    "redirect-uri-custom-scheme",
    practice(
        "RFC 8252 §7.1 and §8.4; OAuth 2.1 draft-13 §2.3.1 and §8.4.3",
        "https://www.rfc-editor.org/rfc/rfc8252.html#section-7.1",
    ),
    who="client",
)
def custom_scheme(stage: Registration | ClientMetadata | AuthorizationRequest, so_far: Handshake) -> Problems:
    """A redirect URI has a custom (private-use) scheme.

    The operating system gives such a URL to the program that registered the scheme. MCP allows only
    localhost and https; many servers refuse other schemes, above all those without a dot, and one
    refused URI makes them refuse the whole registration.

    Usual causes: the client is a desktop application that opens deep links.

    Repair: Prefer a loopback redirect URI; otherwise use a reverse-domain scheme
    (`com.example.app:`), and allow it at the server.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["exampleapp://oauth/callback"]}
        201 {"client_id": "c1", "redirect_uris": ["exampleapp://oauth/callback"]}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/callback"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/callback"]}
    """
    for at, uri in _named(stage, so_far):
        match = _SCHEME.match(uri)
        if match and match[1].lower() not in ("http", "https"):
            dot = "" if "." in match[1] else ", which has no dot and is refused more often still"
            yield Problem(
                message=f"the redirect URI {uri} has the scheme {match[1]!r}{dot}",
                at=at,
                expected="https, or a loopback address",
                actual=uri,
            )
