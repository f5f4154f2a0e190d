"""How often `oauthtap explain` has the right meaning of a message: in the first, and in the first three.

`uv run python -m benchmarks.messages FILE` explains the labelled messages of a fresh lot. Without a file: each line of
`oauthtap/diagnosis/labelled.tsv` that a person met, as if neither it nor anything else of its source were known, and
without the known wordings, many of which were written for these messages. A meaning is right when subject and party
are those of the label; a label may allow several (`subject_also`, `who_also`), and later meanings count like the first
where they are marked `even`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from oauthtap.diagnosis.meanings import meanings_of, rank
from oauthtap.diagnosis.neighbours import Labelled, find_neighbours, lines
from oauthtap.diagnosis.phrases import fold

Pairs = list[tuple[str, str]]


def right(label: dict[str, Any]) -> set[tuple[str, str]]:
    """The pairs of subject and party that count."""
    counted = [m for place, m in enumerate(label["meanings"]) if place == 0 or m.get("even")]
    return {
        (subject, who)
        for m in counted
        for subject in (m["subject"], *m.get("subject_also", ()))
        for who in (m["who"], *m.get("who_also", ()))
    }


def fresh(file: Path) -> Iterator[tuple[str, set[tuple[str, str]], Pairs]]:
    """Each message of a lot, what is right for it, and what it is taken for."""
    for line in filter(str.strip, file.read_text(encoding="utf-8").splitlines()):
        label = json.loads(line)
        yield label["message"], right(label), [(m.subject, m.who) for m in meanings_of(label["message"])]


def left_out() -> Iterator[tuple[str, set[tuple[str, str]], Pairs]]:
    """The same for the labelled messages, each without its source and the known wordings."""
    for one in filter(lambda line: line.met, lines()):

        def of_the_same(other: Labelled, one: Labelled = one) -> bool:
            return other.source == one.source or other.text == one.text

        found = rank(None, find_neighbours(fold(one.text), of_the_same))
        yield one.text, set(one.pairs), [pair for pair, _ in found]


def main(told: Iterable[tuple[str, set[tuple[str, str]], Pairs]]) -> None:
    """Print what was missed, and the two figures."""
    messages = first = three = 0
    for text, wanted, found in told:
        messages += 1
        first += bool(found) and found[0] in wanted
        three += bool(wanted.intersection(found))
        if not found or found[0] not in wanted:
            print(f"{text[:100]!r}\n  wanted {sorted(wanted)}\n  found  {found}")
    print(f"{messages} messages: {first} and {three}, first {first / messages:.0%}, in three {three / messages:.0%}")


if __name__ == "__main__":
    main(fresh(Path(sys.argv[1])) if len(sys.argv) > 1 else left_out())
