"""The cause of a stop, ranked: findings weighed against how it ended and what was said.

A refusal is explained by findings about its subject; where there is none, by itself, in its own words. Never by its
form, nor by what the same client passed unharmed.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from oauthtap import rules
from oauthtap.diagnosis.case import Case
from oauthtap.diagnosis.ending import Ending
from oauthtap.diagnosis.findings import Finding
from oauthtap.diagnosis.refusal import Refusal, is_absent_guess
from oauthtap.diagnosis.refusal_finding import PARTY, said_by, sends_resource
from oauthtap.diagnosis.refusal_relations import (
    is_fact,
    quotes,
    refused_places,
    shares_value,
)
from oauthtap.diagnosis.subjects import agreement, subjects_of
from oauthtap.handshake.state import Handshake

Confidence = Literal["certain", "likely", "possible"]


@dataclass(frozen=True)
class Evidence:
    exchange: int | None
    sentence: str


@dataclass(frozen=True)
class Candidate:
    """One possible cause."""

    finding: Finding
    confidence: Confidence
    subject: str | None
    evidence: tuple[Evidence, ...] = ()


def rank(
    handshake: Handshake, ending: Ending, found: Sequence[Finding], by_rules: Finding | None
) -> tuple[Candidate, ...]:
    """At most three candidates, the best first; none where nothing is to be explained.

    `found`: the findings that may be causes. `by_rules`: the one that place and severity point to.
    """
    refusal = ending.refusal
    if refusal is None:
        return (_alone(by_rules, ending),) if by_rules is not None else ()
    places = refused_places(ending, handshake)
    cases = [Case(finding, refusal, places, handshake, finding is by_rules, found) for finding in found]
    weighed = [(case.points, case.finding) for case in cases]
    scored = [one for one in weighed if one[0] > 0]
    scored.sort(key=lambda one: (-one[0], one[1] is not by_rules))
    if scored and quotes(scored[0][1], refusal):  # a fact of the request says more than the words read once more
        fact = next((one for one in scored if one[0] >= _ENOUGH and is_fact(one[1], refusal, places)), None)
        scored = [(scored[0][0], fact[1]), *(one for one in scored if one is not fact)] if fact else scored
    ranked = [_candidate(finding, score, refusal, places) for score, finding in scored]
    said = _told(said_by(refusal, handshake), found)
    if not ranked or scored[0][0] < (_ENOUGH if refusal.is_telling else 2):
        ranked.insert(0, Candidate(said, _trust(refusal), refusal.subject, (_words(refusal),)))
    elif refusal.words and not is_absent_guess(refusal, handshake):
        ranked.append(Candidate(said, "possible", refusal.subject, (_words(refusal),)))
    once: dict[str, Candidate] = {}
    for candidate in ranked:
        once.setdefault(candidate.finding.rule, candidate)
    return tuple(once.values())[:3]


_ENOUGH = 5
_TELLS = "authz-resp-error"
"""The rule that passes on what an authorization server sent back in place of a code."""


def _told(said: Finding, found: Sequence[Finding]) -> Finding:
    """The refusal, under the rule that found it where there is one."""
    same = next((one for one in found if one.rule == _TELLS and said.stage == "authorization-response"), None)
    if same is None:
        return said
    return same.model_copy(update={"message": said.message, "fix": said.fix, "responsible": said.responsible})


def _candidate(finding: Finding, score: int, refusal: Refusal, places: set[int]) -> Candidate:
    agrees = agreement(finding.rule, refusal.subject)
    known = rules.RULES[finding.rule]
    here = finding.exchange in places
    confidence: Confidence = "possible"
    if agrees == 2 and finding.severity == "error" and not known.symptom and (here or shares_value(finding, refusal)):
        confidence = "certain"
    elif score >= _ENOUGH:
        confidence = "likely"
    own = subjects_of(finding.rule)
    told = refusal.phrase.phrase if refusal.phrase is not None else None
    if known.symptom and told is not None and told.rule == finding.rule and not told.is_generic:
        finding = finding.model_copy(update={"fix": told.change})  # the vendor's own words for it say what to change
    if refusal.subject == "edge" and refusal.who == "network":
        finding = finding.model_copy(update={"responsible": "network"})
    subject = refusal.subject if refusal.subject in own else next(iter(sorted(own)), refusal.subject)
    return Candidate(finding, confidence, subject, (Evidence(finding.exchange, finding.message), _words(refusal)))


def _alone(finding: Finding, ending: Ending) -> Candidate:
    """A cause where nobody refused: what the documents and answers show."""
    known = rules.RULES.get(finding.rule)
    sure = finding.severity == "error" and known is not None and not known.symptom
    own = subjects_of(finding.rule)
    return Candidate(
        finding,
        "likely" if sure else "possible",
        next(iter(sorted(own)), None),
        (Evidence(finding.exchange, finding.message),),
    )


def _words(refusal: Refusal) -> Evidence:
    return Evidence(refusal.exchange, f"{PARTY[refusal.who]} answered {refusal.said}")


def _trust(refusal: Refusal) -> Confidence:
    if refusal.phrase is not None and refusal.words:
        return "certain" if not refusal.phrase.phrase.is_generic else "likely"
    return "likely" if refusal.words or refusal.edge else "possible"


def experiment(candidate: Candidate, handshake: Handshake) -> str | None:
    """A command line that tells whether it is this cause; None where nothing in an answer can be changed for it."""
    resource = handshake.resource
    refused = candidate.evidence[-1].exchange if candidate.evidence else None
    if candidate.subject == "resource" and resource and sends_resource(refused, handshake):
        return f"oauthtap --upstream {shlex.quote(resource)} --fix drop-resource"
    if candidate.finding.patch is not None and resource:
        return f"oauthtap --upstream {shlex.quote(resource)} --fix {candidate.finding.rule}"
    return None
