"""After the sign-in, as a generator: what a client does where its token is refused, falls short, or runs out."""

from __future__ import annotations

from oauthtap.handshake.stages import text
from oauthtap.model import www_authenticate
from oauthtap.model.exchange import Exchange
from oauthtap.probe.mcp_connect import connect
from oauthtap.probe.oauth_flow import SignIn, accepted_token, authorized, identified, redeemed
from oauthtap.probe.requests import ProbeRequest
from oauthtap.probe.walk_state import FlowState, Steps, Stop, WalkState


def use_token(state: WalkState, facts: FlowState, how: SignIn, token: str) -> Steps[Exchange]:
    """The answer to its first requests with the token, in the end. Raises Stop where a further sign-in fails.

    A token that is refused is refreshed once, and a scope that is missing is asked for once, by clients that do so.
    """
    behaviour = state.client.behaviour
    answer = yield from connect(state.url, state.asker, token)
    if answer.status == 401 and behaviour.refreshes != "never" and facts.granted.get("refresh_token"):
        state.note_traits("refreshes")
        renewal = yield from _refresh(state, facts)
        if renewal.ok:
            answer = yield from connect(state.url, state.asker, accepted_token(state, facts, renewal))
    wanted = missing_scope(answer)
    if wanted and behaviour.steps_up:
        state.note_traits("steps_up")
        facts.scope = " ".join(dict.fromkeys([*(facts.scope or "").split(), *wanted.split()]))
        form = yield from authorized(state, facts, how)
        further = yield from redeemed(state, facts, facts.endpoint("token") or "", form)
        answer = yield from connect(state.url, state.asker, further)
    return answer


def missing_scope(answer: Exchange) -> str | None:
    """The scope that the server wants beside those of the token (RFC 6750, 3.1)."""
    lines = answer.response.header_lines("www-authenticate") if answer.response and answer.status == 403 else ()
    if not lines or www_authenticate.parse_like_sdks(lines, "error") != "insufficient_scope":
        return None
    return www_authenticate.parse_like_sdks(lines, "scope")


def try_refresh(state: WalkState, facts: FlowState) -> Steps[str]:
    """Why the connection would be lost when the token runs out; empty where it would not, or nothing tells.

    Sends one refresh request as the client would send it.
    """
    if state.client.behaviour.refreshes == "never":
        return ""
    if facts.granted.get("refresh_token") is None:
        expires = facts.granted.get("expires_in")
        return f"the token runs out after {expires} s, and there is no refresh token" if expires else ""
    answer = yield from _refresh(state, facts)
    try:
        accepted_token(state, facts, answer)
    except Stop as stop:
        return f"the refresh request is refused: {stop.end.why}"
    return ""


def _refresh(state: WalkState, facts: FlowState) -> Steps[Exchange]:
    form = {"grant_type": "refresh_token", "refresh_token": text(facts.granted.get("refresh_token")) or ""}
    if facts.resource and state.client.behaviour.refreshes == "with-resource":
        form["resource"] = facts.resource
    sent, headers = identified(facts, form)
    return (yield ProbeRequest(state.asker.form(facts.endpoint("token") or "", sent, *headers)))
