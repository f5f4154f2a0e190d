"""Refused tokens and missing permissions, where words alone mislead."""

from __future__ import annotations

import pytest

from tests.support.exchanges import found

LIST = 'POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}'
CALL = f"{LIST}\nAuthorization: Bearer made-up-token"


@pytest.mark.parametrize(
    "answer",
    [
        '403 {"message": "The access token has been revoked"}',
        '400 {"error": "invalid_token"}',
        '500 {"error": "jwt expired"}',
        "403 Audiences in Jwt are not allowed",
        '403 {"message": "token issuer does not match"}',
        '403 {}\nWWW-Authenticate: Bearer error="invalid_token"',
    ],
)
def test_a_refused_token_has_to_be_401(answer: str) -> None:
    assert "token-rejected-wrong-status" in found(f"{CALL}\n{answer}\n")


@pytest.mark.parametrize(
    "answer",
    [
        '400 {"message": "Unexpected token < in JSON at position 0"}',
        '403 {"message": "CSRF token invalid"}',
        '400 {"message": "Invalid page token"}',
        '421 {"message": "Invalid Host header"}',
        '200 {"jsonrpc": "2.0", "id": 1, "result": {"isError": true, "content": "invalid token"}}',
    ],
)
def test_other_tokens_are_other_tokens(answer: str) -> None:
    assert "token-rejected-wrong-status" not in found(f"{CALL}\n{answer}\n")


@pytest.mark.parametrize(
    "words", ["No authorization header", "Missing bearer token", "Authorization header is required"]
)
def test_a_header_lost_on_the_way_is_recognized(words: str) -> None:
    assert "token-rejected-as-missing" in found(f'{CALL}\n401 {{"message": "{words}"}}\n')


@pytest.mark.parametrize(
    "words", ["Authentication required", "Missing or invalid access token", "A valid token is required"]
)
def test_words_that_fit_a_bad_token_too_prove_nothing(words: str) -> None:
    assert "token-rejected-as-missing" not in found(f'{CALL}\n401 {{"message": "{words}"}}\n')


@pytest.mark.parametrize("body", ["Your plan has no API access", "Origin not allowed", "Workspace is archived"])
def test_a_403_with_a_reason_is_not_unexplained(body: str) -> None:
    assert "token-rejected-unexplained-403" not in found(f'{CALL}\n403 {{"message": "{body}"}}\n')


def test_a_stream_that_is_not_offered_is_no_change_of_mind() -> None:
    stream = "GET https://mcp.example.com/mcp\nAuthorization: Bearer made-up-token\nAccept: text/event-stream\n405\n"
    accepted = f'{CALL}\n200 {{"jsonrpc": "2.0", "id": 1, "result": {{}}}}\n'
    assert "token-rejected-inconsistently" not in found(f"{accepted}\n{stream}\n{accepted}")


def test_an_expired_token_is_no_change_of_mind() -> None:
    accepted = f'{CALL}\n200 {{"jsonrpc": "2.0", "id": 1, "result": {{}}}}\n'
    assert "token-rejected-inconsistently" not in found(f"{accepted}\n@+3600\n{CALL}\n401\n")


def test_a_refresh_long_after_a_missing_permission_is_ordinary() -> None:
    refused = f'{CALL}\n403\nWWW-Authenticate: Bearer error="insufficient_scope", scope="a"\n'
    refresh = "POST https://as.example.net/token grant_type=refresh_token&refresh_token=made-up&client_id=app\n200 {}\n"
    assert "stepup-refresh-instead" not in found(f"{refused}\n@+600\n{refresh}")
    assert "stepup-refresh-instead" in found(f"{refused}\n{refresh}")
