"""The command line as a person meets it: the banner, everything that can be wrong, and how it ends. No real clients."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from benchmarks import proxy
from oauthtap.cli import main, watch
from oauthtap.cli.console_output import ConsoleReporter, server_name
from oauthtap.cli.idle_timer import CONNECTED, STOPPED, WITH_A_PERSON, IdleTimer
from oauthtap.cli.parser import parser
from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import notation
from oauthtap.proxy.reverse import Ready
from oauthtap.report.build import build
from oauthtap.report.model import Report
from oauthtap.upstream.options import UpstreamOptions, missing_scheme
from oauthtap.upstream.preflight import PreflightResult, preflight
from tests.support.bed import Bed
from tests.support.bed.walk import Walk, answered
from tests.support.running import COMMAND, Started, environment, started, to_the_bed
from tests.support.tapped import free_port

RESULT = {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25", "capabilities": {}}}
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}
Answers = dict[tuple[str, str], tuple[int, dict[str, str], str]]
"""(method, path) → status, headers, body."""
OPEN: Answers = {("POST", "/mcp"): (200, {"Content-Type": "application/json"}, json.dumps(RESULT))}
"""An MCP server that asks nobody to sign in."""


@contextlib.contextmanager
def serving(answers: Answers) -> Iterator[str]:
    """A small HTTP server on this machine; gives its origin. 404 with a page where it knows no answer."""

    class Server(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            nothing = (404, {"Content-Type": "text/html"}, "<h1>Not Found</h1>")
            status, headers, body = answers.get((self.command, self.path), nothing)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body.encode())

        do_GET = do_POST = do_HEAD = answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)


@contextlib.contextmanager
def nobody() -> Iterator[str]:
    """An origin on this machine that refuses connections, for as long as the block lasts."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What runs in this process keeps its things below `tmp_path` too."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("HOME", str(tmp_path))


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    """Exit code and everything a command says, run in this process. A tap that starts after all fails the test."""

    def late(*_: object) -> None:
        raise TimeoutError(f"oauthtap {' '.join(words)} did not end")

    signal.signal(signal.SIGALRM, late)
    signal.alarm(20)
    try:
        code = main(words)
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        signal.alarm(0)
    heard = capsys.readouterr()
    assert "Traceback" not in heard.err
    return code, heard.out + heard.err


def initialize(tap: Started) -> httpx.Response:
    return httpx.post(tap.url, json=INITIALIZE, trust_env=False, timeout=10)


# --- the banner


def test_the_banner_says_what_to_paste_and_where_to_look(bed: Bed, tmp_path: Path) -> None:
    with started(bed.url("good"), *to_the_bed(bed), home=tmp_path, web=True) as tap:
        banner = tap.said
        web = re.search(r"Watch: +(http://\S+)", banner)
        assert web
        assert httpx.get(web[1], trust_env=False, timeout=10).status_code == 200
        assert httpx.get(web[1].partition("?")[0], trust_env=False, timeout=10).status_code == 403
    print(f"the banner took {tap.up_after:.2f} s")
    assert f"  http://localhost:{tap.port}/mcp\n  forwards to https://good.mcp.test/mcp\n" in banner
    assert f"    claude mcp add --transport http good http://localhost:{tap.port}/mcp\n" in banner
    # The login asks for a token and no more; the list sends the first MCP request with it.
    assert "    claude mcp login good\n    claude mcp list\n" in banner
    assert re.search(r"\?token=\w{8,}", web[1])
    assert f"  Session:  {tap.session}\n" in banner


def test_without_mitmweb_its_address_is_not_named(bed: Bed, tmp_path: Path) -> None:
    with started(bed.url("seed1"), *to_the_bed(bed), home=tmp_path, path="/sse") as tap:
        assert "Watch:" not in tap.said
        assert f"claude mcp add --transport sse seed1 http://localhost:{tap.port}/sse\n" in tap.said


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://mcp.linear.app/mcp", "linear"),
        ("https://www.example.com", "example"),
        ("http://localhost:3000/mcp", "localhost"),
        ("https://münchen.example/mcp", "example"),
        ("https://[::1]:3000/mcp", "1"),
        ("https://$(reboot).example.com/mcp", "reboot"),
    ],
)
def test_the_name_to_paste_is_short_and_harmless(url: str, name: str) -> None:
    assert server_name(url) == name


# --- the upstream, typed or set up wrong


def test_an_upstream_without_scheme_is_told_the_url_that_answers(bed: Bed, capsys: pytest.CaptureFixture[str]) -> None:
    code, words = said(capsys, "--upstream", "good.mcp.test/mcp", *to_the_bed(bed))
    assert code == 2
    assert words == (
        "oauthtap: good.mcp.test/mcp has no scheme. Try: --upstream https://good.mcp.test/mcp  (it answers (401))\n"
    )


def test_an_upstream_without_scheme_and_path_is_told_both(bed: Bed, capsys: pytest.CaptureFixture[str]) -> None:
    code, words = said(capsys, "--upstream", "seed1.mcp.test", *to_the_bed(bed))
    assert code == 2
    assert "Try: --upstream https://seed1.mcp.test/sse" in words


def test_an_upstream_without_scheme_that_does_not_answer_is_told_why(capsys: pytest.CaptureFixture[str]) -> None:
    code, words = said(capsys, "--upstream", "nobody.invalid/mcp")
    assert code == 2
    assert "Try: --upstream https://nobody.invalid/mcp" in words
    assert "There is no host named nobody.invalid" in words


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("mcp.example.com/mcp", "https://mcp.example.com/mcp"),
        ("mcp.example.com:8443", "https://mcp.example.com:8443"),
        ("localhost:3000/mcp", "http://localhost:3000/mcp"),
        ("127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("https://mcp.example.com", None),
        ("ftp://mcp.example.com", None),
        ("/mcp", None),
        (" ", None),
    ],
)
def test_the_scheme_that_was_probably_meant(typed: str, meant: str | None) -> None:
    assert missing_scheme(typed) == meant


@pytest.mark.parametrize("typed", ["ftp://example.com/mcp", "https://", "https://[::1/mcp", "https://a:99999/", "/mcp"])
def test_an_upstream_that_is_no_web_address_is_refused_with_an_example(
    capsys: pytest.CaptureFixture[str], typed: str
) -> None:
    code, words = said(capsys, "--upstream", typed)
    assert code == 2
    assert "Try: --upstream https://mcp.example.com/mcp" in words


async def test_a_host_that_is_not_there() -> None:
    found = await preflight("https://nobody.invalid/mcp", UpstreamOptions())
    assert found.kind == "no-such-host"
    assert found.words == "There is no host named nobody.invalid. Check the spelling of --upstream."


async def test_a_port_where_nobody_listens() -> None:
    with nobody() as origin:
        found = await preflight(f"{origin}/mcp", UpstreamOptions())
    assert found.kind == "refused"
    assert f"refuses connections on port {origin.rpartition(':')[2]}" in found.words


async def test_a_certificate_that_is_not_trusted_names_both_flags(bed: Bed) -> None:
    found = await preflight(bed.url("good"), UpstreamOptions(connect_to=bed.connect_to))
    assert found.kind == "tls"
    assert "--ca FILE" in found.words
    assert "--insecure" in found.words


@pytest.mark.parametrize("flags", [{"insecure": True}, {"ca": "ca"}])
async def test_each_of_the_two_flags_helps(bed: Bed, flags: dict[str, Any]) -> None:
    if "ca" in flags:
        flags = {"ca": str(bed.ca_file)}
    found = await preflight(bed.url("good"), UpstreamOptions(connect_to=bed.connect_to, **flags))
    assert (found.kind, found.words, found.status, found.challenged) == ("answers", "", 401, True)


async def test_a_server_that_never_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oauthtap.upstream.options.TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        found = await preflight(f"http://127.0.0.1:{silent.getsockname()[1]}/mcp", UpstreamOptions())
    assert found.kind == "timeout"
    assert "did not answer within" in found.words


async def test_an_upstream_that_redirects_is_told_with_where_to() -> None:
    with serving({("POST", "/mcp"): (307, {"Location": "/mcp/"}, "")}) as origin:
        found = await preflight(f"{origin}/mcp", UpstreamOptions())
    assert found.kind == "redirect"
    assert f"redirects {origin}/mcp to {origin}/mcp/" in found.words
    assert f"--upstream {origin}/mcp/" in found.words


async def test_an_upstream_that_is_no_mcp_server() -> None:
    with serving({("POST", "/shop"): (200, {"Content-Type": "text/html"}, "<h1>Buy</h1>")}) as origin:
        found = await preflight(f"{origin}/shop", UpstreamOptions())
    assert (found.kind, found.better) == ("not-mcp", None)
    assert f"{origin}/shop answers a POST with 200 text/html: that is no MCP endpoint." in found.words
    assert "often /mcp or /sse" in found.words


async def test_a_missing_path_is_found_at_mcp() -> None:
    with serving({**OPEN, ("GET", "/"): (200, {}, "hello")}) as origin:
        found = await preflight(origin, UpstreamOptions())
    assert found.better == f"{origin}/mcp"
    assert f"{origin}/mcp looks like one: --upstream {origin}/mcp" in found.words


async def test_a_missing_path_is_found_at_sse(bed: Bed) -> None:
    found = await preflight("https://seed1.mcp.test/", UpstreamOptions(bed.connect_to, str(bed.ca_file)))
    assert found.better == "https://seed1.mcp.test/sse"
    assert "(legacy SSE transport)" in found.words


async def test_a_server_of_2024_that_answers_get_only_is_an_mcp_server() -> None:
    stream = (200, {"Content-Type": "text/event-stream"}, "event: endpoint\ndata: /messages\n\n")
    with serving({("GET", "/sse"): stream, ("POST", "/sse"): (405, {"Allow": "GET"}, "")}) as origin:
        found = await preflight(f"{origin}/sse", UpstreamOptions())
    assert (found.kind, found.words) == ("answers", "")


@pytest.mark.parametrize("body", ["", "{", "[]", "[" * 5000, "null", "\x1b[2J", '{"jsonrpc": 2}'])
async def test_whatever_comes_back_the_first_look_ends_in_words(body: str) -> None:
    with serving({("POST", "/mcp"): (200, {"Content-Type": "application/json"}, body)}) as origin:
        found = await preflight(f"{origin}/mcp", UpstreamOptions())
    assert found.kind == "not-mcp"
    assert "\x1b" not in found.words


async def test_our_own_look_is_evidence_and_nothing_the_client_did(bed: Bed) -> None:
    found: PreflightResult = await preflight(bed.url("good"), UpstreamOptions(bed.connect_to, str(bed.ca_file)))
    assert found.exchange
    assert found.exchange.actor == "reporter"
    assert found.exchange.request.url == "https://good.mcp.test/mcp"
    assert found.exchange.status == 401
    assert found.exchange.response
    assert "resource_metadata" in (found.exchange.response.header("www-authenticate") or "")


def test_a_wrong_path_is_said_below_the_banner_and_the_tap_goes_on(tmp_path: Path) -> None:
    with serving(OPEN) as origin, started(f"{origin}/", home=tmp_path, path="/") as tap:
        tap.wait_for(f"{origin}/mcp looks like one: --upstream {origin}/mcp")
        assert tap.end() == 3


# --- the client behind it


@pytest.mark.parametrize("case", ["refused", "no-such-host", "tls"])
def test_the_client_gets_a_reset_connection_and_the_network_is_to_blame(bed: Bed, tmp_path: Path, case: str) -> None:
    with nobody() as closed:
        upstream, flags, reason = {
            "refused": (f"{closed}/mcp", [], "it refuses connections"),
            "no-such-host": ("https://nobody.invalid/mcp", [], "there is no such host"),
            "tls": (bed.url("good"), to_the_bed(bed)[2:], "its certificate is not trusted (--ca FILE, or --insecure)"),
        }[case]
        with started(upstream, *flags, home=tmp_path) as tap:
            with pytest.raises(httpx.NetworkError):
                initialize(tap)
            assert tap.end() == 1
    assert f"oauthtap could not reach {upstream.removesuffix('/mcp')}: {reason}." in " ".join(tap.said.split())
    found = [finding for finding in tap.report["findings"] if finding["who"] == "network"]
    assert found
    assert tap.report["cause"]["who"] == "network"
    assert "  Whose    the network" in tap.said


# --- how it ends


def sign_in(bed: Bed, tap: Started) -> Walk:
    """Every step of the handshake through the tap, the browser's leg included."""
    with httpx.Client(trust_env=False, timeout=10) as client, bed.http() as browser:
        walk = Walk(client, tap.url)
        walk.initialize()
        walk.well_known("oauth-protected-resource", inserted=True)
        walk.metadata()
        client_id = walk.register().json()["client_id"]
        consented = browser.get(walk.authorize(client_id).headers["location"])
        callback = client.get(consented.headers["location"])
        token = walk.redeem(client_id, answered(callback)["code"]).json()["access_token"]
        assert walk.initialize(token).status_code == 200
    return walk


def test_once_ends_by_itself_when_the_client_has_connected(bed: Bed, tmp_path: Path) -> None:
    with started(bed.url("good"), "--once", *to_the_bed(bed), home=tmp_path) as tap:
        walk = sign_in(bed, tap)
        assert tap.end(None) == 0
    assert CONNECTED - 1 < tap.down_after < CONNECTED + 10
    assert tap.report["connected"] is True
    assert ": an MCP request was answered." in tap.said
    written = "".join(file.read_text("utf-8", "replace") for file in tap.session.iterdir())
    assert walk.verifier not in written + tap.said


@pytest.mark.parametrize(("flags", "looked"), [((), True), (("--no-preflight",), False)])
def test_our_own_look_can_be_left_out(bed: Bed, tmp_path: Path, flags: tuple[str, ...], looked: bool) -> None:
    with bed.watching() as seen, started(bed.url("good"), *flags, *to_the_bed(bed), home=tmp_path) as tap:
        sign_in(bed, tap)
        tap.end()
    assert any(entry.headers.get("user-agent", "").startswith("oauthtap/") for entry in seen) is looked
    assert ("reporter" in {exchange["actor"] for exchange in tap.report["exchanges"]}) is looked


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_each_signal_ends_it_with_a_summary_and_a_whole_session(tmp_path: Path, sign: signal.Signals) -> None:
    with serving(OPEN) as origin, started(f"{origin}/mcp", home=tmp_path) as tap:
        initialize(tap)
        assert tap.end(sign) == 0
    assert tap.down_after < 5
    assert tap.report["connected"] is True
    files = {file.name for file in tap.session.iterdir()}
    reports = {"report.json", "report.md", "report.html"}
    assert files == {"session.jsonl", "flows.mitm", "session.har", "state.json", *reports}
    assert f"oauthtap check {tap.session} -v\n  Session  {tap.session}" in tap.said
    assert f"(before you share it: oauthtap verify {tap.session})" in tap.said


def test_a_stream_that_is_still_open_does_not_hold_it_up(bed: Bed, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        upstream = f"http://127.0.0.1:{server.getsockname()[1]}/mcp"

        def stream() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    connection.recv(65536)
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
                    threads.append(connection)

        threads: list[socket.socket] = []
        threading.Thread(target=stream, daemon=True).start()
        with (
            started(upstream, home=tmp_path) as tap,
            httpx.stream("GET", tap.url, headers={"Accept": "text/event-stream"}, trust_env=False) as answer,
        ):
            assert next(answer.iter_text()) == "data: 1\n\n"
            assert tap.end() == 1
        for connection in threads:
            connection.close()
    assert tap.down_after < 5
    assert any(step["method"] == "GET" for step in tap.report["exchanges"])


def test_a_kill_loses_at_most_the_exchange_in_flight(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with serving(OPEN) as origin, started(f"{origin}/mcp", home=tmp_path) as tap:
        initialize(tap)
        initialize(tap)
        tap.wait_for("   3  ")  # our own first look is one of three
        tap.end(signal.SIGKILL)
    code, words = said(capsys, "check", str(tap.session), "--format", "json")
    assert code == 0
    assert "NOT SWEPT" in words
    report = Report.model_validate_json(words[words.index("{") : words.rindex("}") + 1])
    assert len(report.exchanges) == 3
    assert report.connected
    assert not (tap.session / "flows.mitm").exists()
    assert said(capsys, "verify", "--sweep", str(tap.session))[0] == 0
    assert said(capsys, "check", str(tap.session / "flows.mitm"), "--format", "json")[0] == 0


def test_a_closed_terminal_ends_it_with_a_whole_session(tmp_path: Path) -> None:
    with serving(OPEN) as origin:
        port, session = free_port(), tmp_path / "session"
        words = ["--upstream", f"{origin}/mcp", "--port", str(port), "--session", str(session), "--no-web"]
        pid, terminal = pty.fork()
        if not pid:
            os.execve(COMMAND, [str(COMMAND), *words], environment(tmp_path))
        told = b""
        while b"Ctrl-C ends it" not in told:
            told += os.read(terminal, 65536)
        asked = {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        assert httpx.post(f"http://localhost:{port}/mcp", json=asked, trust_env=False).status_code == 200
        os.close(terminal)  # the window is gone: SIGHUP, and nobody reads what is said
        deadline = time.monotonic() + 30
        while not (session / "report.html").exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        _, status = os.waitpid(pid, 0)
        assert os.WIFEXITED(status)
    report = json.loads((session / "report.json").read_text())
    assert [step["status"] for step in report["exchanges"]][-1] == 200


@pytest.mark.parametrize("web", [False, True])
def test_nothing_that_was_answered_is_lost_by_a_kill(tmp_path: Path, web: bool) -> None:
    upstream = subprocess.Popen([sys.executable, "-m", "benchmarks.upstream"], stdout=subprocess.PIPE, text=True)
    assert upstream.stdout
    subject = proxy.Subject(proxy.SUBJECTS[2 if web else 1], int(upstream.stdout.readline()), tmp_path)
    try:
        for _ in range(2):
            subject.start()
            proxy.sign_in(subject.port)
            assert subject.kill(0.6) > 4
    finally:
        upstream.kill()
        upstream.wait()
        upstream.stdout.close()
    assert subject.lost == [0, 0]


def test_a_session_is_for_the_user_alone(tmp_path: Path) -> None:
    with serving(OPEN) as origin, started(f"{origin}/mcp", home=tmp_path) as tap:
        initialize(tap)
        tap.wait_for("   2  ")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tap.session.iterdir()}
        assert modes == {"session.jsonl": 0o600, "state.json": 0o600}
        tap.end()
    assert {stat.S_IMODE(file.stat().st_mode) for file in tap.session.iterdir()} == {0o600}
    assert stat.S_IMODE(tap.session.stat().st_mode) == 0o700


# --- when it cannot start


def test_a_port_in_use_names_one_that_is_free(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, words = said(capsys, "--upstream", "https://mcp.example.com/mcp", "--port", str(port), "--no-web")
    assert code == 2
    hint = re.search(rf"port {port} is in use\. Try: --port (\d+)", words)
    assert hint
    with socket.create_server(("127.0.0.1", int(hint[1]))):
        pass
    assert not list((tmp_path / "state").rglob("session.jsonl"))


def test_a_tap_that_cannot_start_leaves_the_users_own_files_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "mine"
    (folder / "letters").mkdir(parents=True)
    (folder / "diary.txt").write_text("dear diary")
    flags = ("--upstream", "https://mcp.example.com/mcp", "--no-web", "--session", str(folder))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        code, _ = said(capsys, *flags, "--port", str(taken.getsockname()[1]))
    assert code == 2
    assert sorted(file.name for file in folder.iterdir()) == ["diary.txt", "letters"]


def test_a_session_folder_that_cannot_be_written_is_said_before_anything_starts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    flags = ("--upstream", "https://mcp.example.com/mcp", "--no-web", "--session", str(tmp_path / "file" / "deeper"))
    code, words = said(capsys, *flags)
    assert code == 2
    assert "cannot write the session" in words
    assert "Try: --session DIR" in words


def test_a_folder_that_holds_a_session_already_is_not_written_into(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "session.jsonl").write_text("{}\n")
    code, words = said(
        capsys, "--upstream", "https://mcp.example.com/mcp", "--no-web", "--session", str(tmp_path / "old")
    )
    assert code == 2
    assert "already holds a session" in words
    assert (tmp_path / "old" / "session.jsonl").read_text() == "{}\n"


@pytest.mark.parametrize(
    ("flags", "hint"),
    [
        ((), "Try: oauthtap --upstream https://mcp.example.com/mcp"),
        (("--bogus",), "Try: oauthtap --help"),
        (("--port", "many"), "Try: oauthtap --help"),
        (("--port", "-1"), "Try: --port 8460"),
        (("--port", "65536"), "Try: --port 8460"),
        (("--callback", "never"), "choose from 'auto', 'relay', 'direct'"),
        (("--connect-to", "here"), "Try: --connect-to example.com:443:127.0.0.1:8443"),
        (("--ca", "no-such-file.pem"), "there is no such file"),
        (("--fix", "prm-resource-not-identcal"), "Try: --fix prm-resource-not-identical"),
        (("--rules", "no-such-rules.py"), "is not a Python file"),
        (("--client", "claude-cod"), "Try: --client claude-code"),
        (("--revision", "newest"), "Try: --revision 2025-11-25"),
        (("chekc", "file"), "Try: oauthtap --help"),
        (("check",), "no session with an exchange in it. Try: oauthtap https://mcp.example.com/mcp"),
        (("check", "x", "--format", "xml"), "Try: oauthtap check --help"),
        (("check", "x", "--fail-on", "anything"), "Try: oauthtap check --help"),
    ],
)
def test_wrong_usage_ends_with_2_and_what_to_type(
    capsys: pytest.CaptureFixture[str], flags: tuple[str, ...], hint: str
) -> None:
    verb = flags and not flags[0].startswith("-")
    words = flags if verb or not flags else ("--upstream", "https://mcp.example.com/mcp", "--no-web", *flags)
    code, heard = said(capsys, *words)
    assert code == 2
    assert hint in heard


def test_a_ca_file_without_certificate_is_said_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ca.pem").write_text("garbage")
    for typed in ("https://mcp.example.com/mcp", "mcp.example.com/mcp"):
        code, words = said(capsys, "--upstream", typed, "--ca", str(tmp_path / "ca.pem"), "--no-web")
        assert code == 2
        assert "no certificate" in words


# --- nothing arrives


def test_silence_says_what_to_check() -> None:
    out = StringIO()
    ConsoleReporter(out).no_traffic_hint("http://localhost:8080/sse", "https://mcp.example.com/sse")
    for word in ("http://localhost:8080/sse", "http:// in front", "path /sse", "sse for a URL", "claude mcp login"):
        assert word in out.getvalue()
    assert "No request after 20 seconds" in out.getvalue()


async def test_our_own_look_does_not_break_the_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(watch, "SILENCE", 0.6)
    heard = ""
    with serving(OPEN) as origin:
        arguments = parser().parse_args(["--upstream", f"{origin}/mcp", "--session", str(tmp_path / "s")])
        sitting = watch.WatchSession(arguments)
        sitting.on_ready(Ready("http://localhost:8080/mcp", None, None))  # type: ignore[arg-type]
        deadline = time.monotonic() + 10
        while "No request after" not in heard and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            heard += capsys.readouterr().out
    assert "POST   200" in heard.partition("No request after")[0]
    assert "No request after" in heard
    sitting.end()


# --- when it is over


def heard_by(text: str) -> tuple[SessionAnalyzer, AnalyzedExchange]:
    tap = SessionAnalyzer("https://mcp.example.com/mcp")
    steps = [tap.add(exchange) for exchange in notation.parse(text)]
    return tap, steps[-1]


ASKED = f"POST https://mcp.example.com/mcp {json.dumps(INITIALIZE)}\n"
GOES_THROUGH = f"{ASKED}200 {json.dumps(RESULT)}"
IS_REFUSED = f"{ASKED}401\nWWW-Authenticate: Bearer"
AT_THE_LOGIN = (
    f"{IS_REFUSED}\n\nGET https://mcp.example.com/authorize?response_type=code&client_id=c&code_challenge=x&state=s"
    "\n# actor: browser\n200 <h1>Log in</h1>\nContent-Type: text/html"
)


@pytest.mark.parametrize(
    ("text", "patience"), [(GOES_THROUGH, CONNECTED), (IS_REFUSED, STOPPED), (AT_THE_LOGIN, WITH_A_PERSON)]
)
def test_it_is_over_after_a_quiet_that_fits_the_last_step(text: str, patience: float) -> None:
    tap, last = heard_by(text)
    watcher = IdleTimer()
    watcher.heard(last, 100.0)
    report = build(tap)
    assert not watcher.is_over(report, 100.0 + patience - 0.1)
    assert watcher.is_over(report, 100.0 + patience)


def test_another_exchange_starts_the_wait_anew() -> None:
    tap, last = heard_by(GOES_THROUGH)
    watcher = IdleTimer()
    watcher.heard(last, 100.0)
    watcher.heard(last, 102.0)
    assert not watcher.is_over(build(tap), 104.0)
    assert watcher.is_over(build(tap), 105.0)


def test_a_look_is_wanted_a_few_times_and_not_with_every_tick() -> None:
    _, last = heard_by(GOES_THROUGH)
    watcher = IdleTimer()
    watcher.heard(last, 0.0)
    looks = [tick / 4 for tick in range(4 * 400) if watcher.due_for_check(tick / 4)]
    assert looks == [2.0, CONNECTED, 5.0, STOPPED, 60.0, WITH_A_PERSON]


def test_a_client_that_is_never_quiet_is_looked_at_all_the_same_and_less_often_where_that_takes_long() -> None:
    _, last = heard_by(IS_REFUSED)
    looks: list[int] = []
    watcher = IdleTimer()
    for second in range(60):
        watcher.heard(last, float(second))
        if watcher.due_for_check(float(second)):
            looks.append(second)
            watcher.took(0.01 if second < 20 else 1.0)
    assert looks == [5, 10, 15, 20, 40]


NEW_TOKEN = """
POST https://mcp.example.com/token grant_type=authorization_code&code=made-up-code&client_id=app
200 {"access_token": "made-up-token", "token_type": "Bearer"}
"""
USES_IT = f"{ASKED}Authorization: Bearer made-up-token\n"
TOKEN_REFUSED = f'{NEW_TOKEN}\n{USES_IT}401\nWWW-Authenticate: Bearer error="invalid_token"\n'


@pytest.mark.parametrize(
    ("text", "patience"),
    [(TOKEN_REFUSED, 2.0), (IS_REFUSED, STOPPED), (AT_THE_LOGIN, 60.0)],
)
def test_an_attempt_has_stopped_after_a_quiet_that_fits_its_ending(text: str, patience: float) -> None:
    tap, last = heard_by(text)
    watcher = IdleTimer()
    watcher.heard(last, 100.0)
    assert not watcher.has_stopped(build(tap), 100.0 + patience - 0.1)
    assert watcher.has_stopped(build(tap), 100.0 + patience)


def test_an_attempt_that_goes_round_and_round_has_stopped_without_any_quiet() -> None:
    tap, last = heard_by(TOKEN_REFUSED + f"\n{USES_IT}401\n" * 3)
    watcher, report = IdleTimer(), build(tap)
    assert report.ending == "repeating"
    stopped = []
    for second in range(8):
        watcher.heard(last, float(second))
        stopped.append(watcher.has_stopped(report, float(second)))
    assert stopped == [False] * 5 + [True] * 3


def watched(text: str, folder: Path) -> watch.WatchSession:
    """A tap that has heard this."""
    sitting = watch.WatchSession(
        parser().parse_args(["--upstream", "https://mcp.example.com/mcp", "--session", str(folder)])
    )
    for exchange in notation.parse(text):
        sitting.tap.add(exchange)
    return sitting


def test_the_cause_is_told_once_when_the_attempt_has_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sitting = watched(TOKEN_REFUSED, tmp_path / "s")
    told = []
    for stopped in (False, True, True):
        sitting._tell_how_it_ended(build(sitting.tap), stopped=stopped, ended_well=False, over=False)
        told.append(capsys.readouterr().out)
    assert told[0] == told[2] == ""
    for word in (
        "  ✗ ",
        "could not connect to https://mcp.example.com/mcp\n",
        "    Cause    The MCP server",
        "    Change ",
    ):
        assert word in told[1]
    sitting.end()


def test_that_it_connects_is_told_at_once_and_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sitting = watched(GOES_THROUGH, tmp_path / "s")
    for _ in range(2):
        sitting._tell_how_it_ended(build(sitting.tap), stopped=False, ended_well=True, over=False)
    assert capsys.readouterr().out.count("✓ The client connected to https://mcp.example.com/mcp") == 1
    sitting.end()


def test_a_login_that_only_signs_in_is_told_after_a_short_quiet_with_what_to_type(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tap, last = heard_by(f"{IS_REFUSED}\n{NEW_TOKEN}")
    watcher, report = IdleTimer(), build(tap)
    watcher.heard(last, 100.0)
    assert report.ending == "signed-in"
    assert [watcher.has_ended_well(report, 100.0 + quiet) for quiet in (0, CONNECTED - 0.1, CONNECTED)] == [
        False, False, True,
    ]  # fmt: skip
    sitting = watched(f"{IS_REFUSED}\n{NEW_TOKEN}", tmp_path / "s")
    sitting._tell_how_it_ended(build(sitting.tap), stopped=False, ended_well=True, over=False)
    told = capsys.readouterr().out
    assert "  ✓ The client signed in to https://mcp.example.com/mcp. It has sent no MCP request yet.\n" in told
    assert "    Next     start the client and use a tool\n" in told
    sitting.end()


# --- the other commands


def test_sessions_lists_what_was_recorded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, words = said(capsys, "sessions")
    assert code == 0
    assert "Record one: oauthtap --upstream" in words
    session = tmp_path / "state" / "oauthtap" / "sessions" / "2026-01-02-030405-one"
    with serving(OPEN) as origin, started(f"{origin}/mcp", "--session", str(session), home=tmp_path) as tap:
        initialize(tap)
        tap.end()
    code, words = said(capsys, "sessions")
    assert code == 0
    assert re.search(rf"connected +{re.escape(origin)}/mcp +{session.name}", words)


def test_explain_prints_the_page_of_a_rule(capsys: pytest.CaptureFixture[str]) -> None:
    code, words = said(capsys, "explain", "prm-as-entry-is-endpoint")
    assert code == 0
    for part in ("What to change:", "Bad:", "Good:", "Source: ", "https://"):
        assert part in words


def test_explain_lists_all_rules(capsys: pytest.CaptureFixture[str]) -> None:
    code, words = said(capsys, "explain")
    assert code == 0
    assert "prm-as-entry-is-endpoint" in words
    assert int(words.split()[0]) > 60


def test_explain_knows_what_was_probably_meant(capsys: pytest.CaptureFixture[str]) -> None:
    code, words = said(capsys, "explain", "prm-as-entry-is-endpont")
    assert code == 2
    assert "did you mean prm-as-entry-is-endpoint" in words
    assert said(capsys, "explain", "\x1b[2J")[0] == 1  # a text of which nothing is known


HOSTILE = {
    "empty.har": b"",
    "empty.jsonl": b"",
    "zeros.mitm": bytes(4096),
    "random.har": bytes(range(256)) * 40,
    "deep.har": b"[" * 200_000,
    "deeper.json": b'{"a":' * 100_000,
    "null.har": b'{"log": {"entries": null}}',
    "strings.har": b'{"log": {"entries": ["GET /"]}}',
    "torn.har": b'{"log": {"version": "1.2", "entries": [{"request": {"method": "GET", "url": "https://x/',
    "torn.mitm": b"1000:9:websocket;0:~8:response;",
    "lengths.mitm": b"99999999999999999999:x,",
    "format.jsonl": b'{"oauthtap": 99}\n{"request": 1}\n',
    "list.jsonl": b"[1, 2]\n[3]\n",
    "surrogate.jsonl": b'{"oauthtap": 1}\n{"request": "\\ud800"}\nmore\n',
    "escape.txt": b"\x1b[2J\x1b]0;owned\x07\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_check_refuses_a_hostile_file_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    (tmp_path / name).write_bytes(HOSTILE[name])
    code, words = said(capsys, "check", str(tmp_path / name))
    assert code == 2
    assert words.startswith(f"oauthtap: {tmp_path / name}")
    assert "\x1b" not in words
    assert len(words) < 1000


def test_check_refuses_what_is_no_file_nor_session(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "folder", tmp_path / "nothing"):
        code, words = said(capsys, "check", str(path))
        assert code == 2
        assert "Try: " in words


@pytest.mark.parametrize(
    ("text", "fail_on", "code"),
    [
        (IS_REFUSED, None, 1),
        (IS_REFUSED, "error", 1),
        (IS_REFUSED, "warning", 1),
        (IS_REFUSED, "note", 1),
        (f"{ASKED}401\nWWW-Authenticate: Basic", "error", 1),
    ],
)
def test_fail_on_decides_the_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, fail_on: str | None, code: int
) -> None:
    (tmp_path / "pasted.txt").write_text(text)
    flags = ("--fail-on", fail_on) if fail_on else ()
    assert said(capsys, "check", str(tmp_path / "pasted.txt"), *flags)[0] == code
