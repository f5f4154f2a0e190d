"""Does every recording that ended in a refusal name a cause and show the words? `uv run python -m benchmarks.refusals`.

Goes through all recordings of the repository (or those of the FOLDERs given): corpus, hold-out, live, logs and lots. A
recording counts when its ending is `refused`, `repeating` or `lost-later`. Its words are those that were read, as far
as the summary for people has room for them (80 characters), or its code; an answer without either has nothing to show.
The exit status is 1 where one lacks a cause or its words.
"""

from __future__ import annotations

import argparse
import contextlib
import io
from collections import Counter
from pathlib import Path

from benchmarks.lots import Output, visible
from oauthtap.cli.analyze_file import analyze_recording
from oauthtap.cli.errors import UsageError
from oauthtap.render.console import console

RECORDINGS = Path(__file__).parent.parent / "tests" / "recordings"
REFUSED = ("refused", "repeating", "lost-later")
_ROOM = 80


def recordings(folders: list[Path]) -> list[Path]:
    """HAR files, logs and JSON lines below the folders, in order."""
    kinds = {".har", ".jsonl", ".log"}
    return sorted(one for folder in folders for one in folder.rglob("*") if one.suffix in kinds)


def judge(path: Path) -> str | None:
    """What is lacking in the report: `cause`, `words`, empty where nothing is; None where nobody refused."""
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            tap, report = analyze_recording(str(path))
        except UsageError:
            return None
    if report.ending not in REFUSED:
        return None
    if report.cause is None:
        return "cause"
    told = report.refusal
    words = (told.words[:_ROOM].rstrip("…") or told.code or "") if told else ""
    shown = Output(None, console(report, [step.exchange for step in tap.steps]), "").summary
    return "" if visible(words, shown) else "words"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, nargs="*", default=[RECORDINGS])
    asked = parser.parse_args()
    every = {path: judge(path) for path in recordings(asked.folder)}
    counted = Counter(lacking for lacking in every.values() if lacking is not None)
    for path, lacking in every.items():
        if lacking:
            print(f"{path}: lacks its {lacking}")
    refused, whole = counted.total(), counted[""]
    print(f"{refused} of {len(every)} recordings ended in a refusal; with a cause and its words: {whole} of {refused}")
    return 1 if refused > whole else 0


if __name__ == "__main__":
    raise SystemExit(main())
