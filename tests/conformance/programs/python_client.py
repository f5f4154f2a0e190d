"""The Python SDK, 1.x or 2.x, as the suite wants a client: signs in, and calls the first tool with whatever it asks.

`python_client.py 1|2 URL`. Runs in a client's own virtual environment, beside `callback.py` of oauthtap/drive/programs.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from typing import Any

from callback import Callback, Memory
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import OAuthClientInformationFull, OAuthClientMetadata

DESCRIBED_AT = "https://conformance-test.local/client-metadata.json"
"""The client id metadata document that the suite's servers know."""
KNOWN = json.loads(os.environ.get("MCP_CONFORMANCE_CONTEXT") or "{}")
"""What the suite tells of the scenario, such as a client registered beforehand."""


def provider(url: str, callback: Callback, response: Any) -> OAuthClientProvider:
    memory = Memory()
    if client_id := KNOWN.get("client_id"):
        memory.client = OAuthClientInformationFull(
            client_id=client_id,
            client_secret=KNOWN.get("client_secret"),
            redirect_uris=[callback.uri],
            token_endpoint_auth_method="client_secret_basic",
        )
    described = OAuthClientMetadata(client_name="oauthtap, Python SDK", redirect_uris=[callback.uri])
    return OAuthClientProvider(
        url, described, memory, callback.open_browser, response, client_metadata_url=DESCRIBED_AT
    )


async def first(url: str, callback: Callback) -> None:
    """With 1.x."""
    from mcp import ClientSession
    from mcp.client.streamable_http import streamablehttp_client

    async def response() -> tuple[str, str | None]:
        answer = await callback.wait()
        return answer["code"], answer.get("state")

    auth = provider(url, callback, response)
    async with streamablehttp_client(url, auth=auth) as streams, ClientSession(streams[0], streams[1]) as session:
        await session.initialize()
        await use(session)


async def second(url: str, callback: Callback) -> None:
    """With 2.x."""
    import httpx2
    from mcp.client import Client
    from mcp.client.streamable_http import streamable_http_client
    from mcp.shared.auth import AuthorizationCodeResult

    async def response() -> AuthorizationCodeResult:
        answer = await callback.wait()
        return AuthorizationCodeResult(code=answer["code"], state=answer.get("state"), iss=answer.get("iss"))

    async with (
        httpx2.AsyncClient(auth=provider(url, callback, response), follow_redirects=True, timeout=20) as http,
        Client(streamable_http_client(url, http_client=http), mode="auto") as client,
    ):
        await use(client)


async def use(session: Any) -> None:
    """List the tools, and call the first with arguments of the types that its schema asks for."""
    for tool in (await session.list_tools()).tools[:1]:
        schema = getattr(tool, "input_schema", None) or getattr(tool, "inputSchema", None) or {}
        asked = {
            name: 2 if said.get("type") in ("number", "integer") else "x"
            for name, said in schema.get("properties", {}).items()
        }
        await session.call_tool(tool.name, asked)


async def main(major: str, url: str) -> None:
    callback = Callback()
    await callback.start()
    await (first if major == "1" else second)(url, callback)


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(*sys.argv[1:]), 30))
