"""A hosted client, watched through a tunnel: names that are public, paths that lead somewhere, nothing beside them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Mapping
from io import StringIO
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from oauthtap.cli.console_output import ConsoleReporter
from oauthtap.report.build import build
from oauthtap.rewriting import public_url
from oauthtap.rewriting.callback_relay import PUBLIC_PATH
from oauthtap.upstream.options import UpstreamOptions
from oauthtap.upstream.tunnel import TunnelCheck, check_tunnel
from tests.support.running import call, started
from tests.support.tapped import Came, Tapped, document, free_port, said, tapped, upstream

NAME, SECOND = "https://tap.tunnel.test", "https://as.tunnel.test"
TYPED = f"{NAME}/mcp"
CALLBACK = "https://claude.ai/api/mcp/auth_callback"
PRM = "/.well-known/oauth-protected-resource/mcp"
ASM = "/.well-known/oauth-authorization-server/tenant"
ISSUER = "http://as.test/tenant"
TOKEN = "at_0123456789abcdef"
SERVER = {
    "issuer": ISSUER,
    "authorization_endpoint": "http://as.test/tenant/authorize",
    "token_endpoint": "http://as.test/tenant/token",
    "registration_endpoint": "http://as.test/tenant/register",
    "response_types_supported": ["code"],
    "code_challenge_methods_supported": ["S256"],
    "authorization_response_iss_parameter_supported": True,
}


async def mcp(came: Came, writer: Any) -> None:
    if came.headers.get("authorization") == f"Bearer {TOKEN}":
        await document({"jsonrpc": "2.0", "id": 1, "result": {"tools": []}})(came, writer)
    else:
        await said(401, www_authenticate=f'Bearer resource_metadata="http://mcp.test{PRM}"')(came, writer)


async def registered(came: Came, writer: Any) -> None:
    await document({"client_id": "client-1", **json.loads(came.body)}, 201)(came, writer)


async def consented(came: Came, writer: Any) -> None:
    asked = {name: values[0] for name, values in parse_qs(urlsplit(came.target).query).items()}
    brought = urlencode({"code": "code_0123456789abcdef", "state": asked["state"], "iss": ISSUER})
    await said(302, location=f"{asked['redirect_uri']}?{brought}")(came, writer)


PATHS = {
    "/mcp": mcp,
    PRM: document({"resource": "http://mcp.test/mcp", "authorization_servers": [ISSUER]}),
    ASM: document(SERVER),
    "/tenant/register": registered,
    "/tenant/authorize": consented,
    "/tenant/token": document({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 3600}),
    "/admin": said(200, "secret"),
}


@contextlib.asynccontextmanager
async def tunnelled(to: Mapping[str, int], *, host: str = "") -> AsyncIterator[int]:
    """Its port: what comes for one of these names goes to its local port, with the headers that tunnels add.

    `host`: what the tunnel writes into `Host` in the place of its own name, as some do.
    """

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        asked = next(line.partition(": ")[2] for line in head if line.lower().startswith("host:"))
        local = to[f"https://{asked}"]
        rewritten = [line for line in head if not line.lower().startswith(("host:", "connection:"))]
        rewritten += [f"Host: {host.format(port=local) or asked}", "Connection: close", f"X-Forwarded-Host: {asked}"]
        rewritten += ["X-Forwarded-Proto: https", f"Forwarded: host={asked}", "X-Forwarded-For: 160.79.104.9"]
        there, onward = await asyncio.open_connection("127.0.0.1", local)
        onward.write("\r\n".join([*rewritten, "", ""]).encode())
        up = asyncio.ensure_future(_pipe(reader, onward))
        await _pipe(there, writer)
        up.cancel()
        writer.close()
        onward.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()


class Internet(httpx.AsyncBaseTransport):
    """Where a hosted client and a browser are: public names by the tunnel, servers themselves, and no local name."""

    def __init__(self, tunnel_port: int, server_port: int) -> None:
        self._ports = {"tunnel.test": tunnel_port, ".test": server_port}
        self._inner = httpx.AsyncHTTPTransport(limits=httpx.Limits(max_keepalive_connections=0))

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        port = next((port for name, port in self._ports.items() if request.url.host.endswith(name)), None)
        if port is None:
            raise httpx.ConnectError(f"nobody is at {request.url.host}")
        request.url = request.url.copy_with(scheme="http", host="127.0.0.1", port=port)
        return await self._inner.handle_async_request(request)


class ClaudeAi:
    """A connector of Claude.ai, in the order it asks and under the names it uses."""

    def __init__(self, internet: Internet) -> None:
        self.http = httpx.AsyncClient(transport=internet, trust_env=False, timeout=10)
        self.told: list[str] = []
        """Every text it was given."""

    async def get(self, method: str, url: str, agent: str = "python-httpx/0.27.2", **more: Any) -> httpx.Response:
        answer = await self.http.request(method, url, headers={"User-Agent": agent, **more.pop("headers", {})}, **more)
        self.told += [*answer.headers.values(), answer.text]
        return answer

    async def ask(self, method: str, token: str = "") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        message = {"jsonrpc": "2.0", "id": 1, "method": method}
        return await self.get("POST", TYPED, "Claude-User", json=message, headers=headers)

    async def discovered(self) -> tuple[dict[str, Any], dict[str, Any]]:
        challenge = (await self.ask("initialize")).headers["www-authenticate"]
        prm = (await self.get("GET", challenge.split('"')[1])).json()
        issuer = urlsplit(prm["authorization_servers"][0])
        place = f"{issuer.scheme}://{issuer.netloc}/.well-known/oauth-authorization-server{issuer.path}"
        return prm, (await self.get("GET", place)).json()

    async def signed_in(self) -> httpx.Response:
        """The whole walk; gives the answer to its first request with a token."""
        prm, asm = await self.discovered()
        assert prm["resource"] == TYPED, "it drops a document about another resource"
        assert asm["issuer"] == prm["authorization_servers"][0]
        wanted = {"client_name": "Claude", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
        client = (await self.get("POST", asm["registration_endpoint"], json=wanted)).json()
        assert client["redirect_uris"] == [CALLBACK]
        asked = {"response_type": "code", "client_id": client["client_id"], "redirect_uri": CALLBACK, "state": "s-1"}
        asked |= {"code_challenge": "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", "code_challenge_method": "S256"}
        brought = await self.browsed(
            f"{asm['authorization_endpoint']}?{urlencode(asked | {'resource': prm['resource']})}"
        )
        assert brought["state"] == "s-1"
        self.iss_as_told = brought["iss"] == asm["issuer"]
        form = {"grant_type": "authorization_code", "code": brought["code"], "redirect_uri": CALLBACK}
        form |= {"client_id": client["client_id"], "resource": prm["resource"]}
        form |= {"code_verifier": "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"}
        token = (await self.get("POST", asm["token_endpoint"], data=form)).json()["access_token"]
        await self.ask("initialize", token)
        return await self.ask("tools/list", token)

    async def browsed(self, url: str) -> dict[str, str]:
        """The person's browser, until it comes to the callback at claude.ai; what it brings there."""
        self.visited = [url]
        while not url.startswith(CALLBACK):
            page = {"User-Agent": "Mozilla/5.0", "Accept": "text/html", "Sec-Fetch-Mode": "navigate"}
            url = (await self.http.get(url, headers=page)).headers["location"]
            self.visited.append(url)
        return {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}


@contextlib.asynccontextmanager
async def watched(
    *names: str, host: str = "", paths: Mapping[str, Any] = PATHS, **flags: Any
) -> AsyncIterator[tuple[Any, Tapped, ClaudeAi]]:
    """The server, the tap with as many public names as given, and a client out there."""
    first, second = free_port(), free_port()
    public = dict(zip((first, second), names, strict=False))
    async with (
        upstream(paths) as server,
        tapped(server, port=first, public=public, **flags) as tap,
        tunnelled({name: port for port, name in public.items()}, host=host) as port,
    ):
        client = ClaudeAi(Internet(port, server.port))
        yield server, tap, client
        await client.http.aclose()


# --- the tunnel by itself


async def test_one_request_of_our_own_proves_the_tunnel_and_is_in_no_recording() -> None:
    first = free_port()
    async with (
        upstream(PATHS) as server,
        tapped(server, port=first, public={first: NAME}) as tap,
        tunnelled({NAME: first}) as port,
    ):
        reach = UpstreamOptions((f"tap.tunnel.test:80:127.0.0.1:{port}",))
        found = await check_tunnel(f"http://tap.tunnel.test{public_url.CHECK_PATH}", reach)
        other = await check_tunnel("http://tap.tunnel.test/oauthtap/tunnel/somebody-elses", reach)
    assert (found.kind, other.kind) == ("arrived", "another-tap")
    assert tap.steps == []
    assert server.came == []


async def test_a_tunnel_that_leads_elsewhere_or_nowhere_is_told_from_one_that_works() -> None:
    async with upstream({}) as server:
        elsewhere = await check_tunnel(f"http://localhost:{server.port}{public_url.CHECK_PATH}", UpstreamOptions())
    nowhere = await check_tunnel(f"http://localhost:{free_port()}/", UpstreamOptions())
    assert (elsewhere.kind, nowhere.kind) == ("answered-elsewhere", "no-answer")
    assert "not by way of this tap" in elsewhere.words


@pytest.mark.parametrize("kind", ["arrived", "no-answer"])
def test_what_it_means_is_said_with_the_curl_to_try(kind: str) -> None:
    out = StringIO()
    ConsoleReporter(out).no_tunnel_traffic_hint(TYPED, TunnelCheck(kind, "So it is."), 8080)  # type: ignore[arg-type]
    said = out.getvalue()
    assert f"curl -i {TYPED} -H 'Content-Type: application/json'" in said
    assert "No request after 20 seconds. So it is." in said
    assert ("five minutes" in said) is (kind == "arrived")
    assert ("cloudflared tunnel --url http://localhost:8080" in said) is (kind != "arrived")


# --- a hosted client signs in


@pytest.mark.parametrize("host", ["", "localhost:{port}"], ids=["its-own-host", "host-rewritten"])
async def test_a_connector_of_claude_ai_signs_in_through_two_tunnels(host: str) -> None:
    async with watched(NAME, SECOND, host=host) as (_, tap, client):
        assert tap.url == TYPED
        answer = await client.signed_in()
        report = build(tap.tap)
    assert answer.json()["result"] == {"tools": []}
    assert report.connected
    assert [step.stage for step in tap.steps] == [
        "mcp-challenge", "prm-discovery", "as-discovery", "client-registration", "authorization-request",
        "token-request", "mcp-initialize", "mcp-request",
    ]  # fmt: skip
    assert tap.listeners == {"http://as.test": SECOND}
    assert [note for note in tap.notes if "public name" in note] == []
    # The browser goes to the real login page, and straight to the client.
    assert [urlsplit(url).netloc for url in client.visited] == ["as.tunnel.test", "as.test", "claude.ai"]


async def test_the_client_never_hears_a_local_name_and_the_server_never_a_public_one() -> None:
    async with watched(NAME, SECOND) as (server, tap, client):
        await client.signed_in()
    told, came = "\n".join(client.told), "\n".join(one.text for one in server.came)
    assert "localhost" not in told
    assert "127.0.0.1" not in told
    assert "tunnel.test" not in came
    assert "localhost" not in came
    assert not {"x-forwarded-host", "x-forwarded-for", "forwarded"} & {
        name for one in server.came for name in one.headers
    }
    judged = "\n".join(exchange.model_dump_json() for exchange in tap.exchanges)
    assert "tunnel.test" not in judged
    assert {exchange.connection for exchange in tap.exchanges} == {None}


async def test_with_relay_the_way_back_leads_through_the_tunnel_and_iss_is_what_the_client_was_told() -> None:
    async with watched(NAME, SECOND, callback="https://claude.ai/api/mcp/auth_callback") as (server, tap, client):
        await client.signed_in()
        report = build(tap.tap)
    assert report.connected
    assert client.iss_as_told
    assert "authorization-response" in [step.stage for step in tap.steps]
    sent = json.loads(next(one.body for one in server.came if one.target == "/tenant/register"))
    assert sent["redirect_uris"] == [NAME + PUBLIC_PATH]
    assert [urlsplit(url).netloc for url in client.visited] == [
        "as.tunnel.test", "as.test", "tap.tunnel.test", "claude.ai",
    ]  # fmt: skip


async def test_without_a_second_name_the_client_is_sent_to_the_real_server_and_what_is_missing_is_said() -> None:
    async with watched(NAME) as (_, tap, client):
        prm, asm = await client.discovered()
        local = f"http://localhost:{dict(tap.addon.origins.ports)['http://as.test']}"
    assert prm == {"resource": TYPED, "authorization_servers": [ISSUER]}
    assert asm == SERVER
    assert "localhost" not in "\n".join(client.told)
    (sentence,) = (note for note in tap.notes if "no public name" in note)
    assert "http://as.test has no public name" in sentence
    assert f"--public-url {local}=https://NAME-OF-THE-SECOND-TUNNEL" in sentence
    assert tap.tap.notes == [sentence], "the session keeps it, and the report speaks of it"


async def test_the_port_that_was_named_is_the_one_of_the_next_run(tmp_path: Path) -> None:
    first = free_port()
    async with upstream(PATHS) as server:
        async with tapped(server, port=first, public={first: NAME}, state=tmp_path) as tap:
            await tap.client.get(f"http://localhost:{first}{PRM}")
            port = tap.addon.origins.ports["http://as.test"]
        async with tapped(server, port=first, public={first: NAME, port: SECOND}, state=tmp_path) as tap:
            told = (await tap.client.get(f"http://localhost:{first}{PRM}")).json()
    assert told["authorization_servers"] == [f"{SECOND}/tenant"]
    assert [note for note in tap.notes if "public name" in note] == []


# --- and nobody else gets anywhere


@pytest.mark.parametrize(
    "host", ["evil.example", "as.tunnel.test", "tap.tunnel.test.evil.example", "tap.tunnel.test:81"]
)
async def test_a_host_that_is_no_public_name_of_the_port_is_refused(host: str) -> None:
    async with watched(NAME, SECOND) as (server, tap, _):
        answer = await tap.client.get(f"http://localhost:{tap.settings.port}/mcp", headers={"Host": host})
        assert answer.status_code == 421
        assert NAME in answer.json()["error_description"]
        # A tunnel that rewrites Host is told of at once: it is else silent, and no client has come.
        (sentence,) = tap.notes
        assert host in sentence
        assert "keep the public name" in sentence
    assert server.came == []


@pytest.mark.parametrize("path", ["/admin", "/", "/mcp/../admin", "/mcp2", "/MCP", "/%61dmin", "/api/mcp", "//admin"])
async def test_a_path_that_nothing_named_goes_no_further(path: str) -> None:
    async with watched(NAME) as (server, tap, client):
        await client.discovered()
        before = len(server.came)
        reader, writer = await asyncio.open_connection("127.0.0.1", tap.settings.port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: tap.tunnel.test\r\nConnection: close\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        steps = len(tap.steps)
    assert answer.startswith("HTTP/1.1 404")
    assert "not-of-this-sign-in" in answer
    assert len(server.came) == before
    assert steps == 2, "it is no part of the recording"
    assert len([note for note in tap.notes if "came by the tunnel" in note]) == 1


async def test_a_scanner_is_spoken_of_once() -> None:
    async with watched(NAME) as (server, tap, client):
        for number in range(20):
            assert (await client.get("GET", f"{NAME}/{number}.php")).status_code == 404
    assert server.came == []
    assert len(tap.notes) == 1


@pytest.mark.parametrize("path", ["/token", "/.well-known/openid-configuration/mcp", "/mcp/", "/mcp?x=1"])
async def test_what_clients_guess_and_the_servers_own_documents_are_asked_for(path: str) -> None:
    async with watched(NAME) as (server, _, client):
        await client.get("GET", NAME + path)
    assert [came.target for came in server.came] == [path]


async def test_a_place_that_an_answer_leads_to_is_open_from_then_on() -> None:
    async def stream(came: Came, writer: Any) -> None:
        data = b"event: endpoint\ndata: /messages?session_id=abc\n\n"
        head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {len(data)}\r\n\r\n"
        writer.write(head.encode() + data)

    paths = {"/mcp": stream, "/messages": said(202), "/mcp/": said(200), "/old": said(200)}
    async with watched(NAME, paths=paths) as (_, _tap, client):
        assert (await client.get("POST", f"{NAME}/messages?session_id=abc")).status_code == 404
        await client.get("GET", TYPED, headers={"Accept": "text/event-stream"})
        assert (await client.get("POST", f"{NAME}/messages?session_id=abc")).status_code == 202


async def test_it_listens_on_this_machine_only() -> None:
    async with watched(NAME) as (_, tap, _client):
        for own in {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}:
            if not str(own).startswith("127."):
                with pytest.raises(OSError, match="refused"):
                    await asyncio.open_connection(str(own), tap.settings.port)


# --- the flag


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ([], {}),
        ([NAME], {8080: NAME}),
        ([f"{NAME}/"], {8080: NAME}),
        (["HTTPS://Tap.Tunnel.test:443/mcp"], {8080: NAME}),
        ([NAME, f"http://localhost:8082={SECOND}"], {8080: NAME, 8082: SECOND}),
        ([f"8082={SECOND}", f"localhost:8080={NAME}"], {8080: NAME, 8082: SECOND}),
        ([f"http://127.0.0.1:8082/={SECOND}/", NAME], {8080: NAME, 8082: SECOND}),
    ],
)
def test_what_the_flag_means(given: list[str], found: dict[int, str]) -> None:
    assert public_url.names(given, 8080, "https://mcp.example.com/mcp") == found


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["tap.tunnel.test"], "is no public URL. Try: --public-url https://"),
        ([f"{NAME}/other"], f"Try: --public-url {NAME}"),
        (["http://localhost:9000"], "is this machine"),
        (["https://mcp.example.com"], "is the server itself"),
        ([NAME, SECOND], "two public names for local port 8080"),
        ([NAME, f"8082={NAME}"], "Try: a second tunnel"),
        ([f"8082={SECOND}"], "(local port 8080) has no public name"),
    ],
)
def test_what_cannot_be_is_one_sentence_that_ends_in_what_to_type(given: list[str], words: str) -> None:
    with pytest.raises(public_url.PublicUrlError, match=r"Try: ") as problem:
        public_url.names(given, 8080, "https://mcp.example.com/mcp")
    assert words in str(problem.value)


def test_the_command_says_what_to_do_and_what_a_success_does_not_prove(tmp_path: Path) -> None:
    with started("http://mcp.test/mcp", "--public-url", NAME, home=tmp_path) as tap:
        assert tap.end() == 3
    assert f"  {TYPED}\n  forwards to http://mcp.test/mcp" in tap.said
    assert f"Point your tunnel at http://localhost:{tap.port}" in tap.said
    assert tap.said.count(public_url.FIREWALL) == 1
    assert public_url.FIREWALL in tap.report["notes"]
    again = call("check", tap.session, "--format", "json", home=tmp_path)
    assert json.loads(again.stdout) == tap.report


def test_a_wrong_name_is_wrong_usage(tmp_path: Path) -> None:
    ran = call("--upstream", "http://mcp.test/mcp", "--public-url", "tap", home=tmp_path)
    assert ran.returncode == 2
    assert "tap is no public URL. Try: --public-url https://NAME-OF-YOUR-TUNNEL" in ran.stderr
