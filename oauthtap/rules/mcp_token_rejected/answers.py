"""How a server refuses a token: by which status, with which words, and whether it saw the token at all."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Mcp, StepUp, TokenRejected
from oauthtap.handshake.state import Handshake, absolute
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice, should
from oauthtap.model.www_authenticate import format_challenges, with_params
from oauthtap.redaction.alias_format import claims
from oauthtap.rules import rule
from oauthtap.rules.mcp_challenge.repair import as_challenge

_HANDLING = "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#token-handling"
_TOKEN = r"(?:access[ _-]?|bearer[ _-]?|auth(?:entication|orization)?[ _-]?|id[ _-]?)?(?:token|jwt)s?"
_BAD_TOKEN = re.compile(
    rf"invalid_token|\b(?:invalid|expired|malformed|unknown|revoked|bad|inactive|unrecogni[sz]ed|untrusted)[ _-]{_TOKEN}\b|"
    rf"\b{_TOKEN}\b[^.\n{{}}]{{0,40}}\b(?:invalid|expired|malformed|revoked|inactive|not (?:active|allowed|trusted|valid)|"
    r"rejected|(?:could|can) ?not be (?:verified|validated|decoded|parsed)|verification failed|validation failed)\b|"
    r"\bsignature (?:verification|is invalid|invalid|mismatch)|\binvalid signature\b|\bjwt (?:expired|malformed|signature)|"
    r"\b(?:invalid|wrong|unexpected|untrusted|unknown|bad) (?:token )?(?:audience|issuer)\b|"
    r"\b(?:audience|issuer)s?\b[^.\n{}]{0,30}(?:mismatch|invalid|not (?:allowed|match|valid|trusted|accepted)|does(?: not|n't) match)|"
    r"unable to find a signing key|no matching (?:jwk|key)",
    re.I,
)
_OTHER_TOKEN = re.compile(
    r"unexpected token|not valid json|csrf|xsrf|session[ _-]?token|page[ _-]?token|cursor|in json at position|"
    r"upstream account|third.?party|max_tokens|token limit|too many tokens",
    re.I,
)
_MISSING = re.compile(
    r"\b(?:no|missing|without|absent|lacks?|lacking)[ _-]+(?:(?:the|an?|any|valid|required)[ _-]+)*"
    r"(?:bearer|access|authorization|auth|authentication)[ _-]*(?:token|header|credentials)?\b|"
    r"\b(?:no|missing)[ _-]+(?:token|credentials)\b|\bmissing[ _-]token|"
    r"\b(?:authorization|auth|bearer|access)[ _-]?(?:token|header|credentials)(?: header| token)?[ \w'\"]{0,12}"
    r"\b(?:missing|absent|required|not (?:provided|present|found|supplied|set|sent|included|given))\b|"
    r"\b(?:token|credentials) (?:is|was|were|are)? ?(?:missing|absent|not (?:provided|present|found|supplied|sent))\b|"
    r"\bno credentials\b|\bcredentials were not provided\b|\bnot authenticated\b|full authentication is required|"
    r"\b(?:must|need to|have to) (?:be )?(?:first )?(?:log|logged|sign|signed)[ -]in\b|"
    r"\b(?:not|n't) (?:currently |yet )?(?:logged|signed)[ -]in\b",
    re.I,
)
_GENERIC = {
    "forbidden", "access", "denied", "error", "status", "code", "message", "http", "nginx", "html", "head", "title",
    "body", "center", "detail", "details", "jsonrpc", "null", "true", "false", "you", "not", "the", "this", "have",
    "are", "request", "statuscode", "type", "about", "blank", "unauthorized", "server", "apache", "openresty", "doctype",
    "allowed", "client", "authorized", "reason", "success", "timestamp", "path", "mcp", "data", "for", "resource",
    "don", "charset", "utf", "envoy", "rbac", "public", "ietf", "dtd",
}  # fmt: skip


def _text(stage: Mcp) -> str:
    """What the answer says in words: its body, and what its challenge describes."""
    response = stage.exchange.response
    body = (response.body or "")[:4000] if response else ""
    bearer = stage.challenged.bearer
    return f"{body} {(bearer.get('error_description') or '') if bearer else ''}".strip()


def _is_application(text: str) -> bool:
    return "-32042" in text or ('"isError"' in text and re.search(r'"isError"\s*:\s*true', text) is not None)


@rule(
    "token-rejected-wrong-status",
    must("MCP 2026-07-28 'Token Handling' and 'Error Handling'; RFC 6750 §3.1", _HANDLING),
    who="resource-server",
)
def wrong_status(stage: Mcp, so_far: Handshake) -> Problems:
    """An invalid or expired access token is not answered with 401.

    Only a 401 makes a client refresh its token or sign in again. On any other status it reports a
    failure, and keeps failing until the user deletes the token. Usual causes: one error handler for
    everything, which answers 403 or 500; a policy of a gateway.

    Repair: Answer 401 with `WWW-Authenticate: Bearer error="invalid_token"` whenever the token is
    invalid.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token
        403 {"message": "Token expired"}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token
        401 {"message": "Token expired"}
        WWW-Authenticate: Bearer error="invalid_token"
    """
    if not stage.request.carries_token or stage.exchange.response is None or stage.status in (401, 421, 429):
        return
    why = _refused_for_token(stage)
    if why:
        yield Problem(
            message=f"The token is refused with {stage.status} ({why}); that has to be 401",
            at="response.status",
            expected="401",
            actual=str(stage.status),
            patch=as_challenge(stage, so_far, error="invalid_token"),
        )


def _refused_for_token(stage: Mcp) -> str | None:
    status, text = stage.status or 0, _text(stage)
    if 300 <= status < 400 and (location := stage.exchange.response and stage.exchange.response.header("location")):
        return (
            "it sends the client to a login page"
            if urls.leads_to_login(stage.url, absolute(location, stage.url))
            else None
        )
    if status in (403, 500) and (expired := _expired_for(stage)) is not None:
        return f"it expired {expired:.0f} s ago"
    if stage.error == "insufficient_scope" or isinstance(stage, StepUp) or _is_application(text):
        return None
    if status == 200:
        told = stage.reply.get("error") if stage.method != "tools/call" else None
        text = str(told) if told else ""
    elif status < 400 or (status == 404 and stage.request.header("mcp-session-id")):
        return None
    elif stage.error == "invalid_token":
        return "error=invalid_token"
    if _OTHER_TOKEN.search(text) or _MISSING.search(text):
        return None
    match = _BAD_TOKEN.search(text)
    return f"“{' '.join(match[0].split())[:60]}”" if match else None


def _expired_for(stage: Mcp) -> float | None:
    """Seconds since the token expired by its own claims, when it is a good deal more than a clock's error."""
    expiry = (claims(stage.bearer or "") or {}).get("exp")
    at = stage.exchange.started_at
    if at is None or isinstance(expiry, bool) or not isinstance(expiry, int | float):
        return None
    return at - expiry if at - expiry > 60 else None


@rule(
    "token-rejected-no-error-code",
    should("RFC 6750 §3; OAuth 2.1 draft-13 §5.3.1", "https://www.rfc-editor.org/rfc/rfc6750.html#section-3"),
    who="resource-server",
    severity="note",
)
def no_code(stage: TokenRejected, so_far: Handshake) -> Problems:
    """The challenge for a refused token has no `error`.

    Client and developer cannot tell an invalid token from a missing one.

    Repair: Send `error="invalid_token"` and a short `error_description` in the challenge.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token
        401
        WWW-Authenticate: Bearer error="invalid_token", resource_metadata="https://mcp.example.com/prm"
    """
    if stage.status == 401 and stage.challenged.bearer and stage.error is None:
        told = [with_params(c, error="invalid_token") if c.is_bearer() else c for c in stage.challenged.challenges]
        yield Problem(
            message="The challenge to a request with a token has no error; it has to be invalid_token",
            at="response.header.www-authenticate.error",
            expected="invalid_token",
            actual="no error",
            patch=Patch(headers={"WWW-Authenticate": format_challenges(told)}),
        )


@rule(
    "token-rejected-as-missing",
    practice(
        "RFC 9110 §11.6.2 (proxies leave Authorization untouched)",
        "https://www.rfc-editor.org/rfc/rfc9110.html#section-11.6.2",
    ),
    who="resource-server",
    severity="error",
    stops_at=("mcp-token-rejected",),
)
def seen_as_missing(stage: Mcp, so_far: Handshake) -> Problems:
    """The server reports a missing token, although `Authorization` was sent.

    Something between the client and the application removes the header. The client is correct and
    cannot change it.

    Usual causes: Apache with CGI or FPM and no `CGIPassAuth On`; an nginx that sets an empty
    Authorization; a gateway or platform login that uses the header itself.

    Repair: Let every layer forward `Authorization` to the application unchanged.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token
        401 {"message": "Missing Authorization header"}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token
        401 {"message": "Token expired"}
    """
    if stage.status not in (401, 403) or stage.bearer is None or stage.error in ("invalid_token", "insufficient_scope"):
        return
    text = _text(stage)
    match = None if _BAD_TOKEN.search(text) or _is_application(text) else _MISSING.search(text)
    if match and not re.search(r"\bor\b.{0,12}(?:invalid|expired)|(?:invalid|expired).{0,12}\bor\b", text, re.I):
        yield Problem(
            message=f"The server says “{' '.join(match[0].split())[:80]}” to a request that carries a Bearer token",
            at="request.header.authorization",
            expected="the token reaches the application",
            actual=f"{stage.status}: {' '.join(match[0].split())[:80]}",
        )


@rule(
    "token-rejected-unexplained-403",
    must(
        "MCP 2026-07-28 'Error Handling'; RFC 6750 §3.1",
        "https://modelcontextprotocol.io/specification/2026-07-28/basic/authorization#error-handling",
    ),
    who="resource-server",
    symptom=True,
)
def unexplained_403(stage: Mcp, so_far: Handshake) -> Problems:
    """A request with a token is answered with 403 and no `error`.

    A client cannot know whether the token is invalid, a scope is missing, or a gateway refused. So
    it neither refreshes nor requests more scopes. Usual causes: the server expects another token
    than was issued; a firewall or gateway rule.

    Repair: Answer 401 with `error="invalid_token"` for an invalid token, and 403 with
    `error="insufficient_scope"` for a missing scope.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token
        403 {"message": "Forbidden"}

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
        Authorization: Bearer made-up-token
        403
        WWW-Authenticate: Bearer error="insufficient_scope", scope="tools"
    """
    if stage.status != 403 or stage.bearer is None or stage.challenged.bearer is not None:
        return
    if stage.request.header("origin") is not None or stage.response.header("cf-mitigated") is not None:
        return
    words = {word.lower() for word in re.findall(r"[A-Za-z]{3,}", re.sub(r"<[^>]*>", " ", stage.answer_text[:2000]))}
    if words - _GENERIC:
        return
    fresh = stage.bearer in so_far.issued and not any(s.bearer == stage.bearer for s in so_far.all(Mcp))
    yield Problem(
        message=f"A request with a {'fresh ' if fresh else ''}token is answered 403 without a reason; "
        "it has to be 401, or 403 with insufficient_scope",
        at="response.status",
        expected="401 with error=invalid_token",
        actual="403",
        patch=as_challenge(stage, so_far, error="invalid_token"),
    )
