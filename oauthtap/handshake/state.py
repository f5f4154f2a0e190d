"""The state of a handshake: what the exchanges so far have taught.

A handshake belongs to one client and one MCP URL. Rules get it as `so_far`: the
stages *before* the one under judgement, oldest first. Rules over the whole get all.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import cast
from urllib.parse import urljoin

from oauthtap.handshake.compaction import CompactedExchange, CompactedLog, HistoryCompactor
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    AuthorizationResponse,
    Challenge,
    Initialize,
    LegacySse,
    Mcp,
    PushedAuthorization,
    Registration,
    ResourceMetadata,
    ServerMetadata,
    Stage,
    StepUp,
    TokenEndpoint,
    TokenRejected,
    Unseen,
    text,
    texts,
)
from oauthtap.model import requirements, urls


@dataclass(frozen=True)
class Source:
    """A URL or value that a document gave to the client, and where it stands."""

    value: str
    exchange: int
    at: str


class Handshake:
    """Everything seen so far of one sign-in (or of several, one after the other)."""

    def __init__(self, resource: str | None = None, revision: str | None = None) -> None:
        self.resource = resource
        """The MCP URL the client was given, in upstream names; None until something shows it."""
        self.stages: list[Stage] = []
        self.ended: float | None = None
        """When the recording ended, or now: seconds since 1970. None when it is not known."""
        self.over = False
        """Nothing else will come, so that what is absent needs no waiting for."""
        self._forced = revision
        self._announced: str | None = None
        self._negotiated: str | None = None
        self._by_kind: dict[type[Stage], list[Stage]] = defaultdict(list)
        self._by_exchange: dict[int, tuple[Stage, ...]] = {}
        self._alike = HistoryCompactor()
        self.compacted = CompactedLog()
        """What is left of exchanges that no rule needs any more (`compaction.py`), oldest first."""
        self.endpoints: dict[tuple[str, str], Source] = {}
        """(member name, URL in comparable form) to where it was learned; the newest wins."""
        self._endpoint_urls: set[str] = set()
        self.bare_urls: set[str] = set()
        """Every URL that was asked for, without query and fragment."""
        self.mcp_urls: dict[str, int] = {}
        self.metadata_urls: dict[str, Source] = {}
        """Every `resource_metadata` of a challenge, resolved, to the newest exchange that named it."""
        self.message_urls: dict[str, Source] = {}
        self.redirect_uris: dict[str, int] = {}
        self.issued: dict[str, int] = {}
        """Access token, refresh token and code (struck out) to the exchange that issued it."""
        self.client_ids: dict[str, int] = {}
        self.pushed: dict[str, PushedAuthorization] = {}
        self.authorized: Mcp | None = None
        """The first MCP request with a token that succeeded."""
        if resource:
            self.mcp_urls[urls.endpoint(resource)] = 0

    # --- looking back

    def last[S: Stage](self, kind: type[S], *, ok: bool | None = None) -> S | None:
        """The newest stage of that class (subclasses included); with `ok`, only with such an answer."""
        for stage in reversed(self._by_kind[kind]):
            if ok is None or stage.ok is ok:
                return cast(S, stage)
        return None

    def first[S: Stage](self, kind: type[S], *, ok: bool | None = None) -> S | None:
        """The oldest stage of that class (subclasses included); with `ok`, only with such an answer."""
        for stage in self._by_kind[kind]:
            if ok is None or stage.ok is ok:
                return cast(S, stage)
        return None

    def all[S: Stage](self, kind: type[S]) -> Sequence[S]:
        """All stages of that class (subclasses included), oldest first. Not a copy: do not change it."""
        return cast(Sequence[S], self._by_kind[kind])

    def of(self, exchange: int) -> tuple[Stage, ...]:
        """The stages of the exchange with that id; none when it is unknown."""
        return self._by_exchange.get(exchange) or self.compacted.of(exchange)

    def exchanges(self) -> list[tuple[Stage, ...]]:
        """The stages of every exchange that was not dropped, in the order they were seen."""
        return list(self._by_exchange.values())

    def learned(self, member: str, url: str) -> Source | None:
        """Where the metadata named this URL under this member (`token_endpoint`, `jwks_uri`, …)."""
        return self.endpoints.get((member, urls.endpoint(url)))

    def is_learned(self, url: str) -> bool:
        """The metadata named this URL under any member."""
        return urls.endpoint(url) in self._endpoint_urls

    # --- what is known by now

    @property
    def revision(self) -> str:
        """The MCP revision to judge by: overridden, negotiated, announced, or 2025-11-25 when nobody said."""
        return requirements.effective_revision(self._forced or self._negotiated or self._announced or "2025-11-25")

    @property
    def revision_named(self) -> str | None:
        """The date as it stood on the wire (or was forced), None when nobody named one."""
        return self._forced or self._negotiated or self._announced

    @property
    def negotiated(self) -> str | None:
        """The revision the server's initialize answer chose, None before that."""
        return self._negotiated

    @property
    def challenge(self) -> Challenge | None:
        return self.last(Challenge)

    @property
    def prm(self) -> ResourceMetadata | None:
        """The newest protected resource metadata that was really found, as the client got it.

        The client's before a reporter's.
        """
        return _newest_found(self.all(ResourceMetadata))

    @property
    def metadata(self) -> ServerMetadata | None:
        """The newest authorization server metadata that was really found, as the client got it.

        The client's before a reporter's.
        """
        return _newest_found(self.all(ServerMetadata))

    @property
    def registration(self) -> Registration | None:
        """The newest registration that succeeded."""
        return next((r for r in reversed(self.all(Registration)) if r.ok and not r.managing), None)

    @property
    def authorization(self) -> AuthorizationRequest | None:
        return self.last(AuthorizationRequest)

    @property
    def token(self) -> TokenEndpoint | None:
        """The newest token answer that succeeded."""
        return self.last(TokenEndpoint, ok=True)

    @property
    def issuer(self) -> str | None:
        """The issuer the client was sent to: the first entry of the newest PRM; None without one."""
        entries = self.prm.authorization_servers if self.prm else ()
        return entries[0] if entries else None

    def is_mcp(self, url: str) -> bool:
        """The URL is the MCP endpoint (its query does not matter)."""
        return urls.endpoint(url) in self.mcp_urls

    # --- remembering

    def announce(self, stages: tuple[Stage, ...]) -> None:
        """Let the revision that an exchange names count for this exchange already."""
        for stage in stages:
            if isinstance(stage, Mcp):
                self._announced = _promised(stage) or self._announced

    def add(self, stages: tuple[Stage, ...], *, said: Hashable = ()) -> tuple[int, ...]:
        """Remember the stages of one exchange and what they teach.

        `said`: what rules had to say of it, by which it is told whether another one is like it.

        Gives the ids of the exchanges that were dropped for it.
        """
        for stage in stages:
            self.stages.append(stage)
            for kind in _kinds(type(stage)):  # type: ignore[arg-type]
                self._by_kind[kind].append(stage)
            for taught in (stage,) if stage.as_delivered is stage else (stage, stage.as_delivered):
                with suppress(Unseen):
                    self._learn(taught)
        if not stages:
            return ()
        self._by_exchange[stages[0].exchange.id] = stages
        self.bare_urls.add(stages[0].request.bare_url)
        if stages[0].exchange.ended is not None:
            self.ended = max(self.ended or 0.0, stages[0].exchange.ended)
        return self._forget(self._alike.add(stages, said=said))

    def _forget(self, going: list[CompactedExchange]) -> tuple[int, ...]:
        if not going:
            return ()
        for one in going:
            self.compacted.append(one)
        gone = {one.exchange for one in going}
        for exchange in gone:
            for stage in self._by_exchange.pop(exchange):
                for known in (self.stages, *(self._by_kind[kind] for kind in _kinds(type(stage)))):  # type: ignore[arg-type]
                    _take_out(known, stage)
        return tuple(gone)

    def _learn(self, stage: Stage) -> None:
        match stage:
            case Mcp():
                self._learn_mcp(stage)
            case ServerMetadata() if stage.found:
                for member, url in stage.endpoints.items():
                    where = Source(url, stage.exchange.id, f"response.json.{member}")
                    self._endpoint(member, url, where)
            case Registration():
                for uri in (
                    *texts(stage.requested.get("redirect_uris")),
                    *texts(stage.issued.get("redirect_uris")),
                ):
                    self.redirect_uris.setdefault(uri, stage.exchange.id)
                if client_id := text(stage.issued.get("client_id")):
                    self.client_ids[client_id] = stage.exchange.id
                if managed := text(stage.issued.get("registration_client_uri")):
                    where = Source(managed, stage.exchange.id, "response.json.registration_client_uri")
                    self._endpoint("registration_client_uri", managed, where)
            case PushedAuthorization():
                if handle := text(stage.answer_object.get("request_uri")):
                    self.pushed[handle] = stage
            case AuthorizationRequest():
                if callback := stage.redirect_uri:
                    self.redirect_uris.setdefault(urls.without_query(callback), stage.exchange.id)
                if named := stage.get("client_id"):
                    self.client_ids.setdefault(named, stage.exchange.id)
            case AuthorizationResponse():
                if stage.code:
                    self.issued.setdefault(stage.code, stage.exchange.id)
            case TokenEndpoint():
                for member in ("access_token", "refresh_token"):
                    if secret := text(stage.issued.get(member)):
                        self.issued.setdefault(secret, stage.exchange.id)

    def _endpoint(self, member: str, url: str, where: Source) -> None:
        self.endpoints[member, urls.endpoint(url)] = where
        self._endpoint_urls.add(urls.endpoint(url))

    def _learn_mcp(self, stage: Mcp) -> None:
        if isinstance(stage, LegacySse) and stage.request.method == "POST":
            pass
        elif stage.certainty != "guess":
            self.mcp_urls.setdefault(urls.endpoint(stage.url), stage.exchange.id)
        if self.resource is None and stage.exchange.actor == "client":
            self.resource = stage.url
        self._announced = _promised(stage) or self._announced
        if (named_by := stage.metadata_url) and (stage.exchange.actor == "client" or stage.exchange.excerpt):
            at = "response.header.www-authenticate.resource_metadata"
            for url in (named_by, absolute(named_by, stage.url)):
                self.metadata_urls[url] = Source(named_by, stage.exchange.id, at)
        refused = isinstance(stage, Challenge | TokenRejected | StepUp)
        if stage.bearer is not None and not refused and stage.ok and stage.response.media_type != "text/html":
            self.authorized = self.authorized or stage
        if isinstance(stage, LegacySse) and (named := stage.endpoint):
            where = Source(named, stage.exchange.id, "response.event.endpoint")
            self.message_urls[urls.endpoint(absolute(named, stage.url))] = where
        if isinstance(stage, Initialize) and stage.ok:
            self._negotiated = text(stage.result.get("protocolVersion")) or self._negotiated


def _take_out(known: list[Stage], stage: Stage) -> None:
    """Take one of many stages out, which nearly always stand in the order of their exchanges' numbers."""
    at = bisect_left(known, stage.exchange.id, key=_number)
    while at < len(known) and known[at] is not stage:
        at += 1
    del known[at if at < len(known) else known.index(stage)]


def _number(stage: Stage) -> int:
    return stage.exchange.id


def _promised(stage: Mcp) -> str | None:
    """The revision that a request promises to speak. The header of a GET before `initialize` promises nothing."""
    return stage.version if stage.request.method == "POST" else None


@cache
def _kinds(kind: type[Stage]) -> tuple[type[Stage], ...]:
    """The class of a stage, and those it is derived from."""
    return tuple(base for base in kind.__mro__ if issubclass(base, Stage))


def absolute(reference: str, base: str) -> str:
    """A URL reference resolved against the URL it came from (RFC 3986, 5)."""
    try:
        return urljoin(base, reference)
    except ValueError:
        return reference


def _newest_found[D: (ResourceMetadata, ServerMetadata)](documents: Sequence[D]) -> D | None:
    newest: D | None = None
    for document in reversed(documents):
        if _found(shown := document.as_delivered):
            if shown.exchange.actor != "reporter":
                return shown
            newest = newest or shown
    return newest


def _found(document: ResourceMetadata | ServerMetadata) -> bool:
    try:
        return document.found
    except Unseen:
        return False
