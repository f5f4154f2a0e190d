"""A loopback address where a browser comes back to after signing in (RFC 8252, 7.3)."""

from __future__ import annotations

import asyncio
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from oauthtap.model.exchange import Exchange, Request, Response, first_value

PATH = "/callback"
_DONE = "<!doctype html><title>oauthtap</title><p>oauthtap has what it needs. You can close this window."


class Callback:
    """Listens while the `with` lasts; the first browser that brings an answer is the one that counts.

    `port`: 0 for any that is free. Entering raises OSError when it is taken.
    """

    def __init__(self, port: int = 0) -> None:
        self._wanted = port
        self._came: Exchange | None = None

    @property
    def url(self) -> str:
        """The redirect URI."""
        return f"http://127.0.0.1:{self._server.server_port}{PATH}"

    def forget(self) -> None:
        """Wait for the next answer: what came before was for an earlier sign-in."""
        self._came = None

    async def arrived(self) -> Exchange:
        """The request to the callback, and the page it got."""
        while self._came is None:
            await asyncio.sleep(0.05)
        return self._came

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                outer._answer(self)

            def log_message(self, format: str, *args: object) -> None:
                """What comes here holds a code: it is written nowhere."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self._wanted), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="callback", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        request = Request(
            method="GET",
            url=self.url.removesuffix(PATH) + handler.path,
            headers=tuple(handler.headers.items()),
        )
        # A page of another site cannot come here under a name of its own (DNS rebinding).
        ours = handler.headers.get("host") == f"127.0.0.1:{self._server.server_port}"
        brings = first_value(request.query, "code") is not None or first_value(request.query, "error") is not None
        if not ours or request.path != PATH or not brings:
            handler.send_error(404)
            return
        body = _DONE.encode()
        headers = (("Content-Type", "text/html; charset=utf-8"), ("Content-Length", str(len(body))))
        handler.send_response(200)
        for name, value in headers:
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)
        response = Response(status=200, headers=headers, body=_DONE)
        self._came = self._came or Exchange(request=request, response=response, started_at=time.time(), actor="browser")
