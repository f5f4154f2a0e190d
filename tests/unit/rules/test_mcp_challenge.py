"""Refusals where the two examples of a rule do not show the border."""

from __future__ import annotations

import pytest

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import notation
from oauthtap.report.build import build
from tests.support.exchanges import found, judge

INITIALIZE = 'POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}'
PRM = """
GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.net"]}
"""


def challenged(header: str, more: str = "") -> set[str]:
    return found(f"{INITIALIZE}\n401\nWWW-Authenticate: {header}\n{more}")


def test_a_bare_403_counts_once_the_metadata_is_found() -> None:
    assert "challenge-status-403" not in found(f"{INITIALIZE}\n403 Forbidden\n")
    finding = next(f for f in judge(f"{INITIALIZE}\n403\n\n{PRM}").findings if f.rule == "challenge-status-403")
    assert finding.exchange == 1


@pytest.mark.parametrize(
    "refusal",
    [
        'Origin: https://evil.example\n403 {"error": "unauthorized"}',
        '403 {"error": "Your IP is not allowed, authentication required"}',
        "403 text/html <html>Attention Required! | Cloudflare, please log in</html>",
    ],
)
def test_a_403_for_another_reason_is_no_missing_token(refusal: str) -> None:
    assert "challenge-status-403" not in found(f"{INITIALIZE}\n{refusal}\n\n{PRM}")


def test_a_trailing_slash_is_no_login_even_at_a_host_named_auth() -> None:
    text = """
        # mcp: https://auth.example.com/mcp
        POST https://auth.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        307
        Location: https://auth.example.com/mcp/
    """.replace("\n        ", "\n")
    assert "challenge-redirect-to-login" not in found(text)


def test_a_tool_that_misses_its_own_account_is_no_refusal() -> None:
    call = 'POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/call"}'
    answer = '{"jsonrpc": "2.0", "id": 1, "error": {"code": -32000, "message": "GitHub: authentication required"}}'
    assert "challenge-200-with-error-body" not in found(f"{call}\n200 {answer}\n")


def test_a_landing_page_for_get_is_fine_where_post_is_refused_properly() -> None:
    stream = "GET https://mcp.example.com/mcp\nAccept: text/event-stream\n200 <html>Our MCP server</html>\n"
    assert "challenge-html-login-page" not in found(stream)


def test_basic_beside_bearer_is_allowed() -> None:
    assert "challenge-scheme-not-bearer" not in challenged('Bearer realm="x", Basic realm="y"')
    assert "challenge-scheme-not-bearer" in challenged('Basic realm="y"')


def test_a_comma_missing_between_challenges_is_told_apart() -> None:
    report = judge(f'{INITIALIZE}\n401\nWWW-Authenticate: Bearer realm="x" Basic realm="y"\n')
    message = next(f.message for f in report.findings if f.rule == "challenge-missing-comma")
    assert "Basic" in message
    assert "challenges" in message


@pytest.mark.parametrize(
    "url", ["undefined", "https://{host}/prm", "mcp.example.com/prm", " ", "//mcp.example.com/prm"]
)
def test_what_is_no_url_is_no_metadata_url(url: str) -> None:
    assert "challenge-resource-metadata-not-absolute" in challenged(f'Bearer resource_metadata="{url}"')


def test_quotes_in_a_description_are_no_quotes_of_a_value() -> None:
    assert "challenge-bad-quotes" not in challenged("""Bearer error_description="it isn't valid", realm="a" """)
    assert "challenge-bad-quotes" in challenged('Bearer resource_metadata="https://mcp.example.com/prm')


def test_a_comma_in_a_scope_needs_proof() -> None:
    header = 'Bearer resource_metadata="https://mcp.example.com/prm", scope="a,b"'
    document = (
        'GET https://mcp.example.com/prm\n200 {"resource": "https://mcp.example.com/mcp", "scopes_supported": %s}'
    )
    assert "challenge-scope-delimiter" not in challenged(header, "\n" + document % '["a,b"]')
    assert "challenge-scope-delimiter" not in challenged(header, "\n" + document % '["c"]')
    assert "challenge-scope-delimiter" in challenged(header, "\n" + document % '["a", "b"]')


def test_lists_of_identity_scopes_say_nothing_about_other_scopes() -> None:
    metadata = 'GET https://as.example.net/.well-known/openid-configuration\n200 {"issuer": "https://as.example.net", '
    metadata += '"token_endpoint": "https://as.example.net/token", "scopes_supported": ["openid", "email"]}'
    assert "challenge-scope-unknown-to-as" not in challenged('Bearer scope="files:read"', "\n" + metadata)


def test_a_native_client_with_an_origin_needs_no_cors() -> None:
    native = f"{INITIALIZE}\nOrigin: https://app.example.net\n401\nWWW-Authenticate: Bearer realm=x\n"
    assert not {"cors-allow-origin-missing", "cors-expose-www-authenticate"} & found(native)


def test_a_client_that_just_got_the_challenge_has_not_ignored_it() -> None:
    tap = SessionAnalyzer(resource="https://mcp.example.com/mcp")
    header = 'WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"'
    last = [tap.add(exchange) for exchange in notation.parse(f"{INITIALIZE}\n401\n{header}\n")][-1]
    soon = (last.exchange.ended or 0) + 5
    assert "client-ignored-challenge" not in {finding.rule for finding in build(tap, now=soon).findings}
