"""GET on the MCP endpoint: refusals that are legal, and one that is not."""

from __future__ import annotations

import pytest

from tests.support.exchanges import judge

HELLO = """
POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
Authorization: Bearer made-up-at
200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25"}}
GET https://mcp.example.com/mcp
Accept: text/event-stream
Authorization: Bearer made-up-at
"""


def severity(answer: str, rule: str = "mcp-get-status") -> list[str]:
    return [finding.severity for finding in judge(HELLO + answer).findings if finding.rule == rule]


@pytest.mark.parametrize(
    "answer", ["405\nAllow: POST", '400 {"error": "Mcp-Session-Id header is required"}', "- closed"]
)
def test_these_answers_are_fine(answer: str) -> None:
    assert severity(answer) == []


def test_a_page_is_worth_a_note() -> None:
    assert severity("200 <h1>App</h1>") == ["note"]


def test_a_token_that_post_takes_and_get_refuses_is_an_error() -> None:
    assert severity('401 {"error": "Unauthorized"}') == ["error"]
