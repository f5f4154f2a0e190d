"""What is done in less time is done the same: records, and the short way past a text without secrets."""

from __future__ import annotations

import pytest
from mitmproxy.io import tnetstring
from mitmproxy.test import tflow

from oauthtap.mitm import flowrecord
from oauthtap.redaction import places
from oauthtap.redaction.redact import Redactor

FLOWS = {
    "answered": lambda: tflow.tflow(resp=True),
    "failed": lambda: tflow.tflow(err=True),
    "unanswered": tflow.tflow,
    "with a websocket": lambda: tflow.twebsocketflow(),
}


@pytest.mark.parametrize("name", FLOWS)
def test_a_record_is_what_mitmproxy_makes_of_it(name: str) -> None:
    state = FLOWS[name]().get_state()
    assert flowrecord.record(state) == tnetstring.dumps(state)


@pytest.mark.parametrize("name", FLOWS)
@pytest.mark.parametrize("again", [1, 2])
def test_a_record_made_quickly_is_the_same(name: str, again: int) -> None:
    flow, redactor = FLOWS[name](), Redactor()
    flow.request.headers["authorization"] = "Bearer quite-a-secret-token-4711"
    exchange = redactor.strike(flowrecord.exchange_from(flow, 1))
    for _ in range(again):
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
    assert places.MEMBER.search(f'{{"{name}": "value"}}')
    assert places.may_hold_a_name(f'{{"{name}": "value"}}')
    assert not places.may_hold_a_name('{"city": "Bergen"}')
