"""The installed `oauthtap` command as a process of its own: started, listened to and ended as a person does it.

with started("--upstream", url, "--no-web", home=tmp_path) as tap:
    httpx.post(tap.url, json={…})
    assert tap.end() == 0
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.bed import Bed
from tests.support.tapped import free_port

COMMAND = Path(sys.executable).with_name("oauthtap")
BANNER_ENDS = "Ctrl-C ends it"
LIMIT = 90.0
"""Seconds after which a process that should have ended is in the wrong."""


def environment(home: Path) -> dict[str, str]:
    """Everything the command keeps lies below `home`; nothing of this machine's own state is seen."""
    # Without its compiled modules every start of the command takes twice as long.
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"HOME": str(home), "XDG_STATE_HOME": str(home / "state"), "NO_COLOR": "1"}


def call(*words: str | Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run a command of oauthtap to its end; both outputs apart."""
    command = [str(COMMAND), *map(str, words)]
    return subprocess.run(command, env=environment(home), capture_output=True, text=True, timeout=LIMIT, check=False)


class Started:
    """A tap that runs. `url` and `session` are what it was told, `said` is what it wrote so far."""

    def __init__(self, words: tuple[str, ...], home: Path, port: int, path: str) -> None:
        self.port, self.home = port, home
        self.url = f"http://localhost:{port}{path}"
        self.session = Path(words[words.index("--session") + 1])
        self._lines: list[str] = []
        began = time.monotonic()
        self.process = subprocess.Popen(
            [str(COMMAND), *words],
            env=environment(home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()
        self.wait_for(BANNER_ENDS)
        self.up_after = time.monotonic() - began
        """Seconds from the command to the end of its banner."""

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.append(line)

    @property
    def said(self) -> str:
        return "".join(self._lines)

    @property
    def report(self) -> dict[str, Any]:
        """The report of the session folder, as parsed JSON."""
        found: dict[str, Any] = json.loads((self.session / "report.json").read_text())
        return found

    def wait_for(self, text: str, seconds: float = LIMIT) -> None:
        """Until it has said this. Fails with what it said instead."""
        deadline = time.monotonic() + seconds
        while text not in self.said:
            ended = self.process.poll() is not None
            if ended:
                self._listener.join(timeout=5)
            if (ended and text not in self.said) or time.monotonic() > deadline:
                raise AssertionError(f"never said {text!r}; exit {self.process.poll()}:\n{self.said}")
            time.sleep(0.02)

    def end(self, sign: signal.Signals | None = signal.SIGINT) -> int:
        """Ask it to end, or with None wait until it does by itself. Gives the exit code; sets `down_after`."""
        began = time.monotonic()
        if sign is not None:
            self.process.send_signal(sign)
        code = self.process.wait(timeout=LIMIT)
        self.down_after = time.monotonic() - began
        self._listener.join(timeout=5)
        return code


@contextlib.contextmanager
def started(upstream: str, *flags: str, home: Path, path: str = "/mcp", web: bool = False) -> Iterator[Started]:
    """The tap in front of an upstream, up when the block begins and surely gone when it ends."""
    port = free_port()
    words = ["--upstream", upstream, "--port", str(port), "--session", str(home / "session"), *flags]
    words += ["--web-port", str(free_port())] if web else ["--no-web"]
    tap = Started(tuple(words), home, port, path)
    try:
        yield tap
    finally:
        if tap.process.poll() is None:
            tap.process.kill()
            tap.process.wait(timeout=LIMIT)
        tap._listener.join(timeout=5)
        assert tap.process.stdout
        tap.process.stdout.close()


def to_the_bed(bed: Bed) -> list[str]:
    """The flags by which a tap finds and trusts the bed."""
    return ["--ca", str(bed.ca_file), *(word for rule in bed.connect_to for word in ("--connect-to", rule))]
