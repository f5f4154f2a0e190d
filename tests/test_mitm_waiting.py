"""A request like many before it gets its answer before that is judged, and nothing else changes by it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from oauthtap import batch
from tests.tapped import Answer, Came, Tapped, said, tapped, upstream
from tests.wrapping import python, wrapped

TOKEN = {"Authorization": "Bearer a-token-of-some-length-4711"}
HEADERS = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream", **TOKEN}
MANY = 34
JSON = "application/json"


def called(number: int) -> str:
    asked = {"name": "weather", "arguments": {"days": number}}
    return json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": asked})


def told(**more: object) -> Answer:
    """Answer each call by its number, and with `more` in the result."""

    async def answer(came: Came, writer: asyncio.StreamWriter) -> None:
        if "authorization" not in came.headers:
            await said(401, www_authenticate="Bearer")(came, writer)
            return
        number = json.loads(came.body)["id"]
        result = {"content": [{"type": "text", "text": f"no rain {number}"}], **more}
        await said(200, json.dumps({"jsonrpc": "2.0", "id": number, "result": result}), content_type=JSON)(came, writer)

    return answer


async def call(tap: Tapped, number: int) -> str:
    return (await tap.client.post(tap.url, content=called(number), headers=HEADERS)).text


@contextlib.asynccontextmanager
async def busy(answer: Answer | None = None, **flags: object) -> AsyncIterator[tuple[Tapped, list[str]]]:
    """A tap that has carried many calls, one right after the other, and what the client got."""
    async with (
        upstream({"/mcp": answer or told()}) as server,
        # By its address: plain HTTP to another host is a finding, and what has findings waits.
        tapped(upstream=f"http://127.0.0.1:{server.port}/mcp", **flags) as tap,
    ):
        yield tap, [await call(tap, number) for number in range(MANY)]


@pytest.fixture
def long_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for others waits until the end, or until something else happens."""
    monkeypatch.setattr(batch, "PAUSE", 10**9)


def numbers(tap: Tapped) -> list[int]:
    """The calls that were judged, in the order they were."""
    return [exchange.request.json_object["id"] for exchange in tap.exchanges if exchange.request.carries_token]


async def test_the_answer_does_not_wait_and_every_exchange_is_judged_in_order(long_pause: None) -> None:
    async with busy() as (tap, got):
        assert [json.loads(answer)["id"] for answer in got] == list(range(MANY))
        before = numbers(tap)
        assert before == list(range(len(before)))
        assert 10 <= len(before) < MANY
        await asyncio.sleep(1)
        await tap.ended()
        assert numbers(tap) == list(range(MANY))
        assert [exchange.id for exchange in tap.exchanges] == list(range(1, MANY + 1))
        assert [exchange.response.body for exchange in tap.exchanges if exchange.response] == got
        assert len(tap.flows) == MANY
        assert {flow.comment for flow in tap.flows} == {"ok · mcp-request"}
        late = tap.exchanges[len(before) :]
        assert all(exchange.took is not None and exchange.took < 1 for exchange in late)


async def test_nothing_that_comes_later_is_judged_before(long_pause: None) -> None:
    async with busy() as (tap, _):
        assert len(numbers(tap)) < MANY
        await tap.client.post(tap.url, content=called(99), headers={"Content-Type": JSON})
        assert numbers(tap) == list(range(MANY))
        assert tap.exchanges[-1].status == 401


async def test_it_comes_to_the_same_as_if_every_answer_had_waited(monkeypatch: pytest.MonkeyPatch) -> None:
    reports = []
    for waits in (True, False):
        if not waits:
            monkeypatch.setattr("oauthtap.tap.Tap.expects", lambda tap, request: False)
        async with busy() as (tap, _):
            await tap.client.post(tap.url, content=called(99), headers={"Content-Type": JSON})
            await tap.ended()
            report = tap.tap.report()
            rows = [(row.id, row.stage, row.status) for row in report.exchanges]
            reports.append((rows, [(one.rule, one.exchange) for one in report.findings]))
    assert reports[0] == reports[1]


async def test_where_answers_may_be_changed_they_wait(long_pause: None) -> None:
    async with busy(fix=("challenge-status-not-401",)) as (tap, _):
        assert numbers(tap) == list(range(MANY))


async def test_an_answer_in_which_something_is_renamed_waits(long_pause: None) -> None:
    async def challenged(came: Came, writer: asyncio.StreamWriter) -> None:
        challenge = f'Bearer resource_metadata="http://{came.headers["host"]}/.well-known/oauth-protected-resource/mcp"'
        await told(_meta={"mcp/www_authenticate": [challenge]})(came, writer)

    async with busy(challenged) as (tap, got):
        upstream = tap.settings.upstream.removesuffix("/mcp")
        assert all(tap.origin in answer and upstream not in answer for answer in got)


async def test_a_fault_in_the_judging_of_one_takes_none_of_the_others(
    long_pause: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with busy() as (tap, _):
        judged, heard = len(numbers(tap)), tap.addon._observer.ears.on_step

        def on_step(step: object) -> None:
            if len(numbers(tap)) == judged and not failed:
                failed.append(step)
                raise OSError("the disk is full")
            heard(step)  # type: ignore[arg-type]

        failed: list[object] = []
        monkeypatch.setattr(tap.addon._observer.ears, "on_step", on_step)
        await tap.ended()
        assert failed
        assert numbers(tap) == [n for n in range(MANY) if n != judged]


def test_of_a_wrapped_client_every_exchange_is_recorded_too(tmp_path: Path) -> None:
    child = f"""
import http.server, json, threading, urllib.request

class Server(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        said = json.dumps({{"jsonrpc": "2.0", "id": asked["id"], "result": {{"content": []}}}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(said)))
        self.end_headers()
        self.wfile.write(said)
    def log_message(self, *words): pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
for number in range({MANY}):
    asked = {{"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {{"name": "w", "arguments": {{}}}}}}
    headers = {HEADERS!r}
    url = f"http://127.0.0.1:{{server.server_port}}/mcp"
    urllib.request.urlopen(urllib.request.Request(url, json.dumps(asked).encode(), headers)).read()
"""
    ran = wrapped(*python(child), home=tmp_path, flags=("--all",))
    assert ran.code == 0, ran.err
    asked = [json.loads(exchange["request"]["body"])["id"] for exchange in ran.exchanges]
    assert asked == list(range(MANY))
