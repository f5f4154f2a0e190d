"""Hands exchanges to the tap, and what it says of them to whoever listens. Renames nothing."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable

from mitmproxy import http

from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.faults.injector import FaultInjector
from oauthtap.fixes.applier import ActiveFixes
from oauthtap.fixes.offers import FixSwitch
from oauthtap.model.exchange import Exchange, Request, Response
from oauthtap.model.sse import BoundedCapture
from oauthtap.proxy import flow_convert
from oauthtap.proxy.byte_budget import SPENT, ByteBudget
from oauthtap.proxy.fault_hooks import FaultHooks
from oauthtap.proxy.flow_annotations import annotate, flows_are_shown
from oauthtap.proxy.flow_convert import RequestContext
from oauthtap.proxy.sent_flows import SentFlows
from oauthtap.proxy.streaming import Held
from oauthtap.rewriting import public_url
from oauthtap.rewriting.callback_relay import restored
from oauthtap.rewriting.limits import Limitation
from oauthtap.rewriting.origins import PUBLIC

TOO_LARGE = "A message of more than 1 MB passed as it came: of its body only the beginning and the end are kept."


@dataclasses.dataclass
class ProxyCallbacks:
    """Who is told what. Each is called on the proxy's own thread and has to be quick."""

    on_exchange: Callable[[AnalyzedExchange], None] = lambda step: None
    on_flow: Callable[[http.HTTPFlow, AnalyzedExchange], None] = lambda flow, step: None
    """When a flow is complete, annotated where there is a list of flows, and in the names the client saw."""
    on_listener: Callable[[str, str], None] = lambda local, upstream: None
    on_note: Callable[[str], None] = lambda sentence: None
    """Something the person should know that is nobody's fault. Each sentence once."""
    fixes: FixSwitch | None = None
    """For the command `oauthtap.fix` and the live page. None: nothing can be switched."""
    on_stream: Callable[[AnalyzedExchange, str], None] = lambda step, body: None
    """When an event stream has ended of which the step holds the beginning alone: all that was kept of it."""


class Observer:
    """The tap behind the proxy. Each passage is judged once, on what the upstream really sent."""

    def __init__(
        self,
        analyzer: SessionAnalyzer,
        callbacks: ProxyCallbacks,
        fixes: ActiveFixes | None = None,
        keeps: Callable[[Exchange], bool] = lambda exchange: True,
        injecting: FaultInjector | None = None,
    ) -> None:
        self.faults = FaultHooks(analyzer, injecting, self.note)
        self._analyzer, self.callbacks, self._fixes, self._keeps = analyzer, callbacks, fixes or ActiveFixes(), keeps
        self.sent_flows = SentFlows(analyzer.redactor)
        self._budget = ByteBudget()
        self._noted: set[str] = set()
        self._were_on: tuple[str, ...] = ()

    def judge(
        self,
        flow: http.HTTPFlow,
        passage: RequestContext,
        response: Response | None = None,
        *,
        error: str | None = None,
    ) -> Response | None:
        """Observe one exchange and repair it where asked. Gives the answer as the client is to get it, in upstream
        names: who calls renames it. When this returns, the exchange was judged and told to whoever records it.

        An exchange that is not to be kept is not judged: the passage has no step then.
        """
        assert passage.client_request is not None
        exchange = self._exchange(flow, passage, response, took=_since(flow), error=error)
        if not self._keeps(exchange):
            return response
        if self._fixes.names != self._were_on:
            self._were_on = self._fixes.names
            exchange = exchange.replace(active_fixes=self._were_on)
        if passage.changed is not None:
            exchange = exchange.replace(forwarded_request=passage.changed, applied_fixes=passage.changed_by)
        exchange = self._budget.within(self.faults.marked(exchange, passage))
        if self._budget.is_spent:
            self.tell([Limitation("session-bytes", SPENT)])
        analyzed = self._analyzer.analyze(exchange)  # observe
        delivered, applied = self._repaired(analyzed, passage, response)  # repair
        passage.step = self._analyzer.record_delivery(analyzed, delivered if applied else None, applied)
        if flows_are_shown():
            annotate(flow, passage.step)
        self.callbacks.on_exchange(passage.step)
        return delivered

    @staticmethod
    def _exchange(
        flow: http.HTTPFlow, passage: RequestContext, response: Response | None = None, *, took: float | None = None,
        error: str | None = None,
    ) -> Exchange:  # fmt: skip
        assert passage.client_request is not None
        exchange = flow_convert.exchange(flow, passage.client_request, response, took=took, error=error)
        if passage.host == PUBLIC:  # a tunnel's connections are the tunnel's, and tell nothing of the client
            exchange = exchange.model_copy(update={"connection": None})
        return exchange

    # --- what is changed

    def _repaired(
        self, analyzed: AnalyzedExchange, passage: RequestContext, response: Response | None
    ) -> tuple[Response | None, tuple[str, ...]]:
        """The answer as the client is to get it, and what changed it. A fix that breaks changes nothing."""
        streamed = passage.copy is not None  # it has passed already
        if response is None or passage.client_request is None or streamed or not (self._fixes.on or passage.fault):
            return response, ()
        try:
            mended, names = self._fixes.apply(analyzed, passage.client_request, response)
        except Exception as problem:
            self.note(f"A fix could not be applied to exchange {analyzed.exchange.id}: {type(problem).__name__}.")
            return response, ()
        self._tell(names)
        faulty, fault = self.faults.apply(passage, mended, analyzed.handshake)
        return faulty, (*names, *fault)

    @property
    def repairing(self) -> bool:
        """Answers may be changed, so they have to be waited for."""
        return self._fixes.on or self.faults.pending

    def injected_response(self, flow: http.HTTPFlow, passage: RequestContext) -> Response | None:
        """The answer of an injected fault that takes the upstream's place, in upstream names; None to ask it."""
        if not self.faults.pending or passage.client_request is None:
            return None
        answer = self.faults.instead(self._exchange(flow, passage), passage)
        if answer is not None:
            passage.made = True
            self.judge(flow, passage)
        return answer

    def fixed_request(
        self,
        flow: http.HTTPFlow,
        request: Request,
        passage: RequestContext,
        *,
        stages: tuple[str, ...] = (),
        **values: str,
    ) -> Request:
        """The request as it goes on, its parameters changed where a fix says so. What is judged stays the client's."""
        if not self._fixes.on:
            return request
        handshake = self._analyzer.handshake_for(self._exchange(flow, passage))
        made, passage.changed_by = self._fixes.request(request, handshake, stages=stages, **values)
        if passage.changed_by:
            passage.changed = made
            self._tell(passage.changed_by)
        return made

    def _tell(self, names: tuple[str, ...]) -> None:
        for name in names:
            self.note(f"The fix {name} is at work: what follows is the server with it.")

    def judge_stream(
        self, flow: http.HTTPFlow, passage: RequestContext, *, ended: bool, error: str | None = None
    ) -> None:
        """Once, whatever comes first: the `endpoint` event of a legacy stream, its end, or the client's leaving."""
        if passage.copy is None or flow.response is None:
            return
        if passage.step is None:
            response = flow_convert.streamed(flow, passage.answered or (), passage.copy, ended=ended)
            if passage.swap and response.body:
                response = flow_convert.with_body(response, restored(response.body, passage.swap))
            self.judge(flow, passage, response, error=error)

    def finished(self, flow: http.HTTPFlow, passage: RequestContext) -> None:
        """Nothing more comes on this flow."""
        if passage.copy is not None and flow.response is not None:
            self._tell_stream(flow, passage, passage.copy)
            # It is not sent again: it is there to be seen and saved.
            flow.response.data.content = passage.copy.bytes()
        for message in (flow.request, flow.response):
            if message is not None and isinstance(message.stream, Held):
                message.stream = False  # `Held` leads back to the flow: mitmweb's list would drop it, and not free it
        if passage.step is not None:
            self.callbacks.on_flow(flow, passage.step)

    def _tell_stream(self, flow: http.HTTPFlow, passage: RequestContext, copy: BoundedCapture) -> None:
        was = passage.step.exchange.response if passage.step is not None else None
        if passage.step is None or was is None or not was.truncated:
            return
        body = flow_convert.streamed(flow, passage.answered or (), copy, ended=True).body or ""
        body = restored(body, passage.swap) if passage.swap else body
        if body != was.body:
            self.callbacks.on_stream(passage.step, body)

    def sent(self, flow: http.HTTPFlow) -> None:
        """The request of this flow has left, or its response: from here on mitmweb shows it without secrets."""
        if flows_are_shown() and not self._analyzer.keeps_secrets:
            self.sent_flows.add(flow)

    def without_secrets(self, data: bytes) -> bytes:
        """What is shown of a stream while it passes."""
        if self._analyzer.keeps_secrets:
            return data
        text = data.decode("utf-8", "surrogateescape")
        return self._analyzer.redactor.redact_text(text).encode("utf-8", "surrogateescape")

    def is_in_scope(self, url: str) -> bool:
        """The sign-ins so far need this upstream URL."""
        return public_url.is_path_allowed(url, self._analyzer.handshakes)

    def tell(self, limits: Iterable[Limitation]) -> None:
        """What cannot work like this: said once, and in the report."""
        for limit in limits:
            if limit.kind not in self._noted:
                self.note(limit.sentence, kind=limit.kind)
                self._analyzer.notes.append(limit.sentence)

    def note(self, sentence: str, *, kind: str | None = None) -> None:
        """Tell the person, once; of a `kind`, only the first."""
        if (kind or sentence) not in self._noted:
            self._noted.add(kind or sentence)
            self.callbacks.on_note(sentence)


def _since(flow: http.HTTPFlow) -> float:
    """Seconds since the request began."""
    return max(0.0, time.time() - flow.request.timestamp_start)
