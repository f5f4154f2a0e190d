"""Refusals at the MCP endpoint that have nothing to do with signing in, and some that look like it."""

from __future__ import annotations

import pytest

from tests.support.exchanges import found, judge

CALL = """
POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
"""
OPENED = """
POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
Authorization: Bearer made-up-at
200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25"}}
Mcp-Session-Id: session-1
"""
LATER = """
POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
Authorization: Bearer made-up-at
Mcp-Session-Id: session-1
MCP-Protocol-Version: 2025-11-25
"""
GUARDS = {"mcp-host-rejected", "mcp-origin-rejected", "mcp-csrf-rejected", "mcp-cdn-block"}


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        ("400 text/plain Invalid host header", "mcp-host-rejected"),
        ("403 text/plain Blocked host: mcp.example.com", "mcp-host-rejected"),
        ('403 text/plain Blocked request. This host ("mcp.example.com") is not allowed.', "mcp-host-rejected"),
        ("400 <h1>DisallowedHost at /mcp</h1>", "mcp-host-rejected"),
        ("421", "mcp-host-rejected"),
        ("400 <p>The CSRF token is missing.</p>", "mcp-csrf-rejected"),
        ("422 <h1>Invalid authenticity token</h1>", "mcp-csrf-rejected"),
        ("403 text/plain Cross-site POST form submissions are forbidden", "mcp-csrf-rejected"),
        ("403 text/plain error code: 1010", "mcp-cdn-block"),
        ("403 <title>Attention Required! | Cloudflare</title>", "mcp-cdn-block"),
        ("403\nx-vercel-mitigated: challenge", "mcp-cdn-block"),
    ],
)
def test_each_guard_is_known_by_its_words(answer: str, rule: str) -> None:
    assert found(f"{CALL}Authorization: Bearer made-up-at\n{answer}\n") & GUARDS == {rule}


@pytest.mark.parametrize(
    "answer",
    [
        '403 {"error": "Forbidden"}',
        '403 {"error": "invalid token for this hosting plan"}',
        '403 {"message": "You do not have access to this workspace"}',
        '429 {"error": "Too many requests"}',
        '400 {"jsonrpc": "2.0", "id": 1, "error": {"code": -32600, "message": "Bad Request: localhost only"}}',
    ],
)
def test_other_refusals_are_no_guard(answer: str) -> None:
    assert not found(f"{CALL}Authorization: Bearer made-up-at\n{answer}\n") & GUARDS


def test_an_origin_is_refused_without_a_word() -> None:
    with_origin = CALL + "Origin: https://app.example.org\n403\n"
    assert "mcp-origin-rejected" not in found(with_origin)
    assert "mcp-origin-rejected" in found(CALL + "401\nWWW-Authenticate: Bearer\n" + with_origin)


def test_a_form_check_that_speaks_of_origins_is_a_form_check() -> None:
    answer = "403 <p>CSRF verification failed. Origin checking failed - https://app.example.org</p>\n"
    assert found(CALL + "Origin: https://app.example.org\n" + answer) & GUARDS == {"mcp-csrf-rejected"}


def severities(text: str, rule: str) -> list[str]:
    return [finding.severity for finding in judge(text).findings if finding.rule == rule]


STREAM = """
GET https://mcp.example.com/mcp
Accept: text/event-stream
200 text/event-stream
  event: endpoint
  data: /messages?id=1
"""


@pytest.mark.parametrize(("status", "rule"), [("404", "mcp-endpoint-not-found"), ("405", "mcp-405-on-post")])
def test_an_older_server_behind_the_url_is_a_note(status: str, rule: str) -> None:
    assert severities(f"{CALL}{status}\n", rule) == ["warning"]
    assert severities(f"{CALL}{status}\n{STREAM}", rule) == ["note"]


def test_a_url_that_answered_before_is_there() -> None:
    gone = LATER.replace("Mcp-Session-Id: session-1\n", "") + "404\n"
    assert severities(OPENED + gone, "mcp-endpoint-not-found") == []


def test_a_guard_before_all_paths_does_not_make_a_url_right() -> None:
    text = CALL + "401\nWWW-Authenticate: Bearer\n" + CALL + "Authorization: Bearer made-up-at\n404\n"
    assert severities(text, "mcp-endpoint-not-found") == ["warning"]


@pytest.mark.parametrize("answer", ["421", "403 text/plain Invalid Origin", "403 <p>CSRF verification failed</p>"])
def test_a_guard_stays_the_cause_when_the_client_searches_on(answer: str) -> None:
    search = """
GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
404
GET https://mcp.example.com/.well-known/oauth-authorization-server
404
"""
    cause = judge(f"{CALL}Origin: https://app.example.org\n{answer}\n{search}").cause
    assert cause
    assert cause.rule in GUARDS


def test_a_page_in_place_of_an_answer_is_told_with_and_without_a_token() -> None:
    page = "200 <h1>App</h1>\n"
    assert "mcp-response-media-type" in found(CALL + "Authorization: Bearer made-up-at\n" + page)
    assert "mcp-response-media-type" not in found(CALL + page)


def test_a_signed_in_session_that_ran_out_is_a_token_matter() -> None:
    refused = '401 {"error": "invalid_token", "error_description": "Your session has expired"}\n'
    header = 'WWW-Authenticate: Bearer error="invalid_token"\n'
    assert "mcp-session-unknown-status" not in found(OPENED + LATER + refused + header)
    assert "mcp-session-unknown-status" in found(OPENED + LATER + '401 {"error": "session not found"}\n')


def test_a_stream_nobody_offers_does_not_end_the_session() -> None:
    stream = "GET https://mcp.example.com/mcp\nAuthorization: Bearer made-up-at\nMcp-Session-Id: session-1\n404\n"
    assert "mcp-session-expired" not in found(OPENED + stream)
    assert "mcp-session-expired" in found(OPENED + LATER + "404\n")


def test_several_instances_without_a_shared_store_recover() -> None:
    anew = OPENED.replace('"id": 1, "method"', '"id": 3, "method"').replace("session-1", "session-2")
    assert "mcp-session-expired" not in found(OPENED + LATER + "404\n" + anew)


@pytest.mark.parametrize("accept", ["application/json;q=0.9,text/event-stream", "TEXT/EVENT-STREAM, Application/JSON"])
def test_accept_is_a_list(accept: str) -> None:
    rules = found(f"{CALL}Accept: {accept}\n406\n")
    assert "mcp-406-despite-accept" in rules
    assert "mcp-accept-header" not in rules


def test_a_star_is_only_wrong_where_it_is_refused() -> None:
    assert severities(CALL + "Accept: */*\n401\nWWW-Authenticate: Bearer\n", "mcp-accept-header") == ["note"]
    assert severities(CALL + "Accept: */*\n406\n", "mcp-accept-header") == ["warning"]
