"""The error message in a text without a request: `check` and `paste` explain it, and refuse all the same."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oauthtap.cli import main

MESSAGE = "Error: Incompatible auth server: does not support dynamic client registration"


def refused(file: Path, *more: str) -> int:
    return main(["check", str(file), *more])


def test_the_message_is_explained_and_what_is_missing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "pasted"
    file.write_text(f"Hello,\n\nI did as the guide says.\nThen this:\n[error] {MESSAGE}\nWhat now?\n")
    assert refused(file) == 2
    told, words = capsys.readouterr()
    assert told.startswith(f'"{MESSAGE}"\n\n1. registration, the authorization server')
    assert "not in the text. Try: " in words


def test_the_meanings_are_members_for_scripts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pasted"
    file.write_text(MESSAGE)
    assert refused(file, "--format", "json") == 2
    told = json.loads(capsys.readouterr().out)
    assert told["meanings"][0]["rule"] == "as-no-registration-path"
    assert "Try: " in told["missing"]


def test_a_text_without_a_known_message_is_refused_as_before(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "pasted"
    file.write_text("Minutes of the meeting\n" * 5)
    assert refused(file) == 2
    told, words = capsys.readouterr()
    assert not told
    assert "text without a request in it" in words
