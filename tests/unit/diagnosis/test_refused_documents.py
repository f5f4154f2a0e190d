"""A document that one client refuses and others take: it is the cause for that client alone."""

from __future__ import annotations

import pytest

from oauthtap import rules
from oauthtap.clients import profiles
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import notation
from oauthtap.report.build import build

ELSEWHERE = "as-authorization-endpoint-other-origin"
STOPPED = """
# mcp: https://mcp.example.com/mcp
POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
User-Agent: CLIENT
401
WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"

GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
User-Agent: CLIENT
200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}

GET https://as.example.com/.well-known/oauth-authorization-server
User-Agent: CLIENT
200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://login.example.com/authorize", "token_endpoint": "https://as.example.com/token", "registration_endpoint": "https://as.example.com/register", "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"]}

@+20
POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "initialize"}
User-Agent: CLIENT
401
WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
"""  # noqa: E501


@pytest.mark.parametrize(("client", "cause"), [("codex-mcp-client/0.171.0", ELSEWHERE), ("somebody/1.0", None)])
def test_only_the_client_that_was_seen_to_stop_there_is_said_to_stop_there(client: str, cause: str | None) -> None:
    tap = SessionAnalyzer(resource="https://mcp.example.com/mcp", profiles=profiles())
    for exchange in notation.parse(STOPPED.replace("CLIENT", client)):
        tap.add(exchange)
    report = build(tap)
    assert (report.cause and report.cause.rule) == cause
    assert ELSEWHERE in {finding.rule for finding in report.findings}


def test_every_rule_that_a_profile_names_exists() -> None:
    assert {rule for profile in profiles() for rule in profile.refuses} <= rules.load().keys()
