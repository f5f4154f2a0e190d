"""The two output streams of a command, where every control character is written out, whoever the text is from.

Only what `MARK` stands in is ours: colours (`Ink`), and what rich draws (`progress.LiveConsole`).
"""

from __future__ import annotations

import codecs
import io
import re
import secrets
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

from oauthtap.model.sanitize import escaped

MARK = secrets.token_hex(8)
"""Stands behind the ESC of our own colours; made anew for every process, so that no text can contain it."""
_OURS = re.compile(rf"\x1b{MARK}(\[[0-9]{{1,2}}m)")


_PLAIN = {
    "✗": "x", "✓": "+", "✔": "+", "─": "-", "→": ">", "←": "<", "·": "-", "×": "x", "…": "...", "‹": "<", "›": ">",
    "“": '"', "”": '"', "’": "'", "–": "-",
}  # fmt: skip
"""Our own signs where an encoding has not got them."""
_REPLACE = "oauthtap"


def _replaced(problem: UnicodeError) -> tuple[str, int]:
    """The sign that stands for one that cannot be encoded: of ours the nearest, of others the code."""
    if not isinstance(problem, UnicodeEncodeError):
        raise problem
    text = problem.object[problem.start : problem.end]
    return "".join(_PLAIN.get(sign) or sign.encode("ascii", "backslashreplace").decode() for sign in text), problem.end


codecs.register_error(_REPLACE, _replaced)


class EscapedStream:
    """A text stream that escapes what is written to it. Everything else is that of the stream below."""

    def __init__(self, below: TextIO) -> None:
        self.below = below

    def write(self, text: str) -> int:
        """Write the text, control characters as JSON escapes them; gives its length."""
        pieces = _OURS.split(text)
        shown = [f"\x1b{piece}" if place % 2 else escaped(piece) for place, piece in enumerate(pieces)]
        self.below.write("".join(shown))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.below, name)


def mark_of(stream: TextIO) -> str:
    """What has to stand behind the ESC of our colours on this stream."""
    return MARK if isinstance(stream, EscapedStream) else ""


@contextmanager
def escaped_output() -> Iterator[None]:
    """Within the block `sys.stdout` and `sys.stderr` escape what is written to them.

    What their encoding has no sign for (that of a redirect on Windows has few) is written in other signs. They go on
    doing so when the block raises: its traceback is still to be printed.
    """
    before = sys.stdout, sys.stderr
    for stream in before:
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_REPLACE)
    sys.stdout, sys.stderr = (cast(TextIO, EscapedStream(stream)) for stream in before)
    try:
        yield
    except Exception:
        raise
    except BaseException:
        sys.stdout, sys.stderr = before
        raise
    sys.stdout, sys.stderr = before
