"""Clients' own logs: real ones, and what they do and do not allow to be said."""

# ruff: noqa: E501  (log lines are written whole)

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from oauthtap.cli.analyze_file import analyze_recording
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import loader
from oauthtap.formats.logs import client_logs, log_lines, rich_handler
from oauthtap.model.exchange import Exchange
from oauthtap.model.recording import Recording
from oauthtap.report.build import build
from oauthtap.report.model import Report

LOGS = Path(__file__).parents[2] / "recordings" / "logs"
MADE = json.loads((LOGS / "made" / "labels.json").read_text(encoding="utf-8"))
"""Logs of real clients at the bed on 2026-11-29: a success, seed2, a refused registration, token and scope."""
UPSTREAM = "https://mcp.example.com/mcp"


def recording(name: str) -> Recording:
    return loader.read(LOGS / name)


def judged(name: str) -> Report:
    read = recording(name)
    tap = SessionAnalyzer(read.upstream, read.revision, read.client)
    for exchange in read.exchanges:
        tap.add(exchange)
    return build(tap, now=read.until)


def lines(read: Recording) -> list[tuple[str, str, int | None]]:
    return [(e.request.method, e.request.url.partition("?")[0].removeprefix("https://mcp.example.com"), e.status) for e in read.exchanges]  # fmt: skip


def test_mcp_remote_tells_its_whole_discovery() -> None:
    read = recording("mcp-remote.log")
    assert lines(read) == [
        ("GET", "/mcp", 401),
        ("GET", "/.well-known/oauth-protected-resource/mcp", 200),
        ("GET", "/.well-known/oauth-authorization-server", 200),
        ("POST", "/register", 201),
        ("GET", "/authorize", None),
        ("GET", "http://localhost:16456/oauth/callback", 200),
        ("POST", "/token", 200),
        ("POST", "/mcp", 200),
        ("POST", "/mcp", 200),
        ("POST", "/mcp", 200),
    ]
    assert (read.upstream, read.client) == (UPSTREAM, "mcp-remote")


def test_a_sign_in_that_worked_is_told_so() -> None:
    report = judged("mcp-remote.log")
    assert report.connected
    assert report.cause is None
    assert not [finding for finding in report.findings if finding.severity == "error"]


def test_a_document_of_which_only_members_are_logged_is_marked_as_cut() -> None:
    answer = recording("mcp-remote.log").exchanges[1].response
    assert answer is not None
    assert answer.truncated
    assert answer.json_object["authorization_servers"] == ["https://mcp.example.com"]


def test_the_metadata_logged_later_is_put_where_it_was_fetched() -> None:
    answer = recording("mcp-remote.log").exchanges[2].response
    assert answer is not None
    assert answer.json_object["token_endpoint"] == "https://mcp.example.com/token"


def test_where_mcp_remote_stopped_the_cause_is_named() -> None:
    report = judged("mcp-remote-stopped.log")
    assert not report.connected
    assert report.cause is not None
    assert report.cause.rule == "challenge-resource-metadata-unreachable"


def test_every_candidate_of_mcp_remote_is_one_request() -> None:
    assert lines(recording("mcp-remote-stopped.log"))[4:] == [
        ("GET", "/.well-known/oauth-authorization-server/mcp", 404),
        ("GET", "/.well-known/oauth-authorization-server", 404),
        ("GET", "/.well-known/openid-configuration/mcp", 404),
        ("GET", "/mcp/.well-known/openid-configuration", 404),
    ]


def test_claude_codes_cache_log_tells_that_it_connected() -> None:
    report = judged("claude-code-connected.jsonl")
    assert report.connected
    assert report.client is not None
    assert report.client.name == "claude-code"


def test_a_401_without_its_headers_is_no_finding() -> None:
    read = recording("claude-code-unauthorized.txt")
    [exchange] = read.exchanges
    assert exchange.status == 401
    assert exchange.response is not None
    assert exchange.response.partial
    assert judged("claude-code-unauthorized.txt").findings == ()


def test_an_authorization_url_nobody_was_sent_to_is_no_request() -> None:
    assert "Authorization URL: " in (LOGS / "claude-code-unauthorized.txt").read_text()
    assert lines(recording("claude-code-unauthorized.txt")) == [("POST", "/mcp", 401)]


def test_what_claude_code_blanks_has_a_stand_in_and_a_note() -> None:
    read = recording("claude-code-login.txt")
    [exchange] = [e for e in read.exchanges if e.request.path == "/authorize"]
    query = dict(exchange.request.query)
    assert exchange.actor == "browser"
    assert len(query["code_challenge"]) == 43
    assert "REDACTED" not in exchange.request.url
    assert any("stand-ins" in note for note in read.notes)
    assert not [f for f in judged("claude-code-login.txt").findings if f.severity != "note"]


@pytest.mark.parametrize(
    ("words", "status", "error"),
    [
        ("Unable to connect (code: ConnectionRefused, errno: none)", None, "ConnectionRefused: Unable to connect"),
        ("Unauthorized (code: none, errno: none)", 401, None),
        ("Server returned 401 after re-authentication (code: CLIENT_HTTP_AUTHENTICATION, errno: none)", 401, None),
        ("Server returned 403 after trying upscoping (code: CLIENT_HTTP_FORBIDDEN, errno: none)", 403, None),
    ],
)
def test_how_a_connection_failed_is_kept(words: str, status: int | None, error: str | None) -> None:
    read = client_logs.read(
        '2026-11-24T01:38:14.114Z [DEBUG] MCP server "demo": HTTP transport options: {"url":"https://mcp.example.com/mcp"}\n'
        f'2026-11-24T01:38:14.200Z [DEBUG] MCP server "demo": HTTP Connection failed after 86ms: {words}\n'
    )
    [exchange] = read.exchanges
    assert (exchange.status, exchange.error) == (status, error)
    assert exchange.duration == pytest.approx(0.086, abs=1e-3)


def test_of_several_servers_the_last_is_read_with_a_note() -> None:
    text = "".join(
        f'2026-11-24T01:38:14.114Z [DEBUG] MCP server "{name}": HTTP transport options: {{"url":"https://{name}.example/mcp"}}\n'
        f'2026-11-24T01:38:14.200Z [DEBUG] MCP server "{name}": Successfully connected (transport: http) in 58ms\n'
        for name in ("one", "two")
    )
    read = client_logs.read(text)
    assert read.upstream == "https://two.example/mcp"
    assert len(read.exchanges) == 1
    assert any("of 2 servers" in note for note in read.notes)


@pytest.mark.parametrize("name", sorted(path.name for path in LOGS.iterdir() if path.is_file()))
@pytest.mark.parametrize("part", [3, 7, 50])
def test_a_log_that_breaks_off_is_read_as_far_as_it_goes(name: str, part: int) -> None:
    text = (LOGS / name).read_text()
    for cut in range(0, len(text), max(1, len(text) // part)):
        whole: list[Exchange] = list(client_logs.read(text).exchanges)
        assert len(client_logs.read(text[:cut]).exchanges) <= len(whole)


@pytest.mark.parametrize(("name", "label"), MADE.items(), ids=MADE)
def test_a_log_of_a_real_client_is_told_right(name: str, label: dict[str, Any]) -> None:
    report = judged(f"made/{name}")
    assert report.ending == label["ending"]
    assert (report.cause.rule if report.cause else None) in (label["cause"] or [None])
    assert recording(f"made/{name}").client == label["client"]


def test_a_line_of_blanks_takes_no_longer_than_another() -> None:
    blanks = " " * 40_000
    head = f"[11/29/26 17:29:04] INFO     a{blanks}b\n{blanks}a{blanks}b\n"
    began = time.process_time()
    assert [text for _, text in log_lines.messages(rich_handler.unwrap(f"{head}│ x{blanks}y │"))]
    assert time.process_time() - began < 2


def test_what_a_text_says_it_came_to_is_where_it_stands_still(tmp_path: Path) -> None:
    file = tmp_path / "pasted"
    refused = "2026-01-01 10:00:00.000 [info] 401 status sending message to https://mcp.example.com/mcp: Unauthorized"
    file.write_text(f"{refused}\nError: the server does not support dynamic client registration\n", encoding="utf-8")
    _, report = analyze_recording(str(file))
    assert report.standstill is not None
    assert (report.standstill.stage, report.standstill.exchange) == ("client-registration", None)


def test_a_request_that_is_said_to_carry_no_token_is_no_rejected_one(tmp_path: Path) -> None:
    file = tmp_path / "pasted"
    lines = ["POST /token -> 200, token issued", "POST /mcp -> 401, no `Authorization` header on the request"]
    file.write_text("\n".join(lines), encoding="utf-8")
    _, report = analyze_recording(str(file))
    assert [row.stage for row in report.exchanges] == ["token-request", "mcp-challenge"]
    assert not [finding for finding in report.findings if "bearer" in finding.rule]


def test_no_rule_compares_with_a_url_that_the_text_does_not_show(tmp_path: Path) -> None:
    file = tmp_path / "pasted"
    document = {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/t",
                "authorization_endpoint": "https://as.example.com/a", "code_challenge_methods_supported": ["S256"],
                "registration_endpoint": "https://as.example.com/clients", "response_types_supported": ["code"]}  # fmt: skip
    told = 'Error: OAuth login failed for MCP server: Registration failed: 404 {"detail":"Not Found"}'
    file.write_text(
        f"Metadata:\n```json\n{json.dumps(document)}\n```\n\n```\nmcp login x\n{told}\n```\n", encoding="utf-8"
    )
    _, report = analyze_recording(str(file))
    assert report.cause is not None
    assert report.cause.rule == "refused"
    assert "dcr-wrong-endpoint" not in [finding.rule for finding in report.findings]
