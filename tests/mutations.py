"""Files with a few bytes or values changed, given to every command that reads files.

    uv run python -m tests.mutations            5,000 of them (some ten minutes)
    uv run python -m tests.mutations 20000 5000 20,000, from seed 5,000 on

Each has to end within twenty seconds, in a result or in one sentence that names the place.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

from mitmproxy.io import tnetstring

from oauthtap.cli import main
from oauthtap.proxy import flow_file
from tests.unit.formats.test_hostile import broken, exchanged
from tests.unit.formats.test_loader import RECORDINGS, session_of

HAR = RECORDINGS / "corpus" / "001-as-endpoint-url-in-prm.har"
SAMPLES = Path(__file__).parent / "formats"
COUNT, PATIENCE = 5000, 20


class Late(BaseException):
    """It did not end."""


def command(*words: str | Path) -> tuple[int, str]:
    """Exit code and all that a command says, within twenty seconds."""

    def late(*_: object) -> None:
        raise Late(words)

    said_by = StringIO()
    signal.signal(signal.SIGALRM, late)
    signal.alarm(PATIENCE)
    try:
        with redirect_stdout(said_by), redirect_stderr(said_by):
            code = main([str(word) for word in words])
    except SystemExit as ended:
        code = int(ended.code or 0)
    finally:
        signal.alarm(0)
    return code, said_by.getvalue()


def make_session(folder: Path) -> Path:
    """A good session with a lock and a file of fixes."""
    session_of(HAR, folder)
    code, words = command("lock", folder, "-o", folder / "server.lock")
    assert code == 0, words
    (folder / "fixes.toml").write_text('[[fix]]\nuse = "prm-as-entry-is-endpoint"\nvalue = "https://as.example"\n')
    (folder / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    return folder


READERS: dict[str, Callable[[Path], list[str | Path]]] = {
    "check": lambda path: ["check", path],
    "fix": lambda path: ["fix", path, "--offline", "-o", os.devnull],
    "diff": lambda path: ["diff", path, HAR],
    "verify": lambda path: ["verify", path],
    "lock": lambda path: ["lock", path],
    "replay": lambda path: ["replay", path, "--as-file", "-"],
    "against": lambda path: ["check", HAR, "--against", path],
    "rules": lambda path: ["check", HAR, "--rules", path],
}
"""One that reads a program (`rules`) is not given broken ones: whoever names a program runs it."""
_REFUSED = ("--upstream", "http://name:word@x.invalid/")
"""A tap that does not start, but reads its files before it says so."""
_MORE: dict[str, Callable[[Path], list[str | Path]]] = {
    "html": lambda path: ["check", path, "--format", "html"],
    "sarif": lambda path: ["check", path, "--format", "sarif"],
    "junit": lambda path: ["check", path, "--format", "junit"],
    "har": lambda path: ["check", path, "--format", "har"],
    "issue": lambda path: ["check", path, "--for", "claude-code"],
    "claims": lambda path: ["check", path, "--redact", "claims", "--format", "json"],
    "diff page": lambda path: ["diff", HAR, path, "--format", "html"],
    "fixes": lambda path: [*_REFUSED, "--fix", path],
    "ca": lambda path: [*_REFUSED, "--ca", path],
    "sweep": lambda path: ["verify", "--sweep", path],
}
_OF_A_FOLDER = ("check", "fix", "diff", "verify", "lock", "replay", "sweep", "html")


def changed(source: Path, chance: random.Random) -> bytes:
    """The content of a file with a few bytes changed, or a few values of the documents that it is made of."""
    data = source.read_bytes()
    if chance.random() < 0.5 and source.suffix == ".jsonl":
        lines = data.splitlines()
        for number in chance.choices(range(len(lines)), k=chance.choice([1, 1, 3])):
            lines[number] = broken(lines[number], chance)
        return b"\n".join(lines)
    if chance.random() < 0.5 and source.suffix == ".mitm":
        states = list(flow_file._states(data))
        for _ in range(chance.choice([1, 1, 3])):
            exchanged(chance.choice(states), chance)
        with contextlib.suppress(ValueError):  # half a character is in no file
            return b"".join(tnetstring.dumps(state) for state in states)
    return broken(data, chance)


def failures(seeds: range, session: Path, work: Path) -> Iterator[str]:
    """What did not end as it should, one sentence each. `session`: made by `make_session`; `work`: an empty folder."""
    whole = [session / "session.jsonl", session / "flows.mitm", session / "session.har", HAR]
    texts = sorted([*SAMPLES.glob("*.txt"), *RECORDINGS.glob("logs/**/*.*"), *RECORDINGS.glob("pasted/*.txt")])
    for seed in seeds:
        chance = random.Random(seed)
        reader = chance.choice([name for name in (*READERS, *_MORE, "folder", "folder") if name != "rules"])
        path = work / f"{seed}"
        if reader in ("folder", "sweep"):
            shutil.copytree(session, path)
            name = chance.choice(["session.jsonl", "flows.mitm", "session.har"])
            (path / name).write_bytes(changed(session / name, chance))
            reader = chance.choice(_OF_A_FOLDER) if reader == "folder" else reader
        else:
            own = {"against": "server.lock", "fixes": "fixes.toml", "ca": "ca.pem"}.get(reader)
            path = path.with_suffix(".toml" if reader == "fixes" else "")
            source = session / own if own else chance.choice(texts if chance.random() < 0.3 else whole)
            path.write_bytes(changed(source, chance))
        words = (READERS | _MORE)[reader](path)
        began = time.monotonic()
        try:
            code, told = command(*words)
        except (Exception, Late) as problem:
            yield f"seed {seed}, {reader}: {type(problem).__name__}: {str(problem)[:200]}"
            continue
        if code not in (0, 1, 2, 3) or (code == 2 and not told.strip().startswith("oauthtap")):
            yield f"seed {seed}, {reader}: exit code {code}: {told[:200]}"
        elif "Traceback" in told or "internal-error" in told:
            yield f"seed {seed}, {reader}: {told[-200:]}"
        elif time.monotonic() - began > PATIENCE / 2:
            yield f"seed {seed}, {reader}: {time.monotonic() - began:.0f} s"
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)


def run(count: int = COUNT, first: int = 0) -> int:
    """Print what failed; 1 when something did."""
    found = 0
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "work"
        work.mkdir()
        for failure in failures(range(first, first + count), make_session(Path(folder) / "s"), work):
            found += 1
            print(failure, flush=True)
    print(f"{count} changed files, {found} failed")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(run(*map(int, sys.argv[1:])))
