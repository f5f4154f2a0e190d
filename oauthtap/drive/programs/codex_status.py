"""Asks a signed-in Codex which tools an MCP server has, as an editor does: `codex_status.py CODEX SERVER`.

It speaks JSON lines with `codex app-server`. Prints `TOOLS` and the list; exit code 1 where the server gave none.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import Any

LIMIT = 30.0


def main(codex: str, name: str) -> int:
    server = subprocess.Popen([codex, "app-server"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin
    assert server.stdout
    client = {"name": "oauthtap_drive", "title": "oauthtap drive", "version": "1"}
    asked: list[dict[str, Any]] = [
        {"id": 0, "method": "initialize", "params": {"clientInfo": client}},
        {"method": "initialized"},
        {"id": 1, "method": "mcpServerStatus/list", "params": {}},
    ]
    server.stdin.write("".join(f"{json.dumps(message)}\n" for message in asked))
    server.stdin.flush()
    late = threading.Timer(LIMIT, server.kill)
    late.daemon = True
    late.start()
    answer = next((said for line in server.stdout if (said := read(line)).get("id") == 1), {})
    server.kill()
    found = [one for one in answer.get("result", {}).get("data", []) if one.get("name") == name]
    tools = sorted(found[0].get("tools") or {}) if found else []
    print("TOOLS " + json.dumps(tools) if tools else f"FAILED {json.dumps(found or answer)[:1000]}", flush=True)
    return 0 if tools else 1


def read(line: str) -> dict[str, Any]:
    try:
        said = json.loads(line)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
