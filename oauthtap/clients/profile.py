"""What a client profile says, and what it means for a recorded server: who else would stop here?

Rules know the specifications, profiles know clients. A profile is data; the walk below
lays it over the documents and answers that were recorded. Where a client would look at
something nobody recorded, the outlook is *not known*: that is no pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from oauthtap.handshake.stages import (
    Mcp,
    Registration,
    Unseen,
    text,
    texts,
)
from oauthtap.handshake.state import Handshake

STALE = 90
"""Days after which what is known of a client has to say its age."""
Evidence = Literal["measured", "read", "reported"]
"""`measured`: run and recorded; `read`: in the client's own source; `reported`: hearsay, what somebody said."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Recognize(_Data):
    """How the client shows itself. Any one match is enough."""

    user_agent: tuple[str, ...] = ()
    """Beginnings of the User-Agent."""
    client_info: tuple[str, ...] = ()
    """`clientInfo.name`, exact; with `*` at its end, the beginning."""
    client_name: tuple[str, ...] = ()
    """Beginnings of `client_name` in a registration."""
    client_id: tuple[str, ...] = ()
    """Beginnings of a client id that is the URL of a metadata document."""
    redirect_uri: tuple[str, ...] = ()
    """Beginnings of a redirect URI."""


class Measured(_Data):
    """What `python -m tests.profiles` saw of a client."""

    version: str
    date: date
    sends: Mapping[str, Any] = {}
    """What it sends, leg by leg."""
    bed: Mapping[str, str] = {}
    """How each server of the test bed ended for it: target → `connects`, or the last request before it stopped."""


_WHO = frozenset((
    "name", "slug", "versions", "seen", "evidence", "source", "hosted", "recognize", "callback", "measured", "unknown",
    "refuses",
))  # fmt: skip


class Profile(_Data):
    """What is known of one client's behaviour. Unknown keys are refused."""

    name: str
    slug: str
    versions: str
    """The versions it was seen in."""
    seen: date
    evidence: Evidence
    source: str
    """Where it is known from, for a person who wants to check."""
    hosted: bool = False
    """It runs on its vendor's machines: it cannot reach loopback, and some of its legs are out of sight."""
    recognize: Recognize = Recognize()
    callback: tuple[str, ...] = ()
    """Redirect URIs it uses; `*` stands for a port."""

    reads_header: bool = True
    """It reads `resource_metadata` of the 401."""
    header_same_origin: bool = False
    """It ignores a `resource_metadata` on another origin than the MCP URL's."""
    header_fallback: bool = False
    """Where the URL from the header fails, it goes on to the well-known places."""
    relative_header: Literal["ignored", "resolved", "stops"] = "ignored"
    prm_places: tuple[Literal["inserted", "root"], ...] = ("inserted", "root")
    without_prm: Literal["origin", "stops"] = "origin"
    """No usable PRM: the MCP origin is taken for the authorization server, or the client gives up."""
    resource_rule: Literal["prefix", "prefix-slash", "segment", "exact", "origin"] = "prefix"
    resource_mismatch: Literal["stops", "drops", "ignored"] = "stops"
    as_places: tuple[Literal["oauth-inserted", "oidc-inserted", "oidc-appended", "oauth-root"], ...] = (
        "oauth-inserted",
        "oidc-inserted",
        "oidc-appended",
    )
    html_metadata: Literal["stops", "next"] = "stops"
    without_metadata: Literal["defaults", "stops"] = "defaults"
    issuer_rule: Literal["none", "exact", "root-slash", "slash-dropped"] = "none"
    """`root-slash`: a bare origin may have a slash or not; `slash-dropped`: the document may lack the last slash."""
    iss_rule: Literal["none", "if-present", "exact", "always"] = "none"
    """It compares `iss` of the redirect: never, where it is there, also misses one that was promised, or misses any."""
    pkce: Literal["none", "s256-if-listed", "s256-listed"] = "s256-if-listed"
    response_types: bool = False
    """It needs `response_types_supported` with `code`."""
    without_registration: Literal["stops", "guesses"] = "stops"
    """No `registration_endpoint` and no CIMD: it stops, or posts to `/register` all the same."""
    cimd: bool = False
    registration_redirect_uris: bool = False
    """The registration answer has to hold `redirect_uris`."""
    registration_nulls: Literal["stops", "ignored"] = "ignored"
    application_type: bool = False
    """It says `application_type` when it registers."""
    resource_sent: Literal["verbatim", "href"] = "verbatim"
    """PRM `resource` as written, or as URL libraries print it: a bare origin gains a slash."""
    token_type: bool = False
    """The token answer has to hold `token_type`."""
    refuses: tuple[str, ...] = ()
    """Rules about a document at which it was seen to stop, where other clients go on."""
    measured: Measured | None = None
    unknown: tuple[str, ...] = ()
    """Names of members above whose value nobody knows; what depends on them is not known. Those that its file does not
    have are among them."""

    @classmethod
    def behaviour(cls) -> tuple[str, ...]:
        """The members that say what it does; the others say who it is."""
        return tuple(name for name in cls.model_fields if name not in _WHO)

    def age(self, today: date) -> int:
        """Days since it was seen."""
        return (today - self.seen).days

    def is_client(self, handshake: Handshake) -> bool:
        """The recorded client is this one."""
        return any(_matches(self.recognize, signals) for signals in _signals(handshake))


def _signals(handshake: Handshake) -> Iterator[Recognize]:
    for stage in handshake.stages:
        if stage.exchange.actor != "client":
            continue
        agent = stage.request.header("user-agent") or ""
        yield Recognize(user_agent=(agent,))
        try:
            if isinstance(stage, Mcp):
                info = stage.params.get("clientInfo")
                yield Recognize(client_info=(str(info.get("name")),) if isinstance(info, dict) else ())
            elif isinstance(stage, Registration):
                uris = texts(stage.requested.get("redirect_uris"))
                yield Recognize(client_name=(text(stage.requested.get("client_name")) or "",), redirect_uri=uris)
        except Unseen:
            continue
    yield Recognize(client_id=tuple(handshake.client_ids))


def _matches(wanted: Recognize, shown: Recognize) -> bool:
    return (
        _begins(shown.user_agent, wanted.user_agent)
        or any(_called(name, known) for name in shown.client_info for known in wanted.client_info)
        or _begins(shown.client_name, wanted.client_name)
        or _begins(shown.client_id, wanted.client_id)
        or _begins(shown.redirect_uri, wanted.redirect_uri)
    )


def _called(name: str, known: str) -> bool:
    return name.startswith(known[:-1]) if known.endswith("*") else name == known


def _begins(shown: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    return any(value.startswith(start) for value in shown for start in wanted)
