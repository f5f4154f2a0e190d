"""An MCP server on fastmcp before another origin's authorization server: remote auth, or its OAuth proxy.

PORT: where it listens. ISSUER: the authorization server. MODE: `remote` or `proxy`.
"""

from __future__ import annotations

import os
from typing import Any

import uvicorn
from door import Door
from fastmcp import FastMCP
from fastmcp.server.auth import JWTVerifier, RemoteAuthProvider
from fastmcp.server.auth.oauth_proxy import OAuthProxy

PORT = int(os.environ["PORT"])
ORIGIN = f"http://localhost:{PORT}"
ISSUER = os.environ["ISSUER"]


def auth() -> Any:
    verifier = JWTVerifier(
        jwks_uri=f"{ISSUER}/jwks", issuer=ISSUER, audience=f"{ORIGIN}/mcp", required_scopes=["mcp:read"]
    )
    if os.environ["MODE"] == "remote":
        return RemoteAuthProvider(token_verifier=verifier, authorization_servers=[ISSUER], base_url=ORIGIN)
    return OAuthProxy(
        upstream_authorization_endpoint=f"{ISSUER}/auth",
        upstream_token_endpoint=f"{ISSUER}/token",
        upstream_client_id="proxy",
        upstream_client_secret="secret-of-the-proxy",
        token_verifier=verifier,
        base_url=ORIGIN,
        require_authorization_consent=False,
        jwt_signing_key="the signing key of one run only.",
    )


server = FastMCP("fastmcp", auth=auth())


@server.tool
def add(a: int, b: int) -> int:
    """Adds two numbers."""
    return a + b


if __name__ == "__main__":
    uvicorn.run(Door(server.http_app()), host="127.0.0.1", port=PORT, log_level="warning")
