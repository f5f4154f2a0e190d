"""Flows without secrets, and the short way past a text that has none."""

from __future__ import annotations

import pytest
from mitmproxy import http
from mitmproxy.io import tnetstring
from mitmproxy.test import tflow

from oauthtap.proxy import flow_state
from oauthtap.redaction import secret_locations, secret_names
from oauthtap.redaction.redactor import Redactor


def carrying() -> http.HTTPFlow:
    """A flow that shows its exchange letter by letter, as those of the tap do."""
    flow = tflow.tflow(resp=True)
    flow.request.headers["content-type"] = "application/json"
    flow.request.text = '{"jsonrpc": "2.0", "id": 1}'
    flow.response.headers["content-type"] = "application/json"
    flow.response.text = '{"access_token": "quite-a-secret-in-an-answer"}'
    flow.metadata[flow_state.EXCHANGE] = "{}"
    return flow


def test_a_flow_that_was_sent_loses_its_secrets_and_those_of_its_edits() -> None:
    flow, redactor = carrying(), Redactor()
    flow.backup()
    flow.request.headers["authorization"] = "Bearer quite-a-secret-token-4711"
    flow.comment = "quite-a-secret-token-4711"
    flow_state.redact(flow, redactor)
    assert b"quite-a-secret" not in tnetstring.dumps(flow.get_state())
    assert "\u2039" in flow.request.headers["authorization"]
    assert flow.response is not None
    assert "\u2039" in flow.response.text


@pytest.mark.parametrize(
    "name",
    ["access_token", "refreshToken", "ID_TOKEN_HINT", "csrf-token", "code", "codeVerifier", "client_secret",
     "assertion", "SAMLResponse", "device_code", "user-code", "password", "passwd", "passcode", "otp", "request_uri",
     "auth_req_id", "x-api-key", "apikey", "pa\u017fsword", "to\u212aen"],
)  # fmt: skip
def test_no_name_of_a_secret_is_passed_by(name: str) -> None:
    assert secret_names.kind_of(name)
    assert secret_locations.may_hold_a_name(f'{{"{name}": "value"}}')
    assert not secret_locations.may_hold_a_name('{"city": "Bergen"}')
