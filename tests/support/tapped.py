"""A running tap in front of a small upstream that says exactly what a test tells it to say.

async with upstream({"/mcp": ok}) as server, tapped(server, path="/mcp") as tap:
    answer = await tap.client.post(tap.url)
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import socket
import ssl
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from mitmproxy import http

from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.fixes.offers import FixSwitch
from oauthtap.model.exchange import Exchange
from oauthtap.proxy.forward import ForwardProxyInfo, run_forward_proxy
from oauthtap.proxy.observer import ProxyCallbacks
from oauthtap.proxy.reverse import Ready, run_reverse_proxy
from oauthtap.proxy.reverse_addon import TapAddon
from oauthtap.proxy.settings import Settings
from oauthtap.wrap.capture_scope import CaptureScope


@dataclass
class Came:
    """One request as it reached the upstream."""

    method: str
    target: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes

    @property
    def text(self) -> str:
        """Everything of it, to search in."""
        return "\n".join([self.target, *self.headers.values(), self.body.decode("utf-8", "replace")])


Answer = Callable[[Came, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Upstream:
    """Where the upstream is, and what reached it."""

    port: int
    scheme: str
    came: list[Came] = field(default_factory=list)

    def origin(self, host: str = "mcp.test") -> str:
        return f"{self.scheme}://{host}"


@contextlib.asynccontextmanager
async def upstream(paths: Mapping[str, Answer], trust: ssl.SSLContext | None = None) -> AsyncIterator[Upstream]:
    """A server that answers by path, under any host name; 404 elsewhere."""
    made: Upstream

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                came = await _read(reader)
                made.came.append(came)
                await paths.get(came.target.partition("?")[0], said(404))(came, writer)
                await writer.drain()
                if writer.is_closing():
                    return

    server = await asyncio.start_server(one, "127.0.0.1", 0, ssl=trust)
    made = Upstream(server.sockets[0].getsockname()[1], "https" if trust else "http")
    try:
        yield made
    finally:
        server.close()


async def _read(reader: asyncio.StreamReader) -> Came:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    method, target, _ = head[0].split(" ", 2)
    pairs = (line.partition(":") for line in head[1:] if line)
    headers = {name.lower(): value.strip() for name, _, value in pairs}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    return Came(method, target, headers, body)


def said(status: int, body: str | bytes = "", **headers: str) -> Answer:
    """Answer with this; `content_type` names the header Content-Type."""
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-').title()}: {value}" for name, value in headers.items()]

    async def answer(came: Came, writer: asyncio.StreamWriter) -> None:
        writer.write("\r\n".join([*lines, "", ""]).encode() + (b"" if came.method == "HEAD" else data))

    return answer


def document(value: Any, status: int = 200, **headers: str) -> Answer:
    """Answer with this JSON."""
    return said(status, json.dumps(value), content_type="application/json", **headers)


@dataclass
class Tapped:
    """A tap that runs, and what it told."""

    url: str
    origin: str
    """Its first local origin."""
    client: httpx.AsyncClient
    addon: TapAddon
    tap: SessionAnalyzer
    settings: Settings
    stop: asyncio.Event
    running: asyncio.Task[None]
    steps: list[AnalyzedExchange]
    flows: list[http.HTTPFlow]
    notes: list[str]
    listeners: dict[str, str]
    """Upstream origin to local origin."""
    web_url: str | None

    @property
    def exchanges(self) -> list[Exchange]:
        return [step.exchange for step in self.steps]

    async def ended(self) -> None:
        """Stop it, as Ctrl-C does."""
        self.stop.set()
        await self.running


@contextlib.asynccontextmanager
async def tapped(
    server: Upstream | None = None,
    path: str = "/mcp",
    *,
    state: Path | None = None,
    keeps_secrets: bool = False,
    switch: Callable[[SessionAnalyzer], FixSwitch] | None = None,
    **flags: Any,
) -> AsyncIterator[Tapped]:
    """A tap in front of the server, which is called `mcp.test` (and every other name) upstream.

    `switch`: makes what switches its fixes.
    """
    with contextlib.ExitStack() as stack:
        folder = state or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="oauthtap-test-")))
        if server:
            flags.setdefault("upstream", server.origin() + path)
            flags.setdefault("connect_to", (f"::127.0.0.1:{server.port}",))
        settings = Settings(**{"port": free_port(), "web": False, "state": folder, **flags})
        steps: list[AnalyzedExchange] = []
        flows: list[http.HTTPFlow] = []
        notes: list[str] = []
        listeners: dict[str, str] = {}
        stop, tap = asyncio.Event(), SessionAnalyzer(settings.upstream, keeps_secrets=keeps_secrets)
        ears = ProxyCallbacks(
            steps.append,
            lambda flow, step: flows.append(flow),
            lambda local, origin: listeners.__setitem__(origin, local),
            notes.append,
            switch(tap) if switch else None,
        )
        ready: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        running = asyncio.ensure_future(
            run_reverse_proxy(settings, tap, ears, on_ready=ready.set_result, stop=stop, signals=False)
        )
        await asyncio.wait([running, ready], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        told = ready.result()
        async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
            made = Tapped(
                told.url, f"http://localhost:{settings.port}", client, told.addon, tap, settings, stop, running,
                steps, flows, notes, listeners, told.web_url,
            )  # fmt: skip
            try:
                yield made
            finally:
                await client.aclose()
                await made.ended()


@contextlib.asynccontextmanager
async def forwarded(server: Upstream) -> AsyncIterator[tuple[int, str, list[AnalyzedExchange]]]:
    """The proxy of `oauthtap run` in front of the server: its port, its password, and what it kept."""
    with tempfile.TemporaryDirectory(prefix="oauthtap-test-") as folder:
        ready: asyncio.Future[ForwardProxyInfo] = asyncio.get_running_loop().create_future()
        stop = asyncio.Event()
        settings = Settings(
            upstream="", port=0, web=False, state=Path(folder), connect_to=(f"::127.0.0.1:{server.port}",)
        )
        interest = CaptureScope(["http://mcp.test/mcp"])
        steps: list[AnalyzedExchange] = []
        ears = ProxyCallbacks(steps.append)
        running = asyncio.ensure_future(
            run_forward_proxy(settings, SessionAnalyzer(), ears, interest, on_ready=ready.set_result, stop=stop)
        )
        await asyncio.wait([running, ready], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        parts = urlsplit(ready.result().proxy)
        try:
            yield parts.port or 0, parts.password or "", steps
        finally:
            stop.set()
            await running


def free_port(*, in_a_row: int = 1) -> int:
    """A port that nobody uses at the moment, nor the `in_a_row` - 1 behind it.

    Below the ports that the kernel takes for outgoing connections: one of those may be somebody's before it is used.
    """
    while True:
        first = 20_000 + secrets.randbelow(12_000)
        try:
            for port in range(first, first + in_a_row):
                with socket.socket() as trial:
                    trial.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
