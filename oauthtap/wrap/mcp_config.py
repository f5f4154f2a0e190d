"""Which MCP URLs a command line names, itself or through a client's configuration. Reads files, and sends nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_URL = re.compile(r"https?://[^\s'\"<>]+")


@dataclass(frozen=True)
class ConfiguredServers:
    """What is known of the server before the first request."""

    configured: tuple[str, ...]
    """The URLs that a configuration has under a name in the command line."""
    mentioned: tuple[str, ...]
    """The URLs that stand in the command line itself."""

    @property
    def all(self) -> tuple[str, ...]:
        return (*self.configured, *self.mentioned)


def find_servers(command: Sequence[str], env: Mapping[str, str], folder: Path) -> ConfiguredServers:
    """`claude mcp login NAME` and its like, looked up where the client would. `folder`: the current one."""
    words = command[1:]
    found = [
        str(server["url"])
        for file in _configurations(words, env, folder)
        for name, server in _servers(file, folder)
        if name in words and isinstance(server.get("url"), str) and _URL.fullmatch(server["url"])
    ]
    mentioned = [url for word in words for url in _URL.findall(word)]
    return ConfiguredServers(tuple(dict.fromkeys(found)), tuple(dict.fromkeys(mentioned)))


def _configurations(words: Sequence[str], env: Mapping[str, str], folder: Path) -> Iterator[Path]:
    """Files that are named in the command line, then Claude Code's own: of the project, of the person."""
    yield from (folder / word for word in words if word.endswith(".json"))
    yield folder / ".mcp.json"
    if home := env.get("CLAUDE_CONFIG_DIR") or env.get("HOME"):
        yield Path(home) / ".claude.json"


def _servers(file: Path, folder: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Name and settings of every server in an `mcpServers` object; those of this project come first."""
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return
    project = _object(_object(content).get("projects")).get(str(folder))
    for holder in (_object(project), _object(content)):
        for name, server in _object(holder.get("mcpServers")).items():
            yield name, _object(server)


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
