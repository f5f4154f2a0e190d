"""`Problem`, `Patch` and `Finding`: what a rule says of an exchange."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

from json_merge_patch import merge as merge_patch
from pydantic import BaseModel, ConfigDict

from oauthtap.model.exchange import Response, json_keys
from oauthtap.model.requirements import Level, Requirement

Severity = Literal["error", "warning", "note"]
Party = Literal["resource-server", "authorization-server", "client", "config", "network"]

RANK: dict[Severity, int] = {"error": 0, "warning": 1, "note": 2}
"""For sorting: the worst first."""

BY_LEVEL: dict[Level, Severity] = {"MUST": "error", "SHOULD": "warning", "MAY": "note", "practice": "note"}


class Patch(BaseModel):
    """A repair of one answer, as data: shown, tried on a recording, or applied live."""

    model_config = ConfigDict(frozen=True)

    status: int | None = None
    headers: dict[str, str | None] = {}
    """Header name to new value; None takes every line of that name away."""
    merge: dict[str, Any] | None = None
    """Merged into the JSON body as in RFC 7396; not used where the body is no JSON object."""
    body: str | None = None
    """A whole new body, where a merge cannot say it."""
    assumes: str | None = None
    """What has to be true for this to be right; None when it is safe by itself."""

    def __call__(self, response: Response) -> Response:
        """The answer as it would be after the repair. The answer given is left alone."""
        names = {name.lower() for name in self.headers}
        headers = [line for line in response.headers if line[0].lower() not in names]
        headers += [(name, value) for name, value in self.headers.items() if value is not None]
        body = response.body if self.body is None else self.body
        if self.merge is not None:
            document = response.json_object if self.body is None else {}
            body = json.dumps(merge_patch(dict(document), self.merge))
            if not _is_json(headers):
                headers = [line for line in headers if line[0].lower() != "content-type"]
                headers.append(("Content-Type", "application/json"))
        status = response.status if self.status is None else self.status
        return Response(status=status, headers=tuple(headers), body=body)


def _is_json(headers: list[tuple[str, str]]) -> bool:
    kinds = [value.partition(";")[0].strip().lower() for name, value in headers if name.lower() == "content-type"]
    return any(kind == "application/json" or kind.endswith("+json") for kind in kinds)


class Problem(BaseModel):
    """What a rule yields: what is wrong, where to look, how to put it right."""

    model_config = json_keys(responsible="who")

    message: str
    """One sentence that names the values: what is there, and what would have to be."""
    at: str
    """The exact place: `response.json.issuer`, `response.header.www-authenticate.scope`,
    `request.form.resource`, `request.query.state`, `request.url`, `response.status`, …"""
    expected: str | None = None
    actual: str | None = None
    fix: str = ""
    """What to change, for the person whose it is. The rule's own advice when empty."""
    patch: Patch | None = None
    exchange: int | None = None
    """Only for rules over the whole handshake: the exchange it is about."""
    responsible: Party | None = None
    """Only where it differs from the rule's."""
    severity: Severity | None = None
    """Only where the circumstances make it lighter (or heavier) than the rule's."""


Problems = Iterator[Problem]


class Finding(BaseModel):
    """A problem, with the rule that found it and the exchange it was found in."""

    model_config = json_keys(responsible="who", fixed_by="cured_by")

    rule: str
    title: str
    severity: Severity
    level: Level
    responsible: Party
    stage: str
    exchange: int | None = None
    at: str
    message: str
    expected: str | None = None
    actual: str | None = None
    consequence_of: str | None = None
    """The rule of the cause this follows from; None for the cause itself and for what is independent."""
    fixed_by: tuple[str, ...] = ()
    """The fixes of oauthtap with which the client met nothing of it; empty where it did."""
    fix: str = ""
    patch: Patch | None = None
    source: str = ""
    source_url: str = ""


def finding(
    problem: Problem, *, rule: str, title: str, requirement: Requirement, who: Party, severity: Severity,
    fix: str, stage: str, exchange: int | None,
) -> Finding:  # fmt: skip
    """Attach to a problem what its rule knows. What the problem says itself wins; `severity` is final already."""
    return Finding(
        rule=rule,
        title=title,
        severity=severity,
        level=requirement.level,
        responsible=problem.responsible or who,
        stage=stage,
        exchange=problem.exchange if problem.exchange is not None else exchange,
        at=problem.at,
        message=problem.message,
        expected=problem.expected,
        actual=problem.actual,
        fix=problem.fix or fix,
        patch=problem.patch,
        source=requirement.source,
        source_url=requirement.url,
    )
