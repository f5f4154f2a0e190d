"""Which fix is tried against which fault of the bed with a real client, and the table of what came of it.

`python -m tests.cures` runs Claude Code through the tap against each fault, without and with the
fix, and prints the Markdown table of docs/fixes.md.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bed import TARGETS, Bed
from tests.clients import Outcome, run
from tests.running import started, to_the_bed

TENANT = "https://tenant.authkit.test"
CLIENT = "client-of-before"

CURES: dict[str, tuple[str, ...]] = {
    "f02": ("--fix", "prm-resource-origin-mismatch"),
    "f05": ("--client-id", CLIENT),
    "f07": ("--fix", "as-metadata-html-200"),
    "f08": ("--fix", "token-resp-token-type-missing"),
    "f10": ("--fix", "authz-resp-state-missing"),
    "f11": ("--client-id", CLIENT),
    "f12": ("--fix", "scheme-downgrade-behind-proxy"),
    "f15": ("--fix", "token-resp-form-encoded"),
    "seed2": ("--fix", f"prm-as-entry-is-endpoint={TENANT}"),
}
"""Target that Claude Code does not connect to, and the flags under which it does."""


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
    server: Any = bed.origins[TARGETS[target].host]
    if "--client-id" in flags:
        server.clients[CLIENT] = {"client_id": CLIENT, "redirect_uris": AnyPort()}
    path = "/" + bed.url(target).split("/", 3)[3]
    with started(bed.url(target), *to_the_bed(bed), *flags, home=home, path=path) as tap:
        outcome = run(client, tap.url, env=bed.browser_env(), timeout=timeout)
        tap.end()
        return Tried(outcome, tap.report, tap.said, tap.session)


def table() -> str:
    """The Markdown table: fault, what stops the client, the fix, and whether it connects with it."""
    lines = ["| Fault of the bed | Cause oauthtap names | Without | Flags | With |", "|---|---|---|---|---|"]
    with Bed() as bed, tempfile.TemporaryDirectory(prefix="oauthtap-cures-") as folder:
        for target, flags in CURES.items():
            before = try_it(bed, target, Path(folder) / f"{target}-before", timeout=15)
            after = try_it(bed, target, Path(folder) / f"{target}-after", *flags)
            lines.append(row(target, before, flags, after))
            print(lines[-1], file=sys.stderr)
    return "\n".join(lines) + "\n"


def row(target: str, before: Tried, flags: tuple[str, ...], after: Tried) -> str:
    """One line of the table."""
    what = (TARGETS[target].__doc__ or "").splitlines()[0].replace("|", "\\|")
    cause = before.report["cause"]["rule"] if before.report["cause"] else "none"
    words = {True: "connects", False: "does not connect"}
    shown = " ".join(flags).replace(TENANT, "https://TENANT").replace(CLIENT, "ID")
    return (
        f"| {target}: {what} | `{cause}` | {words[before.outcome.connected]} "
        f"| `{shown}` | {words[after.outcome.connected]} |"
    )


if __name__ == "__main__":
    print(table(), end="")
