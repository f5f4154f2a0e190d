"""Opens a way to every origin an answer sends the client to, before the answer goes out."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from oauthtap.model import urls
from oauthtap.model.exchange import Request, Response
from oauthtap.proxy import flow_convert
from oauthtap.proxy.flow_convert import RequestContext
from oauthtap.proxy.listeners import Listeners
from oauthtap.proxy.observer import Observer
from oauthtap.proxy.upstream_connections import UpstreamConnections
from oauthtap.rewriting import public_url, responses, ssrf_guard
from oauthtap.rewriting.limits import Limitation
from oauthtap.rewriting.origins import Origins, local_origin
from oauthtap.rewriting.responses import DocumentKind

_MOST_NAMED = 1000
_MOST_ORIGINS = 16
"""A document that names more authorization servers than this is up to something."""


_MOST_TOLD = 20


class OriginDiscovery:
    """The map of origins as it grows."""

    def __init__(self, origins: Origins, listeners: Listeners, hops: UpstreamConnections, observer: Observer) -> None:
        self.origins = origins
        self._listeners, self._hops, self._observer = listeners, hops, observer
        self._refused: set[str] = set()
        """Origins that got no port, as far as they were counted."""
        self._led: dict[str, str] = {}
        """Places on other origins that a redirect led to, and the `Authorization` it was the answer to."""

    def new_origins(self, kind: DocumentKind, answer: Response, passage: RequestContext) -> list[str]:
        """The origins that this answer names and that have no port yet.

        None for pages: a browser that is sent on belongs at the real place.
        """
        in_browser = passage.client_request is not None and flow_convert.actor_of(passage.client_request) == "browser"
        if kind == "other" or in_browser or (kind != "mcp" and answer.status >= 400):
            return []
        self._remember(answer, passage)
        named = {urls.origin(url): url for url in islice(responses.named(kind, answer), _MOST_NAMED)}
        return [
            origin
            for origin, url in named.items()
            if origin and origin not in self.origins.ports and not self.origins.is_local(url)
        ]

    async def open(self, origins: Iterable[str]) -> None:
        """A port for each of these origins, where one may be opened."""
        for origin in origins:
            if origin not in self.origins.ports:
                await self._open(origin)

    def _remember(self, answer: Response, passage: RequestContext) -> None:
        """A redirect from one server to another. Under our names both are `localhost`, which some clients take for
        one host: they would hand the first one's token to the second, and without us they would not."""
        there = answer.header("location") or ""
        shown = passage.client_request.header("authorization") if passage.client_request else None
        if shown and urls.origin(there) not in (
            "",
            urls.origin(passage.client_request.url if passage.client_request else ""),
        ):
            self._led[urls.endpoint(there)] = shown

    def strip_redirected_token(self, asked: Request) -> Request:
        """The request without a token that was meant for the server which redirected it here."""
        shown = asked.header("authorization")
        if shown is None or self._led.get(urls.endpoint(asked.url)) != shown:
            return asked
        kept = tuple((name, value) for name, value in asked.headers if name.lower() != "authorization")
        return Request(method=asked.method, url=asked.url, headers=kept, body=asked.body)

    async def _open(self, origin: str) -> None:
        reason = ssrf_guard.blocked_reason(origin, private=self._hops.private)
        if reason is None and len(self.origins.ports) >= _MOST_ORIGINS:
            reason = f"{_MOST_ORIGINS} origins are open already"
        if reason:
            self._refused.add(origin)
            if len(self._refused) <= _MOST_TOLD:
                self._observer.note(f"No local port for {origin}: {reason}.")
            else:
                self._observer.note("No local port for further origins: they are too many to be told.", kind="ports")
            return
        port = await self._listeners.open(origin)
        if port is None:
            self._observer.note(f"No local port for {origin}: none is free.")
            return
        if origin not in self.origins.ports:
            self.origins = self.origins.with_origin(origin, port)
            self._observer.callbacks.on_listener(self.origins.public.get(port, local_origin(port)), origin)
            if self.origins.public and port not in self.origins.public:
                self._observer.tell([Limitation(f"no public name: {origin}", public_url.missing(origin, port))])
