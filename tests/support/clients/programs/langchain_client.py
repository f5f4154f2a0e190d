"""Signs in with langchain's adapters and lists tools: `langchain_client.py PROGRAMS URL`; PROGRAMS has callback.py."""

from __future__ import annotations

import json
import sys

from langchain_mcp_adapters.client import MultiServerMCPClient
from mcp.client.auth import OAuthClientProvider
from mcp.shared.auth import OAuthClientMetadata

sys.path.insert(0, sys.argv[1])
from callback import Callback, MemoryTokenStorage, run


async def main(url: str) -> None:
    callback = Callback()
    await callback.start()

    async def response() -> tuple[str, str | None]:
        answer = await callback.wait()
        return answer["code"], answer.get("state")

    described = OAuthClientMetadata(
        client_name="langchain", redirect_uris=[callback.uri], token_endpoint_auth_method="none"
    )
    auth = OAuthClientProvider(url, described, MemoryTokenStorage(), callback.open_browser, response)
    client = MultiServerMCPClient({"bed": {"transport": "streamable_http", "url": url, "auth": auth}})
    print("TOOLS", json.dumps([tool.name for tool in await client.get_tools()]), flush=True)


if __name__ == "__main__":
    run(main(sys.argv[2]))
