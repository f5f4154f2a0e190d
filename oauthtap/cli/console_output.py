"""What the tap says while it runs: the banner, a line an exchange, what to check when nothing comes, the summary."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from urllib.parse import urlsplit

from oauthtap.cli.options.summary import display, ink, session_word
from oauthtap.cli.repeats import Repeats
from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.findings import Finding
from oauthtap.model.exchange import Exchange, Request
from oauthtap.model.sanitize import escape_controls
from oauthtap.render.commands import BY_NAME, Invocation
from oauthtap.render.console import console
from oauthtap.render.exchange_lines import findings_below, line, patched_below, short_line
from oauthtap.render.labels import next_step
from oauthtap.render.verdict import headline, in_short
from oauthtap.report.build import exchange_row
from oauthtap.report.model import ExchangeRow, Report
from oauthtap.rewriting.origins import local_origin
from oauthtap.rewriting.public_url import FIREWALL

if TYPE_CHECKING:
    from oauthtap.upstream.tunnel import TunnelCheck  # it imports the HTTP client, which takes long

SILENCE = 20.0
"""Seconds without a request after which we say what to check."""


@dataclass
class ConsoleReporter:
    """Writes to the terminal. Holds no state of the handshake."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    keys: bool = False
    """Keys pressed in this terminal come to us."""
    brief: bool = False
    """No line an exchange: only what comes before and after."""
    upstream: str = ""
    """Of URLs there the path is enough."""
    here: Invocation = BY_NAME
    """How oauthtap was started, for the commands that are printed."""

    def __post_init__(self) -> None:
        self.ink = ink(self.out)
        self._repeats = Repeats()
        self.warned: list[str] = []
        """What went wrong so far: the summary says it once more."""
        self._printed: set[tuple[str, str, str, str | None]] = set()
        """The defects that were said: rule, place, URL, value."""
        self._lines = False
        self._lettered = False
        self._held: list[str] | None = None

    def hold(self) -> None:
        """From now on the banner comes first: what is said before it waits for it, or for the end."""
        self._held = []

    def say(self, *lines: str) -> None:
        if self._held is not None:
            self._held += lines
            return
        lines = (*self._repeats.release(self.ink), *lines)
        # The terminal may be closed by now, and the session goes on, or has to be written to its end.
        with contextlib.suppress(OSError):
            self.out.write("\n".join(lines) + "\n")
            self.out.flush()

    def _first(self, *lines: str) -> None:
        held, self._held = self._held or [], None
        if lines or held:
            self.say(*lines, *held)

    def ready(self, local: str, upstream: str, web: str | None, folder: Path) -> None:
        """The banner: what to paste, where to look."""
        name = server_name(upstream)
        transport = "sse" if urlsplit(upstream).path.rstrip("/").endswith("/sse") else "http"
        rows = [
            "",
            f"  {self.ink('bold', local)}",
            f"  forwards to {escape_controls(upstream)}",
            "",
            "  Claude Code:",
            f"    claude mcp add --transport {transport} {name} {shlex.quote(local)}",
            f"    claude mcp login {name}",
            "    claude mcp list",
            f"    claude mcp remove {name}        (when you are done)",
            "  Other clients: configure this URL, with its path, in place of the server's.",
            "",
            *addresses(web),
            f"  Session:  {folder}",
            *(["  Keys:     f lists fixes, a number turns one on or off."] if self.keys else []),
            "  Ctrl-C ends it and prints the result.",
            "",
        ]
        self._first(*rows)

    def ready_in_public(self, url: str, upstream: str, arguments: Namespace, web: str | None, folder: Path) -> None:
        """The banner behind a tunnel of the person's own."""
        self._first(
            "",
            f"  {self.ink('bold', url)}",
            f"  forwards to {escape_controls(upstream)}",
            "",
            f"  Point your tunnel at {local_origin(arguments.port)}, then give the hosted client this URL:",
            "    Claude.ai: Settings, Connectors, Add custom connector",
            "    ChatGPT: Settings, Apps & Connectors, Create (in developer mode)",
            "",
            *addresses(web),
            f"  Session:  {folder}",
            "  Ctrl-C ends it and prints the result.",
            "",
        )
        self.warn(FIREWALL)

    def steps(self, steps: Iterable[AnalyzedExchange]) -> None:
        """Exchanges as they happened, each with its findings below it, and what a patch made of the answer."""
        for step in () if self.brief else steps:
            if lines := list(self._step(step)):
                self.say(*lines)

    def tell_repeats(self) -> None:
        """Say what was held back, when nothing new has come for a while."""
        if self._repeats.due:
            self.say()

    def _step(self, step: AnalyzedExchange) -> Iterator[str]:
        """The lines of an exchange; none where the same was told before."""
        if step.client and not self._lettered:
            self._lettered = True
            yield self._warning(
                "Several clients are connected: from here on, a letter behind the number names the client."
            )
        told = exchange_row(step.stages)
        self._lines = True
        news = [finding for finding in step.findings if self._is_new(finding, step.exchange.request)]
        below = list(findings_below(news, self.ink, step.exchange.id, self._width()))
        if self._repeats.holds(told, step.client, news=bool(below)):
            return
        yield self._line(told, step.client)
        yield from below
        yield from patched_below(told, self.ink)
        yield from injected_below(step)

    def _line(self, row: ExchangeRow, letter: str) -> str:
        """The line of an exchange: on a terminal one line, elsewhere all of it."""
        width = self._width()
        return short_line(row, letter, self.ink, width, self.upstream) if width else line(row, self.ink, letter)

    def _width(self) -> int:
        """Of the terminal; 0 where it is none."""
        return shutil.get_terminal_size().columns if self.out.isatty() else 0

    def _is_new(self, finding: Finding, request: Request) -> bool:
        """The same defect of the same document was not said before."""
        defect = finding.rule, finding.at, request.bare_url, finding.actual
        known = defect in self._printed
        self._printed.add(defect)
        return not known

    def findings(self, findings: Iterable[Finding]) -> None:
        """What only shows over time: it came to nothing."""
        if not self.brief:
            self.say(*findings_below(tuple(findings), self.ink, width=self._width()))

    def listener(self, local: str, upstream: str) -> None:
        if not self.brief:
            self.say(f"      {self.ink('note', f'{escape_controls(upstream)} is now at {local}')}")

    def no_traffic_hint(self, local: str, upstream: str) -> None:
        """Nothing came: in one of the field reports the client had been given a URL without its scheme."""
        name, run = server_name(upstream), self.here.command("oauthtap run --")
        self.say(
            "",
            f"  No request after {SILENCE:.0f} seconds. Check that the client has exactly this URL:",
            f"    {local}",
            "  - with http:// in front: clients accept a URL without a scheme, and then send nothing",
            f"  - with the path {urlsplit(local).path or '/'}",
            "  - with the right transport: sse for a URL that ends in /sse, http for all others",
            f"  - and that sign-in was started: claude mcp login {name}",
            f"  - a client whose URL cannot be changed sends nothing here: {run} COMMAND",
            "",
        )

    def no_tunnel_traffic_hint(self, url: str, found: TunnelCheck, port: int) -> None:
        """Nothing came by the tunnel but what we sent ourselves, or not even that."""
        lines = ["", f"  No request after {SILENCE:.0f} seconds. {found.words}", *_curl(url)]
        if found.kind == "arrived":
            lines += [
                "  A client sends the same request first. If this one arrives and the hosted client's does not:",
                f"  - the client has another URL, or Connect was not pressed: give it exactly {url}",
                "  - its data centre cannot resolve the name: Claude.ai needs IPv4; DNS of a new name takes a minute",
                "  - the tunnel refuses data centres, not browsers and curl: check its access rules, its warning page",
                "  - the client cached a response: Claude.ai caches discovery for five minutes; use a new name",
            ]
        else:
            lines += [
                "  Until this request arrives, no hosted client can connect. Point the tunnel at oauthtap:",
                f"    cloudflared tunnel --url {local_origin(port)}",
                "  and restart oauthtap with the name that it prints: --public-url https://NAME",
            ]
        self.say(*lines, "")

    def print_indented(self, lines: Sequence[str]) -> None:
        """What was asked for by a key."""
        self.say(*(f"  {text}" if text else "" for text in lines))

    def ended_well(self, report: Report) -> None:
        """An MCP request was answered, or a login that only signs in is done; the tap goes on."""
        self.say(f"  {self.ink('good', f'✓ {escape_controls(headline(report))}')}")
        if report.ending == "signed-in":
            self.say(f"    Next     {next_step(report)}")

    def stopped(self, report: Report, arguments: Namespace) -> None:
        """How the attempt ended, its cause, and what to change, once it has; the tap goes on, and so may the client."""
        shown = display(self.out, arguments)
        self.say(*(f"  {line}" for line in in_short(report, shown)))

    def try_it(self, folder: Path, flag: str) -> None:
        """It stopped, and there may be something that would repair it: with this flag, where one is known."""
        command = self.here.command(f"oauthtap fix --apply {session_word(folder)} {flag}".rstrip())
        self.say(f"  Try a fix now: {'press f, or ' if self.keys else ''}in another terminal: {command}")

    def fix_result(self, sentence: str) -> None:
        """What came of the sign-in without and with fixes."""
        self.say(f"  {self.ink('bold', escape_controls(sentence, limit=900))}")

    def warn(self, words: str) -> None:
        self.warned.append(words)
        self.say(self._warning(words))

    def _warning(self, words: str) -> str:
        return f"  {self.ink('warning', '!')} {words}"

    def end(
        self, report: Report, folder: Path, exchanges: Sequence[Exchange], arguments: Namespace, spoken: str = ""
    ) -> None:
        """The summary, and where the session lies. `spoken`: what the client printed."""
        self._first()
        shown = display(self.out, arguments, session_word(folder), folder=str(folder), live=self._lines)
        text = console(report, exchanges, display=shown, spoken=spoken, warnings=self.warned)
        self.say("", text.rstrip("\n"))


def injected_below(step: AnalyzedExchange) -> Iterator[str]:
    """The line that names an injected fault, with what the client saw where the upstream was not asked."""
    exchange, shown = step.exchange, step.exchange.delivered_response
    if exchange.injected_fault is None:
        return
    words = f"        injected by oauthtap (--inject): {escape_controls(exchange.injected_fault)}"
    if shown is None or exchange.response is not None:
        yield words
        return
    asked = "" if step.stage == "authorization-response" else " not sent to the server;"
    yield f"{words};{asked} the client saw {escape_controls(shown.header('location') or str(shown.status), limit=110)}"


def addresses(web: str | None) -> list[str]:
    """Where to look, given mitmweb's address with its token: the report as it grows, and every request."""
    return [f"  Watch:    {web.replace('/?', '/oauthtap/?', 1)}", f"  mitmweb:  {web}"] if web else []


def _curl(url: str) -> list[str]:
    """The first request of a client, to be pasted into a shell: from elsewhere it tells more than from here."""
    message = '{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}'
    return [
        "",
        f"    curl -i {shlex.quote(url)} -H 'Content-Type: application/json' \\",
        f"      -H 'Accept: application/json, text/event-stream' -d {shlex.quote(message)}",
        "",
    ]


def server_name(upstream: str) -> str:
    """A short name for the server, for the lines to paste: the telling label of its host."""
    labels = [label for label in (urlsplit(upstream).hostname or "server").split(".") if label.isascii()]
    telling = [label for label in labels[:-1] if label not in ("www", "mcp", "api")]
    word = (telling or labels or ["server"])[0]
    return "".join(c for c in word if c.isalnum() or c in "-_") or "server"
