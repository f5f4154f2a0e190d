"""What the server registered compared with what the client asked for."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Registration, scopes, text, texts
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule

_WITH_SECRET = ("client_secret_basic", "client_secret_post", "client_secret_jwt")
_METHOD = "token_endpoint_auth_method"


def _registered(stage: Registration) -> bool:
    return not stage.managing and bool(text(stage.issued.get("client_id")))


def _method(stage: Registration) -> str | None:
    """The method both sides will go by: the answer's, or the asked one where it names none."""
    return text(stage.issued.get(_METHOD)) or text(stage.requested.get(_METHOD))


@rule(
    "dcr-response-redirect-uris-missing",
    must("RFC 7591 §3.2.1", "https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.1"),
    who="authorization-server",
)
def redirect_uris_missing(stage: Registration, so_far: Handshake) -> Problems:
    """The client registration response has no `redirect_uris`.

    The server has to return all registered metadata, because it may have changed some of it. The
    TypeScript SDK, and with it most clients, demands `redirect_uris` in the answer and stops
    without it.

    Usual causes: the endpoint returns only id and secret.

    Repair: Return the whole registration, with `redirect_uris` as they were registered.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    asked = texts(stage.requested.get("redirect_uris"))
    if _registered(stage) and asked and not texts(stage.issued.get("redirect_uris")):
        yield Problem(
            message=f"`redirect_uris` is {'missing' if 'redirect_uris' not in stage.issued else 'no list of URLs'}; "
            f"the client asked for {asked[0]}",
            at="response.json.redirect_uris",
            expected=", ".join(asked),
            patch=Patch(
                merge={"redirect_uris": list(asked)}, assumes="the server registered the URIs it was asked for"
            ),
        )


@rule(
    "dcr-response-redirect-uris-changed",
    practice("RFC 7591 §3.2.1; OAuth 2.1 draft-13 §2.3.1", "https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.1"),
    who="authorization-server",
    severity="warning",
    stops_at=("authorization-request", "authorization-interaction", "authorization-response"),
)
def redirect_uris_changed(stage: Registration, so_far: Handshake) -> Problems:
    """The server registered other `redirect_uris` than the client requested.

    The client will use its own redirect URI. If the server registered another one, with a trailing
    slash or `127.0.0.1` instead of `localhost`, it refuses the client's later, at the authorization
    endpoint.

    Usual causes: URIs are normalized before they are stored, or a policy silently drops some of
    them.

    Repair: Register the URIs exactly as they were sent, or refuse the registration with
    `invalid_redirect_uri`.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb/"]}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    kept = texts(stage.issued.get("redirect_uris"))
    if not _registered(stage) or not kept:
        return
    for number, uri in enumerate(texts(stage.requested.get("redirect_uris"))):
        if not any(urls.redirect_matches(uri, other) for other in kept):
            yield Problem(
                message=f"the client asked for {uri}, and what is registered is {', '.join(kept[:4])}",
                at=f"response.json.redirect_uris[{min(number, len(kept) - 1)}]",
                expected=uri,
                actual=", ".join(kept[:4]),
            )


@rule(
    "dcr-response-secret-method-without-secret",
    practice("RFC 7591 §3.2.1 and §2", "https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.1"),
    who="authorization-server",
    severity="error",
    stops_at=("token-request",),
)
def secret_method_without_secret(stage: Registration, so_far: Handshake) -> Problems:
    """`token_endpoint_auth_method` needs a client secret, but no `client_secret` is issued.

    With `client_secret_basic` or `client_secret_post` the client has to send a secret to the token
    endpoint. It has none, so it either refuses the registration (the Python SDK does) or fails
    later with `invalid_client`.

    Usual causes: the server stores public clients and returns its default method with
    them.

    Repair: Return `"token_endpoint_auth_method": "none"` for public clients, or issue a
    secret.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"],
             "token_endpoint_auth_method": "client_secret_basic"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"], "token_endpoint_auth_method": "none"}
    """
    method = _method(stage)
    if _registered(stage) and method in _WITH_SECRET and not stage.issued.get("client_secret"):
        yield Problem(
            message=f"`{_METHOD}` is {method!r} and no `client_secret` comes with it; without one it has to be 'none'",
            at=f"response.json.{_METHOD}",
            expected="none, or a client_secret",
            actual=method,
            patch=Patch(merge={_METHOD: "none"}, assumes="the token endpoint lets this client in without a secret"),
        )


@rule(
    "dcr-response-auth-method-changed",
    practice("RFC 7591 §3.2.1", "https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.1"),
    who="authorization-server",
)
def auth_method_changed(stage: Registration, so_far: Handshake) -> Problems:
    """The server registered another `token_endpoint_auth_method` than the client requested.

    It may do so, and a careful client reads the response. A client that does not authenticates with
    the requested method and is refused at the token endpoint.

    Usual causes: the server supports one kind of client only.

    Repair: Register the method that was asked for where the server supports it.

    Bad:
        POST https://as.example.com/register
          {"redirect_uris": ["http://127.0.0.1:4711/cb"], "token_endpoint_auth_method": "client_secret_post"}
        201 {"client_id": "c1", "client_secret": "made-up", "client_secret_expires_at": 0,
             "token_endpoint_auth_method": "client_secret_basic"}

    Good:
        POST https://as.example.com/register
          {"redirect_uris": ["http://127.0.0.1:4711/cb"], "token_endpoint_auth_method": "none"}
        201 {"client_id": "c1", "token_endpoint_auth_method": "none"}
    """
    asked, granted = text(stage.requested.get(_METHOD)), text(stage.issued.get(_METHOD))
    if _registered(stage) and asked and granted and asked != granted:
        yield Problem(
            message=f"`{_METHOD}` is {granted!r}; the client asked for {asked!r}",
            at=f"response.json.{_METHOD}",
            expected=asked,
            actual=granted,
        )


@rule(
    "dcr-response-public-client-with-secret",
    practice("RFC 7591 §2 and §3.2.1", "https://www.rfc-editor.org/rfc/rfc7591.html#section-2"),
    who="authorization-server",
    severity="warning",
    stops_at=("token-request", "token-refresh"),
)
def public_client_with_secret(stage: Registration, so_far: Handshake) -> Problems:
    """A client with the authentication method `none` is issued a `client_secret`.

    With the method `none` a client sends no secret to the token endpoint. If the response contains
    one anyway, some clients send it and others do not, and the server accepts only one of these.

    Usual causes: every registration gets a secret, whatever the method; or the server requires the
    secret and returns the wrong `token_endpoint_auth_method`.

    Repair: Leave `client_secret` out for the method `none`; if the token endpoint demands
    the secret, return the method it expects.

    Bad:
        POST https://as.example.com/register
          {"redirect_uris": ["http://127.0.0.1:4711/cb"], "token_endpoint_auth_method": "none"}
        201 {"client_id": "c1", "client_secret": "made-up", "client_secret_expires_at": 0}

    Good:
        POST https://as.example.com/register
          {"redirect_uris": ["http://127.0.0.1:4711/cb"], "token_endpoint_auth_method": "none"}
        201 {"client_id": "c1", "token_endpoint_auth_method": "none"}
    """
    if _registered(stage) and _method(stage) == "none" and text(stage.issued.get("client_secret")):
        whose = "the answer says" if text(stage.issued.get(_METHOD)) else "the client asked for"
        yield Problem(
            message=f"{whose} the method 'none', and a `client_secret` is returned; a public client gets none",
            at="response.json.client_secret",
            expected="no client_secret",
            patch=Patch(
                merge={"client_secret": None, "client_secret_expires_at": None, _METHOD: "none"},
                assumes="the token endpoint lets this client in without the secret",
            ),
        )


@rule(
    "dcr-response-grants-dropped",
    practice("RFC 7591 §3.2.1 and §2.1", "https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.1"),
    who="authorization-server",
    severity="warning",
    stops_at=("authorization-request", "authorization-interaction", "authorization-response", "token-request"),
)
def grants_dropped(stage: Registration, so_far: Handshake) -> Problems:
    """The server registered fewer `grant_types` or `response_types` than the client requested.

    The server may register fewer grant types than requested. But a client that is registered
    without `authorization_code` continues anyway, and gets `unauthorized_client` at the
    authorization or token endpoint.

    Usual causes: dynamic clients are limited to the grant types of another kind of client.

    Repair: Register the requested grant types, or refuse with `invalid_client_metadata`.

    Bad:
        POST https://as.example.com/register
          {"redirect_uris": ["http://127.0.0.1:4711/cb"], "grant_types": ["authorization_code"]}
        201 {"client_id": "c1", "grant_types": ["client_credentials"]}

    Good:
        POST https://as.example.com/register
          {"redirect_uris": ["http://127.0.0.1:4711/cb"], "grant_types": ["authorization_code"]}
        201 {"client_id": "c1", "grant_types": ["authorization_code"]}
    """
    if not _registered(stage):
        return
    for member, needed in (("grant_types", "authorization_code"), ("response_types", "code")):
        kept = stage.issued.get(member)
        asked = texts(stage.requested.get(member, [needed]))
        if not isinstance(kept, list):
            continue
        gone = [value for value in asked if value not in kept and value in (needed, "refresh_token")]
        if gone:
            yield Problem(
                message=f"`{member}` is {', '.join(texts(kept)) or 'empty'}; the client asked for {', '.join(gone)} too",
                at=f"response.json.{member}",
                expected=", ".join(asked),
                actual=", ".join(texts(kept)),
                severity="warning" if needed in gone else "note",
            )


@rule(
    "dcr-response-scope-reduced",
    practice("RFC 7591 §3.2.1", "https://www.rfc-editor.org/rfc/rfc7591.html#section-3.2.1"),
    who="authorization-server",
)
def scope_reduced(stage: Registration, so_far: Handshake) -> Problems:
    """The client is registered for fewer scopes than it requested, or than the challenge names.

    Many servers let a client request only scopes it is registered with. A missing one leads to
    `invalid_scope` at the authorization endpoint, although the MCP server requires it.

    Usual causes: dynamic clients get a default set of scopes without the MCP server's.

    Repair: Allow the MCP server's scopes for dynamic clients, or add them to the default
    set.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"], "scope": "read write"}
        201 {"client_id": "c1", "scope": "read"}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"], "scope": "read write"}
        201 {"client_id": "c1", "scope": "read write"}
    """
    kept = stage.issued.get("scope")
    if not _registered(stage) or text(kept) is None:
        return
    wanted = scopes(stage.requested.get("scope"))
    challenged = scopes(so_far.challenge.scope) if so_far.challenge else ()
    gone = [scope for scope in dict.fromkeys((*wanted, *challenged)) if scope not in scopes(kept)]
    if gone:
        whom = "the client asked for" if set(gone) & set(wanted) else "the MCP server's challenge asks for"
        yield Problem(
            message=f"`scope` is {kept!r}; {whom} {' '.join(gone)} too",
            at="response.json.scope",
            expected=" ".join(dict.fromkeys((*wanted, *challenged))),
            actual=str(kept),
            patch=Patch(
                merge={"scope": " ".join(dict.fromkeys((*scopes(kept), *gone)))},
                assumes="the server grants these scopes although it did not register them",
            ),
        )
