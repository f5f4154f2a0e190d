"""`oauthtap solve` with real clients: the smallest change, proved. The whole table: `python -m tests.solved`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.solved import EXPECTED, EXPECTED_OF_SEVERAL, SEVERAL, TOLD, solve
from tests.support.bed import Bed
from tests.support.running import call

pytestmark = pytest.mark.clients


def test_claude_code_at_f02_is_solved_with_one_change_and_nothing_secret_is_left(bed: Bed, tmp_path: Path) -> None:
    solved = solve(bed, "claude-code", "f02", tmp_path)
    assert (solved.code, solved.result["outcome"]) == (0, "proved"), solved.told
    (part,) = solved.result["change"]
    assert part["needed_by"] == 1
    (change,) = solved.result["deploy"]["changes"]
    assert change["json_patch"] == [{"op": "replace", "path": "/resource", "value": bed.url("f02")}]
    states = {entry.query.get("state", "") for entry in bed.log}
    secrets = {value for value in bed.issued if value not in states and not value.startswith("jti_")}
    files = [file for file in (tmp_path / "session").rglob("*") if file.is_file()]
    texts = [file.read_text("utf-8", "surrogateescape") for file in files]
    assert secrets
    assert [value for value in secrets if any(value in text for text in texts)] == []
    written = json.loads((tmp_path / "session" / "solution.json").read_text())
    assert (written["outcome"], written["change"]) == ("proved", solved.result["change"])
    assert call("verify", tmp_path / "session", home=tmp_path).returncode == 0


@pytest.mark.more_clients
@pytest.mark.parametrize(("client", "target"), [one for one in EXPECTED if one != ("claude-code", "f02")])
def test_every_target_is_solved_as_it_was_labelled(bed: Bed, tmp_path: Path, client: str, target: str) -> None:
    solved = solve(bed, client, target, tmp_path, *TOLD.get(target, ()))
    assert (solved.result["outcome"], len(solved.result["change"])) == EXPECTED[client, target], solved.told


@pytest.mark.more_clients
@pytest.mark.parametrize(("client", "target"), EXPECTED_OF_SEVERAL)
def test_servers_with_several_faults_are_solved_as_labelled(tmp_path: Path, client: str, target: str) -> None:
    with Bed(*SEVERAL) as bed:
        solved = solve(bed, client, target, tmp_path, *TOLD.get(target, ()))
    assert (solved.result["outcome"], len(solved.result["change"])) == EXPECTED_OF_SEVERAL[client, target], solved.told
