"""The members of a token answer: token, type, lifetime, scope."""

from __future__ import annotations

import math
from typing import Any

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import TokenEndpoint, TokenRejected, TokenRequest, scopes, text, texts
from oauthtap.handshake.state import Handshake
from oauthtap.handshake.token_request import authorization_request_for, credentials, expired, registered
from oauthtap.model.requirements import must, practice, should
from oauthtap.redaction.alias_format import claims
from oauthtap.rules import rule

_ANSWER = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-3.2.3"
_TYPED = ("refresh_token", "scope", "id_token", "expires_in")
_TEN_YEARS, _TIMESTAMP = 315_360_000, 1_000_000_000
_NO_API = {"openid", "profile", "email", "address", "phone", "offline_access"}
"""Scopes that belong to the sign-in itself and say nothing about what the token may do."""


@rule("token-resp-access-token-missing", must("OAuth 2.1 draft-13 §3.2.3", _ANSWER), who="authorization-server")
def access_token_missing(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """The token response has no `access_token`.

    The client has no token for the MCP server, so the sign-in ends here, after the user's consent.

    Usual causes: a server that is set up for OpenID Connect only, which answers with an `id_token`;
    an envelope such as `{"data": {…}}` around the answer.

    Repair: Put `access_token` and `token_type` at the top level of the answer.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"data": {"access_token": "made-up-token-1", "token_type": "Bearer"}}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    answer = token.answer_object if token.ok and token.request.method == "POST" else {}
    if not answer or token.access_token or _says_failure(answer) or token.certainty == "guess":
        return
    inside = next((name for name, value in answer.items() if isinstance(value, dict) and "access_token" in value), None)
    found = f"it is inside `{inside}`" if inside else f"there is {', '.join(list(answer)[:6])[:120]}"
    yield Problem(
        message=f"the answer has no `access_token` at its top level; {found}",
        at="response.json.access_token",
        expected="a non-empty string",
        actual=f"inside {inside}" if inside else "absent",
    )


@rule("token-resp-token-type-missing", must("OAuth 2.1 draft-13 §3.2.3", _ANSWER), who="authorization-server")
def token_type_missing(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """The token response has no `token_type`.

    Some clients assume Bearer and continue. Others validate the response against a schema and
    refuse it, so the sign-in fails with a validation error.

    Usual causes: a hand-written token endpoint.

    Repair: Add `"token_type": "Bearer"` to the answer.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    if token.access_token and token.issued.get("token_type") in (None, ""):
        yield Problem(
            message="the answer has an `access_token` and no `token_type`; clients need `Bearer` there",
            at="response.json.token_type",
            expected="Bearer",
            actual="absent",
            patch=Patch(merge={"token_type": "Bearer"}, assumes="the token is a bearer token"),
        )


@rule(
    "token-resp-token-type-unsupported",
    must(
        "OAuth 2.1 draft-13 §3.2.3 and §6.1; RFC 6749 §7.1", "https://www.rfc-editor.org/rfc/rfc6749.html#section-7.1"
    ),
    who="authorization-server",
    stops_at=("mcp-token-rejected",),
)
def token_type_unsupported(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """`token_type` is not `Bearer`.

    MCP uses Bearer (and DPoP, for clients that sent a proof). A client must not use a type it does
    not know; one that does so anyway sends the token as Bearer and is refused.

    Usual causes: an invented value such as `jwt` or `access_token`; DPoP is forced on every client.

    Repair: Answer with `"token_type": "Bearer"`.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "mac"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "bearer"}
    """
    kind = token.issued.get("token_type")
    if not token.access_token or kind in (None, ""):
        return
    if "id-jag" in (text(token.issued.get("issued_token_type")) or ""):
        return
    word = kind.lower() if isinstance(kind, str) else ""
    if word != "bearer" and not (word == "dpop" and token.request.header("dpop")):
        yield Problem(
            message=f"`token_type` is {kind!r:.80}; it has to be `Bearer`",
            at="response.json.token_type",
            expected="Bearer",
            actual=f"{kind!r:.80}",
            patch=Patch(merge={"token_type": "Bearer"}, assumes="the MCP server takes it as a bearer token"),
        )


@rule(
    "token-resp-expires-in-type",
    must("OAuth 2.1 draft-13 §3.2.3", _ANSWER),
    who="authorization-server",
    severity="warning",
)
def expires_in_type(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """`expires_in` is not a number.

    It is a JSON number of seconds. Lenient clients convert `"3600"`; strict ones refuse the whole
    token response. Usual causes: a value from a template or a form; older Microsoft endpoints.

    Repair: Send the seconds as a number: `"expires_in": 3600`.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "expires_in": "3600"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "expires_in": 3600}
    """
    if not token.access_token or "expires_in" not in token.issued:
        return
    value = token.issued["expires_in"]
    if isinstance(value, int | float) and not isinstance(value, bool):
        return
    seconds = int(value) if isinstance(value, str) and value.isdecimal() and len(value) < 12 else None
    yield Problem(
        message=f"`expires_in` is {_said(value)}; it has to be a number of seconds",
        at="response.json.expires_in",
        expected=str(seconds) if seconds is not None else "a number",
        actual=_said(value),
        patch=Patch(merge={"expires_in": seconds}),
    )


@rule(
    "token-resp-expires-in-missing",
    should("OAuth 2.1 draft-13 §3.2.3", _ANSWER),
    who="authorization-server",
    severity="note",
)
def expires_in_missing(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """The token response has no `expires_in`.

    With it a client refreshes in time. Without it the client notices the expiry only when a request
    is refused. Usual causes: tokens without expiry; a forgotten member.

    Repair: Send `expires_in`, the remaining lifetime in seconds.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "expires_in": 3600}
    """
    if token.access_token and "expires_in" not in token.issued:
        seconds = _left(token)
        yield Problem(
            message="the answer has no `expires_in`; clients cannot refresh before the token ends",
            at="response.json.expires_in",
            expected="a number of seconds",
            actual="absent",
            patch=Patch(merge={"expires_in": seconds}) if seconds else None,
        )


@rule(
    "token-resp-expires-in-implausible",
    practice("OAuth 2.1 draft-13 §3.2.3", _ANSWER),
    who="authorization-server",
    severity="warning",
)
def expires_in_implausible(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """`expires_in` is not a plausible lifetime in seconds.

    With zero or less the client discards the token at once or refreshes endlessly. With a date
    instead of a duration it never refreshes. Usual causes: the time of expiry, or milliseconds,
    instead of the remaining seconds.

    Repair: Send the remaining lifetime in seconds, such as 3600.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "expires_in": 1767229200}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "expires_in": 3600}
    """
    value = token.issued.get("expires_in") if token.access_token else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    if value <= 0 or value > _TEN_YEARS or not math.isfinite(value):
        meaning = ", which looks like a date" if value >= _TIMESTAMP else ""
        seconds = _left(token)
        yield Problem(
            message=f"`expires_in` is {value:.12g}{meaning}; it has to be the seconds left",
            at="response.json.expires_in",
            expected=str(seconds) if seconds else "the seconds left",
            actual=f"{value:.12g}",
            patch=Patch(merge={"expires_in": seconds}) if seconds else None,
        )


@rule("token-resp-scope-type", must("OAuth 2.1 draft-13 §3.2.3 and §1.4.1", _ANSWER), who="authorization-server")
def scope_type(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """`scope` of the token response is not a string.

    In OAuth, scopes are one space-separated string. Clients that validate the response against a
    schema refuse a list. Usual causes: the server's internal list is serialized unchanged.

    Repair: Join the scopes with single spaces: `"scope": "read write"`.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "scope": ["read", "write"]}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "scope": "read write"}
    """
    value = token.issued.get("scope") if token.access_token else None
    if value is not None and not isinstance(value, str):
        joined = " ".join(texts(value))
        yield Problem(
            message=f"`scope` is {_said(value)}; it has to be one space-separated string",
            at="response.json.scope",
            expected=joined or "a string",
            actual=_said(value),
            patch=Patch(merge={"scope": joined}) if joined else Patch(merge={"scope": None}),
        )


@rule(
    "token-resp-scope-narrowed",
    practice("OAuth 2.1 draft-13 §1.4.1 and §3.2.3", _ANSWER),
    who="authorization-server",
)
def scope_narrowed(token: TokenRequest, so_far: Handshake) -> Problems:
    """The token is granted fewer scopes than the client requested.

    That is allowed, and `scope` says so. It explains a later 403 with `insufficient_scope`, which
    otherwise looks like a fault of the MCP server. Usual causes: a scope that the user did not
    grant, or that the client is not allowed to have.

    Repair: Grant the missing scopes to this client, or do not request them.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&scope=read+write
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "scope": "read"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&scope=read+write
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "scope": "write read"}
    """
    granted = text(token.issued.get("scope")) if token.access_token else None
    asked = authorization_request_for(token, so_far) if granted is not None else None
    lost = [s for s in scopes(asked.get("scope")) if s not in scopes(granted) and s not in _NO_API] if asked else []
    if asked and lost:
        yield Problem(
            message=f"asked for `{asked.get('scope')}`, granted `{granted}`: {', '.join(lost)} is missing",
            at="response.json.scope",
            expected=asked.get("scope"),
            actual=granted,
        )


@rule(
    "token-resp-scope-not-reported",
    must("OAuth 2.1 draft-13 §1.4.1", "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-1.4.1"),
    who="authorization-server",
    severity="note",
)
def scope_not_reported(token: TokenRequest, so_far: Handshake) -> Problems:
    """The granted scopes are not the requested ones, and the token response has no `scope`.

    Without `scope` in the response a client assumes that it got all requested scopes, and cannot
    tell why later requests are refused. Usual causes: the response is built without the granted
    scopes.

    Repair: Return `scope` whenever it differs from the requested one.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&scope=read+write
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "eyJhbGciOiJub25lIn0.eyJzY29wZSI6InJlYWQifQ.bWFkZS11cA", "token_type": "Bearer"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&scope=read+write
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "eyJhbGciOiJub25lIn0.eyJzY29wZSI6InJlYWQifQ.bWFkZS11cA", "token_type": "Bearer", "scope": "read"}
    """
    inside = claims(token.access_token) if token.access_token and "scope" not in token.issued else None
    own = next((inside[name] for name in ("scope", "scp", "scopes") if inside.get(name)), None) if inside else None
    carried = set(scopes(own)) | set(texts(own))
    asked = authorization_request_for(token, so_far) if carried else None
    wanted = set(scopes(asked.get("scope"))) if asked else set()
    if wanted and wanted - _NO_API != carried - _NO_API:
        real = " ".join(sorted(carried))
        yield Problem(
            message=f"asked for `{' '.join(sorted(wanted))}`, the token carries `{real}`, the answer has no `scope`",
            at="response.json.scope",
            expected=real,
            actual="absent",
            patch=Patch(merge={"scope": real}),
        )


@rule(
    "token-resp-null-members",
    practice("OAuth 2.1 draft-13 §3.2.3 (members are typed; absent means unset)", _ANSWER),
    who="authorization-server",
    severity="error",
)
def null_members(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """The token response has members that are `null`.

    Unset members have to be left out. `null` is a value of the wrong type, and clients with a
    schema refuse the whole token response.

    Usual causes: a JSON library that writes unset fields.

    Repair: Leave unset members out of the answer.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "refresh_token": null}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    nulls = [name for name in _TYPED if name in token.issued and token.issued[name] is None]
    if token.access_token and nulls:
        yield Problem(
            message=f"{' and '.join(f'`{name}`' for name in nulls)} is null; an unset member has to be left out",
            at=f"response.json.{nulls[0]}",
            expected="absent",
            actual="null",
            patch=Patch(merge=dict.fromkeys(nulls)),
        )


@rule(
    "token-resp-no-refresh-token",
    practice(
        "MCP 2026-07-28 'Refresh Tokens'; SEP-2207",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#refresh-tokens",
    ),
    who="authorization-server",
    stops_at=("mcp-token-rejected", "prm-discovery", "as-discovery", "authorization-request"),
)
def no_refresh_token(handshake: Handshake) -> Problems:
    """The token response has no `refresh_token`, although the client asked for or needed one.

    The server decides. Without one the user has to sign in again whenever the access token expires.
    Usual causes: refresh tokens are not enabled for this client or this API.

    Repair: Allow refresh tokens for the client, in its registration and in the settings of the API.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&scope=read+offline_access
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&scope=read+offline_access
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "refresh_token": "made-up-refresh-1"}
    """
    for token in handshake.all(TokenRequest):
        if token.exchange.response is None or token.exchange.response.body is None:
            continue
        if not token.access_token or token.issued.get("refresh_token"):
            continue
        asked = authorization_request_for(token, handshake)
        own = registered(credentials(token).client_id, handshake)
        by_scope = asked is not None and "offline_access" in scopes(asked.get("scope"))
        by_grant = own is not None and "refresh_token" in texts(own.issued.get("grant_types"))
        refused = [r for r in handshake.all(TokenRejected) if r.bearer == token.access_token and expired(r, token)]
        why = "`offline_access` was asked for" if by_scope else "the client is registered for `refresh_token`"
        over = f"the token had run out by exchange {refused[0].exchange.id}" if refused else why
        if by_scope or by_grant or refused:
            yield Problem(
                exchange=token.exchange.id,
                message=f"{over}, but the answer has no `refresh_token`",
                at="response.json.refresh_token",
                expected="a refresh token",
                actual="absent",
                severity="warning" if refused else None,
            )


def _says_failure(answer: dict[str, Any]) -> bool:
    return bool(answer.get("error")) or answer.get("ok") is False or answer.get("success") is False


def _said(value: Any) -> str:
    """A JSON value as a person would quote it, cut short."""
    names = {None: "null", True: "true", False: "false"}
    return names[value] if value is None or isinstance(value, bool) else f"{value!r:.60}"


def _left(token: TokenEndpoint) -> int | None:
    """Seconds until the token's own `exp`, where it is a JWT that has one."""
    ends = (claims(token.access_token or "") or {}).get("exp")
    if not isinstance(ends, int) or isinstance(ends, bool) or token.exchange.ended is None:
        return None
    left = int(ends - token.exchange.ended)
    return left if 0 < left <= _TEN_YEARS else None
