"""From registration to token, as a generator: what a model client sends, and where it refuses what it got.

Every refusal is one that the specifications demand of clients: a foreign `state`, a
foreign `iss`, a token answer without `token_type`.
"""

from __future__ import annotations

import secrets
from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Self

from oauthtap.handshake.stages import text
from oauthtap.handshake.state import absolute
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Pairs, Request, Response, first_value
from oauthtap.probe.requests import BrowserStep, ProbeRequest, RequestBuilder, basic, challenge, with_query

_MOST_HOPS = 10
_SUFFICES = 32
"""Bytes of randomness for verifier and state (RFC 7636, 4.1: 32 octets)."""


@dataclass
class FlowState:
    """What discovery has taught, and what registration adds to it."""

    metadata: dict[str, Any]
    resource: str
    scope: str | None
    client: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def by_default(cls, origin: str, resource: str, scope: str | None) -> Self:
        """No document anywhere: the endpoints of MCP 2025-03-26, Fallbacks for Servers without Metadata Discovery."""
        paths = {"authorization": "authorize", "token": "token", "registration": "register"}
        return cls({f"{name}_endpoint": f"{origin}/{path}" for name, path in paths.items()}, resource, scope)

    def endpoint(self, name: str) -> str | None:
        """The URL of an endpoint (`token`, `registration`, …); None unless it is one."""
        url = text(self.metadata.get(f"{name}_endpoint"))
        return url if url and urls.split(url) else None


@dataclass(frozen=True)
class SignIn:
    """How to sign in."""

    resource: str
    callback: str
    client_id: str | None
    headless: bool


Found = Generator[ProbeRequest | BrowserStep, Exchange, str | None]


def register(asker: RequestBuilder, facts: FlowState, how: SignIn) -> Found:
    """The client id, given beforehand or got by registration (RFC 7591); None when there is no way to one."""
    if how.client_id:
        facts.client = {"client_id": how.client_id}
        return how.client_id
    endpoint = facts.endpoint("registration")
    if endpoint is None:
        return None
    answer = yield ProbeRequest(asker.registration(endpoint, how.callback, facts.scope))
    facts.client = answer.response.json_object if answer.response and answer.ok else {}
    return text(facts.client.get("client_id"))


def deregister(asker: RequestBuilder, facts: FlowState) -> Generator[ProbeRequest | BrowserStep, Exchange, None]:
    """Take back what was registered, where the server allows it (RFC 7592)."""
    url = text(facts.client.get("registration_client_uri"))
    token = text(facts.client.get("registration_access_token"))
    if url and token and urls.origin(url) == urls.origin(facts.endpoint("registration") or ""):
        yield ProbeRequest(asker.deregistration(url, token), "reporter")


def sign_in(asker: RequestBuilder, facts: FlowState, how: SignIn) -> Found:
    """The access token; None where the way ends."""
    client_id = yield from register(asker, facts, how)
    authorize, token_endpoint = facts.endpoint("authorization"), facts.endpoint("token")
    if client_id is None or authorize is None or token_endpoint is None:
        return None
    verifier, state = secrets.token_urlsafe(_SUFFICES), secrets.token_urlsafe(_SUFFICES)
    asked = {
        "response_type": "code",
        "client_id": client_id,
        "redirect_uri": how.callback,
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
        "state": state,
        "resource": facts.resource,
    } | ({"scope": facts.scope} if facts.scope else {})
    if facts.metadata.get("require_pushed_authorization_requests") is True:
        asked = yield from _pushed(asker, facts, asked)
    url = with_query(authorize, asked)
    came = (
        (yield from _without_hands(asker, url, how.callback))
        if how.headless
        else (yield BrowserStep(url)).request.query
    )
    code = _accepted(came, state, facts)
    if code is None:
        return None
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": how.callback, "code_verifier": verifier}
    return (yield from _redeemed(asker, facts, token_endpoint, form | {"resource": facts.resource}))


def _pushed(
    asker: RequestBuilder, facts: FlowState, asked: dict[str, str]
) -> Generator[ProbeRequest | BrowserStep, Exchange, dict[str, str]]:
    """The parameters sent beforehand, where the server wants it so (RFC 9126, 4)."""
    endpoint = facts.endpoint("pushed_authorization_request")
    if endpoint is None:
        return asked
    form, headers = _identified(facts, asked)
    answer = yield ProbeRequest(asker.form(endpoint, form, *headers))
    handle = text(answer.response.json_object.get("request_uri")) if answer.response and answer.ok else None
    return {"client_id": asked["client_id"], "request_uri": handle} if handle else asked


def _identified(facts: FlowState, form: dict[str, str]) -> tuple[dict[str, str], Pairs]:
    """The form with the client's credentials in it, or in a header, as it was registered (RFC 7591, 2)."""
    client_id, secret = str(facts.client["client_id"]), text(facts.client.get("client_secret"))
    method = facts.client.get("token_endpoint_auth_method", "client_secret_basic" if secret else "none")
    if secret and method == "client_secret_basic":
        return form, (basic(client_id, secret),)
    posted = {"client_secret": secret} if secret and method == "client_secret_post" else {}
    return form | {"client_id": client_id} | posted, ()


def _redeemed(asker: RequestBuilder, facts: FlowState, endpoint: str, form: dict[str, str]) -> Found:
    """The token for the code; None when the answer is not what RFC 6749, 5.1 makes of it."""
    sent, headers = _identified(facts, form)
    answer = yield ProbeRequest(asker.form(endpoint, sent, *headers))
    granted = answer.response.json_object if answer.response and answer.ok else {}
    if (text(granted.get("token_type")) or "").lower() != "bearer":
        return None
    return text(granted.get("access_token"))


# --- through the browser


def _without_hands(
    asker: RequestBuilder, url: str, callback: str
) -> Generator[ProbeRequest | BrowserStep, Exchange, Pairs]:
    """The parameters of the redirect to the callback, when the server needs no login or consent; else none."""
    jars: dict[str, dict[str, str]] = {}
    for _ in range(_MOST_HOPS):
        jar = jars.setdefault(urls.origin(url), {})
        answer = yield ProbeRequest(asker.page(url, jar), "browser")
        location = answer.response.header("location") if answer.response else None
        if answer.response is None or location is None or not 300 <= answer.response.status < 400:
            return ()
        jar.update(_cookies(answer.response))
        before, url = url, absolute(location, url)
        if urls.redirect_matches(urls.without_query(url), urls.without_query(callback)):
            return Request(method="GET", url=url).query
        if not url.startswith(("https://", urls.origin(before) or "https://")):
            return ()
    return ()


def _cookies(answer: Response) -> dict[str, str]:
    """Names and values; for this short walk their origin is all that limits them."""
    pairs = (line.partition(";")[0].partition("=") for line in answer.header_lines("set-cookie"))
    return {name.strip(): value.strip() for name, _, value in pairs}


def _accepted(came: Pairs, state: str, facts: FlowState) -> str | None:
    """The code, if the answer is for us and from whom we asked (OAuth 2.1, 7.12; RFC 9207, 2.4)."""
    issuer, iss = text(facts.metadata.get("issuer")), first_value(came, "iss")
    promised = facts.metadata.get("authorization_response_iss_parameter_supported") is True
    if first_value(came, "state") != state or (promised and iss is None) or (iss is not None and iss != issuer):
        return None
    return first_value(came, "code") or None
