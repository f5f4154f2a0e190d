"""Foreign programs are run safely: in time, with nothing left over, and never silently absent."""

from __future__ import annotations

import os
import select
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from oauthtap.drive.process import run_command
from tests.support.clients.installed import from_npm

SLEEPER = "import subprocess, sys, time; p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])"
ENV = {"PATH": os.environ["PATH"]}


def python(script: str, folder: Path, **how: object) -> tuple[int | None, str]:
    ran = run_command([sys.executable, "-c", script], ENV, folder=folder, **{"timeout": 10.0, **how})  # type: ignore[arg-type]
    return ran.code, ran.said


def lives(process: int) -> bool:
    """Whether that process still runs; one that ended and waits to be collected does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_late_program_is_ended_with_all_its_children(tmp_path: Path) -> None:
    start = time.monotonic()
    code, said = python(f"{SLEEPER}; print(p.pid, flush=True); time.sleep(60)", tmp_path, timeout=1.0)
    assert code is None
    assert time.monotonic() - start < 8
    assert not lives(int(said))


def test_what_a_finished_program_left_behind_is_ended_too(tmp_path: Path) -> None:
    code, said = python(f"{SLEEPER}; print(p.pid, flush=True)", tmp_path)
    assert code == 0
    assert not lives(int(said))


def test_a_program_sees_only_the_environment_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "made-up")
    _, said = python("import os; print('ANTHROPIC_API_KEY' in os.environ, os.getcwd())", tmp_path)
    assert said.split() == ["False", str(tmp_path)]


def test_a_terminal_is_one_and_its_escape_sequences_are_left_out(tmp_path: Path) -> None:
    script = "import sys; print(sys.stdin.isatty(), sys.stdout.isatty(), '\\x1b[1;31mred\\x1b[0m')"
    assert python(script, tmp_path, terminal=True) == (0, "True True red\n")
    assert python(script, tmp_path) == (0, "False False red\n")


def test_a_client_that_cannot_be_installed_fails_the_test(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("OAUTHTAP_TEST_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(programs))
    with pytest.raises(pytest.fail.Exception, match="npm is needed to install some-client@1"):
        from_npm("some-client", "some-client@1")
    npm = programs / "npm"
    npm.write_text("#!/bin/sh\necho no such package\nexit 1\n")
    npm.chmod(0o755)
    with pytest.raises(pytest.fail.Exception, match=r"(?s)cannot install some-client@1.*\nno such package"):
        from_npm("some-client", "some-client@1")
    assert not list(tmp_path.rglob("installed.json"))


def test_last_words_between_two_looks_are_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """We look, nothing is there; it speaks and ends; we look whether it has ended."""
    done, look, blind = tmp_path / "done", select.select, [True]

    def late(*arguments: Any) -> Any:
        if not blind:
            return look(*arguments)
        while not done.exists():
            time.sleep(0.01)
        time.sleep(0.2)
        blind.clear()
        return [], [], []

    monkeypatch.setattr("oauthtap.drive.process.select.select", late)
    script = f"import pathlib; print('its last words', flush=True); pathlib.Path({str(done)!r}).touch()"
    assert python(script, tmp_path) == (0, "its last words\n")
