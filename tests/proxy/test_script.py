"""The tap as a script in a stock mitmdump, as somebody with a mitmproxy of their own runs it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import httpx

import oauthtap
from tests.support.tapped import document, free_port, said, upstream

SCRIPT = Path(oauthtap.__file__).parent.parent / "addons" / "tap.py"
PRM = "/.well-known/oauth-protected-resource"


async def test_a_stock_mitmdump_taps_with_the_script(tmp_path: Path) -> None:
    challenge = said(401, www_authenticate=f'Bearer error="unauthorized", resource_metadata="http://mcp.test{PRM}"')
    prm = document({"resource": "http://mcp.test/mcp", "authorization_servers": ["http://as.test/"]})
    metadata = document({"issuer": "http://as.test/", "token_endpoint": "http://as.test/token"})
    pages = {"/mcp": challenge, PRM: prm, "/.well-known/oauth-authorization-server": metadata}
    port = free_port()
    async with upstream(pages) as server:
        options = {
            "confdir": str(tmp_path / "mitmproxy"),
            "listen_port": str(free_port()),
            "tap_upstream": "http://mcp.test/mcp",
            "tap_port": str(port),
            "tap_connect_to": f"::127.0.0.1:{server.port}",
        }
        words = [word for name, value in options.items() for word in ("--set", f"{name}={value}")]
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "mitmdump"), "-s", str(SCRIPT), *words,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path / "state")},
        )  # fmt: skip
        try:
            async with httpx.AsyncClient(trust_env=False) as client:
                answer = await reached(client, f"http://localhost:{port}/mcp")
                where = answer.headers["www-authenticate"].split('"')[3]
                named = (await client.get(where)).json()["authorization_servers"][0]
                issuer = (await client.get(f"{named}.well-known/oauth-authorization-server")).json()["issuer"]
        finally:
            process.send_signal(signal.SIGINT)
            said_text = (await process.communicate())[0].decode()
    assert where == f"http://localhost:{port}{PRM}"
    assert issuer == named
    assert named.startswith("http://localhost:")
    assert f"Give the client http://localhost:{port}/mcp; it forwards to http://mcp.test/mcp" in said_text
    assert "mcp-challenge" in said_text
    assert "the cause:" in said_text


async def reached(client: httpx.AsyncClient, url: str) -> httpx.Response:
    """The first answer of a proxy that is still starting."""
    async with asyncio.timeout(20):
        while True:
            try:
                return await client.post(url, json={"jsonrpc": "2.0", "id": 1, "method": "initialize"})
            except httpx.ConnectError:
                await asyncio.sleep(0.1)


async def test_without_an_upstream_no_plain_proxy_is_left_running(tmp_path: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "mitmdump"), "-s", str(SCRIPT),
        "--set", f"confdir={tmp_path}", "--set", f"listen_port={free_port()}",
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(20):
        said_text = (await process.communicate())[0].decode()
    assert process.returncode == 1
    assert "tap_upstream is not set. Try: mitmweb -s addons/tap.py --set tap_upstream=https://" in said_text
