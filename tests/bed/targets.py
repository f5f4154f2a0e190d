"""The twenty targets: one healthy base, and each fault as its smallest difference from it.

Each class is one line of the fault table; its docstring is that line.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from tests.bed.authorization import AuthorizationServer, Grant
from tests.bed.mcp import PRM, LegacyMcpServer, McpServer
from tests.bed.origin import Origin, Routes, document


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


class F01(Good):
    """The 401 carries a relative `resource_metadata`."""

    host = "f01.mcp.test"

    def challenge(self, token: str) -> str | None:
        return f'Bearer resource_metadata="{PRM}{self.path}", scope="mcp:tools"'


class F02(Good):
    """PRM `resource` is on another origin."""

    host = "f02.mcp.test"

    def resource_metadata(self) -> dict[str, Any]:
        return super().resource_metadata() | {"resource": "https://f02-staging.mcp.test/mcp"}


class F03(Good):
    """Metadata `issuer` differs from the AS URL it was fetched from."""

    host = "f03.mcp.test"

    @property
    def issuer(self) -> str:
        return "https://f03-login.mcp.test"


class F04(Good):
    """No `code_challenge_methods_supported`."""

    host = "f04.mcp.test"

    def metadata(self) -> dict[str, Any]:
        return without(super().metadata(), "code_challenge_methods_supported")


class F05(Good):
    """DCR refuses the client's loopback redirect URI."""

    host = "f05.mcp.test"

    def refusal_of(self, redirect_uris: list[str]) -> str | None:
        plain = [uri for uri in redirect_uris if urlsplit(uri).scheme != "https"]
        return f"{plain[0]} is not allowed: redirect URIs must use https" if plain else None


class F06(Good):
    """The AS issues tokens, the MCP server answers 401 to them."""

    host = "f06.mcp.test"

    def accepts(self, token: str) -> bool:
        return False


class F07(Good):
    """The AS metadata place answers 200 `text/html` (single-page-app catch-all)."""

    host = "f07.mcp.test"

    def routes(self) -> Routes:
        return {
            (method, path): handler
            for (method, path), handler in super().routes().items()
            if path != "/.well-known/oauth-authorization-server"
        }

    async def elsewhere(self, request: Request) -> Response:
        if request.method != "GET":
            return await super().elsewhere(request)
        return HTMLResponse('<!doctype html><title>Adder</title><div id="root"></div><script src="/app.js"></script>')


class F08(Good):
    """Token response without `token_type`."""

    host = "f08.mcp.test"

    def token_answer(self, tokens: dict[str, Any]) -> Response:
        return super().token_answer(without(tokens, "token_type"))


class F09(Good):
    """401 without `WWW-Authenticate` (PRM exists)."""

    host = "f09.mcp.test"

    def challenge(self, token: str) -> str | None:
        return None


class F10(Good):
    """`/authorize` drops `state`."""

    host = "f10.mcp.test"

    def callback_parameters(self, code: str, state: str) -> dict[str, str]:
        return {"code": code}


class F11(Good):
    """No `registration_endpoint`, no CIMD."""

    host = "f11.mcp.test"

    def metadata(self) -> dict[str, Any]:
        return without(super().metadata(), "registration_endpoint")

    def routes(self) -> Routes:
        return {key: handler for key, handler in super().routes().items() if key != ("POST", "/register")}


class F12(Good):
    """PRM advertises `http://` behind a TLS terminator."""

    host = "f12.mcp.test"

    def resource_metadata(self) -> dict[str, Any]:
        seen_from_inside = f"http://{self.host}"
        here = {"resource": f"{seen_from_inside}{self.path}", "authorization_servers": [seen_from_inside]}
        return super().resource_metadata() | here


class F13(Good):
    """JWT `aud` is the AS, not the resource (the server does not check)."""

    host = "f13.mcp.test"
    expected_audience = False

    def audience(self, grant: Grant) -> str:
        return self.issuer


class F14(Good):
    """The 401 names a PRM URL that answers 404 (so does the root place); AS metadata exists at the origin."""

    host = "f14.mcp.test"

    def resource_metadata_routes(self) -> Routes:
        return {}


class F15(Good):
    """Token endpoint answers form-encoded."""

    host = "f15.mcp.test"

    def token_answer(self, tokens: dict[str, Any]) -> Response:
        return Response(urlencode(tokens), media_type="application/x-www-form-urlencoded")


class F16(Good):
    """Healthy, and sends RFC 9207 `iss` (and advertises it)."""

    host = "f16.mcp.test"
    answers_with = "application/json"

    def metadata(self) -> dict[str, Any]:
        return super().metadata() | {"authorization_response_iss_parameter_supported": True}

    def callback_parameters(self, code: str, state: str) -> dict[str, str]:
        return {"code": code, "state": state, "iss": self.issuer}


class Seed1(LegacyMcpServer, AuthorizationServer):
    """`/sse` legacy transport only; AS metadata at the root; DCR works; no PRM; 401 without `resource_metadata`."""

    host = "seed1.mcp.test"
    realm = 'realm="OAuth", error="invalid_token", error_description="Missing or invalid access token"'

    def __init__(self, issued: set[str]) -> None:
        super().__init__(issued)
        self.access_tokens: set[str] = set()

    def routes(self) -> Routes:
        return super().routes() | {("GET", "/"): document({"name": "Skillport", "status": "ok", "endpoint": "/sse"})}

    def resource_metadata_routes(self) -> Routes:
        return {}

    def metadata(self) -> dict[str, Any]:
        said = without(super().metadata(), "jwks_uri", "scopes_supported")
        return said | {"code_challenge_methods_supported": ["plain", "S256"]}

    def challenge(self, token: str) -> str | None:
        return f"Bearer {self.realm}"

    def refusal_body(self) -> dict[str, str]:
        return {"error": "invalid_token", "error_description": "Missing or invalid access token"}

    # Like the library it stands for (workers-oauth-provider before 0.1), it knows no audience and no fixed scopes.

    def grants(self, resource: str) -> bool:
        return True

    def problem_of(self, asked: dict[str, str]) -> tuple[str, str] | None:
        return super().problem_of(asked | {"scope": ""})

    def access_token(self, grant: Grant) -> str:
        token = f"ada:{grant.client_id}:{self.secret('at')}"
        self.access_tokens.add(token)
        return token

    def accepts(self, token: str) -> bool:
        return token in self.access_tokens

    async def elsewhere(self, request: Request) -> Response:
        return PlainTextResponse("Not found", 404)


class Seed1Fix(Seed1):
    """seed1 after its author's fix: PRM at the root only, `resource` = the bare origin, 401 unchanged."""

    host = "seed1fix.mcp.test"

    def resource_metadata_routes(self) -> Routes:
        return {("GET", PRM): document(self.resource_metadata())}

    def resource_metadata(self) -> dict[str, Any]:
        return {
            "resource": self.origin,
            "authorization_servers": [self.origin],
            "scopes_supported": ["mcp:read"],
            "bearer_methods_supported": ["header"],
        }


class Seed2(McpServer):
    """PRM names an authorize endpoint as authorization server; the 401's error code is no code of RFC 6750."""

    host = "seed2.mcp.test"

    def resource_metadata_routes(self) -> Routes:
        return {("GET", PRM): document(self.resource_metadata())}

    def resource_metadata(self) -> dict[str, Any]:
        return {
            "resource": self.origin,
            "authorization_servers": ["https://api.workos.com/sso/authorize"],
            "bearer_methods_supported": ["header"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
        }

    def guards(self, path: str) -> bool:
        """The gateway in front of it guards every path but the well-known ones."""
        return not path.startswith("/.well-known/")

    def accepts(self, token: str) -> bool:
        return False

    def challenge(self, token: str) -> str | None:
        error = 'error="unauthorized", error_description="Authorization needed"'
        return f'Bearer {error}, resource_metadata="{self.origin}{PRM}"'

    def refusal_body(self) -> dict[str, str]:
        return {"error": "Invalid bearer token."}


class SeedTwoAuthorization(Origin):
    """What seed2 names: an authorize endpoint, and 404 JSON at every metadata place and at `/register`."""

    host = "api.workos.com"

    def routes(self) -> Routes:
        return {("GET", "/sso/authorize"): self.authorize}

    async def authorize(self, request: Request) -> Response:
        """Somebody else's product answers here; it knows none of our clients."""
        return HTMLResponse("<h1>Invalid client</h1>", 400)

    async def elsewhere(self, request: Request) -> Response:
        return JSONResponse({"message": "Not Found", "code": "not_found"}, 404)


def without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    """The same members less these."""
    return {name: value for name, value in document.items() if name not in names}


TARGETS: dict[str, type[McpServer]] = {
    target.host.partition(".")[0]: target
    for target in (Good, Seed1, Seed1Fix, Seed2, F01, F02, F03, F04, F05, F06)
    + (F07, F08, F09, F10, F11, F12, F13, F14, F15, F16)
}
"""By the name used in the fault table."""

ORIGINS: tuple[type[Origin], ...] = (*TARGETS.values(), SeedTwoAuthorization)
