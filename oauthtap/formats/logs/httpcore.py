"""The head of an answer as httpcore logs it at debug level, before the line that tells whose it is.

Read from: httpcore 1.0, httpcore2, below httpx and both Python SDKs.
"""

from __future__ import annotations

import ast
import re

_HEAD = re.compile(r"receive_response_headers\.complete return_value=\(b'HTTP/[\d.]+', (\d{3}), b[^,]*, (\[.*\])\)")


def answer_head(text: str) -> tuple[int, list[tuple[str, str]]] | None:
    """Status and header lines; None where the message tells none."""
    found = _HEAD.search(text)
    return (int(found[1]), _header_lines(found[2])) if found else None


def _header_lines(shown: str) -> list[tuple[str, str]]:
    """The header lines in a list as Python prints it; none where it was cut."""
    try:
        lines = ast.literal_eval(shown)
        return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in lines]
    except (ValueError, SyntaxError, TypeError, AttributeError, RecursionError, MemoryError):
        return []
