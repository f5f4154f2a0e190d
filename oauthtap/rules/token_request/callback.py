"""Codes that the client should never have redeemed: the callback did not check out."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import AuthorizationRequest, ServerMetadata, TokenRequest
from oauthtap.handshake.state import Handshake
from oauthtap.handshake.token_request import authorization_response_for, by_client
from oauthtap.model.requirements import must, should
from oauthtap.rules import rule


@rule(
    "client-ignored-iss-mismatch",
    must(
        "MCP 2026-07-28 'Authorization Response Validation'; RFC 9207 §2.4",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#authorization-response-validation",
    ),
    who="client",
    since="2026-07-28",
    stops_only_at=(),
)
def ignored_iss(token: TokenRequest, so_far: Handshake) -> Problems:
    """The client redeems the code, although `iss` of the callback is missing or wrong.

    `iss` in the callback says which authorization server it comes from. A client that does not
    check it can be made to send the code of one server to another (mix-up attack).

    Usual causes: a client older than the 2026-07-28 revision.

    Repair: Compare `iss` with the `issuer` of the metadata before the code is used, and reject the
    response when they differ.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize",
             "token_endpoint": "https://as.example.com/token"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http://127.0.0.1:7777/cb
        302
        Location: http://127.0.0.1:7777/cb?code=made-up-code-1&state=s1&iss=https://other.example.com
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize",
             "token_endpoint": "https://as.example.com/token"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http://127.0.0.1:7777/cb
        302
        Location: http://127.0.0.1:7777/cb?code=made-up-code-1&state=s1&iss=https://as.example.com
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    answer = authorization_response_for(token, so_far) if by_client(token) else None
    metadata = _metadata_behind(answer.requested, so_far) if answer and answer.requested else None
    if answer is None or metadata is None or metadata.issuer is None:
        return
    iss, promised = answer.get("iss"), metadata.document.get("authorization_response_iss_parameter_supported") is True
    if iss != metadata.issuer and (iss is not None or promised):
        yield Problem(
            message=f"the callback of exchange {answer.exchange.id} said `iss` {iss or 'nowhere'}, the metadata says "
            f"{metadata.issuer}; the code was redeemed anyway",
            at="request.form.code",
            expected=metadata.issuer,
            actual=iss or "absent",
        )


@rule(
    "client-ignored-state-mismatch",
    should(
        "MCP 2026-07-28 Authorization Security Considerations 'Open Redirection'",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/security-considerations#open-redirection",
    ),
    who="client",
    severity="error",
    stops_only_at=(),
)
def ignored_state(token: TokenRequest, so_far: Handshake) -> Problems:
    """The client redeems the code, although `state` of the callback is not the one it sent.

    By `state` a client recognizes the response to its own request. Without that check, an attacker
    can inject a code, and the user is signed in to the attacker's account.

    Usual causes: `state` is sent but never compared.

    Repair: Compare `state` with the one that was sent, and reject the response when it differs.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http://127.0.0.1:7777/cb
        302
        Location: http://127.0.0.1:7777/cb?code=made-up-code-1&state=s2
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http://127.0.0.1:7777/cb
        302
        Location: http://127.0.0.1:7777/cb?code=made-up-code-1&state=s1
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    answer = authorization_response_for(token, so_far) if by_client(token) else None
    sent = [request.get("state") for request in so_far.all(AuthorizationRequest)]
    if answer is None or not sent or None in sent or answer.requested is None:
        return
    same_place = answer.target.partition("?")[0] == (answer.requested.redirect_uri or "").partition("?")[0]
    if same_place and answer.get("state") not in sent:
        yield Problem(
            message=f"the callback of exchange {answer.exchange.id} had `state` {answer.get('state')}, sent was "
            f"{sent[-1]}; the code was redeemed anyway",
            at="request.form.code",
            expected=sent[-1],
            actual=answer.get("state") or "absent",
        )


def _metadata_behind(asked: AuthorizationRequest, so_far: Handshake) -> ServerMetadata | None:
    learned = so_far.learned("authorization_endpoint", asked.url)
    documents = so_far.of(learned.exchange) if learned else ()
    return next((d for d in documents if isinstance(d, ServerMetadata)), None)
