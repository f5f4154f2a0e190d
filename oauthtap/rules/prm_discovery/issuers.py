"""The entries of `authorization_servers`: whether they have metadata."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import ResourceMetadata, ServerMetadata, Unseen
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice, should
from oauthtap.rules import rule

_ENTRIES = "response.json.authorization_servers"
_ENDPOINT_WORDS = re.compile(
    r"/(?:authorize|authorization|token|register|introspect|revoke|userinfo|callback|login|sign-?in|sso)/?$", re.I
)

_AUTHORIZE = re.compile(r"/(?:authorize|token|register|introspect|userinfo)/?$", re.I)


def _entries(handshake: Handshake) -> list[tuple[ResourceMetadata, int, str]]:
    """Every entry of the documents found, each once, with the first document that had it."""
    first: dict[str, tuple[ResourceMetadata, int, str]] = {}
    for prm in handshake.all(ResourceMetadata):
        if prm.ok and prm.exchange.response and prm.exchange.response.body is not None:
            for number, entry in enumerate(prm.authorization_servers):
                first.setdefault(entry, (prm, number, entry))
    return list(first.values())


def _asked_for(handshake: Handshake, entry: str) -> list[ServerMetadata]:
    """Every request for the metadata of this issuer, wherever it was looked for."""
    places = {place.url for place in urls.as_metadata_locations(entry)}
    wanted = entry.rstrip("/")

    def about(document: ServerMetadata) -> bool:
        url = urls.without_query(document.url)
        return url in places or any(
            issuer.rstrip("/") == wanted and how != "root" for issuer, how in urls.issuers_for_metadata_url(url)
        )

    return [document for document in handshake.all(ServerMetadata) if about(document)]


def _answers(document: ServerMetadata) -> bool:
    """There is metadata, or we could not look."""
    try:
        return document.found
    except Unseen:
        return document.ok


def _dead(handshake: Handshake, entry: str) -> bool:
    """Somebody looked for this issuer's metadata, and nobody found any."""
    asked = _asked_for(handshake, entry)
    statuses = [document.status for document in asked if document.status is not None]
    return (
        bool(statuses)
        and not any(map(_answers, asked))
        and all(300 <= status < 500 or status == 200 for status in statuses)
    )


def _replaced(prm: ResourceMetadata, number: int, issuer: str) -> Patch:
    entries = list(prm.authorization_servers)
    entries[number] = issuer
    return Patch(merge={"authorization_servers": entries}, assumes=f"{issuer} is the authorization server to use")


def _living(handshake: Handshake) -> list[tuple[ServerMetadata, str]]:
    """Metadata that was really found, with the issuer it states."""
    return [
        (document, issuer)
        for document in handshake.all(ServerMetadata)
        if document.ok
        and document.exchange.response
        and document.exchange.response.body is not None
        and (issuer := document.issuer)
    ]


@rule(
    "prm-as-entry-is-endpoint",
    must("RFC 9728 §2; RFC 8414 §3", "https://www.rfc-editor.org/rfc/rfc9728.html#section-2"),
    who="resource-server",
    since="2025-06-18",
    stops_at=("as-discovery", "client-registration", "authorization-request"),
)
def entry_is_endpoint(handshake: Handshake) -> Problems:
    """`authorization_servers` names an endpoint where an issuer belongs.

    A client does not open this URL. It treats it as an *issuer* and builds the well-known URLs of
    the authorization server metadata from it. An endpoint has no metadata there, so the client
    falls back to `/register`, and its user sees a registration error.

    Usual causes: the authorize URL of the vendor's quick start was copied into the settings instead
    of the issuer (often the tenant's domain).

    Repair: Use the issuer: the exact `issuer` value of the metadata that your authorization server
    publishes.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://api.workos.com/sso/authorize"]}

        GET https://api.workos.com/.well-known/oauth-authorization-server/sso/authorize
        404

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://tenant.authkit.app"]}

        GET https://tenant.authkit.app/.well-known/oauth-authorization-server
        200 {"issuer": "https://tenant.authkit.app",
             "authorization_endpoint": "https://tenant.authkit.app/authorize"}
    """
    for prm, number, entry in _entries(handshake):
        path = urls.path_of(entry)
        # As long as nobody has looked, its name alone speaks against it; in a log or a paste nobody ever will.
        untried = prm.exchange.excerpt and _AUTHORIZE.search(path) and not _asked_for(handshake, entry)
        if untried or (_ENDPOINT_WORDS.search(path) and _dead(handshake, entry)):
            yield Problem(
                exchange=prm.exchange.id,
                message=f"`authorization_servers[{number}]` is {entry}, an endpoint; clients use it as an issuer",
                at=f"{_ENTRIES}[{number}]",
                expected="an issuer, from which metadata can be found",
                actual=entry,
                severity="warning" if untried else None,
            )


@rule(
    "prm-as-entry-wrong-issuer",
    practice("RFC 9728 §2; RFC 8414 §3.3", "https://www.rfc-editor.org/rfc/rfc9728#section-2"),
    who="resource-server",
    severity="error",
    since="2025-06-18",
    stops_at=("as-discovery", "client-registration", "authorization-request"),
)
def entry_wrong_issuer(handshake: Handshake) -> Problems:
    """`authorization_servers` names an issuer without metadata; the same host has another issuer.

    None of the well-known URLs of the entry has metadata, while the same host publishes metadata
    for another issuer. Clients do not look for that one.

    Usual causes: the MCP path was appended to the issuer; the issuer's path (a realm, a tenant) was
    left out.

    Repair: Copy the `issuer` value of the existing metadata, character by character.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com/mcp"]}

        GET https://as.example.com/.well-known/oauth-authorization-server/mcp
        404

        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com",
             "token_endpoint": "https://as.example.com/token"}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}

        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com",
             "token_endpoint": "https://as.example.com/token"}
    """
    living = _living(handshake)
    for prm, number, entry in _entries(handshake):
        if "/.well-known/" in entry or _ENDPOINT_WORDS.search(urls.path_of(entry)) or not _dead(handshake, entry):
            continue
        if any(issuer.rstrip("/") == entry.rstrip("/") for _, issuer in living):
            continue
        other = next(
            (issuer for document, issuer in living if urls.origin(issuer) == urls.origin(entry)),
            None,
        )
        if other is not None:
            yield Problem(
                exchange=prm.exchange.id,
                message=f"`authorization_servers[{number}]` is {entry}, where no metadata is; it is found for {other}",
                at=f"{_ENTRIES}[{number}]",
                expected=other,
                actual=entry,
                patch=_replaced(prm, number, other),
            )


@rule(
    "prm-first-as-unusable",
    practice("MCP 2026-07-28 AS Discovery 'Authorization Server Location'; RFC 9728 §7.6", "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/authorization-server-discovery#authorization-server-location"),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
    stops_at=("as-discovery", "client-registration", "authorization-request"),
)  # fmt: skip
def first_unusable(handshake: Handshake) -> Problems:
    """The first entry of `authorization_servers` has no metadata, but a later one does.

    A client may choose from the list. The common SDKs do not: they try the first entry and stop
    when it has no metadata.

    Usual causes: an old or internal authorization server still at the top of the list.

    Repair: Put the working authorization server first, and remove the others.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://old.example.com", "https://as.example.com"]}

        GET https://old.example.com/.well-known/oauth-authorization-server
        404

        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com",
             "token_endpoint": "https://as.example.com/token"}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com", "https://old.example.com"]}

        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com",
             "token_endpoint": "https://as.example.com/token"}
    """
    prm = handshake.prm
    entries = prm.authorization_servers if prm else ()
    if prm is None or len(entries) < 2:
        return
    asked = _asked_for(handshake, entries[0])
    working = [entry for entry in entries[1:] if any(map(_answers, _asked_for(handshake, entry)))]
    if asked and working and not any(map(_answers, asked)):
        order = [*working, *(entry for entry in entries if entry not in working)]
        yield Problem(
            exchange=prm.exchange.id,
            message=f"no metadata was found for {entries[0]}, the first entry; {working[0]} answers",
            at=f"{_ENTRIES}[0]",
            expected=working[0],
            actual=entries[0],
            patch=Patch(merge={"authorization_servers": order}),
        )


@rule(
    "prm-protected-resources-not-cross-listed",
    should("RFC 9728 §4 and §7.6", "https://www.rfc-editor.org/rfc/rfc9728.html#section-4"),
    who="authorization-server",
    severity="note",
    since="2025-06-18",
)
def not_cross_listed(document: ServerMetadata, so_far: Handshake) -> Problems:
    """`protected_resources` of the authorization server does not list this MCP server.

    `protected_resources` exists so that clients can compare it with `authorization_servers` of the
    MCP server. A client that does so stops.

    Usual causes: a new MCP server that was not added at the authorization server.

    Repair: Add the MCP server's `resource` to `protected_resources`, or leave the member
    out when the list is not kept.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}

        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com",
             "protected_resources": ["https://files.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}

        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com",
             "protected_resources": ["https://mcp.example.com/mcp"]}
    """
    listed = document.document.get("protected_resources")
    resource = so_far.prm.resource if so_far.prm else None
    issuer = document.issuer or ""
    named = so_far.prm is not None and issuer.rstrip("/") in {e.rstrip("/") for e in so_far.prm.authorization_servers}
    if isinstance(listed, list) and resource and named and resource not in listed:
        yield Problem(
            message=f"`protected_resources` lists {len(listed)} resources; {resource} is not one of them",
            at="response.json.protected_resources",
            expected=resource,
            actual=", ".join(map(str, listed[:5])),
            patch=Patch(merge={"protected_resources": [*listed, resource]}),
        )
