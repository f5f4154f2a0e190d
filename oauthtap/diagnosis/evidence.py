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
from oauthtap.diagnosis.causality import causal_chain, guess_ancestors, same_document_places
from oauthtap.diagnosis.ending import Ending, went_well
from oauthtap.diagnosis.findings import Finding, Party
from oauthtap.diagnosis.omission import find_omission
from oauthtap.diagnosis.phrases import CODES
from oauthtap.diagnosis.refusal import Refusal, is_absent_guess, led_from
from oauthtap.diagnosis.subjects import FORM, agreement, meaning, subjects_of
from oauthtap.handshake.stages import AuthorizationResponse, Document, Mcp
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls

Confidence = Literal["certain", "likely", "possible"]

REFUSED = "refused"
"""The rule id of a cause that no rule explains: the refusal, in its own words."""


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
    places = _places(ending, handshake)
    cases = [_Case(finding, refusal, places, handshake, finding is by_rules, found) for finding in found]
    weighed = [(case.points, case.finding) for case in cases]
    scored = [one for one in weighed if one[0] > 0]
    scored.sort(key=lambda one: (-one[0], one[1] is not by_rules))
    if scored and _reads_words(scored[0][1], refusal):  # a fact of the request says more than the words read once more
        fact = next((one for one in scored if one[0] >= _ENOUGH and _is_fact(one[1], refusal, places)), None)
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
        if finding.rule in _SPECULATION and (
            (refusal.is_telling and self.agrees < 2) or _vouched(self.handshake, refusal.exchange)
        ):
            return True
        if finding.severity == "note" and not (self.agrees == 2 and self.shares):
            return True
        if ((finding.exchange or 0) > refusal.exchange and not self.chosen) or self._is_condoned:
            return True
        only = known.stops_only_at
        return only is not None and refusal.stage not in only and not self.named

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
        return doubts and any(_vouched(self.handshake, place) for place in places)

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
        return _at_guess(self.finding, self.refusal, self.handshake)

    @cached_property
    def passed(self) -> bool:
        """The client met it before, and went on unharmed."""
        # With what it was registered as, the client got its first token.
        since = self.refusal.stage == "token-refresh" and self.finding.stage == "client-registration"
        known = self.refusal.is_telling or (since and self.agrees < 0)
        unrelated = self.agrees <= 0 and not self.here and known and not self.guessed
        return unrelated and _passed(self.finding, self.refusal, self.handshake)

    @cached_property
    def astray(self) -> bool:
        """It is about the document that sent the client to the wrong endpoint, which then refused."""
        wrong = self.chosen and self.finding.rule in _ASTRAY
        return wrong and _sent_by(self.finding, self.refusal, self.handshake)

    @cached_property
    def reads(self) -> bool:
        return self.here and _reads_words(self.finding, self.refusal)

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
    (14, "this document named the endpoint that refused", lambda case: case.astray),
    (3, "a request that it led to found no answer", lambda case: _harmed(case.finding, case.handshake)),
    (6, "a token may expire: this is what should have followed", lambda case: _is_after_expiry(case)),
    (4, "", lambda case: case.chosen and case.refusal.who == "client"),
    (3, "", lambda case: case.here and not case.is_symptom and case.refusal.subject in _VAGUE),
    (-6, "", lambda case: case.passed),
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


def _vouched(handshake: Handshake, place: int) -> bool:
    """The token of that exchange was taken at some time; or the MCP server is its own authorization server."""
    stages = handshake.of(place)
    bearer = stages[0].bearer if stages and isinstance(stages[0], Mcp) else None
    if bearer is None:
        return False
    token = handshake.token
    own = token is not None and urls.origin(token.url) == urls.origin(stages[0].url)
    return own or any(mcp.bearer == bearer and mcp.ok for mcp in handshake.all(Mcp))


_SPECULATION = frozenset({"token-opaque-then-401"})
"""Rules that say what may be, where nobody gave a reason."""

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


def _sent_by(finding: Finding, refusal: Refusal, handshake: Handshake) -> bool:
    """The refused request went to an endpoint that this very document named."""
    stages = handshake.of(refusal.exchange)
    return bool(stages) and stages[0].initiator is not None and stages[0].initiator.exchange == finding.exchange


def _harmed(finding: Finding, handshake: Handshake) -> bool:
    """A request that the faulty member made the client send came to nothing."""
    places = set(same_document_places(finding, handshake)) if finding.severity == "error" else set()
    return any(
        stages[0].initiator is not None
        and stages[0].exchange.response is None
        and stages[0].exchange.error is not None
        and (stages[0].initiator.exchange, stages[0].initiator.at) in places
        for stages in (handshake.exchanges() if places else ())
    )


def _places(ending: Ending, handshake: Handshake) -> set[int]:
    """The exchanges of the refused step: for what came back through the browser, the authorization request too."""
    places = set(ending.same)
    for place in ending.same:
        for stage in handshake.of(place):
            if isinstance(stage, AuthorizationResponse):
                asked = stage.requested or handshake.authorization  # without `state` they cannot be told together
                places |= {asked.exchange.id} if asked is not None else set()
            if (first := led_from(stage, handshake)) is not None:
                places.add(first.exchange.id)
    return places


def _at_guess(finding: Finding, refusal: Refusal, handshake: Handshake) -> bool:
    """The refused request was not advertised, and the finding is about what made the client guess."""
    stages = handshake.of(refusal.exchange)
    if not stages or stages[0].initiator is None or not stages[0].initiator.guess:
        return False
    if finding.exchange == refusal.exchange:
        return False
    behind = {stage.exchange.id for stage in guess_ancestors(stages[0], handshake)}
    led = behind | causal_chain(handshake, stages[:1])
    same = {place for place, _ in same_document_places(finding, handshake)}
    return bool(same & led) and "discovery" in subjects_of(finding.rule)


def _passed(finding: Finding, refusal: Refusal, handshake: Handshake) -> bool:
    """The client met it before the refused request, and went on."""
    stages = handshake.of(finding.exchange or 0)
    if not stages or (finding.exchange or 0) >= refusal.exchange:
        return False
    return isinstance(stages[0], Document) or stages[0].ok or stages[0].status == 401


def _is_fact(finding: Finding, refusal: Refusal, places: set[int]) -> bool:
    """It compares the refused request with what was seen before, and not with the words."""
    here = finding.exchange in places and finding.at.startswith("request.")
    agrees = agreement(finding.rule, refusal.subject) == 2 and finding.severity != "note"
    return here and agrees and not rules.RULES[finding.rule].symptom and not _reads_words(finding, refusal)


def _reads_words(finding: Finding, refusal: Refusal) -> bool:
    """The finding quotes the refusal: it was found by what was said."""
    words = _letters(refusal.words)[:30]
    return len(words) > 6 and words in _letters(f"{finding.message} {finding.actual or ''}")


def _letters(text: str) -> str:
    return re.sub(r"[\W_]+", "", text.lower())


_NAME = re.compile(r"[a-z]+(?:_[a-z]+)+")
"""The name of a parameter or a code, as `client_id`: it stands in many findings, and is no value."""
_VALUE = re.compile(r"[A-Za-z0-9][A-Za-z0-9:/._~%@+-]{2,}[A-Za-z0-9/]")


def shares_value(finding: Finding, refusal: Refusal) -> bool:
    """The finding names a value that the refusal names: a scope, a URI, an id; no mere word."""
    values = {value for value in _VALUE.findall(refusal.words) if re.search(r"[0-9:/._-]", value)}
    values = {value for value in values if not _NAME.fullmatch(value)}
    if refusal.subject == "scope":
        values |= set(re.findall(r"scopes?(?: are invalid| is invalid)?[: '\"]+([\w:./-]{3,})", refusal.words))
    text = f"{finding.message} {finding.expected or ''} {finding.actual or ''}"
    return any(value in text for value in values if not value.endswith("."))


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


PARTY: dict[Party, str] = {
    "resource-server": "the MCP server",
    "authorization-server": "the authorization server",
    "client": "the client",
    "config": "the configuration",
    "network": "something in front of the server",
}

STEP: dict[str, str] = {
    "mcp-challenge": "the request without a token",
    "prm-discovery": "the protected resource metadata",
    "as-discovery": "the authorization server metadata",
    "client-registration": "the client registration",
    "pushed-authorization": "the pushed authorization request",
    "authorization-request": "the authorization request",
    "authorization-interaction": "a step of the login page",
    "authorization-response": "the authorization request",
    "token-request": "the token request",
    "token-refresh": "the token refresh",
    "token-other-grant": "the token request",
    "device-authorization": "the device authorization",
    "mcp-initialize": "the MCP initialize request",
    "mcp-discover": "the MCP server/discover request",
    "mcp-request": "an MCP request",
    "mcp-stream": "the MCP stream",
    "legacy-sse": "the legacy SSE request",
    "mcp-token-rejected": "the access token",
    "mcp-step-up": "the access token's scope",
    "other": "a page of the sign-in",
}


def said_by(refusal: Refusal, handshake: Handshake) -> Finding:
    """The refusal as a finding: its words, its party, what to change."""
    phrase = refusal.phrase.phrase if refusal.phrase is not None and refusal.phrase.subject == refusal.subject else None
    means, change = meaning(refusal.subject)
    if phrase is not None:
        means, change = phrase.means, phrase.change
        if refusal.subject == "resource" and "drop-resource" not in change:
            change = f"{change} To see whether it is this: leave `resource` out (`--fix drop-resource`)."
    if refusal.edge and refusal.subject == "edge":
        means = f"{refusal.edge} answered in its place. {means}".strip()
    host = _host(refusal, handshake)
    party = PARTY[refusal.who]
    omitted = find_omission(refusal, handshake)
    if omitted is not None:
        means, change = f"The request has no `{omitted}`.", f"Make the client send `{omitted}`."
    if refusal.stage == "authorization-request" and refusal.status == 404 and phrase is None:
        means = "This address serves no page, or the server does not know the client id: some say it with 404."
        change = "Configure the id of a registered client; if the id is right, correct `authorization_endpoint`."
    title = f"{party[:1].upper()}{party[1:]} refuses {STEP.get(refusal.stage, 'a request')}"
    needless = is_absent_guess(refusal, handshake) and any(
        one.ok and one.bearer is None and one.exchange.id < refusal.exchange for one in handshake.all(Mcp)
    )
    if needless:
        title = "The client tries to sign in at a server that had answered it without a sign-in"
        means = "The MCP server answered without a token, and no document names this address."
        change = "In the client: use the server without a sign-in."
    where = " with a tool result (`isError`)" if refusal.at.endswith("result.content") else ""
    person = refusal.subject == "user-denied"
    return Finding(
        rule=REFUSED,
        title=title,
        severity="note" if person else "error",
        level="practice",
        responsible="client" if omitted or needless else _owner(refusal, phrase.party if phrase is not None else None),
        stage=refusal.stage,
        exchange=refusal.exchange,
        at=refusal.at,
        message=f"{host} answered{where} {refusal.said}. {means}".strip(),
        actual=refusal.words or refusal.code,
        fix=change or f"Look into the log of {host} at the time of this exchange.",
        source=phrase.source if phrase is not None else "",
    )


def _owner(refusal: Refusal, named: Party | None) -> Party:
    """Whose it is to change. Words of a server alone never make it the client's."""
    if named is not None and named != "client":
        return named
    return "config" if refusal.subject == "client-auth" else refusal.who


def _host(refusal: Refusal, handshake: Handshake) -> str:
    stages = handshake.of(refusal.exchange)
    if refusal.stage == "authorization-response" and refusal.who == "authorization-server":
        asked = handshake.authorization
        return (asked.request.parts.netloc if asked else "") or "the authorization server"
    return (stages[0].request.parts.netloc if stages else "") or PARTY[refusal.who]


def experiment(candidate: Candidate, resource: str | None) -> str | None:
    """A command line that tells whether it is this cause; None where nothing in an answer can be changed for it."""
    if candidate.subject == "resource" and resource:
        return f"oauthtap --upstream {shlex.quote(resource)} --fix drop-resource"
    if candidate.finding.patch is not None and resource:
        return f"oauthtap --upstream {shlex.quote(resource)} --fix {candidate.finding.rule}"
    return None
