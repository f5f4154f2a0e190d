"""Any path: the right reader by content, and an error that helps when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mitmproxy.io import tnetstring
from mitmproxy.test import tflow

from oauthtap import session
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import loader, notation
from oauthtap.model.recording import Recording, SourceError
from oauthtap.proxy import flow_file
from oauthtap.redaction.redactor import Redactor
from oauthtap.report.build import build
from oauthtap.report.model import Report
from oauthtap.session import SessionWriter

RECORDINGS = Path(__file__).parents[2] / "recordings"
TEXT = """\
# mcp: https://mcp.example.com/mcp
POST https://mcp.example.com/mcp
401
WWW-Authenticate: Bearer

GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
404
"""


def judged(recording: Recording) -> Report:
    tap = SessionAnalyzer(recording.upstream, recording.revision, recording.client)
    for exchange in recording.exchanges:
        tap.add(exchange)
    return build(tap, now=recording.until)


def session_of(har: Path, folder: Path) -> Report:
    """Record the exchanges of a HAR as the tap would, flows included, and give the report of the live run."""
    source = loader.read(har)
    redactor = Redactor()
    tap = SessionAnalyzer(source.upstream, redactor=redactor)
    writer = SessionWriter(
        folder,
        {"upstream": source.upstream, "client": None, "revision": None},
        sweep=redactor.redact_known,
        make_flows=lambda recording: flow_file.write(recording, tap.steps),
    )
    for exchange in source.exchanges:
        writer.add(tap.add(exchange).exchange.as_json())
    report = build(tap, now=source.until)
    writer.close(ended=source.until)
    return report


@pytest.mark.parametrize(
    "name", ["001-as-endpoint-url-in-prm", "014-no-resource-metadata-no-prm", "033-resource-slash-added-entra"]
)
def test_a_handshake_gives_the_same_report_live_and_from_every_file(name: str, tmp_path: Path) -> None:
    live = session_of(RECORDINGS / "corpus" / f"{name}.har", tmp_path / "s")
    assert live.cause is not None
    for file in ("", session.JSONL, session.FLOWS, session.HAR):
        assert judged(loader.read(tmp_path / "s" / file)) == live, file


def test_files_are_told_by_content_and_not_by_name(tmp_path: Path) -> None:
    session_of(RECORDINGS / "corpus" / "001-as-endpoint-url-in-prm.har", tmp_path / "s")
    for number, file in enumerate((session.JSONL, session.FLOWS, session.HAR)):
        moved = tmp_path / f"{number}.dat"
        moved.write_bytes((tmp_path / "s" / file).read_bytes())
        assert loader.read(moved).exchanges == loader.read(tmp_path / "s").exchanges


PASTES = {
    "plain": TEXT,
    "fenced": f"I saw this:\n\n```http\n{TEXT}```\n\nWhat now?\n",
    "indented": "\n".join("    " + line for line in TEXT.splitlines()),
    "with a byte order mark": "\ufeff" + TEXT,
}


@pytest.mark.parametrize("text", PASTES.values(), ids=PASTES)
def test_exchanges_as_text_are_read(text: str, tmp_path: Path) -> None:
    (tmp_path / "paste").write_text(text)
    recording = loader.read(tmp_path / "paste")
    assert [exchange.status for exchange in recording.exchanges] == [401, 404]
    assert recording.upstream == "https://mcp.example.com/mcp"


def test_a_foreign_flow_is_read_in_its_own_names(tmp_path: Path) -> None:
    flow = tflow.tflow(resp=True)
    flow.request.headers["Host"] = "mcp.example.com"
    (tmp_path / "f").write_bytes(tnetstring.dumps(flow.get_state()))
    [exchange] = loader.read(tmp_path / "f").exchanges
    assert exchange.request.url == "http://mcp.example.com/path"
    assert exchange.request.body == "content"
    assert exchange.response is not None
    assert exchange.response.body == "message"
    assert exchange.id == 1


def test_a_body_nobody_kept_is_unseen(tmp_path: Path) -> None:
    flow = tflow.tflow(resp=True)
    assert flow.response is not None
    flow.response.raw_content = None
    (tmp_path / "f").write_bytes(tnetstring.dumps(flow.get_state()))
    [exchange] = loader.read(tmp_path / "f").exchanges
    assert exchange.response is not None
    assert exchange.response.body is None


def test_a_body_that_cannot_be_decoded_says_so(tmp_path: Path) -> None:
    flow = tflow.tflow(resp=True)
    assert flow.response is not None
    flow.response.headers["Content-Encoding"] = "gzip"
    (tmp_path / "f").write_bytes(tnetstring.dumps(flow.get_state()))
    [exchange] = loader.read(tmp_path / "f").exchanges
    assert exchange.response is not None
    assert exchange.response.body is None
    assert (exchange.error or "").startswith("the body cannot be decoded")


def test_a_flow_that_failed_has_its_error(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(tnetstring.dumps(tflow.tflow(err=True).get_state()))
    [exchange] = loader.read(tmp_path / "f").exchanges
    assert (exchange.response, exchange.error) == (None, "error")


def test_a_flow_file_that_breaks_off_is_a_note(tmp_path: Path) -> None:
    record = tnetstring.dumps(tflow.tflow(resp=True).get_state())
    (tmp_path / "f").write_bytes(record + record[: len(record) // 2])
    recording = loader.read(tmp_path / "f")
    assert len(recording.exchanges) == 1
    assert "breaks off after flow 1" in recording.notes[0]


# --- what cannot be read


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b"  \n", "the file is empty"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
        (b"hello", 'oauthtap explain "hello"'),
        (b'{"log": {"entries": [{"request": {"method": "GET", "u', "line 1, column"),
        (b'{"log": {"entries": [\n{"request": {"method": "GET"}}]}}', "log.entries[0].request.url"),
        (b'{"a": 1}', "neither a HAR nor a session"),
        (b"[" * 100_000, "nested too deep"),
        (b'{"a":' * 100_000, "nested too deep"),
        (b'{"oauthtap": 1}\n{"request": 1}\n{}', "line 2"),
        (b"12:7:nonsense;", "flow 1 cannot be read"),
        (b"999999999:7:abc", "flow 1 cannot be read"),
        (b"GET https://mcp.example.com/\nwhat is this", "line 2: neither request"),
        (b"@nobody\nGET https://mcp.example.com/", "line 1"),
    ],
)
def test_what_cannot_be_read_is_explained(content: bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "file.har"
    path.write_bytes(content)
    with pytest.raises(SourceError) as caught:
        loader.read(path)
    assert str(caught.value).startswith(str(path))
    assert words in str(caught.value)


def test_a_missing_file_says_what_to_try(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no such file or folder\. Try: "):
        loader.read(tmp_path / "nowhere.har")


@given(st.binary(max_size=200))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "any"
    path.write_bytes(content)
    try:
        recording = loader.read(path)
    except SourceError:
        return
    assert recording.exchanges


@pytest.mark.parametrize("name", ["001-as-endpoint-url-in-prm.har"])
def test_a_har_cut_anywhere_is_refused_with_its_place(name: str, tmp_path: Path) -> None:
    data = (RECORDINGS / "corpus" / name).read_bytes().rstrip()
    path = tmp_path / "cut"
    for cut in range(len(data) // 20, len(data), len(data) // 20):
        path.write_bytes(data[:cut])
        with pytest.raises(SourceError, match=r"line \d+, column \d+"):
            loader.read(path)


def test_a_recording_in_notation_needs_no_upstream(tmp_path: Path) -> None:
    (tmp_path / "x.http").write_text(TEXT.partition("\n")[2])
    assert loader.read(tmp_path / "x.http").upstream is None
    assert loader.read(tmp_path / "x.http").exchanges == tuple(notation.parse(TEXT))
