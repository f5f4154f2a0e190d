"""Scores the diagnosis against the labelled recordings: `uv run python -m benchmarks.score [FOLDER]`.

FOLDER (`tests/recordings/holdout` for the second set) holds `labels.json` and
`corpus/*.har` (or `har/*.har`); the recordings that come with the tests when it is left
out. `--counts` prints how often every rule fires on every kind of recording, the table
that is kept in `benchmarks/counts.tsv`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oauthtap.diagnosis.multi.split_servers import split_by_server
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import loader
from oauthtap.model.recording import Recording
from oauthtap.report.build import build
from oauthtap.report.model import Report

RECORDINGS = Path(__file__).parent.parent / "tests" / "recordings"
HOLDOUT = RECORDINGS / "holdout"
"""Recordings the tool was not built on; what their first runs gave stands in the README there."""


@dataclass
class Tally:
    """How many of how many, and which not."""

    right: int = 0
    of: int = 0
    misses: list[str] = field(default_factory=list)

    def add(self, right: bool, miss: str) -> None:
        self.of += 1
        self.right += right
        if not right:
            self.misses.append(miss)

    @property
    def share(self) -> float:
        return self.right / self.of if self.of else 1.0

    def __str__(self) -> str:
        return f"{self.right} of {self.of} ({self.share:.1%})"


@dataclass
class Score:
    cause: dict[str, Tally] = field(default_factory=lambda: {"yes": Tally(), "partly": Tally()})
    who: Tally = field(default_factory=Tally)
    facts: Tally = field(default_factory=Tally)
    quiet: Tally = field(default_factory=Tally)
    """Healthy controls without any error finding or cause."""
    forbidden: Tally = field(default_factory=Tally)
    """Failures without an error finding that the label calls wrong."""


def judge(path: Path) -> Report:
    """The report on one recording, as `oauthtap check` makes it."""
    reports = [_judge(recording) for recording in split_by_server(loader.read(path))]
    return next((report for report in reports if not report.connected), reports[0])


def _judge(recording: Recording) -> Report:
    tap = SessionAnalyzer(recording.upstream, recording.revision, recording.client)
    for exchange in recording.exchanges:
        tap.add(exchange)
    return build(tap, now=recording.until)


def score(folder: Path) -> Score:
    """Judge every labelled recording of a folder."""
    result = Score()
    for name, label, report in labelled(folder):
        found = {finding.rule for finding in report.findings}
        errors = {finding.rule for finding in report.findings if finding.severity == "error"}
        cause = report.cause.rule if report.cause else None
        if label.get("healthy"):
            alarm = errors or (cause is not None and cause not in label.get("allowed_cause_rules", []))
            told = report.connected is label.get("connected", report.connected)
            result.quiet.add(told and not alarm, f"{name}: {sorted(errors)} cause {cause} connected {report.connected}")
            continue
        wrong = errors & set(label["must_not_find_error"])
        result.forbidden.add(not wrong, f"{name}: {sorted(wrong)}")
        if label["observable"] not in result.cause:
            continue
        for group in label["must_find"]:
            result.facts.add(bool(found & set(group)), f"{name}: none of {group}")
        right = cause in label["cause_rules"]
        among = " (among the findings)" if found & set(label["cause_rules"]) else ""
        result.cause[label["observable"]].add(right, f"{name}: want {label['cause_rules']}, got {cause}{among}")
        if right and report.cause and label["cause_who"] not in ("config", "network"):
            result.who.add(report.cause.responsible == label["cause_who"], f"{name}: {report.cause.responsible}")
    return result


def labelled(folder: Path) -> Iterator[tuple[str, dict[str, Any], Report]]:
    """Name, label and report of every labelled recording."""
    labels = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
    files = folder / "corpus" if (folder / "corpus").is_dir() else folder / "har"
    for name, label in sorted(labels.items()):
        yield name, label, judge(files / f"{name}.har")


def live(folder: Path = RECORDINGS / "live") -> Iterator[tuple[str, bool, Report]]:
    """Name, whether the client really connected, and report of every recorded sign-in."""
    index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    for name, entry in sorted(index.items()):
        yield name, entry["connected"], judge(folder / f"{name}.har")


def counts() -> str:
    """How many recordings each rule fires on: failures and healthy ones of both sets, and live sign-ins."""
    table: dict[str, Counter[str]] = {}
    kinds = ("failures", "healthy", "holdout-failures", "holdout-healthy", "live-connected", "live-stopped")

    def note(kind: str, report: Report) -> None:
        for rule in {finding.rule for finding in report.findings}:
            table.setdefault(rule, Counter())[kind] += 1

    for folder, kind in ((RECORDINGS, ""), (HOLDOUT, "holdout-")):
        for _, label, report in labelled(folder):
            note(kind + ("healthy" if label.get("healthy") else "failures"), report)
    for _, connected, report in live():
        note("live-connected" if connected else "live-stopped", report)
    rows = ["\t".join(("rule", *kinds))]
    rows += ["\t".join((rule, *(str(seen[kind]) for kind in kinds))) for rule, seen in sorted(table.items())]
    return "\n".join(rows) + "\n"


def show(result: Score, misses: bool) -> str:
    tallies = {
        "cause named, observable": result.cause["yes"],
        "cause named, partly observable": result.cause["partly"],
        "whose it is, of right causes": result.who,
        "further facts reported": result.facts,
        "failures without a forbidden error": result.forbidden,
        "healthy controls left in peace": result.quiet,
    }
    lines = []
    for words, tally in tallies.items():
        lines.append(f"{words:<36} {tally}")
        lines += [f"    {miss}" for miss in tally.misses] if misses else []
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, default=RECORDINGS)
    parser.add_argument("--misses", action="store_true", help="list what was missed")
    parser.add_argument("--counts", action="store_true", help="print the counts per rule over all recordings")
    arguments = parser.parse_args()
    sys.stdout.write(counts() if arguments.counts else show(score(arguments.folder), arguments.misses) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
