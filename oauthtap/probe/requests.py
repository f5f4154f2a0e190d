"""Every request the probe makes, as a value, worded as the client it walks as words it.

By itself it speaks MCP 2025-11-25, the newest revision that begins with `initialize`, and
2026-07-28 where a server speaks nothing older.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from oauthtap.clients.traits import Behaviour
from oauthtap.handshake.stages import text
from oauthtap.model.exchange import Actor, Pairs, Request

MODERN = "2026-07-28"
_ACCEPT = ("Accept", "application/json, text/event-stream")
_META = "io.modelcontextprotocol/"
BROWSER = "Mozilla/5.0 (compatible; a browser without hands)"
"""Of a page that the client itself would leave to a person's browser."""


@dataclass(frozen=True)
class ProbeRequest:
    """A request to send. What comes back is an exchange, also when nothing came."""

    request: Request
    actor: Actor = "client"
    """`reporter` for a look that a client would not have made here."""
    opening: bool = False
    """Of a stream without an end, its first event is enough; it stays open until the walk ends."""
    after: float = 0.0
    """Seconds to wait before it is sent."""
    answer_needed: bool = False
    """What comes back is lost for good unless it is heard: also who is interrupted waits for it."""


@dataclass(frozen=True)
class BrowserStep:
    """A person is to open this URL. What comes back is the exchange with the callback, also when nobody came."""

    url: str
    actor: Actor = "browser"


@dataclass(frozen=True)
class RequestBuilder:
    """Who asks, and how it words what it asks."""

    client: Behaviour

    @property
    def revision(self) -> str:
        return self.client.revision

    def _agent(self, token: str | None) -> tuple[str, str]:
        return "User-Agent", (self.client.agent if token else self.client.tokenless_agent or self.client.agent)

    @property
    def _oauth_agent(self) -> tuple[str, str]:
        return "User-Agent", self.client.oauth_agent or self.client.agent

    def initialize(self, url: str, token: str | None = None) -> Request:
        """The first request of every revision up to 2025-11-25."""
        params = {"protocolVersion": self.revision, "capabilities": {}, "clientInfo": dict(self.client.client_info)}
        early = (("MCP-Protocol-Version", self.revision),) if self.client.first_version_header else ()
        return self._post(url, {"method": "initialize", "id": 1, "params": params}, *early, token=token)

    def initialized(self, url: str, token: str | None, session: str | None, revision: str) -> Request:
        """The notification that `initialize` is done."""
        message = {"method": "notifications/initialized"}
        return self._post(url, message, *_session(session, revision), token=token)

    def tools(self, url: str, token: str | None, session: str | None, revision: str) -> Request:
        """A first request behind `initialize`."""
        return self._post(url, {"method": "tools/list", "id": 2}, *_session(session, revision), token=token)

    def modern(self, url: str, method: str, token: str | None = None) -> Request:
        """A request of 2026-07-28, which carries version and client with it."""
        meta = {"protocolVersion": MODERN, "clientInfo": dict(self.client.client_info), "clientCapabilities": {}}
        params = {"_meta": {_META + name: value for name, value in meta.items()}}
        headers = (("MCP-Protocol-Version", MODERN), ("Mcp-Method", method))
        return self._post(url, {"method": method, "id": 1, "params": params}, *headers, token=token)

    def end(self, url: str, token: str | None, session: str, revision: str) -> Request:
        """The session is not needed any more (2025-11-25, Session Management)."""
        headers = (self._agent(token), _ACCEPT, *_session(session, revision), *_bearer(token))
        return Request(method="DELETE", url=url, headers=headers)

    def stream(self, url: str, token: str | None = None) -> Request:
        """The legacy transport's stream, which begins by naming where to post (2024-11-05)."""
        headers = (self._agent(token), ("Accept", "text/event-stream"), *_bearer(token))
        return Request(method="GET", url=url, headers=headers)

    def document(self, url: str) -> Request:
        """A metadata document."""
        version = (("MCP-Protocol-Version", self.revision),) if self.client.document_version_header else ()
        headers = (self._oauth_agent, ("Accept", self.client.document_accept), *version)
        return Request(method="GET", url=url, headers=headers)

    def page(self, url: str, cookies: Mapping[str, str] | None = None) -> Request:
        """What a browser would ask for."""
        jar = "; ".join(f"{name}={value}" for name, value in (cookies or {}).items())
        agent = ("User-Agent", self.client.agent if not self.client.redirect_uri else BROWSER)
        headers = (agent, ("Accept", "text/html"), *((("Cookie", jar),) if jar else ()))
        return Request(method="GET", url=url, headers=headers)

    def registration(self, url: str, redirect_uris: Sequence[str], method: str, scope: str | None) -> Request:
        """A client that registers itself (RFC 7591, 2)."""
        described = {**self.client.registration, "redirect_uris": list(redirect_uris)}
        described |= {"token_endpoint_auth_method": method}
        described |= {"scope": scope} if scope and self.client.registration_scope else {}
        headers = (self._oauth_agent, ("Accept", "application/json"), ("Content-Type", "application/json"))
        return Request(method="POST", url=url, headers=headers, body=json.dumps(described))

    def deregistration(self, url: str, token: str) -> Request:
        """Take the registration back (RFC 7592, 2.3)."""
        return Request(method="DELETE", url=url, headers=(self._oauth_agent, *_bearer(token)))

    def form(self, url: str, pairs: Mapping[str, str], *headers: tuple[str, str]) -> Request:
        """A form, as the token endpoint wants it (RFC 6749, 4.1.3)."""
        kind = ("Content-Type", "application/x-www-form-urlencoded")
        return Request(
            method="POST", url=url, headers=(self._oauth_agent, ("Accept", "application/json"), kind, *headers),
            body=urlencode(pairs),
        )  # fmt: skip

    def _post(self, url: str, message: dict[str, Any], *headers: tuple[str, str], token: str | None) -> Request:
        kind = ("Content-Type", "application/json")
        body = json.dumps({"jsonrpc": "2.0", **message})
        lines = (self._agent(token), _ACCEPT, kind, *headers, *_bearer(token))
        return Request(method="POST", url=url, headers=lines, body=body)


def _bearer(token: str | None) -> tuple[tuple[str, str], ...]:
    return (("Authorization", f"Bearer {token}"),) if token else ()


def _session(session: str | None, revision: str) -> tuple[tuple[str, str], ...]:
    version = ("MCP-Protocol-Version", revision)
    return (version, ("Mcp-Session-Id", session)) if session else (version,)


def basic(client_id: str, secret: str) -> tuple[str, str]:
    """Client id and secret as HTTP Basic, each form-encoded first (RFC 6749, 2.3.1)."""
    pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
    return "Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"


def with_credentials(client: Mapping[str, Any], form: Mapping[str, str]) -> tuple[dict[str, str], Pairs]:
    """The form with the client's credentials in it, or in a header, as it was registered (RFC 7591, 2)."""
    client_id, secret = str(client["client_id"]), text(client.get("client_secret"))
    method = client.get("token_endpoint_auth_method", "client_secret_basic" if secret else "none")
    if secret and method == "client_secret_basic":
        return dict(form), (basic(client_id, secret),)
    posted = {"client_secret": secret} if secret and method == "client_secret_post" else {}
    return {**form, "client_id": client_id, **posted}, ()


def challenge(verifier: str) -> str:
    """The S256 challenge for a verifier (RFC 7636, 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def with_query(url: str, pairs: Mapping[str, str]) -> str:
    """The URL with these parameters behind those it has (RFC 6749, 3.1)."""
    bare, _, _ = url.partition("#")
    return f"{bare}{'&' if '?' in bare else '?'}{urlencode(pairs)}"
