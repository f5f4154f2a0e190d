"""The verdict: how it ended, the cause and the line that shows it, whose it is, what to change, what to type next."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from textwrap import wrap

from oauthtap import rules
from oauthtap.diagnosis.findings import Finding
from oauthtap.diagnosis.refusal_finding import REFUSED
from oauthtap.model.exchange import Exchange
from oauthtap.model.sanitize import escape_controls
from oauthtap.render.advice import tell_apart, try_it, vendor_lines, whose
from oauthtap.render.consequence import consequence, title
from oauthtap.render.display import LABEL, Display, Section
from oauthtap.render.excerpt import Excerpt, excerpt, underlined
from oauthtap.render.labels import STAGE, attempts, begins, cured, faults, next_step, no_cause
from oauthtap.render.stepper import steps
from oauthtap.report.model import SECRETS_KEPT, RankedCause, Refused, Report
from oauthtap.report.out_of_sight import is_out_of_sight

_LETS_IN = re.compile(r"^rs-accepts-|-accepted$|-not-enforced$|^authz-open-redirect$|^refresh-rotation-missing$")
"""Rules for what a server lets through: no client ever stops at it."""

BRIEF = 15
"""The most lines of `--brief`."""
_FEW = 3
"""Lines of a vendor that are worth more than an excerpt."""
_SIGN = {"passed": ("✓", "good"), "failed": ("✗", "error"), "open": ("─", "note")}
_BEFORE_BROWSER = ("mcp-challenge", "prm-discovery", "as-discovery", "client-registration", "cors-preflight")
_LATE = ("mcp-initialize", "mcp-discover", "mcp-request", "mcp-stream", "mcp-token-rejected", "mcp-step-up")


def verdict(
    report: Report, exchanges: Sequence[Exchange], display: Display, spoken: str = "", letter: str = ""
) -> Iterator[Section]:
    """The sections of the verdict of one client, in order. `letter`: which one, where there are several."""
    ink = display.ink
    if report.secrets_kept:
        yield Section(tuple(ink("error", one) for one in display.field("", f"RECORDED WITH SECRETS: {SECRETS_KEPT}")))
    good = report.works
    sign, style = _SIGN["passed" if good else "failed"]
    which = f"Client {letter}: " if letter else ""
    head = _wrapped(f"{sign} {which}{escape_controls(headline(report))}", display)
    yield Section(tuple(ink(style if good else "bold", one) for one in head))
    if not good and report.exchanges and (report.cause or report.ending != "nothing-arrived"):
        yield Section((_stepper(report, display),), rank=1, apart=2)
    yield from _tried(report, display)
    if report.cause is not None:
        yield from _cause(report, exchanges, display, spoken)
    else:
        if report.refusal is not None:
            yield Section(tuple(_said(report, report.refusal, display)))
        yield from _next(report, display)
    yield Section(tuple(_more(report, display)), rank=1 if display.brief else 0, apart=0)


def in_short(report: Report, display: Display) -> Iterator[str]:
    """How it ended, the cause and what to change: while more may come. Nothing where there is no cause."""
    if report.cause is None:
        return
    sure = report.causes[0].confidence if report.causes else ""
    where = ", ".join(
        word for word in (sure, f"exchange {report.cause.exchange}" if report.cause.exchange else "") if word
    )
    yield from (display.ink("bold", one) for one in _wrapped(f"✗ {escape_controls(headline(report))}", display))
    yield from display.field("Cause", f"{escape_controls(report.cause.title)}.", right=where, style="error")
    yield from display.field("Change", escape_controls(report.cause.fix), most=2)


def _wrapped(text: str, display: Display) -> list[str]:
    return wrap(text, display.width, break_on_hyphens=False, subsequent_indent="  ")


def headline(report: Report) -> str:
    """How it ended, in one sentence that names client and server."""
    name, server = title(report.client), report.upstream or "the MCP server"
    name = f"T{name[1:]}" if name.startswith("the client") else name
    if all(row.actor not in ("client", "browser") for row in report.exchanges):
        return _without_client(report, server)
    if report.connected:
        fixed = ", with fixes of oauthtap applied" if report.attempts and report.attempts[-1].changed else ""
        return f"{name} connected to {server}{fixed}: an MCP request was answered."
    if report.ending == "signed-in":
        return f"{name} signed in to {server}. It has sent no MCP request yet."
    if report.complete:
        return f"No problem at {server} up to {STAGE[report.reached]}, where this probe ends."
    if report.ending == "lost-later":
        return f"{name} was connected to {server}, then lost the connection"
    if report.ending == "waiting" and report.cause is None:
        if report.standstill and report.standstill.stage == "authorization-response":
            return f"{name} stopped at the redirect back from the browser, not connected to {server}"
        if report.reached in _BEFORE_BROWSER:
            return f"{name} got a 401 from {server} and has not started to sign in"
        return f"{name} is waiting for the sign-in in the browser, for {server}"
    if is_out_of_sight(report):
        return f"{name} signed in out of sight, if at all, and is not connected to {server}: a tunnel is missing"
    if report.ending == "abandoned" and report.cause is None:
        if report.reached == "other":
            return "No request of an MCP sign-in was recorded"
        last = next((row.id for row in reversed(report.exchanges) if row.actor in ("client", "browser")), None)
        refused = "after the 401 no request was refused" if report.refusal else "no request was refused"
        return f"{name} stopped after exchange {last} and is not connected to {server}; {refused}"
    did = "connect" if report.reached in _LATE or report.ending == "unreachable" else "sign in"
    again = ", and keeps retrying" if report.ending == "repeating" else ""
    return f"{name} could not {did} to {server}{again}"


def _without_client(report: Report, server: str) -> str:
    if report.complete:
        return f"No problem at {server} up to {STAGE[report.reached]}, where this probe ends."
    if report.connected:
        return f"oauthtap connected to {server}: an MCP request was answered."
    if any(row.excerpt for row in report.exchanges):
        return f"Requests to {server} were sent by hand: the responses are checked, no client was recorded"
    if report.cause is not None:
        return f"A client cannot sign in to {server}"
    return f"Nothing arrived: no client sent a request to {server}"


def _stepper(report: Report, display: Display) -> str:
    found = steps(report)
    for length in range(3):
        blanks = "  " if length < 2 else " "
        if sum(len(step.names[length]) + 2 + len(blanks) for step in found) <= display.width:
            break
    shown = [
        display.ink(style, f"{sign} {step.names[length]}") for step in found for sign, style in [_SIGN[step.state]]
    ]
    return f"  {blanks.join(shown)}"


def _tried(report: Report, display: Display) -> Iterator[Section]:
    """What fixes and injected faults had to do with it."""
    if report.attempts:
        yield Section(tuple(display.field("Tried", escape_controls(attempts(report), limit=900), most=3)))
    for one in cured(report):
        words = f"Only with a fix: {escape_controls(one.title)} (exchange {one.exchange}, {one.rule})"
        yield Section((*display.field("Cause", words), *display.field("Change", escape_controls(one.fix))))
    if report.injected_faults:
        lines = [line for words in faults(report) for line in display.field("Injected", escape_controls(words))]
        yield Section(tuple(lines))


# --- the cause


def _cause(report: Report, exchanges: Sequence[Exchange], display: Display, spoken: str) -> Iterator[Section]:
    assert report.cause is not None
    cause, first = report.cause, report.causes[0] if report.causes else None
    found = finding_of_cause(report)
    shown = line_of_cause(report, found, exchanges, display.width - LABEL - 2)
    sure = first.confidence if first else ""
    style = {"certain": "error", "likely": "warning"}.get(sure, "bold")
    right = f"{sure}, exchange {cause.exchange}" if display.brief and cause.exchange else sure
    yield Section(tuple(display.field("Cause", f"{escape_controls(cause.title)}.", right=right, style=style)), apart=1)
    if shown is not None and found is not None:
        yield Section(tuple(underlined(shown, found, display)), rank=3)
    if words := _message(report, found, shown):
        where = f"exchange {cause.exchange}" if cause.exchange and shown is None else ""
        yield Section(tuple(display.field("", words, right=where, most=3)), rank=0 if shown is None else 4, apart=0)
    if words := consequence(report, spoken):
        yield Section(tuple(display.field("", words, most=3)), rank=5)
    if report.refusal is not None:
        yield Section(tuple(_said(report, report.refusal, display)))
    yield from _others(report, display)
    yield Section(tuple(display.field("Whose", whose(report, cause.responsible, exchanges))), apart=1)
    yield Section(tuple(display.field("Change", escape_controls(cause.fix), most=3)), apart=0)
    lines = tuple(_deployed(report, found, exchanges, display))
    yield Section(lines, rank=2 if len(lines) <= _FEW else 4, apart=0)
    if command := try_it(report, found):
        yield Section(tuple(_command("Try it", command, display)), apart=0)


def finding_of_cause(report: Report) -> Finding | None:
    """The finding that is the cause; None for a refusal that explains itself, and where there is no cause."""
    if report.cause is None:
        return None
    rule, exchange = report.cause.rule, report.cause.exchange
    own = [one for one in report.findings if one.rule == rule]
    return next((one for one in own if one.exchange == exchange), own[0] if own else None)


def line_of_cause(report: Report, found: Finding | None, exchanges: Sequence[Exchange], width: int) -> Excerpt | None:
    """The line of the cause: not where it is the refusal itself, whose words are told anyway."""
    if found is None or (report.cause and report.cause.rule == REFUSED):
        return None
    said = report.refusal
    if said is not None and found.exchange == said.exchange and (found.at == said.at or found.at == "response.body"):
        return None
    return excerpt(found, exchanges, width)


def _message(report: Report, found: Finding | None, shown: Excerpt | None) -> str:
    """What the rule says of the values: not what the lines above it say already."""
    assert report.cause is not None
    words = report.cause.message
    if report.cause.rule == REFUSED and report.refusal is not None:
        said = report.refusal.words or report.refusal.code or ""
        words = words.rpartition(said)[2].lstrip('". ') if said else words
    if shown is not None and found is not None and found.expected:
        missing = shown.start >= shown.end
        if missing or (found.actual and escape_controls(found.actual, limit=400) in shown.line):
            return ""
    words = escape_controls(words, limit=600)
    return f"{words[:1].upper()}{words[1:]}" if words.partition(" ")[0].isalpha() else words


def _said(report: Report, refusal: Refused, display: Display) -> list[str]:
    """The words of the one who said no."""
    code = refusal.code if refusal.code and refusal.code not in refusal.words else ""
    head = " ".join(filter(None, (str(refusal.status or ""), escape_controls(code, limit=80))))
    words = f'"{escape_controls(refusal.words, limit=400)}"' if refusal.words else ""
    text = ": ".join(filter(None, (head, words)))
    where = f"exchange {refusal.exchange}{begins(report)}"
    return display.quote("It said", text, right=where, most=5) if text else []


def _others(report: Report, display: Display) -> Iterator[Section]:
    """The other likely causes, with what tells them apart."""
    for place, one in enumerate(report.causes[1:]):
        words = escape_controls(_runner_up(one, display), limit=600)
        lines = display.field("" if place else "Or", words, right=one.confidence, most=2)
        yield Section(tuple(lines), rank=8 if place else 6, apart=0)
    command = tell_apart(report)
    if command and command != try_it(report, finding_of_cause(report)):
        yield Section(tuple(_command("Find out", command, display)), rank=7, apart=0)


def _runner_up(one: RankedCause, display: Display) -> str:
    where = f" (exchange {one.exchange})" if one.exchange else ""
    return f"{one.title}{where}: {one.message}" if display.verbose else f"{one.title}{where}"


def _deployed(report: Report, found: Finding | None, exchanges: Sequence[Exchange], display: Display) -> Iterator[str]:
    """The lines of the vendor that was recognized."""
    for one in vendor_lines(report, found, exchanges):
        look_up = f" (look up {one.look_up})" if one.look_up else ""
        yield from display.field("", f"In {one.where}{look_up}:", most=2)
        yield from (f"{' ' * (LABEL + 2)}{line}" for line in one.lines)


def _command(label: str, command: str, display: Display, *, aside: str = "") -> list[str]:
    """A command line: never broken, so that it can be copied. `aside`: what it does, below it."""
    shown = display.command(label, display.here.command(command))
    return [shown, *display.field("", f"({aside})")] if aside else [shown]


# --- no cause


def _next(report: Report, display: Display) -> Iterator[Section]:
    """What to look at next where nothing was found wrong, or nothing is."""
    if report.injected_faults and not report.works:
        yield Section(tuple(display.field("Cause", no_cause(report))))
    if report.ending == "signed-in":
        yield Section(tuple(_command("Next", next_step(report), display)))
    if report.complete:
        probe = f"oauthtap probe {shlex.quote(report.upstream or 'URL')}"
        if report.walk is not None:
            command, aside = f"{probe} --client {report.walk.client} --headless", "walks the sign-in as well"
        else:
            register = any(row.stage == "client-registration" for row in report.exchanges)
            command, aside = f"{probe} --login", "signs in with your browser"
            aside = aside if register else f"registers, and {aside}; --register: only that"
        yield Section(tuple(_command("Next", command, display, aside=aside)))
    still, walk = report.standstill, report.walk
    if walk is not None and walk.outcome == "stopped" and walk.why and not report.works:
        # There is no log of a client to look at: the walk itself knows why it stopped.
        why = escape_controls(f"{walk.why[:1].upper()}{walk.why[1:]}.", limit=600)
        lines = display.field("Cause", why, right=walk.confidence, most=3)
        change = display.field("Change", escape_controls(walk.change, limit=600), most=3) if walk.change else []
        yield Section((*lines, *change), apart=1)
    elif still is not None and not report.works and report.exchanges:
        lines = display.field("Stopped", f"at {STAGE[still.stage]}; the next step was to {still.next_step}", most=2)
        lines += display.field("Unseen", still.unknown, most=2)
        yield Section((*lines, *display.field("Look at", still.where_to_look, most=3)))
    elif not report.works and not report.refusal:
        if display.folder:
            words = (
                "configure the client with exactly the URL that oauthtap printed, scheme and path included, and sign in"
            )
            first = "correct what the ! above says; then " if display.warned and not report.exchanges else ""
            yield Section(tuple(display.field("Next", first + words)))
        else:
            watch = f"oauthtap --upstream {shlex.quote(report.upstream or 'URL')}"
            yield Section(tuple(_command("Next", watch, display, aside="records the client")))


def _more(report: Report, display: Display) -> Iterator[str]:
    """Where to read on: the rule, everything, and what to do before it is passed on."""
    if report.works:
        found = dict.fromkeys(f.rule for f in report.findings if f.severity != "note" and not f.fixed_by)
        lets_in = [id for id in found if _LETS_IN.search(id)]
        none = [id for id in found if id not in lets_in and (one := rules.load().get(id)) and one.stops_only_at == ()]
        refused = [id for id in found if id == REFUSED]
        strict = [id for id in found if id not in (*lets_in, *none, *refused)]
        for label, some, says in (
            ("Note", strict, "that a stricter client may stop at"),
            ("Note", refused, "of a refusal that the client got over"),
            ("Note", none, "that stop no client"),
            ("Security", lets_in, "that the server accepts what it has to refuse"),
        ):
            if some:
                many = f"{len(some)} finding{'s' if len(some) > 1 else ''} {says}"
                yield from display.field(label, f"{many}: {', '.join(some)}", most=2)
    explain = f"oauthtap explain {report.cause.rule}" if report.cause is not None else ""
    session = display.session
    again = f"oauthtap check {session} -v" if session and not display.verbose else ""
    shown = [display.here.command(command) for command in (explain, again) if command]
    if LABEL + len(" · ".join(shown)) <= display.width:
        shown = [" · ".join(shown)] if shown else []
    for place, command in enumerate(shown):
        yield from _command("" if place else "More", command, display)
    if display.folder:
        named = display.folder if "/" in display.session else display.session
        verify = display.here.command(f"oauthtap verify {display.session}")
        share = "" if report.secrets_kept else f"(before you share it: {verify})"
        fits = LABEL + len(named) + 1 + len(share) <= display.width
        yield from _command("Session", f"{named} {share}".rstrip() if fits else named, display)
        if share and not fits:
            yield f"{' ' * LABEL}{escape_controls(share)}"
