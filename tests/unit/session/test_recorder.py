"""What is written down never touches the traffic, and all of it is there in the end."""

from __future__ import annotations

import asyncio
import json
from argparse import Namespace
from pathlib import Path

import pytest

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import notation
from oauthtap.model.exchange import Exchange
from oauthtap.proxy import flow_file
from oauthtap.session import JSONL
from oauthtap.session.recorder import SessionRecorder

UPSTREAM = "https://mcp.example.com/mcp"
TEXT = f"""\
POST {UPSTREAM}
401
"""
ARGUMENTS = Namespace(client=None, revision=None, redact="tokens")


def notebook(folder: Path, said: list[str]) -> SessionRecorder:
    return SessionRecorder(SessionAnalyzer(UPSTREAM), folder, UPSTREAM, ARGUMENTS, said.append)


def test_what_comes_close_together_is_all_there_in_the_end(tmp_path: Path) -> None:
    said: list[str] = []

    async def session() -> None:
        book = notebook(tmp_path / "s", said)
        for number in range(1, 31):
            step = book.tap.add(next(notation.parse(TEXT)).replace(id=number))
            book.add(step)
        book.end(notation.START + 60)

    asyncio.run(session())
    lines = [json.loads(line) for line in (tmp_path / "s" / JSONL).read_text().splitlines()]
    assert [line["id"] for line in lines if "request" in line] == list(range(1, 31))
    assert len(list(flow_file.read(tmp_path / "s" / "flows.mitm").exchanges)) == 30
    assert not said


def test_an_exchange_that_cannot_be_written_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    book = notebook(tmp_path / "s", said)
    step = book.tap.add(next(notation.parse(TEXT)))

    def refuse(exchange: Exchange) -> str:
        raise ValueError("no such text")

    monkeypatch.setattr(Exchange, "as_json", refuse)
    book.add(step)
    book.add(step)
    assert said == ["ValueError: no such text"]
