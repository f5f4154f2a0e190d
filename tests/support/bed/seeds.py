"""The two field reports the project grew from, and what the author of the first changed. Made of the same parts."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from tests.support.bed.authorization import AuthorizationServer, Grant
from tests.support.bed.mcp import PRM, LegacyMcpServer, McpServer
from tests.support.bed.origin import Origin, Routes, document, without


class Seed1(LegacyMcpServer, AuthorizationServer):
    """`/sse` legacy transport only; AS metadata at the root; DCR works; no PRM; 401 without `resource_metadata`."""

    host = "seed1.mcp.test"
    realm = 'realm="OAuth", error="invalid_token", error_description="Missing or invalid access token"'

    def __init__(self, issued: set[str]) -> None:
        super().__init__(issued)
        self.access_tokens: set[str] = set()

    def routes(self) -> Routes:
        return super().routes() | {("GET", "/"): document({"name": "Skillport", "status": "ok", "endpoint": "/sse"})}

    def resource_metadata_routes(self) -> Routes:
        return {}

    def metadata(self) -> dict[str, Any]:
        said = without(super().metadata(), "jwks_uri", "scopes_supported")
        return said | {"code_challenge_methods_supported": ["plain", "S256"]}

    def challenge(self, token: str) -> str | None:
        return f"Bearer {self.realm}"

    def refusal_body(self) -> dict[str, str]:
        return {"error": "invalid_token", "error_description": "Missing or invalid access token"}

    # Like the library it stands for (workers-oauth-provider before 0.1), it knows no audience and no fixed scopes.

    def grants(self, resource: str) -> bool:
        return True

    def problem_of(self, asked: dict[str, str]) -> tuple[str, str] | None:
        return super().problem_of(asked | {"scope": ""})

    def access_token(self, grant: Grant) -> str:
        token = f"ada:{grant.client_id}:{self.secret('at')}"
        self.access_tokens.add(token)
        return token

    def accepts(self, token: str) -> bool:
        return token in self.access_tokens

    async def elsewhere(self, request: Request) -> Response:
        return PlainTextResponse("Not found", 404)


class Seed1Fix(Seed1):
    """seed1 after its author's fix: PRM at the root only, `resource` = the bare origin, 401 unchanged."""

    host = "seed1fix.mcp.test"

    def resource_metadata_routes(self) -> Routes:
        return {("GET", PRM): document(self.resource_metadata())}

    def resource_metadata(self) -> dict[str, Any]:
        return {
            "resource": self.origin,
            "authorization_servers": [self.origin],
            "scopes_supported": ["mcp:read"],
            "bearer_methods_supported": ["header"],
        }


class Seed2(McpServer):
    """PRM names an authorize endpoint as authorization server; the 401's error code is no code of RFC 6750."""

    host = "seed2.mcp.test"

    def resource_metadata_routes(self) -> Routes:
        return {("GET", PRM): document(self.resource_metadata())}

    def resource_metadata(self) -> dict[str, Any]:
        return {
            "resource": self.origin,
            "authorization_servers": ["https://api.workos.com/sso/authorize"],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
        }

    def guards(self, path: str) -> bool:
        """The gateway in front of it guards every path but the well-known ones."""
        return not path.startswith("/.well-known/")

    def accepts(self, token: str) -> bool:
        """Tokens of its vendor's tenant, which its metadata ought to name."""
        return token in self.issued and token.startswith("tenant.")

    def challenge(self, token: str) -> str | None:
        error = 'error="unauthorized", error_description="Authorization needed"'
        return f'Bearer {error}, resource_metadata="{self.origin}{PRM}"'

    def refusal_body(self) -> dict[str, str]:
        return {"error": "Invalid bearer token."}


class SeedTwoTenant(AuthorizationServer):
    """The authorization server that seed2 means and does not name; it issues tokens for any resource."""

    host = "tenant.authkit.test"
    scopes = ("openid", "profile", "email", "offline_access")

    def grants(self, resource: str) -> bool:
        return True

    def access_token(self, grant: Grant) -> str:
        return self.secret("tenant.at")


class SeedTwoAuthorization(Origin):
    """What seed2 names: an authorize endpoint, and 404 JSON at every metadata place and at `/register`."""

    host = "api.workos.com"

    def routes(self) -> Routes:
        return {("GET", "/sso/authorize"): self.authorize}

    async def authorize(self, request: Request) -> Response:
        """Somebody else's product answers here; it knows none of our clients."""
        return HTMLResponse("<h1>Invalid client</h1>", 400)

    async def elsewhere(self, request: Request) -> Response:
        return JSONResponse({"message": "Not Found", "code": "not_found"}, 404)
