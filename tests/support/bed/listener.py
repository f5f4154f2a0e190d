"""How the bed's origins are reached: one TLS port for all names, and a CONNECT proxy that leads there.

Knows sockets, certificates and the log of what arrived; knows nothing of what the origins say.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

from tests.support.bed.origin import Origin


@dataclass
class Received:
    """One request as it arrived at an origin, and the status it was answered with (None: not yet)."""

    method: str
    host: str
    target: str
    """Path and query."""
    headers: dict[str, str]
    """Names in lower case."""
    body: str
    status: int | None = None
    answer_headers: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query))

    def mentions(self, text: str) -> bool:
        """Whether `text` occurs anywhere in the request, form- or query-encoded too."""
        parts = (self.target, self.body, *self.headers.values())
        return any(text in part or text in unquote_plus(part) for part in parts)

    def __str__(self) -> str:
        return f"{self.method} https://{self.host}{self.path} {self.status}"


class Dispatch:
    """An ASGI application that hands each request to the origin its Host names, and writes it down first."""

    def __init__(self, origins: dict[str, Origin], log: list[Received]) -> None:
        self.origins = origins
        self.log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        request = Request(scope, receive)
        body = await request.body()
        entry = self.entry(request, body)
        self.log.append(entry)
        origin = self.origins.get(entry.host)
        nobody = PlainTextResponse(f"no such host in the bed: {entry.host}", 421)
        response = nobody if origin is None else await origin.answer(request)

        async def noting(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
                entry.answer_headers = {name.decode(): value.decode() for name, value in message["headers"]}
            await send(message)

        await response(scope, receive, noting)

    @staticmethod
    def entry(request: Request, body: bytes) -> Received:
        target = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        host = request.headers.get("host", "").removesuffix(":443")
        return Received(request.method, host, target, dict(request.headers), body.decode(errors="replace"))


class ForwardProxy:
    """The smallest proxy that gives the bed's host names a place to be, for clients that know `HTTPS_PROXY`.

    Everything that is not one of the bed's names on port 443 is refused and remembered: no client
    gets out of the bed, and a test can see which ones tried.
    """

    def __init__(self, knows: Callable[[str], bool], port: int) -> None:
        self.knows = knows
        self.port = port
        self.refused: list[str] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection from a client, from its CONNECT to its end."""
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, target = [*head.split(" "), "", ""][:2]
            host, _, port = target.partition(":")
            if method == "CONNECT" and port == "443" and self.knows(host):
                await self.tunnel(reader, writer)
            else:
                await self.refuse(method, target, writer)
        writer.close()

    async def refuse(self, method: str, target: str, writer: asyncio.StreamWriter) -> None:
        """No to a tunnel. A plain request is cut off, and a tunnel to a name of the bed's own that is nowhere: 502
        is an answer, which Bun passes on, and a closed port or an unknown name gives none.
        """
        self.refused.append(f"{method} {target}")
        if method != "CONNECT" or target.partition(":")[0].endswith(".test"):
            writer.transport.abort()
            return
        writer.write(b"HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()

    async def tunnel(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pour(reader, inner_writer), pour(inner_reader, writer))


async def pour(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Every byte from one side to the other, until the first ends."""
    with contextlib.suppress(OSError):
        while chunk := await source.read(65536):
            sink.write(chunk)
            await sink.drain()
    sink.close()
