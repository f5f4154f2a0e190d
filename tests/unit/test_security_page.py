"""docs/security.md names tests that exist: a promise without a test is none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROWS = [line for line in (ROOT / "docs" / "security.md").read_text().split("\n") if line.startswith("| ")][1:]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:60])
def test_the_tests_that_a_promise_names_are_there(row: str) -> None:
    _, tested, not_promised = row.strip("| ").split(" | ")
    files = [list(ROOT.glob(f"tests/**/{name.rpartition('/')[2]}")) for name in re.findall(r"`([\w/]+\.py)`", tested)]
    assert files
    assert all(files)
    there = "\n".join(file.read_text() for found in files for file in found)
    for name in re.findall(r"`(test_\w+)`", tested):
        assert f"def {name}(" in there, name
    for module in re.findall(r"`python -m ([\w.]+)`", tested):
        assert (ROOT / f"{module.replace('.', '/')}.py").exists(), module
    assert not_promised
