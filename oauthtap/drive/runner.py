"""What a driven client does: its throw-away home, its environment, its browser, its commands one after the other."""

from __future__ import annotations

import json
import os
import shlex
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oauthtap.drive.driver import BROWSER, PROGRAMS, Driver, Run, Transport, fill
from oauthtap.drive.install import InstalledClient
from oauthtap.drive.keyboard import Keyboard
from oauthtap.upstream.options import UpstreamOptions
from oauthtap.wrap.browser_shim import OPENERS

if TYPE_CHECKING:
    from oauthtap.drive.process import ProcessResult

_LANGUAGE = ("LANG", "LC_ALL", "LC_CTYPE")
_STUCK = 3.0
"""Seconds that the client gets to end by itself, once its browser has come to an end that leads nowhere."""


@dataclass(frozen=True)
class CommandResult:
    """One command of the client, and what it said."""

    words: tuple[str, ...]
    code: int | None
    """None when it was ended by us."""
    said: str


@dataclass
class ClientRun:
    """One run of a client against a URL. Blocks; to be run in a thread of its own."""

    driver: Driver
    client: InstalledClient
    home: Path
    """A folder that is gone afterwards."""
    reach: UpstreamOptions
    person: bool = False
    """The browser is a person's."""
    timeout: float = 120.0
    """Seconds for all of it."""
    on_page: Callable[[str], None] = lambda url: None
    """Told, from this thread, which URL a person has to open."""
    on_hops: Callable[[list[dict[str, Any]]], None] = lambda hops: None
    """Told, from this thread, what the browser was answered on its way to a page that leads nowhere."""
    spoken: list[CommandResult] = field(default_factory=list)
    why_ended: str = ""
    """Why we ended it, in words; empty when it ended by itself."""
    cancel_requested: bool = False
    """Set by others: end it now."""
    _read: int = 0
    """Lines of the browser's log that were read."""

    def run(self, url: str, transport: Transport) -> bool:
        """Run all its commands. Whether it said that it is connected. Raises OSError when it cannot be started."""
        values = {
            "client": str(self.client.program), "modules": str(self.client.modules or ""), "python": sys.executable,
            "programs": str(PROGRAMS), "folder": str(self.driver.folder), "home": str(self.home), "url": url,
            "transport": self.driver.transports.get(transport, transport),
        }  # fmt: skip
        env = self._prepared(values)
        self._until = time.monotonic() + self.timeout
        for command in self.driver.run:
            ran = self._run_one(command, values, env)
            if ran.code is None and not ran.done and (command.limit is None or self.why_ended):
                self.why_ended = self.why_ended or f"it was not done after {self.timeout:.0f} s (--timeout)"
                break
        self._end_browsers()
        last = self.spoken[-1]
        return (last.code is not None or ran.done) and self.driver.is_connected(last.said, last.code)

    def _run_one(self, command: Run, values: Mapping[str, str], env: Mapping[str, str]) -> ProcessResult:
        from oauthtap.drive.process import run_command  # pseudo-terminals are not everywhere

        words = command.filled(values)
        opening = (lambda url: self._browse(url, env)) if command.follow else None
        watched = command.keys or command.until or opening
        left = max(0.1, self._until - time.monotonic())
        ran = run_command(
            words,
            env,
            folder=self.home,
            timeout=min(left, command.limit or left),
            terminal=command.terminal,
            keyboard=Keyboard(command.keys, command.until, opening) if watched else None,
            should_stop=self._is_unwanted,
        )
        self.spoken.append(CommandResult(words, ran.code, ran.said))
        return ran

    @staticmethod
    def _browse(url: str, env: Mapping[str, str]) -> None:
        subprocess.run([env["BROWSER"], url], env=dict(env), check=False)  # it goes on in the background

    # --- its surroundings

    def _prepared(self, values: Mapping[str, str]) -> dict[str, str]:
        """The little that every program needs, with our browser under each name that a client may look for."""
        for path, text in self.driver.filled_files(values).items():
            (self.home / path).parent.mkdir(parents=True, exist_ok=True)
            (self.home / path).write_text(text, encoding="utf-8")
        programs, temporary = self.home / "bin", self.home / "tmp"
        programs.mkdir()
        temporary.mkdir()
        orders = self.home / "browser.json"
        self._log = self.home / "browser.log"
        ca = os.path.abspath(self.reach.ca) if self.reach.ca else None  # the browser runs in another folder
        said = {"connect_to": list(self.reach.connect_to), "ca": ca, "insecure": self.reach.insecure}
        orders.write_text(json.dumps({**said, "person": self.person, "log": str(self._log)}))
        shim = programs / "xdg-open"
        line = shlex.join([sys.executable, str(BROWSER), str(orders)])
        # In the background, as a real one: some clients wait for the command to end before they hear their callback.
        shim.write_text(f'#!/bin/sh\n{line} "$@" >/dev/null 2>&1 </dev/null &\n')
        shim.chmod(shim.stat().st_mode | stat.S_IXUSR)
        for name in OPENERS:
            if not (programs / name).exists():
                (programs / name).symlink_to(shim)
        places = [programs, *self.client.path, os.environ.get("PATH", os.defpath)]
        kept = {name: os.environ[name] for name in _LANGUAGE if name in os.environ}
        return {
            "LANG": "C.UTF-8",
            **kept,
            "PATH": os.pathsep.join(map(str, places)),
            "HOME": str(self.home),
            "TMPDIR": str(temporary),
            "BROWSER": str(shim),
            "TERM": "xterm",
            "NO_COLOR": "1",
            "OAUTHTAP_PATIENCE": str(self.timeout),
            **{name: fill(text, values) for name, text in self.driver.env.items()},
        }

    # --- while it runs

    def _is_unwanted(self) -> bool:
        """It is to end: somebody said so, or its sign-in came to an end that leads nowhere."""
        if self.cancel_requested:
            self.why_ended = self.why_ended or "it was interrupted"
        elif not self.why_ended:
            self._look_at_browser()
        return self.cancel_requested or (bool(self.why_ended) and time.monotonic() > self._until)

    def _look_at_browser(self) -> None:
        for entry in self._news():
            if opened := entry.get("opened"):
                self.on_page(opened)
            elif entry.get("ended") in ("page", "lost"):
                self.on_hops(entry.get("hops", []))
                self.why_ended = _stuck(entry)
                self._until = min(self._until, time.monotonic() + _STUCK)

    def _news(self) -> Iterator[dict[str, Any]]:
        """What the browser wrote since the last time."""
        if not self._log.exists():
            return
        fresh = self._log.read_text("utf-8").splitlines()[self._read :]
        self._read += len(fresh)
        yield from map(json.loads, fresh)

    def _end_browsers(self) -> None:
        """A browser that is still on its way has nobody to come back to."""
        from oauthtap.drive.process import end_all

        if self._log.exists():
            entries = map(json.loads, self._log.read_text("utf-8").splitlines())
            end_all(entry["process"] for entry in entries if "process" in entry)


def _stuck(entry: dict[str, Any]) -> str:
    page = entry["url"].partition("?")[0]
    if entry["ended"] == "lost":
        return f"the browser shim got no answer from {page}: {entry['why']}"
    if entry["status"] >= 400:
        return f"the sign-in ended at an error page, {page} ({entry['status']})"
    return f"the sign-in wants a person at {page}. Try: --browser"
