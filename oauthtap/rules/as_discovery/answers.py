"""The response of an authorization server metadata URL: JSON, a page, a redirect, an error."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import ServerMetadata
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule

_LOCATIONS = "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery#authorization-server-metadata-discovery"


def _is_json(media_type: str) -> bool:
    return media_type == "application/json" or media_type.endswith("+json")


def _is_html(document: ServerMetadata) -> bool:
    if document.request.method != "GET" or document.status != 200 or document.answer_object:
        return False
    return document.response.media_type == "text/html" or document.answer_text.lstrip().startswith("<")


@rule(
    "as-metadata-5xx",
    practice("MCP 2026-07-28 AS Discovery (clients try several locations); RFC 8414 §3.2", _LOCATIONS),
    who="authorization-server",
    severity="error",
    since="2025-06-18",
    stops_at=("client-registration", "authorization-request"),
)
def metadata_breaks(document: ServerMetadata, so_far: Handshake) -> Problems:
    """An authorization server metadata URL answers 5xx where 404 is expected.

    Clients try several well-known URLs, and a 404 sends them to the next one. At a 500 the common
    SDKs give up at once, even if the next URL has the document.

    Usual causes: an unknown path reaches application code that crashes; a gateway without a route
    for `/.well-known/`.

    Repair: Answer 404 for well-known paths that you do not serve, and find the crash in the
    server's log for the one that you do.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        500

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        404
    """
    if document.status is not None and document.status >= 500 and document.status != 502:
        yield Problem(
            message=f"the answer is {document.status}; clients try the next URL only after a 404",
            at="response.status",
            expected="200, or 404",
            actual=str(document.status),
            patch=Patch(status=404, assumes="the metadata is at a later URL"),
        )


@rule(
    "as-metadata-requires-auth",
    practice("RFC 8414 §3.1", "https://www.rfc-editor.org/rfc/rfc8414.html#section-3.1"),
    who="authorization-server",
    severity="warning",
    stops_at=("client-registration", "authorization-request"),
)
def metadata_guarded(document: ServerMetadata, so_far: Handshake) -> Problems:
    """An authorization server metadata URL requires authentication.

    This document tells a client how to get credentials, so it has none when it asks. Clients treat
    the refusal like a 404 and try the next URL, or give up.

    Usual causes: a platform or gateway protects every path; the bearer check runs before the
    well-known routes.

    Repair: Let `/.well-known/` through without credentials, at the gateway too.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        401

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com"}
    """
    guessed = bool(document.initiator and document.initiator.guess)
    again = any(
        other.url == document.url and other.status == document.status for other in so_far.all(ServerMetadata)[-200:]
    )
    if document.request.method == "GET" and document.status in (401, 403) and not again:
        yield Problem(
            message=f"the answer is {document.status}; metadata must not require credentials",
            at="response.status",
            expected="200 without credentials",
            actual=str(document.status),
            severity="note" if guessed and document.status == 403 else None,
        )


@rule(
    "as-metadata-redirected",
    practice("RFC 8414 §3.2", "https://www.rfc-editor.org/rfc/rfc8414.html#section-3.2"),
    who="authorization-server",
    severity="warning",
    stops_at=("client-registration", "authorization-request"),
)
def metadata_redirected(document: ServerMetadata, so_far: Handshake) -> Problems:
    """An authorization server metadata URL redirects instead of returning the document.

    Careful clients do not follow redirects here. And after a redirect the `issuer` in the document
    often does not match the issuer that the client asked for.

    Usual causes: a redirect to the identity provider's own document; `www` or slash
    canonicalization; http to https.

    Repair: Answer 200 with the document at this URL, with the issuer that clients asked for; or
    list the redirect's target as issuer.

    Bad:
        GET https://as.example.com/.well-known/openid-configuration
        301
        Location: https://idp.example.com/.well-known/openid-configuration

    Good:
        GET https://as.example.com/.well-known/openid-configuration
        200 {"issuer": "https://as.example.com"}
    """
    target = document.exchange.response.header("location") if document.exchange.response else None
    if document.request.method == "GET" and document.status in (301, 302, 303, 307, 308) and target:
        yield Problem(
            message=f"the answer is {document.status} to {target}; it has to be 200",
            at="response.status",
            expected="200",
            actual=str(document.status),
        )


@rule(
    "as-metadata-html-200",
    must("RFC 8414 §3.2", "https://www.rfc-editor.org/rfc/rfc8414.html#section-3.2"),
    who="authorization-server",
    stops_at=("client-registration", "authorization-request"),
)
def metadata_is_a_page(document: ServerMetadata, so_far: Handshake) -> Problems:
    """An authorization server metadata URL answers 200 with an HTML page.

    The client parses the page as JSON and fails ("Unexpected token <"). The common SDKs stop there
    and never try the next URL.

    Usual causes: a single-page application answers every unknown path with its index
    page.

    Repair: Answer 404 for well-known paths you do not serve: exclude `/.well-known/` from the
    catch-all route.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 <!doctype html><html></html>

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        404 <!doctype html><html></html>
    """
    if _is_html(document):
        yield Problem(
            message="the answer is 200 with a web page; it has to be JSON, or 404",
            at="response.body",
            expected="application/json, or 404",
            actual=document.response.media_type or "a body that starts with `<`",
            patch=Patch(status=404),
        )


@rule(
    "as-metadata-content-type",
    must("RFC 8414 §3.2; OIDC Discovery 1.0 §4.2", "https://www.rfc-editor.org/rfc/rfc8414.html#section-3.2"),
    who="authorization-server",
    severity="note",
)
def metadata_media_type(document: ServerMetadata, so_far: Handshake) -> Problems:
    """The `Content-Type` of the authorization server metadata is not `application/json`.

    Most clients parse it anyway. Strict clients, and some gateways, look at the type first and
    reject it.

    Usual causes: a static file without extension, served as `text/plain` or
    `application/octet-stream`.

    Repair: Serve it with `Content-Type: application/json`.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 text/plain {"issuer": "https://as.example.com"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 application/json {"issuer": "https://as.example.com"}
    """
    if document.published and not _is_json(document.response.media_type):
        yield Problem(
            message=f"Content-Type is {document.response.media_type or 'missing'}; it has to be application/json",
            at="response.header.content-type",
            expected="application/json",
            actual=document.response.media_type or None,
            patch=Patch(headers={"Content-Type": "application/json"}),
        )


@rule(
    "as-metadata-invalid-json",
    must("RFC 8414 §3.2", "https://www.rfc-editor.org/rfc/rfc8414.html#section-3.2"),
    who="authorization-server",
    stops_at=("client-registration", "authorization-request"),
)
def metadata_is_no_json(document: ServerMetadata, so_far: Handshake) -> Problems:
    """An authorization server metadata URL answers 200 with a body that is not a JSON object.

    The client cannot parse the body, and most clients stop instead of trying the next URL.

    Usual causes: an empty body; a template with a trailing comma; a JSON list or string around the
    object; a health check that answers "ok" to everything.

    Repair: Answer with one JSON object, or with 404 where there is none.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 application/json {"issuer": "https://as.example.com",}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 application/json {"issuer": "https://as.example.com"}
    """
    if document.request.method != "GET" or document.status != 200 or document.response.truncated:
        return
    if not isinstance(document.answer, dict) and not _is_html(document):
        what = "empty" if not document.answer_text.strip() else "no JSON object"
        yield Problem(
            message=f"the answer is 200 and its body is {what}; it has to be one JSON object",
            at="response.body",
            expected="a JSON object",
            actual=what,
        )
