"""An agent that reads no prose: it calls `diagnose`, then whatever `next` says, through a real MCP client on stdio.

`python -m tests.agents [--inspector] [TARGET …]` prints a row a target of the bed: the calls, what the last one
answered, its tokens. With `--inspector` each call is one of MCP Inspector's command line.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

from tests.support.bed import Bed
from tests.support.clients.installed import from_npm, node
from tests.support.running import COMMAND, environment

TARGETS = ("good", "seed1", "seed2", "f02", "f05", "f06", "f07", "f08", "f10", "f11", "f12", "f15")
EXPECTED = dict.fromkeys(TARGETS, "connected") | dict.fromkeys(("seed2", "f05", "f11"), "needs a value")
EXPECTED["f06"] = "not-curable"
MOST = 5
"""Calls it may make."""


@dataclass
class Followed:
    """What an agent got to."""

    calls: list[str] = field(default_factory=list)
    answer: dict[str, Any] = field(default_factory=dict)
    tokens: int = 0
    """Of the longest answer, at four characters a token, told twice as MCP has it."""
    texts: list[str] = field(default_factory=list)

    @property
    def goal(self) -> str:
        """`connected`, `needs a value`, or what the last answer says."""
        if self.answer.get("needs"):
            return "needs a value"
        works = self.answer.get("works") and self.answer.get("outcome") in ("proved", "nothing-to-do")
        return "connected" if works else str(self.answer.get("outcome") or self.answer.get("ending"))


async def follow_by_inspector(url: str, home: Path, **reach: Any) -> Followed:
    """The same, each call by MCP Inspector's command line in a process of its own, a server started anew for each."""
    found, call = Followed(), {"tool": "diagnose", "arguments": {"url": url, **reach}}
    inspector = from_npm("inspector", "@modelcontextprotocol/inspector@latest") / ".bin" / "mcp-inspector"
    claude = from_npm("claude-code", "@anthropic-ai/claude-code@latest") / ".bin"
    env = environment(home)
    known = {"HOME": env["HOME"], "XDG_STATE_HOME": env["XDG_STATE_HOME"], "PATH": f"{claude}{os.pathsep}{env['PATH']}"}
    given = [word for name, value in known.items() for word in ("-e", f"{name}={value}")]
    env["PATH"] = f"{node(22)}{os.pathsep}{env['PATH']}"
    while call is not None and len(found.calls) < MOST:
        pairs = [
            f"{name}={value if isinstance(value, str) else json.dumps(value)}"
            for name, value in call["arguments"].items()
        ]
        words = [
            "--cli",
            "--connect-timeout",
            "120000",
            str(COMMAND),
            "mcp",
            *given,
            "--method",
            "tools/call",
            "--tool-name",
            call["tool"],
        ]
        words += ["--tool-arg", *pairs] if pairs else []
        ran = await asyncio.create_subprocess_exec(
            inspector, *words, env=env, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = (said.decode() for said in await ran.communicate())
        found.calls.append(call["tool"])
        found.texts += [out, err]
        try:
            result = json.loads(out)
        except ValueError:
            found.answer = {"outcome": f"error: {(out + err)[-300:]}"}
            break
        result = result.get("result", result)
        found.tokens = max(found.tokens, len(json.dumps(result, ensure_ascii=False)) // 4)
        found.answer = result.get("structuredContent") or {"outcome": f"error: {out[-300:]}"}
        call = found.answer.get("next")
    return found


async def follow(url: str, home: Path, **reach: Any) -> Followed:
    """Call `diagnose`, then each `next`, until there is none or MOST calls were made."""
    found, call = Followed(), {"tool": "diagnose", "arguments": {"url": url, **reach}}
    claude = from_npm("claude-code", "@anthropic-ai/claude-code@latest") / ".bin"
    env = environment(home) | {"PATH": f"{claude}{os.pathsep}{os.environ['PATH']}"}
    parameters = StdioServerParameters(command=str(COMMAND), args=["mcp"], env=env)
    async with stdio_client(parameters) as (read, write), ClientSession(read, write) as client:
        await client.initialize()
        while call is not None and len(found.calls) < MOST:
            result = await client.call_tool(call["tool"], call["arguments"])
            text = "".join(getattr(part, "text", "") for part in result.content) + json.dumps(result.structuredContent)
            found.calls.append(call["tool"])
            found.texts.append(text)
            found.tokens = max(found.tokens, len(text) // 4)
            found.answer = result.structuredContent or {"outcome": f"error: {text}"}
            call = found.answer.get("next")
    return found


def secrets_in(texts: list[str], bed: Bed) -> list[str]:
    """What the bed issued and nobody may be told."""
    states = {entry.query.get("state", "") for entry in bed.log}
    secrets = [value for value in bed.issued if value not in states and not value.startswith("jti_")]
    return [value for value in secrets if any(value in text for text in texts)]


def main(targets: list[str]) -> int:
    print("| target | calls | reached | tokens of the longest answer | |\n|---|---|---|---|---|")
    way = follow_by_inspector if "--inspector" in targets else follow
    targets = [name for name in targets if name != "--inspector"]
    with Bed() as bed, tempfile.TemporaryDirectory(prefix="oauthtap-agents-") as folder:
        for name in targets or TARGETS:
            home = Path(folder) / name
            home.mkdir()
            got = asyncio.run(way(bed.url(name), home, ca=str(bed.ca_file), connect_to=bed.connect_to))
            left = secrets_in(got.texts, bed)
            mark = "as expected" if got.goal == EXPECTED[name] else f"**expected: {EXPECTED[name]}**"
            mark += f" **secrets: {left}**" if left else ""
            print(f"| {name} | {' → '.join(got.calls)} | {got.goal} | {got.tokens} | {mark} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
