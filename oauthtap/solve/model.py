"""What solving comes to, as values: each try, what was needed, what a person has to name."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from oauthtap.fixes.deploy_plan import Deploy
from oauthtap.fixes.model import Fix
from oauthtap.report.model import RankedCause, Refused

Outcome = Literal["proved", "emulated", "simulated", "nothing-to-do", "not-curable", "needs-value", "budget"]

EXIT: dict[Outcome, int] = {
    "proved": 0, "emulated": 0, "simulated": 0, "nothing-to-do": 0, "not-curable": 1, "budget": 1, "needs-value": 3,
}  # fmt: skip


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True)


def mark(fix: Fix) -> str:
    """What tells one fix from another, its value included."""
    return f"{fix.value} {fix.model_dump_json()}"


class ChangeSet(_Row):
    """Fixes that are tried together, because one rule wants all of them, or because each took a cause away."""

    fixes: tuple[Fix, ...]
    rules: tuple[str, ...] = ()
    """The rules they are meant to cure."""

    @property
    def names(self) -> tuple[str, ...]:
        """Each fix with its value, as `--fix` takes it."""
        return tuple(f"{fix.name}={fix.value}" if fix.value else fix.name for fix in self.fixes)

    @property
    def key(self) -> frozenset[str]:
        """What tells two sets apart, whatever their order."""
        return frozenset(map(mark, self.fixes))

    def plus(self, other: ChangeSet) -> ChangeSet:
        """Both together."""
        known = {mark(fix): fix for fix in (*self.fixes, *other.fixes)}
        rules = dict.fromkeys((*self.rules, *other.rules))
        return ChangeSet(fixes=tuple(known.values()), rules=tuple(rules))

    def without(self, fix: Fix) -> ChangeSet:
        """All but one."""
        return ChangeSet(fixes=tuple(one for one in self.fixes if one is not fix), rules=self.rules)


class Try(_Row):
    """One run of the client (or of the recording) with some fixes, and what came of it."""

    number: int
    fixes: tuple[str, ...] = ()
    connected: bool
    """The client said so; in a simulation: nothing that was recorded is in its way."""
    ending: str
    reached: str
    cause: str | None = None
    """The rule of the cause that was left."""
    title: str = ""
    """Its words."""
    refusal: Refused | None = None
    exchanges: int = 0
    seconds: float = 0.0
    session: str | None = None
    """The folder of its recording; None for a simulation."""
    why: str = ""
    """Why it was made, in words: `as it is`, `for RULE`, `without FIX`."""


class Part(_Row):
    """One fix of the smallest change, and the try that shows that it is needed."""

    fix: str
    says: str
    assumes: str | None = None
    needed_by: int | None = None
    """The number of the try without it, in which the client did not connect; None where that was not tried."""


class Need(_Row):
    """A value that only a person knows."""

    name: str
    """What `--set` calls it: `issuer`, `client-id`, …"""
    rule: str
    question: str
    hint: str = ""
    candidates: tuple[str, ...] = ()
    """Values that were tried and are none, or that may be one."""


class Solution(_Row):
    """Everything `oauthtap solve` found out."""

    version: Literal[1] = 1
    outcome: Outcome
    simulated: bool = False
    """No client ran: fixes were applied to a recording. Nothing is proved."""
    emulated: bool = False
    """No client ran: oauthtap asked the server as the client would, by what is known of it. Nothing is proved of it."""
    client: str | None = None
    upstream: str | None = None
    cause: RankedCause | None = None
    """The cause as the client met it without a change: the one that the change cures, where there is one."""
    cause_proved: bool = False
    """With its change the client connects, and without it does not."""
    change: tuple[Part, ...] = ()
    """The smallest change with which the client connects; each part of it is needed."""
    before: Try | None = None
    after: Try | None = None
    tries: tuple[Try, ...] = ()
    """Every run, in order."""
    needs: tuple[Need, ...] = ()
    remains: str = ""
    """What no change of an answer or request cures, and who has to change what."""
    fixes_toml: str = ""
    """The change as a file for `--fix`."""
    deploy: Deploy | None = None
    """The diff, the JSON Patch and the lines for the server's stack."""
    next: str | None = None
    """The command to type now."""

    @property
    def exit(self) -> int:
        """0 proved, or nothing to do; 1 not curable by answers, or out of budget; 3 a value is needed."""
        return EXIT[self.outcome]

    @property
    def unhelpful(self) -> tuple[Try, ...]:
        """The tries with fixes after which the client did not connect, and that are no proof of a part."""
        proofs = {part.needed_by for part in self.change}
        return tuple(one for one in self.tries if one.fixes and not one.connected and one.number not in proofs)

    def as_json(self) -> dict[str, Any]:
        """As `--format json` prints it."""
        return {**self.model_dump(mode="json"), "exit": self.exit}
