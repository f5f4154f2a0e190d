"""An MCP server on the Python SDK, 1.x or 2.x: with its own authorization server, or trusting another one.

PORT: where it listens. ISSUER: whom it trusts; without it, it issues its tokens itself, bound to the resource.
BASE: the URL it is known by, where a reverse proxy stands before it.
"""

from __future__ import annotations

import os
import secrets
import time
from typing import Any

import uvicorn
from door import Door
from mcp.server.auth.provider import AccessToken, AuthorizationCode, RefreshToken, construct_redirect_uri
from mcp.server.auth.settings import AuthSettings, ClientRegistrationOptions, RevocationOptions
from mcp.shared.auth import OAuthToken

try:
    from mcp.server.mcpserver import MCPServer
except ImportError:
    from mcp.server.fastmcp import FastMCP as MCPServer  # its name in 1.x

PORT = int(os.environ["PORT"])
BASE = os.environ.get("BASE", f"http://localhost:{PORT}")
RESOURCE = f"{BASE}/mcp"
ISSUER = os.environ.get("ISSUER")
HOUR = 3600


class Issuing:
    """The SDK's authorization server with a memory: consent is given at once."""

    def __init__(self) -> None:
        self.clients: dict[str, Any] = {}
        self.codes: dict[str, Any] = {}
        self.access: dict[str, Any] = {}
        self.refresh: dict[str, Any] = {}

    async def get_client(self, client_id: str) -> Any:
        return self.clients.get(client_id)

    async def register_client(self, client_info: Any) -> None:
        self.clients[client_info.client_id] = client_info

    async def authorize(self, client: Any, params: Any) -> str:
        code = AuthorizationCode(
            code=secrets.token_urlsafe(24),
            client_id=client.client_id,
            redirect_uri=params.redirect_uri,
            redirect_uri_provided_explicitly=params.redirect_uri_provided_explicitly,
            expires_at=time.time() + 300,
            scopes=params.scopes or ["mcp:read"],
            code_challenge=params.code_challenge,
            resource=params.resource,
        )
        self.codes[code.code] = code
        return construct_redirect_uri(str(params.redirect_uri), code=code.code, state=params.state)

    async def load_authorization_code(self, client: Any, authorization_code: str) -> Any:
        return self.codes.get(authorization_code)

    async def exchange_authorization_code(self, client: Any, authorization_code: Any) -> OAuthToken:
        del self.codes[authorization_code.code]
        return self.issue(client.client_id, authorization_code.scopes, authorization_code.resource)

    def issue(self, client_id: str, scopes: list[str], resource: str | None) -> OAuthToken:
        access, refresh = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        until = int(time.time()) + HOUR
        named = {"client_id": client_id, "scopes": scopes, "expires_at": until}
        self.access[access] = AccessToken(token=access, resource=resource, **named)
        self.refresh[refresh] = (RefreshToken(token=refresh, **named), resource)
        return OAuthToken(
            access_token=access, token_type="Bearer", expires_in=HOUR, scope=" ".join(scopes), refresh_token=refresh
        )

    async def load_access_token(self, token: str) -> Any:
        return self.access.get(token)

    async def load_refresh_token(self, client: Any, refresh_token: str) -> Any:
        return self.refresh.get(refresh_token, (None, None))[0]

    async def exchange_refresh_token(self, client: Any, refresh_token: Any, scopes: list[str]) -> OAuthToken:
        _, resource = self.refresh.pop(refresh_token.token)
        return self.issue(client.client_id, scopes or refresh_token.scopes, resource)

    async def revoke_token(self, token: Any) -> None:
        self.access.pop(token.token, None)

    def audience(self, token: str) -> str | None:
        """The resource a token of ours is bound to."""
        known = self.access.get(token)
        return known and known.resource


class Trusting:
    """Takes the JWTs of another origin's authorization server."""

    def __init__(self) -> None:
        import jwt

        self.jwt = jwt
        self.keys = jwt.PyJWKClient(f"{ISSUER}/jwks")

    async def verify_token(self, token: str) -> Any:
        import anyio

        try:
            key = await anyio.to_thread.run_sync(self.keys.get_signing_key_from_jwt, token)
            claims = self.jwt.decode(token, key.key, algorithms=["RS256"], audience=RESOURCE, issuer=ISSUER)
        except Exception as error:
            print("token rejected:", error, flush=True)
            return None
        scopes = claims.get("scope", "").split()
        return AccessToken(
            token=token, client_id=claims["client_id"], scopes=scopes, expires_at=claims["exp"], resource=claims["aud"]
        )


def made() -> Any:
    """The application, behind its door."""
    settings: dict[str, Any] = {"resource_server_url": RESOURCE, "required_scopes": ["mcp:read"]}
    settings |= {"issuer_url": ISSUER or BASE, "validate_token_resource": True}
    issuing = None if ISSUER else Issuing()
    if issuing:
        scopes = ["mcp:read", "mcp:write", "offline_access"]
        registration = ClientRegistrationOptions(enabled=True, valid_scopes=scopes, default_scopes=["mcp:read"])
        settings |= {"client_registration_options": registration, "revocation_options": RevocationOptions(enabled=True)}
    keeper = {"auth_server_provider": issuing} if issuing else {"token_verifier": Trusting()}
    server = MCPServer("python-sdk", auth=AuthSettings(**settings), **keeper)

    @server.tool()
    def add(a: int, b: int) -> int:
        """Adds two numbers."""
        return a + b

    return Door(server.streamable_http_app(), issuing and issuing.audience)


if __name__ == "__main__":
    uvicorn.run(made(), host="127.0.0.1", port=PORT, log_level="warning")
