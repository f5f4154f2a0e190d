"""The part a program that embeds the Python SDK has to bring: a callback on loopback, a browser, a memory.

Runs in a client's own virtual environment, so it knows the standard library only.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Coroutine
from typing import Any
from urllib.parse import parse_qsl, urlsplit

PATIENCE = float(os.environ.get("OAUTHTAP_PATIENCE", "25"))
"""Seconds that a sign-in may take; `oauthtap drive` says how long it will wait itself."""


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run it to its end. What went wrong is said in a line for each error, without the way there; exit code 1 then."""
    try:
        asyncio.run(asyncio.wait_for(work, 20 + PATIENCE))
    except Exception as problem:
        for error in errors(problem):
            print(f"FAILED {type(error).__name__}: {error}", flush=True)
        sys.exit(1)


def errors(problem: BaseException) -> list[BaseException]:
    """The errors in a group of groups."""
    if isinstance(problem, BaseExceptionGroup):
        return [error for one in problem.exceptions for error in errors(one)]
    return [problem]


class Callback:
    """Waits for authorization responses; a client may ask for a second one when the first led nowhere."""

    async def start(self) -> None:
        self.arrived: asyncio.Queue[dict[str, str]] = asyncio.Queue()
        self.server = await asyncio.start_server(self.answer, "127.0.0.1", 0)
        self.uri = f"http://localhost:{self.server.sockets[0].getsockname()[1]}/callback"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        target = (await reader.readline()).decode().split()[1]
        while (await reader.readline()).strip():
            pass
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        await writer.drain()
        writer.close()
        self.arrived.put_nowait(dict(parse_qsl(urlsplit(target).query)))

    async def open_browser(self, url: str) -> None:
        subprocess.Popen([os.environ["BROWSER"], url])

    async def wait(self) -> dict[str, str]:
        answer = await asyncio.wait_for(self.arrived.get(), PATIENCE)
        if "error" in answer:
            raise RuntimeError(f"authorization error: {answer['error']}: {answer.get('error_description')}")
        return answer


class MemoryTokenStorage:
    """The SDK's token storage, for one run."""

    def __init__(self) -> None:
        self.tokens: Any = None
        self.client: Any = None

    async def get_tokens(self) -> Any:
        return self.tokens

    async def set_tokens(self, tokens: Any) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> Any:
        return self.client

    async def set_client_info(self, client_info: Any) -> None:
        self.client = client_info
