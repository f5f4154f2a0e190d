"""A small stdio MCP client: `stdio.py COMMAND...` starts the server, lists its tools and prints `TOOLS`.

`stdio.py --call TOOL JSON COMMAND...` calls one as well, and prints `CALLED`.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from typing import IO, Any

PATIENCE = 20 + float(os.environ.get("OAUTHTAP_PATIENCE", "25"))


def main(command: list[str]) -> int:
    call, command = (command[1:3], command[3:]) if command[:1] == ["--call"] else ([], command)
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, errors="replace")
    assert server.stdin
    assert server.stdout
    answers: queue.Queue[dict[str, Any] | None] = queue.Queue()
    threading.Thread(target=read, args=(server.stdout, answers), daemon=True).start()

    def ask(number: int, method: str, **parameters: Any) -> dict[str, Any]:
        send(server.stdin, {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters})
        while answer := answers.get(timeout=PATIENCE):
            if answer.get("id") == number:
                return answer["result"]
        raise SystemExit("the server ended before it answered")

    try:
        client = {"name": "oauthtap-drive", "version": "1.0.0"}
        ask(1, "initialize", protocolVersion="2025-06-18", capabilities={}, clientInfo=client)
        send(server.stdin, {"jsonrpc": "2.0", "method": "notifications/initialized"})
        tools = [tool["name"] for tool in ask(2, "tools/list")["tools"]]
        if call:
            called = ask(3, "tools/call", name=call[0], arguments=json.loads(call[1]))
            print("CALLED", called["content"][0]["text"], flush=True)
        print("TOOLS", json.dumps(tools), flush=True)
    finally:
        server.kill()
    return 0


def send(sink: IO[str] | None, message: dict[str, Any]) -> None:
    assert sink
    sink.write(json.dumps(message) + "\n")
    sink.flush()


def read(source: IO[str], answers: queue.Queue[dict[str, Any] | None]) -> None:
    for line in source:
        try:
            answers.put(json.loads(line))
        except ValueError:
            print(line, end="", flush=True)
    answers.put(None)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
