"""Signs in with mcp-use and lists tools: `mcp_use_client.py URL`."""

from __future__ import annotations

import asyncio
import json
import sys

from mcp_use import MCPClient


async def main(url: str) -> None:
    client = MCPClient({"mcpServers": {"bed": {"url": url, "auth": {}}}})
    session = await client.create_session("bed")
    print("TOOLS", json.dumps([tool.name for tool in await session.list_tools()]), flush=True)
    await client.close_all_sessions()


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(sys.argv[1]), 35))
