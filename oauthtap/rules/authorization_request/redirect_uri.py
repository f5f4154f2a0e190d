"""`redirect_uri` of the authorization request, and whether the server accepts it."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import AuthorizationRequest
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule
from oauthtap.rules.authorization_request.refusals import (
    CLIENT,
    REDIRECT,
    Asked,
    is_document_id,
    own_request,
    refusal,
    registered_uris,
)

_OAUTH21_231 = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-2.3.1"
_OAUTH21_411 = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.1"
_STOPS = ("authorization-request", "authorization-response")

_KNOWN_CALLBACKS: tuple[tuple[str, str], ...] = (
    ("Claude", r"https://claude\.(?:ai|com)/api/mcp/auth_callback"),
    ("ChatGPT", r"https://chatgpt\.com/connector(?:/oauth/[^/]+|_platform_oauth_redirect)"),
    ("Cursor", r"cursor://anysphere\.cursor-(?:mcp|retrieval)/oauth/.*callback"),
    ("Cursor", r"https://www\.cursor\.com/agents/mcp/oauth/callback"),
    ("Cursor", r"http://localhost:8787/callback"),
    ("VS Code", r"https://(?:insiders\.)?vscode\.dev/redirect"),
    ("VS Code", r"http://127\.0\.0\.1(?::33418)?/"),
    ("Gemini CLI", r"http://localhost:7777/oauth/callback"),
    ("MCP Inspector", r"http://localhost:6274/oauth/callback(?:/debug)?"),
    ("MCP Inspector", r"http://127\.0\.0\.1:6276/oauth/callback"),
    ("n8n", r"https://oauth\.n8n\.cloud/oauth2/callback"),
    ("opencode", r"http://127\.0\.0\.1(?::\d+)?/mcp/oauth/callback"),
    ("Claude Code", r"http://localhost(?::\d+)?/callback"),
)
"""Callbacks of clients as seen in 2025 and 2026. They explain a refusal; they never cause a finding alone."""


def known_client(redirect_uri: str) -> str | None:
    """Which client has this callback; None when nobody we know."""
    return next((name for name, shape in _KNOWN_CALLBACKS if re.fullmatch(shape, redirect_uri)), None)


@rule(
    "authz-redirect-uri-missing",
    must("OAuth 2.1 draft-13 §2.3.2", "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-2.3.2"),
    who="client",
    stops_at=("authorization-response",),
)
def redirect_uri_missing(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """The authorization request has no `redirect_uri`.

    If several callbacks are registered, the server cannot choose one and shows an error page. If
    exactly one is, leaving it out is allowed.

    Usual causes: a hand-written login link.

    Repair: In the client: send the `redirect_uri` that is registered.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://localhost:8000/callback", "https://app.example.com/callback"]}
        201 {"client_id": "client-1", "redirect_uris": ["http://localhost:8000/callback", "https://app.example.com/callback"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1
        400

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        201 {"client_id": "client-1", "redirect_uris": ["http://localhost:8000/callback"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1
        302
    """
    if request.redirect_uri or not own_request(request) or request.url.count("?") > 1:
        return
    known = registered_uris(request, so_far)
    if known is None or len(known) > 1:
        yield Problem(
            message=f"the request has no `redirect_uri`; {len(known) if known else 'an unknown number of'} are registered",
            at="request.query.redirect_uri",
            expected=" or ".join(known or ()) or "the registered callback",
            severity=None if known else "warning",
        )


@rule(
    "authz-redirect-uri-unregistered",
    must("OAuth 2.1 draft-13 §2.3.1 and §4.1.1; RFC 9700 §4.1.3", _OAUTH21_231),
    who="client",
    stops_at=("authorization-response",),
)
def redirect_uri_unregistered(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """`redirect_uri` of the authorization request is not registered for this client.

    A server must not send a code there, and shows an error page instead. It compares character by
    character: `localhost` is not `127.0.0.1`, and a trailing slash counts. Only the port of a
    loopback redirect URI may differ.

    Usual causes: the client registered one form of its redirect URI and uses another; a stored
    registration from before the redirect URI changed.

    Repair: In the client: register exactly the `redirect_uri` that is sent. As a user: clear the
    stored login of this server.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:8000/callback"]}
        201 {"client_id": "client-1", "redirect_uris": ["http://127.0.0.1:8000/callback"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&redirect_uri=http://localhost:8000/callback
        400

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:8000/callback"]}
        201 {"client_id": "client-1", "redirect_uris": ["http://127.0.0.1:8000/callback"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&redirect_uri=http://127.0.0.1:8001/callback
        302
    """
    asked = request.redirect_uri
    if not asked or not own_request(request) or is_document_id(request.get("client_id")):
        return
    known = registered_uris(request, so_far)
    if known and not any(urls.redirect_matches(asked, uri) for uri in known):
        yield Problem(
            message=f"`redirect_uri` is {asked[:200]}; registered is {', '.join(known)[:300]}",
            at="request.query.redirect_uri",
            expected=" or ".join(known)[:300],
            actual=asked[:200],
        )


@rule(
    "redirect-loopback-port-rejected",
    must(
        "RFC 8252 §7.3; OAuth 2.1 draft-13 §4.1.1 and §8.4.2",
        "https://www.rfc-editor.org/rfc/rfc8252.html#section-7.3",
    ),
    who="authorization-server",
    stops_at=_STOPS,
)
def loopback_port_rejected(stage: Asked, so_far: Handshake) -> Problems:
    """The server refuses a loopback redirect URI because of its port.

    A program on the user's machine takes whatever port is free, so the port cannot be known when it
    registers. Servers have to ignore it for `localhost`, 127.0.0.1 and ::1. This one compares it.
    Usual causes: the server compares whole strings.

    Repair: Ignore the port when comparing loopback redirect URIs. As a user, until then: fix the
    client's callback port to the registered one.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        201 {"client_id": "client-1", "redirect_uris": ["http://localhost:8000/callback"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&redirect_uri=http://localhost:8123/callback
        400 {"error": "invalid_request", "error_description": "redirect_uri mismatch"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        201 {"client_id": "client-1", "redirect_uris": ["http://localhost:8000/callback"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&redirect_uri=http://localhost:8123/callback
        302
        Location: https://as.example.com/login
    """
    no = refusal(stage, so_far)
    asked = no.asked.redirect_uri if no else None
    if no is None or not asked or no.redirected or not (no.about(REDIRECT) or no.vague):
        return
    known = registered_uris(no.asked, so_far) or ()
    similar = next((uri for uri in known if urls.same_but_port(asked, uri)), None)
    if asked not in known and similar:
        yield Problem(
            message=f"`redirect_uri` is {asked[:200]}, registered is {similar}, only the port differs, and the server refuses: {no.quoted}",
            at=no.at,
            expected=f"{similar} with any port",
            actual=asked[:200],
        )


@rule(
    "authz-registered-redirect-refused",
    must("OAuth 2.1 draft-13 §4.1.1", _OAUTH21_411),
    who="authorization-server",
    stops_at=_STOPS,
)
def registered_redirect_refused(stage: Asked, so_far: Handshake) -> Problems:
    """The server refuses a `redirect_uri` that it registered for this client.

    Registration and authorization follow different rules. So the client learns only during the
    login that its redirect URI is not accepted, too late to choose another.

    Usual causes: the authorization endpoint has a list of allowed patterns (no `localhost`, no
    custom schemes) that registration does not check.

    Repair: Use one rule for both at the authorization server: allow the redirect URI at the
    authorization endpoint, or refuse it at registration with `invalid_redirect_uri`.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        201 {"client_id": "client-1", "redirect_uris": ["http://localhost:8000/callback"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&redirect_uri=http://localhost:8000/callback
        400 {"error": "invalid_request", "error_description": "invalid callback URL"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        201 {"client_id": "client-1", "redirect_uris": ["http://localhost:8000/callback"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&redirect_uri=http://localhost:8000/callback
        302
        Location: https://as.example.com/login
    """
    no = refusal(stage, so_far)
    asked = no.asked.redirect_uri if no else None
    if no is None or not asked or no.redirected or not no.about(REDIRECT) or is_document_id(no.asked.get("client_id")):
        return
    if asked in (registered_uris(no.asked, so_far) or ()):
        yield Problem(
            message=f"{asked[:200]} is registered for this client, and the server refuses: {no.quoted}",
            at=no.at,
            expected="the registered callback is accepted",
            actual=no.quoted,
        )


@rule(
    "authz-known-client-callback",
    practice("OAuth 2.1 draft-13 §2.3.1", _OAUTH21_231),
    who="authorization-server",
    severity="error",
    stops_at=_STOPS,
)
def known_callback_refused(stage: Asked, so_far: Handshake) -> Problems:
    """The authorization server does not allow the redirect URI of a well-known client.

    The client is correct; this is the redirect URI it always uses. It is missing in the
    authorization server's configuration.

    Usual causes: an application created by hand, with the redirect URI of one client only.

    Repair: Add the callback to the allowed redirect URIs of the application at your authorization
    server, character by character.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&redirect_uri=https://claude.ai/api/mcp/auth_callback
        400 {"error": "invalid_request", "error_description": "redirect_uri is not allowed"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&redirect_uri=https://claude.ai/api/mcp/auth_callback
        302
        Location: https://as.example.com/login
    """
    no = refusal(stage, so_far)
    asked = no.asked.redirect_uri if no else None
    if no is None or not asked or no.redirected or not no.about(REDIRECT) or no.about(CLIENT):
        return
    name = known_client(asked)
    metadata = so_far.metadata
    registers = bool(metadata and metadata.get("registration_endpoint"))
    if name is None or is_document_id(no.asked.get("client_id")) or (urls.is_loopback(asked) and registers):
        return
    known = registered_uris(no.asked, so_far)
    if known is None or asked in known:
        yield Problem(
            message=f"{asked[:200]} is the callback of {name}, and the server refuses: {no.quoted}",
            at=no.at,
            expected=f"{asked[:200]} is allowed",
            actual=no.quoted,
            severity="warning" if known else None,
        )
