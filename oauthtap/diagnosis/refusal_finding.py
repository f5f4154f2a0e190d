"""A refusal as a finding of its own, in its own words: where no rule finds its reason."""

from __future__ import annotations

from oauthtap.diagnosis.findings import Finding, Party
from oauthtap.diagnosis.lifetime import how_long_it_worked
from oauthtap.diagnosis.omission import find_omission
from oauthtap.diagnosis.refusal import Refusal, is_absent_guess
from oauthtap.diagnosis.subjects import meaning
from oauthtap.handshake.stages import AuthorizationRequest, AuthorizationResponse, Mcp, TokenEndpoint, Unseen
from oauthtap.handshake.state import Handshake

REFUSED = "refused"
"""The rule id of a cause that no rule explains: the refusal, in its own words."""

PARTY: dict[Party, str] = {
    "resource-server": "the MCP server",
    "authorization-server": "the authorization server",
    "client": "the client",
    "config": "the configuration",
    "network": "something in front of the server",
}

STEP: dict[str, str] = {
    "mcp-challenge": "the request without a token",
    "prm-discovery": "the protected resource metadata",
    "as-discovery": "the authorization server metadata",
    "client-registration": "the client registration",
    "pushed-authorization": "the pushed authorization request",
    "authorization-request": "the authorization request",
    "authorization-interaction": "a step of the login page",
    "authorization-response": "the authorization request",
    "token-request": "the token request",
    "token-refresh": "the token refresh",
    "token-other-grant": "the token request",
    "device-authorization": "the device authorization",
    "mcp-initialize": "the MCP initialize request",
    "mcp-discover": "the MCP server/discover request",
    "mcp-request": "an MCP request",
    "mcp-stream": "the MCP stream",
    "legacy-sse": "the legacy SSE request",
    "mcp-token-rejected": "the access token",
    "mcp-step-up": "the access token's scope",
    "other": "a page of the sign-in",
}


def sends_resource(place: int | None, handshake: Handshake) -> bool:
    """The request of that exchange has a `resource` that may be left out; a request that is not to be seen may."""
    for stage in handshake.of(place or 0):
        asked = stage.requested or handshake.authorization if isinstance(stage, AuthorizationResponse) else stage
        if isinstance(asked, AuthorizationRequest | TokenEndpoint):
            try:
                return asked.get("resource") is not None
            except Unseen:
                return True
    return True


def said_by(refusal: Refusal, handshake: Handshake) -> Finding:
    """The refusal as a finding: its words, its party, what to change."""
    phrase = refusal.phrase.phrase if refusal.phrase is not None and refusal.phrase.subject == refusal.subject else None
    if phrase is not None and phrase.is_generic and phrase.party == "authorization-server" and _is_of_mcp(refusal):
        phrase = None  # a code of an authorization server, in the mouth of an MCP server
    means, change = meaning(refusal.subject)
    if phrase is not None:
        means, change = phrase.means, phrase.change
        if (
            refusal.subject == "resource"
            and "drop-resource" not in change
            and sends_resource(refusal.exchange, handshake)
        ):
            change = f"{change} To see whether it is this: leave `resource` out (`--fix drop-resource`)."
    if refusal.edge and refusal.subject == "edge":
        means = f"{refusal.edge} answered in its place. {means}".strip()
    lost = how_long_it_worked(refusal, handshake)
    if lost:
        means, change = lost
    host = _host(refusal, handshake)
    party = PARTY[refusal.who]
    omitted = find_omission(refusal, handshake)
    if omitted is not None:
        means, change = f"The request has no `{omitted}`.", f"Make the client send `{omitted}`."
    if refusal.stage == "authorization-request" and refusal.status == 404 and phrase is None:
        means = "This address serves no page, or the server does not know the client id: some say it with 404."
        change = "Configure the id of a registered client; if the id is right, correct `authorization_endpoint`."
    title = f"{party[:1].upper()}{party[1:]} refuses {STEP.get(refusal.stage, 'a request')}"
    needless = is_absent_guess(refusal, handshake) and any(
        one.ok and one.bearer is None and one.exchange.id < refusal.exchange for one in handshake.all(Mcp)
    )
    if needless:
        title = "The client tries to sign in at a server that had answered it without a sign-in"
        means = "The MCP server answered without a token, and no document names this address."
        change = "In the client: use the server without a sign-in."
    where = " with a tool result (`isError`)" if refusal.at.endswith("result.content") else ""
    person = refusal.subject == "user-denied"
    return Finding(
        rule=REFUSED,
        title=title,
        severity="note" if person else "error",
        level="practice",
        responsible="client" if omitted or needless else _owner(refusal, phrase.party if phrase is not None else None),
        stage=refusal.stage,
        exchange=refusal.exchange,
        at=refusal.at,
        message=f"{host} answered{where} {refusal.said}. {means}".strip(),
        actual=refusal.words or refusal.code,
        fix=change or f"Look into the log of {host} at the time of this exchange.",
        source=phrase.source if phrase is not None else "",
    )


def _owner(refusal: Refusal, named: Party | None) -> Party:
    """Whose it is to change. Words of a server alone never make it the client's."""
    if named is not None and named != "client":
        return named
    return "config" if refusal.subject == "client-auth" else refusal.who


def _is_of_mcp(refusal: Refusal) -> bool:
    """The MCP server answered, and its words are no more than a failure."""
    return refusal.who == "resource-server" and refusal.subject == "server-fault"


def _host(refusal: Refusal, handshake: Handshake) -> str:
    stages = handshake.of(refusal.exchange)
    if refusal.stage == "authorization-response" and refusal.who == "authorization-server":
        asked = handshake.authorization
        return (asked.request.parts.netloc if asked else "") or "the authorization server"
    return (stages[0].request.parts.netloc if stages else "") or PARTY[refusal.who]
