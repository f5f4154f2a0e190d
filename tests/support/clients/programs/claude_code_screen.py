"""Signs Claude Code in at its screen, as a person does: `claude_code_screen.py SERVER COMMAND…`.

For the versions that sign in nowhere else: `/mcp`, the server, Authenticate; then View tools, printed after `TOOLS`.
What has to come is waited for without an end, as a person would; whoever runs this sets the limit.
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
import time

import pexpect
import pyte

LINES, COLUMNS = 60, 200
LOOK = 0.1
SHOWN_EVERY = 10.0
"""Seconds after which the screen is printed although what it waits for has not come."""
END_OF_INPUT = "\x04"
"""Twice, it ends Claude Code; unlike an interrupt it does nothing to what Claude Code was started by."""
PATIENCE = 20.0
"""Seconds it has for that."""


class Screen:
    """A command on a terminal of its own, and what is to be seen there."""

    def __init__(self, command: tuple[str, ...]) -> None:
        self.process = pexpect.spawn(command[0], list(command[1:]), dimensions=(LINES, COLUMNS))
        self.seen = pyte.Screen(COLUMNS, LINES)
        self.stream = pyte.ByteStream(self.seen)

    @property
    def text(self) -> str:
        return "\n".join(filter(None, map(str.rstrip, self.seen.display)))

    def look(self, seconds: float) -> None:
        """Take in what is written next. Raises pexpect.EOF when the command has ended."""
        with contextlib.suppress(pexpect.TIMEOUT):
            self.stream.feed(self.process.read_nonblocking(65536, timeout=seconds))

    def until(self, pattern: str) -> re.Match[str]:
        """Where the screen has it, once it does; the screen is printed then. Raises pexpect.EOF as `look` does."""
        shown = time.monotonic()
        while not (found := re.search(pattern, self.text, re.M)):
            self.look(LOOK)
            if time.monotonic() > shown + SHOWN_EVERY:
                print(self.text, flush=True)
                shown = time.monotonic()
        print(self.text, flush=True)
        return found

    def type(self, keys: str) -> None:
        self.process.send(keys)

    def leave(self) -> None:
        """End the command by its own keys, so that it ends as it does for a person."""
        until = time.monotonic() + PATIENCE
        with contextlib.suppress(pexpect.EOF):
            while time.monotonic() < until:
                self.type(END_OF_INPUT)
                self.look(LOOK)
        print(self.text, flush=True)
        self.process.close(force=True)


def menu(screen: Screen, server: str) -> str:
    """Open the server's menu, once its first connection has come to an end. Gives its state."""
    screen.until(r"\? for shortcuts")
    screen.type("/mcp")
    screen.until(r"^ */mcp +Manage MCP servers")
    screen.type("\r")
    state = screen.until(rf"\b{re.escape(server)} +\S (connected|needs authentication|failed)")[1]
    screen.type("\r")
    screen.until("Esc to go back")
    return state


def choose(screen: Screen, label: str) -> bool:
    """Choose from the menu that is open; False when it does not offer that."""
    offered = re.search(rf"(\d)\. {label}", screen.text)
    if offered:
        screen.type(offered[1])
    return offered is not None


def connected(screen: Screen, server: str) -> bool:
    """Sign in, unless it is connected without."""
    if menu(screen, server) == "connected":
        return True
    if not choose(screen, "Authenticate"):
        return False
    good = rf"Authentication successful\. Connected to {re.escape(server)}"
    ended = screen.until(f"({good})|Authentication successful, but|Error: ")
    return ended[1] is not None and menu(screen, server) == "connected"


def tools(screen: Screen, server: str) -> list[str]:
    """The tools on the first page of the list in the menu that is open; it has room for five."""
    if not choose(screen, "View tools"):
        return []
    page = screen.until(rf"(?s)Tools for {re.escape(server)} \(\d+ tools\)(.*)Esc to go back")[1]
    return re.findall(r"\d\. (\S+)", page)


def main(server: str, *command: str) -> int:
    screen = Screen(command)
    try:
        if not connected(screen, server):
            return 1
        found = tools(screen, server)
    except pexpect.EOF:
        return 1
    finally:
        screen.leave()
    print("TOOLS", json.dumps(found), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
