"""A healthy and strict authorization server. Knows OAuth; knows nothing of MCP.

Strict where real ones are: redirect URIs are compared as strings, at the authorize and again at
the token endpoint; the verifier must fit the challenge; codes work once; refresh tokens rotate.
Whoever signs in is let in at once, so that a browser without hands can do it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlencode

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from tests.support.bed.origin import Origin, Routes, document, form, oauth_error


@dataclass(frozen=True)
class Grant:
    """What somebody consented to, and what the token request must repeat."""

    client_id: str
    redirect_uri: str
    challenge: str
    scope: str
    resource: str


class AuthorizationServer(Origin):
    """RFC 8414 metadata, RFC 7591 registration, code flow with PKCE S256, JWT access tokens."""

    scopes: tuple[str, ...] = ("mcp:tools", "offline_access")
    access_token_seconds = 3600

    def __init__(self, issued: set[str]) -> None:
        super().__init__(issued)
        self.clients: dict[str, dict[str, Any]] = {}
        self.codes: dict[str, Grant] = {}
        self.refresh_tokens: dict[str, Grant] = {}
        self.key = ec.generate_private_key(ec.SECP256R1())

    def routes(self) -> Routes:
        return super().routes() | {
            ("GET", "/.well-known/oauth-authorization-server"): document(self.metadata()),
            ("GET", "/jwks"): document({"keys": [json.loads(ECAlgorithm.to_jwk(self.key.public_key()))]}),
            ("POST", "/register"): self.register,
            ("GET", "/authorize"): self.authorize,
            ("POST", "/token"): self.token,
        }

    # What it says of itself, and the small decisions that a fault changes

    @property
    def issuer(self) -> str:
        return self.origin

    def metadata(self) -> dict[str, Any]:
        """The RFC 8414 document."""
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.origin}/authorize",
            "token_endpoint": f"{self.origin}/token",
            "registration_endpoint": f"{self.origin}/register",
            "jwks_uri": f"{self.origin}/jwks",
            "scopes_supported": list(self.scopes),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
        }

    def refusal_of(self, redirect_uris: list[str]) -> str | None:
        """Why these redirect URIs may not be registered; None when they may."""
        return None if redirect_uris else "redirect_uris must name at least one URI"

    def grants(self, resource: str) -> bool:
        """Whether tokens are issued for this `resource` parameter (RFC 8707, 2); empty when none came."""
        raise NotImplementedError

    def audience(self, grant: Grant) -> str:
        """The `aud` of access tokens."""
        raise NotImplementedError

    def callback_parameters(self, code: str, state: str) -> dict[str, str]:
        """What the authorization response carries (RFC 6749, 4.1.2)."""
        return {"code": code, "state": state}

    def access_token(self, grant: Grant) -> str:
        """A new access token (RFC 9068)."""
        now = int(time.time())
        claims = {"iss": self.issuer, "sub": "ada", "aud": self.audience(grant), "client_id": grant.client_id}
        claims |= {"scope": grant.scope, "jti": self.secret("jti")}
        return jwt.encode(claims | {"iat": now, "exp": now + self.access_token_seconds}, self.key, "ES256")

    def token_answer(self, tokens: dict[str, Any]) -> Response:
        """The successful token response (RFC 6749, 5.1)."""
        return JSONResponse(tokens, headers={"Cache-Control": "no-store"})

    # The endpoints

    async def register(self, request: Request) -> Response:
        """RFC 7591, 3."""
        try:
            wanted = json.loads(await request.body())
            uris = wanted.get("redirect_uris") or []
        except (ValueError, AttributeError):
            return oauth_error("invalid_client_metadata", "the body is no JSON object")
        if why := self.refusal_of(uris):
            return oauth_error("invalid_redirect_uri", why)
        method = wanted.get("token_endpoint_auth_method", "client_secret_basic")
        client = wanted | {"client_id": f"client-{len(self.clients) + 1}", "token_endpoint_auth_method": method}
        client["client_id_issued_at"] = int(time.time())
        if method != "none":
            client |= {"client_secret": self.secret("cs"), "client_secret_expires_at": 0}
        self.clients[client["client_id"]] = client
        return JSONResponse(client, 201, {"Cache-Control": "no-store"})

    async def authorize(self, request: Request) -> Response:
        """RFC 6749, 4.1.1; consent is given at once."""
        asked = dict(request.query_params)
        client = self.clients.get(asked.get("client_id", ""))
        redirect_uri = asked.get("redirect_uri", "")
        if client is None or redirect_uri not in client["redirect_uris"]:
            return HTMLResponse("<h1>Unknown client or redirect URI</h1>", 400)
        state = self.keep(asked.get("state", ""))
        if problem := self.problem_of(asked):
            answer = {"error": problem[0], "error_description": problem[1], "state": state}
        else:
            grant = Grant(client["client_id"], redirect_uri, asked["code_challenge"], asked.get("scope", ""),
                          asked.get("resource", ""))  # fmt: skip
            code = self.secret("code")
            self.codes[code] = grant
            answer = self.callback_parameters(code, state)
        separator = "&" if "?" in redirect_uri else "?"
        response = RedirectResponse(f"{redirect_uri}{separator}{urlencode(answer)}", 302)
        response.set_cookie("session", self.secret("cookie"), secure=True, httponly=True, samesite="lax")
        return response

    def problem_of(self, asked: dict[str, str]) -> tuple[str, str] | None:
        """The error code and its description for an authorization request; None for a good one."""
        if asked.get("response_type") != "code":
            return "unsupported_response_type", "only code is supported"
        if not asked.get("code_challenge") or asked.get("code_challenge_method") != "S256":
            return "invalid_request", "PKCE with S256 is required"
        if not set(asked.get("scope", "").split()) <= set(self.scopes):
            return "invalid_scope", f"supported are {' '.join(self.scopes)}"
        if not self.grants(asked.get("resource", "")):
            return "invalid_target", f"unknown resource {asked.get('resource')}"
        return None

    async def token(self, request: Request) -> Response:
        """RFC 6749, 4.1.3 and 6."""
        asked = await form(request)
        for name in ("code", "code_verifier", "client_secret", "refresh_token"):
            self.keep(asked.get(name, ""))
        client_id, secret = self.credentials(request, asked)
        client = self.clients.get(client_id)
        if client is None or client.get("client_secret", "") != secret:
            return oauth_error("invalid_client", "unknown client or wrong secret", 401)
        if asked.get("grant_type") == "refresh_token":
            grant = self.refresh_tokens.pop(asked.get("refresh_token", ""), None)
        elif asked.get("grant_type") == "authorization_code":
            grant = self.redeemed(asked)
        else:
            return oauth_error("unsupported_grant_type", "authorization_code or refresh_token")
        if grant is None or grant.client_id != client_id:
            return oauth_error("invalid_grant", "the code or refresh token, its redirect_uri or verifier is wrong")
        if asked.get("resource", grant.resource) != grant.resource:
            return oauth_error("invalid_target", f"the code was issued for {grant.resource or 'no resource'}")
        return self.token_answer(self.tokens(grant))

    def credentials(self, request: Request, asked: dict[str, str]) -> tuple[str, str]:
        """Client id and secret, from the header or the body (RFC 6749, 2.3.1)."""
        scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "basic":
            return asked.get("client_id", ""), asked.get("client_secret", "")
        name, _, password = base64.b64decode(self.keep(encoded)).decode().partition(":")
        return unquote(name), unquote(password)

    def redeemed(self, asked: dict[str, str]) -> Grant | None:
        """The grant behind a code that is presented as it must be (RFC 6749, 4.1.3; RFC 7636, 4.6)."""
        grant = self.codes.pop(asked.get("code", ""), None)
        digest = hashlib.sha256(asked.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        fits = grant and grant.challenge == challenge and grant.redirect_uri == asked.get("redirect_uri")
        return grant if fits else None

    def tokens(self, grant: Grant) -> dict[str, Any]:
        """The members of a token response, with a refresh token that was never used before."""
        refresh = self.secret("rt")
        self.refresh_tokens[refresh] = grant
        access = self.keep(self.access_token(grant))
        answer = {"access_token": access, "token_type": "Bearer", "expires_in": self.access_token_seconds}
        return answer | {"refresh_token": refresh} | ({"scope": grant.scope} if grant.scope else {})
