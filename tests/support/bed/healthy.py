"""The healthy base: MCP server and authorization server on one origin. Every fault differs from it in one thing."""

from __future__ import annotations

from typing import Any

import jwt

from tests.support.bed.authorization import AuthorizationServer, Grant
from tests.support.bed.mcp import McpServer


class Good(McpServer, AuthorizationServer):
    """Nothing is wrong."""

    host = "good.mcp.test"
    expected_audience = True

    def grants(self, resource: str) -> bool:
        return resource in ("", self.resource)

    def audience(self, grant: Grant) -> str:
        return self.resource

    def accepts(self, token: str) -> bool:
        audience = self.resource if self.expected_audience else None
        options: Any = {"verify_aud": audience is not None}
        try:
            jwt.decode(token, self.key.public_key(), ["ES256"], options, audience=audience, issuer=self.issuer)
        except jwt.InvalidTokenError:
            return False
        return True
