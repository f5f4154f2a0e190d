"""Servers of the threads of lots l and m: `python -m tests.support.servers.fresh_threads CASE PORT`, as `threads`."""

from __future__ import annotations

import base64
import json
import sys
import time
import uuid
from collections.abc import Callable
from typing import Any, ClassVar

from tests.support.servers.threads import Answer, Case, TokenOfASecond, serve

WAF_403 = (
    "<html>\r\n<head><title>403 Forbidden</title></head>\r\n<body>\r\n<center><h1>403 Forbidden</h1></center>\r\n"
    "</body>\r\n</html>\r\n"
)


class IssuerWithMorePath(Case):
    """SmartBear/smartbear-mcp#682: the issuer has a path that the address of the document has not."""

    def server_metadata(self, path: str) -> Answer:
        status, document, more = super().server_metadata(path)
        return status, {**document, "issuer": f"{self.origin}/backend/oauthproxy"} if status == 200 else document, more


class ExchangeCrashes(Case):
    """Softeria/ms-365-mcp-server#485: the vendor refuses the code, and the server tells of a crash."""

    def token(self, form: dict[str, str]) -> Answer:
        words = "Internal server error during token exchange"
        return 500, {"error": "server_error", "error_description": words}, {}


class Confidential(Case):
    """A registration that issues a secret for HTTP Basic."""

    metadata: ClassVar[dict[str, Any]] = {
        "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"]
    }
    refusal: ClassVar[dict[str, Any]] = {}

    def register(self, asked: Any) -> Answer:
        status, answer, more = super().register(asked)
        secret = {"token_endpoint_auth_method": "client_secret_basic", "client_secret": uuid.uuid4().hex}
        return status, {**answer, **secret, "client_secret_expires_at": 0}, more

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path == "/token" and (headers.get("Authorization") or "").lower().startswith("basic "):
            return 400, self.refusal, {}
        return super().answer(method, path, query, form, message, headers)


class BasicNotRead(Confidential):
    """upstash/context7#2970: HTTP Basic is advertised, and not read."""

    refusal: ClassVar[dict[str, Any]] = {
        "error": "invalid_request",
        "error_description": (
            "The request is missing a required parameter, includes an invalid parameter value, includes a parameter "
            "more than once, or is otherwise malformed. Client credentials missing or malformed in both HTTP "
            "Authorization header and HTTP POST body."
        ),
    }


class ClientIdInFormOnly(Confidential):
    """kernel/kernel-mcp-server#96: the token endpoint reads client_id from the form alone."""

    refusal: ClassVar[dict[str, Any]] = {"error": "invalid_request", "error_description": "missing client_id"}


class LoopbackIsAnAttack(Case):
    """TracecatHQ/tracecat#2417: the firewall takes a loopback redirect URI for an attack."""

    def register(self, asked: Any) -> Answer:
        return 403, WAF_403, {"Server": "awselb/2.0"}


class AudienceIsClientId(Case):
    """MCPJam/inspector#3879: tokens are for the resource; the MCP server wants its own client id as audience."""

    def token(self, form: dict[str, str]) -> Answer:
        status, document, more = super().token(form)
        now = int(time.time())
        claims = {"iss": self.origin, "aud": f"{self.origin}/mcp", "sub": "user_01", "iat": now, "exp": now + 3600}
        parts = ({"alg": "RS256", "kid": "k1", "typ": "JWT"}, claims)
        jwt = ".".join([base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts])
        return status, {**document, "access_token": f"{jwt}.{uuid.uuid4().hex}"}, more

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path == "/mcp" and (headers.get("Authorization") or "").startswith("Bearer ey"):
            challenge = self.unauthorized()[2]["WWW-Authenticate"]
            words = "unexpected 'aud' claim value"
            more = f'{challenge}, error="invalid_token", error_description="{words}"'
            return 401, {"error": "invalid_token", "error_description": words}, {"WWW-Authenticate": more}
        return super().answer(method, path, query, form, message, headers)


class SessionUnknownHere(Case):
    """markmhendrickson/neotoma#1667: another replica, or the same after a restart, does not know the session."""

    status = 503
    error: ClassVar[dict[str, Any]] = {
        "code": -32001,
        "message": (
            "Service Unavailable: MCP session is unknown on this API instance. If you run multiple replicas, enable "
            "sticky sessions for POST /mcp (or route /mcp to a single instance). Otherwise restart the MCP client so "
            "initialize runs again after a server restart."
        ),
    }

    def request(self, message: Any, headers: Any) -> Answer:
        if message.get("method") == "initialize":
            status, body, more = super().request(message, headers)
            return status, body, {**more, "Mcp-Session-Id": uuid.uuid4().hex}
        if message.get("method", "").startswith("notifications/"):
            return 202, "", {}
        return self.status, {"jsonrpc": "2.0", "error": self.error, "id": None}, {}


class SessionIsBadRequest(SessionUnknownHere):
    """diegosouzapw/OmniRoute#5169: a session that is gone is answered 400."""

    status = 400
    error: ClassVar[dict[str, Any]] = {
        "code": -32000,
        "message": "Bad Request: Unknown Mcp-Session-Id header",
    }


class OpenidRefused(Case):
    """aomi-labs/aomi#558: the registration refuses a scope of the metadata."""

    metadata: ClassVar[dict[str, Any]] = {
        "scopes_supported": ["agent:read", "agent:write", "openid", "profile", "email", "offline_access"]
    }
    prm: ClassVar[dict[str, Any]] = {"scopes_supported": ["agent:read", "agent:write"]}

    def register(self, asked: Any) -> Answer:
        return 400, {"error": "invalid_scope", "error_description": "cannot request scope openid"}, {}


class IssuerPromised(Case):
    """mcp-use/mcp-use#2356: `iss` is advertised, and missing from the redirect."""

    metadata: ClassVar[dict[str, Any]] = {"authorization_response_iss_parameter_supported": True}


class IssuerKept(IssuerPromised):
    """BuilderIO/agent-native#2616 after the change."""

    def back(self, query: dict[str, str], answer: dict[str, str]) -> Answer:
        return super().back(query, {**answer, "iss": self.origin})


class IdTokenIsNull(Case):
    """jentic/jentic-one#1253"""

    def token(self, form: dict[str, str]) -> Answer:
        status, document, more = super().token(form)
        return status, {**document, "id_token": None}, more


class FormNotRead(Case):
    """doobidoo/mcp-memory-service#358: the token endpoint wants other fields than the standard's."""

    def token(self, form: dict[str, str]) -> Answer:
        problem = {"type": "missing", "loc": ["body", "grant_type"], "msg": "Field required", "input": None}
        return 422, {"detail": [problem]}, {}


class MetadataIsHealth(Case):
    """Serviceware/Dibix#128: the challenge names the resource itself, and there is no metadata document."""

    def unauthorized(self) -> Answer:
        status, body, more = super().unauthorized()
        return status, body, {**more, "WWW-Authenticate": f'Bearer resource_metadata="{self.origin}/app"'}

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path == "/app":
            return 200, "OK", {}
        if path == "/mcp":
            return super().answer(method, path, query, form, message, headers)
        return 404, "", {}


class MetadataNeedsToken(Case):
    """tuannvm/oauth-mcp-proxy#8: the middleware answers 401 on the well-known addresses, too."""

    challenge = 'Bearer realm="OAuth", error="invalid_token", error_description="Missing or invalid access token"'

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path == "/register":
            return 404, "404 page not found", {}
        return self.unauthorized()


class ForbiddenAndMisdirected(Case):
    """datarobot-oss/datarobot-genai#671: 403 without a token, and the metadata is told to be below /mcp."""

    def unauthorized(self) -> Answer:
        document = f"{self.origin}/mcp/.well-known/oauth-protected-resource"
        return 403, {"error": "Forbidden"}, {"WWW-Authenticate": f'Bearer resource_metadata="{document}"'}

    def resource_metadata(self, path: str) -> Answer:
        return super().resource_metadata(path) if path == "/.well-known/oauth-protected-resource" else (404, "", {})


class CallbackNotAllowed(Case):
    """NousResearch/hermes-agent#111713"""

    def register(self, asked: Any) -> Answer:
        words = f"redirect_uri not allowed: {asked.get('redirect_uris', [''])[0]}"
        return 400, {"message": words, "error": "Bad Request", "statusCode": 400}, {}


class NoRegistrationEndpoint(Case):
    """apify/mcpc#384: the vendor wants a client from its console."""

    metadata: ClassVar[dict[str, Any]] = {
        "registration_endpoint": None,
        "token_endpoint_auth_methods_supported": ["client_secret_post", "client_secret_basic"],
    }

    def register(self, asked: Any) -> Answer:
        return 404, {"error": "not_found"}, {}


class RefreshUnsupported(TokenOfASecond):
    """BerriAI/litellm#23701: the advertised grant of a refresh token is refused."""

    expired = "The access token expired"

    def refresh(self, form: dict[str, str]) -> Answer:
        return 400, {"detail": "Unsupported grant_type"}, {}


class RefreshRotates(TokenOfASecond):
    """modelcontextprotocol/conformance#139: the access token expires, and is refreshed with a new refresh token."""

    expired = "The access token expired"

    def refresh(self, form: dict[str, str]) -> Answer:
        status, document, more = self.token({**form, "grant_type": "authorization_code"})
        self.until = time.monotonic() + 3600
        return status, {**document, "expires_in": 3600}, more


class AuthorizeCrashes(Case):
    """atlassian/atlassian-mcp-server#193"""

    def authorize(self, query: dict[str, str]) -> Answer:
        return 500, "Internal server error", {}


class DocumentOrRegistration(Case):
    """flanksource/mission-control#3450: URLs are taken as client ids, beside the registration."""

    metadata: ClassVar[dict[str, Any]] = {"client_id_metadata_document_supported": True}


class SlashAfterHost(Case):
    """PrefectHQ/fastmcp#1431: the library puts a slash behind a URL that is a host alone."""

    def resource_metadata(self, path: str) -> Answer:
        status, document, more = super().resource_metadata(path)
        return status, {**document, "authorization_servers": [f"{self.origin}/"]}, more

    def server_metadata(self, path: str) -> Answer:
        status, document, more = super().server_metadata(path)
        return status, {**document, "issuer": f"{self.origin}/"} if status == 200 else document, more


class MetadataAtBoth(Case):
    """ctxpipe-ai/ctxpipe#147: metadata with and without the path, the same document."""

    def server_metadata(self, path: str) -> Answer:
        return super().server_metadata("/.well-known/oauth-authorization-server")


class ChallengeExposed(Case):
    """sourcemeta/one#1181: what a browser may read is told on every answer."""

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        status, body, more = super().answer(method, path, query, form, message, headers)
        exposed = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "WWW-Authenticate"}
        return status, body, {**more, **exposed, "Cache-Control": "no-store"}


CASES: dict[str, Callable[[str], Case]] = {
    "smartbear": IssuerWithMorePath,
    "ms-365": ExchangeCrashes,
    "context7": BasicNotRead,
    "kernel": ClientIdInFormOnly,
    "tracecat": LoopbackIsAnAttack,
    "mcpjam-3879": AudienceIsClientId,
    "neotoma": SessionUnknownHere,
    "omniroute": SessionIsBadRequest,
    "aomi": OpenidRefused,
    "mcp-use": IssuerPromised,
    "agent-native": IssuerKept,
    "jentic": IdTokenIsNull,
    "mcp-memory": FormNotRead,
    "dibix": MetadataIsHealth,
    "oauth-mcp-proxy": MetadataNeedsToken,
    "datarobot": ForbiddenAndMisdirected,
    "hermes": CallbackNotAllowed,
    "mcpc": NoRegistrationEndpoint,
    "litellm-23701": RefreshUnsupported,
    "conformance": RefreshRotates,
    "atlassian-193": AuthorizeCrashes,
    "mission-control": DocumentOrRegistration,
    "fastmcp-1431": SlashAfterHost,
    "ctxpipe": MetadataAtBoth,
    "sourcemeta": ChallengeExposed,
    "claude-code-63165": Case,
}

if __name__ == "__main__":
    serve(CASES[sys.argv[1]], int(sys.argv[2])).serve_forever()
