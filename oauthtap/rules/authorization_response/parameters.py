"""What the redirect to the callback carries: code or error, `state`, each once, and in the query."""

from __future__ import annotations

from urllib.parse import unquote

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import AuthorizationRequest, AuthorizationResponse
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.exchange import Request, all_values, first_value
from oauthtap.model.requirements import must
from oauthtap.rules import rule


def _place(stage: AuthorizationResponse, name: str) -> str:
    return f"request.query.{name}" if stage.callback else f"response.header.location.{name}"


def _sight(stage: AuthorizationResponse, so_far: Handshake) -> bool:
    """This is the answer to a request we saw, at the address it named, and not one we judged before."""
    asked = stage.requested.redirect_uri if stage.requested else None
    if not asked or not urls.redirect_matches(urls.without_query(stage.target), urls.without_query(asked)):
        return False
    return not any(earlier.params == stage.params for earlier in so_far.all(AuthorizationResponse))


@rule(
    "authz-resp-no-code-no-error",
    must("OAuth 2.1 draft-13 §4.1.2", "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.2"),
    who="authorization-server",
)
def no_code_no_error(stage: AuthorizationResponse, so_far: Handshake) -> Problems:
    """The authorization response has neither `code` nor `error`.

    The redirect is how the server tells the client how the sign-in ended: with `code` when it
    worked, with `error` when it did not. With neither of them the client gives up, or waits
    forever.

    Usual causes: a "back" or "cancel" link leads to the bare callback; the code went into
    the fragment or into a cookie; a proxy cut the query off.

    Repair: Append `code` and `state` to the callback URL, or `error` and `state`.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?state=s1

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
    """
    names = {name for name, value in stage.params if value}
    if _sight(stage, so_far) and not names & {"code", "error", "response", "access_token", "id_token"}:
        yield Problem(
            message=f"the redirect to the callback carries {', '.join(sorted(names)) or 'no parameter'}; "
            "it has to carry `code` or `error`",
            at="request.url" if stage.callback else "response.header.location",
            expected="code or error",
            actual=", ".join(sorted(names)),
        )


@rule(
    "authz-resp-in-fragment",
    must("OAuth 2.1 draft-13 §4.1.2", "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.2"),
    who="authorization-server",
)
def in_fragment(stage: AuthorizationResponse, so_far: Handshake) -> Problems:
    """The authorization response is in the URL fragment, which servers never receive.

    Browsers do not send the fragment (`#…`) to servers. The client's listener gets a request
    without code and without error, and cannot continue.

    Usual causes: the server was asked for, or defaults to, `response_mode=fragment`; the
    client is registered as a single-page application.

    Repair: Send the parameters in the query: `response_mode=query`, which is the default for
    `response_type=code`.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb#code=made-up&state=s1

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
    """
    before, _, fragment = stage.target.partition("#")
    behind = [pair.partition("=")[0] for pair in fragment.split("&")]
    found = [name for name in ("code", "error") if name in behind and f"{name}=" not in before.partition("?")[2]]
    if found and not stage.callback and _sight(stage, so_far):
        yield Problem(
            message=f"`{found[0]}` is in the fragment of the redirect; it has to be in the query",
            at="response.header.location",
            expected=f"{found[0]} in the query",
            actual=f"{found[0]} in the fragment",
        )


@rule(
    "authz-resp-token-in-url",
    must(
        "OAuth 2.1 draft-13 §10.1; RFC 9700 §2.1.2",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-10.1",
    ),
    who="authorization-server",
)
def token_in_url(stage: AuthorizationResponse, so_far: Handshake) -> Problems:
    """The authorization response contains a token (implicit flow).

    This is the implicit flow, which OAuth 2.1 removed: the URL is kept in histories, logs and
    `Referer` headers. MCP clients expect a code and ignore tokens here.

    Usual causes: the implicit or hybrid flow is enabled for this client at the server.

    Repair: Answer `response_type=code` with a code only, and disable the implicit flow.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&id_token=made-up-too&state=s1

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
    """
    for name in ("access_token", "id_token"):
        if first_value(stage.params, name) is not None and _sight(stage, so_far):
            yield Problem(
                message=f"`{name}` is in the URL of the redirect; only a code may be",
                at=_place(stage, name),
                expected="code",
                actual=name,
            )


@rule(
    "authz-resp-state-missing",
    must(
        "OAuth 2.1 draft-13 §4.1.2 and §4.1.2.1",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.2",
    ),
    who="authorization-server",
)
def state_missing(stage: AuthorizationResponse, so_far: Handshake) -> Problems:
    """The authorization response does not return the client's `state`.

    By `state` the client recognizes that this response belongs to the sign-in it started, and is
    not forged (CSRF). Without it the client rejects the response, and the code with it. The same
    holds for responses with an error.

    Usual causes: the error path builds its redirect without `state`; it was lost with the
    session during the login.

    Repair: Append `state`, exactly as it came, to every redirect to the callback.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
    """
    sent = stage.requested.get("state") if stage.requested else None
    answers = stage.code is not None or stage.error is not None
    if sent and answers and stage.get("state") is None and _sight(stage, so_far):
        yield Problem(
            message=f"the client sent state {sent[:60]!r}, and the redirect to its callback has none",
            at=_place(stage, "state"),
            expected=sent,
        )


@rule(
    "authz-resp-state-mismatch",
    must("OAuth 2.1 draft-13 §4.1.2", "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.2"),
    who="authorization-server",
)
def state_mismatch(stage: AuthorizationResponse, so_far: Handshake) -> Problems:
    """The authorization response returns another `state` than the client sent.

    Clients compare it character by character and reject the response when it differs: it may be
    forged (CSRF).

    Usual causes: it was encoded twice, or decoded twice so that `+` became a space; a cookie or a
    column was too short for it; the server sends its own value.

    Repair: Treat `state` as opaque, and send back exactly the characters that came.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=a%2Bb&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=a+b

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=a%2Bb&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=a%2Bb
    """
    sent, got = stage.requested.get("state") if stage.requested else None, stage.get("state")
    if not sent or got is None or got == sent or not _sight(stage, so_far):
        return
    if any(asked.get("state") == got for asked in so_far.all(AuthorizationRequest)):
        return
    yield Problem(
        message=f"state comes back as {got[:60]!r}{_how(sent, got)}; the client sent {sent[:60]!r}",
        at=_place(stage, "state"),
        expected=sent,
        actual=got,
    )


def _how(sent: str, got: str) -> str:
    """The usual accident that makes one of the other."""
    if unquote(got) == sent:
        return " (encoded once too often)"
    if unquote(sent) == got:
        return " (decoded once too often)"
    if got.replace(" ", "+") == sent:
        return " (`+` became a space)"
    if got and sent.startswith(got):
        return f" (cut off after {len(got)} characters)"
    return ""


@rule(
    "authz-resp-duplicate-params",
    must(
        "OAuth 2.1 draft-13 §3.1; MCP conformance scenario authorization-code-grant",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-3.1",
    ),
    who="authorization-server",
    severity="warning",
)
def duplicate_params(stage: AuthorizationResponse, so_far: Handshake) -> Problems:
    """A parameter occurs more than once in the authorization response.

    One client takes the first value, another the last, and a third reads a list. Where the values
    differ, the wrong one may be used.

    Usual causes: the redirect URI had such a parameter already, and the server appended its
    own; two layers of the server each append `state` or `iss`.

    Repair: Send `code`, `state`, `iss` and `error` once each.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1&state=s1

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1
    """
    # A 307 makes the browser post its login form to the callback, on top of the query.
    pairs = Request(method="GET", url=stage.target).query or stage.params
    for name in ("code", "state", "iss", "error"):
        values = all_values(pairs, name)
        if len(values) > 1 and _sight(stage, so_far):
            alike = "with the same value" if len(set(values)) == 1 else "with different values"
            yield Problem(
                message=f"`{name}` is in the redirect {len(values)} times, {alike}; it may be there once",
                at=_place(stage, name),
                expected="1",
                actual=str(len(values)),
            )
