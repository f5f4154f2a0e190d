"""A refusal in an answer whose status is no error: a page, a redirect, a result of a tool, a token answer."""

from __future__ import annotations

import re
from dataclasses import replace

from oauthtap.diagnosis.edge import edge_of
from oauthtap.diagnosis.refusal import Refusal, best_phrase, build_refusal, subject_of
from oauthtap.diagnosis.wording import (
    READ,
    Said,
    fold_spaces,
    page_parts,
    page_words,
    read_json,
    read_words,
)
from oauthtap.handshake.mcp_refusal import DENIED, told_by_tool
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    Initialize,
    Interaction,
    Mcp,
    Stage,
    TokenEndpoint,
    Unseen,
)
from oauthtap.handshake.state import Handshake, absolute
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Message, Response

_OF_ERRORS = re.compile(
    r"\berror\b|\bdenied\b|\bforbidden\b|went wrong|not (?:allowed|found|recogni[sz]ed)|\binvalid\b|\bunknown\b", re.I
)


def read_soft_error(stage: Stage, exchange: Exchange, response: Response, handshake: Handshake) -> Refusal | None:
    """A refusal in an answer whose status is no error."""
    location = response.header("location") or ""
    if isinstance(stage, Mcp) and 300 <= response.status < 400:
        if stage.bearer is None or not location or not urls.leads_to_login(stage.url, absolute(location, stage.url)):
            return None
        said = Said(None, "", "response.header.location")
        return replace(build_refusal(stage, exchange, handshake, said, edge_of(response)), subject="token")
    body = (response.body or "")[:READ]
    if isinstance(stage, Mcp):
        return _in_result(stage, exchange, response, handshake)
    if isinstance(stage, TokenEndpoint) and response.json_object.get("error"):
        return build_refusal(stage, exchange, handshake, read_words(exchange), "")
    if isinstance(stage, TokenEndpoint) and "error=" in body and "access_token=" not in body:
        form = dict(Message(body=body).form)
        if form.get("error"):
            said = Said(form["error"], fold_spaces(form.get("error_description", "")), "response.form.error")
            return build_refusal(stage, exchange, handshake, said, "")
    if edge := edge_of(response):
        return build_refusal(stage, exchange, handshake, read_words(exchange), edge)
    if isinstance(stage, AuthorizationRequest | Interaction) or led_from(stage, handshake) is not None:
        return _on_page(stage, exchange, response, handshake)
    return None


def _on_page(stage: Stage, exchange: Exchange, response: Response, handshake: Handshake) -> Refusal | None:
    """A page of the authorization server with status 200 that tells of an error, or a redirect to one."""
    location = response.header("location") or ""
    if 300 <= response.status < 400:
        query = dict(Message(body=location.partition("?")[2].partition("#")[0]).form)
        if query.get("error") and not query.get("code"):
            said = Said(
                query["error"], fold_spaces(query.get("error_description", "")), "response.header.location.error"
            )
            return build_refusal(stage, exchange, handshake, said, "")
        return None
    if response.media_type in ("application/json", "application/problem+json"):
        said = read_words(exchange)
        told = response.json_object.get("error") and said.words
        return build_refusal(stage, exchange, handshake, said, "") if told else None
    if response.media_type != "text/html":
        return None
    title, heads, text = page_parts(response.body or "")
    said = Said(None, page_words(title, heads, text), "response.body")
    known = best_phrase(said, exchange)
    told = _OF_ERRORS.search(f"{title} {heads}")
    coded = (
        known is not None
        and not known.phrase.is_generic
        and re.search(r"[A-Z]{2,}[\dA-Z_]*\d{3,}|\w_\w", known.matched)
    )
    return build_refusal(stage, exchange, handshake, said, "") if known is not None and (told or coded) else None


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
        told = _TOLD_IN_RESULT.search(said.words) and subject_of(said)[0] in _OF_SIGN_IN
        told = told and not _OF_OTHERS.search(said.words)
        return build_refusal(stage, exchange, handshake, said, "") if told or isinstance(stage, Initialize) else None
    words = told_by_tool(reply)
    subject = subject_of(Said(None, words, ""))[0]
    denied = stage.bearer is None and DENIED.fullmatch(words) is not None
    if (
        words
        and (denied or _TOLD_IN_RESULT.search(words))
        and subject in _OF_SIGN_IN | {None, "policy"}
        and not _OF_OTHERS.search(words)
    ):
        return build_refusal(stage, exchange, handshake, Said(None, words, "response.json.result.content"), "")
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
