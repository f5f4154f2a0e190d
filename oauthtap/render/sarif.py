"""The report as SARIF 2.1.0, for code scanning services and editors.

Code scanning refuses a file whose locations are `https:` URLs, so a location is host and path
without the scheme; the whole URL stands in the web request. Fingerprints hold what stays the
same from one run to the next: rule, stage, place and upstream path, never an id, a port or a date.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from json import dumps
from typing import Any
from urllib.parse import quote

from oauthtap import __version__, rules
from oauthtap.compare import lock_check
from oauthtap.diagnosis.findings import Finding, Severity
from oauthtap.model.exchange import Exchange, Message
from oauthtap.model.sanitize import escape_controls
from oauthtap.render.labels import STAGE, WHO, said
from oauthtap.report.model import ExchangeRow, Report
from oauthtap.rules import Rule

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
HOME = "https://modelcontextprotocol.io/specification"
LEVEL: dict[Severity, str] = {"error": "error", "warning": "warning", "note": "note"}
_LONGEST_BODY = 20_000

Row = dict[str, Any]


def sarif(report: Report, exchanges: Sequence[Exchange] = (), /) -> str:
    """One SARIF log with one run. With `exchanges`, headers and bodies stand in the web requests and responses."""
    seen = {exchange.id: exchange for exchange in exchanges}
    places = {step.id: place for place, step in enumerate(report.exchanges)}
    steps = {step.id: step for step in report.exchanges}
    ruled = _descriptors(report.findings)
    numbers = {row["id"]: number for number, row in enumerate(ruled)}
    run: Row = {
        "tool": {
            "driver": {
                "name": "oauthtap",
                "semanticVersion": __version__,
                "informationUri": HOME,
                "rules": ruled,
            }
        },
        "automationDetails": {"id": f"oauthtap/{_place(report.upstream or 'unknown')}/"},
        "columnKind": "utf16CodeUnits",
        "invocations": [{"executionSuccessful": True}],
        "webRequests": [_request(step, seen.get(step.id)) for step in report.exchanges],
        "webResponses": [_response(step, seen.get(step.id)) for step in report.exchanges],
        "results": [_result(finding, numbers[finding.rule], steps, places, report) for finding in report.findings],
        "properties": _outcome(report),
    }
    return dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, ensure_ascii=False, indent=1) + "\n"


def _outcome(report: Report) -> Row:
    return {
        "connected": report.connected,
        "ending": report.ending,
        "refusal": said(report.refusal) if report.refusal else None,
        "reached": report.reached,
        "cause": report.cause.rule if report.cause else None,
        "revision": report.judged_by,
        "client": report.client.model_dump() if report.client else None,
    }


# --- rules


def _descriptors(findings: Sequence[Finding]) -> list[Row]:
    """One descriptor for every rule that found something, in order of appearance."""
    known = rules.load() | {lock_check.RULE: lock_check.PAGE}
    first = {finding.rule: finding for finding in reversed(findings)}
    return [_descriptor(known.get(id), first[id]) for id in dict.fromkeys(f.rule for f in findings)]


def _descriptor(rule: Rule | None, finding: Finding) -> Row:
    """`rule` is None for a finding about oauthtap itself."""
    page = rule_page(rule) if rule else escape_controls(finding.message)
    return {
        "id": finding.rule,
        "name": "".join(word.capitalize() for word in finding.rule.split("-")),
        "shortDescription": {"text": f"{finding.title}."},
        "fullDescription": {"text": f"{finding.title}. {rule.prose if rule else ''}".strip()},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": LEVEL[rule.severity if rule else finding.severity]},
        **({"helpUri": finding.source_url} if finding.source_url else {}),
        "properties": {
            "tags": ["oauth", "mcp", rule.group if rule else "oauthtap"],
            "precision": "very-high" if finding.severity == "error" else "high",
            "requirement": finding.level,
            "source": finding.source,
        },
    }


def rule_page(rule: Rule) -> str:
    """A rule's page as Markdown."""
    return "\n\n".join(
        [
            f"**{rule.title}.**",
            rule.prose,
            f"**What to change.** {rule.repair}",
            f"Bad:\n\n```http\n{rule.example('Bad').strip()}\n```",
            f"Good:\n\n```http\n{rule.example('Good').strip()}\n```",
            f"Source: [{rule.requirement.source}]({rule.requirement.url}) ({rule.requirement.level})",
        ]
    )


# --- results


def _result(
    finding: Finding, number: int, steps: dict[int, ExchangeRow], places: dict[int, int], report: Report
) -> Row:
    step = steps.get(finding.exchange or 0)
    url = step.url if step else report.upstream or ""
    place = places.get(finding.exchange or 0)
    cause = report.cause.exchange if finding.consequence_of and report.cause else None
    return {
        "ruleId": finding.rule,
        "ruleIndex": number,
        "kind": "fail",
        "level": LEVEL[finding.severity],
        "message": {"text": _message(finding)},
        "locations": [_location(url, finding.at)],
        **({"relatedLocations": [_related(steps[cause], finding)]} if cause in steps else {}),
        "partialFingerprints": {"oauthtap/v1": fingerprint(finding, url)},
        **({} if place is None else {"webRequest": {"index": place}, "webResponse": {"index": place}}),
        "properties": _properties(finding),
    }


def _message(finding: Finding) -> str:
    """Brackets would make links of upstream text (SARIF 2.1.0, 3.11.6)."""
    words = escape_controls(finding.message, limit=2000)
    follows = f" Follows from {finding.consequence_of}." if finding.consequence_of else ""
    text = f"{words}{'' if words.endswith('.') else '.'}{follows} What to change: {escape_controls(finding.fix)}"
    return text.replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")


def _location(url: str, at: str) -> Row:
    parent, _, name = at.rpartition(".")
    return {
        # Code scanning shows nothing that has no line.
        "physicalLocation": {"artifactLocation": {"uri": _place(url)}, "region": {"startLine": 1}},
        "logicalLocations": [
            {
                "name": escape_controls(name),
                "fullyQualifiedName": escape_controls(at),
                "kind": "member" if ".json" in parent else "parameter" if parent else "object",
            }
        ],
    }


def _related(step: ExchangeRow, finding: Finding) -> Row:
    return {
        "id": 1,
        "message": {"text": f"{finding.consequence_of} in exchange {step.id} is what this follows from"},
        "physicalLocation": {"artifactLocation": {"uri": _place(step.url)}},
    }


def _properties(finding: Finding) -> Row:
    facts = {
        "stage": finding.stage,
        "stageTitle": STAGE.get(finding.stage),
        "whose": WHO[finding.responsible],
        "requirement": finding.level,
        "exchange": finding.exchange,
        "expected": finding.expected and escape_controls(finding.expected),
        "actual": finding.actual and escape_controls(finding.actual),
        "consequenceOf": finding.consequence_of,
        "patch": finding.patch.model_dump(exclude_defaults=True) if finding.patch else None,
    }
    return {name: value for name, value in facts.items() if value is not None}


def fingerprint(finding: Finding, url: str) -> str:
    """The same for the same defect of the same server, whenever and through whatever client it was met."""
    at = re.sub(r"\[\d+\]", "[]", finding.at)
    host, _, path = _bare(url).partition("/")
    same = "\n".join([finding.rule, finding.stage, at, re.sub(r":\d+$", "", host), path])
    return hashlib.sha256(same.encode("utf-8", "replace")).hexdigest()[:32]


# --- what went over the wire


def _place(url: str) -> str:
    """Host and path as a relative reference. A colon in its first segment would make the host a scheme."""
    host, slash, path = _bare(url).partition("/")
    return quote(host, safe="[]") + slash + quote(path, safe="/%:@!$&'()*+,;=~")


def _bare(url: str) -> str:
    """Host, port and path of any text that means to be a URL: this one may not be one."""
    rest = url.partition("#")[0].partition("?")[0]
    rest = rest.partition("://")[2] or rest
    host, slash, path = rest.partition("/")
    return host.rpartition("@")[2] + slash + path


def _request(step: ExchangeRow, exchange: Exchange | None) -> Row:
    row: Row = {
        "protocol": "http",
        "target": escape_controls(step.url),
        "method": escape_controls(step.method),
        "properties": {"exchange": step.id, "stage": step.stage},
    }
    return {**row, **_content(exchange.request)} if exchange else row


def _response(step: ExchangeRow, exchange: Exchange | None) -> Row:
    """The exchange's number makes it unlike every other, as the schema demands."""
    row: Row = {"properties": {"exchange": step.id}}
    if step.status is None:
        return {
            **row,
            "noResponseReceived": True,
            **({"reasonPhrase": escape_controls(step.error)} if step.error else {}),
        }
    row |= {"statusCode": step.status, "protocol": "http"}
    return {**row, **_content(exchange.response)} if exchange and exchange.response else row


def _content(message: Message) -> Row:
    body = message.body and escape_controls(message.body, limit=_LONGEST_BODY, lines=True)
    return {"headers": dict(_headers(message)), **({"body": {"text": body}} if body else {})}


def _headers(message: Message) -> Iterator[tuple[str, str]]:
    """The format has one value for a name: lines of the same name are joined."""
    for name, _ in message.headers:
        yield escape_controls(name), escape_controls(message.header(name) or "")
