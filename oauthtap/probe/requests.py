"""Every request the probe makes, as a value.

Worded for MCP 2025-11-25, the newest revision that begins with `initialize`, and for
2026-07-28 where a server speaks nothing older.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from oauthtap.model.exchange import Actor, Request

REVISION, MODERN = "2025-11-25", "2026-07-28"
_ACCEPT = ("Accept", "application/json, text/event-stream")
_META = "io.modelcontextprotocol/"


@dataclass(frozen=True)
class ProbeRequest:
    """A request to send. What comes back is an exchange, also when nothing came."""

    request: Request
    actor: Actor = "client"
    """`reporter` for a look that a client would not have made here."""
    opening: bool = False
    """Of a stream without an end, its first event is enough; it stays open until the walk ends."""


@dataclass(frozen=True)
class BrowserStep:
    """A person is to open this URL. What comes back is the exchange with the callback, also when nobody came."""

    url: str


@dataclass(frozen=True)
class RequestBuilder:
    """Who asks: the version of oauthtap, and what it calls itself everywhere."""

    version: str

    @property
    def agent(self) -> tuple[str, str]:
        return "User-Agent", f"oauthtap/{self.version} probe"

    @property
    def info(self) -> dict[str, str]:
        return {"name": "oauthtap-probe", "version": self.version}

    def initialize(self, url: str, token: str | None = None) -> Request:
        """The first request of every revision up to 2025-11-25."""
        params = {"protocolVersion": REVISION, "capabilities": {}, "clientInfo": self.info}
        return self._post(url, {"method": "initialize", "id": 1, "params": params}, token=token)

    def initialized(self, url: str, token: str | None, session: str | None, revision: str) -> Request:
        """The notification that `initialize` is done."""
        message = {"method": "notifications/initialized"}
        return self._post(url, message, *_session(session, revision), token=token)

    def tools(self, url: str, token: str | None, session: str | None, revision: str) -> Request:
        """A first request behind `initialize`."""
        return self._post(url, {"method": "tools/list", "id": 2}, *_session(session, revision), token=token)

    def modern(self, url: str, method: str, token: str | None = None) -> Request:
        """A request of 2026-07-28, which carries version and client with it."""
        meta = {"protocolVersion": MODERN, "clientInfo": self.info, "clientCapabilities": {}}
        params = {"_meta": {_META + name: value for name, value in meta.items()}}
        headers = (("MCP-Protocol-Version", MODERN), ("Mcp-Method", method))
        return self._post(url, {"method": method, "id": 1, "params": params}, *headers, token=token)

    def end(self, url: str, token: str | None, session: str, revision: str) -> Request:
        """The session is not needed any more (2025-11-25, Session Management)."""
        headers = (self.agent, _ACCEPT, *_session(session, revision), *_bearer(token))
        return Request(method="DELETE", url=url, headers=headers)

    def stream(self, url: str, token: str | None = None) -> Request:
        """The legacy transport's stream, which begins by naming where to post (2024-11-05)."""
        return Request(method="GET", url=url, headers=(self.agent, ("Accept", "text/event-stream"), *_bearer(token)))

    def document(self, url: str) -> Request:
        """A metadata document."""
        headers = (self.agent, ("Accept", "application/json"), ("MCP-Protocol-Version", REVISION))
        return Request(method="GET", url=url, headers=headers)

    def page(self, url: str, cookies: Mapping[str, str] | None = None) -> Request:
        """What a browser would ask for."""
        jar = "; ".join(f"{name}={value}" for name, value in (cookies or {}).items())
        headers = (self.agent, ("Accept", "text/html"), *((("Cookie", jar),) if jar else ()))
        return Request(method="GET", url=url, headers=headers)

    def registration(self, url: str, callback: str, scope: str | None) -> Request:
        """A public native client (RFC 7591, 2)."""
        described: dict[str, Any] = {
            "client_name": "oauthtap probe",
            "redirect_uris": [callback],
            "grant_types": ["authorization_code", "refresh_token"],
            "response_types": ["code"],
            "token_endpoint_auth_method": "none",
            "application_type": "native",
        }
        described |= {"scope": scope} if scope else {}
        headers = (self.agent, ("Accept", "application/json"), ("Content-Type", "application/json"))
        return Request(method="POST", url=url, headers=headers, body=json.dumps(described))

    def deregistration(self, url: str, token: str) -> Request:
        """Take the registration back (RFC 7592, 2.3)."""
        return Request(method="DELETE", url=url, headers=(self.agent, *_bearer(token)))

    def form(self, url: str, pairs: Mapping[str, str], *headers: tuple[str, str]) -> Request:
        """A form, as the token endpoint wants it (RFC 6749, 4.1.3)."""
        kind = ("Content-Type", "application/x-www-form-urlencoded")
        return Request(
            method="POST", url=url, headers=(self.agent, ("Accept", "application/json"), kind, *headers),
            body=urlencode(pairs),
        )  # fmt: skip

    def _post(self, url: str, message: dict[str, Any], *headers: tuple[str, str], token: str | None) -> Request:
        kind = ("Content-Type", "application/json")
        body = json.dumps({"jsonrpc": "2.0", **message})
        return Request(
            method="POST", url=url, headers=(self.agent, _ACCEPT, kind, *headers, *_bearer(token)), body=body
        )


def _bearer(token: str | None) -> tuple[tuple[str, str], ...]:
    return (("Authorization", f"Bearer {token}"),) if token else ()


def _session(session: str | None, revision: str) -> tuple[tuple[str, str], ...]:
    version = ("MCP-Protocol-Version", revision)
    return (version, ("Mcp-Session-Id", session)) if session else (version,)


def basic(client_id: str, secret: str) -> tuple[str, str]:
    """Client id and secret as HTTP Basic, each form-encoded first (RFC 6749, 2.3.1)."""
    pair = f"{quote(client_id, safe='')}:{quote(secret, safe='')}"
    return "Authorization", f"Basic {base64.b64encode(pair.encode()).decode()}"


def challenge(verifier: str) -> str:
    """The S256 challenge for a verifier (RFC 7636, 4.2)."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def with_query(url: str, pairs: Mapping[str, str]) -> str:
    """The URL with these parameters behind those it has (RFC 6749, 3.1)."""
    bare, _, _ = url.partition("#")
    return f"{bare}{'&' if '?' in bare else '?'}{urlencode(pairs)}"
