"""Servers of the threads of lot q: `python -m tests.support.servers.recent_threads CASE PORT`, as `threads`.

The MCP endpoint of the case `litellm-40453` is http://127.0.0.1:PORT/credential_mcp/mcp, that of `mcpjungle`
http://127.0.0.1:PORT/v1/mcp.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import urlencode

from tests.support.servers.threads import Answer, Case, serve


class TokenAnswerInForm(Case):
    """modelcontextprotocol/python-sdk#1523: as GitHub, the token answer is a form unless JSON is asked for."""

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        status, body, more = super().answer(method, path, query, form, message, headers)
        if path != "/token" or "json" in (headers.get("Accept") or ""):
            return status, body, more
        token = {"access_token": body["access_token"], "scope": "", "token_type": "bearer"}
        return 200, urlencode(token), {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}


class MetadataGuarded(Case):
    """markmhendrickson/neotoma#2049: the resource's metadata answers 401, and names itself as the place to look."""

    def resource_metadata(self, path: str) -> Answer:
        return self.unauthorized()

    def unauthorized(self) -> Answer:
        value = f'Bearer resource_metadata="{self.origin}/.well-known/oauth-protected-resource"'
        return 401, {"error": "unauthorized"}, {"WWW-Authenticate": value}


class MetadataOfProviderUnreachable(Case):
    """mcp-use/mcp-use#1482: it fetches the provider's metadata at a URL with two slashes, and passes the failure on."""

    def server_metadata(self, path: str) -> Answer:
        words = "Failed to fetch provider metadata: 404"
        return 500, {"error": "server_error", "error_description": words}, {}


class EndpointsWithoutVersion(Case):
    """mcpjungle/MCPJungle#292: everything is below /v1, and the metadata leaves it out of the endpoints."""

    prefix = "/v1"

    def resource_metadata(self, path: str) -> Answer:
        status, document, more = super().resource_metadata(path)
        return status, {**document, "resource": f"{self.origin}/v1/mcp"}, more

    def unauthorized(self) -> Answer:
        value = f'Bearer resource_metadata="{self.origin}/.well-known/oauth-protected-resource/v1/mcp"'
        return (
            401,
            {"error": "invalid_token", "error_description": "Missing or invalid access token"},
            {"WWW-Authenticate": value},
        )

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path.startswith(self.prefix + "/"):
            path = path.removeprefix(self.prefix)
        elif not path.startswith("/.well-known/"):
            return 404, "404 Not Found", {}
        return super().answer(method, path, query, form, message, headers)


class SessionNeverStored(Case):
    """okieselbach/AutopilotMonitor#35: the session is stored before it has an id, so nothing is found by it."""

    def request(self, message: Any, headers: Any) -> Answer:
        if message.get("method") == "initialize":
            status, body, more = super().request(message, headers)
            return status, body, {**more, "Mcp-Session-Id": str(uuid.uuid4())}
        return 400, {"jsonrpc": "2.0", "error": {"code": -32000, "message": "No valid session"}, "id": None}, {}


class CredentialOfProxyFailed(Case):
    """stacklok/toolhive#4721: the proxy has no token of its own, answers 401, and has no metadata for anybody."""

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path == "/mcp":
            return 401, "Unauthorized\n", {}
        return 404, "404 page not found\n", {}


class NoChallenge(Case):
    """sooperset/mcp-atlassian#1257: a plain 401; the metadata is where a client would guess it."""

    def unauthorized(self) -> Answer:
        return 401, {"error": "Unauthorized"}, {}

    def resource_metadata(self, path: str) -> Answer:
        if path != "/.well-known/oauth-protected-resource/mcp":
            return 404, "Not Found", {}
        return super().resource_metadata(path)


class BadRequestInsteadOfChallenge(Case):
    """danny-avila/LibreChat#11961: without a token the endpoint answers 400, and no challenge."""

    def unauthorized(self) -> Answer:
        return 400, {"message": "No authorization header was found in the request"}, {}


class OpaqueTokenUnverified(Case):
    """PrefectHQ/fastmcp#2430: the provider's tokens are opaque, the verifier wants JWTs, and refuses every one."""

    def request(self, message: Any, headers: Any) -> Answer:
        status, body, more = self.unauthorized()
        challenge = f'Bearer error="invalid_token", error_description="{body["error_description"]}", '
        return status, body, {"WWW-Authenticate": challenge + more["WWW-Authenticate"].removeprefix("Bearer ")}


class ServerOfGateway(Case):
    """BerriAI/litellm#40453: one of the servers behind a gateway, with metadata of its own."""

    def resource_metadata(self, path: str) -> Answer:
        if not path.endswith("/credential_mcp/mcp"):
            return 404, {"detail": "Not Found"}, {}
        return 200, {"resource": f"{self.origin}/credential_mcp/mcp", "authorization_servers": [self.origin]}, {}

    def unauthorized(self) -> Answer:
        value = f'Bearer resource_metadata="{self.origin}/.well-known/oauth-protected-resource/credential_mcp/mcp"'
        return 401, {"detail": "Unauthorized"}, {"WWW-Authenticate": value}

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path == "/mcp":
            return 404, {"detail": "Not Found"}, {}
        path = "/mcp" if path == "/credential_mcp/mcp" else path
        return super().answer(method, path, query, form, message, headers)


class ClientMetadataDocument(Case):
    """archestra-ai/archestra#2735: a URL is taken as client_id, and registration is there for those without one."""

    metadata: ClassVar[dict[str, Any]] = {"client_id_metadata_document_supported": True}


class Doorkeeper(Case):
    """docusealco/docuseal#633: Doorkeeper with registration: public clients only, and one scope."""

    prm: ClassVar[dict[str, Any]] = {"scopes_supported": ["mcp"], "bearer_methods_supported": ["header"]}
    metadata: ClassVar[dict[str, Any]] = {"scopes_supported": ["mcp"], "response_modes_supported": ["query"]}

    def register(self, asked: Any) -> Answer:
        status, document, more = super().register(asked)
        return status, {**document, "client_secret_expires_at": 0, "scope": "mcp"}, more

    def token(self, form: dict[str, str]) -> Answer:
        status, document, more = super().token(form)
        return status, {**document, "scope": "mcp", "created_at": 1780000000}, more


CASES: dict[str, Callable[[str], Case]] = {
    "python-sdk-1523": TokenAnswerInForm,
    "neotoma": MetadataGuarded,
    "mcp-use": MetadataOfProviderUnreachable,
    "mcpjungle": EndpointsWithoutVersion,
    "autopilot-monitor": SessionNeverStored,
    "toolhive": CredentialOfProxyFailed,
    "mcp-atlassian": NoChallenge,
    "librechat-11961": BadRequestInsteadOfChallenge,
    "fastmcp-2430": OpaqueTokenUnverified,
    "litellm-40453": ServerOfGateway,
    "opencode-31746": Case,
    "archestra": ClientMetadataDocument,
    "docuseal": Doorkeeper,
}

if __name__ == "__main__":
    serve(CASES[sys.argv[1]], int(sys.argv[2])).serve_forever()
