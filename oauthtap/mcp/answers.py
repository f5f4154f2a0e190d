"""What each tool answers: few members, every text bounded, and `next`: the call to make now, or null."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from oauthtap.model.sanitize import escape_controls

TEXT, LINES = 280, 1_800
"""Characters of one text, and of lines to deploy: an answer stays under 2,000 tokens, told twice as MCP has it
(as text and as structured content)."""


def _bounded(limit: int) -> BeforeValidator:
    return BeforeValidator(lambda value: escape_controls(value, limit=limit) if isinstance(value, str) else value)


Text = Annotated[str, _bounded(TEXT)]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Call(_Answer):
    """A call of one of these tools. Arguments in capitals, such as `ISSUER`, are for a person to name."""

    tool: str
    arguments: dict[str, Any]
    why: Text


class Cause(_Answer):
    """One possible cause, the likeliest first."""

    rule: str
    confidence: str
    responsible: str
    message: Text
    change: Text
    exchange: int | None = None


class Refusal(_Answer):
    """What the one who said no actually said."""

    responsible: str
    status: int | None = None
    code: Text | None = None
    words: Text = ""


class Diagnosis(_Answer):
    """How a sign-in ended, and why."""

    summary: Text
    ending: str
    works: bool
    upstream: Text | None = None
    client: Text | None = None
    refusal: Refusal | None = None
    causes: list[Cause] = []
    session: str | None = None
    next: Call | None = None


class Tap(Diagnosis):
    """A tap that runs in the background, and how the sign-in through it goes."""

    phase: str
    url: str | None = Field(None, description="what the MCP client has to be given in place of the server's URL")
    exchanges: int = 0
    fixes: list[str] = []
    commands: list[str] = Field([], description="what to type for Claude Code, in this order")


class Meaning(_Answer):
    """What a text or a rule may mean."""

    subject: str | None = None
    responsible: str | None = None
    why: Text
    look: Text | None = None
    rule: str | None = None
    command: Text | None = None


class Explanation(_Answer):
    """The likeliest meaning first."""

    meanings: list[Meaning]
    next: Call | None = None


class Lines(_Answer):
    """What to deploy at one stack."""

    stack: str
    checked: str
    lines: Annotated[str, _bounded(LINES)]


class Deployment(_Answer):
    """What has to change at the server, as changes of its answers, and as lines for its stack where that is known."""

    summary: Text
    changes: list[Annotated[str, _bounded(700)]] = []
    stacks: list[Lines] = []
    next: Call | None = None


class Need(_Answer):
    """A value that only a person can name: `solve` again with `values={name: …}`."""

    name: str
    question: Text
    candidates: list[Text] = []


class Solution(_Answer):
    """What experiments with the real client proved."""

    outcome: str = Field(
        description="proved, simulated (never proved), nothing-to-do, needs-value, not-curable, budget (time is over), "
        "running (not ended yet)"
    )
    summary: Text
    works: bool = Field(description="the client connects: with the changes in `fixes`, or as it is")
    cause: Cause | None = None
    fixes: list[Text] = Field([], description="the smallest change; each part was shown to be needed")
    needs: list[Need] = []
    remains: Text = ""
    unhelpful: list[Text] = Field([], description="what was tried and did not help")
    session: str | None = None
    deployment: Deployment | None = None
    next: Call | None = None


def causes_of(report: Mapping[str, Any]) -> list[Cause]:
    """The causes of a report (version 2), the likeliest first."""
    return [_cause(one) for one in report.get("causes") or ()]


def _cause(ranked: Mapping[str, Any]) -> Cause:
    return Cause(
        rule=ranked["rule"],
        confidence=ranked["confidence"],
        responsible=ranked["who"],
        message=ranked["message"],
        change=ranked.get("fix") or "",
        exchange=ranked.get("exchange"),
    )


def refusal_of(report: Mapping[str, Any]) -> Refusal | None:
    """What was said in a report (version 2); None where nobody refused."""
    said = report.get("refusal")
    if not said:
        return None
    return Refusal(responsible=said["who"], status=said.get("status"), code=said.get("code"), words=said["words"])


def summary_of(report: Mapping[str, Any], causes: Sequence[Cause]) -> str:
    """The report in a sentence."""
    reached = report.get("reached") or "nothing"
    head = f"{report['ending']}, as far as {reached}"
    return f"{head}: {causes[0].message}" if causes else head


def deployment_of(document: Mapping[str, Any] | None) -> Deployment | None:
    """What `fix --deploy` and `solve` say is to be deployed."""
    if not document:
        return None
    changes, requests = document.get("changes") or [], document.get("requests") or []
    proved = "a client connected with it" if document.get("proved") else "not tried with a client yet"
    return Deployment(
        summary=f"{len(changes)} answers of the server have to change ({proved})",
        changes=[*(change["diff"] for change in changes[:2]), *requests[:1]],
        stacks=[
            Lines(stack=one["stack"], checked=str(one["checked"]), lines=f"{one['where']}\n{one['text']}")
            for one in (document.get("recipes") or [])[:1]
        ],
    )


_OUTCOMES = {
    "proved": "Proved: with the change in `fixes` the client connects, and without it it does not.",
    "simulated": "On the recording, the change in `fixes` would be enough. Nothing is proved: no client ran.",
    "nothing-to-do": "The client connects as it is.",
    "needs-value": "A person has to name a value: see `needs`, then call `solve` again with `values`.",
    "not-curable": "No change of an answer helps: see `remains`.",
    "budget": "The time was over before every change was tried.",
}


def solution_of(document: Mapping[str, Any], call: Call | None) -> Solution:
    """What `oauthtap solve --format json` printed."""
    outcome = document["outcome"]
    last = document.get("after") or document.get("before") or {}
    proofs = {part.get("needed_by") for part in document.get("change") or ()}
    failed = [one for one in document.get("tries") or () if one["fixes"] and not one["connected"]]
    return Solution(
        outcome=outcome,
        summary=_OUTCOMES.get(outcome, outcome),
        works=outcome in ("proved", "nothing-to-do"),
        cause=_cause(document["cause"]) if document.get("cause") else None,
        fixes=[part["fix"] for part in document.get("change") or ()][:4],
        needs=[
            Need(name=need["name"], question=need["question"], candidates=need.get("candidates", ())[:3])
            for need in (document.get("needs") or ())[:3]
        ],
        remains=document.get("remains") or "",
        unhelpful=[" + ".join(one["fixes"]) for one in failed if one["number"] not in proofs][:5],
        session=last.get("session"),
        deployment=deployment_of(document.get("deploy")),
        next=call,
    )
