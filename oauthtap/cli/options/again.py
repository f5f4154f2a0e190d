"""The flags of a command line that the commands it prints need again."""

from __future__ import annotations

import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from oauthtap.render.commands import Invocation
from oauthtap.session.state import read_state

_TAP, _RUNS = "", frozenset({"", "drive", "solve"})
_CLIENT = _RUNS - {_TAP}
_REACH = _RUNS | {"fix", "grant", "probe", "run"}
_NEEDED = {
    "ca": ("--ca", _REACH),
    "insecure": ("--insecure", _REACH),
    "connect_to": ("--connect-to", _REACH),
    "allow_private": ("--allow-private", _RUNS),
    "transport": ("--transport", _CLIENT),
    "client_version": ("--client-version", _CLIENT),
    "rules": ("--rules", _RUNS | {"check", "explain", "probe", "run"}),
    "grant": ("--grant", _CLIENT),
    "public_url": ("--public-url", frozenset({_TAP})),
}
"""By the name of its value: the flag, and the commands that take it and fail, or say something else, without it."""
_REACHED = ("ca", "insecure", "connect_to", "allow_private")
"""Of these, those that a session remembers."""


def program() -> str:
    """What is typed for oauthtap in the shell it was started from: `uv run` and `uvx` put it on no PATH but ours."""
    if "UV" not in os.environ:
        return "oauthtap"
    try:
        words = psutil.Process(os.getppid()).cmdline()
    except psutil.Error:
        return "oauthtap"
    words = words[: len(words) - len(sys.argv) + 1]
    if len(words) < 2 or Path(words[0]).stem not in ("uv", "uvx") or "oauthtap" not in words[-1]:
        return "oauthtap"
    return shlex.join(["uvx", *words[3:]] if words[1:3] == ["tool", "uvx"] else [Path(words[0]).stem, *words[1:]])


def reach_of(arguments: Namespace) -> dict[str, Any]:
    """How the server was reached, for what is said of this session later."""
    given = {name: getattr(arguments, name, None) for name in _REACHED}
    return {name: value for name, value in given.items() if value}


def invocation(arguments: Namespace, session: str = "") -> Invocation:
    """How this command was started. `session`: the folder it is about; how its server was reached is repeated, too."""
    state = read_state(Path(session)) if session else None
    if state is not None and isinstance(state.reach, dict):
        arguments = Namespace(**{**{name: state.reach.get(name) for name in _REACHED}, **_given(arguments)})
    flags = [
        (commands, flag)
        for name, (flag_name, commands) in _NEEDED.items()
        for flag in _typed(arguments, name, flag_name)
    ]
    if getattr(arguments, "public_url", None):
        flags.append((frozenset({_TAP}), f"--port {arguments.port}"))
    driver = getattr(arguments, "driver", None)
    return Invocation(program(), tuple(flags), shlex.quote(driver) if driver else "")


def _given(arguments: Namespace) -> dict[str, Any]:
    return {name: value for name, value in vars(arguments).items() if value or name not in _REACHED}


def _typed(arguments: Namespace, name: str, flag: str) -> Iterator[str]:
    """The flag as it was typed, once for each of its values."""
    value = getattr(arguments, name, None)
    if value is True:
        yield flag
    elif isinstance(value, str) and value:
        yield f"{flag} {shlex.quote(value)}"
    elif isinstance(value, list):
        yield from (f"{flag} {shlex.quote(one)}" for one in value)
