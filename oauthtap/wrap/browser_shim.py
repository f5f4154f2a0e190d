"""Stands in for a browser's command: hands the URL over to be recorded, then becomes the real command.

A program of its own, run by path with nothing but the standard library, because the child starts it:

    python browser_shim.py SOCKET NAME [ARGUMENT…]

SOCKET is where `oauthtap run` listens; NAME is the command it stands in for, or BROWSER.
What comes back is the child's old environment, so that the browser has no proxy and this is not found twice.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import socket
import sys
from collections.abc import Iterator, Mapping, Sequence

OPENERS = ("xdg-open", "open", "wslview", "sensible-browser", "x-www-browser", "gnome-open", "www-browser")
"""Commands that open a URL, as far as anybody calls them by name."""


def main(where: str, name: str, *arguments: str) -> int:
    """Hand over, then become the real command; 127 where there is none."""
    was = report_urls(where, [word for word in arguments if word.startswith(("http://", "https://"))])
    for key, value in was.items():
        if value is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = value
    for command in real_commands(name, arguments, os.environ):
        os.execv(command[0], command)
    print(f"{name}: no browser found", file=sys.stderr)
    return 127


def report_urls(where: str, urls: Sequence[str]) -> dict[str, str | None]:
    """Tell of these URLs and wait until they are written down. Gives the environment's old values."""
    with socket.socket(socket.AF_UNIX) as channel:
        channel.settimeout(5)
        channel.connect(where)
        channel.sendall(json.dumps(urls).encode() + b"\n")
        with channel.makefile() as answer:
            was: dict[str, str | None] = json.loads(answer.readline())
            return was


def real_commands(name: str, arguments: Sequence[str], env: Mapping[str, str]) -> Iterator[list[str]]:
    """Command lines to try, first to last: those of `BROWSER`, or the next command of that name."""
    path = env.get("PATH")
    if name != "BROWSER":
        lines = [[name, *arguments]]
    else:
        lines = list(_browsers(env.get("BROWSER", ""), arguments))
        lines += [[opener, *arguments] for opener in OPENERS]
    for line in lines:
        if found := shutil.which(line[0], path=path):
            yield [found, *line[1:]]


def _browsers(value: str, arguments: Sequence[str]) -> Iterator[list[str]]:
    """`BROWSER` is a list of command lines; `%s` in one stands for the URL."""
    for line in filter(None, value.split(os.pathsep)):
        words = shlex.split(line)
        if "%s" in line:
            yield [word.replace("%s", " ".join(arguments)) for word in words]
        else:
            yield [*words, *arguments]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
