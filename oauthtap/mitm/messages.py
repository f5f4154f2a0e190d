"""mitmproxy's messages with less work in each look at them. Knows mitmproxy's messages; knows no connection.

They check the types of their members each time one is made, for those who write addons: that
check is left out. And they read all header lines anew for each header that is looked up: they
are read once.
"""

from __future__ import annotations

from functools import lru_cache

from mitmproxy import http


def _unchecked(self: http.MessageData) -> None:
    """In place of a check that fails only for an addon that sets a member to something of another type."""


def _get_all(self: http.Headers, name: str | bytes) -> list[str]:
    """All lines of that name, any case (as mitmproxy has it, on what it has)."""
    wanted = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    return list(_by_name(tuple(self.fields)).get(wanted.lower(), ()))


@lru_cache(maxsize=256)
def _by_name(fields: tuple[tuple[bytes, bytes], ...]) -> dict[bytes, tuple[str, ...]]:
    # By bytes, as mitmproxy compares names: `wire` compares text, where more letters have a lower case.
    found: dict[bytes, tuple[str, ...]] = {}
    for name, value in fields:
        found[name.lower()] = (*found.get(name.lower(), ()), value.decode("utf-8", "surrogateescape"))
    return found


def install() -> None:
    """From now on messages are made and read so."""
    http.MessageData.__post_init__ = _unchecked  # type: ignore[method-assign]
    http.Headers.get_all = _get_all  # type: ignore[method-assign]
