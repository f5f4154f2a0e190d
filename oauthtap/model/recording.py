"""`Recording`: exchanges, and what is known about how they were recorded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from oauthtap.model.exchange import Exchange


class SourceError(Exception):
    """A recording that cannot be read. Its message names path and place, and what to try."""

    text: str | None = None
    """What was read, where it is text without a request in it: perhaps an error message."""


@dataclass(frozen=True)
class Recording:
    """What a source gives: exchanges in upstream names, in the order they happened."""

    exchanges: tuple[Exchange, ...]
    header: dict[str, Any] = field(default_factory=dict)
    """`upstream`, `client`, `revision`, `started`, `versions` of a session; empty for other sources."""
    until: float | None = None
    """When the recording ended (seconds since 1970): until then nothing else happened. None when unknown."""
    notes: tuple[str, ...] = ()
    """What the person should know about how well this could be read."""
    streams: Mapping[int, str] = field(default_factory=dict)
    """All that came down an event stream, by the id of its exchange, where the exchange holds its beginning alone."""

    @property
    def upstream(self) -> str | None:
        """The MCP URL the client was given, in upstream names."""
        return self._text("upstream")

    @property
    def client(self) -> str | None:
        """The client profile the user named."""
        return self._text("client")

    @property
    def revision(self) -> str | None:
        """The MCP revision the user named."""
        return self._text("revision")

    @property
    def goal(self) -> str | None:
        """The stage at which a probe was meant to end; None for every other recording."""
        return self._text("goal")

    @property
    def told_step(self) -> str | None:
        """The stage of the step that a text says it came to, in words and with no exchange."""
        return self._text("told_step")

    @property
    def keeps_secrets(self) -> bool:
        """It was made with `--keep-secrets`."""
        return self.header.get("secrets") == "kept"

    @property
    def redacts_claims(self) -> bool:
        """It was made with `--redact claims`."""
        return self.header.get("redact") == "claims"

    @property
    def all_notes(self) -> list[str]:
        """What was said of the way it was recorded, and belongs to its report."""
        notes = self.header.get("notes")
        return [note for note in notes if isinstance(note, str)] if isinstance(notes, list) else []

    def _text(self, name: str) -> str | None:
        value = self.header.get(name)
        return value if isinstance(value, str) else None
