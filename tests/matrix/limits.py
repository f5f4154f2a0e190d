"""Pairs that differ because reverse mode cannot do better, each with its one-sentence reason."""

from __future__ import annotations

LIMITS: dict[tuple[str, str, str], str] = {}
"""(client, server, way) → why it differs, and the command that works."""
