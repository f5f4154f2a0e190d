"""Client credentials: a client that signs in for itself."""

from __future__ import annotations

from typing import Any

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import ServerMetadata, TokenEndpoint, TokenOther, texts
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must, should
from oauthtap.redaction.alias_format import claims, parse_alias
from oauthtap.rules import rule

_NEEDED_CLAIMS = ("iss", "sub", "aud", "exp")


def _audiences(said: dict[str, Any]) -> tuple[str, ...]:
    aud = said.get("aud")
    return (aud,) if isinstance(aud, str) else texts(aud)


@rule(
    "cc-public-client",
    must("OAuth 2.1 draft-13 §4.2; RFC 6749 §4.4", "https://datatracker.ietf.org/doc/html/draft-ietf-oauth-v2-1-13#section-4.2"),
    who="client",
    stops_at=("mcp-challenge", "mcp-initialize"),
)  # fmt: skip
def public_client(stage: TokenOther, so_far: Handshake) -> Problems:
    """The `client_credentials` request has no client authentication.

    With this grant no user consents; the client itself is trusted. So it has to authenticate.

    Usual causes: the secret is not set in this environment, and is sent empty.

    Repair: Send the client's secret (in a Basic header or as `client_secret`) or a signed
    assertion. A public client needs another grant.

    Bad:
        POST https://as.example.com/token grant_type=client_credentials&client_id=c1
        401 {"error": "invalid_client"}

    Good:
        POST https://as.example.com/token grant_type=client_credentials&client_id=c1&client_secret=made-up-secret
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    if stage.grant != "client_credentials" or stage.exchange.actor != "client" or stage.ok:
        return
    scheme, credentials = stage.authorization or ("", "")
    empty = scheme.lower() == "basic" and parse_alias(credentials).get("secret") == "empty"
    proven = stage.get("client_secret") or stage.get("client_assertion") or (stage.authorization and not empty)
    if not proven and not stage.request.header("dpop"):
        yield Problem(
            message="the request has no secret and no assertion; client_credentials has to have one of them",
            at="request.header.authorization" if empty else "request.form.client_secret",
            expected="a client secret, or an assertion",
            actual="an empty secret" if empty else "none",
        )


@rule(
    "cc-refresh-token-issued",
    should("RFC 6749 §4.4.3", "https://www.rfc-editor.org/rfc/rfc6749.html#section-4.4.3"),
    who="authorization-server",
    severity="note",
)
def refresh_token_issued(stage: TokenOther, so_far: Handshake) -> Problems:
    """The response to `client_credentials` has a `refresh_token`.

    The client can get a new token at any time with its own credentials. A refresh token is only one
    more secret that can leak. Usual causes: one setting for all grants.

    Repair: Do not issue a refresh token for `client_credentials`.

    Bad:
        POST https://as.example.com/token grant_type=client_credentials&client_id=c1&client_secret=made-up-secret
        200 {"access_token": "made-up-token-1", "token_type": "Bearer", "refresh_token": "made-up-refresh-1"}

    Good:
        POST https://as.example.com/token grant_type=client_credentials&client_id=c1&client_secret=made-up-secret
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    if stage.grant == "client_credentials" and stage.issued.get("refresh_token"):
        yield Problem(
            message="the answer has a `refresh_token`; for client_credentials there should be none",
            at="response.json.refresh_token",
            expected="no refresh token",
            actual="a refresh token",
            patch=Patch(merge={"refresh_token": None}),
        )


@rule(
    "cc-assertion-claims",
    must("RFC 7523 §3; ext-auth OAuth Client Credentials (draft)", "https://www.rfc-editor.org/rfc/rfc7523.html#section-3"),
    who="client",
    severity="warning",
    since="2025-11-25",
    stops_at=("mcp-challenge", "mcp-initialize"),
)  # fmt: skip
def assertion_claims(stage: TokenEndpoint, so_far: Handshake) -> Problems:
    """`iss`, `sub`, `aud` or `exp` of the client assertion is missing or wrong.

    `iss` and `sub` have to be the client id, `aud` the authorization server, and `exp` in the
    future. When one of these is wrong, the client is refused.

    Usual causes: `sub` is a user; `aud` is the MCP server, or the URL of another tenant.

    Repair: In the client, set `iss` and `sub` to the client id, `aud` to the issuer of the
    authorization server, and `exp` to a few minutes from now.

    Bad:
        POST https://as.example.com/token grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJjMSIsInN1YiI6InUxIiwiYXVkIjoiaHR0cHM6Ly9hcy5leGFtcGxlLmNvbSIsImV4cCI6MTc2NzIyOTIwMH0.bWFkZS11cA
        401 {"error": "invalid_client"}

    Good:
        POST https://as.example.com/token grant_type=client_credentials&client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJjMSIsInN1YiI6ImMxIiwiYXVkIjoiaHR0cHM6Ly9hcy5leGFtcGxlLmNvbSIsImV4cCI6MTc2NzIyOTIwMH0.bWFkZS11cA
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    said = claims(stage.get("client_assertion") or "")
    if said is None or stage.exchange.actor != "client":
        return
    missing = [name for name in _NEEDED_CLAIMS if said.get(name) in (None, "", [])]
    if missing:
        yield _in_assertion(f"has no {', '.join(missing)}", ", ".join(_NEEDED_CLAIMS), ", ".join(said)[:200])
    elif said["iss"] != said["sub"]:
        yield _in_assertion(
            f"has the `iss` {said['iss']!r:.80} and the `sub` {said['sub']!r:.80}",
            str(said["iss"])[:200],
            str(said["sub"])[:200],
        )
    elif (meant := _meant(stage, so_far)) and not meant & {one.rstrip("/") for one in _audiences(said)}:
        yield _in_assertion(f"is for {said['aud']!r:.120}", " or ".join(sorted(meant)), f"{said['aud']!r:.120}")


def _in_assertion(what: str, expected: str, actual: str) -> Problem:
    return Problem(
        message=f"the client assertion {what}; it has to have {expected}",
        at="request.form.client_assertion",
        expected=expected,
        actual=actual,
    )


def _meant(stage: TokenEndpoint, so_far: Handshake) -> set[str]:
    """Whom an assertion for this request may be for; empty when the issuer is not known."""
    server = _server_of(stage, so_far)
    return {name.rstrip("/") for name in (server.issuer, stage.request.bare_url) if name} if server else set()


def _server_of(stage: TokenEndpoint, so_far: Handshake) -> ServerMetadata | None:
    """The metadata that named this token endpoint."""
    where = so_far.learned("token_endpoint", stage.url)
    named = so_far.of(where.exchange) if where else ()
    return next((one for one in named if isinstance(one, ServerMetadata)), None)
