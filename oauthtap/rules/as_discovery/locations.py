"""Whether the metadata of an authorization server is at one of its well-known URLs."""

from __future__ import annotations

from collections.abc import Iterator

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import ResourceMetadata, ServerMetadata
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must
from oauthtap.rules import rule

_LOCATIONS = "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery#authorization-server-metadata-discovery"


def _entries(so_far: Handshake) -> list[str]:
    """Every issuer that protected resource metadata has named, once, newest document first."""
    named = [
        entry
        for document in reversed(so_far.all(ResourceMetadata))
        if document.ok and document.exchange.response and document.exchange.response.body is not None
        for entry in document.authorization_servers
    ]
    return list(dict.fromkeys(named))


def _tries(so_far: Handshake) -> Iterator[ServerMetadata]:
    """The client's own requests for metadata that were answered."""
    for tried in so_far.all(ServerMetadata)[-200:]:
        if tried.exchange.actor in ("client", "browser") and tried.status is not None:
            yield tried


@rule(
    "as-metadata-not-found",
    must("MCP 2026-07-28 AS Discovery 'Authorization Server Metadata Discovery'; RFC 8414 §3", _LOCATIONS),
    who="authorization-server",
    since="2025-06-18",
    stops_at=("client-registration", "authorization-request"),
)
def metadata_not_found(document: ServerMetadata, so_far: Handshake) -> Problems:
    """The authorization server has no metadata at any well-known URL.

    Without this document a client has no authorization endpoint and no token endpoint. Strict
    clients stop here; older ones guess `/authorize`, `/token` and `/register`, and show the error
    of that guess.

    Usual causes: the authorization server is plain OAuth without discovery; the entry in
    `authorization_servers` is not its issuer; a router intercepts `/.well-known/`.

    Repair: Publish the metadata of that issuer at the first of the tried URLs (the well-known path
    goes between host and path), or list an issuer that publishes it.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}
        GET https://as.example.com/.well-known/oauth-authorization-server
        404
        GET https://as.example.com/.well-known/openid-configuration
        404

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}
        GET https://as.example.com/.well-known/oauth-authorization-server
        404
        GET https://as.example.com/.well-known/openid-configuration
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token"}
    """
    if document.exchange.actor != "client" or document.status is None or document.status < 400:
        return
    entry = document.expected_issuer
    if entry not in _entries(so_far):
        return
    wanted = {place.url for place in urls.as_metadata_locations(entry or "")}
    before = list(_tries(so_far))
    tried = [*before, document]
    if any(other.url == document.url for other in before):
        return
    if urls.without_query(document.url) not in wanted or any(
        urls.without_query(other.url) in wanted and (other.status or 0) < 400 for other in tried
    ):
        return
    if wanted <= {urls.without_query(other.url) for other in tried}:
        yield Problem(
            message=f"none of the {len(wanted)} well-known URLs of {entry} has metadata; the last answered {document.status}",
            at="response.status",
            expected="200 with metadata",
            actual=str(document.status),
        )


@rule(
    "as-metadata-missing-0618",
    must(
        "MCP 2025-06-18 'Overview'; RFC 8414 §3",
        "https://modelcontextprotocol.io/specification/2025-06-18/basic/authorization#overview",
    ),
    who="authorization-server",
    severity="warning",
    since="2025-06-18",
    until="2025-06-18",
    symptom=True,
)
def only_openid_document(handshake: Handshake) -> Problems:
    """The authorization server publishes OpenID configuration, but no OAuth metadata (RFC 8414).

    MCP 2025-06-18 defines the OAuth well-known URL only. A client of that revision gets a 404 there
    and never asks for `openid-configuration`.

    Usual causes: an OpenID product that predates RFC 8414.

    Repair: Publish the same document at `/.well-known/oauth-authorization-server` too.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        404
        GET https://as.example.com/.well-known/openid-configuration
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token"}
    """
    documents = [d for d in handshake.all(ServerMetadata) if d.status is not None]
    openid = [d for d in documents if d.oidc and d.status == 200 and d.published]
    for failed in documents:
        issuer = (failed.expected_issuer or "").rstrip("/")
        if failed.oidc or failed.status not in (400, 404, 405, 410) or not issuer:
            continue
        other = next((d for d in openid if (d.expected_issuer or "").rstrip("/") == issuer), None)
        if other is None or any(
            not d.oidc and d.ok and (d.expected_issuer or "").rstrip("/") == issuer for d in documents
        ):
            continue
        able = other.exchange.actor == "client"
        yield Problem(
            exchange=failed.exchange.id,
            message=f"the OAuth well-known URL answered {failed.status}; only {other.url} has the metadata",
            at="response.status",
            expected="200 with metadata",
            actual=str(failed.status),
            severity="note" if able else None,
        )
        return


@rule(
    "as-metadata-only-appended",
    must(
        "RFC 8414 §3 and §3.1; MCP 2026-07-28 AS Discovery", "https://www.rfc-editor.org/rfc/rfc8414.html#section-3.1"
    ),
    who="authorization-server",
    since="2025-06-18",
    stops_at=("client-registration", "authorization-request"),
)
def only_appended(handshake: Handshake) -> Problems:
    """The well-known path is appended to the issuer's path instead of inserted before it.

    For the issuer `https://host/team` the document belongs at
    `https://host/.well-known/oauth-authorization-server/team`. This server has it only at
    `https://host/team/.well-known/…`, which MCP clients do not ask for.

    Usual causes: the application is mounted below a path and can serve nothing above it
    (functions, subpath deployments); a framework that simply appends.

    Repair: Route `/.well-known/oauth-authorization-server/<path of the issuer>` at the root of
    the host to this document, or use an issuer without path.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server/team
        404
        @reporter
        GET https://as.example.com/team/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com/team", "token_endpoint": "https://as.example.com/team/token"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server/team
        200 {"issuer": "https://as.example.com/team", "token_endpoint": "https://as.example.com/team/token"}
    """
    documents = handshake.all(ServerMetadata)
    for appended in documents:
        if appended.oidc or appended.variant != "appended" or appended.status != 200 or not appended.published:
            continue
        issuer = (appended.expected_issuer or "").rstrip("/")
        same = [d for d in documents if (d.expected_issuer or "").rstrip("/") == issuer and d is not appended]
        elsewhere = [d for d in same if d.oidc or d.variant == "inserted"]
        failed = [d for d in elsewhere if d.variant == "inserted" and not d.oidc and (d.status or 0) >= 400]
        if failed and not any(d.ok for d in elsewhere):
            yield Problem(
                exchange=failed[0].exchange.id,
                message=f"{failed[0].url} answered {failed[0].status}; the document is only at {appended.url}",
                at="response.status",
                expected="200 with metadata",
                actual=str(failed[0].status),
            )
            return
