"""`oauthtap mcp`, through a real MCP client on stdio: each answer has its schema, its bounds, and the next call."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.server.fastmcp.exceptions import ToolError

from oauthtap.mcp import commands
from oauthtap.mcp.commands import BEAT
from oauthtap.mcp.server import server
from tests.support.running import COMMAND, environment

RECORDINGS = Path(__file__).parents[1] / "recordings" / "corpus"
SEED2 = RECORDINGS / "001-as-endpoint-url-in-prm.har"
TOKENS = 2_000
TOOLS = {"diagnose", "start", "wait", "try_fix", "solve", "explain", "deploy_lines", "stop"}


@asynccontextmanager
async def session(home: Path) -> AsyncIterator[ClientSession]:
    parameters = StdioServerParameters(command=str(COMMAND), args=["mcp"], env=environment(home))
    async with stdio_client(parameters) as (read, write), ClientSession(read, write) as client:
        await client.initialize()
        yield client


async def call(client: ClientSession, tool: str, **arguments: Any) -> dict[str, Any]:
    """The structured answer of a call that has to succeed, bounded with the text beside it."""
    result = await client.call_tool(tool, arguments)
    assert not result.isError, result.content
    assert result.structuredContent is not None
    said = json.dumps(result.structuredContent) + "".join(getattr(part, "text", "") for part in result.content)
    assert len(said) / 4 < TOKENS  # four characters are a token, or less
    following = result.structuredContent["next"]
    assert following is None or following["tool"] in TOOLS
    return result.structuredContent


async def test_an_agent_gets_from_a_recording_to_what_to_change(tmp_path: Path) -> None:
    async with session(tmp_path) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert tools.keys() == TOOLS
        assert all(tool.outputSchema and tool.description for tool in tools.values())
        found = await call(client, "diagnose", recording=str(SEED2))
        assert (found["works"], found["causes"][0]["rule"]) == (False, "prm-as-entry-is-endpoint")
        assert found["next"]["tool"] == "solve"
        pasted = await call(client, "diagnose", text='HTTP/1.1 200 OK\n\n{"access_token": "s3cret-0123456789abcdef"}')
        assert "s3cret" not in json.dumps(pasted)
        meant = await call(client, "explain", text="AADSTS9010010: The resource parameter does not match the scopes.")
        assert meant["meanings"][0]["subject"] == "resource/audience"
        wrong = await client.call_tool("diagnose", {})
        assert wrong.isError


async def test_a_tap_is_started_waited_for_and_stopped(tmp_path: Path) -> None:
    async with session(tmp_path) as client:
        tap = await call(client, "start", url="http://127.0.0.1:9/mcp")
        assert tap["url"].startswith("http://localhost:")
        assert any(line.startswith("claude mcp add ") and tap["url"] in line for line in tap["commands"])
        assert tap["next"] == {"tool": "wait", "arguments": {"session": tap["session"]}, "why": tap["next"]["why"]}
        waited = await call(client, "wait", session=tap["session"], seconds=0)
        assert waited["next"]["tool"] == "wait"
        ended = await call(client, "stop", session=tap["session"])
        assert (ended["phase"], ended["next"]) == ("ended", None)


def test_no_argument_of_a_caller_is_an_option_of_a_command(tmp_path: Path) -> None:
    """`--rules FILE` runs the file: what made an agent send it would run a program of its own."""
    (tmp_path / "rules.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()")
    option = f"--rules={tmp_path / 'rules.py'}"

    async def call() -> None:
        await server.call_tool("explain", {"text": option})
        for name, arguments in (
            ("diagnose", {"recording": option}),
            ("diagnose", {"url": option}),
            ("solve", {"session": option}),
            ("solve", {"url": "https://mcp.example.com/mcp", "client": option}),
            ("deploy_lines", {"session": str(tmp_path), "rule": option}),
            ("try_fix", {"session": option, "rule": "x"}),
        ):
            with pytest.raises(ToolError, match="begins with"):
                await server.call_tool(name, arguments)

    asyncio.run(call())
    assert not (tmp_path / "ran").exists()


async def test_a_long_call_says_that_it_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "BEAT", 0.05)
    heard: list[float] = []

    async def tell(seconds: float) -> None:
        heard.append(seconds)

    ran = await commands.run("explain", "prm-resource-missing", "--format", "json", tell=tell)
    assert ran.document["rule"] == "prm-resource-missing"
    assert heard
    assert heard == sorted(heard)


def test_a_client_that_leaves_in_the_middle_of_a_call_ends_it_without_a_word(tmp_path: Path) -> None:
    def message(**members: Any) -> str:
        return json.dumps({"jsonrpc": "2.0", **members}) + "\n"

    told = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"}}
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/mcp"
        words = [
            message(id=1, method="initialize", params=told),
            message(method="notifications/initialized"),
            message(id=2, method="tools/call", params={"name": "diagnose", "arguments": {"url": url}}),
        ]
        with subprocess.Popen(
            [str(COMMAND), "mcp"], env=environment(tmp_path), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            process.stdin.write("".join(words))
            process.stdin.flush()
            silent.settimeout(60)
            with silent.accept()[0]:  # the call is under way
                _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")


async def test_a_search_that_takes_long_is_waited_for_call_by_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, waits = tmp_path / "s", iter([None, "ended"])
    solution = {"outcome": "budget", "before": {"folder": "try-1"}, "after": None}
    folder.mkdir()
    (folder / "solution.json").write_text(json.dumps(solution))
    monkeypatch.setattr("oauthtap.mcp.server._SLICE", BEAT)
    monkeypatch.setattr("oauthtap.session.background.wait", lambda *_, **__: next(waits))
    monkeypatch.setattr("oauthtap.session.background.start_solve", lambda words, folder: None)
    monkeypatch.setattr("oauthtap.mcp.server.default_folder", lambda url: folder)
    _, first = await server.call_tool("solve", {"url": "https://mcp.example.com/mcp"})
    assert (first["outcome"], first["next"]["arguments"]["going_on"]) == ("running", str(folder) + "-solve")
    (tmp_path / "s-solve").mkdir()
    (folder / "solution.json").replace(tmp_path / "s-solve" / "solution.json")
    _, second = await server.call_tool("solve", first["next"]["arguments"])
    assert (second["outcome"], second["session"]) == ("budget", str(tmp_path / "s-solve" / "try-1"))
    assert second["next"]["arguments"] == {
        "url": "https://mcp.example.com/mcp", "client": "claude-code", "seconds": 1800.0,
    }  # fmt: skip
