"""The session folder: complete after the end, readable after a kill, and nobody else's business."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from oauthtap import session
from oauthtap.formats import har, loader, notation
from oauthtap.model.exchange import Exchange, Request, Response
from oauthtap.model.recording import SourceError
from oauthtap.proxy import flow_file
from oauthtap.redaction.redactor import Redactor
from oauthtap.session import SessionError, SessionWriter, read_session

UPSTREAM = "https://mcp.example.com/mcp"
HEADER = {"upstream": UPSTREAM, "client": None, "revision": None, "versions": {"oauthtap": "0.1.0"}}
TEXT = """\
POST https://mcp.example.com/mcp
Authorization: Bearer s3cret-0123456789
  {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
401
WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"

@browser
GET https://as.example/authorize?client_id=x&state=ß
302
Location: http://localhost:1/callback?code=c0de-9876543210&state=%C3%9F

GET https://mcp.example.com/mcp
Accept: text/event-stream
200 text/event-stream
  ...

GET https://as.example/nowhere
- connection refused
"""


def exchanges(redactor: Redactor | None = None) -> tuple[Exchange, ...]:
    redactor = redactor or Redactor()
    return tuple(redactor.redact(exchange) for exchange in notation.parse(TEXT))


def written(folder: Path, *, ended: float = notation.START + 600) -> tuple[Exchange, ...]:
    writer = SessionWriter(folder, HEADER, make_flows=flow_file.write)
    for exchange in exchanges():
        writer.add(exchange.as_json())
    writer.close({"report.json": "{}", "report.md": "# Report"}, ended=ended, comments={1: "mcp-challenge"})
    return exchanges()


def test_a_session_comes_back_as_it_was(tmp_path: Path) -> None:
    before = written(tmp_path / "s")
    recording = read_session(tmp_path / "s")
    assert recording.exchanges == before
    assert recording.upstream == UPSTREAM
    assert recording.until == notation.START + 600
    assert recording.notes == ()


def test_the_har_holds_the_very_same_exchanges(tmp_path: Path) -> None:
    before = written(tmp_path / "s")
    recording = loader.read(tmp_path / "s" / session.HAR)
    assert recording.exchanges == before
    assert (recording.upstream, recording.until) == (UPSTREAM, notation.START + 600)
    log = json.loads((tmp_path / "s" / session.HAR).read_text())["log"]
    assert log["entries"][0]["comment"] == "mcp-challenge"


def test_files_are_for_the_user_alone(tmp_path: Path) -> None:
    written(tmp_path / "s")
    assert stat.S_IMODE((tmp_path / "s").stat().st_mode) == 0o700
    names = {file.name for file in (tmp_path / "s").iterdir()}
    assert names == {"session.jsonl", "flows.mitm", "session.har", "report.json", "report.md"}
    assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "s").iterdir()} == {0o600}


def test_every_exchange_is_on_disk_before_the_next(tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "s", HEADER)
    for number, exchange in enumerate(exchanges(), 1):
        writer.add(exchange.as_json())
        assert len(read_session(tmp_path / "s").exchanges) == number


def test_a_kill_loses_nothing_that_was_written(tmp_path: Path) -> None:
    script = f"""
        import time
        from tests.unit.session.test_session import *
        writer = SessionWriter({str(tmp_path / "s")!r}, HEADER)
        for exchange in exchanges():
            writer.add(exchange.as_json())
        print("written", flush=True)
        time.sleep(60)
    """
    child = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, cwd=Path.cwd())
    assert child.stdout is not None
    assert child.stdout.readline() == b"written\n"
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    child.stdout.close()
    assert read_session(tmp_path / "s").exchanges == exchanges()


@pytest.mark.parametrize("cut", [1, 2, 20, 100])
def test_a_torn_last_line_is_a_note(tmp_path: Path, cut: int) -> None:
    writer = SessionWriter(tmp_path / "s", HEADER)
    for exchange in exchanges():
        writer.add(exchange.as_json())
    lines = tmp_path / "s" / session.JSONL
    lines.write_bytes(lines.read_bytes()[: -cut - 1])
    recording = read_session(tmp_path / "s")
    assert recording.exchanges == exchanges()[:-1]
    assert "torn" in recording.notes[0]


def test_a_broken_line_in_the_middle_is_named(tmp_path: Path) -> None:
    written(tmp_path / "s")
    lines = (tmp_path / "s" / session.JSONL).read_text().split("\n")
    lines[2] = lines[2][:30]
    (tmp_path / "s" / session.JSONL).write_text("\n".join(lines))
    with pytest.raises(SourceError, match=r"session\.jsonl, line 3: .*Try: "):
        read_session(tmp_path / "s")


def test_a_line_of_another_shape_is_named(tmp_path: Path) -> None:
    (tmp_path / session.JSONL).write_text('{"oauthtap": 1}\n{"request": {"method": "GET"}}\n{}\n')
    with pytest.raises(SourceError, match=r"line 2: request\.url: Field required"):
        read_session(tmp_path)


def test_a_session_of_a_later_oauthtap_says_so(tmp_path: Path) -> None:
    (tmp_path / session.JSONL).write_text('{"oauthtap": 7}\n')
    with pytest.raises(SourceError, match=r"format 7.*newer oauthtap"):
        read_session(tmp_path)


def test_a_folder_without_a_session_says_so(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no session\.jsonl in this folder"):
        read_session(tmp_path)


def test_a_secret_learned_later_is_swept_from_what_was_written_before(tmp_path: Path) -> None:
    late = "l4te-secret-0123456789"
    redactor = Redactor()
    writer = SessionWriter(tmp_path / "s", HEADER, sweep=redactor.redact_known)
    first = Exchange(id=1, request=Request(method="GET", url=f"https://as.example/page/{late}"))
    second = Exchange(id=2, request=Request(method="POST", url="https://as.example/token", body=f"code={late}"))
    for exchange in (first, second):
        writer.add(redactor.redact(exchange).as_json())
    assert late in (tmp_path / "s" / session.JSONL).read_text()
    writer.close({"report.md": f"the page {late}"})
    for file in (tmp_path / "s").iterdir():
        assert late not in file.read_text(), file.name
    assert read_session(tmp_path / "s").exchanges[0].request.url == "https://as.example/page/‹code 1›"


def test_what_comes_after_a_sweep_is_written_too(tmp_path: Path) -> None:
    fresh: list[str] = []

    def news() -> Callable[[str], str] | None:
        known, fresh[:] = list(fresh), []
        return (lambda text: text.replace(known[0], "***")) if known else None

    writer = SessionWriter(tmp_path / "s", {}, news=news)
    writer.add('{"said": "hunter2"}')
    fresh.append("hunter2")
    writer.add('{"said": "the second"}')
    lines = (tmp_path / "s" / session.JSONL).read_text().splitlines()
    assert [json.loads(line)["said"] for line in lines[1:]] == ["***", "the second"]


def test_flows_are_swept_and_know_their_session(tmp_path: Path) -> None:
    late, redactor = "l4te-secret-0123456789", Redactor()
    writer = SessionWriter(tmp_path / "s", HEADER, sweep=redactor.redact_known, make_flows=flow_file.write)
    for number, path in enumerate((f"page/{late}", f"cb?code={late}"), 1):
        exchange = Exchange(id=number, request=Request(method="GET", url=f"https://as.example/{path}"))
        writer.add(redactor.redact(exchange).as_json())
    writer.close(ended=5.0)
    assert late.encode() not in (tmp_path / "s" / session.FLOWS).read_bytes()
    recording = loader.read(tmp_path / "s" / session.FLOWS)
    assert recording.exchanges == read_session(tmp_path / "s").exchanges
    assert (recording.upstream, recording.until) == (UPSTREAM, 5.0)


def test_what_came_down_a_stream_after_its_first_event_is_in_the_lines_and_in_the_flows(tmp_path: Path) -> None:
    begun = Exchange(
        id=1,
        request=Request(method="GET", url="https://mcp.example.com/sse"),
        response=Response(
            status=200, headers=(("Content-Type", "text/event-stream"),), body="event: endpoint\n", truncated=True
        ),
    )
    writer = SessionWriter(tmp_path / "s", HEADER, make_flows=flow_file.write)
    writer.add(begun.as_json())
    writer.add_stream(1, "event: endpoint\ndata: /messages\n\n")
    writer.close(ended=5.0)
    recording = read_session(tmp_path / "s")
    assert recording.exchanges == (begun,)
    assert recording.streams == {1: "event: endpoint\ndata: /messages\n\n"}
    shown = next(iter(flow_file.as_shown(tmp_path / "s" / session.FLOWS)))
    assert shown.response is not None
    assert shown.response.body == recording.streams[1]


def test_closing_twice_is_closing_once(tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "s", HEADER)
    writer.close(ended=1.0)
    writer.close(ended=2.0)
    assert read_session(tmp_path / "s").until == 1.0


# --- when the disk refuses


def test_a_folder_that_holds_a_session_is_not_overwritten(tmp_path: Path) -> None:
    written(tmp_path / "s")
    with pytest.raises(SessionError, match=r"already holds a session\. Try: --session "):
        SessionWriter(tmp_path / "s", HEADER)
    assert read_session(tmp_path / "s").exchanges == exchanges()


def test_a_place_that_is_no_folder_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SessionError, match=r"cannot write the session to .*file.*Try: --session DIR"):
        SessionWriter(tmp_path / "file" / "s", HEADER)


def test_a_disk_that_refuses_in_between_is_explained(tmp_path: Path) -> None:
    writer = SessionWriter(tmp_path / "s", HEADER)
    os.close(writer._lines)
    with pytest.raises(SessionError, match=r"Bad file descriptor.*Try: --session DIR"):
        writer.add(exchanges()[0].as_json())


# --- the list


def test_sessions_are_listed_newest_first(tmp_path: Path) -> None:
    for number, (name, report) in enumerate(
        {
            "one": '{"connected": false, "cause": {"rule": "prm-not-discoverable"}}',
            "two": '{"connected": true, "cause": null}',
        }.items()
    ):
        SessionWriter(tmp_path / name, {**HEADER, "started": 100.0 + number}).close({"report.json": report})
    SessionWriter(tmp_path / "killed", {**HEADER, "started": 300.0})
    (tmp_path / "stray").mkdir()
    rows = session.sessions(tmp_path)
    assert [(row.folder.name, row.connected, row.cause) for row in rows] == [
        ("killed", None, None),
        ("two", True, None),
        ("one", False, "prm-not-discoverable"),
    ]
    assert {row.upstream for row in rows} == {UPSTREAM}


def test_no_sessions_are_an_empty_list(tmp_path: Path) -> None:
    assert session.sessions(tmp_path / "nowhere") == []


def test_the_default_folder_names_day_and_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oauthtap.session.paths.home", lambda: tmp_path)
    folder = session.default_folder("https://MCP.example.com:8443/mcp", now=0)
    assert folder.parent == tmp_path
    assert folder.name.endswith("-mcp.example.com")
    folder.mkdir()
    assert session.default_folder("https://MCP.example.com:8443/mcp", now=0).name == folder.name + "-2"


def test_a_har_written_again_from_the_lines_is_the_same(tmp_path: Path) -> None:
    written(tmp_path / "s")
    again = har.write(read_session(tmp_path / "s"), {1: "mcp-challenge"})
    assert again == (tmp_path / "s" / session.HAR).read_text()


def test_unseen_cut_off_and_shown_survive(tmp_path: Path) -> None:
    odd = Exchange(
        id=3,
        request=Request(method="POST", url="https://mcp.example.com/mcp", body=None),
        response=Response(
            status=200, body="data: x", truncated=True, headers=(("Set-Cookie", "a=1\nb=2"), (":x", "y"))
        ),
        delivered_response=Response(status=200, body="{}"),
        started_at=1.0000001,
        duration=0.1 + 0.2,
        actor="gateway",
        connection="c1",
        injected_fault="slow",
        error="cut",
    )
    writer = SessionWriter(tmp_path / "s", HEADER)
    writer.add(odd.as_json())
    writer.close()
    assert read_session(tmp_path / "s").exchanges == (odd,)
    assert loader.read(tmp_path / "s" / session.HAR).exchanges == (odd,)
