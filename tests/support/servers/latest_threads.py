"""Servers of the threads of lot r: `python -m tests.support.servers.latest_threads CASE PORT`, as `threads`."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import urlsplit

from tests.support.servers.threads import Answer, Case, serve

OPENID: dict[str, Any] = {
    "registration_endpoint": None,
    "scopes_supported": ["openid", "profile"],
    "subject_types_supported": ["public"],
    "id_token_signing_alg_values_supported": ["RS256"],
}


class AuthorizationOnAnotherOrigin(Case):
    """CodSpeedHQ/codspeed#523: people sign in at another origin than the issuer's, and `iss` is not advertised."""

    def server_metadata(self, path: str) -> Answer:
        status, document, more = super().server_metadata(path)
        if status != 200:
            return status, document, more
        return status, {**document, "authorization_endpoint": f"http://localhost:{self.port}/authorize"}, more

    @property
    def port(self) -> int | None:
        return urlsplit(self.origin).port


class RegistrationNotThere(Case):
    """browser-use/browser-use#4098: the registration endpoint that the metadata names does not exist."""

    def server_metadata(self, path: str) -> Answer:
        status, document, more = super().server_metadata(path)
        if status == 200:
            document = {**document, "registration_endpoint": f"{self.origin}/oauth/register"}
        return status, document, more

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path == "/oauth/register":
            return 404, {"detail": "Not Found"}, {}
        return super().answer(method, path, query, form, message, headers)


class MetadataOfOpenidConnect(Case):
    """CanineHQ/canine#749: Doorkeeper's OpenID Connect answers where the application's own metadata should be."""

    metadata: ClassVar[dict[str, Any]] = OPENID

    def register(self, asked: Any) -> Answer:
        return 404, {"status": 404, "error": "Not Found"}, {}


class LinkToNothing(Case):
    """camunda/camunda#47773: the challenge names metadata that is not there; everything else wants a token."""

    def unauthorized(self) -> Answer:
        value = f'Bearer resource_metadata="{self.origin}/.well-known/oauth-protected-resource"'
        return 401, "", {"WWW-Authenticate": value}

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path == "/mcp":
            return self.unauthorized()
        return 404, {"type": "about:blank", "title": "Not Found", "status": 404, "instance": path}, {}


class NoServerMetadata(Case):
    """anthropics/claude-code#31349: the authorization server has endpoints, and no metadata at any path."""

    def resource_metadata(self, path: str) -> Answer:
        return 200, {"resource": f"{self.origin}/mcp", "authorization_servers": [f"{self.origin}/oauth"]}, {}

    def server_metadata(self, path: str) -> Answer:
        return 404, "<html><head><title>404 Not Found</title></head><body>404 Not Found</body></html>", {}

    def register(self, asked: Any) -> Answer:
        return self.server_metadata("/register")


class PageForMetadata(Case):
    """anthropics/claude-code#84123: a page where RFC 8414 wants metadata; OpenID Connect's is below the issuer."""

    page = "<!doctype html><html><head><title>Sign in</title></head><body><div id=app></div></body></html>"

    def resource_metadata(self, path: str) -> Answer:
        return 200, {"resource": f"{self.origin}/mcp", "authorization_servers": [f"{self.origin}/realms/main"]}, {}

    def server_metadata(self, path: str) -> Answer:
        return 200, self.page, {}

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path == "/realms/main/.well-known/openid-configuration":
            status, document, more = super().server_metadata("/.well-known/oauth-authorization-server")
            return status, {**document, "issuer": f"{self.origin}/realms/main"}, more
        return super().answer(method, path, query, form, message, headers)


class ScopeByDefault(Case):
    """we-promise/sure#2884: who registers without a scope gets tokens with `read`, and the endpoint wants more."""

    def token(self, form: dict[str, str]) -> Answer:
        status, document, more = super().token(form)
        return status, {**document, "scope": "read"}, more

    def request(self, message: Any, headers: Any) -> Answer:
        words = 'Access to this resource requires scope \\"read_write\\".'
        challenge = f'Bearer realm="Doorkeeper", error="invalid_scope", error_description="{words}"'
        return 403, "", {"WWW-Authenticate": challenge}


class HostNotAllowed(Case):
    """blockscout/mcp-server#333: the SDK takes the host for an attack by DNS rebinding."""

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        return (421, "Invalid Host header", {}) if path == "/mcp" else (404, "Not Found", {})


class IssuerOfCompany(Case):
    """nicobailon/pi-mcp-adapter#297: the metadata is found below the endpoint's URL, and names another issuer."""

    def resource_metadata(self, path: str) -> Answer:
        return 200, {"resource": f"{self.origin}/mcp", "authorization_servers": [f"{self.origin}/mcp"]}, {}

    def server_metadata(self, path: str) -> Answer:
        if not path.endswith("/oauth-authorization-server/mcp"):
            return 404, "Not Found", {}
        status, document, more = super().server_metadata("/.well-known/oauth-authorization-server")
        return status, {**document, "issuer": "https://sso.corp.example"}, more


class Doorkeeper(Case):
    """rubynor/stemplin#448, parterburn/dabble.me#117: Rails with Doorkeeper and registration of its own."""

    prm: ClassVar[dict[str, Any]] = {"scopes_supported": ["mcp"], "bearer_methods_supported": ["header"]}
    metadata: ClassVar[dict[str, Any]] = {"scopes_supported": ["mcp"], "revocation_endpoint": None}

    def register(self, asked: Any) -> Answer:
        status, document, more = super().register(asked)
        return status, {**document, "client_id_issued_at": 1780000000, "scope": "mcp"}, more

    def token(self, form: dict[str, str]) -> Answer:
        status, document, more = super().token(form)
        return status, {**document, "scope": "mcp", "created_at": 1780000000}, more


class Open(Case):
    """ecto/vcad#271: no sign-in at all, and nothing of OAuth anywhere."""

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path != "/mcp":
            return 404, {"error": "not_found"}, {}
        return self.request(message, headers) if method == "POST" else (405, "", {"Allow": "POST"})


class SignInForCalls(Case):
    """netclaw-dev/netclaw#2123: everybody may look at the tools, and a call of one wants a token."""

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path == "/mcp" and method == "POST" and message.get("method") != "tools/call":
            return self.request(message, headers)
        return super().answer(method, path, query, form, message, headers)


CASES: dict[str, Callable[[str], Case]] = {
    "codspeed": AuthorizationOnAnotherOrigin,
    "browser-use": RegistrationNotThere,
    "canine": MetadataOfOpenidConnect,
    "camunda": LinkToNothing,
    "claude-code-31349": NoServerMetadata,
    "claude-code-84123": PageForMetadata,
    "sure": ScopeByDefault,
    "blockscout": HostNotAllowed,
    "pi-mcp-adapter": IssuerOfCompany,
    "stemplin": Doorkeeper,
    "dabble": Doorkeeper,
    "vcad": Open,
    "netclaw": SignInForCalls,
}

if __name__ == "__main__":
    serve(CASES[sys.argv[1]], int(sys.argv[2])).serve_forever()
