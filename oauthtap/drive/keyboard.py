"""What is typed into a client that has a screen, and when; and what its terminal answers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence

from oauthtap.drive.driver import Keys

ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_=>78])")
_ANSWERS = {b"\x1b[c": b"\x1b[?62;c", b"\x1b[0c": b"\x1b[?62;c", b"\x1b[6n": b"\x1b[1;1R"}
"""What programs ask a terminal, and what it says: some wait for that before they draw."""

_AUTHORIZE = re.compile(r"https?://\S+[?&]client_id=\S+(?=\s)")
_SETTLES = 1.5
"""Seconds that a client gets to use its token, once its screen says that it is signed in."""


class Keyboard:
    """Reads a screen as it is written, and tells what to type. `open_url`: told of an authorize URL on it, once."""

    def __init__(
        self, keys: Sequence[Keys], until: re.Pattern[str] | None, open_url: Callable[[str], None] | None = None
    ) -> None:
        self._keys, self._until, self._open_url = list(keys), until, open_url
        self._screen, self._queue = "", list[tuple[float, bytes]]()
        self._over = float("inf")

    @property
    def done(self) -> bool:
        """Some time ago the screen said that the command is done."""
        return time.monotonic() > self._over

    def hear(self, chunk: bytes) -> None:
        """The program wrote this."""
        for asked, answer in _ANSWERS.items():
            if asked in chunk:
                self._queue.append((0.0, answer))
        self._screen += plain(chunk)
        if self._keys and not self._queue and (found := self._keys[0].after.search(self._screen)):
            keys = self._keys.pop(0)
            self._screen = self._screen[found.end() :]
            at = time.monotonic() + keys.wait
            text = keys.type.removesuffix("\r")
            if text:
                self._queue.append((at, text.encode()))
            if text != keys.type:  # a screen takes text and Enter at once for a paste
                self._queue.append((at + keys.wait, b"\r"))
        elif self._until and self._until.search(self._screen):
            self._over = min(self._over, time.monotonic() + _SETTLES)
        if self._open_url and (url := _AUTHORIZE.search(self._screen)):
            self._open_url(url[0])
            self._open_url = None

    def due(self) -> Iterator[bytes]:
        """What is to be typed now."""
        while self._queue and self._queue[0][0] <= time.monotonic():
            yield self._queue.pop(0)[1]


def plain(said: bytes) -> str:
    """The text of a terminal's output: no escape sequences, lines as lines."""
    return ESCAPES.sub("", said.decode(errors="replace")).replace("\r\n", "\n").replace("\r", "\n")


def settled(said: str) -> str:
    """The lines of a screen, each once: it is drawn again and again."""
    return "\n".join(dict.fromkeys(line.rstrip() for line in said.splitlines() if line.strip()))
