"""What an exchange was for: one class per stage, with a typed, lenient view of it.

Recognizing is done in `classify.py`, remembering in `state.py`; here is only
what each stage holds. The documents under test are wrong by nature, so nothing is
parsed into a strict model: members are read one by one, and whatever is not of the
expected type reads as absent.

A property whose source nobody has seen (a body the recorder left out) raises
`Unseen`; the engine then counts the rule as not checked. So a rule never has to ask
whether it may look.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict

from oauthtap.model import urls, www_authenticate
from oauthtap.model.exchange import (
    Exchange,
    Message,
    Pairs,
    Request,
    Response,
    all_values,
    combined_header,
    first_value,
)
from oauthtap.model.exchange import Unseen as Unseen
from oauthtap.model.sse import sse_events

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
        return www_authenticate.parse(value)

    @property
    def oauth_error(self) -> str | None:
        """`error` of an OAuth error body, when there is one. Raises Unseen."""
        return text(self.answer_object.get("error"))


_MOST_SERVERS = 20
"""Entries of `authorization_servers` that are looked at: no client goes further, and some rules compare all of them."""


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


@dataclass(frozen=True)
class Preflight(Stage):
    """A browser asks whether it may send a request (Fetch, CORS-preflight)."""

    slug: ClassVar[str] = "cors-preflight"

    @property
    def wanted_method(self) -> str:
        return self.request.header("access-control-request-method") or ""

    @property
    def wanted_headers(self) -> tuple[str, ...]:
        """In lower case."""
        value = self.request.header("access-control-request-headers") or ""
        return tuple(name.strip().lower() for name in value.split(",") if name.strip())


# --- the MCP endpoint


@dataclass(frozen=True)
class Mcp(Stage):
    """Any exchange with the MCP endpoint. Its subclasses say which."""

    slug: ClassVar[str] = "mcp-request"

    @cached_property
    def message(self) -> dict[str, Any]:
        """The JSON-RPC message of the request; empty for a batch, a GET, or anything else."""
        return self.request.json_object

    @property
    def method(self) -> str | None:
        """The JSON-RPC method."""
        return text(self.message.get("method"))

    @cached_property
    def params(self) -> dict[str, Any]:
        value = self.message.get("params")
        return value if isinstance(value, dict) else {}

    @cached_property
    def meta(self) -> dict[str, Any]:
        """`params._meta`, where modern requests (2026-07-28) carry version and client."""
        value = self.params.get("_meta")
        return value if isinstance(value, dict) else {}

    @cached_property
    def is_stateless_revision(self) -> bool:
        """The request speaks 2026-07-28 or later: it carries its version with it."""
        return "io.modelcontextprotocol/protocolVersion" in self.meta or bool(self.request.header("mcp-method"))

    @property
    def version(self) -> str | None:
        """The protocol revision this request names."""
        announced = text(self.meta.get("io.modelcontextprotocol/protocolVersion"))
        wished = text(self.params.get("protocolVersion")) if self.method == "initialize" else None
        return announced or wished or self.request.header("mcp-protocol-version")

    @property
    def metadata_url(self) -> str | None:
        """`resource_metadata` of the answer's Bearer challenge, or of any challenge that has it."""
        bearer = self.challenged.bearer
        if bearer and bearer.get("resource_metadata") is not None:
            return bearer.get("resource_metadata")
        return next((v for c in self.challenged.challenges if (v := c.get("resource_metadata")) is not None), None)

    @property
    def scope(self) -> str | None:
        """`scope` of the answer's Bearer challenge."""
        bearer = self.challenged.bearer
        return bearer.get("scope") if bearer else None

    @property
    def error(self) -> str | None:
        """`error` of the answer's Bearer challenge."""
        bearer = self.challenged.bearer
        return bearer.get("error") if bearer else None

    @cached_property
    def reply(self) -> dict[str, Any]:
        """The JSON-RPC answer: the JSON body, or the first result or error on an SSE stream.

        Empty when there is none. Raises Unseen.
        """
        if self.response.media_type != "text/event-stream":
            return self.answer_object
        for event, data in sse_events(self.answer_text):
            if event in ("message", ""):
                message = Message(body=data).json_object
                if "result" in message or "error" in message:
                    return message
        return {}

    @property
    def rpc_error(self) -> dict[str, Any]:
        """The `error` member of the JSON-RPC answer; empty without one. Raises Unseen."""
        value = self.reply.get("error")
        return value if isinstance(value, dict) else {}

    @property
    def result(self) -> dict[str, Any]:
        value = self.reply.get("result")
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True)
class Challenge(Mcp):
    """An MCP request without credentials, and the refusal (RFC 9110, 11.6.1; RFC 6750, 3).

    Also the refusals that do not look like one: a login page, a redirect, a 403.
    """

    slug: ClassVar[str] = "mcp-challenge"


@dataclass(frozen=True)
class Initialize(Mcp):
    slug: ClassVar[str] = "mcp-initialize"


@dataclass(frozen=True)
class Discover(Mcp):
    slug: ClassVar[str] = "mcp-discover"


@dataclass(frozen=True)
class McpRequest(Mcp):
    """Any other JSON-RPC message to the MCP endpoint."""

    slug: ClassVar[str] = "mcp-request"


@dataclass(frozen=True)
class McpStream(Mcp):
    """GET on the MCP endpoint: the stream from server to client (until 2025-11-25)."""

    slug: ClassVar[str] = "mcp-stream"


@dataclass(frozen=True)
class SessionEnd(Mcp):
    slug: ClassVar[str] = "mcp-session-end"


@dataclass(frozen=True)
class LegacySse(Mcp):
    """The transport of 2024-11-05: a GET stream that names where to POST, and those POSTs."""

    slug: ClassVar[str] = "legacy-sse"

    @property
    def endpoint(self) -> str | None:
        """Data of the first event when it is `endpoint`, as sent (often relative). Raises Unseen."""
        events = sse_events(self.answer_text) if self.request.method == "GET" and self.ok else []
        return events[0][1].strip() if events and events[0][0] == "endpoint" else None


@dataclass(frozen=True)
class TokenRejected(Mcp):
    """An MCP request with a token, refused for the token's sake."""

    slug: ClassVar[str] = "mcp-token-rejected"


@dataclass(frozen=True)
class StepUp(Mcp):
    """An MCP request with a token that lacks a permission (403 insufficient_scope)."""

    slug: ClassVar[str] = "mcp-step-up"


# --- documents


@dataclass(frozen=True)
class Document(Stage):
    """A metadata document: one JSON object fetched with GET."""

    variant: str = ""
    """How the URL was come by: `header` (named by a challenge), `inserted`, `root`, `appended`, `other`."""

    @property
    def found(self) -> bool:
        """Answered 200 with one JSON object. Raises Unseen when the body of a 200 was not recorded."""
        return self.status == 200 and bool(self.document)

    @property
    def document(self) -> dict[str, Any]:
        """The document; empty when the answer is no success or no JSON object. Raises Unseen."""
        return self.answer_object if self.ok else {}

    def get(self, member: str) -> str | None:
        """A member that has to be a string; None when it is missing or anything else. Raises Unseen."""
        return text(self.document.get(member))

    def list(self, member: str) -> tuple[str, ...]:
        """The strings of a member that has to be a list of strings. Raises Unseen."""
        return texts(self.document.get(member))


@dataclass(frozen=True)
class ResourceMetadata(Document):
    """Protected resource metadata (RFC 9728)."""

    slug: ClassVar[str] = "prm-discovery"

    @property
    def resource(self) -> str | None:
        return self.get("resource")

    @property
    def authorization_servers(self) -> tuple[str, ...]:
        return self.list("authorization_servers")[:_MOST_SERVERS]

    @property
    def described(self) -> str | None:
        """The resource identifier a well-known URL was built from (RFC 9728, 3.1); None for other URLs."""
        base, path = urls.origin(self.url), urls.path_of(self.url)
        if not path.startswith(urls.PRM):
            return None
        query = f"?{self.request.parts.query}" if self.request.parts.query else ""
        return base + path.removeprefix(urls.PRM) + query


@dataclass(frozen=True)
class ServerMetadata(Document):
    """Authorization server metadata (RFC 8414) or OpenID provider configuration."""

    slug: ClassVar[str] = "as-discovery"

    expected_issuer: str | None = None
    """The issuer whose metadata the client was after: the PRM entry, or what the URL was built from."""

    @property
    def oidc(self) -> bool:
        return urls.OIDC in self.request.path

    @property
    def published(self) -> bool:
        """Answered 200 with a JSON object that means to be metadata: it has an issuer or an endpoint. Raises Unseen."""
        return self.status == 200 and any(name == "issuer" or name.endswith("_endpoint") for name in self.document)

    @property
    def issuer(self) -> str | None:
        return self.get("issuer")

    @property
    def endpoints(self) -> dict[str, str]:
        """Every member that ends in `_endpoint` or is `jwks_uri`, with its URL. Raises Unseen."""
        return {
            name: value
            for name, value in self.document.items()
            if isinstance(value, str) and (name.endswith("_endpoint") or name == "jwks_uri")
        }


@dataclass(frozen=True)
class KeySet(Document):
    slug: ClassVar[str] = "jwks-fetch"


@dataclass(frozen=True)
class ClientMetadata(Document):
    """A client ID metadata document, fetched by the authorization server (CIMD)."""

    slug: ClassVar[str] = "client-metadata-fetch"


# --- the authorization server's endpoints


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


STAGES: tuple[type[Stage], ...] = (
    Preflight,
    Challenge,
    ResourceMetadata,
    ServerMetadata,
    KeySet,
    ClientMetadata,
    Registration,
    PushedAuthorization,
    AuthorizationRequest,
    Interaction,
    AuthorizationResponse,
    TokenRequest,
    TokenRefresh,
    TokenOther,
    DeviceAuthorization,
    TokenMaintenance,
    Initialize,
    Discover,
    McpRequest,
    McpStream,
    SessionEnd,
    LegacySse,
    TokenRejected,
    StepUp,
    Stage,
)
"""In the order of the walk."""
