"""An upstream that gives no response: a client meets the same kind of end through the tap as without it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import struct
from collections.abc import AsyncIterator

import httpx
import pytest
import trustme
from mitmproxy.test import tflow

from oauthtap.proxy import error_layer
from oauthtap.report.build import build
from tests.support.tapped import Came, forwarded, free_port, said, tapped, upstream

KINDS = {
    "refused": "it refuses connections",
    "no-such-host": "there is no such host",
    "untrusted": "its certificate is not trusted (--ca FILE, or --insecure)",
    "not-tls": "the TLS handshake failed",
    "timeout": "it does not answer in time",
}
LINGER = struct.pack("ii", 1, 0)
METADATA = "/.well-known/oauth-authorization-server"


async def hang_up(came: Came, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def reset(came: Came, writer: asyncio.StreamWriter) -> None:
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
    writer.close()


async def reset_within_the_body(came: Came, writer: asyncio.StreamWriter) -> None:
    media_type = "text/event-stream" if came.target.endswith("stream") else "application/json"
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head.encode() + b"2\r\n: \r\n")
    await writer.drain()
    await asyncio.sleep(0.2)  # else the reset may take away what is still on its way
    await reset(came, writer)


RESETS = {"/mcp": reset, "/document": reset_within_the_body, "/stream": reset_within_the_body}


@contextlib.asynccontextmanager
async def unreachable(kind: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """An origin that cannot be reached in this way. The resolver and the clock are not waited for."""
    if kind == "refused":
        yield f"http://127.0.0.1:{free_port()}"
    elif kind == "no-such-host":
        yield "http://nobody.invalid"
    elif kind == "timeout":

        async def late(*_: object, **__: object) -> None:
            raise OSError(errno.ETIMEDOUT, "Connect call failed ('192.0.2.1', 443)")  # the words of asyncio

        port = free_port()
        monkeypatch.setattr(asyncio, "open_connection", late)
        yield f"http://127.0.0.1:{port}"
    elif kind == "not-tls":

        async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            writer.close()

        async with await asyncio.start_server(plain, "127.0.0.1", 0) as server:
            yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    else:
        trust = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        trustme.CA().issue_cert("127.0.0.1").configure_cert(trust)
        async with upstream({"/mcp": said(200, "hi")}, trust) as untrusted:
            yield f"https://127.0.0.1:{untrusted.port}"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("path", ["/mcp", METADATA])
async def test_a_connection_that_never_was_is_an_error_of_the_network_and_no_answer(
    kind: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with unreachable(kind, monkeypatch) as origin, tapped(upstream=f"{origin}/mcp") as tap:
        if kind != "timeout":  # httpx says so of each of them where nobody stands between
            with pytest.raises(httpx.NetworkError):
                await tap.client.get(origin + path)
        with pytest.raises(httpx.NetworkError):
            await tap.client.get(tap.origin + path)
        await tap.ended()
    assert [exchange.response for exchange in tap.exchanges] == [None]
    assert [note for note in tap.notes if KINDS[kind] in note] == tap.tap.notes
    assert "was reset instead" in tap.tap.notes[0]
    assert build(tap.tap).cause
    assert build(tap.tap).cause.responsible == "network"


async def test_a_connection_that_the_upstream_closes_is_closed() -> None:
    async with upstream({"/mcp": hang_up}) as server, tapped(server) as tap:
        async with httpx.AsyncClient(trust_env=False) as direct:
            with pytest.raises(httpx.RemoteProtocolError):
                await direct.post(f"http://127.0.0.1:{server.port}/mcp")
        with pytest.raises(httpx.RemoteProtocolError):
            await tap.client.post(tap.url)
        await tap.ended()
    assert "closed" in (tap.exchanges[0].error or "")
    assert tap.notes == []


@pytest.mark.parametrize("path", RESETS)
async def test_a_connection_that_the_upstream_resets_is_reset(path: str) -> None:
    async with upstream(RESETS) as server, tapped(server) as tap:
        async with httpx.AsyncClient(trust_env=False) as direct:
            with pytest.raises(httpx.ReadError):
                await direct.get(f"http://127.0.0.1:{server.port}{path}")
        with pytest.raises(httpx.ReadError):
            await tap.client.get(tap.origin + path)
        await tap.ended()
    assert "reset" in (tap.exchanges[0].error or "")
    assert tap.notes == []


@pytest.mark.parametrize("path", RESETS)
async def test_it_is_reset_behind_the_proxy_of_run_too(path: str) -> None:
    async with upstream(RESETS) as server, forwarded(server) as (port, password, steps):
        proxy = httpx.Proxy(f"http://127.0.0.1:{port}", auth=("oauthtap", password))
        async with httpx.AsyncClient(proxy=proxy, trust_env=False) as client:
            with pytest.raises(httpx.ReadError):
                await client.post(f"http://mcp.test{path}", json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
    assert "reset" in (steps[0].exchange.error or "")


def test_in_http2_one_stream_ends_in_place_of_the_connection_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    flow = tflow.tflow()
    flow.request.http_version = "HTTP/2.0"
    monkeypatch.setitem(error_layer._endings, flow.server_conn, ConnectionResetError)
    said_of_it = error_layer.pass_reset_on(flow)
    assert said_of_it
    assert "reset the connection" in said_of_it.sentence
    assert "one HTTP/2 stream ended instead" in said_of_it.sentence


@pytest.mark.parametrize(("kind", "error"), [("refused", httpx.NetworkError), ("closed", httpx.RemoteProtocolError)])
async def test_it_is_the_same_behind_the_proxy_of_run(kind: str, error: type[Exception]) -> None:
    async with upstream({"/mcp": hang_up}) as server:
        server.port = server.port if kind == "closed" else free_port()
        async with forwarded(server) as (port, password, steps):
            proxy = httpx.Proxy(f"http://127.0.0.1:{port}", auth=("oauthtap", password))
            async with httpx.AsyncClient(proxy=proxy, trust_env=False) as client:
                with pytest.raises(error):
                    await client.post("http://mcp.test/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
    assert [step.exchange.response for step in steps] == [None]


def test_a_reason_has_its_words_in_one_place() -> None:
    assert {words for _, _, words in error_layer._REASONS} >= set(KINDS.values())
