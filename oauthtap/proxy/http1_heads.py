"""Heads of HTTP/1 messages: how large one may be, and the responses that come before the final one."""

from __future__ import annotations

import re

LARGEST_HEAD = 128 << 10
"""Bytes of a request line or status line and its header lines. More than any client or server reads (Node 16 kB,
Python 64 kB)."""
TOO_LARGE = f"the head of the answer is larger than {LARGEST_HEAD >> 10} kB"
_INFORMATIONAL = re.compile(rb"HTTP/1\.[01] 1(?!01)\d\d\b")
_BLANK_LINE = re.compile(rb"\n\r?\n")


def is_too_large(received: bytes | bytearray) -> bool:
    """More than `LARGEST_HEAD` bytes came, and no blank line that ends the head."""
    return len(received) > LARGEST_HEAD and not _BLANK_LINE.search(bytes(received), 0, LARGEST_HEAD)


def informational(received: bytes | bytearray) -> int:
    """Bytes of the 1xx response (RFC 9110, 15.2) that stands first: 0 for none, -1 where its end has yet to come.

    101 is none of them: after it the connection speaks another protocol.
    """
    head = bytes(received)
    if not _INFORMATIONAL.match(head):
        return 0
    end = head.find(b"\r\n\r\n")
    return end + 4 if end >= 0 else -1
