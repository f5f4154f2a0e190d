"""The report while it grows: behind mitmweb's password, pushed to whoever looks, and no cost while nobody does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mitmproxy import ctx
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.websocket import websocket_connect

from oauthtap.clients import profiles
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.model.exchange import Exchange, Request, Response
from oauthtap.proxy.live_page import LivePageServer
from oauthtap.render.html import live as drawing
from oauthtap.report.build import build
from tests.support.clients import installed
from tests.support.tapped import Tapped, document, free_port, said, tapped, upstream
from tests.unit.render.test_html import Page, chromium

TOKEN = "tok_canary_0123456789abcdef"
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)>\u202eevil"
PAGES: dict[str, Any] = {
    "/mcp": said(401, EVIL, www_authenticate='Bearer error="</script><script>alert(3)</script>"'),
    "/.well-known/oauth-protected-resource": document({"resource": EVIL, "authorization_servers": []}),
    "/token": document({"access_token": TOKEN, "token_type": "Bearer"}),
}


@contextlib.asynccontextmanager
async def watched() -> AsyncIterator[tuple[Tapped, str, str]]:
    """A tap with mitmweb; the live page's address and its token."""
    async with upstream(PAGES) as server, tapped(server, web=True, web_port=free_port()) as tap:
        base, _, query = (tap.web_url or "").partition("?")
        yield tap, f"{base}oauthtap/", query


async def visit(tap: Tapped, *paths: str) -> None:
    for path in paths:
        await tap.client.get(tap.origin + path)


class Pushed:
    """A page that is open, without a browser."""

    def __init__(self, socket: Any) -> None:
        self.socket = socket

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(10):
            news: dict[str, Any] = json.loads(await self.socket.read_message())
            return news


@contextlib.asynccontextmanager
async def opened(page: str, query: str, has: dict[str, str]) -> AsyncIterator[Pushed]:
    socket = await websocket_connect(f"{page.replace('http', 'ws', 1)}updates?{query}")
    await socket.write_message(json.dumps(has))
    try:
        yield Pushed(socket)
    finally:
        socket.close()


async def test_without_its_token_the_page_says_what_to_do() -> None:
    async with watched() as (tap, page, query):
        for path in ("", "page.css", "page.js", "live.js", "updates"):
            refused = await tap.client.get(page + path)
            assert refused.status_code == 403, path
            assert "needs its token" in refused.text
        wrong = await tap.client.get(f"{page}?token=guess")
        assert wrong.status_code == 403
        assert "not the right one" in wrong.text
        with pytest.raises(HTTPClientError, match="403"):
            await websocket_connect(f"{page.replace('http', 'ws', 1)}updates")
        foreign = HTTPRequest(f"{page.replace('http', 'ws', 1)}updates?{query}", headers={"Origin": "http://a.test"})
        with pytest.raises(HTTPClientError, match="403"):
            await websocket_connect(foreign)


async def test_the_page_shows_the_session_so_far_and_upstream_text_is_text() -> None:
    async with watched() as (tap, page, query):
        before = await tap.client.get(f"{page}?{query}")
        assert before.status_code == 200
        assert "first request." in before.text
        await visit(tap, "/mcp", "/.well-known/oauth-protected-resource", "/token")
        text = (await tap.client.get(page)).text  # the cookie opens it now
    seen = Page(text)
    assert [row["id"] for row in seen.all("details") if row.get("id")] == ["x1", "x2", "x3"]
    assert not [name for name, _ in seen.elements if name in ("img", "style", "iframe", "form")]
    assert [one["src"] for one in seen.all("script")] == ["/oauthtap/page.js", "/oauthtap/live.js"]
    assert not [key for _, members in seen.elements for key in members if key.startswith("on") or key == "style"]
    assert "&lt;script&gt;alert(1)" in text
    assert "\u202e" not in text
    assert TOKEN not in text


async def test_nothing_inline_may_run_and_nothing_comes_from_outside() -> None:
    async with watched() as (tap, page, query):
        answer = await tap.client.get(f"{page}?{query}")
        policy = answer.headers["content-security-policy"]
        assert answer.headers.get_list("content-security-policy") == [policy]
        assert policy.startswith("default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'")
        assert "unsafe" not in policy
        assert answer.headers["referrer-policy"] == "no-referrer"
        for address in re.findall(r'(?:src|href)="(/oauthtap/(?:page|live)[^"]+)"', answer.text):
            got = await tap.client.get(page.removesuffix("/oauthtap/") + address)
            assert got.status_code == 200
            assert got.headers["content-type"].startswith("text/css" if ".css" in address else "text/javascript")


async def test_what_is_new_is_pushed_and_nothing_else() -> None:
    async with watched() as (tap, page, query):
        await visit(tap, "/mcp")
        async with opened(page, query, {}) as browser:
            first = await browser.next()
            assert first["order"] == ["x1"]
            assert {"head", "lanes", "below", "x1"} == set(first["pieces"])
            await visit(tap, "/token")
            second = await browser.next()
        assert second["order"] == ["x1", "x2"]
        assert "x2" in second["pieces"]
        assert "x1" not in second["pieces"]
        assert "<script" not in "".join(first["pieces"].values())
        assert TOKEN not in json.dumps(second)
        async with opened(page, query, {**first["digests"], **second["digests"]}) as again:
            assert not set((await again.next())["pieces"]) & {"x1", "x2", "lanes"}


async def test_older_rows_come_when_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "NEWEST", 2)
    async with watched() as (tap, page, query):
        await visit(tap, *(f"/nothing/{number}" for number in range(5)), "/token")
        text = (await tap.client.get(f"{page}?{query}")).text
        assert re.findall(r'id="(x\d+)"', text)[-2:] == ["x5", "x6"]
        assert 'data-total="6"' in text
        older = await tap.client.get(f"{page}rows?before=5")
        assert re.findall(r'id="(x\d+)"', older.text) == ["x3", "x4"]
        assert (await tap.client.get(f"{page}rows?before=x5")).status_code == 400
        assert (await httpx.AsyncClient().get(f"{page}rows?before=5")).status_code == 403


async def test_many_requests_at_once_are_few_updates() -> None:
    async with watched() as (tap, page, query):
        async with opened(page, query, {}) as browser:
            await browser.next()
            await asyncio.gather(*(visit(tap, f"/nothing/{number}") for number in range(30)))
            updates = 1
            while len((await browser.next())["order"]) < 30:
                updates += 1
        assert updates <= 4


async def test_nothing_is_computed_while_nobody_looks() -> None:
    async with watched() as (tap, page, query):
        live: LivePageServer = ctx.master.addons.get("oauthtap_live")
        await visit(tap, "/mcp", "/token")
        assert live.looks == 0
        async with opened(page, query, {}) as browser:
            await browser.next()
        await asyncio.sleep(1.2)
        looked = live.looks
        await visit(tap, "/mcp", "/token")
        await asyncio.sleep(1.2)
        assert live.looks == looked


async def test_nonsense_over_the_socket_closes_it() -> None:
    async with watched() as (_, page, query):
        socket = await websocket_connect(f"{page.replace('http', 'ws', 1)}updates?{query}")
        await socket.write_message("[1]")
        async with asyncio.timeout(10):
            assert await socket.read_message() is None
        assert socket.close_code == 1003


def test_our_own_look_is_no_verdict_as_long_as_the_client_sent_nothing() -> None:
    tap, page = SessionAnalyzer(resource="https://mcp.example.com/mcp"), drawing.LivePage()
    request = Request(method="POST", url="https://mcp.example.com/mcp")
    tap.add(Exchange(request=request, response=Response(status=401), actor="reporter"))
    head = drawn(page, build(tap), [step.exchange for step in tap.steps])[1].pieces["head"]
    assert "Waiting for the client" in head
    assert "Cause" not in head
    tap.add(Exchange(request=request, response=Response(status=401)))
    state = drawn(page, build(tap), [step.exchange for step in tap.steps])[1]
    assert "could not sign in" in state.pieces["head"]


def test_a_long_session_shows_its_newest_and_the_broken_one() -> None:
    tap = SessionAnalyzer(resource="https://mcp.example.com/mcp", profiles=profiles())
    for number in range(drawing.NEWEST + 100):
        request = Request(method="GET", url=f"https://mcp.example.com/.well-known/{number}")
        tap.add(Exchange(request=request, response=Response(status=404), started_at=1767229200.0 + number))
    page = drawing.LivePage()
    report, exchanges = build(tap), [step.exchange for step in tap.steps]
    state = drawn(page, report, exchanges)[1]
    count = len(state.order)
    assert count in (drawing.NEWEST, drawing.NEWEST + 1)
    assert state.order[-1] == f"x{drawing.NEWEST + 100}"
    assert f"newest {drawing.NEWEST} of {drawing.NEWEST + 100} exchanges" in state.pieces["below"]
    assert state.total == drawing.NEWEST + 100
    broken = report.cause.exchange if report.cause else None
    assert broken is None or f"x{broken}" in state.order
    assert drawn(page, report, exchanges)[0] == 0, "a row that is the same is not drawn again"


def drawn(page: drawing.LivePage, report: Any, exchanges: Any) -> tuple[int, drawing.Pieces]:
    """How many rows had to be drawn, and the page."""
    steps, count = page.draw(report, exchanges), 0
    while True:
        try:
            next(steps)
            count += 1
        except StopIteration as done:
            return count, done.value


@pytest.mark.browser
async def test_a_browser_keeps_what_the_reader_has_in_hand(tmp_path: Path) -> None:
    modules = installed.from_npm("page", "playwright-core@1", "axe-core@4")
    program = Path(__file__).parents[1] / "support" / "browser" / "live.mjs"
    async with watched() as (tap, page, query):
        await visit(tap, "/mcp", *(f"/nothing/{number}" for number in range(20)))
        command = ["node", str(program), str(modules), chromium(), f"{page}?{query}", tap.origin, str(tmp_path)]
        running = asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, timeout=120, check=False)
        done = await running
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout)
    assert seen["rows"] == {"before": 21, "after": 29}
    assert seen["open"] == {"x5": True, "x6": False}
    assert seen["focus"] == {"before": "x5", "after": "x5"}
    assert abs(seen["moved"]) <= 1
    assert seen["status"] == "Live, 29 exchanges so far. The verdict may still change."
    assert seen["key"] == "x6", "arrow keys know the new rows"
    assert seen["last"] == "x29"
    assert seen["dialogs"] == []
    assert seen["console"] == []
    assert seen["violations"] == [], "\n".join(seen["violations"])
    assert seen["outside"] == []
