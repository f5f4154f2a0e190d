"""Scores `oauthtap check` on a lot of fresh reports: `uv run python -m benchmarks.lots FOLDER`.

FOLDER holds `labels.json` and the recordings that it names; `tests/recordings/lots/README.md` says
what the members of a label mean. Every recording is checked twice, as JSON and as text. The misses are printed,
a table by kind, and the totals. The exit status is 0 whatever the score, and 2 if the folder cannot be read.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oauthtap.cli import main as oauthtap

CHECKS = ("cause", "words", "says", "connected", "true", "quiet")
RULES = Path(__file__).parent.parent / "tests" / "recordings" / "lots" / "known.txt"
"""The rules of 2026-11-28. Their titles and fixes say the same everywhere, so only their messages are looked at."""
_METHOD = "(?:GET|POST|PUT|PATCH|DELETE|HEAD|OPTIONS|CONNECT)"
EXCHANGE = re.compile(rf"^(?:[^\w\s]? *\d+ +[a-z][a-z-]+ +|exchanges \d+-\d+: .*){_METHOD}\s.*$", re.M)
"""A line of the list of exchanges; the summary is what stands before the first one, or after the last one."""
ASIDE = re.compile(r"\s{2,}(?:exchange \d+|certain|likely|possible)$", re.M)
"""What stands at the right edge of a line, and would part the words of two lines."""
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
ALOUD = ("error", "warning", "warn")

Label = dict[str, Any]


@dataclass(frozen=True)
class Verdict:
    """What one check of one label came to."""

    right: bool
    want: str
    got: str


@dataclass(frozen=True)
class Output:
    """What `oauthtap check` printed on one recording: its report, the text for people, and what went wrong."""

    report: dict[str, Any] | None
    console: str
    complaint: str

    @property
    def summary(self) -> str:
        clean = ASIDE.sub("", COLOUR.sub("", self.console))
        listed = list(EXCHANGE.finditer(clean))
        return flat(f"{clean[: listed[0].start()]} {clean[listed[-1].end() :]}" if listed else clean)

    @property
    def everything(self) -> str:
        return flat(f"{self.console} {self.complaint}")

    @property
    def cause(self) -> dict[str, Any] | None:
        cause = (self.report or {}).get("cause")
        return cause if isinstance(cause, dict) else None

    @property
    def findings(self) -> list[dict[str, Any]]:
        report = self.report or {}
        found = list(report.get("findings") or [])
        for exchange in report.get("exchanges") or []:
            found += exchange.get("findings") or []
        return [finding for finding in found if isinstance(finding, dict)]

    @property
    def named(self) -> str:
        if self.report is None:
            return "not read: " + flat(self.complaint)[-150:]
        if self.cause is None:
            return "no cause"
        return "{rule} ({who}), exchange {exchange}: {message}".format_map(
            {key: self.cause.get(key) for key in ("rule", "who", "exchange", "message")}
        )


def flat(text: str) -> str:
    """The text on one line, so that patterns and words match over line ends."""
    return re.sub(r"\s+", " ", COLOUR.sub("", text))


def says_one(patterns: Iterable[str], text: str) -> bool:
    return any(re.search(pattern, text, re.I) for pattern in patterns)


def visible(words: str, text: str) -> bool:
    return re.sub(r"\s+", "", words).lower() in re.sub(r"\s+", "", text).lower()


def check(path: Path) -> Output:
    """What `oauthtap check` prints on one recording, 100 columns wide and without colour."""
    os.environ |= {"COLUMNS": "100", "NO_COLOR": "1"}
    texts, complaints = [], []
    for more in (["--format", "json"], []):
        text, complaint = io.StringIO(), io.StringIO()
        with redirect_stdout(text), redirect_stderr(complaint):
            try:
                oauthtap(["check", str(path), *more])
            except SystemExit as ended:
                complaint.write(str(ended.code or ""))
        texts.append(text.getvalue())
        complaints.append(complaint.getvalue())
    return Output(_report(texts[0]), texts[1], " ".join(complaints))


def _report(text: str) -> dict[str, Any] | None:
    start = text.find("{")
    try:
        report, _ = json.JSONDecoder().raw_decode(text[start:]) if start >= 0 else (None, 0)
    except ValueError:
        return None
    return report if isinstance(report, dict) else None


def answers(found: dict[str, Any] | None, want: dict[str, Any], forbidden: list[str], known: set[str]) -> bool:
    """Is this cause, or this finding, what the label asks for?"""
    if found is None or found.get("rule") in forbidden:
        return False
    if (found.get("exchange") or sys.maxsize) < want.get("from_exchange", 0):
        return False
    if found.get("rule") in want.get("rules", []):
        return True
    members = ("message",) if found.get("rule") in known else ("title", "message", "fix")
    text = flat(" ".join(str(found.get(member) or "") for member in members))
    return found.get("who") in want.get("who", []) and says_one(want.get("mentions", []), text)


def judge(label: Label, output: Output, known: set[str]) -> dict[str, Verdict]:
    """Every check that the label asks for."""
    verdicts: dict[str, Verdict] = {}
    forbidden, want, cause = label.get("forbid", []), label.get("cause"), output.cause
    if label.get("connected") is not None:
        got = output.report.get("connected") if output.report else None
        verdicts["connected"] = Verdict(got == label["connected"], str(label["connected"]), str(got))
    if isinstance(want, dict):
        right = answers(cause, want, forbidden, known)
        allowed = cause is None or cause.get("rule") not in forbidden
        if not right and allowed and want.get("place") == "finding":
            loud = [finding for finding in output.findings if finding.get("severity") in ALOUD]
            right = any(answers(finding, want, forbidden, known) for finding in loud)
        if not right and allowed and want.get("place") == "summary" and output.report is not None:
            right = says_one(want.get("mentions", []), output.summary)
        rules, mentions = " | ".join(want.get("rules", [])) or "-", "/ /".join(want.get("mentions", []))
        verdicts["cause"] = Verdict(right, f"{rules} or {' | '.join(want.get('who', []))}: /{mentions}/", output.named)
    if label.get("words"):
        lacking = [words for words in label["words"] if not visible(words, output.summary)]
        got = "not in the summary: " + " + ".join(lacking) if lacking else "visible"
        verdicts["words"] = Verdict(not lacking, " + ".join(label["words"]), got)
    if label.get("says"):
        right = output.report is not None and says_one(label["says"], output.summary)
        verdicts["says"] = Verdict(right, "/" + "/ /".join(label["says"]) + "/", output.summary[:150])
    false = ["says: " + pattern for pattern in label.get("not_words", []) if says_one([pattern], output.everything)]
    unwanted = label.get("findings_not", [])
    false += sorted({f["rule"] for f in output.findings if f.get("rule") in unwanted and f.get("severity") in ALOUD})
    if label.get("control"):
        alarms = ([output.named] if cause else []) + false
        verdicts["quiet"] = Verdict(not alarms, "nothing against it", "; ".join(alarms))
    elif label.get("not_words") or unwanted:
        barred = " | ".join([*label.get("not_words", []), *unwanted])
        verdicts["true"] = Verdict(not false, f"none of {barred}", "; ".join(false))
    return verdicts


def table(results: list[tuple[Label, dict[str, Verdict]]]) -> str:
    """Right and all, by kind and check, and the totals in the last line."""

    def count(some: list[dict[str, Verdict]], name: str) -> str:
        asked = [verdicts[name] for verdicts in some if name in verdicts]
        return f"{sum(verdict.right for verdict in asked)}/{len(asked)}" if asked else "-"

    def row(title: str, some: list[dict[str, Verdict]]) -> str:
        return f"{title:<22}" + "".join(f"{count(some, name):>11}" for name in CHECKS)

    kinds = sorted(Counter(label["kind"] for label, _ in results))
    lines = [f"{'kind':<22}" + "".join(f"{name:>11}" for name in CHECKS)]
    lines += [row(kind, [verdicts for label, verdicts in results if label["kind"] == kind]) for kind in kinds]
    every = [verdicts for _, verdicts in results]
    whole = sum(all(verdict.right for verdict in verdicts.values()) for verdicts in every)
    return "\n".join([*lines, row("all", every), "", f"right in everything asked: {whole} of {len(every)}"])


def main() -> int:
    parser = argparse.ArgumentParser(description="Scores oauthtap check on a lot of fresh reports.")
    parser.add_argument("folder", type=Path, help="holds labels.json and the recordings that it names")
    parser.add_argument("--id", help="only these labels, with commas between")
    parser.add_argument("--kind", help="only kinds with this text in them")
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    asked = parser.parse_args()
    try:
        labels: list[Label] = json.loads((asked.folder / "labels.json").read_text(encoding="utf-8"))
        known = set(RULES.read_text(encoding="utf-8").split())
    except (OSError, ValueError) as error:
        print(f"Cannot read the lot: {error}. Try: uv run python -m benchmarks.lots tests/recordings/lots/NAME")
        return 2
    if asked.id:
        labels = [label for label in labels if label["id"] in asked.id.split(",")]
    if asked.kind:
        labels = [label for label in labels if asked.kind.lower() in label["kind"]]
    results = [(label, judge(label, check(asked.folder / label["file"]), known)) for label in labels]
    if asked.json:
        rows = {label["id"]: {name: vars(v) for name, v in verdicts.items()} for label, verdicts in results}
        print(json.dumps(rows, indent=1))
        return 0
    for label, verdicts in results:
        for name, verdict in verdicts.items():
            if not verdict.right:
                print(f"{label['id']:<5} {label['kind']:<22} {name:<10} want {verdict.want[:170]}")
                print(f"{'':<39} got  {flat(verdict.got)[:170]}")
    print()
    print(table(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
