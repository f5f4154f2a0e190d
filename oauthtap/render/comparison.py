"""Two recordings side by side, for a terminal, a script, an issue or a browser."""

from __future__ import annotations

import html
from collections.abc import Callable, Iterator

from oauthtap.compare.diff import Comparison, Difference, Performed, Row, Side
from oauthtap.model.sanitize import escape_controls
from oauthtap.render.exchange_lines import reason
from oauthtap.render.labels import STAGE
from oauthtap.render.markdown import code, code_words

_LONGEST = 300


def console(comparison: Comparison) -> str:
    """The sentence, who is who, and a line for every kind of request, with what differs below it."""
    lines = [escape_controls(comparison.sentence, limit=1000)]
    lines += [f"  {escape_controls(comparison.detail, limit=1000)}"] if comparison.detail else []
    lines += ["", *(f"{side.name}: {_who(side)}" for side in (comparison.a, comparison.b)), ""]
    lines += [f"     {'A':<12} {'B':<12} {'stage':<24} request"]
    for row in comparison.rows:
        mark = "→" if row.matters else " "
        did = f"{_did(row.a, row.stage):<12} {_did(row.b, row.stage):<12}"
        lines.append(f"  {mark}  {did} {row.stage:<24} {escape_controls(row.request, limit=120)}")
        lines += [f"{' ' * 31}{one}" for one in _below(row)]
    return "\n".join(lines) + "\n"


def json(comparison: Comparison) -> str:
    """One JSON object, indented, with a line end."""
    return comparison.model_dump_json(indent=1) + "\n"


def markdown(comparison: Comparison) -> str:
    """GitHub-flavoured Markdown. What was recorded stands in code spans, so none of it becomes markup."""
    lines = ["# Two sign-ins compared", "", f"**{code_words(comparison.sentence)}**", ""]
    lines += [code_words(comparison.detail), ""] if comparison.detail else []
    lines += [f"- {side.name}: {code(_who(side))}" for side in (comparison.a, comparison.b)]
    lines += ["", "| | stage | request | A | B |", "|---|---|---|---|---|"]
    for row in comparison.rows:
        mark = "→" if row.matters else ""
        did = f"{_did(row.a, row.stage)} | {_did(row.b, row.stage)}"
        lines.append(f"| {mark} | {row.stage} | {code(row.request)} | {did} |")
    differing = [row for row in comparison.rows if row.differences]
    lines += ["", "## What differs", ""] if differing else []
    for row in differing:
        lines.append(f"- {row.stage}, {code(row.request)}")
        lines += [f"  - {code(d.at)}: A {code(d.a)}, B {code(d.b)}" for d in row.differences]
    return "\n".join(lines) + "\n"


def _who(side: Side) -> str:
    end = (
        "connected"
        if side.connected
        else "signed in"
        if side.ending == "signed-in"
        else f"no problem up to {side.reached}, where this probe ends"
        if side.complete
        else f"stopped at {side.reached}{f', {side.cause}' if side.cause else ''}"
    )
    return escape_controls(
        f"{side.client} at {side.upstream or 'an unknown server'}: {end}, {side.exchanges} exchanges"
    )


def _did(did: Performed | None, stage: str) -> str:
    """`401, 200`, or a dash for what was not done."""
    if did is None:
        return "–"
    # The tap sends a browser on to the real page, and its answer is not ours to see.
    none = "sent on" if stage.startswith("authorization-") else "no answer"
    return ", ".join(none if status is None else str(status) for status in did.statuses)


def _below(row: Row) -> Iterator[str]:
    for difference in row.differences:
        shown = f"{difference.at}: A {difference.a}, B {difference.b}"
        yield escape_controls(shown, limit=_LONGEST)
    if row.a and row.b and reason(row.a.initiator) != reason(row.b.initiator):
        a, b = _why(row.a), _why(row.b)
        if a != b:
            yield escape_controls(f"why: A {a}, B {b}", limit=_LONGEST)


def _why(did: Performed) -> str:
    """Why it was asked for, without the number of an exchange."""
    if did.initiator is None:
        return "by itself"
    return "at a guess" if did.initiator.guess else f"told by {did.initiator.at}"


# --- the page

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --mark: #c6282822; --dim: #5f5f5f; }
@media (prefers-color-scheme: dark) { :root { --mark: #ef535033; --dim: #aaa; } }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 75rem; padding: 0 1rem; }
h1 { font-size: 1.3rem; margin: 0 0 .4rem; } p { margin: .3rem 0; } .dim { color: var(--dim); }
table { border-collapse: collapse; width: 100%; margin-top: 1.2rem; table-layout: fixed; }
th, td { text-align: left; vertical-align: top; padding: .4rem .6rem; border-bottom: 1px solid var(--line); }
th:first-child { width: 34%; } td { overflow-wrap: anywhere; } code { font-size: .9em; }
tr.matters { background: var(--mark); } dl { margin: .3rem 0 0; } dt { color: var(--dim); font-size: .85em; }
dd { margin: 0 0 .2rem; } @media print { body { max-width: none; } }
"""


def page(comparison: Comparison) -> str:
    """One static HTML file: no script, nothing from outside, whatever was recorded escaped."""
    sides = (comparison.a, comparison.b)
    head = "".join(f'<p class="dim">{side.name}: {_text(_who(side))}</p>' for side in sides)
    rows = "\n".join(map(_table_row, comparison.rows))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Two sign-ins compared</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>{_text(comparison.sentence)}</h1>
<p>{_text(comparison.detail)}</p>
{head}
<table>
<thead><tr><th scope="col">Request</th><th scope="col">A: {_text(comparison.a.client)}</th>\
<th scope="col">B: {_text(comparison.b.client)}</th></tr></thead>
<tbody>
{rows}
</tbody>
</table>
</main>
</body>
</html>
"""


def _table_row(row: Row) -> str:
    what = f"{_text(STAGE.get(row.stage, row.stage))}<br><code>{_text(row.request)}</code>"
    mark = ' class="matters"' if row.matters else ""
    return f"<tr{mark}><td>{what}</td>{_cell(row.a, row, 'a')}{_cell(row.b, row, 'b')}</tr>"


def _cell(did: Performed | None, row: Row, side: str) -> str:
    if did is None:
        return '<td class="dim">not done</td>'
    members = "".join(f"<dt>{_text(d.at)}</dt><dd><code>{_text(_of(d, side))}</code></dd>" for d in row.differences)
    told = f'<span class="dim">{_text(_why(did))}</span>'
    return f"<td><strong>{_text(_did(did, row.stage))}</strong> {told}{f'<dl>{members}</dl>' if members else ''}</td>"


def _of(difference: Difference, side: str) -> str:
    return difference.a if side == "a" else difference.b


def _text(words: str) -> str:
    return html.escape(escape_controls(words, limit=2000))


FORMATS: dict[str, Callable[[Comparison], str]] = {
    "console": console,
    "json": json,
    "markdown": markdown,
    "html": page,
}
"""Format name to renderer."""
