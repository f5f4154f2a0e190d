"""What a walk needs to behave as one client does, beyond what a forecast needs; and where each of it is known from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from oauthtap.clients.profile import Profile

Basis = Literal["measured", "read", "log", "documented", "told", "assumed"]
"""`measured`: run and recorded by us; `read`: in the client's own source; `log`: a log or capture that somebody
published; `documented`: the vendor's documentation; `told`: a remark without a log; `assumed`: nobody knows, and a walk
needs it."""

Confidence = Literal["certain", "likely", "possible"]

_SURE: dict[Basis, Confidence] = {
    "measured": "certain",
    "read": "likely",
    "log": "likely",
    "documented": "likely",
    "told": "possible",
    "assumed": "possible",
}


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Trait(_Data):
    """One thing that a client does, with where it is known from."""

    value: Any
    basis: Basis
    seen: date
    source: str
    against: str = ""
    """Evidence that says otherwise; then nothing that follows from the trait is more than possible."""

    @property
    def is_doubtful(self) -> bool:
        """Nobody knows, or what somebody told is contradicted: no forecast is made of it."""
        return self.basis == "assumed" or (self.basis == "told" and bool(self.against))

    @property
    def confidence(self) -> Confidence:
        """How sure what follows from it is."""
        return "possible" if self.against else _SURE[self.basis]


class Behaviour(_Data):
    """What a client sends. The defaults are what the specifications say."""

    first_request: Literal["initialize", "discover", "none"] = "initialize"
    """`discover`: `server/discover`, and `initialize` where that is refused; `none`: it signs in first."""
    agent: str = ""
    """User-Agent of MCP requests with a token."""
    tokenless_agent: str = ""
    """User-Agent of MCP requests without one; empty: the same."""
    oauth_agent: str = ""
    """User-Agent of discovery, registration and token request; empty: as `agent`."""
    client_info: Mapping[str, str] = {}
    """`clientInfo` of `initialize`."""
    revision: str = "2025-11-25"
    """`protocolVersion` of `initialize`."""
    first_version_header: bool = False
    """It sends `MCP-Protocol-Version` before anything is negotiated."""
    document_version_header: bool = True
    """It sends `MCP-Protocol-Version` when it asks for documents."""
    document_accept: str = "application/json"
    challenges: tuple[int, ...] = (401, 403)
    """The statuses that make it sign in."""
    needs_challenge: bool = False
    """A refusal without `WWW-Authenticate` is for it a server without OAuth."""
    transport: Literal["falls-back", "by-path", "streamable"] = "falls-back"
    """`falls-back`: to the stream of 2024-11-05 where a POST finds nothing; `by-path`: where the URL ends in /sse;
    `streamable`: Streamable HTTP alone."""
    https: bool = False
    """It calls nothing without TLS."""
    drops_slash: bool = False
    """It drops a slash at the end of the URL that it was given; a bare origin keeps its own."""
    open_server: Literal["connects", "looks"] = "connects"
    """At a server that answers without a token: it connects, or it requests the resource metadata, and signs in where
    that is answered with anything but 404."""
    without_prm_with_id: Literal["same", "origin"] = "same"
    """Without protected resource metadata, where its user typed a client id: it does the same as without one, or takes
    the MCP server's origin for the authorization server."""
    typed_id_endpoints: Literal["named", "guessed"] = "named"
    """Which endpoints it uses where its user typed a client id: those that metadata name, or the ones it guesses."""
    resource_compared: Literal["at-once", "after-metadata"] = "at-once"
    """It compares `resource` when it reads it, or when it has the authorization server's metadata too."""
    asks_oidc_too: bool = False
    """It asks for `openid-configuration` also where it has other metadata."""
    server_fallback: bool = False
    """Where the named authorization server has no metadata, it asks the MCP server's origin."""
    unreachable: Literal["next", "stops"] = "next"
    """A metadata place that cannot be reached."""
    server_error: Literal["next", "stops"] = "next"
    """A metadata place that answers 500 or more, 502 apart."""
    issuer_without_prm: bool = True
    """It compares the issuer also where there is no protected resource metadata."""
    default_endpoints: Literal["resource", "issuer"] = "issuer"
    """On whose origin it looks for /authorize, /token and /register where nothing names them."""
    redirect_uri: str = ""
    """The one it authorizes with; `*` stands for a port or a part that is made anew."""
    redirect_uri_without_iss: str = ""
    """The same at a server that does not promise `iss`; empty: the same."""
    registered_redirect_uris: tuple[str, ...] = ()
    """All that it registers; empty: the one."""
    metadata_client_id: str = ""
    """Its client id metadata URL."""
    metadata_client_id_without_iss: str = ""
    """The same at a server that does not promise `iss`; empty: the same."""
    cimd_needs_none: bool = False
    """It uses its metadata URL only where `none` is among `token_endpoint_auth_methods_supported`."""
    registration: Mapping[str, Any] = {}
    """Members of its registration request, beside `redirect_uris`, `scope` and the authentication method."""
    registration_method: Literal["none", "post-if-listed"] = "none"
    """`post-if-listed`: `client_secret_post` where that is listed, or where there is no list."""
    registration_scope: bool = True
    """It registers the scopes that it will ask for."""
    scopes: tuple[Literal["challenge", "resource", "server"], ...] = ("challenge", "resource")
    """Whose list it asks for: of the challenge, the resource's metadata, the server's metadata; the first there is."""
    pushes: bool = False
    """It pushes its authorization request where the server wants that (RFC 9126)."""
    sends_state: bool = True
    state_compared: bool = True
    """It stops where `state` does not come back as it was."""
    refreshes: Literal["never", "with-resource", "without-resource"] = "with-resource"
    """It gets a new token where the old one is refused or runs out; with the `resource` of the sign-in, or without."""
    steps_up: bool = False
    """Where a scope is missing (403, `insufficient_scope`) it signs in again for it."""
    offline_access: bool = False
    """It adds `offline_access` where the server lists it."""
    resource: Literal["stated", "typed"] = "stated"
    """The `resource` it sends: the metadata's, or the URL it was given."""
    resource_without_prm: bool = True
    """It sends the URL it was given where there is no protected resource metadata."""


WORDS = {
    "first_request": "what it sends first",
    "agent": "its User-Agent",
    "oauth_agent": "its User-Agent at the authorization server",
    "client_info": "its `clientInfo`",
    "challenges": "which statuses make it sign in",
    "needs_challenge": "whether it signs in without `WWW-Authenticate`",
    "transport": "when it uses the transport of 2024-11-05",
    "drops_slash": "whether it keeps a slash at the end of the URL",
    "header_fallback": "what it does where `resource_metadata` of the challenge leads nowhere",
    "relative_header": "what it does with a relative `resource_metadata`",
    "prm_places": "where it looks for protected resource metadata",
    "without_prm": "what it does without protected resource metadata",
    "without_prm_with_id": "what it does without protected resource metadata where a client id was typed",
    "resource_rule": "how it compares `resource`",
    "resource_mismatch": "what it does where `resource` does not fit",
    "open_server": "what it does at a server that answers without a token",
    "typed_id_endpoints": "which endpoints it uses where a client id was typed",
    "as_places": "where it looks for authorization server metadata, in which order",
    "html_metadata": "what it does with a page in place of metadata",
    "without_metadata": "what it does without authorization server metadata",
    "unreachable": "what it does where a metadata place cannot be reached",
    "server_error": "what it does where a metadata place answers 500",
    "issuer_rule": "whether it compares the issuer",
    "iss_rule": "whether it compares `iss`",
    "pkce": "whether S256 has to be listed",
    "redirect_uri": "its redirect URI",
    "registration": "its registration request",
    "registration_scope": "whether it registers its scopes",
    "registration_method": "the authentication method it registers",
    "scopes": "which scopes it asks for",
    "offline_access": "whether it asks for `offline_access`",
    "resource": "which `resource` it sends",
    "resource_without_prm": "whether it sends `resource` without protected resource metadata",
    "token_type": "whether it needs `token_type`",
    "refreshes": "how it refreshes its token",
    "steps_up": "what it does where a scope is missing",
    "default_endpoints": "where it looks for endpoints that nothing names",
}
"""What a walk depends on, in words: for the list of what is not known."""


@dataclass(frozen=True)
class Emulation:
    """A client to walk as."""

    profile: Profile
    behaviour: Behaviour
    traits: Mapping[str, Trait] = field(default_factory=dict)
    """By the name of the member of profile or behaviour."""

    @property
    def unknown(self) -> tuple[str, ...]:
        """What nobody knows of it, in words, in the order of a sign-in; the walk assumes something there."""
        return tuple(
            words for name, words in WORDS.items() if name not in self.traits or self.traits[name].basis == "assumed"
        )


@dataclass(frozen=True)
class WalkEnd:
    """How a walk ended."""

    outcome: Literal["connected", "stopped", "waiting", "as-asked", "open", "unreachable"]
    """`waiting`: a person is next; `as-asked`: it came as far as it was asked; `open`: the server wants no sign-in."""
    stage: str = ""
    """The slug of the stage at which it ended."""
    why: str = ""
    """A clause: what was wrong."""
    change: str = ""
    """What to change, where the check itself says it."""
    trait: str = ""
    """The member of profile or behaviour that made it stop there; empty where the server refused."""
    later: str = ""
    """A clause: how the connection is lost later on; empty where nothing tells."""
    depends_on: tuple[str, ...] = ()
    """The members that mattered on the way: with other values the walk could have gone another way."""


_SHAPES = {"scopes", "offline_access", "registration_method"}
"""What only shapes a request: where the server took it one way, that it may come another way says little."""
_RANK: tuple[Confidence, ...] = ("possible", "likely", "certain")


def confidence(client: Emulation, end: WalkEnd) -> Confidence:
    """How sure it is that the client itself would end as the walk did: no surer than the traits it depends on."""
    names = (end.trait,) if end.trait else end.depends_on
    if end.outcome in ("connected", "open", "as-asked"):
        names = tuple(name for name in names if name not in _SHAPES)
    known = [client.traits[name].confidence if name in client.traits else "possible" for name in names]
    best: Confidence = "likely" if client.profile.evidence != "measured" else "certain"
    return min([best, *known], key=_RANK.index)
