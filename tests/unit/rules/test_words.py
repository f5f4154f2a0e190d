"""A rule's title names what it is about: a member, a header, or a term of the glossary."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from oauthtap import rules
from oauthtap.rules import Rule
from tests.support.exchanges import judge, revision_for

GLOSSARY = (Path(__file__).parents[3] / "docs" / "glossary.md").read_text(encoding="utf-8")
BUILT = [rule for rule in rules.load().values() if rule.group != "own"]
OF_EVERY_PLACE = {"request", "response", "json", "form", "header", "body", "url"}


def terms() -> set[str]:
    """The bold words of the glossary, without the parties: they are in every title."""
    sections = re.split(r"^## ", GLOSSARY, flags=re.M)[1:]
    return {
        term.lower()
        for section in sections
        if not section.startswith("Parties")
        for line in re.findall(r"^- (\*\*.+?):", section, re.M)
        for term in re.findall(r"\*\*(.+?)\*\*", line)
    }


def places(rule: Rule) -> set[str]:
    """The members and headers that its bad example is marked at."""
    findings = judge(rule.example("Bad"), revision=revision_for(rule)).findings
    parts = {part for one in findings if one.rule == rule.id for part in re.split(r"[.\[\]]", one.at or "")}
    return {part.lower() for part in parts if len(part) > 1 and not part.isdigit()} - OF_EVERY_PLACE


def named(title: str, words: set[str]) -> set[str]:
    return {word for word in words if re.search(rf"(?<![\w-]){re.escape(word)}s?(?![\w-])", title.lower())}


@pytest.mark.parametrize("rule", BUILT, ids=[rule.id for rule in BUILT])
def test_the_title_names_its_subject(rule: Rule) -> None:
    assert named(rule.title, terms()) or named(rule.title, places(rule)), rule.title


def test_a_title_without_a_term_is_found() -> None:
    assert not named("The server asks the client for something it has not got", terms())
    assert named("The redirect URIs of the registration", terms())
