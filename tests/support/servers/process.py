"""One program of a server: started, listened to until it is ready, and ended with all it started."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from oauthtap.drive.keyboard import ESCAPES
from oauthtap.drive.process import terminate_tree
from tests.support.servers.heard import Heard, heard

PATIENCE = 90.0
"""Seconds for a server to come up: workerd on a busy machine is slow."""


class Process:
    """A program that runs. What it says is kept, and what it heard among it."""

    def __init__(self, process: subprocess.Popen[str], port: int) -> None:
        self.process = process
        self.port = port
        self.lines: list[str] = []
        self.heard: list[Heard] = []
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            plain = ESCAPES.sub("", line)
            if told := heard(plain):
                self.heard.append(told)
            else:
                self.lines.append(plain)

    @property
    def said(self) -> str:
        return "".join(self.lines)

    def wait_for(self, text: str) -> None:
        """Until it has said this (a regular expression) and takes connections. Fails with what it said instead."""
        deadline = time.monotonic() + PATIENCE
        while not (re.search(text, self.said) and listens(self.port)):
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the server never came up; exit {self.process.poll()}:\n{self.said[-4000:]}")
            time.sleep(0.05)


@contextlib.contextmanager
def serving(
    command: Sequence[str | Path], folder: Path, port: int, *, ready: str = "", **variables: str
) -> Iterator[Process]:
    """Run `command` in `folder` until the block ends; the block begins once it is `ready` on `port`.

    Its environment has a PATH, a home of its own and these variables. Raises RuntimeError when it does not come up.
    """
    with tempfile.TemporaryDirectory(prefix="oauthtap-server-", ignore_cleanup_errors=True) as home:
        started = subprocess.Popen(
            [str(word) for word in command],
            cwd=folder,
            env=surroundings(home) | {"PORT": str(port)} | variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        process = Process(started, port)
        try:
            process.wait_for(ready)
            yield process
        finally:
            terminate_tree(started)
            process._listener.join(timeout=5)
            if started.stdout:
                started.stdout.close()


def surroundings(home: str) -> Mapping[str, str]:
    """The little that every program needs."""
    named = {"PATH": os.environ["PATH"], "HOME": home, "LANG": "C.UTF-8", "NO_COLOR": "1", "CI": "1"}
    return named | {"PYTHONUNBUFFERED": "1", "PYTHONDONTWRITEBYTECODE": "1"}


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
