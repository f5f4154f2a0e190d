"""What a search came to: as a value, and in words for a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from oauthtap.fixes import toml_io
from oauthtap.fixes.change_log import phrase
from oauthtap.fixes.deploy_plan import Deploy
from oauthtap.fixes.model import Fix
from oauthtap.model.sanitize import escape_controls
from oauthtap.render import deploy_plan
from oauthtap.render.display import Display
from oauthtap.render.labels import STAGE, said
from oauthtap.report.model import RankedCause, Report
from oauthtap.solve.model import ChangeSet, Part, Solution, Try
from oauthtap.solve.search import Search, position

_HEADING = "The smallest change that oauthtap solve found.\nWhat each key means: docs/fixes.md"


def solution(
    search: Search,
    change: ChangeSet | None,
    *,
    simulated: bool = False,
    emulated: bool = False,
    client: str | None,
    upstream: str | None,
    deploy: Deploy | None,
    command: str,
    proof: str | None = None,
) -> Solution:
    """The result of a search that has ended. `command`: what to type to go on, without `--set`; `proof`: what to type
    for a run with a client, where this was none."""
    first = next(iter(search.ran.values()), None)
    before, report = (first[0], first[1].report) if first else (None, None)
    needs = tuple(search.needs.values()) if change is None else ()
    parts = _parts(search, change) if change is not None else ()
    told: dict[str, Any] = {
        "simulated": simulated, "emulated": emulated, "client": client, "upstream": upstream, "before": before,
        "tries": tuple(search.tries),
        "cause": _cause(report, change),
    }  # fmt: skip
    if change is not None and not change.fixes:
        return Solution(outcome="nothing-to-do", after=before, **told)
    if change is not None:
        return Solution(
            outcome="simulated" if simulated else "emulated" if emulated else "proved",
            cause_proved=not simulated
            and not emulated
            and told["cause"] is not None
            and told["cause"].rule in change.rules,
            change=parts,
            after=search.result(change)[0],
            fixes_toml=toml_io.write(change.fixes, _HEADING),
            deploy=deploy,
            next=proof,
            **told,
        )
    if needs:
        flags = " ".join(f"--set {need.name}=…" for need in needs[:1])
        return Solution(outcome="needs-value", needs=needs, remains=_remains(search), next=f"{command} {flags}", **told)
    if search.exhausted:
        more = f"{command} --tries {search.most * 2} --timeout 1200"
        return Solution(outcome="budget", remains=_remains(search), next=more, **told)
    return Solution(outcome="not-curable", remains=_remains(search), next=proof, **told)


def _cause(report: Report | None, change: ChangeSet | None) -> RankedCause | None:
    """What the change is for: one of the ranked causes, else a finding that was not ranked; else the first cause."""
    causes, findings = (report.causes, report.findings) if report else ((), ())
    rules = change.rules if change is not None else ()
    if cured := next((one for one in causes if one.rule in rules), None):
        return cured
    found = next((one for one in findings if one.rule in rules), None)
    if found is None:
        return causes[0] if causes else None
    return RankedCause(
        rule=found.rule, responsible=found.responsible, exchange=found.exchange, title=found.title,
        message=found.message, fix=found.fix, confidence="possible",
    )  # fmt: skip


def _parts(search: Search, change: ChangeSet) -> tuple[Part, ...]:
    alone = len(change.fixes) == 1
    return tuple(
        Part(
            fix=ChangeSet(fixes=(fix,)).names[0],
            says=fix.says or _changed(search, change if alone else None),
            assumes=_assumes(fix),
            needed_by=1 if alone else search.needed_by(change, number),
        )
        for number, fix in enumerate(change.fixes)
    )


def _changed(search: Search, change: ChangeSet | None) -> str:
    """What a change made of the answers, where its rule has no sentence for it; not for one of several."""
    attempts = search.result(change)[1].report.attempts if change is not None else ()
    made = phrase(attempts[-1].changed) if attempts else ""
    return f"{made}." if made else "What the rule proposes for this answer."


def _assumes(fix: Fix) -> str | None:
    return fix.assumes.replace("${value}", fix.value) if fix.assumes else None


def _remains(search: Search) -> str:
    """What has to be changed where it is made, as the try shows that came furthest."""
    best = max(search.ran.values(), key=lambda one: position(one[1].report), default=None)
    if best is None or best[1].report.cause is None:
        return "Nothing that was seen explains it; no change of an answer or a request is known that would help."
    tried, report = best[0], best[1].report
    far = f"With {', '.join(tried.fixes)} the client comes further, and stops again. " if tried.fixes else ""
    assert report.cause is not None
    return f"{far}{report.cause.title}. {report.cause.fix}"


# --- a terminal


def console(found: Solution, display: Display) -> str:
    """All of it: verdict and change last, as everywhere; upstream text in it is escaped."""
    rows: list[str] = [""]
    if found.deploy and not display.brief:
        rows += [*deploy_plan.console(found.deploy), ""]
    good = found.outcome in ("proved", "nothing-to-do", "simulated", "emulated")
    sign = "✓" if good and not found.simulated and not found.emulated else "~" if good else "✗"
    rows += [display.ink("good" if good else "bold", f"{sign} {escape_controls(headline(found), limit=400)}"), ""]
    for label, text in _fields(found):
        rows += display.field(label, escape_controls(text, limit=900), most=0 if label != "Tried" else 2)
    if found.next:
        rows.append(display.command("Next", found.next))
    return "\n".join(rows) + "\n"


def headline(found: Solution) -> str:
    """The result in one sentence."""
    client, server = found.client or "The client", found.upstream or "the MCP server"
    if found.simulated and found.outcome == "not-curable":
        return f"Simulated: no change of a recorded answer is known that would help {client} at {server}"
    if found.emulated and found.outcome == "nothing-to-do":
        return f"Nothing to do, emulated: {client}, as far as it is known, would connect to {server} as it is"
    count = f"{len(found.change)} change{'s' if len(found.change) != 1 else ''}"
    return {
        "proved": f"Proved: {client} connects to {server} with {count}, and does not without",
        "emulated": f"Emulated, not proved: {client}, as far as it is known, would connect to {server} with {count}",
        "simulated": f"Simulated, not proved: with {count} nothing recorded stops {client} at {server} any more",
        "nothing-to-do": f"Nothing to do: {client} connects to {server} as it is",
        "not-curable": f"No change of answers or requests makes {client} connect to {server}",
        "needs-value": f"{client} does not connect to {server}; the change needs a value that only you know",
        "budget": f"{client} does not connect to {server} so far; the budget is over (--tries, --timeout)",
    }[found.outcome]


def _fields(found: Solution) -> Iterator[tuple[str, str]]:
    if found.cause and found.outcome != "nothing-to-do":
        sure = "proved" if found.cause_proved else found.cause.confidence
        yield "Cause", f"{found.cause.title} ({found.cause.rule}; {sure})"
    if found.before and found.outcome != "nothing-to-do":
        yield "Before", went(found.before)
        if found.before.refusal:
            yield "It said", said(found.before.refusal).removeprefix("It said: ")
    if found.after and found.outcome != "nothing-to-do":
        after = went(found.after, simulated=found.simulated)
        yield "After", f"{after} (emulated)" if found.emulated else after
    for part in found.change:
        proof = (
            f" Needed: without it, try {part.needed_by} did not connect."
            if part.needed_by
            else " Whether it is needed was not tried: the budget was over."
        )
        yield "Change", f"{part.fix}: {part.says}{f' It assumes that {part.assumes}.' if part.assumes else ''}{proof}"
    for one in found.unhelpful:
        yield "Tried", f"{', '.join(one.fixes)}: {went(one)}"
    for need in found.needs:
        yield "Needed", f"{need.question} {need.hint} --set {need.name}=…".replace("  ", " ")
        if need.candidates:
            yield "", f"not it, as no metadata states them: {', '.join(need.candidates)}"
    if found.remains:
        yield "Remains", found.remains
    if found.outcome in ("proved", "emulated"):
        yield "Keep it", "deploy the lines above; until then --fix solved.toml, a file in the session"


def went(one: Try, *, simulated: bool = False) -> str:
    """How a try went, in few words."""
    if one.connected:
        return "nothing recorded is in the way; what follows was never requested" if simulated else "connected"
    left = f": {one.title}" if one.title else ""
    return f"stopped at {STAGE.get(one.reached, one.reached)} ({one.ending}){left}"


def progress(number: int, most: int, change: ChangeSet, why: str, done: Try | None) -> str:
    """The line of a try, before and after it."""
    what = ", ".join(change.names) or "no change"
    head = f"try {number} of at most {most}: {what} ({why})"
    return head if done is None else f"{head}: {'connected' if done.connected else went(done)}"
