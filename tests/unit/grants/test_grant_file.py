"""A stored grant on the disk: encrypted, never torn, never two at once, and never behind the server."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from pathlib import Path

import pytest

from oauthtap.grants.grant_file import Grant, GrantError, GrantFile, new_key

KEY = new_key()
TOKEN = "rt-0-a-secret-nobody-may-read"
GRANT = Grant(
    url="https://mcp.example.com/mcp", token_endpoint="https://as.example.com/token", client={"client_id": "c"},
    refresh_token=TOKEN, resource="https://mcp.example.com/mcp", scope="read",
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    GrantFile(tmp_path / "mcp.grant", KEY).create(GRANT)
    return tmp_path / "mcp.grant"


def test_what_was_kept_is_read_and_the_disk_holds_no_secret(path: Path) -> None:
    assert GrantFile(path, KEY).read() == GRANT
    assert all(TOKEN.encode() not in file.read_bytes() for file in path.parent.iterdir())
    assert path.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("key", "words"),
    [(None, "is not set"), ("hunter2", "is no key"), (new_key(), "is not the key")],
    ids=["none", "no key", "another"],  # each worker makes another one
)
def test_without_the_right_key_it_says_what_to_type(path: Path, key: str | None, words: str) -> None:
    with pytest.raises(GrantError, match=f"{words}.*Try: "):
        GrantFile(path, key).read()
    assert GrantFile(path, KEY).read() == GRANT


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"sealed": 1}', "\x00"])
def test_what_is_no_grant_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "g").write_text(text)
    with pytest.raises(GrantError, match="no grant"):
        GrantFile(tmp_path / "g", KEY).read()


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes on this system")
@pytest.mark.timeout(10)
def test_a_pipe_in_place_of_a_grant_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "grant")
    with pytest.raises(GrantError, match="no file"):
        GrantFile(tmp_path / "grant", new_key()).read()


def test_the_answer_is_kept_and_that_it_is_out_is_noted_meanwhile(path: Path) -> None:
    file = GrantFile(path, KEY)
    grant = file.begin()
    assert grant.unanswered_since is None
    assert GrantFile(path, KEY).read().unanswered_since
    file.end(grant.after({"access_token": "at", "refresh_token": "rt-1"}))
    assert GrantFile(path, KEY).read() == GRANT.model_copy(update={"refresh_token": "rt-1"})


@pytest.mark.parametrize("answer", [{"access_token": "at"}, {"access_token": "at", "refresh_token": None}])
def test_a_server_that_does_not_rotate_leaves_the_token(answer: dict[str, str | None]) -> None:
    assert GRANT.after(answer).refresh_token == TOKEN


@pytest.mark.parametrize("step", ["write", "fsync", "replace"])
def test_a_crash_at_any_step_of_writing_leaves_a_token_that_works(
    path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Until the draft is whole the old one counts, from then on the new one."""
    file = GrantFile(path, KEY)
    grant = file.begin()

    class Crash(BaseException):
        pass

    def crash(*_: object, **__: object) -> None:
        raise Crash

    monkeypatch.setattr(*{"write": (os, "fdopen"), "fsync": (os, "fsync"), "replace": (Path, "replace")}[step], crash)
    with pytest.raises(Crash):
        file.end(grant.after({"refresh_token": "rt-1"}))
    monkeypatch.undo()
    assert GrantFile(path, KEY).read().refresh_token == (TOKEN if step == "write" else "rt-1")
    monkeypatch.setattr(os, "fdopen", crash)  # and once more, before the next draft is whole
    with pytest.raises(Crash):
        GrantFile(path, KEY).begin()
    monkeypatch.undo()
    assert GrantFile(path, KEY).read().refresh_token == (TOKEN if step == "write" else "rt-1")


def _rotate(path: Path, times: int) -> None:
    """As against a server that takes each token once: the next number, and a failure for one that was used."""
    for _ in range(times):
        file = GrantFile(path, KEY)
        grant = file.begin()
        number = int(grant.refresh_token.split("-")[1])
        os.close(os.open(path.with_name(f"used-{number}"), os.O_CREAT | os.O_EXCL))
        file.end(grant.after({"refresh_token": f"rt-{number + 1}"}))


def test_runs_at_once_take_turns_and_no_token_is_used_twice(path: Path) -> None:
    context = multiprocessing.get_context("fork")
    runs = [context.Process(target=_rotate, args=(path, 10)) for _ in range(4)]
    for run in runs:
        run.start()
    for run in runs:
        run.join(60)
    assert [run.exitcode for run in runs] == [0, 0, 0, 0]
    assert GrantFile(path, KEY).read().refresh_token == "rt-40"


def test_who_has_it_for_too_long_is_told_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("oauthtap.grants.grant_file.PATIENCE", 0.1)
    holder = GrantFile(path, KEY)
    holder.begin()
    with pytest.raises(GrantError, match="another run"):
        GrantFile(path, KEY).begin()
    holder.end(None)
    GrantFile(path, KEY).begin()


async def test_an_event_loop_goes_on_while_another_run_has_the_file(path: Path) -> None:
    other, mine = GrantFile(path, KEY), GrantFile(path, KEY)
    grant = other.begin()
    waiting = asyncio.create_task(mine.lock())
    await asyncio.sleep(0)
    assert not waiting.done()
    other.end(grant)
    await waiting
    mine.begin()
    mine.unlock()  # its token is out: it stays locked
    with pytest.raises(GrantError, match="not answered yet"):
        mine.begin()
    mine.end(None)
    await other.lock()
    other.unlock()
    GrantFile(path, KEY).begin()
