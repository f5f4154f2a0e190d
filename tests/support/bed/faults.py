"""f01 to f16: each class is one line of the fault table, its docstring, as the smallest difference from `Good`."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from tests.support.bed.authorization import Grant
from tests.support.bed.healthy import Good
from tests.support.bed.mcp import PRM
from tests.support.bed.origin import Routes, without


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


FAULTS: tuple[type[Good], ...] = (F01, F02, F03, F04, F05, F06, F07, F08, F09, F10, F11, F12, F13, F14, F15, F16)
