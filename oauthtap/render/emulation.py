"""What a walk as some client came to, in words: would it connect, where would it stop, why, how sure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from oauthtap.clients.profile import STALE
from oauthtap.clients.traits import WORDS, Emulation, WalkEnd, confidence
from oauthtap.model.sanitize import escape_controls
from oauthtap.render.labels import STAGE

_SURE = {
    "certain": "certain, measured with the client itself",
    "likely": "likely",
    "possible": "possible: what is known of the client here is thin, or contradicted",
}
_BASIS = {
    "measured": "measured",
    "read": "read in its source",
    "log": "in a log",
    "documented": "documented",
    "told": "told",
    "assumed": "assumed",
}


def headline(client: Emulation, end: WalkEnd) -> str:
    """One sentence: how the client would fare."""
    name, at = client.profile.name, f"{end.stage} ({STAGE.get(end.stage, end.stage)})"
    why, later = escape_controls(end.why, limit=500), escape_controls(end.later, limit=500)
    if end.outcome == "connected":
        return f"{name} would connect{f', and lose the connection later: {later}' if later else ''}."
    if end.outcome == "open":
        return f"{name} would connect without a sign-in: the server answers it without a token."
    if end.outcome == "as-asked":
        return f"Nothing stops {name} up to {at}; this walk was not asked to go further."
    if end.outcome == "waiting":
        return f"{name} would get as far as {at}: {why}. What comes after that is not known."
    return f"{name} would stop at {at}: {why}."


def details(client: Emulation, end: WalkEnd, change: str = "", today: date | None = None) -> Iterator[tuple[str, str]]:
    """A label and a sentence each: what to change, how sure it is and why, what is not known.

    `change`: what the report says to change, for a stop that is no check of the client's. `today`: for its age.
    """
    if end.outcome in ("stopped", "unreachable") and (end.change or change):
        yield "Change", escape_controls(end.change or change, limit=900)
    yield "How sure", _SURE[confidence(client, end)]
    for name in (end.trait,) if end.trait else end.depends_on:
        what, trait = WORDS.get(name, f"`{name}`"), client.traits.get(name)
        if trait is None:
            yield "Because of", f"{what}: nobody knows, taken as the specifications have it"
        else:
            against = f"; against it: {trait.against}" if trait.against else ""
            yield "Because of", f"{what}: {_BASIS[trait.basis]}, {trait.seen}, {trait.source}{against}"
    profile = client.profile
    if profile.measured:
        yield "Measured with", f"version {profile.measured.version}, {profile.measured.date}"
    if profile.age(today or date.today()) > STALE:
        yield "Old", f"the newest that is known of it is of {profile.seen}: it may behave otherwise by now"
    if client.unknown:
        yield "Not known of it, and assumed", ", ".join(client.unknown)


def note(client: Emulation, end: WalkEnd) -> str:
    """The same for the report: that it was no client, and how it ended."""
    sure = confidence(client, end)
    name = client.profile.name
    return f"Walked by oauthtap as {name} would, not by that client. {headline(client, end)} How sure: {sure}."
