"""Real clients recorded through the tap, and their recordings compared."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bed import Bed
from tests.support.clients import run
from tests.support.running import call, started, to_the_bed

pytestmark = pytest.mark.clients


def recorded(bed: Bed, client: str, target: str, home: Path) -> Path:
    """The session folder of one run of a client through the tap."""
    home.mkdir()
    with started(bed.url(target), *to_the_bed(bed), home=home) as tap:
        run(client, tap.url, env=bed.browser_env())
        tap.end()
        return tap.session


@pytest.mark.parametrize(
    ("target", "code", "sentence"),
    [
        ("f03", 1, "B checks the issuer, A does not: B stops."),
        ("f16", 0, "No difference that matters: both connect."),
    ],
)
def test_claude_code_and_the_inspector_part_where_they_should(
    bed: Bed, target: str, code: int, sentence: str, tmp_path: Path
) -> None:
    a = recorded(bed, "claude-code", target, tmp_path / "a")
    b = recorded(bed, "mcp-inspector", target, tmp_path / "b")
    told = call("diff", a, b, home=tmp_path)
    assert told.stdout.startswith(sentence)
    assert told.returncode == code


@pytest.mark.parametrize(
    ("target", "runs"),
    [
        ("good", 2),
        pytest.param("good", 6, marks=pytest.mark.more_clients),
        pytest.param("seed2", 6, marks=pytest.mark.more_clients),
    ],
)
def test_claude_code_never_parts_from_itself(bed: Bed, target: str, runs: int, tmp_path: Path) -> None:
    first, *others = [recorded(bed, "claude-code", target, tmp_path / str(number)) for number in range(runs)]
    for other in others:
        told = call("diff", first, other, home=tmp_path)
        assert told.stdout.startswith("No difference that matters")
        assert told.returncode == 0
