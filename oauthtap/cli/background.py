"""`oauthtap status`, `wait` and `stop`: a tap in the background, by its session; and how one is started there."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oauthtap.cli.errors import UsageError
from oauthtap.model.sanitize import escape_controls
from oauthtap.session import background as taps
from oauthtap.session import default_folder
from oauthtap.session.background import BackgroundError, Until
from oauthtap.session.state import SessionState

_TOO_LATE = 3
"""The exit code where what was waited for did not come: nothing arrived."""


def start_in_background(arguments: Namespace) -> int:
    """Start this command line as a process of its own, and say where it is. Raises Usage when it does not come up."""
    if arguments.events:
        raise UsageError("--events has no reader in the background. Try: oauthtap wait --ending --format json")
    folder = Path(arguments.session) if arguments.session else default_folder(arguments.upstream)
    with _problems_told():
        state = taps.start(arguments.argv, folder)
    _say(state, arguments)
    return 0


def status(arguments: Namespace) -> int:
    """Print how a tap is doing. Gives `code_of`."""
    with _problems_told():
        state = taps.status(_folder(arguments))
    _say(state, arguments)
    return code_of(state)


def wait(arguments: Namespace) -> int:
    """Wait, then print how the tap is doing. Gives `code_of`; 0 for one that is ready; 3 when the time is over."""
    until: Until = arguments.until or "ending"
    with _problems_told():
        folder = _folder(arguments)
        state = taps.wait(folder, until, timeout=arguments.timeout)
        late = state is None
        state = state or taps.status(folder)
    _say(state, arguments)
    if late:
        print(f"oauthtap: {arguments.timeout:g} seconds are over (--timeout)", file=sys.stderr)
        return _TOO_LATE
    return int(state.phase == "died") if until == "ready" else code_of(state)


def stop(arguments: Namespace) -> int:
    """End a tap, and print how it went. Gives its exit code."""
    with _problems_told():
        state = taps.stop(_folder(arguments), timeout=arguments.timeout)
    _say(state, arguments)
    return code_of(state)


@contextlib.contextmanager
def _problems_told() -> Iterator[None]:
    """What is wrong with a tap becomes a UsageError."""
    try:
        yield
    except BackgroundError as problem:
        raise UsageError(escape_controls(str(problem), limit=600)) from None


def code_of(state: SessionState) -> int:
    """The exit code of what is known so far: that of the command once it ended; 0 it works, 1 it stopped or the
    command died, 3 nothing arrived."""
    if state.exit is not None:
        return state.exit
    if state.report is None:
        return 1 if state.phase == "died" else _TOO_LATE
    return 0 if works(state.report) else _TOO_LATE if state.report.get("ending") == "nothing-arrived" else 1


def works(report: dict[str, Any]) -> bool:
    """Connected or signed in, as a report in JSON says it."""
    return report.get("ending") in ("connected", "signed-in") or bool(report.get("complete"))


def _folder(arguments: Namespace) -> Path:
    return Path(arguments.session).expanduser() if arguments.session else taps.newest()


def _say(state: SessionState, arguments: Namespace) -> None:
    if arguments.format == "json":
        print(json.dumps({**state.model_dump(mode="json"), "phase": state.phase}, ensure_ascii=False, indent=1))
    else:
        print("\n".join(_lines(state)))


def _lines(state: SessionState) -> Iterator[str]:
    report = state.report or {}
    what = f"{state.command}: {state.phase}"
    since = f", for {time.time() - state.started:.0f} s" if state.ended is None and state.phase != "died" else ""
    yield f"{what}{since}  (process {state.pid}{'' if state.exit is None else f', exit {state.exit}'})"
    if state.url:
        yield f"  give the client  {escape_controls(state.url)}"
    yield f"  forwards to      {escape_controls(state.upstream or '?', limit=200)}"
    yield f"  session          {escape_controls(state.session)}"
    if state.fixes:
        yield f"  fixes on         {escape_controls(', '.join(state.fixes), limit=200)}"
    yield f"  exchanges        {state.exchanges}"
    if report:
        yield f"  ending           {escape_controls(str(report.get('ending')))}"
    if isinstance(cause := report.get("cause"), dict):
        yield f"  cause            {escape_controls(f'{cause.get("rule")}: {cause.get("title")}', limit=300)}"
    command = {"ready": "wait --ending", "starting": "wait --ready", "over": "stop"}.get(state.phase, "check")
    yield f"  next             oauthtap {command} {escape_controls(state.session)}"
