"""The search finds the smallest change that is enough, with a runner that only looks at what is on. No processes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from oauthtap.diagnosis.findings import Finding
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.fixes.actions import ResponseChange
from oauthtap.fixes.model import Fix
from oauthtap.report.model import RankedCause, Report
from oauthtap.solve.model import ChangeSet, Need
from oauthtap.solve.report import headline, solution
from oauthtap.solve.search import RunResult, Search

URL = "https://mcp.example.com/mcp"


def fix(name: str) -> Fix:
    return Fix(name=name, safe=True, answer=ResponseChange(status=200))


def change(*names: str) -> ChangeSet:
    return ChangeSet(fixes=tuple(map(fix, names)), rules=names[:1])


def cause(name: str) -> RankedCause:
    return RankedCause(
        rule=name,
        responsible="resource-server",
        exchange=1,
        title=name,
        message=name,
        fix=f"Mend {name}.",
        confidence="likely",
    )


class World:
    """A server with these faults; a client connects when all are cured, and meets one after the other."""

    def __init__(self, *faults: str, visible: int = 1, names: Sequence[str] = ()) -> None:
        self.faults, self.visible, self.names = faults, visible, names
        self.runs: list[tuple[str, ...]] = []

    def run(self, asked: ChangeSet, /) -> RunResult:
        self.runs.append(asked.names)
        left = [fault for fault in self.faults if fault not in asked.names]
        reached = "mcp-request" if not left else "as-discovery"
        causes = tuple(map(cause, left[: self.visible]))
        report = Report(cause=causes[0] if causes else None, causes=causes, reached=reached, upstream=URL)
        return RunResult(not left, report, SessionAnalyzer(URL))

    def propose(self, ran: RunResult) -> tuple[list[ChangeSet], list[Need]]:
        """For the cause that is seen, after what is on offer anyway."""
        seen = ran.report.cause
        return [change(name) for name in (*self.names, *([seen.rule] if seen else []))], []


def search(world: World, most: int = 20) -> Search:
    return Search(world.run, world.propose, most=most)


def found(looked: Search) -> tuple[str, ...] | None:
    result = looked.solve()
    return None if result is None else result.names


def test_what_connects_anyway_needs_nothing_and_one_run() -> None:
    world = World()
    assert found(search(world)) == ()
    assert world.runs == [()]


def test_one_cause_is_cured_by_its_fix_and_the_run_without_is_the_proof() -> None:
    world = World("a")
    looked = search(world)
    assert found(looked) == ("a",)
    assert world.runs == [(), ("a",)]


def test_a_fix_that_does_not_help_is_not_part_of_it() -> None:
    world = World("a", names=("x", "y"))
    looked = search(world)
    assert found(looked) == ("a",)
    assert [one.fixes for one in looked.tries if not one.connected] == [(), ("x",), ("y",)]


def test_a_cause_behind_another_is_found_and_each_part_is_taken_out_again() -> None:
    world = World("a", "b")
    looked = search(world)
    assert found(looked) == ("a", "b")
    assert world.runs == [(), ("a",), ("a", "b"), ("b",)]
    both = change("a", "b")
    assert [looked.needed_by(both, part) for part in (0, 1)] == [4, 2]


def test_three_causes_one_behind_the_other() -> None:
    looked = search(World("a", "b", "c"))
    assert found(looked) == ("a", "b", "c")
    assert [looked.needed_by(change("a", "b", "c"), part) is not None for part in range(3)] == [True] * 3


def test_what_a_rule_wants_together_is_made_smaller_where_half_is_enough() -> None:
    world = World("a")

    def propose(ran: RunResult) -> tuple[list[ChangeSet], list[Need]]:
        return [change("endpoint", "a")], []

    looked = Search(world.run, propose)
    assert found(looked) == ("a",)
    assert world.runs == [(), ("endpoint", "a"), ("a",)]


def test_two_that_are_only_enough_together_are_tried_as_a_pair() -> None:
    class Both(World):
        def run(self, asked: ChangeSet, /) -> RunResult:
            self.runs.append(asked.names)
            connected = {"a", "b"} <= set(asked.names)
            report = Report(cause=None if connected else cause("a"), reached="as-discovery", upstream=URL)
            return RunResult(connected, report, SessionAnalyzer(URL))

    world = Both(names=("x", "b"))
    assert set(found(search(world)) or ()) == {"a", "b"}
    assert len(set(map(frozenset, world.runs))) == len(world.runs), "nothing is run twice"


def test_the_budget_ends_it_and_says_so() -> None:
    looked = search(World("a", "b", names=("x", "y", "z")), most=3)
    assert found(looked) is None
    assert looked.exhausted
    assert len(looked.tries) == 3
    told = solution(looked, None, simulated=False, client="C", upstream=URL, deploy=None, command="oauthtap solve C")
    assert (told.outcome, told.exit) == ("budget", 1)
    assert told.next
    assert "--tries 6" in told.next


def test_no_run_begins_when_the_time_is_over() -> None:
    clock = iter([0.0, 5.0, 11.0])
    world = World("a", names=("x", "y"))
    looked = Search(world.run, world.propose, until=10.0, now=lambda: next(clock))
    assert found(looked) is None
    assert len(world.runs) == 2


@pytest.mark.parametrize(("needs", "outcome", "code"), [([], "not-curable", 1), (["issuer"], "needs-value", 3)])
def test_what_is_not_cured_says_what_remains_or_which_value_is_missing(
    needs: list[str], outcome: str, code: int
) -> None:
    world = World("a")
    asked = [Need(name=name, rule="a", question="Which?") for name in needs]
    looked = Search(world.run, lambda ran: ([], asked))
    result = looked.solve()
    told = solution(looked, result, simulated=False, client="C", upstream=URL, deploy=None, command="oauthtap solve C")
    assert (told.outcome, told.exit) == (outcome, code)
    assert "Mend a." in told.remains
    assert told.next == ("oauthtap solve C --set issuer=…" if needs else None)


def test_the_cause_that_is_proved_is_the_one_that_the_change_cures() -> None:
    """Not the one that was ranked first."""

    class Second(World):
        def run(self, asked: ChangeSet, /) -> RunResult:
            connected = "b" in asked.names
            causes = () if connected else (cause("a"), cause("b"))
            report = Report(cause=causes[0] if causes else None, causes=causes, reached="as-discovery", upstream=URL)
            return RunResult(connected, report, SessionAnalyzer(URL))

    looked = search(Second(names=("b",)))
    result = looked.solve()
    told = solution(looked, result, simulated=False, client="C", upstream=URL, deploy=None, command="")
    assert told.cause
    assert (told.cause.rule, told.cause_proved) == ("b", True)


def test_a_finding_that_was_not_ranked_becomes_the_cause_when_its_change_is_what_helps() -> None:
    finding = Finding(
        rule="b", title="b", severity="error", level="MUST", responsible="resource-server", stage="as-discovery",
        exchange=1, at="response", message="b",
    )  # fmt: skip

    class Unranked(World):
        def run(self, asked: ChangeSet, /) -> RunResult:
            first = cause("a")
            report = Report(cause=first, causes=(first,), findings=(finding,), reached="as-discovery", upstream=URL)
            return RunResult("b" in asked.names, report, SessionAnalyzer(URL))

    looked = search(Unranked(names=("b",)))
    told = solution(looked, looked.solve(), simulated=False, client="C", upstream=URL, deploy=None, command="")
    assert told.cause
    assert (told.cause.rule, told.cause_proved) == ("b", True)


def test_what_remains_is_told_of_the_try_that_came_furthest() -> None:
    class Further(World):
        def run(self, asked: ChangeSet, /) -> RunResult:
            left = cause("b" if "a" in asked.names else "a")
            reached = "mcp-token-rejected" if left.rule == "b" else "as-discovery"
            report = Report(cause=left, causes=(left,), reached=reached, upstream=URL)
            return RunResult(False, report, SessionAnalyzer(URL))

    world = Further()
    looked = Search(world.run, lambda ran: ([change("a")], []))
    told = solution(looked, looked.solve(), simulated=False, client="C", upstream=URL, deploy=None, command="")
    assert told.outcome == "not-curable"
    assert told.remains == "With a the client comes further, and stops again. b. Mend b."


def test_a_simulation_is_never_called_proved() -> None:
    looked = search(World("a"))
    result = looked.solve()
    told = solution(looked, result, simulated=True, client="C", upstream=URL, deploy=None, command="")
    assert (told.outcome, told.exit) == ("simulated", 0)
    assert headline(told).startswith("Simulated, not proved")
    assert told.fixes_toml.count("[[fix]]") == 1
