"""The flags that overrule what was recognized, `--client` and `--revision`: checked before anything is done."""

from __future__ import annotations

import re
from argparse import Namespace

from oauthtap.cli.errors import UsageError, nearest
from oauthtap.clients import profiles
from oauthtap.model.requirements import REVISIONS
from oauthtap.model.sanitize import escape_controls


def validate_overrides(arguments: Namespace) -> None:
    """Raises Usage for a client without profile, and for a revision that is no date. Unknown dates are judged."""
    for flag in ("client", "client_a", "client_b"):
        if name := getattr(arguments, flag, None):
            _check_client(name, f"--{flag.replace('_', '-')}")
    revision = getattr(arguments, "revision", None)
    if revision and not re.fullmatch(r"\d{4}-\d{2}-\d{2}", revision):
        known = ", ".join(REVISIONS)
        raise UsageError(
            f"--revision {escape_controls(revision)} is no date; known are {known}. Try: --revision {REVISIONS[-2]}"
        )


def _check_client(name: str, flag: str) -> None:
    known = [profile.slug for profile in profiles()]
    if name not in known:
        near = nearest(name, known)
        hint = f"Try: {flag} {near[0]}" if near else f"Known are {', '.join(known)}"
        raise UsageError(f"{flag} {escape_controls(name)}: there is no profile of that name. {hint}")
