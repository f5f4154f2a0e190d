"""The cause of a stop, ranked: findings weighed against how it ended and what was said.

A refusal is explained by findings about its subject; where there is none, by itself, in its own words. Never by its
form, nor by what the same client passed unharmed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from oauthtap import rules
from oauthtap.diagnosis.ending import Ending, went_well
from oauthtap.diagnosis.findings import Finding
from oauthtap.diagnosis.lifetime import how_long_it_worked
from oauthtap.diagnosis.phrases import CODES
from oauthtap.diagnosis.refusal import Refusal, is_absent_guess
from oauthtap.diagnosis.refusal_finding import PARTY, said_by, sends_resource
from oauthtap.diagnosis.refusal_relations import (
    has_harmed,
    is_fact,
    is_for_the_client,
    is_sent_by,
    is_vouched,
    led_astray,
    led_to_guess,
    quotes,
    refused_places,
    shares_value,
    was_passed,
    was_taken,
)
from oauthtap.diagnosis.subjects import FORM, agreement, subjects_of
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
    cases = [_Case(finding, refusal, places, handshake, finding is by_rules, found) for finding in found]
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


_VAGUE: tuple[str | None, ...] = (None, "request", "server-fault")
"""Subjects that leave open what was wrong."""


@dataclass(frozen=True)
class _Case:
    """One finding as the reason of one refusal: what speaks for it and what against."""

    finding: Finding
    refusal: Refusal
    places: set[int]
    """The exchanges of the refused step."""
    handshake: Handshake
    chosen: bool
    """Place and severity point to it."""
    found: Sequence[Finding]
    """All that may be causes."""

    @property
    def points(self) -> int:
        """The sum of all that speaks for it and against it; 0 where it cannot be."""
        return 0 if self._is_out else sum(weight for weight, _, holds in _EVIDENCE if holds(self))

    @property
    def reasons(self) -> Iterator[str]:
        """What speaks for it, in words."""
        return (reason for weight, reason, holds in _EVIDENCE if weight > 0 and reason and holds(self))

    @property
    def _is_out(self) -> bool:
        finding, refusal, known = self.finding, self.refusal, self.rule
        if finding.rule in FORM or known is None or known.echo:
            return True
        if self.reads and self.agrees < 0 and refusal.subject not in _VAGUE:
            return True  # it reads the words wrongly
        if self._is_of_a_value_nobody_reads:
            return True
        if finding.rule in _SPECULATION and (
            (refusal.is_telling and self.agrees < 2) or is_vouched(self.handshake, refusal.exchange)
        ):
            return True
        if finding.rule == _SPELLING and not re.search(r"127\.0\.0\.1|loopback", refusal.words):
            return True
        if finding.severity == "note" and not (self.agrees == 2 and self.shares):
            return True
        if ((finding.exchange or 0) > refusal.exchange and not self.chosen) or self._is_condoned:
            return True
        return self._stops_elsewhere and not self.named and not self._may_stop

    @property
    def _stops_elsewhere(self) -> bool:
        only = self.rule.stops_only_at if self.rule else None
        return only is not None and self.refusal.stage not in only

    @property
    def _may_stop(self) -> bool:
        """The very request lacks something that it must have, and is answered 400 without a reason."""
        asked = self.here and self.finding.at.startswith("request.") and self.finding.actual is None
        return asked and bool(self.rule and self.rule.stops_only_at) and self._is_bare_400

    @property
    def _is_bare_400(self) -> bool:
        return self.refusal.status == 400 and not self.refusal.is_telling and self.refusal.code is None

    @cached_property
    def rule(self) -> rules.Rule | None:
        return rules.RULES.get(self.finding.rule)

    @cached_property
    def is_symptom(self) -> bool:
        return self.rule is None or self.rule.symptom

    @cached_property
    def here(self) -> bool:
        """It was found in the refused step itself."""
        return self.finding.exchange in self.places

    @cached_property
    def named(self) -> bool:
        """The words name the parameter that it is about; as one of a list of several does not count."""
        head, _, member = self.finding.at.rpartition(".")
        if not self.here or not head.startswith("request.") or len(member) < 4:
            return False
        return re.search(rf"(?<![\w]){re.escape(member)}(?![\w])", _LIST.sub(" ", self.refusal.words)) is not None

    @property
    def _is_of_a_value_nobody_reads(self) -> bool:
        """It is about the value of a parameter, and the words refuse that parameter whatever its value."""
        name = re.escape(self.finding.at.rpartition(".")[2])
        whatever = rf"\b{name}\W{{0,2}} (?:request )?parameter is (?:not supported|not recogni[sz]ed|unknown)"
        return (
            self.named and self.finding.actual is not None and re.search(whatever, self.refusal.words, re.I) is not None
        )

    @cached_property
    def shares(self) -> bool:
        return shares_value(self.finding, self.refusal)

    @cached_property
    def agrees(self) -> int:
        """How well the subjects agree (`subjects.agreement`), the subject of the OAuth code included."""
        refusal, own = self.refusal, agreement(self.finding.rule, self.refusal.subject)
        by_code = CODES.get((refusal.code or "").lower())
        if own < 1 and by_code is not None:
            own = max(own, min(1, agreement(self.finding.rule, by_code)))
        if self._is_vouched:
            return min(own, 0)
        if (
            refusal.stage == "client-registration"
            and self.here
            and not refusal.edge
            and "registration" in subjects_of(self.finding.rule)
        ):
            return max(own, 1)
        # A callback knows no more than what it was sent; a crash says nothing of its reason.
        if refusal.who == "client" or self.named or (self.here and refusal.subject == "server-fault"):
            return max(own, 0)
        return own

    @cached_property
    def _is_vouched(self) -> bool:
        """It doubts a token that this server took before, or issued itself."""
        doubts = self.finding.rule.startswith("token-jwt-")
        places = (self.finding.exchange or 0, self.refusal.exchange)
        unsaid = self.refusal.subject in (None, "token", "token-audience")
        vouched = was_taken if unsaid and is_for_the_client(self.finding, self.handshake) else is_vouched
        return doubts and any(vouched(self.handshake, place) for place in places)

    @property
    def _is_of_a_stranger(self) -> bool:
        """It is about whom the token is for, and the token is by another issuer: its key is looked up first."""
        if self.finding.rule != "token-jwt-audience" or self.refusal.subject == "token-audience":
            return False
        return any(one.rule == "token-jwt-issuer" and one.exchange == self.finding.exchange for one in self.found)

    @property
    def _is_condoned(self) -> bool:
        """The refused endpoint had answered an earlier request with the same defect well."""
        if not self.here or not self.finding.at.startswith("request.") or subjects_of(self.finding.rule) & _ENDS:
            return False
        own = self.handshake.of(self.refusal.exchange)[:1]
        same = (one.exchange for one in self.found if one.rule == self.finding.rule)
        earlier = (self.handshake.of(place) for place in same if place is not None and place < self.refusal.exchange)
        return any(
            stages and own and stages[0].url == own[0].url and any(went_well(stage) for stage in stages)
            for stages in earlier
        )

    @cached_property
    def guessed(self) -> bool:
        led = led_to_guess(self.finding, self.refusal, self.handshake)
        return led and not (self._is_elsewhere and self._document_at_fault is None)

    @property
    def _is_elsewhere(self) -> bool:
        """The client went to another place than a document that it had read names."""
        return any(one.rule in _ELSEWHERE and one.exchange in self.places for one in self.found)

    @cached_property
    def _document_at_fault(self) -> Finding | None:
        """An error of the authorization server's metadata, for which clients put the whole document aside."""
        before = (one for one in self.found if (one.exchange or 0) < self.refusal.exchange)
        return next((one for one in before if one.stage == "as-discovery" and _is_of_document(one)), None)

    @property
    def went_elsewhere(self) -> bool:
        """It is that the client did not go where a sound document sent it."""
        return self.finding.rule in _ELSEWHERE and self.here and self._document_at_fault is None

    @property
    def excuses(self) -> bool:
        """It is the error of a document that the client read, put aside, and made up endpoints in place of."""
        return self._is_elsewhere and self.finding == self._document_at_fault

    @cached_property
    def passed(self) -> bool:
        """The client met it before, and went on unharmed."""
        # With what it was registered as, the client got its first token.
        since = self.refusal.stage == "token-refresh" and self.finding.stage == "client-registration"
        absent = self.refusal.status in (404, 405, 410)  # here the question is who sent the client there
        document = self.finding.at.startswith("response.") and self.finding.stage.endswith("-discovery")
        weak = document and self.finding.severity == "warning" and not absent
        known = self.refusal.is_telling or weak or (since and self.agrees < 0)
        unrelated = self.agrees <= 0 and not self.here and known and not self.guessed
        return unrelated and was_passed(self.finding, self.refusal, self.handshake)

    @cached_property
    def astray(self) -> bool:
        """It is about the document that sent the client to the wrong endpoint, which then refused."""
        wrong = self.chosen and self.finding.rule in _ASTRAY
        return wrong and is_sent_by(self.finding, self.refusal, self.handshake)

    @cached_property
    def reads(self) -> bool:
        return self.here and quotes(self.finding, self.refusal)

    @cached_property
    def is_error(self) -> bool:
        return self.finding.severity == "error"

    @cached_property
    def is_fact(self) -> bool:
        """A defect of the refused request itself."""
        return self.here and self.is_error and self.finding.at.startswith("request.") and not self.is_symptom


_EVIDENCE: tuple[tuple[int, str, Callable[[_Case], bool]], ...] = (
    (5, "it is about what the refusal is about", lambda case: case.agrees == 2),
    (3, "it is about something near what the refusal is about", lambda case: case.agrees == 1),
    (2, "", lambda case: case.agrees == 0),
    # What is said at a place that was only guessed is about that place, not about what made the client guess.
    (-4, "", lambda case: case.agrees == -1 and case.refusal.is_telling and not case.guessed),
    (4, "", lambda case: case.chosen),
    (1, "", lambda case: case.is_error),
    (-2, "", lambda case: case.is_symptom),
    (-3, "", lambda case: case.is_symptom and case.refusal.is_telling),
    (-1, "", lambda case: case.is_symptom and case.refusal.is_telling and not case.guessed),
    (2, "it was found in the refused step itself", lambda case: case.here),
    (3, "the refused request itself has the defect", lambda case: case.is_fact),
    (3, "the words name the member", lambda case: case.named),
    (9, "the client itself names the member", lambda case: case.named and case.refusal.who == "client"),
    (2, "the words name the same value", lambda case: case.shares),
    (
        6,
        "nobody advertised the refused request: the client guessed it because of this",
        lambda case: case.guessed and not case.refusal.edge,
    ),
    (
        14,
        "the page that refused is at the callback which this answer has in place of the client's",
        lambda case: led_astray(case.finding, case.refusal, case.handshake),
    ),
    (14, "this document named the endpoint that refused", lambda case: case.astray),
    (9, "a document that the client had read names another endpoint", lambda case: case.went_elsewhere),
    (-9, "", lambda case: case.finding.rule in _ELSEWHERE and not case.went_elsewhere),
    (14, "clients put a document with this error aside, and guess", lambda case: case.excuses),
    (3, "a request that it led to found no answer", lambda case: has_harmed(case.finding, case.handshake)),
    (6, "a token may expire: this is what should have followed", lambda case: _is_after_expiry(case)),
    (4, "", lambda case: case.chosen and case.refusal.who == "client"),
    (3, "", lambda case: case.here and not case.is_symptom and case.refusal.subject in _VAGUE),
    (-3, "", lambda case: case._stops_elsewhere and case._may_stop),
    (-9, "", lambda case: _is_after_early_end(case)),
    (-6, "", lambda case: case.passed and not case.excuses),
    (-8, "", lambda case: case._is_vouched),
    (-5, "", lambda case: case._is_of_a_stranger),
    (-2, "", lambda case: case.reads and case.agrees > 0),
    (-5, "", lambda case: case.reads and case.agrees < 0),
    (-9, "", lambda case: bool(case.refusal.edge) and case.agrees < 2),
)
"""What speaks for a finding as the reason of a refusal, and what against it: how much, in words, and when it holds."""

_ENDS: frozenset[str] = frozenset({"grant", "code", "token", "token-expired", "token-revoked", "session"})
"""Subjects of what is good for a time, or once: that it was taken before says nothing."""
_LIST = re.compile(r"(?:[\w.-]{1,60},\s*){2,50}[\w.-]{1,60}")


def _is_after_expiry(case: _Case) -> bool:
    return case.refusal.subject == "token-expired" and case.finding.rule in _AFTER_EXPIRY


def _is_after_early_end(case: _Case) -> bool:
    """The token was refused before its time was up: that the client did not sign in again comes second."""
    return case.finding.rule in _AFTER_EXPIRY and how_long_it_worked(case.refusal, case.handshake) is not None


_AFTER_EXPIRY = frozenset(
    {
        "client-ignored-challenge",
        "refresh-not-attempted",
        "token-resp-no-refresh-token",
        "authz-offline-access-not-requested",
        "token-rejected-wrong-status",
    }
)
"""Rules about what has to come after a token expired."""


_SPECULATION = frozenset({"token-opaque-then-401"})
"""Rules that say what may be, where nobody gave a reason."""

_SPELLING: str = "redirect-uri-localhost-name"
"""The rule about `localhost` in place of 127.0.0.1: a reason only for who speaks of the other spelling."""

_ELSEWHERE: frozenset[str] = frozenset({"dcr-wrong-endpoint", "authz-wrong-endpoint", "token-wrong-endpoint"})
"""Rules about a client that does not go where the documents send it."""


def _is_of_document(finding: Finding) -> bool:
    return finding.severity == "error" and finding.at.startswith("response.json") and finding.responsible != "client"


_ASTRAY = frozenset(
    {
        "as-issuer-mismatch",
        "as-issuer-trailing-slash",
        "as-documents-disagree",
        "client-probed-root-for-path-issuer",
        "client-as-discovery-order",
        "client-used-mismatched-issuer",
        "prm-as-entry-is-endpoint",
        "prm-as-entry-wrong-issuer",
        "prm-changed-as",
    }
)
"""Rules about documents that send the client to the wrong server or endpoint."""


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
