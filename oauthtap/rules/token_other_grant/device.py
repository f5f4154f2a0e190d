"""Asking for the token while the user signs in on another device."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import DeviceAuthorization, TokenOther, Unseen
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must
from oauthtap.rules import rule

_BY_DEVICE = "urn:ietf:params:oauth:grant-type:device_code"
_PAUSE = 5.0
"""Seconds between two questions when the server names no interval (RFC 8628, 3.2)."""
_LENIENCE = 0.9
"""Clocks and networks shift a little; what comes at 90 % of the interval is in time."""


@rule(
    "device-poll-too-fast",
    must("RFC 8628 §3.5", "https://www.rfc-editor.org/rfc/rfc8628.html#section-3.5"),
    who="client",
    severity="note",
)
def poll_too_fast(stage: TokenOther, so_far: Handshake) -> Problems:
    """The client polls with its `device_code` more often than `interval` allows.

    While the user logs in on another device, the client polls. The server says how long to wait
    between two requests (`interval`), and slows down or refuses clients that do not.

    Usual causes: a fixed pause in the client; `slow_down` is treated like `authorization_pending`.

    Repair: In the client, wait `interval` seconds between two requests (5 by default), and 5 more
    after each `slow_down`.

    Bad:
        POST https://as.example.com/device client_id=c1
        200 {"device_code": "made-up-device-code", "user_code": "WDJB-MJHT", "interval": 5,
             "verification_uri": "https://as.example.com/device", "expires_in": 1800}

        @+5
        POST https://as.example.com/token grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=c1&device_code=made-up-device-code
        400 {"error": "authorization_pending"}

        POST https://as.example.com/token grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=c1&device_code=made-up-device-code
        400 {"error": "slow_down"}

    Good:
        POST https://as.example.com/device client_id=c1
        200 {"device_code": "made-up-device-code", "user_code": "WDJB-MJHT", "interval": 5,
             "verification_uri": "https://as.example.com/device", "expires_in": 1800}

        @+5
        POST https://as.example.com/token grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=c1&device_code=made-up-device-code
        400 {"error": "authorization_pending"}

        @+5
        POST https://as.example.com/token grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code&client_id=c1&device_code=made-up-device-code
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    code, now = stage.get("device_code"), stage.exchange.started_at
    if stage.grant != _BY_DEVICE or not code or stage.exchange.actor != "client" or now is None:
        return
    asked = [one for one in so_far.all(TokenOther) if _device_code(one) == code and one.exchange.started_at is not None]
    wait = _interval(so_far, code) + 5.0 * sum(_said(one, "slow_down") for one in asked)
    last = asked[-1].exchange.started_at if asked else None
    if last is not None and now - last < wait * _LENIENCE:
        yield Problem(
            message=f"the client asks again after {now - last:.1f} s; it has to wait {wait:.0f} s",
            at="request.form.device_code",
            expected=f"{wait:.0f} s between two questions",
            actual=f"{now - last:.1f} s",
        )


def _device_code(stage: TokenOther) -> str | None:
    try:
        return stage.get("device_code")
    except Unseen:
        return None


def _said(stage: TokenOther, error: str) -> bool:
    response = stage.exchange.response
    return response is not None and response.json_object.get("error") == error


def _interval(so_far: Handshake, code: str) -> float:
    """The pause that was named together with this device code."""
    for device in reversed(so_far.all(DeviceAuthorization)):
        answer = device.exchange.response.json_object if device.exchange.response else {}
        named = answer.get("interval")
        if answer.get("device_code") == code and isinstance(named, int | float) and not isinstance(named, bool):
            return min(max(float(named), 0.0), 600.0)
    return _PAUSE
