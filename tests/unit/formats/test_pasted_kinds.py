"""Kinds of pasted texts that were misread once: each with texts of its own."""

# ruff: noqa: E501  (texts are written whole)

from __future__ import annotations

import pytest

from benchmarks.pasted import told
from oauthtap import formats
from oauthtap.formats.logs.client_names import client_of
from oauthtap.model.recording import Recording


def read(text: str) -> Recording:
    found = formats.load_recording(text)
    assert found is not None
    return found


def shown(text: str) -> list[str]:
    return [f"{one.request.method} {one.request.path} {one.status or '-'}" for one in read(text).exchanges]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        pytest.param(
            "It fails with\n```\nServerError: HTTP 502: Invalid OAuth error response:\nSyntaxError: Unexpected token '<'\nRaw body: <h1>502</h1> at registerClient\n```\n",
            ["POST /registration-endpoint-not-shown 502"], id="error class with a status",
        ),
        pytest.param(
            "mcp-remote says `Fatal error: ServerError: HTTP 405: Invalid OAuth error response: SyntaxError: …` at `registerClient → auth`.",
            ["POST /registration-endpoint-not-shown 405"], id="quoted in a sentence",
        ),
        pytest.param(
            "curl 'https://as.harbour.example/token' --data-raw 'grant_type=authorization_code&code=k1'\n\n**Response status:** 403 Forbidden\n{\"error\": \"invalid_grant\"}\n",
            ["POST /token 403"], id="status below a command, in words",
        ),
        pytest.param(
            '[debug] MCP server "board": Initializing HTTP transport to https://board.example/mcp\n[debug] MCP server "board": HTTP Connection failed after 12ms: HTTP 503 trying to load OAuth metadata from https://board.example/.well-known/oauth-authorization-server (code: none, errno: none)\n',
            ["GET /.well-known/oauth-authorization-server 503"], id="a document that was not loaded",
        ),
        pytest.param(
            'Claude Code stops: "HTTP 401 trying to load well-known OAuth metadata"; it is configured with `https://harbour.example/mcp`.',
            ["GET /.well-known/oauth-authorization-server/mcp 401"], id="a document without its URL",
        ),
        pytest.param(
            "[trace] Fetching http://localhost:9000/mcp\n[trace] Fetched: {\"status\":401}\n[trace] Fetching http://localhost:9000/.well-known/oauth-protected-resource\n[trace] Fetched: {\"status\":404}\n[info] Connection state: Error\n",
            ["POST /mcp 401", "GET /.well-known/oauth-protected-resource 404"], id="VS Code, retold",
        ),
        pytest.param(
            '"issuer": "https://as.harbour.example",\n"token_endpoint": "https://as.harbour.example/token",\n"jwks_uri": "https://as.harb',
            ["GET /.well-known/oauth-authorization-server 200"], id="members without braces",
        ),
        pytest.param(
            '{"resource": "https://harbour.example/mcp", "scopes_supported": ["ship",],\n}',
            ["GET /.well-known/oauth-protected-resource/mcp 200"], id="a comma too many",
        ),
        pytest.param(
            "404 https://harbour.example/.well-known/oauth-protected-resource\n401 https://harbour.example/mcp\n",
            ["GET /.well-known/oauth-protected-resource 404", "POST /mcp 401"], id="status before URL",
        ),
        pytest.param(
            "- POST https://harbour.example/mcp → 401\n- OPTIONS preflight on /token from the browser →\n  204 with every header\n",
            ["POST /mcp 401", "OPTIONS /token 204"], id="broken behind an arrow",
        ),
        pytest.param(
            "# GET https://harbour.example/.well-known/oauth-protected-resource\n#   -> authorization_servers: [\"https://as.harbour.example\"]\n# GET https://harbour.example/.well-known/oauth-authorization-server\n#   -> registration_endpoint is missing\n",
            ["GET /.well-known/oauth-protected-resource 200"], id="a member for an answer",
        ),
        pytest.param(
            "Cursor stops there: https://harbour.example/.well-known/oauth-protected-resource returns `\"resource\": \"https://harbour.example\"`.",
            ["GET /.well-known/oauth-protected-resource 200"], id="a member in a sentence",
        ),
    ],
)  # fmt: skip
def test_it_is_read_as_it_stands(text: str, wanted: list[str]) -> None:
    assert shown(text) == wanted


def test_what_should_be_returned_was_not() -> None:
    text = 'POST https://harbour.example/mcp 401\nhttps://harbour.example/.well-known/oauth-protected-resource should say `"resource": "https://harbour.example/mcp"`.'
    assert shown(text) == ["POST /mcp 401"]


@pytest.mark.parametrize(
    ("client", "line"),
    [
        (None, "ERROR rmcp::transport::worker worker quit with fatal: Client error: 401 Unauthorized"),
        (None, "[mcpx] ERROR: Failed to initiate client at node_modules/@modelcontextprotocol/sdk/dist/esm/client/sse.js"),
        ("opencode", "┌  MCP OAuth Debug"),
        ("mcp-use", "2026-01-02 10:00:00 - mcp_use - ERROR - HTTP Request: POST https://harbour.example/mcp"),
    ],
)  # fmt: skip
def test_the_client_of_a_line(client: str | None, line: str) -> None:
    assert client_of(line) == client


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Somebody gets `HTTP 404: Invalid OAuth error response: SyntaxError. Raw body: gone fishing` in Cursor with our config.", "gone fishing"),
        ("Registration in Cursor: failed with status 404: Cannot POST /register\n\n    HTTP/1.1 401 Unauthorized\n    Content-Type: application/json\n    {\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32001,\"message\":\"who are you\"},\"id\":null}\n", None),
    ],
)  # fmt: skip
def test_a_step_is_given_no_words_of_another(text: str, said: str | None) -> None:
    registration = next(one for one in read(text).exchanges if "regist" in one.request.path)
    assert registration.response is not None
    assert registration.response.body == said


@pytest.mark.parametrize(
    ("challenge", "told_missing"),
    [("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", True), ("X…", False), ("[REDACTED]", False)],
)
def test_an_edited_url_does_not_show_that_state_is_missing(challenge: str, told_missing: bool) -> None:
    text = f"mcp-remote opens:\nhttps://harbour.example/authorize?response_type=code&client_id=c1&code_challenge={challenge}&code_challenge_method=S256&redirect_uri=http%3A%2F%2F127.0.0.1%3A3334%2Foauth%2Fcallback\n"
    assert ("authz-state-missing" in {finding.rule for finding in told(read(text)).findings}) is told_missing


def test_an_excerpt_calls_no_request_not_advertised() -> None:
    report = told(read("GET https://harbour.example/.well-known/oauth-authorization-server 404\nPOST https://harbour.example/register 404\n"))  # fmt: skip
    assert [row.stage for row in report.exchanges] == ["as-discovery", "client-registration"]
    assert not any(row.initiator is not None and row.initiator.guess for row in report.exchanges)


@pytest.mark.parametrize("code", ["invalid_request", "invalid_client"])
def test_an_error_of_which_nothing_tells_the_step_is_none_of_the_token_request(code: str) -> None:
    found = read(f'{{"error": "{code}", "error_description": "malformed"}}')
    assert [row.stage for row in told(found).exchanges] == ["other"]
    assert any("which endpoint refused" in note for note in found.notes)
