"""What `oauthtap solve` tries a change on: a real client in a fresh home, or a recording."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import time
from abc import ABC, abstractmethod
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace as replace_plan
from pathlib import Path
from typing import Any

from oauthtap import __version__
from oauthtap.cli.analyze_file import analyze_recording
from oauthtap.cli.console_output import ConsoleReporter
from oauthtap.cli.drive import DriveSession, refused_on_the_wire
from oauthtap.cli.errors import UsageError
from oauthtap.cli.options.grant import stored_grant
from oauthtap.cli.options.upstream import parse_upstream_options
from oauthtap.cli.probe import RecordedWalk
from oauthtap.cli.probe_progress import Progress
from oauthtap.clients import EMULATED_SUFFIX
from oauthtap.clients.traits import Emulation
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.drive.driver import Driver
from oauthtap.drive.install import InstalledClient
from oauthtap.drive.registrations import Registrations
from oauthtap.faults.injector import FaultInjector
from oauthtap.fixes.applier import ActiveFixes
from oauthtap.fixes.deploy_plan import deploy
from oauthtap.fixes.model import with_values
from oauthtap.probe.walk import Plan
from oauthtap.report.model import Report
from oauthtap.session.feed import Feed
from oauthtap.session.paths import replace
from oauthtap.solve.dry_run import simulate
from oauthtap.solve.model import ChangeSet
from oauthtap.solve.proposal import latest_attempt_steps, new_tap_like
from oauthtap.solve.search import RunResult

_TRIES = "tries.json"


class FolderRunner(ABC):
    """Makes each try in a folder of its own below `root`. One that lies there already is not made again."""

    def __init__(self, arguments: Namespace, client: str, root: Path, values: Mapping[str, str], feed: Feed) -> None:
        self._root, self._feed = root, feed
        self._values = {"client_id": values.get("client-id", ""), "client_secret": values.get("client-secret", "")}
        set_by_us = {"fix": [], "fix_header": [], "client_id": None, "inject": FaultInjector(), "web": False,
                     "port": None, "browser": False, "timeout": arguments.run_timeout, "format": "console",
                     "events": False}  # fmt: skip
        self._arguments = Namespace(**{**vars(arguments), **set_by_us})
        self._tries = self._begun(client, arguments.upstream)

    def _begun(self, client: str, upstream: str) -> dict[str, Any]:
        """The tries of a search that was begun in this folder. Raises Usage when it was another one."""
        subject = {"client": client, "upstream": _mark(upstream)}
        try:
            kept: dict[str, Any] = json.loads((self._root / _TRIES).read_text("utf-8"))
        except (OSError, ValueError):
            return {**subject, "tries": {}}
        if {name: kept.get(name) for name in subject} != subject:
            raise UsageError(f"{self._root}: a search with another client or server. Try: --session {self._root}-2")
        return kept

    def __call__(self, change: ChangeSet, /) -> RunResult:
        """One run. Raises KeyboardInterrupt when the person ended it."""
        mark = _mark(repr(sorted(change.key)))
        folder = self._root / f"try-{mark}"
        if (known := self._tries["tries"].get(mark)) is not None and (folder / "report.json").exists():
            tap, report = analyze_recording(str(folder))
            return RunResult(known["connected"], report, tap, known["seconds"], str(folder))
        number = len(list(self._root.glob(f"try-{mark}*")))
        folder = folder.with_name(f"{folder.name}-{number}") if folder.exists() else folder
        began = time.monotonic()
        asked = Namespace(**{**vars(self._arguments), "session": str(folder)})
        fixes = ActiveFixes(fixes=change.fixes, values=self._values)
        connected, report, tap = self._run(asked, folder, fixes)
        self._feed.look(report, over=True)
        seconds = time.monotonic() - began
        self._tries["tries"][mark] = {"fixes": list(change.names), "connected": connected, "seconds": seconds}
        replace(self._root / _TRIES, (json.dumps(self._tries, indent=1) + "\n").encode())
        return RunResult(connected, report, tap, seconds, str(folder))

    @abstractmethod
    def _run(self, asked: Namespace, folder: Path, fixes: ActiveFixes) -> tuple[bool, Report, SessionAnalyzer]:
        """Whether it connected, and what was seen of it. Raises KeyboardInterrupt when the person ended it."""


class ClientRunner(FolderRunner):
    """Runs a real client through a tap with some fixes on. `private`: a folder that is gone afterwards; each run gets a
    home of its own below it.
    """

    def __init__(
        self,
        arguments: Namespace,
        driver: Driver,
        client: InstalledClient,
        root: Path,
        private: Path,
        values: Mapping[str, str],
        feed: Feed,
    ) -> None:
        super().__init__(arguments, driver.name, root, values, feed)
        self._driver, self._client, self._private = driver, client, private

    def _run(self, asked: Namespace, folder: Path, fixes: ActiveFixes) -> tuple[bool, Report, SessionAnalyzer]:
        connected, driven = asyncio.run(self._drive(asked, folder, fixes))
        report = driven.notebook.end(time.time())
        if driven.errand.why_ended == "it was interrupted":
            self._feed.look(report, over=True)
            raise KeyboardInterrupt
        return connected and not refused_on_the_wire(report), report, driven.tap

    async def _drive(self, asked: Namespace, folder: Path, fixes: ActiveFixes) -> tuple[bool, DriveSession]:
        home = self._private / folder.name
        home.mkdir()
        quiet = ConsoleReporter(io.StringIO())
        driven = DriveSession(
            asked, self._driver, self._client, home, quiet, fixes=fixes, feed=self._feed, looks=not fixes.on
        )
        registered = Registrations(driven.on_flow)
        driven.on_flow = registered.hear
        connected = await driven.connect()
        await registered.delete(parse_upstream_options(asked), self._feed.ports)
        return connected, driven


class EmulatedRunner(FolderRunner):
    """Walks as a client would that cannot be run here. `connected`: it would, by what is known of it."""

    def __init__(
        self, arguments: Namespace, client: Emulation, root: Path, values: Mapping[str, str], feed: Feed
    ) -> None:
        super().__init__(arguments, f"{client.profile.slug}{EMULATED_SUFFIX}", root, values, feed)
        self._plan = Plan(url=arguments.upstream, version=__version__, sign_in="headless", client=client)

    def _run(self, asked: Namespace, folder: Path, fixes: ActiveFixes) -> tuple[bool, Report, SessionAnalyzer]:
        asked.redact, asked.keep_secrets = None, False
        plan = replace_plan(self._plan, grant=stored_grant(asked, self._plan.url))
        quiet = Progress(io.StringIO())
        walked = RecordedWalk(plan, parse_upstream_options(asked), asked, fixes, progress=quiet, feed=self._feed)
        report = walked.report()
        if not walked.whole:
            raise KeyboardInterrupt
        good = walked.end is not None and walked.end.outcome in ("connected", "open")
        return good, report, walked.kept.tap


def _mark(text: str) -> str:
    """A short name for a text that is itself not to be written down."""
    return hashlib.sha256(text.encode()).hexdigest()[:12]


class SimulationRunner:
    """Lays fixes over a recording. `connected` is: nothing that was recorded is in the way any more."""

    def __init__(self, tap: SessionAnalyzer, values: Mapping[str, str]) -> None:
        self._new_tap, self._steps = new_tap_like(tap), latest_attempt_steps(tap)
        self._values = {"client_id": values.get("client-id", "")}

    def __call__(self, change: ChangeSet, /) -> RunResult:
        """One simulation."""
        fixes = tuple(with_values(fix, self._values) for fix in change.fixes)
        trial = simulate(self._new_tap, self._steps, fixes)
        told = trial.report.model_copy(update={"deploy": deploy(trial.patched, trial.tap.handshake, proved=False)})
        return RunResult(trial.enough, told, trial.tap)
