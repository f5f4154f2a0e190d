"""Real Claude Code through the tap: it fails as the server is, and connects with the fix."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bed import Bed
from tests.cures import CURES, TENANT, Tried, row, try_it
from tests.running import call, to_the_bed

pytestmark = pytest.mark.clients

DOCUMENT = Path(__file__).parent.parent / "docs" / "fixes.md"

Runs = Callable[..., Tried]


@pytest.fixture(scope="module")
def runs(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    made: dict[tuple[str, ...], Tried] = {}

    def tried(target: str, *flags: str) -> Tried:
        if (target, *flags) not in made:
            home = tmp_path_factory.mktemp(target)
            made[(target, *flags)] = try_it(bed, target, home, *flags, timeout=60 if flags else 15)
        return made[(target, *flags)]

    return tried


@pytest.mark.parametrize("target", CURES)
def test_claude_code_fails_as_the_server_is_and_connects_with_the_fix(runs: Runs, target: str) -> None:
    before, after = runs(target), runs(target, *CURES[target])
    assert not before.outcome.connected, before.outcome.said
    assert after.outcome.connected, after.outcome.said
    assert after.report["connected"] is True
    assert "is at work" in after.said


@pytest.mark.parametrize("target", CURES)
def test_the_table_says_what_was_seen(runs: Runs, target: str) -> None:
    line = row(target, runs(target), CURES[target], runs(target, *CURES[target]))
    assert line in DOCUMENT.read_text(encoding="utf-8"), "run: python -m tests.cures"


@pytest.mark.parametrize("target", ["f02", "f07", "f08", "f12", "f15", "seed2"])
def test_what_the_command_proposes_from_the_recording_connects(
    bed: Bed, runs: Runs, target: str, tmp_path: Path
) -> None:
    given = ("--fix", f"prm-as-entry-is-endpoint={TENANT}") if target == "seed2" else ()
    file = tmp_path / "fixes.toml"
    ran = call("fix", runs(target).session, "-o", file, *given, *to_the_bed(bed), home=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    after = try_it(bed, target, tmp_path / "after", "--fix", str(file))
    assert after.outcome.connected, after.outcome.said


@pytest.mark.parametrize("target", ["f08", "f15", "seed2"])
def test_no_secret_is_left_where_a_fix_was_at_work(bed: Bed, runs: Runs, target: str) -> None:
    after = runs(target, *CURES[target])
    states = {entry.query.get("state", "") for entry in bed.log}
    secrets = {value for value in bed.issued if value not in states and not value.startswith("jti_")}
    texts = [file.read_text("utf-8", "surrogateescape") for file in after.session.iterdir()] + [after.said]
    assert secrets
    assert [value for value in secrets if any(value in text for text in texts)] == []
