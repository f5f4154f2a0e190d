"""`oauthtap probe URL`: walk to a server without a client. Puts walk, session, progress and report together."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import ssl
import sys
import textwrap
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from oauthtap import __version__
from oauthtap.cli import attack
from oauthtap.cli.check import exit_code
from oauthtap.cli.errors import UsageError
from oauthtap.cli.options.again import reach_of
from oauthtap.cli.options.baseline import baseline_code, read_baseline, with_baseline
from oauthtap.cli.options.grant import stored_grant
from oauthtap.cli.options.rule_files import load_rule_files
from oauthtap.cli.options.summary import display, session_word
from oauthtap.cli.options.telling import bounded, event_stream, narration, written
from oauthtap.cli.options.upstream import parse_mcp_url, parse_upstream_options
from oauthtap.cli.probe_progress import Progress
from oauthtap.clients import EMULATED_SUFFIX, emulations, profiles
from oauthtap.clients.traits import Emulation, WalkEnd
from oauthtap.clients.walk_report import walk_report
from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.fixes.applier import ActiveFixes
from oauthtap.grants.grant_file import GrantError
from oauthtap.model import urls
from oauthtap.model.exchange import Request
from oauthtap.model.sanitize import escape_controls
from oauthtap.probe.attack import AttackOutcome
from oauthtap.probe.runner import Browser, probe
from oauthtap.probe.walk import CALLBACK_PORT, Plan
from oauthtap.render import emulation as in_words
from oauthtap.render.console import console
from oauthtap.report.model import Report
from oauthtap.session import SessionError, default_folder
from oauthtap.session.feed import Feed
from oauthtap.session.recorder import SessionRecorder, redacting
from oauthtap.upstream.options import UpstreamOptions

_FURTHER = "To go on from here: --register tries registration, --login signs you in with your browser."
_WIDTH = 100


def run(arguments: Namespace) -> int:
    """Print the report on what a server answers. Gives `exit_code`, or 130 after Ctrl-C."""
    plan = _plan(arguments)
    if plan.attack:
        attack.ask(arguments)
    return walk(arguments, plan)


def walk(arguments: Namespace, plan: Plan, fixes: ActiveFixes | None = None) -> int:
    """Walk as planned and print the report, headed by what it means for the client that was walked as.

    `fixes`: applied to what the server answers and to what is asked. Gives `exit_code`, or 130 after Ctrl-C.
    Raises UsageError.
    """
    way = parse_upstream_options(arguments)
    load_rule_files(arguments.rules)
    read_baseline(arguments)
    try:
        walked = RecordedWalk(plan, way, arguments, fixes)
        report = with_baseline(walked.report(), arguments)
    except (SessionError, GrantError) as problem:
        raise UsageError(str(problem)) from None
    except ssl.SSLError as problem:
        raise UsageError(f"--ca {arguments.ca}: no certificate in it that can be read ({problem.reason})") from None
    except OSError as problem:
        raise UsageError(f"--callback-port {arguments.callback_port}: {problem.strerror}. Try: another port") from None
    kept, redact = walked.kept, walked.kept.tap.redactor.redact_known
    head = [redact(line) for line in walked.headline(report)]
    exchanges = tuple(step.exchange for step in kept.tap.steps)
    out = narration(arguments)
    if arguments.format == "console":
        shown = display(out, arguments, session_word(kept.folder), folder=str(kept.folder))
        told = report.model_copy(update={"notes": tuple(note for note in report.notes if note not in walked.notes)})
        text = console(bounded(told, arguments), exchanges, display=shown, warnings=walked.warned)
        text += "".join(f"{line}\n" for line in (["", *head] if head else []))
    else:
        text = written(report, exchanges, arguments)
        further = [_FURTHER] if report.complete and not arguments.register and plan.client is None else []
        print(*head, *further, f"Session: {kept.folder}", sep="\n", file=sys.stderr)
    (out if arguments.format == "console" else sys.stdout).write(redact(text))
    stopped = walked.end is not None and walked.end.outcome in ("stopped", "unreachable")
    if plan.attack:
        lines = attack.table(walked.attacks) if walked.attacks else [attack.NONE]
        print(*("", *map(redact, lines)), sep="\n", file=out)
    stopped = plan.client is not None and stopped
    accepted = any(one.verdict == "ACCEPTED" for one in walked.attacks)
    code = exit_code(report, arguments.fail_on) or int(accepted or stopped)
    code = 130 if not walked.whole else baseline_code(report, arguments, code, stopped=stopped or not report.works)
    if walked.feed is not None:
        walked.feed.end(report, code)
    return code


def emulation(name: str) -> Emulation:
    """The client of that name, hyphens or not. Raises UsageError."""
    known = {slug.replace("-", ""): one for slug, one in emulations().items()}
    found = known.get(name.replace("-", "").lower())
    if found is None:
        raise UsageError(f"nobody told oauthtap how {name} walks. Try one of: {', '.join(emulations())}")
    return found


def _plan(arguments: Namespace) -> Plan:
    if arguments.client_id and not (arguments.login or arguments.headless):
        raise UsageError("--client-id is for signing in. Try: --login --client-id ID")
    attack.check(arguments)
    client = emulation(arguments.client) if arguments.client else None
    url = parse_mcp_url(arguments.url, "oauthtap probe")
    if client is not None and client.profile.hosted and arguments.login:
        uri = client.behaviour.redirect_uri
        raise UsageError(
            f"{client.profile.name} comes back to {uri}, not to this machine. "
            f"Try: --client {arguments.client} --headless"
        )
    return Plan(
        url=url,
        version=__version__,
        register=arguments.register,
        sign_in="person" if arguments.login else "headless" if arguments.headless else "no",
        callback=f"http://127.0.0.1:{arguments.callback_port or CALLBACK_PORT}/callback",
        client_id=arguments.client_id,
        client=client,
        attack=arguments.attack,
        grant=stored_grant(arguments, url),
    )


@contextlib.contextmanager
def _ended_politely(plan: Plan) -> Iterator[None]:
    """With a grant, SIGTERM ends as Ctrl-C does: behind the answer that holds the next refresh token."""
    if plan.grant is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


@dataclass
class RecordedWalk:
    """One walk, from its first request to its report."""

    plan: Plan
    way: UpstreamOptions
    arguments: Namespace
    fixes: ActiveFixes | None
    whole: bool = True
    """It came to its end by itself."""
    end: WalkEnd | None = None
    attacks: list[AttackOutcome] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    warned: list[str] = field(default_factory=list)
    """What went wrong while it was recorded."""
    progress: Progress = field(default_factory=Progress)
    feed: Feed | None = None
    """Told what happens, in place of one of its own, which writes a state into the session."""

    def report(self) -> Report:
        """Walk, and judge it. Raises SessionError, and what `probe` raises."""
        plan, arguments = self.plan, self.arguments
        folder = Path(arguments.session) if arguments.session else default_folder(plan.url)
        if plan.client:  # so that no report says of the client itself what was only walked
            arguments.client = f"{plan.client.profile.slug}{EMULATED_SUFFIX}"
        tap = SessionAnalyzer(
            plan.url, arguments.revision, arguments.client, profiles(), plan.goal, **redacting(arguments)
        )
        with self.progress as progress:
            if self.way.insecure:
                progress.narrator.warn("--insecure: nobody checks that this is the real server. Tokens may go astray.")
            self.kept = kept = SessionRecorder(tap, folder, plan.url, arguments, progress.narrator.warn)
            named, clean = tap.redactor.strike_url(plan.url), tap.redactor.redact_known
            feed = self.feed or Feed(
                "probe", folder, named, out=event_stream(arguments), clean=clean, reach=reach_of(arguments)
            )
            if self.feed is None:
                feed.ready(None, {})
            self.feed = feed

            def told(step: AnalyzedExchange) -> None:
                kept.add(step)
                feed.step(step)
                progress.step(step)

            try:
                browser = Browser(progress.open, port=getattr(arguments, "callback_port", 0))
                with _ended_politely(plan):
                    asyncio.run(self._walk(told, browser))
            except KeyboardInterrupt:
                self.whole = False
            finally:
                if plan.client and self.end:
                    self.notes.append(in_words.note(plan.client, self.end))
                    tap.walk = walk_report(plan.client, self.end)
                self.notes += attack.notes(self.attacks)
                tap.notes += self.notes
                report = kept.end(time.time())
        self.warned = progress.narrator.warned
        return report

    async def _walk(self, told: Callable[[AnalyzedExchange], None], browser: Browser) -> None:
        walking = probe(self.plan, self.way, browser, self._ended, self._prepared, self.attacks.append)
        async with contextlib.aclosing(walking) as exchanges:
            shown = None
            with contextlib.suppress(StopAsyncIteration):
                while True:
                    exchange = await exchanges.asend(shown)
                    shown = self.kept.record_own_request(exchange, told, self.fixes)

    def _ended(self, end: WalkEnd) -> None:
        self.end = end

    def _prepared(self, request: Request) -> Request:
        """The request as it is sent: as the fixes want it."""
        if self.fixes is None:
            return request
        return self.fixes.request(request, self.kept.tap.clients[0].handshake)[0]

    def headline(self, report: Report) -> list[str]:
        """What the walk means for the client, the verdict first; nothing without a client."""
        client, end = self.plan.client, self.end
        if client is None and end is not None and self.plan.grant is not None and end.outcome != "connected":
            words = f"The grant did not lead to a connection: {end.why}. {end.change}".strip()
            return textwrap.wrap(words, _WIDTH)
        if client is None or end is None:
            return []
        lines = textwrap.wrap(in_words.headline(client, end), _WIDTH)
        for label, words in in_words.details(client, end, report.cause.fix if report.cause else ""):
            lines += textwrap.wrap(f"{label}: {words}", _WIDTH, initial_indent="  ", subsequent_indent="    ")
        if end.outcome == "as-asked":
            lines.append("  Go on: --headless registers and signs in, as far as nobody is asked")
        if end.outcome == "stopped":
            url = escape_controls(self.plan.url)
            lines.append(f"  Try it: oauthtap fix {session_word(self.kept.folder)}")
            lines.append(f"    and: oauthtap drive {client.profile.slug}@emulated --upstream {url} --fix fixes.toml")
        if client.profile.hosted and urls.is_loopback(self.plan.url):
            lines.append(f"  {client.profile.name} cannot reach this machine: as it would fare under a public name.")
        return lines
