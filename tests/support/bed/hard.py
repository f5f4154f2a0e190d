"""Further servers with one to three faults, for `solve`: none of them was run before its label was written."""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from tests.support.bed.authorization import Grant
from tests.support.bed.healthy import Good
from tests.support.bed.mcp import PRM
from tests.support.bed.origin import Routes, document, oauth_error


class ResourceTypo(Good):
    """`resource` has another path than the MCP URL, and the token's `aud` is checked as the MCP URL."""

    host = "resource-typo.mcp.test"

    def resource_metadata(self) -> dict[str, Any]:
        return super().resource_metadata() | {"resource": f"{self.origin}/v1/mcp"}


class TargetRefused(Good):
    """The authorization server refuses every request with `resource`."""

    host = "target-refused.mcp.test"

    def grants(self, resource: str) -> bool:
        return not resource

    def audience(self, grant: Grant) -> str:
        return self.resource


class UnknownScope(Good):
    """The resource metadata lists a scope that the authorization server refuses."""

    host = "unknown-scope.mcp.test"

    def resource_metadata(self) -> dict[str, Any]:
        return super().resource_metadata() | {"scopes_supported": ["mcp:admin"]}

    def challenge(self, token: str) -> str | None:
        return f'Bearer resource_metadata="{self.origin}{PRM}{self.path}"'


class WrongTokenEndpoint(Good):
    """`token_endpoint` names a path that answers 404; `/token` works."""

    host = "wrong-token-endpoint.mcp.test"

    def metadata(self) -> dict[str, Any]:
        return super().metadata() | {"token_endpoint": f"{self.origin}/oauth2/token"}


class NullMembers(Good):
    """The registration answer holds `null` for what was not sent."""

    host = "null-members.mcp.test"

    async def register(self, request: Request) -> Response:
        answer = await super().register(request)
        client = json.loads(bytes(answer.body))
        return JSONResponse(client | {"client_uri": None, "logo_uri": None, "contacts": None}, answer.status_code)


class MacToken(Good):
    """`token_type` is a kind that no MCP client has."""

    host = "mac-token.mcp.test"

    def token_answer(self, tokens: dict[str, Any]) -> Response:
        return super().token_answer(tokens | {"token_type": "mac"})


class MovedMetadata(Good):
    """The resource metadata answers 301 to another path of the same origin."""

    host = "moved-metadata.mcp.test"

    def resource_metadata_routes(self) -> Routes:
        async def moved(request: Request) -> Response:
            return RedirectResponse(f"{self.origin}/meta/resource", 301)

        routes = {("GET", f"{PRM}{self.path}"): moved, ("GET", PRM): moved}
        return routes | {("GET", "/meta/resource"): document(self.resource_metadata())}


class ImplicitOnly(Good):
    """`response_types_supported` lists `token` alone, and `grant_types_supported` `implicit`."""

    host = "implicit-only.mcp.test"

    def metadata(self) -> dict[str, Any]:
        return super().metadata() | {"response_types_supported": ["token"], "grant_types_supported": ["implicit"]}


class NoPublicClients(Good):
    """Registration refuses clients without a secret; the metadata lists `client_secret_basic` alone."""

    host = "no-public-clients.mcp.test"

    def metadata(self) -> dict[str, Any]:
        return super().metadata() | {"token_endpoint_auth_methods_supported": ["client_secret_basic"]}

    async def register(self, request: Request) -> Response:
        wanted = json.loads(await request.body())
        if wanted.get("token_endpoint_auth_method", "client_secret_basic") == "none":
            return oauth_error("invalid_client_metadata", "public clients are not allowed")
        return await super().register(request)


class ChallengeOnServerError(Good):
    """Every answer of the MCP server is 500, with a token or without."""

    host = "always-500.mcp.test"

    def turned_away(self, request: Request) -> Response | None:
        return super().turned_away(request) or JSONResponse({"error": "boom"}, 500)
