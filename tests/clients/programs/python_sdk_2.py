"""Signs in with the Python SDK 2.x, lists tools and calls one: `python_sdk_2.py URL http|sse`."""

from __future__ import annotations

import asyncio
import json
import sys

import httpx2
from callback import Callback, Memory
from mcp.client import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata


async def main(url: str, transport: str) -> None:
    callback = Callback()
    await callback.start()

    async def response() -> AuthorizationCodeResult:
        answer = await callback.wait()
        return AuthorizationCodeResult(code=answer["code"], state=answer.get("state"), iss=answer.get("iss"))

    described = OAuthClientMetadata(client_name="oauthtap bed, Python SDK 2", redirect_uris=[callback.uri])
    auth = OAuthClientProvider(url, described, Memory(), callback.open_browser, response)
    async with httpx2.AsyncClient(auth=auth, follow_redirects=True, timeout=30) as http:
        opened = sse_client(url, auth=auth) if transport == "sse" else streamable_http_client(url, http_client=http)
        async with Client(opened, mode="auto") as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            called = await client.call_tool("add", {"a": 2, "b": 3})
            assert called.content[0].text == "5", called
            print("TOOLS", json.dumps(tools), flush=True)


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 45))
