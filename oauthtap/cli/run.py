"""`oauthtap run -- COMMAND…`: one client under its real names, through a proxy that is its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
import time
from argparse import Namespace
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from oauthtap.cli.console_output import ConsoleReporter, addresses
from oauthtap.cli.errors import UsageError
from oauthtap.cli.options.again import invocation, reach_of
from oauthtap.cli.options.baseline import baseline_code, read_baseline, with_baseline
from oauthtap.cli.options.fixes import FixOptions
from oauthtap.cli.options.rule_files import load_rule_files
from oauthtap.cli.options.telling import bounded, written
from oauthtap.cli.options.upstream import parse_mcp_url, parse_upstream_options
from oauthtap.clients import profiles
from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.model.exchange import Exchange, Request
from oauthtap.model.sanitize import escape_controls
from oauthtap.report.model import SECRETS_KEPT, Report
from oauthtap.rewriting.origins import WEB_PORT
from oauthtap.session import SessionError, default_folder
from oauthtap.session.feed import Feed
from oauthtap.session.recorder import SessionRecorder, redacting
from oauthtap.wrap.browser_capture import install_shims, serve
from oauthtap.wrap.capture_scope import CaptureScope
from oauthtap.wrap.child import PROXY, apply_env_changes, environment, run_child, system_ca_bundle
from oauthtap.wrap.mcp_config import find_servers
from oauthtap.wrap.origin_cache import load, save
from oauthtap.wrap.proxy_support import proxy_warning

if TYPE_CHECKING:
    from oauthtap.proxy.forward import ForwardProxyInfo
    from oauthtap.proxy.settings import Settings

OUT_OF_SIGHT = "out of sight: the browser does not use the proxy, and its answer goes straight to the client"
_MOST_HOSTS = 5
_LONGEST = 70


def run(arguments: Namespace) -> int:
    """Run a command under our eyes. Gives its exit code; 2 when it could not be started."""
    if sys.platform == "win32":
        raise UsageError("run needs Linux or macOS. Try: oauthtap --upstream https://mcp.example.com/mcp")
    parse_upstream_options(arguments)
    load_rule_files(arguments.rules)
    if arguments.upstream:
        parse_mcp_url(arguments.upstream, "oauthtap run --upstream")
    command = [word for place, word in enumerate(arguments.words) if place or word != "--"]
    if not command:
        raise UsageError("name the client to run. Try: oauthtap run -- claude mcp login NAME")
    read_baseline(arguments)
    if shutil.which(command[0]) is None:
        raise UsageError(f"{escape_controls(command[0])}: there is no such command")
    try:
        with (
            tempfile.TemporaryDirectory(prefix="oauthtap-run-", dir=_where(), ignore_cleanup_errors=True) as folder,
            _events(arguments.events) as events,
        ):
            return asyncio.run(WrappedRun(arguments, command, Path(folder), events).run())
    except SessionError as problem:
        raise UsageError(str(problem)) from None


@contextlib.contextmanager
def _events(file: str | None) -> Iterator[TextIO | None]:
    """The file for events. Raises Usage."""
    if file is None:
        yield None
        return
    try:
        opened = open(file, "a", encoding="utf-8")  # noqa: SIM115  (closed below, and only what it raises is ours)
    except OSError as problem:
        raise UsageError(f"--events {escape_controls(file)}: {problem.strerror}. Try: --events events.jsonl") from None
    with opened:
        yield opened


def _where() -> str:
    """Below the usual temporary folder, unless its name leaves no room for a socket's (104 bytes on macOS)."""
    usual = tempfile.gettempdir()
    return usual if len(os.fsencode(usual)) <= _LONGEST else "/tmp"


class WrappedRun:
    """One child, from its start to its summary. `private`: a folder that is gone afterwards."""

    def __init__(self, arguments: Namespace, command: list[str], private: Path, events: TextIO | None = None) -> None:
        self.arguments, self.command, self.private = arguments, command, private
        known = find_servers(command, os.environ, Path.cwd())
        only = known.configured[0] if len(known.configured) == 1 else None
        self.upstream: str | None = arguments.upstream or only
        named_urls = (arguments.upstream,) if arguments.upstream else known.all
        self.interest = CaptureScope([*named_urls, *load(named_urls)], everything=arguments.all)
        self.fixes = FixOptions(arguments).fixes
        self.tap = SessionAnalyzer(
            self.upstream, arguments.revision, arguments.client, profiles(), **redacting(arguments)
        )
        self.narrator = ConsoleReporter(sys.stderr, here=invocation(arguments))
        self.notes: dict[str, None] = {}
        """What the person should know, told when the terminal is ours again."""
        named_after = self.upstream or f"//{Path(command[0]).name}"
        self.folder = Path(arguments.session) if arguments.session else default_folder(named_after)
        self.notebook = SessionRecorder(self.tap, self.folder, self.upstream, arguments, self._note)
        struck = self.tap.redactor.strike_url(self.upstream) if self.upstream else None
        self.feed = Feed(
            "run", self.folder, struck, out=events, clean=self.tap.redactor.redact_known, reach=reach_of(arguments)
        )
        self.stop = asyncio.Event()

    async def run(self) -> int:
        """Proxy, child, summary. Gives the child's exit code."""
        from oauthtap.proxy.forward import run_forward_proxy
        from oauthtap.proxy.observer import ProxyCallbacks  # mitmproxy takes a second to import: only when needed
        from oauthtap.proxy.settings import StartupError

        standing: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        ears = ProxyCallbacks(
            on_exchange=self._on_exchange,
            on_flow=self.notebook.keep_flow,
            on_stream=self.notebook.add_stream,
            on_note=self._note,
        )
        proxy: asyncio.Future[Any] = asyncio.ensure_future(
            run_forward_proxy(
                self._settings(), self.tap, ears, self.interest, on_ready=standing.set_result, stop=self.stop
            )
        )
        try:
            await asyncio.wait([proxy, standing], return_when=asyncio.FIRST_COMPLETED)
            code = await self._child(standing.result()) if standing.done() else 0
            self.stop.set()
            await proxy
        except StartupError as problem:
            self.notebook.discard()
            raise UsageError(f"cannot start: {problem}") from None
        return self._end(code)

    def _settings(self) -> Settings:
        from oauthtap.proxy.port_store import next_free
        from oauthtap.proxy.settings import Settings

        trusted = self.private / "trusted.pem"
        trusted.write_text(system_ca_bundle(os.environ, self.arguments.ca))
        return Settings(
            upstream=self.upstream or "",
            web=self.arguments.web,
            web_port=self.arguments.web_port or (next_free(WEB_PORT, set()) if self.arguments.web else WEB_PORT),
            ca=str(trusted),
            insecure=self.arguments.insecure,
            connect_to=tuple(self.arguments.connect_to),
            fixes=self.fixes,
            state=self.private,
        )

    # --- the child

    async def _child(self, standing: ForwardProxyInfo) -> int:
        from oauthtap.proxy.settings import StartupError

        changes = environment(standing.proxy, standing.authority, self.private, os.environ, self.arguments.ca)
        changes |= install_shims(self.private, os.environ)
        self._before(standing)
        self.feed.ready(None, {})
        was = {name: os.environ.get(name) for name in changes}
        async with serve(self.private, was, self._opened):
            try:
                return await run_child(self.command, apply_env_changes(os.environ, changes))
            except OSError as problem:
                self.stop.set()
                raise StartupError(f"{escape_controls(self.command[0])}: {problem.strerror}") from None

    def _before(self, standing: ForwardProxyInfo) -> None:
        """The last words before the terminal is the child's."""
        if self.arguments.insecure:
            self.narrator.warn("--insecure: nobody checks that this is the real server. Tokens may go astray.")
        if self.tap.keeps_secrets:
            self.narrator.warn(f"--keep-secrets: {SECRETS_KEPT}")
        if sentence := proxy_warning(self.command, os.environ):
            self.narrator.warn(escape_controls(sentence))
        if any(os.environ.get(name) for name in PROXY):
            self.narrator.warn("A proxy is set in the environment; while oauthtap runs, it is not used.")
        if lines := addresses(standing.web_url):
            self.narrator.say(*lines)

    def _opened(self, url: str) -> None:
        """The child opens a browser: its first request is recorded, and no answer ever comes by us."""
        request = Request(method="GET", url=url, headers=(("Accept", "text/html"),))
        exchange = Exchange(request=request, error=OUT_OF_SIGHT, started_at=time.time(), duration=0.0, actor="browser")
        if self.interest.keeps_page(exchange, self.tap.handshakes):
            self.notebook.guarded(partial(self.notebook.record_own_request, exchange, self._on_exchange))

    def _note(self, sentence: str) -> None:
        self.notes[sentence] = None

    def _on_exchange(self, step: AnalyzedExchange) -> None:
        self.notebook.add(step)
        self.notebook.guarded(partial(self.feed.step, step))

    # --- when it has ended

    def _end(self, code: int) -> int:
        """Close the session. Speaks where somebody is there to read it, and where the sign-in came to nothing.

        Gives the exit code: the child's, or 1 for what a baseline does not know.
        """
        if not self.tap.steps:
            self._nothing_came(code)
            return code
        report = with_baseline(self.notebook.end(time.time()), self.arguments)
        code = code or baseline_code(report, self.arguments, code, stopped=not report.works)
        self.feed.end(report, code)
        if self.tap.handshake.resource:
            save(self.tap.handshake.resource, self.interest.origins)
        exchanges = tuple(step.exchange for step in self.tap.steps)
        if self.arguments.format == "json":
            self.narrator.say(written(report, exchanges, self.arguments).rstrip())
        elif sys.stderr.isatty() or self._stopped(report) or report.baseline:
            self.narrator.warned += self.notes
            self.narrator.end(bounded(report, self.arguments), self.folder, exchanges, self.arguments)
        return code

    def _nothing_came(self, code: int) -> None:
        if self.arguments.session:
            self.feed.end(self.notebook.end(time.time()), code)
        else:
            self.notebook.discard()
        if sys.stderr.isatty() or self.upstream or self.interest.distrusted:
            self._tell_notes()
            self.narrator.say(*self._nothing())

    def _tell_notes(self) -> None:
        for sentence in self.notes:
            self.narrator.warn(sentence)

    def _stopped(self, report: Report) -> bool:
        """The sign-in did not come to its end: no MCP answer, and no token either."""
        return not report.works

    def _nothing(self) -> list[str]:
        """What to say when there was nothing to judge."""
        hosts = list(dict.fromkeys(escape_controls(host, limit=80) for host, _ in self.interest.unopened))[:_MOST_HOSTS]
        passed = [f"  Passed without a look: {', '.join(hosts)}. Try: --upstream URL, or --all"] if hosts else []
        return ["oauthtap saw no OAuth or MCP request of this command.", *passed]
