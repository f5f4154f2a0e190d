"""The key set itself: whether it is there, whether it fits the tokens, and what must not be in it."""

from __future__ import annotations

from typing import Any

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import KeySet, TokenEndpoint, TokenRejected, Unseen, text
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must, practice
from oauthtap.redaction.alias_format import jose_header
from oauthtap.rules import rule

_KINDS = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP", "HS": "oct"}
"""The first letters of `alg`, and the `kty` of a key for it (RFC 7518, 3.1; RFC 8037)."""


def _keys(jwks: KeySet) -> list[dict[str, Any]]:
    keys = jwks.document.get("keys")
    return [key for key in keys if isinstance(key, dict)] if isinstance(keys, list) else []


@rule(
    "jwks-unavailable",
    practice("RFC 7517 §5; RFC 8414 §2 (jwks_uri)", "https://www.rfc-editor.org/rfc/rfc7517.html#section-5"),
    who="authorization-server",
    severity="error",
    stops_at=("mcp-token-rejected", "token-request", "mcp-initialize", "mcp-request"),
)
def unavailable(jwks: KeySet, so_far: Handshake) -> Problems:
    """The JSON Web Key Set (`jwks_uri`) cannot be fetched.

    An MCP server that validates tokens locally fetches these keys first. Without them it cannot
    validate any token and refuses every client.

    Usual causes: the URL requires authentication; `jwks_uri` has a typo, or names a host that the
    MCP server cannot reach.

    Repair: Serve the key set, a JSON object with the list `keys`, at the `jwks_uri` of the
    metadata, without authentication.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "jwks_uri": "https://as.example.com/jwks"}

        GET https://as.example.com/jwks
        404

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "jwks_uri": "https://as.example.com/jwks"}

        GET https://as.example.com/jwks
        200 {"keys": [{"kty": "RSA", "kid": "k1", "n": "AQAB", "e": "AQAB"}]}
    """
    if jwks.status in (None, 304) or jwks.request.method != "GET":
        return
    if jwks.status != 200:
        what = f"status {jwks.status}"
    elif isinstance(jwks.document.get("keys"), list) or jwks.response.truncated:
        return
    else:
        what = "a JSON object without the list `keys`" if jwks.document else "no JSON object"
    yield Problem(
        message=f"the request for the key set gets {what}; it has to be 200 with a list `keys`",
        at="response.status" if jwks.status != 200 else "response.json.keys",
        expected="200 with a list of keys",
        actual=what,
    )


@rule(
    "jwks-no-matching-kid",
    practice("RFC 7517 §4.5; RFC 9068 §4", "https://www.rfc-editor.org/rfc/rfc7517.html#section-4.5"),
    who="authorization-server",
    severity="warning",
    stops_at=("mcp-token-rejected",),
)
def no_matching_kid(handshake: Handshake) -> Problems:
    """The JSON Web Key Set has no key for the token's `kid`.

    A token names the key it was signed with. If the published set has no such key, the token cannot
    be validated, and the MCP server refuses it.

    Usual causes: keys were rotated and an old set is still cached; the token comes from another
    tenant than the keys.

    Repair: Publish a key before signing with it, and let the MCP server fetch the set again when it
    sees an unknown `kid`.

    Bad:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "jwks_uri": "https://as.example.com/jwks"}

        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        200 {"access_token": "eyJhbGciOiJSUzI1NiIsImtpZCI6Im5ldyJ9.eyJzdWIiOiJ1MSJ9.bWFkZS11cA", "token_type": "Bearer"}

        GET https://as.example.com/jwks
        200 {"keys": [{"kty": "RSA", "kid": "old", "n": "AQAB", "e": "AQAB"}]}

    Good:
        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com", "jwks_uri": "https://as.example.com/jwks"}

        POST https://as.example.com/token grant_type=authorization_code&client_id=c1&code=made-up-code-1
        200 {"access_token": "eyJhbGciOiJSUzI1NiIsImtpZCI6Im5ldyJ9.eyJzdWIiOiJ1MSJ9.bWFkZS11cA", "token_type": "Bearer"}

        GET https://as.example.com/jwks
        200 {"keys": [{"kty": "RSA", "kid": "new", "n": "AQAB", "e": "AQAB"}]}
    """
    jwks = next((one for one in reversed(handshake.all(KeySet)) if _usable(one)), None)
    issued = next((one for one in reversed(handshake.all(TokenEndpoint)) if _header(one)), None)
    if jwks is None or issued is None or not _same_server(jwks, issued, handshake):
        return
    rejected = any(one.exchange.id > issued.exchange.id for one in handshake.all(TokenRejected))
    if jwks.exchange.id < issued.exchange.id and not rejected:
        return
    header, keys = _header(issued) or {}, _keys(jwks)
    kid, alg = text(header.get("kid")), text(header.get("alg")) or ""
    same = [key for key in keys if key.get("kid") == kid]
    if kid is None or alg.startswith("HS") or "enc" in header:
        return
    kind = _KINDS.get(alg[:2])
    known = ", ".join(str(key.get("kid")) for key in keys)[:120]
    if not same:
        message = f"the token names the key {kid}; the key set has {known or 'no keys'}"
    elif kind and all(text(key.get("kty")) not in (None, kind) for key in same):
        message = f"the token is signed with {alg}; the key {kid} is of the type {same[0].get('kty')}, not {kind}"
    else:
        return
    yield Problem(
        exchange=jwks.exchange.id,
        message=message,
        at="response.json.keys",
        expected=f"a key {kid} for {alg}",
        actual=known,
    )


def _usable(jwks: KeySet) -> bool:
    return jwks.ok and jwks.response.body is not None and not jwks.response.truncated and bool(_keys(jwks))


def _header(issued: TokenEndpoint) -> dict[str, Any] | None:
    """The JOSE header of the access token that was issued; None for an opaque or unseen one."""
    try:
        return jose_header(issued.access_token or "")
    except Unseen:
        return None


def _same_server(jwks: KeySet, issued: TokenEndpoint, handshake: Handshake) -> bool:
    """One metadata document named both the key set and the token endpoint, or there was only one."""
    keys = handshake.learned("jwks_uri", jwks.url)
    token = handshake.learned("token_endpoint", issued.url)
    return keys is not None and (token is None or keys.exchange == token.exchange)


@rule(
    "jwks-private-key-exposed",
    must("RFC 7517 §9.2", "https://www.rfc-editor.org/rfc/rfc7517.html#section-9.2"),
    who="authorization-server",
    stops_only_at=(),
)
def private_key_exposed(jwks: KeySet, so_far: Handshake) -> Problems:
    """The JSON Web Key Set contains a private key.

    Whoever has the private key can forge tokens for any user, and the set is public.

    Usual causes: the server's key file was published instead of its public part; a shared secret
    was put into the set.

    Repair: Remove the key at once, create a new one, and treat every token signed with the old one
    as forged. Publish only the public members (`n` and `e`, or `x` and `y`).

    Bad:
        GET https://as.example.com/jwks
        200 {"keys": [{"kty": "RSA", "kid": "k1", "n": "AQAB", "e": "AQAB", "d": "made-up"}]}

    Good:
        GET https://as.example.com/jwks
        200 {"keys": [{"kty": "RSA", "kid": "k1", "n": "AQAB", "e": "AQAB"}]}
    """
    for number, key in enumerate(_keys(jwks)):
        member = "k" if key.get("kty") == "oct" else "d"
        if key.get(member):
            yield Problem(
                message=f"key {key.get('kid') or number} has the private member `{member}`; only public ones may be there",
                at=f"response.json.keys[{number}].{member}",
                expected="public members alone",
                actual=f"a private `{member}`",
            )
