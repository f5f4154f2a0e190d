"""What a person can see on the live page, and take out of mitmweb."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
from tornado.websocket import websocket_connect

from tests.support.running import Started


class Watched:
    """What the live page and mitmweb gave away while it ran."""

    def __init__(self, tap: Started) -> None:
        base, _, self.query = re.search(r"mitmweb:\s+(\S+)", tap.said)[1].partition("?")  # type: ignore[index]
        self.base, self.page = base, f"{base}oauthtap/"
        self.seen: list[str] = []

    @contextlib.asynccontextmanager
    async def live(self) -> AsyncIterator[None]:
        """The page is open meanwhile, in one window as pushed and in one as loaded again and again."""
        socket: Any = await websocket_connect(
            f"{self.page.replace('http', 'ws', 1)}updates?{self.query}", max_message_size=1 << 28
        )
        await socket.write_message("{}")

        async def listen() -> None:
            while (news := await socket.read_message()) is not None:
                self.seen += _texts(json.loads(news))

        listening = asyncio.ensure_future(listen())
        yield
        await asyncio.sleep(1)
        async with httpx.AsyncClient(trust_env=False, timeout=30) as browser:
            self.seen.append((await browser.get(f"{self.page}?{self.query}")).text)
        await asyncio.sleep(0.5)
        socket.close()
        await listening

    async def exports(self) -> list[str]:
        """Everything by which a person can take flows out of mitmweb."""
        taken = []
        async with httpx.AsyncClient(base_url=self.base, trust_env=False, timeout=30) as browser:
            await browser.get(f"/?{self.query}")
            browser.cookies.set("_mitmproxy_xsrf", "aaaaaaaa")
            taken.append((await browser.get("/flows/dump")).content.decode("utf-8", "replace"))
            for flow in (await browser.get("/flows")).json():
                for form in ("curl", "httpie", "raw", "raw_request", "raw_response"):
                    words = {"arguments": [form, f"@{flow['id']}"]}
                    answer = await browser.post("/commands/export", json=words, headers={"X-XSRFToken": "aaaaaaaa"})
                    taken.append(_texts(answer.json())[0] if answer.status_code == 200 else "")
        return taken


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for inner in value.values() for text in _texts(inner)]
    if isinstance(value, list):
        return [text for inner in value for text in _texts(inner)]
    return [value] if isinstance(value, str) else []
