"""One command of a foreign program, run without a person: exactly this environment, a time limit, nothing left over."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from oauthtap.drive.keyboard import Keyboard, plain, settled

if sys.platform != "win32":  # there `drive` refuses, and a recording is solved without a process
    import fcntl
    import pty
    import termios

_SIZE = (50, 160)
"""Rows and columns of a terminal: screens break lines that we look for."""
_LOOK = 0.05
"""Seconds between two looks at whether it is to end."""


@dataclass(frozen=True)
class ProcessResult:
    """What a command said, and how it ended."""

    code: int | None
    """Its exit code, negative for a signal; None when it was ended by us."""
    said: str
    """Output and errors as one text, without escape sequences."""
    done: bool = False
    """It was ended by us because its screen said that it is done."""


def run_command(
    command: Sequence[str | Path],
    env: Mapping[str, str],
    *,
    folder: Path,
    timeout: float,
    terminal: bool = False,
    typed: str = "",
    keyboard: Keyboard | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> ProcessResult:
    """Run it in `folder` for at most `timeout` seconds, or until `should_stop` says so; blocks meanwhile.

    `terminal`: on a pseudo-terminal of its own, with a `keyboard`; `typed`: what it reads otherwise. Its process group
    and all its descendants are ended before this returns. Raises OSError when it cannot be started.
    """
    ours, theirs = pty.openpty() if terminal else os.pipe()
    if terminal:
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", *_SIZE, 0, 0))
    try:
        process = subprocess.Popen(
            [str(word) for word in command],
            env=dict(env),
            cwd=folder,
            stdin=theirs if terminal else subprocess.PIPE,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
    except OSError:
        os.close(ours)
        raise
    finally:
        os.close(theirs)
    if process.stdin:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.write(typed.encode())
            process.stdin.close()
    until = time.monotonic() + timeout
    try:
        said = _read_output(ours, process, lambda: time.monotonic() > until or should_stop(), keyboard)
        code = process.poll()
    finally:
        terminate_tree(process)
        os.close(ours)
    done = keyboard is not None and keyboard.done
    return ProcessResult(code, settled(plain(said)) if keyboard else plain(said), done)


def _read_output(
    source: int, process: subprocess.Popen[bytes], over: Callable[[], bool], keyboard: Keyboard | None
) -> bytes:
    """Everything the process writes until it ends, or it is over, or its screen says that it is done."""
    heard, ended = b"", False
    while not over() and not (keyboard and keyboard.done):
        for key in keyboard.due() if keyboard else ():
            with contextlib.suppress(OSError):
                os.write(source, key)
        if select.select([source], [], [], 0 if ended else _LOOK)[0]:
            try:
                chunk = os.read(source, 65536)
            except OSError:  # a pseudo-terminal says so when its other side is closed
                chunk = b""
            if not chunk:
                while process.poll() is None and not over():
                    time.sleep(_LOOK)
                return heard
            heard += chunk
            if keyboard:
                keyboard.hear(chunk)
        elif ended:  # a child it left behind may hold the other side open
            return heard
        else:  # its last words may have come between the two looks: once more
            ended = process.poll() is not None
    return heard


def terminate_tree(process: subprocess.Popen[bytes]) -> None:
    """End the process and all it started; politely first."""
    others = descendants(process.pid)
    for sign, patience in ((signal.SIGTERM, 1.0), (signal.SIGKILL, 0.5)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        end_all(others, sign)
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            process.poll()
            if not _group_lives(process.pid) and not any(map(_lives, others)):
                return
            time.sleep(0.01)


def end_all(processes: Iterable[int], sign: signal.Signals | None = None) -> None:
    """End these, as far as they still run: with SIGKILL, where no signal is named."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, sign or signal.SIGKILL)


def descendants(process: int) -> set[int]:
    """The children of a process and theirs, also those in groups of their own; none where `ps` is not there."""
    try:
        listed = subprocess.run(
            ["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, timeout=5, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return set()
    pairs = [
        (int(fields[0]), int(fields[1])) for line in listed.stdout.splitlines() if len(fields := line.split()) == 2
    ]
    found: set[int] = set()
    fresh = {process}
    while fresh:
        fresh = {child for child, parent in pairs if parent in fresh} - found
        found |= fresh
    return found


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so of a group of which only a dead member is left
        return False
    return True


def _lives(process: int) -> bool:
    with contextlib.suppress(OSError):
        os.kill(process, 0)
        return True
    return False
