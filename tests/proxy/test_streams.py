"""Streams through the installed command: long ones in bounded memory, broken ones, open ones beside a login."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import httpx
import pytest

from tests.proxy.test_origin_places import paths, sign_in
from tests.support.running import Started, started
from tests.support.tapped import Came, Tapped, Upstream, document, said, tapped, upstream

MB = 1_000_000
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
EVENTS = {"Accept": "text/event-stream"}
PLENTY = 30.0


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


def memory(pid: int, name: str = "VmRSS") -> int:
    """Bytes of a process: those it has, or (`VmHWM`) the most it ever had."""
    found = re.search(rf"{name}:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found
    return int(found[1]) * 1024


@contextlib.asynccontextmanager
async def watching(paths: dict[str, Any], home: Path) -> AsyncIterator[tuple[Upstream, Started, httpx.AsyncClient]]:
    """The command as a process of its own before a small server, and a client."""
    async with upstream(paths) as server, httpx.AsyncClient(trust_env=False, timeout=PLENTY) as client:
        running = started("http://mcp.test/mcp", "--connect-to", f"::127.0.0.1:{server.port}", home=home)
        tap = await asyncio.to_thread(running.__enter__)
        try:
            yield server, tap, client
        finally:
            await asyncio.to_thread(running.__exit__, None, None, None)


async def until(true: Any, seconds: float = PLENTY) -> None:
    async with asyncio.timeout(seconds):
        while not true():
            await asyncio.sleep(0.02)


def exchanges(tap: Started) -> list[dict[str, Any]]:
    """Those of the client."""
    return [one for one in tap.report["exchanges"] if one["actor"] != "reporter"]


class Long:
    """So many events of 65 kB, each with its number."""

    PADDING = b"x" * 65_500

    def __init__(self, count: int) -> None:
        self.count = count
        self.digest = hashlib.sha256()
        self.written = 0

    async def __call__(self, came: Came, writer: asyncio.StreamWriter) -> None:
        if came.method != "GET":
            await said(401)(came, writer)
            return
        writer.write(HEAD)
        for number in range(self.count):
            event = b"data: %06d %s\n\n" % (number, self.PADDING)
            self.digest.update(event)
            self.written += len(event)
            writer.write(chunk(event))
            await writer.drain()
        writer.write(b"0\r\n\r\n")


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="no /proc to read the memory of a process from")
async def test_200_mb_pass_in_bounded_memory(tmp_path: Path) -> None:
    long, came, digest = Long(3200), 0, hashlib.sha256()
    async with watching({"/mcp": long}, tmp_path) as (_, tap, client):
        before = memory(tap.process.pid)
        async with client.stream("GET", tap.url, headers=EVENTS) as answer:
            async for piece in answer.aiter_bytes():
                digest.update(piece)
                came += len(piece)
        grown = memory(tap.process.pid, "VmHWM") - before
        assert await asyncio.to_thread(tap.end) == 1
    assert came == long.written > 200 * MB
    assert digest.digest() == long.digest.digest()
    assert grown < 64 * MB
    assert (tap.session / "session.jsonl").stat().st_size < MB
    assert (tap.session / "flows.mitm").stat().st_size < MB


async def test_a_server_waits_for_a_client_that_does_not_read(tmp_path: Path) -> None:
    long = Long(1600)
    async with watching({"/mcp": long}, tmp_path) as (_, tap, client):
        async with client.stream("GET", tap.url, headers=EVENTS):
            await until(lambda: long.written > 0)
            written = -1
            while written != long.written:  # until it stands still
                written = long.written
                await asyncio.sleep(1.5)
        assert await asyncio.to_thread(tap.end) == 1
    assert 0 < written < 50 * MB, "what is not read stays with the server, and not in our memory"


class Ticking:
    """A stream without an end; `gone` is set when the tap has left it."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()

    async def __call__(self, came: Came, writer: asyncio.StreamWriter) -> None:
        if came.method != "GET":
            await document({"jsonrpc": "2.0", "id": 1, "result": {}})(came, writer)
            return
        writer.write(HEAD)
        number = 0
        while not writer.is_closing() and not writer.transport.is_closing():
            writer.write(chunk(b"data: %d\n\n" % number))
            number += 1
            try:
                await writer.drain()
            except OSError:
                break
            await asyncio.sleep(0.02)
        self.gone.set()


async def test_a_client_that_leaves_a_stream_is_left_by_the_server_too_and_all_goes_on(tmp_path: Path) -> None:
    ticking = Ticking()
    async with watching({"/mcp": ticking}, tmp_path) as (_, tap, client):
        async with client.stream("GET", tap.url, headers=EVENTS) as answer:
            assert (await anext(answer.aiter_bytes())).startswith(b"data: 0\n\n")
        await asyncio.wait_for(ticking.gone.wait(), PLENTY)
        after = await client.post(tap.url, json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
        assert after.status_code == 200
        assert await asyncio.to_thread(tap.end) == 0
    stream, ping = exchanges(tap)
    assert (stream["stage"], stream["status"], stream["error"]) == ("mcp-stream", 200, None), "nobody's fault"
    assert ping["status"] == 200


async def test_a_server_that_breaks_a_stream_off_breaks_it_off_for_the_client_too(tmp_path: Path) -> None:
    async def broken(came: Came, writer: asyncio.StreamWriter) -> None:
        if came.method != "GET":
            await document({"jsonrpc": "2.0", "id": 1, "result": {}})(came, writer)
            return
        writer.write(HEAD + chunk(b"data: 0\n\n") + chunk(b"data: half of an ev"))
        await writer.drain()
        await asyncio.sleep(0.2)
        writer.close()

    got = b""
    async with watching({"/mcp": broken}, tmp_path) as (_, tap, client):
        async with client.stream("GET", tap.url, headers=EVENTS) as answer:
            pieces = answer.aiter_bytes()
            with contextlib.suppress(httpx.RemoteProtocolError):
                while True:
                    got += await anext(pieces)
        after = await client.post(tap.url, json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
        assert after.status_code == 200
        assert await asyncio.to_thread(tap.end) == 0
    assert got.startswith(b"data: 0\n\n"), "what was whole has come"
    stream, _ = exchanges(tap)
    assert stream["status"] == 200
    assert stream["error"], "that it broke off is in the report"


EVENT = b"event: endpoint\ndata: http://mcp.test/message\n\n"


@pytest.mark.parametrize("missing", [0, 1])
async def test_an_event_stream_with_a_length_still_says_whether_it_has_come_whole(missing: int) -> None:
    async def events(came: Came, writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {len(EVENT) + missing}\r\n\r\n"
        writer.write(head.encode() + EVENT)
        await writer.drain()
        if missing:
            writer.close()

    async with upstream({"/sse": events}) as server, tapped(server, path="/sse") as tap:
        if missing:
            with pytest.raises(httpx.RemoteProtocolError):
                await tap.client.get(tap.url, headers=EVENTS)
        else:
            answers = [await tap.client.get(tap.url, headers=EVENTS) for _ in range(2)]
            # The data is longer in local names: the upstream's length would be wrong.
            assert [answer.text for answer in answers] == [f"event: endpoint\ndata: {tap.origin}/message\n\n"] * 2
            assert answers[0].headers["transfer-encoding"] == "chunked"
            assert "connection" not in answers[0].headers
            assert len({exchange.connection for exchange in tap.exchanges}) == 1, "the connection stays"
    assert tap.exchanges[0].response is not None
    assert tap.exchanges[0].response.header("content-length") == str(len(EVENT) + missing), "judged as it came"


async def test_an_event_stream_without_a_body_keeps_its_length() -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 5\r\n\r\n"

    async def bodiless(came: Came, writer: asyncio.StreamWriter) -> None:
        writer.write(head)

    async with upstream({"/mcp": bodiless}) as server, tapped(server) as tap:
        answer = await tap.client.head(tap.url, headers=EVENTS)
    assert answer.headers["content-length"] == "5"
    assert "transfer-encoding" not in answer.headers


async def test_a_stream_goes_on_while_another_client_signs_in(tmp_path: Path) -> None:
    ticking = Ticking()
    async with watching(paths() | {"/mcp": ticking}, tmp_path) as (_, tap, client):
        numbers: list[int] = []

        async def listen() -> None:
            async with client.stream("GET", tap.url, headers=EVENTS) as answer:
                async for line in answer.aiter_lines():
                    numbers.extend([int(line[6:])] if line.startswith("data: ") else [])

        listening = asyncio.ensure_future(listen())
        await until(lambda: len(numbers) >= 3)
        heard = [len(numbers)]
        async with httpx.AsyncClient(trust_env=False, timeout=PLENTY) as other:
            for _ in range(3):
                await sign_in(cast(Tapped, _As(tap, other)))
                last = len(numbers)
                await until(lambda last=last: len(numbers) > last)
                heard.append(len(numbers))
        listening.cancel()
        assert await asyncio.to_thread(tap.end) == 1
    assert heard == sorted(set(heard)), "it never stood still"
    assert numbers == list(range(len(numbers))), "nothing is missing, nothing comes twice"
    assert [one["stage"] for one in exchanges(tap)].count("token-request") == 3


class _As:
    """A process as `tapped` shows a tap of its own."""

    def __init__(self, tap: Started, client: httpx.AsyncClient) -> None:
        self.url, self.client = tap.url, client
        self.origin = tap.url.removesuffix("/mcp")
