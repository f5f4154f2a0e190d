"""A client that is known to refuse every authorization response without `iss`, stopped at one that has none.

Neither RFC 9207 nor MCP has a client do so where the metadata promises no `iss`: no rule about the server says it.
"""

from __future__ import annotations

from collections.abc import Sequence

from oauthtap import rules
from oauthtap.clients.profile import Profile
from oauthtap.diagnosis.findings import Finding, Problem, finding
from oauthtap.diagnosis.progress import SIDE_STAGES
from oauthtap.handshake.stages import AuthorizationResponse, ServerMetadata
from oauthtap.handshake.state import Handshake

_ABSENT, _PROMISED = "authz-resp-iss-absent", "authz-resp-iss-missing"


def find_missing_iss(
    handshake: Handshake, found: Sequence[Finding], profile: Profile, since: int = 0
) -> Finding | None:
    """The absence of `iss` at which this client stopped; None where it stopped elsewhere, or does not insist on `iss`.

    That it was sent back with a code shows that it tolerates whatever came before.
    """
    if profile.iss_rule != "always" or "iss_rule" in profile.unknown:
        return None
    answer = _last_answer(handshake, since)
    if answer is None or answer.code is None or answer.get("iss") is not None:
        return None
    exchange = answer.exchange.id
    promised = next((one for one in found if one.rule == _PROMISED and one.exchange == exchange), None)
    if promised is not None:
        return promised.model_copy(update={"severity": "error"})
    known, issuer = rules.RULES[_ABSENT], _issuer(answer, handshake)
    would_be = f"; it would be {issuer}" if issuer else ""
    problem = Problem(
        message=f"the redirect has no `iss`, and {profile.name} refuses every one without it{would_be}",
        at="request.query.iss" if answer.callback else "response.header.location.iss",
        expected=issuer,
    )
    return finding(
        problem, rule=known.id, title=known.title, requirement=known.requirement, who=known.who, severity="error",
        fix=known.repair, stage=answer.slug, exchange=exchange,
    )  # fmt: skip


def _last_answer(handshake: Handshake, since: int) -> AuthorizationResponse | None:
    """The authorization response, where nothing of client or browser came after it."""
    acted = [
        stages
        for stages in handshake.exchanges()
        if stages[0].exchange.actor in ("client", "browser")
        and stages[0].exchange.id >= since
        and stages[0].slug not in SIDE_STAGES
    ]
    last = acted[-1] if acted else ()
    if last and (last[0].exchange.injected_fault or last[0].exchange.excerpt):
        return None
    return next((stage for stage in last if isinstance(stage, AuthorizationResponse)), None)


def _issuer(answer: AuthorizationResponse, handshake: Handshake) -> str | None:
    """The issuer of the document that named this authorization endpoint."""
    asked = answer.requested
    where = handshake.learned("authorization_endpoint", asked.url) if asked else None
    stages = handshake.of(where.exchange) if where else ()
    return next((document.issuer for document in stages if isinstance(document, ServerMetadata)), None)
