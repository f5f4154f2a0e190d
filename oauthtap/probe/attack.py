"""What a server has to refuse, sent to one's own server with one's own token. A generator, like the walk.

Every request is sent as `reporter`, and each attack has its name in `User-Agent`, so that neither a rule nor the
server's log takes it for a client's. What lets the attacker in is found by the rules (`rs-accepts-*`, `token-*`); here
is only the answer.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from oauthtap.handshake.stages import text, texts
from oauthtap.handshake.state import absolute
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Request
from oauthtap.probe.mcp_connect import followed, reply_of, stream_endpoint
from oauthtap.probe.oauth_flow import SignIn, authorized, identified
from oauthtap.probe.requests import ProbeRequest, challenge, with_query
from oauthtap.probe.walk_state import FlowState, Steps, Stop, WalkState
from oauthtap.redaction.alias_format import claims, jose_header

HOSTILE = "https://oauthtap-attack.invalid"
"""An origin that nobody can have (RFC 2606, 2)."""
GRACE = 35.0
"""Seconds after which no server has a reason to take a refresh token that it replaced."""
_DAY = 86400

Verdict = Literal["refused", "ACCEPTED", "unclear", "not sent"]


@dataclass(frozen=True)
class AttackOutcome:
    """What came of one attack."""

    name: str
    answer: str
    """The server's, or why nothing was sent."""
    verdict: Verdict
    proves: str = ""
    """What a refusal does not show, where that is less than the name promises."""


@dataclass
class _Attacker:
    """One's own token, and where it is used."""

    url: str
    state: WalkState
    facts: FlowState
    how: SignIn
    tell: Callable[[AttackOutcome], None]
    speaks: Literal["initialize", "discover", "sse"] = "initialize"
    """What the server answers first; `sse`: it opens the stream of 2024-11-05."""
    public: bool = field(init=False)
    """The client has no secret."""
    token: str = field(init=False)

    def __post_init__(self) -> None:
        self.token = str(self.facts.granted["access_token"])
        self.public = text(self.facts.client.get("client_secret")) is None

    def first_request(self, url: str, token: str | None) -> Request:
        """What a client sends first, whatever the revision."""
        asker = self.state.asker
        if self.speaks == "sse":
            return asker.stream(url, token)
        return asker.modern(url, "tools/list", token) if self.speaks == "discover" else asker.initialize(url, token)

    def form(self, form: dict[str, str]) -> Request:
        """A request to the token endpoint, as the client that was registered."""
        sent, headers = identified(self.facts, form)
        return self.state.asker.form(self.facts.endpoint("token") or "", sent, *headers)

    def skip(self, name: str, why: str) -> None:
        self.tell(AttackOutcome(name, why, "not sent"))

    def on_mcp(self, name: str, request: Request, proves: str = "") -> Steps[Exchange]:
        """Send it to the MCP endpoint: served is accepted."""
        answer = yield _marked(request, name, opening=self.speaks == "sse" and request.method == "GET")
        self.tell(AttackOutcome(name, _words(answer), _verdict(answer, served(answer)), proves))
        return answer

    def on_token(self, name: str, form: Request) -> Steps[None]:
        """Send it to the token endpoint: a token is accepted."""
        answer = yield _marked(form, name)
        self.tell(AttackOutcome(name, _words(answer), _verdict(answer, _issued(answer))))

    def code(self, name: str) -> Steps[dict[str, str] | None]:
        """A new code, and what belongs to it; None where a person did not come back."""
        try:
            return (yield from authorized(self.state, self.facts, self.how, actor="reporter"))
        except Stop as stop:
            self.skip(name, f"no new code: {stop.end.why}")
            return None


def attack(
    url: str, state: WalkState, facts: FlowState, how: SignIn, tell: Callable[[AttackOutcome], None]
) -> Steps[None]:
    """Everything that has to be refused, one after the other. `facts`: of a sign-in that led to the MCP server.

    `tell`: what came of each attack. What may have the server revoke the token comes last.
    """
    attacker = _Attacker(url, state, facts, how, tell)
    yield from _attack_mcp(attacker)
    yield from _reuse_refresh_token(attacker)
    if facts.redeemed is not None:
        yield from attacker.on_token("reused code", facts.redeemed)
    for name, wrong in (
        ("wrong code_verifier", {"code_verifier": secrets.token_urlsafe(32)}),
        ("wrong redirect_uri, token request", {"redirect_uri": f"{HOSTILE}/callback"}),
    ):
        if form := (yield from attacker.code(name)):
            yield from attacker.on_token(name, attacker.form(form | wrong))
    yield from _redirect_elsewhere(attacker)
    yield from _foreign_audience(attacker)


# --- at the MCP endpoint


def _attack_mcp(attacker: _Attacker) -> Steps[None]:
    opened = yield from _opened(attacker)
    if opened is None:
        attacker.skip("altered tokens, session, query, Origin", "the endpoint answers neither POST nor GET as MCP does")
        return
    url, token = attacker.url, attacker.token
    for name, altered, proves in _altered(token):
        if altered:
            yield from attacker.on_mcp(name, attacker.first_request(url, altered), proves)
        else:
            attacker.skip(name, "the token is no JWT")
    yield from _session_alone(attacker, opened)
    in_query = with_query(url, {"access_token": token})
    yield from attacker.on_mcp("token in the query", attacker.first_request(in_query, None))
    request = attacker.first_request(url, token)
    hostile = request.model_copy(update={"headers": (*request.headers, ("Origin", HOSTILE))})
    yield from attacker.on_mcp("hostile Origin", hostile)


def _opened(attacker: _Attacker) -> Steps[Exchange | None]:
    """The answer with the own token, in whichever way the server speaks; None where it does not."""
    own = "none yet, own token"
    ways: tuple[Literal["initialize", "discover", "sse"], ...] = ("initialize", "discover", "sse")
    for attacker.speaks in ways:
        request = attacker.first_request(attacker.url, attacker.token)
        if attacker.speaks == "initialize":
            answer = yield from followed(attacker.url, _marked(request, own))
        else:
            answer = yield _marked(request, own, opening=attacker.speaks == "sse")
        if served(answer):
            attacker.url = answer.request.url
            return answer
    return None


def _session_alone(attacker: _Attacker, opened: Exchange) -> Steps[None]:
    """A session that was opened with the token, and from then on without it."""
    asker, url, token, name = attacker.state.asker, attacker.url, attacker.token, "session id without token"
    if attacker.speaks == "sse":
        place = absolute(stream_endpoint(opened), url)
        if urls.origin(place) == urls.origin(url):
            yield from attacker.on_mcp(name, asker.initialize(place, None))
        else:
            attacker.skip(name, "the stream names an endpoint on another origin")
        return
    session = opened.response.header("mcp-session-id") if opened.response else None
    if not session:
        attacker.skip(name, "the server issues no Mcp-Session-Id")
        return
    revision = text(reply_of(opened)["result"].get("protocolVersion")) or asker.revision
    yield ProbeRequest(asker.initialized(url, token, session, revision), "reporter")
    yield from attacker.on_mcp(name, asker.tools(url, None, session, revision))
    yield ProbeRequest(asker.end(url, token, session, revision), "reporter")


def _altered(token: str) -> tuple[tuple[str, str | None, str], ...]:
    """Name, token, and what its refusal leaves open; None for a token where only a JWT can be altered so."""
    header, inside, parts = jose_header(token), claims(token), token.split(".")
    signature = parts[-1] if len(parts) == 3 else token
    middle = len(signature) // 2
    other = "A" if signature[middle] != "A" else "B"
    changed = token[: len(token) - len(signature)] + signature[:middle] + other + signature[middle + 1 :]
    none = issuer = expired = None
    if header is not None and inside is not None and len(parts) == 3:
        none = f"{_part({**header, 'alg': 'none'})}.{parts[1]}."
        issuer = f"{parts[0]}.{_part({**inside, 'iss': HOSTILE})}.{parts[2]}"
        expired = f"{parts[0]}.{_part({**inside, 'exp': int(time.time()) - _DAY})}.{parts[2]}"
    rest = "shows that the signature is checked; whether `{}` is, only a signed token shows"
    return (
        ("alg=none", none, ""),
        ("altered signature" if none else "altered token", changed, ""),
        ("wrong issuer", issuer, rest.format("iss")),
        ("expired", expired, rest.format("exp")),
    )


def _part(value: Mapping[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(dict(value)).encode()).rstrip(b"=").decode()


def _foreign_audience(attacker: _Attacker) -> Steps[None]:
    """A token for another resource, where the authorization server issues one (RFC 8707)."""
    name = "foreign audience"
    try:
        form = yield from authorized(
            attacker.state, attacker.facts, attacker.how, resource=f"{HOSTILE}/mcp", actor="reporter"
        )
    except Stop as stop:
        refused = stop.end.outcome == "stopped"
        verdict: Verdict = "refused" if refused else "not sent"
        attacker.tell(AttackOutcome(name, f"no token issued: {stop.end.why}", verdict))
        return
    answer = yield _marked(attacker.form(form), name)
    token = text(answer.response.json_object.get("access_token")) if answer.response and answer.ok else None
    if token is None:
        attacker.tell(AttackOutcome(name, f"no token issued: {_words(answer)}", _verdict(answer, False)))
        return
    value = (claims(token) or {}).get("aud")
    audience = (value,) if isinstance(value, str) else texts(value)
    if audience and not any(one.startswith(HOSTILE) for one in audience):
        attacker.skip(name, f"the token asked for {HOSTILE}/mcp is for {', '.join(audience)}")
        return
    answer = yield _marked(attacker.first_request(attacker.url, token), name)
    verdict = _verdict(answer, served(answer))
    if verdict == "ACCEPTED" and not audience:
        told = f"{_words(answer)}; the token does not say for whom it is"
        attacker.tell(AttackOutcome(name, told, "unclear"))
        return
    attacker.tell(AttackOutcome(name, _words(answer), verdict))


# --- at the authorization server


def _reuse_refresh_token(attacker: _Attacker) -> Steps[None]:
    """An old refresh token, after its successor was used; once more after the time that a retry may take."""
    name, old = "reused refresh token", text(attacker.facts.granted.get("refresh_token"))
    if old is None or not attacker.public:
        why = "a client with a secret may keep its refresh token" if old else "no refresh token was issued"
        attacker.skip(name, why)
        return
    resource = {"resource": attacker.facts.resource} if attacker.facts.resource else {}
    request = attacker.form({"grant_type": "refresh_token", "refresh_token": old} | resource)
    first = yield _marked(request, name)
    if not _issued(first):
        attacker.skip(name, f"its first use is refused: {_words(first)}")
        return
    new = text(first.response.json_object.get("refresh_token")) if first.response else None
    if new and new != old:  # until it is used, some servers keep the old one, for a client that did not get the answer
        yield _marked(attacker.form({"grant_type": "refresh_token", "refresh_token": new} | resource), name)
    again = yield _marked(request, name)
    if _issued(again) and new and new != old:
        again = yield _marked(request, name, after=GRACE)
    attacker.tell(AttackOutcome(name, _words(again), _verdict(again, _issued(again))))


def _redirect_elsewhere(attacker: _Attacker) -> Steps[None]:
    """An authorization request whose redirect URI nobody registered. Asked without a browser."""
    name, facts = "unregistered redirect_uri", attacker.facts
    if facts.metadata.get("require_pushed_authorization_requests") is True:
        attacker.skip(name, "the server takes pushed authorization requests only")
        return
    asked = {
        "response_type": "code",
        "client_id": str(facts.client["client_id"]),
        "redirect_uri": f"{HOSTILE}/callback",
        "code_challenge": challenge(secrets.token_urlsafe(32)),
        "code_challenge_method": "S256",
        "state": secrets.token_urlsafe(32),
    }
    asked |= {"resource": facts.resource} if facts.resource else {}
    url = with_query(facts.endpoint("authorization") or "", asked)
    answer = yield _marked(attacker.state.asker.page(url), name)
    location = answer.response.header("location") if answer.response else None
    sent_there = location is not None and absolute(location, url).startswith(f"{HOSTILE}/")
    verdict = _verdict(answer, sent_there)
    told = _words(answer)
    if verdict == "refused" and (answer.status or 0) < 400:
        verdict, told = "unclear", f"{told}, a page; what follows a sign-in there was not seen"
    attacker.tell(AttackOutcome(name, told, verdict))


# --- answers


def served(answer: Exchange) -> bool:
    """The MCP server did what was asked: it answered, or opened a stream, or took a message whose answer comes there
    (2024-11-05)."""
    taken = answer.status == 202 and answer.request.method == "POST"
    return answer.ok and ("result" in reply_of(answer) or bool(stream_endpoint(answer)) or taken)


def _issued(answer: Exchange) -> bool:
    return answer.ok and bool(answer.response and text(answer.response.json_object.get("access_token")))


def _verdict(answer: Exchange, accepted: bool) -> Verdict:
    """A server that fails, or has no time, has refused nothing."""
    if accepted:
        return "ACCEPTED"
    return "unclear" if answer.response is None or answer.status == 429 or (answer.status or 0) >= 500 else "refused"


def _words(answer: Exchange) -> str:
    """Status and error code, as the server says them."""
    if answer.response is None:
        return f"no answer: {answer.error}"
    error = text(answer.response.json_object.get("error")) if answer.response.body is not None else None
    return f"{answer.status} {error}" if error else str(answer.status)


def _marked(request: Request, name: str, after: float = 0.0, *, opening: bool = False) -> ProbeRequest:
    """Ours, and said to be an attack to whoever reads the server's log."""
    headers = tuple(
        (key, f"{value} (attack: {name})" if key.lower() == "user-agent" else value) for key, value in request.headers
    )
    return ProbeRequest(request.model_copy(update={"headers": headers}), "reporter", opening, after)
