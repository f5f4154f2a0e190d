"""Signs in with fastmcp's client and lists tools: `fastmcp_client.py URL http|sse [TOOL JSON]` calls one as well."""

from __future__ import annotations

import json
import sys

from callback import run
from fastmcp import Client
from fastmcp.client.auth import OAuth
from fastmcp.client.transports import SSETransport, StreamableHttpTransport


async def main(url: str, transport: str, *call: str) -> None:
    kind = SSETransport if transport == "sse" else StreamableHttpTransport
    async with Client(kind(url, auth=OAuth(url))) as client:
        tools = [tool.name for tool in await client.list_tools()]
        if call:
            called = await client.call_tool(call[0], json.loads(call[1]))
            print("CALLED", called.content[0].text, flush=True)
        print("TOOLS", json.dumps(tools), flush=True)


if __name__ == "__main__":
    run(main(*sys.argv[1:]))
