"""The metadata URL in the challenge: that it is there, that it can be opened, where it leads."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import (
    AuthorizationRequest,
    Challenge,
    Mcp,
    Registration,
    ResourceMetadata,
    StepUp,
    TokenEndpoint,
    TokenRejected,
)
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice
from oauthtap.model.www_authenticate import Challenge as Parsed
from oauthtap.model.www_authenticate import format_challenges, with_params
from oauthtap.rules import rule
from oauthtap.rules.mcp_challenge.repair import metadata_place

_AT = "response.header.www-authenticate.resource_metadata"
_PLACEHOLDER = re.compile(r"[\s{}<>$]|^(?:undefined|null|none|nil)$|/(?:undefined|null)(?:/|$)", re.I)


def _naming(stage: Mcp, url: str, assumes: str | None = None) -> Patch:
    """The same header, with another metadata URL."""
    challenges = stage.challenged.challenges or (Parsed("Bearer"),)
    changed = [with_params(c, resource_metadata=url) if _carries(c, stage) else c for c in challenges]
    return Patch(headers={"WWW-Authenticate": format_challenges(changed)}, assumes=assumes)


def _carries(challenge: Parsed, stage: Mcp) -> bool:
    return challenge.get("resource_metadata") is not None or challenge is stage.challenged.bearer


@rule(
    "challenge-resource-metadata-missing",
    must(
        "MCP 2025-06-18 'Authorization Server Location'; RFC 9728 §5.1",
        "https://modelcontextprotocol.io/specification/2025-06-18/basic/authorization#authorization-server-location",
    ),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
    stops_at=("as-discovery", "client-registration", "authorization-request"),
)
def metadata_url_missing(stage: Challenge | TokenRejected, so_far: Handshake) -> Problems:
    """The Bearer challenge has no `resource_metadata`.

    In MCP 2025-06-18 this parameter is the only pointer to the metadata. Clients of that revision
    do not try well-known URLs, and take the MCP server itself for the authorization server. Later
    clients try the well-known URLs as well, so from 2025-11-25 it is a hint, not a fault.

    Usual causes: the default challenge of a framework; a server written for 2025-03-26.

    Repair: Add `resource_metadata="<absolute URL of the metadata>"` to the Bearer challenge.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer realm="mcp"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    """
    parsed = stage.challenged
    hidden = re.search(r"resource_metadata", parsed.raw, re.I)
    if stage.status != 401 or parsed.bearer is None or stage.metadata_url is not None or hidden:
        return
    place, assumes = metadata_place(stage, so_far)
    yield Problem(
        message=f"The Bearer challenge has no resource_metadata; it has to name the metadata, such as {place}",
        at=_AT,
        expected=place,
        actual="no resource_metadata",
        # From 2025-11-25 the well-known places do as well, and what is not there has rules of its own.
        severity="note" if isinstance(stage, TokenRejected) or so_far.revision > "2025-06-18" else None,
        patch=_naming(stage, place, assumes),
    )


@rule(
    "challenge-resource-metadata-not-absolute",
    must(
        "RFC 9728 §5.1 (parameter carries the URL of the metadata)",
        "https://www.rfc-editor.org/rfc/rfc9728.html#section-5.1",
    ),
    who="resource-server",
    since="2025-06-18",
    stops_at=("as-discovery", "client-registration", "authorization-request"),
)
def metadata_url_not_absolute(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """`resource_metadata` in the challenge is not an absolute URL.

    A client uses it unchanged. The TypeScript SDK silently ignores an invalid URL, the Python SDK
    stops.

    Usual causes: a path instead of a URL, or a public base URL that is empty or still a
    placeholder.

    Repair: Send the whole URL, beginning with `https://`.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="/.well-known/oauth-protected-resource/mcp"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    """
    named = stage.metadata_url
    if named is None or (named[:1] in "'‘’“”«»" and named):
        return
    parts = urls.split(named)
    if parts and parts.scheme in ("http", "https") and not _PLACEHOLDER.search(named):
        return
    whole = f"{urls.origin(stage.url)}{named}" if re.match(r"/(?!/)\S*$", named) else ""
    place, assumes = (whole, None) if whole and not _PLACEHOLDER.search(whole) else metadata_place(stage, so_far)
    yield Problem(
        message=f"resource_metadata is “{named[:120]}”; it has to be a complete https URL, such as {place}",
        at=_AT,
        expected=place,
        actual=named[:200],
        patch=_naming(stage, place, assumes),
    )


@rule(
    "challenge-resource-metadata-points-to-as",
    must("RFC 9728 §5.1 and §2", "https://www.rfc-editor.org/rfc/rfc9728.html#section-5.1"),
    who="resource-server",
    since="2025-06-18",
    stops_at=("as-discovery", "client-registration", "authorization-request"),
)
def metadata_url_leads_to_as(
    stage: Challenge | TokenRejected | StepUp | ResourceMetadata, so_far: Handshake
) -> Problems:
    """`resource_metadata` names authorization server metadata, not protected resource metadata.

    The client expects a document about the MCP server, with its `resource` and its
    `authorization_servers`. It finds neither, and stops or guesses.

    Usual causes: the two metadata documents were confused.

    Repair: Publish protected resource metadata that lists your issuer under
    `authorization_servers`, and name the URL of that document in the challenge.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://as.example.net/.well-known/oauth-authorization-server"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    """
    if isinstance(stage, ResourceMetadata):
        from_header = stage.initiator is not None and stage.initiator.at.endswith("www-authenticate.resource_metadata")
        alien = {"issuer", "token_endpoint"} & set(stage.document) if stage.found else set()
        if from_header and alien and not {"resource", "authorization_servers"} & set(stage.document):
            yield Problem(
                message=f"The document named by resource_metadata has {' and '.join(sorted(alien))} but no resource",
                at="response.json.resource",
                expected="protected resource metadata",
                actual="authorization server metadata",
            )
        return
    named = stage.metadata_url or ""
    if urls.OAUTH in named or urls.OIDC in named:
        place, assumes = metadata_place(stage, so_far)
        yield Problem(
            message=f"resource_metadata is {named}, metadata of an authorization server; it has to be that of the resource",
            at=_AT,
            expected=place,
            actual=named,
            patch=_naming(stage, place, assumes or f"protected resource metadata is served at {place}"),
        )


@rule(
    "challenge-resource-metadata-other-origin",
    practice("RFC 9728 §3.3 and §5.1", "https://www.rfc-editor.org/rfc/rfc9728.html#section-3.3"),
    who="resource-server",
    since="2025-06-18",
)
def metadata_url_elsewhere(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """`resource_metadata` in the challenge names another host than the MCP server's.

    That is permitted. But the document still has to name the MCP URL as its `resource`, and clients
    in browsers or with strict rules may refuse to fetch it from another host.

    Repair: Serve the metadata on the host of the MCP server where you can.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://as.example.net/.well-known/oauth-protected-resource"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    """
    named, own = urls.split(stage.metadata_url or ""), urls.split(stage.url)
    if named and own and named.hostname != own.hostname:
        yield Problem(
            message=f"The metadata is said to be on {named.hostname}; the MCP server is {own.hostname}",
            at=_AT,
            expected=own.hostname,
            actual=named.hostname,
        )


@rule(
    "challenge-resource-metadata-root-for-path",
    practice("RFC 9728 §3.1", "https://datatracker.ietf.org/doc/html/rfc9728#section-3.1"),
    who="resource-server",
    since="2025-06-18",
    stops_at=("as-discovery", "client-registration", "mcp-challenge"),
)
def metadata_at_root_only(handshake: Handshake) -> Problems:
    """The protected resource metadata is only at the root well-known URL, but the MCP URL has a path.

    A client that follows the challenge finds it. One that builds the URL inserts the well-known
    path before the MCP path and gets 404, and some do not accept a document from the root for a
    resource with a path.

    Usual causes: a server library that is older than the path-inserted URL.

    Repair: Serve the same document at the path-inserted URL too, and name that one in the
    challenge.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    """
    places = urls.prm_locations(handshake.resource or "")
    if len(places) < 2:
        return
    inserted, root = places[0].url, places[1].url
    named = next((c for c in reversed(handshake.all(Mcp)) if c.metadata_url in (root, f"{root}/")), None)
    documents = [d for d in handshake.all(ResourceMetadata) if d.exchange.actor in ("client", "browser")]
    missed = [d for d in documents if d.url == inserted and (d.status or 0) >= 400]
    served = [d for d in documents if d.url == root and d.ok]
    guessed = missed[-1] if missed and (named or served) else None
    if named is None and guessed is None:
        return
    further = (AuthorizationRequest, TokenEndpoint, Registration)
    stopped = guessed is not None and not served and handshake.authorized is None
    stopped = stopped and not any(isinstance(stage, further) for stage in handshake.stages)
    subject = guessed if guessed is not None and stopped else named or guessed
    assert subject is not None
    yield Problem(
        message=f"The metadata is at {root} only; a client that builds the URL from the MCP URL asks for {inserted}",
        at=_AT if subject is named else "response.status",
        expected=inserted,
        actual=root,
        exchange=subject.exchange.id,
        severity="warning" if stopped else None,
        patch=_naming(named, inserted, f"the document is served at {inserted} as well")
        if named and subject is named
        else None,
    )
