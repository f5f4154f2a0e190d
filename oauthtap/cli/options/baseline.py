"""`--baseline FILE`: what is known to be wrong is accepted, what is new is not."""

from __future__ import annotations

import json
from argparse import Namespace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from oauthtap.cli.errors import UsageError
from oauthtap.compare.baseline import Baseline, held_against, updated
from oauthtap.diagnosis.findings import RANK
from oauthtap.formats.untrusted_file import parse_json, read_bytes
from oauthtap.model.recording import SourceError
from oauthtap.report.model import Report
from oauthtap.session.paths import replace

_LARGEST = 5_000_000


def baseline_flags(group: Any) -> None:
    """Put the flags into a group."""
    group.add_argument(
        "--baseline", metavar="FILE",
        help="the known problems, by client: exit 1 only for a cause, or an error, that is not in FILE",
    )  # fmt: skip
    group.add_argument(
        "--update-baseline", action="store_true", help="write what was found now into the file of --baseline"
    )


def read_baseline(arguments: Namespace) -> Baseline | None:
    """The file of `--baseline`; None without it. Raises UsageError, before anything is sent."""
    if not getattr(arguments, "baseline", None):
        if getattr(arguments, "update_baseline", False):
            raise UsageError("--update-baseline needs a file. Try: --baseline baseline.json --update-baseline")
        return None
    path = Path(arguments.baseline)
    if arguments.update_baseline and not path.exists():
        return Baseline()
    again = f"--baseline {path} --update-baseline"
    try:
        return Baseline.model_validate(parse_json(read_bytes(path, largest=_LARGEST, advice=again).decode()))
    except SourceError as problem:
        raise UsageError(f"--baseline {problem}") from None
    except (json.JSONDecodeError, ValidationError, ValueError, RecursionError):
        raise UsageError(f"--baseline {path}: that is no baseline of oauthtap. Try: {again}") from None


def with_baseline(report: Report, arguments: Namespace, unnamed: str = "") -> Report:
    """The report held against the baseline, which is written anew where that was asked for. Raises UsageError.

    `unnamed`: what a client is called of which nothing tells the name.
    """
    known = read_baseline(arguments)
    if known is None:
        return report
    unnamed = unnamed or getattr(arguments, "driver", None) or "unknown"
    if arguments.update_baseline:
        text = updated(known, report, unnamed).model_dump_json(indent=1) + "\n"
        try:
            replace(Path(arguments.baseline), text.encode())
        except OSError as problem:
            raise UsageError(f"--baseline {arguments.baseline}: {problem.strerror}. Try: a folder of yours") from None
    return held_against(report, known, unnamed)


def baseline_code(report: Report, arguments: Namespace, code: int, *, stopped: bool) -> int:
    """The exit code in the place of `code`: 0 where all that is wrong was known, or has just been written down.

    `stopped`: it did not work, by the word of whoever ran; that, too, has to be known.
    """
    if not report.baseline or code not in (0, 1):
        return code
    if arguments.update_baseline:
        return 0
    limit = RANK[getattr(arguments, "fail_on", None) or "error"]
    new = [one for check in report.baseline for one in check.new]
    if any(one.kind == "cause" or RANK[one.kind] <= limit for one in new):
        return 1
    return int(stopped and all(check.worked is not False for check in report.baseline))
