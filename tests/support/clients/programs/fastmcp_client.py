"""Signs in with fastmcp's client, lists tools and calls one: `fastmcp_client.py URL http|sse`."""

from __future__ import annotations

import asyncio
import json
import sys

from fastmcp import Client
from fastmcp.client.auth import OAuth
from fastmcp.client.transports import SSETransport, StreamableHttpTransport


async def main(url: str, transport: str) -> None:
    kind = SSETransport if transport == "sse" else StreamableHttpTransport
    async with Client(kind(url, auth=OAuth(url))) as client:
        tools = [tool.name for tool in await client.list_tools()]
        called = await client.call_tool("add", {"a": 2, "b": 3})
        assert called.content[0].text == "5", called
        print("TOOLS", json.dumps(tools), flush=True)


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 45))
