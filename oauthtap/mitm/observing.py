"""Hands exchanges to the tap, and what it says of them to whoever listens. Renames nothing."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from mitmproxy import http
from mitmproxy.addonmanager import safecall

from oauthtap.batch import Batch
from oauthtap.injections.injecting import Injecting
from oauthtap.mitm import translate
from oauthtap.mitm.annotate import annotate, show_anew
from oauthtap.mitm.faults import Faults
from oauthtap.mitm.translate import Passage
from oauthtap.names import tunnel
from oauthtap.names.origins import PUBLIC
from oauthtap.names.relay import restored
from oauthtap.names.unrenamable import Limit
from oauthtap.repair.mending import Fixes
from oauthtap.tap import Step, Tap
from oauthtap.wire import Exchange, Request, Response

TOO_LARGE = "A message of more than 1 MB passed as it came: of its body only the beginning and the end are kept."
_TOGETHER = 16
"""How many are judged without a pause: all that passes waits meanwhile."""


@dataclasses.dataclass
class Ears:
    """Who is told what. Each is called on the proxy's own thread and has to be quick."""

    on_step: Callable[[Step], None] = lambda step: None
    on_flow: Callable[[http.HTTPFlow, Step], None] = lambda flow, step: None
    """When a flow is complete, annotated, and in the names the client saw."""
    on_listener: Callable[[str, str], None] = lambda local, upstream: None
    on_note: Callable[[str], None] = lambda sentence: None
    """Something the person should know that is nobody's fault. Each sentence once."""
    on_fix: Callable[[Sequence[str]], list[str]] | None = None
    """The command `oauthtap.fix` with its words; gives what to show. None: there is no such command."""


class Observer:
    """The tap behind the proxy. Each passage is judged once, on what the upstream really sent."""

    def __init__(
        self,
        tap: Tap,
        ears: Ears,
        fixes: Fixes | None = None,
        keeps: Callable[[Exchange], bool] = lambda exchange: True,
        injecting: Injecting | None = None,
    ) -> None:
        self.faults = Faults(tap, injecting, self.note)
        self._tap, self.ears, self._fixes, self._keeps = tap, ears, fixes or Fixes(), keeps
        self._noted: set[str] = set()
        self._were_on: tuple[str, ...] = ()
        self._waiting = Batch(self._judge_together, at_once=_TOGETHER)

    def judge(
        self, flow: http.HTTPFlow, passage: Passage, response: Response | None = None, *, error: str | None = None
    ) -> Response | None:
        """Feed one exchange. Gives the answer as the client is to get it, in upstream names: repaired where asked.

        An exchange that is not to be kept is not judged: the passage has no step then.
        """
        assert passage.meant is not None
        self._waiting.flush()
        took = _since(flow) if passage.took is None else passage.took
        exchange = translate.exchange(flow, passage.meant, response, took=took, error=error)
        if passage.host == PUBLIC:  # a tunnel's connections are the tunnel's, and tell nothing of the client
            exchange = exchange.model_copy(update={"connection": None})
        if not self._keeps(exchange):
            return response
        if self._fixes.names != self._were_on and passage.took is None:
            self._were_on = self._fixes.names
            exchange = exchange.with_(fixes=self._were_on)
        if passage.changed is not None:
            exchange = exchange.with_(sent=passage.changed, patched_by=passage.changed_by)
        exchange = self.faults.marked(exchange, passage)
        passage.repaired = response
        # What has passed already cannot be changed any more.
        passed = passage.copy is not None or passage.took is not None
        mends = response is not None and not passed and (self._fixes.on or passage.fault)
        step = self._tap.feed(exchange, partial(self._mend, passage) if mends else None)
        passage.step = step
        annotate(flow, step)
        self.ears.on_step(step)
        return passage.repaired

    # --- what need not wait for us

    def may_wait(self, passage: Passage, response: Response) -> bool:
        """This answer goes on as it is, and is like many before it: the client need not wait until it is judged."""
        asked = passage.meant
        changed = self.repairing or passage.swap or passage.changed is not None or passage.fault is not None
        return not changed and response.status == 200 and asked is not None and self._tap.expects(asked)

    def judge_soon(self, flow: http.HTTPFlow, passage: Passage, response: Response) -> None:
        """`judge` and `finished`, once it has passed: within 20 ms, in order, and with those that come meanwhile."""
        passage.took = _since(flow)
        self._waiting.add((flow, passage, response))

    def judge_waiting(self) -> None:
        """Judge now what has passed."""
        self._waiting.flush()

    def _judge_together(self, passed: list[tuple[http.HTTPFlow, Passage, Response]]) -> None:
        for flow, passage, response in passed:
            with safecall():
                error = translate.unreadable(flow.response) if flow.response else None
                self.judge(flow, passage, response, error=error)
                self.finished(flow, passage)
        with safecall():
            show_anew([flow for flow, _, _ in passed])

    # --- what is changed

    def _mend(self, passage: Passage, step: Step) -> Exchange | None:
        """Lay the fixes over an answer that was judged. A fix that breaks changes nothing."""
        came = passage.repaired
        assert passage.meant is not None
        assert came is not None
        try:
            passage.repaired, names = self._fixes.answer(step, passage.meant, came, self._tap.handshake)
        except Exception as problem:
            self.note(f"A fix could not be laid over exchange {step.exchange.id}: {type(problem).__name__}.")
            return None
        self._tell(names)
        faulty = self.faults.laid_over(passage, passage.repaired)
        if faulty is not passage.repaired and passage.fault is not None:
            passage.repaired, names = faulty, (*names, f"--inject {passage.fault.injection.name}")
        if not names:
            return None
        return step.exchange.with_(shown=passage.repaired, patched_by=(*step.exchange.patched_by, *names))

    @property
    def repairing(self) -> bool:
        """Answers may be changed, so they have to be waited for."""
        return self._fixes.on or self.faults.pending

    def instead(self, flow: http.HTTPFlow, passage: Passage) -> Response | None:
        """The answer of an injected fault that takes the upstream's place, in upstream names; None to ask it."""
        if not self.faults.pending or passage.meant is None:
            return None
        answer = self.faults.instead(translate.exchange(flow, passage.meant, None, took=None), passage)
        if answer is not None:
            passage.made = True
            self.judge(flow, passage)
        return answer

    def asks(self, request: Request, passage: Passage, *, stages: tuple[str, ...] = (), **values: str) -> Request:
        """The request as it goes on, its parameters changed where a fix says so. What is judged stays the client's."""
        made, passage.changed_by = self._fixes.request(request, self._tap.handshake, stages=stages, **values)
        if passage.changed_by:
            passage.changed = made
            self._tell(passage.changed_by)
        return made

    def _tell(self, names: tuple[str, ...]) -> None:
        for name in names:
            self.note(f"The fix {name} is at work: what follows is the server with it.")

    def judge_stream(self, flow: http.HTTPFlow, passage: Passage, *, ended: bool, error: str | None = None) -> None:
        """Once, whatever comes first: the `endpoint` event of a legacy stream, its end, or the client's leaving."""
        if passage.copy is None or flow.response is None:
            return
        if passage.step is None:
            response = translate.streamed(flow, passage.answered or (), passage.copy, ended=ended)
            if passage.swap and response.body:
                response = translate.with_body(response, restored(response.body, passage.swap))
            self.judge(flow, passage, response, error=error)

    def finished(self, flow: http.HTTPFlow, passage: Passage) -> None:
        """Nothing more comes on this flow."""
        if passage.copy is not None and flow.response is not None:
            # It is not sent again: it is there to be seen and saved.
            flow.response.data.content = passage.copy.bytes()
        if passage.step is not None:
            self.ears.on_flow(flow, passage.step)

    def has_a_use_for(self, url: str) -> bool:
        """The sign-ins so far need this upstream URL."""
        return tunnel.lets_through(url, self._tap.handshakes)

    def tell(self, limits: Iterable[Limit]) -> None:
        """What cannot work like this: said once, and in the report."""
        for limit in limits:
            if limit.kind not in self._noted:
                self.note(limit.sentence, kind=limit.kind)
                self._tap.notes.append(limit.sentence)

    def note(self, sentence: str, *, kind: str | None = None) -> None:
        """Tell the person, once; of a `kind`, only the first."""
        if (kind or sentence) not in self._noted:
            self._noted.add(kind or sentence)
            self.ears.on_note(sentence)


def _since(flow: http.HTTPFlow) -> float:
    """Seconds since the request began."""
    return max(0.0, time.time() - flow.request.timestamp_start)
