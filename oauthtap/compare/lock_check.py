"""What became of a lock: a later handshake held against it.

Each changed member is told once, at its place. Order does not matter, and neither does what is new.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from oauthtap import rules
from oauthtap.compare.json_diff import NOTHING, Deviation, deviations
from oauthtap.compare.lockfile import ECHOED, UNSEEN, Entry, Lock, entries
from oauthtap.diagnosis.findings import Finding, Problem, finding
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import practice
from oauthtap.report.model import LockCheck, NotChecked, Report
from oauthtap.rules import Rule


@dataclass(frozen=True)
class ChangedMember:
    """One member that is not what the lock holds."""

    pointer: str
    """RFC 6901, into the lock file."""
    at: str
    """The same place in the answer: `response.json.issuer`."""
    entry: Entry
    deviation: Deviation
    exchange: int


@dataclass(frozen=True)
class Held:
    """A handshake held against a lock."""

    broken: list[ChangedMember] = field(default_factory=list)
    unasked: list[Entry] = field(default_factory=list)
    """What the lock holds and was not requested this time."""

    def promises(self, frozen: Lock) -> Iterator[LockCheck]:
        """Each answer that the lock holds, and what became of it."""
        for number, entry in enumerate(frozen.contract):
            pointer = f"/contract/{number}"
            broken = any(row.pointer.startswith(f"{pointer}/") for row in self.broken)
            kept = None if entry in self.unasked else not broken
            answer = f"{entry.variant} {entry.request}".strip()
            yield LockCheck(pointer=pointer, stage=entry.stage, answer=answer, kept=kept)


def against(frozen: Lock, handshake: Handshake) -> Held:
    """What a handshake keeps of a lock, and what it does not.

    Each changed member is told once. Order does not matter, and neither does what is new.
    """
    seen = {(entry.stage, entry.variant, entry.request): (entry, exchange) for entry, exchange in entries(handshake)}
    held = Held()
    for number, entry in enumerate(frozen.contract):
        found = _counterpart(entry, seen, frozen.contract)
        if found is None:
            held.unasked.append(entry)
            continue
        for deviation in _broken(entry.answer, found[0].answer):
            pointer = f"/contract/{number}/answer{deviation.pointer}"
            held.broken.append(ChangedMember(pointer, _at(deviation, entry), entry, deviation, found[1]))
    return held


_Seen = dict[tuple[str, str, str], tuple[Entry, int]]


def _counterpart(entry: Entry, seen: _Seen, all_entries: Sequence[Entry]) -> tuple[Entry, int] | None:
    """The same question; else the same step where it lies elsewhere now, for a document may have moved it."""
    if exact := seen.get((entry.stage, entry.variant, entry.request)):
        return exact
    same_step = [row for row in seen.values() if row[0].stage == entry.stage]
    here = [row for row in same_step if row[0].request == entry.request]
    taken = {other.request for other in all_entries if other.stage == entry.stage}
    moved = [row for row in same_step if row[0].variant == entry.variant and row[0].request not in taken]
    return next(iter([*(here if entry.variant in _WAYS else []), *moved]), None)


_WAYS = {"header", "inserted", "root", "appended", "other"}
"""Ways to one document: who goes another comes to the same."""


def _broken(expected: dict[str, Any], actual: dict[str, Any]) -> list[Deviation]:
    """The departures of one answer. With another status, or no JSON any more, all the rest follows."""
    wanted = {name: value for name, value in expected.items() if UNSEEN not in (value, actual.get(name))}
    # A server that does as it is asked breaks no promise, even where it chose for itself before.
    found = [deviation for deviation in deviations(wanted, actual) if deviation.actual != ECHOED]
    for decisive in ("/status", "/type", "/json"):
        alone = [deviation for deviation in found if deviation.pointer == decisive]
        if alone:
            return alone
    return found


_PLACES = {
    "status": "response.status",
    "type": "response.header.content-type",
    "json": "response.json",
    "challenge": "response.header.www-authenticate",
    "claims": "response.json.access_token",
    "parameters": "response.header.location",
    "protocolVersion": "response.json.result.protocolVersion",
}


def _at(deviation: Deviation, entry: Entry) -> str:
    first, *rest = deviation.pointer.removeprefix("/").split("/")
    steps = [step.replace("~1", "/").replace("~0", "~") for step in rest]
    if first == "challenge":
        steps = steps[1:]
    return _PLACES.get(first, "response") + "".join(f"[{s}]" if s.isdecimal() else f".{s}" for s in steps)


_PROMISED = practice("the lock", "https://modelcontextprotocol.io/specification")
RULE = "contract-changed"


def contract_changed(result: Held) -> Iterator[Problem]:
    """An answer is not what the lock holds.

    A lock (`oauthtap lock`) holds, of every answer of a handshake, what clients rely on: status, documents, challenge,
    and the shape of tokens. A client that got through then may stop at what is different now. Each changed member is
    told once, at its place; order does not matter, and neither does what is new.

    Usual causes: a deployment that reset the metadata; an issuer or a host that moved; another library version.

    Repair: Put it back; or, where the change is meant, freeze anew with `oauthtap lock SESSION -o FILE`.

    Bad:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/"}

    Good:
        GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
        200 {"resource": "https://mcp.example.com/mcp"}
    """
    for broken in result.broken:
        expected, actual = format_value(broken.deviation.expected), format_value(broken.deviation.actual)
        where = f"{broken.entry.request}: `{broken.at.removeprefix('response.')}`"
        message = f"{where} is {actual}, and the lock holds {expected} ({broken.pointer})"
        yield Problem(message=message, at=broken.at, expected=expected, actual=actual)


PAGE = Rule(RULE, _PROMISED, "resource-server", "error", contract_changed, (Handshake,))
"""What `explain` and the formats say of it. It is not among the rules: it needs a lock to hold against."""


def check_lock(report: Report, frozen: Lock, handshake: Handshake) -> Report:
    """The report with what became of the lock in place of all other findings.

    What was wrong when the lock was made is part of the contract, so it is not told again.
    """
    result = against(frozen, handshake)
    only = "the recording was held against a lock, and against nothing else"
    unasked = [f"not requested: {entry.stage}: {entry.variant} {entry.request}" for entry in result.unasked]
    promises = tuple(result.promises(frozen))
    kept = sum(promise.kept is True for promise in promises)
    note = f"Held against the lock: {kept} of {len(frozen.contract)} answers as before, {len(unasked)} not asked for."
    return report.model_copy(
        update={
            "findings": tuple(map(_finding, contract_changed(result), result.broken)),
            "clients": (),
            "promises": promises,
            "not_checked": (
                *(NotChecked(rule=RULE, because=reason) for reason in unasked),
                *(NotChecked(rule=id, because=only) for id in rules.RULES),
            ),
            "notes": (*report.notes, note),
        }
    )


def _finding(problem: Problem, broken: ChangedMember) -> Finding:
    return finding(
        problem,
        rule=RULE,
        title=PAGE.title,
        requirement=_PROMISED,
        who="resource-server" if broken.entry.stage.startswith(("mcp", "prm", "legacy")) else "authorization-server",
        severity="error",
        fix=PAGE.repair,
        stage=broken.entry.stage,
        exchange=broken.exchange,
    )


def format_value(value: Any) -> str:
    """A value of a lock, for a sentence."""
    return "missing" if value is NOTHING else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
