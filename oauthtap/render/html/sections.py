"""What stands below the sequence: findings, who else would get through, what was not checked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from markupsafe import Markup

from oauthtap.diagnosis.findings import RANK, Finding
from oauthtap.render import deploy_plan
from oauthtap.render.html.tags import Child, external_link, join, tag, words
from oauthtap.render.labels import MARK, others
from oauthtap.report.model import Report


def below(report: Report) -> Iterator[Child]:
    """Findings, who else would get through, and what was not checked."""
    yield from deploy_plan.html(report.deploy) if report.deploy else ()
    yield from _findings(report)
    for heading, lines in others(report):
        yield tag("h2", heading)
        yield tag("ul", *(tag("li", words(line)) for line in lines))
    if report.not_checked:
        rows = sorted(report.not_checked, key=lambda row: row.because)
        yield tag(
            "details",
            tag("summary", f"{len(rows)} rules had nothing to look at"),
            tag("ul", *(tag("li", f"{why}: ", join(_ids(same))) for why, same in groupby(rows, lambda r: r.because))),
            class_="unchecked",
        )


def _findings(report: Report) -> Iterator[Child]:
    if not report.findings:
        return
    yield tag("h2", "Findings")
    ranked = sorted(report.findings, key=lambda f: (f.consequence_of is not None, RANK[f.severity]))
    alike: dict[tuple[str | None, ...], list[Finding]] = {}
    for finding in ranked:
        # Ports are new with every run of a client.
        said = re.sub(r":\d+", ":", finding.message)
        alike.setdefault((finding.rule, finding.severity, finding.consequence_of, said), []).append(finding)
    yield tag("ul", *map(_told, alike.values()), class_="findings")


def _told(same: list[Finding]) -> Markup:
    """The same finding about one or several exchanges, once."""
    finding = same[0]
    numbers = dict.fromkeys(one.exchange for one in same if one.exchange)
    links = [tag("a", f"{number}", href=f"#x{number}", aria_label=f"exchange {number}") for number in numbers]
    where: list[Child] = [*(["exchanges " if len(links) > 1 else "exchange "] if links else ["over all"])]
    for place, link in enumerate(links):
        where += [", ", link] if place else [link]
    follows = f" · follows from {finding.consequence_of}" if finding.consequence_of else ""
    return tag(
        "li",
        tag("b", f"{MARK[finding.severity]} {finding.severity}"),
        " ",
        words(finding.message),
        " ",
        tag(
            "span",
            *where,
            " · ",
            tag("code", finding.rule),
            " · ",
            external_link(finding.source_url, finding.source),
            follows,
            class_="fine",
        ),
        class_=finding.severity if not finding.consequence_of else f"{finding.severity} after",
    )


def _ids(rows: Iterator[object]) -> Iterator[Child]:
    yield ", ".join(str(getattr(row, "rule", "")) for row in rows)
