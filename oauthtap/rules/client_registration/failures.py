"""Registrations that fail: the endpoint, the status, and the error."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Registration, text
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule

_CODES = {
    "invalid_redirect_uri",
    "invalid_client_metadata",
    "invalid_software_statement",
    "unapproved_software_statement",
    "invalid_token",
    "invalid_request",
    "insufficient_scope",
}
_NOT_HERE = (404, 405, 501)
_OTHER_MATTERS = (401, 403, 404, 405, 408, 413, 415, 429)
"""Failures that have a status of their own, so that 400 would be the wrong one for them."""


def reached(stage: Registration) -> bool:
    """A new registration at an address that somebody named, not at one the client made up."""
    guess = stage.initiator is not None and stage.initiator.guess and stage.initiator.exchange is not None
    return not stage.managing and not guess and stage.status is not None


def words(stage: Registration) -> str:
    """What the server says about its refusal, without the code and without markup; at most 2000 characters."""
    said = re.sub(r"<[^>]*>", " ", stage.answer_text[:4000])
    return re.sub(r"invalid_client_metadata|invalid_redirect_uri|invalid_request", " ", said)[:2000].strip()


def quote(stage: Registration) -> str:
    """What the server says, short enough for a sentence."""
    if stage.response.body is None:
        return "an answer that was not recorded"
    described = text(stage.answer_object.get("error_description")) or text(stage.answer_object.get("message"))
    said = described or stage.oauth_error or " ".join(words(stage).split())
    return f"{said[:160]!r}" if said else "nothing"


@rule(
    "dcr-error-status",
    must("RFC 7591 §3.2.2", "https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.2"),
    who="authorization-server",
    severity="note",
)
def error_status(stage: Registration, so_far: Handshake) -> Problems:
    """A refused client registration is not answered with status 400.

    Clients look for status 400 with a JSON error that says why. With another status some of them
    report a network or server failure instead of the reason.

    Usual causes: the framework's own validation answers (422, 409) before the endpoint
    does.

    Repair: Answer refused registrations with 400.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        422 {"error": "invalid_client_metadata"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        400 {"error": "invalid_client_metadata"}
    """
    code = stage.status or 0
    if reached(stage) and 400 < code < 500 and code not in _OTHER_MATTERS:
        yield Problem(
            message=f"the registration is refused with status {code}; it has to be 400",
            at="response.status",
            expected="400",
            actual=str(code),
            patch=Patch(status=400),
        )


@rule(
    "dcr-error-body",
    must("RFC 7591 §3.2.2", "https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.2"),
    who="authorization-server",
    severity="warning",
    echo=True,
)
def error_body(stage: Registration, so_far: Handshake) -> Problems:
    """A refused client registration does not return a registered `error` code as JSON.

    The reason belongs in a JSON object: `error` with one of the registered codes, and
    `error_description` for people. Otherwise a client can only show "HTTP 400".

    Usual causes: the framework's own error format; a gateway that answers before the
    authorization server.

    Repair: Answer `{"error": "invalid_redirect_uri", "error_description": "…"}`, or with
    `invalid_client_metadata` where another member is at fault.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        400 {"code": 17, "message": "no"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        400 {"error": "invalid_client_metadata", "error_description": "no"}
    """
    code = stage.status or 0
    if not reached(stage) or not 400 <= code < 500 or code in (404, 405, 429):
        return
    if stage.oauth_error not in _CODES:
        there = (
            f"`error` is {stage.oauth_error[:60]!r}" if stage.oauth_error else "there is no string `error` in the body"
        )
        yield Problem(
            message=f"the registration is refused with {code}, and {there}; it has to be a registered code",
            at="response.json.error",
            expected="invalid_redirect_uri or invalid_client_metadata",
            actual=stage.oauth_error,
        )


@rule(
    "dcr-endpoint-not-found",
    practice(
        "RFC 8414 §2 (registration_endpoint); RFC 7591 §3", "https://www.rfc-editor.org/rfc/rfc8414.html#section-2"
    ),
    who="authorization-server",
    severity="error",
)
def endpoint_not_found(stage: Registration, so_far: Handshake) -> Problems:
    """The `registration_endpoint` of the metadata answers 404, 405 or a redirect.

    The metadata sends the client to this URL. A 404 or 405 there ends the sign-in, and a redirect
    does too: on 301 and 302 clients repeat the request as GET, without the body.

    Usual causes: a path prefix is missing in the metadata; the server answers only at `www.` or
    with a trailing slash; registration was disabled, but is still in the metadata.

    Repair: Put the working URL into `registration_endpoint`, or remove the member from the
    metadata.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "registration_endpoint": "https://as.example.com/register"}
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        404 <h1>Not Found</h1>

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "registration_endpoint": "https://as.example.com/register"}
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    if stage.managing or so_far.learned("registration_endpoint", stage.url) is None:
        return
    code = stage.status or 0
    if code in _NOT_HERE or 300 <= code < 400:
        location = stage.response.header("location")
        yield Problem(
            message=f"the metadata names {stage.url} for registration, and it answers {code}"
            + (f" and points to {location}" if location else ""),
            at="response.header.location" if location else "response.status",
            expected="201",
            actual=str(code),
        )


@rule(
    "dcr-server-error",
    practice("RFC 7591 §3.2.2", "https://datatracker.ietf.org/doc/html/rfc7591#section-3.2.2"),
    who="authorization-server",
    severity="error",
)
def server_error(stage: Registration, so_far: Handshake) -> Problems:
    """The registration endpoint answers 5xx.

    A 5xx status says that the server failed, not why. The client cannot know whether another
    request would work, and gives up.

    Usual causes: a member the server did not expect; a database or service that is down. The
    server's log has the reason.

    Repair: Read the log of the authorization server at the time of this exchange.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        500

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    code = stage.status or 0
    if reached(stage) and code >= 500 and code not in _NOT_HERE:
        yield Problem(
            message=f"the registration is answered {code} with {quote(stage)}; it should be 201, or 400 with a reason",
            at="response.status",
            expected="201",
            actual=str(code),
        )
