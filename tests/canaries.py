"""Every canary through the running product: a client sends it or a server answers it, and nothing of it may be left.

    uv run python -m tests.canaries          all of them (some 2,000; minutes)
    uv run python -m tests.canaries 20       each 20th

The installed command with mitmweb, its exports and the live page; then every command that reads the session, in every
format, and the files that they write. Prints what is left where. Exit code 1 when anything is.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from itertools import islice
from pathlib import Path
from urllib.parse import urlsplit

from oauthtap.cli import main
from oauthtap.model.exchange import Exchange
from oauthtap.render import FORMATS
from oauthtap.render.issue_templates import TRACKERS
from tests.support import planted
from tests.support.running import Started, started
from tests.support.web_watch import Watched

FORMATTED = [*(["check", "--format", name] for name in FORMATS), *(["check", "--for", name] for name in TRACKERS)]
_COMPARED = [["diff", "--format", name] for name in ("console", "json", "markdown", "html")]
COMMANDS = [*FORMATTED, *_COMPARED, ["lock"], ["replay", "--as-file", "-"], ["verify"], ["sessions"]]
"""Each is given the session."""
_NUMBER = b"x-number"


def playable(canaries: Iterable[planted.Canary]) -> list[tuple[planted.Canary, Exchange]]:
    """What can be sent as HTTP: an error of the connection is not a message."""
    pairs = [(canary, exchange) for canary in canaries for exchange in canary.exchanges]
    return [(canary, exchange) for canary, exchange in pairs if exchange.response is not None]


@contextlib.asynccontextmanager
async def playing(exchanges: list[Exchange]) -> AsyncIterator[int]:
    """A server that gives the answer of the exchange whose number a request names; its port."""

    async def one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = re.search(rb"content-length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            number = re.search(_NUMBER + rb": (\d+)", head)
            answer = exchanges[int(number[1])].response if number else None
            status = answer.status if answer else 404
            body = ((answer and answer.body) or "").encode()
            lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in (answer.headers if answer else ())]
            writer.write("\r\n".join([*lines, "", ""]).encode() + (b"" if status in (204, 304) else body))
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(one, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def send(port: int, number: int, exchange: Exchange) -> None:
    """One request as it stands, to the tap's own port."""
    asked = exchange.request
    parts = urlsplit(asked.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    body = (asked.body or "").encode()
    lines = [f"{asked.method} {target} HTTP/1.1", f"Host: localhost:{port}", f"Content-Length: {len(body)}"]
    lines += [f"X-Number: {number}", "Connection: close", *(f"{name}: {value}" for name, value in asked.headers)]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)
    with contextlib.suppress(OSError):
        await asyncio.wait_for(reader.read(), 60)
    writer.close()


async def _watched(tap: Started, exchanges: list[Exchange]) -> list[str]:
    """Send everything, and give what the live page and mitmweb gave away."""
    watched = Watched(tap)
    async with watched.live():
        for number, exchange in enumerate(exchanges):
            await send(tap.port, number, exchange)
    return [*watched.seen, *await watched.exports()]


def _run(words: list[str]) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
        main(words)
    return out.getvalue()


def gathered(pairs: list[tuple[planted.Canary, Exchange]], home: Path) -> dict[str, str]:
    """Everything that the product gave away, by its name."""
    exchanges = [exchange for _, exchange in pairs]

    async def drive() -> dict[str, str]:
        async with playing(exchanges) as port:
            loop = asyncio.get_running_loop()
            flags = ("--connect-to", f"::127.0.0.1:{port}", "--no-preflight")
            tap_of = started("http://mcp.example.com/mcp", *flags, home=home, web=True)
            with tap_of as tap:
                seen = await _watched(tap, exchanges)
                await loop.run_in_executor(None, tap.end)
                texts = {file.name: file.read_text("utf-8", "replace") for file in tap.session.iterdir()}
                return texts | {"console": tap.said, "live page and exports": "\n".join(seen)}

    texts = asyncio.run(drive())
    session = str(home / "session")
    for words in COMMANDS:
        paths = [] if words == ["sessions"] else [session] * (2 if words[0] == "diff" else 1)
        texts[" ".join(words)] = _run([*words, *paths])
    _run(["lock", session, "-o", str(home / "server.lock")])
    _run(["fix", session, "--offline", "-o", str(home / "fixes.toml"), "--deploy", str(home / "deploy.json")])
    texts["check --against"] = _run(["check", session, "--against", str(home / "server.lock"), "--format", "junit"])
    for name in ("server.lock", "fixes.toml", "deploy.json"):
        if (home / name).exists():
            texts[name] = (home / name).read_text("utf-8", "replace")
    return texts


def left_over(pairs: list[tuple[planted.Canary, Exchange]], texts: dict[str, str]) -> dict[str, list[str]]:
    """The names of the canaries that are left, by where."""
    names = {canary.mark.lower(): canary.name for canary, _ in pairs}
    found = {
        where: sorted(names[mark] for mark in planted.left_in(text) & names.keys()) for where, text in texts.items()
    }
    return {where: left for where, left in found.items() if left}


def run(every: int = 1) -> int:
    """Print what is left; 1 when something is."""
    canaries = [*planted.planted(), *planted.invented()]
    pairs = playable(islice(canaries, 0, None, every))
    with tempfile.TemporaryDirectory() as folder:
        texts = gathered(pairs, Path(folder))
    left = left_over(pairs, texts)
    for where, names in left.items():
        print(f"{where}: {len(names)} left: {', '.join(names[:20])}")
    print(f"{len(pairs)} exchanges, {len(texts)} texts, {len(set().union(*left.values()))} canaries left")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(run(*map(int, sys.argv[1:])))
