"""`authorization_servers`: whether there is a list, and its entries."""

from __future__ import annotations

from typing import Any

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import ResourceMetadata
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must
from oauthtap.rules import rule

_ENTRIES = "response.json.authorization_servers"
_LATER = ("as-discovery", "client-registration", "authorization-request")
_LOOK_ALIKES = ("authorization_server", "authorizationServers", "authorizationServer", "auth_servers", "issuer")
_NAMED = (
    "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization/"
    "authorization-server-discovery#authorization-server-location"
)


def _with(prm: ResourceMetadata, so_far: Handshake, entries: list[str] | None = None) -> Patch:
    """A list put in place: the given one, or the authorization server the handshake already knows."""
    known = so_far.metadata.issuer if so_far.metadata else None
    issuer = known or urls.origin(prm.url)
    return Patch(
        merge={"authorization_servers": entries or [issuer]},
        assumes=f"{(entries or [issuer])[0]} is the authorization server",
    )


@rule(
    "prm-authorization-servers-missing",
    must("MCP 2026-07-28 AS Discovery 'Authorization Server Location'; RFC 9728 §2", _NAMED),
    who="resource-server",
    since="2025-06-18",
    stops_at=_LATER,
)
def missing(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """The protected resource metadata has no `authorization_servers`.

    The client does not learn where to sign in. Some clients stop here; others take the MCP server
    itself for the authorization server and fail there.

    Usual causes: the member is optional in RFC 9728, but required by MCP; the member is misspelled.

    Repair: Add `authorization_servers`, a list with the issuer of your authorization
    server, even when that is the same host.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp"}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    if prm.found and "jsonrpc" not in prm.document and "authorization_servers" not in prm.document:
        near = next((name for name in _LOOK_ALIKES if isinstance(prm.document.get(name), str)), None)
        yield Problem(
            message="the document has no `authorization_servers`; it has to list one issuer at least",
            at=_ENTRIES,
            expected="a list of issuers",
            actual="no member",
            patch=_with(prm, so_far, [prm.document[near]] if near else None),
        )


@rule(
    "prm-authorization-servers-empty",
    must("MCP 2026-07-28 AS Discovery 'Authorization Server Location'; RFC 9728 §3.2", _NAMED),
    who="resource-server",
    since="2025-06-18",
    stops_at=_LATER,
)
def empty(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`authorization_servers` is an empty list.

    With an empty list the client does not know where to sign in.

    Usual causes: a setting that is empty in this environment; a framework that serializes the list
    before it is filled.

    Repair: List the issuer of your authorization server.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": []}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    value = prm.document.get("authorization_servers")
    if isinstance(value, list) and all(isinstance(entry, str) and not entry.strip() for entry in value):
        yield Problem(
            message=f"`authorization_servers` is {value!r:.80}; it has to list one issuer at least",
            at=_ENTRIES,
            expected="a list of issuers",
            actual=f"{value!r:.80}",
            patch=_with(prm, so_far),
        )


@rule(
    "prm-authorization-servers-type",
    must("RFC 9728 §2 and §3.2", "https://www.rfc-editor.org/rfc/rfc9728.html#section-2"),
    who="resource-server",
    since="2025-06-18",
    stops_at=_LATER,
)
def wrong_type(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`authorization_servers` is not a list of strings.

    This member tells clients where to sign in. They validate the metadata against a schema: with a
    string or an object they reject the whole document, and then guess.

    Usual causes: a single URL without the brackets; a list of objects; the string value of an
    environment variable.

    Repair: Write a list of issuer URLs, also when there is only one:
    `["https://as.example.com"]`.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": "https://as.example.com"}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    if "authorization_servers" not in prm.document:
        return
    value = prm.document["authorization_servers"]
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return
    yield Problem(
        message=f"`authorization_servers` is {value!r:.120}; it has to be a list of strings",
        at=_ENTRIES,
        expected="a list of issuer URLs",
        actual=f"{value!r:.120}",
        patch=_with(prm, so_far, _urls_in(value)),
    )


def _urls_in(value: Any) -> list[str]:
    """The URLs that were meant, out of a string, a list of objects, or an object."""
    values = value if isinstance(value, list) else [value]
    flat = [inner for one in values for inner in (one.values() if isinstance(one, dict) else [one])]
    return [one for one in flat if isinstance(one, str) and urls.origin(one)]


@rule(
    "prm-as-entry-is-metadata-url",
    must("RFC 9728 §2; RFC 8414 §2 (issuer)", "https://www.rfc-editor.org/rfc/rfc9728.html#section-2"),
    who="resource-server",
    since="2025-06-18",
    stops_at=("as-discovery", "client-registration", "authorization-request"),
)
def entry_is_metadata_url(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`authorization_servers` names a metadata URL where an issuer belongs.

    A client inserts the well-known path into this URL. When the URL already has it, the client
    requests a URL that has it twice, and gets 404.

    Usual causes: the URL of the metadata was copied from the browser.

    Repair: Use the `issuer` value of that document.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com/.well-known/openid-configuration"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    entries = prm.authorization_servers
    for number, entry in enumerate(entries):
        if "/.well-known/" in entry:
            built = [issuer for issuer, _ in urls.issuers_for_metadata_url(entry)]
            issuer = built[0] if built else entry.partition("/.well-known/")[0]
            mended = [*entries[:number], issuer, *entries[number + 1 :]]
            yield Problem(
                message=f"`authorization_servers[{number}]` is {entry}, a metadata URL; its issuer is likely {issuer}",
                at=f"{_ENTRIES}[{number}]",
                expected=issuer,
                actual=entry,
                patch=Patch(
                    merge={
                        "authorization_servers": [urls.without_query(e.partition("/.well-known/")[0]) for e in mended]
                    },
                    assumes=f"{issuer} is the `issuer` in the document behind {entry}",
                ),
            )


@rule(
    "prm-as-entry-not-https",
    must("RFC 8414 §2; RFC 9728 §2", "https://www.rfc-editor.org/rfc/rfc8414.html#section-2"),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
    stops_at=("as-discovery", "client-registration"),
)
def entry_not_https(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """An entry of `authorization_servers` is not an https URL.

    Passwords and tokens are sent there, so clients require https, and they need the whole URL to
    build the well-known URL.

    Usual causes: TLS ends at a proxy, and the server ignores `X-Forwarded-Proto`; a bare host name
    or a path in the settings.

    Repair: Use the full https issuer: the exact `issuer` value of the authorization server's own
    metadata.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["http://as.example.com"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    for number, entry in enumerate(prm.authorization_servers):
        base = urls.origin(entry)
        if not entry.strip() or base.startswith("https://") or (base and urls.is_loopback(entry)):
            continue
        secure = f"https{entry[4:]}" if base.startswith("http://") else None
        entries = [e if e != entry else secure for e in prm.authorization_servers]
        yield Problem(
            message=f"`authorization_servers[{number}]` is {entry}; it has to be a whole https URL",
            at=f"{_ENTRIES}[{number}]",
            expected=secure or "an https URL with a host",
            actual=entry,
            patch=Patch(merge={"authorization_servers": entries}, assumes="the authorization server answers over https")
            if secure
            else None,
        )


@rule(
    "prm-as-entry-query-fragment",
    must("RFC 8414 §2", "https://www.rfc-editor.org/rfc/rfc8414.html#section-2"),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
    stops_at=("as-discovery", "client-registration"),
)
def entry_query_fragment(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """An entry of `authorization_servers` has a query or a fragment.

    A client inserts the well-known path into this URL. The query or fragment ends up in the wrong
    position or is lost, and the metadata is not found.

    Usual causes: a tenant selected by a parameter; a link copied from a browser.

    Repair: Use the issuer without them. If tenants differ by a parameter, ask the vendor for the
    issuer of your tenant.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com?tenant=7"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}
    """
    for number, entry in enumerate(prm.authorization_servers):
        bare = urls.without_query(entry)
        if bare != entry and urls.origin(entry):
            yield Problem(
                message=f"`authorization_servers[{number}]` is {entry}; it has to end at {bare}",
                at=f"{_ENTRIES}[{number}]",
                expected=bare,
                actual=entry,
                patch=Patch(
                    merge={"authorization_servers": [urls.without_query(e) for e in prm.authorization_servers]},
                    assumes=f"{bare} is an issuer",
                ),
            )
