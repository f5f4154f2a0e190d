"""Signs in with the Python SDK 1.x and lists tools: `python_sdk_1.py URL http|sse [TOOL JSON]` calls one as well."""

from __future__ import annotations

import json
import sys

from callback import Callback, MemoryTokenStorage, run
from mcp import ClientSession
from mcp.client.auth import OAuthClientProvider
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamablehttp_client
from mcp.shared.auth import OAuthClientMetadata


async def main(url: str, transport: str, *call: str) -> None:
    callback = Callback()
    await callback.start()

    async def response() -> tuple[str, str | None]:
        answer = await callback.wait()
        return answer["code"], answer.get("state")

    described = OAuthClientMetadata(client_name="oauthtap drive, Python SDK 1", redirect_uris=[callback.uri])
    auth = OAuthClientProvider(url, described, MemoryTokenStorage(), callback.open_browser, response)
    opened = sse_client(url, auth=auth) if transport == "sse" else streamablehttp_client(url, auth=auth)
    async with opened as streams, ClientSession(streams[0], streams[1]) as session:
        await session.initialize()
        tools = [tool.name for tool in (await session.list_tools()).tools]
        if call:
            called = await session.call_tool(call[0], json.loads(call[1]))
            print("CALLED", called.content[0].text, flush=True)
        print("TOOLS", json.dumps(tools), flush=True)


if __name__ == "__main__":
    run(main(*sys.argv[1:]))
