"""Hints for a stall that no finding explains: the step, what cannot be known here, where to look next.

Said when a handshake stopped and no finding is its cause, or only one that says *that*
a step failed. Words for a person; nothing is judged.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from oauthtap.diagnosis.progress import STAGE_ORDER
from oauthtap.model.exchange import json_keys


class StallHint(BaseModel):
    """Where it stands still, and what to do about it."""

    model_config = json_keys(next_step="was_to", where_to_look="look")

    stage: str
    exchange: int | None
    next_step: str
    """What the client was about to do next."""
    unknown: str
    """What the recording cannot show."""
    where_to_look: str
    """What to look at next."""


_TABLE: dict[str, tuple[str, str, str]] = {
    "cors-preflight": (
        "send the request that the preflight is for",
        "what the browser decided",
        "the browser's console; then the CORS headers of this response",
    ),
    "mcp-challenge": (
        "read the challenge and fetch the resource metadata",
        "whether the client parsed the challenge, and whether sign-in was started",
        "whether sign-in was started in the client (Claude Code: `claude mcp login NAME`); then its own log",
    ),
    "prm-discovery": (
        "choose an authorization server and fetch its metadata",
        "why the client rejected the document: only its own log says so",
        "the client's log; then another client at the same URL, through oauthtap",
    ),
    "as-discovery": (
        "register, or open the browser with a client id",
        "which member of the metadata the client rejected",
        "the client's log; then what other clients would do (`oauthtap check --clients`)",
    ),
    "client-registration": (
        "open the browser at the authorization endpoint",
        "whether the browser opened (headless machine, blocked pop-up)",
        "the terminal or window of the client for an address to open by hand",
    ),
    "pushed-authorization": (
        "open the browser with the `request_uri`",
        "whether the browser opened",
        "the terminal or window of the client for an address to open by hand",
    ),
    "authorization-request": (
        "have the person log in and give consent",
        "what the login page shows: the browser is at the authorization server itself",
        "the browser window: an error page there names the reason; then the authorization server's log",
    ),
    "authorization-interaction": (
        "return to the client with a code",
        "what the person did on the login and consent pages",
        "the browser window; then the authorization server's log",
    ),
    "authorization-response": (
        "exchange the code for a token",
        "whether the client's callback was reached, and whether it accepted `state` and `iss`",
        "the browser window (it cannot connect where nothing listens on a loopback callback); then the client's log",
    ),
    "token-request": (
        "call the MCP server with the token",
        "why the client did not use the token response",
        "the client's log; then the authorization server's log for this request",
    ),
    "token-refresh": (
        "continue with the new token",
        "why the authorization server refused: often only its log says",
        "the authorization server's log; then sign out and in again in the client",
    ),
    "token-other-grant": (
        "call the MCP server with the token",
        "why the client did not use the token response",
        "the authorization server's log for this request",
    ),
    "device-authorization": (
        "poll until the person has entered the code",
        "what the person does in the other browser",
        "the address and code that the client shows",
    ),
    "mcp-token-rejected": (
        "use the token",
        "which check of the MCP server failed: signature key, audience, issuer, time or scope",
        "the MCP server's log at the time of this exchange; a gateway in front of it, if there is one",
    ),
    "mcp-step-up": (
        "request the additional scope",
        "which scopes the person's account may have",
        "the scopes of the challenge against those the authorization server grants to this account",
    ),
}
_MCP = (
    "send more MCP requests",
    "what the MCP server does internally",
    "the MCP server's log at the time of this exchange; the sign-in itself is complete",
)


_ONLY_LISTENED = (
    "send `initialize` with POST",
    "why the client only sent GETs, and never an MCP request: it had a token, and its stream was answered",
    "the client's log after the token response: every answer that it got was in order",
)


_UNNAMED = (
    "fetch the resource metadata, which the challenge does not name",
    "whether the client looks for it at the well-known URLs without being told, and whether sign-in was started",
    "`WWW-Authenticate`: it has no `resource_metadata`, which some clients need; then whether sign-in was started in "
    "the client (Claude Code: `claude mcp login NAME`)",
)


_SLASH = (
    "choose an authorization server and fetch its metadata",
    "whether the client compares strings: `resource` and its URL are the same but for the slash at the end",
    "`resource`: write it as the client's URL is written, and try again; then the client's log",
)


_CALLED_BACK = (
    "exchange the code for a token",
    "why the client did not go on: its callback was reached and answered (it may have rejected `state` or `iss`)",
    "the client's log at the time of the callback",
)


_NO_DOCUMENT = (
    "read the document, which no answer shows",
    "what is answered at this URL: an error is told, and no status",
    "`curl -i` with the URL of this exchange; then the client's log",
)


Manner = Literal["called-back", "only-listened", "unnamed", "slash", "no-document"]
"""The callback answered; the client only opened streams at the MCP server; the challenge names no resource metadata;
`resource` differs from the client's URL by a slash at the end only; a metadata request of an excerpt has no answer."""
_MANNERS: dict[Manner, tuple[str, str, str]] = {
    "called-back": _CALLED_BACK,
    "only-listened": _ONLY_LISTENED,
    "unnamed": _UNNAMED,
    "slash": _SLASH,
    "no-document": _NO_DOCUMENT,
}


def later_hint(hint: StallHint | None, told: str | None) -> StallHint | None:
    """The hint for the step that the text itself says it came to, where that is behind the last exchange it shows."""
    if (
        hint is None
        or told is None
        or hint.stage not in STAGE_ORDER
        or STAGE_ORDER.index(told) <= STAGE_ORDER.index(hint.stage)
    ):
        return hint
    return stall_hint(told, None)


def stall_hint(stage: str, exchange: int | None, manner: Manner | None = None) -> StallHint:
    """What is known of a stop at this stage (`spec` ids as in `stages.py`); in this manner, where there is one."""
    known = _MANNERS[manner] if manner else _TABLE.get(stage, _MCP)
    was_to, unknown, look = known
    return StallHint(stage=stage, exchange=exchange, next_step=was_to, unknown=unknown, where_to_look=look)
