"""How often `oauthtap explain` has the right meaning of a message: in the first, and in the first three.

`uv run python -m benchmarks.messages [FILE]`. A meaning is right when subject and party are those of the label; a label
may allow several (`subject_also`, `who_also`), and later meanings count like the first where they are marked `even`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from oauthtap.diagnosis.meanings import meanings_of

LABELLED = Path(__file__).with_name("messages.jsonl")


def right(label: dict[str, Any]) -> set[tuple[str, str]]:
    """The pairs of subject and party that count."""
    counted = [m for place, m in enumerate(label["meanings"]) if place == 0 or m.get("even")]
    return {
        (subject, who)
        for m in counted
        for subject in (m["subject"], *m.get("subject_also", ()))
        for who in (m["who"], *m.get("who_also", ()))
    }


def main(file: Path) -> None:
    """Print what was missed, and the two figures."""
    labels = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    first = three = 0
    for label in labels:
        wanted = right(label)
        found = [(m.subject, m.who) for m in meanings_of(label["message"])]
        first += bool(found) and found[0] in wanted
        three += bool(wanted.intersection(found))
        if not found or found[0] not in wanted:
            print(f"{label['id']}  {label['message'][:90]}\n  wanted {sorted(wanted)}\n  found  {found}")
    share = {"first": first / len(labels), "in three": three / len(labels)}
    print(f"{len(labels)} messages: {first} and {three},", ", ".join(f"{k} {v:.0%}" for k, v in share.items()))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else LABELLED)
