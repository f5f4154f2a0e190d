"""mitmweb's addons rest until a browser asks for something, and are then as they always are."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from mitmproxy import ctx, http
from mitmproxy.addonmanager import traverse
from mitmproxy.addons import default_addons
from mitmproxy.test import tflow
from mitmproxy.tools.web import app, webaddons

from oauthtap.proxy.resting_addons import RestingAddons
from oauthtap.proxy.sent_flows import SentFlows
from oauthtap.proxy.web import FlowLimit
from oauthtap.redaction.redactor import Redactor
from tests.proxy.test_start import name_of
from tests.support.tapped import Tapped, document, free_port, tapped, upstream

PAGES: dict[str, Any] = {"/ok": document({"fine": True}), "/mcp": document({})}


@asynccontextmanager
async def watched() -> AsyncIterator[Tapped]:
    async with upstream(PAGES) as server, tapped(server, web=True, web_port=free_port()) as tap:
        yield tap


@asynccontextmanager
async def browser(tap: Tapped) -> AsyncIterator[httpx.AsyncClient]:
    assert tap.web_url
    address, _, token = tap.web_url.partition("?")
    async with httpx.AsyncClient(base_url=address, trust_env=False) as page:
        assert (await page.get(f"/?{token}")).status_code == 200
        page.cookies.set("_mitmproxy_xsrf", "aaaaaaaa")
        page.headers["X-XSRFToken"] = "aaaaaaaa"
        yield page


def there() -> set[str]:
    return {name_of(addon) for addon in traverse(ctx.master.addons.chain)}


async def test_nobody_is_shown_anything_before_somebody_looks() -> None:
    async with watched() as tap:
        assert there().isdisjoint({"view", "save", "modifyheaders"})
        for _ in range(3):
            await tap.client.get(f"{tap.origin}/ok")
        assert len(ctx.master.view) == 0
        async with browser(tap) as page:
            flows = (await page.get("/flows")).json()
        every = {name_of(addon) for addon in [*default_addons(), webaddons.WebAddon(), webaddons.WebAuth()]}
        assert every <= there()
    assert [flow["id"] for flow in flows] == [flow.id for flow in tap.flows]
    assert all(flow["comment"] and flow["response"]["status_code"] == 200 for flow in flows)


async def test_what_came_before_is_told_to_no_browser_flow_by_flow(monkeypatch: Any) -> None:
    told: list[str] = []
    monkeypatch.setattr(app.ClientConnection, "broadcast_flow", lambda kind, flow: told.append(flow.request.path))
    async with watched() as tap:
        await tap.client.get(f"{tap.origin}/ok")
        async with browser(tap):
            assert told == []
            await tap.client.get(f"{tap.origin}/ok?later")
    assert set(told) == {"/ok?later"}


async def test_an_option_that_is_set_in_the_browser_works_and_is_there_once(caplog: pytest.LogCaptureFixture) -> None:
    async with upstream(PAGES) as server, tapped(server, web=True, web_port=free_port()) as tap:
        async with browser(tap) as page:
            await tap.client.get(f"{tap.origin}/ok", headers={"If-None-Match": '"before"'})
            assert (await page.put("/options", json={"anticache": True})).status_code == 200
        await tap.client.get(f"{tap.origin}/ok", headers={"If-None-Match": '"after"'})
    assert [came.headers.get("if-none-match") for came in server.came] == ['"before"', None]
    assert "existing option" not in caplog.text


async def test_a_flow_that_ends_after_somebody_looked_is_shown_whole() -> None:
    async with watched() as tap:
        flow = tflow.tflow(resp=True)
        ctx.master.addons.get(RestingAddons.name).requestheaders(flow)
        async with browser(tap) as page:
            assert (await page.get("/flows")).json()[0]["id"] == flow.id
            flow.comment = "ended"
            ctx.master.view.response(flow)
            assert (await page.get("/flows")).json()[0]["comment"] == "ended"


def test_as_many_flows_are_kept_as_mitmweb_shows() -> None:
    class Chain:
        def get(self, name: str) -> object:
            return name

        def remove(self, addon: object) -> None: ...

    master: Any = SimpleNamespace(addons=Chain())
    resting = RestingAddons(master)
    limit, flows = FlowLimit(SentFlows(Redactor()), resting), list[http.HTTPFlow]()
    for number in range(2300):
        flow = http.HTTPFlow(tflow.tclient_conn(), tflow.tserver_conn())
        flow.request = http.Request.make("GET", "http://a.example/")
        flow.marked = ":x:" if number == 5 else ""
        flow.request.timestamp_start = time.time()
        flows.append(flow)
        resting.requestheaders(flow)
        limit.response(flow)
    assert resting.unmarked() == flows[-2000:]
