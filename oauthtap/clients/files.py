"""The clients' files, one each (`claude-code.toml`), data only: all that is known of a client.

Flatly or below `[trait]` what it does (`profile.py`, `traits.py`); below `[drive]` how it is run without a person
(`oauthtap.drive.driver`); and, last, a `[[message]]` for each error message of its own (`messages.py`). Any of the
three may be missing. What a file may hold, the models there say.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

NOT_OF_PROFILE = frozenset(("name", "said_by", "record", "drive"))
"""Keys of a file without a profile; one with any other has one."""
_MESSAGES = re.compile(r"^\[\[(?:message|otherwise)\]\]", re.M)


@cache
def without_messages() -> Mapping[str, Mapping[str, Any]]:
    """Each file, by its name, up to its messages: they are nine tenths of the text, and seldom asked for."""
    return {name: tomllib.loads(text[: _messages(text)]) for name, text in _texts().items()}


@cache
def whole() -> Mapping[str, Mapping[str, Any]]:
    """Each file, by its name."""
    return {name: tomllib.loads(text) for name, text in _texts().items()}


def _messages(text: str) -> int:
    """Where its messages begin."""
    first = _MESSAGES.search(text)
    return first.start() if first else len(text)


@cache
def _texts() -> dict[str, str]:
    found = {
        file.name.removesuffix(".toml"): file.read_text(encoding="utf-8")
        for file in files(__package__).iterdir()
        if file.name.endswith(".toml")
    }
    return dict(sorted(found.items()))
