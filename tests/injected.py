"""What real clients do when a fault is injected, and the page that says so: docs/injections.md.

`python -m tests.injected` runs Claude Code and the Python SDK by `oauthtap drive` against the healthy target of
the bed, once for each fault, and prints the page. Names of faults after it: only their rows are written anew.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any

from oauthtap.cli.options.inject import also
from oauthtap.drive.driver import drivers
from oauthtap.faults.model import Fault, injections
from tests.support.bed import Bed
from tests.support.clients.installed import cache, from_npm
from tests.support.running import COMMAND, environment, to_the_bed
from tests.support.tapped import free_port

CLIENTS = ("claude-code", "python-sdk")
PAGE = Path(__file__).parent.parent / "docs" / "injections.md"
TARGET = "good"
LIMIT = 180.0
_MOST = 8
"""Steps that a cell names."""
_TELLING = {
    "claude-code": re.compile(r"Status: .*|.*(?:rror|ailed|timed out|ancelled|denied|mismatch).*|Authenticated .*"),
    "python-sdk": re.compile(r"FAILED .*|TOOLS .*"),
}
"""The lines of a client's last words that tell something."""


@dataclass(frozen=True)
class Driven:
    """One run of `oauthtap drive`."""

    code: int
    report: dict[str, Any]
    told: str
    """What was narrated, the client's last words among it."""


def drive(bed: Bed, client: str, target: str, home: Path, *flags: str) -> Driven:
    """Run a client against a target of the bed, with these flags; it is installed on first use."""
    env = environment(home) | {"OAUTHTAP_CLIENTS": str(cache() / "drive")}
    words = ["drive", client, "--upstream", bed.url(target), *to_the_bed(bed), "--session", str(home / "session")]
    words += ["--port", str(free_port())]  # two of them at once would both find the first one free
    if client == "claude-code":  # the one that the other tests use
        claude = from_npm("claude-code", "@anthropic-ai/claude-code@latest") / ".bin"
        env["PATH"] = f"{claude}{os.pathsep}{env['PATH']}"
    else:
        words.append("--install")
    ran = subprocess.run(
        [str(COMMAND), *words, "--format", "json", *flags],
        env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    if ran.returncode not in (0, 1):
        raise AssertionError(f"exit {ran.returncode}:\n{ran.stderr}")
    return Driven(ran.returncode, json.loads(ran.stdout), ran.stderr)


def flags(injection: Fault, times: int = 1) -> list[str]:
    """What brings a client to this fault, so many times."""
    return [*also(injection).split(), *["--inject", injection.name] * (times - 1)]


def trials() -> list[tuple[Fault, int]]:
    """Every fault once; those of the documents also twice, because clients read them twice."""
    again = ("prm-discovery", "as-discovery")
    return [(one, times) for one in injections() for times in (1, 2) if times == 1 or set(one.when.stage) & set(again)]


def cell(injection: Fault, client: str, driven: Driven) -> str:
    """What the client did, and what it said."""
    places = [one["exchange"] for one in driven.report["injected"] if one["name"] == injection.name]
    met = places[-1] if places else None
    if met is None:
        return f"never comes to it; {_ends(driven)}"
    after = [one for one in driven.report["exchanges"] if one["id"] > met and one["actor"] != "reporter"]
    steps = [stage for stage, _ in groupby(one["stage"] for one in after)]
    shown = ", ".join(f"`{step}`" for step in steps[:_MOST]) + (", …" if len(steps) > _MOST else "")
    words = "".join(f"<br>“{line}”" for line in _says(client, driven.told))
    return f"**{_ends(driven)}**; goes on with {shown or 'nothing'}{words}"


def _ends(driven: Driven) -> str:
    return "connects" if driven.code == 0 else "does not connect"


def _says(client: str, told: str) -> list[str]:
    lines = [line[4:].strip() for line in told.splitlines() if line.startswith("  | ")]
    telling = [line for line in dict.fromkeys(lines) if _TELLING[client].fullmatch(line)]
    telling = [line for line in telling if not line.startswith(("TOOLS", "Authenticated"))]
    return [_neutral(line) for line in telling[-2:]]


def _neutral(line: str) -> str:
    line = re.sub(r"(localhost|127\.0\.0\.1):\d+", r"\1:PORT", line)
    line = re.sub(r"\b[\w-]{32,}\b", "…", line)
    return line.replace("|", "\\|").replace("<", "&lt;")


def rows(wanted: Sequence[tuple[Fault, int]]) -> Iterator[tuple[str, list[str], dict[str, str]]]:
    """For each fault: its name and how often, a cell for each client, and the clients' versions."""
    with Bed() as bed, tempfile.TemporaryDirectory(prefix="oauthtap-injected-") as folder:
        for injection, times in wanted:
            cells, versions = [], {}
            for client in CLIENTS:
                home = Path(folder) / f"{injection.name}-{times}-{client}"
                home.mkdir()
                driven = drive(bed, client, TARGET, home, *flags(injection, times))
                cells.append(cell(injection, client, driven))
                versions[client] = re.findall(r"^  \D*?([\d.]+) signs in at", driven.told, re.M)[0]
            name = f"`{injection.name}`" + (", twice" if times == 2 else "")
            print(f"{name}: {cells}", file=sys.stderr)
            yield name, cells, versions


def page(only: Sequence[str]) -> str:
    """The whole page; with names, what it says now with the rows of these faults written anew."""
    text = PAGE.read_text(encoding="utf-8")
    found = list(rows([(one, times) for one, times in trials() if not only or one.name in only]))
    versions = found[-1][2]
    heads = [f"{drivers()[client].title} {versions[client]}" for client in CLIENTS]
    new = {name: "| " + " | ".join([name, *cells]) + " |" for name, cells, _ in found}
    before = {line.split(" | ")[0].removeprefix("| "): line for line in text.splitlines() if line.startswith("| `")}
    names = [f"`{one.name}`" + (", twice" if times == 2 else "") for one, times in trials()]
    table = ["| Injected | " + " | ".join(heads) + " |", "|---" * (1 + len(heads)) + "|"]
    table += [new.get(name) or before[name] for name in names]
    for name, lines in (("table", [dated(heads), "", *table]), ("faults", list(explained()))):
        text = replaced(text, name, "\n".join(lines))
    return text


def dated(heads: Sequence[str]) -> str:
    return f"Seen on {date.today().isoformat()} with {' and '.join(heads)}, against the healthy target of the test bed."


def explained() -> Iterator[str]:
    """The faults in words, from the data."""
    for one in injections():
        value = f"={one.value or '…'}" if one.takes else ""
        yield f"### `--inject {one.name}{value}`"
        yield ""
        yield f"{one.says} {where(one)}"
        yield ""
        yield one.teaches
        if one.leads:
            yield ""
            yield f"To come there at once: `{also(one)}`."
        yield ""


def where(injection: Fault) -> str:
    """Which exchange it meets, in words."""
    stages = ", ".join(f"`{stage}`" for stage in injection.when.stage)
    settled = ", once a token of this sign-in was accepted" if injection.settled else ""
    asked = "the server is not asked" if injection.instead else "the server is asked, and judged by what it said"
    return f"Meets {stages}{settled}; {asked}."


def replaced(text: str, name: str, new: str) -> str:
    """The page with another text between the two marks of that name."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    before, _, rest = text.partition(begin)
    return f"{before}{begin}\n\n{new.strip()}\n\n{end}{rest.partition(end)[2]}"


if __name__ == "__main__":
    print(page(sys.argv[1:]), end="")
