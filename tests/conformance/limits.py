"""Scenarios that end differently because reverse mode cannot do better, each with its one-sentence reason."""

from __future__ import annotations

LIMITS: dict[tuple[str, str], str] = {
    ("tap", "auth/pre-registration"): (
        "The client was registered beforehand, with a redirect URI of its own, so the answer cannot come by the tap, "
        "and a client that compares its `iss` with the local issuer refuses it; the tap says so, `oauthtap run` passes."
    ),
}
"""(way, scenario) → why, and the command that works."""
