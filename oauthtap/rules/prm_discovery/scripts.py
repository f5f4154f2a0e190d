"""Metadata fetched by a script in a browser."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Preflight, ResourceMetadata, ServerMetadata
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import practice
from oauthtap.rules import rule


@rule(
    "cors-metadata",
    practice("OIDC Discovery 1.0 §4 (CORS advised); OAuth 2.1 draft-13 §3.2", "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-3.2"),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
    stops_at=("mcp-challenge", "as-discovery", "client-registration"),
)  # fmt: skip
def cors(document: ResourceMetadata | ServerMetadata, so_far: Handshake) -> Problems:
    """`Access-Control-Allow-Origin` does not let a browser script read the metadata.

    The document arrives, but the browser does not give it to the script, because the response does
    not allow its origin. To the client this looks like a network failure.

    Usual causes: CORS is set up for the MCP endpoint but not for `/.well-known/*`.

    Repair: Send `Access-Control-Allow-Origin: *` with metadata, and answer the preflight. The
    document is public.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        Origin: https://inspector.example.com
        Sec-Fetch-Mode: cors
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        Origin: https://inspector.example.com
        Sec-Fetch-Mode: cors
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
        Access-Control-Allow-Origin: *
    """
    origin = document.request.header("origin")
    if not origin or not document.ok or urls.origin(origin) == urls.origin(document.url):
        return
    asked = any(one.url == document.url for one in so_far.all(Preflight))
    allowed = document.response.header("access-control-allow-origin")
    if (document.request.header("sec-fetch-mode") == "cors" or asked) and allowed not in ("*", origin):
        yield Problem(
            message=f"`Access-Control-Allow-Origin` is {allowed or 'missing'}; it has to allow {origin}",
            at="response.header.access-control-allow-origin",
            expected="*",
            actual=allowed or "",
            responsible="authorization-server" if isinstance(document, ServerMetadata) else None,
            patch=Patch(headers={"Access-Control-Allow-Origin": "*"}),
        )
