"""How a walk as a client ended, as a member of the JSON report: the outcome, and what it rests on."""

from __future__ import annotations

from datetime import date
from typing import Literal

from pydantic import ConfigDict

from oauthtap.clients.traits import WORDS, Basis, Confidence, Emulation, WalkEnd, confidence
from oauthtap.model.exchange import Value


class _Row(Value):
    model_config = ConfigDict(defer_build=True)


class DecidingTrait(_Row):
    """One thing known of the client that decided here: with another value the walk could have gone another way."""

    trait: str
    what: str
    """In words."""
    basis: Basis | None = None
    """None: nobody knows, and the walk took what the specifications say."""
    seen: date | None = None
    source: str = ""
    against: str = ""


class WalkReport(_Row):
    """How the client would fare at this server."""

    client: str
    """The name of its file: `claude-ai`."""
    outcome: Literal["connected", "stopped", "waiting", "as-asked", "open", "unreachable"]
    """`waiting`: a person is next; `as-asked`: it came as far as it was asked; `open`: the server wants no sign-in."""
    stage: str
    """Where it ended."""
    why: str = ""
    change: str = ""
    later: str = ""
    """How the connection is lost later on; empty where nothing tells."""
    confidence: Confidence
    known: date
    """When the newest of what is known of the client was seen."""
    because: tuple[DecidingTrait, ...] = ()
    unknown: tuple[str, ...] = ()
    """What nobody knows of the client, and was assumed."""


def walk_report(client: Emulation, end: WalkEnd) -> WalkReport:
    """The end of a walk, with where each trait that it rests on is known from."""
    names = (end.trait,) if end.trait else end.depends_on
    return WalkReport(
        client=client.profile.slug,
        outcome=end.outcome,
        stage=end.stage,
        why=end.why,
        change=end.change,
        later=end.later,
        confidence=confidence(client, end),
        known=client.profile.seen,
        because=tuple(_deciding(client, name) for name in names),
        unknown=client.unknown,
    )


def _deciding(client: Emulation, name: str) -> DecidingTrait:
    trait, what = client.traits.get(name), WORDS.get(name, f"`{name}`")
    if trait is None:
        return DecidingTrait(trait=name, what=what)
    return DecidingTrait(
        trait=name, what=what, basis=trait.basis, seen=trait.seen, source=trait.source, against=trait.against
    )
