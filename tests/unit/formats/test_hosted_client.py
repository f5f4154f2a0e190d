"""HARs of claude.ai and chatgpt.com: what their own APIs say of a connector."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from oauthtap.cli.analyze_file import analyze_recording
from oauthtap.formats import har
from oauthtap.model.recording import Recording

SERVER = "https://mcp.example.com/mcp"
ORGANIZATION = "https://claude.ai/api/organizations/0f7b2c1a/mcp"
AUTHORIZE = (
    "https://as.example.com/authorize?response_type=code&client_id=c1&code_challenge=x&code_challenge_method=S256&state=s1"
    "&redirect_uri=https%3A%2F%2Fclaude.ai%2Fapi%2Fmcp%2Fauth_callback&resource=https%3A%2F%2Fmcp.example.com%2Fmcp"
)


def entry(
    method: str, url: str, status: int, answer: Any = "", asked: Any = None, location: str = ""
) -> dict[str, Any]:
    text = answer if isinstance(answer, str) else json.dumps(answer)
    headers = [{"name": "Location", "value": location}] if location else []
    request: dict[str, Any] = {"method": method, "url": url, "headers": [], "queryString": []}
    if asked is not None:
        request["postData"] = {"mimeType": "application/json", "text": json.dumps(asked)}
    content = {"mimeType": "application/json", "text": text, "size": len(text)}
    response = {"status": status, "headers": headers, "content": content}
    return {"startedDateTime": "2026-11-29T10:00:00Z", "time": 10, "request": request, "response": response}


def document(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"log": {"version": "1.2", "creator": {"name": "Firefox", "version": "140"}, "entries": list(entries)}}


CLAUDE = document(
    entry("POST", f"{ORGANIZATION}/remote_servers", 200, {"uuid": "u"}, {"name": "x", "url": SERVER}),
    entry("GET", f"{ORGANIZATION}/start-auth/mcpsrv_1", 302, location=AUTHORIZE),
    entry("GET", AUTHORIZE, 302, location="https://claude.ai/api/mcp/auth_callback?code=c0de-0123456789&state=s1"),
    entry("GET", "https://claude.ai/api/mcp/auth_callback?code=c0de-0123456789&state=s1", 302,
          location="https://claude.ai/settings/connectors?step=end_error&oauth_error=mcp_token_exchange_failed"),
)  # fmt: skip
CHATGPT = document(
    entry("POST", "https://chatgpt.com/backend-api/aip/connectors/mcp", 200, {"connector": {"id": "asdk_app_1"}},
          {"name": "x", "mcp_url": SERVER, "auth_request": {"oauth_client_params": None}}),
    entry("POST", "https://chatgpt.com/backend-api/aip/connectors/links/oauth", 200, {"redirect_url": AUTHORIZE}, {}),
    entry("POST", "https://chatgpt.com/backend-api/aip/connectors/links/oauth/callback", 400,
          {"detail": "Failed to resolve OAuth client"},
          {"full_redirect_url": "https://chatgpt.com/connector_platform_oauth_redirect?code=c0de-0123456789&state=s1"}),
)  # fmt: skip


def read(document: dict[str, Any]) -> Recording:
    return har.read(document)


def test_claude_ai_tells_the_server_and_its_own_error() -> None:
    recording = read(CLAUDE)
    assert (recording.client, recording.upstream) == ("claude-ai", SERVER)
    (note,) = recording.all_notes
    assert note.startswith("Claude.ai itself says: “mcp_token_exchange_failed”.")


def test_chatgpt_tells_the_authorization_url_and_what_came_back() -> None:
    recording = read(CHATGPT)
    assert (recording.client, recording.upstream) == ("chatgpt", SERVER)
    told = [exchange for exchange in recording.exchanges if exchange.excerpt]
    assert [exchange.request.url.partition("?")[0] for exchange in told] == [
        "https://as.example.com/authorize",
        "https://chatgpt.com/connector_platform_oauth_redirect",
    ]
    assert all(exchange.response is None and exchange.actor == "browser" for exchange in told)
    assert any("Failed to resolve OAuth client" in note for note in recording.all_notes)


def test_the_report_has_the_words_and_no_secret(tmp_path: Path) -> None:
    (tmp_path / "chatgpt.har").write_text(json.dumps(CHATGPT))
    _, report = analyze_recording(str(tmp_path / "chatgpt.har"))
    assert report.upstream == SERVER
    assert any("Failed to resolve OAuth client" in note for note in report.notes)
    assert "c0de-0123456789" not in report.model_dump_json()


def test_the_error_that_claude_ai_leads_on_with_is_the_refusal(tmp_path: Path) -> None:
    (tmp_path / "claude.har").write_text(json.dumps(CLAUDE))
    _, report = analyze_recording(str(tmp_path / "claude.har"))
    assert report.refusal is not None
    assert (report.ending, report.refusal.code, report.refusal.responsible) == (
        "refused", "mcp_token_exchange_failed", "authorization-server",
    )  # fmt: skip


def test_a_har_of_anything_else_is_read_as_before() -> None:
    recording = read(document(entry("POST", SERVER, 401)))
    assert (recording.client, recording.upstream, recording.all_notes) == (None, None, [])
