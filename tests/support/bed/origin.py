"""One origin of the bed: a host name, a table of routes, and plain answers. Knows nothing of OAuth or MCP."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

Handler = Callable[[Request], Awaitable[Response]]
Routes = dict[tuple[str, str], Handler]
"""(method, path) → who answers."""


class Origin:
    """A server under one host name, always on port 443. A target of the bed is one, or two, of these."""

    host: ClassVar[str]

    def __init__(self, issued: set[str]) -> None:
        self.issued = issued
        """Every secret made or received here, so that a test can look for each of them where none may be."""

    @property
    def origin(self) -> str:
        return f"https://{self.host}"

    def routes(self) -> Routes:
        """Every method and path that is answered here. Overridden by adding to what `super()` says."""
        return {}

    async def answer(self, request: Request) -> Response:
        """The answer to any request at all: a route, 405 when only the method is wrong, else `elsewhere`."""
        routes = self.routes()
        path = request.url.path
        if handler := routes.get((request.method, path)):
            return await handler(request)
        if allowed := sorted({method for method, known in routes if known == path}):
            return JSONResponse({"error": "method not allowed"}, 405, {"Allow": ", ".join(allowed)})
        return await self.elsewhere(request)

    async def elsewhere(self, request: Request) -> Response:
        """The answer at a path where nothing is."""
        return JSONResponse({"error": "not found"}, 404)

    def secret(self, prefix: str) -> str:
        """A new unguessable value, remembered as issued."""
        return self.keep(f"{prefix}_{secrets.token_urlsafe(24)}")

    def keep(self, value: str) -> str:
        """The same value, remembered as a secret."""
        if value:
            self.issued.add(value)
        return value


def document(value: Mapping[str, Any]) -> Handler:
    """A handler that always answers with this JSON object."""

    async def handler(_: Request) -> Response:
        return JSONResponse(dict(value))

    return handler


async def form(request: Request) -> dict[str, str]:
    """The form-encoded body of a request; the last value wins when a name comes twice."""
    return dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))


def oauth_error(error: str, description: str, status: int = 400) -> JSONResponse:
    """An OAuth error answer (RFC 6749, 5.2; RFC 7591, 3.2.2)."""
    return JSONResponse({"error": error, "error_description": description}, status, {"Cache-Control": "no-store"})


def without(value: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The same members less these."""
    return {name: member for name, member in value.items() if name not in names}
