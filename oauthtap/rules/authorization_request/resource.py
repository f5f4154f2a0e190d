"""`resource` of the authorization request: which MCP server the token is for."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import AuthorizationRequest, ResourceMetadata
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice, should
from oauthtap.rules import rule
from oauthtap.rules.authorization_request.refusals import Asked, own_request, refusal

_RESOURCE = (
    "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#resource-parameter-implementation"
)
_LATER = ("authorization-response", "token-request", "mcp-token-rejected")
_ABOUT_RESOURCE = re.compile(r"\bresource\b|\baudience\b", re.I)
_REPETITION = re.compile(r"duplicat|repeated|more than once|multiple values|several times", re.I)
_ABSOLUTE = re.compile(r"[a-z][a-z0-9+.-]*:\S+", re.I)


@rule(
    "authz-resource-missing",
    must("MCP 2026-07-28 'Resource Parameter Implementation'; RFC 8707 §2.1", _RESOURCE),
    who="client",
    severity="warning",
    since="2025-06-18",
    stops_only_at=("mcp-token-rejected", "mcp-challenge"),
)
def resource_missing(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """The authorization request has no `resource` (RFC 8707).

    An authorization server with several resources cannot tell which one is meant. It issues a token
    with no audience or the wrong one, and the MCP server rejects it right after the login.

    Usual causes: the client found no protected resource metadata; an older client.

    Repair: In the client: send `resource` with the value from the protected resource metadata. On
    the server: publish that metadata.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1
        302

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&resource=https://mcp.example.com/mcp
        302
    """
    if own_request(request) and not request.get("resource"):
        prm = so_far.prm
        wanted = (prm.resource if prm else None) or so_far.resource
        yield Problem(
            message=f"the request has no `resource`; it has to be {wanted or 'the address of the MCP server'}",
            at="request.query.resource",
            expected=wanted,
            severity="note" if prm is None and so_far.all(ResourceMetadata) else None,
        )


@rule(
    "authz-resource-invalid",
    must(
        "RFC 8707 §2; MCP 2026-07-28 'Canonical Server URI'",
        "https://www.rfc-editor.org/rfc/rfc8707.html#section-2",
    ),
    who="client",
    since="2025-06-18",
    stops_at=_LATER,
)
def resource_invalid(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """`resource` of the authorization request is not an absolute URL, or has a fragment.

    The authorization server has to refuse such a value (`invalid_target`).

    Usual causes: a name instead of a URL in the protected resource metadata; a URL copied from a
    browser, with its `#…`.

    Repair: Use the absolute https URL of the MCP server, without fragment.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&resource=mcp.example.com
        400

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&resource=https://mcp.example.com/mcp
        302
    """
    for value in request.all("resource") if own_request(request) else ():
        if value and ("#" in value or not _ABSOLUTE.fullmatch(value)):
            yield Problem(
                message=f"`resource` is {value[:200]}; it has to be a complete address without fragment",
                at="request.query.resource",
                expected="https://host/path",
                actual=value[:200],
            )


@rule(
    "authz-resource-mismatch",
    must("MCP 2026-07-28 'Resource Parameter Implementation'; RFC 8707 §2", _RESOURCE),
    who="client",
    severity="warning",
    since="2025-06-18",
    stops_at=_LATER,
)
def resource_mismatch(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """`resource` of the authorization request is not the `resource` of the metadata.

    The token will name the other server as its audience, and this MCP server has to reject it. Or
    the authorization server refuses at once.

    Usual causes: a `resource` written into the authorization endpoint's own query; stored data
    from before the server moved.

    Repair: In the client: send the `resource` of the protected resource metadata. Remove `resource`
    from the URL in `authorization_endpoint`.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&resource=https://as.example.com
        302

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&resource=https://mcp.example.com/mcp
        302
    """
    prm = so_far.prm
    asked = request.all("resource")
    if prm is None or not prm.resource or not asked or not own_request(request):
        return
    meant = [prm.resource, *([so_far.resource] if so_far.resource else [])]
    if not any(urls.similarity(value, other) != "different" for value in asked for other in meant):
        elsewhere = urls.origin(prm.resource) not in map(urls.origin, asked)
        yield Problem(
            message=f"`resource` is {asked[0][:200]}; the metadata of this server says {prm.resource}",
            at="request.query.resource",
            expected=prm.resource,
            actual=asked[0][:200],
            severity="error" if elsewhere else None,
        )


@rule(
    "authz-resource-trailing-slash",
    should(
        "MCP 2026-07-28 'Canonical Server URI'; RFC 9728 §6",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#canonical-server-uri",
    ),
    who="client",
    since="2025-06-18",
    stops_at=_LATER,
)
def resource_trailing_slash(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """`resource` of the authorization request and of the metadata differ by a trailing slash.

    Authorization servers often compare the two as plain text and refuse. Or they issue a token
    whose audience has the slash, and the MCP server expects the one without.

    Usual causes: the client converts the string into a URL object, which adds a slash to a bare
    host.

    Repair: In the client: send `resource` as the metadata writes it. Until then, let the
    authorization server and the MCP server accept both forms.

    Bad:
        # mcp: https://mcp.example.com
        GET https://mcp.example.com/.well-known/oauth-protected-resource
        200 {"resource": "https://mcp.example.com", "authorization_servers": ["https://as.example.com"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&resource=https://mcp.example.com/
        302

    Good:
        # mcp: https://mcp.example.com
        GET https://mcp.example.com/.well-known/oauth-protected-resource
        200 {"resource": "https://mcp.example.com", "authorization_servers": ["https://as.example.com"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&resource=https://mcp.example.com
        302
    """
    prm = so_far.prm
    if prm is None or not prm.resource or not own_request(request):
        return
    asked = request.all("resource")
    slashed = next((value for value in asked if urls.similarity(value, prm.resource or "") == "slash"), None)
    if slashed and prm.resource not in asked:
        no = refusal(request, so_far)
        yield Problem(
            message=f"`resource` is {slashed}, and the metadata says {prm.resource}: they differ by one slash",
            at="request.query.resource",
            expected=prm.resource,
            actual=slashed,
            severity="error" if no and (no.error == "invalid_target" or no.about(_ABOUT_RESOURCE)) else None,
        )


@rule(
    "authz-resource-duplicated",
    practice("RFC 8707 §2", "https://datatracker.ietf.org/doc/html/rfc8707#section-2"),
    who="client",
    severity="warning",
    since="2025-06-18",
    stops_at=("authorization-request", "authorization-response"),
)
def resource_duplicated(stage: Asked, so_far: Handshake) -> Problems:
    """The server refuses an authorization request with several `resource` parameters.

    Several are allowed (RFC 8707), so the client is correct. But many servers expect one string,
    read two as a list, and refuse the request.

    Usual causes: both the SDK and the program around it append the parameter; a gateway appends
    every audience of the token it has.

    Repair: In the client: set `resource` once. Let the server accept a repeated value.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&resource=https://mcp.example.com/mcp&resource=https://mcp.example.com/mcp
        400 {"error": "invalid_request"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&resource=https://mcp.example.com/mcp
        400 {"error": "invalid_request"}
    """
    no = refusal(stage, so_far)
    asked = no.asked.all("resource") if no else ()
    told, same = no is not None and no.about(_REPETITION), len(set(asked)) < len(asked)
    if no and len(asked) > 1 and (same or told):
        yield Problem(
            exchange=no.asked.exchange.id,
            message=f"`resource` occurs {len(asked)} times ({', '.join(dict.fromkeys(asked)):.200}), and the server "
            f"refuses: {no.quoted}",
            at="request.query.resource",
            expected="once",
            actual=f"{len(asked)} times",
            severity="error" if told else None,
        )
