"""The way back to the client, where identity providers and second legs look like faults."""

from __future__ import annotations

import pytest

from tests.support.exchanges import found, judge

ASK = (
    "@browser\nGET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1"
    "&resource=https%3A%2F%2Fmcp.example.com%2Fmcp&code_challenge_method=S256"
    "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb\n"
)
METADATA = """
GET https://as.example.com/.well-known/oauth-authorization-server
200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize",
     "token_endpoint": "https://as.example.com/token", "response_types_supported": ["code"],
     "code_challenge_methods_supported": ["S256"]}
"""


def test_an_identity_provider_coming_back_with_the_same_state_is_no_altered_redirect() -> None:
    rules = found(f"""{ASK}302
Location: https://idp.example.net/authorize?client_id=fixed&response_type=code&state=s1
@browser
GET https://idp.example.net/authorize?client_id=fixed&response_type=code&state=s1
302
Location: https://as.example.com/cb?code=made-up-upstream&state=s1
@browser
GET https://as.example.com/cb?code=made-up-upstream&state=s1
302
Location: http://127.0.0.1:4711/cb?code=made-up&state=s1""")
    assert not {rule for rule in rules if rule.startswith("authz-resp")}


def test_a_callback_that_hands_on_to_an_app_is_still_the_callback() -> None:
    ask = ASK.replace("http%3A%2F%2F127.0.0.1%3A4711%2Fcb", "https%3A%2F%2Fvscode.dev%2Fredirect")
    rules = found(f"""{ask}302
Location: https://vscode.dev/redirect?code=made-up&state=s1
@browser
GET https://vscode.dev/redirect?code=made-up&state=s1
302
Location: vscode://example/did-authenticate?code=made-up&state=s1""")
    assert not {rule for rule in rules if rule.startswith("authz-resp")}


@pytest.mark.parametrize("sent", ["state=a%2Bb", "state=a+b", "state=%7B%22n%22%3A1%7D"])
def test_a_state_that_comes_back_as_it_went_is_no_mismatch(sent: str) -> None:
    ask = ASK.replace("state=s1", sent)
    rules = found(f"{ask}302\nLocation: http://127.0.0.1:4711/cb?code=made-up&{sent}")
    assert "authz-resp-state-mismatch" not in rules


def test_redirect_and_callback_are_reported_once() -> None:
    report = judge(f"""{ASK}302
Location: http://127.0.0.1:4711/cb?code=made-up&state=other
@browser
GET http://127.0.0.1:4711/cb?code=made-up&state=other
200""")
    assert [f.exchange for f in report.findings if f.rule == "authz-resp-state-mismatch"] == [1]


def test_a_user_who_says_no_is_no_error() -> None:
    report = judge(f"{ASK}302\nLocation: http://127.0.0.1:4711/cb?error=access_denied&state=s1")
    assert [f.severity for f in report.findings if f.rule == "authz-resp-error"] == ["note"]


def test_a_wrong_iss_is_the_cause_of_a_code_that_nobody_redeems() -> None:
    report = judge(f"""{METADATA}{ASK}302
Location: http://127.0.0.1:4711/cb?code=made-up&state=s1&iss=https%3A%2F%2Fas.example.com%2F""")
    assert report.cause is not None
    assert report.cause.rule == "authz-resp-iss-mismatch"
    assert "trailing slash" in report.cause.message


def test_an_unused_code_proves_nothing_where_the_client_is_out_of_sight() -> None:
    rules = found(f"{ASK}302\nLocation: http://127.0.0.1:4711/cb?code=made-up&state=s1")
    assert "authz-callback-never-used" not in rules


def test_a_user_closing_the_page_is_no_unreachable_callback() -> None:
    rules = found(f"""{ASK}302
Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
@browser
GET http://127.0.0.1:4711/cb?code=made-up&state=s1
- net::ERR_ABORTED""")
    assert "authz-callback-unreachable" not in rules


def test_a_resource_owner_is_no_resource() -> None:
    said = "The+resource+owner+is+unknown+to+us"
    rules = found(f"{ASK}302\nLocation: http://127.0.0.1:4711/cb?error=server_error&error_description={said}&state=s1")
    assert "authz-resource-rejected" not in rules
