"""`oauthtap probe --attack` at every real server that starts here, and at servers made for it: what it says of each.

`python -m tests.attacked [SERVER …]` prints a row for each real one: what was accepted, what was unclear, what was not
sent. `--weaknesses [SERVER …]` has the servers of `tests.support.bed.weaknesses`, on a terminal, with the question
answered there; and says whether what it names is what the server accepts.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pexpect

from oauthtap.cli import main as oauthtap
from tests.support.bed import Bed
from tests.support.bed.weaknesses import WEAKNESSES
from tests.support.running import COMMAND, LIMIT, environment, to_the_bed
from tests.support.servers import stacks

QUESTION = r"Is it yours\? \[y/N\] "


def verdicts(told: str) -> dict[str, str]:
    """Each attack with its verdict, as the table on the terminal has them."""
    table = told.partition("Attack  ")[2].splitlines()[1:]
    rows = [re.split(" {2,}", line) for line in table if line.strip() and not line.startswith(" ")]
    return {row[0]: row[-1].strip() for row in rows if len(row) == 3}


ABOUT_ATTACKS = {rule for _, rules in WEAKNESSES.values() for rule in rules}


def rules(report: dict[str, Any]) -> set[str]:
    """Those that follow: a note, too, where it is about an attack."""
    found = report["findings"]
    return {one["rule"] for one in found if one["severity"] != "note" or one["rule"] in ABOUT_ATTACKS}


def attacked(url: str, folder: Path, *flags: str) -> tuple[dict[str, str], set[str], int]:
    """Each attack with its verdict, the rules that follow, and the exit code."""
    out, err = io.StringIO(), io.StringIO()
    words = ["probe", url, "--session", str(folder), "--headless", "--attack", "--yes", "--format", "json", *flags]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = oauthtap(words)
    return verdicts(err.getvalue()), rules(json.loads(out.getvalue())), code


def real_servers(names: Sequence[str]) -> None:
    known = stacks()
    print("| server | accepted | unclear | not sent | findings | exit |\n|---|---|---|---|---|---|", flush=True)
    for name in names or known:
        try:
            with known[name].start() as server, tempfile.TemporaryDirectory() as folder:
                told, found, code = attacked(server.url, Path(folder) / "s")
        except Exception as problem:
            print(f"| {name} | does not start: {type(problem).__name__} | | | | |", flush=True)
            continue
        kinds = (sorted(one for one, v in told.items() if v == kind) for kind in ("ACCEPTED", "unclear", "not sent"))
        cells = " | ".join(", ".join(some) or "-" for some in kinds)
        print(f"| {name} | {cells} | {', '.join(sorted(found)) or '-'} | {code} |", flush=True)


def weak_servers(names: Sequence[str]) -> None:
    """As a person runs it: on a terminal, asked first."""
    right = 0
    kinds = {kind.host.partition(".")[0]: kind for kind in WEAKNESSES}
    print("| server | accepted | findings | exit | as it was made |\n|---|---|---|---|---|", flush=True)
    with Bed(*WEAKNESSES) as bed, tempfile.TemporaryDirectory() as home:
        for name in names or kinds:
            folder = Path(home) / name
            words = ["probe", bed.url(name), "--headless", "--attack", "--session", str(folder), *to_the_bed(bed)]
            terminal = pexpect.spawn(
                str(COMMAND), words, env=environment(Path(home)), encoding="utf-8", timeout=LIMIT, dimensions=(60, 200)
            )
            with bed.watching() as before:
                terminal.expect(QUESTION)
            terminal.sendline("y")
            terminal.expect(pexpect.EOF)
            terminal.close()
            accepted = {one for one, verdict in verdicts(terminal.before or "").items() if verdict == "ACCEPTED"}
            found = rules(json.loads((folder / "report.json").read_text()))
            ok = (accepted, found) == WEAKNESSES[kinds[name]] and terminal.exitstatus == bool(accepted) and not before
            right += ok
            cells = " | ".join(", ".join(sorted(some)) or "-" for some in (accepted, found))
            print(f"| {name} | {cells} | {terminal.exitstatus} | {'yes' if ok else '**no**'} |", flush=True)
    print(f"\n{right} of {len(names or kinds)} as they were made")


def main(words: list[str]) -> int:
    names = [word for word in words if word != "--weaknesses"]
    (weak_servers if "--weaknesses" in words else real_servers)(names)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
