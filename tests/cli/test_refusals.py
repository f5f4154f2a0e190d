"""Decisions of security fail closed: where the check itself breaks, the answer is a refusal and nothing goes on."""

from __future__ import annotations

import asyncio
import base64
import socket
from typing import Any
from urllib.parse import parse_qs, quote

import httpx
import pytest
from mitmproxy import ctx

from oauthtap.proxy import forward_addon, origin_discovery, upstream_connections
from oauthtap.rewriting import public_url, ssrf_guard
from oauthtap.rewriting.callback_relay import PUBLIC_PATH, Relay
from oauthtap.wrap.capture_scope import CaptureScope
from tests.proxy.test_doors import PRM, naming
from tests.support.tapped import document, forwarded, free_port, said, tapped, upstream

NAME = "https://tap.tunnel.test"


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("this check is broken")


# --- the proxy of `oauthtap run`


async def asked(port: int, *lines: bytes) -> bytes:
    """The first line that comes back for a request of these lines."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\r\n".join([*lines, b"", b""]))
    try:
        return await asyncio.wait_for(reader.readline(), 5)
    finally:
        writer.close()


def basic(text: bytes) -> bytes:
    return base64.b64encode(text)


STRANGE = [
    b"\xff", b"Basic \xff", b"Basic \xe2\x80\x8b", b"Basic ", b"Basic " + basic(b"oauthtap:"), b"Bearer x",
    b"Basic \xed\xa0\x80", b"\xc3\xa9" * 4000,
]  # fmt: skip


@pytest.mark.parametrize("given", STRANGE)
@pytest.mark.parametrize("line", [b"GET http://mcp.test/mcp HTTP/1.1", b"CONNECT mcp.test:443 HTTP/1.1"])
async def test_the_proxy_of_run_opens_to_no_other_password(line: bytes, given: bytes) -> None:
    async with upstream({"/mcp": said(200, "secret")}) as server, forwarded(server) as (port, _, _):
        answer = await asked(port, line, b"Host: mcp.test", b"Proxy-Authorization: " + given)
    assert answer.startswith(b"HTTP/1.1 407 ")
    assert server.came == []


async def test_the_proxy_of_run_refuses_two_passwords_of_which_one_is_right() -> None:
    async with upstream({"/mcp": said(200, "hi")}) as server, forwarded(server) as (port, password, _):
        right = b"Proxy-Authorization: basic " + basic(b"oauthtap:" + password.encode())
        start = (b"GET http://mcp.test/mcp HTTP/1.1", b"Host: mcp.test")
        assert (await asked(port, *start, right)).startswith(b"HTTP/1.1 200 ")
        assert (await asked(port, *start, right, b"Proxy-Authorization: Basic \xff")).startswith(b"HTTP/1.1 407 ")
    assert ["proxy-authorization" in one.headers for one in server.came] == [False]


@pytest.mark.parametrize("line", [b"GET http://mcp.test/mcp HTTP/1.1", b"CONNECT mcp.test:443 HTTP/1.1"])
async def test_the_proxy_of_run_stays_shut_where_the_comparison_breaks(
    line: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with upstream({"/mcp": said(200, "secret")}) as server, forwarded(server) as (port, password, _):
        monkeypatch.setattr(forward_addon.hmac, "compare_digest", broken)
        right = b"Proxy-Authorization: Basic " + basic(b"oauthtap:" + password.encode())
        answer = await asked(port, line, b"Host: mcp.test", right)
    assert answer.startswith(b"HTTP/1.1 407 ")
    assert server.came == []


async def test_what_nobody_may_look_into_passes_unseen_where_the_choice_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    async with upstream({"/mcp": said(200, "hi")}) as server, forwarded(server) as (port, password, steps):
        monkeypatch.setattr(CaptureScope, "should_intercept", broken)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        right = b"Proxy-Authorization: Basic " + basic(b"oauthtap:" + password.encode())
        writer.write(b"\r\n".join([b"CONNECT mcp.test:80 HTTP/1.1", b"Host: mcp.test:80", right, b"", b""]))
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"GET /mcp HTTP/1.1\r\nhOsT:   mcp.test\r\n\r\n")
        assert (await reader.readline()).startswith(b"HTTP/1.1 200 ")
        writer.close()
        await asyncio.sleep(0.1)
        assert steps == []
    assert [came.target for came in server.came] == ["/mcp"]


# --- the tap


@pytest.mark.parametrize("check", ["matched_host", "flow_convert.header"])
async def test_no_host_is_answered_where_the_look_at_it_breaks(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with upstream({"/mcp": said(200, "secret")}) as server, tapped(server) as tap:
        monkeypatch.setattr(f"oauthtap.proxy.admission.{check}", broken)
        answer = await tap.client.get(tap.url, headers={"Host": "evil.example"})
    assert answer.status_code >= 400
    assert "secret" not in answer.text
    assert server.came == []


async def test_a_request_that_cannot_be_put_into_upstream_names_goes_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    async with upstream({"/mcp": said(200, "secret")}) as server, tapped(server) as tap:
        monkeypatch.setattr(origin_discovery.OriginDiscovery, "strip_redirected_token", broken)
        answer = await tap.client.get(tap.url, headers={"Authorization": "Bearer of-another-server"})
        assert answer.status_code == 500
        assert "oauthtap" in answer.json()["error_description"]
        assert tap.addon._passages == {}
    assert server.came == []


async def test_what_a_tunnel_lets_through_is_nothing_where_the_check_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    async with upstream({"/mcp": said(200, "secret")}) as server, tapped(server, port=port, public={port: NAME}) as tap:
        monkeypatch.setattr(public_url, "is_path_allowed", broken)
        answer = await tap.client.get(f"{tap.origin}/mcp", headers={"Host": "tap.tunnel.test"})
    assert answer.status_code >= 400
    assert server.came == []


@pytest.mark.parametrize("public", [False, True])
async def test_a_code_goes_nowhere_where_the_relay_breaks(public: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    async with upstream({}) as server, tapped(server, port=port, public={port: NAME} if public else {}) as tap:
        monkeypatch.setattr(Relay, "match_callback", broken)
        if public:
            url, headers = f"{tap.origin}{PUBLIC_PATH}?code=c&state=s", {"Host": "tap.tunnel.test"}
        else:
            url, headers = f"http://localhost:{tap.addon.relay.port}/callback?code=c&state=s", {}
        answer = await tap.client.get(url, headers=headers)
    assert answer.status_code >= 400
    assert "location" not in answer.headers
    assert server.came == []


@pytest.mark.parametrize("check", ["address_refusal", "parse_ip"])
async def test_an_address_that_cannot_be_judged_gets_no_request(check: str, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = {"/mcp": said(200, "secret")}
    async with upstream(paths) as server, tapped(upstream=f"http://127.0.0.1:{server.port}/mcp") as tap:
        monkeypatch.setattr(upstream_connections.ssrf_guard, check, broken)
        with pytest.raises(httpx.RemoteProtocolError):
            await tap.client.get(tap.url)
    assert server.came == []


async def test_no_port_is_opened_where_the_ban_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    async with upstream(naming("http://127.0.0.1:6379/")) as server, tapped(server) as tap:
        monkeypatch.setattr(ssrf_guard, "blocked_reason", broken)
        await tap.client.get(tap.origin + PRM)
        assert tap.listeners == {}


async def test_an_upstream_that_moves_into_this_network_does_not_open_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding of the upstream's own name: first a public address, then one of this network."""
    heard: list[bytes] = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    inner = await asyncio.start_server(one, "127.0.0.1", 0)
    port = inner.sockets[0].getsockname()[1]
    resolve = socket.getaddrinfo

    def resolver(host: str, *rest: Any, **more: Any) -> Any:
        return resolve("127.0.0.1" if host == "mcp.example.com" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    async with tapped(upstream=f"http://mcp.example.com:{port}/mcp") as tap:
        # As if the first connection had found the server where it was looked up: on the internet.
        tap.addon.hops.found_upstream_at(ssrf_guard.parse_ip("93.184.215.14"))
        with pytest.raises(httpx.RemoteProtocolError):
            await tap.client.get(tap.url)
        assert not tap.addon.hops.private
    inner.close()
    assert b"".join(heard) == b""


async def test_the_web_interface_opens_to_nobody_where_its_check_breaks() -> None:
    async with upstream({}) as server, tapped(server, web=True, web_port=free_port()) as tap:
        base, _, token = (tap.web_url or "").partition("?")
        ctx.master.app.settings["is_valid_password"] = broken
        async with httpx.AsyncClient(trust_env=False) as client:
            for path in ("oauthtap/", "oauthtap/page.css", "flows", "flows/dump"):
                answer = await client.get(f"{base}{path}?{token}")
                assert answer.status_code >= 400, path
            for odd in ("%FF", "%C3%A9", "x", ""):
                answer = await client.get(f"{base}oauthtap/?token={odd}")
                assert answer.status_code >= 400, odd


# --- the relay

FOREIGN = [
    "https://evil.example/cb", "http://evil.example:1/cb", "http://localhost.evil.example/cb",
    "http://localhost@evil.example/cb", "http://127.0.0.1:80@evil.example/", "evil://cb", "//evil.example/cb",
    "http://localhost\\@evil.example/cb", "http://evil.example\\.localhost/cb", "http://evil.example#.localhost/",
    "http://[::1]@evil.example/", "javascript:alert(1)//localhost", "http://evil.example\t.localhost/cb",
    "http:/\\evil.example/.localhost", "http://ⓛocalhost.evil.example/",
]  # fmt: skip


@pytest.mark.parametrize("uri", FOREIGN)
async def test_a_code_is_relayed_to_nobody_elsewhere(uri: str) -> None:
    metadata = {"issuer": "http://mcp.test", "authorization_endpoint": "http://mcp.test/authorize",
                "registration_endpoint": "http://mcp.test/register"}  # fmt: skip
    paths = {
        "/.well-known/oauth-authorization-server": document(metadata),
        "/register": document({"client_id": "c1", "redirect_uris": [uri]}, 201),
    }
    async with upstream(paths) as server, tapped(server, callback="relay") as tap:
        await tap.client.get(f"{tap.origin}/.well-known/oauth-authorization-server")
        await tap.client.post(f"{tap.origin}/register", json={"redirect_uris": [uri]})
        asking = f"response_type=code&client_id=c1&state=s&redirect_uri={quote(uri, safe='')}"
        await tap.client.get(f"{tap.origin}/authorize?{asking}")
        for path in ("/callback", "/cb", "/"):
            for question in ("code=c&state=s", "code=c"):
                answer = await tap.client.get(f"http://localhost:{tap.addon.relay.port}{path}?{question}")
                assert answer.status_code == 404, answer.headers.get("location")


async def test_a_state_that_nobody_sent_goes_nowhere() -> None:
    mine = "http://127.0.0.1:33111/callback"
    async with upstream({}) as server, tapped(server, callback="relay") as tap:
        relay = tap.addon.relay
        relay.authorization(f"client_id=x&redirect_uri={quote(mine, safe='')}&state=known", "localhost")
        base = f"http://127.0.0.1:{relay.port}/callback"
        for state in ("unknown", "127.0.0.1/callback", "known%20"):
            assert (await tap.client.get(f"{base}?code=c&state={state}")).status_code == 404
        assert (await tap.client.get(f"{base}?code=c&state=known")).headers["location"].startswith(mine)
        assert (await tap.client.get(f"{base}?error=access_denied")).headers["location"].startswith(mine)


def test_what_comes_by_a_tunnel_is_relayed_only_to_what_was_registered() -> None:
    mine, other = "http://127.0.0.1:33111/callback", "http://127.0.0.1:44222/other"
    relay = Relay(8090, "relay")
    _, swap = relay.registration(f'{{"redirect_uris": ["{mine}"]}}')
    relay.granted("c1", swap)
    asking = "client_id=c1&state=s&redirect_uri="
    assert relay.authorization(asking + quote(other, safe=""), "public")[1] == {}
    assert relay.authorization(asking + quote(mine, safe=""), "public")[1] != {}
    assert relay.authorization(asking + quote(other, safe=""), "localhost")[1] != {}


def test_a_callback_elsewhere_is_relayed_where_the_person_named_it() -> None:
    theirs = "https://claude.ai/api/mcp/auth_callback"
    relay = Relay(8090, "relay", named=theirs)
    query, swap = relay.authorization(f"client_id=c1&state=s&redirect_uri={quote(theirs, safe='')}", "public")
    assert list(swap.values()) == [theirs]
    assert parse_qs(query)["redirect_uri"] == ["http://localhost:8090/callback"]
    assert relay.authorization(f"client_id=c1&redirect_uri={quote(theirs + '/../x', safe='')}", "public")[1] == {}
