"""One answer that says no: party, place, code, words, and what they are about.

What the words mean is data: `oauthtap.vendors`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from oauthtap.diagnosis.findings import Party
from oauthtap.diagnosis.phrases import PhraseMatch, match_phrases, plain_subject
from oauthtap.diagnosis.wording import (
    FILLER,
    GENERAL,
    SAYS_NOTHING,
    Said,
)
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    Challenge,
    Mcp,
    Stage,
    TokenEndpoint,
    TokenRefresh,
    TokenRejected,
    TokenRequest,
    Unseen,
)
from oauthtap.handshake.state import Handshake
from oauthtap.handshake.token_request import expired
from oauthtap.model.exchange import Exchange
from oauthtap.vendors import Subject


@dataclass(frozen=True)
class Refusal:
    """One answer that says no."""

    exchange: int
    stage: str
    status: int | None
    who: Party
    """The party that refused: the one that answered. Whose it is to change is another question (`phrase.party`)."""
    at: str
    """Where the words stand: `response.json.error_description`, `response.header.www-authenticate`, `response.body`."""
    code: str | None
    """The OAuth error code, JSON-RPC code or vendor's code; None without one."""
    words: str
    """What was said, white space folded, bounded. Empty where nothing but a status was."""
    subject: Subject | None
    phrase: PhraseMatch | None = None
    """What is known of this wording."""
    edge: str = ""
    """The product in front of the server that answered in its place; empty where none shows."""

    @property
    def is_telling(self) -> bool:
        """It gives a reason: more than a status, a code, or words that repeat them."""
        words = FILLER.sub("", self.words.lower()).strip(" .!;,")
        if self.words and not words and not self.edge:
            return False
        if SAYS_NOTHING.fullmatch(words):
            return False
        return bool(self.edge) or (bool(words) and words not in GENERAL and words.replace(" ", "_") != self.code)

    @property
    def said(self) -> str:
        """Status, code and words on one line."""
        status = str(self.status) if self.status is not None else ""
        code = self.code if self.code and self.code.lower() not in self.words.lower() else ""
        head = " ".join(filter(None, (status, code)))
        return f'{head}: "{self.words}"' if self.words and head else head or f'"{self.words}"'


def is_absent_guess(refusal: Refusal, handshake: Handshake) -> bool:
    """Nothing is there, at an address that no document named: the client guessed it. It says no to nobody."""
    stages = handshake.of(refusal.exchange)
    guess = bool(stages) and stages[0].initiator is not None and stages[0].initiator.guess
    return guess and refusal.status in (404, 405, 410)


def build_refusal(
    stage: Stage,
    exchange: Exchange,
    handshake: Handshake,
    said: Said,
    edge: str,
    *,
    who: Party | None = None,
    status: int | None = -1,
) -> Refusal:
    """What a step was answered, with the subject of its words as it is at that step.

    `who` and `status`: the party and status where they are not those of the exchange; None as a status means that it
    says nothing.
    """
    subject, phrase = subject_of(said, exchange)
    known = phrase is not None and phrase.phrase.subject == "edge"
    if edge and not known and (phrase is None or phrase.phrase.is_generic):
        subject = "edge"
    if isinstance(stage, TokenRefresh) and (subject == "session" or str(subject).startswith("token")):
        subject = "grant"  # at this endpoint it is the refresh token, or the login behind it
    if isinstance(stage, Challenge) and str(subject).startswith("token"):
        subject = None  # there is no token that could be wrong
    if isinstance(stage, TokenRejected) and subject in (None, "token", "session") and _is_over(stage, handshake):
        subject = "token-expired"  # whatever the words: its time was up
    if isinstance(stage, TokenRequest) and str(subject).startswith("token"):
        subject = "client-auth" if exchange.status == 401 else "grant"
    if isinstance(stage, AuthorizationRequest) and exchange.status == 404 and subject in (None, "not-mcp"):
        subject = "client"  # the page was advertised: some servers answer 404 to a client id that they do not know
    if subject == "not-mcp" and not isinstance(stage, Mcp):
        subject = "method"  # nothing is served at this address, which is none of an MCP endpoint
    status = exchange.status if status == -1 else status
    if subject in (None, "request") and status is not None:
        subject = _by_status(status) or subject
    return Refusal(
        exchange=exchange.id,
        stage=stage.slug,
        status=status,
        who=who or ("network" if subject == "edge" else _party(stage)),
        at=said.at if said.words or said.code else "response.status",
        code=said.code,
        words=said.words,
        subject=subject,
        phrase=phrase,
        edge=edge or (phrase.vendor if phrase is not None and subject == "edge" else ""),
    )


def _is_over(stage: TokenRejected, handshake: Handshake) -> bool:
    """The token's lifetime had passed when it was refused."""
    issued = handshake.of(handshake.issued.get(stage.bearer or "", 0))
    try:
        return any(isinstance(one, TokenEndpoint) and expired(stage, one) for one in issued)
    except Unseen:
        return False


def _by_status(status: int) -> Subject | None:
    if status >= 500 or status == 429:
        return "server-fault"
    return {405: "method", 406: "media-type", 415: "media-type"}.get(status)  # type: ignore[return-value]


def _party(stage: Stage) -> Party:
    if isinstance(stage, Mcp) or stage.slug == "prm-discovery":
        return "resource-server"
    return "authorization-server"


def best_phrase(said: Said, exchange: Exchange | None = None) -> PhraseMatch | None:
    """The phrase of a vendor that fits the words best, the host and headers of the answer counted."""
    hosts: tuple[str, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    if exchange is not None and exchange.response is not None:
        hosts = (exchange.request.parts.hostname or "",)
        headers = exchange.response.headers
    return _matched(said.words, said.code, hosts, headers)


@lru_cache(maxsize=512)
def _matched(
    words: str, code: str | None, hosts: tuple[str, ...], headers: tuple[tuple[str, str], ...]
) -> PhraseMatch | None:
    return next(iter(match_phrases(words, code, hosts, headers)), None)


def subject_of(said: Said, exchange: Exchange | None = None) -> tuple[Subject | None, PhraseMatch | None]:
    """What the words are about, and the phrase that told it; None where they leave it open."""
    best = best_phrase(said, exchange)
    if best is not None and not (said.words and _only_code(best, said)):
        return best.subject, best
    subject = plain_subject(said.words, said.code) or (best.subject if best else None)
    return subject or ("request" if _MISSES.search(said.words) else None), best


_MISSES = re.compile(
    r"(?:missing|required|unknown|unsupported|unexpected|invalid).{0,40}\b(?:parameter|param|field|argument|property)\b"
    r"|\b(?:parameter|param|field|argument)\b.{0,40}(?:missing|required|unknown|invalid|not (?:supported|allowed))",
    re.I,
)


def _only_code(best: PhraseMatch, said: Said) -> bool:
    """Nothing but the code matched, though there are words that may say more."""
    return said.code is not None and best.matched.lower().strip(": '") == said.code.lower()
