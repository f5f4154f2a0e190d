"""oauthtap's own commands, run as processes: none of them may write into the stream that MCP speaks on."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

_LAST = 600
BEAT = 5.0
"""Seconds between two words that it still runs: clients give a call up after 60 without one."""
_running: dict[asyncio.Future[tuple[bytes, bytes]], asyncio.subprocess.Process] = {}


@dataclass(frozen=True)
class CommandOutput:
    """How a command ended."""

    code: int
    document: Any
    """The JSON it printed; None where it printed none."""
    said: str
    """What it said to stderr, or in place of JSON."""
    session: str | None
    """The folder that it recorded into."""


async def run(
    *words: str, text: str | None = None, timeout: float = 120.0, tell: Callable[[float], Awaitable[None]] | None = None
) -> CommandOutput:
    """Run `oauthtap WORDS` with `text` on its standard input, for so many seconds at most.

    `tell`: told every few seconds how many have gone by.

    A command that takes longer, or whose caller is cancelled, is ended as Ctrl-C ends it.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "oauthtap", *words,
        stdin=asyncio.subprocess.PIPE if text is not None else asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    work = asyncio.ensure_future(process.communicate(text.encode() if text is not None else None))
    _running[work] = process
    work.add_done_callback(_running.pop)
    began = time.monotonic()
    try:
        while tell is not None and timeout - (gone := time.monotonic() - began) > BEAT:
            done, _ = await asyncio.wait([work], timeout=BEAT)
            if done:
                break
            await tell(gone + BEAT)
        left = max(0.0, timeout - (time.monotonic() - began))
        printed, said = await asyncio.wait_for(asyncio.shield(work), left)
    except TimeoutError:
        _end(process)
        printed, said = await work
    except asyncio.CancelledError:
        _end(process)  # not waited for: whoever cancels goes on cancelling (`anyio`), and `end_all` waits
        raise
    words_said = said.decode("utf-8", "replace").strip()
    return CommandOutput(process.returncode or 0, _json(printed), words_said[-_LAST:], _session(words_said))


async def end_all() -> None:
    """End what still runs, and wait until it has: before the event loop is closed."""
    for process in _running.values():
        _end(process)
    await asyncio.gather(*_running, return_exceptions=True)


def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()


def _json(printed: bytes) -> Any:
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(printed)
    return None


def _session(said: str) -> str | None:
    found = re.findall(r"^Session: (.+)$", said, re.MULTILINE)
    return found[-1].strip() if found else None
