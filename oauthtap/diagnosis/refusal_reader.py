"""What the one who said no actually said: party, place, code, words, subject. One reader for every way of saying it.

OAuth errors (RFC 6749 §5.2, in any member order, `error` as an object or in a list), the query of a redirect back
(§4.1.2.1), `WWW-Authenticate` of any scheme (RFC 9110 §11.6.1), JSON-RPC errors, an MCP tool result with `isError`,
problem details (RFC 9457), HTML pages, plain text, and what edges put into headers. What the words mean is data:
`oauthtap.vendors`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import parse_qsl, urlsplit

from oauthtap.diagnosis.edge import edge_of
from oauthtap.diagnosis.findings import Party
from oauthtap.diagnosis.refusal import Refusal, best_phrase, build_refusal, subject_of
from oauthtap.diagnosis.soft_error import led_from, read_soft_error
from oauthtap.diagnosis.wording import (
    Said,
    fold_spaces,
    read_words,
)
from oauthtap.handshake.stages import (
    AuthorizationResponse,
    Challenge,
    Document,
    Mcp,
    McpStream,
    Preflight,
    Registration,
    SessionEnd,
    Stage,
    TokenEndpoint,
    Unseen,
    texts,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange


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
        return read_soft_error(stage, exchange, response, handshake)
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
    return build_refusal(stage, exchange, handshake, said, edge)


def read_challenge(stage: Challenge, handshake: Handshake) -> Refusal | None:
    """What the 401 that starts a sign-in says; None where it says nothing."""
    exchange = stage.exchange.patched
    if exchange.injected_fault or exchange.response is None or exchange.response.status < 400:
        return None
    said = read_words(exchange)
    if not (said.words or said.code):
        return None
    return build_refusal(stage, exchange, handshake, said, edge_of(exchange.response))


def _of_vendor(exchange: Exchange) -> bool:
    """A vendor answers in words that are known, and not whatever stands at this address."""
    said = read_words(exchange)
    best = best_phrase(said, exchange) if said.words else None
    return best is not None and not best.phrase.is_generic


def _starts_sign_in(exchange: Exchange, said: Said) -> bool:
    """A 401 without a token that means no more than: sign in first."""
    if exchange.status != 401 or exchange.response is None:
        return False
    lines = exchange.response.header_lines("www-authenticate")
    if lines and not any("bearer" in line.lower() or "dpop" in line.lower() for line in lines):
        return False  # a gate that wants something else than a token
    subject = subject_of(said)[0] if said.words else None
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
        return build_refusal(stage, exchange, handshake, said, "", who="authorization-server", status=None)
    if exchange.response is not None and exchange.response.status >= 400 and stage.callback:
        whose: Party = "authorization-server" if is_changed_callback(stage, handshake) else "client"
        return build_refusal(stage, exchange, handshake, read_words(exchange), "", who=whose)
    onward = exchange.response.header("location") if exchange.response is not None and stage.callback else None
    told = dict(parse_qsl(urlsplit(onward or "").query))
    if code := told.get("oauth_error"):  # Claude.ai leads the browser on to its settings with it
        who: Party = "authorization-server" if _OF_THE_SERVER.search(code) else "client"
        words = fold_spaces(told.get("oauth_error_description", code))
        said = Said(code, words, "response.header.location.oauth_error")
        return build_refusal(stage, exchange, handshake, said, "", who=who, status=None)
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
