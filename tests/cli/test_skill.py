"""`oauthtap skill`: printed, installed where it is told to, and taken away by what it says."""

from __future__ import annotations

from pathlib import Path

import pytest

from oauthtap.cli import main


def test_it_is_printed_and_installed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["skill"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("---\nname: oauthtap\ndescription: ")
    assert main(["skill", "--install", str(tmp_path)]) == 0
    assert (tmp_path / "skills" / "oauthtap" / "SKILL.md").read_text() == printed
    assert f"rm -r {tmp_path / 'skills' / 'oauthtap'}" in capsys.readouterr().out


def test_the_snippet_is_for_a_file_of_the_users_own(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["skill", "--agents"]) == 0
    assert "claude mcp add oauthtap" in capsys.readouterr().out
    assert main(["skill", "--agents", "--install", str(tmp_path)]) == 2
    (tmp_path / "file").write_text("")
    assert main(["skill", "--install", str(tmp_path / "file")]) == 2
