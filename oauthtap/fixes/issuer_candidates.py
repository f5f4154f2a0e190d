"""Which issuer could have been meant: candidates, each with where it comes from.

A candidate is worth something only once its metadata was fetched and states it. What the
recording already shows needs no fetching; the rest is checked by whoever has a network.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Literal

from oauthtap.fixes.presets import Vendor, vendors
from oauthtap.handshake.stages import Mcp, ServerMetadata, TokenEndpoint, Unseen, text
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.redaction.alias_format import claims

WANT_AN_ISSUER = frozenset(
    {
        "prm-as-entry-is-endpoint",
        "prm-as-entry-wrong-issuer",
        "prm-as-entry-is-metadata-url",
        "prm-authorization-servers-missing",
        "prm-authorization-servers-empty",
        "prm-authorization-servers-type",
        "prm-first-as-unusable",
        "as-metadata-not-found",
    }
)
"""Rules whose repair begins with the right issuer."""

Verification = Literal["checked", "recorded"]


@dataclass(frozen=True)
class Candidate:
    """An issuer that could be meant."""

    issuer: str
    why: str
    """Where it comes from, as the end of a sentence."""
    sure: Verification | None = None
    """`recorded`: the recording holds its metadata; `checked`: its metadata was fetched just now. None: not yet."""


def candidates(handshake: Handshake) -> tuple[Candidate, ...]:
    """Every issuer the recording hints at, the likeliest first, each once."""
    found: dict[str, Candidate] = {}
    for one in (*_recorded(handshake), *_of_tokens(handshake), *_challenged(handshake), *_beside(handshake)):
        found.setdefault(one.issuer.rstrip("/"), one)
    return tuple(found.values())


def states(issuer: str, document: Mapping[str, Any]) -> bool:
    """A fetched document is this issuer's metadata (RFC 8414, 3.3)."""
    return document.get("issuer") == issuer and isinstance(document.get("authorization_endpoint"), str)


def vendor_of(url: str) -> Vendor | None:
    """Whose product stands behind a URL, where its host tells."""
    host, path = urls.host(url), urls.path_of(url)
    by_host = [one for one in vendors() if any(h != "*" and fnmatchcase(host, h) for h in one.hosts)]
    realm = "/realms/" in path and next((one for one in vendors() if one.hosts == ("*",)), None)
    return by_host[0] if by_host else (realm or None)


def _recorded(handshake: Handshake) -> Iterator[Candidate]:
    for document in handshake.all(ServerMetadata):
        try:
            if document.published and document.issuer and urls.origin(document.issuer):
                yield Candidate(document.issuer, f"exchange {document.exchange.id} is its metadata", "recorded")
        except Unseen:
            continue


def _of_tokens(handshake: Handshake) -> Iterator[Candidate]:
    for token in handshake.all(TokenEndpoint):
        try:
            issued = text(token.issued.get("access_token"))
        except Unseen:
            continue
        stated = (claims(issued) or {}).get("iss") if issued else None
        if isinstance(stated, str) and urls.origin(stated):
            yield Candidate(stated, f"the token of exchange {token.exchange.id} says that it comes from there")


def _challenged(handshake: Handshake) -> Iterator[Candidate]:
    """URLs in a 401 that are no pointer to metadata: some servers name their authorization server there."""
    for stage in handshake.all(Mcp):
        for challenge in stage.challenged.challenges:
            for name in ("as_uri", "authorization_uri", "issuer", "realm"):
                value = challenge.get(name) or ""
                if urls.origin(value).startswith("https://"):
                    yield Candidate(value, f"the 401 of exchange {stage.exchange.id} has it as `{name}`")


def _beside(handshake: Handshake) -> Iterator[Candidate]:
    """What stands in the metadata now, cut shorter from the right; then the server's own origin."""
    try:
        entries = handshake.prm.authorization_servers if handshake.prm else ()
    except Unseen:
        entries = ()
    for entry in entries:
        base, path = urls.origin(entry), urls.path_of(entry).strip("/").split("/")
        vendor = vendor_of(entry)
        if vendor and vendor.path_labels and vendor.path_labels < len(path):
            yield Candidate(f"{base}/{'/'.join(path[: vendor.path_labels])}", f"issuers of {vendor.name} look like it")
        for length in range(len(path) - 1, -1, -1):
            shorter = "/".join((base, *path[:length]))
            if base:
                yield Candidate(shorter, f"it is what {entry} begins with")
    if handshake.resource:
        yield Candidate(urls.origin(handshake.resource), "the MCP server may be its own authorization server")
