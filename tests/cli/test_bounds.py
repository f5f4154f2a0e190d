"""What is held of a message is bounded by bytes: too large passes through, and is told; nobody else waits for it."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import sys
import time
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import brotli  # type: ignore[import-untyped]
import httpx
import pytest
import zstandard
from mitmproxy import http

from oauthtap.model.exchange import Exchange, Request
from oauthtap.model.sse import SseRewriter
from oauthtap.proxy import content_coding, flow_convert
from oauthtap.session import SessionError, SessionWriter, read_session
from tests.proxy.test_streams import memory
from tests.support.running import Started, started
from tests.support.tapped import Came, Upstream, document, said, tapped, upstream

MB = 1 << 20
FULL = "--full" in os.environ.get("OAUTHTAP_BOUNDS", "")
"""The sizes of the attack itself (2 GB, minutes): by hand, with OAUTHTAP_BOUNDS=--full."""
MOST = 300_000_000
"""Bytes of memory at the peak."""
SLOWEST = 1.0
"""Seconds that another client may wait."""


def chunked(size: int, start: bytes = b'{"jsonrpc":"2.0","id":1,"result":"', **headers: str) -> Any:
    """JSON without Content-Length, of so many bytes."""

    async def answer(came: Came, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        piece, left = start, size
        while left > 0:
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            left -= len(piece)
            piece = b"A" * 65536
        writer.write(b'2\r\n"}\r\n0\r\n\r\n')

    return answer


def bomb(size: int) -> bytes:
    return gzip.compress(b'{"a":"' + b"0" * size + b'"}', 9)


def lines(count: int) -> Any:
    """An answer with so many equal header lines."""

    async def answer(came: Came, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n")
        writer.write(b"X-A: b\r\n" * count + b"\r\n{}")

    return answer


@asynccontextmanager
async def running(paths: dict[str, Any], home: Path) -> AsyncIterator[tuple[Upstream, Started, httpx.AsyncClient]]:
    async with upstream(paths) as server:
        flags = ("--connect-to", f"::127.0.0.1:{server.port}", "--no-preflight")
        with started(server.origin() + "/mcp", *flags, home=home) as tap:
            async with httpx.AsyncClient(trust_env=False, timeout=600) as client:
                yield server, tap, client


class Neighbour:
    """Another client, which asks all the time; `slowest`: the longest it waited."""

    def __init__(self, client: httpx.AsyncClient, url: str) -> None:
        self._client, self._url, self.slowest, self.count = client, url, 0.0, 0

    async def __aenter__(self) -> Neighbour:
        self._task = asyncio.ensure_future(self._ask())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()

    async def _ask(self) -> None:
        while True:
            began = time.monotonic()
            assert (await self._client.get(self._url)).status_code == 200
            self.slowest, self.count = max(self.slowest, time.monotonic() - began), self.count + 1
            await asyncio.sleep(0.02)


ATTACKS: dict[str, Any] = {
    "chunked": chunked(2000 * MB if FULL else 200 * MB),
    "gzip": said(200, bomb(100 * MB if FULL else 60 * MB), content_type="application/json", content_encoding="gzip"),
    "lines": lines(100_000),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_what_is_too_large_passes_in_bounded_memory_and_holds_up_nobody(attack: str, tmp_path: Path) -> None:
    paths = {"/mcp": ATTACKS[attack], "/small": document({"ok": True})}
    async with running(paths, tmp_path) as (_, tap, client):
        local = tap.url.removesuffix("/mcp")
        async with httpx.AsyncClient(trust_env=False, timeout=600) as other:
            await other.get(f"{local}/small")
            async with Neighbour(other, f"{local}/small") as neighbour:
                size = 0
                for _ in range(3):
                    size = await passed(client, tap.url, attack)
                await asyncio.sleep(0.3)
        peak = memory(tap.process.pid, "VmHWM")
        print(f"{attack}: {size} bytes, peak {peak // MB} MB, slowest {neighbour.slowest:.2f} s", file=sys.stderr)
        assert neighbour.count > 3
        assert peak < MOST
        assert neighbour.slowest < SLOWEST
        began = time.monotonic()
        tap.process.send_signal(signal.SIGINT)
        await asyncio.get_running_loop().run_in_executor(None, tap.process.wait, 60)
        assert time.monotonic() - began < 5
        if attack == "chunked":
            assert "passed as it came" in tap.said
    kept = sum(file.stat().st_size for file in (tmp_path / "session").rglob("*") if file.is_file())
    print(f"{attack}: session {kept} bytes, end {time.monotonic() - began:.1f} s", file=sys.stderr)
    assert kept < 30 * MB


async def passed(client: httpx.AsyncClient, url: str, attack: str) -> int:
    """Ask, and count the bytes that come; those of 100,000 lines no library reads, so by hand."""
    if attack != "lines":
        size = 0
        async with client.stream("GET", url) as answer:
            async for piece in answer.aiter_raw():
                size += len(piece)
        return size
    port = int(url.split(":")[2].split("/")[0])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /mcp HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n\r\n" % port)
    size = len(await reader.read(-1))
    writer.close()
    return size


async def test_a_session_is_bounded_by_bytes_and_says_so(tmp_path: Path) -> None:
    """Every answer passes whole; what is kept of them does not grow on."""
    text = json.dumps({"jsonrpc": "2.0", "id": 1, "result": {"text": "some words " * 60_000}})
    paths = {"/mcp": said(200, text, content_type="application/json")}
    async with running(paths, tmp_path) as (_, tap, client):
        for number in range(8):
            asked = {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": f"t{number}"}}
            assert (await client.post(tap.url, json=asked)).text == text
        peak = memory(tap.process.pid, "VmHWM")
        assert await asyncio.get_running_loop().run_in_executor(None, tap.end) in (0, 1)
    assert "More than 4 MB came in this session" in " ".join(tap.said.split())
    assert "More than 4 MB" in " ".join(tap.report["notes"])
    assert (tmp_path / "session" / "session.jsonl").stat().st_size < 6 * MB
    assert peak < MOST
    print(f"peak {peak // MB} MB, end {tap.down_after:.1f} s", file=sys.stderr)


def call(number: int, size: int) -> str:
    return Exchange(id=number, request=Request(method="GET", url="https://a.example", body="x" * size)).as_json()


def test_a_session_that_is_full_keeps_how_it_began_and_the_newest(tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "s", {"upstream": "https://a.example"})
    for number in range(1, 501):
        writer.add(call(number, MB // 10))
        assert (tmp_path / "s" / "session.jsonl").stat().st_size <= 16 * MB
        assert f'{{"id":{number},' in (tmp_path / "s" / "session.jsonl").read_text()[-MB // 5 :]
    left_out = writer.left_out
    writer.close()
    read = read_session(tmp_path / "s")
    numbers = [exchange.id for exchange in read.exchanges]
    assert numbers == sorted(numbers)
    assert numbers[:80] == list(range(1, 81))
    assert numbers[-40:] == list(range(461, 501))
    assert len(numbers) + left_out == 500
    assert f"{left_out} exchanges after exchange {[n for n in numbers if n < 200][-1]} are left out" in read.notes[0]
    assert [e.excerpt for e in read.exchanges] == [n > 200 for n in numbers], "nothing rests on what made room"


def test_what_is_larger_than_the_room_there_can_be_is_not_written(tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "s", {"upstream": "https://a.example"})
    writer.add(call(1, 7 * MB))
    writer.add(call(2, 7 * MB))
    with pytest.raises(SessionError, match="holds 16 MB"):
        writer.add(call(3, 7 * MB))
    writer.close()
    assert [exchange.id for exchange in read_session(tmp_path / "s").exchanges] == [1, 2]


def test_an_event_without_an_end_is_looked_at_once() -> None:
    rewriter, began = SseRewriter(endpoint=str, message=str), time.process_time()
    passed = b"".join(rewriter(b"data: A") for _ in range(100_000)) + rewriter(b"")
    assert passed == b"data: A" * 100_000
    assert time.process_time() - began < 2


async def test_every_byte_of_a_large_answer_arrives() -> None:
    async with upstream({"/mcp": chunked(3 * MB)}) as server, tapped(server) as tap:
        answer = await tap.client.get(tap.url)
        assert json.loads(answer.text)["result"].strip("A") == ""
        assert len(answer.content) >= 3 * MB
        await tap.ended()
        assert tap.exchanges[0].response is not None
        assert tap.exchanges[0].response.truncated


async def test_every_byte_of_a_large_request_arrives_and_is_renamed() -> None:
    seen: list[bytes] = []

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(48):
            seen.append(b"A" * 65536)
            yield seen[-1]

    async with raw_upstream() as (server, came), tapped(server) as tap:
        answer = await tap.client.post(tap.url, content=pieces(), headers={"Origin": tap.origin})
        assert answer.status_code == 200
        assert "passed as it came" in " ".join(tap.notes)
    head, body = came[0]
    assert b"host: mcp.test" in head.lower()
    assert b"origin: http://mcp.test" in head.lower()
    assert body == b"".join(seen)


@asynccontextmanager
async def raw_upstream() -> AsyncIterator[tuple[Upstream, list[tuple[bytes, bytes]]]]:
    """A server that reads chunked requests: head, and body without its chunks."""
    came: list[tuple[bytes, bytes]] = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size)
            await reader.readline()
        came.append((head, body))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    yield Upstream(server.sockets[0].getsockname()[1], "http"), came
    server.close()


async def test_a_large_request_that_may_not_go_on_goes_nowhere() -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(48):
            yield b"A" * 65536

    async with raw_upstream() as (server, came), tapped(server) as tap:
        try:
            answer = await tap.client.post(tap.url, content=pieces(), headers={"Host": "evil.example"})
            assert answer.status_code == 421
        except httpx.TransportError:
            pass
    assert came == []


PACKED = {
    "gzip": lambda data: gzip.compress(data, 9),
    "deflate": lambda data: zlib.compress(data, 9),
    "br": lambda data: brotli.compress(data),
    "zstd": lambda data: zstandard.compress(data),
}


def coded(data: bytes, coding: str) -> http.Response:
    """An answer of these bytes, which are said to be coded so."""
    answer = http.Response.make(200)
    answer.headers["Content-Type"], answer.headers["Content-Encoding"] = "application/json", coding
    answer.raw_content = data
    return answer


@pytest.mark.parametrize("coding", PACKED)
def test_what_unpacks_to_too_much_is_not_unpacked(coding: str, monkeypatch: pytest.MonkeyPatch) -> None:
    small = coded(PACKED[coding](b'{"a": 1}'), coding)
    assert flow_convert.response_from_flow(flow_of(small), ()).body == '{"a": 1}'
    large = coded(PACKED[coding](b"0" * (200 * MB)), coding)
    monkeypatch.setattr(http.Message, "get_content", None)
    assert content_coding.is_too_large(large)
    assert flow_convert.unreadable(large) is None
    assert flow_convert.response_from_flow(flow_of(large), ()).body is None


@pytest.mark.parametrize("coding", ["bz2", "zlib", "hex", "punycode", "rot13"])
def test_no_codec_of_python_is_a_content_coding(coding: str) -> None:
    answer = coded(b"BZh91AY", coding)
    assert "no content coding" in (flow_convert.unreadable(answer) or "")
    assert flow_convert.response_from_flow(flow_of(answer), ()).body is None


@pytest.mark.parametrize("charset", ["bz2", "zlib", "punycode", "idna"])
def test_no_codec_of_python_is_a_charset(charset: str) -> None:
    answer = http.Response.make(200, b"", {"Content-Type": f"text/plain; charset={charset}"})
    answer.raw_content = zlib.compress(b"0" * 1000) + "é".encode()
    began = time.process_time()
    assert "é" in (flow_convert.response_from_flow(flow_of(answer), ()).body or "")
    assert time.process_time() - began < 1


def flow_of(response: http.Response) -> http.HTTPFlow:
    from mitmproxy.test import tflow

    flow: http.HTTPFlow = tflow.tflow(resp=True)
    flow.response = response
    return flow


@pytest.mark.parametrize("whose", ["request", "answer"])
async def test_a_head_without_an_end_is_refused_and_told(whose: str) -> None:
    async with upstream({"/mcp": lines(100_000)}) as server, tapped(server) as tap:
        reader, writer = await asyncio.open_connection("127.0.0.1", tap.settings.port)
        writer.write(b"GET /mcp HTTP/1.1\r\nHost: localhost:%d\r\n" % tap.settings.port)
        writer.write(b"X-A: b\r\n" * (100_000 if whose == "request" else 1) + b"\r\n")
        status = await asyncio.wait_for(reader.readline(), 10)
        writer.close()
        await tap.ended()
    assert status[:13] == (b"HTTP/1.1 431 " if whose == "request" else b"")
    if whose == "answer":
        assert "larger than 128 kB" in (tap.exchanges[0].error or "")
