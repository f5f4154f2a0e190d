"""`oauthtap --upstream URL`: the tap itself. Puts session, engine, proxy and narrator together."""

from __future__ import annotations

import asyncio
import difflib
import importlib.metadata
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oauthtap import __version__, rules, urls
from oauthtap.cli import own_rules
from oauthtap.cli.errors import Usage
from oauthtap.cli.narrator import SILENCE, Narrator
from oauthtap.cli.patience import Patience
from oauthtap.clients import profiles
from oauthtap.findings import Finding
from oauthtap.plain import plain
from oauthtap.render import FORMATS
from oauthtap.report import Report
from oauthtap.session import SessionError, SessionWriter, default_folder
from oauthtap.tap import Step, Tap
from oauthtap.upstream import Reach, look, missing_scheme, split_rule
from oauthtap.wire import Exchange

if TYPE_CHECKING:
    from oauthtap.mitm.run import Ready

REPORTS = {"report.json": "json", "report.md": "markdown"}
"""File in the session folder to report format."""

FLOWS = 2000
"""How many flows mitmweb keeps, and we with it."""


def watch(arguments: Namespace) -> int:
    """Stand between client and server until Ctrl-C (or, with `--once`, until it is over)."""
    _check(arguments)
    try:
        asyncio.run(_watch(arguments))
    except SessionError as problem:
        raise Usage(str(problem)) from None
    return 0


def _check(arguments: Namespace) -> None:
    """Everything that can be said before the proxy starts. Raises Usage."""
    if not arguments.upstream:
        raise Usage("name the server to watch. Try: oauthtap --upstream https://mcp.example.com/mcp")
    own_rules.load(arguments.rules)
    for id in arguments.fix:
        if id not in rules.RULES:
            near = difflib.get_close_matches(id, rules.RULES, n=1)
            raise Usage(f"--fix {id}: there is no such rule. Try: {f'--fix {near[0]}' if near else 'oauthtap explain'}")
    try:
        for rule in arguments.connect_to:
            split_rule(rule)
    except ValueError as problem:
        raise Usage(f"--connect-to {problem}, as in curl. Try: --connect-to example.com:443:127.0.0.1:8443") from None
    if arguments.ca and not Path(arguments.ca).is_file():
        raise Usage(f"--ca {arguments.ca}: there is no such file")
    if candidate := missing_scheme(arguments.upstream):
        raise Usage(asyncio.run(_with_scheme(arguments, candidate)))
    if not urls.origin(arguments.upstream).startswith(("http://", "https://")):
        raise Usage(f"{plain(arguments.upstream)} is no http or https URL. Try: --upstream https://mcp.example.com/mcp")


async def _with_scheme(arguments: Namespace, candidate: str) -> str:
    """The first field report began so: a client takes such a URL, and never sends a packet."""
    found = await look(candidate, _reach(arguments))
    state = f"it answers ({found.status})" if found.status else f"but: {found.words}"
    return f"{plain(arguments.upstream)} has no scheme. Try: --upstream {plain(found.better or candidate)}  ({state})"


def _reach(arguments: Namespace) -> Reach:
    return Reach(tuple(arguments.connect_to), arguments.ca, arguments.insecure)


async def _watch(arguments: Namespace) -> None:
    from oauthtap.mitm.observing import Ears  # mitmproxy takes a second to import: only when needed
    from oauthtap.mitm.run import serve
    from oauthtap.mitm.settings import Settings, StartupError

    settings = Settings(
        upstream=arguments.upstream,
        port=arguments.port,
        web=not arguments.no_web,
        web_port=arguments.web_port,
        ca=arguments.ca,
        insecure=arguments.insecure,
        connect_to=tuple(arguments.connect_to),
        callback=arguments.callback,
        fix=tuple(arguments.fix),
        allow_private=arguments.allow_private,
    )
    sitting = Sitting(arguments)
    ears = Ears(
        on_step=sitting.on_step,
        on_flow=sitting.on_flow,
        on_listener=sitting.narrator.listener,
        on_note=sitting.narrator.warn,
    )
    try:
        await serve(settings, sitting.tap, ears, on_ready=sitting.on_ready, stop=sitting.stop)
    except StartupError as problem:
        sitting.abandon()
        raise Usage(f"cannot start: {problem}") from None
    sitting.end()


class Sitting:
    """One run of the tap: what it heard, where it writes it, and what it says meanwhile."""

    def __init__(self, arguments: Namespace) -> None:
        self.arguments = arguments
        self.tap = Tap(arguments.upstream, arguments.revision, arguments.client, profiles())
        self.narrator = Narrator()
        self.stop = asyncio.Event()
        self.patience = Patience()
        self.folder = Path(arguments.session) if arguments.session else default_folder(arguments.upstream)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._told: set[tuple[str, int | None]] = set()
        self._flows: dict[int, tuple[Any, Step]] = {}
        """The newest flows, by the number of their exchange."""
        self._writer = SessionWriter(
            self.folder, self._header(), sweep=self.tap.redactor.sweep, sweep_flows=self._sweep_flows
        )

    def _header(self) -> dict[str, Any]:
        versions = {"oauthtap": __version__, "mitmproxy": importlib.metadata.version("mitmproxy")}
        chosen = {"client": self.arguments.client, "revision": self.arguments.revision}
        return {"upstream": self.arguments.upstream, "versions": versions, **{k: v for k, v in chosen.items() if v}}

    def _sweep_flows(self, data: bytes, header: dict[str, Any]) -> bytes:
        from oauthtap.mitm import flowfile

        return flowfile.finished(data, self.tap.redactor, header)

    # --- while it runs

    def on_ready(self, ready: Ready) -> None:
        self.local = ready.url
        self.narrator.ready(ready.url, self.arguments.upstream, ready.web_url, self.folder)
        for work in (self._look(), self._wait()):
            task = asyncio.ensure_future(work)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def on_step(self, step: Step) -> None:
        if step.exchange.actor != "reporter":
            self.patience.heard(step, time.monotonic())
        self._told |= {(finding.rule, finding.exchange) for finding in step.findings}
        self._never_in_the_way(partial(self._writer.add, step.exchange))
        self._never_in_the_way(partial(self.narrator.step, step))

    def on_flow(self, flow: Any, step: Step) -> None:
        from oauthtap.mitm import flowfile

        def write() -> None:
            self._writer.add_flow(flowfile.record(flowfile.redacted_state(flow, self.tap.redactor, step.exchange)))

        self._never_in_the_way(write)
        self._flows[step.exchange.id] = (flow, step)
        self._flows.pop(step.exchange.id - FLOWS, None)

    def _never_in_the_way(self, work: Callable[[], None]) -> None:
        """What we write and say must not touch the traffic: a full disk is said once, and the client goes on."""
        try:
            work()
        except Exception as problem:
            words = str(problem) if isinstance(problem, SessionError) else f"{type(problem).__name__}: {problem}"
            if (words, None) not in self._told:
                self._told.add((words, None))
                self.narrator.warn(plain(words, limit=300))

    async def _look(self) -> None:
        found = await look(self.arguments.upstream, _reach(self.arguments))
        if found.words:
            self.narrator.warn(found.words)
        if found.exchange:
            self._take(found.exchange)

    def _take(self, exchange: Exchange) -> None:
        """Our own look is part of the recording: some clients skip the 401, and it says a lot."""
        from oauthtap.mitm import flowfile

        step = self.tap.feed(exchange)
        self.on_step(step)
        self.on_flow(flowfile.flow_from(step.exchange), step)

    async def _wait(self) -> None:
        """Say what to check when nothing comes, and what came to nothing; with `--once`, end it when it is over."""
        began = time.monotonic()
        while True:
            await asyncio.sleep(0.25)
            now = time.monotonic()
            if self.patience.last is None:
                if not self.patience.said_silence and now - began > SILENCE:
                    self.patience.said_silence = True
                    self.narrator.silence(self.local, self.arguments.upstream)
            elif self.patience.wants_a_look(now):
                report = self.tap.report(now=time.time())
                self._tell_what_never_came(report)
                if self.arguments.once and self.patience.is_over(report, now):
                    self.stop.set()
                    return

    def _tell_what_never_came(self, report: Report) -> None:
        news = [finding for finding in report.findings if self._is_news(finding)]
        if news and not report.connected:
            self._told |= {(finding.rule, finding.exchange) for finding in news}
            self.narrator.findings(news)
            self._never_in_the_way(partial(self._put_on_their_flows, news))

    def _put_on_their_flows(self, news: list[Finding]) -> None:
        from oauthtap.mitm.annotate import annotate_later

        for number in {finding.exchange for finding in news if finding.exchange in self._flows}:
            flow, step = self._flows[number or 0]
            step = replace(step, findings=(*step.findings, *(f for f in news if f.exchange == number)))
            self._flows[number or 0] = (flow, step)
            annotate_later(flow, step)

    def _is_news(self, finding: Finding) -> bool:
        return (finding.rule, finding.exchange) not in self._told

    # --- when it ends

    def end(self) -> None:
        """Write what is left to write, and say what was wrong."""
        now = time.time()
        report = self.tap.report(now=now, today=date.today())
        files = {name: FORMATS[format](report) for name, format in REPORTS.items()}
        comments: dict[int, str] = {}
        for finding in report.findings:
            if finding.exchange:
                words = f"{finding.severity}: {finding.rule}: {finding.message}"
                comments[finding.exchange] = "\n".join(filter(None, [comments.get(finding.exchange), words]))
        self._writer.close(files, ended=now, comments=comments)
        self.narrator.end(report, self.folder)

    def abandon(self) -> None:
        """The proxy never started: leave no empty session behind."""
        self._writer.close({})
        for file in self.folder.iterdir():
            file.unlink()
        self.folder.rmdir()
