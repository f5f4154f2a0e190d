"""Small servers that behave as those of the threads of a lot: `python -m tests.support.servers.threads CASE PORT`.

The MCP endpoint is http://127.0.0.1:PORT/mcp; one process is MCP server and authorization server. Everything is in
order but for what the case's own answers say.
"""

from __future__ import annotations

import json
import sys
import time
import uuid
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, quote, urlencode, urlsplit

Answer = tuple[int, Any, dict[str, str]]
"""Status, body (a dict is JSON, text is text, text that begins with < is HTML), headers."""


class Case:
    """A healthy server; each case overrides what is its own."""

    prm: ClassVar[dict[str, Any]] = {}
    metadata: ClassVar[dict[str, Any]] = {}
    challenge: str | None = None

    def __init__(self, origin: str) -> None:
        self.origin = origin
        self.tokens: set[str] = set()
        self.clients: set[str] = set()

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        token = (headers.get("Authorization") or "").removeprefix("Bearer ")
        if path.startswith("/.well-known/oauth-protected-resource"):
            return self.resource_metadata(path)
        if path.startswith(("/.well-known/oauth-authorization-server", "/.well-known/openid-configuration")):
            return self.server_metadata(path)
        if path == "/register":
            return self.register(message)
        if path == "/authorize":
            return self.authorize(query)
        if path == "/token":
            return self.token(form)
        if path == "/mcp":
            if token not in self.tokens:
                return self.unauthorized()
            if method != "POST":
                return 405, "", {"Allow": "POST"}
            return self.request(message, headers)
        return 404, {"error": "not_found"}, {}

    def resource_metadata(self, path: str) -> Answer:
        return 200, {"resource": f"{self.origin}/mcp", "authorization_servers": [self.origin], **self.prm}, {}

    def server_metadata(self, path: str) -> Answer:
        if path != "/.well-known/oauth-authorization-server":
            return 404, {"error": "not_found"}, {}
        document = {
            "issuer": self.origin,
            "authorization_endpoint": f"{self.origin}/authorize",
            "token_endpoint": f"{self.origin}/token",
            "registration_endpoint": f"{self.origin}/register",
            "response_types_supported": ["code"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "token_endpoint_auth_methods_supported": ["none"],
        }
        return 200, {name: value for name, value in (document | self.metadata).items() if value is not None}, {}

    def register(self, asked: Any) -> Answer:
        client = str(uuid.uuid4())
        self.clients.add(client)
        return 201, {**asked, "client_id": client, "token_endpoint_auth_method": "none"}, {}

    def authorize(self, query: dict[str, str]) -> Answer:
        return self.back(query, {"code": uuid.uuid4().hex})

    def back(self, query: dict[str, str], answer: dict[str, str]) -> Answer:
        answer = answer | ({"state": query["state"]} if "state" in query else {})
        return 302, "", {"Location": f"{query['redirect_uri']}?{urlencode(answer, quote_via=quote)}"}

    def token(self, form: dict[str, str]) -> Answer:
        token = uuid.uuid4().hex
        self.tokens.add(token)
        document = {
            "access_token": token,
            "token_type": "Bearer",
            "expires_in": 3600,
            "refresh_token": uuid.uuid4().hex,
        }
        return 200, document, {"Cache-Control": "no-store"}

    def unauthorized(self) -> Answer:
        challenge = (
            self.challenge or f'Bearer resource_metadata="{self.origin}/.well-known/oauth-protected-resource/mcp"'
        )
        return (
            401,
            {"error": "invalid_token", "error_description": "Authentication required"},
            {"WWW-Authenticate": challenge},
        )

    def request(self, message: Any, headers: Any) -> Answer:
        method = message.get("method", "")
        if method.startswith("notifications/"):
            return 202, "", {}
        results = {
            "initialize": {
                "protocolVersion": (message.get("params") or {}).get("protocolVersion", "2025-11-25"),
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "thread", "version": "1.0.0"},
            },
            "tools/list": {"tools": [{"name": "search", "inputSchema": {"type": "object", "properties": {}}}]},
        }
        if method in results:
            return 200, {"jsonrpc": "2.0", "id": message.get("id"), "result": results[method]}, {}
        error = {"code": -32601, "message": "Method not found"}
        return 200, {"jsonrpc": "2.0", "id": message.get("id"), "error": error}, {}


class TokenOfASecond(Case):
    """The access token expires after a second, and the client has to refresh it."""

    expired = "Token has expired"

    def __init__(self, origin: str) -> None:
        super().__init__(origin)
        self.until = 0.0

    def refresh(self, form: dict[str, str]) -> Answer:
        """The answer to the grant of a refresh token."""
        raise NotImplementedError

    def token(self, form: dict[str, str]) -> Answer:
        if form.get("grant_type") == "refresh_token":
            return self.refresh(form)
        self.until = time.monotonic() + 1
        status, document, more = super().token(form)
        return status, {**document, "expires_in": 1}, more

    def request(self, message: Any, headers: Any) -> Answer:
        if message.get("method") == "initialize":
            answer = super().request(message, headers)
            time.sleep(1.5)
            return answer
        if time.monotonic() > self.until:
            challenge = f'{self.unauthorized()[2]["WWW-Authenticate"]}, error="invalid_token"'
            body = {"error": "invalid_token", "error_description": self.expired}
            return 401, body, {"WWW-Authenticate": f'{challenge}, error_description="{self.expired}"'}
        return super().request(message, headers)


class RegistrationRefusesCallback(Case):
    """openai/codex#23804"""

    def register(self, asked: Any) -> Answer:
        return 400, {"error": "invalid_redirect_uri"}, {}


class ScopeIsNeeded(Case):
    """openai/codex#5480: Entra wants a scope, and nothing told the client of one."""

    words = (
        "AADSTS900144: The request body must contain the following parameter: 'scope'. "
        "Trace ID: 5f3c1d00 Correlation ID: 77aa0b12 Timestamp: 2025-10-22 10:12:44Z"
    )

    def authorize(self, query: dict[str, str]) -> Answer:
        if query.get("scope"):
            return super().authorize(query)
        return self.back(query, {"error": "invalid_request", "error_description": self.words})


class NothingToDiscover(Case):
    """OpenDigitalProductFactory/opendigitalproductfactory#4787"""

    challenge = (
        'Bearer realm="DPF MCP", error="invalid_token", '
        'error_description="missing Bearer token or X-MCP-Session header"'
    )

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        return self.unauthorized() if path == "/mcp" else (404, "Not Found", {})


class VerifierRefused(Case):
    """anthropics/claude-code#85705"""

    def token(self, form: dict[str, str]) -> Answer:
        return 400, {"error": "invalid_grant", "error_description": "invalid code verifier"}, {}


class KeyWithoutId(Case):
    """elastic/docs-builder#2811: `initialize` is answered, everything after it fails on the signature."""

    words = (
        "IDX10503: Signature validation failed. Token does not have a kid. "
        "Keys tried: 'Microsoft.IdentityModel.Tokens.RsaSecurityKey'"
    )

    def request(self, message: Any, headers: Any) -> Answer:
        if message.get("method") == "tools/list":
            challenge = f'Bearer error="invalid_token", error_description="{self.words}"'
            return 401, "", {"WWW-Authenticate": challenge}
        return super().request(message, headers)


class ClientForgotten(Case):
    """modelcontextprotocol/python-sdk#1480: the registration is gone when the code is exchanged."""

    def token(self, form: dict[str, str]) -> Answer:
        return 401, {"error": "unauthorized_client", "error_description": "Invalid client_id"}, {}


class MetadataForbidden(Case):
    """NousResearch/hermes-agent#113771"""

    def server_metadata(self, path: str) -> Answer:
        return 403, "<html><head><title>403 Forbidden</title></head><body><h1>403 Forbidden</h1></body></html>", {}

    def register(self, asked: Any) -> Answer:
        return 404, {"detail": "Not Found"}, {}


class SessionForgotten(Case):
    """modelcontextprotocol/python-sdk#1676"""

    def request(self, message: Any, headers: Any) -> Answer:
        if message.get("method") == "initialize":
            status, body, more = super().request(message, headers)
            return status, body, {**more, "Mcp-Session-Id": uuid.uuid4().hex}
        if message.get("method") == "tools/list":
            error = {"code": -32600, "message": "Session not found"}
            return 404, {"jsonrpc": "2.0", "id": "server-error", "error": error}, {}
        return super().request(message, headers)


class NoRegistration(Case):
    """github/copilot-cli#4604"""

    metadata: ClassVar[dict[str, Any]] = {"registration_endpoint": None, "scopes_supported": ["repo", "read:org"]}
    prm: ClassVar[dict[str, Any]] = {"scopes_supported": ["repo", "read:org"]}

    def register(self, asked: Any) -> Answer:
        return 404, "<!DOCTYPE html><html><head><title>Page not found</title></head><body>Not Found</body></html>", {}


class NotAcceptable(Case):
    """redis/agent-memory-server#284: no token is answered with 406."""

    def unauthorized(self) -> Answer:
        words = "Not Acceptable: Client must accept text/event-stream"
        return 406, {"jsonrpc": "2.0", "id": "server-error", "error": {"code": -32600, "message": words}}, {}


class MetadataElsewhere(Case):
    """homeassistant-ai/ha-mcp#1714: the authorization server's metadata is at a path that no client tries."""

    @property
    def issuer(self) -> str:
        return f"{self.origin}/api/mcp_proxy/oauth"

    def unauthorized(self) -> Answer:
        document = f"{self.origin}/api/mcp_proxy/oauth/protected-resource"
        return (
            401,
            {"error": "unauthorized"},
            {"WWW-Authenticate": f'Bearer realm="MCP Proxy", resource_metadata="{document}"'},
        )

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path == "/api/mcp_proxy/oauth/protected-resource":
            return 200, {"resource": f"{self.origin}/mcp", "authorization_servers": [self.issuer]}, {}
        if path == "/api/mcp_proxy/oauth/authorization-server":
            return (
                200,
                {**super().server_metadata("/.well-known/oauth-authorization-server")[1], "issuer": self.issuer},
                {},
            )
        if path == "/mcp":
            return super().answer(method, path, query, form, message, headers)
        return 404, "404: Not Found", {}


class SecretAndBasic(Case):
    """VRSEN/agency-swarm#785: who names no method gets a secret for Basic, and may then not name itself in the body."""

    metadata: ClassVar[dict[str, Any]] = {"token_endpoint_auth_methods_supported": ["client_secret_basic", "none"]}

    def register(self, asked: Any) -> Answer:
        status, answer, more = super().register(asked)
        if asked.get("token_endpoint_auth_method") == "none":
            return status, answer, more
        secret = {"token_endpoint_auth_method": "client_secret_basic", "client_secret": uuid.uuid4().hex}
        return status, {**answer, **secret, "client_secret_expires_at": 0}, more

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        basic = (headers.get("Authorization") or "").lower().startswith("basic ")
        if path == "/token" and basic and "client_id" in form:
            words = "Client must not use multiple authentication methods"
            return 400, {"error": "invalid_request", "error_description": words}, {}
        return super().answer(method, path, query, form, message, headers)


class CrashWithoutToken(Case):
    """BerriAI/litellm#27489"""

    def unauthorized(self) -> Answer:
        return 500, {"error": "MCP request failed", "details": ""}, {}


class TokenCrash(Case):
    """doobidoo/mcp-memory-service#577"""

    def token(self, form: dict[str, str]) -> Answer:
        return 500, {"error": "server_error", "error_description": "Internal server error"}, {}


class GuardedRegistration(Case):
    """Zomato/mcp-server-manifest#39: one guard before everything, also before the metadata and the registration."""

    challenge = 'Bearer error="invalid_token", error_description="Authentication required"'

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        return self.unauthorized()


class RegistrationRedirected(Case):
    """laravel/mcp#173: the validation of the redirect URI fails, and the framework redirects as for a form."""

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path == "/":
            return (
                200,
                "<!DOCTYPE html><html><head><title>Laravel</title></head><body><h1>Welcome</h1></body></html>",
                {},
            )
        return super().answer(method, path, query, form, message, headers)

    def register(self, asked: Any) -> Answer:
        return 302, "<!DOCTYPE html><html><head><title>Redirecting</title></head></html>", {"Location": self.origin}


class RegistrationInString(Case):
    """supermemoryai/supermemory-mcp#21: the answer is JSON within a JSON string."""

    def register(self, asked: Any) -> Answer:
        status, answer, more = super().register(asked)
        return status, json.dumps(json.dumps(answer)), {**more, "Content-Type": "application/json"}


class NoRegistrationAtRoot(Case):
    """homeassistant-ai/ha-mcp#1976: another component's metadata at the root, without registration."""

    metadata: ClassVar[dict[str, Any]] = {
        "registration_endpoint": None,
        "client_id_metadata_document_supported": True,
        "token_endpoint_auth_methods_supported": None,
    }

    def resource_metadata(self, path: str) -> Answer:
        return 404, "404: Not Found", {}

    def unauthorized(self) -> Answer:
        return 401, "401: Unauthorized", {}

    def register(self, asked: Any) -> Answer:
        return 404, "404: Not Found", {}


class TokenUnauthorized(Case):
    """punkpeye/mcp-remote#30"""

    def token(self, form: dict[str, str]) -> Answer:
        return 401, "", {}


class SecretForPublicClient(Case):
    """garrytan/gbrain#909: a secret is issued to a public client, and asked for afterwards."""

    metadata: ClassVar[dict[str, Any]] = {"token_endpoint_auth_methods_supported": ["client_secret_post", "none"]}

    def register(self, asked: Any) -> Answer:
        status, answer, more = super().register(asked)
        return status, {**answer, "client_secret": f"gbrain_cs_{uuid.uuid4().hex}"}, more

    def token(self, form: dict[str, str]) -> Answer:
        if form.get("client_secret"):
            return super().token(form)
        return 401, {"error": "invalid_client", "error_description": "Client secret is required"}, {}


class LockedEndpoint(Case):
    """aks129/HealthClawGuardrails#290: a token made by hand is wanted, and the 401 looks like OAuth."""

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path == "/mcp":
            return 401, {"error": "Unauthorized"}, {"WWW-Authenticate": "Bearer"}
        return 404, "Not Found", {}


class IssuerOmitted(Case):
    """cloudflare/mcp-server-cloudflare#449, twentyhq/twenty#24809: `iss` is advertised, and not sent."""

    metadata: ClassVar[dict[str, Any]] = {"authorization_response_iss_parameter_supported": True}


class IssuerSent(IssuerOmitted):
    """The same after the change."""

    def back(self, query: dict[str, str], answer: dict[str, str]) -> Answer:
        return super().back(query, {**answer, "iss": self.origin})


class RegistrationForbidden(Case):
    """PrimeIntellect-ai/prime-agent#2362: only clients of a list may register."""

    def register(self, asked: Any) -> Answer:
        return 403, "Forbidden", {}


class ConfidentialOnly(Case):
    """ridafkih/keeper.sh#208: who names a method has to be signed in to register."""

    def register(self, asked: Any) -> Answer:
        words = "Authentication required for confidential client registration"
        return 401, {"error": "invalid_token", "error_description": words}, {}


class AudienceOfAnotherHost(Case):
    """lobu-ai/lobu#2893: behind two proxies the server takes itself for another host, and refuses every token."""

    def request(self, message: Any, headers: Any) -> Answer:
        status, _, more = self.unauthorized()
        words = "Token is not valid for this resource"
        challenge = f'{more["WWW-Authenticate"]}, error="invalid_token", error_description="{words}"'
        return status, {"error": "invalid_token", "error_description": words}, {"WWW-Authenticate": challenge}


class SecretIsWanted(Case):
    """better-auth/better-auth#2813"""

    def token(self, form: dict[str, str]) -> Answer:
        return 401, {"error": "invalid_client", "error_description": "client_secret is required"}, {}


class SpokenToLikeSse(Case):
    """punkpeye/mcp-remote#196: an endpoint of the older transport, which wants a session in the query."""

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path == "/mcp":
            return 404, "Missing sessionId parameter", {}
        return 404, "Not Found", {}


class NoAuthorizationEndpoint(Case):
    """obot-platform/obot#7336"""

    metadata: ClassVar[dict[str, Any]] = {"authorization_endpoint": None}


class IssuerWithPath(IssuerOmitted):
    """letehaha/budget-tracker#551: `iss` has the path of the library, the metadata has not."""

    def back(self, query: dict[str, str], answer: dict[str, str]) -> Answer:
        return super().back(query, {**answer, "iss": f"{self.origin}/api/v1/auth"})


class IssuerWithSlash(Case):
    """metatool-ai/metamcp#361"""

    def server_metadata(self, path: str) -> Answer:
        status, document, more = super().server_metadata(path)
        return status, {**document, "issuer": f"{self.origin}/"} if status == 200 else document, more


class IssuerOfAnotherHost(Case):
    """atlassian/atlassian-mcp-server#148"""

    metadata: ClassVar[dict[str, Any]] = {"issuer": "https://cf.mcp.example"}


class SessionOnAnotherReplica(Case):
    """appsmithorg/appsmith#42238"""

    def request(self, message: Any, headers: Any) -> Answer:
        if message.get("method") == "initialize":
            status, body, more = super().request(message, headers)
            return status, body, {**more, "Mcp-Session-Id": uuid.uuid4().hex}
        if message.get("method", "").startswith("notifications/"):
            return 202, "", {}
        return 404, {"error": "session not found; initialize a new MCP session"}, {}


class CodeOnAnotherReplica(Case):
    """Altinity/altinity-mcp#113"""

    def token(self, form: dict[str, str]) -> Answer:
        return 400, {"error": "invalid_grant", "error_description": "Unknown OAuth request"}, {}


class ScopeOfAnotherName(Case):
    """obot-platform/obot#7842: the token is for the instance, the URL names the server."""

    def request(self, message: Any, headers: Any) -> Answer:
        return 403, "forbidden", {}


class BadRequestWithoutToken(Case):
    """charmbracelet/crush#2911"""

    def unauthorized(self) -> Answer:
        return 400, "bad request: missing required Authorization header", {}


class InternalHost(Case):
    """elastic/docs-builder#2805: behind two proxies the metadata has the internal name."""

    prm: ClassVar[dict[str, Any]] = {
        "resource": "http://internal-alb.example/mcp",
        "authorization_servers": ["http://internal-alb.example"],
    }


CASES: dict[str, Callable[[str], Case]] = {
    "v01": RegistrationRefusesCallback,
    "v02": ScopeIsNeeded,
    "v03": NothingToDiscover,
    "v04": VerifierRefused,
    "v05": KeyWithoutId,
    "v06": ClientForgotten,
    "v07": Case,
    "v08": Case,
    "v09": Case,
    "v10": MetadataForbidden,
    "v11": SessionForgotten,
    "v12": NoRegistration,
    "v13": NotAcceptable,
    "v14": MetadataElsewhere,
    "w01": SecretAndBasic,
    "w02": CrashWithoutToken,
    "w03": TokenCrash,
    "w04": GuardedRegistration,
    "w05": Case,
    "w06": RegistrationRedirected,
    "w07": RegistrationInString,
    "w08": NoRegistrationAtRoot,
    "w09": Case,
    "w10": Case,
    "w11": TokenUnauthorized,
    "w12": SecretForPublicClient,
    "w13": LockedEndpoint,
    "x01": IssuerOmitted,
    "x02": IssuerOmitted,
    "x03": RegistrationForbidden,
    "x04": ConfidentialOnly,
    "x05": SpokenToLikeSse,
    "x06": AudienceOfAnotherHost,
    "x07": RegistrationForbidden,
    "x08": SecretIsWanted,
    "x09": Case,
    "x10": Case,
    "x11": IssuerSent,
    "x12": NoAuthorizationEndpoint,
    "y01": IssuerWithPath,
    "y02": IssuerWithSlash,
    "y03": IssuerOfAnotherHost,
    "y04": SessionOnAnotherReplica,
    "y05": CodeOnAnotherReplica,
    "y06": ScopeOfAnotherName,
    "y07": BadRequestWithoutToken,
    "y08": InternalHost,
    "y09": Case,
    "y10": Case,
    "y11": Case,
}


def serve(make: Callable[[str], Case], port: int) -> ThreadingHTTPServer:
    """A server for one case, bound to loopback."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            is_json = "json" in (self.headers.get("Content-Type") or "")
            message = json.loads(body) if is_json and body else {}
            form = {} if is_json else {name: values[0] for name, values in parse_qs(body).items()}
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            status, answer, headers = case.answer(self.command, url.path, query, form, message, self.headers)
            text = json.dumps(answer) if isinstance(answer, dict) else answer
            self.send_response(status)
            if text and "Content-Type" not in headers:
                kind = (
                    "application/json"
                    if isinstance(answer, dict)
                    else "text/html"
                    if text.startswith("<")
                    else "text/plain"
                )
                self.send_header("Content-Type", kind)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(text.encode())))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(text.encode())

        do_GET = do_POST = do_DELETE = do_HEAD = do_OPTIONS = handle_any  # noqa: N815

        def log_message(self, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    case = make(f"http://127.0.0.1:{server.server_port}")
    return server


if __name__ == "__main__":
    serve(CASES[sys.argv[1]], int(sys.argv[2])).serve_forever()
