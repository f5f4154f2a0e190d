"""Odd requests and files from strangers: each ends in an answer or in one sentence, and nothing waits for ever."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path

import pytest
from mitmproxy import websocket
from mitmproxy.test import tflow

from oauthtap.cli.console_output import ConsoleReporter
from oauthtap.formats.untrusted_file import parse_json
from oauthtap.proxy import web
from oauthtap.render.markdown import code_words
from oauthtap.report.build import build
from oauthtap.session import SessionError, SessionWriter
from tests.mutations import HAR, READERS, command, failures, make_session
from tests.proxy.test_doors import PRM, naming
from tests.support.tapped import said, tapped, upstream

MUTATIONS = 150
"""5,000, or more: `python -m tests.mutations`."""


# --- files


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_session(tmp_path_factory.mktemp("good") / "s")


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("kind", ["fifo", "socket", "device", "folder", "dangling", "loop"])
def test_what_is_no_file_is_refused_at_once(reader: str, kind: str, tmp_path: Path) -> None:
    path = tmp_path / "it"
    with socket.socket(socket.AF_UNIX) as listener:
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "socket":
            listener.bind(str(path))
        elif kind == "folder":
            path.mkdir()
        else:
            path.symlink_to({"device": "/dev/zero", "dangling": tmp_path / "nowhere", "loop": path}[kind])
        began = time.monotonic()
        code, words = command(*READERS[reader](path))
    assert code == 2, words
    assert str(path) in words
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("name", ["session.jsonl", "flows.mitm"])
@pytest.mark.parametrize("reader", ["check", "fix", "lock", "replay"])
def test_a_planted_link_in_a_session_leads_nowhere(name: str, reader: str, session: Path, tmp_path: Path) -> None:
    folder, secret = tmp_path / "s", tmp_path / "secret"
    shutil.copytree(session, folder)
    shutil.copy(folder / name, secret)
    (folder / name).unlink()
    (folder / name).symlink_to(secret)
    code, words = command(*READERS[reader](folder))
    if name == "session.jsonl":
        assert code == 2
        assert "symbolic link" in words
    else:
        assert code in (0, 1)


ODD = ["NaN", "Infinity", "-Infinity", "1e999", "9" * 5000]


@pytest.mark.parametrize("token", ODD)
def test_numbers_that_are_none_are_refused_with_their_place(token: str, session: Path, tmp_path: Path) -> None:
    har = tmp_path / "odd.har"
    har.write_text('{"log": {"creator": {"name": "NaN 1e999"},\n "entries": [], "x": ' + token + "}}")
    code, words = command("check", har)
    assert code == 2
    assert "line 2, column 22" in words
    lines = (session / "session.jsonl").read_text().splitlines()
    lines.insert(1, '{"x": ' + token + "}")
    jsonl = tmp_path / "session.jsonl"
    jsonl.write_text("\n".join(lines))
    code, words = command("check", jsonl)
    assert code == 2
    assert "line 2" in words
    lock = tmp_path / "lock"
    lock.write_text('{"oauthtap": ' + token + "}")
    code, words = command("check", HAR, "--against", lock)
    assert code == 2
    assert str(lock) in words


def test_halves_of_characters_are_read_as_such() -> None:
    assert parse_json('{"a\\ud800": ["\\udc00", "\\ud83d\\ude00"]}') == {"a\ufffd": ["\ufffd", "😀"]}


def test_a_file_without_an_end_is_read_to_a_bound(tmp_path: Path) -> None:
    path = tmp_path / "large.lock"
    with path.open("wb") as file:
        file.truncate(3_000_000_000)
    for words in (("check", path), ("verify", path), ("check", HAR, "--against", path)):
        code, told = command(*words)
        assert code == 2
        assert "larger than" in told


def test_broken_files_end_in_one_sentence(session: Path, tmp_path: Path) -> None:
    """Every command that reads a file, over files with a few bytes or values changed."""
    assert list(failures(range(MUTATIONS), session, tmp_path)) == []


def test_a_session_is_not_written_through_a_planted_link(tmp_path: Path) -> None:
    for name in ("flows.mitm", "session.jsonl"):
        folder, target = tmp_path / name, tmp_path / f"target-{name}"
        folder.mkdir()
        (folder / name).symlink_to(target)
        with pytest.raises(SessionError):
            SessionWriter(folder, {"upstream": "https://x.example"})
        assert not target.exists()


# --- requests


async def test_a_method_that_is_no_text_ends_no_report() -> None:
    async with upstream({"/mcp": said(200, "{}", content_type="application/json")}) as server, tapped(server) as tap:
        reader, writer = await asyncio.open_connection("127.0.0.1", tap.settings.port)
        writer.write(b"G\xff\xc3T /mcp HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n\r\n" % tap.settings.port)
        await reader.read()
        writer.close()
        await tap.client.get(tap.url)
        assert json.loads(build(tap.tap).model_dump_json())


async def test_options_of_the_server_itself_are_asked_as_they_came() -> None:
    async with upstream({"*": said(204)}) as server, tapped(server) as tap:
        reader, writer = await asyncio.open_connection("127.0.0.1", tap.settings.port)
        writer.write(b"OPTIONS * HTTP/1.1\r\nHost: localhost:%d\r\n\r\n" % tap.settings.port)
        status = await asyncio.wait_for(reader.readline(), 5)
        writer.close()
        urls = [exchange.request.url for exchange in tap.exchanges]
    assert status.startswith(b"HTTP/1.1 204")
    assert [came.target for came in server.came] == ["*"]
    assert urls == ["http://mcp.test"]


async def test_the_cookie_of_the_web_interface_stays_here() -> None:
    async with upstream({"/mcp": said(200, "hi")}) as server, tapped(server) as tap:
        for cookie in ("a=1; mitmproxy-auth-8081=2|1:0|secret; b=2", "mitmproxy-auth-8081=secret"):
            await tap.client.get(tap.url, headers={"Cookie": cookie})
        seen = [one.request.header("cookie") for one in tap.exchanges]
    assert [came.headers.get("cookie") for came in server.came] == ["a=1; b=2", None]
    assert "secret" not in str(seen)


async def test_ten_thousand_servers_are_told_in_a_few_lines(tmp_path: Path) -> None:
    named = [f"http://10.0.{n // 250}.{n % 250}" for n in range(10_000)]
    async with upstream(naming(*named)) as server, tapped(server) as tap:
        began = time.process_time()
        await tap.client.get(tap.origin + PRM)
        assert time.process_time() - began < 2
        assert len(tap.notes) < 30
        assert "further origins" in " ".join(tap.notes)
        assert len(tap.steps[0].findings) < 100


# --- what is printed, shown and saved


def test_the_line_to_paste_is_quoted_for_the_shell(tmp_path: Path) -> None:
    out = StringIO()
    local = "http://localhost:8080/mcp?a=1&b=$(touch owned)"
    ConsoleReporter(out).ready(local, "https://mcp.example.com/mcp", None, tmp_path)
    (line,) = [line for line in out.getvalue().splitlines() if "mcp add" in line]
    script = f"claude() {{ printf '%s' \"${{!#}}\"; }}; {line.strip()}"
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert ran.stdout == local
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("text", ["https://evil.example/x", "www.evil.example", "@someone", "a@b.example", "a/b#1"])
def test_upstream_text_is_no_link_and_no_mention(text: str) -> None:
    shown = code_words(f"it says {text} here ![x](y) ~~z~~")
    assert f"`{text}`" in shown
    assert "\\!\\[x\\]" in shown
    assert shown.count("`") % 2 == 0


def test_what_a_websocket_said_is_in_no_save() -> None:
    flow = tflow.twebsocketflow()
    flow.websocket.messages = [websocket.WebSocketMessage(1, True, b"s3cr3t", 0.0)]
    web.NoSecretsSaved().websocket_message(flow)
    assert "s3cr3t" not in str(flow.get_state())


@pytest.mark.parametrize("place", ["top", "rule"])
def test_a_rule_of_the_users_own_that_ends_ends_nothing_else(place: str, tmp_path: Path) -> None:
    house = (Path(__file__).parents[2] / "addons" / "house_rules.py").read_text()
    path = tmp_path / "own.py"
    if place == "top":
        path.write_text("import sys\nsys.exit(0)\n")
        code, words = command("check", HAR, "--rules", path)
        assert code == 2
        assert str(path) in words
        return
    body = house.index('"""', house.index('"""', house.index("def ")) + 3) + 3
    path.write_text(house[:body] + "\n    raise SystemExit(0)\n" + house[body:])
    ran = subprocess.run(
        [sys.executable, "-m", "oauthtap", "check", str(HAR), "--rules", str(path)],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "  Cause  " in ran.stdout
