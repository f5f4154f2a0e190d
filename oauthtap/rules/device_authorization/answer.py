"""The answer to a device authorization request: what the user has to be shown."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import DeviceAuthorization
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must
from oauthtap.rules import rule

_REQUIRED = ("device_code", "user_code", "verification_uri", "expires_in")


@rule(
    "device-response",
    must("RFC 8628 §3.2", "https://www.rfc-editor.org/rfc/rfc8628.html#section-3.2"),
    who="authorization-server",
    severity="warning",
    stops_at=("token-other-grant",),
)
def response(device: DeviceAuthorization, so_far: Handshake) -> Problems:
    """The device authorization response lacks a required member.

    The client shows the user a code and a URL, and then polls with the device code. If one of them
    is missing, the sign-in cannot start.

    Usual causes: the older name `verification_url`; a server that follows an early draft.

    Repair: Answer with `device_code`, `user_code`, `verification_uri` and `expires_in`.

    Bad:
        POST https://as.example.com/device client_id=c1
        200 {"device_code": "made-up-device-code", "user_code": "WDJB-MJHT",
             "verification_url": "https://as.example.com/device", "expires_in": 1800}

    Good:
        POST https://as.example.com/device client_id=c1
        200 {"device_code": "made-up-device-code", "user_code": "WDJB-MJHT",
             "verification_uri": "https://as.example.com/device", "expires_in": 1800}
    """
    missing = [name for name in _REQUIRED if not device.answer_object.get(name)] if device.ok else []
    if missing:
        older = device.answer_object.get("verification_url")
        mended = {"verification_uri": older} if missing == ["verification_uri"] and older else None
        yield Problem(
            message=f"the answer has no {', '.join(missing)}; it has to hold {', '.join(_REQUIRED)}",
            at=f"response.json.{missing[0]}",
            expected=", ".join(_REQUIRED),
            actual=", ".join(device.answer_object)[:200],
            patch=Patch(merge=mended) if mended else None,
        )
