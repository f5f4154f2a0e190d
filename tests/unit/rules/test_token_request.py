"""Odd cases of the token rules: where a mistake would accuse somebody wrongly."""

from __future__ import annotations

from tests.support.exchanges import found, judge

SIGN_IN = """
@browser
GET https://as.example.com/authorize?response_type=code&client_id=c1&state={0}&code_challenge={1}&code_challenge_method=S256&redirect_uri=http://127.0.0.1:7777/cb
302
Location: http://127.0.0.1:7777/cb?code=made-up-code-{0}&state={0}
"""
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
OTHER = "a-challenge-that-belongs-to-the-other-attempt"
REDEEM = """
POST https://as.example.com/token
  grant_type=authorization_code&client_id=c1&code=made-up-code-{0}&redirect_uri=http://127.0.0.1:7777/cb&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk
400 {{"error": "invalid_grant"}}
"""
TOKEN = """
POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
200 {"access_token": "made-up-token-1", "token_type": "Bearer", "expires_in": 3600}
"""


def test_parallel_sign_ins_are_told_apart_by_state() -> None:
    both = SIGN_IN.format("s1", CHALLENGE) + SIGN_IN.format("s2", OTHER)
    assert "token-verifier-mismatch" not in found(both + REDEEM.format("s1"))
    assert "token-verifier-mismatch" in found(both + REDEEM.format("s2"))


def test_a_get_that_follows_a_redirect_is_not_the_clients_choice() -> None:
    text = """
POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
301
Location: https://www.example.com/token
GET https://www.example.com/token
405
"""
    rules = found(text)
    assert "token-resp-redirect" in rules
    assert not {"token-method", "token-content-type", "token-grant-type-missing"} & rules


def test_hostile_members_are_survived() -> None:
    for value in ("[[[]]]", "null", "1e999", "-1e400", '{"a": []}', "true", '"9" '):
        text = f"""
POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
200 {{"access_token": "made-up-token-1", "token_type": {value}, "expires_in": {value}, "scope": {value}}}
POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
400 {{"error": {value}, "error_description": {value}}}
"""
        assert "internal-error" not in found(text)


def test_a_later_refusal_of_an_opaque_token_is_no_proof() -> None:
    later = """
@+4000
POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
Authorization: Bearer made-up-token-1
401
WWW-Authenticate: Bearer error="invalid_token"
"""
    assert "token-opaque-then-401" not in found(TOKEN + later)
    assert "token-opaque-then-401" in found(TOKEN + later.replace("@+4000", ""))


def test_what_an_authorization_server_sends_upstream_says_nothing_of_the_client() -> None:
    text = """
@authorization-server
POST https://idp.example.com/token {"grant_type": "authorization_code", "code": "made-up-code-1"}
200 {"access_token": "made-up-token-9", "token_type": "Bearer", "expires_in": 3600}
"""
    assert not {"token-content-type", "token-client-id-missing"} & found(text)


def test_invalid_grant_is_not_blamed_on_the_way_of_authenticating() -> None:
    text = """
POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:7777/cb"]}
201 {"client_id": "c1", "client_secret": "made-up-secret-1", "token_endpoint_auth_method": "client_secret_basic"}
POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
400 {"error": "invalid_grant"}
"""
    severities = [f.severity for f in judge(text).findings if f.rule == "token-auth-method-mismatch"]
    assert severities == ["note"]
