"""What is done in less time is done the same: records, and the short way past a text without secrets."""

from __future__ import annotations

import pytest
from mitmproxy import http
from mitmproxy.io import tnetstring
from mitmproxy.test import tflow

from oauthtap.mitm import flowrecord
from oauthtap.redaction import places
from oauthtap.redaction.redact import Redactor
from oauthtap.wire import Exchange


def carrying() -> http.HTTPFlow:
    """A flow that shows its exchange letter by letter, as those of the tap do."""
    flow = tflow.tflow(resp=True)
    flow.request.headers["content-type"] = "application/json"
    flow.request.text = '{"jsonrpc": "2.0", "id": 1}'
    flow.response.headers["content-type"] = "application/json"
    flow.response.text = '{"access_token": "quite-a-secret-in-an-answer"}'
    flow.metadata[flowrecord.EXCHANGE] = "{}"
    return flow


FLOWS = {
    "answered": lambda: tflow.tflow(resp=True),
    "carrying": carrying,
    "failed": lambda: tflow.tflow(err=True),
    "unanswered": tflow.tflow,
    "with a websocket": lambda: tflow.twebsocketflow(),
}


@pytest.mark.parametrize("name", FLOWS)
def test_a_record_is_what_mitmproxy_makes_of_it(name: str) -> None:
    state = FLOWS[name]().get_state()
    assert flowrecord.record(state) == tnetstring.dumps(state)


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("again", [1, 2, 3])
def test_a_record_made_quickly_is_the_same(name: str, again: int) -> None:
    flow, redactor = FLOWS[name](), Redactor()
    flow.request.headers["authorization"] = "Bearer quite-a-secret-token-4711"
    for number in range(1, again + 1):
        exchange = redactor.strike(flowrecord.exchange_from(flow, number))
        if flowrecord.EXCHANGE in flow.metadata:
            flow.metadata[flowrecord.EXCHANGE] = exchange.as_json()
        quick = flowrecord.redacted_record(flow, redactor, exchange, redactor.came(exchange))
    assert quick == flowrecord.record(flowrecord.redacted_state(flow, redactor, exchange))
    assert b"quite-a-secret" not in quick


def test_a_secret_learned_later_is_in_no_record_of_its_connection() -> None:
    flow, redactor = tflow.tflow(resp=True), Redactor()
    flow.client_conn.sni = "quite-a-secret-token-4711.example.com"
    flow.comment = "quite-a-secret-token-4711"
    exchange = redactor.strike(flowrecord.exchange_from(flow, 1))
    assert b"quite-a-secret" in flowrecord.redacted_record(flow, redactor, exchange, redactor.came(exchange))
    flow.request.headers["authorization"] = "Bearer quite-a-secret-token-4711"
    exchange = redactor.strike(flowrecord.exchange_from(flow, 2))
    assert b"quite-a-secret" not in flowrecord.redacted_record(flow, redactor, exchange, redactor.came(exchange))


@pytest.mark.parametrize(
    "name",
    ["access_token", "refreshToken", "ID_TOKEN_HINT", "csrf-token", "code", "codeVerifier", "client_secret",
     "assertion", "SAMLResponse", "device_code", "user-code", "password", "passwd", "passcode", "otp", "request_uri",
     "auth_req_id", "x-api-key", "apikey", "pa\u017fsword", "to\u212aen"],
)  # fmt: skip
def test_no_name_of_a_secret_is_passed_by(name: str) -> None:
    assert places.kind_of(name)
    assert places.may_hold_a_name(f'{{"{name}": "value"}}')
    assert not places.may_hold_a_name('{"city": "Bergen"}')


def test_a_flow_that_shows_its_exchange_is_not_struck_a_second_time(monkeypatch: pytest.MonkeyPatch) -> None:
    flow, redactor, struck = carrying(), Redactor(), list[Exchange]()
    strike = Redactor.strike
    monkeypatch.setattr(Redactor, "strike", lambda one, exchange: struck.append(exchange) or strike(one, exchange))
    for number in (1, 2, 3):
        exchange = redactor.strike(flowrecord.exchange_from(flow, number))
        flow.metadata[flowrecord.EXCHANGE] = exchange.as_json()
        struck.clear()
        record = flowrecord.redacted_record(flow, redactor, exchange, redactor.came(exchange))
        assert b"quite-a-secret" not in record
    assert not struck
