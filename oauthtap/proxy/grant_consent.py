"""A stored grant in the place of consent: the client's code is ours, and its token request becomes the grant's.

Everything else stays the client's own sign-in: discovery, registration, its authorization and token request, and MCP.
"""

from __future__ import annotations

import json
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

from oauthtap.grants.grant_file import Grant, GrantError, GrantFile
from oauthtap.handshake.stages import text
from oauthtap.model import urls
from oauthtap.model.exchange import Pairs, Request, Response, first_value
from oauthtap.probe.requests import with_credentials, with_query
from oauthtap.rewriting.limits import Limitation

TOLD = Limitation(
    "grant",
    "Nobody was asked for consent: a stored grant (--grant) stands in its place. The authorization endpoint was not "
    "asked, and the client's code was redeemed as the grant is, so PKCE and redirect URI were not checked there.",
)
NOT_PUSHED = Limitation(
    "grant-not-pushed",
    "The stored grant (--grant) does not stand in for this authorization request: the server wants it pushed "
    "(RFC 9126), and the client did not push it. It goes to the authorization endpoint as it is.",
)
_CODE = "oauthtap-grant-"
_MOST = 100


class GrantConsent:
    """Answers authorization requests, and redeems what it answered with, by one grant."""

    def __init__(self, file: GrantFile) -> None:
        self._file, self._codes = file, OrderedDict[str, None]()
        self._pushed = OrderedDict[str, Pairs]()
        """`request_uri` to the parameters that it stands for."""
        self._grant: Grant | None = None
        """The one that was sent and is not answered yet."""
        self._late: GrantError | None = None
        self._issuer: str | None = None
        """Of the authorization server, where it promises `iss` with each code (RFC 9207)."""
        self._pushed_only: set[str] = set()
        """Authorization endpoints that take no other request than a pushed one (RFC 9126, 5), in comparable form."""

    def learn(self, metadata: Mapping[str, Any]) -> None:
        """Note what an authorization server promises and requires, as it says itself."""
        if metadata.get("authorization_response_iss_parameter_supported") is True:
            self._issuer = text(metadata.get("issuer"))
        if endpoint := text(metadata.get("authorization_endpoint")):
            only = metadata.get("require_pushed_authorization_requests") is True
            (self._pushed_only.add if only else self._pushed_only.discard)(urls.endpoint(endpoint))

    def keep_pushed(self, asked: Pairs, answer: Response, swap: Mapping[str, str]) -> None:
        """Keep what the server took as a pushed authorization request (RFC 9126, 2.2).

        `swap`: our redirect URI, which the server was sent, to the client's own.
        """
        handle = text(answer.json_object.get("request_uri")) if 200 <= answer.status < 300 else None
        if handle is None:
            return
        sent = {theirs: ours for ours, theirs in swap.items()}
        self._pushed[handle] = tuple((name, sent.get(value, value)) for name, value in asked)
        while len(self._pushed) > _MOST:
            self._pushed.popitem(last=False)

    def is_unpushed(self, asked: Request) -> bool:
        """An authorization request that the server refuses because it was not pushed."""
        return urls.endpoint(asked.url) in self._pushed_only and first_value(asked.query, "request_uri") is None

    def _parameters(self, asked: Request) -> Pairs | None:
        """Of an authorization request; of a pushed one, what was pushed. None for one that the server would refuse.

        A `request_uri` works once, and for the client that got it (RFC 9126, 4).
        """
        if self.is_unpushed(asked):
            return None
        handle = first_value(asked.query, "request_uri")
        if handle is None:
            return asked.query
        pushed = self._pushed.pop(handle, ())
        return pushed if first_value(pushed, "client_id") == first_value(asked.query, "client_id") else None

    def answer_to(self, asked: Request) -> str | None:
        """Where an authorization request leads: back at once, with a code of ours. None for one that we cannot answer.

        Only to a callback on this machine: whether another is registered, the server alone knows.
        """
        known = self._parameters(asked) or ()
        uri, state = first_value(known, "redirect_uri"), first_value(known, "state")
        if uri is None or not urls.is_loopback(uri):
            return None
        code = _CODE + secrets.token_urlsafe(24)
        self._codes[code] = None
        while len(self._codes) > _MOST:
            self._codes.popitem(last=False)
        answer = {
            "code": code,
            **({"state": state} if state else {}),
            **({"iss": self._issuer} if self._issuer else {}),
        }
        return with_query(uri, answer)

    def is_due(self, body: bytes | None) -> bool:
        """A request with one of our codes, which needs the grant's file: `turn` first."""
        return _CODE.encode() in (body or b"")

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """The file is ours, as soon as no other run has it; where it stays another's, `redeemed` says so."""
        try:
            self._late = None
            await self._file.lock()
        except GrantError as problem:
            self._late = problem
        try:
            yield
        finally:
            self._file.unlock()

    def redeemed(self, asked: Request) -> Request | None:
        """The grant's token request in the place of one with a code of ours; None for any other.

        Raises GrantError, also where it would go elsewhere than to the endpoint that the grant is for.
        """
        code = first_value(asked.form, "code") or ""
        if code not in self._codes or urls.endpoint(asked.url) != urls.endpoint(self._file.read().token_endpoint):
            return None
        if self._late is not None:
            raise self._late
        del self._codes[code]
        self._grant = self._file.begin()
        form, more = with_credentials(self._grant.client, self._grant.form)
        kept = tuple(line for line in asked.headers if line[0].lower() != "authorization")
        return Request(method="POST", url=asked.url, headers=(*kept, *more), body=urlencode(form))

    def answered(self, answer: Response | None) -> None:
        """What the token endpoint said is written down before anybody else gets it. Raises GrantError."""
        grant, self._grant = self._grant, None
        good = answer is not None and 200 <= answer.status < 300
        self._file.end(grant.after(answer.json_object) if grant and answer and good else None)


def without_refresh_token(answer: Response) -> Response:
    """The token answer as the client gets it: the grant's successor is not for a client that would use it up."""
    document = answer.json_object
    if "refresh_token" not in document:
        return answer
    body = json.dumps({name: value for name, value in document.items() if name != "refresh_token"})
    return answer.model_copy(update={"body": body})
