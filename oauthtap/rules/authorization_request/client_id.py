"""`client_id` of the authorization request, and whether the server knows it."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import AuthorizationRequest, ClientMetadata, Registration, text
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice, should
from oauthtap.rules import rule
from oauthtap.rules.authorization_request.redirect_uri import known_client
from oauthtap.rules.authorization_request.refusals import (
    REDIRECT,
    Asked,
    Refusal,
    is_document_id,
    own_request,
    refusal,
    registered_uris,
)

_REGISTRATION = "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration"
_OAUTH21_411 = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.1.1"
_RFC7591_321 = "https://datatracker.ietf.org/doc/html/rfc7591#section-3.2.1"
_STOPS = ("authorization-request", "authorization-response")
_FLAG = "client_id_metadata_document_supported"
_FETCHING = re.compile(r"fetch|retriev|download|unreachable|timed? ?out|load", re.I)


@rule(
    "authz-client-id-missing",
    must("OAuth 2.1 draft-13 §4.1.1", _OAUTH21_411),
    who="client",
    stops_at=("authorization-response",),
)
def client_id_missing(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """The authorization request has no `client_id`.

    The server does not know the client or its redirect URI. It shows an error page, and the client
    waits for a callback that never comes.

    Usual causes: the client lost its registration; a client id was never configured.

    Repair: Clear the stored login of this server in the client, or configure the client id.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}
        @browser
        GET https://as.example.com/authorize?response_type=code&redirect_uri=http://localhost:8000/callback
        400

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&redirect_uri=http://localhost:8000/callback
        302
    """
    if own_request(request) and not request.get("client_id") and request.url.count("?") < 2:
        yield Problem(
            message="the request has no `client_id`; it has to be the registered one",
            at="request.query.client_id",
            expected="the registered client id",
        )


@rule(
    "authz-client-id-differs",
    practice("RFC 7591 §3.2.1", _RFC7591_321),
    who="client",
    severity="warning",
    stops_at=_STOPS,
)
def client_id_differs(request: AuthorizationRequest, so_far: Handshake) -> Problems:
    """`client_id` of the authorization request is not the one just registered.

    It registered a moment ago and still uses an older id. Redirect URI and secret belong to the new
    one, so the server refuses, if it knows the old id at all.

    Usual causes: two parts of the client keep separate stores.

    Repair: Clear the stored login of this server in the client, and connect again.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        201 {"client_id": "client-2"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1
        400

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
        201 {"client_id": "client-2"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-2
        302
    """
    registration, client_id = so_far.registration, request.get("client_id")
    fresh = text(registration.issued.get("client_id")) if registration else None
    if registration is None or not fresh or not client_id or not own_request(request) or fresh == client_id:
        return
    earlier = so_far.authorization
    issued = [text(r.issued.get("client_id")) for r in so_far.all(Registration) if r.ok and r.exchange.response and r.exchange.response.body is not None]  # fmt: skip
    if client_id in issued or (earlier and earlier.exchange.id > registration.exchange.id):
        return
    if registration.exchange.actor == "client" and urls.origin(registration.url) == urls.origin(request.url):
        yield Problem(
            message=f"`client_id` is {client_id[:120]}; exchange {registration.exchange.id} registered {fresh[:120]}",
            at="request.query.client_id",
            expected=fresh[:120],
            actual=client_id[:120],
        )


@rule(
    "authz-client-id-unknown",
    practice("RFC 7591 §3.2.1 (registrations may expire); MCP 2026-07-28 Client Registration", _RFC7591_321),
    who="client",
    severity="error",
    stops_at=_STOPS,
)
def client_id_unknown(stage: Asked, so_far: Handshake) -> Problems:
    """The authorization server does not know the `client_id`.

    The id was stored from an earlier registration that the server has since forgotten, or it was
    configured and is wrong. The client keeps sending it, and the user never gets past the error
    page.

    Usual causes: the server's registrations were deleted, expired, or lived in memory; a typo, or
    the wrong tenant, for a configured id.

    Repair: Clear the stored login of this server in the client, so that it registers again. For a
    configured id, compare it with the authorization server's application.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&redirect_uri=http://localhost:8000/callback
        400 {"error": "invalid_client", "error_description": "Unknown client"}

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=client-1&redirect_uri=http://localhost:8000/callback
        302
        Location: https://as.example.com/login
    """
    no = refusal(stage, so_far)
    client_id = no.asked.get("client_id") if no else None
    if no is None or not client_id or is_document_id(client_id):
        return
    seen = registered_uris(no.asked, so_far) is not None
    if not (no.of_client and not (seen and no.about(REDIRECT))) and not (not seen and _forgotten(no, so_far)):
        return
    yield Problem(
        exchange=no.asked.exchange.id,
        message=f"the server does not know the client id {client_id[:120]}: {no.quoted}",
        at="request.query.client_id",
        expected="an id the server knows",
        actual=client_id[:120],
        responsible="authorization-server" if seen else None,
    )


def _forgotten(no: Refusal, so_far: Handshake) -> bool:
    """The callback is refused for an id whose registration is older than what we saw."""
    metadata, asked = so_far.metadata, no.asked.redirect_uri
    if not metadata or not metadata.get("registration_endpoint") or not asked or no.redirected:
        return False
    return no.about(REDIRECT) and (urls.is_loopback(asked) or known_client(asked) is None)


@rule(
    "cimd-used-without-support",
    should(
        "MCP 2026-07-28 Client Registration 'Advertising CIMD Support'; draft-ietf-oauth-client-id-metadata-document-00 §5",
        f"{_REGISTRATION}#advertising-cimd-support",
    ),
    who="client",
    severity="error",
    stops_at=_STOPS,
)
def document_id_without_support(stage: Asked, so_far: Handshake) -> Problems:
    """The client uses a URL as `client_id`, but the server does not advertise CIMD.

    A URL as `client_id` works only with servers that fetch the document at that URL. This one does
    not advertise it, and refuses the id as unknown.

    Usual causes: the client does not look at the metadata before choosing its id.

    Repair: In the client: use the URL only if `client_id_metadata_document_supported` is true, and
    register otherwise. Or support such ids at the authorization server.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=https://app.example.net/client.json
        400 {"error": "invalid_client"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize"}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=https://app.example.net/client.json
        302
        Location: https://as.example.com/login
    """
    no, metadata = refusal(stage, so_far), so_far.metadata
    client_id = no.asked.get("client_id") if no else None
    if no is None or metadata is None or not is_document_id(client_id):
        return
    about = no.of_client or no.about(REDIRECT) or no.vague
    if metadata.document.get(_FLAG) is not True and about:
        yield Problem(
            exchange=no.asked.exchange.id,
            message=f"`client_id` is {client_id}, `{_FLAG}` is not true, and the server refuses: {no.quoted}",
            at="request.query.client_id",
            expected="a registered client id",
            actual=client_id,
        )


@rule(
    "cimd-redirect-not-listed",
    must(
        "MCP 2026-07-28 Client Registration 'Implementation Requirements'; OAuth 2.1 draft-13 §2.3.1",
        f"{_REGISTRATION}#implementation-requirements",
    ),
    who="client",
    stops_at=("authorization-response",),
)
def redirect_not_in_document(handshake: Handshake) -> Problems:
    """`redirect_uri` is not listed in the client ID metadata document.

    The document lists the client's redirect URIs. A server must not send a code to any other; only
    the port of a loopback redirect URI may differ.

    Usual causes: the document was not updated with the client.

    Repair: Add the callback to `redirect_uris` of the client's metadata document.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=https://app.example.net/client.json
        302
        @authorization-server
        GET https://app.example.net/client.json
        200 {"client_id": "https://app.example.net/client.json", "redirect_uris": ["http://127.0.0.1/callback"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=https://app.example.net/client.json&redirect_uri=http://localhost:8000/callback
        400

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=https://app.example.net/client.json
        302
        @authorization-server
        GET https://app.example.net/client.json
        200 {"client_id": "https://app.example.net/client.json", "redirect_uris": ["http://127.0.0.1/callback"]}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=https://app.example.net/client.json&redirect_uri=http://127.0.0.1:8000/callback
        302
    """
    for request in handshake.all(AuthorizationRequest):  # the server fetches the document while it answers
        client_id, asked = request.get("client_id"), request.redirect_uri
        if not asked or not is_document_id(client_id) or not own_request(request):
            continue
        listed = registered_uris(request, handshake)
        if listed and not any(urls.redirect_matches(asked, uri) for uri in listed):
            yield Problem(
                exchange=request.exchange.id,
                message=f"`redirect_uri` is {asked[:200]}; the document {client_id} lists {', '.join(listed)[:300]}",
                at="request.query.redirect_uri",
                expected=" or ".join(listed)[:300],
                actual=asked[:200],
            )


@rule(
    "cimd-advertised-not-honoured",
    must("MCP 2026-07-28 Client Registration 'Client ID Metadata Documents'", _REGISTRATION),
    who="authorization-server",
    stops_at=_STOPS,
)
def document_id_not_honoured(handshake: Handshake) -> Problems:
    """The server advertises CIMD, but refuses the client ID metadata document.

    Because CIMD is advertised, the client did not register. Now that its id, or a redirect URI from
    its document, is refused, it has no alternative.

    Usual causes: the flag is set in the metadata, but fetching the document is not implemented or
    is disabled.

    Repair: Fetch the document at the client id and apply it; or remove
    `client_id_metadata_document_supported` from the metadata, so that clients register.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize", "client_id_metadata_document_supported": true}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=https://app.example.net/client.json
        400 {"error": "invalid_client", "error_description": "Unknown client"}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/authorize", "client_id_metadata_document_supported": true}
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=https://app.example.net/client.json
        302
        Location: https://as.example.com/login
    """
    refusals = (refusal(s, handshake) for s in handshake.stages if isinstance(s, Asked))
    for no in {no.asked.exchange.id: no for no in refusals if no}.values():
        yield from _not_honoured(no, handshake)


def _not_honoured(no: Refusal, handshake: Handshake) -> Problems:
    metadata, client_id = handshake.metadata, no.asked.get("client_id")
    if metadata is None or not is_document_id(client_id) or metadata.document.get(_FLAG) is not True:
        return
    fetched = [document for document in handshake.all(ClientMetadata) if document.url == client_id]
    if any(document.ok and document.answer_object.get("client_id") != client_id for document in fetched):
        return  # the document is at fault
    listed = registered_uris(no.asked, handshake) or ()
    asked = no.asked.redirect_uri or ""
    unknown = no.of_client
    refused = no.about(REDIRECT) and (asked in listed or not fetched)
    not_listed = bool(listed) and not any(urls.redirect_matches(asked, uri) for uri in listed)
    if (unknown or refused) and not no.about(_FETCHING) and not (fetched and not listed) and not not_listed:
        yield Problem(
            exchange=no.asked.exchange.id,
            message=f"`{_FLAG}` is true, and the server refuses the client id {client_id}: {no.quoted}",
            at="request.query.client_id",
            expected="the document is read",
            actual=no.quoted,
            severity=None if unknown or listed else "warning",
        )
