"""What an error message means, whoever showed it: known wordings, weighed together with the messages most like it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from oauthtap.clients.messages import Meaning, PartyOrPerson, Topic
from oauthtap.diagnosis.neighbours import Neighbour, find_neighbours
from oauthtap.diagnosis.phrases import fold
from oauthtap.diagnosis.topics import Pair, likely_meanings
from oauthtap.diagnosis.wordings import Wordings, find_wordings

MOST = 3

_CHARACTER = 0.01
"""What a character of a known wording weighs beside all neighbours together (1)."""

_LONGEST = 40
"""Characters that count of a wording."""

_PLACES = (1.0, 0.6, 0.4, 0.2, 0.1, 0.1)
"""What the first meaning of a wording weighs, its second, and so on."""

_SURE = 0.45
"""What a meaning has to weigh to be told as what the message means: of lighter ones nearly half are wrong."""

_TOLD = 6
"""Characters of a known wording without which a text has to be like a labelled message to be told so."""

_NEAR = 0.3
"""How like: what shares one common word with many messages about the same thing is not about it."""

_ALIKE = 0.5
"""How like a labelled message has to be for what is said of it to be said of the text."""


@dataclass(frozen=True, slots=True)
class TextMeaning:
    """One thing that a text can mean, and what to do first."""

    subject: Topic
    who: PartyOrPerson
    why: str
    look: str
    rule: str | None
    command: str
    said_by: str | None = None
    """The client or vendor whose words they are, where that is known."""
    sure: bool = True
    """False where it only may mean this."""


def meanings_of(text: str, most: int = MOST) -> list[TextMeaning]:
    """What a message may mean, best first, each subject and party once. Empty when nothing is known of it."""
    folded = fold(text)
    known = find_wordings(folded)
    near = find_neighbours(folded)
    return [_told(pair, weight, known, near) for pair, weight in rank(known, near, most)]


def rank(known: Wordings | None, near: list[Neighbour], most: int = MOST) -> list[tuple[Pair, float]]:
    """The likeliest subjects and parties, and what speaks for each.

    A neighbour speaks for all that is right for it, and half as loud once one of these is chosen: the next place is
    for what else it could be.
    """
    heard: defaultdict[Pair, float] = defaultdict(float)
    if known:
        pairs = list(dict.fromkeys((meaning.subject, meaning.who) for meaning, _ in known.meanings))
        for pair, place in zip(pairs, _PLACES, strict=False):
            heard[pair] = place * (0.001 + _CHARACTER * min(known.strength, _LONGEST))
    loudness = sum(map(_loudness, near))
    chosen: list[tuple[Pair, float]] = []
    while len(chosen) < most:
        weights = heard.copy()
        taken = {pair for pair, _ in chosen}
        for one in near:
            share = _loudness(one) / loudness / len(one.labelled.pairs) ** 0.5
            for pair in one.labelled.pairs:
                if pair in likely_meanings():
                    weights[pair] += share / 2 if taken.intersection(one.labelled.pairs) else share
        for pair in taken:
            weights.pop(pair, None)
        if not weights:
            break
        chosen.append(max(weights.items(), key=lambda one: one[1]))
    return chosen


def _loudness(neighbour: Neighbour) -> float:
    """One that is the same word for word counts more than all that are only like the text."""
    return neighbour.labelled.weight * neighbour.likeness**2 / (1.1 - neighbour.likeness)


def _told(pair: Pair, weight: float, known: Wordings, near: list[Neighbour]) -> TextMeaning:
    own = next(((m, by) for m, by in known.meanings if (m.subject, m.who) == pair), None)
    meaning, said_by = own or (_meaning_near(pair, near) or likely_meanings()[pair], None)
    return TextMeaning(
        subject=meaning.subject,
        who=meaning.who,
        why=meaning.why,
        look=meaning.look,
        rule=meaning.rule,
        command=_command(meaning.subject, known.record),
        said_by=said_by,
        sure=weight >= _SURE and (known.strength >= _TOLD or any(one.likeness >= _NEAR for one in near)),
    )


def _meaning_near(pair: Pair, near: list[Neighbour]) -> Meaning | None:
    alike = [meaning for one in near if one.likeness >= _ALIKE for meaning in one.labelled.meanings]
    return next((meaning for meaning in alike if (meaning.subject, meaning.who) == pair), None)


def _command(topic: Topic, record: str | None) -> str:
    """The first command to run."""
    if topic == "network":
        return "curl -v URL"
    if topic in ("discovery", "resource/audience", "configuration", "edge", "media type"):
        return "oauthtap probe URL"
    return record or "oauthtap --upstream URL"
