"""Registrations where a hasty rule would name the wrong culprit."""

from __future__ import annotations

import pytest

from tests.support.exchanges import found, judge

METADATA = """
GET https://as.example.com/.well-known/oauth-authorization-server
200 {"issuer": "https://as.example.com", "registration_endpoint": "https://as.example.com/register",
     "token_endpoint_auth_methods_supported": ["none", "client_secret_post"]}
"""
ASKS = (
    '{"redirect_uris": ["http://127.0.0.1:4711/cb"], "application_type": "native", "token_endpoint_auth_method": "%s"}'
)


def answered(answer: str, method: str = "none", before: str = METADATA) -> set[str]:
    return found(f"{before}\nPOST https://as.example.com/register {ASKS % method}\n{answer}")


@pytest.mark.parametrize(
    "answer",
    [
        '400 {"error": "invalid_client_metadata", "error_description":'
        " \"Unrecognized key(s) in object: 'application_type'\"}",
        '422 {"detail": [{"type": "extra_forbidden", "loc": ["body", "application_type"],'
        ' "msg": "Extra inputs are not permitted"}]}',
        '400 {"error": "invalid_client_metadata", "error_description": "must NOT have additional properties"}',
    ],
)
def test_a_closed_schema_is_recognized_in_the_words_of_its_library(answer: str) -> None:
    rules = answered(answer)
    assert "dcr-rejects-unknown-metadata" in rules
    assert "dcr-rejects-metadata-value" not in rules


def test_an_unknown_scope_is_a_value_and_no_member() -> None:
    rules = answered('400 {"error": "invalid_client_metadata", "error_description": "unknown scope: mail"}')
    assert "dcr-rejects-metadata-value" in rules
    assert "dcr-rejects-unknown-metadata" not in rules


def test_a_method_nobody_offered_is_the_clients_fault() -> None:
    answer = '400 {"error": "invalid_client_metadata", "error_description": "auth method not supported"}'
    assert "dcr-request-auth-method-unsupported" in answered(answer, method="private_key_jwt")
    assert "dcr-rejects-metadata-value" not in answered(answer, method="private_key_jwt")


def test_a_method_that_was_offered_is_the_servers_fault() -> None:
    answer = '400 {"error": "invalid_client_metadata", "error_description": "auth method not supported"}'
    assert "dcr-rejects-metadata-value" in answered(answer, method="client_secret_post")
    assert "dcr-request-auth-method-unsupported" not in answered(answer, method="client_secret_post")


@pytest.mark.parametrize("status", [401, 404, 500])
def test_an_address_the_client_made_up_says_nothing_of_registration(status: int) -> None:
    text = f"""
        POST https://mcp.example.com/mcp {{"jsonrpc": "2.0", "id": 1, "method": "initialize"}}
        401
        GET https://mcp.example.com/.well-known/oauth-authorization-server
        404
        POST https://mcp.example.com/register {ASKS % "none"}
        {status} {{"error": "nothing here"}}
    """
    rules = found("\n".join(line.strip() for line in text.splitlines()))
    assert not rules & {"dcr-requires-initial-token", "dcr-endpoint-not-found", "dcr-server-error", "dcr-error-body"}


def test_a_page_of_a_gateway_is_no_policy_of_the_server() -> None:
    assert "dcr-refused-by-policy" not in answered("403 <title>Attention Required! | Cloudflare</title>")


def test_a_plain_forbidden_is_a_policy() -> None:
    rules = answered("403 text/plain Forbidden")
    assert "dcr-refused-by-policy" in rules
    assert "dcr-requires-initial-token" not in rules


def test_a_loopback_port_may_change_in_the_answer() -> None:
    rules = answered('201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1/cb"]}')
    assert "dcr-response-redirect-uris-changed" not in rules


def test_what_a_reporter_tried_is_no_habit_of_the_client() -> None:
    text = """
@reporter
POST https://as.example.com/register redirect_uris=x&client_name=y&grant_types=z
415
"""
    assert not {rule for rule in found(METADATA + text) if rule.startswith(("dcr-request", "redirect-uri"))}


@pytest.mark.parametrize(
    "answer", ['201 {"client_id": 17, "redirect_uris": {"a": null}}', "201 []", "201 null", "201 ..."]
)
def test_odd_answers_break_no_rule(answer: str) -> None:
    assert "internal-error" not in answered(answer)


def test_a_refresh_refused_for_want_of_the_grant_leads_back_to_the_registration() -> None:
    report = judge("""
POST https://as.example.com/register
  {"redirect_uris": ["http://127.0.0.1:4711/cb"], "grant_types": ["authorization_code"]}
201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
@+3600
POST https://as.example.com/token grant_type=refresh_token&refresh_token=made-up-rt&client_id=c1
400 {"error": "unauthorized_client"}
""")
    assert report.cause is not None
    assert (report.cause.rule, report.cause.exchange) == ("dcr-request-no-refresh-grant", 1)


def test_the_callback_of_an_app_is_not_told_as_loopback() -> None:
    (finding,) = (
        finding
        for finding in judge(
            METADATA
            + """
POST https://as.example.com/register {"redirect_uris": ["cursor://anysphere.cursor-mcp/oauth/callback"]}
400 {"error": "invalid_redirect_uri", "error_description": "https is required"}
"""
        ).findings
        if finding.rule == "dcr-rejects-loopback-redirect"
    )
    assert "cursor://anysphere.cursor-mcp/oauth/callback" in finding.fix
    assert "oopback" not in finding.fix
