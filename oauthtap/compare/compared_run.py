"""One of the recordings that are compared."""

from __future__ import annotations

from dataclasses import dataclass

from oauthtap.clients.profile import Profile
from oauthtap.handshake.state import Handshake
from oauthtap.report.model import Report


@dataclass(frozen=True)
class ComparedRun:
    """A recording, heard and judged."""

    handshake: Handshake
    report: Report
    profile: Profile | None = None
    """What is known of its client, where it was recognized."""
