"""Enterprise-managed sign-in: the company's identity provider gives a grant for the MCP server."""

from __future__ import annotations

from typing import Any

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import ServerMetadata, TokenEndpoint, TokenOther, text, texts
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must
from oauthtap.redaction.alias_format import claims, jose_header, parse_alias
from oauthtap.rules import rule

_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_BY_ASSERTION = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"
_SUBJECTS = ("urn:ietf:params:oauth:token-type:id_token", "urn:ietf:params:oauth:token-type:saml2")
_ENTERPRISE = "https://github.com/modelcontextprotocol/ext-auth/blob/main/specification/draft/enterprise-managed-authorization.mdx"


def _wants_id_jag(stage: TokenOther) -> bool:
    return stage.grant == _EXCHANGE and stage.get("requested_token_type") == _ID_JAG


def _audiences(said: dict[str, Any]) -> tuple[str, ...]:
    aud = said.get("aud")
    return (aud,) if isinstance(aud, str) else texts(aud)


def _server_of(stage: TokenEndpoint, so_far: Handshake) -> ServerMetadata | None:
    """The metadata that named this token endpoint."""
    where = so_far.learned("token_endpoint", stage.url)
    named = so_far.of(where.exchange) if where else ()
    return next((one for one in named if isinstance(one, ServerMetadata)), None)


@rule(
    "ema-token-exchange-params",
    must("ext-auth Enterprise-Managed Authorization §4; RFC 8693 §2.1", _ENTERPRISE),
    who="client",
    since="2025-11-25",
    stops_at=("mcp-challenge", "mcp-initialize"),
)
def exchange_params(stage: TokenOther, so_far: Handshake) -> Problems:
    """The token exchange request lacks `audience`, `resource` or a valid `subject_token`.

    The identity provider has to know the user (`subject_token`), the authorization server
    (`audience`) and the MCP server (`resource`). Without one of these it refuses.

    Usual causes: `audience` and `resource` are confused, and one is left out.

    Repair: In the client, send `audience` (the issuer of the MCP authorization server),
    `resource` (the MCP server), `subject_token` and `subject_token_type`.

    Bad:
        POST https://idp.example.org/token grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid-jag&subject_token=eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1MSJ9.bWFkZS11cA&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token&client_id=c1
        400 {"error": "invalid_request"}

    Good:
        POST https://idp.example.org/token grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid-jag&audience=https%3A%2F%2Fas.example.com&resource=https%3A%2F%2Fmcp.example.com%2Fmcp&subject_token=eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1MSJ9.bWFkZS11cA&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token&client_id=c1
        200 {"issued_token_type": "urn:ietf:params:oauth:token-type:id-jag", "token_type": "N_A",
             "access_token": "eyJhbGciOiJFUzI1NiIsInR5cCI6Im9hdXRoLWlkLWphZytqd3QifQ.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlLm9yZyIsInN1YiI6InUxIiwiYXVkIjoiaHR0cHM6Ly9hcy5leGFtcGxlLmNvbSIsInJlc291cmNlIjoiaHR0cHM6Ly9tY3AuZXhhbXBsZS5jb20vbWNwIiwiY2xpZW50X2lkIjoiYzEifQ.bWFkZS11cA"}
    """
    if not _wants_id_jag(stage) or stage.exchange.actor != "client":
        return
    missing = [name for name in ("audience", "resource", "subject_token", "subject_token_type") if not stage.get(name)]
    kind = stage.get("subject_token_type")
    if missing:
        yield Problem(
            message=f"the exchange has no {', '.join(missing)}; it has to name them",
            at=f"request.form.{missing[0]}",
            expected="audience, resource, subject_token, subject_token_type",
            actual=", ".join(name for name, _ in stage.params)[:200],
            severity="warning" if stage.ok else None,
        )
    elif kind not in _SUBJECTS and not stage.ok:
        yield Problem(
            message=f"`subject_token_type` is {kind}; it has to be that of an ID token or a SAML 2 assertion",
            at="request.form.subject_token_type",
            expected=" or ".join(_SUBJECTS),
            actual=kind,
        )


@rule(
    "ema-token-exchange-response",
    must("ext-auth Enterprise-Managed Authorization §4.2 and §4.3; RFC 8693 §2.2", _ENTERPRISE),
    who="authorization-server",
    since="2025-11-25",
    stops_at=("mcp-challenge", "mcp-initialize"),
)
def exchange_response(stage: TokenOther, so_far: Handshake) -> Problems:
    """The token exchange response does not contain an ID-JAG.

    The client expects the token type ID-JAG and sends it to the authorization server. Another type
    is refused by the client or by the authorization server.

    Usual causes: a provider that supports token exchange, but not ID-JAG.

    Repair: At the provider, answer with `access_token`, with `issued_token_type`
    `urn:ietf:params:oauth:token-type:id-jag`, and set `typ` in the token's header to
    `oauth-id-jag+jwt`.

    Bad:
        POST https://idp.example.org/token grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid-jag&audience=https%3A%2F%2Fas.example.com&resource=https%3A%2F%2Fmcp.example.com%2Fmcp&subject_token=eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1MSJ9.bWFkZS11cA&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token&client_id=c1
        200 {"issued_token_type": "urn:ietf:params:oauth:token-type:access_token", "token_type": "Bearer",
             "access_token": "eyJhbGciOiJFUzI1NiIsInR5cCI6Im9hdXRoLWlkLWphZytqd3QifQ.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlLm9yZyIsInN1YiI6InUxIiwiYXVkIjoiaHR0cHM6Ly9hcy5leGFtcGxlLmNvbSIsInJlc291cmNlIjoiaHR0cHM6Ly9tY3AuZXhhbXBsZS5jb20vbWNwIiwiY2xpZW50X2lkIjoiYzEifQ.bWFkZS11cA"}

    Good:
        POST https://idp.example.org/token grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Atoken-exchange&requested_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid-jag&audience=https%3A%2F%2Fas.example.com&resource=https%3A%2F%2Fmcp.example.com%2Fmcp&subject_token=eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ1MSJ9.bWFkZS11cA&subject_token_type=urn%3Aietf%3Aparams%3Aoauth%3Atoken-type%3Aid_token&client_id=c1
        200 {"issued_token_type": "urn:ietf:params:oauth:token-type:id-jag", "token_type": "N_A",
             "access_token": "eyJhbGciOiJFUzI1NiIsInR5cCI6Im9hdXRoLWlkLWphZytqd3QifQ.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlLm9yZyIsInN1YiI6InUxIiwiYXVkIjoiaHR0cHM6Ly9hcy5leGFtcGxlLmNvbSIsInJlc291cmNlIjoiaHR0cHM6Ly9tY3AuZXhhbXBsZS5jb20vbWNwIiwiY2xpZW50X2lkIjoiYzEifQ.bWFkZS11cA"}
    """
    if not _wants_id_jag(stage) or not stage.ok:
        return
    kind, header = stage.issued.get("issued_token_type"), jose_header(stage.access_token or "")
    if kind != _ID_JAG:
        yield Problem(
            message=f"`issued_token_type` is {kind!r:.100}; it has to be {_ID_JAG}",
            at="response.json.issued_token_type",
            expected=_ID_JAG,
            actual=f"{kind!r:.100}",
            patch=Patch(merge={"issued_token_type": _ID_JAG}, assumes="the token is an ID-JAG") if header else None,
        )
    elif not stage.access_token:
        yield Problem(
            message="the answer has no `access_token`; it has to hold the grant",
            at="response.json.access_token",
            expected="a token",
            actual="none",
        )
    elif header is not None and str(header.get("typ")).lower().removeprefix("application/") != "oauth-id-jag+jwt":
        yield Problem(
            message=f"the grant has the type {header.get('typ')!r:.60} in its header; it has to be oauth-id-jag+jwt",
            at="response.json.access_token",
            expected="oauth-id-jag+jwt",
            actual=f"{header.get('typ')!r:.60}",
        )


@rule(
    "ema-id-jag-audience",
    must("ext-auth Enterprise-Managed Authorization §4.3 and §5.1", _ENTERPRISE),
    who="authorization-server",
    since="2025-11-25",
    stops_at=("mcp-challenge", "mcp-initialize"),
)
def id_jag_audience(stage: TokenOther, so_far: Handshake) -> Problems:
    """The ID-JAG names another authorization server, MCP server or client.

    It names the authorization server (`aud`), the MCP server (`resource`) and the client
    (`client_id`). The authorization server compares all three, and refuses it when one differs.

    Usual causes: the mapping at the identity provider has another name or URL for the application,
    or a test tenant.

    Repair: At the identity provider, set the audience to the issuer of the MCP server's
    authorization server, the resource to the MCP server's URL, and map the client id.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}

        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com",
             "token_endpoint": "https://as.example.com/token"}

        POST https://as.example.com/token grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&client_id=c1&assertion=eyJhbGciOiJFUzI1NiIsInR5cCI6Im9hdXRoLWlkLWphZytqd3QifQ.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlLm9yZyIsInN1YiI6InUxIiwiYXVkIjoiaHR0cHM6Ly9pZHAuZXhhbXBsZS5vcmciLCJyZXNvdXJjZSI6Imh0dHBzOi8vbWNwLmV4YW1wbGUuY29tL21jcCIsImNsaWVudF9pZCI6ImMxIn0.bWFkZS11cA
        400 {"error": "invalid_grant"}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp",
             "authorization_servers": ["https://as.example.com"]}

        GET https://as.example.com/.well-known/oauth-authorization-server
        200 {"issuer": "https://as.example.com",
             "token_endpoint": "https://as.example.com/token"}

        POST https://as.example.com/token grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&client_id=c1&assertion=eyJhbGciOiJFUzI1NiIsInR5cCI6Im9hdXRoLWlkLWphZytqd3QifQ.eyJpc3MiOiJodHRwczovL2lkcC5leGFtcGxlLm9yZyIsInN1YiI6InUxIiwiYXVkIjoiaHR0cHM6Ly9hcy5leGFtcGxlLmNvbSIsInJlc291cmNlIjoiaHR0cHM6Ly9tY3AuZXhhbXBsZS5jb20vbWNwIiwiY2xpZW50X2lkIjoiYzEifQ.bWFkZS11cA
        200 {"access_token": "made-up-token-1", "token_type": "Bearer"}
    """
    assertion = stage.get("assertion") or "" if stage.grant == _BY_ASSERTION else ""
    said, header = claims(assertion), jose_header(assertion)
    if said is None or header is None or "oauth-id-jag+jwt" not in str(header.get("typ")).lower():
        return
    server = _server_of(stage, so_far)
    issuer = server.issuer if server else None
    if issuer and issuer not in _audiences(said):
        yield _in_grant("aud", issuer, said)
    resource, named = so_far.prm.resource if so_far.prm else None, said.get("resource")
    if resource and named is not None and resource not in ((named,) if isinstance(named, str) else texts(named)):
        yield _in_grant("resource", resource, said)
    client_id = stage.get("client_id") or _basic_client(stage)
    if client_id and text(said.get("client_id")) not in (None, client_id):
        yield _in_grant("client_id", client_id, said)


def _in_grant(name: str, expected: str, said: dict[str, Any]) -> Problem:
    return Problem(
        message=f"`{name}` in the grant is {said.get(name)!r:.120}; it has to be {expected}",
        at="request.form.assertion",
        expected=expected,
        actual=f"{said.get(name)!r:.120}",
    )


def _basic_client(stage: TokenEndpoint) -> str | None:
    scheme, credentials = stage.authorization or ("", "")
    return parse_alias(credentials).get("client_id") if scheme.lower() == "basic" else None
