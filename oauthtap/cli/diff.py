"""`oauthtap diff A B`: two recordings side by side."""

from __future__ import annotations

import sys
from argparse import Namespace

from oauthtap.cli.analyze_file import analyze_recording
from oauthtap.cli.errors import UsageError
from oauthtap.clients import profiles
from oauthtap.clients.profile import Profile
from oauthtap.compare.compared_run import ComparedRun
from oauthtap.compare.diff import compare
from oauthtap.render.comparison import FORMATS


def diff(arguments: Namespace) -> int:
    """Print where two recordings part. Gives 0 when nothing that matters differs, else 1."""
    result = compare(_seen(arguments.a, arguments.client_a), _seen(arguments.b, arguments.client_b))
    sys.stdout.write(FORMATS[arguments.format](result))
    return 0 if result.same else 1


def _seen(path: str, client: str | None) -> ComparedRun:
    tap, report = analyze_recording(path, client=client)
    if not report.exchanges:
        raise UsageError(f"{path}: no exchange in it. Try: oauthtap sessions")
    return ComparedRun(tap.handshake, report, _profile(tap.client or (report.client.name if report.client else None)))


def _profile(name: str | None) -> Profile | None:
    return next((profile for profile in profiles() if profile.slug == name), None)
