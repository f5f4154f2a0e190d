"""How the client carries its token: on every request, in the header, once, and only to this server."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    AuthorizationResponse,
    Challenge,
    Discover,
    Initialize,
    Mcp,
    Registration,
    Stage,
    TokenEndpoint,
    TokenMaintenance,
    TokenRejected,
    text,
)
from oauthtap.handshake.state import Handshake
from oauthtap.handshake.token_request import by_client, metadata_of
from oauthtap.model import urls
from oauthtap.model.exchange import first_value
from oauthtap.model.requirements import must
from oauthtap.rules import rule

_TOKENS = "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#token-requirements"
_HANDLING = "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#token-handling"
_FRESH = 300.0
"""Seconds after a sign-in in which an MCP request without a token is no new beginning."""


@rule(
    "bearer-missing-after-login",
    must("MCP 2026-07-28 'Token Requirements'; OAuth 2.1 draft-13 §5.1.1", _TOKENS),
    who="client",
    symptom=True,
    stops_at=("mcp-challenge",),
)
def missing_after_login(mcp: Mcp, so_far: Handshake) -> Problems:
    """The client has a new access token, but calls the MCP server without `Authorization`.

    Every request has to carry the token, also within one session. Without it the server answers 401
    again, and the user sees a sign-in loop.

    Usual causes: the token is stored under another URL than it is looked up by; only POST carries
    it, and GET or DELETE do not; the client rejected the token response.

    Repair: Send `Authorization: Bearer …` on every request to the MCP URL, whatever its method.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401

    Good:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token-1
        401
    """
    token = so_far.token
    if not by_client(mcp) or mcp.request.method == "OPTIONS" or _carried(mcp) or _only_looks(mcp):
        return
    if token is None:
        if taken := _taken_in_session(mcp, so_far):
            yield Problem(
                message=f"this {mcp.request.method} has no Authorization header; exchange {taken.exchange.id}, of the "
                f"same session, had one and was answered {taken.status}",
                at="request.header.authorization",
                expected=f"Bearer, with the token of exchange {taken.exchange.id}",
                actual="absent",
            )
        return
    issued = token.access_token
    began, given = mcp.exchange.started_at, token.exchange.ended
    if not issued or began is None or given is None or not given <= began <= given + _FRESH:
        return
    if token.exchange.actor != "client" or not (_never_used(issued, so_far) or _same_session(mcp, issued, so_far)):
        return
    yield Problem(
        message=f"exchange {token.exchange.id} gave a token {began - given:.0f} seconds ago; this {mcp.request.method} "
        "has no Authorization header",
        at="request.header.authorization",
        expected="Bearer, with the token just issued",
        actual="absent",
    )


@rule("bearer-in-query", must("MCP 2026-07-28 'Token Requirements'; OAuth 2.1 draft-13 §5.1", _TOKENS), who="client")
def in_query(mcp: Mcp, so_far: Handshake) -> Problems:
    """The client sends its access token in the URL query.

    URLs are kept in logs and histories, and with them the token. MCP forbids it, and servers that
    follow the specification ignore it.

    Usual causes: a token pasted into the configured URL.

    Repair: Send the token in the `Authorization` header and remove it from the URL.

    Bad:
        POST https://mcp.example.com/mcp?access_token=made-up-token-1 {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        401

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token-1
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    if mcp.exchange.actor != "client":
        return
    for name, value in mcp.request.query:
        if value and (name == "access_token" or value in so_far.issued):
            yield Problem(
                message=f"an access token is in the URL as `{name}`; it belongs in the Authorization header",
                at=f"request.query.{name}",
                expected="in the Authorization header",
                actual="in the URL",
            )


@rule(
    "bearer-in-body",
    must("MCP 2026-07-28 'Token Requirements'; RFC 6750 §2.2", _TOKENS),
    who="client",
    severity="warning",
)
def in_body(mcp: Mcp, so_far: Handshake) -> Problems:
    """The client sends its access token to the MCP server as a form field.

    MCP requests are JSON, and the token travels in a header. A server that gets a form finds
    neither a message nor a token.

    Usual causes: code copied from an older API.

    Repair: Send the token in the Authorization header, and JSON-RPC in the body.

    Bad:
        POST https://mcp.example.com/mcp access_token=made-up-token-1
        401

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token-1
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    if mcp.exchange.actor == "client" and _in_form(mcp):
        yield Problem(
            message="the access token is a form field; it belongs in the Authorization header",
            at="request.form.access_token",
            expected="in the Authorization header",
            actual="in the body",
        )


@rule(
    "bearer-multiple-methods",
    must("RFC 6750 §2; OAuth 2.1 draft-13 §5.1", "https://www.rfc-editor.org/rfc/rfc6750.html#section-2"),
    who="client",
    severity="warning",
)
def several_ways(mcp: Mcp, so_far: Handshake) -> Problems:
    """The client sends an access token in the `Authorization` header and in the URL or the body.

    A server has to answer `invalid_request` to two tokens, and strict ones do.

    Usual causes: a token left over in the configured URL after sign-in was added.

    Repair: Keep the header, and remove the token from URL and body.

    Bad:
        POST https://mcp.example.com/mcp?access_token=made-up-token-1 {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token-1
        400

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token-1
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    in_url = bool(first_value(mcp.request.query, "access_token"))
    if mcp.exchange.actor == "client" and mcp.bearer is not None and (in_url or _in_form(mcp)):
        yield Problem(
            message=f"a token is sent in the header and in the {'URL' if in_url else 'body'} too; one way is allowed",
            at="request.query.access_token" if in_url else "request.form.access_token",
            expected="the header alone",
            actual="header and URL" if in_url else "header and body",
        )


@rule(
    "bearer-not-an-access-token",
    must("MCP 2026-07-28 'Token Handling'; OAuth 2.1 draft-13 §5.1", _HANDLING),
    who="client",
    stops_at=("mcp-token-rejected",),
)
def not_an_access_token(mcp: Mcp, so_far: Handshake) -> Problems:
    """The Bearer token is not the access token that was issued for this server.

    ID tokens are for the client, refresh tokens for the authorization server, and a token of
    another authorization server is not valid here. The MCP server has to refuse them all.

    Usual causes: the wrong member of the token response is used; a token store that mixes up two
    servers.

    Repair: Send the `access_token` that was issued for this MCP URL.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "id_token": "made-up-id-token-1"}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-id-token-1
        401

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "id_token": "made-up-id-token-1"}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token-1
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    sent = mcp.bearer
    if not sent or mcp.exchange.actor != "client":
        return
    kind = _what_it_is(sent, so_far)
    if kind:
        yield Problem(
            message=f"the token sent is {kind}; it has to be the access token issued for this server",
            at="request.header.authorization",
            expected="the access token",
            actual=kind,
        )


@rule(
    "bearer-sent-to-other-origin",
    must("MCP 2026-07-28 'Token Handling'; OAuth 2.1 draft-13 §7.1.3.1", _HANDLING),
    who="client",
    stops_only_at=(),
)
def sent_elsewhere(stage: Stage, so_far: Handshake) -> Problems:
    """The client sends its access token to another origin.

    A Bearer token works for anyone who has it. A redirect or a URL in a response is enough to leak
    this client's token.

    Usual causes: the HTTP library keeps headers across redirects; one set of headers for
    all requests of the client.

    Repair: Attach the token only to requests to the MCP server's origin.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
        GET https://elsewhere.example.org/.well-known/oauth-authorization-server
        Authorization: Bearer made-up-token-1
        404

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token-1
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    token, here = stage.bearer, urls.origin(stage.url)
    if not token or token not in so_far.issued or stage.exchange.actor != "client":
        return
    if isinstance(stage, TokenMaintenance | TokenEndpoint) or not so_far.mcp_urls:
        return
    issued = next((s for s in so_far.of(so_far.issued[token]) if isinstance(s, TokenEndpoint)), None)
    meant = [url for url in (issued.get("resource"), so_far.resource) if url] if issued else []
    allowed = {urls.origin(url) for url in (*so_far.mcp_urls, *meant)}
    named = any(so_far.learned(member, stage.url) for member in ("userinfo_endpoint", "introspection_endpoint"))
    if issued and here not in allowed and not named:
        yield Problem(
            message=f"the token of exchange {issued.exchange.id} is sent to {here}; it is for {sorted(allowed)[0]}",
            at="request.header.authorization",
            expected="no token for this origin",
            actual="a Bearer token",
        )


def _carried(mcp: Mcp) -> bool:
    """The request has credentials of whatever kind, wherever."""
    return mcp.authorization is not None or first_value(mcp.request.query, "access_token") is not None or _in_form(mcp)


def _in_form(mcp: Mcp) -> bool:
    return mcp.request.body is not None and bool(first_value(mcp.form, "access_token"))


def _only_looks(mcp: Mcp) -> bool:
    """A GET that asks for no stream: a client looks whether there is a 401 (Codex, each time it starts)."""
    accept = mcp.request.header("accept")
    return mcp.request.method == "GET" and accept is not None and "text/event-stream" not in accept


def _never_used(token: str, so_far: Handshake) -> bool:
    return not any(stage.bearer == token for stage in so_far.all(Mcp)[-200:])


def _same_session(mcp: Mcp, token: str, so_far: Handshake) -> bool:
    """An earlier request of the same MCP session did carry the token."""
    session = mcp.request.header("mcp-session-id")
    if session is None or isinstance(mcp, Initialize | Discover):
        return False
    earlier = (s for s in so_far.all(Mcp)[-200:] if s.bearer == token)
    return any(session == s.request.header("mcp-session-id") for s in earlier)


def _taken_in_session(mcp: Mcp, so_far: Handshake) -> Mcp | None:
    """The last request of the same MCP session that carried a token and was answered, where this one is refused."""
    session = mcp.request.header("mcp-session-id")
    if session is None or mcp.status != 401:
        return None
    earlier = [s for s in so_far.all(Mcp)[-200:] if s.bearer is not None]
    taken = [s for s in earlier if s.ok and _session_of(s) == session]
    return taken[-1] if taken and earlier[-1].ok else None


def _session_of(mcp: Mcp) -> str | None:
    """The MCP session of a request, or the one that its answer began."""
    response = mcp.exchange.response
    return mcp.request.header("mcp-session-id") or (response.header("mcp-session-id") if response else None)


def _what_it_is(sent: str, so_far: Handshake) -> str | None:
    """The name of a known value that is no access token for this server; None for all others."""
    if any(token.ok and token.access_token == sent for token in reversed(so_far.all(TokenEndpoint))):
        return _of_another_server(sent, so_far)
    answers = [token for token in so_far.all(TokenEndpoint) if token.ok]
    for member, name in (("id_token", "the ID token"), ("refresh_token", "the refresh token")):
        if any(text(token.issued.get(member)) == sent for token in answers):
            return name
    return "the authorization code" if any(a.code == sent for a in so_far.all(AuthorizationResponse)) else None


def _of_another_server(sent: str, so_far: Handshake) -> str | None:
    issued = next((s for s in so_far.of(so_far.issued.get(sent, 0)) if isinstance(s, TokenEndpoint)), None)
    metadata = metadata_of(issued, so_far) if issued else None
    entries = so_far.prm.authorization_servers if so_far.prm else ()
    if metadata is None or not entries or metadata.issuer is None:
        return None
    named = {urls.origin(value) for value in (metadata.issuer, metadata.expected_issuer, metadata.url) if value}
    return None if named & {urls.origin(entry) for entry in entries} else f"a token of {metadata.issuer:.120}"


@rule(
    "token-discarded",
    must("MCP 2026-07-28 'Token Requirements'; OAuth 2.1 draft-13 §5.1.1", _TOKENS),
    who="client",
    severity="warning",
    stops_at=("mcp-challenge", "client-registration", "authorization-request", "authorization-interaction"),
)
def discarded(handshake: Handshake) -> Problems:
    """The client does not use an access token that is still valid.

    The user has to sign in again at every start, although the server would have accepted the token.

    Usual causes: the token is not stored across restarts; it is stored under a key that changes
    (port, URL with a query); the client sends a request without a token first and treats the 401 as
    an expiry.

    Repair: In the client, store the token with the MCP URL and send it until it expires or is refused.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "expires_in": 86400}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token-1
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer
        POST https://mcp.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        201 {"client_id": "c2"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "expires_in": 86400}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Authorization: Bearer made-up-token-1
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}
        Authorization: Bearer made-up-token-1
        200 {"jsonrpc": "2.0", "id": 2, "result": {"tools": []}}
    """
    token = handshake.token
    worked = [mcp for mcp in handshake.all(Mcp) if mcp.bearer is not None and mcp.ok and by_client(mcp)]
    if token is None or not worked or worked[-1].bearer != token.access_token:
        return
    anew = next((c for c in handshake.all(Challenge) if c.exchange.id > worked[-1].exchange.id and by_client(c)), None)
    if anew is None or any(mcp.exchange.id > worked[-1].exchange.id for mcp in handshake.all(TokenRejected)):
        return
    again = next(
        (
            one
            for kind in (Registration, AuthorizationRequest)
            for one in handshake.all(kind)
            if one.exchange.id > anew.exchange.id and one.exchange.actor in ("client", "browser")
        ),
        None,
    )
    bare = [c for c in handshake.all(Challenge) if c.exchange.id >= anew.exchange.id and by_client(c)]
    again = again or (bare[-1] if len(bare) > 1 else None)
    given, lasts = token.exchange.ended, token.issued.get("expires_in")
    if again is None or not isinstance(lasts, int | float) or isinstance(lasts, bool):
        return
    since = (
        (anew.exchange.started_at or 0.0) - given if given is not None and anew.exchange.started_at is not None else 0.0
    )
    if since >= lasts:
        return
    yield Problem(
        message=f"from exchange {anew.exchange.id} on the client sends no token, although that of exchange "
        f"{token.exchange.id} is still valid (it worked in exchange {worked[-1].exchange.id}, was never refused, and is good for {lasts:.0f} s)",
        at="request.header.authorization",
        expected="Bearer, with the token that worked",
        actual="absent",
        exchange=again.exchange.id,
    )
