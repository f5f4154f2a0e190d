"""Records a session inside one's own server, for clients that nothing can stand in front of (hosted ones).

    from oauthtap.session.asgi import Recorder
    app = Recorder(app, "https://mcp.example.com/mcp")  # any ASGI application: Starlette, FastAPI, FastMCP.http_app()

Every request and its answer goes to a session folder, its secrets struck out as the tap does it; `oauthtap check
FOLDER` judges it. Only what comes to this server is seen, so the exchanges are an excerpt. Recording never changes an
answer, and never stops one: where it fails, it says so once and the server goes on.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any

from oauthtap.model.exchange import Exchange, Request, Response
from oauthtap.model.urls import origin
from oauthtap.redaction.redactor import Redactor
from oauthtap.session.paths import default_folder
from oauthtap.session.writer import SessionWriter

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]

_LARGEST = 256_000
"""Bytes that are kept of a body."""


class Recorder:
    """An ASGI application around another one, which records what comes to it.

    `url`: the MCP URL as clients are given it; paths are recorded below its origin. `folder`: where the session goes,
    by default a dated one among the others. Raises SessionError when it cannot be made.
    """

    def __init__(self, app: App, url: str, folder: Path | str | None = None) -> None:
        self._app, self._origin = app, origin(url) or url.rstrip("/")
        self._redactor, self._count = Redactor(), 0
        self.folder = Path(folder or default_folder(url))
        self._session: SessionWriter | None = SessionWriter(
            self.folder, {"upstream": self._redactor.strike_url(url)}, sweep=self._redactor.redact_known
        )

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, asked, answered = time.time(), _Body(), _Body()
        head: dict[str, Any] = {}

        async def heard() -> MutableMapping[str, Any]:
            event = await receive()
            if event["type"] == "http.request":
                asked.add(event.get("body", b""))
            return event

        async def told(event: MutableMapping[str, Any]) -> None:
            if event["type"] == "http.response.start":
                head.update(event)
            elif event["type"] == "http.response.body":
                answered.add(event.get("body", b""))
            await send(event)

        try:
            await self._app(scope, heard, told)
        finally:
            self._record(scope, head, asked, answered, began)

    def close(self) -> None:
        """End the session: sweep once more, and write its HAR."""
        if self._session:
            self._session.close()

    def _record(
        self, scope: MutableMapping[str, Any], head: dict[str, Any], asked: _Body, answered: _Body, began: float
    ) -> None:
        if self._session is None:
            return
        try:
            path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1").partition("?")[0]
            query = scope.get("query_string", b"").decode("latin-1")
            url = f"{self._origin}{path}{'?' if query else ''}{query}"
            request = Request(method=scope["method"], url=url, headers=_lines(scope), **asked.shown(scope))
            response = Response(status=head["status"], headers=_lines(head), **answered.shown(head)) if head else None
            self._count += 1
            exchange = Exchange(
                id=self._count, started_at=began, duration=time.time() - began, request=request, response=response,
                error=None if head else "the application gave no answer", excerpt=True,
            )  # fmt: skip
            self._session.add(self._redactor.redact(exchange).as_json())
        except Exception:  # what cannot be struck out or written is not recorded, and the server goes on
            logging.getLogger(__name__).exception("oauthtap: recording to %s ended", self.folder)
            self._session = None


class _Body:
    """A body as it goes by, up to so many bytes."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, part: bytes) -> None:
        if self._size < _LARGEST:
            self._parts.append(part[: _LARGEST - self._size])
        self._size += len(part)

    def shown(self, message: MutableMapping[str, Any]) -> dict[str, Any]:
        """The body as text, None where it is packed; and whether it is whole."""
        packed = any(name.lower() == b"content-encoding" for name, _ in message.get("headers", ()))
        body = None if packed else b"".join(self._parts).decode("utf-8", "replace")
        return {"body": body, "truncated": self._size > _LARGEST}


def _lines(message: MutableMapping[str, Any]) -> tuple[tuple[str, str], ...]:
    return tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in message.get("headers", ()))
