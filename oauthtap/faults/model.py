"""The faults that oauthtap makes on purpose: what each does, when, and what it teaches."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from typing import Self

from pydantic import field_validator, model_validator

from oauthtap.fixes.actions import RequestChange, ResponseChange, StrictModel
from oauthtap.fixes.model import When


class Fault(StrictModel):
    """One fault, made once. The file says what its keys mean."""

    name: str
    says: str
    """What happens, in one sentence."""
    teaches: str
    """Why anybody should want to see it: where it comes from, what a good client does."""
    when: When
    settled: bool = False
    instead: bool = False
    answer: ResponseChange | None = None
    members: RequestChange | None = None
    callback: RequestChange | None = None
    holds: bool = False
    cuts: bool = False
    value: str = ""
    """What was given with `=`, or the default."""
    takes: str = ""
    """What the value is, in words; empty for a fault that takes none."""
    leads: tuple[str, ...] = ()

    @field_validator("teaches")
    @classmethod
    def _one_paragraph(cls, text: str) -> str:
        return " ".join(text.split())

    @model_validator(mode="after")
    def _does_one_thing(self) -> Self:
        ways = [*(part is not None for part in (self.answer, self.members, self.callback)), self.holds, self.cuts]
        if sum(ways) != 1 or (self.instead and self.answer is None):
            raise ValueError("give it one of answer, members, callback, holds, cuts; `instead` goes with answer")
        return self

    @property
    def seconds(self) -> float:
        """For one that holds an answer back: how long. Raises ValueError for a value that is no number of seconds."""
        if not self.holds:
            return 0.0
        if not re.fullmatch(r"\d{1,3}(\.\d{1,3})?", self.value):
            raise ValueError(f"{self.value} is no number of seconds below 1000")
        return float(self.value)


@cache
def injections() -> tuple[Fault, ...]:
    """Every fault, in the order of a handshake. Raises pydantic's ValidationError for an unknown key."""
    text = (files("oauthtap.faults") / "faults.toml").read_text(encoding="utf-8")
    return tuple(Fault.model_validate(table) for table in tomllib.loads(text)["injection"])


def named(name: str) -> Fault | None:
    """The fault of that name; None when there is none."""
    return next((one for one in injections() if one.name == name), None)
