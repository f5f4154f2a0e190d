"""Odd cases of key sets."""

from __future__ import annotations

from tests.support.exchanges import found

METADATA = """
GET https://as.example.com/.well-known/oauth-authorization-server
200 {"issuer": "https://as.example.com", "jwks_uri": "https://as.example.com/jwks"}
"""
KEYS = """
GET https://as.example.com/jwks
200 {"keys": [{"kty": "RSA", "kid": "old", "n": "AQAB", "e": "AQAB"}]}
"""
TOKEN = """
POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
200 {"access_token": "eyJhbGciOiJSUzI1NiIsImtpZCI6Im5ldyJ9.eyJzdWIiOiJ1MSJ9.bWFkZS11cA", "token_type": "Bearer"}
"""


def test_keys_from_before_the_token_prove_nothing() -> None:
    assert "jwks-no-matching-kid" not in found(METADATA + KEYS + TOKEN)
    assert "jwks-no-matching-kid" in found(METADATA + TOKEN + KEYS)


def test_keys_from_before_the_token_count_when_it_is_refused() -> None:
    refused = """
POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
Authorization: Bearer eyJhbGciOiJSUzI1NiIsImtpZCI6Im5ldyJ9.eyJzdWIiOiJ1MSJ9.bWFkZS11cA
401
WWW-Authenticate: Bearer error="invalid_token"
"""
    assert "jwks-no-matching-kid" in found(METADATA + KEYS + TOKEN + refused)


def test_an_empty_list_of_keys_is_a_key_set() -> None:
    text = METADATA + '\nGET https://as.example.com/jwks\n200 {"keys": []}\n'
    assert "jwks-unavailable" not in found(text)
