"""The entries of `authorization_servers`: issuers, from which clients build their next URLs."""

from __future__ import annotations

import re

from oauthtap import urls
from oauthtap.findings import Problem, Problems
from oauthtap.handshake import Handshake
from oauthtap.rules import rule
from oauthtap.specs import must
from oauthtap.stages import ResourceMetadata

_ENDPOINT_WORDS = re.compile(
    r"/(?:authorize|authorization|token|register|introspect|revoke|userinfo|callback|login|sign-?in|sso)/?$", re.I
)


@rule(
    "prm-as-entry-is-endpoint",
    must("RFC 9728 §2; RFC 8414 §2", "https://www.rfc-editor.org/rfc/rfc9728.html#section-2"),
    who="resource-server",
    since="2025-06-18",
    stops_at=("as-discovery", "client-registration", "authorization-request"),
)
def as_entry_is_endpoint(prm: ResourceMetadata, so_far: Handshake) -> Problems:
    """`authorization_servers` names an endpoint where an issuer belongs.

    A client does not open this URL. It takes it for an *issuer* and builds the places
    of the authorization server's metadata from it. Below an endpoint nothing is found
    there, so the client falls back to guessing `/register`, and what its user gets to
    read is a registration error.

    Usual causes: the authorize URL of the vendor's quick start was copied into the
    manifest, where its issuer (often the tenant's own domain) was meant.

    Repair: Put the issuer there: the exact `issuer` value of the metadata that your
    authorization server publishes.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://api.workos.com/sso/authorize"]}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://tenant.authkit.app"]}
    """
    for number, entry in enumerate(prm.authorization_servers):
        if _ENDPOINT_WORDS.search(urls.path_of(entry)):
            yield Problem(
                message=f"`authorization_servers[{number}]` is {entry}, an endpoint; clients take it for an issuer",
                at=f"response.json.authorization_servers[{number}]",
                expected="an issuer, from which metadata can be found",
                actual=entry,
            )
