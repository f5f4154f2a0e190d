"""The list of modules with few tests can only shrink."""

from __future__ import annotations

import json

from tools import coverage

COVERED = {"oauthtap/good.py": 95.0, "oauthtap/poor.py": 40.0}


def test_a_module_below_the_floor_is_on_the_list() -> None:
    assert coverage.complaints(COVERED, {"oauthtap/poor.py"}) == []


def test_the_list_does_not_grow() -> None:
    (said,) = coverage.complaints(COVERED, set())
    assert said.startswith("oauthtap/poor.py is covered to 40 %")


def test_what_rose_or_is_gone_leaves_the_list() -> None:
    said = coverage.complaints(COVERED, {"oauthtap/good.py", "oauthtap/poor.py", "oauthtap/old.py"})
    assert [one.split()[0] for one in said] == ["oauthtap/good.py", "oauthtap/old.py"]


def test_shrinking_takes_out_and_never_in() -> None:
    assert coverage.shrunk(COVERED, {"oauthtap/good.py", "oauthtap/poor.py", "oauthtap/old.py"}) == {"oauthtap/poor.py"}
    assert coverage.shrunk(COVERED, set()) == set()


def test_it_reads_the_report_of_coverage_py() -> None:
    files = {path: {"summary": {"percent_covered": part}} for path, part in COVERED.items()}
    assert coverage.percentages(json.dumps({"files": files})) == COVERED


def test_every_module_of_the_list_is_there() -> None:
    root = coverage.BELOW.parents[2]
    assert [path for path in coverage.BELOW.read_text().split() if not (root / path).exists()] == []
