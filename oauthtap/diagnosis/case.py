"""One finding as the reason of one refusal: what speaks for it, what against it, and how much."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

from oauthtap import rules
from oauthtap.diagnosis.ending import went_well
from oauthtap.diagnosis.findings import Finding
from oauthtap.diagnosis.lifetime import how_long_it_worked
from oauthtap.diagnosis.phrases import CODES
from oauthtap.diagnosis.refusal import Refusal
from oauthtap.diagnosis.refusal_relations import (
    has_harmed,
    is_for_the_client,
    is_sent_by,
    is_vouched,
    led_astray,
    led_to_guess,
    quotes,
    shares_value,
    was_passed,
    was_taken,
)
from oauthtap.diagnosis.subjects import FORM, agreement, subjects_of
from oauthtap.handshake.state import Handshake

_VAGUE: tuple[str | None, ...] = (None, "request", "server-fault")
"""Subjects that leave open what was wrong."""


@dataclass(frozen=True)
class Case:
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
        return 0 if self._is_out else sum(weight for weight, holds in _EVIDENCE if holds(self))

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
        """The very request lacks something that it must have, and is refused without a reason."""
        asked = self.here and self.finding.at.startswith("request.") and self.finding.actual is None
        return asked and bool(self.rule and self.rule.stops_only_at) and self._is_bare_400

    @property
    def _is_bare_400(self) -> bool:
        if self.refusal.is_telling:
            return False
        back = self.refusal.status is None and self.refusal.code == "invalid_request"  # the same, by a redirect
        return back or (self.refusal.status == 400 and self.refusal.code is None)

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
        ended_it = self.here or led_to_guess(self.finding, self.refusal, self.handshake)
        return self.finding.rule in _ELSEWHERE and ended_it and self._document_at_fault is None

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

    @property
    def is_known_wording(self) -> bool:
        """The collection of wordings names this rule for the vendor's words."""
        told = self.refusal.phrase
        known = told is not None and not told.phrase.is_generic and told.phrase.rule == self.finding.rule
        return known and self.reads and self.agrees == 2

    @property
    def is_contradicted(self) -> bool:
        """Words that are known as one vendor's give another reason."""
        told = self.refusal.phrase
        return self.agrees == -1 and self.refusal.is_telling and told is not None and not told.phrase.is_generic


_EVIDENCE: tuple[tuple[int, Callable[[Case], bool]], ...] = (
    # It is about what the refusal is about.
    (5, lambda case: case.agrees == 2),
    # The vendor's wording is known as what this rule is about.
    (4, lambda case: case.is_known_wording),
    # It is about something near what the refusal is about.
    (3, lambda case: case.agrees == 1),
    (2, lambda case: case.agrees == 0),
    # What is said at a place that was only guessed is about that place, not about what made the client guess.
    (-4, lambda case: case.agrees == -1 and case.refusal.is_telling and not case.guessed),
    (4, lambda case: case.chosen),
    (1, lambda case: case.is_error),
    (-2, lambda case: case.is_symptom),
    (-3, lambda case: case.is_symptom and case.refusal.is_telling),
    # Words say more than a symptom, but for one that tells why the client guessed.
    (-1, lambda case: case.is_symptom and case.refusal.is_telling and not case.guessed),
    # It was found in the refused step itself.
    (2, lambda case: case.here),
    # The refused request itself has the defect.
    (3, lambda case: case.is_fact and not case.is_contradicted),
    # The words name the member.
    (3, lambda case: case.named),
    # The client itself names the member.
    (9, lambda case: case.named and case.refusal.who == "client"),
    # The words name the same value.
    (2, lambda case: case.shares),
    # Nobody advertised the refused request: the client guessed it because of this.
    (6, lambda case: case.guessed and not case.refusal.edge),
    # The page that refused is at the callback which this answer has in place of the client's.
    (14, lambda case: led_astray(case.finding, case.refusal, case.handshake)),
    # This document named the endpoint that refused.
    (14, lambda case: case.astray),
    # A document that the client had read names another endpoint.
    (9, lambda case: case.went_elsewhere),
    # The document that names it has an error: the client put it aside.
    (-9, lambda case: case.finding.rule in _ELSEWHERE and not case.went_elsewhere),
    # Clients put a document with this error aside, and guess.
    (14, lambda case: case.excuses),
    # A request that it led to found no answer.
    (3, lambda case: has_harmed(case.finding, case.handshake)),
    # A token may expire: this is what should have followed.
    (6, lambda case: _is_after_expiry(case)),
    (4, lambda case: case.chosen and case.refusal.who == "client"),
    (3, lambda case: case.here and not case.is_symptom and case.refusal.subject in _VAGUE),
    (-3, lambda case: case._stops_elsewhere and case._may_stop),
    (-9, lambda case: _is_after_early_end(case)),
    (-6, lambda case: case.passed and not case.excuses),
    (-8, lambda case: case._is_vouched),
    (-5, lambda case: case._is_of_a_stranger),
    (-2, lambda case: case.reads and case.agrees > 0),
    (-5, lambda case: case.reads and case.agrees < 0),
    (-9, lambda case: bool(case.refusal.edge) and case.agrees < 2),
)
"""What speaks for a finding as the reason of a refusal, and what against it: how much, and when it holds."""

_ENDS: frozenset[str] = frozenset({"grant", "code", "token", "token-expired", "token-revoked", "session"})
"""Subjects of what is good for a time, or once: that it was taken before says nothing."""
_LIST = re.compile(r"(?:[\w.-]{1,60},\s*){2,50}[\w.-]{1,60}")


def _is_after_expiry(case: Case) -> bool:
    return case.refusal.subject == "token-expired" and case.finding.rule in _AFTER_EXPIRY


def _is_after_early_end(case: Case) -> bool:
    """The token was refused before its time was up: that the client did not sign in again comes second."""
    return case.finding.rule in _AFTER_EXPIRY and how_long_it_worked(case.refusal, case.handshake) is not None


_AFTER_EXPIRY = frozenset(
    {
        "client-ignored-challenge",
        "refresh-not-attempted",
        "refresh-token-dropped",
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

_ELSEWHERE: frozenset[str] = frozenset(
    {
        "client-authorization-servers-unused",
        "client-well-known-appended",
        "dcr-wrong-endpoint",
        "authz-wrong-endpoint",
        "token-wrong-endpoint",
    }
)
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
