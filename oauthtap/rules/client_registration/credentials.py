"""Which client id a client uses at which server, and how often it registers."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    PushedAuthorization,
    Registration,
    ServerMetadata,
    Stage,
    TokenEndpoint,
    text,
    texts,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.exchange import first_value
from oauthtap.model.requirements import must, practice, should
from oauthtap.rules import rule


def _made(stage: Registration) -> bool:
    """A registration that the client itself made, and that succeeded."""
    return not stage.managing and stage.exchange.actor == "client" and bool(text(stage.issued.get("client_id")))


@rule(
    "dcr-deprecated",
    practice(
        "MCP 2026-07-28 'Deprecated Features' registry; Client Registration",
        "https://modelcontextprotocol.io/specification/2026-07-28/deprecated",
    ),
    who="authorization-server",
    since="2026-07-28",
)
def deprecated(stage: Registration, so_far: Handshake) -> Problems:
    """The client uses dynamic client registration, which MCP has deprecated.

    Since 2026-07-28 dynamic registration is deprecated; the first revision from 2027-07-28 on may
    drop it. Until then it works in all clients.

    Usual causes: the authorization server does not read client metadata documents yet.

    Repair: Support Client ID Metadata Documents, and say so in the metadata with
    `client_id_metadata_document_supported`.

    Bad:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}

    Good:
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        400 {"error": "invalid_client_metadata"}
    """
    if _made(stage):
        yield Problem(
            message="the client was registered dynamically; from 2026-07-28 on a client metadata document is the way",
            at="request.url",
        )


@rule(
    "dcr-repeated",
    practice(
        "MCP 2026-07-28 Client Registration 'Authorization Server Binding'",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration#authorization-server-binding",
    ),
    who="client",
)
def repeated(stage: Registration, so_far: Handshake) -> Problems:
    """The client registers again, although its first registration is still valid.

    Every registration creates a client in the server's database, and rate limits count them. A
    client that registers again did not keep its id, or did not find it for this server.

    Usual causes: the id is stored under a URL that differs from the issuer by a slash; nothing is
    stored between two starts.

    Repair: Store client id and secret by the issuer of the metadata, and register only when the
    server no longer knows them.

    Bad:
        POST https://as.example.com/register {"client_name": "Example", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
        POST https://as.example.com/register {"client_name": "Example", "redirect_uris": ["http://127.0.0.1:4712/cb"]}
        201 {"client_id": "c2", "redirect_uris": ["http://127.0.0.1:4712/cb"]}

    Good:
        POST https://as.example.com/register {"client_name": "Example", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    if not _made(stage) or any(_disowned(earlier) for earlier in so_far.stages):
        return
    for earlier in so_far.all(Registration):
        if _made(earlier) and urls.endpoint(earlier.url) == urls.endpoint(stage.url) and _same_client(earlier, stage):
            yield Problem(
                message=f"{text(stage.requested.get('client_name')) or 'the client'} registered in exchange "
                f"{earlier.exchange.id} already, and that id was not refused",
                at="request.body",
                expected="the client_id of the first registration",
            )
            return


def _same_client(one: Registration, other: Registration) -> bool:
    left, right = texts(one.requested.get("redirect_uris")), texts(other.requested.get("redirect_uris"))
    return (
        one.requested.get("client_name") == other.requested.get("client_name")
        and len(left) == len(right)
        and all(urls.redirect_matches(a, b) for a, b in zip(left, right, strict=True))
    )


def _disowned(stage: Stage) -> bool:
    """The server said that it does not know the client."""
    response = stage.exchange.response
    said = (response.body or "")[:4000] if response and response.status >= 400 else ""
    return "invalid_client" in said.replace("invalid_client_metadata", "") or "unauthorized_client" in said


@rule(
    "client-credentials-reused-across-as",
    must(
        "MCP 2026-07-28 Client Registration 'Authorization Server Binding'; SEP-2352",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration#authorization-server-binding",
    ),
    who="client",
    since="2026-07-28",
    stops_at=("authorization-request", "authorization-interaction", "authorization-response", "token-request"),
)
def reused_across_servers(
    stage: AuthorizationRequest | PushedAuthorization | TokenEndpoint, so_far: Handshake
) -> Problems:
    """The client uses a `client_id` that another authorization server issued.

    A `client_id` is valid only at the server that issued it. The other one answers
    `invalid_client`; and if a secret is sent with it, that secret is leaked.

    Usual causes: credentials are kept per MCP server, and the MCP server moved to another
    authorization server.

    Repair: Store credentials per issuer, and register again when the issuer changes.

    Bad:
        GET https://old.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://old.example.com", "registration_endpoint": "https://old.example.com/register"}
        POST https://old.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
        GET https://new.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://new.example.com", "token_endpoint": "https://new.example.com/token"}
        POST https://new.example.com/token grant_type=refresh_token&refresh_token=made-up-rt&client_id=c1
        401 {"error": "invalid_client"}

    Good:
        GET https://old.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://old.example.com", "registration_endpoint": "https://old.example.com/register",
             "token_endpoint": "https://old.example.com/token"}
        POST https://old.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
        POST https://old.example.com/token grant_type=refresh_token&refresh_token=made-up-rt&client_id=c1
        200 {"access_token": "made-up-at", "token_type": "Bearer"}
    """
    if stage.exchange.actor not in ("client", "browser"):
        return
    pairs = stage.form if isinstance(stage, PushedAuthorization) else stage.params
    client_id = first_value(pairs, "client_id")
    if not client_id or client_id.startswith("https://"):
        return
    issued_by = next((r for r in reversed(so_far.all(Registration)) if r.issued.get("client_id") == client_id), None)
    home = _issuers(issued_by.url, so_far) if issued_by else set()
    here = _issuers(stage.url, so_far)
    if issued_by and home and here and not home & here:
        yield Problem(
            message=f"the client id {client_id} was issued by {min(home)} and is used at {min(here)}",
            at="request.query.client_id" if isinstance(stage, AuthorizationRequest) else "request.form.client_id",
            expected=f"a client id issued by {min(here)}",
            actual=client_id,
        )


def _issuers(url: str, so_far: Handshake) -> set[str]:
    """The issuers whose metadata names this endpoint."""
    place = urls.endpoint(url)
    return {
        document.issuer
        for document in so_far.all(ServerMetadata)
        if document.ok and document.issuer and place in map(urls.endpoint, document.endpoints.values())
    }


@rule(
    "client-prefers-dcr-over-cimd",
    should(
        "MCP 2026-07-28 Client Registration (priority order)",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration",
    ),
    who="client",
    severity="note",
    since="2025-11-25",
)
def prefers_registration(stage: Registration, so_far: Handshake) -> Problems:
    """The client registers dynamically, although the server supports CIMD.

    The server supports CIMD: the client's `client_id` is the URL of its metadata document, and
    nothing has to be stored. A client that has such a document should use it; for a client without
    one, registering is correct.

    Usual causes: the client has no metadata document, or does not read the flag.

    Repair: Configure the URL of the client's metadata document as its `client_id`.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "registration_endpoint": "https://as.example.com/register",
             "client_id_metadata_document_supported": true}
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "registration_endpoint": "https://as.example.com/register"}
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    metadata = so_far.metadata
    if stage.managing or stage.exchange.actor != "client" or metadata is None:
        return
    if metadata.document.get("client_id_metadata_document_supported") is True:
        yield Problem(
            message="the metadata says `client_id_metadata_document_supported`, and the client registers anyway",
            at="request.url",
            expected="a client metadata document, where the client has one",
        )


@rule(
    "dcr-wrong-endpoint",
    must("RFC 7591 §3; RFC 8414 §2", "https://datatracker.ietf.org/doc/html/rfc7591#section-3"),
    who="client",
)
def wrong_endpoint(stage: Registration, so_far: Handshake) -> Problems:
    """The client does not register at the `registration_endpoint` of the metadata.

    The metadata names the URL for registrations, and the client had read it before. The URL it uses
    instead often does not exist, so the sign-in fails although the server would have registered it.

    Usual causes: `/register` is hard-coded in the client, as in MCP 2025-03-26 for servers without
    metadata.

    Repair: Register at the `registration_endpoint` of the metadata; a server can help by
    routing `/register` there too.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "registration_endpoint": "https://as.example.com/oauth/clients"}
        POST https://as.example.com/register {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        404

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "registration_endpoint": "https://as.example.com/oauth/clients"}
        POST https://as.example.com/oauth/clients {"redirect_uris": ["http://127.0.0.1:4711/cb"]}
        201 {"client_id": "c1", "redirect_uris": ["http://127.0.0.1:4711/cb"]}
    """
    if stage.managing or stage.exchange.actor != "client" or so_far.metadata is None:
        return
    named = so_far.metadata.get("registration_endpoint")
    guessed = stage.initiator is None or stage.initiator.guess
    if named and guessed and so_far.learned("registration_endpoint", stage.url) is None:
        yield Problem(
            message=f"the client registers at {urls.without_query(stage.url)}; the metadata says {named}",
            at="request.url",
            expected=named,
            actual=urls.without_query(stage.url),
        )
