"""What the one who said no actually said: party, place, code, words, subject. One reader for every way of saying it.

OAuth errors (RFC 6749 §5.2, in any member order, `error` as an object or in a list), the query of a redirect back
(§4.1.2.1), `WWW-Authenticate` of any scheme (RFC 9110 §11.6.1), JSON-RPC errors, an MCP tool result with `isError`,
problem details (RFC 9457), HTML pages, plain text, and what edges put into headers. What the words mean is data:
`oauthtap.vendors`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import parse_qsl, urlsplit

from oauthtap.diagnosis.edge import edge_of
from oauthtap.diagnosis.findings import Party
from oauthtap.diagnosis.phrases import PhraseMatch, match_phrases, plain_subject
from oauthtap.diagnosis.wording import (
    FILLER,
    GENERAL,
    READ,
    SAYS_NOTHING,
    Said,
    fold_spaces,
    page_parts,
    page_words,
    read_json,
    read_words,
)
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    AuthorizationResponse,
    Challenge,
    Document,
    Initialize,
    Interaction,
    Mcp,
    McpStream,
    Preflight,
    Registration,
    SessionEnd,
    Stage,
    TokenEndpoint,
    TokenRefresh,
    TokenRejected,
    TokenRequest,
    Unseen,
    texts,
)
from oauthtap.handshake.state import Handshake, absolute
from oauthtap.handshake.token_request import expired
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Message, Response
from oauthtap.vendors import Subject

_BEARER_CODES = ("invalid_token", "invalid_request", "insufficient_scope")
"""Codes of RFC 6750 §3.1; where nothing else is said, they tell a form and no reason."""


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


def read_refusal(stage: Stage, handshake: Handshake) -> Refusal | None:
    """What an exchange refuses, as the client got it; None where it refuses nothing, or has no answer.

    A 404 at a place where metadata may lie, a 405 to the GET that opens a stream, and the plain 401 that starts a
    sign-in are no refusals: specifications make them part of a healthy handshake.
    """
    exchange = stage.exchange.patched
    if exchange.injected_fault or isinstance(stage, Preflight | SessionEnd):
        return None
    if isinstance(stage, AuthorizationResponse):
        return _redirected_back(stage, handshake)
    response = exchange.response
    if response is None:
        return None
    if response.status < 400:
        return _in_success(stage, exchange, response, handshake)
    if isinstance(stage, Document) and response.status in (404, 410):
        return None
    if isinstance(stage, Document) and response.status in (405, 406) and not _of_vendor(exchange):
        return None
    if isinstance(stage, McpStream) and response.status in (404, 405, 406, 415):
        return None
    said = read_words(exchange)
    edge = edge_of(response, gates=not isinstance(stage, TokenEndpoint))
    if isinstance(stage, Challenge) and not edge and _starts_sign_in(exchange, said):
        return None
    return _refusal(stage, exchange, handshake, said, edge)


def read_challenge(stage: Challenge, handshake: Handshake) -> Refusal | None:
    """What the 401 that starts a sign-in says; None where it says nothing."""
    exchange = stage.exchange.patched
    if exchange.injected_fault or exchange.response is None or exchange.response.status < 400:
        return None
    said = read_words(exchange)
    return _refusal(stage, exchange, handshake, said, edge_of(exchange.response)) if said.words or said.code else None


def is_absent_guess(refusal: Refusal, handshake: Handshake) -> bool:
    """Nothing is there, at an address that no document named: the client guessed it. It says no to nobody."""
    stages = handshake.of(refusal.exchange)
    guess = bool(stages) and stages[0].initiator is not None and stages[0].initiator.guess
    return guess and refusal.status in (404, 405, 410)


def _of_vendor(exchange: Exchange) -> bool:
    """A vendor answers in words that are known, and not whatever stands at this address."""
    said = read_words(exchange)
    best = _best(said, exchange) if said.words else None
    return best is not None and not best.phrase.is_generic


def _starts_sign_in(exchange: Exchange, said: Said) -> bool:
    """A 401 without a token that means no more than: sign in first."""
    if exchange.status != 401 or exchange.response is None:
        return False
    lines = exchange.response.header_lines("www-authenticate")
    if lines and not any("bearer" in line.lower() or "dpop" in line.lower() for line in lines):
        return False  # a gate that wants something else than a token
    subject = _subject(said)[0] if said.words else None
    if subject == "session" and exchange.request.header("mcp-session-id") is not None:
        return False
    return subject in (None, "token", "token-expired", "session", "request")


def _redirected_back(stage: AuthorizationResponse, handshake: Handshake) -> Refusal | None:
    """RFC 6749 §4.1.2.1: `error` in the authorization response; or a callback that answers with an error itself."""
    exchange = stage.exchange.patched
    if error := stage.get("error"):
        at = "request.query.error_description" if stage.callback else "response.header.location.error_description"
        words = stage.get("error_description") or ""
        said = Said(error, fold_spaces(words), at if words else at.removesuffix("_description"))
        return _refusal(stage, exchange, handshake, said, "", who="authorization-server", status=None)
    if exchange.response is not None and exchange.response.status >= 400 and stage.callback:
        whose: Party = "authorization-server" if is_changed_callback(stage, handshake) else "client"
        return _refusal(stage, exchange, handshake, read_words(exchange), "", who=whose)
    onward = exchange.response.header("location") if exchange.response is not None and stage.callback else None
    told = dict(parse_qsl(urlsplit(onward or "").query))
    if code := told.get("oauth_error"):  # Claude.ai leads the browser on to its settings with it
        who: Party = "authorization-server" if _OF_THE_SERVER.search(code) else "client"
        words = fold_spaces(told.get("oauth_error_description", code))
        said = Said(code, words, "response.header.location.oauth_error")
        return _refusal(stage, exchange, handshake, said, "", who=who, status=None)
    return None


def is_changed_callback(stage: AuthorizationResponse, handshake: Handshake) -> bool:
    """The callback is of the registration's answer, and the client had asked for others."""
    target = urls.without_query(stage.target)
    for registration in handshake.all(Registration):
        try:
            asked = texts(registration.requested.get("redirect_uris"))
            kept = texts(registration.issued.get("redirect_uris"))
        except Unseen:
            continue
        own = any(urls.redirect_matches(target, uri) for uri in asked)
        if asked and not own and any(urls.redirect_matches(target, uri) for uri in kept):
            return True
    return False


_OF_THE_SERVER = re.compile(r"registration|token_exchange")


def _in_success(stage: Stage, exchange: Exchange, response: Response, handshake: Handshake) -> Refusal | None:
    """A refusal in an answer whose status is no error."""
    location = response.header("location") or ""
    if isinstance(stage, Mcp) and 300 <= response.status < 400:
        if stage.bearer is None or not location or not urls.leads_to_login(stage.url, absolute(location, stage.url)):
            return None
        said = Said(None, "", "response.header.location")
        return replace(_refusal(stage, exchange, handshake, said, edge_of(response)), subject="token")
    body = (response.body or "")[:READ]
    if isinstance(stage, Mcp):
        return _in_result(stage, exchange, response, handshake)
    if isinstance(stage, TokenEndpoint) and response.json_object.get("error"):
        return _refusal(stage, exchange, handshake, read_words(exchange), "")
    if isinstance(stage, TokenEndpoint) and "error=" in body and "access_token=" not in body:
        form = dict(Message(body=body).form)
        if form.get("error"):
            said = Said(form["error"], fold_spaces(form.get("error_description", "")), "response.form.error")
            return _refusal(stage, exchange, handshake, said, "")
    if edge := edge_of(response):
        return _refusal(stage, exchange, handshake, read_words(exchange), edge)
    if isinstance(stage, AuthorizationRequest | Interaction) or led_from(stage, handshake) is not None:
        return _on_page(stage, exchange, response, handshake)
    return None


_OF_ERRORS = re.compile(
    r"\berror\b|\bdenied\b|\bforbidden\b|went wrong|not (?:allowed|found|recogni[sz]ed)|\binvalid\b|\bunknown\b", re.I
)


def _on_page(stage: Stage, exchange: Exchange, response: Response, handshake: Handshake) -> Refusal | None:
    """A page of the authorization server with status 200 that tells of an error, or a redirect to one."""
    location = response.header("location") or ""
    if 300 <= response.status < 400:
        query = dict(Message(body=location.partition("?")[2].partition("#")[0]).form)
        if query.get("error") and not query.get("code"):
            said = Said(
                query["error"], fold_spaces(query.get("error_description", "")), "response.header.location.error"
            )
            return _refusal(stage, exchange, handshake, said, "")
        return None
    if response.media_type in ("application/json", "application/problem+json"):
        said = read_words(exchange)
        return (
            _refusal(stage, exchange, handshake, said, "") if response.json_object.get("error") and said.words else None
        )
    if response.media_type != "text/html":
        return None
    title, heads, text = page_parts(response.body or "")
    said = Said(None, page_words(title, heads, text), "response.body")
    known = _best(said, exchange)
    told = _OF_ERRORS.search(f"{title} {heads}")
    coded = (
        known is not None
        and not known.phrase.is_generic
        and re.search(r"[A-Z]{2,}[\dA-Z_]*\d{3,}|\w_\w", known.matched)
    )
    return _refusal(stage, exchange, handshake, said, "") if known is not None and (told or coded) else None


def _in_result(stage: Mcp, exchange: Exchange, response: Response, handshake: Handshake) -> Refusal | None:
    """A JSON-RPC error, or a tool result with `isError` that tells of the sign-in (MCP, Tools, Error Handling)."""
    if response.body is None:
        return None
    try:
        reply = stage.as_delivered.reply
    except Unseen:
        return None
    error = reply.get("error")
    if error:
        said = read_json(reply, "response.json")
        told = _TOLD_IN_RESULT.search(said.words) and _subject(said)[0] in _OF_SIGN_IN
        told = told and not _OF_OTHERS.search(said.words)
        return _refusal(stage, exchange, handshake, said, "") if told or isinstance(stage, Initialize) else None
    result = reply.get("result")
    if isinstance(result, dict) and result.get("isError") is True:
        parts = [part.get("text") for part in result.get("content") or () if isinstance(part, dict)]
        words = fold_spaces(" ".join(text for text in parts if isinstance(text, str)))
        subject = _subject(Said(None, words, ""))[0]
        if _TOLD_IN_RESULT.search(words) and subject in _OF_SIGN_IN | {None} and not _OF_OTHERS.search(words):
            return _refusal(stage, exchange, handshake, Said(None, words, "response.json.result.content"), "")
    return None


_TOLD_IN_RESULT = re.compile(
    r"token.{0,40}(?:expired|invalid|revoked)|(?:expired|invalid|revoked).{0,40}(?:token|session|credential)|unauthori[sz]ed"
    r"|\b401\b|re-?authenticate|sign in again|log ?in again|not authenticated|insufficient[_ ]scope",
    re.I,
)


_OF_OTHERS = re.compile(
    r"\b(?:github|gitlab|slack|google|gmail|jira|notion|linear|stripe|salesforce|hubspot|figma|dropbox|aws|azure devops"
    r"|third.party|api.?key|personal access)\b",
    re.I,
)
"""Tokens of other services, which the tool itself uses: no matter of this sign-in."""


_OF_SIGN_IN: frozenset[str | None] = frozenset(
    {
        "token",
        "token-expired",
        "token-revoked",
        "token-key",
        "token-issuer",
        "token-audience",
        "session",
        "scope",
        "grant",
    }
)


def _refusal(
    stage: Stage,
    exchange: Exchange,
    handshake: Handshake,
    said: Said,
    edge: str,
    *,
    who: Party | None = None,
    status: int | None = -1,
) -> Refusal:
    subject, phrase = _subject(said, exchange)
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


def _best(said: Said, exchange: Exchange | None = None) -> PhraseMatch | None:
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


def _subject(said: Said, exchange: Exchange | None = None) -> tuple[Subject | None, PhraseMatch | None]:
    best = _best(said, exchange)
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


def refusals(handshake: Handshake, since: int = 0) -> Iterator[tuple[Stage, Refusal]]:
    """Every refusal that client or browser met, from exchange `since` on, in order."""
    for stages in handshake.exchanges():
        exchange = stages[0].exchange
        if exchange.id < since or exchange.actor not in ("client", "browser"):
            continue
        if stages[0].slug == Stage.slug and led_from(stages[0], handshake) is None:
            continue
        back = tuple(stage for stage in stages if isinstance(stage, AuthorizationResponse))
        front = stages[:1] if isinstance(stages[0], Mcp) else back or stages
        for stage in front:
            if refusal := read_refusal(stage, handshake):
                yield stage, refusal
                break


def led_from(stage: Stage, handshake: Handshake) -> AuthorizationRequest | Interaction | None:
    """The request at the authorization server from which the browser was redirected here, over however many hops."""
    for _ in range(10):
        if stage.exchange.actor != "browser" or stage.initiator is None or stage.initiator.exchange is None:
            return None
        before = handshake.of(stage.initiator.exchange)
        if not before:
            return None
        stage = before[0]
        if isinstance(stage, AuthorizationRequest | Interaction):
            return stage
    return None
