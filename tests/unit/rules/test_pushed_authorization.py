"""What the answer to a pushed authorization request may lack."""

from __future__ import annotations

import pytest

from tests.support.exchanges import judge

PUSHED = """
GET https://as.example.com/.well-known/oauth-authorization-server
200 {"issuer": "https://as.example.com", "pushed_authorization_request_endpoint": "https://as.example.com/par"}

POST https://as.example.com/par client_id=c1&response_type=code
"""


@pytest.mark.parametrize(
    ("answer", "at", "severity"),
    [
        ('201 {"expires_in": 60}', "response.json.request_uri", "error"),
        ('201 {"request_uri": "urn:made-up:1"}', "response.json.expires_in", "warning"),
        ('201 {"request_uri": "urn:made-up:1", "expires_in": true}', "response.json.expires_in", "warning"),
        ('201 {"request_uri": "urn:made-up:1", "expires_in": "60"}', "response.json.expires_in", "warning"),
        ('200 {"request_uri": "urn:made-up:1", "expires_in": 60}', "response.status", "note"),
        ('201 {"request_uri": "urn:made-up:1", "expires_in": 60}', None, None),
        ('400 {"error": "invalid_request"}', None, None),
    ],
)
def test_each_thing_that_is_missing_has_its_place(answer: str, at: str | None, severity: str | None) -> None:
    told = [one for one in judge(PUSHED + answer).findings if one.rule == "par-response"]
    assert [(one.at, one.severity) for one in told] == ([(at, severity)] if at else [])
