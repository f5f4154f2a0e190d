"""A client that refuses every authorization response without `iss`: where that is the cause, and where it is not."""

from __future__ import annotations

import pytest

from oauthtap.clients import profiles
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import notation
from oauthtap.report.build import build
from oauthtap.report.model import Report

ABSENT = "authz-resp-iss-absent"
SENT_BACK = """
# mcp: https://mcp.example.com/mcp
POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "clientInfo": {"name": "CLIENT", "version": "0.61.0"}}}
401
WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"

GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["http://mcp.example.com"]}

GET http://mcp.example.com/.well-known/oauth-authorization-server
- Connection refused

GET https://mcp.example.com/.well-known/oauth-authorization-server
200 {"issuer": "https://mcp.example.com", "authorization_endpoint": "https://mcp.example.com/a", "token_endpoint": "https://mcp.example.com/t", "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"]}

@browser
GET https://mcp.example.com/a?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2Flocalhost%3A4711%2Fcb
302
Location: http://localhost:4711/cb?code=made-up&state=s1
"""  # noqa: E501
GEMINI = SENT_BACK.replace("CLIENT", "gemini-cli-mcp-client")
TOKEN = """
@client
POST https://mcp.example.com/t grant_type=authorization_code&code=made-up&client_id=c1
400 {"error": "invalid_grant"}
"""


def judged(text: str) -> Report:
    tap = SessionAnalyzer(resource="https://mcp.example.com/mcp", profiles=profiles())
    for exchange in notation.parse(text):
        tap.add(exchange)
    return build(tap)


def test_it_is_the_cause_before_what_the_client_went_on_after() -> None:
    cause = judged(GEMINI).cause
    assert cause is not None
    assert cause.rule == ABSENT
    assert "Gemini CLI refuses" in cause.message
    assert "https://mcp.example.com" in cause.message


def test_a_promise_that_is_broken_is_the_rule_for_that() -> None:
    promise = '"issuer": "https://mcp.example.com", "authorization_response_iss_parameter_supported": true'
    cause = judged(GEMINI.replace('"issuer": "https://mcp.example.com"', promise)).cause
    assert cause is not None
    assert cause.rule == "authz-resp-iss-missing"


@pytest.mark.parametrize(
    "text",
    [
        SENT_BACK.replace("CLIENT", "claude-code"),
        GEMINI.replace("code=made-up&state=s1\n", "code=made-up&state=s1&iss=https%3A%2F%2Fmcp.example.com\n"),
        GEMINI.replace("code=made-up&state=s1\n", "error=access_denied&state=s1\n"),
        GEMINI + TOKEN,
    ],
    ids=["a client that asks for no iss", "iss is there", "no code either", "the client went on"],
)
def test_it_is_not_the_cause(text: str) -> None:
    report = judged(text)
    assert report.cause is not None
    assert report.cause.rule != ABSENT
    assert not [one for one in report.findings if one.rule == ABSENT and one.severity == "error"]
