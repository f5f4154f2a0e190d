"""The report as JUnit XML: a suite per stage, a case per rule that had something to look at.

Held against a lock, the cases are the answers that the lock holds: what was not requested this time is skipped.

An error fails its case; warnings and notes leave it passed and stand in its output. A rule that
was not applicable is not a case: a skipped test would read as somebody's decision.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from xml.etree import ElementTree

from oauthtap import rules
from oauthtap.diagnosis.findings import Finding
from oauthtap.model.exchange import Exchange
from oauthtap.model.sanitize import escape_controls
from oauthtap.render.labels import MARK, STAGE, WHO, outcome, said
from oauthtap.report.model import LockCheck, Report

_NOT_XML = re.compile("[\ufffe\uffff\U0001fffe\U0001ffff]")
"""Characters that no XML 1.0 document may hold and that `plain` leaves alone."""

_OWN = "own"


def junit(report: Report, _: Sequence[Exchange] = (), /) -> str:
    """One `testsuites` element, with an XML declaration."""
    found: dict[str, list[Finding]] = {}
    for finding in report.findings:
        found.setdefault(finding.rule, []).append(finding)
    root = ElementTree.Element("testsuites", name="oauthtap")
    if report.promises:
        for stage, promises in groupby(report.promises, key=lambda promise: promise.stage):
            root.append(_suite(report, stage, [_kept(promise, report) for promise in promises]))
    else:
        for group, ids in _ran(report, found):
            root.append(_suite(report, group, [_case(group, id, found.get(id, [])) for id in ids]))
    for count in ("tests", "failures", "errors"):
        root.set(count, str(sum(int(suite.get(count, "0")) for suite in root)))
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'


def _ran(report: Report, found: dict[str, list[Finding]]) -> Iterator[tuple[str, list[str]]]:
    """Group and ids of the rules that looked at something, in the order of the walk."""
    order = [*STAGE, _OWN]
    unchecked = {row.rule for row in report.not_checked}
    groups = {rule.id: rule.group for rule in rules.load().values()}
    ran = sorted((groups.keys() - unchecked) | found.keys(), key=lambda id: (order.index(groups.get(id, "any")), id))
    for group, ids in groupby(ran, key=lambda id: groups.get(id, "any")):
        yield group, list(ids)


def _suite(report: Report, group: str, cases: list[ElementTree.Element]) -> ElementTree.Element:
    suite = ElementTree.Element("testsuite", name=group)
    properties = ElementTree.SubElement(suite, "properties")
    told = said(report.refusal) if report.refusal else ""
    for name, value in (
        ("upstream", report.upstream or ""),
        ("outcome", outcome(report)),
        ("ending", report.ending),
        *((("refusal", told),) if told else ()),
    ):
        ElementTree.SubElement(properties, "property", name=name, value=_text(value))
    suite.extend(cases)
    suite.set("tests", str(len(cases)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", "0")
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    return suite


def _kept(promise: LockCheck, report: Report) -> ElementTree.Element:
    """An answer that a lock holds."""
    told = [finding for finding in report.findings if f"({promise.pointer}/" in finding.message]
    case = _case(promise.stage, promise.answer, told)
    if promise.kept is None:
        ElementTree.SubElement(case, "skipped", message="not requested this time")
    return case


def _case(group: str, id: str, findings: list[Finding]) -> ElementTree.Element:
    case = ElementTree.Element("testcase", name=_text(id), classname=f"oauthtap.{group}", time="0")
    errors = [finding for finding in findings if finding.severity == "error"]
    others = [finding for finding in findings if finding.severity != "error"]
    if errors:
        failure = ElementTree.SubElement(case, "failure", type=errors[0].level, message=_text(errors[0].message))
        failure.text = "\n\n".join(map(_words, errors))
    if others:
        ElementTree.SubElement(case, "system-out").text = "\n\n".join(map(_words, others))
    return case


def _words(finding: Finding) -> str:
    where = f"exchange {finding.exchange}, {finding.at}" if finding.exchange else finding.at
    lines = [
        f"{MARK[finding.severity]} {finding.severity}: {finding.message}",
        f"Where: {where}",
        *([f"Expected: {finding.expected}"] if finding.expected is not None else []),
        *([f"Actual: {finding.actual}"] if finding.actual is not None else []),
        f"Whose: {WHO[finding.responsible]}",
        f"Change: {finding.fix}",
        *([f"Follows from: {finding.consequence_of}"] if finding.consequence_of else []),
        f"Source: {finding.source} {finding.source_url}",
    ]
    return "\n".join(map(_text, lines))


def _text(text: str) -> str:
    return _NOT_XML.sub("\ufffd", escape_controls(text))
