"""Files that come from somebody else: read without a hang, within a bound, and JSON as RFC 8259 has it."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import stat
from pathlib import Path
from typing import Any

from oauthtap.model.recording import SourceError

LARGEST = 1_000_000_000
_DIGITS = 300
_KINDS = (
    (stat.S_ISFIFO, "a named pipe"), (stat.S_ISCHR, "a device"), (stat.S_ISBLK, "a device"),
    (stat.S_ISSOCK, "a socket"), (stat.S_ISDIR, "a folder"),
)  # fmt: skip
_VALUE = re.compile(r'"(?:[^"\\]|\\.)*"|-?[0-9A-Za-z][0-9A-Za-z.+-]*', re.S)
_HALF = re.compile(r"\\u[dD][89a-fA-F]|[\ud800-\udfff]")


def read_bytes(path: Path, *, follow: bool = True, largest: int = LARGEST, advice: str = "oauthtap sessions") -> bytes:
    """The content of a regular file.

    `advice`: what to type where it is not there.
    `follow`: symbolic links are followed. Not where a stranger made the folder: they would lead to files of ours.
    Raises SourceError for anything else than a regular file of at most `largest` bytes, and where it cannot be read;
    the text names the path, and what to try.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | (0 if follow else getattr(os, "O_NOFOLLOW", 0))
    try:
        with os.fdopen(os.open(path, flags | getattr(os, "O_BINARY", 0)), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                kind = next((words for test, words in _KINDS if test(found.st_mode)), "no file")
                raise SourceError(f"{path}: {kind}, where a file is expected. Try: a copy of it in a file")
            data = file.read(largest + 1) if found.st_size <= largest else None
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file or folder. Try: {advice}") from None
    except OSError as problem:
        if problem.errno == errno.ELOOP and not follow:
            raise SourceError(f"{path}: a symbolic link, where a session has a file. Try: remove it") from None
        words = problem.strerror or problem
        raise SourceError(f"{path}: {words}. Try: {advice}") from None
    except ValueError:  # a NUL in the name
        raise SourceError(f"{path!s}: no name of a file. Try: {advice}") from None
    if data is None or len(data) > largest:
        size = f"{largest // 1_000_000} MB" if largest < LARGEST else "1 GB"
        raise SourceError(f"{path}: larger than {size}. Try: a recording of the sign-in alone")
    return data


def parse_json(text: str) -> Any:
    """The value of a JSON text; halves of surrogate pairs in its strings become U+FFFD.

    Raises json.JSONDecodeError with the place for what RFC 8259 does not have (`NaN`) and for numbers that nothing
    can be done with (`1e999`), and RecursionError for a text nested too deep.
    """
    try:
        value = json.loads(text, parse_constant=_refuse, parse_float=_float, parse_int=_int)
    except _OddNumber as problem:
        token = problem.args[0]
        place = next((found.start() for found in _VALUE.finditer(text) if found[0] == token), 0)
        raise json.JSONDecodeError(f"{token[:20]} is no number in JSON that could be used", text, place) from None
    return _mended(value) if _HALF.search(text) else value


class _OddNumber(Exception):
    """A number with this token."""


def _refuse(token: str) -> Any:
    raise _OddNumber(token)


def _float(token: str) -> float:
    value = float(token)
    return value if math.isfinite(value) else _refuse(token)


def _int(token: str) -> int:
    return int(token) if len(token) <= _DIGITS else _refuse(token)


def _mended(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [_mended(one) for one in value]
    if isinstance(value, dict):
        return {_mended(name): _mended(one) for name, one in value.items()}
    return value
