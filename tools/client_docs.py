"""docs/client-traits.md: what each client does in a sign-in, and how, when and with which version that was seen.

`uv run python -m tools.client_docs > docs/client-traits.md` prints the page.
"""

from __future__ import annotations

from collections.abc import Iterator

from oauthtap.clients import known
from oauthtap.clients.profile import STALE
from oauthtap.clients.traits import Emulation

COLUMNS = {
    "resource_rule": "`resource` compared by",
    "resource_mismatch": "where it does not fit",
    "without_prm": "without resource metadata",
    "as_places": "places of server metadata",
    "html_metadata": "a page there",
    "issuer_rule": "issuer",
    "iss_rule": "`iss`",
    "pkce": "S256 listed",
    "cimd": "metadata URL",
    "token_type": "needs `token_type`",
    "refreshes": "refresh",
    "steps_up": "steps up",
}
_MARK = {"measured": "", "read": " ʳ", "log": " ˡ", "documented": " ᵈ", "told": " ᵗ", "assumed": " ᵃ"}
HEAD = f"""# What clients do

Each value is of the client's own file in `oauthtap/clients/`, where it has its date and its source. Unmarked: measured,
the client itself run at servers that each ask one thing of it (`python -m tests.profiles CLIENT`). ʳ read in its
source, ˡ in a published log, ᵈ documented by its vendor, ᵗ told by somebody, ᵃ assumed; empty: not known. What is older
than {STALE} days says so where a report uses it.
"""


def page() -> str:
    """The whole page."""
    clients = sorted(known(), key=lambda one: one.profile.name.lower())
    return "\n".join([HEAD, *_traits(clients), "", *_bed(clients), ""])


def _traits(clients: list[Emulation]) -> Iterator[str]:
    yield f"| Client | version | newest | {' | '.join(COLUMNS.values())} |"
    yield "|---" * (3 + len(COLUMNS)) + "|"
    for one in clients:
        cells = [_value(one, name) for name in COLUMNS]
        yield f"| {one.profile.name} | {one.profile.versions} | {one.profile.seen} | {' | '.join(cells)} |"


def _value(client: Emulation, name: str) -> str:
    if (trait := client.traits.get(name)) is None:
        return ""
    value = trait.value
    words = ", ".join(value) if isinstance(value, list) else {True: "yes", False: "no"}.get(value, value)
    return f"{words}{_MARK[trait.basis]}"


def _bed(clients: list[Emulation]) -> Iterator[str]:
    """How each server of the bed ended for who was measured."""
    measured = [(one, one.profile.measured) for one in clients if one.profile.measured]
    yield "## At the servers of the test bed\n"
    yield "What each target is: `tests/support/bed`. · stops, … waits: the last request of the furthest step.\n"
    targets = list(dict.fromkeys(target for _, seen in measured for target in (seen.bed if seen else ())))
    yield f"| Target | {' | '.join(f'{one.profile.name} {seen.version}' for one, seen in measured if seen)} |"
    yield "|---" * (1 + len(measured)) + "|"
    for target in targets:
        cells = [_end(seen.bed.get(target, "")) for _, seen in measured if seen]
        yield f"| `{target}` | {' | '.join(cells)} |"


def _end(told: str) -> str:
    if told == "connects":
        return "✓"
    verb, _, after = told.partition(" after ")
    return f"{'…' if verb == 'waits' else '·'} {after}" if after else told


if __name__ == "__main__":
    print(page(), end="")
