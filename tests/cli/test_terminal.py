"""What a command prints moves no cursor and rings no bell, whatever a recording or a server says."""

from __future__ import annotations

import io
import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from oauthtap.cli import main, terminal
from oauthtap.cli.probe_progress import LiveConsole
from oauthtap.model.sanitize import escaped
from oauthtap.replay import server
from tests.unit.formats.test_loader import RECORDINGS, session_of

CONTROLS = (
    "".join(chr(code) for code in (*range(0x20), *range(0x7F, 0xA0)))
    + "\x1b[2J\x1b]0;owned\x07\x1b]8;;http://evil.example\x1b\\\x9b5m\x1bc\x1bP+q\x1b\\"
    + "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u2028\u2029\ufeff\U000e0041\ud800"
)
OURS = re.compile(r"\x1b\[(?:31|33|2|32|1|0)m")
SEEDS = ("001-as-endpoint-url-in-prm", "033-resource-slash-added-entra")
GROUPS = 8


class Screen(io.StringIO):
    """A terminal that notes what is written to it."""

    def isatty(self) -> bool:
        return True


def shown(monkeypatch: pytest.MonkeyPatch, command: Callable[[], object]) -> str:
    """All that a command writes to a terminal, its error too."""
    screen = Screen()
    monkeypatch.setattr("sys.stdout", screen)
    monkeypatch.setattr("sys.stderr", screen)
    try:
        command()
    except SystemExit:
        pass
    finally:
        monkeypatch.undo()
    return screen.getvalue()


def obeyed(text: str) -> str:
    """What a terminal would obey in a text, our own colours aside."""
    rest = OURS.sub("", text).replace("\n", "").replace("\t", "")
    return "".join(sorted({character for character in rest if escaped(character) != character}))


def leaves(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The places of all strings below a value."""
    if isinstance(value, str):
        yield place
    for name, one in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from leaves(one, (*place, name))


def changed(value: Any, chosen: Callable[[int], bool]) -> Any:
    """The value with controls in the chosen ones of its strings; where a string is JSON, in the strings of that."""
    value = json.loads(json.dumps(value))
    for number, (*front, last) in enumerate(list(leaves(value))):
        holder = value
        for name in front:
            holder = holder[name]
        text = holder[last]
        if text[:1] == "{":
            holder[last] = json.dumps(changed(json.loads(text), chosen), ensure_ascii=False)
        elif chosen(number):
            middle = len(text) // 2
            holder[last] = text[:middle] + CONTROLS + text[middle:]
    return value


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Sessions with controls in an eighth of their strings each, and in all."""
    found = []
    for seed in SEEDS:
        plain = tmp_path_factory.mktemp("plain") / "s"
        session_of(RECORDINGS / "corpus" / f"{seed}.har", plain)
        lines = [json.loads(line) for line in (plain / "session.jsonl").read_text().splitlines()]
        for group in range(GROUPS + 1):
            home = tmp_path_factory.mktemp("home")
            folder = home / "oauthtap" / "sessions" / "2026-01-01-000000-x"
            folder.mkdir(parents=True)
            chosen = (lambda n, g=group: n % GROUPS == g) if group < GROUPS else (lambda n: True)
            text = "\n".join(json.dumps(changed(line, chosen)) for line in lines)
            (folder / "session.jsonl").write_text(text + "\n")
            cause = {"connected": False, "cause": {"rule": f"rule{CONTROLS}"}}
            (folder / "report.json").write_text(json.dumps(cause))
            found.append(folder)
    return found


COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "check": lambda folder: ["check", str(folder)],
    "check-markdown": lambda folder: ["check", str(folder), "--format", "markdown"],
    "check-json": lambda folder: ["check", str(folder), "--format", "json"],
    "check-tracker": lambda folder: ["check", str(folder), "--for", "server"],
    "fix": lambda folder: ["fix", str(folder), "--offline", "-o", str(folder / "fixes.toml")],
    "diff": lambda folder: ["diff", str(folder), str(RECORDINGS / "corpus" / f"{SEEDS[1]}.har")],
    "verify": lambda folder: ["verify", str(folder)],
    "lock": lambda folder: ["lock", str(folder)],
    "replay-file": lambda folder: ["replay", str(folder), "--as-file", "-"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_no_control_of_a_recording_reaches_the_terminal(
    name: str, sessions: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in sessions:
        text = shown(monkeypatch, lambda folder=folder: main(COMMANDS[name](folder)))  # type: ignore[misc]
        assert text.strip()
        assert "usage:" not in text
        assert obeyed(text) == "", folder


def test_no_control_of_a_session_reaches_the_list_of_sessions(
    sessions: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    for folder in sessions:
        monkeypatch.setenv("XDG_STATE_HOME", str(folder.parent.parent.parent))
        text = shown(monkeypatch, lambda: main(["sessions"]))
        assert "1 sessions" in text
        assert obeyed(text) == ""


TYPED = CONTROLS.replace("\0", "").replace("\ud800", "")
"""What can be in an argument at all."""


@pytest.mark.parametrize(
    "words",
    [
        ("explain", TYPED), ("check", TYPED), ("--upstream", f"{TYPED}://x.example/"), ("probe", TYPED),
        ("check", "x", "--format", TYPED), ("run", "--", TYPED), (TYPED,),
        ("--upstream", "https://x.example/mcp", "--fix", TYPED),
    ],
)  # fmt: skip
def test_no_control_of_an_argument_reaches_the_terminal(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    text = shown(monkeypatch, lambda: main(words))
    assert text.strip()
    assert obeyed(text) == ""


def test_replay_prints_no_control(sessions: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    class Ended(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            if timeout is None:
                raise KeyboardInterrupt
            return super().wait(timeout)

    for folder in sessions:
        with monkeypatch.context() as patched:
            patched.setattr(server.threading, "Event", Ended)
            patched.setattr(server.threading.Thread, "start", lambda self: None)
            screen = Screen()
            patched.setattr("sys.stdout", screen)
            # The stand-alone file has no stream of ours below it: it has to escape by itself.
            code = replay_of(folder)
            assert code in (0, 2)
        assert obeyed(screen.getvalue()) == ""


def replay_of(folder: Path) -> int:
    """Start to play a session."""
    from argparse import Namespace

    from oauthtap.cli.errors import UsageError
    from oauthtap.cli.replay import replay

    try:
        return replay(Namespace(session=str(folder), as_file=None, port=0, format="console"))
    except UsageError:
        return 2


def test_a_traceback_is_escaped_too(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    with pytest.raises(ValueError, match="owned"), terminal.escaped_output():
        raise ValueError(f"owned {CONTROLS}")
    import sys

    print("\x1b[2J", file=sys.stderr)
    assert screen.getvalue() == "\\u001b[2J\n"


def test_our_own_colours_pass_and_the_same_from_elsewhere_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    stream = terminal.EscapedStream(screen)
    stream.write(f"\x1b{terminal.MARK}[31m✗\x1b{terminal.MARK}[0m \x1b[31mred\x1b[0m é 😀\t\n")
    assert screen.getvalue() == "\x1b[31m✗\x1b[0m \\u001b[31mred\\u001b[0m é 😀\t\n"


def test_what_rich_draws_is_escaped_and_its_own_movements_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setenv("TERM", "xterm")
    console = LiveConsole()
    with console.status(f"asking {CONTROLS}"):
        console.print("a\x1b]0;owned\x07\u202eb")
    text = screen.getvalue()
    assert "\x1b[" in text
    assert "\x1b]" not in text
    assert not {"\x07", "\u202e", "\x9b", "\x1bc"} & set(text)
    assert "\x1bc" not in text


def test_json_stays_the_same_json() -> None:
    value = {"a": CONTROLS, CONTROLS: [1, "é"]}
    assert json.loads(escaped(json.dumps(value, ensure_ascii=False))) == value
