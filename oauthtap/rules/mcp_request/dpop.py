"""Tokens that are bound to a key (DPoP, RFC 9449): sent with a proof, made for the real URL."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Problem, Problems
from oauthtap.handshake.stages import Mcp, TokenEndpoint, text
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice
from oauthtap.redaction.alias_format import claims
from oauthtap.rules import rule


@rule(
    "dpop-token-sent-as-bearer",
    must("RFC 9449 §7.1; SEP-1932 (draft extension)", "https://www.rfc-editor.org/rfc/rfc9449.html#section-7.1"),
    who="client",
    since="2025-11-25",
    stops_at=("mcp-token-rejected",),
)
def sent_as_bearer(mcp: Mcp, so_far: Handshake) -> Problems:
    """The client sends a DPoP token without a DPoP proof.

    Such a token is bound to a key. The server accepts it only with a fresh proof made with that
    key, and has to refuse it otherwise.

    Usual causes: the code that calls the MCP server ignores `token_type`.

    Repair: Send `Authorization: DPoP <token>` and a `DPoP` header with a proof for this request.

    Bad:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        DPoP: made-up-proof-number-1
        200 {"access_token": "made-up-token-1", "token_type": "DPoP"}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token-1
        401

    Good:
        POST https://as.example.com/token grant_type=authorization_code&client_id=c1
        DPoP: made-up-proof-number-1
        200 {"access_token": "made-up-token-1", "token_type": "DPoP"}
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: DPoP made-up-token-1
        DPoP: made-up-proof-number-2
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    issued = next((s for s in so_far.of(so_far.issued.get(mcp.bearer or "", 0)) if isinstance(s, TokenEndpoint)), None)
    if issued is None or mcp.authorization is None or mcp.exchange.actor != "client":
        return
    if (text(issued.issued.get("token_type")) or "").lower() != "dpop":
        return
    scheme, proof = mcp.authorization[0], mcp.request.header("dpop") is not None
    if scheme.lower() != "dpop" or not proof:
        actual = f"{scheme} {'with' if proof else 'without'} a proof"
        yield Problem(
            message=f"the token of exchange {issued.exchange.id} is of type DPoP, and is sent as {actual}",
            at="request.header.authorization",
            expected="DPoP with a proof",
            actual=actual,
        )


@rule(
    "dpop-htu-broken-by-proxy",
    practice("RFC 9449 §4.2 and §4.3", "https://www.rfc-editor.org/rfc/rfc9449.html#section-4.3"),
    who="client",
    severity="warning",
    since="2025-11-25",
    stops_at=("mcp-token-rejected", "token-request"),
)
def htu_broken(stage: Mcp | TokenEndpoint, so_far: Handshake) -> Problems:
    """`htu` in the DPoP proof names another host than the request.

    A proof contains the URL that the client calls (`htu`). With a reverse proxy under another name
    that is not the URL the server sees, and a proxy cannot change a signed value. The server has to
    refuse.

    Usual causes: a reverse proxy or tunnel, oauthtap included, between client and server.

    Repair: Use the server's real name (`oauthtap run`, a forward or transparent proxy), or disable
    DPoP while you debug.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: DPoP made-up-token-1
        DPoP: eyJhbGciOiJub25lIn0.eyJodG0iOiJQT1NUIiwiaHR1IjoiaHR0cHM6Ly9wcm94eS5leGFtcGxlLm9yZy9tY3AifQ.bWFkZS11cA
        401

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: DPoP made-up-token-1
        DPoP: eyJhbGciOiJub25lIn0.eyJodG0iOiJQT1NUIiwiaHR1IjoiaHR0cHM6Ly9tY3AuZXhhbXBsZS5jb20vbWNwIn0.bWFkZS11cA
        200 {"jsonrpc": "2.0", "id": 1, "result": {}}
    """
    proof = claims(stage.request.header("dpop") or "")
    target = text(proof.get("htu")) if proof else None
    if target and urls.origin(target) and urls.origin(target) != urls.origin(stage.url):
        yield Problem(
            message=f"the proof is not made for {urls.origin(stage.url)}, where this request goes",
            at="request.header.dpop",
            expected=stage.request.bare_url,
        )
