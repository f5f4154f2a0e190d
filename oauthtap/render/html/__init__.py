"""The report as one page: no file beside it, nothing from outside, opens from disk.

Everything the upstream said is a text node, made safe in `tags.py`. The page allows only the
style and the script that are in it, by their digests.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from importlib.resources import files

from markupsafe import Markup

from oauthtap.diagnosis.findings import Finding
from oauthtap.model.exchange import Exchange
from oauthtap.render.html.exchange import Part, Row, row
from oauthtap.render.html.sections import below
from oauthtap.render.html.tags import Child, tag, words
from oauthtap.render.labels import (
    STAGE,
    attempts,
    client,
    cured,
    faults,
    no_cause,
    outcome,
    runners_up,
    said,
    whose,
)
from oauthtap.render.sequence import Layout, lay_out
from oauthtap.report.model import SECRETS_KEPT, Report

MILESTONES = {
    "mcp-challenge": "401",
    "prm-discovery": "resource metadata",
    "as-discovery": "server metadata",
    "client-registration": "registration",
    "authorization-request": "authorize",
    "authorization-response": "redirect back",
    "token-request": "token",
}
"""The stages of a sign-in that everybody knows, with short names."""

_MANY = 150
"""From so many exchanges on, rows out of sight are not laid out."""


def html(report: Report, exchanges: Sequence[Exchange] = (), /) -> str:
    """A whole document. `exchanges`: those the report is about, secrets struck out; without them rows say less."""
    drawn = lay_out(report)
    style, script = f"{part_of_page('page.css')}{lanes_style(len(drawn.lanes))}", part_of_page("page.js")
    policy = tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script))
    top = tag("head", policy, *about(title(report)), tag("style", Markup(style)))
    body = tag("body", tag("header", *head(report)), *_main(report, exchanges, drawn), tag("script", Markup(script)))
    return f"<!doctype html>\n{tag('html', top, body, lang='en')}\n"


def about(title: str) -> Iterator[Markup]:
    """What stands in every `head`."""
    yield tag("meta", charset="utf-8")
    yield tag("meta", name="viewport", content="width=device-width, initial-scale=1")
    yield tag("meta", name="referrer", content="no-referrer")
    yield tag("meta", name="color-scheme", content="light dark")
    yield tag("link", rel="icon", href="data:,")
    yield tag("title", title)


def title(report: Report) -> str:
    """The outcome and the server, for the window."""
    return f"{outcome(report)} {report.upstream or ''} · oauthtap"


def part_of_page(name: str) -> str:
    """A style sheet or script that lies beside this module."""
    return files(__name__).joinpath(name).read_text("utf-8")


def _policy(style: str, script: str) -> str:
    def digest(text: str) -> str:
        return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {digest(style)}; script-src {digest(script)}; img-src data:;"
        " base-uri 'none'; form-action 'none'"
    )


def lanes_style(count: int) -> str:
    """The classes that place an arrow between its lanes, from the middle of one to the middle of the other."""
    rules = [f":root {{ --lanes: {count}; }}"]
    for left in range(count):
        for right in range(left, count):
            half = 100 / (right - left + 1) / 2
            rules.append(
                f".l{left}r{right} {{ grid-column: {left + 1} / {right + 2}; margin-inline: {half:.3f}%; }}"
                if right > left
                else f".l{left}r{right} {{ grid-column: {left + 1}; margin-inline: 12%; }}"
            )
    return "\n".join(["", *rules, ""])


# --- the four answers


def head(report: Report) -> Iterator[Child]:
    """Outcome, milestones, cause, whose it is, what to change."""
    yield tag("p", tag("b", "oauthtap"), " handshake report", class_="brand")
    if report.secrets_kept:
        said = f" {SECRETS_KEPT} This page has none of them."
        yield tag("p", tag("b", "Recorded with secrets."), said, class_="loud")
    yield tag("h1", outcome(report), class_="good" if report.works else "bad")
    yield tag("ol", *_milestones(report), class_="milestones", aria_label="How far it got")
    yield tag("dl", *_answers(report), class_="answers")
    yield tag(
        "p", tag("code", report.upstream or "unknown server"), " · ", client(report.client),
        f" · MCP {report.revision or 'unnamed'}", *(f" · {text}" for text in (*faults(report), *report.notes)),
        class_="fine",
    )  # fmt: skip


def _milestones(report: Report) -> Iterator[Markup]:
    seen = {stage for step in report.exchanges for stage in step.stages}
    known = dict(MILESTONES)
    if report.exchanges and not report.works:
        known.setdefault(report.reached, STAGE[report.reached])
    stopped = False
    for stage, name in known.items():
        if stage == report.reached and not report.works:
            stopped = True
            yield _milestone(name, "stopped", "it stopped here")
        elif stage not in seen:
            yield _milestone(name, "missing", "not seen")
        else:
            yield _milestone(name, "tried", "tried all the same") if stopped else _milestone(name, "passed", "done")
    yield _milestone("connected", "passed", "done") if report.connected else _milestone("connected", "missing", "no")


def _milestone(name: str, kind: str, spoken: str) -> Markup:
    sign = {"passed": "✓", "stopped": "✗", "missing": "–", "tried": "·"}[kind]
    return tag(
        "li",
        tag("span", sign, class_="sign", aria_hidden="true"),
        name,
        tag("span", f": {spoken}", class_="spoken"),
        class_=kind,
    )


def _answers(report: Report) -> Iterator[Child]:
    for one in report.sign_ins:
        why = f" Cause: {one.cause.title}." if one.cause else ""
        yield _answer(f"Client {one.letter}", f"{client(one.client)}: {outcome(report.alone(one))}{why}")
    cause = report.cause
    if report.attempts:
        yield _answer("Sign-ins", words(f"{attempts(report)}."))
    for finding in cured(report):
        where = tag("a", f"exchange {finding.exchange}", href=f"#x{finding.exchange}")
        yield _answer("Only with a fix", words(f"{finding.title}. {finding.fix}"), " ", tag("span", where, " · ",
                      tag("code", finding.rule), class_="fine"))  # fmt: skip
    if report.refusal is not None:
        yield _answer("It said", words(said(report.refusal).removeprefix("It said: ")))
    if cause is None:
        helped = ", with these fixes on" if cured(report) else ""
        nothing = f"Nothing stopped it{helped}." if report.works else no_cause(report)
        yield _answer("Cause", nothing)
        return
    place = tag("a", f"exchange {cause.exchange}", href=f"#x{cause.exchange}") if cause.exchange else None
    yield _answer(
        "Cause",
        tag("b", words(f"{cause.title}.")),
        " ",
        words(cause.message),
        " ",
        tag("span", place, " · ", tag("code", cause.rule), class_="fine"),
    )
    if report.causes:
        yield _answer("How sure", report.causes[0].confidence)
    yield _answer("Whose", whose(report, cause.who))
    yield _answer("What to change", words(cause.fix))
    for other in runners_up(report):
        yield _answer("Or", words(other))


def _answer(name: str, *text: Child) -> Markup:
    return tag("div", tag("dt", name), tag("dd", *text))


# --- the sequence


def _main(report: Report, exchanges: Sequence[Exchange], drawn: Layout) -> Iterator[Child]:
    start = began(report)
    drawn_rows = [row(one, drawn, start) for one in rows(report, exchanges)]
    many = " many" if len(drawn_rows) > _MANY else ""
    yield tag(
        "main",
        tag("h2", "What was said"),
        tools(),
        tag("div", tag("div", *lanes(drawn), class_="lanes"), *drawn_rows, class_=f"sequence{many}")
        if drawn_rows
        else tag("p", "No request arrived."),
        *below(report),
    )


def rows(report: Report, exchanges: Sequence[Exchange]) -> list[Row]:
    """A row for each exchange of the report, in its order."""
    seen = {exchange.id: exchange for exchange in exchanges}
    found: dict[int | None, list[Finding]] = {}
    for finding in report.findings:
        found.setdefault(finding.exchange, []).append(finding)
    parts, letters = _parts(report), report.letters
    return [
        Row(step, seen.get(step.id), found.get(step.id, []), parts.get(step.id, ""), letters.get(step.id, ""))
        for step in report.exchanges
    ]


def began(report: Report) -> float | None:
    """When the first request was sent, in seconds since 1970; not always the first answered. The rows count from it."""
    return min((step.at for step in report.exchanges if step.at is not None), default=None)


def tools() -> Markup:
    """The buttons above the sequence; a script shows them."""
    buttons = (("all", "Open all"), ("none", "Close all"), ("found", "Only with findings"))
    return tag(
        "p",
        *(tag("button", text, type="button", data_do=name, hidden=True) for name, text in buttons),
        tag("span", " Arrow keys move, Enter opens. Curves lead from what told the client to go there;"
            " dashed ones are guesses."),
        class_="tools",
    )  # fmt: skip


def lanes(drawn: Layout) -> Iterator[Markup]:
    """The names above the lanes."""
    for lane in drawn.lanes:
        yield tag("span", tag("b", lane.name), tag("small", lane.origin.partition("://")[2]) if lane.origin else None)


def _parts(report: Report) -> dict[int, Part]:
    """The broken step, and everything that was only sent or only failed because of it."""
    if report.cause is None or report.cause.exchange is None:
        return {}
    broken = report.cause.exchange
    parts: dict[int, Part] = {broken: "broken"}
    follows = {finding.exchange for finding in report.findings if finding.consequence_of == report.cause.rule}
    for step in report.exchanges:
        told_by = step.because.exchange if step.because else None
        if step.id > broken and (step.id in follows or told_by in parts):
            parts[step.id] = "after"
    return parts
