"""`issuer` of the authorization server metadata."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch, Problem, Problems, Severity
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    Registration,
    ResourceMetadata,
    ServerMetadata,
    TokenEndpoint,
    text,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must
from oauthtap.rules import rule

_RFC8414_2 = "https://www.rfc-editor.org/rfc/rfc8414.html#section-2"
_RFC8414_33 = "https://www.rfc-editor.org/rfc/rfc8414.html#section-3.3"


def _entries(so_far: Handshake) -> list[str]:
    """Every issuer that protected resource metadata has named."""
    return [
        entry
        for document in so_far.all(ResourceMetadata)
        if document.ok and document.exchange.response and document.exchange.response.body is not None
        for entry in document.authorization_servers
    ]


def _expected(document: ServerMetadata, so_far: Handshake) -> str | None:
    """The issuer whose metadata the client set out for, redirects traced back."""
    start = document
    for _ in range(5):
        cause = start.initiator
        if cause is None or cause.at != "response.header.location" or cause.exchange is None:
            break
        before = next((s for s in so_far.of(cause.exchange) if isinstance(s, ServerMetadata)), None)
        if before is None:
            break
        start = before
    return start.expected_issuer


def _mismatch(document: ServerMetadata, so_far: Handshake) -> tuple[str, str] | None:
    """Expected and stated issuer, where they differ by more than one trailing slash."""
    stated, expected = document.issuer, _expected(document, so_far)
    if stated is None or expected is None or not document.published:
        return None
    if stated in _entries(so_far) or urls.similarity(stated, expected) in ("identical", "slash"):
        return None
    return expected, stated


@rule(
    "as-issuer-missing",
    must("RFC 8414 §2; OIDC Discovery 1.0 §3", _RFC8414_2),
    who="authorization-server",
    stops_at=("client-registration", "authorization-request"),
)
def issuer_missing(document: ServerMetadata, so_far: Handshake) -> Problems:
    """The authorization server metadata has no `issuer`.

    A client compares this member with the issuer it asked for, to detect another server's document
    (mix-up attack). Without it, most clients reject the whole document.

    Usual causes: a hand-written document; an error message with status 200.

    Repair: Add `issuer` with exactly the value in `authorization_servers`.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"token_endpoint": "https://as.example.com/token"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token"}
    """
    if document.status == 200 and isinstance(document.answer, dict) and document.issuer is None:
        expected = _expected(document, so_far)
        yield Problem(
            message=f"the metadata has no `issuer`; it has to be {expected or 'the address of the issuer'}",
            at="response.json.issuer",
            expected=expected,
            patch=Patch(merge={"issuer": expected}) if expected else None,
        )


@rule(
    "as-issuer-mismatch",
    must("RFC 8414 §3.3; OIDC Discovery 1.0 §4.3; MCP 2026-07-28 AS Discovery", _RFC8414_33),
    who="authorization-server",
)
def issuer_mismatch(document: ServerMetadata, so_far: Handshake) -> Problems:
    """`issuer` in the metadata is not the issuer that the client asked for.

    The client asked for the metadata of one issuer, and the document names another. That is the
    sign of a mix-up attack, so careful clients reject the document. Older clients do not compare,
    and the login breaks with their next update.

    Usual causes: `authorization_servers` lists a domain that proxies the identity provider's
    document; the base URL of the server lacks its path or its public name.

    Repair: List the document's own `issuer` in `authorization_servers`, character by character; or
    configure the authorization server's public base URL so that its `issuer` is the listed one.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server/team
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server/team
        200 {"issuer": "https://as.example.com/team", "token_endpoint": "https://as.example.com/token"}
    """
    differs = _mismatch(document, so_far)
    if differs is None:
        return
    expected, stated = differs
    guessed = bool(document.initiator and document.initiator.guess and so_far.prm)
    lighter: Severity | None = "warning" if "{" in stated or guessed else None
    yield Problem(
        message=f"`issuer` is {stated}, but this is the metadata of {expected}",
        at="response.json.issuer",
        expected=expected,
        actual=stated,
        severity="note" if document.exchange.actor == "reporter" else lighter,
        patch=Patch(merge={"issuer": expected}, assumes=f"{expected} and {stated} are the same server"),
    )


@rule(
    "as-issuer-trailing-slash",
    must("RFC 8414 §3.3 and §4; MCP 2026-07-28 AS Discovery", _RFC8414_33),
    who="authorization-server",
)
def issuer_trailing_slash(document: ServerMetadata, so_far: Handshake) -> Problems:
    """`issuer` and the entry in `authorization_servers` differ by a trailing slash.

    Clients compare the two as plain text, and `https://host` is not `https://host/`. Clients that
    compare stop here.

    Usual causes: a URL type in the server's code adds the slash to a bare host; the issuer was not
    copied from the metadata (Auth0's issuers do end in a slash).

    Repair: Copy the metadata's `issuer` into `authorization_servers` character by character.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com/", "token_endpoint": "https://as.example.com/token"}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com/"]}
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com/", "token_endpoint": "https://as.example.com/token"}
    """
    stated, expected, entries = document.issuer, _expected(document, so_far), _entries(so_far)
    if stated is None or expected not in entries or stated in entries or not document.published:
        return
    if urls.similarity(stated, expected or "") == "slash":
        yield Problem(
            message=f"`issuer` is {stated}, and `authorization_servers` has {expected}: they differ by one slash",
            at="response.json.issuer",
            expected=expected,
            actual=stated,
            patch=Patch(merge={"issuer": expected}, assumes="the server accepts its name without the other slash"),
        )


@rule(
    "as-issuer-format",
    must("RFC 8414 §2; RFC 9207 §2", _RFC8414_2),
    who="authorization-server",
    severity="warning",
)
def issuer_format(document: ServerMetadata, so_far: Handshake) -> Problems:
    """`issuer` is not an https URL without query and fragment.

    Clients build URLs from an issuer and compare it with other strings. With a query, a fragment or
    without a host, neither is defined.

    Usual causes: a tenant selector in the query; a name instead of a URL; the internal scheme of a
    server behind a TLS proxy.

    Repair: Make the issuer an https URL with a host and at most a path.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "as.example.com", "token_endpoint": "https://as.example.com/token"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "token_endpoint": "https://as.example.com/token"}
    """
    stated = text(document.document.get("issuer"))
    if stated is None:
        return
    parts = urls.split(stated)
    wrong = None
    if parts is None:
        wrong = "no absolute address"
    elif "?" in stated or "#" in stated:
        wrong = "an address with query or fragment"
    elif parts.scheme != "https" and not urls.is_loopback(stated):
        wrong = "not https"
    if wrong:
        yield Problem(
            message=f"`issuer` is {stated or 'empty'}, {wrong}; it has to be a plain https address",
            at="response.json.issuer",
            expected="https://host or https://host/path",
            actual=stated,
        )


@rule(
    "client-used-mismatched-issuer",
    must("RFC 8414 §3.3 and §6.2; MCP 2026-07-28 AS Discovery", _RFC8414_33),
    who="client",
    severity="warning",
    stops_only_at=(),
)
def used_mismatched_issuer(stage: Registration | AuthorizationRequest | TokenEndpoint, so_far: Handshake) -> Problems:
    """The client uses authorization server metadata of another `issuer`.

    The comparison prevents a mix-up attack, in which a hostile server names its own token endpoint.
    This client did not compare, and sends its code and tokens there.

    Usual causes: an older SDK without the comparison.

    Repair: Update the client. In its code: reject metadata whose `issuer` is not exactly the issuer
    that was asked for.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server/team
        200 {"issuer": "https://as.example.com", "registration_endpoint": "https://as.example.com/register"}
        POST https://as.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        201 {"client_id": "client-1"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server/team
        200 {"issuer": "https://as.example.com/team", "registration_endpoint": "https://as.example.com/register"}
        POST https://as.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        201 {"client_id": "client-1"}
    """
    source = stage.initiator.exchange if stage.initiator and not stage.initiator.guess else None
    if stage.exchange.actor not in ("client", "browser") or source is None:
        return
    used = [s.initiator.exchange for s in so_far.stages[-50:] if isinstance(s, Registration | AuthorizationRequest | TokenEndpoint) and s.initiator]  # fmt: skip
    document = next((s for s in so_far.of(source) if isinstance(s, ServerMetadata)), None)
    differs = _mismatch(document, so_far) if document and source not in used else None
    if differs:
        yield Problem(
            message=f"the client uses the endpoints of {differs[1]}, though it asked for {differs[0]}",
            at="request.url",
            expected=differs[0],
            actual=differs[1],
        )
