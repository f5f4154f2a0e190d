"""The registry of rules. A rule is one function; this module has its metadata.

A check runs on whatever its first parameter is annotated with: a `Stage` class (on
every exchange of that stage), a union of them, or `Handshake` (once, over the whole,
when a report is made). It yields `Problem`s. Its docstring is its page and its test:

    One line: what is wrong with the server, present tense.

    Why a client cares.

    Usual causes: …

    Repair: what to change.

    Bad:
        (exchanges on which the rule fires, see `oauthtap.formats.notation`)

    Good:
        (exchanges on which it keeps quiet)
"""

from __future__ import annotations

import inspect
import pkgutil
import re
import tomllib
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib import import_module
from importlib.resources import files
from typing import Any, Union, get_args, get_origin

from oauthtap.diagnosis.findings import BY_LEVEL, Party, Problems, Severity
from oauthtap.handshake.stages import Stage
from oauthtap.handshake.state import Handshake
from oauthtap.model.requirements import Requirement

Check = Callable[..., Problems]

RULES: dict[str, Rule] = {}


@dataclass(frozen=True)
class Rule:
    """One thing that can be wrong, with all that is known about it."""

    id: str
    requirement: Requirement
    who: Party
    severity: Severity
    check: Check
    subjects: tuple[type[Stage] | type[Handshake], ...]
    since: str | None = None
    """The first MCP revision it belongs to; None for all."""
    until: str | None = None
    """The last MCP revision it belongs to; None for all that follow."""
    symptom: bool = False
    """It says that a step failed, not why: a cause only where nothing explains the step."""
    echo: bool = False
    """A symptom that only passes on what the server said: any other one tells more."""
    stops_at: tuple[str, ...] = field(default=())
    """Stages at which a handshake with this defect is seen to stop, besides its own and the next."""
    stops_only_at: tuple[str, ...] | None = None
    """The only stages at which it stops anybody; empty for what lets too much through and stops nobody."""

    def applies_to(self, revision: str) -> bool:
        return (self.since is None or self.since <= revision) and (self.until is None or revision <= self.until)

    @cached_property
    def doc(self) -> str:
        return inspect.getdoc(self.check) or ""

    @property
    def title(self) -> str:
        return self.doc.partition("\n")[0].rstrip(".")

    @cached_property
    def prose(self) -> str:
        """Everything between the title and the repair."""
        return re.split(r"^(?:Repair|Bad|Good):", self.doc.partition("\n")[2], maxsplit=1, flags=re.M)[0].strip()

    @cached_property
    def repair(self) -> str:
        """What to change, as one running text."""
        match = re.search(r"^Repair:(.*?)(?=^(?:Bad|Good):|\Z)", self.doc, re.M | re.S)
        return " ".join(match[1].split()) if match else ""

    def example(self, heading: str) -> str:
        """The exchanges below `Bad:` or `Good:`, in notation; empty when there are none."""
        match = re.search(rf"^{heading}:\n((?:    .*\n?|\s*\n)+)", self.doc, re.M)
        return re.sub(r"^    ", "", match[1], flags=re.M) if match else ""

    @property
    def group(self) -> str:
        """The stage its id is filed under: the package of its module."""
        parts = self.check.__module__.split(".")
        return parts[2].replace("_", "-") if parts[:2] == ["oauthtap", "rules"] and len(parts) > 2 else "own"


def rule(
    id: str, requirement: Requirement, *, who: Party, severity: Severity | None = None,
    since: str | None = None, until: str | None = None, symptom: bool = False, echo: bool = False,
    stops_at: tuple[str, ...] = (), stops_only_at: tuple[str, ...] | None = None,
) -> Callable[[Check], Check]:  # fmt: skip
    """Register a check.

    Raises TypeError when the first parameter is not annotated with a stage or the
    handshake, ValueError when the id is taken.
    """

    def register(check: Check) -> Check:
        if id in RULES and RULES[id].check.__module__ != check.__module__:
            raise ValueError(f"{check.__qualname__}: the id {id} is taken")
        RULES[id] = Rule(
            id=id,
            requirement=requirement,
            who=who,
            severity=severity or BY_LEVEL[requirement.level],
            check=check,
            subjects=_subjects(check),
            since=since,
            until=until,
            symptom=symptom or echo,
            echo=echo,
            stops_at=stops_at,
            stops_only_at=stops_only_at,
        )
        return check

    return register


def _subjects(check: Check) -> tuple[type[Any], ...]:
    annotation = next(iter(inspect.get_annotations(check).values()), None)
    if isinstance(annotation, str):  # of a rule's parameters the first alone tells anything
        annotation = eval(annotation, check.__globals__)
    union = get_origin(annotation) in (Union, types.UnionType)
    kinds = get_args(annotation) if union else (annotation,)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Stage | Handshake)):
            raise TypeError(f"{check.__qualname__}: annotate the first parameter with a Stage or the Handshake")
    return tuple(kinds)


def load() -> dict[str, Rule]:
    """Import every module below this package, so that all rules are registered; gives the registry."""
    _import_all()
    return RULES


def pages() -> tuple[str, ...]:
    """Every text of every rule that a report may quote; their examples hold made-up secrets."""
    return tuple(
        text for rule in load().values() for text in (rule.doc, rule.example("Bad"), rule.example("Good"), rule.prose)
    )


@cache
def _import_all() -> None:
    for name in modules():
        import_module(name)


@cache
def of_absence() -> frozenset[str]:
    """The rules that may speak because an exchange is not there: nothing to ask where a recording is an excerpt."""
    text = files(__package__).joinpath("absence.toml").read_text(encoding="utf-8")
    return frozenset(tomllib.loads(text)["rules"])


def modules() -> Iterator[str]:
    """Every module below this package. To import them one by one is to load all rules."""
    return (module.name for module in pkgutil.walk_packages(__path__, f"{__name__}."))
