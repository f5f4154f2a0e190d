"""HARs of browsers and proxies: what they hold comes out, what they leave out is unseen."""

# ruff: noqa: E501  (entries are written whole)

from __future__ import annotations

import base64
import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oauthtap.cli import main
from oauthtap.formats import har
from oauthtap.model.exchange import Exchange, Request, Response
from oauthtap.model.recording import Recording, SourceError


def entry(**changes: Any) -> dict[str, Any]:
    """An entry as a browser writes it, with members replaced (`request__url=…`) or taken away (None)."""
    plain: dict[str, Any] = {
        "startedDateTime": "2026-01-01T00:00:00.500Z",
        "time": 250,
        "request": {
            "method": "GET",
            "url": "https://mcp.example.com/mcp",
            "headers": [{"name": "Accept", "value": "*/*"}],
            "bodySize": 0,
        },
        "response": {
            "status": 200,
            "headers": [{"name": "Content-Type", "value": "application/json"}],
            "content": {"size": 2, "mimeType": "application/json", "text": "{}"},
        },
    }
    for path, value in changes.items():
        target = plain
        *parents, last = path.split("__")
        for parent in parents:
            target = target.setdefault(parent, {})
        if value is None:
            target.pop(last, None)
        else:
            target[last] = value
    return plain


def read(*entries: Any, **log: Any) -> Recording:
    return har.read({"log": {"version": "1.2", "entries": list(entries), **log}})


def one(**changes: Any) -> Exchange:
    [exchange] = read(entry(**changes)).exchanges
    return exchange


def test_an_entry_is_an_exchange() -> None:
    assert one() == Exchange(
        id=1,
        request=Request(method="GET", url="https://mcp.example.com/mcp", headers=(("Accept", "*/*"),)),
        response=Response(status=200, headers=(("Content-Type", "application/json"),), body="{}"),
        started_at=1767225600.5,
        duration=0.25,
    )


# --- bodies


def test_an_answer_without_text_is_unseen() -> None:
    exchange = one(response__content={"size": 120, "mimeType": "application/json"})
    assert exchange.response is not None
    assert exchange.response.body is None


@pytest.mark.parametrize(
    "changes",
    [
        {"response__content": {"size": 0, "mimeType": "x-unknown"}},
        {"response__content": {"size": -1}, "response__status": 304},
        {"response__content": {"size": -1}, "request__method": "HEAD"},
    ],
)
def test_an_answer_that_cannot_have_a_body_is_empty(changes: dict[str, Any]) -> None:
    exchange = one(**changes)
    assert exchange.response is not None
    assert exchange.response.body == ""


def test_base64_is_decoded_in_its_charset() -> None:
    text = base64.b64encode("grüß".encode("latin-1")).decode()
    exchange = one(response__content={"text": text, "encoding": "base64", "mimeType": "text/html; charset=iso-8859-1"})
    assert exchange.response is not None
    assert exchange.response.body == "grüß"


def test_broken_base64_is_unseen() -> None:
    exchange = one(response__content={"text": "a", "encoding": "base64", "mimeType": "text/html"})
    assert exchange.response is not None
    assert exchange.response.body is None


@pytest.mark.parametrize(
    ("changes", "body"),
    [
        ({"request__postData": {"mimeType": "application/json", "text": "{}"}}, "{}"),
        ({"request__postData": {"mimeType": "application/x-www-form-urlencoded", "text": "", "params": [{"name": "a b", "value": "c&d"}]}}, "a+b=c%26d"),
        ({"request__postData": {"mimeType": "multipart/form-data", "params": [{"name": "a", "value": "b"}]}}, None),
        ({"request__bodySize": 12}, None),
        ({"request__bodySize": -1, "request__headers": [{"name": "Content-Length", "value": "12"}]}, None),
        ({"request__bodySize": -1}, ""),
    ],
)  # fmt: skip
def test_request_bodies(changes: dict[str, Any], body: str | None) -> None:
    assert one(request__method="POST", **changes).request.body == body


# --- headers


def test_pseudo_headers_go_but_for_the_host() -> None:
    lines = [(":method", "GET"), (":authority", "mcp.example.com"), (":path", "/mcp"), ("accept", "*/*")]
    exchange = one(request__headers=[{"name": name, "value": value} for name, value in lines])
    assert exchange.request.headers == (("host", "mcp.example.com"), ("accept", "*/*"))


def test_joined_cookies_are_single_lines() -> None:
    exchange = one(response__headers=[{"name": "set-cookie", "value": "a=1\nb=2"}])
    assert exchange.response is not None
    assert exchange.response.header_lines("Set-Cookie") == ("a=1", "b=2")


def test_headers_that_repeat_stay_two_lines() -> None:
    lines = [{"name": "WWW-Authenticate", "value": "Basic"}, {"name": "WWW-Authenticate", "value": "Bearer"}]
    exchange = one(response__headers=lines)
    assert exchange.response is not None
    assert exchange.response.header_lines("www-authenticate") == ("Basic", "Bearer")


# --- who, when, whether


def test_status_0_is_no_answer_with_its_reason() -> None:
    exchange = one(response__status=0, response___error="net::ERR_CONNECTION_REFUSED")
    assert exchange.response is None
    assert exchange.error == "net::ERR_CONNECTION_REFUSED"
    assert one(response__status=0).error is None


def test_an_error_beside_an_answer_keeps_both() -> None:
    exchange = one(response___error="gzip: broken")
    assert exchange.status == 200
    assert exchange.error == "gzip: broken"


def test_actors_are_named_or_seen_by_the_navigation() -> None:
    assert one().actor == "client"
    assert one(_actor="reporter").actor == "reporter"
    assert one(_actor="somebody").actor == "client"
    assert one(request__headers=[{"name": "Sec-Fetch-Mode", "value": "navigate"}]).actor == "browser"


def test_entries_are_sorted_only_when_out_of_order() -> None:
    late, early = entry(startedDateTime="2026-01-01T00:00:09Z"), entry(startedDateTime="2026-01-01T00:00:01+00:00")
    recording = read(late, early, entry(startedDateTime="2026-01-01T00:00:09Z", request__method="PUT"))
    assert [(exchange.id, exchange.request.method) for exchange in recording.exchanges] == [
        (1, "GET"),
        (2, "GET"),
        (3, "PUT"),
    ]
    assert [exchange.started_at for exchange in recording.exchanges] == [1767225601.0, 1767225609.0, 1767225609.0]


def test_times_nobody_can_read_are_unknown() -> None:
    exchange = one(startedDateTime="yesterday", time=-1)
    assert (exchange.started_at, exchange.duration) == (None, None)


def test_the_end_of_the_recording_is_told() -> None:
    assert read(entry(), _recordedUntil="2026-01-01T00:10:00Z").until == 1767226200.0
    assert read(entry()).until is None


def test_what_is_no_http_is_left_out_with_a_note() -> None:
    recording = read(entry(request__url="data:image/png;base64,AA"), entry())
    assert [exchange.id for exchange in recording.exchanges] == [1]
    assert "left out" in recording.notes[0]


def test_a_sanitized_har_of_chrome_is_noted() -> None:
    creator = {"name": "WebInspector", "version": "537.36"}
    assert "Chrome leaves Authorization" in read(entry(), creator=creator).notes[0]
    with_token = entry(request__headers=[{"name": "Authorization", "value": "Bearer x"}])
    assert read(with_token, creator=creator).notes == ()


def test_halves_of_characters_do_no_harm() -> None:
    exchange = one(response__content={"text": json.loads('"a\\ud83db \\ud83d\\ude00"')})
    assert exchange.response is not None
    assert exchange.response.body == "a\ufffdb 😀"


# --- what cannot be read


@pytest.mark.parametrize(
    ("document", "place"),
    [
        ({}, "log: an object"),
        ([], "log: an object"),
        ({"log": {}}, "log.entries: a list"),
        ({"log": {"entries": [7]}}, "log.entries[0]: an object"),
        ({"log": {"entries": [entry(), entry(request__url=5)]}}, "log.entries[1].request.url: a text"),
        ({"log": {"entries": [entry(request__method=None)]}}, "log.entries[0].request.method: a text"),
        ({"log": {"entries": [entry(request=None)]}}, "log.entries[0].request: an object"),
        ({"log": {"entries": [entry(request__headers="x")]}}, "log.entries[0].request.headers: a list"),
        ({"log": {"entries": [entry(response__headers=[1])]}}, "log.entries[0].response.headers: every header"),
        ({"log": {"entries": [entry(response__status="200")]}}, "log.entries[0].response.status: a number"),
    ],
)
def test_the_place_of_an_error_is_named(document: Any, place: str) -> None:
    with pytest.raises(SourceError) as caught:
        har.read(document)
    assert str(caught.value).startswith(place)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(
    st.sampled_from(["log", "entries", "request", "response", "url", "method", "headers", "name", "value", "status", "content",
                     "text", "encoding", "postData", "params", "_oauthtap", "time", "startedDateTime"]), inner)))  # fmt: skip
def test_any_document_is_read_or_refused(document: Any) -> None:
    for shaped in (
        document,
        {"log": document},
        {"log": {"entries": [document]}},
        {"log": {"_oauthtap": {}, "entries": [document]}},
    ):
        with contextlib.suppress(SourceError):
            assert isinstance(har.read(shaped), Recording)


# --- writing

texts = st.text(st.characters(blacklist_categories=("Cs",)), max_size=20)
headers = st.lists(st.tuples(texts, texts), max_size=3).map(tuple)
bodies = st.none() | texts
requests = st.builds(
    Request,
    method=st.sampled_from(["GET", "POST"]),
    url=texts.map("https://mcp.example.com/".__add__),
    headers=headers,
    body=bodies,
    truncated=st.booleans(),
)
responses = st.builds(Response, status=st.integers(100, 599), headers=headers, body=bodies, truncated=st.booleans())
exchanges = st.builds(
    Exchange,
    id=st.integers(0, 5),
    request=requests,
    response=st.none() | responses,
    error=st.none() | texts,
    at=st.none() | st.floats(0, 2e9),
    took=st.none() | st.floats(0, 1e5),
    actor=st.sampled_from(["client", "browser", "gateway"]),
    connection=st.none() | texts,
    shown=st.none() | responses,
    injected=st.none() | texts,
)


@given(st.lists(exchanges, max_size=4))
def test_our_own_har_gives_back_every_exchange(before: list[Exchange]) -> None:
    header = {"upstream": "https://mcp.example.com/mcp", "versions": {"oauthtap": "1"}}
    after = har.read(json.loads(har.write(Recording(tuple(before), header, until=9.5))))
    assert sorted(map(repr, after.exchanges)) == sorted(map(repr, before))
    assert (after.header, after.until) == (header, 9.5)


def test_a_written_har_has_what_the_format_demands() -> None:
    [exchange] = read(entry(request__url="https://mcp.example.com/mcp?a=1&b=%202")).exchanges
    log = json.loads(har.write(Recording((exchange,)), {1: "prm-discovery: nothing"}))["log"]
    [written] = log["entries"]
    assert {"version", "creator", "entries"} <= log.keys()
    assert {"startedDateTime", "time", "request", "response", "cache", "timings"} <= written.keys()
    assert {"method", "url", "httpVersion", "cookies", "headers", "queryString", "headersSize", "bodySize"} <= written[
        "request"
    ].keys()
    assert {"status", "statusText", "httpVersion", "cookies", "headers", "content", "redirectURL", "headersSize"} <= written["response"].keys()  # fmt: skip
    assert written["request"]["queryString"] == [{"name": "a", "value": "1"}, {"name": "b", "value": " 2"}]
    assert written["startedDateTime"] == "2026-01-01T00:00:00.500Z"
    assert written["comment"] == "prm-discovery: nothing"


def test_check_gives_a_har_with_the_findings_as_comments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = Path(__file__).parents[2] / "recordings" / "live" / "cc330__seed2.har"
    assert main(["check", str(recording), "--format", "har"]) == 1
    text = capsys.readouterr().out
    (tmp_path / "again.har").write_text(text)
    told = "\n".join(entry.get("comment", "") for entry in json.loads(text)["log"]["entries"])
    assert main(["check", str(recording), "--format", "json"]) == 1
    before = json.loads(capsys.readouterr().out)
    rules = {finding["rule"] for finding in before["findings"] if finding["exchange"]}
    assert rules <= set(re.findall(r"[\w-]+", told))
    assert "(follows from " in told
    assert main(["check", str(tmp_path / "again.har"), "--format", "json"]) == 1
    after = json.loads(capsys.readouterr().out)
    assert (after["cause"], len(after["exchanges"])) == (before["cause"], len(before["exchanges"]))
