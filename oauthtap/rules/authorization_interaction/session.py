"""What the authorization server remembers while the user signs in: the request that started it all."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import AuthorizationRequest, AuthorizationResponse, Stage, TokenRequest
from oauthtap.handshake.state import Handshake, absolute
from oauthtap.model import urls
from oauthtap.model.requirements import practice
from oauthtap.rules import rule

_PEOPLE = ("client", "browser")
_QUIET = 60.0
"""Seconds after the last page: a user reads, a lost browser does not move."""
_PART_OF_IT = re.compile(
    r"log-?in|sign-?in|auth|consent|approv|grant|allow|mfa|otp|2fa|totp|verif|challenge|interaction|select|account|"
    r"password|sso|saml|session|continue|error|device|code|captcha|terms|register|sign-?up",
    re.I,
)
_ASKS = re.compile(r"<form|<input|<button|authori[sz]e|consent|allow access|sign in|log in|error|denied", re.I)
_COOKIE = re.compile(r"\s*([^=;\s]+)=")


@rule(
    "authz-transaction-lost",
    practice(
        "OAuth 2.1 draft-13 §4.1.1",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.1",
    ),
    who="authorization-server",
    severity="error",
    stops_at=("authorization-interaction", "authorization-response"),
)
def transaction_lost(handshake: Handshake) -> Problems:
    """The authorization server loses the authorization request while the user logs in.

    While the user logs in, the server has to keep the client's authorization request. When it loses
    it, the user ends on the start page, logged in, or a form answers that its session is gone. The
    client waits for a callback that never comes.

    Usual causes: the request is kept in a session that is replaced at the login; the redirect to
    the login page does not include it; a cookie is dropped (SameSite, a third-party frame, an
    embedded browser).

    Repair: Carry the request through the login in a signed parameter, or move it to the new
    session; set its cookie so that it survives the whole login.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: https://as.example.com/login
        @browser
        POST https://as.example.com/login username=anna
        302
        Location: https://as.example.com/dashboard
        @browser
        GET https://as.example.com/dashboard
        200 <h1>Welcome back</h1>

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: https://as.example.com/login?request=17
        @browser
        POST https://as.example.com/login?request=17 username=anna
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
    """
    asked = handshake.last(AuthorizationRequest)
    answered = handshake.last(AuthorizationResponse) or handshake.last(TokenRequest)
    if asked is None or asked.exchange.actor not in _PEOPLE:
        return
    if answered is not None and answered.exchange.id >= asked.exchange.id:
        return
    walked = [stages[0] for stages in handshake.exchanges() if stages[0].exchange.actor in _PEOPLE]
    walked = [stage for stage in walked if stage.exchange.id >= asked.exchange.id and _is_navigation(stage, asked)]
    yield from _ended_elsewhere(walked, handshake)
    yield from _cookie_gone(walked)


def _is_navigation(stage: Stage, asked: AuthorizationRequest) -> bool:
    return urls.origin(stage.url) == urls.origin(asked.url) and not stage.slug.startswith(
        ("mcp-", "token-", "prm", "as-")
    )


def _ended_elsewhere(walked: Sequence[Stage], handshake: Handshake) -> Iterator[Problem]:
    first, last = walked[0], walked[-1]
    led = _location(first)
    if led is None or "?" in led or "#" in led or handshake.ended is None or last.exchange.ended is None:
        return
    if handshake.ended - last.exchange.ended < _QUIET:
        return
    signed_in = any(stage.request.method == "POST" for stage in walked[1:-1])
    start = urls.origin(led) == urls.origin(first.url) and urls.path_of(led) == "/"
    if (signed_in and _is_other_page(last)) or (start and (last is first or _is_other_page(last))):
        end = led if last is first else urls.without_query(last.url)
        yield Problem(
            message=f"the request is answered with a redirect to {led} that carries nothing of it, and the browser ends "
            f"at {end}; it has to come back to {urls.without_query(_callback(first))}",
            at="response.header.location",
            expected="a redirect that leads back to the request",
            actual=led,
            exchange=first.exchange.id,
        )


def _callback(stage: Stage) -> str:
    return (stage.redirect_uri if isinstance(stage, AuthorizationRequest) else None) or "the callback"


def _is_other_page(stage: Stage) -> bool:
    """A page that belongs to the application and not to the sign-in."""
    response = stage.exchange.response
    if response is None or response.status != 200 or response.media_type != "text/html" or response.body is None:
        return False
    return not _PART_OF_IT.search(urls.path_of(stage.url)) and not _ASKS.search(response.body[:20000])


def _location(stage: Stage) -> str | None:
    response = stage.exchange.response
    location = response.header("location") if response and 300 <= response.status < 400 else None
    return absolute(location, stage.url) if location else None


def _cookie_gone(walked: Sequence[Stage]) -> Iterator[Problem]:
    """A form fails, and a cookie that a page before it set does not come with it."""
    if not any(stage.request.header("cookie") for stage in walked):
        return  # this recording may have no cookies at all
    given: dict[str, int] = {}
    for stage in walked:
        sent = {
            match[1] for part in (stage.request.header("cookie") or "").split(";") if (match := _COOKIE.match(part))
        }
        gone = [name for name in given if name not in sent]
        if stage.request.method == "POST" and (stage.status or 0) in (400, 401, 403, 419, 422, 440) and gone:
            yield Problem(
                message=f"the form is refused with {stage.status}, and the cookie {gone[0]} of exchange {given[gone[0]]} "
                "did not come with it",
                at="request.header.cookie",
                expected=gone[0],
                exchange=stage.exchange.id,
            )
            return
        lines = stage.exchange.response.header_lines("set-cookie") if stage.exchange.response else ()
        for line in lines:
            narrow = re.search(r";\s*path=/[^;\s]", line, re.I)  # such a cookie stays at home on other paths
            if not narrow and (match := _COOKIE.match(line)):
                given.setdefault(match[1], stage.exchange.id)
                if re.search(r"max-age=0|expires=thu, 01 jan 1970", line, re.I):
                    given.pop(match[1], None)
