"""Servers of the threads of lot p: `python -m tests.support.servers.later_threads CASE PORT`, as `threads`.

The MCP endpoint of the case `activepieces` is http://127.0.0.1:PORT/activepieces/mcp.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, ClassVar
from urllib.parse import urlencode

from tests.support.servers.threads import Answer, Case, serve


class ScopeIsNeededAndStateDropped(Case):
    """medusajs/medusa#15331: a request without a scope is refused, and the redirect that says so has no state."""

    def authorize(self, query: dict[str, str]) -> Answer:
        if query.get("scope"):
            return super().authorize(query)
        return 302, "", {"Location": f"{query['redirect_uri']}?{urlencode({'error': 'invalid_scope'})}"}


class IssuerOfResponseWithoutPath(Case):
    """mondaycom/mcp#453: the issuer has a path, and the `iss` of the redirect has none."""

    metadata: ClassVar[dict[str, Any]] = {"authorization_response_iss_parameter_supported": True}

    def resource_metadata(self, path: str) -> Answer:
        status, document, more = super().resource_metadata(path)
        return status, {**document, "authorization_servers": [f"{self.origin}/auth"]}, more

    def server_metadata(self, path: str) -> Answer:
        if path != "/.well-known/oauth-authorization-server/auth":
            return 404, {"error": "not_found"}, {}
        status, document, more = super().server_metadata("/.well-known/oauth-authorization-server")
        return status, {**document, "issuer": f"{self.origin}/auth"}, more

    def back(self, query: dict[str, str], answer: dict[str, str]) -> Answer:
        return super().back(query, {**answer, "iss": self.origin})


class ResourceIsOrigin(Case):
    """kentcdodds/kody-exchange#19: tokens are for the origin that the metadata tells; the endpoint wants its URL."""

    def resource_metadata(self, path: str) -> Answer:
        status, document, more = super().resource_metadata(path)
        return status, {**document, "resource": self.origin}, more

    def request(self, message: Any, headers: Any) -> Answer:
        words = "Token audience does not match resource server"
        challenge = f'{self.unauthorized()[2]["WWW-Authenticate"]}, error="invalid_token", error_description="{words}"'
        return 401, {"error": "invalid_token", "error_description": words}, {"WWW-Authenticate": challenge}


class LoopbackAddressForbidden(Case):
    """anomalyco/opencode#31033: the firewall before the registration does not let http://127.0.0.1 pass."""

    def register(self, asked: Any) -> Answer:
        if any("//127.0.0.1" in uri for uri in asked.get("redirect_uris", [])):
            return 403, {"message": "Forbidden"}, {"x-amzn-ErrorType": "ForbiddenException"}
        return super().register(asked)


class IssuerElsewhere(Case):
    """PagerDuty/pagerduty-mcp-server#169: the metadata's issuer has another host and path than its address."""

    def resource_metadata(self, path: str) -> Answer:
        status, document, more = super().resource_metadata(path)
        return status, {**document, "authorization_servers": [f"{self.origin}/"]}, more

    def server_metadata(self, path: str) -> Answer:
        status, document, more = super().server_metadata(path)
        issuer = {"issuer": "https://app.pager.example/global/oauth/anonymous"}
        return status, {**document, **issuer} if status == 200 else document, more


class AdvertisedScopeUnknown(Case):
    """laravel/mcp#131: routes are cached, and the scope that both documents list was never registered."""

    prm: ClassVar[dict[str, Any]] = {"scopes_supported": ["mcp:use"]}
    metadata: ClassVar[dict[str, Any]] = {"scopes_supported": ["mcp:use"]}

    def authorize(self, query: dict[str, str]) -> Answer:
        if "mcp:use" not in query.get("scope", "").split():
            return super().authorize(query)
        words = "The requested scope is invalid, unknown, or malformed"
        refusal = {"error": "invalid_scope", "error_description": words, "hint": "Check the `mcp:use` scope"}
        return self.back(query, refusal)


class ResourceOfUpstream(Case):
    """BerriAI/litellm#36803: the gateway's metadata names the resource of the server behind it."""

    def resource_metadata(self, path: str) -> Answer:
        status, document, more = super().resource_metadata(path)
        return status, {**document, "resource": "https://mcp.vendor.example/v1/mcp/authv2"}, more


class BelowPrefix(Case):
    """activepieces/activepieces#13603: the proxy routes one prefix; the challenge and the documents know none."""

    prefix = "/activepieces"

    def unauthorized(self) -> Answer:
        return 401, {"statusCode": 401, "message": "Unauthorized"}, {}

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if not path.startswith(self.prefix):
            return 404, "<html><head><title>404 Not Found</title></head><body><h1>404 Not Found</h1></body></html>", {}
        return super().answer(method, path.removeprefix(self.prefix), query, form, message, headers)


class IssuerMissing(Case):
    """theam/facility#235: `iss` is advertised, and missing from the redirect."""

    metadata: ClassVar[dict[str, Any]] = {
        "authorization_response_iss_parameter_supported": True,
        "scopes_supported": ["openid", "offline_access", "email", "profile"],
    }


class SignInOptional(Case):
    """anthropics/claude-ai-mcp#43: everybody may call the tools, and who has signed in may call them more often."""

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path == "/mcp" and method == "POST":
            return self.request(message, headers)
        return super().answer(method, path, query, form, message, headers)


class EndpointsWithSlash(Case):
    """PostHog/posthog#44485: every endpoint of the authorization server ends with a slash."""

    def server_metadata(self, path: str) -> Answer:
        status, document, more = super().server_metadata(path)
        if status != 200:
            return status, document, more
        names = {"authorization_endpoint": "authorize", "token_endpoint": "token", "registration_endpoint": "register"}
        return status, {**document, **{key: f"{self.origin}/oauth/{name}/" for key, name in names.items()}}, more

    def answer(
        self, method: str, path: str, query: dict[str, str], form: dict[str, str], message: Any, headers: Any
    ) -> Answer:
        if path.startswith("/oauth/") and path.endswith("/"):
            path = path.removeprefix("/oauth").rstrip("/")
        return super().answer(method, path, query, form, message, headers)


class TokenTellsResource(Case):
    """cloudflare/workers-oauth-provider#103: the token answer names the resource, and its scope is empty."""

    def server_metadata(self, path: str) -> Answer:
        status, document, more = super().server_metadata(path)
        revocation = {"revocation_endpoint": f"{self.origin}/token", "response_modes_supported": ["query"]}
        return status, {**document, **revocation} if status == 200 else document, more

    def token(self, form: dict[str, str]) -> Answer:
        status, document, more = super().token(form)
        resource = form.get("resource", f"{self.origin}/mcp")
        return status, {**document, "token_type": "bearer", "scope": "", "resource": resource}, more


class TokenForEver(Case):
    """micro/mu#455: the token has no end, and there is nothing to refresh."""

    metadata: ClassVar[dict[str, Any]] = {"grant_types_supported": ["authorization_code"]}

    def register(self, asked: Any) -> Answer:
        return super().register({**asked, "grant_types": ["authorization_code"]})

    def token(self, form: dict[str, str]) -> Answer:
        status, document, more = super().token(form)
        return status, {name: document[name] for name in ("access_token", "token_type")}, more


CASES: dict[str, Callable[[str], Case]] = {
    "medusa": ScopeIsNeededAndStateDropped,
    "monday": IssuerOfResponseWithoutPath,
    "kody-exchange": ResourceIsOrigin,
    "opencode-31033": LoopbackAddressForbidden,
    "pagerduty": IssuerElsewhere,
    "laravel-131": AdvertisedScopeUnknown,
    "litellm-36803": ResourceOfUpstream,
    "activepieces": BelowPrefix,
    "facility": IssuerMissing,
    "claude-ai-43": SignInOptional,
    "posthog-44485": EndpointsWithSlash,
    "workers-oauth-provider": TokenTellsResource,
    "mu": TokenForEver,
}

if __name__ == "__main__":
    serve(CASES[sys.argv[1]], int(sys.argv[2])).serve_forever()
