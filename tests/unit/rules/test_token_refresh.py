"""Odd cases of refreshing, where a mistake would hurt."""

from __future__ import annotations

from oauthtap.handshake.stages import TokenRefresh
from oauthtap.handshake.state import Handshake
from oauthtap.model.exchange import Exchange, Request, Response
from oauthtap.rules.token_refresh import history
from tests.support.exchanges import found

TOKEN = "https://as.example.com/token"
FIRST = f"""
POST {TOKEN} grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
200 {{"access_token": "made-up-token-2", "token_type": "Bearer", "refresh_token": "made-up-refresh-2"}}
"""


def test_a_retry_after_a_failure_is_not_a_second_refresh() -> None:
    text = (
        f"""
POST {TOKEN} grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
503
"""
        + FIRST
    )
    assert not {"refresh-concurrent", "refresh-old-token-used"} & found(text)


def test_an_unrotated_token_may_be_used_again() -> None:
    once = f"""
@+600
POST {TOKEN} grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
200 {{"access_token": "made-up-token-3", "token_type": "Bearer"}}
"""
    assert not {"refresh-concurrent", "refresh-old-token-used"} & found(once + once)


def test_a_replay_by_hand_says_nothing_about_the_client() -> None:
    text = (
        FIRST
        + f"""
@+60
@reporter
POST {TOKEN} grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
400 {{"error": "invalid_grant"}}
"""
    )
    assert "refresh-old-token-used" not in found(text)


def test_the_secret_of_the_code_exchange_is_missed_at_the_refresh() -> None:
    text = f"""
POST {TOKEN} grant_type=authorization_code&client_id=c1&client_secret=made-up-secret&code=made-up-code-1
200 {{"access_token": "made-up-token-1", "token_type": "Bearer", "refresh_token": "made-up-refresh-1"}}

@+60
POST {TOKEN} grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
401 {{"error": "invalid_client"}}
"""
    assert "refresh-client-auth-missing" in found(text)


def test_scopes_of_a_grant_carry_over_refreshes_that_name_none() -> None:
    text = f"""
POST {TOKEN} grant_type=authorization_code&client_id=c1&code=made-up-code-1
200 {{"access_token": "made-up-token-1", "token_type": "Bearer", "refresh_token": "made-up-refresh-1", "scope": "a b"}}

@+60
POST {TOKEN} grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
200 {{"access_token": "made-up-token-2", "token_type": "Bearer", "refresh_token": "made-up-refresh-2"}}

@+60
POST {TOKEN} grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-2&scope="""
    answer = '\n200 {"access_token": "made-up-token-3", "token_type": "Bearer"}\n'
    assert "refresh-scope-widened" not in found(f"{text}b+a{answer}")
    assert "refresh-scope-widened" in found(f"{text}a+c{answer}")


def test_a_missing_refresh_token_is_not_a_dead_one() -> None:
    text = f"""
POST {TOKEN} grant_type=refresh_token&client_id=c1
400 {{"error": "invalid_request", "error_description": "refresh_token is invalid or missing"}}
"""
    assert "refresh-error-not-invalid-grant" not in found(text)


def test_what_a_recording_left_out_of_a_refresh_is_not_guessed_at() -> None:
    asked = Request(method="POST", url=TOKEN, body=None)
    unseen = TokenRefresh(Exchange(id=1, request=asked, response=Response(status=200, body=None)))
    assert history.token_of(unseen) is None
    assert history.granted_in(unseen) == {}
    assert history.error_of(unseen) is None


def test_what_was_recorded_of_a_refresh_is_read() -> None:
    asked = Request(method="POST", url=TOKEN, body="grant_type=refresh_token&refresh_token=made-up-refresh-1")
    refused = Response(status=400, body='{"error": "invalid_grant"}')
    seen = TokenRefresh(Exchange(id=1, request=asked, response=refused))
    assert history.token_of(seen) == "made-up-refresh-1"
    assert history.error_of(seen) == "invalid_grant"
    assert history.issued_in(Handshake(), "made-up-refresh-1") is None
