"""What servers are built with, and which lines of theirs say what a fix says: data only, a file for each stack."""

from __future__ import annotations

import json
import tomllib
from datetime import date
from fnmatch import fnmatchcase
from functools import cache
from importlib.resources import files
from typing import Literal

from pydantic import BaseModel, ConfigDict, model_validator

from oauthtap.model.exchange import Exchange


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True, extra="forbid")


class Fingerprint(_Table):
    """Something by which a stack gives itself away in one exchange. All that is named has to be there."""

    says: str
    """What was seen, as the end of a sentence."""
    stage: str = "*"
    url: str = "*"
    """The URL without query; `*` stands for anything, here and below."""
    header: dict[str, str] = {}
    """Headers of the answer."""
    member: dict[str, str] = {}
    """Members of its JSON object, as text."""
    body: str = "*"

    def is_in(self, stage: str, exchange: Exchange) -> bool:
        """It is to be seen in this exchange of that stage, in the server's own words."""
        response = exchange.response
        if response is None or not fnmatchcase(stage, self.stage):
            return False
        document = response.json_object
        return (
            fnmatchcase(exchange.request.bare_url, self.url)
            and all(fnmatchcase(response.header(name) or "", wanted) for name, wanted in self.header.items())
            and all(fnmatchcase(_text(document.get(name)), wanted) for name, wanted in self.member.items())
            and fnmatchcase(response.body or "", self.body)
        )


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


class Snippet(_Table):
    """What to write where."""

    for_: tuple[str, ...]
    """The presets and rules that it does the same as."""
    where: str
    """The file or page, in words."""
    text: str
    """The lines; `${issuer}` and its like stand for what the fix put there."""
    language: str = ""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, table: dict[str, object]) -> dict[str, object]:
        return {"for_" if name == "for" else name: value for name, value in table.items()}


class Stack(_Table):
    """One product or library."""

    name: str
    kind: Literal["server", "authorization-server"]
    version: str
    """The version that the lines were checked against."""
    checked: date
    how: str
    """How they were checked, in words."""
    source: str
    package: str = ""
    """Where it can be installed from: `npm:NAME` or `pypi:NAME`."""
    names: tuple[str, ...] = ()
    """Names in the lines that have to be in that package."""
    sign: tuple[Fingerprint, ...]
    lines: tuple[Snippet, ...]


@cache
def stacks() -> dict[str, Stack]:
    """Every stack by its file's name. Raises pydantic's ValidationError for an unknown key."""
    found = sorted((file for file in files(__name__).iterdir() if file.name.endswith(".toml")), key=lambda f: f.name)
    return {file.name.removesuffix(".toml"): _read(file.read_text(encoding="utf-8")) for file in found}


def _read(text: str) -> Stack:
    return Stack.model_validate(tomllib.loads(text))
