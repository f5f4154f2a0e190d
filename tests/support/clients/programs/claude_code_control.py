"""Signs Claude Code in as an editor does that embeds it: `claude_code_control.py CLAUDE SERVER`.

For the versions before `claude mcp login`. Over the control channel of stream-json the server is
authenticated, its address opened in a browser, and its state asked for until it is settled.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from typing import Any

PATIENCE = 20.0
FLAGS = ("-p", "--input-format", "stream-json", "--output-format", "stream-json", "--verbose")


class Channel:
    """The control channel of a Claude Code that waits for a message which never comes."""

    def __init__(self, claude: str) -> None:
        self.process = subprocess.Popen([claude, *FLAGS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self.asked = 0
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            print(line, end="", flush=True)
            message = json.loads(line) if line.startswith("{") else {}
            if message.get("type") == "control_response":
                self.answers.put(message["response"])

    def ask(self, subtype: str, **request: Any) -> dict[str, Any]:
        """The answer to a control request; raises RuntimeError with what it says when it is refused."""
        self.asked += 1
        message = {"type": "control_request", "request_id": str(self.asked), "request": {"subtype": subtype} | request}
        assert self.process.stdin
        print(json.dumps(message), file=self.process.stdin, flush=True)
        while (answer := self.answers.get(timeout=PATIENCE)).get("request_id") != str(self.asked):
            pass
        if answer["subtype"] == "error":
            raise RuntimeError(answer.get("error"))
        found: dict[str, Any] = answer.get("response") or {}
        return found


def main(claude: str, server: str) -> int:
    channel = Channel(claude)
    try:
        channel.ask("initialize")
        begun = channel.ask("mcp_authenticate", serverName=server)
        if url := begun.get("authUrl"):
            subprocess.Popen([os.environ["BROWSER"], url])
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            states = {one["name"]: one["status"] for one in channel.ask("mcp_status")["mcpServers"]}
            if states.get(server) == "connected":
                return 0
            time.sleep(0.3)
    except (RuntimeError, queue.Empty) as error:
        print(f"refused: {error}", flush=True)
    finally:
        channel.process.kill()
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
