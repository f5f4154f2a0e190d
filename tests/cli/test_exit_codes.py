"""Every command and the exit codes that it has: 0 it works, 1 a stop or a finding, 2 wrong use, 3 nothing arrived.

And every command has its answer as JSON: one document on standard output, or a line for each event.
"""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oauthtap.cli import main
from oauthtap.cli.parser import parser
from tests.support.bed import Bed
from tests.support.running import COMMAND, environment, to_the_bed
from tests.support.tapped import free_port

JSON = ("--format", "json")
ROW = tuple[str, int, tuple[str, ...]]

CODES: tuple[ROW, ...] = (
    # command, exit code, words; HOME, GOOD, F03, STOPPED, WORKS and EMPTY are filled in
    ("check", 0, ("WORKS", *JSON)),
    ("check", 1, ("STOPPED", *JSON)),
    ("check", 2, ("none.har",)),
    ("check", 3, ("EMPTY", *JSON)),
    ("paste", 2, ()),
    ("summary", 0, ("WORKS", *JSON)),
    ("summary", 1, ("STOPPED", *JSON)),
    ("summary", 2, ("none.har",)),
    ("explain", 0, ("prm-resource-missing", *JSON)),
    ("explain", 2, ("--format", "xml")),
    ("diff", 0, ("WORKS", "WORKS", *JSON)),
    ("diff", 1, ("WORKS", "STOPPED", *JSON)),
    ("diff", 2, ("WORKS", "none.har")),
    ("lock", 0, ("WORKS", *JSON)),
    ("lock", 2, ("none.har",)),
    ("fix", 0, ("WORKS", "--offline", *JSON)),
    ("fix", 1, ("REST", "--offline", *JSON)),
    ("fix", 2, ("none.har",)),
    ("verify", 0, ("SESSION", *JSON)),
    ("verify", 2, ("none",)),
    ("replay", 0, ("WORKS", "--as-file", "HOME/played.py", *JSON)),
    ("replay", 2, ("none.har",)),
    ("sessions", 0, JSON),
    ("sessions", 2, ("--limit", "0")),
    ("skill", 0, JSON),
    ("skill", 2, ("--install", "--agents")),
    ("record", 2, ("no url",)),
    ("record", 3, ("https://mcp.example.com/mcp", *JSON)),
    ("status", 2, ("none", *JSON)),
    ("wait", 2, ("none", "--timeout", "1", *JSON)),
    ("stop", 2, ("none", "--timeout", "1", *JSON)),
    ("probe", 0, ("GOOD", "REACH", *JSON)),
    ("probe", 1, ("F03", "REACH", *JSON)),
    ("probe", 2, ("GOOD", "--attack")),
    ("grant", 2, ("GOOD",)),
    ("drive", 0, ("claude-ai@emulated", "--upstream", "GOOD", "REACH", *JSON)),
    ("drive", 1, ("claude-ai@emulated", "--upstream", "F02", "REACH", *JSON)),
    ("drive", 2, ("nobody", "--upstream", "GOOD")),
    ("solve", 0, ("WORKS", "--offline", *JSON)),
    ("solve", 1, ("REST", "--offline", *JSON)),
    ("solve", 2, ("none.har",)),
    ("run", 2, ()),
    ("run", 7, ("--", "sh", "-c", "exit 7")),
    ("mcp", 0, ()),
    ("", 2, ("--no-such-flag",)),
    ("", 3, ("--upstream", "GOOD", "--once", "--timeout", "1", "--no-web", "--no-preflight", "--port", "PORT", *JSON)),
)


@pytest.fixture(scope="module")
def known(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    home = tmp_path_factory.mktemp("codes")
    empty = {"log": {"version": "1.2", "creator": {"name": "x", "version": "1"}, "entries": []}}
    (home / "empty.har").write_text(json.dumps(empty))
    found = {
        "HOME": str(home),
        "EMPTY": str(home / "empty.har"),
        "SESSION": str(home / "session"),
        "PORT": str(free_port()),
    }
    found |= {name.upper(): bed.url(name) for name in ("good", "f02", "f03")}
    words = {name: [value] for name, value in found.items()} | {"REACH": to_the_bed(bed)}
    for name, target in (("STOPPED", "f03"), ("REST", "f06"), ("SESSION", "good")):
        folder = home / ("session" if name == "SESSION" else name)
        _run(["probe", bed.url(target), *to_the_bed(bed), "--headless", "--session", str(folder)], home)
        words[name] = [str(folder)]
    words["WORKS"] = words["SESSION"]
    return words


Ended = tuple[int, str, str]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """A command in this process, which starts in no time."""

    def run(words: list[str], home: Path) -> Ended:
        monkeypatch.chdir(home)
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
        try:
            code = main(words)
        except SystemExit as ended:
            code = int(ended.code or 0)
        return code, *capsys.readouterr()

    return run


def _run(words: list[str], home: Path) -> Ended:
    ran = subprocess.run(
        [str(COMMAND), *words], cwd=home, env=environment(home), stdin=subprocess.DEVNULL, capture_output=True,
        text=True, timeout=90, check=False,
    )  # fmt: skip
    return ran.returncode, ran.stdout, ran.stderr


@pytest.mark.parametrize(
    ("command", "code", "words"), CODES, ids=[f"{c or 'tap'}-{n}-{i}" for i, (c, n, _) in enumerate(CODES)]
)
def test_the_exit_code_and_the_json(
    known: dict[str, list[str]], command: str, code: int, words: tuple[str, ...], here: Callable[..., Ended]
) -> None:
    home = Path(known["HOME"][0])
    filled = [one for word in words for one in known.get(word, [word.replace("HOME", str(home))])]
    run = _run if command in ("", "run", "mcp") else here
    found, out, err = run([*([command] if command else []), *filled], home)
    assert found == code, out + err
    assert "Traceback" not in err
    if code == 2:
        assert err.strip(), "it says what to type"
    elif "json" in words and (out or command not in ("record",)):
        json.loads(out)


def test_no_command_is_left_out() -> None:
    (verbs,) = (
        action.choices
        for action in parser()._actions
        if action.dest == "COMMAND" or hasattr(action, "_name_parser_map")
    )
    tested: set[str] = {command for command, _, _ in CODES}
    assert tested == {*verbs, ""}  # type: ignore[misc]


@pytest.mark.parametrize("command", ["probe", "drive"])
def test_events_are_lines_of_json_and_the_last_one_has_the_exit_code(
    known: dict[str, list[str]], command: str, here: Callable[..., Ended]
) -> None:
    words = ["probe"] if command == "probe" else ["drive", "claude-ai@emulated", "--upstream"]
    code, out, _ = here([*words, *known["F02"], *known["REACH"], "--events"], Path(known["HOME"][0]))
    told: list[dict[str, Any]] = [json.loads(line) for line in out.splitlines()]
    assert {"ready", "exchange", "finding", "cause", "ending"} <= {one["event"] for one in told}
    assert (told[-1]["event"], told[-1]["exit"], code) == ("ending", 1, 1)


def test_a_replay_says_where_it_is_as_json(known: dict[str, list[str]]) -> None:
    port = free_port()
    command = [str(COMMAND), "replay", *known["WORKS"], "--port", str(port), *JSON]
    env = environment(Path(known["HOME"][0])) | {"PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        told = json.loads(process.stdout.readline())
        assert told["url"].startswith(f"http://localhost:{port}/")
        time.sleep(0.1)
        os.kill(process.pid, signal.SIGINT)
        assert process.wait(30) == 0
