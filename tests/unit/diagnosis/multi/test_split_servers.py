"""Two MCP servers in one recording are two stories, and one server is one, whatever else goes on beside it."""

from __future__ import annotations

from pathlib import Path

from oauthtap.cli.analyze_file import analyze_recording
from oauthtap.diagnosis.multi.split_servers import split_by_server
from oauthtap.formats import loader
from tests.unit.formats.test_loader import RECORDINGS

HOLDOUT = RECORDINGS / "holdout" / "corpus"
CORPUS = sorted(RECORDINGS.glob("corpus/*.har"))


def test_the_server_that_stopped_is_told_and_the_other_is_named() -> None:
    _, report = analyze_recording(str(HOLDOUT / "n70.har"))
    assert report.upstream == "https://bad.example/v1/mcp"
    assert report.cause is not None
    assert report.cause.rule == "dcr-requires-initial-token"
    assert "https://good.example/mcp (connected)" in report.notes[-1]


def test_each_has_its_own_exchanges_under_their_numbers() -> None:
    good, bad = split_by_server(loader.read(HOLDOUT / "n70.har"))
    assert [exchange.id for exchange in bad.exchanges] == [2, 4, 6, 12]
    assert not {exchange.id for exchange in good.exchanges} & {2, 4, 6, 12}


def test_a_shared_authorization_server_is_in_both() -> None:
    both = split_by_server(loader.read(HOLDOUT / "w13.har"))
    documents = [{e.id for e in one.exchanges if "oauth-authorization-server" in e.request.url} for one in both]
    assert documents[0] == documents[1]
    tokens = [{e.id for e in one.exchanges if e.request.url.endswith("/token")} for one in both]
    assert not tokens[0] & tokens[1]
    assert all(tokens)


def test_one_server_is_one_story() -> None:
    for path in CORPUS:
        recording = loader.read(path)
        assert split_by_server(recording) == (recording,), path


def test_a_server_that_sends_on_to_another_host_is_one(tmp_path: Path) -> None:
    (recording,) = split_by_server(loader.read(HOLDOUT / "n60.har"))
    assert len({exchange.request.url.split("/")[2] for exchange in recording.exchanges}) > 2
