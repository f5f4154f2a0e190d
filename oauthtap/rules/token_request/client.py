"""Who the client says it is at the token endpoint, and by which method it proves that."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import TokenEndpoint, TokenRefresh, TokenRequest, text
from oauthtap.handshake.state import Handshake
from oauthtap.handshake.token_request import (
    BASIC,
    JWT,
    NONE,
    ClientAuthentication,
    authorization_request_for,
    by_client,
    credentials,
    metadata_of,
    registered,
)
from oauthtap.model.exchange import first_value
from oauthtap.model.requirements import must, practice
from oauthtap.redaction.alias_format import parse_alias
from oauthtap.rules import rule

_EXCHANGE = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.3"
_JWTS = {JWT, "client_secret_jwt"}
_BARE = {NONE, "tls_client_auth", "self_signed_tls_client_auth"}
_ABOUT_CLIENT = re.compile(r"client|credential|authenticat", re.I)
_ABOUT_ELSE = re.compile(r"code|grant|verifier|redirect|scope|target|resource|dpop|server|unavailable|pending", re.I)
_MISSING = re.compile(r"(client.?id|client.?secret|credential)\w*\W.{0,30}(missing|required|not (found|provided|sent))|"
                      r"(missing|no|require\w*)\W.{0,20}(client.?id|client.?secret|credential|authenticat)", re.I)  # fmt: skip
_UNKNOWN = re.compile(r"unknown|not found|not registered|does not exist|no such|expired|revoked|deleted", re.I)


@rule("token-client-id-missing", must("OAuth 2.1 draft-13 §4.1.3", _EXCHANGE), who="client")
def id_missing(token: TokenRequest, so_far: Handshake) -> Problems:
    """The token request has no `client_id` and no client authentication.

    A public client is identified only by its `client_id`. Without it the server cannot tell which
    client sends the code, and answers `invalid_client`.

    Usual causes: the client lost its registration between two runs; it relies on an
    Authorization header that it does not send.

    Repair: Send `client_id` in the form, or authenticate with the method you registered.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1
        401 {"error": "invalid_client"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    if not by_client(token) or not token.get("code") or token.authorization or token.get("client_id"):
        return
    if not token.get("client_assertion") and first_value(token.request.query, "client_id") is None:
        yield Problem(
            message="the token request has no `client_id` and no client authentication; it needs one of them",
            at="request.form.client_id",
            expected="the client_id of the authorization request",
            actual="absent",
        )


@rule("token-client-id-mismatch", must("OAuth 2.1 draft-13 §4.1.3", _EXCHANGE), who="client")
def id_mismatch(token: TokenRequest, so_far: Handshake) -> Problems:
    """The client redeems the code with another `client_id` than it was issued for.

    Codes are bound to the client that requested them. Under another id the server refuses the code,
    with `invalid_grant` or `invalid_client`. Usual causes: the client registered again between
    authorization and token request; the id in the header and the id in the form come from different
    stores.

    Repair: Store the client id with the state, and redeem the code with that id.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c2
        400 {"error": "invalid_grant"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1
        200 text/html <p>Sign in</p>
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    asked = authorization_request_for(token, so_far) if by_client(token) else None
    wanted = asked.get("client_id") if asked else None
    if asked is None or wanted is None:
        return
    own = credentials(token)
    known = {wanted, None}
    for place, sent in (
        ("request.form.client_id", token.get("client_id")),
        ("request.header.authorization", own.raw_id),
    ):
        cut = own.raw_id == sent and wanted.startswith(f"{sent}:")  # Basic ends a user at its first colon
        if sent not in known and not (own.raw_id == sent and own.client_id in known) and not cut:
            yield Problem(
                message=f"the code belongs to client {wanted} (exchange {asked.exchange.id}); it is redeemed as {sent}",
                at=place,
                expected=wanted,
                actual=sent,
            )


@rule(
    "token-multiple-auth-methods",
    must(
        "OAuth 2.1 draft-13 §2.4; RFC 6749 §2.3",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-2.4",
    ),
    who="client",
)
def several_methods(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """The token request uses more than one client authentication method.

    With two methods, a server would have to decide which one counts, so most refuse with
    `invalid_request`.

    Usual causes: the HTTP library adds Basic credentials, and the form has `client_secret` too.

    Repair: Keep the method that was registered and drop the other.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&client_secret=made-up-secret-1
        Authorization: Basic YzE6bWFkZS11cC1zZWNyZXQtMQ==
        400 {"error": "invalid_request"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        Authorization: Basic YzE6bWFkZS11cC1zZWNyZXQtMQ==
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    methods = credentials(token).methods
    if by_client(token) and len(methods) > 1:
        yield Problem(
            message=f"the client authenticates with {' and '.join(methods)} at once; one method is allowed",
            at="request.header.authorization" if BASIC in methods else "request.form.client_secret",
            expected="one method",
            actual=", ".join(methods),
        )


@rule(
    "token-auth-method-mismatch",
    practice("RFC 7591 §2; OAuth 2.1 draft-13 §2.4", "https://www.rfc-editor.org/rfc/rfc7591.html#section-2"),
    who="client",
    severity="error",
)
def method_mismatch(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """The client does not use its registered `token_endpoint_auth_method`.

    The registration fixes how the client authenticates; when it names no method but has a secret,
    that means HTTP Basic. Another method is refused with `invalid_client`, after a successful
    login. Usual causes: the client reads the server's metadata instead of its registration; a
    registration response without the method.

    Repair: Use the `token_endpoint_auth_method` of the registration response.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:7777/cb"]}
        201 {"client_id": "c1", "client_secret": "made-up-secret-1", "token_endpoint_auth_method": "client_secret_post"}
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1&client_id=c1
        Authorization: Basic YzE6bWFkZS11cC1zZWNyZXQtMQ==
        401 {"error": "invalid_client"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:7777/cb"]}
        201 {"client_id": "c1", "client_secret": "made-up-secret-1", "token_endpoint_auth_method": "client_secret_basic"}
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1
        Authorization: Basic YzE6bWFkZS11cC1zZWNyZXQtMQ==
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    own = credentials(token)
    if not by_client(token) or not isinstance(token, TokenRequest | TokenRefresh) or len(own.methods) > 1:
        return
    wanted, why = _wanted(token, own, so_far)
    if not wanted or _does(own.methods[0], wanted):
        return
    refused = _refuses_the_client(token)
    if not refused and "metadata" in why:
        return  # lists are often incomplete, and this server did not mind
    lacks = own.methods[0] == "none" and so_far.registration is None
    needs = (
        "; it has no client secret: the client id was registered beforehand, so give the client its secret"
        if lacks
        else ""
    )
    yield Problem(
        message=f"the client authenticates with {own.methods[0]}; {why} {' or '.join(wanted)}{needs}",
        at="request.header.authorization" if own.methods[0] == BASIC else "request.form.client_id",
        expected=" or ".join(wanted),
        actual=own.methods[0],
        severity=None if refused else "note",
    )


@rule(
    "token-advertised-auth-method-refused",
    must("RFC 6749 §2.3.1; RFC 8414 §2", "https://datatracker.ietf.org/doc/html/rfc6749#section-2.3.1"),
    who="authorization-server",
)
def advertised_refused(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """The token endpoint refuses a client authentication method that the metadata advertises.

    The client follows metadata and registration, but the server answers that its credentials are
    missing. The endpoint reads them in one way only. Usual causes: code that reads `client_id` and
    `client_secret` from the form, with a framework that advertises HTTP Basic.

    Repair: Read the credentials from the `Authorization` header as well, or remove the method from
    `token_endpoint_auth_methods_supported`.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token",
             "token_endpoint_auth_methods_supported": ["client_secret_basic"]}
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1
        Authorization: Basic YzE6bWFkZS11cC1zZWNyZXQtMQ==
        401 {"error": "invalid_client", "error_description": "Missing client_id"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token",
             "token_endpoint_auth_methods_supported": ["client_secret_basic"]}
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1
        Authorization: Basic YzE6bWFkZS11cC1zZWNyZXQtMQ==
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    own, metadata = credentials(token), metadata_of(token, so_far)
    methods = metadata.list("token_endpoint_auth_methods_supported") if metadata else ()
    if not by_client(token) or own.methods[0] not in methods or len(own.methods) > 1 or token.ok:
        return
    confirmed = registered(own.client_id, so_far)
    agreed = text(confirmed.issued.get("token_endpoint_auth_method")) if confirmed else None
    said = _words(token)
    says_missing = bool(_MISSING.search(said)) and own.client_id is not None
    refused = agreed == own.methods[0] and token.oauth_error == "invalid_client" and not _UNKNOWN.search(said)
    if (confirmed is None or agreed in (None, own.methods[0])) and (says_missing or refused):
        yield Problem(
            message=f"{own.methods[0]} is advertised and used, and refused with “{said[:120]}”",
            at="response.json.error",
            expected=f"{own.methods[0]} accepted, as advertised",
            actual=token.oauth_error,
        )


@rule(
    "token-basic-not-form-encoded",
    must("RFC 6749 §2.3.1; OAuth 2.1 draft-13 §2.4.1", "https://www.rfc-editor.org/rfc/rfc6749.html#section-2.3.1"),
    who="client",
    severity="warning",
)
def basic_encoding(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """The client authentication (Basic) has characters that need form-encoding.

    In OAuth the client id and secret are form-encoded before they go into HTTP Basic. Many clients
    and servers skip that. It makes no difference for letters and digits; with `/`, `+`, `:` or `%`
    the two sides see different secrets, and a correct one fails.

    Usual causes: generated secrets with special characters; a URL as client id.

    Repair: Encode the client id and secret, or use `client_secret_post`, or issue secrets of
    letters and digits.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1
        Authorization: Basic YXBwLzE6bWFkZSt1cC9zZWNyZXQtMQ==
        401 {"error": "invalid_client"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1
        Authorization: Basic YXBwJTJGMTptYWRlJTJCdXAlMkZzZWNyZXQtMQ==
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    facts = parse_alias(token.authorization[1]) if token.authorization else {}
    if not by_client(token) or (token.authorization and token.authorization[0].lower() != "basic"):
        return
    encoded = facts.get("encoded")
    if encoded == "no" or (encoded == "yes" and not token.ok and token.oauth_error == "invalid_client"):
        sent = "with special characters, not form-encoded" if encoded == "no" else "form-encoded, and refused"
        yield Problem(
            message=f"the Basic credentials are sent {sent}; both sides have to form-encode them",
            at="request.header.authorization",
            expected="form-encoded and decoded on the other side",
            actual=sent,
            responsible=None if encoded == "no" else "authorization-server",
        )


@rule(
    "token-empty-client-secret",
    practice(
        "OAuth 2.1 draft-13 §3.2 (valueless parameters count as absent)",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-3.2",
    ),
    who="client",
    severity="warning",
)
def empty_secret(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """A public client sends an empty `client_secret`.

    Some servers treat an empty secret as a wrong one: they see a failed authentication instead of a
    public client. Usual causes: an empty settings field that is sent anyway.

    Repair: Leave `client_secret` out, and send `client_id` in the form, not as Basic.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&client_secret=
        401 {"error": "invalid_client"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    if not by_client(token):
        return
    basic = token.authorization is not None and parse_alias(token.authorization[1]).get("secret") == "empty"
    if basic or token.get("client_secret") == "":
        yield Problem(
            message="the client secret is sent and empty; a client without a secret leaves it out",
            at="request.header.authorization" if basic else "request.form.client_secret",
            expected="absent",
            actual="empty",
        )


@rule(
    "token-invalid-client-no-challenge",
    must(
        "OAuth 2.1 draft-13 §3.2.4; RFC 6749 §5.2",
        "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-3.2.4",
    ),
    who="authorization-server",
    severity="note",
)
def no_challenge(token: TokenEndpoint, so_far: Handshake) -> Problems:
    """`invalid_client` for Basic credentials is not answered with 401 and `WWW-Authenticate`.

    A client that used the `Authorization` header has to get a 401 with a challenge. It rarely
    matters: nearly all clients read `error` in the body. Usual causes: one error handler for all
    refusals.

    Repair: Answer `invalid_client` with 401 and `WWW-Authenticate: Basic` when the client used Basic.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1
        Authorization: Basic YzE6bWFkZS11cC1zZWNyZXQtMQ==
        400 {"error": "invalid_client"}

    Good:
        POST https://as.example.com/token grant_type=authorization_code&code=made-up-code-1
        Authorization: Basic YzE6bWFkZS11cC1zZWNyZXQtMQ==
        401 {"error": "invalid_client"}
        WWW-Authenticate: Basic realm="token"
    """
    if token.authorization is None or token.authorization[0].lower() != "basic" or token.ok:
        return
    challenged = bool(token.response.header_lines("www-authenticate"))
    if token.oauth_error == "invalid_client" and not (token.status == 401 and challenged):
        yield Problem(
            message=f"`invalid_client` is answered with {token.status} and "
            f"{'a' if challenged else 'no'} WWW-Authenticate; it has to be 401 with one",
            at="response.header.www-authenticate" if token.status == 401 else "response.status",
            expected="401 with WWW-Authenticate: Basic",
            actual=str(token.status),
            patch=Patch(status=401, headers={"WWW-Authenticate": 'Basic realm="token"'}),
        )


def _wanted(token: TokenEndpoint, own: ClientAuthentication, so_far: Handshake) -> tuple[tuple[str, ...], str]:
    """The methods the client may use, and where that is written."""
    if registration := registered(own.client_id, so_far):
        named = text(registration.issued.get("token_endpoint_auth_method"))
        if named == NONE and text(registration.issued.get("client_secret")):
            return (), ""  # the registration contradicts itself: dcr-response-public-client-with-secret
        if named:
            return (named,), f"its registration (exchange {registration.exchange.id}) says"
        if text(registration.issued.get("client_secret")):
            return (BASIC,), f"its registration (exchange {registration.exchange.id}) names none, which means"
        return (), ""
    metadata = metadata_of(token, so_far)
    listed = metadata.list("token_endpoint_auth_methods_supported") if metadata else ()
    return listed, "the metadata lists"


def _does(used: str, wanted: tuple[str, ...]) -> bool:
    return bool(({used} | (_JWTS if used == JWT else set()) | (_BARE if used == NONE else set())) & set(wanted))


def _words(token: TokenEndpoint) -> str:
    """What the error answer says, code and description."""
    members = (token.answer_object.get(name) for name in ("error", "error_description", "message"))
    return " ".join(word for word in members if isinstance(word, str)) or token.answer_text[:200]


def _refuses_the_client(token: TokenEndpoint) -> bool:
    """An error answer that is, or may well be, about the client and its proof."""
    error = token.oauth_error
    if token.ok and not error:
        return False
    if error == "invalid_client" or (error is None and token.status == 401):
        return True
    if error is None or _ABOUT_ELSE.search(error) or (token.status or 0) >= 500:
        return False
    said = _words(token).removeprefix(error)
    return token.status == 401 or error not in ("invalid_request",) or bool(_ABOUT_CLIENT.search(said))
