"""The labelled messages most like a text: by the terms they share, the rarer the more (cosine of tf-idf).

Labelled are the examples of every phrase of `oauthtap.vendors` and every message of `oauthtap.clients.messages`, and
the lines of `labelled.tsv`: messages of public threads and of source code, each with who and what it is about.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

from oauthtap.clients.messages import Meaning, messages
from oauthtap.diagnosis.phrases import fold
from oauthtap.diagnosis.terms import reason, terms
from oauthtap.diagnosis.topics import Pair, meanings_of_phrase
from oauthtap.vendors import vendors

MOST = 30
"""Neighbours that are asked."""

FAR = 0.12
"""A text that is less like its nearest neighbour is like none."""

_WEIGHTS = {"code": 0.7, "said": 0.7}
"""What a line counts by its lot, beside the example of a known wording."""

_THREAD = 2.0
"""What a message counts that a person met."""

_REASON = 0.3
"""What a neighbour of the reason alone counts beside one of the whole text."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A message, and every subject and party that is right for it."""

    text: str
    pairs: tuple[Pair, ...]
    source: str
    weight: float = 1.0
    meanings: tuple[Meaning, ...] = ()
    """What is said of the pairs, where it stands for more than this wording."""

    @property
    def met(self) -> bool:
        """A person met it, and the label tells of that."""
        return self.weight == _THREAD


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A labelled message, and how like the text it is."""

    labelled: Labelled
    likeness: float
    """0 to 1."""


def find_neighbours(text: str, without: Callable[[Labelled], bool] = lambda _: False) -> list[Neighbour]:
    """The nearest of a folded text, nearest first, none that `without` leaves out. Empty where none is near.

    Behind them stand those of its last clause: what a client puts around a reason comes before it.
    """
    near = _nearest(text, without)
    last = reason(text)
    if not near or not last:
        return near
    soft = (
        Neighbour(replace(n.labelled, weight=n.labelled.weight * _REASON), n.likeness) for n in _nearest(last, without)
    )
    return [*near, *soft]


def _nearest(text: str, without: Callable[[Labelled], bool]) -> list[Neighbour]:
    known, rarity, postings = _index()
    found: defaultdict[int, float] = defaultdict(float)
    unseen = math.log(1 + len(known))
    weights = {term: weight * rarity.get(term, unseen) for term, weight in terms(text).items()}
    length = _length(weights)
    for term, weight in weights.items():
        for number, share in postings.get(term, ()):
            found[number] += weight * share / length
    near = ((known[number], likeness) for number, likeness in sorted(found.items(), key=lambda one: -one[1]))
    kept = [Neighbour(one, likeness) for one, likeness in near if not without(one)][:MOST]
    return kept if kept and kept[0].likeness >= FAR else []


@cache
def _index() -> tuple[list[Labelled], dict[str, float], dict[str, list[tuple[int, float]]]]:
    known = list(labelled())
    told = [terms(fold(one.text)) for one in known]
    seen = Counter(term for one in told for term in one)
    rarity = {term: math.log((1 + len(known)) / (1 + count)) for term, count in seen.items()}
    postings: dict[str, list[tuple[int, float]]] = defaultdict(list)
    for number, one in enumerate(told):
        weights = {term: weight * rarity[term] for term, weight in one.items()}
        length = _length(weights)
        for term, weight in weights.items():
            postings[term].append((number, weight / length))
    return known, rarity, postings


def _length(weights: dict[str, float]) -> float:
    return math.sqrt(sum(weight * weight for weight in weights.values())) or 1.0


def labelled() -> Iterator[Labelled]:
    """Everything that is labelled."""
    for vendor in vendors():
        for phrase in vendor.phrase:
            said = meanings_of_phrase(phrase)
            pairs = tuple((one.subject, one.who) for one in said)
            yield Labelled(phrase.example, pairs, phrase.source, meanings=said if phrase.is_generic else ())
    for client in messages():
        for message in client.message:
            pairs = tuple((one.subject, one.who) for one in message.meaning)
            yield Labelled(message.example, pairs, message.source, meanings=message.meaning)
    yield from lines()


@cache
def lines() -> tuple[Labelled, ...]:
    """The lines of `labelled.tsv`. Raises ValueError for a line that has not its four columns."""
    text = files(__package__).joinpath("labelled.tsv").read_text(encoding="utf-8")
    return tuple(_of_line(line) for line in text.splitlines() if line and not line.startswith("#"))


def _of_line(line: str) -> Labelled:
    lot, label, source, text = line.split("\t")
    return Labelled(text, tuple(_pairs(label)), source, _WEIGHTS.get(lot, _THREAD))


def _pairs(label: str) -> Iterator[Pair]:
    """`token|grant:person|client + edge:network` is five pairs."""
    for part in label.split(" + "):
        subjects, parties = part.split(":")
        for subject in subjects.split("|"):
            for who in parties.split("|"):
                yield subject, who  # type: ignore[misc]  # tests/cli/test_explain.py holds them to the types
