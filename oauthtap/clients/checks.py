"""Which check makes a client stop at what it was told.

A client that stops sends nothing, so the wire does not say why. But every check that is
known of any client can be applied to what this one saw: where exactly one of them would
have stopped it just there, that is the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from oauthtap.clients.forecast import ClientForecast, forecast
from oauthtap.clients.profile import Profile
from oauthtap.handshake.state import Handshake

LENIENT = Profile(
    name="a client that checks nothing",
    slug="lenient",
    versions="",
    seen=date(2026, 1, 1),
    evidence="read",
    source="",
    header_fallback=True,
    resource_rule="origin",
    resource_mismatch="ignored",
    as_places=("oauth-inserted", "oidc-inserted", "oidc-appended", "oauth-root"),
    html_metadata="next",
    pkce="none",
)

CHECKS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("cannot use a relative `resource_metadata`", {"relative_header": "stops"}),
    ("needs protected resource metadata", {"without_prm": "stops"}),
    ("checks `resource` in the metadata", {"resource_rule": "exact", "resource_mismatch": "stops"}),
    ("gives up at a page in place of metadata", {"html_metadata": "stops"}),
    ("checks the issuer", {"issuer_rule": "exact"}),
    ("wants S256 among `code_challenge_methods_supported`", {"pkce": "s256-listed"}),
    ("wants `response_types_supported`", {"response_types": True}),
    ("wants `redirect_uris` in the registration answer", {"registration_redirect_uris": True}),
    ("refuses null in the registration answer", {"registration_nulls": "stops"}),
    ("checks `iss` in the redirect", {"iss_rule": "exact"}),
    ("wants `token_type` in the token answer", {"token_type": True}),
)
"""What a client may check, in words, and the members of a profile that say so at their strictest."""


@dataclass(frozen=True)
class Check:
    """One check that stops a client at what it saw."""

    words: str
    """To put behind the client's name: `checks the issuer`."""
    strict: dict[str, Any]
    why: str
    """`wants `issuer` https://a, and it is https://b`."""


def failing_checks(handshake: Handshake, stage: str, profile: Profile | None = None) -> list[Check]:
    """Every check that would stop a client at this stage of what this handshake shows.

    `profile`: what is known of this very client; then only what it is known to check.
    """
    return list(_stopping(handshake, stage, profile))


def _stopping(handshake: Handshake, stage: str, profile: Profile | None) -> Iterator[Check]:
    anyway = forecast(LENIENT, handshake)
    for words, strict in CHECKS:
        own = strict if profile is None else {member: getattr(profile, member) for member in strict}
        found = forecast(LENIENT.model_copy(update=own), handshake)
        if _stops(found, stage) and found.why != anyway.why:
            yield Check(words, strict, found.why)


def would_stop(check: Check, handshake: Handshake, stage: str) -> bool:
    """The check would have stopped a client there too, had it made it."""
    return _stops(forecast(LENIENT.model_copy(update=check.strict), handshake), stage)


def _stops(found: ClientForecast, stage: str) -> bool:
    return found.outcome == "stops" and found.stage == stage
