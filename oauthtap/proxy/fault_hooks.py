"""Puts injected faults into what passes. Which, when and what is said elsewhere; what fails here changes nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator

from mitmproxy import ctx, http

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.faults.injector import AppliedFault, FaultInjector, altered_callback_url, answered
from oauthtap.handshake.state import Handshake
from oauthtap.model.exchange import Exchange, Response
from oauthtap.proxy import _mitmproxy_internals as internals
from oauthtap.proxy import flow_convert
from oauthtap.proxy.flow_convert import RequestContext
from oauthtap.proxy.streaming import in_chunks

_REDIRECT = 302


class FaultHooks:
    """The injections of one tap. Everything is in upstream names."""

    def __init__(self, analyzer: SessionAnalyzer, injecting: FaultInjector | None, note: Callable[[str], None]) -> None:
        self._analyzer, self._injecting, self._note = analyzer, injecting or FaultInjector(), note

    @property
    def pending(self) -> bool:
        """Something is still to be injected."""
        return bool(self._injecting.pending)

    def instead(self, exchange: Exchange, passage: RequestContext) -> Response | None:
        """The answer to this request in the upstream's place; None to go on and ask it."""
        with self._harmless():
            if self.pending and (found := self._injecting.instead(exchange, self._analyzer)):
                shown = answered(found, exchange.request, None, self._analyzer.handshake_for(exchange))
                passage.fault = AppliedFault(found, shown)
                return shown
        return None

    def marked(self, exchange: Exchange, passage: RequestContext) -> Exchange:
        """The exchange with the name of the fault that it has met, so that it is never laid on the upstream."""
        if passage.fault is None and self.pending and not passage.copy:
            with self._harmless():
                found = self._injecting.match_response(exchange, self._analyzer)
                passage.fault = AppliedFault(found) if found else None
        fault = passage.fault
        if fault is None:
            return exchange
        return exchange.replace(injected_fault=fault.injection.name, delivered_response=fault.shown)

    def apply(
        self, passage: RequestContext, answer: Response, handshake: Handshake
    ) -> tuple[Response, tuple[str, ...]]:
        """The answer as the client is to get it, and the name of the fault where it changed anything."""
        if passage.fault is None or passage.client_request is None:
            return answer, ()
        with self._harmless():
            faulty = answered(passage.fault.injection, passage.client_request, answer, handshake)
            if faulty is not answer:
                return faulty, (f"--inject {passage.fault.injection.name}",)
        return answer, ()

    @contextlib.contextmanager
    def _harmless(self) -> Iterator[None]:
        """A fault that cannot be made leaves the traffic as it is."""
        try:
            yield
        except Exception as problem:
            self._note(f"oauthtap could not inject a fault here ({type(problem).__name__}); the traffic is as it was")

    @staticmethod
    def holds(passage: RequestContext) -> bool:
        """The answer is to come late."""
        return passage.fault is not None and passage.fault.injection.holds

    @staticmethod
    async def delay(passage: RequestContext) -> None:
        """Wait, where the answer is to come late."""
        if passage.fault is not None and passage.fault.injection.holds:
            await asyncio.sleep(passage.fault.injection.seconds)

    def alter_callback(self, passage: RequestContext, onward: str) -> str:
        """Where the browser goes on to with what it brought. `onward` is in local names."""
        found = self._injecting.match_callback() if self.pending else None
        if found is None or passage.client_request is None:
            return onward
        shown = Response(
            status=_REDIRECT, headers=(("Location", altered_callback_url(found, passage.client_request.url)),)
        )
        passage.fault = AppliedFault(found, shown)
        return altered_callback_url(found, onward)

    # --- streams

    def cut(self, flow: http.HTTPFlow, passage: RequestContext, head: Response) -> None:
        """Break this stream at its first event, where that is wanted."""
        if not self.pending or flow.response is None or passage.client_request is None:
            return
        found = self._injecting.cutting(
            flow_convert.exchange(flow, passage.client_request, head, took=None), self._analyzer
        )
        passing = flow.response.stream
        if found is None or not callable(passing):
            return
        broken = False
        if "content-length" not in flow.response.headers:
            in_chunks(flow)

        def cutting(data: bytes) -> bytes | list[bytes]:
            nonlocal broken
            if broken:
                return []
            if passage.fault is None and b"data:" in data and found in self._injecting.pending:
                passage.fault = AppliedFault(self._injecting.take(found))
            sent = passing(data)
            whole = sent if isinstance(sent, bytes) else b"".join(sent)
            if passage.fault is None or not whole:
                return whole or []
            broken = True
            asyncio.get_running_loop().call_soon(internals.hang_up, ctx.master, flow.client_conn.id, flow.client_conn)
            return _half(whole)

        flow.response.stream = cutting

    @staticmethod
    def ended(flow: http.HTTPFlow, passage: RequestContext) -> None:
        """The upstream ended a stream that was cut: the client must not hear of an orderly end."""
        if passage.fault is not None and passage.fault.injection.cuts and flow.killable:
            flow.kill()


def _half(events: bytes) -> bytes:
    """The bytes up to the middle of the first data line."""
    begin = events.find(b"data:") + len(b"data:") if b"data:" in events else 0
    end = events.find(b"\n", begin)
    return events[: begin + ((end if end >= 0 else len(events)) - begin) // 2]
