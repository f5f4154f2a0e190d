"""Whether the client believes only what it may believe of the metadata."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    Registration,
    ResourceMetadata,
    ServerMetadata,
    Stage,
    TokenEndpoint,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must
from oauthtap.rules import rule
from oauthtap.rules.prm_discovery.about import found, mcp_url


def _by_client(stage: Stage) -> bool:
    return stage.exchange.actor == "client"


@rule(
    "client-used-mismatched-prm",
    must("RFC 9728 §3.3 and §7.3", "https://www.rfc-editor.org/rfc/rfc9728.html#section-3.3"),
    who="client",
    since="2025-06-18",
    stops_only_at=(),
)
def used_mismatched(stage: Registration | AuthorizationRequest, so_far: Handshake) -> Problems:
    """The client uses protected resource metadata with the `resource` of another server.

    A hostile server could name another resource and so get a token for it. The comparison protects
    users from that.

    Usual causes: a client that does not compare `resource` with the URL it was given.

    Repair: In the client, reject metadata whose `resource` is not the MCP URL or a parent path on
    the same host.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"

        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://other.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}

        POST https://as.example.com/register {"redirect_uris": ["http://localhost:3000/callback"]}
        201 {"client_id": "c1"}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"

        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}

        POST https://as.example.com/register {"redirect_uris": ["http://localhost:3000/callback"]}
        201 {"client_id": "c1"}
    """
    prm = so_far.prm
    if prm is None or stage.exchange.actor not in ("client", "browser") or not _by_client(prm):
        return
    if any(prm.exchange.id < s.exchange.id for s in (*so_far.all(Registration), *so_far.all(AuthorizationRequest))):
        return
    used, stated = mcp_url(prm, so_far), prm.resource
    servers = {urls.origin(entry) for entry in prm.authorization_servers}
    if not used or not stated or not (urls.origin(stage.url) in servers or _named_by(stage, so_far, servers)):
        return
    same = urls.origin(used) == urls.origin(stated)
    here, there = urls.path_of(used).rstrip("/"), urls.path_of(stated).rstrip("/")
    if not same or not (here == there or here.startswith(f"{there}/")):
        yield Problem(
            message=f"the metadata is about {stated}, the client uses {used} and goes on; it has to stop there",
            at="request.url",
            expected=f"metadata with the resource {used}",
            actual=stated,
        )


def _named_by(stage: Stage, so_far: Handshake, servers: set[str]) -> bool:
    """The request goes where the metadata of one of these servers sent it."""
    source = so_far.of(stage.initiator.exchange) if stage.initiator and stage.initiator.exchange else ()
    return any(isinstance(one, ServerMetadata) and urls.origin(one.url) in servers for one in source)


@rule(
    "prm-changed-as",
    must("MCP 2026-07-28 Client Registration 'Authorization Server Binding'; RFC 9728 §5.2", "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration#authorization-server-binding"),
    who="client",
    severity="warning",
    since="2026-07-28",
    stops_at=("authorization-interaction", "authorization-response", "mcp-token-rejected"),
)  # fmt: skip
def changed_authorization_server(stage: AuthorizationRequest | TokenEndpoint, so_far: Handshake) -> Problems:
    """The MCP server has a new authorization server, and the client uses its old `client_id` there.

    A `client_id` is valid only where it was registered. At the new server it is unknown, and its
    secret is leaked to that server.

    Usual causes: a client that stores its registration per MCP server instead of per authorization
    server.

    Repair: In the client, store registrations and tokens by issuer, and register again when the
    issuer changes.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://old.example.com"]}

        POST https://old.example.com/register {"redirect_uris": ["http://localhost:3000/callback"]}
        201 {"client_id": "c1"}

        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://new.example.com"]}

        @browser
        GET https://new.example.com/authorize?response_type=code&client_id=c1
        400

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://new.example.com"]}

        POST https://new.example.com/register {"redirect_uris": ["http://localhost:3000/callback"]}
        201 {"client_id": "c1"}

        @browser
        GET https://new.example.com/authorize?response_type=code&client_id=c1
        302
        Location: http://localhost:3000/callback?code=made-up-code-1
    """
    client_id = stage.get("client_id")
    home = so_far.of(so_far.client_ids.get(client_id or "", 0))
    registered = next((one for one in home if isinstance(one, Registration) and one.ok), None)
    if registered is None or stage.exchange.actor not in ("client", "browser"):
        return
    lists = [prm.authorization_servers for prm in so_far.all(ResourceMetadata) if found(prm)]
    if len(lists) < 2 or lists[-1] == lists[0]:
        return
    there, here = urls.origin(registered.url), urls.origin(stage.url)
    now, before = ({urls.origin(entry) for entry in entries} for entries in (lists[-1], lists[0]))
    if there != here and here in now and there in before and there not in now:
        yield Problem(
            message=f"the client id was issued by {there}; it is used at {here}, the new authorization server",
            at="request.query.client_id" if isinstance(stage, AuthorizationRequest) else "request.form.client_id",
            expected=f"a client id registered at {here}",
            actual=client_id,
        )
