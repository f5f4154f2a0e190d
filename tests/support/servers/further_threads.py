"""Servers of the threads of lot n: `python -m tests.support.servers.further_threads CASE PORT`, as `threads`."""

from __future__ import annotations

import base64
import json
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any, ClassVar

from tests.support.servers.fresh_threads import RefreshUnsupported
from tests.support.servers.threads import Answer, Case, serve


class ScopesUnknown(Case):
    """PostHog/posthog#55307: the metadata of the resource lists a scope that the authorization server does not know."""

    prm: ClassVar[dict[str, Any]] = {"scopes_supported": ["insight:read", "project:read", "introspection"]}
    metadata: ClassVar[dict[str, Any]] = {"scopes_supported": ["openid", "insight:read", "project:read"]}

    def authorize(self, query: dict[str, str]) -> Answer:
        if set(query.get("scope", "").split()) <= set(self.metadata["scopes_supported"]):
            return super().authorize(query)
        return self.back(query, {"error": "invalid_scope"})


class CredentialsInFormOnly(Case):
    """springfall2008/batpred#4799: HTTP Basic is advertised, every client gets a secret, and only the form is read."""

    metadata: ClassVar[dict[str, Any]] = {
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"]
    }

    def register(self, asked: Any) -> Answer:
        status, answer, more = super().register(asked)
        answer = {name: value for name, value in answer.items() if name != "token_endpoint_auth_method"}
        return status, {**answer, "client_secret": uuid.uuid4().hex, "client_secret_expires_at": 0}, more

    def token(self, form: dict[str, str]) -> Answer:
        if form.get("grant_type") == "authorization_code" and not {"code", "client_id", "redirect_uri"} <= set(form):
            words = "code, client_id, and redirect_uri are required"
            return 400, {"error": "invalid_request", "error_description": words}, {}
        return super().token(form)


class HostRefusedAfterToken(Case):
    """agentarea/agentarea#356: without a token 401, with one the check of the Host header answers."""

    def request(self, message: Any, headers: Any) -> Answer:
        return 421, "Invalid Host header", {}


class HostRefused(Case):
    """mcp-use/mcp-use#2456: the check of the Host header answers everything that comes through the tunnel."""

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        return 403, "Forbidden: Invalid Host header", {}


class SessionConflict(Case):
    """quazardous/nelson-mcp#38: after a restart the session is answered 409 instead of 404."""

    def request(self, message: Any, headers: Any) -> Answer:
        if message.get("method") == "initialize":
            status, body, more = super().request(message, headers)
            return status, body, {**more, "Mcp-Session-Id": uuid.uuid4().hex}
        if message.get("method", "").startswith("notifications/"):
            return 202, "", {}
        error = {"code": -32000, "message": "Session mismatch"}
        return 409, {"jsonrpc": "2.0", "id": message.get("id"), "error": error}, {}


class IssuerWithoutPath(Case):
    """ganhammar/hass-oidc-server#23: the authorization server is listed with a path, and its issuer has none."""

    def resource_metadata(self, path: str) -> Answer:
        status, document, more = super().resource_metadata(path)
        return status, {**document, "authorization_servers": [f"{self.origin}/oidc"]}, more

    def server_metadata(self, path: str) -> Answer:
        if path == "/.well-known/oauth-authorization-server/oidc":
            return super().server_metadata("/.well-known/oauth-authorization-server")
        return super().server_metadata("/nowhere")


class RefreshEchoed(RefreshUnsupported):
    """InsForge/insforge-mcp#104: the registration confirms refresh_token, and the token endpoint does not know it."""

    metadata: ClassVar[dict[str, Any]] = {"grant_types_supported": ["authorization_code"]}

    def token(self, form: dict[str, str]) -> Answer:
        if form.get("grant_type") == "refresh_token":
            return 400, {"error": "unsupported_grant_type"}, {}
        return super().token(form)


class RejectionMasked(Case):
    """BerriAI/litellm#33113: what the vendor refuses at the token endpoint is told as a crash."""

    def token(self, form: dict[str, str]) -> Answer:
        return 500, "Internal Server Error", {}


class CallbackForgotten(Case):
    """tableau/tableau-mcp#866: the authorization endpoint refuses the callback that the registration took."""

    def register(self, asked: Any) -> Answer:
        _, answer, more = super().register(asked)
        return 200, answer, more

    def authorize(self, query: dict[str, str]) -> Answer:
        words = f"Invalid redirect URI: {query.get('redirect_uri')}"
        return 400, {"error": "invalid_request", "error_description": words}, {}


class ScopeNeverTold(Case):
    """nicobailon/pi-mcp-adapter#133: a token without the scope is refused, and the scope was not asked for."""

    def request(self, message: Any, headers: Any) -> Answer:
        return 403, {"error": "insufficient_scope", "required": ["some-scope"]}, {}


class ScopeTold(Case):
    """gmcnicol/findworks#48: one scope, told in the challenge and both documents."""

    prm: ClassVar[dict[str, Any]] = {"scopes_supported": ["findworks:read"], "bearer_methods_supported": ["header"]}
    metadata: ClassVar[dict[str, Any]] = {"scopes_supported": ["findworks:read"]}

    def unauthorized(self) -> Answer:
        status, body, more = super().unauthorized()
        return status, body, {**more, "WWW-Authenticate": f'{more["WWW-Authenticate"]}, scope="findworks:read"'}

    def token(self, form: dict[str, str]) -> Answer:
        status, document, more = super().token(form)
        return status, {**document, "scope": "findworks:read"}, more


class PublicOrConfidential(Case):
    """speakeasy-api/gram#2647: public clients beside confidential ones."""

    metadata: ClassVar[dict[str, Any]] = {
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post", "none"]
    }


class HeaderOnly(Case):
    """directus/directus#27628 after the change."""

    prm: ClassVar[dict[str, Any]] = {"bearer_methods_supported": ["header"]}


class TokenForThisServer(Case):
    """dovrosenberg/onenote-mcp#23: signed tokens whose audience is the endpoint."""

    def token(self, form: dict[str, str]) -> Answer:
        status, document, more = super().token(form)
        now = int(time.time())
        claims = {"iss": self.origin, "aud": f"{self.origin}/mcp", "sub": "owner", "iat": now, "exp": now + 3600}
        parts = [
            base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")
            for part in ({"alg": "HS256", "typ": "JWT"}, claims)
        ]
        token = f"{'.'.join(parts)}.{uuid.uuid4().hex}"
        self.tokens.add(token)
        return status, {**document, "access_token": token}, more


CASES: dict[str, Callable[[str], Case]] = {
    "posthog": ScopesUnknown,
    "batpred": CredentialsInFormOnly,
    "agentarea": HostRefusedAfterToken,
    "mcp-use-2456": HostRefused,
    "nelson": SessionConflict,
    "hass-oidc-23": IssuerWithoutPath,
    "insforge-104": RefreshEchoed,
    "litellm-33113": RejectionMasked,
    "tableau": CallbackForgotten,
    "pi-mcp-adapter-133": ScopeNeverTold,
    "findworks": ScopeTold,
    "gram-2647": PublicOrConfidential,
    "directus": HeaderOnly,
    "onenote": TokenForThisServer,
}

if __name__ == "__main__":
    serve(CASES[sys.argv[1]], int(sys.argv[2])).serve_forever()
