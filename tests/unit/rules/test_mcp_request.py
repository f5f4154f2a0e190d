"""Odd cases of the rules about MCP requests."""

from __future__ import annotations

from tests.support.exchanges import found

TOKEN = """
POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
200 {"access_token": "user:grant:made-up-1", "token_type": "Bearer", "expires_in": 3600}
"""
CALL = """
POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
"""


def test_odd_characters_in_a_token_are_the_servers_own() -> None:
    call = CALL + "Authorization: Bearer user:grant:made-up-1\n401\nWWW-Authenticate: Bearer\n"
    assert "bearer-malformed" not in found(TOKEN + call)
    assert "bearer-malformed" in found(call)


def test_a_placeholder_is_no_token() -> None:
    for value in ("Bearer ${API_TOKEN}", "Bearer undefined", "made-up-key-0123456789", 'Bearer "made-up-token"'):
        assert "bearer-malformed" in found(CALL + f"Authorization: {value}\n401\nWWW-Authenticate: Bearer\n"), value


def test_a_new_beginning_much_later_needs_no_token() -> None:
    cold = CALL + "401\nWWW-Authenticate: Bearer\n"
    assert "bearer-missing-after-login" in found(TOKEN + cold)
    assert "bearer-missing-after-login" not in found(TOKEN + "@+3600" + cold)


def test_a_look_whether_there_is_a_401_needs_no_token() -> None:
    for accept, fires in (("*/*", False), ("text/event-stream", True)):  # Codex looks so; a stream is a request of MCP
        look = f"\nGET https://mcp.example.com/mcp\nAccept: {accept}\n401\nWWW-Authenticate: Bearer\n"
        assert ("bearer-missing-after-login" in found(TOKEN + look)) == fires


def test_a_404_of_an_unknown_method_is_an_mcp_server() -> None:
    answer = '404 {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "Method not found"}}\n'
    assert "mcp-endpoint-not-found" not in found(CALL + answer)


def test_a_server_that_never_asked_for_a_token_may_ignore_one_in_the_url() -> None:
    text = """
POST https://mcp.example.com/mcp?access_token=made-up-token-1 {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
200 {"jsonrpc": "2.0", "id": 1, "result": {}}
"""
    rules = found(text)
    assert "bearer-in-query" in rules
    assert "rs-accepts-query-token" not in rules
