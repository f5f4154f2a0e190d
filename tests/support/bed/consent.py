"""A server that asks a person for consent, and revokes everything when a refresh token comes a second time."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from tests.support.bed.authorization import Grant
from tests.support.bed.healthy import Good
from tests.support.bed.origin import Routes, form, oauth_error


class Consent(Good):
    """Healthy; once `asks` is set, a page stands before each code. Refresh tokens are watched for reuse."""

    host = "consent.mcp.test"

    def __init__(self, issued: set[str]) -> None:
        super().__init__(issued)
        self.asks = False
        self.refreshed = 0
        self.reused = 0
        self.slow = 0.0
        """Seconds between a rotation and its answer."""
        self._used: dict[str, Grant] = {}

    def routes(self) -> Routes:
        return super().routes() | {("POST", "/revoke"): self.revoke}

    def metadata(self) -> dict[str, Any]:
        return super().metadata() | {"revocation_endpoint": f"{self.origin}/revoke"}

    async def revoke(self, request: Request) -> Response:
        """RFC 7009, 2.1: the client's credentials, and 200 also for a token that is not known."""
        asked = await form(request)
        client_id, secret = self.credentials(request, asked)
        if client_id not in self.clients or self.clients[client_id].get("client_secret", "") != secret:
            return oauth_error("invalid_client", f"unknown client, token {asked['token']}", 401)
        self.refresh_tokens.pop(asked["token"], None)
        return Response(status_code=200)

    async def authorize(self, request: Request) -> Response:
        if self.asks:
            return HTMLResponse("<h1>Allow this client?</h1><form method=post><button>Allow</button></form>")
        return await super().authorize(request)

    async def token(self, request: Request) -> Response:
        asked = await form(request)
        old = asked.get("refresh_token", "")
        if old in self._used:
            self.reused += 1
            self.refresh_tokens.clear()
        elif asked.get("grant_type") == "client_credentials":
            return await self._of_its_own(request, asked)
        elif old in self.refresh_tokens:
            self._used[old] = self.refresh_tokens[old]
            self.refreshed += 1
        answer = await super().token(request)
        if old and self.slow:
            await asyncio.sleep(self.slow)
        return answer

    async def _of_its_own(self, request: Request, asked: dict[str, str]) -> Response:
        """RFC 6749, 4.4."""
        client_id, secret = self.credentials(request, asked)
        if not secret or self.clients.get(client_id, {}).get("client_secret") != secret:
            return oauth_error("invalid_client", "unknown client or wrong secret", 401)
        grant = Grant(client_id, "", "", asked.get("scope", ""), asked.get("resource", ""))
        access = self.keep(self.access_token(grant))
        return self.token_answer({"access_token": access, "token_type": "Bearer", "expires_in": 3600})


class PushedConsent(Consent):
    """The same, and it takes no authorization request but a pushed one (RFC 9126, 5)."""

    host = "pushed.mcp.test"

    def __init__(self, issued: set[str]) -> None:
        super().__init__(issued)
        self.pushed: dict[str, dict[str, str]] = {}

    def routes(self) -> Routes:
        return super().routes() | {("POST", "/par"): self.push}

    def metadata(self) -> dict[str, Any]:
        return super().metadata() | {
            "pushed_authorization_request_endpoint": f"{self.origin}/par",
            "require_pushed_authorization_requests": True,
        }

    async def push(self, request: Request) -> Response:
        """RFC 9126, 2: as strict as the authorization endpoint."""
        asked = await form(request)
        client_id, secret = self.credentials(request, asked)
        client = self.clients.get(client_id)
        if client is None or client.get("client_secret", "") != secret:
            return oauth_error("invalid_client", "unknown client or wrong secret", 401)
        if asked.get("redirect_uri") not in client["redirect_uris"]:
            return oauth_error("invalid_request", "this redirect URI is not registered")
        if problem := self.problem_of(asked):
            return oauth_error(*problem)
        handle = f"urn:ietf:params:oauth:request_uri:{self.secret('par')}"
        self.pushed[handle] = asked | {"client_id": client_id}
        return JSONResponse({"request_uri": handle, "expires_in": 60}, 201, {"Cache-Control": "no-store"})

    async def authorize(self, request: Request) -> Response:
        """RFC 9126, 4: the handle works once, and for the client that got it."""
        pushed = self.pushed.pop(request.query_params.get("request_uri", ""), None)
        if pushed is None or pushed["client_id"] != request.query_params.get("client_id"):
            return HTMLResponse("<h1>This server requires pushed authorization requests</h1>", 400)
        return await super().authorize(Request({**request.scope, "query_string": urlencode(pushed).encode()}))
