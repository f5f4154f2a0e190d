"""What the client does on its way to the metadata."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    Challenge,
    Document,
    Mcp,
    Registration,
    ResourceMetadata,
    ServerMetadata,
    Stage,
    TokenEndpoint,
)
from oauthtap.handshake.state import Handshake, absolute
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule

_DISCOVERY = (
    "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery"
)
_ORDER = f"{_DISCOVERY}#protected-resource-metadata-discovery-requirements"
_CREDENTIAL = re.compile(r"key|token|secret|access|credential|client-id|password|signature|-auth", re.I)
_NO_CREDENTIAL = re.compile(r"mcp-|sec-|access-control-|x-forwarded-|authorization$|idempotency-", re.I)


def _by_client(stage: Stage) -> bool:
    return stage.exchange.actor == "client"


def _in_browser(stage: Stage) -> bool:
    return stage.request.header("sec-fetch-mode") == "cors" or stage.exchange.actor == "browser"


def _probes_since(challenge: Challenge, so_far: Handshake) -> list[ResourceMetadata]:
    """The client's requests for metadata after this refusal."""
    return [
        prm
        for prm in so_far.all(ResourceMetadata)
        if _by_client(prm) and prm.exchange.id > challenge.exchange.id and prm.request.method == "GET"
    ]


def _went_on_since(challenge: Challenge, so_far: Handshake) -> bool:
    """The client looked for an authorization server, registered or signed in after this refusal."""
    kinds = (ServerMetadata, Registration, AuthorizationRequest, TokenEndpoint)
    return any(one.exchange.id > challenge.exchange.id for kind in kinds for one in so_far.all(kind))


@rule(
    "client-ignored-resource-metadata",
    must("MCP 2026-07-28 AS Discovery 'Protected Resource Metadata Discovery Requirements'", _ORDER),
    who="client",
    severity="warning",
    since="2025-11-25",
    stops_at=("as-discovery",),
)
def ignored_resource_metadata(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """The client does not fetch the `resource_metadata` URL of the challenge.

    The 401 names the metadata. A client that guesses a well-known URL instead may find nothing, or
    the document of another server on the same host.

    Usual causes: an older client that tries only the well-known URLs; a browser script that cannot
    read the header.

    Repair: In the client, read `resource_metadata` first. Until then, serve the same document at
    the well-known URLs.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/meta/resource"

        GET https://mcp.example.com/.well-known/oauth-protected-resource
        404

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/meta/resource"

        GET https://mcp.example.com/meta/resource
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    challenge = so_far.challenge
    named = challenge.metadata_url if challenge and _by_client(challenge) else None
    if challenge is None or not named or not urls.origin(named) or not _by_client(prm) or _in_browser(prm):
        return
    if prm.url in so_far.metadata_urls or prm.url == named or _probes_since(challenge, so_far):
        return
    if _went_on_since(challenge, so_far):  # with what it knew; whoever looks anew now may not have seen the refusal
        return
    if urls.origin(prm.url) == urls.origin(challenge.url):
        yield Problem(
            message=f"the client asks for {prm.url}; the refusal named {named}",
            at="request.url",
            expected=named,
            actual=prm.url,
        )


@rule(
    "client-prm-probe-order",
    must("MCP 2026-07-28 AS Discovery 'Protected Resource Metadata Discovery Requirements'", _ORDER),
    who="client",
    severity="warning",
    since="2025-11-25",
)
def probe_order(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """The client tries the root well-known URL before the one with the MCP path.

    On a host with several MCP servers the document at the root may describe another one. So the
    well-known URL with the MCP path comes first.

    Usual causes: a client from before 2025-11-25, or one that drops the path.

    Repair: In the client, try `/.well-known/oauth-protected-resource` followed by the MCP path
    first. On the server, serve the document at both URLs.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer

        GET https://mcp.example.com/.well-known/oauth-protected-resource
        404

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer

        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        404

        GET https://mcp.example.com/.well-known/oauth-protected-resource
        404
    """
    challenge = so_far.challenge
    if challenge is None or not _by_client(challenge) or not _by_client(prm) or challenge.metadata_url:
        return
    places = urls.prm_locations(challenge.url)
    if len(places) < 2 or prm.url != places[1].url:
        return
    asked = any(one.url == places[0].url for one in so_far.all(ResourceMetadata))
    if not asked and not _probes_since(challenge, so_far) and prm.exchange.response is not None:
        yield Problem(
            message=f"the client asks for {prm.url} first; {places[0].url} comes before it",
            at="request.url",
            expected=places[0].url,
            actual=prm.url,
        )


@rule(
    "client-skipped-prm",
    must("MCP 2026-07-28 'Overview' (clients must use PRM)", "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#overview"),
    who="client",
    severity="warning",
    since="2025-06-18",
    stops_at=("client-registration", "authorization-request"),
)  # fmt: skip
def skipped(document: ServerMetadata, so_far: Handshake) -> Problems:
    """The client skips protected resource metadata and uses the MCP server as authorization server.

    Since 2025-06-18 the MCP server names its authorization server in protected resource metadata. A
    client that does not read it can only sign in where both are the same server.

    Usual causes: a client that still implements the discovery of 2025-03-26.

    Repair: Update the client. For old clients, publish the authorization server's metadata on the
    MCP server's host as well.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"

        GET https://mcp.example.com/.well-known/oauth-authorization-server
        404

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"

        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://mcp.example.com"]}

        GET https://mcp.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://mcp.example.com"}
    """
    challenge = so_far.challenge
    if challenge is None or not _by_client(challenge) or not _by_client(document) or so_far.all(ResourceMetadata):
        return
    earlier = [one for one in so_far.all(ServerMetadata) if one.exchange.id > challenge.exchange.id]
    says = so_far.revision_named or ""
    if says >= "2025-06-18" and not earlier and urls.origin(document.url) == urls.origin(challenge.url):
        yield Problem(
            message=f"after the refusal the client asks for {document.url}; "
            "it has to ask for the MCP server's own metadata first",
            at="request.url",
            expected=challenge.metadata_url or urls.prm_locations(challenge.url)[0].url,
            actual=document.url,
        )


@rule(
    "client-drops-configured-headers",
    practice("Observed with service-token gateways", _DISCOVERY),
    who="client",
    severity="warning",
    since="2025-06-18",
    stops_at=("mcp-challenge", "as-discovery", "client-registration", "token-request"),
)
def drops_configured_headers(stage: Document | Registration | TokenEndpoint, so_far: Handshake) -> Problems:
    """The client leaves its configured headers out of metadata and token requests.

    A gateway in front of the server requires a certain header. The client sends it with MCP
    requests, but not with the requests for metadata and tokens to the same host. The gateway
    refuses these.

    Usual causes: custom headers of the client's settings are used for MCP requests only.

    Repair: Let the client send them with every request to this host; or let the gateway allow
    `/.well-known/*` and the OAuth endpoints without them.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        CF-Access-Client-Id: made-up-id
        401
        WWW-Authenticate: Bearer

        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        403

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        CF-Access-Client-Id: made-up-id
        401
        WWW-Authenticate: Bearer

        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        CF-Access-Client-Id: made-up-id
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    mcp = next((one for one in reversed(so_far.all(Mcp)) if _by_client(one)), None)
    if mcp is None or not _by_client(stage) or not _turned_away(stage):
        return
    if urls.origin(mcp.url) != urls.origin(stage.url):
        return
    sent = {name.lower() for name, _ in stage.request.headers}
    special = [name for name, _ in mcp.request.headers if _is_configured(name.lower())]
    dropped = [name for name in special if name.lower() not in sent]
    if dropped:
        yield Problem(
            message=f"MCP requests carry {', '.join(dropped)[:120]}; this request to the same host, answered "
            f"{stage.status}, does not",
            at=f"request.header.{dropped[0].lower()}",
            expected=", ".join(dropped)[:200],
            actual="no such header",
        )


def _is_configured(name: str) -> bool:
    """The header has the name of a credential that somebody set up for this server."""
    return bool(_CREDENTIAL.search(name)) and not _NO_CREDENTIAL.match(name)


def _turned_away(stage: Stage) -> bool:
    """Refused as a gateway refuses: 401, 403, or on to a login page."""
    if stage.status in (401, 403):
        body = stage.exchange.response.json_object if stage.exchange.response else {}
        return not isinstance(body.get("error"), str) or not isinstance(stage, TokenEndpoint | Registration)
    if stage.status in (302, 303, 307):
        target = absolute(stage.response.header("location") or "", stage.url)
        return "login" in target.lower()
    return False


@rule(
    "client-never-asked-endpoint",
    must("MCP 2026-07-28 AS Discovery 'Protected Resource Metadata Discovery Requirements'", _ORDER),
    who="client",
    severity="warning",
    since="2025-06-18",
    stops_at=("as-discovery", "client-registration"),
)
def never_asked(handshake: Handshake) -> Problems:
    """The client never asks the MCP endpoint, whose 401 names the metadata.

    `resource_metadata` of the 401 may name any URL. A login command that only tries the well-known
    URLs never reads it, finds nothing, and guesses.

    Usual causes: a login command that skips the request to the MCP endpoint.

    Repair: In the client, send the MCP request first and read `resource_metadata` of the 401. Until
    then, serve the protected resource metadata at the well-known URL of the MCP URL as well.

    Bad:
        @reporter
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://meta.example.com/.well-known/oauth-protected-resource/mcp"

        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        404
        POST https://mcp.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        404

    Good:
        @reporter
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"

        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}
    """
    if any(_by_client(mcp) for mcp in handshake.all(Mcp)):
        return
    seen = next((mcp for mcp in handshake.all(Challenge) if mcp.metadata_url), None)
    asked = [prm for prm in handshake.all(ResourceMetadata) if _by_client(prm)]
    if seen is None or not asked or any(prm.ok or prm.status is None for prm in asked):
        return
    pointer = absolute(seen.metadata_url or "", seen.url)
    if any(prm.url == pointer for prm in asked):
        return
    last = next((s for s in reversed(handshake.stages) if _by_client(s)), asked[-1])
    yield Problem(
        message=f"the client never asked {seen.url}, whose 401 names the metadata (`resource_metadata` {pointer}, seen in "
        f"exchange {seen.exchange.id}); it tried the well-known URLs only",
        at="request.url",
        expected=pointer,
        actual=asked[0].url,
        exchange=last.exchange.id,
    )
