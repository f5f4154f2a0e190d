"""Real MCP clients, headless: one function to run any of them against a URL.

    outcome = run("claude-code", "https://good.mcp.test/mcp", env=bed.direct_env())
    outcome.connected, outcome.tools, outcome.said

Each run has an empty environment but for what is named here and in `env`, a home folder of its
own that is thrown away, no account and no key, a limit in time, and leaves no process behind.
"""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from oauthtap.drive.keyboard import Keyboard
from oauthtap.drive.process import ProcessResult, run_command
from tests.support.clients.installed import versions

Transport = Literal["http", "sse"]
HERE = Path(__file__).parent


@dataclass(frozen=True)
class Outcome:
    """What became of one run of a client."""

    connected: bool
    """Signed in, and heard the server's tools (or says that it is connected, when it names no tools)."""
    tools: tuple[str, ...]
    """The tools it printed; empty for a client that prints none."""
    said: str
    """Everything it wrote, without escape sequences."""
    seconds: float
    visited: tuple[str, ...] = ()
    """The URLs its browser went to, in order; empty when it opened none."""


@dataclass(frozen=True)
class Sandbox:
    """A home folder and an environment for one run, with the time it may take altogether."""

    home: Path
    env: dict[str, str]
    deadline: float
    said: list[str] = field(default_factory=list)
    under: tuple[str, ...] = ()
    """What every command is put behind, such as `oauthtap run --`."""

    def run(
        self,
        *command: str | Path,
        by: Sequence[str | Path] = (),
        terminal: bool = False,
        typed: str = "",
        path: Path | None = None,
        at_home: bool = False,
        keyboard: Keyboard | None = None,
        limit: float = 1e6,
    ) -> ProcessResult:
        """Run one command of the client in it; what it says is kept. `path` comes first on the PATH.

        `by`: a program that sits before it as a person would, and starts it with what it is put behind.
        A command that is `at_home` asks no server anything, and is put behind nothing.
        """
        env = self.env | ({"PATH": f"{path}:{self.env['PATH']}"} if path else {})
        under = () if at_home else self.under
        # Also the last command of a client that waited to the end is to be heard, on a busy machine too.
        left = max(8.0, self.deadline - time.monotonic())
        ran = run_command(
            (*by, *under, *command), env, folder=self.home, timeout=min(left, limit), terminal=terminal, typed=typed,
            keyboard=keyboard,
        )  # fmt: skip
        ending = "done" if ran.done else "ended for being late" if ran.code is None else f"exit {ran.code}"
        words = [Path(command[0]).name, *map(str, command[1:])]
        self.said.append(f"$ {' '.join(words)}  ({ending})\n{ran.said}")
        return ran


Driver = Callable[[Sandbox, str, Transport], tuple[bool, tuple[str, ...]]]
"""Runs a client in a sandbox against a URL; says whether it connected, and the tools it printed."""


def run(
    client: str,
    url: str,
    *,
    env: Mapping[str, str] | None = None,
    transport: Transport | None = None,
    timeout: float = 60,
    under: Sequence[str] = (),
) -> Outcome:
    """Sign in at `url` and list tools with a client by its name in `drivers()`.

    `env` is what a run needs beside the bare minimum: `bed.direct_env()` without a tap,
    `bed.browser_env()` through one. The transport is told from the path unless named. `under`
    comes before each of the client's commands.
    """
    driver = drivers()[client]
    with tempfile.TemporaryDirectory(prefix="oauthtap-client-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        sandbox = Sandbox(home, environment(home) | dict(env or {}), time.monotonic() + timeout, under=tuple(under))
        start = time.monotonic()
        connected, tools = driver(sandbox, url, transport or ("sse" if url.endswith("/sse") else "http"))
        log = home / "browser.log"
        lines = log.read_text().splitlines() if log.exists() else []
        visited = tuple(line for line in lines if not line.startswith(" "))
        return Outcome(connected, tools, "\n".join(sandbox.said), time.monotonic() - start, visited)


def drivers() -> dict[str, Driver]:
    """Every client there is a driver for."""
    from tests.support.clients import (
        claude_code,
        driven,
        fastmcp,
        mcp_inspector,
        mcp_remote,
        mcporter,
        python_sdk,
        typescript_sdk,
    )

    return {
        "claude-code": claude_code.drive,
        "claude-code-2.1.54": claude_code.drive_embedded,
        "claude-code-2.0.76": claude_code.drive_at_its_screen,
        "python-sdk-1": python_sdk.drive_1,
        "python-sdk-2": python_sdk.drive_2,
        "mcp-inspector": mcp_inspector.drive,
        "mcp-remote": mcp_remote.drive,
        "mcporter": mcporter.drive,
        "typescript-sdk-1": typescript_sdk.drive_1,
        "typescript-sdk-1.24": typescript_sdk.drive_1_24,
        "typescript-sdk-2": typescript_sdk.drive_2,
        "fastmcp": fastmcp.drive,
        **driven.DRIVERS,
    }


MADE_OF = {
    "claude-code": ("npm", "claude-code", "@anthropic-ai/claude-code"),
    "claude-code-2.1.54": ("npm", "claude-code-2.1.54", "@anthropic-ai/claude-code"),
    "claude-code-2.0.76": ("npm", "claude-code-2.0.76", "@anthropic-ai/claude-code"),
    "python-sdk-1": ("python", "mcp1", "mcp"),
    "python-sdk-2": ("python", "mcp2", "mcp"),
    "mcp-inspector": ("npm", "inspector", "@modelcontextprotocol/inspector"),
    "mcp-remote": ("npm", "mcp-remote", "mcp-remote"),
    "mcporter": ("npm", "mcporter", "mcporter"),
    "typescript-sdk-1": ("npm", "typescript-sdk-1", "@modelcontextprotocol/sdk"),
    "typescript-sdk-1.24": ("npm", "typescript-sdk-1-2025", "@modelcontextprotocol/sdk"),
    "typescript-sdk-2": ("npm", "typescript-sdk-2", "@modelcontextprotocol/client"),
    "fastmcp": ("python", "fastmcp", "fastmcp"),
}
"""Client → where it is installed, and the package whose version is its own."""


def versions_of(client: str) -> dict[str, str]:
    """Package → version of a client that has run at least once."""
    from tests.support.clients import driven

    if client in driven.FILES:
        return {client: driven.installed(client).version or ""}
    kind, folder, package = MADE_OF[client]
    return {package: versions(kind, folder)[package]}


def environment(home: Path) -> dict[str, str]:
    """The little that every program needs, and a browser without hands under each name it may look for."""
    programs = home / "bin"
    programs.mkdir()
    browser = programs / "xdg-open"
    # In the background, as a real one: some clients wait for the command to end before they hear their callback.
    browser.write_text(f'#!/bin/sh\n"{sys.executable}" "{HERE / "browser.py"}" "$@" >/dev/null 2>&1 </dev/null &\n')
    browser.chmod(browser.stat().st_mode | stat.S_IXUSR)
    (programs / "open").symlink_to(browser)
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(home),
        "BROWSER": str(browser),
        "BROWSER_LOG": str(home / "browser.log"),
        "TERM": "xterm",
        "NO_COLOR": "1",
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
