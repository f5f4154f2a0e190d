"""Runs one command of a foreign program: empty environment, a limit in time, and nothing left running after it."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_=>78])")


@dataclass(frozen=True)
class Ran:
    """What a command said, and how it ended; `code` is None when it was ended for being late."""

    code: int | None
    said: str


def run_command(
    command: Sequence[str | Path],
    env: Mapping[str, str],
    *,
    folder: Path,
    timeout: float,
    terminal: bool = False,
    typed: str = "",
) -> Ran:
    """Run `command` with exactly this environment; with `terminal`, on a pseudo-terminal of its own.

    `typed` is what it reads on its standard input. Output and errors come back as one text
    without escape sequences. Its whole process group is ended before this returns.
    """
    ours, theirs = pty.openpty() if terminal else os.pipe()
    process = subprocess.Popen(
        [str(word) for word in command],
        env=dict(env),
        cwd=folder,
        stdin=theirs if terminal else subprocess.PIPE,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    if process.stdin:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(typed.encode())
            process.stdin.close()
    try:
        said = _heard(ours, process, time.monotonic() + timeout)
        code = process.poll()
    finally:
        end(process)
        os.close(ours)
    return Ran(code, ESCAPES.sub("", said.decode(errors="replace")).replace("\r\n", "\n").replace("\r", "\n"))


def _heard(source: int, process: subprocess.Popen[bytes], deadline: float) -> bytes:
    """Everything the process writes until it ends or the time is up."""
    heard = b""
    while time.monotonic() < deadline:
        if select.select([source], [], [], 0.05)[0]:
            try:
                chunk = os.read(source, 65536)
            except OSError:  # a pseudo-terminal says so when its other side is closed
                chunk = b""
            if not chunk:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=max(0.0, deadline - time.monotonic()))
                return heard
            heard += chunk
        elif process.poll() is not None:  # a child it left behind may hold the other side open
            return heard
    return heard


def end(process: subprocess.Popen[bytes]) -> None:
    """End the process and all it started; politely first."""
    for sign, patience in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 0.5)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            process.poll()
            if not _group_lives(process.pid):
                return
            time.sleep(0.01)


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
