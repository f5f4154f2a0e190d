"""The commands that oauthtap prints, as they have to be typed in the shell in which it was started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_NAMES = frozenset({"check", "drive", "explain", "fix", "grant", "probe", "run", "solve", "stop", "verify", "wait"})


@dataclass(frozen=True)
class Invocation:
    """How oauthtap was started. Without arguments: by its name, with no flag that other commands need."""

    program: str = "oauthtap"
    """What is typed for it: `uv run oauthtap` in a clone."""
    flags: Sequence[tuple[frozenset[str], str]] = ()
    """A flag, quoted for a shell, and the commands that need it again; the tap itself is the command ''."""
    client: str = ""
    """The client that `drive` ran: it is to try a change again."""

    def command(self, text: str) -> str:
        """A command line `oauthtap …`, with what it needs here. Any other text is given back as it is."""
        first, _, rest = text.partition(" ")
        if first != "oauthtap":
            return text
        if self.client and rest.startswith("--upstream "):
            rest = f"drive {self.client} {rest}"
        word = rest.partition(" ")[0]
        name = word if word in _NAMES else ""
        rest, dashes, behind = rest.partition(" --" if rest.endswith(" --") else " -- ")
        needed = [flag for commands, flag in self.flags if name in commands]
        return " ".join([self.program, rest, *needed]) + dashes + behind


BY_NAME = Invocation()
