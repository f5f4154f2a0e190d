"""What README.md and the page of commands tell people to type is taken by the command line, and by CI."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from oauthtap.cli.parser import parser, with_upstream

ROOT = Path(__file__).parents[2]
_COMMAND = re.compile(r"^    (?:uv run )?oauthtap (\S.*?)(?:  .*)?$", re.M)
_NO_ONE_COMMAND = re.compile(r" \| | < |--inject list")


def commands(page: str) -> list[str]:
    found = _COMMAND.findall((ROOT / page).read_text(encoding="utf-8"))
    return [one.replace("URL", "https://mcp.example.com/mcp") for one in found if not _NO_ONE_COMMAND.search(one)]


@pytest.mark.parametrize("page", ["README.md", "docs/commands.md", "docs/ci.md", "docs/run.md"])
def test_every_command_of_the_page_is_one(page: str) -> None:
    assert commands(page)
    for line in commands(page):
        parser().parse_args(with_upstream(shlex.split(line)))


def test_a_command_that_is_none_is_found() -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(with_upstream(shlex.split("check FILE --no-such-flag")))


def test_ci_runs_the_test_command_of_the_readme() -> None:
    last = (ROOT / ".ci" / "run").read_text(encoding="utf-8").strip().splitlines()[-1]
    assert last.startswith("uv run pytest")
    assert f"\n    {last}\n" in (ROOT / "README.md").read_text(encoding="utf-8")
