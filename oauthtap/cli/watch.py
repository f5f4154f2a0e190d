"""`oauthtap --upstream URL`: the tap itself, of analyzer, recorder, proxy and console."""

from __future__ import annotations

import asyncio
import sys
import time
from argparse import Namespace
from collections.abc import Coroutine, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oauthtap.cli.background import start_in_background
from oauthtap.cli.check import exit_code
from oauthtap.cli.console_output import SILENCE, ConsoleReporter
from oauthtap.cli.errors import UsageError
from oauthtap.cli.idle_timer import IdleTimer
from oauthtap.cli.keyboard import read_keys
from oauthtap.cli.live_fixes import LiveFixController
from oauthtap.cli.options.again import invocation, reach_of
from oauthtap.cli.options.fixes import LIVE_FIX_FILE, FixOptions
from oauthtap.cli.options.inject import unused_faults_notice
from oauthtap.cli.options.rule_files import load_rule_files
from oauthtap.cli.options.telling import bounded, event_stream, narration, written
from oauthtap.cli.options.upstream import parse_upstream_options, refuse_userinfo
from oauthtap.clients import profiles
from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.ending import GOOD
from oauthtap.diagnosis.findings import Finding
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.model import urls
from oauthtap.model.sanitize import escape_controls
from oauthtap.render.advice import fix_flag
from oauthtap.render.labels import attempts
from oauthtap.render.verdict import finding_of_cause
from oauthtap.report.build import build
from oauthtap.report.model import Report
from oauthtap.rewriting import public_url
from oauthtap.rewriting.origins import FIRST_PORT, local_origin
from oauthtap.session import SessionError, default_folder
from oauthtap.session.feed import Feed
from oauthtap.session.recorder import SessionRecorder, redacting
from oauthtap.upstream.options import missing_scheme

if TYPE_CHECKING:
    from oauthtap.proxy.reverse import Ready


def watch(arguments: Namespace) -> int:
    """Stand between client and server until Ctrl-C (or, with `--once`, until it is over)."""
    _check(arguments)
    if arguments.background:
        return start_in_background(arguments)
    try:
        return asyncio.run(_watch(arguments))
    except SessionError as problem:
        raise UsageError(str(problem)) from None


def _check(arguments: Namespace) -> None:
    """Everything that can be said before the proxy starts. Raises Usage."""
    if not arguments.upstream:
        raise UsageError("name the server to watch. Try: oauthtap --upstream https://mcp.example.com/mcp")
    if arguments.rules:  # they may be wrong, which is to be said now; ours can wait until the ports are open
        load_rule_files(arguments.rules)
    FixOptions(arguments)
    parse_upstream_options(arguments)
    _public(arguments)
    refuse_userinfo(arguments.upstream, "oauthtap --upstream")
    if candidate := missing_scheme(arguments.upstream):
        raise UsageError(asyncio.run(_with_scheme(arguments, candidate)))
    if not urls.origin(arguments.upstream).startswith(("http://", "https://")):
        raise UsageError(
            f"{escape_controls(arguments.upstream)} is no http or https URL. Try: --upstream https://mcp.example.com/mcp"
        )


def _public(arguments: Namespace) -> Mapping[int, str]:
    try:
        return public_url.names(arguments.public_url, arguments.port, arguments.upstream)
    except public_url.PublicUrlError as problem:
        raise UsageError(escape_controls(str(problem))) from None


async def _with_scheme(arguments: Namespace, candidate: str) -> str:
    """The first field report began so: a client takes such a URL, and never sends a packet."""
    from oauthtap.upstream.preflight import preflight  # the HTTP client takes long to import: only when needed

    found = await preflight(candidate, parse_upstream_options(arguments))
    state = f"it answers ({found.status})" if found.status else f"but: {found.words}"
    return (
        f"{escape_controls(arguments.upstream)} has no scheme. Try: "
        f"--upstream {escape_controls(found.better or candidate)}  ({state})"
    )


async def _watch(arguments: Namespace) -> int:
    from oauthtap.proxy.observer import ProxyCallbacks  # mitmproxy takes a second to import: only when needed
    from oauthtap.proxy.reverse import run_reverse_proxy
    from oauthtap.proxy.settings import Settings, StartupError

    sitting = WatchSession(arguments)
    settings = Settings(
        upstream=arguments.upstream,
        port=sitting.port,
        web=not arguments.no_web,
        web_port=arguments.web_port,
        ca=arguments.ca,
        insecure=arguments.insecure,
        connect_to=tuple(arguments.connect_to),
        callback=arguments.callback,
        public=_public(arguments),
        fixes=sitting.fixing.fixes,
        injecting=arguments.inject,
        allow_private=arguments.allow_private,
    )
    ears = ProxyCallbacks(
        on_exchange=sitting.on_exchange,
        on_flow=sitting.notebook.keep_flow,
        on_stream=sitting.notebook.add_stream,
        on_listener=sitting.on_listener,
        on_note=sitting.warn,
        fixes=sitting.switches,
    )
    sitting.narrator.hold()
    try:
        with read_keys(sitting.on_key) as sitting.narrator.keys:
            await run_reverse_proxy(settings, sitting.tap, ears, on_ready=sitting.on_ready, stop=sitting.stop)
    except StartupError as problem:
        sitting.notebook.discard()
        raise UsageError(f"cannot start: {problem}") from None
    if not sitting.local and not sitting.tap.steps:  # stopped before the banner, and there is nothing to tell
        sitting.notebook.discard()
        return 130
    return sitting.end()


def _free_port(arguments: Namespace) -> int:
    from oauthtap.proxy.port_store import next_free  # mitmproxy takes a second to import: only when needed

    return next_free(FIRST_PORT, {arguments.web_port})


class WatchSession:
    """One run of the tap: what it heard, where it writes it, and what it says meanwhile."""

    def __init__(self, arguments: Namespace) -> None:
        self.arguments = arguments
        self.local = ""
        """The URL in the banner, once that has been said."""
        self.tap = SessionAnalyzer(
            arguments.upstream, arguments.revision, arguments.client, profiles(), **redacting(arguments)
        )
        self.tap.notes += [public_url.FIREWALL] if arguments.public_url else []
        self.port = arguments.port or _free_port(arguments)
        self.narrator = ConsoleReporter(
            narration(arguments), brief=arguments.brief, upstream=arguments.upstream, here=invocation(arguments)
        )
        self.stop = asyncio.Event()
        self.patience = IdleTimer()
        self.fixing = FixOptions(arguments)
        self.folder = Path(arguments.session) if arguments.session else default_folder(arguments.upstream)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._told: set[tuple[str, int | None]] = set()
        self._said: set[str] = set()
        self._told_good = ""
        """The good ending that was told last: a login that only signs in is told, and then that it connected."""
        self.switches = LiveFixController(
            self.tap,
            self.fixing,
            self.folder,
            parse_upstream_options(arguments),
            self.narrator.print_indented,
            self.narrator.here,
        )
        self.notebook = SessionRecorder(self.tap, self.folder, arguments.upstream, arguments, self.narrator.warn)
        clean = self.tap.redactor.redact_known
        self.feed = Feed(
            "tap",
            self.folder,
            self._shown(arguments.upstream),
            out=event_stream(arguments),
            clean=clean,
            reach=reach_of(arguments),
        )

    # --- while it runs

    def on_ready(self, ready: Ready) -> None:
        self.local = ready.url
        shown, upstream = self._shown(ready.url), self._shown(self.arguments.upstream)
        if self.arguments.public_url:
            self.narrator.ready_in_public(shown, upstream, self.arguments, ready.web_url, self.folder)
        else:
            self.narrator.ready(shown, upstream, ready.web_url, self.folder)
        self.feed.ready(shown, {local_origin(self.port): urls.origin(self.arguments.upstream)}, ready.web_url)
        self.feed.fixes(self.fixing.fixes.names)
        if shown != ready.url:
            self.narrator.warn(
                "What ‹...› stands for in the URL is a secret, so it is not shown: type it as in --upstream."
            )
        self.fixing.watch_live_file(self.folder / LIVE_FIX_FILE)
        self._begin(self._wait())
        if not self.arguments.no_preflight:
            self._begin(self._look())

    def _shown(self, url: str) -> str:
        """A URL without the secret that its path or query may be: the console is pasted into reports."""
        return url if self.tap.keeps_secrets else self.tap.redactor.strike_url(url)

    def on_key(self, key: str) -> None:
        """`f` lists fixes, a number turns one on or off."""
        if key in "fF":
            self._begin(self.switches.look())
        elif key.isdecimal() and key.isascii():
            self.narrator.print_indented(self.switches.toggle(int(key)))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def on_exchange(self, step: AnalyzedExchange) -> None:
        if step.exchange.actor != "reporter":
            self.patience.heard(step, time.monotonic())
        self._told |= {(finding.rule, finding.exchange) for finding in step.findings}
        self.notebook.add(step)
        self.notebook.guarded(partial(self.feed.step, step))
        self.notebook.guarded(partial(self.narrator.steps, [step]))

    def on_listener(self, local: str, upstream: str) -> None:
        self.narrator.listener(local, upstream)
        self.feed.listener(local, upstream)

    def warn(self, words: str) -> None:
        self.narrator.warn(words)
        self.feed.note(words)

    async def _look(self) -> None:
        from oauthtap.upstream.preflight import preflight  # the HTTP client takes long to import: only when needed

        found = await preflight(self.arguments.upstream, parse_upstream_options(self.arguments))
        if found.words:
            self.narrator.warn(found.words if self.tap.keeps_secrets else self.tap.redactor.redact_known(found.words))
        if found.exchange:
            # The preflight is part of the recording: some clients skip the 401, and it says a lot.
            self.notebook.record_own_request(found.exchange, self.on_exchange)

    async def _wait(self) -> None:
        """Say what to check when nothing comes, and what came to nothing; with `--once`, end it when it is over."""
        began = time.monotonic()
        while True:
            await asyncio.sleep(0.25)
            for words in self.fixing.reload_changed_files():
                self.warn(words)
            self.feed.fixes(self.fixing.fixes.names)
            self.narrator.tell_repeats()
            now = time.monotonic()
            if self.arguments.timeout and now - began > self.arguments.timeout:
                self.warn(f"--timeout: {self.arguments.timeout:g} seconds are over.")
                self.stop.set()
                return
            if self.patience.last is None:
                if not self.patience.said_silence and now - began > SILENCE:
                    self.patience.said_silence = True
                    await self._say_why_nothing_came()
            elif self.patience.due_for_check(now):
                report = build(self.tap, now=time.time(), story=False)
                self.patience.took(time.monotonic() - now)
                self._tell_what_never_came(report)
                over = self.patience.is_over(report, now)
                stopped, well = self.patience.has_stopped(report, now), self.patience.has_ended_well(report, now)
                self._tell_how_it_ended(report, stopped=stopped, ended_well=well, over=over)
                self.notebook.guarded(partial(self.feed.look, report, over=over))
                if self.arguments.once and over:
                    self.stop.set()
                    return

    async def _say_why_nothing_came(self) -> None:
        """What to check; behind a tunnel, whether a request of our own comes through it."""
        if not self.arguments.public_url:
            self.narrator.no_traffic_hint(self._shown(self.local), self._shown(self.arguments.upstream))
            return
        from oauthtap.upstream.tunnel import check_tunnel  # the HTTP client takes long to import: only when needed

        place = urls.origin(self.local) + public_url.CHECK_PATH
        found = await check_tunnel(place, parse_upstream_options(self.arguments))
        if self.patience.last is None:
            self.narrator.no_tunnel_traffic_hint(self._shown(self.local), found, self.arguments.port)

    def _tell_what_never_came(self, report: Report) -> None:
        news = [finding for finding in report.findings if self._is_news(finding)]
        if news and not report.works:
            self._told |= {(finding.rule, finding.exchange) for finding in news}
            self.narrator.findings(news)
            self.feed.findings(news)
            self.notebook.guarded(partial(self.notebook.annotate_flows, news))

    def _tell_how_it_ended(self, report: Report, *, stopped: bool, ended_well: bool, over: bool) -> None:
        """Says that it connected or signed in; or the cause, and that a fix can be tried; or what came of one."""
        if report.attempts and (report.attempts[-1].ending in GOOD or over):
            if (sentence := attempts(report)) not in self._said:
                self._said.add(sentence)
                self.narrator.fix_result(sentence)
        elif ended_well:
            if self._told_good != report.ending:
                self._told_good = report.ending
                self.narrator.ended_well(self._with_story())
        elif stopped and report.cause is not None and report.cause.rule not in self._said:
            self._told_good = ""
            self._said.add(report.cause.rule)
            self.narrator.stopped(self._with_story(), self.arguments)
            self.narrator.try_it(self.folder, fix_flag(report, finding_of_cause(report)))

    def _with_story(self) -> Report:
        return build(self.tap, now=time.time())

    def _is_news(self, finding: Finding) -> bool:
        return (finding.rule, finding.exchange) not in self._told

    def end(self) -> int:
        """Write what is left to write, and say what was wrong. Gives the exit code of the verdict."""
        for words in unused_faults_notice(self.arguments.inject):
            self.narrator.warn(words)
        report = self.notebook.end(time.time())
        exchanges = tuple(step.exchange for step in self.tap.steps)
        self.narrator.end(bounded(report, self.arguments), self.folder, exchanges, self.arguments)
        if self.arguments.format != "console":
            sys.stdout.write(written(report, exchanges, self.arguments))
        code = exit_code(report, self.arguments.fail_on)
        self.feed.end(report, code)
        return code
