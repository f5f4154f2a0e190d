"""What we say when a command cannot start: one sentence, and what to type next."""

from __future__ import annotations


class UsageError(Exception):
    """Wrong usage, or something the command needs and cannot have. Exit code 2."""
