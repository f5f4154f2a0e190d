"""The way a client goes, as a generator: it yields what to ask, and is sent what came back.

By itself it asks what the newest specifications tell a client to ask, in their order, and stops where they tell a
client to stop; as an emulation it asks and stops as that client does. Looks beyond that (every other place where a
document may lie, a token made up on the spot) come last and as `reporter`, so that no rule takes them for a client's
behaviour.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from oauthtap.clients.profile import Profile
from oauthtap.clients.traits import Behaviour, Emulation, WalkEnd
from oauthtap.grants.grant_file import Grant, GrantFile
from oauthtap.handshake.mcp_refusal import is_refusal
from oauthtap.handshake.stages import text
from oauthtap.handshake.state import absolute
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange
from oauthtap.probe.attack import AttackOutcome, attack
from oauthtap.probe.discovery import discover, document, header_parameter
from oauthtap.probe.grant_flow import grant_left, token_by_grant, token_of_its_own
from oauthtap.probe.mcp_connect import connect, speaks_mcp
from oauthtap.probe.oauth_flow import SignIn, check_pushable, check_registrable, deregister, register, sign_in
from oauthtap.probe.renewal import missing_scope, try_refresh, use_token
from oauthtap.probe.requests import BrowserStep, ProbeRequest
from oauthtap.probe.walk_state import FlowState, Steps, Stop, WalkState

Walk = Generator[ProbeRequest | BrowserStep, Exchange, None]

CALLBACK_PORT = 33418
"""Of the redirect URI, where nobody has to come back to it."""
MOST_LOOKS = 24
"""Looks beyond what a client asks; a document may list a hundred servers."""
_MOST_SERVERS = 4
_ENDPOINTS = ("authorization", "token", "registration")
_BOGUS = "oauthtap-made-this-token-up-it-opens-nothing"
_MADE_UP = "oauthtap-emulated"
"""In the place of an id that the client makes anew each time."""

MODEL = Profile(
    name="a client that keeps to the specifications",
    slug="model",
    versions="MCP 2025-11-25",
    seen=date(2026, 11, 29),
    evidence="read",
    source="MCP 2025-11-25, RFC 9728, RFC 8414, RFC 9207",
    header_fallback=True,
    html_metadata="next",
    without_metadata="stops",
    issuer_rule="root-slash",
    iss_rule="exact",
    pkce="s256-listed",
    token_type=True,
)


def model_client(version: str, *, offline_access: bool = False) -> Emulation:
    """Nobody but oauthtap, in this version: strict where the specifications are."""
    described = {
        "client_name": "oauthtap probe",
        "grant_types": ["authorization_code", "refresh_token"],
        "response_types": ["code"],
        "application_type": "native",
    }
    behaviour = Behaviour(
        agent=f"oauthtap/{version} probe",
        client_info={"name": "oauthtap-probe", "version": version},
        issuer_without_prm=False,
        registration=described,
        pushes=True,
        offline_access=offline_access,
    )
    return Emulation(MODEL, behaviour)


@dataclass(frozen=True)
class Plan:
    """What to walk, and how far."""

    url: str
    """The MCP URL, as a client would be given it."""
    version: str
    """Of oauthtap, for the User-Agent."""
    register: bool = False
    """Register as a client, which leaves something on the server (taken back where RFC 7592 allows)."""
    sign_in: Literal["no", "person", "headless"] = "no"
    """`headless`: follow the authorization server's redirects, as far as it asks nobody for consent."""
    callback: str = f"http://127.0.0.1:{CALLBACK_PORT}/callback"
    """The redirect URI; where a person signs in, that of the listener takes its place."""
    client_id: str | None = None
    """Registered beforehand; then nothing is registered."""
    client_secret: str = ""
    client: Emulation | None = None
    """Behave as this client."""
    attack: bool = False
    """Once signed in, send what the server has to refuse."""
    grant: GrantFile | None = None
    """In place of a sign-in: what an earlier one left."""
    save_grant: Callable[[Grant], None] | None = None
    """Told what the sign-in leaves for later; what was registered then stays."""
    client_credentials: bool = False
    """The client asks for a token of its own, and for nobody's consent."""

    @property
    def goal(self) -> str:
        """The stage at which the walk ends when nothing is wrong."""
        if self.sign_in != "no" or self.grant is not None:
            return "mcp-request"
        return "client-registration" if self.register and self.client_id is None else "as-discovery"


def run_plan(
    plan: Plan,
    tell: Callable[[WalkEnd], None] = lambda end: None,
    tell_attack: Callable[[AttackOutcome], None] = lambda outcome: None,
) -> Walk:
    """Everything, from the first request without a token to the last look around.

    Yields `ProbeRequest` and `BrowserStep`; expects the exchange each time. Ends by itself. `tell`: told how the
    client's own way ended, before the looks around; `tell_attack`: what came of each attack.
    """
    model = model_client(plan.version, offline_access=plan.save_grant is not None)
    asked = _kept(plan.url) if plan.client and plan.client.behaviour.drops_slash else plan.url
    state = WalkState(plan.client or model, asked, typed_id=plan.client_id is not None)
    if asked != plan.url:
        state.note_traits("drops_slash")
        plan = replace(plan, url=asked)
    try:
        end = yield from _way(plan, state)
    except Stop as stop:
        end = stop.end
    tell(end)
    if plan.attack and end.outcome == "connected" and state.facts is not None:
        yield from attack(plan.url, state, state.facts, _sign_in(plan, state, state.facts), tell_attack)
    if end.stage == "mcp-initialize" and end.outcome == "unreachable" and state.challenge is None:
        return
    yield from _looked_around(plan, state)
    if state.facts is not None and plan.save_grant is None:
        yield from deregister(state, state.facts)


def _kept(url: str) -> str:
    """The URL as a client asks it that drops a slash at its end."""
    path = urls.path_of(url)
    bare, mark, query = url.partition("?")
    return bare.removesuffix("/") + mark + query if path.strip("/") and path.endswith("/") else url


def _way(plan: Plan, state: WalkState) -> Steps[WalkEnd]:
    """The client's own way. Raises Stop where it goes no further."""
    behaviour = state.client.behaviour
    if behaviour.https and not plan.url.startswith("https://") and not urls.is_loopback(plan.url):
        raise state.stop("mcp-initialize", "it calls nothing without TLS", "https")
    if behaviour.first_request != "none":
        first = yield from connect(plan.url, state.asker, None)
        if first.response is None:
            raise state.stop("mcp-initialize", f"no answer: {first.error}", outcome="unreachable")
        if speaks_mcp(first) and not (yield from _signs_in_anyway(state)):
            return WalkEnd("open", "mcp-initialize", depends_on=tuple(state.depends_on))
        challenged = first.status in behaviour.challenges if plan.client else is_refusal(first)
        wanted = speaks_mcp(first) or challenged
        if not wanted:
            raise _not_challenged(state, first)
        state.challenge = first
        if challenged and behaviour.needs_challenge and not header_names_a_scheme(first):
            pointer = urls.prm_locations(plan.url)[0].url
            raise state.stop(
                "mcp-challenge", f"the {first.status} has no `WWW-Authenticate`", "needs_challenge",
                f'Answer 401 with WWW-Authenticate: Bearer resource_metadata="{pointer}"',
            )  # fmt: skip
        return (yield from _signed_in(plan, state))
    try:
        return (yield from _signed_in(plan, state))
    except Stop:
        if state.prm is not None or (state.facts is not None and not state.facts.guessed):
            raise
        # No document and no endpoint: the server may answer MCP requests without a token.
        if not speaks_mcp((yield from connect(plan.url, state.asker, None))):
            raise
    return WalkEnd("open", "mcp-initialize", depends_on=tuple(state.depends_on))


def _not_challenged(state: WalkState, first: Exchange) -> Stop:
    """The stop at a first answer that is neither MCP's nor a wish that the client signs in."""
    location = first.response.header("location") if first.response else None
    if location is not None:
        to = urls.without_query(absolute(location, first.request.url))
        change = "Answer MCP requests without a token 401 with `WWW-Authenticate`, and redirect none"
        return state.stop("mcp-challenge", f"{first.request.bare_url} redirects to {to}, with no 401", change=change)
    return state.stop("mcp-initialize", f"{first.request.bare_url} answers {first.status}")


def header_names_a_scheme(answer: Exchange) -> bool:
    """Whether the answer has a challenge at all."""
    return bool(answer.response and answer.response.header("www-authenticate"))


def _signed_in(plan: Plan, state: WalkState) -> Steps[WalkEnd]:
    """From discovery on. Raises Stop."""
    facts = state.facts = yield from discover(state)
    if plan.sign_in == "no" and plan.grant is None:
        if plan.client is not None and not plan.client_id:
            check_registrable(state, facts)
        if plan.register and plan.client_id is None:
            yield from register(state, facts, _sign_in(plan, state, facts))
        return WalkEnd("as-asked", plan.goal, depends_on=tuple(state.depends_on))
    token = yield from _token(plan, state, facts)
    last = yield from use_token(state, facts, _sign_in(plan, state, facts), token)
    if speaks_mcp(last):
        later = ""
        if plan.client is not None and plan.save_grant is None and plan.grant is None:
            later = yield from try_refresh(state, facts)
        return WalkEnd("connected", "mcp-request", depends_on=tuple(state.depends_on), later=later)
    raise _refused_token(state, last)


def _refused_token(state: WalkState, last: Exchange) -> Stop:
    """The stop at an answer to a request that had a token."""
    if last.response is None:
        why = f"no answer to the request with the token: {last.error}"
        return state.stop("mcp-initialize", why, outcome="unreachable")
    where = f"{last.request.bare_url} answers {last.status} to"
    if wanted := missing_scope(last):
        trait = "" if state.client.behaviour.steps_up else "steps_up"
        return state.stop("mcp-step-up", f"{where} the request with the token: it wants the scope {wanted}", trait)
    method = text(last.request.json_object.get("method")) or ""
    if method not in ("", "initialize", "server/discover") and last.status not in (401, 403):
        return state.stop("mcp-request", f"{where} `{method}` with the token")
    stage = "mcp-token-rejected" if last.status in (401, 403) else "mcp-initialize"
    return state.stop(stage, f"{where} the request with the token")


def _token(plan: Plan, state: WalkState, facts: FlowState) -> Steps[str]:
    """The access token: by what an earlier sign-in left, else by a new one. Raises Stop."""
    if plan.grant is not None:
        check_pushable(state, facts)
        return (yield from token_by_grant(state, facts, plan.grant))
    if plan.client_credentials:
        token = yield from token_of_its_own(state, facts, plan.client_id or "", plan.client_secret)
    else:
        token = yield from sign_in(state, facts, _sign_in(plan, state, facts))
    if plan.save_grant is not None:
        plan.save_grant(grant_left(state, facts, credentials=plan.client_credentials))
    return token


def _signs_in_anyway(state: WalkState) -> Steps[bool]:
    """At a server that answers without a token, some clients look for metadata, and take any sign of it for a wish."""
    if state.client.behaviour.open_server == "connects":
        return False
    state.note_traits("open_server")
    for place in urls.prm_locations(state.url):
        answer = yield from document(state, place.url)
        if answer is not None and answer.response is not None and answer.status != 404:
            return True
    return False


def _sign_in(plan: Plan, state: WalkState, facts: FlowState) -> SignIn:
    """With the client's own redirect URIs."""
    behaviour = state.client.behaviour
    callback = plan.callback
    registered: tuple[str, ...] = (callback,)
    if plan.client is not None and plan.sign_in != "person":
        without = "" if facts.promises_iss else behaviour.redirect_uri_without_iss
        callback = _filled(without or behaviour.redirect_uri)
        registered = tuple(map(_filled, behaviour.registered_redirect_uris)) or (callback,)
    named = (plan.url, str(facts.metadata.get("issuer", "")), *(facts.endpoint(name) or "" for name in _ENDPOINTS))
    servers = {urls.origin(url) for url in named}
    return SignIn(
        callback, registered, plan.client_id, plan.sign_in == "headless",
        lambda url: plan.client is None or urls.origin(url) in servers,
        client_secret=plan.client_secret, for_later=plan.save_grant is not None,
    )  # fmt: skip


def _filled(redirect_uri: str) -> str:
    """A port, or an id, in the place of `*`."""
    return redirect_uri.replace(":*", f":{CALLBACK_PORT}").replace("*", _MADE_UP)


# --- looking around


def _looked_around(plan: Plan, state: WalkState) -> Walk:
    """Everything other clients would have asked, and a token that opens nothing."""
    if state.challenge is not None:
        yield ProbeRequest(state.asker.initialize(plan.url, _BOGUS), "reporter")
    named = header_parameter(state, "resource_metadata")
    places = [absolute(named, plan.url)] if named else []
    for url in [*places, *(location.url for location in urls.prm_locations(plan.url))]:
        yield from document(state, url, "reporter")
    for url in list(_server_places(plan, state))[:MOST_LOOKS]:
        yield from document(state, url, "reporter")


def _server_places(plan: Plan, state: WalkState) -> Iterator[str]:
    """Where metadata of every authorization server named may lie, also by the habits of single clients."""
    for issuer in dict.fromkeys([*state.servers[:_MOST_SERVERS], urls.origin(plan.url)]):
        yield from (location.url for location in urls.as_metadata_locations(issuer))
        if urls.path_of(issuer).strip("/"):
            yield issuer.rstrip("/") + urls.OAUTH
            yield urls.origin(issuer) + urls.OAUTH
