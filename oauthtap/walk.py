"""The way a model client goes, as a generator: it yields what to ask, and is sent what came back. Does no I/O.

It asks what the newest specifications tell a client to ask, in their order, and stops
where they tell a client to stop. Looks beyond that (every other place where a document
may lie, a token made up on the spot) come last and as `reporter`, so that no rule takes
them for a client's behaviour.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

from oauthtap import challenges, urls
from oauthtap.asks import REVISION, Ask, Asker, Visit
from oauthtap.handshake import absolute
from oauthtap.profiles import RESOURCE_RULES
from oauthtap.reachable import is_private_host, refusal
from oauthtap.sign_in import Facts, SignIn, deregistered, registered, signed_in
from oauthtap.stages import sse_events, text, texts
from oauthtap.wire import Actor, Exchange, Message, Request

Walk = Generator[Ask | Visit, Exchange, None]
Leg = Generator[Ask | Visit, Exchange, Exchange]

CALLBACK_PORT = 33418
"""Of the redirect URI, where nobody has to come back to it."""
MOST_LOOKS = 24
"""Looks beyond what a client asks; a document may list a hundred servers."""
_MOST_SERVERS, _MOST_HOPS = 4, 5
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


def walk(plan: Plan) -> Walk:
    """Everything, from the first request without a token to the last look around.

    Yields `Ask` and `Visit`; expects the exchange each time. Ends by itself.
    """
    asker, seen = Asker(plan.version), _Seen()
    first = yield from _greeted(plan, asker, None)
    if first.response is None:
        return
    facts: Facts | None = None
    if _wants_sign_in(first):
        seen.challenge = first
        facts = yield from _discovered(plan, asker, seen)
        if facts is not None:
            yield from _let_in(plan, asker, facts)
    yield from _looked_around(plan, asker, seen)
    if facts is not None:
        yield from deregistered(asker, facts)


def _wants_sign_in(answer: Exchange) -> bool:
    """The server did not answer as MCP servers do: a client looks whether it should sign in."""
    stream = answer.response is not None and answer.response.media_type == "text/event-stream"
    return not (answer.ok and (stream or "result" in _reply(answer)))


def _let_in(plan: Plan, asker: Asker, facts: Facts) -> Walk:
    """Register and sign in, as far as the plan goes, and use the token."""
    wishes = SignIn(plan.url, plan.callback, plan.client_id, headless=plan.sign_in == "headless")
    if plan.sign_in == "no":
        if plan.register and plan.client_id is None:
            yield from registered(asker, facts, wishes)
        return
    token = yield from signed_in(asker, facts, wishes)
    if token is not None:
        yield from _greeted(plan, asker, token)


# --- the MCP endpoint


def _greeted(plan: Plan, asker: Asker, token: str | None) -> Leg:
    """`initialize` and a first request behind it; else what the server speaks instead. Gives the deciding answer."""
    answer = yield from _followed(plan, Ask(asker.initialize(plan.url, token)))
    reply = _reply(answer)
    if answer.ok and "result" in reply:
        return (yield from _talked(answer, asker, token, reply))
    if answer.status in (401, 403):
        return answer
    if answer.status in (404, 405) and "error" not in reply:
        return (yield Ask(asker.stream(plan.url, token), opening=True))
    if answer.status == 400 or "error" in reply:
        modern = yield Ask(asker.modern(plan.url, "server/discover", token))
        if modern.ok:
            yield Ask(asker.modern(plan.url, "tools/list", token))
        return modern
    return answer


def _talked(answer: Exchange, asker: Asker, token: str | None, reply: dict[str, Any]) -> Leg:
    """The rest of the greeting, a first request, and a polite goodbye."""
    session = answer.response.header("mcp-session-id") if answer.response else None
    chosen = reply["result"].get("protocolVersion") if isinstance(reply["result"], dict) else None
    revision, url = text(chosen) or REVISION, answer.request.url
    yield Ask(asker.initialized(url, token, session, revision))
    listed = yield Ask(asker.tools(url, token, session, revision))
    if session:
        yield Ask(asker.end(url, token, session, revision))
    return listed


def _reply(answer: Exchange) -> dict[str, Any]:
    """The JSON-RPC message in an answer, plain or as the first message of a stream."""
    if answer.response is None:
        return {}
    if answer.response.media_type != "text/event-stream":
        messages = [answer.response.json_object]
    else:
        messages = [Message(body=data).json_object for _, data in sse_events(answer.response.body or "")]
    return next((m for m in messages if "jsonrpc" in m and ("result" in m or "error" in m)), {})


def _followed(plan: Plan, ask: Ask) -> Leg:
    """Each redirect is an exchange of its own; credentials stay with the origin they are for."""
    answer = yield ask
    for _ in range(_MOST_HOPS):
        location = answer.response.header("location") if answer.response else None
        if location is None or answer.status not in (301, 302, 303, 307, 308):
            break
        request = answer.request
        target = absolute(location, request.url)
        if not _may_go(plan, target) or (request.method != "GET" and answer.status not in (307, 308)):
            break
        moved = urls.origin(target) != urls.origin(request.url)
        headers = tuple(line for line in request.headers if not (moved and line[0].lower() == "authorization"))
        answer = yield Ask(Request(method=request.method, url=target, headers=headers, body=request.body), ask.actor)
    return answer


def _may_go(plan: Plan, url: str) -> bool:
    """A document of a public server does not make us ask what only this machine can reach."""
    parts = urls.split(plan.url)
    return refusal(url, private=bool(parts and is_private_host(parts.hostname or ""))) is None


# --- discovery


def _document(plan: Plan, asker: Asker, seen: _Seen, url: str, actor: Actor = "client") -> Generator[
    Ask | Visit, Exchange, dict[str, Any]
]:  # fmt: skip
    """The JSON object at a place; empty when there is none, or we may not go there."""
    if url in seen.asked or not _may_go(plan, url):
        return {}
    seen.asked.add(url)
    answer = yield from _followed(plan, Ask(asker.document(url), actor))
    document = answer.response.json_object if answer.response and answer.status == 200 else {}
    if "/.well-known/oauth-protected-resource" in url or "authorization_servers" in document:
        seen.servers += texts(document.get("authorization_servers"))
    return document


def _named(seen: _Seen) -> str | None:
    """`resource_metadata` of the challenge, as written."""
    response = seen.challenge.response if seen.challenge else None
    lines = response.header_lines("www-authenticate") if response else ()
    return challenges.as_sdks_read(lines, "resource_metadata") if lines else None


def _discovered(plan: Plan, asker: Asker, seen: _Seen) -> Generator[Ask | Visit, Exchange, Facts | None]:
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
    for location in urls.as_locations(issuer):
        metadata = yield from _document(plan, asker, seen, location.url)
        if metadata:
            return _usable(metadata, issuer, resource or plan.url, _scope(seen), found=seen.prm is not None)
    return None if seen.prm else Facts.by_default(urls.origin(plan.url), plan.url, _scope(seen))


def _usable(metadata: dict[str, Any], issuer: str, resource: str, scope: str | None, *, found: bool) -> Facts | None:
    """What a client needs of the metadata; None where it has to refuse them.

    A foreign issuer is refused (RFC 8414, 3.3), but for servers older than protected
    resource metadata; so is one without S256 (MCP 2025-11-25, Authorization Code Protection).
    """
    foreign = metadata.get("issuer") != issuer and urls.href(issuer) != metadata.get("issuer")
    unsafe = "S256" not in texts(metadata.get("code_challenge_methods_supported"))
    return None if (foreign and found) or unsafe else Facts(metadata, resource, scope)


def _scope(seen: _Seen) -> str | None:
    """What to ask for: the challenge's, else all the resource has (MCP 2025-11-25, Scope Selection Strategy)."""
    response = seen.challenge.response if seen.challenge else None
    lines = response.header_lines("www-authenticate") if response else ()
    listed = " ".join(texts((seen.prm or {}).get("scopes_supported")))
    return (challenges.as_sdks_read(lines, "scope") if lines else None) or listed or None


# --- looking around


def _looked_around(plan: Plan, asker: Asker, seen: _Seen) -> Walk:
    """Everything other clients would have asked, and a token that opens nothing."""
    if seen.challenge is not None:
        yield Ask(asker.initialize(plan.url, _BOGUS), "reporter")
    named = _named(seen)
    places = [absolute(named, plan.url)] if named else []
    for url in [*places, *(location.url for location in urls.prm_locations(plan.url))]:
        yield from _document(plan, asker, seen, url, "reporter")
    for url in list(_server_places(plan, seen))[:MOST_LOOKS]:
        yield from _document(plan, asker, seen, url, "reporter")


def _server_places(plan: Plan, seen: _Seen) -> Iterator[str]:
    """Where metadata of every authorization server named may lie, also by the habits of single clients."""
    for issuer in dict.fromkeys([*seen.servers[:_MOST_SERVERS], urls.origin(plan.url)]):
        yield from (location.url for location in urls.as_locations(issuer))
        if urls.path_of(issuer).strip("/"):
            yield issuer.rstrip("/") + urls.OAUTH
            yield urls.origin(issuer) + urls.OAUTH
