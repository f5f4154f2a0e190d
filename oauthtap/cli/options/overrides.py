"""The flags that overrule what was recognized, `--client` and `--revision`: checked before anything is done."""

from __future__ import annotations

import re
from argparse import Namespace

from oauthtap.cli.errors import UsageError, nearest
from oauthtap.clients import profiles
from oauthtap.model.requirements import REVISIONS
from oauthtap.model.sanitize import escape_controls


def validate_overrides(arguments: Namespace) -> None:
    """Clients by the names of their profiles. Raises Usage for one without profile, and for a revision that is no date.

    Unknown dates are judged.
    """
    for flag in ("client", "client_a", "client_b"):
        if name := getattr(arguments, flag, None):
            setattr(arguments, flag, _known_client(name, f"--{flag.replace('_', '-')}"))
    revision = getattr(arguments, "revision", None)
    if revision and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", revision):
        known = ", ".join(REVISIONS)
        raise UsageError(
            f"--revision {escape_controls(revision)} is no date; known are {known}. Try: --revision {REVISIONS[-2]}"
        )


def _known_client(name: str, flag: str) -> str:
    """The name of its profile, written with hyphens or without."""
    known = {profile.slug.replace("-", ""): profile.slug for profile in profiles()}
    slug = known.get(name.replace("-", "").lower())
    if slug is None:
        near = nearest(name, known.values())
        hint = f"Try: {flag} {near[0]}" if near else f"Known are {', '.join(known.values())}"
        raise UsageError(f"{flag} {escape_controls(name)}: there is no profile of that name. {hint}")
    return slug
