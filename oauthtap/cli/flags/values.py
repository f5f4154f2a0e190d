"""What a flag may be given: each turns a word into a value, or raises ArgumentTypeError that says what is wanted."""

from __future__ import annotations

import argparse
import contextlib
import os
import re

from oauthtap.session import home


def callback_mode(text: str) -> str:
    """A word of `--callback`, or a redirect URI."""
    if text in ("auto", "relay", "direct") or (re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:\S", text) and text.isprintable()):
        return text
    words = "choose from 'auto', 'relay', 'direct', or name the client's redirect URI"
    raise argparse.ArgumentTypeError(f"invalid choice: {text!r} ({words})")


_LONGEST_NAME = 255
"""Bytes of a file's name."""


def recording_path(text: str) -> str:
    """The path of a recording; a session that lies where sessions lie may be named without its folder."""
    if len(os.fsencode(text.rpartition("/")[2])) > _LONGEST_NAME:
        raise argparse.ArgumentTypeError("that is text, and no file's name. Try: oauthtap paste")
    own = home() / text
    return str(own) if text and "/" not in text and os.path.isdir(own) and not os.path.exists(text) else text


def seconds(text: str) -> float:
    """A number of seconds above zero."""
    with contextlib.suppress(ValueError):
        if 0 < float(text) < 1e6:
            return float(text)
    raise argparse.ArgumentTypeError("a number of seconds above zero is needed, such as 120")


def positive(text: str) -> int:
    """A whole number above zero."""
    if text.isdecimal() and text.isascii() and int(text[:9]) > 0:
        return int(text[:9])
    raise argparse.ArgumentTypeError("a whole number above zero is needed, such as 20")
