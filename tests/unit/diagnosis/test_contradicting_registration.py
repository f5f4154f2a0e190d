"""A registration that says `none` and issues a secret: a client that sends the secret did what it was told."""

from __future__ import annotations

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import notation
from oauthtap.report.build import build

SIGN_IN = """
POST https://mcp.example.com/mcp {"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}
401
WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
200 {"resource":"https://mcp.example.com/mcp","authorization_servers":["https://as.example.com"]}
GET https://as.example.com/.well-known/oauth-authorization-server
200 {"issuer":"https://as.example.com","authorization_endpoint":"https://as.example.com/authorize","token_endpoint":"https://as.example.com/token","registration_endpoint":"https://as.example.com/register","response_types_supported":["code"],"code_challenge_methods_supported":["S256"],"token_endpoint_auth_methods_supported":["none","client_secret_basic"]}
POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"], "token_endpoint_auth_method": "none"}
201 {"client_id": "c1", "client_secret": "made-up-secret-1", "client_secret_expires_at": 0, "token_endpoint_auth_method": "none", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb&code_verifier=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
Authorization: Basic YzE6bWFkZS11cC1zZWNyZXQtMQ==
401 {"error": "invalid_client"}
"""  # noqa: E501


def test_the_client_is_not_blamed_for_a_secret_that_it_was_issued() -> None:
    tap = SessionAnalyzer("https://mcp.example.com/mcp")
    for exchange in notation.parse(SIGN_IN):
        tap.add(exchange)
    report = build(tap)
    assert report.cause is not None
    assert (report.cause.rule, report.cause.responsible) == (
        "dcr-response-public-client-with-secret",
        "authorization-server",
    )
    assert "token-auth-method-mismatch" not in {finding.rule for finding in report.findings}
