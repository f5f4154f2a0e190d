"""`oauthtap summary SESSION…`: one table of several sessions, for the summary of a job or a pull request."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from oauthtap.cli.analyze_file import analyze_recording
from oauthtap.cli.check import exit_code
from oauthtap.cli.options.baseline import baseline_code, read_baseline, with_baseline
from oauthtap.compare.baseline import Baseline, held_against
from oauthtap.render.baseline import went
from oauthtap.render.markdown import baseline_table, code, code_words
from oauthtap.report.model import Report


def summary(arguments: Namespace) -> int:
    """Print a row for each client. Gives the worst of what `check` would give for each session."""
    read_baseline(arguments)
    told, worst = list[Report](), 0
    for path in arguments.sessions:
        tap, report = analyze_recording(path)
        name = Path(path).resolve().name
        held = with_baseline(report, arguments, name)
        worst = max(worst, baseline_code(held, arguments, exit_code(report), stopped=not report.works))
        # Swept once more, as `check` does.
        text = (held if held.baseline else held_against(held, Baseline(), name)).model_dump_json()
        told.append(Report.model_validate_json(tap.redactor.redact_known(text)))
    if arguments.format == "json":
        rows = [_row(report, check.client) for report in told for check in report.baseline]
        print(json.dumps(rows, ensure_ascii=False, indent=1))
    else:
        print("\n".join(_markdown(told, since=bool(arguments.baseline))))
    return worst


def _markdown(reports: list[Report], *, since: bool) -> Iterator[str]:
    servers = dict.fromkeys(report.upstream or "unknown" for report in reports)
    yield f"### MCP sign-ins at {', '.join(map(code, servers))}"
    yield ""
    if since:
        yield from baseline_table([check for report in reports for check in report.baseline])
    else:
        yield "| client | sign-in | cause |"
        yield "|---|---|---|"
        for report in reports:
            for check in report.baseline:
                cause = code(report.cause.rule) if report.cause else "-"
                yield f"| {code(check.client)} | {went(check).partition(' (')[0]} | {cause} |"
    for report in reports:
        new = {one.rule for check in report.baseline for one in check.new if one.kind == "cause"}
        if report.cause is not None and report.cause.rule in new:
            clients = ", ".join(code(check.client) for check in report.baseline)
            yield ""
            yield f"**{clients}: {report.cause.title}.** {code_words(report.cause.message)}"
            yield f"What to change: {code_words(report.cause.fix)}"


def _row(report: Report, client: str) -> dict[str, object]:
    check = next(one for one in report.baseline if one.client == client)
    cause = report.causes[0].model_dump(mode="json") if report.causes else None
    return {**check.model_dump(mode="json"), "ending": report.ending, "reached": report.reached, "cause": cause}
