"""The answer to a pushed authorization request: the reference that the browser will carry."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import PushedAuthorization, text
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must
from oauthtap.rules import rule


@rule(
    "par-response",
    must("RFC 9126 §2.2", "https://www.rfc-editor.org/rfc/rfc9126.html#section-2.2"),
    who="authorization-server",
    severity="warning",
    stops_at=("authorization-request",),
)
def response(par: PushedAuthorization, so_far: Handshake) -> Problems:
    """The pushed authorization response lacks `request_uri` or `expires_in`, or its status is not 201.

    The client POSTs its parameters and gets a `request_uri`, which the browser then sends to the
    authorization endpoint. Without it the sign-in cannot continue, and without `expires_in` a
    client does not know how long it is valid.

    Usual causes: a framework that answers 200 by default; a missing member in a hand-written
    server.

    Repair: Answer 201 with JSON that has `request_uri` and `expires_in` (seconds).

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com",
             "pushed_authorization_request_endpoint": "https://as.example.com/par"}

        POST https://as.example.com/par client_id=c1&response_type=code
        200 {"request_uri": "urn:ietf:params:oauth:request_uri:made-up-1"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com",
             "pushed_authorization_request_endpoint": "https://as.example.com/par"}

        POST https://as.example.com/par client_id=c1&response_type=code
        201 {"request_uri": "urn:ietf:params:oauth:request_uri:made-up-1", "expires_in": 60}
    """
    if not par.ok or par.request.method != "POST":
        return
    if not text(par.answer_object.get("request_uri")):
        yield Problem(
            message="the answer is a success without `request_uri`; it has to hold one",
            at="response.json.request_uri",
            expected="a request_uri",
            actual="none",
            severity="error",
        )
        return
    lifetime = par.answer_object.get("expires_in")
    known = isinstance(lifetime, int | float) and not isinstance(lifetime, bool)
    if not known:
        yield Problem(
            message=f"`expires_in` is {'missing' if lifetime is None else repr(lifetime)[:40]}; it has to be a number",
            at="response.json.expires_in",
            expected="a number of seconds",
            actual=repr(lifetime)[:40],
            patch=Patch(status=201, merge={"expires_in": 60}, assumes="the reference holds for a minute"),
        )
    elif par.status != 201:
        yield Problem(
            message=f"the answer has status {par.status}; it has to be 201",
            at="response.status",
            expected="201",
            actual=str(par.status),
            severity="note",
            patch=Patch(status=201),
        )
