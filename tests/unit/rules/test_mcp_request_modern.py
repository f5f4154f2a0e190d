"""Requests of 2026-07-28, the servers that know them, and the ones that do not."""

from __future__ import annotations

import json

import pytest

from tests.support.exchanges import found, judge

MODERN = "2026-07-28"


def request(method: str = "tools/list", *, version: str = MODERN, headers: str = "", **params: object) -> str:
    meta = {
        "io.modelcontextprotocol/protocolVersion": version,
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"_meta": meta, **params}}
    return (
        f"POST https://mcp.example.com/mcp {json.dumps(body)}\n"
        f"MCP-Protocol-Version: {version}\nMcp-Method: {method}\n{headers}"
    )


def refusal(status: int, code: int, message: str, **data: object) -> str:
    error = {"code": code, "message": message, **({"data": data} if data else {})}
    return f"{status} {json.dumps({'jsonrpc': '2.0', 'id': 1, 'error': error})}\n"


def result(**members: object) -> str:
    return f"200 {json.dumps({'jsonrpc': '2.0', 'id': 1, 'result': {'resultType': 'complete', **members}})}\n"


INITIALIZE = """
POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25"}}
"""
UNSUPPORTED = refusal(400, -32000, "Bad Request: Unsupported protocol version: 2026-07-28 (supported: 2025-11-25)")


def about(text: str, *, revision: str | None = None) -> dict[str, str]:
    """Severity by rule, of the rules about generations."""
    findings = judge(text, revision=revision).findings
    return {f.rule: f.severity for f in findings if f.rule.startswith(("modern-", "era-mismatch-modern"))}


@pytest.mark.parametrize(
    "answer",
    [UNSUPPORTED, refusal(400, -32600, "Bad Request: Missing session ID"), "404 <h1>Not Found</h1>\n", "405\n"],
)
def test_going_back_to_initialize_is_healthy(answer: str) -> None:
    rules = about(request("server/discover") + answer + INITIALIZE)
    assert rules == {"era-mismatch-modern-client": "note"}


def test_an_older_server_may_mint_a_session_when_it_refuses() -> None:
    answer = refusal(400, -32600, "Bad Request: Missing session ID").rstrip() + "\nMcp-Session-Id: s-1\n"
    assert "modern-session-id-minted" not in about(request("server/discover") + answer, revision=MODERN)


def test_a_client_that_knows_only_the_new_way_stops_at_an_older_server() -> None:
    answer = refusal(400, -32000, "Bad Request: Server not initialized")
    assert about(request("server/discover") + answer)["era-mismatch-modern-client"] == "warning"


def test_an_older_server_that_refuses_the_version_for_good_is_told_how_to_say_so() -> None:
    report = judge(request("server/discover") + UNSUPPORTED)
    problem = next(f for f in report.findings if f.rule == "modern-unsupported-version-answer")
    assert problem.patch
    assert problem.patch.merge == {
        "error": {"code": -32022, "data": {"supported": ["2025-11-25"], "requested": MODERN}}
    }


def test_a_server_that_shows_it_is_modern_is_never_called_old() -> None:
    text = request("server/discover") + result(supportedVersions=[MODERN]) + request() + UNSUPPORTED
    rules = about(text)
    assert "era-mismatch-modern-client" not in rules
    assert "modern-unsupported-version-answer" in rules


def test_an_older_server_may_answer_unknown_methods_with_200() -> None:
    text = request("server/discover") + refusal(200, -32601, "Method not found") + INITIALIZE
    assert "modern-unknown-method-answer" not in about(text, revision=MODERN)


def test_a_bare_404_of_a_modern_server_is_noted() -> None:
    text = request() + result(tools=[]) + request("prompts/list") + "404\n"
    assert "modern-unknown-method-answer" in about(text)
    proper = request() + result(tools=[]) + request("prompts/list") + refusal(404, -32601, "Method not found")
    assert "modern-unknown-method-answer" not in about(proper)


def test_a_session_header_is_not_a_modern_header() -> None:
    answer = refusal(400, -32000, "Bad Request: Mcp-Session-Id header is required")
    assert "modern-mismatch-answer" not in about(request() + answer)


@pytest.mark.parametrize("said", ["HeaderMismatch", "Mcp-Name does not match params.name", "missing Mcp-Method header"])
def test_a_header_mismatch_is_known_by_its_words(said: str) -> None:
    assert "modern-mismatch-answer" in about(request() + refusal(400, -32602, said))
    assert "modern-mismatch-answer" in about(request() + refusal(200, -32020, said))
    assert "modern-mismatch-answer" not in about(request() + refusal(400, -32020, said))


def test_a_wrapped_name_is_no_mismatch() -> None:
    wrapped = "Mcp-Name: =?base64?V2V0dGVyIMO2?=\n"
    assert "modern-header-body-mismatch" not in about(
        request("tools/call", headers=wrapped, name="Wetter ö") + result(content=[])
    )
    assert "modern-header-body-mismatch" in about(
        request("tools/call", headers="Mcp-Name: other\n", name="Wetter ö") + result(content=[])
    )


def test_the_older_transport_has_none_of_the_headers() -> None:
    text = """
# mcp: https://mcp.example.com/sse
GET https://mcp.example.com/sse
Accept: text/event-stream
200 text/event-stream
  event: endpoint
  data: /messages?id=1
POST https://mcp.example.com/messages?id=1
  {"jsonrpc": "2.0", "id": 1, "method": "tools/list",
  "params": {"_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}}}
202 text/plain Accepted
"""
    rules = found(text, revision=MODERN)
    assert not {rule for rule in rules if rule.startswith("modern-")}
    assert not {"mcp-accept-header", "mcp-notification-status", "mcp-response-media-type"} & rules


def lists(*, ann: list[str], bob: list[str], scope: str = "public", bobs: str = "bob", pause: str = "") -> str:
    def call(who: str, tools: list[str]) -> str:
        answer = result(cacheScope=scope, ttlMs=len(who), tools=[{"name": tool} for tool in tools])
        return request(headers=f"Authorization: Bearer made-up-token-of-{who}\n") + answer

    return call("ann", ann) + pause + call(bobs, bob)


@pytest.mark.parametrize(
    ("text", "varies"),
    [
        (lists(ann=["read"], bob=["read", "delete"]), True),
        (lists(ann=["read", "write"], bob=["write", "read"]), False),
        (lists(ann=["read"], bob=["delete"], scope="private"), False),
        (lists(ann=["read"], bob=["delete"], bobs="ann"), False),
        (lists(ann=["read"], bob=["delete"], pause="@+3600\n"), False),
    ],
    ids=["another list", "another order", "private", "the same token", "an hour later"],
)
def test_public_answers_are_the_same_for_everybody(text: str, varies: bool) -> None:
    assert ("modern-cache-scope-public-but-varies" in about(text)) is varies


@pytest.mark.parametrize("code", ["null", '"-32022"', "[]", "1e400", "true"])
def test_odd_error_codes_are_no_codes(code: str) -> None:
    answer = f'400 {{"jsonrpc": "2.0", "id": 1, "error": {{"code": {code}, "message": 7, "data": [1]}}}}\n'
    assert "internal-error" not in found(request() + answer, revision=MODERN)
