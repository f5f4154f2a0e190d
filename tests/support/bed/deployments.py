"""Targets beside the fault table: authorization servers that cannot be reached, and what stands in front of a server.

Each class is one line, its docstring, as the smallest difference from `Good`.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from tests.support.bed.healthy import Good
from tests.support.bed.origin import Routes, oauth_error

METADATA = "/.well-known/oauth-authorization-server"
PAGE = '<!doctype html><title>Team</title><div id="root"></div><script src="/app.js"></script>'
BAD_GATEWAY = (
    "<html><head><title>502 Bad Gateway</title></head><body><center><h1>502 Bad Gateway</h1></center></body></html>"
)


class ClosedAs(Good):
    """`authorization_servers` names a port where nobody listens."""

    host = "closed-as.mcp.test"

    def resource_metadata(self) -> dict[str, Any]:
        return super().resource_metadata() | {"authorization_servers": [f"http://{self.host}"]}


class NoSuchAs(Good):
    """`authorization_servers` names a host that does not resolve."""

    host = "nosuch-as.mcp.test"

    def resource_metadata(self) -> dict[str, Any]:
        return super().resource_metadata() | {"authorization_servers": ["https://nobody.mcp.test:8443"]}


class HttpPrm(Good):
    """The 401 names `resource_metadata="http://…"` behind a TLS terminator, and port 80 is closed."""

    host = "http-prm.mcp.test"

    def challenge(self, token: str) -> str | None:
        return (super().challenge(token) or "").replace("https://", "http://")


class Prefix(Good):
    """Healthy, below a path prefix; the well-known places have the prefix appended, as RFC 8414 and 9728 say."""

    host = "prefix.mcp.test"
    path = "/team/api/mcp"
    prefix = "/team/api"
    metadata_paths: tuple[str, ...] = (f"{METADATA}/team/api",)

    @property
    def issuer(self) -> str:
        return f"{self.origin}{self.prefix}"

    def metadata(self) -> dict[str, Any]:
        endpoints = {
            f"{name}_endpoint": f"{self.issuer}/{path}"
            for name, path in (("authorization", "authorize"), ("token", "token"), ("registration", "register"))
        }
        return super().metadata() | endpoints | {"jwks_uri": f"{self.issuer}/jwks"}

    def resource_metadata(self) -> dict[str, Any]:
        return super().resource_metadata() | {"authorization_servers": [self.issuer]}

    def routes(self) -> Routes:
        found = super().routes()
        metadata = found.pop(("GET", METADATA))
        for key in (("GET", "/jwks"), ("POST", "/register"), ("GET", "/authorize"), ("POST", "/token")):
            found[key[0], f"{self.prefix}{key[1]}"] = found.pop(key)
        return found | {("GET", path): metadata for path in self.metadata_paths}


class PrefixRoot(Prefix):
    """Below a path prefix, and the authorization server's metadata is at the root place alone."""

    host = "prefix-root.mcp.test"
    metadata_paths = (METADATA,)


class Spa(Good):
    """No well-known place is forwarded: every one of them answers the page of a single-page app."""

    host = "spa.mcp.test"

    def resource_metadata_routes(self) -> Routes:
        return {}

    def routes(self) -> Routes:
        return {key: handler for key, handler in super().routes().items() if key[1] != METADATA}

    def challenge(self, token: str) -> str | None:
        return "Bearer"

    async def elsewhere(self, request: Request) -> Response:
        return HTMLResponse(PAGE) if request.method == "GET" else await super().elsewhere(request)


class Pages(Spa):
    """As `spa`, and the guessed `/register`, `/authorize` and `/token` are that page too, whatever the method."""

    host = "pages.mcp.test"

    def routes(self) -> Routes:
        return {key: handler for key, handler in super().routes().items() if key[1] == self.path}

    async def elsewhere(self, request: Request) -> Response:
        return HTMLResponse(PAGE)


class Gateway(Good):
    """The backend of the authorization server is down: the reverse proxy answers 502 at its metadata."""

    host = "gateway.mcp.test"

    def routes(self) -> Routes:
        return super().routes() | {("GET", METADATA): self.bad_gateway}

    async def bad_gateway(self, request: Request) -> Response:
        return HTMLResponse(BAD_GATEWAY, 502)


class GatewayMcp(Gateway):
    """The gateway checks the token itself; behind it the MCP server is down, and every message gets 502."""

    host = "gateway-mcp.mcp.test"

    def routes(self) -> Routes:
        return Good.routes(self) | {("POST", self.path): self.bad_gateway}


class CimdFetch(Good):
    """Client id metadata documents are announced, but the authorization server cannot fetch the client's."""

    host = "cimd-fetch.mcp.test"

    def metadata(self) -> dict[str, Any]:
        return super().metadata() | {"client_id_metadata_document_supported": True}

    async def authorize(self, request: Request) -> Response:
        if request.query_params.get("client_id", "").startswith("https://"):
            return self.unfetched()
        return await super().authorize(request)

    def unfetched(self) -> Response:
        """No redirect: without the document nobody knows whether the redirect URI is the client's."""
        return oauth_error("invalid_client", "Failed to fetch client metadata: timed out")


class CimdFetchPage(CimdFetch):
    """As `cimd-fetch`, and a page says so."""

    host = "cimd-fetch-page.mcp.test"

    def unfetched(self) -> Response:
        return HTMLResponse("<h1>Invalid client</h1><p>The client metadata document could not be retrieved.</p>", 400)


class CimdFetchError(CimdFetch):
    """As `cimd-fetch`, and it ends in an internal error."""

    host = "cimd-fetch-error.mcp.test"

    def unfetched(self) -> Response:
        return PlainTextResponse("Internal Server Error", 500)


DEPLOYMENTS: tuple[type[Good], ...] = (
    ClosedAs, NoSuchAs, HttpPrm, Prefix, PrefixRoot, Spa, Pages, Gateway, GatewayMcp, CimdFetch, CimdFetchPage,
    CimdFetchError
)  # fmt: skip
