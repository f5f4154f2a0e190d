"""Clients that are known to heed no proxy, told by their command line, with the command that works.

Measured: the TypeScript SDK and what is built on it leave the proxy to Node, and Node heeds the
variables from 22.21 and 24.5 on; mcp-remote heeds them only when it is told to.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

_RUNNERS = ("npx", "bunx", "pnpx", "pnpm", "yarn", "npm", "dlx", "exec", "node", "env")
_LEFT_TO_NODE = {
    "mcporter": "mcporter",
    "mcp-inspector": "the MCP Inspector",
    "@modelcontextprotocol/inspector": "the MCP Inspector",
}
_SECONDS = 5.0


def proxy_warning(command: Sequence[str], env: Mapping[str, str]) -> str | None:
    """One sentence and what to type, when the child will most likely go past us; None when it should not."""
    program = _program(command)
    if program == "mcp-remote":
        if "--enable-proxy" in command:
            return None
        better = shlex.join([*command, "--enable-proxy"])
        return f"mcp-remote heeds a proxy only with --enable-proxy. Try: oauthtap run -- {better}"
    script = command[0].rpartition("/")[2] == "node" and program is not None
    name = _LEFT_TO_NODE.get(program or "") or (f"{program}, if built on the TypeScript SDK," if script else None)
    version = node_version(env) if name else None
    if version is None or node_honours_proxy_env(version):
        return None
    return (
        f"{name} leaves the proxy to Node, and Node {'.'.join(map(str, version))} heeds none: nothing of it will be "
        "seen here. Try: a Node from 22.21 on, first on the PATH, or the tap: oauthtap --upstream URL"
    )


def node_honours_proxy_env(version: tuple[int, ...]) -> bool:
    """This Node goes through a proxy when NODE_USE_ENV_PROXY is set (its change log: 22.21.0 and 24.5.0)."""
    return version >= (24, 5) or (22, 21) <= version < (23,)


def node_version(env: Mapping[str, str]) -> tuple[int, ...] | None:
    """The version of the `node` that is first on the PATH; None without one."""
    node = shutil.which("node", path=env.get("PATH"))
    if node is None:
        return None
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=_SECONDS, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.match(r"v(\d+)\.(\d+)\.(\d+)", said)
    return tuple(map(int, found.groups())) if found else None


def _program(command: Sequence[str]) -> str | None:
    """The client in `npx -y mcp-remote@latest URL`: the first word that is neither a runner nor a flag."""
    for word in command:
        name = word if word.startswith("@") else Path(word).name
        name = re.sub(r"(?<=.)@[^/]*$", "", name)
        if name not in _RUNNERS and not word.startswith("-"):
            return name
    return None
