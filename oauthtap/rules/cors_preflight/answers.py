"""The answers to a browser's permission checks: allowed at all, allowed headers, allowed methods."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Party, Patch, Problem, Problems
from oauthtap.handshake.stages import Preflight, Stage
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must
from oauthtap.rules import rule
from oauthtap.rules.mcp_challenge.scripts import from_script, not_there, turned_away

_PREFLIGHT = "https://fetch.spec.whatwg.org/#cors-preflight-fetch"
_EVERYWHERE = (
    "mcp-challenge",
    "mcp-initialize",
    "prm-discovery",
    "as-discovery",
    "client-registration",
    "token-request",
)
_USUAL = "Authorization, Content-Type, MCP-Protocol-Version, Mcp-Session-Id, Last-Event-ID"


def _whose(stage: Stage, so_far: Handshake) -> Party | None:
    own = urls.origin(stage.url) == urls.origin(so_far.resource or stage.url)
    return None if own else "authorization-server"


def _listed(stage: Preflight, name: str) -> list[str]:
    value = stage.response.header(name) or ""
    return [part.strip() for part in value.split(",") if part.strip()]


def _permission(stage: Preflight) -> Patch:
    """The preflight answered as it should be."""
    headers: dict[str, str | None] = {
        "Access-Control-Allow-Origin": stage.request.header("origin") or "*",
        "Access-Control-Allow-Methods": "GET, POST, DELETE, OPTIONS",
        "Access-Control-Allow-Headers": ", ".join(stage.wanted_headers) or _USUAL,
        "WWW-Authenticate": None,
        "Location": None,
        "Content-Type": None,
    }
    return Patch(status=204, headers=headers, body="")


@rule(
    "cors-preflight-blocked",
    must("Fetch Standard, CORS-preflight fetch (ok status required)", _PREFLIGHT),
    who="resource-server",
    stops_at=_EVERYWHERE,
)
def blocked(stage: Preflight, so_far: Handshake) -> Problems:
    """The CORS preflight (`OPTIONS`) is refused.

    A preflight never carries a token. If it is not answered with 2xx, the browser does not send the
    real request, and the script sees a network failure.

    Usual causes: the bearer check also covers OPTIONS; no route for OPTIONS.

    Repair: Answer preflights before the bearer check, with 204 and the CORS headers.

    Bad:
        OPTIONS https://mcp.example.com/mcp
        Origin: https://app.example.net
        Access-Control-Request-Method: POST
        401

    Good:
        OPTIONS https://mcp.example.com/mcp
        Origin: https://app.example.net
        Access-Control-Request-Method: POST
        204
        Access-Control-Allow-Origin: https://app.example.net
    """
    if stage.exchange.response is not None and not stage.ok and from_script(stage, so_far):
        yield Problem(
            message=f"The preflight for {stage.wanted_method} is answered {stage.status}; it has to be a success",
            at="response.status",
            expected="204",
            actual=str(stage.status),
            responsible=_whose(stage, so_far),
            severity="note" if not_there(stage) or turned_away(stage) else None,
            patch=_permission(stage),
        )


@rule(
    "cors-allow-headers",
    must("Fetch Standard, CORS-preflight fetch", _PREFLIGHT),
    who="resource-server",
    stops_at=_EVERYWHERE,
)
def headers_not_allowed(stage: Preflight, so_far: Handshake) -> Problems:
    """`Access-Control-Allow-Headers` lacks a header that the script sends.

    The browser compares the headers the script wants to send with those the server allows. If one
    is missing, it does not send the request.

    Usual causes: a list of headers from before MCP (`mcp-protocol-version`, `mcp-session-id`).

    Repair: Add the header to `Access-Control-Allow-Headers`, or return the requested headers.

    Bad:
        OPTIONS https://mcp.example.com/mcp
        Origin: https://app.example.net
        Access-Control-Request-Method: POST
        Access-Control-Request-Headers: content-type, mcp-protocol-version
        204
        Access-Control-Allow-Origin: *
        Access-Control-Allow-Headers: Content-Type

    Good:
        OPTIONS https://mcp.example.com/mcp
        Origin: https://app.example.net
        Access-Control-Request-Method: POST
        Access-Control-Request-Headers: content-type, mcp-protocol-version
        204
        Access-Control-Allow-Origin: *
        Access-Control-Allow-Headers: Content-Type, MCP-Protocol-Version
    """
    if not stage.ok or not from_script(stage, so_far):
        return
    allowed = _listed(stage, "access-control-allow-headers")
    names = {name.lower() for name in allowed}
    missing = [name for name in stage.wanted_headers if name not in names]
    if missing and "*" not in names:
        yield Problem(
            message=f"Access-Control-Allow-Headers does not name {', '.join(missing)[:120]}, which the script has to send",
            at="response.header.access-control-allow-headers",
            expected=", ".join(stage.wanted_headers),
            actual=", ".join(allowed) or "absent",
            responsible=_whose(stage, so_far),
            patch=Patch(headers={"Access-Control-Allow-Headers": ", ".join([*allowed, *missing])}),
        )


@rule(
    "cors-authorization-wildcard",
    must(
        "Fetch Standard, CORS non-wildcard request-header name",
        "https://fetch.spec.whatwg.org/#cors-non-wildcard-request-header-name",
    ),
    who="resource-server",
    severity="warning",
)
def authorization_by_wildcard(stage: Preflight, so_far: Handshake) -> Problems:
    """`Access-Control-Allow-Headers: *` does not include `Authorization`.

    The wildcard does not cover `Authorization`. Browsers have begun to enforce this, and then do
    not send any request with a token.

    Repair: Name `Authorization` in `Access-Control-Allow-Headers`, in addition to or instead of
    `*`.

    Bad:
        OPTIONS https://mcp.example.com/mcp
        Origin: https://app.example.net
        Access-Control-Request-Method: POST
        Access-Control-Request-Headers: authorization
        204
        Access-Control-Allow-Origin: *
        Access-Control-Allow-Headers: *

    Good:
        OPTIONS https://mcp.example.com/mcp
        Origin: https://app.example.net
        Access-Control-Request-Method: POST
        Access-Control-Request-Headers: authorization
        204
        Access-Control-Allow-Origin: *
        Access-Control-Allow-Headers: *, Authorization
    """
    names = {name.lower() for name in _listed(stage, "access-control-allow-headers")} if stage.ok else set()
    wanted = "authorization" in stage.wanted_headers and from_script(stage, so_far)
    if wanted and "*" in names and "authorization" not in names:
        yield Problem(
            message="Access-Control-Allow-Headers is *, which leaves Authorization out; it has to be named",
            at="response.header.access-control-allow-headers",
            expected="*, Authorization",
            actual="*",
            responsible=_whose(stage, so_far),
            patch=Patch(headers={"Access-Control-Allow-Headers": "*, Authorization"}),
        )


@rule(
    "cors-allow-methods",
    must("Fetch Standard, CORS-preflight fetch", _PREFLIGHT),
    who="resource-server",
    severity="warning",
)
def method_not_allowed(stage: Preflight, so_far: Handshake) -> Problems:
    """`Access-Control-Allow-Methods` lacks the method that the script uses.

    Only GET, HEAD and POST need no permission. DELETE, with which a client ends its
    session, has to be listed.

    Repair: Send `Access-Control-Allow-Methods: GET, POST, DELETE, OPTIONS`.

    Bad:
        OPTIONS https://mcp.example.com/mcp
        Origin: https://app.example.net
        Access-Control-Request-Method: DELETE
        204
        Access-Control-Allow-Origin: *
        Access-Control-Allow-Methods: GET, POST

    Good:
        OPTIONS https://mcp.example.com/mcp
        Origin: https://app.example.net
        Access-Control-Request-Method: DELETE
        204
        Access-Control-Allow-Origin: *
        Access-Control-Allow-Methods: GET, POST, DELETE
    """
    wanted = stage.wanted_method
    if not stage.ok or not from_script(stage, so_far) or wanted.upper() in ("GET", "HEAD", "POST"):
        return
    allowed = _listed(stage, "access-control-allow-methods")
    if wanted not in allowed and "*" not in allowed:
        yield Problem(
            message=f"Access-Control-Allow-Methods is {', '.join(allowed) or 'absent'}; it has to name {wanted}",
            at="response.header.access-control-allow-methods",
            expected=wanted,
            actual=", ".join(allowed) or "absent",
            responsible=_whose(stage, so_far),
            patch=Patch(headers={"Access-Control-Allow-Methods": ", ".join([*allowed, wanted])}),
        )


@rule(
    "cors-credentials-wildcard",
    must(
        "Fetch Standard, CORS protocol and credentials",
        "https://fetch.spec.whatwg.org/#cors-protocol-and-credentials",
    ),
    who="resource-server",
    severity="warning",
)
def credentials_for_anyone(stage: Stage, so_far: Handshake) -> Problems:
    """`Access-Control-Allow-Origin: *` is sent together with `Access-Control-Allow-Credentials`.

    A script that sends cookies cannot read the response: for it the origin has to be named. Scripts
    that send a token in a header and no cookies are not affected.

    Repair: Return the script's origin instead of `*`, or leave `Access-Control-Allow-Credentials`
    out.

    Bad:
        OPTIONS https://mcp.example.com/mcp
        Origin: https://app.example.net
        Access-Control-Request-Method: POST
        204
        Access-Control-Allow-Origin: *
        Access-Control-Allow-Credentials: true

    Good:
        OPTIONS https://mcp.example.com/mcp
        Origin: https://app.example.net
        Access-Control-Request-Method: POST
        204
        Access-Control-Allow-Origin: https://app.example.net
        Access-Control-Allow-Credentials: true
    """
    if stage.exchange.response is None or not from_script(stage, so_far):
        return
    anyone = stage.response.header("access-control-allow-origin") == "*"
    if anyone and (stage.response.header("access-control-allow-credentials") or "").strip() == "true":
        yield Problem(
            message="Access-Control-Allow-Origin is * together with Allow-Credentials; it has to name the origin",
            at="response.header.access-control-allow-origin",
            expected=stage.request.header("origin"),
            actual="*",
            responsible=_whose(stage, so_far),
            severity=None if stage.request.header("cookie") else "note",
            patch=Patch(headers={"Access-Control-Allow-Origin": stage.request.header("origin")}),
        )
