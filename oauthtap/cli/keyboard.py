"""Single keys from the terminal while something runs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any


@contextlib.contextmanager
def read_keys(pressed: Callable[[str], None]) -> Iterator[bool]:
    """Within the block, tell every key. Gives whether there is a terminal that tells any; Ctrl-C stays what it is.

    Must be entered while an event loop runs.
    """
    terminal = _ours()
    if terminal is None:
        yield False
        return
    import termios  # not on Windows, where there is no such terminal
    import tty

    before = termios.tcgetattr(terminal)
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            data = os.read(terminal, 64)
        except OSError:
            data = b""
        if not data:  # the terminal is gone
            loop.remove_reader(terminal)
        for key in data.decode("utf-8", "ignore"):
            pressed(key)

    def again(*_: Any) -> None:
        # Back from Ctrl-Z: the shell has given us the terminal as it likes it.
        with contextlib.suppress(termios.error):
            tty.setcbreak(terminal)

    tty.setcbreak(terminal)
    loop.add_reader(terminal, read)
    loop.add_signal_handler(signal.SIGCONT, again)
    try:
        yield True
    finally:
        loop.remove_reader(terminal)
        loop.remove_signal_handler(signal.SIGCONT)
        with contextlib.suppress(termios.error):
            termios.tcsetattr(terminal, termios.TCSADRAIN, before)


def _ours() -> int | None:
    """The descriptor of the terminal that we may read from; None without one, or when we are in the background."""
    if sys.platform == "win32":
        return None
    try:
        terminal = sys.stdin.fileno()
        return terminal if os.isatty(terminal) and os.tcgetpgrp(terminal) == os.getpgrp() else None
    except (OSError, ValueError, AttributeError):
        return None
