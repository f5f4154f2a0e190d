"""How `oauthtap drive` runs a real client: the `[drive]` of the client's file, or a file of the user's own."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from oauthtap.clients import files as client_files
from oauthtap.model.sanitize import escape_controls

Transport = Literal["http", "sse"]
_PLACEHOLDER = re.compile(r"\$\{([a-z]+)\}")
_KNOWN = {"client", "python", "programs", "folder", "modules", "home", "url", "transport"}
PROGRAMS = Path(str(files("oauthtap.drive"))) / "programs"
BROWSER = Path(str(files("oauthtap.drive"))) / "headless_browser.py"


class DriverError(Exception):
    """There is no such client, or its file is none. Ends in what to type."""


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Keys(_Table):
    """What is typed into a client that has a screen."""

    after: re.Pattern[str]
    """Typed once this is on its screen, since the last that was typed."""
    type: str
    """`\\r` is the Enter key, `\\u001b[B` the arrow down."""
    wait: float = 0.7
    """Seconds until then, and from the text to the Enter key: some screens hear nothing before they are drawn."""


class Run(_Table):
    """One command line."""

    words: tuple[str, ...]
    """`${client}`, `${python}` (ours), `${programs}` (ours), `${folder}` (the file's own), `${modules}` (its
    `node_modules`), `${home}`, `${url}` and `${transport}` are filled in."""
    terminal: bool = False
    """It is run on a terminal of its own (a pseudo-terminal)."""
    keys: tuple[Keys, ...] = ()
    """What is typed, one after the other; on a terminal."""
    until: re.Pattern[str] | None = None
    """On its screen when it is done: it does not end by itself."""
    follow: bool = False
    """The browser is sent to the authorize URL that it prints: it opens none itself."""
    limit: float | None = None
    """Seconds that this command may take, where it may hang without any harm to what follows."""

    @model_validator(mode="after")
    def _typing_needs_a_terminal(self) -> Self:
        if self.keys and not self.terminal:
            raise ValueError("keys need terminal = true")
        return self

    def filled(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """The command line with these values in it."""
        return tuple(fill(word, values) for word in self.words)


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with each placeholder replaced by its value."""
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


class Driver(_Table):
    """How a client is got, run, and understood."""

    name: str
    """The name of its file, and the word on the command line."""
    folder: Path = PROGRAMS
    """Where its file lies."""
    title: str
    npm: str | None = None
    """Its npm package. Without `command` it is a library: `${client}` is then Node, and `${modules}` where it lies."""
    pypi: str | None = None
    """Its PyPI package: a library, which a program of ours embeds. `${client}` is then its own Python."""
    range: str = ""
    """Which versions its program is for (PEP 440, or npm's ranges)."""
    command: str = ""
    """Its command, on the PATH or in the npm package."""
    version: tuple[str, ...] = ()
    """What makes the command print its version."""
    node: int = 0
    """The oldest major version of Node that it runs on."""
    env: dict[str, str] = {}
    """Its environment, with the placeholders of `words`."""
    files: dict[str, str] = {}
    """Files it finds in its home: path → text, with the placeholders of `words`, quoted as in JSON or TOML."""
    proves: str = Field(min_length=1)
    """What *connected* means for this client, in words."""
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
    def _can_be_run(self) -> Self:
        if self.npm and self.pypi:
            raise ValueError("give it npm or pypi, not both")
        if not (self.npm or self.pypi or self.command) and any(
            "${client}" in word for run in self.run for word in run.words
        ):
            raise ValueError("nothing says what ${client} is: give it command, npm or pypi")
        if outside := [path for path in self.files if not _stays_inside(path)]:
            raise ValueError(f"{outside[0]} is not below its home")
        if unknown := {name for text in self._texts() for name in _PLACEHOLDER.findall(text)} - _KNOWN:
            raise ValueError(f"there is nothing to fill in for {', '.join(sorted(unknown))}")
        return self

    def _texts(self) -> Iterator[str]:
        yield from (word for run in self.run for word in run.words)
        yield from self.env.values()
        yield from self.files.values()

    def filled_files(self, values: Mapping[str, str]) -> dict[str, str]:
        """Path → text of each file it is to find in its home."""
        quoted = {name: json.dumps(value)[1:-1] for name, value in values.items()}
        return {
            path: fill(text, quoted if path.endswith((".json", ".toml")) else values)
            for path, text in self.files.items()
        }

    def is_connected(self, said: str, code: int | None) -> bool:
        """Its last command said that it is connected. `code`: how that ended, None when it was ended."""
        if (self.exits and code != 0) or (self.failed and self.failed.search(said)):
            return False
        return bool(self.connected.search(said))


@cache
def drivers() -> dict[str, Driver]:
    """Every client there is a file for, by name. Raises pydantic's ValidationError for an unknown key."""
    return {name: _driver(name, said) for name, said in client_files.without_messages().items() if "drive" in said}


def find_driver(word: str) -> Driver:
    """The driver of that name, or of that file (`./mine.toml`). Raises DriverError."""
    if word in drivers():
        return drivers()[word]
    if not word.endswith(".toml"):
        raise DriverError(
            f"there is no client {escape_controls(word, limit=100)}. There are: {', '.join(drivers())}; "
            "or a file of yours. Try: oauthtap drive ./mine.toml --upstream URL"
        )
    file = Path(word)
    try:
        return _driver(file.stem, tomllib.loads(file.read_text(encoding="utf-8")), file.parent.resolve())
    except (OSError, UnicodeDecodeError) as problem:
        why = getattr(problem, "strerror", None) or "it is not UTF-8"
        raise DriverError(f"cannot read {escape_controls(word)}: {why}. Try: oauthtap drive --help") from None
    except tomllib.TOMLDecodeError as problem:
        raise DriverError(f"{escape_controls(word)} is not TOML: {problem}. See docs/drive.md") from None
    except ValidationError as problem:
        wrong = problem.errors()[0]
        place = ".".join(map(str, wrong["loc"]))
        raise DriverError(
            f"{escape_controls(word)}: {place or 'the file'}: {wrong['msg']}. See docs/drive.md"
        ) from None


def _driver(name: str, said: Mapping[str, Any], folder: Path = PROGRAMS) -> Driver:
    """Of a client's file its `[drive]`; of a user's own file also all of it."""
    own = {"title": said["name"], **said["drive"]} if isinstance(said.get("drive"), dict) and "name" in said else said
    return Driver.model_validate({"name": name, "folder": folder, **own})


def _stays_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts
