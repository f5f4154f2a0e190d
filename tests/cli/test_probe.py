"""`oauthtap probe` against the whole fault bed, and against servers that do not end, do not answer or do not tell."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from oauthtap.cli import main
from oauthtap.clients import profiles
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.model.exchange import Exchange
from oauthtap.probe import runner as probing
from oauthtap.probe.callback_server import Callback
from oauthtap.probe.runner import Browser, probe
from oauthtap.probe.walk import Plan
from oauthtap.report.build import build
from oauthtap.report.model import Report
from oauthtap.upstream.options import UpstreamOptions
from tests.support.bed import TARGETS, Bed
from tests.support.tapped import Came, said, upstream

CAUSES = {
    "seed2": "prm-as-entry-is-endpoint",
    "f02": "prm-resource-origin-mismatch",
    "f03": "as-issuer-mismatch",
    "f04": "as-pkce-methods-missing",
    "f05": "dcr-rejects-loopback-redirect",
    "f06": "token-rejected-immediately",
    "f07": "as-metadata-html-200",
    "f08": "token-resp-token-type-missing",
    "f10": "authz-resp-state-missing",
    "f11": "as-no-registration-path",
    "f12": "scheme-downgrade-behind-proxy",
    "f15": "token-resp-form-encoded",
}
"""Where a client that follows the specifications stops; it connects to all others."""

TOLERATED = {
    "seed1": "prm-not-discoverable",
    "f01": "challenge-resource-metadata-not-absolute",
    "f09": "challenge-header-missing",
    "f13": "token-jwt-audience",
    "f14": "challenge-resource-metadata-unreachable",
}
"""What it gets past, and others may not."""

READABLE = {"seed2", "f02", "f03", "f04", "f07", "f11", "f12"}
"""Targets whose fault shows without registering or signing in."""


async def walked(plan: Plan, reach: UpstreamOptions, browser: Browser | None = None) -> tuple[Report, list[Exchange]]:
    """The report, and the exchanges as they were."""
    tap, came = SessionAnalyzer(plan.url, profiles=profiles(), probe_goal=plan.goal), []
    async for exchange in probe(plan, reach, browser or Browser()):
        came.append(exchange)
        tap.add(exchange)
    return build(tap, now=time.time()), came


def reach(bed: Bed) -> UpstreamOptions:
    return UpstreamOptions(tuple(bed.connect_to), str(bed.ca_file))


@pytest.mark.parametrize("name", TARGETS)
async def test_the_cause_is_named_on_the_whole_bed(bed: Bed, name: str) -> None:
    report, _ = await walked(Plan(bed.url(name), "1.0", sign_in="headless"), reach(bed))
    assert (report.cause.rule if report.cause else None) == CAUSES.get(name)
    assert report.connected == (name not in CAUSES)
    if name in TOLERATED:
        assert TOLERATED[name] in {finding.rule for finding in report.findings}
    assert not [f.rule for f in report.findings if f.responsible == "client" and f.severity != "note"], (
        "it blames itself"
    )


@pytest.mark.parametrize("name", TARGETS)
async def test_reading_alone_shows_what_can_be_read(bed: Bed, name: str) -> None:
    with bed.watching() as arrived:
        report, _ = await walked(Plan(bed.url(name), "1.0"), reach(bed))
    assert not [entry for entry in arrived if entry.path in ("/register", "/authorize", "/token")]
    assert (report.cause.rule if report.cause else None) == (CAUSES[name] if name in READABLE else None)
    assert report.complete == (name not in READABLE)


@pytest.mark.parametrize("name", ["good", "f16"])
@pytest.mark.parametrize("sign_in", ["no", "headless"])
async def test_nothing_is_wrong_with_a_healthy_server(bed: Bed, name: str, sign_in: Any) -> None:
    report, _ = await walked(Plan(bed.url(name), "1.0", sign_in=sign_in), reach(bed))
    assert [finding.rule for finding in report.findings if finding.severity != "note"] == []
    assert not [finding.rule for finding in report.findings if finding.responsible == "client"]


async def test_every_known_client_has_its_outlook(bed: Bed) -> None:
    report, _ = await walked(Plan(bed.url("f03"), "1.0"), reach(bed))
    assert {outlook.slug for outlook in report.clients} == {profile.slug for profile in profiles()}
    assert len({outlook.outcome for outlook in report.clients}) > 1


async def test_few_requests_are_made(bed: Bed) -> None:
    with bed.watching() as arrived:
        await walked(Plan(bed.url("good"), "1.0"), reach(bed))
    assert len(arrived) <= 8


# --- with a person


def hands(bed: Bed) -> Callable[[str], None]:
    """A browser that consents by itself."""

    def work(url: str) -> None:
        with bed.http() as http:
            httpx.get(http.get(url).headers["location"], trust_env=False)

    return lambda url: threading.Thread(target=work, args=(url,)).start()


async def test_a_person_signs_in(bed: Bed) -> None:
    plan = Plan(bed.url("f16"), "1.0", sign_in="person")
    report, _ = await walked(plan, reach(bed), Browser(hands(bed), patience=10))
    assert report.connected
    assert [finding.rule for finding in report.findings if finding.severity != "note"] == []


async def test_nobody_comes_back(bed: Bed) -> None:
    plan = Plan(bed.url("good"), "1.0", sign_in="person")
    report, came = await walked(plan, reach(bed), Browser(lambda url: None, patience=0.2))
    assert not report.connected
    assert report.reached == "authorization-request"
    assert came[-1].actor == "reporter", "the walk went on to its end"


async def test_who_gives_up_waiting_still_gets_the_rest(bed: Bed) -> None:
    """Ctrl-C cancels the main task; what was registered has to be taken back all the same."""
    plan, opened = Plan(bed.url("good"), "1.0", sign_in="person"), asyncio.Event()
    loop = asyncio.get_running_loop()
    browser = Browser(lambda url: loop.call_soon_threadsafe(opened.set), patience=60)
    task = asyncio.create_task(walked(plan, reach(bed), browser))
    await opened.wait()
    await asyncio.sleep(0.1)
    task.cancel()
    _, came = await task
    assert came[-1].actor == "reporter"


async def test_the_callback_takes_an_answer_and_nothing_else() -> None:
    with Callback() as callback:
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(callback.url)).status_code == 404
            assert (await http.get(callback.url.replace("/callback", "/favicon.ico?code=c"))).status_code == 404
            other = {"Host": "evil.example:80"}
            assert (await http.get(callback.url + "?code=made-up-other&state=s", headers=other)).status_code == 404
            assert (await http.get(callback.url + "?code=made-up-code&state=s")).status_code == 200
        came = await callback.arrived()
    assert came.request.url == callback.url + "?code=made-up-code&state=s"


# --- servers that are no help


async def one(answer: Callable[..., Any]) -> Exchange:
    """The first exchange with a server that answers its MCP path in one way."""
    async with upstream({"/mcp": answer}) as server:
        plan = Plan("http://mcp.test/mcp", "1.0")
        _, came = await walked(plan, UpstreamOptions((f"mcp.test::127.0.0.1:{server.port}",)))
        return came[0]


async def test_a_stream_without_an_end_is_left() -> None:
    async def endless(came: Came, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        writer.write(b'data: {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25"}}\n\n')
        while not writer.is_closing():
            writer.write(b": still here\n\n")
            await writer.drain()
            await asyncio.sleep(0.05)

    first = await one(endless)
    assert first.error is None
    assert first.response
    assert "2025-11-25" in (first.response.body or "")


async def test_an_answer_without_an_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probing, "LARGEST", 4096)
    first = await one(said(200, "x" * 1_000_000))
    assert first.response
    assert first.response.truncated
    assert len(first.response.body or "") == 4096


async def test_an_answer_that_trickles_in_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    async def slow(came: Came, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n")
        while not writer.is_closing():
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.05)

    monkeypatch.setattr(probing, "_WHOLE", 0.4)
    first = await one(slow)
    assert "timed out" in (first.error or "")


async def test_a_body_that_cannot_be_decoded_says_so() -> None:
    first = await one(said(200, "this is no gzip", content_encoding="gzip", content_type="application/json"))
    assert "decoded" in (first.error or "")
    assert first.response
    assert first.response.body is None


async def test_nobody_there_and_no_certificate_are_told_apart(bed: Bed) -> None:
    refused, _ = await walked(
        Plan(bed.url("good"), "1.0"), UpstreamOptions((":443:" + bed.connect_to[1].split(":", 2)[2],))
    )
    assert refused.cause
    assert refused.cause.rule == "connection-failed"
    unknown, _ = await walked(Plan(bed.url("good"), "1.0"), UpstreamOptions(tuple(bed.connect_to)))
    assert unknown.cause
    assert unknown.cause.rule == "tls-certificate-not-trusted"


# --- the command


def run(bed: Bed, folder: Path, name: str, *more: str) -> int:
    ways = [word for rule in bed.connect_to for word in ("--connect-to", rule)]
    return main(["probe", bed.url(name), "--ca", str(bed.ca_file), "--session", str(folder), *ways, *more])


def test_the_session_judged_again_gives_the_same_report(bed: Bed, tmp_path: Path, capsys: Any) -> None:
    assert run(bed, tmp_path / "s", "f11", "--format", "json") == 1
    said_first = capsys.readouterr().out
    for file in ("", "session.jsonl", "session.har", "flows.mitm"):
        assert main(["check", str(tmp_path / "s" / file), "--format", "json"]) == 1
        assert json.loads(capsys.readouterr().out) == json.loads(said_first), file


def test_no_secret_reaches_disk_or_console(bed: Bed, tmp_path: Path, capsys: Any) -> None:
    run(bed, tmp_path / "s", "good", "--headless")
    captured = capsys.readouterr()
    texts = [captured.out, captured.err, *(p.read_text("utf-8", "replace") for p in (tmp_path / "s").iterdir())]
    told = {entry.query.get("state", "") for entry in bed.received("good") if entry.path == "/authorize"}
    secret = [value for value in bed.issued - told if len(value) >= 8 and not value.startswith("jti_")]
    assert secret
    assert not [value for value in secret for text in texts if value in text]
    assert main(["verify", str(tmp_path / "s")]) == 0


def test_the_exit_code_is_for_gates(bed: Bed, tmp_path: Path) -> None:
    assert run(bed, tmp_path / "1", "f03", "--fail-on", "error") == 1
    assert run(bed, tmp_path / "2", "f03") == 1
    assert run(bed, tmp_path / "3", "good", "--headless", "--fail-on", "warning") == 0


def test_the_summary_says_how_far_it_can_be_judged(bed: Bed, tmp_path: Path, capsys: Any) -> None:
    run(bed, tmp_path / "s", "good")
    captured = capsys.readouterr()
    told = " ".join(captured.out.split())  # whatever the width of the terminal
    assert "✓ No problem at https://good.mcp.test/mcp up to authorization server metadata" in told
    assert "--login" in captured.out


def test_two_probes_that_end_where_they_were_to_end_are_not_said_to_stop(bed: Bed, tmp_path: Path, capsys: Any) -> None:
    read, again, connected = (str(tmp_path / name) for name in ("read", "again", "connected"))
    run(bed, Path(read), "good")
    run(bed, Path(again), "good")
    run(bed, Path(connected), "good", "--headless")
    for other, end in (
        (again, "both probes end at as-discovery, with no problem"),
        (connected, "neither meets a problem"),
    ):
        capsys.readouterr()
        assert main(["diff", read, other]) == 0
        told = capsys.readouterr().out
        assert told.startswith(f"No difference that matters: {end}.")
        assert "no problem up to as-discovery, where this probe ends, " in told
        assert "stop" not in told


def test_a_probe_is_listed_as_a_probe_and_not_as_a_client_that_went_away(
    bed: Bed, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    monkeypatch.setattr("oauthtap.session.listing.home", lambda: tmp_path)
    run(bed, tmp_path / "1", "good")
    run(bed, tmp_path / "2", "f02")
    run(bed, tmp_path / "3", "good", "--headless")
    capsys.readouterr()
    assert main(["sessions"]) == 0
    lines = capsys.readouterr().out.splitlines()
    told = {name: line for line in lines for name in "123" if f".test/mcp  {name}" in line}
    assert "  probed  " in told["1"]
    assert "  problem found  " in told["2"]
    assert told["2"].endswith("prm-resource-origin-mismatch")
    assert "  connected  " in told["3"]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["mcp.example.com/mcp"], "oauthtap probe https://mcp.example.com/mcp"),
        (["https://ada:made-up@mcp.example.com/mcp"], "let the client send them"),
        (["ftp://mcp.example.com"], "https://mcp.example.com/mcp"),
        (["https://mcp.example.com/mcp", "--connect-to", "nonsense"], "--connect-to example.com"),
        (["https://mcp.example.com/mcp", "--client-id", "c1"], "--login --client-id"),
        (["https://mcp.example.com/mcp", "--ca", "there-is-no.pem"], "no such file"),
    ],
)
def test_wrong_usage_ends_in_what_to_type(arguments: list[str], hint: str, capsys: Any) -> None:
    assert main(["probe", *arguments]) == 2
    assert hint in capsys.readouterr().err
