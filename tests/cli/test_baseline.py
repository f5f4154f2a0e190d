"""`--baseline` and `oauthtap summary` on recordings: exit codes, the file, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oauthtap.cli import main

CORPUS = Path(__file__).parents[1] / "recordings" / "corpus"
LABELS = json.loads((CORPUS.parent / "labels.json").read_text())


@pytest.fixture(scope="module")
def stopped() -> list[str]:
    """Two recordings that stop, for different causes."""
    found: dict[str, str] = {}
    for file in sorted(CORPUS.rglob("*.har")):
        if main(["check", str(file), "--format", "json", "--brief"]) == 1 and len(found) < 2:
            found.setdefault(file.name[:1], str(file))
        if len(found) == 2:
            break
    return list(found.values())


def check(file: str, *more: str) -> int:
    return main(["check", file, "--format", "json", *more])


def test_known_is_0_new_is_1_and_the_report_says_which(
    stopped: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = ("--baseline", str(tmp_path / "b.json"))
    first, second = stopped
    assert check(first) == 1
    assert check(first, *known, "--update-baseline") == 0
    capsys.readouterr()
    assert check(first, *known) == 0
    (told,) = json.loads(capsys.readouterr().out)["baseline"]
    assert (told["new"], told["fixed"]) == ([], [])
    held = json.loads((tmp_path / "b.json").read_text())
    name = next(iter(held["clients"]))
    held["clients"][name]["problems"] = [one for one in held["clients"][name]["problems"] if one["kind"] != "cause"]
    (tmp_path / "b.json").write_text(json.dumps(held))
    assert check(first, *known) == 1
    assert check(second, *known) == 1


def test_the_summary_has_a_row_for_each_and_the_worst_code(
    stopped: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["summary", *stopped]) == 1
    told = capsys.readouterr().out
    assert "| client | sign-in | cause |" in told
    assert main(["summary", *stopped, "--baseline", str(tmp_path / "b.json"), "--update-baseline"]) == 0
    assert main(["summary", *stopped, "--baseline", str(tmp_path / "b.json"), "--format", "json"]) in (0, 1)


@pytest.mark.parametrize("text", ["", "[]", '{"clients": 1}', '{"oauthtap_baseline": 2}', "\x00", "[" * 5000])
def test_what_is_no_baseline_is_2(stopped: list[str], tmp_path: Path, text: str) -> None:
    (tmp_path / "b.json").write_text(text)
    assert check(stopped[0], "--baseline", str(tmp_path / "b.json")) == 2
    assert check(stopped[0], "--baseline", str(tmp_path / "none.json")) == 2
    assert check(stopped[0], "--update-baseline") == 2
