"""Which MCP endpoint a protected resource metadata document is about. Registers no rules."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch
from oauthtap.handshake.stages import Mcp, ResourceMetadata, Unseen
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls


def mcp_url(prm: ResourceMetadata, so_far: Handshake) -> str | None:
    """The MCP URL the document has to describe; None where nothing on the wire says it.

    With several endpoints it is the one whose answer led here, or the one that the
    well-known URL was built from; else the URL the client was given.
    """
    stages = so_far.of(prm.initiator.exchange) if prm.initiator and prm.initiator.exchange else ()
    if prm.initiator and not prm.initiator.guess and stages and isinstance(stages[0], Mcp):
        return stages[0].url
    described = prm.described
    if described and so_far.is_mcp(described) and urls.path_of(described) != "/":
        return described
    if so_far.resource is None:
        return described if described and urls.path_of(described) != "/" else None
    return so_far.resource if urls.origin(so_far.resource) == urls.origin(prm.url) else None


def found(prm: ResourceMetadata) -> bool:
    """The document was found, for rules over the whole handshake: an unseen body counts as found."""
    try:
        return prm.found
    except Unseen:
        return prm.ok


def synthesized(so_far: Handshake, resource: str | None) -> Patch | None:
    """The smallest document that lets a client go on; None while the resource is not known."""
    if resource is None:
        return None
    known = so_far.metadata.issuer if so_far.metadata else None
    issuer = so_far.issuer or known or urls.origin(resource)
    return Patch(
        status=200,
        headers={"Location": None, "Content-Type": "application/json"},
        body="{}",
        merge={"resource": resource, "authorization_servers": [issuer]},
        assumes=f"{issuer} is the authorization server of {resource}",
    )
