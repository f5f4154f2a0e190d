"""HTTP through a running tap: streams, encodings, odd answers, failures. Shown as the upstream's own."""

from __future__ import annotations

import asyncio
import gzip
import json
import ssl
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import brotli
import h2.config
import h2.connection
import h2.events
import httpx
import pytest
import trustme
import zstandard

from oauthtap.report.build import build
from tests.support.tapped import Came, document, free_port, said, tapped, upstream

SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PRM = "/.well-known/oauth-protected-resource"


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


async def legacy(came: Came, writer: asyncio.StreamWriter) -> None:
    """The first event of the 2024-11-05 transport in small pieces, then one more, then silence."""
    writer.write(SSE)
    for letter in b"event: endpoint\r\ndata: http://mcp.test/message?sessionId=1\r\n\r\n":
        writer.write(chunk(bytes([letter])))
        await writer.drain()
    await asyncio.sleep(0.2)
    writer.write(chunk(b'data: {"see": "http://mcp.test/x"}\n\n'))
    await asyncio.sleep(30)


async def endless(came: Came, writer: asyncio.StreamWriter) -> None:
    """An answer of no known type that goes on."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(chunk(b"tick\n"))
        await writer.drain()
        await asyncio.sleep(0.05)


async def test_a_legacy_stream_passes_as_it_comes_and_names_a_local_message_url() -> None:
    async with upstream({"/sse": legacy}) as server, tapped(server, path="/sse") as tap:
        begun = time.monotonic()
        async with tap.client.stream("GET", tap.url, headers={"Accept": "text/event-stream"}) as answer:
            events = answer.aiter_text()
            first = await anext(events)
            while "\r\n\r\n" not in first:
                first += await anext(events)
            assert time.monotonic() - begun < 5
            assert first == f"event: endpoint\r\ndata: {tap.origin}/message?sessionId=1\r\n\r\n"
            # It was judged already, so that the POST to that URL is known for what it is.
            assert [step.stage for step in tap.steps] == ["legacy-sse"]
            assert "see" in await anext(events)
        await tap.client.post(f"{tap.origin}/message?sessionId=1", json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
        assert [step.stage for step in tap.steps] == ["legacy-sse", "legacy-sse"]


async def test_any_answer_without_an_end_passes_as_it_comes() -> None:
    async with upstream({"/mcp": endless}) as server, tapped(server) as tap:
        async with tap.client.stream("GET", tap.url) as answer:
            assert await anext(answer.aiter_text()) == "tick\n"
        await until(lambda: tap.steps)
    response = tap.exchanges[0].response
    assert response is not None
    assert response.truncated
    assert (response.body or "").startswith("tick")
    assert tap.exchanges[0].error is None


async def test_a_stream_that_is_open_when_the_tap_stops_is_recorded() -> None:
    async with (
        upstream({"/mcp": endless}) as server,
        tapped(server) as tap,
        tap.client.stream("GET", tap.url) as answer,
    ):
        await anext(answer.aiter_text())
        began = time.monotonic()
        await tap.ended()
        assert time.monotonic() - began < 4
    assert tap.exchanges[0].status == 200
    assert len(tap.flows) == 1


async def test_only_both_ends_of_a_long_stream_are_kept() -> None:
    async def long(came: Came, writer: asyncio.StreamWriter) -> None:
        writer.write(SSE)
        for number in range(400):
            writer.write(chunk(b"data: %06d %s\n\n" % (number, b"x" * 1000)))
            await writer.drain()
        writer.write(b"0\r\n\r\n")

    async with upstream({"/mcp": long}) as server, tapped(server) as tap:
        text = (await tap.client.get(tap.url)).text
        await until(lambda: tap.steps)
    kept = tap.exchanges[0].response
    assert text.count("data: ") == 400
    assert kept is not None
    assert kept.truncated
    assert len(kept.body or "") < 140_000
    assert "data: 000000" in (kept.body or "")
    assert "data: 000399" in (kept.body or "")


@pytest.mark.parametrize(
    ("coding", "pack"),
    [
        ("gzip", gzip.compress),
        ("br", brotli.compress),
        ("zstd", lambda data: zstandard.ZstdCompressor().compress(data)),
    ],
)
async def test_packed_documents_are_renamed(coding: str, pack: object) -> None:
    packed = pack(json.dumps({"resource": "http://mcp.test/mcp"}).encode())  # type: ignore[operator]
    answer = said(200, packed, content_type="application/json", content_encoding=coding)
    async with (
        upstream({PRM: answer}) as server,
        tapped(server) as tap,
        tap.client.stream("GET", tap.origin + PRM, headers={"Accept-Encoding": coding}) as got,
    ):
        raw = b"".join([piece async for piece in got.aiter_raw()])
        assert got.headers["content-encoding"] == coding
        assert int(got.headers["content-length"]) == len(raw)
    unpack = {"gzip": gzip.decompress, "br": brotli.decompress, "zstd": zstandard.ZstdDecompressor().decompress}
    assert json.loads(unpack[coding](raw)) == {"resource": f"{tap.origin}/mcp"}
    response = tap.exchanges[0].response
    assert response is not None
    assert response.json_object == {"resource": "http://mcp.test/mcp"}


async def test_what_cannot_be_unpacked_passes_unchanged() -> None:
    answer = said(200, b"no gzip at all", content_type="application/json", content_encoding="gzip")
    async with (
        upstream({PRM: answer}) as server,
        tapped(server) as tap,
        tap.client.stream("GET", tap.origin + PRM) as got,
    ):
        assert b"".join([piece async for piece in got.aiter_raw()]) == b"no gzip at all"
    response = tap.exchanges[0].response
    assert response is not None
    assert response.body is None


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("OPTIONS", 204), ("GET", 304), ("GET", 405)])
async def test_bodiless_answers_are_the_upstreams_own(method: str, status: int) -> None:
    async with upstream({"/mcp": said(status, allow="POST")}) as server, tapped(server) as tap:
        answer = await tap.client.request(method, tap.url)
    assert (answer.status_code, answer.headers["allow"], answer.content) == (status, "POST", b"")
    assert server.came[0].method == method


async def test_a_redirect_is_the_upstreams_own_in_local_names() -> None:
    moved = said(308, location="http://mcp.test/mcp/")
    async with upstream({"/mcp": moved}) as server, tapped(server) as tap:
        answer = await tap.client.post(tap.url)
    assert (answer.status_code, answer.headers["location"]) == (308, f"{tap.url}/")
    judged = tap.exchanges[0].response
    assert judged is not None
    assert judged.header("location") == "http://mcp.test/mcp/"


async def test_paths_and_header_lines_arrive_byte_for_byte() -> None:
    target = "/a%2Fb//c;d=1/%7Eu?x=%20+&y=[1]&resource=not%20ours"
    async with upstream({}) as server, tapped(server) as tap:
        reader, writer = await asyncio.open_connection("127.0.0.1", tap.settings.port)
        lines = f"GET {target} HTTP/1.1\r\nhOsT: localhost:{tap.settings.port}\r\nX-Odd:  two  blanks\r\n\r\n"
        writer.write(lines.encode())
        assert (await reader.readline()).startswith(b"HTTP/1.1 404")
        writer.close()
    assert server.came[0].target == target
    assert server.came[0].headers["x-odd"] == "two  blanks"


async def test_informational_answers_are_not_taken_for_the_answer() -> None:
    async def hints(came: Came, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n")
        await document({"ok": True})(came, writer)

    async with upstream({"/mcp": hints}) as server, tapped(server) as tap:
        assert (await tap.client.post(tap.url)).json() == {"ok": True}


async def test_one_client_connection_needs_one_upstream_connection() -> None:
    async with upstream({"/mcp": document({"ok": True})}) as server, tapped(server) as tap:
        for _ in range(5):
            await tap.client.post(tap.url)
        assert len({exchange.connection for exchange in tap.exchanges}) == 1
        assert len({flow.server_conn.id for flow in tap.flows}) == 1
        assert {flow.server_conn.address for flow in tap.flows} == {("mcp.test", 80)}


# --- failures


async def test_an_upstream_that_comes_back_is_reached_again() -> None:
    port = free_port()
    async with tapped(upstream="http://mcp.test/mcp", connect_to=(f"::127.0.0.1:{port}",)) as tap:
        with pytest.raises(httpx.NetworkError):
            await tap.client.post(tap.url)

        async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")

        server = await asyncio.start_server(one, "127.0.0.1", port)
        assert (await tap.client.post(tap.url)).text == "hi"
        server.close()


async def test_a_client_that_leaves_is_no_fault_of_the_upstream() -> None:
    async def slow(came: Came, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(30)

    async with upstream({"/mcp": slow}) as server, tapped(server) as tap:
        with pytest.raises(httpx.ReadTimeout):
            await tap.client.post(tap.url, timeout=0.3)
        await until(lambda: tap.steps)
    assert tap.exchanges[0].error == "client disconnected before an answer came"
    assert not [finding for finding in build(tap.tap).findings if finding.severity == "error"]


# --- TLS and HTTP/2


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_client_that_leaves_before_the_upstream_is_reached_is_no_fault_of_the_upstream(scheme: str) -> None:
    """Clients end with a request under way. Over TLS the upstream's connection may still be coming about."""
    reached = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        reached.set()
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with (
        server,
        tapped(upstream=f"{scheme}://mcp.test/mcp", connect_to=(f"::127.0.0.1:{port}",)) as tap,
    ):
        asking = asyncio.ensure_future(tap.client.get(tap.url, headers={"Accept": "text/event-stream"}))
        await asyncio.wait_for(reached.wait(), 10)
        asking.cancel()
        await until(lambda: tap.exchanges)
    assert [exchange.error for exchange in tap.exchanges] == ["client disconnected before an answer came"]
    assert not [finding for finding in build(tap.tap).findings if finding.severity == "error"]


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def ca_file(authority: trustme.CA) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "ca.pem"
        authority.cert_pem.write_to_path(str(path))
        yield str(path)


def secure(authority: trustme.CA, *names: str, alpn: str = "http/1.1") -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*names).configure_cert(context)
    context.set_alpn_protocols([alpn])
    return context


async def test_a_further_ca_is_trusted(authority: trustme.CA, ca_file: str) -> None:
    trust = secure(authority, "mcp.test")
    async with upstream({"/mcp": said(200, "hi")}, trust) as server, tapped(server, ca=ca_file) as tap:
        assert (await tap.client.post(tap.url)).text == "hi"
        assert server.came[0].headers["host"] == "mcp.test"


async def test_an_untrusted_certificate_is_named(authority: trustme.CA) -> None:
    trust = secure(authority, "mcp.test")
    async with upstream({"/mcp": said(200, "hi")}, trust) as server, tapped(server) as tap:
        with pytest.raises(httpx.NetworkError):
            await tap.client.post(tap.url)
    assert "not trusted (--ca FILE, or --insecure)" in tap.notes[0]
    assert {finding.rule for finding in build(tap.tap).findings} >= {"tls-certificate-not-trusted"}


async def test_insecure_looks_away(authority: trustme.CA) -> None:
    trust = secure(authority, "other.test")
    async with upstream({"/mcp": said(200, "hi")}, trust) as server, tapped(server, insecure=True) as tap:
        assert (await tap.client.post(tap.url)).text == "hi"


async def http2(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """An upstream that speaks HTTP/2 alone, and says in two pieces who was asked."""
    speaker = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
    speaker.initiate_connection()
    writer.write(speaker.data_to_send())
    while data := await reader.read(65536):
        for event in speaker.receive_data(data):
            if isinstance(event, h2.events.RequestReceived):
                asked = {bytes(name): bytes(value) for name, value in event.headers}
                headers = [(":status", "401"), ("content-type", "text/event-stream"), ("www-authenticate", "Bearer")]
                speaker.send_headers(event.stream_id, headers)
                speaker.send_data(event.stream_id, b"data: " + asked[b":authority"])
                speaker.send_data(event.stream_id, b"\n\n", end_stream=True)
        writer.write(speaker.data_to_send())
        await writer.drain()


async def test_http2_is_spoken_upstream(authority: trustme.CA, ca_file: str) -> None:
    trust = secure(authority, "mcp.test", alpn="h2")
    server = await asyncio.start_server(http2, "127.0.0.1", 0, ssl=trust)
    port = server.sockets[0].getsockname()[1]
    async with tapped(upstream="https://mcp.test/mcp", connect_to=(f"::127.0.0.1:{port}",), ca=ca_file) as tap:
        answer = await tap.client.post(tap.url, json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
        assert (answer.status_code, answer.reason_phrase, answer.text) == (401, "Unauthorized", "data: mcp.test\n\n")
        # Without chunks an HTTP/1 client could not tell the end of it from a broken line.
        assert answer.headers["transfer-encoding"] == "chunked"
        assert tap.exchanges[0].request.header("host") == "mcp.test"
    server.close()


async def until(true: object) -> None:
    async with asyncio.timeout(5):
        while not true():  # type: ignore[operator]
            await asyncio.sleep(0.01)
