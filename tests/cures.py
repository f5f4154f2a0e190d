"""Which fix is tried against which fault of the bed with a real client, and the table of what came of it.

`python -m tests.cures` runs Claude Code against each fault: without a tap; through the tap; through it
with the fixes that `oauthtap fix` proposes from that recording; and without a tap once more, with the
change that oauthtap says to deploy made on the server. It prints the Markdown table of docs/fixes.md.
"""

from __future__ import annotations

import json
import sys
import tempfile
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.bed import TARGETS, Bed
from tests.support.clients import Outcome, run
from tests.support.deployed import deployed
from tests.support.running import call, started, to_the_bed

TENANT = "https://tenant.authkit.test"
CLIENT = "client-of-before"

TOLERATED = ("f01", "f03", "f04", "f14")
"""Targets that Claude Code connects to all the same, and others do not."""

TOLD: dict[str, tuple[str, ...]] = {
    "f05": ("--client-id", CLIENT),
    "f11": ("--client-id", CLIENT),
    "seed2": ("--fix", f"prm-as-entry-is-endpoint={TENANT}"),
    **dict.fromkeys(TOLERATED, ("--strict",)),
}
"""What `oauthtap fix` has to be told besides, where only a person knows, or where the client put up with it."""

PROVED = ("seed2", "f01", "f02", "f03", "f04", "f05", "f07", "f08", "f11", "f12", "f14", "f15")
"""The targets of the table, in its order."""

WAITS = {True: 60.0, False: 15.0}
"""Seconds for a client that is expected to connect, and for one that is not."""


class AnyPort(list[str]):
    """Redirect URIs of a client registered beforehand: loopback with whatever port (RFC 8252, 7.3)."""

    def __contains__(self, uri: object) -> bool:
        return str(uri).startswith(("http://localhost:", "http://127.0.0.1:"))


@dataclass(frozen=True)
class Tried:
    """One run of a client through the tap."""

    outcome: Outcome
    report: dict[str, Any]
    said: str
    session: Path


def try_it(bed: Bed, target: str, home: Path, *flags: str, client: str = "claude-code", timeout: float = 60) -> Tried:
    """Run a client against a target through a tap of its own with these flags."""
    _register(bed, target, flags)
    path = "/" + bed.url(target).split("/", 3)[3]
    with started(bed.url(target), *to_the_bed(bed), *flags, home=home, path=path) as tap:
        outcome = run(client, tap.url, env=bed.browser_env(), timeout=timeout)
        tap.end()
        return Tried(outcome, tap.report, tap.said, tap.session)


def _register(bed: Bed, target: str, flags: tuple[str, ...]) -> None:
    """What `--client-id` assumes: the client is registered with any loopback port."""
    server: Any = bed.origins[TARGETS[target].host]
    if "--client-id" in flags:
        server.clients[CLIENT] = {"client_id": CLIENT, "redirect_uris": AnyPort()}


@dataclass
class Proof:
    """What a real client did with one target, from the fault to the changed server."""

    target: str
    direct: bool
    tapped: bool
    cause: str | None
    fixes: tuple[str, ...] = ()
    """What `oauthtap fix` wrote from the recording."""
    fixed: bool = False
    steps: str = ""
    changes: list[dict[str, Any]] = field(default_factory=list)
    report: dict[str, Any] = field(default_factory=dict)
    """Of the run with the fixes."""
    session: Path | None = None
    """Its folder."""
    after: bool = False
    """Without a tap, on the changed server."""
    said: str = ""
    """What the runs said, for whoever has to look."""

    @property
    def row(self) -> str:
        """One line of the table."""
        words = {True: "connects", False: "does not"}
        what = (TARGETS[self.target].__doc__ or "").splitlines()[0].replace("|", "\\|")
        fixes = ", ".join(f"`{name}`" for name in self.fixes)
        return (
            f"| {self.target}: {what} | {words[self.direct]} | {words[self.tapped]} | {fixes} "
            f"| {words[self.fixed]}, {self.steps} | {words[self.after]} |"
        )


HEAD = (
    "| Fault of the bed | Claude Code without a tap | through the tap | `oauthtap fix` proposes "
    "| with it | without a tap, the change deployed |\n|---|---|---|---|---|---|"
)


def prove(bed: Bed, target: str, home: Path) -> Proof:
    """Run a real client four times: as it is, through the tap, with what is proposed, on the changed server."""
    told, tolerated = TOLD.get(target, ()), target in TOLERATED
    direct = run("claude-code", bed.url(target), env=bed.direct_env(), timeout=WAITS[tolerated])
    before = try_it(bed, target, home / "before", timeout=WAITS[tolerated])
    cause = before.report["cause"]
    proof = Proof(target, direct.connected, before.outcome.connected, cause["rule"] if cause else None)
    file = home / "fixes.toml"
    emitted = home / "deploy.json"
    ran = call("fix", before.session, "-o", file, "--deploy", emitted, *told, *to_the_bed(bed), home=home)
    proof.said = f"{ran.stdout}{ran.stderr}"
    if ran.returncode != 0:
        return proof
    proof.fixes = tuple(one.get("use") or one["name"] for one in tomllib.loads(file.read_text())["fix"])
    _register(bed, target, told)
    after = try_it(bed, target, home / "after", "--fix", str(file))
    proof.fixed, proof.said = after.outcome.connected, f"{proof.said}{after.outcome.said}{after.said}"
    proof.report, proof.session = after.report, after.session
    newest = after.report["attempts"][-1]
    proof.steps = f"{newest['good']} of {newest['steps']} steps"
    # A client that is helped asks for more than the recording has; one that never met the fault shows nothing.
    proof.changes = (after.report["deploy"] or json.loads(emitted.read_text()))["changes"]
    with deployed(bed, proof.changes):
        last = run("claude-code", bed.url(target), env=bed.direct_env(), timeout=WAITS[True])
    proof.after, proof.said = last.connected and bool(proof.changes), f"{proof.said}{last.said}"
    return proof


def table() -> str:
    """The Markdown table of docs/fixes.md."""
    lines = [HEAD]
    with Bed() as bed, tempfile.TemporaryDirectory(prefix="oauthtap-cures-") as folder:
        for target in PROVED:
            lines.append(prove(bed, target, Path(folder) / target).row)
            print(lines[-1], file=sys.stderr)
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(table(), end="")
