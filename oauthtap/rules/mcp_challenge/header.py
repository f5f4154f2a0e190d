"""The WWW-Authenticate header as a whole: that it is there, and that its Bearer challenge is found."""

from __future__ import annotations

import re

from oauthtap.diagnosis.findings import Patch, Problem, Problems
from oauthtap.handshake.stages import Challenge, Mcp, StepUp, TokenRejected
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import must, practice
from oauthtap.model.www_authenticate import Challenge as Parsed
from oauthtap.model.www_authenticate import format_challenges, without_quoted
from oauthtap.rules import rule
from oauthtap.rules.mcp_challenge.repair import metadata_place

_AT = "response.header.www-authenticate"
_REMAPPED = "x-amzn-remapped-www-authenticate"


def _rewritten(challenges: list[Parsed]) -> Patch:
    return Patch(headers={"WWW-Authenticate": format_challenges(challenges)})


def _bearer_for(stage: Mcp, so_far: Handshake) -> Patch:
    place, assumes = metadata_place(stage, so_far)
    return Patch(headers={"WWW-Authenticate": f'Bearer resource_metadata="{place}"'}, assumes=assumes)


@rule(
    "challenge-header-missing",
    must(
        "RFC 9110 §15.5.2; RFC 6750 §3; MCP 2025-06-18 'Authorization Server Location'",
        "https://www.rfc-editor.org/rfc/rfc9110.html#section-15.5.2",
    ),
    who="resource-server",
    severity="warning",
    stops_at=("as-discovery", "client-registration", "authorization-request"),
)
def header_missing(stage: Challenge | TokenRejected, so_far: Handshake) -> Problems:
    """The 401 has no `WWW-Authenticate` header.

    The header tells a client where the metadata is. Without it the client has to guess the
    well-known URL, and clients of 2025-06-18 do not. (A client that already has a token knows it,
    so there it matters less.)

    Usual causes: a proxy or middleware that drops the header; a framework whose default 401 page is
    sent before the bearer check.

    Repair: Send `WWW-Authenticate: Bearer resource_metadata="<URL of the metadata>"` with every 401.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    """
    if stage.status != 401 or stage.response.header_lines("www-authenticate"):
        return
    if stage.response.header(_REMAPPED) is not None:
        return
    yield Problem(
        message="The 401 has no WWW-Authenticate header; it needs a Bearer challenge that names the metadata",
        at=_AT,
        expected="a Bearer challenge",
        actual="no header",
        severity="note" if isinstance(stage, TokenRejected) else None,
        patch=_bearer_for(stage, so_far),
    )


@rule(
    "challenge-header-remapped",
    practice(
        "RFC 9110 §11.6.1; AWS API Gateway 'Important notes'",
        "https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html",
    ),
    who="resource-server",
    severity="error",
    stops_at=("as-discovery", "client-registration", "authorization-request"),
)
def header_remapped(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """AWS API Gateway renames `WWW-Authenticate` to `x-amzn-remapped-www-authenticate`.

    The server sends the challenge, but clients do not read the renamed header, so they have to
    guess the well-known URL.

    Repair: Map the header back to `WWW-Authenticate` in the gateway's integration response, or use
    a front end that does not rename it (a load balancer, a Lambda function URL).

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        x-amzn-Remapped-WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"
    """
    remapped = stage.response.header(_REMAPPED)
    if remapped is not None and not stage.response.header_lines("www-authenticate"):
        yield Problem(
            message=f"The challenge arrives under the name {_REMAPPED}; it has to be named WWW-Authenticate",
            at=f"response.header.{_REMAPPED}",
            expected="WWW-Authenticate",
            actual=_REMAPPED,
            patch=Patch(headers={"WWW-Authenticate": remapped, _REMAPPED: None}),
        )


@rule(
    "challenge-scheme-not-bearer",
    must("RFC 6750 §3; OAuth 2.1 draft-13 §5.3.1", "https://www.rfc-editor.org/rfc/rfc6750.html#section-3"),
    who="resource-server",
)
def scheme_not_bearer(stage: Challenge, so_far: Handshake) -> Problems:
    """The scheme in `WWW-Authenticate` is not `Bearer`.

    OAuth clients look for a challenge with the scheme `Bearer`. They ignore every other one,
    including its `resource_metadata` and `scope`.

    Usual causes: a Basic login of the web server in front; an invented scheme (`OAuth`, `Token`,
    `MCP`).

    Repair: Use the scheme `Bearer`. Other challenges may follow it.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: OAuth resource_metadata="https://mcp.example.com/prm"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"
    """
    schemes = [challenge.scheme for challenge in stage.challenged.challenges]
    if stage.status != 401 or not schemes or "" in schemes or {s.lower() for s in schemes} & {"bearer", "dpop"}:
        return
    named = next((c for c in stage.challenged.challenges if c.get("resource_metadata")), None)
    patch = _rewritten([Parsed("Bearer", named.params)]) if named else _bearer_for(stage, so_far)
    yield Problem(
        message=f"The challenge has the scheme {', '.join(schemes)[:80]}; an OAuth client looks for Bearer",
        at=f"{_AT}.scheme",
        expected="Bearer",
        actual=", ".join(schemes)[:80],
        patch=patch,
    )


@rule(
    "challenge-scheme-missing",
    must("RFC 9110 §11.6.1 and §11.3", "https://www.rfc-editor.org/rfc/rfc9110.html#section-11.6.1"),
    who="resource-server",
)
def scheme_missing(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """The challenge in `WWW-Authenticate` has no scheme: `Bearer` is missing.

    Clients check that the first word is `Bearer` and ignore the whole header when it is not,
    including `resource_metadata`.

    Usual causes: a hand-built header that has the parameters only; `Bearer:` with a colon.

    Repair: Begin the value with `Bearer` and one space.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: resource_metadata="https://mcp.example.com/prm"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"
    """
    parsed = stage.challenged
    if "no-scheme" not in parsed.deviations:
        return
    named = [Parsed(challenge.scheme or "Bearer", challenge.params) for challenge in parsed.challenges]
    yield Problem(
        message=f"The challenge begins with `{parsed.raw[:40]}…`; it has to begin with the scheme Bearer",
        at=f"{_AT}.scheme",
        expected="Bearer",
        actual="no scheme",
        patch=_rewritten(named),
    )


@rule(
    "challenge-bearer-without-params",
    must("RFC 6750 §3; OAuth 2.1 draft-13 §5.3.1", "https://www.rfc-editor.org/rfc/rfc6750.html#section-3"),
    who="resource-server",
    severity="warning",
    stops_at=("as-discovery", "client-registration", "authorization-request"),
)
def bearer_without_params(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """The Bearer challenge has no parameters.

    It says that a token is required, but not where to get one. The client has to guess the
    well-known URL; some clients ignore such a challenge.

    Usual causes: the default challenge of a web framework or gateway.

    Repair: Add `resource_metadata="<URL of the metadata>"`, and `scope` where you know it.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
    """
    parsed = stage.challenged
    bearers = [challenge for challenge in parsed.challenges if challenge.is_bearer()]
    readable = {"comma-after-scheme", "bad-quotes"}.isdisjoint(parsed.deviations)
    if readable and any(not c.params and c.token68 is None for c in bearers) and "Bearer=" not in parsed.raw:
        rest = [challenge for challenge in parsed.challenges if challenge.params or not challenge.is_bearer()]
        full = any(challenge.is_bearer() for challenge in rest)
        yield Problem(
            message="A Bearer challenge has no parameter at all; it needs at least resource_metadata",
            at=_AT,
            expected='Bearer resource_metadata="…"',
            actual="Bearer",
            patch=_rewritten(rest) if full else _bearer_for(stage, so_far),
        )


@rule(
    "challenge-scheme-spacing",
    practice(
        "RFC 9110 §11.3 and §11.6.1 (scheme, one or more SP, parameters)",
        "https://www.rfc-editor.org/rfc/rfc9110.html#section-11.3",
    ),
    who="resource-server",
    severity="warning",
)
def scheme_spacing(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """`Bearer` in the challenge is followed by a tab or by more than one space.

    Several spaces are legal, but the TypeScript SDK splits at each one, finds an empty second word
    and ignores the challenge. A tab is not legal there.

    Usual causes: a header value that is split over several lines of source code.

    Repair: Write exactly one space after `Bearer`.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer   resource_metadata="https://mcp.example.com/prm"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"
    """
    parsed = stage.challenged
    masked = without_quoted(parsed.raw)
    if match := re.search(r"(?:^|,\s*)bearer([ \t]{2,}|\t)(?=[^\s,])", masked, re.I):
        gap = "a tab" if "\t" in match[1] else f"{len(match[1])} spaces"
        yield Problem(
            message=f"{gap.capitalize()} between Bearer and its first parameter; it has to be one space",
            at=_AT,
            expected="one space",
            actual=gap,
            patch=_rewritten(list(parsed.challenges)),
        )


@rule(
    "challenge-bearer-not-first",
    practice(
        "RFC 9110 §11.6.1 (several challenges are legal; recipients are warned about parsing)",
        "https://www.rfc-editor.org/rfc/rfc9110.html#section-11.6.1",
    ),
    who="resource-server",
    severity="warning",
)
def bearer_not_first(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """The Bearer challenge is not the first challenge in `WWW-Authenticate`.

    That is legal HTTP. But the TypeScript SDK reads only the first word of the combined header, and
    ignores the rest when that is not `Bearer`.

    Usual causes: a gateway that adds a Basic challenge in front of the application's.

    Repair: Send the Bearer challenge first, or alone.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Basic realm="gate", Bearer resource_metadata="https://mcp.example.com/prm"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm", Basic realm="gate"
    """
    found = stage.challenged.challenges
    if stage.challenged.bearer is None or found[0].is_bearer() or not found[0].scheme:
        return
    yield Problem(
        message=f"The first challenge has the scheme {found[0].scheme}; Bearer has to come first to be seen everywhere",
        at=_AT,
        expected="Bearer",
        actual=found[0].scheme,
        patch=_rewritten(sorted(found, key=lambda challenge: not challenge.is_bearer())),
    )


@rule(
    "challenge-conflicting-bearer",
    practice("RFC 9728 §5.1; RFC 9110 §11.6.1", "https://www.rfc-editor.org/rfc/rfc9728.html#section-5.1"),
    who="resource-server",
    severity="warning",
    since="2025-06-18",
    stops_at=("as-discovery", "client-registration", "authorization-request"),
)
def conflicting_bearer(stage: Challenge | TokenRejected | StepUp, so_far: Handshake) -> Problems:
    """The response has two Bearer challenges with different parameters.

    Each client uses the one its parser finds first, so the same server works with one client and
    not with another.

    Usual causes: gateway and application both add a challenge.

    Repair: Let one layer only send the challenge: the one that knows the metadata URL.

    Bad:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer realm="gate"
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"

    Good:
        POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
        401
        WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/prm"
    """
    bearers = [challenge for challenge in stage.challenged.challenges if challenge.is_bearer()]
    for name in ("resource_metadata", "scope"):
        values = [challenge.get(name) for challenge in bearers]
        if len(set(values)) > 1:
            best = next((c for c in bearers if c.get("resource_metadata")), bearers[0])
            others = [challenge for challenge in stage.challenged.challenges if not challenge.is_bearer()]
            told = " and ".join(value or "none" for value in values)
            yield Problem(
                message=f"{len(bearers)} Bearer challenges give different values for {name} ({told}); one has to remain",
                at=f"{_AT}.{name}",
                expected="one Bearer challenge",
                actual=f"{len(bearers)} Bearer challenges",
                patch=_rewritten([best, *others]),
            )
            return
