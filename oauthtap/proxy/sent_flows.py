"""Flows whose messages have been sent, in mitmweb's list with their secrets until somebody is about to see them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from mitmproxy import flow, http

from oauthtap.proxy.flow_state import redact
from oauthtap.redaction.redactor import Redactor

Written = Callable[[], bool]
"""A file is written as flows come."""


class SentFlows:
    """Takes the secrets out of flows, late: most are never looked at. What has not been sent keeps them."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._flows: dict[str, tuple[http.HTTPFlow, bool]] = {}
        """Flow id to the flow, and whether its response has been sent, too."""
        self.is_watched = False
        """A browser has asked for something: it is sent each flow as it changes."""
        self.is_written: Written = lambda: False

    def add(self, sent: http.HTTPFlow) -> None:
        """The request of this flow has left; its response as well, where it has one."""
        self._flows[sent.id] = sent, sent.response is not None
        if self.is_watched or self.is_written():
            self.redact()

    def redact(self) -> None:
        """Somebody is about to look. Of a flow that cannot be redacted nothing is shown."""
        for number, (sent, response) in list(self._flows.items()):
            try:
                redact(sent, self._redactor, response=response)
            except Exception:
                _empty(sent, response=response)
            del self._flows[number]

    def forget(self, gone: Iterable[flow.Flow]) -> None:
        """These are in no list any more."""
        for one in gone:
            self._flows.pop(one.id, None)


def _empty(sent: http.HTTPFlow, *, response: bool) -> None:
    """Leave method, host and status, and say why; what has not been sent stays as it is."""
    sent.request.path = "/"
    sent.comment = "not shown: oauthtap failed to redact it"
    for message in (sent.request, sent.response if response else None):
        if message is not None:
            message.headers.clear()
            message.trailers = None
            message.raw_content = b""
