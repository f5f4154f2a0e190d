"""Taps in the background: started, asked, waited for and stopped, each by its session folder.

state = start(["--upstream", "https://mcp.example.com/mcp"], folder)
state = wait(folder, "ending", timeout=120)
state = stop(folder)
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import psutil

from oauthtap.session.paths import STATE, home
from oauthtap.session.state import SessionState, read_state

Until = Literal["ready", "cause", "ending", "ended"]

_LOOK = 0.05
"""Seconds between two looks at a state."""
_children: list[subprocess.Popen[bytes]] = []
"""Processes that we started: as long as we run, the system asks us how they ended."""


class BackgroundError(Exception):
    """There is no such tap, or it did not start. The text says why and what to type."""


def start(words: Sequence[str], folder: Path, *, timeout: float = 30.0) -> SessionState:
    """Start a tap as a process of its own, which outlives this one, and give its state once clients can connect.

    `words`: the command line behind `oauthtap`, with `--upstream URL`. Without `--port` it takes the first free one.
    Raises BackgroundError with what the tap said when it did not come up.
    """
    port = [] if any(word == "--port" or word.startswith("--port=") for word in words) else ["--port", "0"]
    words = [*words, *port, "--no-web", "--no-background", "--session", str(folder)]
    return _launch(words, folder, lambda state: state.url is not None, timeout)


def start_solve(words: Sequence[str], folder: Path, *, timeout: float = 30.0) -> SessionState:
    """Start `oauthtap solve WORDS` as a process of its own, and give its state once it is under way.

    Its result is `solution.json` in the folder. Raises BackgroundError with what it said when it did not start.
    """
    return _launch(["solve", *words, "--session", str(folder)], folder, lambda _: True, timeout)


def _launch(
    words: Sequence[str], folder: Path, is_ready: Callable[[SessionState], bool], timeout: float
) -> SessionState:
    command = [sys.executable, "-m", "oauthtap", *words]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True
        )
        _children.append(process)
        until = time.monotonic() + timeout
        while time.monotonic() < until and process.poll() is None:
            state = read_state(folder)
            if state is not None and state.pid == process.pid and is_ready(state):
                return state
            time.sleep(_LOOK)
        if process.poll() is None:
            process.terminate()
            raise BackgroundError(f"it was not ready after {timeout:.0f} seconds, and was ended")
        said.seek(0)
        words_said = said.read().decode("utf-8", "replace").strip().removeprefix("oauthtap: ")
    raise BackgroundError(words_said or f"it ended at once (exit {process.returncode})")


def status(folder: Path) -> SessionState:
    """How a tap is doing. Raises BackgroundError for a folder without one."""
    state = read_state(folder)
    if state is None:
        raise BackgroundError(f"{folder}: no {STATE} in it, so nothing is known of a tap there. Try: oauthtap sessions")
    return state


def newest() -> Path:
    """The session of the tap that started last, of those that still run where any do. Raises BackgroundError."""
    found = [state for file in home().glob(f"*/{STATE}") if (state := read_state(file.parent))]
    if not found:
        raise BackgroundError("no tap was started so far. Try: oauthtap --background --upstream URL")
    return Path(max(found, key=lambda state: (state.is_running(), state.started)).session)


def is_reached(state: SessionState, until: Until) -> bool:
    """What is waited for has come, or can come no more."""
    phase = state.phase
    if phase in ("ended", "died"):
        return True
    if until == "ready":
        return phase != "starting"
    return until != "ended" and (state.over or (until == "cause" and state.cause is not None))


def wait(folder: Path, until: Until = "ending", *, timeout: float = 60.0) -> SessionState | None:
    """Wait until a tap is ready, names a cause, is over, or has ended; None when it was not after so many seconds.

    Where the command ends, or dies, before that, its state is given then. A folder may come to be while it is waited
    for. Raises BackgroundError when there is none at the end.
    """
    until_then = time.monotonic() + timeout
    while True:
        state = read_state(folder)
        if state is not None and is_reached(state, until):
            return state
        if time.monotonic() >= until_then:
            return None if state is not None else status(folder)
        time.sleep(_LOOK)


def stop(folder: Path, *, timeout: float = 15.0) -> SessionState:
    """End a tap as Ctrl-C does, and give its last state: the session is complete then.

    One that has ended before is left as it is. Raises BackgroundError when it does not end in so many seconds.
    """
    state = status(folder)
    if not state.is_running():
        return state
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(state.pid).terminate()
    until = time.monotonic() + timeout
    while time.monotonic() < until:
        state = status(folder)
        if state.ended is not None or not state.is_running():
            return state
        time.sleep(_LOOK)
    raise BackgroundError(f"process {state.pid} did not end in {timeout:.0f} seconds. Try: kill -9 {state.pid}")
