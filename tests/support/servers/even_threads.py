"""Servers of the threads of lot o (even numbers): `python -m tests.support.servers.even_threads CASE PORT`."""

from __future__ import annotations

import base64
import json
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import urlencode

from tests.support.servers.threads import Answer, Case, serve


class LoginNotOffered(Case):
    """kdcube/kdcube#174: whoever is not signed in gets JSON from the authorization endpoint, and no login page."""

    def authorize(self, query: dict[str, str]) -> Answer:
        return 401, {"error": "login_required"}, {}


class RedirectInJson(Case):
    """better-auth/better-auth#2914: the authorization endpoint says in JSON where it should redirect to."""

    def authorize(self, query: dict[str, str]) -> Answer:
        _, _, more = self.back(query, {"code": uuid.uuid4().hex})
        return 200, {"redirect": True, "url": more["Location"]}, {}


class LoginInsteadOfChallenge(Case):
    """punkpeye/mcp-remote#238: a gateway sends whoever has no token to the identity provider's login page."""

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path == "/login":
            return 200, "<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in</body></html>", {}
        return super().answer(method, path, query, form, message, headers)

    def unauthorized(self) -> Answer:
        return 302, "", {"Location": f"{self.origin}/login?{urlencode({'next': '/mcp'})}"}


class NoWayToAClient(Case):
    """anthropics/claude-code#52638: the authorization server registers nobody, and wants an app made by hand."""

    metadata: ClassVar[dict[str, Any]] = {
        "registration_endpoint": None,
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
    }

    def register(self, asked: Any) -> Answer:
        return 404, {"error": "not_found"}, {}


class DocumentOrRegistration(Case):
    """vm0-ai/vm0#34954: metadata documents of clients are accepted, and nobody is registered."""

    metadata: ClassVar[dict[str, Any]] = {
        "registration_endpoint": None,
        "client_id_metadata_document_supported": True,
        "scopes_supported": ["openid", "email", "profile", "offline_access"],
    }

    def register(self, asked: Any) -> Answer:
        return 404, {"error": "not_found"}, {}


class PortOfDocument(DocumentOrRegistration):
    """actionhero/keryx#534: the redirect URI has to be in the document letter by letter, the port too."""

    listed = ("http://localhost/callback", "http://127.0.0.1/callback")

    def authorize(self, query: dict[str, str]) -> Answer:
        if query.get("redirect_uri") in self.listed:
            return super().authorize(query)
        return 400, "<!DOCTYPE html><html><head><title>Error</title></head><body>Invalid redirect URI</body></html>", {}


class ResourceUnknown(Case):
    """wso2/agent-manager#1732: the MCP server was never entered at the authorization server."""

    def authorize(self, query: dict[str, str]) -> Answer:
        words = "The resource parameter does not match any registered resource server."
        return self.back(query, {"error": "invalid_target", "error_description": words})


class RegistrationBehindToken(Case):
    """modelcontextprotocol/python-sdk#914: the guard of the MCP endpoint also guards the registration endpoint."""

    def register(self, asked: Any) -> Answer:
        return self.unauthorized()


class OpaqueToken(Case):
    """agigante80/actual-mcp-server#462: the server reads every token as a JWT, and the issuer's are opaque."""

    words = "ERR_JWS_INVALID"

    def request(self, message: Any, headers: Any) -> Answer:
        challenge = f'{self.unauthorized()[2]["WWW-Authenticate"]}, error="invalid_token"'
        body = {"error": "invalid_token", "error_description": self.words}
        return 401, body, {"WWW-Authenticate": f'{challenge}, error_description="{self.words}"'}


class ClockAhead(OpaqueToken):
    """mcp-hangar/mcp-hangar#630: the issuer's clock is four seconds ahead, and the server allows for nothing."""

    words = "Invalid JWT token: The token is not yet valid (iat)"

    def token(self, form: dict[str, str]) -> Answer:
        status, document, more = super().token(form)
        now = int(time.time()) + 4
        claims = {"iss": self.origin, "aud": f"{self.origin}/mcp", "sub": "ada", "iat": now, "exp": now + 3600}
        parts = [
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
            for part in ({"alg": "RS256", "typ": "JWT", "kid": "k1"}, claims)
        ]
        token = f"{'.'.join(parts)}.{uuid.uuid4().hex}"
        self.tokens.add(token)
        return status, {**document, "access_token": token}, more


class SessionAsBadRequest(Case):
    """agigante80/actual-mcp-server#188: after a restart the unknown session is answered 400 instead of 404."""

    def request(self, message: Any, headers: Any) -> Answer:
        if message.get("method") == "initialize":
            status, body, more = super().request(message, headers)
            return status, body, {**more, "Mcp-Session-Id": str(uuid.uuid4())}
        if message.get("method", "").startswith("notifications/"):
            return 202, "", {}
        error = {"code": -32000, "message": "Bad Request: No valid session ID provided"}
        return 400, {"jsonrpc": "2.0", "id": None, "error": error}, {}


class KeyBesidesToken(Case):
    """Azure/azure-functions-mcp-extension#138: behind the sign-in the endpoint still wants a system key."""

    def request(self, message: Any, headers: Any) -> Answer:
        return 401, "", {}


class RotatingRefresh(Case):
    """ycode/ycode#290: the document of the resource is at both places, and the endpoint is for OAuth alone."""

    metadata: ClassVar[dict[str, Any]] = {"scopes_supported": ["mcp"]}
    prm: ClassVar[dict[str, Any]] = {"scopes_supported": ["mcp"], "bearer_methods_supported": ["header"]}


CASES: dict[str, Callable[[str], Case]] = {
    "kdcube": LoginNotOffered,
    "better-auth-2914": RedirectInJson,
    "mcp-remote-238": LoginInsteadOfChallenge,
    "claude-code-52638": NoWayToAClient,
    "vm0": DocumentOrRegistration,
    "keryx": PortOfDocument,
    "agent-manager": ResourceUnknown,
    "python-sdk-914": RegistrationBehindToken,
    "actual-462": OpaqueToken,
    "mcp-hangar": ClockAhead,
    "actual-188": SessionAsBadRequest,
    "azure-functions": KeyBesidesToken,
    "ycode": RotatingRefresh,
}

if __name__ == "__main__":
    serve(CASES[sys.argv[1]], int(sys.argv[2])).serve_forever()
