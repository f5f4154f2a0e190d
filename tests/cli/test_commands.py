"""The command line itself: misspelled words, help, Ctrl-C, pipes, and how sessions are named."""

from __future__ import annotations

import argparse
import io
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from oauthtap.cli import main
from oauthtap.cli.console_output import ConsoleReporter
from oauthtap.cli.parser import _COMMANDS, _SWITCHES, parser, with_upstream
from oauthtap.report.model import Report
from tests.unit.formats.test_loader import RECORDINGS, session_of

HAR = RECORDINGS / "corpus" / "001-as-endpoint-url-in-prm.har"
MOMENTS = (0.05, 0.1, 0.2, 0.4)


@pytest.fixture(autouse=True)
def at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where sessions lie."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "oauthtap" / "sessions"


def said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    try:
        code = main(words)
    except SystemExit as ended:
        code = int(ended.code or 0)
    heard = capsys.readouterr()
    return code, heard.out + heard.err


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("chekc x", "check"),
        ("drvie", "drive"),
        ("export x", "oauthtap check SESSION --format har"),
        ("--upstrem https://x.example/mcp", "--upstream"),
        ("check x --formt json", "--format"),
        ("check x --format jsn", "json"),
        ("probe https://x.example --regster", "--register"),
        (str(HAR), f"oauthtap check {HAR}"),
    ],
)
def test_a_misspelled_word_gets_the_right_one(typed: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, words = said(capsys, *typed.split())
    assert code == 2
    assert f"Did you mean {meant}?" in words
    assert "\nTry: oauthtap" in words


@pytest.mark.parametrize(
    "typed",
    ["nope", "--fix nope --upstream https://x.example/mcp", "--nope", "check x --nope", "--client nope check x",
     "--inject nope", "explain nope-nope"],
)  # fmt: skip
def test_silence_is_better_than_a_bad_guess(typed: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, words = said(capsys, *typed.split())
    assert code == 2
    assert "mean" not in words
    assert "--fix scope" not in words


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("https://a.example/mcp", "--upstream https://a.example/mcp"),
        ("--no-web -v https://a.example/mcp", "--no-web -v --upstream https://a.example/mcp"),
        ("https://a.example/mcp --port 1", "--upstream https://a.example/mcp --port 1"),
        ("--port 1 localhost:8000/mcp", "--port 1 --upstream localhost:8000/mcp"),
        ("a.example/mcp", "--upstream a.example/mcp"),
        ("--public-url https://t.example https://a.example", "--public-url https://t.example --upstream https://a.example"),
        ("probe https://a.example/mcp", "probe https://a.example/mcp"),
        ("--upstream https://a.example/mcp", "--upstream https://a.example/mcp"),
        ("chekc.har", "chekc.har"),
        ("run -- curl https://a.example", "run -- curl https://a.example"),
    ],
)  # fmt: skip
def test_a_url_alone_is_the_upstream(typed: str, read: str) -> None:
    assert with_upstream(typed.split()) == read.split()


def test_the_flags_without_value_are_those_of_the_parser() -> None:
    mine = {name for action in parser()._actions if action.nargs == 0 for name in action.option_strings}
    assert mine - {"-h", "--help", "--version"} == _SWITCHES


@pytest.mark.parametrize("name", _COMMANDS)
def test_help_has_a_sentence_an_example_and_a_word_on_every_argument(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, words = said(capsys, name, "--help")
    assert code == 0
    assert f"oauthtap {name}" in words.partition("example")[2]
    assert words.splitlines()[0].startswith(f"usage: oauthtap {name}")
    assert "exit codes:" in words
    verbs = next(one for one in parser()._actions if isinstance(one, argparse._SubParsersAction))
    command = verbs.choices[name]
    assert command.description
    assert command.description.rstrip().endswith(".")
    assert [action.dest for action in command._actions if not action.help] == []


@pytest.mark.skipif(sys.platform == "win32", reason="signals of Unix")
@pytest.mark.parametrize("words", [("check", str(HAR)), ("--upstream", "http://127.0.0.1:9/mcp", "--no-web")])
def test_ctrl_c_leaves_no_traceback_at_any_moment(words: tuple[str, ...], tmp_path: Path) -> None:
    running = []
    for moment in MOMENTS:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "oauthtap", *words], text=True, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        time.sleep(max(moment - (time.monotonic() - began), 0))
        process.send_signal(signal.SIGINT)
        running.append((moment, process))
    for moment, process in running:
        out, err = process.communicate(timeout=30)
        own = [line for line in err.splitlines() if "oauthtap" in line and "File" in line]
        assert own == [], f"after {moment} s"  # what the interpreter does before our first line is its own
        assert process.returncode in (-signal.SIGINT, 130, 0, 1, 3), out


@pytest.mark.skipif(sys.platform == "win32", reason="pipes of Unix")
def test_a_reader_that_goes_away_is_no_traceback() -> None:
    line = f'"{sys.executable}" -m oauthtap explain | head -1'
    ran = subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=30, check=False)
    assert ran.stdout.count("\n") == 1
    assert ran.stderr == ""


def test_an_output_without_our_signs_gets_others(monkeypatch: pytest.MonkeyPatch) -> None:
    for encoding, sign in (("ascii", "x "), ("cp1252", "x "), ("utf-8", "✗ ")):
        below = io.BytesIO()
        monkeypatch.setattr("sys.stdout", io.TextIOWrapper(below, encoding=encoding))
        assert main(["check", str(HAR)]) == 1
        text = below.getvalue().decode(encoding)
        monkeypatch.undo()
        assert any(line.startswith(f"{sign}example-client") for line in text.splitlines()), encoding
        assert "?" not in text.replace("?…", "").replace("?...", "")


# --- sessions


def test_a_session_is_named_without_its_folder(
    at_home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    session_of(HAR, at_home / "2026-01-01-000000-a")
    code, words = said(capsys, "check", "2026-01-01-000000-a")
    assert code == 1
    assert "oauthtap check 2026-01-01-000000-a -v" in words


def test_fix_takes_the_newest_session_with_an_exchange_and_says_which(
    at_home: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    session_of(HAR, at_home / "2026-01-01-000000-a")
    empty = at_home / "2026-01-02-000000-b"
    shutil.copytree(at_home / "2026-01-01-000000-a", empty)
    header = (empty / "session.jsonl").read_text().splitlines()[0].replace('"started":', '"started":4', 1)
    (empty / "session.jsonl").write_text(header + "\n")
    _, words = said(capsys, "fix", "--offline", "-o", str(tmp_path / "fixes.toml"))
    assert "the newest session with exchanges: 2026-01-01-000000-a" in words
    shutil.rmtree(at_home / "2026-01-01-000000-a")
    code, words = said(capsys, "fix", "--offline")
    assert code == 2
    assert "no session with an exchange" in words


@pytest.mark.parametrize("name", ["check", "verify", "fix", "lock", "replay"])
def test_text_in_place_of_a_file_is_told_where_to_paste_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, words = said(capsys, name, "401 Unauthorized: invalid_token " * 20)
    assert code == 2
    assert "Try: oauthtap paste" in words


def test_verify_of_a_folder_without_session_says_so_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    code, words = said(capsys, "verify", str(tmp_path))
    assert code == 2
    assert "no session in it. Try: oauthtap sessions" in words


# --- what was wrong at the start, and what to type


def test_what_failed_at_the_start_is_said_again_above_the_verdict(tmp_path: Path) -> None:
    out = io.StringIO()
    reporter = ConsoleReporter(out)
    reporter.warn("There is no host named nobody.invalid.")
    shown = argparse.Namespace(verbose=False, clients=False, brief=False)
    reporter.end(Report(upstream="https://nobody.invalid/mcp"), tmp_path / "a b", (), shown)
    _, _, summary = out.getvalue().partition("\n\n")
    assert summary.index("! There is no host named nobody.invalid.") < summary.index("✗ Nothing arrived")
    assert f"oauthtap verify '{tmp_path}/a b'" in summary, "printed commands are quoted"


@pytest.mark.parametrize(
    ("keys", "how"), [(True, "press f, or in another terminal: "), (False, "in another terminal: ")]
)
def test_a_fix_that_is_known_is_in_the_command(tmp_path: Path, keys: bool, how: str) -> None:
    out = io.StringIO()
    ConsoleReporter(out, keys=keys).try_it(tmp_path / "a b", "--fix drop-resource")
    assert out.getvalue() == f"  Try a fix now: {how}oauthtap fix --apply '{tmp_path}/a b' --fix drop-resource\n"
