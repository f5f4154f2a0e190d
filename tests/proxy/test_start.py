"""A start: what is said when, which addon stands where, and a client that is quicker than the last addon."""

from __future__ import annotations

import asyncio
import socket
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from mitmproxy import ctx
from mitmproxy.addonmanager import traverse
from mitmproxy.addons import default_addons

from oauthtap.cli.console_output import ConsoleReporter
from oauthtap.proxy import master
from oauthtap.proxy.settings import StartupError
from tests.support.tapped import document, free_port, said, tapped, upstream

PAGES: dict[str, Any] = {"/mcp": said(401, www_authenticate='Bearer error="unauthorized"'), "/ok": document({})}


def name_of(addon: Any) -> str:
    return str(getattr(addon, "name", type(addon).__name__.lower()))


@pytest.mark.parametrize("web", [False, True])
async def test_our_addons_stand_before_those_that_save_or_show(web: bool) -> None:
    async with upstream(PAGES) as server, tapped(server, web=web, web_port=free_port()) as tap:
        names = [name_of(addon) for addon in traverse(ctx.master.addons.chain)]
        if tap.web_url:
            await tap.client.get(tap.web_url)
        later = [name_of(addon) for addon in traverse(ctx.master.addons.chain)]
    stock = [name_of(addon) for addon in default_addons()]
    assert [name for name in names if name in stock] == [name for name in stock if name in names]
    assert names[-1] == "oauthtap_ready"
    assert names == [name for name in later if name in names]
    names, later = later, ["nextlayer", "proxyserver", *(["save", "view"] if web else [])]
    assert all(names.index("oauthtap") < names.index(name) for name in later)
    assert len(names) == len(set(names))


async def test_a_client_that_comes_before_the_addons_are_ready_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    came: list[asyncio.Task[httpx.Response]] = []
    running = master.Ready.running
    port = free_port()

    async def late(self: master.Ready) -> None:
        came.append(asyncio.ensure_future(client.get(f"http://localhost:{port}/ok")))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(came[0]), 0.3)
        running(self)

    monkeypatch.setattr(master.Ready, "running", late)
    client = httpx.AsyncClient(trust_env=False, timeout=10)
    async with client, upstream(PAGES) as server, tapped(server, port=port) as tap:
        assert (await came[0]).status_code == 200
        assert [step.exchange.status for step in tap.steps] == [200]


async def test_a_client_that_left_before_the_addons_are_ready_does_not_end_the_start(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running, port = master.Ready.running, free_port()

    async def late(self: master.Ready) -> None:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.sleep(0.1)
        writer.close()
        await asyncio.sleep(0.1)
        running(self)

    monkeypatch.setattr(master.Ready, "running", late)
    async with upstream(PAGES) as server, tapped(server, port=port) as tap:
        assert (await tap.client.get(f"{tap.origin}/ok")).status_code == 200


async def test_a_web_port_that_is_taken_meanwhile_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oauthtap.proxy.port_store.check", lambda *_, **__: None)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        async with upstream(PAGES) as server:
            with pytest.raises(StartupError, match=f"Web server failed to listen on .*:{port}"):
                async with tapped(server, web=True, web_port=port):
                    pass


def test_the_banner_comes_before_what_was_said_meanwhile(tmp_path: Path) -> None:
    out = StringIO()
    narrator = ConsoleReporter(out)
    narrator.warn("before")
    narrator.hold()
    narrator.warn("meanwhile")
    narrator.ready("http://localhost:8080/mcp", "https://mcp.example.com/mcp", None, tmp_path)
    narrator.warn("after")
    said = out.getvalue()
    places = [said.index(word) for word in ("before", "http://localhost:8080", "meanwhile", "after")]
    assert places == sorted(places)
