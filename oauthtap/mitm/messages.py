"""mitmproxy's messages and options with less work in each look at them. Knows no connection.

Messages check the types of their members each time one is made, for those who write addons: that
check is left out. And they read all header lines anew for each header that is looked up, or
whenever they are written: they are read, and written, once. An option is copied each time it is
asked for, and is so several times in each request: what nobody can change is not copied.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from mitmproxy import http, optmanager
from mitmproxy.net.http import validate

from oauthtap.wire import BLOCKS

Fields = tuple[tuple[bytes, bytes], ...]
_READ = "_oauthtap_read"
"""On headers: their lines, and what was read of them."""
_UNCHANGEABLE = (bool, int, str, type(None))
_parse_content_length = validate.parse_content_length


def _unchecked(self: http.MessageData) -> None:
    """In place of a check that fails only for an addon that sets a member to something of another type."""


def _made(self: http.Headers, fields: Iterable[Iterable[bytes]] = (), **headers: str | bytes) -> None:
    """The same with header lines: none of them is looked at."""
    self.fields = tuple(map(tuple, fields))  # type: ignore[arg-type]
    for name, value in headers.items():
        self[name.replace("_", "-")] = value


def _get_all(self: http.Headers, name: str | bytes) -> list[str]:
    """All lines of that name, any case (as mitmproxy has it, on what it has)."""
    return list(_lines(self, name))


def _get(self: http.Headers, name: str | bytes, default: Any = None) -> Any:
    """All lines of that name joined with commas, or `default`."""
    lines = _lines(self, name)
    return ", ".join(lines) if lines else default


def _contains(self: http.Headers, name: str | bytes) -> bool:
    return bool(_lines(self, name))


def _written(self: http.Headers) -> bytes:
    """The block as it goes over the wire."""
    return _block(tuple(self.fields))


def _lines(headers: http.Headers, name: str | bytes) -> tuple[str, ...]:
    wanted = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    read, fields = headers.__dict__.get(_READ), headers.fields
    if read is None or read[0] is not fields:
        read = headers.__dict__[_READ] = (fields, _by_name(tuple(fields)))
    found: tuple[str, ...] = read[1].get(wanted.lower(), ())
    return found


@lru_cache(maxsize=BLOCKS)
def _by_name(fields: Fields) -> dict[bytes, tuple[str, ...]]:
    # By bytes, as mitmproxy compares names: `wire` compares text, where more letters have a lower case.
    found: dict[bytes, list[str]] = {}
    for name, value in fields:
        found.setdefault(name.lower(), []).append(value.decode("utf-8", "surrogateescape"))
    return {name: tuple(values) for name, values in found.items()}


@lru_cache(maxsize=BLOCKS)
def _block(fields: Fields) -> bytes:
    return b"".join(b"%b: %b\r\n" % line for line in fields)


def _current(self: Any) -> Any:
    """The value of an option: a copy, where it is one that can be changed."""
    value = self._default if self.value is optmanager.unset else self.value
    return value if isinstance(value, _UNCHANGEABLE) else copy.deepcopy(value)


def install() -> None:
    """From now on messages and options are made and read so."""
    http.MessageData.__post_init__ = _unchecked  # type: ignore[method-assign]
    http.Headers.__init__ = _made  # type: ignore[method-assign]
    http.Headers.get_all = _get_all  # type: ignore[method-assign]
    http.Headers.get = _get  # type: ignore[method-assign, assignment]
    http.Headers.__contains__ = _contains  # type: ignore[method-assign, assignment]
    http.Headers.__bytes__ = _written  # type: ignore[method-assign]
    optmanager._Option.current = _current  # type: ignore[method-assign]
    validate.parse_content_length = lru_cache(maxsize=BLOCKS)(_parse_content_length)
