"""Phrases that were replaced by plain technical English do not come back: tests/data/phrases.txt."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
FILES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    *(ROOT / "addons").glob("*.py"),
    *(page for page in (ROOT / "docs").rglob("*.md") if page.parent.name != "rules"),  # those are made of the rules
    *(
        file
        for ending in ("py", "toml", "j2", "html", "js")
        for file in (ROOT / "oauthtap").rglob(f"*.{ending}")
        if "drive/programs" not in file.as_posix()
    ),
]
PHRASES = {
    old.strip(): new.strip()
    for line in (ROOT / "tests/data/phrases.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
    for old, _, new in [line.partition("|")]
}


def found(text: str) -> set[str]:
    """The phrases of a text, whatever its line breaks, `#` of comments and quotes of adjacent strings."""
    flat = re.sub(r'["\']?\s*\n\s*(?:#|\w?["\'])?\s*', " ", text).casefold()
    flat = re.sub(r"\s+", " ", flat)
    return {phrase for phrase in PHRASES if phrase.casefold() in flat}


def test_no_phrase_comes_back() -> None:
    back = {
        f"{file.relative_to(ROOT)}: {phrase!r}, write: {PHRASES[phrase]}"
        for file in FILES
        for phrase in found(file.read_text(encoding="utf-8"))
    }
    assert not back


def test_a_phrase_across_lines_is_found() -> None:
    assert found("it is laid\n    on nobody") == {"laid on nobody"}
    assert found('"is laid "\n        f"on nobody"') == {"laid on nobody"}
