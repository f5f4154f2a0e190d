"""Hears which URLs a child opens in the browser, before the browser does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shlex
import shutil
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

from oauthtap.wrap import browser_shim

_BROWSER = "browser"


def install_shims(folder: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Put a command of ours into `folder` for each way of opening a browser that `env` has.

    Gives the variables by which the child finds them: `PATH`, and `BROWSER` unless no browser
    would be found behind it either. What is not there without us is not there with us.
    """
    there = [name for name in browser_shim.OPENERS if shutil.which(name, path=env.get("PATH"))]
    commands = folder / "bin"
    commands.mkdir(mode=0o700)
    for name in there:
        _make(commands / name, name, folder)
    found = {"PATH": f"{commands}{os.pathsep}{env.get('PATH', os.defpath)}"} if there else {}
    if env.get("BROWSER") or there:
        _make(folder / _BROWSER, "BROWSER", folder)
        found["BROWSER"] = str(folder / _BROWSER)
    return found


def _make(file: Path, name: str, folder: Path) -> None:
    words = [sys.executable, "-I", "-S", str(Path(browser_shim.__file__)), str(_channel(folder)), name]
    file.write_text(f'#!/bin/sh\nexec {shlex.join(words)} "$@"\n')
    file.chmod(0o700)


def _channel(folder: Path) -> Path:
    return folder / "openings"


@contextlib.asynccontextmanager
async def serve(folder: Path, was: Mapping[str, str | None], on_open: Callable[[str], None]) -> AsyncIterator[None]:
    """Take what `browser_shim.py` hands over while the block lasts.

    `was`: the variables that the child got from us, with the values they had before (None: not set).
    """

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, ValueError):
            for url in json.loads(await reader.readline()):
                on_open(str(url))
        with contextlib.suppress(OSError):
            writer.write(json.dumps(dict(was)).encode() + b"\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_unix_server(one, _channel(folder))
    try:
        yield
    finally:
        server.close()
