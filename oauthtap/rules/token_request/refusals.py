"""How the token endpoint says no: status, body, and the code in it."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import TokenEndpoint, text
from oauthtap.handshake.state import Handshake
from oauthtap.model.exchange import Request, first_value
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule

_ERRORS = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-3.2.4"
_KNOWN = {
    *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type"),
    *("invalid_scope", "invalid_target", "use_dpop_nonce", "invalid_dpop_proof", "authorization_pending"),
    *("slow_down", "access_denied", "expired_token"),
}
_EDGE = re.compile(r"just a moment|attention required|request blocked|access denied|cloudflare|akamai|incapsula", re.I)
_BUSY = 429
"""Has a rule of its own."""


@rule(
    "token-error-status",
    must("OAuth 2.1 draft-13 §3.2.4; RFC 6749 §5.2", _ERRORS),
    who="authorization-server",
    severity="warning",
    echo=True,
)
def status(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """An error of the token endpoint has a status other than 400 or 401.

    Errors have status 400; only `invalid_client` may be 401. Clients rely on that: on 400
    `invalid_grant` they start a new sign-in, on 401, 403 or 500 many give up. Usual causes: one
    table of statuses for the whole API.

    Repair: Answer with 400, and with 401 only for `invalid_client`.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        401 {"error": "invalid_grant"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        400 {"error": "invalid_grant"}
    """
    error, got = (token.oauth_error, token.status or 0) if token.exchange.response else (None, 0)
    if not error or got < 400 or got in (400, 429, 503) or (got == 401 and error == "invalid_client"):
        return
    if error in _KNOWN or got in (401, 403):
        yield Problem(
            message=f"`{error:.60}` is answered with status {got}; it has to be 400",
            at="response.status",
            expected="400",
            actual=str(got),
            patch=Patch(status=400),
        )


@rule("token-error-200", must("OAuth 2.1 draft-13 §3.2.4", _ERRORS), who="authorization-server")
def with_200(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """The token endpoint returns an error with status 200.

    The client gets a 200 and looks for a token. It reports a malformed response and does not show
    the server's error.

    Usual causes: GitHub, Slack and other APIs that answer everything with 200.

    Repair: Answer errors with 400. The `error` itself is the cause to look at first.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"error": "incorrect_client_credentials"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        400 {"error": "invalid_client"}
    """
    if not token.ok or token.access_token:
        return
    answer = token.answer_object
    posted = first_value(Request(method="", url="", body=token.answer_text).form, "error") if not answer else None
    said = answer.get("error") or posted
    if said or answer.get("ok") is False or answer.get("success") is False:
        words = text(said) or "a failure"
        yield Problem(
            message=f"the answer says {words:.80} with status {token.status}; a refusal has to have 400",
            at="response.status",
            expected="400",
            actual=str(token.status),
            patch=Patch(status=400),
        )


@rule(
    "token-error-body",
    must("OAuth 2.1 draft-13 §3.2.4", _ERRORS),
    who="authorization-server",
    severity="warning",
    echo=True,
)
def body(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """The token endpoint fails without an `error` code in JSON.

    `error` tells a client whether to sign in again, to register again or to stop. With an HTML page
    or an empty body it cannot decide. Usual causes: a framework's default error page; an error
    object of another format; with 404, a wrong `token_endpoint` in the metadata; with 500, a
    failure whose reason is in the server's log.

    Repair: Answer with `{"error": "invalid_grant", "error_description": "…"}` and the like.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        400 text/html <h1>Bad Request</h1>

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        400 {"error": "invalid_grant"}
    """
    got = token.status or 0
    if got < 400 or got == _BUSY or token.oauth_error is not None or token.certainty == "guess":
        return
    if got in (404, 405) and token.initiator is not None and token.initiator.guess:
        return  # nobody said that there is a token endpoint here
    if token.response.header("cf-mitigated") or _EDGE.search(token.answer_text[:4000]):
        return
    kind = token.response.media_type or "nothing"
    yield Problem(
        message=f"the answer {got} is {kind} without a string `error`; it has to be JSON with one",
        at="response.json.error" if token.answer_object else "response.body",
        expected='{"error": "…"}',
        actual=f"{token.answer_text.strip()[:60]!r}",
    )


@rule("token-error-code-unknown", practice("OAuth 2.1 draft-13 §3.2.4 and §6.5", _ERRORS), who="authorization-server")
def code_unknown(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """`error` of the token endpoint is not a registered error code.

    Clients handle the registered codes. With any other they can only show it to the user. Usual
    causes: internal error names are returned.

    Repair: Use a registered code, and put the detail into `error_description`.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        400 {"error": "bad_verification_code"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        400 {"error": "invalid_grant", "error_description": "unknown code"}
    """
    error = token.oauth_error if (token.status or 0) >= 400 else None
    if error and error not in _KNOWN and token.status not in (404, 405, _BUSY):
        yield Problem(
            message=f"the error code is `{error:.60}`, which no client knows",
            at="response.json.error",
            expected="one of the registered codes, such as invalid_grant",
            actual=f"{error:.60}",
        )
