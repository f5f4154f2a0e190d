"""mitmweb in front of a tap: its password, its marks, its view, and that it saves no secret."""

from __future__ import annotations

import asyncio
import io
import json
import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from mitmproxy import ctx, http
from mitmproxy.contentviews import Metadata
from mitmproxy.io import FlowReader
from mitmproxy.test import tflow
from tornado.httputil import HTTPServerRequest

from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.findings import Finding
from oauthtap.handshake.stages import Challenge, ServerMetadata, Stage
from oauthtap.model.exchange import Exchange, Request, Response
from oauthtap.proxy import contentview
from oauthtap.proxy.flow_annotations import annotate, comment
from oauthtap.proxy.flow_state import redact
from oauthtap.proxy.sent_flows import SentFlows
from oauthtap.proxy.web import ExportWhileUnsent, FlowLimit
from oauthtap.redaction.redactor import Redactor
from tests.support.tapped import Came, Tapped, document, free_port, said, tapped, upstream

PRM = "/.well-known/oauth-protected-resource"
TOKEN = "tok_canary_0123456789abcdef"
PAGES: dict[str, Any] = {
    "/mcp": said(401, www_authenticate='Bearer error="unauthorized"'),
    PRM: document({"resource": "http://other.test/", "authorization_servers": []}),
    "/token": document({"access_token": TOKEN, "token_type": "Bearer"}),
}


async def browser(tap: Tapped) -> httpx.AsyncClient:
    """A client that has opened the page with the printed address."""
    assert tap.web_url is not None
    client = httpx.AsyncClient(base_url=tap.web_url.split("?")[0], trust_env=False)
    assert (await client.get(f"/?{tap.web_url.split('?')[1]}")).status_code == 200
    return client


async def visited(tap: Tapped) -> None:
    await tap.client.post(tap.url, json={"jsonrpc": "2.0", "id": 1, "method": "initialize"})
    await tap.client.get(tap.origin + PRM)
    form = {"grant_type": "authorization_code", "code": "code_canary_0123456789"}
    await tap.client.post(f"{tap.origin}/token", data=form)


async def test_mitmweb_asks_for_its_password() -> None:
    async with upstream(PAGES) as server, tapped(server, web=True, web_port=free_port()) as tap:
        assert tap.web_url is not None
        base = tap.web_url.split("?")[0]
        assert (await tap.client.get(f"{base}flows")).status_code == 403
        assert (await tap.client.get(f"{base}?token=guess")).status_code == 403
        await (await browser(tap)).aclose()


async def test_the_password_is_the_same_in_the_next_run(tmp_path: Path) -> None:
    urls = []
    for _ in range(2):
        async with upstream(PAGES) as server, tapped(server, web=True, web_port=free_port(), state=tmp_path) as tap:
            urls.append((tap.web_url or "").split("?")[1])
    assert urls[0] == urls[1]
    assert stat.S_IMODE((tmp_path / "web-token").stat().st_mode) == 0o600


async def test_flows_carry_verdict_marker_and_words_to_filter_by() -> None:
    async with upstream(PAGES) as server, tapped(server, web=True, web_port=free_port()) as tap:
        await visited(tap)
        page = await browser(tap)
        flows = (await page.get("/flows")).json()
        await page.aclose()
        challenge = next(flow for flow in tap.flows if flow.request.path == "/mcp")
    by_path = {flow["request"]["path"]: flow for flow in flows}
    assert set(by_path) == {"/mcp", PRM, "/token"}
    worst = challenge.metadata["oauthtap_findings"].split()[0].partition(":")[2]
    assert by_path["/mcp"]["comment"].startswith(f"{worst} · mcp-challenge\n")
    assert "warning: " in by_path["/mcp"]["comment"]
    assert challenge.marked in (":x:", ":warning:")
    assert by_path["/mcp"]["request"]["pretty_host"] == "mcp.test"
    assert "challenge-error-code-unknown" in challenge.metadata["oauthtap_findings"]
    assert challenge.metadata["oauthtap_stage"] == "mcp-challenge"


async def test_the_view_opens_by_itself_on_a_flow_with_findings() -> None:
    async with upstream(PAGES) as server, tapped(server, web=True, web_port=free_port()) as tap:
        await tap.client.get(tap.origin + PRM)
        page = await browser(tap)
        shown = (await page.get(f"/flows/{tap.flows[0].id}/response/content/Auto.json")).json()
        await page.aclose()
    assert shown["view_name"] == "OAuth"
    assert "prm-discovery" in shown["text"]
    assert "expected:" in shown["text"]


async def test_saving_and_exporting_in_the_browser_gives_no_secret() -> None:
    async with upstream(PAGES) as server, tapped(server, web=True, web_port=free_port()) as tap:
        await visited(tap)
        page = await browser(tap)
        dump = (await page.get("/flows/dump")).content
        flows = list(FlowReader(io.BytesIO(dump)).stream())
        flow = next(one for one in tap.flows if one.request.path == "/token")
        page.cookies.set("_mitmproxy_xsrf", "aaaaaaaa")
        exported = []
        for form in ("curl", "raw", "httpie"):
            answer = await page.post(
                "/commands/export", json={"arguments": [form, f"@{flow.id}"]}, headers={"X-XSRFToken": "aaaaaaaa"}
            )
            exported.append(answer.text)
        await page.aclose()
    assert len(flows) == 3
    assert b"canary" not in dump
    assert all("mcp.test" in text for text in exported)
    assert "canary" not in "".join(exported)


async def test_no_command_writes_a_secret_to_a_file_or_gives_one_to_the_browser(tmp_path: Path) -> None:
    async with upstream(PAGES) as server, tapped(server, web=True, web_port=free_port()) as tap:
        page = await browser(tap)
        page.cookies.set("_mitmproxy_xsrf", "aaaaaaaa")
        secure = {"X-XSRFToken": "aaaaaaaa"}
        stream = {"save_stream_file": str(tmp_path / "stream.mitm")}
        refused = await page.put("/options", json=stream, headers=secure)
        assert refused.status_code == 400
        assert "Try: oauthtap --keep-secrets" in refused.text
        await visited(tap)
        flow = next(one for one in tap.flows if one.request.path == "/token")
        told = []
        for command, *words in (
            ("save.file", "@all", str(tmp_path / "saved.mitm")),
            ("save.har", "@all", str(tmp_path / "saved.har")),
            ("export.file", "raw", f"@{flow.id}", str(tmp_path / "exported.txt")),
            ("cut.save", "@all", "request.content,response.content", str(tmp_path / "cut.csv")),
            ("cut.save", f"@{flow.id}", "response.content", str(tmp_path / "cut.json")),
            ("cut", "@all", "request.text,response.text"),
        ):
            answer = await page.post(f"/commands/{command}", json={"arguments": words}, headers=secure)
            assert answer.status_code == 200, command
            told.append(answer.text)
        for message in ("request", "response"):
            answer = await page.get(f"/flows/{flow.id}/{message}/content.data")
            assert answer.headers["content-disposition"].startswith("attachment")
            told.append(answer.text)
        told.append((await page.get(f"/flows/{flow.id}/response/content/Raw.json")).text)
        told.append((await page.get("/flows")).text)
        await page.aclose()
    files = {file.name: file.read_text("utf-8", "replace") for file in tmp_path.iterdir()}
    assert {"saved.mitm", "saved.har", "exported.txt", "cut.csv", "cut.json"} <= files.keys()
    assert all("access_token" in text for text in files.values())
    assert [name for name, text in files.items() if "canary" in text] == []
    assert "access_token" in "".join(told)
    assert "canary" not in "".join(told)


async def test_a_request_under_way_is_shown_without_its_secrets() -> None:
    let_go, asked = asyncio.Event(), asyncio.Event()

    async def slow(came: Any, writer: asyncio.StreamWriter) -> None:
        assert TOKEN in came.text
        asked.set()
        await let_go.wait()
        await PAGES["/mcp"](came, writer)

    async with upstream({"/mcp": slow}) as server, tapped(server, web=True, web_port=free_port()) as tap:
        page = await browser(tap)
        headers = {"Authorization": f"Bearer {TOKEN}"}
        answer = asyncio.ensure_future(tap.client.get(tap.url, headers=headers))
        await asked.wait()
        dump = (await page.get("/flows/dump")).content
        let_go.set()
        assert (await answer).status_code == 401
        await page.aclose()
    assert b"Bearer" in dump
    assert b"canary" not in dump


async def test_what_went_to_the_client_has_its_secrets_still() -> None:
    async with upstream(PAGES) as server, tapped(server, web=True, web_port=free_port()) as tap:
        form = {"grant_type": "authorization_code", "code": "code_canary_0123456789"}
        answers = [(await tap.client.post(f"{tap.origin}/token", data=form)).text for _ in range(3)]
    assert all(TOKEN in answer for answer in answers)
    assert all("code_canary_0123456789" in came.text for came in server.came)


EXPORTS = {
    "cut", "cut.clip", "cut.save", "export", "export.clip", "export.file", "save.file", "save.har",
}  # fmt: skip
"""The commands of mitmproxy by which a flow leaves it. A new one has to be looked at: what does it give away?"""
HARMLESS = {
    "flow.comment", "flow.decode", "flow.encode", "flow.encode.options", "flow.encode.toggle", "flow.kill",
    "flow.mark", "flow.mark.toggle", "flow.resume", "flow.set", "flow.set.options", "inject.tcp", "inject.udp",
    "inject.websocket", "replay.client", "replay.server", "replay.server.add", "view.flows.duplicate",
    "view.flows.remove", "view.focus.go", "view.settings.getval", "view.settings.setval",
    "view.settings.setval.toggle", "flow.revert", "script.run",
}  # fmt: skip
"""Those that take a flow and give none of it away."""


async def test_every_command_that_takes_a_flow_is_known() -> None:
    async with upstream(PAGES) as server, tapped(server, web=True, web_port=free_port()):
        taking = {
            name
            for name, command in ctx.master.commands.commands.items()
            if any(parameter.name in ("flow", "flows", "f") for parameter in command.parameters)
        }
    assert taking <= EXPORTS | HARMLESS
    assert EXPORTS - {"export.clip", "cut.clip"} <= taking


async def test_who_asks_for_the_secrets_gets_them_from_mitmweb_too() -> None:
    async with upstream(PAGES) as server, tapped(server, web=True, web_port=free_port(), keeps_secrets=True) as tap:
        await visited(tap)
        page = await browser(tap)
        dump = (await page.get("/flows/dump")).content
        await page.aclose()
    assert b"tok_canary" in dump


async def test_headless_gives_the_same_verdicts() -> None:
    found = []
    for web in (False, True):
        async with upstream(PAGES) as server, tapped(server, web=web, web_port=free_port()) as tap:
            await visited(tap)
            found.append([[finding.rule for finding in step.findings] for step in tap.steps])
    assert found[0] == found[1]


async def test_the_saved_flow_holds_the_true_exchange_without_secrets() -> None:
    async with upstream(PAGES) as server, tapped(server, web=True, web_port=free_port()) as tap:
        await visited(tap)
        stored = [Exchange.model_validate_json(flow.metadata["oauthtap"]) for flow in tap.flows]
    assert stored == tap.exchanges
    assert "canary" not in "".join(one.model_dump_json() for one in stored)


async def test_a_repair_shows_the_client_what_it_asked_for_and_the_record_what_was() -> None:
    async with upstream(PAGES) as server, tapped(server) as probing:
        await visited(probing)
        patched = [finding for step in probing.steps for finding in step.findings if finding.patch]
    rule = patched[0].rule
    async with upstream(PAGES) as server, tapped(server, fix=(rule,)) as tap:
        await visited(tap)
        exchange = next(one for one in tap.exchanges if one.delivered_response is not None)
    assert exchange.response is not None
    assert exchange.delivered_response != exchange.response


# --- the view


def shown(text: str, *findings: Finding, body: str = "") -> str:
    flow = tflow.tflow(resp=True)
    exchange = Exchange(
        id=1,
        request=Request(method="GET", url=f"https://mcp.example.com/{text}"),
        response=Response(status=200, headers=(("X", text),), body=body),
    )
    annotate(flow, AnalyzedExchange(exchange, (Stage(exchange),), findings))
    return contentview.OAuthContentview().prettify(b"", Metadata(flow=flow, http_message=flow.response))


def finding(**more: Any) -> Finding:
    members = {"rule": "a-rule", "title": "t", "severity": "error", "level": "MUST", "who": "client", "stage": "other"}
    return Finding(**{**members, "at": "response.json.issuer", "message": "m", **more})


def test_what_an_upstream_sends_cannot_pose_as_our_words() -> None:
    hostile = "\x1b[2J\u202eevil\x07\u200f"
    text = shown(hostile, finding(message=hostile, actual=hostile), body=hostile)
    assert not {"\x1b", "\u202e", "\x07", "\u200f"} & set(text)


def test_the_view_names_both_values() -> None:
    text = shown("mcp", finding(expected="https://a", actual="https://b", fix="Do this"))
    assert "expected: https://a" in text
    assert "actual:   https://b" in text
    assert "fix: Do this" in text


def test_the_claims_of_a_token_are_laid_out() -> None:
    flow = tflow.tflow(resp=True)
    token = '‹token 1 {"alg":"ES256"} {"aud":"https://mcp.example.com/mcp"}›'
    headers = (("Authorization", f"Bearer {token}"),)
    exchange = Exchange(id=1, request=Request(method="POST", url="https://mcp.example.com/mcp", headers=headers))
    annotate(flow, AnalyzedExchange(exchange, (Stage(exchange),)))
    text = contentview.OAuthContentview().prettify(b"", Metadata(flow=flow, http_message=flow.request))
    assert '"aud": "https://mcp.example.com/mcp"' in text


@pytest.mark.parametrize(
    ("stage", "status", "error", "says"),
    [
        (Stage, 200, None, "ok · other"),
        (Stage, 401, None, "401 · other"),
        (Challenge, 401, None, "ok · mcp-challenge"),
        (ServerMetadata, 404, None, "404 · as-discovery"),
        (ServerMetadata, None, "connection refused", "no answer · as-discovery"),
    ],
)
def test_nothing_refused_or_missing_is_ok(stage: type[Stage], status: int | None, error: str | None, says: str) -> None:
    request = Request(method="GET", url="https://mcp.example.com/")
    exchange = Exchange(id=1, request=request, response=Response(status=status) if status else None, error=error)
    assert comment(AnalyzedExchange(exchange, (stage(exchange),)), []) == says


async def test_mitmwebs_list_has_room_for_a_rules_id_and_the_address_we_listen_on() -> None:
    async with upstream(PAGES) as server, tapped(server, web=True, web_port=free_port()) as tap:
        page = await browser(tap)
        assert '<link rel="stylesheet" href="/oauthtap/mitmweb.css"></head>' in (await page.get("/")).text
        style = await page.get("/oauthtap/mitmweb.css")
        options = (await page.get("/options")).json()
        await page.aclose()
    assert style.headers["content-type"] == "text/css; charset=utf-8"
    assert ".col-comment" in style.text
    assert (options["listen_host"]["value"], options["listen_port"]["value"]) == ("127.0.0.1", tap.settings.port)


def test_a_flow_without_findings_keeps_mitmproxys_own_views() -> None:
    flow: http.HTTPFlow = tflow.tflow(resp=True)
    exchange = Exchange(id=1, request=Request(method="GET", url="https://mcp.example.com/"))
    annotate(flow, AnalyzedExchange(exchange, (Stage(exchange),)))
    assert contentview.OAuthContentview().render_priority(b"", Metadata(flow=flow)) <= 0
    assert flow.comment == "not seen · other"
    assert json.loads(flow.metadata["oauthtap"])["id"] == 1


async def test_an_open_stream_is_exported_without_the_secrets_in_its_head_and_its_events() -> None:
    over = asyncio.Event()

    async def stream(came: Came, writer: asyncio.StreamWriter) -> None:
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nSet-Cookie: sid=head_canary_0123456789\r\n\r\n"
        )
        writer.write(b'data: {"api_key": "event_canary_0123456789"}\n\n')
        await writer.drain()
        await over.wait()
        writer.close()

    async with (
        upstream({"/mcp": stream}) as server,
        tapped(server, web=True, web_port=free_port()) as tap,
        tap.client.stream("GET", tap.url) as answer,
    ):
        came = await anext(answer.aiter_text())
        assert "event_canary" in came
        assert "head_canary" in answer.headers["set-cookie"]
        page = await browser(tap)
        dump = await page.get("/flows/dump")
        await page.aclose()
        over.set()
    assert dump.status_code == 200
    assert b"data:" in dump.content
    assert b"canary" not in dump.content


def test_nothing_is_exported_while_a_secret_is_on_its_way() -> None:
    flow = tflow.tflow()
    flow.live = True
    flow.request.headers["Authorization"] = f"Bearer {TOKEN}"
    redactor = Redactor()
    master: Any = SimpleNamespace(commands=SimpleNamespace(call=lambda name, which: [flow]))
    guard = ExportWhileUnsent(master, redactor)
    assert guard.match(HTTPServerRequest("GET", "/flows/dump")) == {}
    assert guard.match(HTTPServerRequest("POST", "/commands/export")) == {}
    assert guard.match(HTTPServerRequest("GET", "/flows")) is None
    redact(flow, redactor)
    assert guard.match(HTTPServerRequest("GET", "/flows/dump")) is None


def test_mitmwebs_list_holds_so_many_bytes() -> None:
    flows = [tflow.tflow(resp=True) for _ in range(40)]
    for flow in flows:
        flow.response.raw_content = b"x" * (1 << 20)
        flow.live = False
    removed: list[http.HTTPFlow] = []
    listed: Any = SimpleNamespace(unmarked=lambda: flows, forget=removed.extend)
    FlowLimit(SentFlows(Redactor()), listed).response(flows[0])
    assert removed == flows[: len(removed)]
    assert 10 << 20 < sum(len(flow.response.raw_content or b"") for flow in flows[len(removed) :]) <= 12 << 20
