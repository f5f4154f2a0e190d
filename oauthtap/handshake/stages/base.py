"""`Stage`: what an exchange was for, as far as all stages have it in common, and lenient readers of members."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict

from oauthtap.model import www_authenticate
from oauthtap.model.exchange import (
    Exchange,
    Message,
    Pairs,
    Request,
    Response,
    Unseen,
    combined_header,
)

Certainty = Literal["certain", "likely", "guess"]
"""`certain`: the URL was learned from a document or set by the user; `likely`: the content
says so; `guess`: only the path does. At `guess` no finding is more than a note."""


class Initiator(BaseModel):
    """Why the client sent a request: the member that told it to, or the guess it made."""

    model_config = ConfigDict(frozen=True)

    exchange: int | None = None
    """The exchange that holds the member, or, for a guess, the one that left it without better."""
    at: str = ""
    """`response.json.authorization_servers[0]`, `response.header.location`, …"""
    guess: bool = False
    """No document advertised it."""
    fallback: str = ""
    """For a guess: the rule of thumb by which clients come to this URL."""


@dataclass(frozen=True)
class Stage:
    """Any exchange at all: what no subclass claims stays a plain `Stage`."""

    slug: ClassVar[str] = "other"

    exchange: Exchange
    certainty: Certainty = "likely"
    initiator: Initiator | None = None

    @cached_property
    def as_delivered(self) -> Self:
        """The same as it was with the fixes that changed it: what the client goes by. Itself where none did."""
        patched = self.exchange.patched
        return self if patched is self.exchange else replace(self, exchange=patched)

    @property
    def request(self) -> Request:
        return self.exchange.request

    @property
    def response(self) -> Response:
        """The answer. Raises Unseen when there is none."""
        if self.exchange.response is None:
            raise Unseen(f"exchange {self.exchange.id} has no answer: {self.exchange.error or 'still under way'}")
        return self.exchange.response

    @property
    def status(self) -> int | None:
        """The status of the answer, None when there is no answer."""
        return self.exchange.status

    @property
    def ok(self) -> bool:
        return self.exchange.ok

    @property
    def url(self) -> str:
        return self.request.url

    @cached_property
    def answer(self) -> Any:
        """The answer's body as JSON (any type), None when it is no JSON. Raises Unseen."""
        return _seen(self, self.response, "answer").json_value

    @cached_property
    def answer_object(self) -> dict[str, Any]:
        """The answer's body as one JSON object, empty when it is anything else. Raises Unseen."""
        return self.answer if isinstance(self.answer, dict) else {}

    @cached_property
    def answer_text(self) -> str:
        """The answer's body. Raises Unseen."""
        return _seen(self, self.response, "answer").body or ""

    @cached_property
    def request_object(self) -> dict[str, Any]:
        """The request's body as one JSON object, empty when it is anything else. Raises Unseen."""
        return _seen(self, self.request, "request").json_object

    @cached_property
    def form(self) -> Pairs:
        """The request's body as a form. Raises Unseen."""
        return _seen(self, self.request, "request").form

    @cached_property
    def authorization(self) -> tuple[str, str] | None:
        """Scheme (as written) and credentials of the Authorization header; None without one. Raises Unseen."""
        if self.request.unseen("authorization"):
            raise Unseen(f"whoever recorded exchange {self.exchange.id} leaves Authorization out")
        value = combined_header(self.request.headers, "authorization")
        if value is None:
            return None
        scheme, _, credentials = value.partition(" ")
        return scheme, credentials

    @cached_property
    def bearer(self) -> str | None:
        """The access token of the request (struck out), sent as Bearer or DPoP; None without one in sight."""
        if self.request.unseen("authorization"):
            return None
        if self.authorization and self.authorization[0].lower() in ("bearer", "dpop"):
            return self.authorization[1].strip()
        return None

    @property
    def challenged(self) -> www_authenticate.ParsedChallenges:
        """The WWW-Authenticate lines of the answer, read."""
        answer = self.exchange.response
        if answer is not None and answer.partial:
            answer.header_lines("www-authenticate")  # rules are told where there may be one that nobody saw
        return self._challenged

    @cached_property
    def _challenged(self) -> www_authenticate.ParsedChallenges:
        answer = self.exchange.response
        value = () if answer is None else tuple(v for n, v in answer.headers if n.lower() == "www-authenticate")
        return www_authenticate.parse(value) if value else _NO_CHALLENGES

    @property
    def oauth_error(self) -> str | None:
        """`error` of an OAuth error body, when there is one. Raises Unseen."""
        return text(self.answer_object.get("error"))


_NO_CHALLENGES = www_authenticate.ParsedChallenges()


def _seen[M: Message](stage: Stage, message: M, name: str) -> M:
    if message.body is None:
        raise Unseen(f"the body of the {name} in exchange {stage.exchange.id} was not recorded")
    return message


def text(value: Any) -> str | None:
    """The value when it is a string, else None."""
    return value if isinstance(value, str) else None


def texts(value: Any) -> tuple[str, ...]:
    """The strings of a list; nothing for anything that is no list."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def scopes(value: Any) -> tuple[str, ...]:
    """The scopes of a space-separated string (RFC 6749, 3.3)."""
    return tuple(value.split()) if isinstance(value, str) else ()
