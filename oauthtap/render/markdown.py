"""The report as a document to paste into an issue: what was tried, what answered, why it stopped."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from oauthtap.diagnosis.findings import Finding
from oauthtap.model.exchange import Exchange
from oauthtap.model.sanitize import escape_controls
from oauthtap.render import deploy_plan
from oauthtap.render.baseline import went
from oauthtap.render.exchange_lines import reason
from oauthtap.render.labels import (
    MARK,
    STAGE,
    attempts,
    client,
    cured,
    faults,
    others,
    outcome,
    parties,
    quoted,
    runners_up,
    said,
    whose,
)
from oauthtap.report.model import SECRETS_KEPT, BaselineCheck, Report


def markdown(report: Report, _: Sequence[Exchange] = (), /) -> str:
    """GitHub-flavoured Markdown. Upstream text stands in code spans, so none of it becomes markup."""
    parts = (_head, _baseline, _cause, _cured, _standstill, _deploy, walk, _patched, findings, _others, _unchecked)
    return "\n".join(line for part in parts for line in part(report)) + "\n"


def _head(report: Report) -> Iterator[str]:
    yield "# OAuth handshake report"
    yield ""
    if report.secrets_kept:
        yield f"> **Recorded with secrets.** {SECRETS_KEPT} This report has none of them."
        yield ""
    yield f"- Server: {code(report.upstream or 'unknown')}"
    yield f"- Client: {code(client(report.client))}"
    yield f"- MCP revision: {report.revision or 'none named'}"
    yield from (f"- {code_words(note)}" for note in (*faults(report), *report.notes))
    yield f"- Outcome: **{outcome(report)}**"
    if report.refusal is not None:
        yield f"- {code_words(said(report.refusal))}"
    if report.attempts:
        yield f"- Sign-ins: {code_words(attempts(report))}"
    for one in report.sign_ins:
        cause = f" Cause: {code(one.cause.rule)}." if one.cause else ""
        yield f"- Client {one.letter}, {code(client(one.client))}: {outcome(report.alone(one))}{cause}"
    yield ""


def _baseline(report: Report) -> Iterator[str]:
    if report.baseline:
        yield "## Since the baseline"
        yield ""
        yield from baseline_table(report.baseline)
        yield ""


def baseline_table(checks: Sequence[BaselineCheck]) -> Iterator[str]:
    """A row for each client: what is new, fixed and unchanged."""
    yield "| client | sign-in | new | fixed | unchanged |"
    yield "|---|---|---|---|---|"
    for check in checks:
        told = (
            "<br>".join(f"{one.kind}: {code(one.rule)}" for one in some) or "-"
            for some in (check.new, check.fixed, check.unchanged)
        )
        yield f"| {code(check.client)} | {went(check)} | {' | '.join(told)} |"


def _cause(report: Report) -> Iterator[str]:
    if report.cause is None:
        return
    cause = report.cause
    yield "## Cause"
    yield ""
    yield f"**{cause.title}** ({code(cause.rule)}{f', exchange {cause.exchange}' if cause.exchange else ''})"
    yield ""
    yield code_words(cause.message)
    yield ""
    if report.causes:
        yield f"- How sure: {report.causes[0].confidence}"
    yield f"- Whose: {whose(report, cause.responsible)}"
    yield f"- What to change: {code_words(cause.fix)}"
    for other in runners_up(report):
        yield f"- Or: {code_words(other)}"
    for finding in report.findings:
        if finding.consequence_of == cause.rule:
            yield f"- Follows from it: {code_words(finding.message)}"
    yield ""


def _cured(report: Report) -> Iterator[str]:
    found = cured(report)
    if not found:
        return
    yield "## Only with a fix"
    yield ""
    for finding in found:
        by = ", ".join(map(code, finding.fixed_by or report.attempts[-1].fixes))
        where = f"({code(finding.rule)}, exchange {finding.exchange})"
        yield f"- **{finding.title}** {where}, away with {by}. {finding.fix}"
    yield ""


def _deploy(report: Report) -> Iterator[str]:
    return deploy_plan.markdown(report.deploy) if report.deploy else iter(())


def _standstill(report: Report) -> Iterator[str]:
    if report.standstill is None:
        return
    still = report.standstill
    yield "## Where it stands still"
    yield ""
    yield f"- At {STAGE[still.stage]}; next the client was to {still.next_step}."
    yield f"- Not observable here: {still.unknown}."
    yield f"- Look at: {still.where_to_look}."
    yield ""


def walk(report: Report) -> Iterator[str]:
    """The lines of the table of exchanges, with its heading."""
    yield "## What was tried, and what answered"
    yield ""
    yield "| # | stage | request | answer | why it was sent |"
    yield "|---|---|---|---|---|"
    letters = report.letters
    for step in report.exchanges:
        number = f"{step.id} {letters.get(step.id, '')}".rstrip()
        answer = step.status if step.status is not None else code_words((step.error or "none")[:60])
        answer = f"{answer} (injected: {code(step.injected_fault)})" if step.injected_fault else answer
        yield f"| {number} | {step.stage} | {code(f'{step.method} {step.url}')} | {answer} | {reason(step.initiator)} |"
    yield ""


def _patched(report: Report) -> Iterator[str]:
    touched = [step for step in report.exchanges if step.patched]
    if not touched:
        return
    yield "## What oauthtap changed"
    yield ""
    yield "| # | by | where | said | seen in its place |"
    yield "|---|---|---|---|---|"
    for step in touched:
        for one in step.patched:
            said, saw = (text.partition(" ")[0] for text in parties(one, step))
            yield (
                f"| {step.id} | {code(', '.join(step.applied_fixes))} | {code(one.at)} "
                f"| {said}: {code(quoted(one.original))} | {saw}: {code(quoted(one.delivered))} |"
            )
    yield ""


def findings(report: Report) -> Iterator[str]:
    """The lines of the list of findings, with its heading; none without findings."""
    if not report.findings:
        return
    yield "## Findings"
    yield ""
    for finding in report.findings:
        yield from _finding(finding)
    yield ""


def _finding(finding: Finding) -> Iterator[str]:
    where = f"exchange {finding.exchange}, " if finding.exchange else ""
    head = f"{MARK[finding.severity]} **{finding.severity}** {code(finding.rule)} ({where}{code(finding.at)})"
    yield f"- {head}: {code_words(finding.message)}"
    if finding.expected is not None:
        yield f"  - expected {code(finding.expected)}, actual {code(finding.actual or 'nothing')}"
    if finding.fixed_by:
        yield f"  - the client did not meet it: a fix was at work ({code(', '.join(finding.fixed_by))})"
    if finding.consequence_of:
        yield f"  - follows from {code(finding.consequence_of)}"
    yield f"  - change: {finding.fix}"
    if finding.patch is not None:
        shown = json.dumps(finding.patch.model_dump(exclude_defaults=True), ensure_ascii=False)
        yield f"  - as a patch of the answer: {code(shown)}"
    yield f"  - [{finding.source}]({finding.source_url}), {finding.level}"


def _others(report: Report) -> Iterator[str]:
    for heading, rows in others(report):
        yield f"## {heading}"
        yield ""
        yield from (f"- {code_words(row)}" for row in rows)
        yield ""


def _unchecked(report: Report) -> Iterator[str]:
    reasons: dict[str, int] = {}
    for row in report.not_checked:
        reasons[row.because] = reasons.get(row.because, 0) + 1
    if reasons:
        yield "## Not checked"
        yield ""
        yield from (f"- {count} rules: {code_words(because)}" for because, count in sorted(reasons.items()))


def code(text: str) -> str:
    """The text as a code span that ends where it should, on one table row."""
    shown = escape_controls(text, limit=300).replace("|", "\\|")
    fence = "`"
    while fence in shown:
        fence += "`"
    pad = " " if shown.startswith("`") or shown.endswith("`") else ""
    return f"{fence}{pad}{shown}{pad}{fence}"


def code_words(message: str) -> str:
    """A message of ours that quotes upstream text: outside its code spans nothing is markup."""
    pieces = escape_controls(message, limit=600).split("`")
    if len(pieces) % 2 == 0:  # a backtick without its partner is a character like any other
        pieces[-2:] = ["\\`".join(pieces[-2:])]
    for number in range(0, len(pieces), 2):
        piece = _LINKED.sub(lambda found: f"`{found[0]}`" if found[1] else _escaped(found[0]), pieces[number])
        # Two backticks in a row would be another fence.
        piece = f" {piece}" if number and piece.startswith("`") else piece
        pieces[number] = f"{piece} " if number < len(pieces) - 1 and piece.endswith("`") else piece
    return "`".join(pieces)


_LINKED = re.compile(
    r"([^\s`]*(?:://|@|www\.|\w#\d)[^\s`]*?)(?=[.,;:!?)]*(?:\s|$))|[^\s`]+?(?=[.,;:!?)]*(?:\s|$))|.", re.I | re.S
)
"""Words that GitHub makes links or mentions of, also without any markup."""


def _escaped(text: str) -> str:
    return re.sub(r"([*_\[\]<>#|~!])", r"\\\1", text)
