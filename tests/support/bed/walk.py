"""A small client that does every step of the handshake by the book, one call each, and hides nothing.

What the quick tests use in place of a real client. Knows httpx and the specs; knows no bed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx

CALLBACK = "http://localhost:33418/callback"
ACCEPT = {"Accept": "application/json, text/event-stream"}


class Walk:
    """One handshake with the MCP server at `url`, through an httpx client that knows how to get there."""

    def __init__(self, http: httpx.Client, url: str) -> None:
        self.http = http
        self.url = url
        parts = urlsplit(url)
        self.origin, self.path = f"{parts.scheme}://{parts.netloc}", parts.path
        self.verifier = secrets.token_urlsafe(32)
        self.state = secrets.token_urlsafe(16)

    def post(self, method: str, *, token: str = "", session: str = "", **parameters: Any) -> httpx.Response:
        """One JSON-RPC request to the MCP URL; a notification when the method is one."""
        message: dict[str, Any] = {"jsonrpc": "2.0", "method": method, "params": parameters}
        if not method.startswith("notifications/"):
            message["id"] = 1
        headers = ACCEPT | ({"Authorization": f"Bearer {token}"} if token else {})
        headers |= {"Mcp-Session-Id": session, "MCP-Protocol-Version": "2025-11-25"} if session else {}
        return self.http.post(self.url, json=message, headers=headers)

    def initialize(self, token: str = "") -> httpx.Response:
        """The first request of the revisions up to 2025-11-25."""
        client = {"name": "walk", "version": "1"}
        return self.post("initialize", token=token, protocolVersion="2025-11-25", capabilities={}, clientInfo=client)

    def well_known(self, name: str, *, inserted: bool = False) -> httpx.Response:
        """`/.well-known/NAME` at the root, or with the MCP path inserted behind it."""
        return self.http.get(f"{self.origin}/.well-known/{name}{self.path if inserted else ''}")

    def metadata(self) -> dict[str, Any]:
        """The AS metadata of the MCP URL's own origin."""
        found: dict[str, Any] = self.well_known("oauth-authorization-server").json()
        return found

    def register(self, *redirect_uris: str, **members: Any) -> httpx.Response:
        """RFC 7591; a public client with a loopback callback unless told otherwise."""
        described: dict[str, Any] = {"client_name": "walk", "redirect_uris": list(redirect_uris or (CALLBACK,))}
        return self.http.post(
            f"{self.origin}/register", json=described | {"token_endpoint_auth_method": "none"} | members
        )

    def authorize(self, client_id: str, **changed: str) -> httpx.Response:
        """The authorize request, its answer not followed."""
        challenge = base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        asked = {
            "response_type": "code",
            "client_id": client_id,
            "redirect_uri": CALLBACK,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "state": self.state,
            "resource": self.url,
        }
        return self.http.get(f"{self.origin}/authorize?{urlencode(asked | changed)}")

    def redeem(self, client_id: str, code: str, **changed: str) -> httpx.Response:
        """The token request for a code."""
        asked = {"grant_type": "authorization_code", "client_id": client_id, "code": code}
        asked |= {"redirect_uri": CALLBACK, "code_verifier": self.verifier, "resource": self.url}
        return self.http.post(f"{self.origin}/token", data=asked | changed)

    def refresh(self, client_id: str, token: str) -> httpx.Response:
        """The token request for a refresh token."""
        asked = {"grant_type": "refresh_token", "client_id": client_id, "refresh_token": token}
        return self.http.post(f"{self.origin}/token", data=asked)

    def code(self) -> tuple[str, str]:
        """Register and authorize: the client id and a code."""
        client_id = self.register().json()["client_id"]
        return client_id, answered(self.authorize(client_id))["code"]

    def sign_in(self) -> httpx.Response:
        """Everything up to the token response, which is returned."""
        return self.redeem(*self.code())


def answered(redirect: httpx.Response) -> dict[str, str]:
    """The parameters of the authorization response that a redirect carries."""
    return dict(parse_qsl(urlsplit(redirect.headers["location"]).query))


def said(response: httpx.Response) -> dict[str, Any]:
    """The JSON-RPC answer in a response, plain or as the first message event of a stream."""
    text = response.text
    if response.headers["content-type"].startswith("text/event-stream"):
        text = next(line for line in text.splitlines() if line.startswith("data: ")).removeprefix("data: ")
    found: dict[str, Any] = json.loads(text)
    return found
