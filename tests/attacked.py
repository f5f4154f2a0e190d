"""`oauthtap probe --attack` at every real server that starts here, and what it says of each.

`python -m tests.attacked [SERVER …]` prints a row for each: what was accepted, what was unclear, what was not sent.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
import tempfile
from pathlib import Path

from oauthtap.cli import main as oauthtap
from tests.support.servers import stacks


def attacked(url: str, folder: Path, *flags: str) -> tuple[dict[str, str], set[str], int]:
    """Each attack with its verdict, the rules that follow, and the exit code."""
    out, err = io.StringIO(), io.StringIO()
    words = ["probe", url, "--session", str(folder), "--headless", "--attack", "--yes", "--format", "json", *flags]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = oauthtap(words)
    table = err.getvalue().partition("Attack  ")[2].splitlines()[1:]
    rows = [re.split(" {2,}", line) for line in table if line.strip() and not line.startswith(" ")]
    report = json.loads(out.getvalue())
    rules = {one["rule"] for one in report["findings"] if one["severity"] != "note"}
    return {row[0]: row[-1] for row in rows if len(row) == 3}, rules, code


def main(names: list[str]) -> int:
    known = stacks()
    print("| server | accepted | unclear | not sent | findings | exit |\n|---|---|---|---|---|---|", flush=True)
    for name in names or known:
        try:
            with known[name].start() as server, tempfile.TemporaryDirectory() as folder:
                verdicts, rules, code = attacked(server.url, Path(folder) / "s")
        except Exception as problem:
            print(f"| {name} | does not start: {type(problem).__name__} | | | | |", flush=True)
            continue
        kinds = (
            sorted(one for one, v in verdicts.items() if v == kind) for kind in ("ACCEPTED", "unclear", "not sent")
        )
        told = " | ".join(", ".join(some) or "-" for some in kinds)
        print(f"| {name} | {told} | {', '.join(sorted(rules)) or '-'} | {code} |", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
