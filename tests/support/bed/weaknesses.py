"""Servers that accept what has to be refused, one thing each, for `oauthtap probe --attack`; and two that are sound."""

from __future__ import annotations

import time
from typing import Any

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from oauthtap.probe.attack import HOSTILE
from oauthtap.redaction.alias_format import claims, jose_header
from tests.support.bed.authorization import Grant
from tests.support.bed.healthy import Good
from tests.support.bed.mcp import LegacyMcpServer


class Sound(Good):
    """Nothing of the attacks is accepted."""

    host = "sound.mcp.test"

    def access_token(self, grant: Grant) -> str:
        inside = jwt.decode(super().access_token(grant), options={"verify_signature": False})
        return jwt.encode(inside | {"sid": self.secret("sid")}, self.key, "ES256")

    def turned_away(self, request: Request) -> Response | None:
        if request.headers.get("origin", self.origin) != self.origin:
            return JSONResponse({"error": "forbidden origin"}, 403)
        return super().turned_away(request)


class AnyOrigin(Sound):
    host = "any-origin.mcp.test"

    def turned_away(self, request: Request) -> Response | None:
        return Good.turned_away(self, request)


class AnyToken(Sound):
    host = "any-token.mcp.test"

    def accepts(self, token: str) -> bool:
        return bool(token)


class AlgNone(Sound):
    host = "alg-none.mcp.test"

    def accepts(self, token: str) -> bool:
        try:
            return super().accepts(token) or jwt.get_unverified_header(token)["alg"] == "none"
        except jwt.InvalidTokenError:
            return False


class QueryToken(Sound):
    host = "query-token.mcp.test"

    def turned_away(self, request: Request) -> Response | None:
        return None if self.accepts(request.query_params.get("access_token", "")) else super().turned_away(request)


class SessionInstead(Sound):
    host = "session-instead.mcp.test"

    def turned_away(self, request: Request) -> Response | None:
        return None if request.headers.get("mcp-session-id") in self.sessions else super().turned_away(request)


class ForeignAudience(Sound):
    """Issues tokens for any resource, and takes all of them."""

    host = "foreign-audience.mcp.test"
    expected_audience = False

    def grants(self, resource: str) -> bool:
        return True

    def audience(self, grant: Grant) -> str:
        return grant.resource


class AnyIssuer(Sound):
    """A token of an issuer that it has no key of is taken unverified."""

    host = "any-issuer.mcp.test"

    def accepts(self, token: str) -> bool:
        foreign = (claims(token) or {}).get("iss") not in (None, self.issuer)
        return foreign or super().accepts(token)


class AnyExpiry(Sound):
    """Looks at `exp` first, and then renews where it should refuse."""

    host = "any-expiry.mcp.test"

    def accepts(self, token: str) -> bool:
        return (claims(token) or {}).get("exp", time.time()) < time.time() - 3600 or super().accepts(token)


class AnySignature(Sound):
    """Compares each claim and `alg`, and verifies no signature."""

    host = "any-signature.mcp.test"

    def accepts(self, token: str) -> bool:
        inside, header = claims(token) or {}, jose_header(token) or {}
        good = inside.get("iss") == self.issuer and inside.get("aud") == self.resource
        return good and header.get("alg") == "ES256" and inside.get("exp", 0) > time.time()


class AnyCode(Sound):
    """A code is all that is asked for: neither its verifier nor its redirect URI."""

    host = "any-code.mcp.test"

    def redeemed(self, asked: dict[str, str]) -> Grant | None:
        return self.codes.pop(asked.get("code", ""), None)


class AnyVerifier(Sound):
    host = "any-verifier.mcp.test"

    def redeemed(self, asked: dict[str, str]) -> Grant | None:
        grant = self.codes.pop(asked.get("code", ""), None)
        return grant if grant and grant.redirect_uri == asked.get("redirect_uri") else None


class AnyCallback(Sound):
    """The token request may name any redirect URI."""

    host = "any-callback.mcp.test"

    def redeemed(self, asked: dict[str, str]) -> Grant | None:
        grant = self.codes.get(asked.get("code", ""))
        return super().redeemed(asked | {"redirect_uri": grant.redirect_uri}) if grant else None


class CodeTwice(Sound):
    host = "code-twice.mcp.test"

    def redeemed(self, asked: dict[str, str]) -> Grant | None:
        code = asked.get("code", "")
        grant, again = self.codes.get(code), super().redeemed(asked)
        if again is not None and grant is not None:
            self.codes[code] = grant
        return again


class RefreshTwice(Sound):
    host = "refresh-twice.mcp.test"

    async def token(self, request: Request) -> Response:
        kept = dict(self.refresh_tokens)
        answer = await super().token(request)
        self.refresh_tokens |= kept
        return answer


class SameRefresh(Sound):
    """Never rotates."""

    host = "same-refresh.mcp.test"

    def tokens(self, grant: Grant) -> dict[str, Any]:
        self.refresh_tokens["made-up-refresh-token-that-stays"] = grant
        return super().tokens(grant) | {"refresh_token": "made-up-refresh-token-that-stays"}


class AnyRedirect(Sound):
    host = "any-redirect.mcp.test"

    async def authorize(self, request: Request) -> Response:
        if (uri := request.query_params.get("redirect_uri", "")).startswith(HOSTILE):
            return RedirectResponse(f"{uri}?code={self.secret('code')}&state={request.query_params['state']}", 302)
        return await super().authorize(request)


class SoundSse(LegacyMcpServer, Sound):
    """The same with the transport of 2024-11-05."""

    host = "sound-sse.mcp.test"


class AnyOriginSse(LegacyMcpServer, AnyOrigin):
    host = "any-origin-sse.mcp.test"


class AnyTokenSse(LegacyMcpServer, AnyToken):
    host = "any-token-sse.mcp.test"


class QueryTokenSse(LegacyMcpServer, QueryToken):
    host = "query-token-sse.mcp.test"


class SessionInsteadSse(LegacyMcpServer, Sound):
    """Whoever knows the URL of the messages may post there."""

    host = "session-instead-sse.mcp.test"

    def turned_away(self, request: Request) -> Response | None:
        return None if request.method == "POST" and request.url.query else super().turned_away(request)


FORGED = {"alg=none", "altered signature", "wrong issuer", "expired"}

WEAKNESSES: dict[type[Good], tuple[set[str], set[str]]] = {
    Sound: (set(), set()),
    AnyOrigin: ({"hostile Origin"}, {"rs-accepts-foreign-origin"}),
    AnyToken: (FORGED, {"rs-accepts-made-up-token", "rs-accepts-expired-token"}),
    AlgNone: ({"alg=none"}, {"rs-accepts-made-up-token"}),
    QueryToken: ({"token in the query"}, {"rs-accepts-query-token"}),
    SessionInstead: ({"session id without token"}, {"rs-accepts-session-instead-of-token"}),
    ForeignAudience: ({"foreign audience"}, {"rs-accepts-foreign-audience"}),
    AnyIssuer: ({"wrong issuer"}, {"rs-accepts-made-up-token"}),
    AnyExpiry: ({"expired"}, {"rs-accepts-made-up-token", "rs-accepts-expired-token"}),
    AnySignature: ({"altered signature"}, {"rs-accepts-made-up-token"}),
    AnyCode: (
        {"wrong code_verifier", "wrong redirect_uri, token request"},
        {"token-pkce-not-enforced", "token-redirect-uri-not-enforced"},
    ),
    AnyVerifier: ({"wrong code_verifier"}, {"token-pkce-not-enforced"}),
    AnyCallback: ({"wrong redirect_uri, token request"}, {"token-redirect-uri-not-enforced"}),
    CodeTwice: ({"reused code"}, {"token-code-replay-accepted"}),
    RefreshTwice: ({"reused refresh token"}, {"refresh-replay-accepted"}),
    SameRefresh: ({"reused refresh token"}, {"refresh-rotation-missing"}),
    SoundSse: (set(), set()),
    AnyOriginSse: ({"hostile Origin"}, {"rs-accepts-foreign-origin"}),
    AnyTokenSse: (FORGED, {"rs-accepts-made-up-token", "rs-accepts-expired-token"}),
    QueryTokenSse: ({"token in the query"}, {"rs-accepts-query-token"}),
    SessionInsteadSse: ({"session id without token"}, {"rs-accepts-session-instead-of-token"}),
    AnyRedirect: ({"unregistered redirect_uri"}, {"authz-open-redirect"}),
}
"""Server, to the attacks it accepts and the findings that follow."""
