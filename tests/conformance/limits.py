"""Scenarios that end differently because reverse mode cannot do better, each with its one-sentence reason."""

from __future__ import annotations

LIMITS: dict[tuple[str, str], str] = {}
"""(way, scenario) → why, and the command that works."""
