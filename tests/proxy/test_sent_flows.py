"""Flows in mitmweb's list lose their secrets before anybody sees them, and never before they were sent."""

from __future__ import annotations

import gc
import weakref
from functools import partial

import pytest
from mitmproxy import http
from mitmproxy.test import tflow, tutils

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.proxy.flow_convert import RequestContext
from oauthtap.proxy.observer import Observer, ProxyCallbacks
from oauthtap.proxy.sent_flows import SentFlows
from oauthtap.proxy.streaming import Held
from oauthtap.redaction.redactor import Redactor


def under_way() -> tuple[http.HTTPFlow, http.Response]:
    """A flow whose request has left, and the response that comes later."""
    flow = tflow.tflow(resp=True)
    flow.request.headers["authorization"] = "Bearer canary-of-the-request-4711"
    response, flow.response = flow.response, None
    assert response is not None
    response.headers["set-cookie"] = "sid=canary-of-the-response-4711"
    return flow, response


def shown(flow: http.HTTPFlow) -> str:
    return f"{flow.request.headers} {flow.response.headers if flow.response else ''}"


def test_a_response_that_came_and_is_still_to_be_sent_keeps_its_secrets() -> None:
    flow, response = under_way()
    sent = SentFlows(Redactor())
    sent.add(flow)
    assert "canary-of-the-request" in shown(flow)
    flow.response = response
    sent.redact()
    assert "canary-of-the-request" not in shown(flow)
    assert "canary-of-the-response" in shown(flow)
    sent.add(flow)
    sent.redact()
    assert "canary" not in shown(flow)


def test_who_watches_never_sees_a_secret_of_what_was_sent() -> None:
    flow, _ = under_way()
    sent = SentFlows(Redactor())
    sent.is_watched = True
    sent.add(flow)
    assert "canary" not in shown(flow)


def test_a_flow_that_cannot_be_redacted_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    flow, _ = under_way()
    sent = SentFlows(Redactor())
    sent.add(flow)
    with monkeypatch.context() as patch:
        patch.setattr(sent._redactor, "redact", _breaks)
        sent.redact()
    assert "canary" not in shown(flow)
    assert "failed to redact" in flow.comment


def test_what_the_list_has_dropped_is_kept_no_more() -> None:
    flow, _ = under_way()
    sent = SentFlows(Redactor())
    sent.add(flow)
    sent.forget([flow])
    assert sent._flows == {}


def _breaks(*_: object) -> None:
    raise ValueError("broken")


def test_a_flow_that_is_in_no_list_any_more_is_freed_at_once() -> None:
    flow = http.HTTPFlow(tflow.tclient_conn(), tflow.tserver_conn())
    flow.request, flow.response = tutils.treq(), tutils.tresp()
    for message in (flow.request, flow.response):
        message.stream = Held(partial(print, flow))  # type: ignore[assignment]
    Observer(SessionAnalyzer(), ProxyCallbacks()).finished(flow, RequestContext("https://a.example", "localhost"))
    gone = weakref.ref(flow)
    gc.disable()
    try:
        del flow
        assert gone() is None
    finally:
        gc.enable()
