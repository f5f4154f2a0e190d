"""The client ID metadata document: whether it can be fetched, and its members."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import AuthorizationRequest, ClientMetadata, PushedAuthorization, Stage, text
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.exchange import first_value
from oauthtap.model.requirements import must, should
from oauthtap.rules import rule

_MCP = "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/client-registration#implementation-requirements"
_DRAFT = "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-client-id-metadata-document-00"
_REFUSED_AT = ("authorization-request", "authorization-interaction", "authorization-response", "token-request")
_WITH_SECRET = ("client_secret_basic", "client_secret_post", "client_secret_jwt")
# The rules on the document itself hold in every revision: whoever uses such a client id has adopted the draft.
_SMALL = 5 * 1024
"""Bytes; authorization servers are advised to read no more (draft-00, 6.6)."""


@rule(
    "cimd-client-id-format",
    must("MCP 2026-07-28 Client Registration 'Implementation Requirements'; draft-ietf-oauth-client-id-metadata-document-00 §3", f"{_DRAFT}#section-3"),
    who="client",
    since="2025-11-25",
    stops_at=_REFUSED_AT,
)  # fmt: skip
def client_id_format(stage: AuthorizationRequest | PushedAuthorization, so_far: Handshake) -> Problems:
    """The URL used as `client_id` is not valid for a client ID metadata document.

    An authorization server fetches this URL to learn who the client is. For safety it accepts only
    https URLs with a path and without fragment, credentials or dot segments.

    Usual causes: the home page of the client used as its id; a local development URL.

    Repair: Host the document at a plain https URL with a path, such as
    `https://client.example.com/oauth/client.json`, and use exactly that.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=https%3A%2F%2Fclient.example.com&state=s1
        400

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=https%3A%2F%2Fclient.example.com%2Fid.json&state=s1
        302
        Location: http://localhost:3000/callback?code=made-up-code-1&state=s1
    """
    pushed = stage if isinstance(stage, PushedAuthorization) else None
    client_id = first_value(pushed.form, "client_id") if pushed else first_value(stage.request.query, "client_id")
    if not client_id or not client_id.lower().startswith(("https://", "http://")):
        return
    if client_id in so_far.client_ids and _was_registered(client_id, so_far):
        return
    known = so_far.metadata
    if known is not None and known.document.get("client_id_metadata_document_supported") is not True:
        return  # a server that reads no documents: to it the URL is a name as any other
    parts = urls.split(client_id)
    wrong = _what_is_wrong(client_id)
    if wrong or (parts and parts.query):
        yield Problem(
            message=f"the client id {client_id} {wrong or 'has a query'}; it has to be a plain https URL with a path",
            at="request.form.client_id" if pushed else "request.query.client_id",
            expected="an https URL with a path, without fragment, user or dots in the path",
            actual=client_id,
            severity=None if wrong else "warning",
        )


def _what_is_wrong(client_id: str) -> str | None:
    parts = urls.split(client_id)
    if parts is None:
        return "cannot be read as a URL"
    if parts.scheme != "https":
        return "is not https"
    if parts.path in ("", "/"):
        return "has no path"
    if "#" in client_id:
        return "has a fragment"
    if "@" in parts.netloc:
        return "has a user in it"
    return "has dots as a path segment" if re.search(r"/\.{1,2}(?:/|$)", parts.path) else None


def _was_registered(client_id: str, so_far: Handshake) -> bool:
    """The authorization server itself gave the id out; then its form is its own affair."""
    return so_far.registration is not None and text(_granted(so_far).get("client_id")) == client_id


def _granted(so_far: Handshake) -> dict[str, object]:
    response = so_far.registration.exchange.response if so_far.registration else None
    return response.json_object if response else {}


@rule(
    "cimd-document-unavailable",
    must("draft-ietf-oauth-client-id-metadata-document-01 §4 and §4.1", "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-client-id-metadata-document-01#section-4"),
    who="client",
    stops_at=_REFUSED_AT,
)  # fmt: skip
def unavailable(handshake: Handshake) -> Problems:
    """The client ID metadata document cannot be fetched.

    The authorization server fetches the client id to learn the client's name and its redirect URIs.
    When it gets a page, a redirect or nothing, it refuses the sign-in.

    Usual causes: the document was not deployed, or has moved; it is on a host that the
    authorization server cannot reach.

    Repair: Serve the document at exactly that URL: status 200, `application/json`, no
    redirect, no authentication.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=https%3A%2F%2Fclient.example.com%2Fid.json&state=s1
        400

        @authorization-server
        GET https://client.example.com/id.json
        404

    Good:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=https%3A%2F%2Fclient.example.com%2Fid.json&state=s1
        302
        Location: http://localhost:3000/callback?code=made-up-code-1&state=s1

        @authorization-server
        GET https://client.example.com/id.json
        200 {"client_id": "https://client.example.com/id.json", "client_name": "Example",
             "redirect_uris": ["http://localhost:3000/callback"]}
    """
    for stages in handshake.exchanges():
        fetch = stages[0]
        known = isinstance(fetch, ClientMetadata) or fetch.url in handshake.client_ids
        what = _missing(fetch) if known and fetch.request.method == "GET" else None
        if what:
            yield Problem(
                exchange=fetch.exchange.id,
                message=f"{fetch.url} gives {what}; it has to give 200 with a JSON object",
                at="response.status" if fetch.exchange.response else "request.url",
                expected="200 with a JSON object",
                actual=what,
            )


def _missing(fetch: Stage) -> str | None:
    """What came in place of the document; None when it came, or when nobody can say."""
    response, error = fetch.exchange.response, fetch.exchange.error
    if response is None or response.status != 200:
        status = response.status if response else None
        return None if status == 304 else error or (f"status {status}" if status else None)
    unknown = response.body is None or response.truncated
    return None if unknown or response.json_object else "no JSON object"


@rule(
    "cimd-document-required-members",
    must("MCP 2026-07-28 Client Registration 'Implementation Requirements'", _MCP),
    who="client",
    stops_at=_REFUSED_AT,
)
def required_members(document: ClientMetadata, so_far: Handshake) -> Problems:
    """The client ID metadata document lacks `client_id`, `client_name` or `redirect_uris`.

    `client_id` says which client it is, `client_name` is shown to the user, and `redirect_uris` is
    compared with the requested one. Without one of them the document is refused.

    Usual causes: a document written for another purpose; a member under another name.

    Repair: Put `client_id`, `client_name` and `redirect_uris` into the document.

    Bad:
        @authorization-server
        GET https://client.example.com/id.json
        200 {"client_id": "https://client.example.com/id.json", "redirect_uris": ["http://localhost:3000/callback"]}

    Good:
        @authorization-server
        GET https://client.example.com/id.json
        200 {"client_id": "https://client.example.com/id.json", "client_name": "Example",
             "redirect_uris": ["http://localhost:3000/callback"]}
    """
    missing = [name for name in ("client_id", "client_name", "redirect_uris") if not document.document.get(name)]
    if document.found and missing:
        yield Problem(
            message=f"the document has no {', '.join(missing)}; it has to hold client_id, client_name and redirect_uris",
            at=f"response.json.{missing[0]}",
            expected="client_id, client_name, redirect_uris",
            actual=", ".join(document.document)[:200],
        )


@rule(
    "cimd-document-client-id-mismatch",
    must("MCP 2026-07-28 Client Registration 'Implementation Requirements'; draft-ietf-oauth-client-id-metadata-document-00 §4.1", _MCP),
    who="client",
    stops_at=_REFUSED_AT,
)  # fmt: skip
def client_id_mismatch(document: ClientMetadata, so_far: Handshake) -> Problems:
    """`client_id` in the client ID metadata document is not the URL of the document.

    The two have to be the same string. Otherwise an attacker could copy the document of a trusted
    client and use its name, so the authorization server refuses it.

    Usual causes: the document was moved or is served from a second host; a trailing slash; capital
    letters.

    Repair: Write the URL of the document into `client_id`, character by character.

    Bad:
        @browser
        GET https://as.example.com/authorize?response_type=code&client_id=https%3A%2F%2Fclient.example.com%2Fid.json&state=s1
        400

        @authorization-server
        GET https://client.example.com/id.json
        200 {"client_id": "https://www.client.example.com/id.json", "client_name": "Example",
             "redirect_uris": ["http://localhost:3000/callback"]}

    Good:
        @authorization-server
        GET https://client.example.com/id.json
        200 {"client_id": "https://client.example.com/id.json", "client_name": "Example",
             "redirect_uris": ["http://localhost:3000/callback"]}
    """
    stated = document.get("client_id")
    if stated and stated != document.url:
        yield Problem(
            message=f"`client_id` is {stated}; the document is at {document.url}",
            at="response.json.client_id",
            expected=document.url,
            actual=stated,
        )


@rule(
    "cimd-document-shared-secret",
    must("draft-ietf-oauth-client-id-metadata-document-00 §4.1", f"{_DRAFT}#section-4.1"),
    who="client",
    stops_at=_REFUSED_AT,
)
def shared_secret(document: ClientMetadata, so_far: Handshake) -> Problems:
    """The client ID metadata document has a `client_secret` or a method that needs one.

    The document is public, and no secret was agreed with the authorization server. So there cannot
    be one, and such a document is refused.

    Usual causes: the answer of a dynamic registration was published as the document.

    Repair: Use `"token_endpoint_auth_method": "none"`, or `private_key_jwt` with public
    keys, and leave `client_secret` out.

    Bad:
        @authorization-server
        GET https://client.example.com/id.json
        200 {"client_id": "https://client.example.com/id.json", "client_name": "Example",
             "redirect_uris": ["http://localhost:3000/callback"],
             "token_endpoint_auth_method": "client_secret_post"}

    Good:
        @authorization-server
        GET https://client.example.com/id.json
        200 {"client_id": "https://client.example.com/id.json", "client_name": "Example",
             "redirect_uris": ["http://localhost:3000/callback"],
             "token_endpoint_auth_method": "none"}
    """
    for name in ("client_secret", "client_secret_expires_at"):
        if name in document.document:
            yield Problem(
                message=f"the document has `{name}`; a public document cannot have a shared secret",
                at=f"response.json.{name}",
                expected="no such member",
                actual=name,
            )
    method = document.get("token_endpoint_auth_method")
    if method in _WITH_SECRET:
        yield Problem(
            message=f"`token_endpoint_auth_method` is {method}; it has to be none or private_key_jwt",
            at="response.json.token_endpoint_auth_method",
            expected="none, or private_key_jwt",
            actual=method,
        )


@rule(
    "cimd-document-too-large",
    should("draft-ietf-oauth-client-id-metadata-document-00 §6.6", f"{_DRAFT}#section-6.6"),
    who="client",
    severity="note",
)
def too_large(document: ClientMetadata, so_far: Handshake) -> Problems:
    """The client ID metadata document is larger than 5 kB.

    A server fetches it from an unknown host, so it reads about 5 kB and stops. A longer document
    may be cut off, and then cannot be parsed.

    Usual causes: a logo or a policy text inside the document.

    Repair: Keep the document below 5 kB, and link to logos and texts.

    Bad:
        @authorization-server
        GET https://client.example.com/id.json
        200 {"client_id": "https://client.example.com/id.json", "client_name": "Example",
             "redirect_uris": ["http://localhost:3000/callback"]}
        Content-Length: 18000

    Good:
        @authorization-server
        GET https://client.example.com/id.json
        200 {"client_id": "https://client.example.com/id.json", "client_name": "Example",
             "redirect_uris": ["http://localhost:3000/callback"]}
    """
    if not document.ok:
        return
    stated = document.response.header("content-length") or ""
    compressed = document.response.header("content-encoding") is not None
    size = len(document.answer_text.encode("utf-8", "replace"))
    if stated.isascii() and stated.isdigit() and not compressed:
        size = max(size, int(stated[:12]))
    if size > _SMALL:
        yield Problem(
            message=f"the document has {size} bytes; {_SMALL} are sure to be read",
            at="response.body",
            expected=f"at most {_SMALL} bytes",
            actual=str(size),
        )
