"""What is read of pasted texts, against their labels: `python -m benchmarks.pasted [FOLDER] [--findings]`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from oauthtap.clients import profiles
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import loader
from oauthtap.model.recording import Recording, SourceError
from oauthtap.report.build import build
from oauthtap.report.model import Report

_PRESUMED = r"the status of exchange (\d+) is not shown"
FOLDER = Path(__file__).parent.parent / "tests" / "recordings" / "pasted"


def main(folder: Path) -> int:
    """Print the misses, then the four figures."""
    labels: dict[str, dict[str, Any]] = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    right: dict[str, list[bool]] = {"read": [], "reached": [], "stage": [], "client": []}
    invented = 0
    loud: list[str] = []
    for name, label in labels.items():
        recording, refusal = read(folder / name)
        report = told(recording) if recording else None
        statuses = shown_statuses(recording, label["statuses"]) if recording else []
        wanted = label["statuses"] if label["statuses"] is not None else statuses
        if label["n"]:
            ok = sorted(map(str, statuses)) == sorted(map(str, wanted)) and len(statuses) == label["n"]
        else:
            ok = recording is None and "Try:" in refusal
        more = [status for status in statuses if statuses.count(status) > wanted.count(status)]
        invented += bool(more)
        judged = [("read", ok, wanted, statuses if recording else refusal)]
        if label["stage"]:
            reached, stopped = (report.reached, stop(report)) if report else (None, None)
            right["reached"].append(reached == label["stage"])
            judged.append(("stage", stopped == label["stage"], label["stage"], stopped))
        if report:
            client = profile_of(report)
            judged.append(("client", client == label["client"], label["client"], client))
            loud += [
                f"{name} {f.severity} {f.rule} ({f.responsible}): {f.message}"
                for f in report.findings
                if f.severity != "note"
            ]
            loud += [f"{name} CAUSE {report.cause.rule}"] if report.cause else []
        elif label["client"] and label["n"]:
            judged.append(("client", False, label["client"], None))
        for figure, good, want, got in judged:
            right[figure].append(good)
            if not good:
                print(f"{name} {label['form']:<18} {figure:<7} want {want}\n{'':34}got  {got}")
        if more:
            print(f"{name} {label['form']:<18} more    {more}")
    print()
    for figure, marks in right.items():
        print(f"{figure}: {sum(marks)} of {len(marks)} ({100 * sum(marks) / max(1, len(marks)):.0f} %)")
    print(f"texts with an exchange that is not in them: {invented}")
    if "--findings" in sys.argv:
        print("\nfindings above a note, to be read one by one:", *loud, sep="\n")
    return 0


def read(path: Path) -> tuple[Recording | None, str]:
    """The recording, or why there is none."""
    try:
        return loader.read(path), ""
    except SourceError as refused:
        return None, str(refused)


def shown_statuses(recording: Recording, wanted: list[int | None] | None) -> list[int | None]:
    """The statuses; one that the notes call not shown counts as unknown where the label has one more unknown."""
    presumed = {int(found[1]) for note in recording.notes if (found := re.match(_PRESUMED, note))}
    left = (wanted or []).count(None) - sum(exchange.status is None for exchange in recording.exchanges)
    statuses: list[int | None] = []
    for exchange in recording.exchanges:
        unknown = exchange.id in presumed and left > 0 and exchange.status not in (wanted or [])
        left -= unknown
        statuses.append(None if unknown else exchange.status)
    return statuses


def told(recording: Recording) -> Report:
    """The report on it, as `oauthtap check` makes it."""
    tap = SessionAnalyzer(recording.upstream, recording.revision, recording.client, profiles())
    tap.told_step = recording.told_step
    for exchange in recording.exchanges:
        tap.add(exchange)
    return build(tap, now=recording.until)


def stop(report: Report) -> str:
    """Where it is told to have stopped: at the stage that a standstill names, else at the last that was reached."""
    return report.standstill.stage if report.standstill else report.reached


def profile_of(report: Report) -> str | None:
    """The name of the client's profile."""
    return report.client.name if report.client else None


if __name__ == "__main__":
    folders = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    sys.exit(main(Path(folders[0]) if folders else FOLDER))
