"""Servers of the threads of lots i and j: `python -m tests.support.servers.more_threads CASE PORT`, as in `threads`."""

from __future__ import annotations

import base64
import json
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any, ClassVar

from tests.support.servers.threads import Answer, Case, TokenOfASecond, serve

PAGE_502 = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    "<hr><center>nginx/1.24.0</center>\r\n</body>\r\n</html>"
)


class RouteUnknownWithoutLogin(Case):
    """aaPanel/aaPanel#276: nginx keeps the Authorization header from WordPress, which then knows no such route."""

    def request(self, message: Any, headers: Any) -> Answer:
        words = "No route was found matching the URL and request method."
        return 404, {"code": "rest_no_route", "message": words, "data": {"status": 404}}, {}


class NeverAnswers(Case):
    """punkpeye/mcp-remote#354: `initialize` with a token is not answered within any client's patience."""

    def request(self, message: Any, headers: Any) -> Answer:
        time.sleep(100)
        return 504, "", {}


class TooManyAttempts(Case):
    """laravel/mcp#321: the registrations of an address are limited."""

    def register(self, asked: Any) -> Answer:
        return 429, {"message": "Too Many Attempts."}, {"Retry-After": "60", "X-RateLimit-Limit": "10"}


class RateLimited(Case):
    """2anki/2anki.net#3786"""

    def register(self, asked: Any) -> Answer:
        words = "Too many registration requests. Try again later."
        return 429, {"error": "rate_limited", "error_description": words}, {}


class ClientPruned(Case):
    """openbrowse-ai/openbrowse#186: the registry of clients is empty after a restart."""

    def authorize(self, query: dict[str, str]) -> Answer:
        return 400, f"Unknown client_id: {query.get('client_id', '')[:8]}", {}


class NoAuthorizationServer(Case):
    """PrefectHQ/fastmcp#1348: the metadata names the server itself, which is no authorization server."""

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path == "/mcp" or path.startswith("/.well-known/oauth-protected-resource"):
            return super().answer(method, path, query, form, message, headers)
        return 404, "Not Found", {}


class HeaderStripped(Case):
    """msrbuilds/elementor-mcp#90: nginx before Apache keeps the Authorization header from WordPress."""

    def request(self, message: Any, headers: Any) -> Answer:
        body = {"code": "rest_not_logged_in", "message": "You are not currently logged in.", "data": {"status": 401}}
        return 401, body, {"WWW-Authenticate": self.unauthorized()[2]["WWW-Authenticate"]}


class ResourceIsOrigin(Case):
    """kentcdodds/kody-exchange#18: the metadata names the origin; tokens have to be for the endpoint."""

    @property
    def prm(self) -> dict[str, Any]:  # type: ignore[override]
        return {"resource": self.origin}

    def request(self, message: Any, headers: Any) -> Answer:
        challenge = self.unauthorized()[2]["WWW-Authenticate"]
        words = "Invalid access token"
        more = f'{challenge}, error="invalid_token", error_description="{words}"'
        return 401, {"error": "invalid_token", "error_description": words}, {"WWW-Authenticate": more}


class RefreshCrashes(TokenOfASecond):
    """1mcp-app/agent#404: the advertised refresh is not implemented."""

    def refresh(self, form: dict[str, str]) -> Answer:
        return 500, {"error": "server_error", "error_description": "Internal Server Error"}, {}


class ScopesOfMetadata(Case):
    """openai/codex#15643: a token without the scopes of the protected resource metadata is too weak."""

    prm: ClassVar[dict[str, Any]] = {"scopes_supported": ["mcp:read", "mcp:write"]}
    strong = False

    def authorize(self, query: dict[str, str]) -> Answer:
        self.strong = "mcp:write" in query.get("scope", "")
        return super().authorize(query)

    def request(self, message: Any, headers: Any) -> Answer:
        if self.strong:
            return super().request(message, headers)
        words = "Token lacks required scopes: mcp:read mcp:write"
        challenge = (
            f'{self.unauthorized()[2]["WWW-Authenticate"]}, error="insufficient_scope", scope="mcp:read mcp:write"'
        )
        return 403, {"error": "insufficient_scope", "error_description": words}, {"WWW-Authenticate": challenge}


class BareUnauthorized(Case):
    """punkpeye/mcp-proxy#40: 401 without a challenge, and no metadata anywhere."""

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path != "/mcp":
            return 404, "Not Found", {}
        words = "Unauthorized: Missing Authorization header with Bearer token"
        return 401, {"error": {"code": -32000, "message": words}, "id": None, "jsonrpc": "2.0"}, {}


class RegistrationGatewayDown(Case):
    """liliMozi/openhanako#1357"""

    def register(self, asked: Any) -> Answer:
        return 502, PAGE_502, {}


class Unprocessable(Case):
    """nowledge-co/community#496: every request with a token is answered 422."""

    def request(self, message: Any, headers: Any) -> Answer:
        problem = {"type": "missing", "loc": ["query", "request"], "msg": "Field required", "input": None}
        return 422, {"detail": [problem]}, {}


class SessionUnauthorized(Case):
    """langwatch/langwatch#6641: an unknown session is answered 401, though the token is good."""

    def request(self, message: Any, headers: Any) -> Answer:
        status, body, more = super().request(message, headers)
        if message.get("method") == "initialize":
            return status, body, {**more, "Mcp-Session-Id": uuid.uuid4().hex}
        if message.get("method", "").startswith("notifications/"):
            return status, body, more
        gone = {"error": "unauthorized", "message": "Session expired or not found"}
        return 401, gone, {"WWW-Authenticate": self.unauthorized()[2]["WWW-Authenticate"]}


class ThrottledOnce(Case):
    """metabase/metabase#71884: one request is throttled, and answered when it is tried again."""

    throttled = False

    def request(self, message: Any, headers: Any) -> Answer:
        if message.get("method") == "tools/list" and not self.throttled:
            self.throttled = True
            error = {"code": -32000, "message": "Too many requests. Try again in 1 seconds."}
            return 429, {"jsonrpc": "2.0", "id": message.get("id"), "error": error}, {"Retry-After": "1"}
        return super().request(message, headers)


class TokenWithoutAudience(Case):
    """confirm/tino#24: a signed token without `aud`, which is accepted."""

    def token(self, form: dict[str, str]) -> Answer:
        status, document, more = super().token(form)
        now = int(time.time())
        parts = ({"alg": "RS256", "kid": "k1"}, {"iss": self.origin, "sub": "u1", "iat": now, "exp": now + 3600})
        jwt = ".".join([base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts])
        token = f"{jwt}.{uuid.uuid4().hex}"
        self.tokens.add(token)
        return status, {**document, "access_token": token}, more


class MetadataAtPathOnly(Case):
    """oxylabs/oxylabs-mcp#52"""

    def resource_metadata(self, path: str) -> Answer:
        return super().resource_metadata(path) if path.endswith("/mcp") else (404, "Not Found", {})


class NoSignIn(Case):
    """anthropics/claude-ai-mcp#692: a server that asks for no token."""

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path != "/mcp":
            return 404, "Not Found", {}
        return self.request(message, headers) if method == "POST" else (405, "", {"Allow": "POST"})


class GrantRefused(Case):
    """PrefectHQ/fastmcp#2149: Cognito has no resource server of that name."""

    def token(self, form: dict[str, str]) -> Answer:
        return 400, {"error": "invalid_grant"}, {"x-amz-cognito-request-id": str(uuid.uuid4())}


class ForbiddenWithoutToken(Case):
    """aliasunder/vault-cortex#121: the authorizer of the gateway denies, and the gateway answers 403."""

    def unauthorized(self) -> Answer:
        return 403, {"message": "Forbidden"}, {"apigw-requestid": "Zx1QbhPPIAMEPjg="}


class FirewallDenies(Case):
    """anthropics/claude-ai-mcp#304: the firewall before the site refuses the request with the token."""

    def request(self, message: Any, headers: Any) -> Answer:
        return 403, "Forbidden", {"Server": "Vercel", "X-Vercel-Mitigated": "deny", "X-Vercel-Id": "iad1::m8x2k-17893"}


class SessionTokenGone(Case):
    """kesslerio/attio-mcp-server#1241: the session token that the gateway issued resolves to nothing."""

    def request(self, message: Any, headers: Any) -> Answer:
        words = "Invalid or expired session token - re-authenticate via the OAuth flow"
        error = {"code": -32600, "message": words}
        body = {"jsonrpc": "2.0", "id": message.get("id"), "error": error}
        return 401, body, {"WWW-Authenticate": "Bearer"}


class UpstreamUnauthorized(Case):
    """obot-platform/obot#4719: the gateway's own login at the server behind it is gone."""

    def request(self, message: Any, headers: Any) -> Answer:
        words = (
            "Unauthorized: authentication required: failed to initialize HTTP Streaming client: 401 Unauthorized: "
            '{"error":"invalid_token","error_description":"Missing Authorization header"}'
        )
        return 401, words, {}


CASES: dict[str, Callable[[str], Case]] = {
    "aapanel": RouteUnknownWithoutLogin,
    "mcp-remote-354": NeverAnswers,
    "laravel": TooManyAttempts,
    "2anki": RateLimited,
    "openbrowse": ClientPruned,
    "fastmcp-1348": NoAuthorizationServer,
    "elementor": HeaderStripped,
    "kody": ResourceIsOrigin,
    "1mcp-404": RefreshCrashes,
    "codex-15643": ScopesOfMetadata,
    "mcp-proxy-40": BareUnauthorized,
    "openhanako": RegistrationGatewayDown,
    "nowledge": Unprocessable,
    "langwatch": SessionUnauthorized,
    "metabase": ThrottledOnce,
    "tino": TokenWithoutAudience,
    "oxylabs": MetadataAtPathOnly,
    "claude-ai-692": NoSignIn,
    "mcp-3347": Case,
    "fastmcp-2149": GrantRefused,
    "vault-cortex": ForbiddenWithoutToken,
    "claude-ai-304": FirewallDenies,
    "attio": SessionTokenGone,
    "obot-4719": UpstreamUnauthorized,
}

if __name__ == "__main__":
    serve(CASES[sys.argv[1]], int(sys.argv[2])).serve_forever()
