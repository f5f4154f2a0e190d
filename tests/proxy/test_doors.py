"""Never an open relay: what a running tap listens on, answers to, and opens a way to. And how it starts."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from pathlib import Path
from typing import Any

import httpx
import pytest

from oauthtap.proxy.port_store import CALLBACK, Ports
from oauthtap.proxy.settings import StartupError
from tests.support.tapped import document, free_port, said, tapped, upstream

PRM = "/.well-known/oauth-protected-resource"


def naming(*servers: str) -> dict[str, Any]:
    return {PRM: document({"resource": "http://mcp.test/mcp", "authorization_servers": list(servers)})}


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost", "localhost.evil.example:{port}", "mcp.test", "127.0.0.2:{port}"]
)
async def test_another_host_name_is_refused(host: str) -> None:
    async with upstream({"/mcp": said(200, "secret")}) as server, tapped(server) as tap:
        answer = await tap.client.get(tap.url, headers={"Host": host.format(port=tap.settings.port)})
        assert answer.status_code == 421
        assert tap.origin in answer.json()["error_description"]
    assert server.came == []
    assert tap.steps == []


async def test_an_absolute_request_target_leads_nowhere_else() -> None:
    async with upstream({"/mcp": said(200, "hi")}) as server, tapped(server) as tap:
        reader, writer = await asyncio.open_connection("127.0.0.1", tap.settings.port)
        host = f"Host: localhost:{tap.settings.port}"
        writer.write(f"GET http://evil.example/mcp HTTP/1.1\r\n{host}\r\n\r\n".encode())
        await reader.readline()
        writer.close()
    assert [came.headers["host"] for came in server.came] in ([], ["mcp.test"])


async def test_it_listens_on_loopback_only() -> None:
    async with upstream({}) as server, tapped(server) as tap:
        for own in {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None, socket.AF_INET)}:
            if not own.startswith("127."):
                with pytest.raises(OSError, match="refused"):
                    await asyncio.open_connection(own, tap.settings.port)


async def test_both_loopback_addresses_answer() -> None:
    async with upstream({"/mcp": said(200, "hi")}) as server, tapped(server) as tap:
        for host in ("127.0.0.1", "[::1]"):
            assert (await tap.client.get(f"http://{host}:{tap.settings.port}/mcp")).text == "hi"


@pytest.mark.parametrize(
    "named",
    [
        "http://169.254.169.254/latest",
        "http://[fd00:ec2::254]/x",
        "http://metadata.google.internal/computeMetadata",
        "http://127.0.0.1:6379/",
        "http://0x7f000001/",
        "http://2130706433/",
        "http://[::ffff:10.0.0.1]/",
        "http://10.1.2.3/as",
        "http://192.168.1.1/as",
        "http://localhost:9200/as",
        "http://router/as",
        "http://as.internal/",
        "file:///etc/passwd",
    ],
)
async def test_a_public_server_opens_no_way_into_this_network(named: str) -> None:
    async with upstream(naming(named)) as server, tapped(server) as tap:
        told = (await tap.client.get(tap.origin + PRM)).json()
    assert told["authorization_servers"] == [named]
    assert tap.listeners == {}


async def test_the_person_may_allow_private_addresses_but_no_metadata_service() -> None:
    async with (
        upstream(naming("http://10.1.2.3", "http://169.254.169.254")) as server,
        tapped(server, allow_private=True) as tap,
    ):
        await tap.client.get(tap.origin + PRM)
    assert set(tap.listeners) == {"http://10.1.2.3"}


async def test_a_public_name_that_resolves_to_this_machine_gets_no_request(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[bytes] = []

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))

    inner = await asyncio.start_server(one, "127.0.0.1", 0)
    there = f"http://inner.example.com:{inner.sockets[0].getsockname()[1]}"
    resolve = socket.getaddrinfo

    def resolver(host: str, *rest: Any, **more: Any) -> Any:
        return resolve("127.0.0.1" if host == "inner.example.com" else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolver)
    async with upstream(naming(there)) as server:
        flags = {"upstream": server.origin() + "/mcp", "connect_to": (f"mcp.test::127.0.0.1:{server.port}",)}
        async with tapped(**flags) as tap:
            local = (await tap.client.get(tap.origin + PRM)).json()["authorization_servers"][0]
            assert local != there
            with pytest.raises(httpx.RemoteProtocolError):
                await tap.client.get(local)
            assert "on this machine or this network" in (tap.exchanges[-1].error or "")
    inner.close()
    assert b"".join(heard) == b""


async def test_an_upstream_on_this_machine_may_name_its_neighbours() -> None:
    async with upstream(naming("http://127.0.0.1:9", "http://localhost:10")) as server:
        async with tapped(upstream=f"http://127.0.0.1:{server.port}/mcp") as tap:
            await tap.client.get(tap.origin + PRM)
        assert set(tap.listeners) == {"http://127.0.0.1:9", "http://localhost:10"}


async def test_a_document_that_names_too_many_origins_does_not_take_every_port() -> None:
    async with upstream(naming(*(f"http://as{n}.test" for n in range(60)))) as server, tapped(server) as tap:
        await tap.client.get(tap.origin + PRM)
    assert len(tap.listeners) == 15
    assert "16 origins are open already" in " ".join(tap.notes)


async def test_a_server_that_names_the_tap_itself_gets_no_second_port() -> None:
    port = free_port()
    async with upstream(naming(f"http://localhost:{port}")) as server, tapped(server, port=port) as tap:
        told = (await tap.client.get(tap.origin + PRM)).json()
    assert told["authorization_servers"] == [f"http://localhost:{port}"]
    assert tap.listeners == {}


async def test_twenty_clients_at_once_open_one_port_per_origin() -> None:
    async with upstream(naming("http://as.test/a", "http://as.test/b")) as server, tapped(server) as tap:
        answers = await asyncio.gather(*(tap.client.get(tap.origin + PRM) for _ in range(20)))
    named = {name for answer in answers for name in answer.json()["authorization_servers"]}
    assert len(named) == 2
    assert set(tap.listeners) == {"http://as.test"}


# --- starting


async def test_a_port_in_use_is_named_with_the_next_free_one() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(StartupError, match=rf"port {port} is in use\. Try: --port \d+"):
            async with tapped(upstream="http://mcp.test/mcp", port=port):
                pass


async def test_a_ca_that_is_none_is_said_so() -> None:
    with pytest.raises(StartupError, match="holds no certificate"):
        async with tapped(upstream="http://mcp.test/mcp", ca=__file__):
            pass


async def test_ports_that_are_taken_are_passed_over() -> None:
    first = free_port(in_a_row=2)
    with socket.socket() as other:
        other.bind(("127.0.0.1", first + 1))
        other.listen()
        async with upstream(naming("http://as.test")) as server, tapped(server, port=first) as tap:
            await tap.client.get(tap.origin + PRM)
        assert tap.addon.relay.port != first + 1
        assert tap.listeners["http://as.test"] != f"http://localhost:{first + 1}"


def test_ports_are_the_same_in_the_next_run(tmp_path: Path) -> None:
    def run(*origins: str) -> list[int]:
        ports = Ports(tmp_path, "https://mcp.example.com", 28400)
        chosen = [ports.choose(origin) for origin in origins]
        ports.remember(["mark"])
        return chosen

    callback, one, other = run(CALLBACK, "https://a.example", "https://b.example")
    assert run("https://b.example", "https://a.example", CALLBACK) == [other, one, callback]
    assert run("https://c.example")[0] not in (one, other, callback)


def test_each_upstream_has_ports_of_its_own(tmp_path: Path) -> None:
    for upstream_origin in ("https://a.example", "https://b.example"):
        ports = Ports(tmp_path, upstream_origin, 28450)
        ports.choose("https://as.example")
        ports.remember()
    kept = json.loads((tmp_path / "ports.json").read_text())
    assert len(kept) == 2
    assert stat.S_IMODE((tmp_path / "ports.json").stat().st_mode) == 0o600


def test_a_broken_memory_is_no_reason_to_stop(tmp_path: Path) -> None:
    (tmp_path / "ports.json").write_text('{"https://a.example 28470": {"ports": {"https://as.example": "x"}}, ')
    assert Ports(tmp_path, "https://a.example", 28470).choose("https://as.example") > 28470


def test_a_server_on_this_machine_keeps_its_own_port(tmp_path: Path) -> None:
    ports = Ports(tmp_path, "http://localhost:3000", 28490)
    assert ports.choose("http://localhost:28491") != 28491
