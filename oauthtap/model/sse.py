"""Answers without an end: an event stream rewritten as it passes, and a bounded copy of it. Bytes in, bytes out."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from oauthtap.model.exchange import Unseen as Unseen

KEPT = 64 * 1024
"""Bytes kept of the beginning of a stream, and as many of its end."""
_LONGEST_SECRET = 8192
"""Bytes at a cut that are given up where no line ends."""
_LONGEST_EVENT = 1 << 20
_EVENT_END = re.compile(rb"\r\n\r\n|\n\n|\r\r|\n\r\n|\r\n\n")
_LINE_END = re.compile(rb"(\r\n|\n|\r)")
_GATES = (b"endpoint", b"www_authenticate")


@dataclass
class BoundedCapture:
    """The beginning and the end of what passed, and how much it was."""

    size: int = 0
    head: bytearray = field(default_factory=bytearray)
    tail: bytearray = field(default_factory=bytearray)

    def add(self, data: bytes) -> None:
        """Note the next bytes that passed."""
        self.size += len(data)
        room = KEPT - len(self.head)
        if room > 0:
            self.head += data[:room]
            data = data[room:]
        if data:
            self.tail += data
            if len(self.tail) > 2 * KEPT:
                del self.tail[:-KEPT]

    @property
    def whole(self) -> bool:
        """Nothing is missing between beginning and end."""
        return self.size == len(self.head) + len(self.tail)

    def bytes(self) -> bytes:
        """The copy, with a line in place of what was not kept."""
        if self.whole:
            return bytes(self.head + self.tail)
        # Half a line may be half a secret, and nobody would know it again.
        head, tail = bytes(self.head), bytes(self.tail[-KEPT:])
        head = head[: head.rfind(b"\n") + 1] or head[:-_LONGEST_SECRET]
        tail = tail[tail.find(b"\n") + 1 or _LONGEST_SECRET :]
        missing = self.size - len(head) - len(tail)
        return head + b"\n: [oauthtap: %d bytes not kept]\n" % missing + tail


@dataclass
class SseRewriter:
    """Rewrites the data of single events of a stream that comes in pieces of any size.

    Every byte of every other event passes as it came. Only the last, unfinished event is
    held back: a client does not act on it before its end either.
    """

    endpoint: Callable[[str], str]
    """Gives the data to send for that of an `endpoint` event (the 2024-11-05 transport)."""
    message: Callable[[str], str]
    """The same for a message that carries a challenge."""
    seen_endpoint: bool = False

    def __post_init__(self) -> None:
        self._held = bytearray()
        self._given_up = False

    def __call__(self, data: bytes) -> bytes:
        """The bytes to send on for these. No bytes mean the end of the stream: then what was held back comes."""
        if self._given_up:
            return data
        if not data:
            rest, self._held = bytes(self._held), bytearray()
            return rest
        looked_at = max(0, len(self._held) - 3)  # an event may end in what came before and what comes now
        self._held += data
        sent, start = [], 0
        for match in _EVENT_END.finditer(bytes(self._held[looked_at:])):
            end = looked_at + match.end()
            sent.append(self._event(bytes(self._held[start:end])))
            start = end
        if start:
            del self._held[:start]
        if len(self._held) > _LONGEST_EVENT:
            self._given_up = True
            sent.append(bytes(self._held))
            self._held = bytearray()
        return b"".join(sent)

    def _event(self, event: bytes) -> bytes:
        if not any(gate in event for gate in _GATES):
            return event
        lines = _LINE_END.split(event)
        name = next((value for line in lines[::2] if (value := _field(line, b"event")) is not None), b"message")
        data = [place for place in range(0, len(lines), 2) if _field(lines[place], b"data") is not None]
        change = self.endpoint if name == b"endpoint" else self.message
        self.seen_endpoint = self.seen_endpoint or name == b"endpoint"
        if len(data) != 1:
            return event
        old = _field(lines[data[0]], b"data") or b""
        new = change(old.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
        if new == old:
            return event
        lines[data[0]] = lines[data[0]][: len(lines[data[0]]) - len(old)] + new
        return b"".join(lines)


def _field(line: bytes, name: bytes) -> bytes | None:
    """The value of a line of that field (one leading blank does not count), None for any other line."""
    line = line.removeprefix(b"\xef\xbb\xbf")
    found, colon, value = line.partition(b":")
    return value.removeprefix(b" ") if colon and found == name else None


def sse_events(stream: str) -> list[tuple[str, str]]:
    """The (event, data) pairs of an SSE stream, an unfinished last event included."""
    events: list[tuple[str, str]] = []
    name = ""
    data: list[str] = []
    for line in [*stream.replace("\r\n", "\n").replace("\r", "\n").split("\n"), ""]:
        if not line:
            if data or name:
                events.append((name, "\n".join(data)))
            name, data = "", []
        elif line.startswith("event:"):
            name = line[6:].strip()
        elif line.startswith("data:"):
            data.append(line[5:].removeprefix(" "))
    return events
