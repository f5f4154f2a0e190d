"""From registration to token, as a generator: what the client sends, and where it refuses what it got."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oauthtap.clients.forecast import iss_fits
from oauthtap.diagnosis.phrases import match_phrases
from oauthtap.handshake.stages import text, texts
from oauthtap.handshake.state import absolute
from oauthtap.model import urls
from oauthtap.model.exchange import Actor, Exchange, Pairs, Request, Response, first_value
from oauthtap.probe.discovery import header_scheme
from oauthtap.probe.requests import BrowserStep, ProbeRequest, challenge, with_credentials, with_query
from oauthtap.probe.walk_state import FlowState, Steps, WalkState
from oauthtap.rules.authorization_interaction import csp
from oauthtap.rules.authorization_interaction.pages import forms_of

_MOST_HOPS = 10
_OF_THE_DOCUMENT = ("invalid_client", "invalid_client_metadata")
"""What servers say where they could not use the document that a metadata URL names."""
_SUFFICES = 32
"""Bytes of randomness for verifier and state (RFC 7636, 4.1: 32 octets)."""


@dataclass(frozen=True)
class SignIn:
    """How to sign in."""

    callback: str
    """The redirect URI that is authorized with."""
    redirect_uris: tuple[str, ...]
    """All that are registered."""
    client_id: str | None
    headless: bool
    may_visit: Callable[[str], bool]
    """A browser without hands may ask there."""
    client_secret: str = ""
    """Of a client that was registered beforehand."""
    for_later: bool = False
    """The sign-in is for a refresh token: consent is asked for anew, as `offline_access` wants it."""


def metadata_client_id(state: WalkState, facts: FlowState) -> str | None:
    """The client's metadata URL, where it uses one at this server."""
    behaviour = state.client.behaviour
    if facts.metadata.get("client_id_metadata_document_supported") is not True or not state.client.profile.cimd:
        return None
    methods = texts(facts.metadata.get("token_endpoint_auth_methods_supported"))
    if behaviour.cimd_needs_none and "none" not in methods:
        state.note_traits("cimd_needs_none")
        return None
    without = not facts.promises_iss and behaviour.metadata_client_id_without_iss
    return without or behaviour.metadata_client_id or None


def check_registrable(state: WalkState, facts: FlowState) -> None:
    """Raises Stop where the client has no way to a client id here."""
    if metadata_client_id(state, facts) or facts.endpoint("registration"):
        return
    if state.client.profile.without_registration != "guesses":
        why = "the metadata names no `registration_endpoint`, and it cannot use its metadata URL as client id"
        raise state.stop(
            "as-discovery", why, "without_registration",
            "Offer dynamic registration, or give the client an id that was registered beforehand",
        )  # fmt: skip
    state.note_traits("without_registration")


def register(state: WalkState, facts: FlowState, how: SignIn) -> Steps[str]:
    """The client id: given beforehand, the client's metadata URL, or got by registration. Raises Stop."""
    known = how.client_id or metadata_client_id(state, facts)
    if known:
        facts.client = {"client_id": known} | ({"client_secret": how.client_secret} if how.client_secret else {})
        state.uses_metadata_url = how.client_id is None
        return known
    check_registrable(state, facts)
    issuer = text(facts.metadata.get("issuer")) or state.url
    endpoint = facts.endpoint("registration") or f"{urls.origin(issuer)}/register"
    method = _method(state, facts)
    answer = yield ProbeRequest(state.asker.registration(endpoint, how.redirect_uris, method, facts.scope))
    issued = answer.response.json_object if answer.response and answer.ok else {}
    if not answer.ok:
        raise _refused(state, "client-registration", answer)
    facts.client = issued
    client_id = text(issued.get("client_id"))
    if client_id is None:
        raise state.stop("client-registration", "the registration answer holds no `client_id`")
    profile = state.client.profile
    if profile.registration_redirect_uris and not texts(issued.get("redirect_uris")):
        raise state.stop(
            "client-registration", "the registration answer holds no `redirect_uris`", "registration_redirect_uris"
        )
    nulls = [name for name, value in issued.items() if value is None]
    if nulls and profile.registration_nulls == "stops":
        raise state.stop(
            "client-registration", f"`{nulls[0]}` in the registration answer is null", "registration_nulls"
        )
    return client_id


def _method(state: WalkState, facts: FlowState) -> str:
    if state.client.behaviour.registration_method == "none":
        return "none"
    state.note_traits("registration_method")
    listed = facts.metadata.get("token_endpoint_auth_methods_supported")
    return "client_secret_post" if listed is None or "client_secret_post" in texts(listed) else "none"


def deregister(state: WalkState, facts: FlowState) -> Steps[None]:
    """Take back what was registered, where the server allows it (RFC 7592)."""
    url = text(facts.client.get("registration_client_uri"))
    token = text(facts.client.get("registration_access_token"))
    if url and token and urls.origin(url) == urls.origin(facts.endpoint("registration") or ""):
        yield ProbeRequest(state.asker.deregistration(url, token), "reporter")


def sign_in(state: WalkState, facts: FlowState, how: SignIn) -> Steps[str]:
    """The access token. Raises Stop where the way ends."""
    yield from register(state, facts, how)
    token_endpoint = facts.endpoint("token")
    if facts.endpoint("authorization") is None or token_endpoint is None:
        raise state.stop("as-discovery", "the metadata names no authorization endpoint, or no token endpoint")
    form = yield from authorized(state, facts, how)
    return (yield from redeemed(state, facts, token_endpoint, form))


def authorized(
    state: WalkState, facts: FlowState, how: SignIn, resource: str | None = None, actor: Actor = "browser"
) -> Steps[dict[str, str]]:
    """What to send to the token endpoint: a new code, and what belongs to it. Raises Stop.

    `resource`: what the token is to be for; by default what discovery found. `actor`: who opens the pages.
    """
    authorize, client_id = facts.endpoint("authorization") or "", str(facts.client["client_id"])
    resource = resource or facts.resource
    verifier, nonce = secrets.token_urlsafe(_SUFFICES), secrets.token_urlsafe(_SUFFICES)
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": how.callback,
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
    }
    asked |= {"state": nonce} if state.client.behaviour.sends_state else {}
    bound = {"resource": resource} if resource else {}
    asked |= bound | ({"scope": facts.scope} if facts.scope else {})
    if how.for_later and "offline_access" in (facts.scope or "").split():
        asked["prompt"] = "consent"  # OpenID Connect Core, 11: without it the scope is ignored
    if facts.metadata.get("require_pushed_authorization_requests") is True:
        asked = yield from _pushed(state, facts, asked, "reporter" if actor == "reporter" else "client")
    url = with_query(authorize, asked)
    if how.headless:
        came = yield from _without_hands(state, url, how, actor)
    else:
        came = (yield BrowserStep(url, actor)).request.query
    code = _accepted(state, came, nonce, facts)
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": how.callback, "code_verifier": verifier}
    return form | bound


def check_pushable(state: WalkState, facts: FlowState) -> None:
    """Raises Stop where the server takes pushed authorization requests only, and the client pushes none.

    For a sign-in that sends no authorization request: else the server says so itself.
    """
    if facts.metadata.get("require_pushed_authorization_requests") is True and not state.client.behaviour.pushes:
        why = "the server wants pushed authorization requests, and the client sends none"
        raise state.stop("authorization-request", why, "pushes")


def _pushed(state: WalkState, facts: FlowState, asked: dict[str, str], actor: Actor) -> Steps[dict[str, str]]:
    """The parameters sent beforehand, where the server wants it so (RFC 9126, 4)."""
    endpoint = facts.endpoint("pushed_authorization_request")
    if endpoint is None or not state.client.behaviour.pushes:
        return asked
    form, headers = identified(facts, asked)
    answer = yield ProbeRequest(state.asker.form(endpoint, form, *headers), actor)
    handle = text(answer.response.json_object.get("request_uri")) if answer.response and answer.ok else None
    return {"client_id": asked["client_id"], "request_uri": handle} if handle else asked


def identified(facts: FlowState, form: dict[str, str]) -> tuple[dict[str, str], Pairs]:
    """The form with the client's credentials in it, or in a header."""
    return with_credentials(facts.client, form)


def redeemed(state: WalkState, facts: FlowState, endpoint: str, form: dict[str, str]) -> Steps[str]:
    """The token for the code. Raises Stop where the answer is not what RFC 6749, 5.1 makes of it."""
    sent, headers = identified(facts, form)
    facts.redeemed = state.asker.form(endpoint, sent, *headers)
    answer = yield ProbeRequest(facts.redeemed)
    return accepted_token(state, facts, answer)


def accepted_token(state: WalkState, facts: FlowState, answer: Exchange) -> str:
    """The access token in the answer of the token endpoint. Raises Stop."""
    if not answer.ok:
        raise _refused(state, "token-request", answer)
    granted: dict[str, Any] = answer.response.json_object if answer.response else {}
    facts.granted = granted
    token, kind = text(granted.get("access_token")), text(granted.get("token_type"))
    if token is None:
        raise state.stop("token-request", "the token answer holds no `access_token` in a JSON object")
    if state.client.profile.token_type and (kind or "").lower() != "bearer":
        raise state.stop("token-request", f"`token_type` in the token answer is {kind or 'missing'}", "token_type")
    return token


def _refused(state: WalkState, stage: str, answer: Exchange) -> Exception:
    """The stop at an answer that says no. Where the place was a guess, it is discovery that failed."""
    where, facts = answer.request.bare_url, state.facts
    if facts is not None and facts.guessed:
        known = "as-discovery" if state.prm is not None else "prm-discovery"
        stage = known if state.prm is not None or header_scheme(state) else "mcp-challenge"
        said = answer.status if answer.response else "nothing"
        return state.stop(stage, f"{facts.guessed}; {where}, which it guesses, answers {said}")
    if answer.response is None:
        return state.stop(stage, f"{where} gives no answer: {answer.error}", outcome="unreachable")
    error = text(answer.response.json_object.get("error"))
    of_the_document = error in _OF_THE_DOCUMENT or _tells_of_the_document(answer.response.body or "")
    if stage == "authorization-request" and state.uses_metadata_url and of_the_document:
        said = f"{answer.status} `{error}`" if error else f"{answer.status}"
        why = f"{where} answers {said} to the client whose id is the URL of its metadata"
        return state.stop("client-metadata-fetch", why)
    return state.stop(stage, f"{where} answers {answer.status}")


def _tells_of_the_document(page: str) -> bool:
    best = next(iter(match_phrases(page)), None)
    return best is not None and (best.phrase.rule or "").startswith("cimd-document")


# --- through the browser


def _without_hands(state: WalkState, url: str, how: SignIn, actor: Actor) -> Steps[Pairs]:
    """The parameters of the redirect to the callback, when the server needs no login or consent. Raises Stop."""
    jars: dict[str, dict[str, str]] = {}
    for _ in range(_MOST_HOPS):
        jar = jars.setdefault(urls.origin(url), {})
        answer = yield ProbeRequest(state.asker.page(url, jar), actor)
        location = answer.response.header("location") if answer.response else None
        if answer.response is None or answer.response.status >= 400:
            raise _refused(state, "authorization-request", answer)
        if location is None or not 300 <= answer.response.status < 400:
            raise _a_person(state, url, _held_back(answer.response, url, how.callback))
        jar.update(_cookies(answer.response))
        before, url = url, absolute(location, url)
        if urls.redirect_matches(urls.without_query(url), urls.without_query(how.callback)):
            return Request(method="GET", url=url).query
        if not url.startswith(("https://", urls.origin(before) or "https://")) or not how.may_visit(url):
            raise _a_person(state, url)
    raise _a_person(state, url)


def _held_back(page: Response, url: str, callback: str) -> str:
    """A clause: the page's policy forbids its form to lead on to the client; empty where it does not."""
    policies = csp.policies(page) if forms_of(page) else []
    if csp.allowed(callback, policies, url):
        return ""
    return f", whose Content-Security-Policy (form-action {csp.shown(policies)}) lets no form lead on to {callback}"


def _a_person(state: WalkState, url: str, held_back: str = "") -> Exception:
    """Somebody has to sign in or to consent: there our way ends, and not the client's."""
    why = f"a person is next, at {urls.without_query(url)}{held_back}"
    return state.stop("authorization-interaction", why, outcome="waiting")


def _cookies(answer: Response) -> dict[str, str]:
    """Names and values; for this short walk their origin is all that limits them."""
    pairs = (line.partition(";")[0].partition("=") for line in answer.header_lines("set-cookie"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _accepted(state: WalkState, came: Pairs, nonce: str, facts: FlowState) -> str:
    """The code, if the answer is for us and from whom we asked (OAuth 2.1, 7.12; RFC 9207, 2.4). Raises Stop."""
    stage = "authorization-response"
    issuer, iss, back = text(facts.metadata.get("issuer")), first_value(came, "iss"), first_value(came, "state")
    error = first_value(came, "error")
    if back != nonce and not error and state.client.behaviour.sends_state and state.client.behaviour.state_compared:
        raise state.stop(stage, f"`state` came back {'changed' if back else 'not at all'}")
    if error in _OF_THE_DOCUMENT and state.uses_metadata_url:
        why = f"the redirect says `error={error}` of the client whose id is the URL of its metadata"
        raise state.stop("client-metadata-fetch", why)
    if (
        error
        and facts.metadata.get("require_pushed_authorization_requests") is True
        and not state.client.behaviour.pushes
    ):
        why = f"the server wants pushed authorization requests, and answers the plain one with `error={error}`"
        raise state.stop("authorization-request", why, "pushes")
    if error:
        said = first_value(came, "error_description")
        raise state.stop(stage, f"the redirect says `error={error}`{f': {said}' if said else ''}")
    if (iss is None and facts.promises_iss) or (iss is not None and iss != issuer):
        state.note_traits("iss_rule")
    if not iss_fits(state.client.profile.iss_rule, iss, issuer, promised=facts.promises_iss):
        raise state.stop(stage, f"`iss` in the redirect is {iss or 'missing'}, and it wants {issuer}", "iss_rule")
    code = first_value(came, "code")
    if not code:
        raise state.stop(stage, "the redirect brings no `code`")
    return code
