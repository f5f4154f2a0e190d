"""The stages of discovery: each fetches a document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from oauthtap.handshake.stages.base import Stage, text, texts
from oauthtap.model import urls

_MOST_SERVERS = 20
"""Entries of `authorization_servers` that are looked at: no client goes further, and some rules compare all of them."""


@dataclass(frozen=True)
class Document(Stage):
    """A metadata document: one JSON object fetched with GET."""

    variant: str = ""
    """How the URL was come by: `header` (named by a challenge), `inserted`, `root`, `appended`, `other`."""

    @property
    def found(self) -> bool:
        """Answered 200 with one JSON object. Raises Unseen when the body of a 200 was not recorded."""
        return self.status == 200 and bool(self.document)

    @property
    def document(self) -> dict[str, Any]:
        """The document; empty when the answer is no success or no JSON object. Raises Unseen."""
        return self.answer_object if self.ok else {}

    def get(self, member: str) -> str | None:
        """A member that has to be a string; None when it is missing or anything else. Raises Unseen."""
        return text(self.document.get(member))

    def list(self, member: str) -> tuple[str, ...]:
        """The strings of a member that has to be a list of strings. Raises Unseen."""
        return texts(self.document.get(member))


@dataclass(frozen=True)
class ResourceMetadata(Document):
    """Protected resource metadata (RFC 9728)."""

    slug: ClassVar[str] = "prm-discovery"

    @property
    def resource(self) -> str | None:
        return self.get("resource")

    @property
    def authorization_servers(self) -> tuple[str, ...]:
        return self.list("authorization_servers")[:_MOST_SERVERS]

    @property
    def listed_servers(self) -> tuple[str, ...]:
        """`authorization_servers` of a document that was served and recorded; else empty, without `Unseen`."""
        seen = self.exchange.response is not None and self.exchange.response.body is not None
        return self.authorization_servers if self.ok and seen else ()

    @property
    def described(self) -> str | None:
        """The resource identifier a well-known URL was built from (RFC 9728, 3.1); None for other URLs."""
        base, path = urls.origin(self.url), urls.path_of(self.url)
        if not path.startswith(urls.PRM):
            return None
        query = f"?{self.request.parts.query}" if self.request.parts.query else ""
        return base + path.removeprefix(urls.PRM) + query


@dataclass(frozen=True)
class ServerMetadata(Document):
    """Authorization server metadata (RFC 8414) or OpenID provider configuration."""

    slug: ClassVar[str] = "as-discovery"

    expected_issuer: str | None = None
    """The issuer whose metadata the client was after: the PRM entry, or what the URL was built from."""

    @property
    def oidc(self) -> bool:
        return urls.OIDC in self.request.path

    @property
    def published(self) -> bool:
        """Answered 200 with a JSON object that means to be metadata: it has an issuer or an endpoint. Raises Unseen."""
        return self.status == 200 and any(name == "issuer" or name.endswith("_endpoint") for name in self.document)

    @property
    def issuer(self) -> str | None:
        return self.get("issuer")

    @property
    def endpoints(self) -> dict[str, str]:
        """Every member that ends in `_endpoint` or is `jwks_uri`, with its URL. Raises Unseen."""
        return {
            name: value
            for name, value in self.document.items()
            if isinstance(value, str) and (name.endswith("_endpoint") or name == "jwks_uri")
        }


@dataclass(frozen=True)
class KeySet(Document):
    slug: ClassVar[str] = "jwks-fetch"


@dataclass(frozen=True)
class ClientMetadata(Document):
    """A client ID metadata document, fetched by the authorization server (CIMD)."""

    slug: ClassVar[str] = "client-metadata-fetch"
