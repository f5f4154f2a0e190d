"""What a script in a browser may see of an answer: the CORS headers of everything but preflights."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Challenge, Preflight, Stage, StepUp, TokenRejected
from oauthtap.handshake.state import Handshake
from oauthtap.model import urls
from oauthtap.model.requirements import must, practice
from oauthtap.rules import rule


def from_script(stage: Stage, so_far: Handshake) -> bool:
    """The request comes from a script of another origin, so the browser withholds what CORS does not allow.

    An Origin header alone proves nothing (native clients send one too): the browser has to
    say so itself, or have asked for permission beforehand.
    """
    origin = stage.request.header("origin")
    if not origin or urls.origin(origin) == urls.origin(stage.url) or stage.exchange.actor not in ("client", "browser"):
        return False
    if stage.request.header("sec-fetch-mode") == "cors" or isinstance(stage, Preflight):
        return True
    return any(asked.request.header("origin") == origin for asked in so_far.all(Preflight))


def not_there(stage: Stage) -> bool:
    """A place where the client only looked whether there is a document, and there is none.

    Where the answer allows GET, there is one, and only the preflight is not reckoned with.
    """
    if "GET" in (stage.response.header("allow") or "").upper():
        return False
    return stage.status in (404, 405) and "/.well-known/" in stage.request.path


def turned_away(stage: Stage) -> bool:
    """The server refuses the origin itself, so what it leaves out of that answer is no oversight."""
    body = (stage.response.body or "")[:2000] if stage.exchange.response else ""
    return stage.status == 403 and "origin" in body.lower()


def _maybe_from_script(stage: Stage) -> bool:
    """A request of another web origin, to a server that reckons with scripts: it may well be one."""
    origin = stage.request.header("origin") or ""
    foreign = urls.origin(origin) not in ("", urls.origin(stage.url)) and stage.exchange.actor in ("client", "browser")
    return foreign and stage.response.header("access-control-allow-origin") in ("*", origin)


@rule(
    "cors-allow-origin-missing",
    must("Fetch Standard, CORS check", "https://fetch.spec.whatwg.org/#cors-check"),
    who="resource-server",
    stops_at=("mcp-challenge", "prm-discovery", "as-discovery", "client-registration", "token-request"),
)
def allow_origin_missing(stage: Stage, so_far: Handshake) -> Problems:
    """`Access-Control-Allow-Origin` does not let a browser script read this response.

    Without a matching `Access-Control-Allow-Origin` the browser hides status, headers and body. The
    script sees a network failure, as if the server were down.

    Usual causes: CORS headers are added to successful responses only, not to a 401.

    Repair: Send `Access-Control-Allow-Origin` with every response, errors included.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Origin: https://app.example.net
        Sec-Fetch-Mode: cors
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Origin: https://app.example.net
        Sec-Fetch-Mode: cors
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"
        Access-Control-Allow-Origin: https://app.example.net
        Access-Control-Expose-Headers: WWW-Authenticate
    """
    if stage.exchange.response is None or not from_script(stage, so_far):
        return
    if isinstance(stage, Preflight) and not stage.ok:
        return
    origin, allowed = stage.request.header("origin") or "", stage.response.header("access-control-allow-origin")
    if allowed not in ("*", origin):
        own = urls.origin(stage.url) == urls.origin(so_far.resource or stage.url)
        yield Problem(
            message=f"Access-Control-Allow-Origin is {allowed or 'absent'}; for this script it has to be {origin}",
            at="response.header.access-control-allow-origin",
            expected=origin,
            actual=allowed or "absent",
            responsible=None if own else "authorization-server",
            severity="note" if not_there(stage) or turned_away(stage) else None,
            patch=Patch(headers={"Access-Control-Allow-Origin": origin}),
        )


@rule(
    "cors-expose-www-authenticate",
    practice(
        "Fetch Standard, CORS-safelisted response-header name; RFC 9449 §7.1 (same advice)",
        "https://fetch.spec.whatwg.org/#cors-safelisted-response-header-name",
    ),
    who="resource-server",
    severity="error",
    since="2025-06-18",
    stops_at=("prm-discovery", "as-discovery", "client-registration"),
)
def challenge_not_exposed(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """`Access-Control-Expose-Headers` does not include `WWW-Authenticate`.

    Browsers expose only a few headers to scripts, and `WWW-Authenticate` only if the server lists
    it here. The client sees a 401 without `resource_metadata`.

    Repair: Send `Access-Control-Expose-Headers: WWW-Authenticate` (and `Mcp-Session-Id`).

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Origin: https://app.example.net
        Sec-Fetch-Mode: cors
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"
        Access-Control-Allow-Origin: *

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        Origin: https://app.example.net
        Sec-Fetch-Mode: cors
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"
        Access-Control-Allow-Origin: *
        Access-Control-Expose-Headers: WWW-Authenticate
    """
    if stage.status not in (401, 403) or not stage.challenged.challenges:
        return
    evident = from_script(stage, so_far)
    if not evident and not _maybe_from_script(stage):
        return
    value = stage.response.header("access-control-expose-headers") or ""
    exposed = [name.strip() for name in value.split(",") if name.strip()]
    if not {name.lower() for name in exposed} & {"*", "www-authenticate"}:
        yield Problem(
            message=f"Access-Control-Expose-Headers is {value or 'absent'}; it has to name WWW-Authenticate",
            at="response.header.access-control-expose-headers",
            expected="WWW-Authenticate",
            actual=value or "absent",
            severity=None if evident else "warning",
            patch=Patch(headers={"Access-Control-Expose-Headers": ", ".join([*exposed, "WWW-Authenticate"])}),
        )
