"""A token by what an earlier sign-in left, as a generator; and what a sign-in leaves."""

from __future__ import annotations

from oauthtap.grants.grant_file import Grant, GrantError, GrantFile
from oauthtap.handshake.stages import text
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange
from oauthtap.probe.oauth_flow import accepted_token, identified
from oauthtap.probe.requests import ProbeRequest
from oauthtap.probe.walk_state import FlowState, Steps, Stop, WalkState

_CLIENT = ("client_id", "client_secret", "token_endpoint_auth_method")


def token_by_grant(state: WalkState, facts: FlowState, file: GrantFile) -> Steps[str]:
    """The access token for a stored grant, whose file is written before anything else is done. Raises Stop, GrantError.

    Nothing is sent unless the documents still name the token endpoint at which the grant was made: they are what is
    being judged, and may be anybody's.
    """
    known = file.read()
    endpoint = facts.endpoint("token") or ""
    if urls.endpoint(endpoint) != urls.endpoint(known.token_endpoint):
        why = f"the grant was made at {known.token_endpoint}, and the metadata names {endpoint or 'no token endpoint'}"
        raise state.stop("as-discovery", f"{why}: nothing was sent there", change="Make a new grant: oauthtap grant")
    grant = file.begin()
    answer: Exchange | None = None
    try:
        facts.client = dict(grant.client)
        form, headers = identified(facts, grant.form)
        answer = yield ProbeRequest(state.asker.form(known.token_endpoint, form, *headers), answer_needed=True)
    finally:
        file.end(grant.after(answer.response.json_object) if answer and answer.response and answer.ok else None)
    try:
        return accepted_token(state, facts, answer)
    except Stop as stop:
        if grant.kind == "refresh_token" and answer.response is not None:
            raise _used_up(state, grant, stop) from None
        raise


def _used_up(state: WalkState, grant: Grant, stop: Stop) -> Stop:
    lost = "an earlier run ended before it heard an answer, so the newest token may be lost; "
    lost = lost if grant.unanswered_since else ""
    return state.stop("token-refresh", f"{lost}{stop.end.why}", change="Make a new grant: oauthtap grant URL -o FILE")


def token_of_its_own(state: WalkState, facts: FlowState, client_id: str, secret: str) -> Steps[str]:
    """The access token of a client that acts for itself (RFC 6749, 4.4). Raises Stop."""
    endpoint = facts.endpoint("token")
    if endpoint is None:
        raise state.stop("as-discovery", "the metadata names no token endpoint")
    facts.client = {"client_id": client_id, "client_secret": secret}
    asked = {"grant_type": "client_credentials"}
    asked |= ({"scope": facts.scope} if facts.scope else {}) | ({"resource": facts.resource} if facts.resource else {})
    form, headers = identified(facts, asked)
    return accepted_token(state, facts, (yield ProbeRequest(state.asker.form(endpoint, form, *headers))))


def grant_left(state: WalkState, facts: FlowState, *, credentials: bool) -> Grant:
    """What is left for later of a sign-in that got a token. Raises GrantError where that is nothing."""
    refresh = text(facts.granted.get("refresh_token")) or ""
    if not credentials and not refresh:
        listed = "" if "offline_access" in (facts.scope or "") else ", and lists no scope `offline_access`"
        raise GrantError(
            f"the server issued no refresh token{listed}: nothing is left for later. "
            "Try: a client registered beforehand, with --client-credentials"
        )
    return Grant(
        url=state.url,
        token_endpoint=facts.endpoint("token") or "",
        issuer=text(facts.metadata.get("issuer")),
        revocation_endpoint=text(facts.metadata.get("revocation_endpoint")),
        kind="client_credentials" if credentials else "refresh_token",
        client={name: str(facts.client[name]) for name in _CLIENT if facts.client.get(name)},
        refresh_token=refresh,
        resource=facts.resource,
        scope=facts.scope,
    )
