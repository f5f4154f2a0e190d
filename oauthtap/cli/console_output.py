"""What the tap says while it runs: the banner, a line an exchange, what to check when nothing comes, the summary."""

from __future__ import annotations

import contextlib
import shlex
import sys
from argparse import Namespace
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO
from urllib.parse import urlsplit

from oauthtap.cli.options.summary import display, ink, session_word
from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.findings import Finding
from oauthtap.model.exchange import Exchange, Request
from oauthtap.model.sanitize import escape_controls
from oauthtap.render.console import console
from oauthtap.render.exchange_lines import findings_below, line, patched_below
from oauthtap.report.build import exchange_row
from oauthtap.report.model import Report
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

    def __post_init__(self) -> None:
        self.ink = ink(self.out)
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
            f"  stands in for {escape_controls(upstream)}",
            "",
            "  Claude Code:",
            f"    claude mcp add --transport {transport} {name} {shlex.quote(local)}",
            f"    claude mcp login {name}",
            "    claude mcp list",
            f"    claude mcp remove {name}        (when you are done)",
            "  Any other client: give it the localhost URL, path and all.",
            "",
            *addresses(web),
            f"  Session:  {folder}",
            *(["  Keys:     f lists what would repair it, a number switches that on or off."] if self.keys else []),
            "  Ctrl-C ends it and says what was wrong.",
            "",
        ]
        self._first(*rows)

    def ready_in_public(self, url: str, upstream: str, arguments: Namespace, web: str | None, folder: Path) -> None:
        """The banner behind a tunnel of the person's own."""
        self._first(
            "",
            f"  {self.ink('bold', url)}",
            f"  stands in for {escape_controls(upstream)}",
            "",
            f"  Lead your tunnel to {local_origin(arguments.port)}, then give the hosted client this URL:",
            "    Claude.ai: Settings, Connectors, Add custom connector",
            "    ChatGPT: Settings, Apps & Connectors, Create (in developer mode)",
            "",
            *addresses(web),
            f"  Session:  {folder}",
            "  Ctrl-C ends it and says what was wrong.",
            "",
        )
        self.warn(FIREWALL)

    def steps(self, steps: Iterable[AnalyzedExchange]) -> None:
        """Exchanges as they happened, each with its findings below it, and what a patch made of the answer."""
        if not self.brief:
            self.say(*(line for step in steps for line in self._step(step)))

    def _step(self, step: AnalyzedExchange) -> Iterator[str]:
        if step.client and not self._lettered:
            self._lettered = True
            yield self._warning("Several clients are here at once: from here on a letter says whose a line is.")
        told = exchange_row(step.stages)
        self._lines = True
        yield line(told, self.ink, step.client)
        news = [finding for finding in step.findings if self._is_new(finding, step.exchange.request)]
        yield from findings_below(news, self.ink, step.exchange.id)
        yield from patched_below(told, self.ink)
        yield from injected_below(step)

    def _is_new(self, finding: Finding, request: Request) -> bool:
        """The same defect of the same document was not said before."""
        defect = finding.rule, finding.at, request.bare_url, finding.actual
        known = defect in self._printed
        self._printed.add(defect)
        return not known

    def findings(self, findings: Iterable[Finding]) -> None:
        """What only shows over time: it came to nothing."""
        if not self.brief:
            self.say(*findings_below(tuple(findings), self.ink))

    def listener(self, local: str, upstream: str) -> None:
        if not self.brief:
            self.say(f"      {self.ink('note', f'{escape_controls(upstream)} is now at {local}')}")

    def no_traffic_hint(self, local: str, upstream: str) -> None:
        """Nothing came: in one of the field reports the client had been given a URL without its scheme."""
        name = server_name(upstream)
        self.say(
            "",
            f"  No request after {SILENCE:.0f} seconds. Has the client been given exactly this URL?",
            f"    {local}",
            "  - with http:// in front: clients take a URL without scheme and never send a packet",
            f"  - with the path {urlsplit(local).path or '/'}",
            "  - with the right transport: sse for a URL that ends in /sse, http for all others",
            f"  - and has it been asked to sign in? claude mcp login {name}",
            "  - a client whose URL cannot be changed never comes here: oauthtap run -- COMMAND",
            "",
        )

    def no_tunnel_traffic_hint(self, url: str, found: TunnelCheck, port: int) -> None:
        """Nothing came by the tunnel but what we sent ourselves, or not even that."""
        lines = ["", f"  No request after {SILENCE:.0f} seconds. {found.words}", *_curl(url)]
        if found.kind == "arrived":
            lines += [
                "  A client sends that first. If it arrives here and the hosted client does not, that client has not",
                "  come to this name:",
                f"  - it was given another URL, or nobody has pressed Connect yet: give it exactly {url}",
                "  - its data centre does not find the name: Claude.ai needs IPv4, and a new name takes a minute",
                "  - the tunnel lets browsers and curl pass, and not a data centre: its access rules, its warning page",
                "  - it remembers an earlier answer: Claude.ai keeps discovery for some five minutes; take a new name",
            ]
        else:
            lines += [
                "  Until that arrives here, no hosted client does. Lead the tunnel to this tap:",
                f"    cloudflared tunnel --url {local_origin(port)}",
                "  and start oauthtap with the name that it prints: --public-url https://NAME",
            ]
        self.say(*lines, "")

    def print_indented(self, lines: Sequence[str]) -> None:
        """What was asked for by a key."""
        self.say(*(f"  {text}" if text else "" for text in lines))

    def try_it(self, folder: Path, flag: str) -> None:
        """It stopped, and there may be something that would repair it: with this flag, where one is known."""
        command = f"in another terminal: oauthtap fix --apply {session_word(folder)} {flag}".rstrip()
        self.say(f"  Try a fix now: {'press f, or ' if self.keys else ''}{command}")

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
    exchange, shown = step.exchange, step.exchange.shown
    if exchange.injected is None:
        return
    words = f"        injected by oauthtap, as asked: {escape_controls(exchange.injected)}"
    if shown is None or exchange.response is not None:
        yield words
        return
    asked = "" if step.stage == "authorization-response" else " the server was not asked,"
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
