"""`oauthtap drive CLIENT --upstream URL`: a real client through the tap, without a person, from start to verdict."""

from __future__ import annotations

import asyncio
import random
import sys
import tempfile
import time
import webbrowser
from argparse import Namespace
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from oauthtap.cli import emulated
from oauthtap.cli.console_output import ConsoleReporter, addresses
from oauthtap.cli.errors import UsageError
from oauthtap.cli.options.again import invocation, reach_of
from oauthtap.cli.options.baseline import baseline_code, read_baseline, with_baseline
from oauthtap.cli.options.fixes import FixOptions
from oauthtap.cli.options.grant import stored_grant
from oauthtap.cli.options.inject import unused_faults_notice
from oauthtap.cli.options.rule_files import load_rule_files
from oauthtap.cli.options.telling import bounded, event_stream, narration, written
from oauthtap.cli.options.upstream import parse_mcp_url, parse_upstream_options
from oauthtap.clients import EMULATED_SUFFIX, profiles
from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.findings import RANK
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.drive import install
from oauthtap.drive.driver import Driver, DriverError, Transport, find_driver
from oauthtap.drive.headless_browser import HEADERS
from oauthtap.drive.runner import ClientRun, CommandResult
from oauthtap.fixes.applier import ActiveFixes
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Request, Response
from oauthtap.model.sanitize import escape_controls
from oauthtap.report.model import Report
from oauthtap.rewriting.origins import FIRST_PORT, WEB_PORT
from oauthtap.session import SessionError, default_folder
from oauthtap.session.feed import Feed
from oauthtap.session.recorder import SessionRecorder
from oauthtap.upstream.preflight import preflight

if TYPE_CHECKING:
    from oauthtap.proxy.reverse import Ready
    from oauthtap.proxy.settings import Settings

_SETTLE = 0.5
"""Seconds that the last answers get to be heard, once the client has ended."""
_ALONE, _WITH_A_PERSON = 120.0, 300.0
"""Seconds that a client may take, where nobody says how many."""
_LAST_LINES = 12
INTERRUPTED = 130


def drive(arguments: Namespace) -> int:
    """Run the client. Gives 0 when it connected (and no finding reaches `--fail-on`), 1 when not."""
    if arguments.driver.endswith(EMULATED_SUFFIX):
        return emulated.drive(arguments)
    if sys.platform == "win32":
        raise UsageError("drive needs Linux or macOS. Try: oauthtap --upstream https://mcp.example.com/mcp")
    driver = driver_named(arguments.driver)
    if not arguments.upstream:
        raise UsageError(f"name the server. Try: oauthtap drive {driver.name} --upstream https://mcp.example.com/mcp")
    parse_mcp_url(arguments.upstream, f"oauthtap drive {driver.name} --upstream")
    parse_upstream_options(arguments)
    stored_grant(arguments, arguments.upstream)
    load_rule_files(arguments.rules)
    read_baseline(arguments)
    FixOptions(arguments)
    narrator = ConsoleReporter(
        narration(arguments), brief=arguments.brief, upstream=arguments.upstream, here=invocation(arguments)
    )
    try:
        found = install.locate_client(driver, arguments.client_version, install=arguments.install, say=narrator.say)
        with tempfile.TemporaryDirectory(prefix="oauthtap-drive-", ignore_cleanup_errors=True) as folder:
            return asyncio.run(DriveSession(arguments, driver, found, Path(folder), narrator).run())
    except (DriverError, SessionError) as problem:
        raise UsageError(str(problem)) from None


def driver_named(word: str) -> Driver:
    """The driver of that name or file. Raises Usage."""
    try:
        return find_driver(word)
    except DriverError as problem:
        raise UsageError(str(problem)) from None


class DriveSession:
    """One run, from its start to its report. `private`: a folder that is gone afterwards.

    `fixes`: those that are on, in place of what the flags say; `feed`: told what happens, in place of one of its own.
    `looks`: ask the server ourselves before the client comes.
    """

    def __init__(
        self,
        arguments: Namespace,
        driver: Driver,
        found: install.InstalledClient,
        private: Path,
        narrator: ConsoleReporter,
        *,
        fixes: ActiveFixes | None = None,
        feed: Feed | None = None,
        looks: bool = True,
    ) -> None:
        self.arguments, self.driver, self.client, self.narrator = arguments, driver, found, narrator
        self.tap = SessionAnalyzer(arguments.upstream, arguments.revision, arguments.client, profiles())
        self.folder = Path(arguments.session) if arguments.session else default_folder(arguments.upstream)
        self.notebook = SessionRecorder(self.tap, self.folder, arguments.upstream, arguments, narrator.warn)
        self.fixes, self.looks = fixes or FixOptions(arguments).fixes, looks
        self.feed = feed or Feed("drive", self.folder, self.tap.redactor.strike_url(arguments.upstream),
                                 out=event_stream(arguments), clean=self.tap.redactor.redact_known,
                                 reach=reach_of(arguments))  # fmt: skip
        self.on_flow = self.notebook.keep_flow
        self.stop = asyncio.Event()
        home = private / "home"
        home.mkdir()
        self.state = private / "state"
        patience = arguments.timeout or (_WITH_A_PERSON if arguments.browser else _ALONE)
        self.errand = ClientRun(driver, found, home, parse_upstream_options(arguments), arguments.browser, patience)

    async def run(self) -> int:
        """Tap, client, report. Gives the exit code."""
        return self._end(await self.connect())

    async def connect(self) -> bool:
        """Tap and client. Gives whether the client says that it is connected; the session is still to be ended."""
        from oauthtap.proxy.observer import ProxyCallbacks  # mitmproxy takes a second to import: only when needed
        from oauthtap.proxy.reverse import run_reverse_proxy
        from oauthtap.proxy.settings import StartupError

        self._loop = asyncio.get_running_loop()
        self._listeners: set[str] = set()
        self.errand.on_page = self._on_page
        self.errand.on_hops = self._on_hops
        standing: asyncio.Future[Ready] = self._loop.create_future()
        ears = ProxyCallbacks(
            self._on_exchange,
            self.on_flow,
            self._on_listener,
            self._warn,
            on_stream=self.notebook.add_stream,
        )
        try:
            tap: asyncio.Future[Any] = asyncio.ensure_future(
                run_reverse_proxy(self._settings(), self.tap, ears, on_ready=standing.set_result, stop=self.stop)
            )
            await asyncio.wait([tap, standing], return_when=asyncio.FIRST_COMPLETED)
            connected = await self._client(standing.result(), tap) if standing.done() else False
            self.stop.set()
            await tap
        except StartupError as problem:
            self.notebook.discard()
            raise UsageError(f"cannot start: {problem}") from None
        return connected

    def _settings(self) -> Settings:
        from oauthtap.proxy.port_store import next_free
        from oauthtap.proxy.settings import Settings

        asked = self.arguments
        # Two runs at once would both find the first one free; from here on no client listens up to 8787.
        port = asked.port or next_free(FIRST_PORT + 4 * random.randrange(1, 80), {WEB_PORT})
        return Settings(
            upstream=asked.upstream,
            port=port,
            web=asked.web,
            web_port=asked.web_port or (next_free(WEB_PORT, {port}) if asked.web else WEB_PORT),
            ca=asked.ca,
            insecure=asked.insecure,
            connect_to=tuple(asked.connect_to),
            callback=asked.callback,
            fixes=self.fixes,
            injecting=asked.inject,
            grant=stored_grant(asked, asked.upstream),
            allow_private=asked.allow_private,
            state=self.state,
        )

    # --- while it runs

    async def _client(self, ready: Ready, tap: asyncio.Future[Any]) -> bool:
        """The client's whole run; it ends early where the tap does (Ctrl-C)."""
        self._banner(ready)
        self._relay = ready.addon.relay
        self._listeners.add(urls.origin(ready.url))
        self.feed.ready(ready.url, {urls.origin(ready.url): urls.origin(self.arguments.upstream)}, ready.web_url)
        self.feed.fixes(self.fixes.names)
        if self.looks:
            await self._look()
        errand = asyncio.ensure_future(asyncio.to_thread(self.errand.run, ready.url, self._transport()))
        await asyncio.wait([errand, tap], return_when=asyncio.FIRST_COMPLETED)
        self.errand.cancel_requested = not errand.done()
        try:
            connected = await errand
        except OSError as problem:
            self.errand.why_ended = f"it cannot be started: {escape_controls(problem.strerror or str(problem))}"
            return False
        await asyncio.wait([tap], timeout=_SETTLE)
        return connected

    def _banner(self, ready: Ready) -> None:
        name = f"{self.driver.title} {escape_controls(self.client.version or '')}".strip()
        self.narrator.say(
            "",
            f"  {name} signs in at {escape_controls(self._named(self.arguments.upstream))}",
            f"  through {self._named(ready.url)}  ({escape_controls(self.client.source)})",
            f"  Connected, for this client, means: {escape_controls(self.driver.proves)}.",
            *addresses(ready.web_url),
            f"  Session:  {self.folder}",
            "",
        )

    def _named(self, url: str) -> str:
        """A URL without the secret that its path or query may be: the console is pasted into reports."""
        return self.tap.redactor.strike_url(url)

    async def _look(self) -> None:
        """The preflight, before the client comes: some clients skip the 401, and it says a lot."""
        found = await preflight(self.arguments.upstream, parse_upstream_options(self.arguments))
        if found.words:
            self.narrator.warn(self.tap.redactor.redact_known(found.words))
        if found.exchange:
            self.notebook.record_own_request(found.exchange, self._on_exchange)

    def _on_exchange(self, step: AnalyzedExchange) -> None:
        self.notebook.add(step)
        self.notebook.guarded(partial(self.feed.step, step))
        self.notebook.guarded(partial(self.narrator.steps, [step]))

    def _on_hops(self, hops: list[dict[str, Any]]) -> None:
        """Called from the client's thread."""
        self._loop.call_soon_threadsafe(self._record_hops, hops)

    def _record_hops(self, hops: list[dict[str, Any]]) -> None:
        """What the browser was answered where the tap was not in between: the authorization server's own pages."""
        for hop in hops:
            if urls.origin(hop["url"]) in self._listeners:
                continue
            headers = tuple((name, self._relay.restored(value)) for name, value in hop["headers"])
            answer = Response(status=hop["status"], headers=headers, body=self._relay.restored(hop["body"]))
            asked = Request(method="GET", url=self._relay.restored(hop["url"]), headers=tuple(HEADERS.items()))
            seen = Exchange(request=asked, response=answer, actor="browser", started_at=time.time())
            self.notebook.record_own_request(seen, self._on_exchange)

    def _on_listener(self, local: str, upstream: str) -> None:
        self._listeners.add(urls.origin(local))
        self.narrator.listener(local, upstream)
        self.feed.listener(local, upstream)

    def _warn(self, words: str) -> None:
        self.narrator.warn(words)
        self.feed.note(words)

    def _on_page(self, url: str) -> None:
        """Called from the client's thread."""
        self._loop.call_soon_threadsafe(self._open, url)

    def _open(self, url: str) -> None:
        self.narrator.say("  Sign in with your browser. If none opens, go to:", f"  {escape_controls(url, limit=4000)}")
        self._loop.run_in_executor(None, webbrowser.open, url)

    def _transport(self) -> Transport:
        if self.arguments.transport:
            chosen: Transport = self.arguments.transport
            return chosen
        return "sse" if urlsplit(self.arguments.upstream).path.rstrip("/").endswith("/sse") else "http"

    # --- when it has ended

    def _end(self, connected: bool) -> int:
        for words in unused_faults_notice(self.arguments.inject):
            self.narrator.warn(words)
        report = with_baseline(self.notebook.end(time.time()), self.arguments)
        if connected and (refused := refused_on_the_wire(report)):
            connected, self.errand.why_ended = False, refused
        self.narrator.say("", *self._last_words(), self._verdict(connected))
        exchanges = tuple(step.exchange for step in self.tap.steps)
        if self.arguments.format == "console":
            spoken = self.tap.redactor.redact_known("\n".join(one.said for one in self.errand.spoken))
            self.narrator.end(bounded(report, self.arguments), self.folder, exchanges, self.arguments, spoken)
        else:
            sys.stdout.write(written(report, exchanges, self.arguments))
            self.narrator.say(f"Session: {self.folder}")
        code = 0 if connected and not self._fails(report) else 3 if report.ending == "nothing-arrived" else 1
        code = baseline_code(report, self.arguments, code, stopped=not connected)
        code = INTERRUPTED if self.errand.why_ended == "it was interrupted" else code
        self.feed.end(report, code)
        return code

    def _verdict(self, connected: bool) -> str:
        name = f"{self.driver.title} {escape_controls(self.client.version or '')}".strip()
        if connected:
            return f"{name}: connected."
        why = f": {escape_controls(self.errand.why_ended, limit=300)}" if self.errand.why_ended else ""
        return f"{name}: did not connect{why or ' (its own words are above)'}."

    def _fails(self, report: Report) -> bool:
        worst, limit = report.worst, self.arguments.fail_on
        return bool(limit and worst and RANK[worst] <= RANK[limit])

    def _last_words(self) -> Iterator[str]:
        """What the client said last, command by command, without what was secret on the wire."""
        for spoken in self.errand.spoken:
            yield f"{self.driver.title} said, to {self.tap.redactor.redact_known(_shown(spoken))}:"
            said = self.tap.redactor.redact_text(spoken.said)
            lines = [line.rstrip() for line in said.splitlines() if line.strip()]
            yield from (f"  | {escape_controls(line, limit=200)}" for line in lines[-_LAST_LINES:] or ["(nothing)"])


def refused_on_the_wire(report: Report) -> str:
    """A clause, where a client says that it is connected and the MCP server refused its token or its requests.

    Some say it as soon as they have a token.
    """
    refusal, bad = report.refusal, report.ending in ("refused", "repeating", "lost-later")
    if not bad or refusal is None or report.injected_faults or report.sign_ins:
        return ""
    stage = next((row.stage for row in report.exchanges if row.id == refusal.exchange), "")
    if not stage.startswith("mcp-") or stage == "mcp-challenge":
        return ""
    return f"it says that it is, and the MCP server refused it (exchange {refusal.exchange}, {refusal.status})"


def _shown(spoken: CommandResult) -> str:
    """The command as a person would type it, and how it ended."""
    words = [Path(word).name if word.startswith("/") else word for word in spoken.words]
    ended = "ended by us" if spoken.code is None else f"exit {spoken.code}"
    return escape_controls(f"`{' '.join(words)}` ({ended})", limit=200)
