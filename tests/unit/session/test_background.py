"""The state of a running command: what is written, who believes it, and what waiting comes to."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import psutil
import pytest

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import notation
from oauthtap.report.build import build
from oauthtap.report.events import KINDS
from oauthtap.session import STATE, background
from oauthtap.session.background import BackgroundError, is_reached
from oauthtap.session.feed import Feed
from oauthtap.session.state import read_state

URL = "https://mcp.example.com/mcp"
TEXT = f"""\
POST {URL}
401
WWW-Authenticate: Bearer error="sekret"
"""


def test_events_are_json_lines_and_the_state_follows_them(tmp_path: Path) -> None:
    out, tap = io.StringIO(), SessionAnalyzer(URL)
    feed = Feed("tap", tmp_path, URL, out=out, clean=lambda text: text.replace("sekret", "‹secret 1›"))
    assert not is_reached(background.status(tmp_path), "ready")
    feed.ready("http://localhost:8080/mcp", {"http://localhost:8080": "https://mcp.example.com"})
    assert is_reached(background.status(tmp_path), "ready")
    feed.step(tap.add(next(notation.parse(TEXT))))
    feed.fixes(["https"])
    feed.fixes(["https"])
    report = build(tap)
    feed.look(report, over=False)
    feed.look(report, over=False)
    state = background.status(tmp_path)
    assert (state.exchanges, state.fixes, state.phase) == (1, ("https",), "ready")
    assert not is_reached(state, "ending")
    assert is_reached(state, "cause") is (state.cause is not None)
    feed.end(report, 1)
    state = background.status(tmp_path)
    assert (state.phase, state.exit, is_reached(state, "ended")) == ("ended", 1, True)
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert {event["event"] for event in told} <= set(KINDS)
    kinds = [event["event"] for event in told]
    assert kinds[:2] == ["ready", "exchange"]
    assert kinds.count("fix") == 1
    assert [event.get("exit") for event in told if event["event"] == "ending"] == [None, 1]
    assert "sekret" not in out.getvalue() + (tmp_path / STATE).read_text()
    assert (tmp_path / STATE).stat().st_mode & 0o777 == 0o600


def test_a_number_that_another_process_has_now_is_not_believed(tmp_path: Path) -> None:
    Feed("tap", tmp_path, URL)
    written = json.loads((tmp_path / STATE).read_text())
    assert written["pid"] == os.getpid()
    (tmp_path / STATE).write_text(json.dumps(written | {"created": psutil.Process().create_time() - 60}))
    state = background.status(tmp_path)
    assert state.phase == "died"
    assert is_reached(state, "ending")
    assert background.stop(tmp_path) == state  # and nobody was ended: this test goes on


def test_waiting_ends_in_time_and_for_a_folder_without_tap_in_words(tmp_path: Path) -> None:
    with pytest.raises(BackgroundError, match="oauthtap sessions"):
        background.wait(tmp_path, timeout=0.1)
    Feed("tap", tmp_path, URL)
    assert background.wait(tmp_path, timeout=0.1) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": 2}', "\x00", '{"pid": 1e400}'])
def test_a_state_that_cannot_be_read_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / STATE).write_text(text)
    assert read_state(tmp_path) is None


def test_a_state_that_is_a_link_is_none(tmp_path: Path) -> None:
    (tmp_path / STATE).symlink_to("/etc/hosts")
    assert read_state(tmp_path) is None
