"""The old transport next to the new one: streams that may begin with anything."""

from __future__ import annotations

from tests.support.exchanges import found

STREAM = "GET https://mcp.example.com/mcp\nAccept: text/event-stream\n200\n  event: message\n  data: {}\n"


def test_a_stream_of_the_new_transport_needs_no_endpoint_event() -> None:
    hello = 'POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}\n200 {"result": {}}\n'
    assert "legacy-sse-no-endpoint-event" not in found(hello + STREAM)


def test_a_client_that_fell_back_waits_for_the_endpoint_event() -> None:
    hello = 'POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}\n405\n'
    assert "legacy-sse-no-endpoint-event" in found(hello + STREAM)


def test_a_session_that_ended_is_no_unreachable_endpoint() -> None:
    rules = found("""
# mcp: https://mcp.example.com/sse
GET https://mcp.example.com/sse
200
  event: endpoint
  data: /messages?session_id=1
POST https://mcp.example.com/messages?session_id=1 {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
404 {"error": "Session not found"}
""")
    assert "legacy-sse-endpoint-unreachable" not in rules
