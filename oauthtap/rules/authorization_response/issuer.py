"""The `iss` parameter of the redirect: which authorization server it says it comes from."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems, Severity
from oauthtap.handshake.stages import AuthorizationResponse, ServerMetadata
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, should
from oauthtap.rules import rule

_FLAG = "authorization_response_iss_parameter_supported"


def _metadata(stage: AuthorizationResponse, so_far: Handshake) -> ServerMetadata | None:
    """The document that sent the browser to this authorization endpoint; None when that is not sure."""
    asked = stage.requested.redirect_uri if stage.requested else None
    if stage.requested is None or not asked:
        return None
    if not urls.redirect_matches(urls.without_query(stage.target), urls.without_query(asked)):
        return None
    if any(earlier.params == stage.params for earlier in so_far.all(AuthorizationResponse)):
        return None  # the redirect was judged before its callback came
    where = so_far.learned("authorization_endpoint", stage.requested.url)
    stages = so_far.of(where.exchange) if where else ()
    return next((document for document in stages if isinstance(document, ServerMetadata)), None)


def _weight(so_far: Handshake) -> Severity:
    """Clients have to look since 2026-07-28; before, only those that know RFC 9207 did."""
    return "error" if so_far.revision >= "2026-07-28" else "warning"


def _place(stage: AuthorizationResponse) -> str:
    return "request.query.iss" if stage.callback else "response.header.location.iss"


def _difference(iss: str, issuer: str) -> str:
    grade = urls.similarity(iss, issuer)
    if grade == "slash":
        return "they differ by one trailing slash"
    if grade == "case":
        return "they differ in upper case or a default port"
    if issuer.startswith(iss):
        return f"{issuer[len(iss) :]!r} is missing at its end"
    return "no client takes them for the same"


@rule(
    "authz-resp-iss-missing",
    must(
        "RFC 9207 §2 and §2.4; MCP 2026-07-28 'Authorization Response Validation'",
        "https://www.rfc-editor.org/rfc/rfc9207.html#section-2.4",
    ),
    who="authorization-server",
    severity="error",
)
def missing(stage: AuthorizationResponse, so_far: Handshake) -> Problems:
    """The authorization response has no `iss`, although the metadata advertises it.

    By `iss` a client that uses several authorization servers sees which one answered. A server that
    advertises it has to send it always, with errors too: clients refuse a response without it, as
    they refuse a forged one.

    Usual causes: the flag came with an update or a template, and the redirect is built by
    older code; only the success path sends it.

    Repair: Append `iss` with the issuer of the metadata to every redirect to the callback, or
    remove the flag from the metadata.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize",
             "authorization_response_iss_parameter_supported": true}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize",
             "authorization_response_iss_parameter_supported": true}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1&iss=https%3A%2F%2Fas.example.com
    """
    metadata = _metadata(stage, so_far)
    if metadata and metadata.document.get(_FLAG) is True and stage.get("iss") is None:
        yield Problem(
            message=f"the redirect has no `iss`; the metadata promises one, and it is {metadata.issuer}",
            at=_place(stage),
            expected=metadata.issuer,
            severity=_weight(so_far),
        )


@rule(
    "authz-resp-iss-mismatch",
    must(
        "RFC 9207 §2.3 and §2.4; MCP 2026-07-28 'Authorization Response Validation'",
        "https://www.rfc-editor.org/rfc/rfc9207.html#section-2.4",
    ),
    who="authorization-server",
    severity="error",
)
def mismatch(stage: AuthorizationResponse, so_far: Handshake) -> Problems:
    """`iss` of the authorization response is not the `issuer` of the metadata.

    Clients compare the two character by character, without normalization. A trailing slash, a
    missing path or a capital letter is enough, and the code is rejected: the check detects
    responses of another server (mix-up attack). This may also really be one.

    Usual causes: `iss` is built from the host while the issuer has a path; one of the two
    ends in a slash; a proxy rewrote the one and not the other.

    Repair: Send exactly the `issuer` of the metadata as `iss`.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server/eu
        200 {"issuer": "https://as.example.com/eu", "authorization_endpoint": "https://as.example.com/eu/authorize"}
        @browser
        GET https://as.example.com/eu/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1&iss=https%3A%2F%2Fas.example.com

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server/eu
        200 {"issuer": "https://as.example.com/eu", "authorization_endpoint": "https://as.example.com/eu/authorize"}
        @browser
        GET https://as.example.com/eu/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1&iss=https%3A%2F%2Fas.example.com%2Feu
    """
    metadata, iss = _metadata(stage, so_far), stage.get("iss")
    if metadata and metadata.issuer and iss is not None and iss != metadata.issuer:
        yield Problem(
            message=f"`iss` is {iss}, and the issuer of the metadata is {metadata.issuer}: {_difference(iss, metadata.issuer)}",
            at=_place(stage),
            expected=metadata.issuer,
            actual=iss,
            severity=_weight(so_far),
        )


@rule(
    "authz-resp-iss-not-advertised",
    must(
        "RFC 9207 §2.3; MCP 2026-07-28 'Authorization Response Validation'",
        "https://www.rfc-editor.org/rfc/rfc9207.html#section-2.3",
    ),
    who="authorization-server",
    severity="warning",
    since="2026-07-28",
)
def not_advertised(stage: AuthorizationResponse, so_far: Handshake) -> Problems:
    """The authorization response has `iss`, but the metadata does not advertise it.

    Sending `iss` is good. But a client can rely on it only when the metadata advertises it, and a
    strict client refuses an `iss` that is not advertised.

    Usual causes: the library sends it, and the metadata is a hand-written file.

    Repair: Put `"authorization_response_iss_parameter_supported": true` into the metadata.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1&iss=https%3A%2F%2Fas.example.com

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize",
             "authorization_response_iss_parameter_supported": true}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1&iss=https%3A%2F%2Fas.example.com
    """
    metadata, iss = _metadata(stage, so_far), stage.get("iss")
    if metadata and iss is not None and metadata.document.get(_FLAG) is not True:
        yield Problem(
            message=f"the redirect carries `iss`, and `{_FLAG}` is {metadata.document.get(_FLAG, 'missing')}",
            at=_place(stage),
            expected=f"{_FLAG}: true in the metadata",
            actual=str(metadata.document.get(_FLAG, "missing"))[:40],
        )


@rule(
    "authz-resp-iss-absent",
    should(
        "MCP 2026-07-28 'Authorization Response Validation'; SEP-2468",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#authorization-response-validation",
    ),
    who="authorization-server",
    severity="note",
    since="2026-07-28",
)
def absent(stage: AuthorizationResponse, so_far: Handshake) -> Problems:
    """The authorization response has no `iss` (RFC 9207).

    `iss` protects clients that use several authorization servers from mix-up attacks. It is
    recommended since 2026-07-28 and expected to become required. Gemini CLI 0.61 requires it
    already: it refuses every response without it, whatever the metadata promises.

    Usual causes: the server is older than RFC 9207.

    Repair: Append `iss` with the issuer to every redirect to the callback, and set
    `authorization_response_iss_parameter_supported` in the metadata.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize",
             "authorization_response_iss_parameter_supported": true}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1&iss=https%3A%2F%2Fas.example.com
    """
    metadata = _metadata(stage, so_far)
    if metadata and stage.get("iss") is None and metadata.document.get(_FLAG) is not True:
        yield Problem(
            message=f"the redirect has no `iss`, and the metadata promises none; it would be {metadata.issuer}",
            at=_place(stage),
            expected=metadata.issuer,
        )


@rule(
    "authz-resp-iss-format",
    must("RFC 9207 §2", "https://www.rfc-editor.org/rfc/rfc9207.html#section-2"),
    who="authorization-server",
    severity="warning",
)
def format_of(stage: AuthorizationResponse, so_far: Handshake) -> Problems:
    """`iss` of the authorization response is not a valid issuer identifier.

    An issuer is an https URL without query and without fragment. Anything else cannot equal the
    `issuer` of any metadata, so a client that compares the two refuses it.

    Usual causes: the name of the server, a tenant's id or the URL of the authorization
    endpoint was put there.

    Repair: Send the `issuer` of the metadata as `iss`.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1&iss=as.example.com

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2F127.0.0.1%3A4711%2Fcb
        302
        Location: http://127.0.0.1:4711/cb?code=made-up&state=s1&iss=https%3A%2F%2Fas.example.com
    """
    iss = stage.get("iss")
    if iss is None or any(earlier.get("iss") == iss for earlier in so_far.all(AuthorizationResponse)):
        return
    parts = urls.split(iss)
    secure = parts is not None and (parts.scheme == "https" or (parts.scheme == "http" and urls.is_loopback(iss)))
    if not secure or "?" in iss or "#" in iss:
        yield Problem(
            message=f"`iss` is {iss[:120] or '(empty)'}; it has to be an https URL without query and fragment",
            at=_place(stage),
            expected="the issuer of the metadata",
            actual=iss,
        )
