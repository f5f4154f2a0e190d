"""`resource` as a name: what kind of URL it is, whatever it is compared with."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import ResourceMetadata
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice, should
from oauthtap.rules import rule
from oauthtap.rules.prm_discovery.about import mcp_url

_AT = "response.json.resource"
_LATER = ("as-discovery", "client-registration", "authorization-request", "mcp-token-rejected")


@rule(
    "prm-resource-not-https",
    must("RFC 9728 §1.2", "https://www.rfc-editor.org/rfc/rfc9728.html#section-1.2"),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
)
def not_https(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`resource` has the scheme `http` instead of https.

    The name of a protected server is always an https URL. A client that came over https
    sees another server in it, and stops.

    Usual causes: TLS ends at a proxy, and the server builds its URL from what the proxy
    sends on, without looking at `X-Forwarded-Proto`.

    Repair: Publish the https URL. Tell the framework to trust the proxy's forwarded
    headers, or set the public URL by hand.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "http://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    stated = prm.resource or ""
    if urls.origin(stated).startswith("http://") and not urls.is_loopback(stated):
        secure = f"https{stated[4:]}"
        yield Problem(
            message=f"`resource` is {stated}; it has to begin with https",
            at=_AT,
            expected=secure,
            actual=stated,
            patch=Patch(merge={"resource": secure}, assumes="the server answers over https"),
        )


@rule(
    "prm-resource-not-url",
    must(
        "RFC 9728 §1.2 and §2; MCP 2026-07-28 'Canonical Server URI'",
        "https://www.rfc-editor.org/rfc/rfc9728.html#section-1.2",
    ),
    who="resource-server",
    since="2025-06-18",
    stops_at=_LATER,
)
def not_url(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`resource` is not a URL with a host.

    A client compares `resource` with the URL it talks to. A bare host name, a URN or an
    application id such as `api://…` can never be equal to it.

    Usual causes: the identifier that the authorization server knows the API by (Entra's
    `api://…`, an Auth0 API name) was put there.

    Repair: Publish the MCP URL, and add that URL at the authorization server as a
    further identifier of the API.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "api://3f2b1c00-0000-4000-8000-000000000000",
             "authorization_servers": ["https://as.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    stated = prm.resource
    if stated and not urls.origin(stated).startswith(("http://", "https://")):
        used = mcp_url(prm, so_far)
        yield Problem(
            message=f"`resource` is {stated!r}; it has to be an https URL with a host",
            at=_AT,
            expected=used or "the URL of the MCP endpoint",
            actual=stated,
            patch=Patch(merge={"resource": used}) if used else None,
        )


@rule(
    "prm-resource-fragment",
    must("RFC 9728 §1.2; RFC 8707 §2", "https://www.rfc-editor.org/rfc/rfc9728.html#section-1.2"),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
    stops_at=("authorization-request", "authorization-response", "token-request"),
)
def fragment(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`resource` has a fragment.

    What stands behind `#` never leaves a browser, so it cannot be part of a server's
    name. Authorization servers refuse such a value when the client asks for a token.

    Usual causes: the URL was copied from a documentation page or a single-page app.

    Repair: Cut off the `#` and what follows.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp#tools",
             "authorization_servers": ["https://as.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    stated = prm.resource or ""
    if "#" in stated:
        bare = stated.partition("#")[0]
        yield Problem(
            message=f"`resource` is {stated}; it has to end before the `#`",
            at=_AT,
            expected=bare,
            actual=stated,
            patch=Patch(merge={"resource": bare}),
        )


@rule(
    "prm-resource-query",
    should("RFC 9728 §1.2; RFC 8707 §2", "https://www.rfc-editor.org/rfc/rfc9728.html#section-1.2"),
    who="resource-server",
    severity="note",
    since="2025-06-18",
)
def query(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`resource` has a query.

    Then the place of this document has to carry the same query, and few clients build
    it that way. They look elsewhere, or compare without the query and find a difference.

    Usual causes: tenants or feature sets told apart by a parameter.

    Repair: Tell resources apart by path. Where the query must stay, see to it that
    every user enters it exactly like this.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp?tenant=7",
             "authorization_servers": ["https://as.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    stated = prm.resource or ""
    parts = urls.split(stated)
    if parts and parts.query:
        yield Problem(
            message=f"`resource` is {stated}; clients expect a URL without `?{parts.query}`",
            at=_AT,
            expected=urls.without_query(stated),
            actual=stated,
        )


@rule(
    "prm-resource-uppercase",
    practice(
        "MCP 2026-07-28 'Canonical Server URI'; RFC 9728 §6",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#canonical-server-uri",
    ),
    who="resource-server",
    since="2025-06-18",
)
def uppercase(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`resource` has capital letters in its scheme or host.

    To the network case does not matter there; to a client that compares text it does.
    Its own URL library has made everything small, and now the two differ.

    Usual causes: a host name typed as it appears in a brand or a cloud console.

    Repair: Write scheme and host in small letters. Leave the path as it is.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://MCP.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    stated = prm.resource or ""
    scheme, mark, rest = stated.partition("://")
    host, slash, path = rest.partition("/")
    small = f"{scheme.lower()}{mark}{host.lower()}{slash}{path}"
    if urls.origin(stated) and stated != small:
        yield Problem(
            message=f"`resource` is {stated}; in canonical form it is {small}",
            at=_AT,
            expected=small,
            actual=stated,
            patch=Patch(merge={"resource": small}),
        )
