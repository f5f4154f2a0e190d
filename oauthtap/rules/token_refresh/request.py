"""The refresh request: its parameters, and where the client sends it."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import Stage, TokenEndpoint, TokenRefresh, TokenRequest, scopes
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must
from oauthtap.rules import rule
from oauthtap.rules.token_refresh.history import authenticates, granted_in, issued_in, token_of

_DRAFT = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13"
_AGAIN = f"{_DRAFT}#section-4.3.1"


_NOT_ECHOED = ("openid", "profile", "email", "offline_access", "address", "phone")
"""Scopes of OpenID Connect, which many servers (Entra, Google) grant and do not repeat in the answer."""


@rule(
    "refresh-scope-widened",
    must("OAuth 2.1 draft-13 §4.3.1", _AGAIN),
    who="client",
    severity="warning",
    stops_at=("mcp-token-rejected", "authorization-request"),
)
def scope_widened(refresh: TokenRefresh, so_far: Handshake) -> Problems:
    """The refresh request asks for more scopes than were granted.

    A refresh can only return granted scopes. More scopes need the user's consent, so the
    authorization server refuses, and the client may lose its session.

    Usual causes: the client sends the scopes of a step-up, or its configured ones, with every
    refresh.

    Repair: In the client, leave `scope` out when refreshing. For more scopes, start a new
    authorization request.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "refresh_token": "made-up-refresh-1", "scope": "read"}

        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1&scope=read+write
        400 {"error": "invalid_scope"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "refresh_token": "made-up-refresh-1", "scope": "read"}

        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1&scope=read
        200 {"access_token": "made-up-token-2", "token_type": "Bearer"}
    """
    wanted = scopes(refresh.get("scope"))
    source = issued_in(so_far, refresh.get("refresh_token"))
    granted = scopes(granted_in(source).get("scope")) if source else ()
    while source and not granted and isinstance(source, TokenRefresh):
        before = _issued_in_before(so_far, source)
        granted = scopes(granted_in(before).get("scope")) if before else ()
        source = before
    more = [scope for scope in wanted if scope not in (*granted, *_NOT_ECHOED)]
    if refresh.exchange.actor == "client" and granted and more:
        yield Problem(
            message=f"`scope` asks for {' '.join(more)[:120]}; granted is {' '.join(granted)[:120]}",
            at="request.form.scope",
            expected=" ".join(granted)[:200],
            actual=" ".join(wanted)[:200],
        )


def _issued_in_before(so_far: Handshake, refresh: TokenRefresh) -> TokenEndpoint | None:
    """The older answer that gave the token this refresh was made with."""
    answer = issued_in(so_far, token_of(refresh))
    return answer if answer and answer.exchange.id < refresh.exchange.id else None


@rule(
    "refresh-client-auth-missing",
    must("OAuth 2.1 draft-13 §4.3.1", _AGAIN),
    who="client",
    stops_at=("mcp-token-rejected", "authorization-request"),
)
def client_auth_missing(refresh: TokenRefresh, so_far: Handshake) -> Problems:
    """The refresh request has no client authentication.

    A refresh token is bound to one client. The client has to send its `client_id`, and authenticate
    if it did so at the code exchange. Otherwise the refresh is refused. Usual causes: the
    registration was lost between two starts, while the tokens were kept; refresh and code exchange
    are separate code.

    Repair: In the client, store the registration together with the tokens, and
    authenticate a refresh the same way as the code exchange.

    Bad:
        POST https://as.example.com/token grant_type=refresh_token&refresh_token=made-up-refresh-1
        401 {"error": "invalid_client"}

    Good:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer"}
    """
    if refresh.exchange.actor != "client" or authenticates(refresh) or not refresh.get("refresh_token"):
        return
    if refresh.authorization is not None or refresh.request.header("dpop"):
        return
    source = issued_in(so_far, refresh.get("refresh_token"))
    exchange = source if isinstance(source, TokenRequest) and source.request.body is not None else None
    if exchange and authenticates(exchange):
        yield Problem(
            message=f"the client sends no secret; in exchange {exchange.exchange.id} it did, and it has to here",
            at="request.form.client_secret",
            expected="the same authentication as at the code exchange",
            actual="none",
            severity="warning" if refresh.ok else None,
        )
    elif not refresh.get("client_id"):
        yield Problem(
            message="the request has neither a `client_id` nor a secret; it has to say which client asks",
            at="request.form.client_id",
            expected="a client_id",
            actual="none",
            severity="warning" if refresh.ok else None,
        )


@rule(
    "refresh-resource-missing",
    must("MCP 2026-07-28 'Resource Parameter Implementation' (all token requests); RFC 8707 §2.2", "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#resource-parameter-implementation"),
    who="client",
    severity="note",
    since="2025-06-18",
)  # fmt: skip
def resource_missing(refresh: TokenRefresh, so_far: Handshake) -> Problems:
    """The refresh request has no `resource`.

    Without it some authorization servers issue the new token for another audience than the first
    one, and the MCP server refuses it. Usual causes: `resource` was added to the sign-in, but not
    to the refresh.

    Repair: In the client, send the same `resource` with every refresh.

    Bad:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer"}

    Good:
        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1&resource=https%3A%2F%2Fmcp.example.com%2Fmcp
        200 {"access_token": "made-up-token-2", "token_type": "Bearer"}
    """
    if refresh.exchange.actor == "client" and refresh.params and refresh.get("resource") is None:
        yield Problem(
            message=f"the refresh has no `resource`; it has to name {so_far.resource or 'the MCP server'}",
            at="request.form.resource",
            expected=so_far.resource or "the URL of the MCP server",
            actual="none",
        )


@rule(
    "refresh-sent-to-other-as",
    must(
        "OAuth 2.1 draft-13 §4.3; MCP 2026-07-28 AS Discovery 'Authorization Server Location'", f"{_DRAFT}#section-4.3"
    ),
    who="client",
    stops_at=("mcp-token-rejected", "authorization-request"),
)
def sent_to_other_server(refresh: TokenRefresh, so_far: Handshake) -> Problems:
    """The client sends its refresh token to another authorization server.

    A refresh token is a long-lived credential. The other server can only refuse it, and now has it.

    Usual causes: tokens are stored per MCP server, and that server changed its authorization
    server.

    Repair: In the client, store the issuer with each token, and send it only there.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "refresh_token": "made-up-refresh-1"}

        POST https://other.example.org/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        400 {"error": "invalid_grant"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "refresh_token": "made-up-refresh-1"}

        POST https://as.example.com/token grant_type=refresh_token&client_id=c1&refresh_token=made-up-refresh-1
        200 {"access_token": "made-up-token-2", "token_type": "Bearer"}
    """
    source = issued_in(so_far, refresh.get("refresh_token"))
    if source is None or refresh.exchange.actor != "client" or refresh.ok:
        return
    there, here = urls.origin(source.url), urls.origin(refresh.url)
    if there != here and not _one_server(so_far, source, refresh):
        yield Problem(
            message=f"the refresh token came from {there}; it is sent to {here}",
            at="request.url",
            expected=source.url,
            actual=refresh.url,
        )


def _one_server(so_far: Handshake, one: Stage, other: Stage) -> bool:
    """Both URLs stand as token endpoint in metadata of one issuer, one after the other."""
    found = [so_far.learned("token_endpoint", stage.url) for stage in (one, other)]
    places = [so_far.of(where.exchange)[0].url for where in found if where and so_far.of(where.exchange)]
    return len(places) == 2 and places[0] == places[1]
