"""What `oauthtap drive` says of every client at healthy, broken and unreachable servers: docs/driven.md.

`python -m tests.driven > docs/driven.md` runs each client once at each target of the bed, and prints the page. Names of
clients after it: only their rows are run, and the others are taken from the page. One client at a time: what is
measured is whether it connects, and a machine that is busy makes clients give up.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from oauthtap.drive.driver import drivers
from tests.injected import Driven, drive
from tests.support.bed import EVERY_TARGET, Bed

PAGE = Path(__file__).parent.parent / "docs" / "driven.md"
CAUSES: dict[str, set[str]] = {
    "good": set(),
    "f16": set(),
    "seed2": {"prm-as-entry-is-endpoint"},
    "f02": {"prm-resource-origin-mismatch"},
    "f05": {"dcr-rejects-loopback-redirect"},
    "f12": {"scheme-downgrade-behind-proxy"},
    "closed-as": {"scheme-downgrade-behind-proxy", "connection-failed"},
    "nosuch-as": {"connection-failed"},
}
"""Target → the causes that are right where a client does not connect; written down before the first run."""
OTHERS: dict[tuple[str, str], str] = {
    ("gemini-cli", "seed2"): "prm-resource-not-identical",
    **dict.fromkeys((("gemini-cli", target) for target in ("good", "closed-as", "nosuch-as")), "authz-resp-iss-absent"),
}
"""What stops a client in place of the fault, by its own words: at `seed2` corrected after the first run; the others
labelled on 2026-11-30, when they had counted as wrong for a day. Gemini CLI refuses every authorization response
without `iss`, which only `f16` sends; where the authorization server cannot be reached it registers at the MCP server's
own origin, and comes to the same end."""
TOLERATES = {("qwen-code", "closed-as"), ("qwen-code", "nosuch-as")}
"""It connects directly, too (`python -m tests.matrix`): it goes on with the MCP server's own origin."""
NOTES = {
    "good": "Gemini CLI 0.61 connects only where the authorization response has `iss`: at `f16`, not here.",
    "f02": "A client that does not compare `resource` connects.",
    "closed-as": "Qwen Code connects directly, too: it goes on with the MCP server's own origin. So does Gemini CLI, "
    "which then stops for want of `iss`.",
    "nosuch-as": "The same.",
}


def right(client: str, target: str, driven: Driven) -> bool:
    """The exit code fits what the client reports, and where it stopped the cause is the one the target was made for."""
    cause = (driven.report["cause"] or {}).get("rule")
    if driven.code == 0:
        return cause is None and (target in ("good", "f16", "f02", "f12") or (client, target) in TOLERATES)
    return cause == OTHERS[client, target] if (client, target) in OTHERS else cause in CAUSES[target]


def cell(client: str, target: str, driven: Driven) -> str:
    cause = (driven.report["cause"] or {}).get("rule")
    told = "0, connects" if driven.code == 0 else f"{driven.code}, `{cause or 'no cause'}`"
    return told if right(client, target, driven) else f"**✗** {told}"


def row(bed: Bed, client: str) -> str:
    """A client's line of the table: version, a cell a target, the day."""
    cells, version = [], ""
    for target in CAUSES:
        with tempfile.TemporaryDirectory(prefix="oauthtap-driven-", ignore_cleanup_errors=True) as folder:
            driven = drive(bed, client, target, Path(folder), "--timeout", "60")
        cells.append(cell(client, target, driven))
        version = (re.findall(r"^  .* (\S+) signs in at", driven.told, re.M) or [""])[0]
        print(f"{client} {version} {target}: {cells[-1]}", file=sys.stderr, flush=True)
    return f"| `{client}` {version} | {' | '.join(cells)} | {date.today().isoformat()} |"


def page(only: Sequence[str]) -> str:
    before = PAGE.read_text(encoding="utf-8").splitlines() if PAGE.exists() else []
    rows = {line.split("`")[1]: line for line in before if line.startswith("| `") and line.split("`")[1] in drivers()}
    wanted = [name for name in drivers() if not only or name in only]
    with Bed() as bed:
        rows |= {client: row(bed, client) for client in wanted}
    lines = [rows[name] for name in drivers() if name in rows]
    cells = [cell for line in lines for cell in line.strip("|").split("|")[1 : len(CAUSES) + 1]]
    well = sum("✗" not in cell for cell in cells)
    head = HEAD.format(well=well, all=len(cells), first=first_run(before))
    titles = f"| Client | {' | '.join(f'`{target}`' for target in CAUSES)} | Run on |"
    table = [titles, "|---" * (len(CAUSES) + 2) + "|", *lines]
    targets = [
        f"- `{name}`: {(EVERY_TARGET[name].__doc__ or '').splitlines()[0]} {NOTES.get(name, '')}".rstrip()
        for name in CAUSES
    ]
    return "\n".join([head, "", *table, "", "Targets:", "", *targets, ""])


def first_run(before: Sequence[str]) -> str:
    """The sentence with the figures of the first run, which stays."""
    kept = [line for line in before if line.startswith("First run")]
    return kept[0] if kept else "First run, before anything was changed for it: this one."


HEAD = """# What `drive` says, client by client

Exit code and cause of `oauthtap drive CLIENT` at targets of the test bed, each row on the day of its last
column: **{well} of {all} right**. Right is exit 0 where the client connects (some tolerate a fault), and else 1 with
the cause that the target was made for.

{first}

Made by `python -m tests.driven > docs/driven.md`; [drive.md](drive.md) says what each client's *connected* proves."""


if __name__ == "__main__":
    print(page(sys.argv[1:]), end="")
