"""Signs in with the Python SDK 2.x and lists tools: `python_sdk_2.py URL http|sse [TOOL JSON]` calls one as well."""

from __future__ import annotations

import json
import sys

import httpx2
from callback import Callback, MemoryTokenStorage, run
from mcp.client import Client
from mcp.client.auth import OAuthClientProvider
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata


async def main(url: str, transport: str, *call: str) -> None:
    callback = Callback()
    await callback.start()

    async def response() -> AuthorizationCodeResult:
        answer = await callback.wait()
        return AuthorizationCodeResult(code=answer["code"], state=answer.get("state"), iss=answer.get("iss"))

    described = OAuthClientMetadata(client_name="oauthtap drive, Python SDK 2", redirect_uris=[callback.uri])
    auth = OAuthClientProvider(url, described, MemoryTokenStorage(), callback.open_browser, response)
    async with httpx2.AsyncClient(auth=auth, follow_redirects=True, timeout=30) as http:
        opened = sse_client(url, auth=auth) if transport == "sse" else streamable_http_client(url, http_client=http)
        async with Client(opened, mode="auto") as client:
            tools = [tool.name for tool in (await client.list_tools()).tools]
            if call:
                called = await client.call_tool(call[0], json.loads(call[1]))
                print("CALLED", called.content[0].text, flush=True)
            print("TOOLS", json.dumps(tools), flush=True)


if __name__ == "__main__":
    run(main(*sys.argv[1:]))
