"""What a body unpacks to, within a bound: a hundred kilobytes of gzip may hold a hundred megabytes."""

from __future__ import annotations

import codecs
import zlib
from io import BytesIO

import brotli  # type: ignore[import-untyped]
import zstandard
from mitmproxy import http

LARGEST = 4 << 20
"""Bytes that a body may unpack to, to be read. What is larger passes as it came."""
_SLOW = {"punycode", "idna"}
"""Charsets whose decoders take the square of the length."""


def is_known(coding: str) -> bool:
    """A coding of RFC 9110, 8.4.1, or one that browsers speak. mitmproxy would take any codec of Python for one."""
    return coding in _DECODERS


def coding_of(message: http.Message) -> str:
    """The Content-Encoding in lower case; `identity` without one."""
    return message.headers.get("content-encoding", "").strip().lower() or "identity"


def is_too_large(message: http.Message) -> bool:
    """The body unpacks to more than `LARGEST`. False for one that cannot be unpacked at all."""
    data = message.raw_content
    decode = _DECODERS.get(coding_of(message))
    if not data or decode is None:
        return False
    try:
        return decode(data) > LARGEST
    except (zlib.error, zstandard.ZstdError, brotli.error, ValueError):
        return False


def text_of(message: http.Message) -> str:
    """The text of a body that can be unpacked, in its charset; in UTF-8 where that is none of a text."""
    charset = message.headers.get("content-type", "").partition("charset=")[2].partition(";")[0].strip(' "')
    if charset and not _is_of_text(charset):
        return (message.get_content(strict=False) or b"").decode("utf-8", "surrogateescape")
    return message.get_text(strict=False) or ""


def _is_of_text(charset: str) -> bool:
    try:
        found = codecs.lookup(charset)
    except (LookupError, ValueError):
        return True  # mitmproxy knows what to do with no charset at all
    # `zlib` and `bz2` are codecs as well.
    return getattr(found, "_is_text_encoding", False) and found.name not in _SLOW


def _gzip(data: bytes) -> int:
    return len(zlib.decompressobj(47).decompress(data, LARGEST + 1))


def _deflate(data: bytes) -> int:
    try:
        return len(zlib.decompressobj().decompress(data, LARGEST + 1))
    except zlib.error:
        return len(zlib.decompressobj(-15).decompress(data, LARGEST + 1))


def _brotli(data: bytes) -> int:
    reader, size = brotli.Decompressor(), 0
    piece = reader.process(data, output_buffer_limit=LARGEST + 1)
    while piece and size <= LARGEST:
        size += len(piece)
        piece = reader.process(b"", output_buffer_limit=LARGEST + 1)
    return size


def _zstd(data: bytes) -> int:
    # The window is allocated before anything is unpacked.
    reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(BytesIO(data), read_across_frames=True)
    return len(reader.read(LARGEST + 1))


_DECODERS = {
    "none": len, "identity": len, "gzip": _gzip, "deflate": _deflate, "deflateraw": _deflate, "br": _brotli,
    "zstd": _zstd,
}  # fmt: skip
