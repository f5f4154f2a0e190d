"""The stages at the authorization server: registration, authorization and its response, tokens."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from oauthtap.handshake.stages.base import Stage, text
from oauthtap.model import urls
from oauthtap.model.exchange import (
    Pairs,
    Request,
    Unseen,
    all_values,
    combined_header,
    first_value,
)


@dataclass(frozen=True)
class Registration(Stage):
    """Dynamic client registration (RFC 7591) and its management (RFC 7592)."""

    slug: ClassVar[str] = "client-registration"

    @property
    def requested(self) -> dict[str, Any]:
        """The client metadata sent. Raises Unseen."""
        return self.request_object

    @property
    def issued(self) -> dict[str, Any]:
        """The registration as answered; empty unless it succeeded. Raises Unseen."""
        return self.answer_object if self.ok else {}

    @property
    def managing(self) -> bool:
        """RFC 7592: reads, changes or deletes a registration made before."""
        return self.request.method != "POST"


@dataclass(frozen=True)
class PushedAuthorization(Stage):
    """RFC 9126: the parameters of an authorization request, sent beforehand."""

    slug: ClassVar[str] = "pushed-authorization"


@dataclass(frozen=True)
class AuthorizationRequest(Stage):
    """The browser opens the authorization endpoint with the client's parameters."""

    slug: ClassVar[str] = "authorization-request"

    pushed: PushedAuthorization | None = None

    @cached_property
    def params(self) -> Pairs:
        """The parameters of query, form, and what a `request_uri` stands for. Raises Unseen."""
        shown = {name for name, _ in self.request.query}
        if self.request.body is None and not shown & {"client_id", "response_type", "request_uri"}:
            raise Unseen(f"the parameters of the authorization request in exchange {self.exchange.id} are not shown")
        own = self.request.query + (self.form if self.request.method == "POST" else ())
        return own + (self.pushed.form if self.pushed else ())

    def get(self, name: str) -> str | None:
        """The first value of a parameter. Raises Unseen."""
        return first_value(self.params, name)

    def all(self, name: str) -> tuple[str, ...]:
        return all_values(self.params, name)

    @property
    def redirect_uri(self) -> str | None:
        return self.get("redirect_uri")


@dataclass(frozen=True)
class Interaction(Stage):
    """Login, consent and error pages of the authorization server."""

    slug: ClassVar[str] = "authorization-interaction"


@dataclass(frozen=True)
class AuthorizationResponse(Stage):
    """The redirect to the client's callback, or the request to the callback itself."""

    slug: ClassVar[str] = "authorization-response"

    requested: AuthorizationRequest | None = None
    """The authorization request it answers, where that was seen."""

    @cached_property
    def callback(self) -> bool:
        """This is the request to the callback, not the redirect that leads there."""
        asked = urls.without_query(self.requested.redirect_uri or "") if self.requested else ""
        if asked and urls.redirect_matches(self.request.bare_url, asked):
            return True
        location = combined_header(self.exchange.response.headers, "location") if self.exchange.response else None
        if location is None:
            return True
        if asked and urls.redirect_matches(urls.without_query(location), asked):
            return False
        return not {"state", "code", "error"} & {name for name, _ in _query_of(location)}

    @property
    def target(self) -> str:
        """The callback URL with its parameters."""
        location = combined_header(self.exchange.response.headers, "location") if self.exchange.response else None
        return self.url if self.callback or location is None else location

    @cached_property
    def params(self) -> Pairs:
        """The parameters of the authorization response: query, fragment, or posted form."""
        pairs = _query_of(self.target)
        if self.callback and self.request.method == "POST":
            pairs += self.request.form
        return pairs

    def get(self, name: str) -> str | None:
        return first_value(self.params, name)

    @property
    def code(self) -> str | None:
        return self.get("code")

    @property
    def error(self) -> str | None:
        return self.get("error")


def _query_of(url: str) -> Pairs:
    before, _, fragment = url.partition("#")
    return Request(method="GET", url=before).query + (
        Request(method="GET", url=f"x:?{fragment}").query if "=" in fragment else ()
    )


@dataclass(frozen=True)
class TokenEndpoint(Stage):
    """Any request to the token endpoint."""

    @cached_property
    def params(self) -> Pairs:
        """The parameters: of the form, or of a JSON body where the client erred. Raises Unseen."""
        if self.form:
            return self.form
        return tuple((name, value) for name, value in self.request_object.items() if isinstance(value, str))

    def get(self, name: str) -> str | None:
        """The first value of a parameter. Raises Unseen."""
        return first_value(self.params, name)

    @property
    def grant(self) -> str | None:
        return self.get("grant_type")

    @property
    def issued(self) -> dict[str, Any]:
        """The token answer; empty unless it succeeded. Raises Unseen."""
        return self.answer_object if self.ok else {}

    @property
    def access_token(self) -> str | None:
        """The access token (struck out), read as any client would: JSON only. Raises Unseen."""
        return text(self.issued.get("access_token"))


@dataclass(frozen=True)
class TokenRequest(TokenEndpoint):
    """The code is exchanged for a token."""

    slug: ClassVar[str] = "token-request"


@dataclass(frozen=True)
class TokenRefresh(TokenEndpoint):
    slug: ClassVar[str] = "token-refresh"


@dataclass(frozen=True)
class TokenOther(TokenEndpoint):
    """Client credentials, token exchange, JWT bearer, device code."""

    slug: ClassVar[str] = "token-other-grant"


@dataclass(frozen=True)
class DeviceAuthorization(Stage):
    slug: ClassVar[str] = "device-authorization"


@dataclass(frozen=True)
class TokenMaintenance(Stage):
    """Introspection, revocation, userinfo."""

    slug: ClassVar[str] = "token-maintenance"
