"""Odd cases of signing in without a browser."""

from __future__ import annotations

from tests.support.exchanges import found

DEVICE = """
POST https://as.example.com/device client_id=c1
200 {"device_code": "made-up-device-code", "user_code": "WDJB-MJHT", "interval": 5,
  "verification_uri": "https://as.example.com/device", "expires_in": 1800}
"""
ASK = "POST https://as.example.com/token grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code"
ASK += "&client_id=c1&device_code=made-up-device-code"


def test_slow_down_makes_the_pause_longer() -> None:
    slowed = DEVICE + f'\n@+5\n{ASK}\n400 {{"error": "slow_down"}}\n'
    pending = '400 {"error": "authorization_pending"}'
    assert "device-poll-too-fast" in found(f"{slowed}\n@+5\n{ASK}\n{pending}\n")
    assert "device-poll-too-fast" not in found(f"{slowed}\n@+10\n{ASK}\n{pending}\n")


def test_two_sign_ins_do_not_share_a_clock() -> None:
    other = ASK.replace("made-up-device-code", "another-made-up-code")
    text = f'{DEVICE}\n@+5\n{ASK}\n400 {{"error": "authorization_pending"}}\n'
    assert "device-poll-too-fast" not in found(f'{text}\n{other}\n400 {{"error": "authorization_pending"}}\n')


def test_a_client_that_gets_its_token_is_let_be() -> None:
    text = """
POST https://as.example.com/token grant_type=client_credentials&client_id=c1
200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
"""
    assert "cc-public-client" not in found(text)
