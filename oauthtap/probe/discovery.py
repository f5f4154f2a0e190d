"""The way a model client goes, as a generator: it yields what to ask, and is sent what came back.

It asks what the newest specifications tell a client to ask, in their order, and stops
where they tell a client to stop. Looks beyond that (every other place where a document
may lie, a token made up on the spot) come last and as `reporter`, so that no rule takes
them for a client's behaviour.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from oauthtap.clients.forecast import RESOURCE_RULES
from oauthtap.handshake.classify import is_refusal
from oauthtap.handshake.stages import text, texts
from oauthtap.handshake.state import absolute
from oauthtap.model import urls, www_authenticate
from oauthtap.model.exchange import Actor, Exchange
from oauthtap.probe.mcp_connect import connect, followed, may_go, speaks_mcp
from oauthtap.probe.oauth_flow import FlowState, SignIn, deregister, register, sign_in
from oauthtap.probe.requests import BrowserStep, ProbeRequest, RequestBuilder

Walk = Generator[ProbeRequest | BrowserStep, Exchange, None]

CALLBACK_PORT = 33418
"""Of the redirect URI, where nobody has to come back to it."""
MOST_LOOKS = 24
"""Looks beyond what a client asks; a document may list a hundred servers."""
_MOST_SERVERS = 4
_BOGUS = "oauthtap-made-this-token-up-it-opens-nothing"


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

    @property
    def goal(self) -> str:
        """The stage at which the walk ends when nothing is wrong."""
        if self.sign_in != "no":
            return "mcp-request"
        return "client-registration" if self.register and self.client_id is None else "as-discovery"


@dataclass
class _Seen:
    """What the walk has learned so far."""

    asked: set[str] = field(default_factory=set)
    challenge: Exchange | None = None
    prm: dict[str, Any] | None = None
    servers: list[str] = field(default_factory=list)
    limited: bool = False
    """The server has asked us to slow down."""


def run_plan(plan: Plan) -> Walk:
    """Everything, from the first request without a token to the last look around.

    Yields `Ask` and `BrowserStep`; expects the exchange each time. Ends by itself.
    """
    asker, seen = RequestBuilder(plan.version), _Seen()
    first = yield from connect(plan.url, asker, None)
    if first.response is None:
        return
    facts: FlowState | None = None
    if is_refusal(first) and not speaks_mcp(first):
        seen.challenge = first
        facts = yield from _discovered(plan, asker, seen)
        if facts is not None:
            yield from _let_in(plan, asker, facts)
    yield from _looked_around(plan, asker, seen)
    if facts is not None:
        yield from deregister(asker, facts)


def _let_in(plan: Plan, asker: RequestBuilder, facts: FlowState) -> Walk:
    """Register and sign in, as far as the plan goes, and use the token."""
    wishes = SignIn(plan.url, plan.callback, plan.client_id, headless=plan.sign_in == "headless")
    if plan.sign_in == "no":
        if plan.register and plan.client_id is None:
            yield from register(asker, facts, wishes)
        return
    token = yield from sign_in(asker, facts, wishes)
    if token is not None:
        yield from connect(plan.url, asker, token)


# --- discovery


def _document(plan: Plan, asker: RequestBuilder, seen: _Seen, url: str, actor: Actor = "client") -> Generator[
    ProbeRequest | BrowserStep, Exchange, dict[str, Any]
]:  # fmt: skip
    """The JSON object at a place; empty when there is none, or we may not go there."""
    if url in seen.asked or seen.limited or not may_go(plan.url, url):
        return {}
    seen.asked.add(url)
    answer = yield from followed(plan.url, ProbeRequest(asker.document(url), actor))
    seen.limited = answer.status == 429
    document = answer.response.json_object if answer.response and answer.status == 200 else {}
    if "/.well-known/oauth-protected-resource" in url or "authorization_servers" in document:
        seen.servers += texts(document.get("authorization_servers"))
    return document


def _named(seen: _Seen) -> str | None:
    """`resource_metadata` of the challenge, as written."""
    response = seen.challenge.response if seen.challenge else None
    lines = response.header_lines("www-authenticate") if response else ()
    return www_authenticate.parse_like_sdks(lines, "resource_metadata") if lines else None


def _discovered(
    plan: Plan, asker: RequestBuilder, seen: _Seen
) -> Generator[ProbeRequest | BrowserStep, Exchange, FlowState | None]:
    """The documents, in the order of the specifications; None where a client has to stop."""
    named = _named(seen)
    places = [named] if named and urls.split(named) else []
    for place in [*places, *(location.url for location in urls.prm_locations(plan.url))]:
        seen.prm = (yield from _document(plan, asker, seen, place)) or None
        if seen.prm:
            break
    prm = seen.prm or {}
    resource = text(prm.get("resource"))
    if seen.prm and (resource is None or not RESOURCE_RULES["prefix"](resource, plan.url)):
        return None
    issuer = next(iter(texts(prm.get("authorization_servers"))), None) or urls.origin(plan.url)
    for location in urls.as_metadata_locations(issuer):
        metadata = yield from _document(plan, asker, seen, location.url)
        if metadata:
            return _usable(metadata, issuer, resource or plan.url, _scope(seen), found=seen.prm is not None)
    return None if seen.prm else FlowState.by_default(urls.origin(plan.url), plan.url, _scope(seen))


def _usable(
    metadata: dict[str, Any], issuer: str, resource: str, scope: str | None, *, found: bool
) -> FlowState | None:
    """What a client needs of the metadata; None where it has to refuse them.

    A foreign issuer is refused (RFC 8414, 3.3), but for servers older than protected
    resource metadata; so is one without S256 (MCP 2025-11-25, Authorization Code Protection).
    """
    foreign = metadata.get("issuer") != issuer and urls.whatwg_form(issuer) != metadata.get("issuer")
    unsafe = "S256" not in texts(metadata.get("code_challenge_methods_supported"))
    return None if (foreign and found) or unsafe else FlowState(metadata, resource, scope)


def _scope(seen: _Seen) -> str | None:
    """What to ask for: the challenge's, else all the resource has (MCP 2025-11-25, Scope Selection Strategy)."""
    response = seen.challenge.response if seen.challenge else None
    lines = response.header_lines("www-authenticate") if response else ()
    listed = " ".join(texts((seen.prm or {}).get("scopes_supported")))
    return (www_authenticate.parse_like_sdks(lines, "scope") if lines else None) or listed or None


# --- looking around


def _looked_around(plan: Plan, asker: RequestBuilder, seen: _Seen) -> Walk:
    """Everything other clients would have asked, and a token that opens nothing."""
    if seen.challenge is not None:
        yield ProbeRequest(asker.initialize(plan.url, _BOGUS), "reporter")
    named = _named(seen)
    places = [absolute(named, plan.url)] if named else []
    for url in [*places, *(location.url for location in urls.prm_locations(plan.url))]:
        yield from _document(plan, asker, seen, url, "reporter")
    for url in list(_server_places(plan, seen))[:MOST_LOOKS]:
        yield from _document(plan, asker, seen, url, "reporter")


def _server_places(plan: Plan, seen: _Seen) -> Iterator[str]:
    """Where metadata of every authorization server named may lie, also by the habits of single clients."""
    for issuer in dict.fromkeys([*seen.servers[:_MOST_SERVERS], urls.origin(plan.url)]):
        yield from (location.url for location in urls.as_metadata_locations(issuer))
        if urls.path_of(issuer).strip("/"):
            yield issuer.rstrip("/") + urls.OAUTH
            yield urls.origin(issuer) + urls.OAUTH
