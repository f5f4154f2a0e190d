"""Real clients that `oauthtap drive` can run: a TOML file each, and the programs some need."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

Transport = Literal["http", "sse"]
_PLACEHOLDER = re.compile(r"\$\{([a-z]+)\}")
_KNOWN = {"client", "python", "programs", "url", "transport"}
PROGRAMS = Path(str(files("oauthtap.drive"))) / "programs"
BROWSER = Path(str(files("oauthtap.drive"))) / "headless_browser.py"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Run(_Table):
    """One command line."""

    words: tuple[str, ...]
    """`${client}`, `${python}` (ours), `${programs}`, `${url}` and `${transport}` are filled in."""
    terminal: bool = False
    """It is run on a terminal of its own (a pseudo-terminal)."""

    @field_validator("words")
    @classmethod
    def _placeholders_are_known(cls, words: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := {name for word in words for name in _PLACEHOLDER.findall(word)} - _KNOWN:
            raise ValueError(f"there is nothing to fill in for {', '.join(sorted(unknown))}")
        return words

    def filled(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """The command line with these values in it."""
        return tuple(_PLACEHOLDER.sub(lambda found: values[found[1]], word) for word in self.words)


class Driver(_Table):
    """How a client is got, run, and understood."""

    name: str
    """The name of its file, and the word on the command line."""
    title: str
    npm: str | None = None
    """Its npm package."""
    pypi: str | None = None
    """Its PyPI package: a library, which a program of ours embeds. `${client}` is then its own Python."""
    range: str = ""
    """Which versions its program is for (PEP 440)."""
    command: str = ""
    """Its command, on the PATH or in the npm package."""
    version: tuple[str, ...] = ()
    """What makes the command print its version."""
    node: int = 0
    """The oldest major version of Node that it runs on."""
    env: dict[str, str] = {}
    transports: dict[Transport, str] = {}
    """What it calls the transports, where that is not `http` and `sse`."""
    run: tuple[Run, ...]
    connected: re.Pattern[str]
    """Found in what its last command says when it is connected."""
    failed: re.Pattern[str] | None = None
    """Found in what its last command says when it is not, whatever else it says."""
    exits: bool = False
    """The exit code of its last command tells, too."""

    @field_validator("connected", "failed", mode="before")
    @classmethod
    def _multiline(cls, pattern: str | None) -> re.Pattern[str] | None:
        return None if pattern is None else re.compile(pattern, re.M)

    @model_validator(mode="after")
    def _comes_from_one_place(self) -> Self:
        if (self.npm is None) is (self.pypi is None) or (self.npm is not None and not self.command):
            raise ValueError("give it npm with command, or pypi")
        return self

    def is_connected(self, said: str, code: int | None) -> bool:
        """Its last command said that it is connected. `code`: how that ended, None when it was ended."""
        if (self.exits and code != 0) or (self.failed and self.failed.search(said)):
            return False
        return bool(self.connected.search(said))


@cache
def drivers() -> dict[str, Driver]:
    """Every client there is a file for, by name. Raises pydantic's ValidationError for an unknown key."""
    found = {}
    for file in sorted(files(__name__).iterdir(), key=lambda file: file.name):
        if file.name.endswith(".toml"):
            name = file.name.removesuffix(".toml")
            found[name] = Driver.model_validate({"name": name, **tomllib.loads(file.read_text(encoding="utf-8"))})
    return found
