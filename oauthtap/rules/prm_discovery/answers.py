"""The answer to a request for metadata, as an HTTP message: what came instead of a document."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Challenge, ResourceMetadata, ServerMetadata
from oauthtap.handshake.state import Handshake, absolute
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule
from oauthtap.rules.prm_discovery.about import found, mcp_url, synthesized

_LATER = ("as-discovery", "client-registration", "authorization-request")
_ANSWER = "https://www.rfc-editor.org/rfc/rfc9728.html#section-3.2"
_NOTHING_HERE = Patch(status=404, headers={"Content-Type": "application/json", "Content-Length": None}, body="{}")


@rule(
    "prm-requires-auth",
    practice("RFC 9728 §3.1 and §3.2", "https://www.rfc-editor.org/rfc/rfc9728.html#section-3.1"),
    who="resource-server",
    severity="error",
    since="2025-06-18",
    stops_at=_LATER,
)
def requires_auth(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """The protected resource metadata requires authentication.

    A client reads this document before it has a token. With a 401 or 403 it cannot find out where
    to get one.

    Usual causes: the authentication middleware of the server, or a firewall or access gateway in
    front, includes `/.well-known/`.

    Repair: Exempt `/.well-known/*` from authentication, in the server and in every gateway in front
    of it.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        401 {"error": "unauthorized"}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    if prm.status not in (401, 403):
        return
    elsewhere = so_far.prm is not None
    yield Problem(
        message=f"the request for the metadata is answered {prm.status}; it has to be 200, without credentials",
        at="response.status",
        expected="200",
        actual=str(prm.status),
        severity="warning" if elsewhere or (prm.variant == "root" and not _protected(so_far)) else None,
        patch=synthesized(so_far, mcp_url(prm, so_far)),
    )


def _protected(so_far: Handshake) -> bool:
    """The MCP server has asked for a sign-in, or has not been heard of yet."""
    return so_far.challenge is not None or so_far.resource is None


@rule(
    "prm-redirected",
    practice("RFC 9728 §3.2; MCP Security Best Practices 'Validate Redirect Targets'", _ANSWER),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
    stops_at=_LATER,
)
def redirected(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """The protected resource metadata URL redirects instead of returning the document.

    Clients protect themselves against server-side request forgery, and many do not follow redirects
    here. Those that do may reject the document because its URL differs.

    Usual causes: a redirect from http to https, to a trailing slash, or to `www.`; a login page.

    Repair: Answer 200 with the document at exactly the requested URL.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        301
        Location: https://www.example.com/.well-known/oauth-protected-resource/mcp

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    if prm.status in (301, 302, 303, 307, 308):
        target = absolute(prm.response.header("location") or "", prm.url)
        yield Problem(
            message=f"the request for the metadata is answered {prm.status} to {target}; it has to be 200",
            at="response.header.location",
            expected="200",
            actual=f"{prm.status} {target}",
            patch=synthesized(so_far, mcp_url(prm, so_far)),
        )


@rule(
    "prm-html-200",
    must("RFC 9728 §3.2", _ANSWER),
    who="resource-server",
    since="2025-06-18",
    stops_at=_LATER,
)
def html(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """The protected resource metadata URL answers 200 with an HTML page.

    The client parses HTML as JSON, fails, and either stops or continues without metadata. A server
    without authentication may even be treated as one that requires a sign-in.

    Usual causes: a single-page app that answers every unknown path with its start page;
    a login page shown without a redirect.

    Repair: Register the well-known route before the catch-all. Where there is no
    metadata, answer 404.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 text/html <!doctype html><title>Welcome</title>

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        404
    """
    if prm.status != 200 or prm.request.method == "HEAD":
        return
    page = prm.response.media_type == "text/html"
    if (page and not prm.document) or (not page and prm.answer_text.lstrip()[:1] == "<"):
        open_so_far = so_far.authorized is None and so_far.challenge is None and so_far.resource is not None
        yield Problem(
            message="the answer is a web page with status 200; it has to be a JSON document, or 404",
            at="response.body",
            expected="a JSON object",
            actual=prm.answer_text.strip()[:80],
            severity="warning" if open_so_far or so_far.prm is not None else None,
            patch=_NOTHING_HERE,
        )


@rule(
    "prm-invalid-json",
    must("RFC 9728 §3.2", _ANSWER),
    who="resource-server",
    since="2025-06-18",
    stops_at=_LATER,
)
def invalid_json(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """The protected resource metadata is not a JSON object.

    The client cannot parse it and continues without metadata, or stops.

    Usual causes: a trailing comma or comment in a hand-written file; an empty file; a list or a
    quoted string around the document.

    Repair: Send one JSON object, `{…}`, and run it through a JSON checker.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 application/json {"resource": "https://mcp.example.com/mcp",}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    if prm.status != 200 or prm.request.method == "HEAD" or prm.response.truncated:
        return
    if prm.response.media_type == "text/html" or prm.answer_text.lstrip()[:1] == "<":
        return
    if not isinstance(prm.answer, dict):
        yield Problem(
            message="the body cannot be read as a JSON object; it has to be one",
            at="response.body",
            expected="a JSON object",
            actual=prm.answer_text.strip()[:80] or "nothing",
            patch=synthesized(so_far, mcp_url(prm, so_far)),
        )


@rule(
    "prm-content-type",
    must("RFC 9728 §3.2", _ANSWER),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
)
def content_type(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """The `Content-Type` of the protected resource metadata is not `application/json`.

    The common SDKs parse it anyway. Strict clients check the `Content-Type` first and reject other
    types.

    Usual causes: a static file without an extension, which the web server sends as `text/plain` or
    `application/octet-stream`.

    Repair: Send `Content-Type: application/json` with the document.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 text/plain {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    if prm.found and prm.response.media_type != "application/json":
        label = prm.response.header("content-type")
        yield Problem(
            message=f"the document has the Content-Type {label or '(none)'}; it has to be application/json",
            at="response.header.content-type",
            expected="application/json",
            actual=label or "",
            patch=Patch(headers={"Content-Type": "application/json"}),
        )


@rule(
    "prm-answered-by-mcp-handler",
    practice("RFC 9728 §3.2", "https://datatracker.ietf.org/doc/html/rfc9728#section-3.2"),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
    stops_at=_LATER,
)
def answered_by_mcp_handler(document: ResourceMetadata | ServerMetadata, so_far: Handshake) -> Problems:
    """The MCP handler answers the request for protected resource metadata.

    The client asked for a document and gets a JSON-RPC message, or an error about its `Accept`
    header. Some treat that as a failed sign-in, although the server may need none.

    Usual causes: the MCP endpoint is mounted at `/` and handles every path below it.

    Repair: Route `/.well-known/*` before the MCP handler, and answer 404 where there is
    no document.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource
        406 {"jsonrpc": "2.0", "id": null, "error": {"code": -32000,
             "message": "Not Acceptable: Client must accept text/event-stream"}}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource
        404
    """
    refused = document.status == 406 and "text/event-stream" in document.answer_text
    if "jsonrpc" in document.answer_object or refused:
        yield Problem(
            message=f"the answer ({document.status}) is an MCP message; it has to be a metadata document, or 404",
            at="response.body",
            expected="404, or a metadata document",
            actual=document.answer_text[:120],
            patch=_NOTHING_HERE,
        )


@rule(
    "prm-head-not-supported",
    practice("RFC 9110 §9.3.2; RFC 9728 §3.1 (GET is the defined query)", "https://www.rfc-editor.org/rfc/rfc9110.html#section-9.3.2"),
    who="resource-server",
    since="2025-06-18",
)  # fmt: skip
def head_not_supported(handshake: Handshake) -> Problems:
    """The protected resource metadata URL answers GET, but not HEAD.

    HEAD is GET without the body. Health checks and a few clients use it to test whether a document
    exists, and conclude from 404 or 405 that it does not.

    Usual causes: a router that supports only the registered methods.

    Repair: Answer HEAD on the metadata routes as you answer GET, without the body.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}

        HEAD https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        405

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}

        HEAD https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200
    """
    documents = (*handshake.all(ResourceMetadata), *handshake.all(ServerMetadata))
    there = {document.url for document in documents if document.request.method == "GET" and document.status == 200}
    for document in documents:
        if document.request.method == "HEAD" and document.status in (404, 405) and document.url in there:
            yield Problem(
                exchange=document.exchange.id,
                message=f"HEAD is answered {document.status} where GET is answered 200; it has to be the same",
                at="response.status",
                expected="200",
                actual=str(document.status),
                patch=Patch(status=200, body=""),
            )


@rule(
    "challenge-resource-metadata-unreachable",
    must("MCP 2026-07-28 AS Discovery 'Protected Resource Metadata Discovery Requirements'; RFC 9728 §3.2", "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery#protected-resource-metadata-discovery-requirements"),
    who="resource-server",
    since="2025-06-18",
    stops_at=("mcp-challenge", *_LATER),
)  # fmt: skip
def metadata_unreachable(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """There is no metadata at the URL that `resource_metadata` names.

    The client fetches exactly this URL. When it has no document, some clients do not try other URLs
    and take the MCP server for the authorization server; users then see 404s on `/register` or
    `/.well-known/oauth-authorization-server`.

    Usual causes: the URL is built from an internal host name; the route for it was forgotten or
    moved; it requires authentication.

    Repair: Serve the document, without authentication, at exactly the URL that
    `resource_metadata` names; or name the URL where it is.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource"

        GET https://mcp.example.com/.well-known/oauth-protected-resource
        404

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource"

        GET https://mcp.example.com/.well-known/oauth-protected-resource
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    named = prm.variant == "header" or any(refusal.metadata_url == prm.url for refusal in so_far.all(Challenge))
    if not named or prm.request.method != "GET" or prm.status == 304:
        return
    if prm.exchange.response is None and prm.exchange.error is None:
        return
    if prm.status in (301, 302, 303, 307, 308) or (prm.exchange.response is not None and prm.found):
        return
    what = f"status {prm.status}" if prm.status != 200 else "no JSON object"
    yield Problem(
        message=f"`resource_metadata` names {prm.url}, where {prm.exchange.error or what} comes back; "
        "it has to be 200 with the document",
        at="response.status" if prm.exchange.response else "request.url",
        expected="200 with a JSON object",
        actual=prm.exchange.error or what,
        severity="warning" if any(found(one) and one.url == prm.url for one in so_far.all(ResourceMetadata)) else None,
        patch=synthesized(so_far, mcp_url(prm, so_far)) if prm.exchange.response else None,
    )
