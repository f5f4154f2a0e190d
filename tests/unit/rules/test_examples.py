"""Every rule is held to its own docstring."""

from __future__ import annotations

import pytest

from oauthtap import rules
from oauthtap.diagnosis.findings import Patch
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import notation
from oauthtap.model.exchange import Exchange
from oauthtap.report.build import build
from oauthtap.rules import Rule
from tests.support.exchanges import RESOURCE, found, judge

ALL = rules.load()
each_rule = pytest.mark.parametrize("rule", ALL.values(), ids=ALL)


def revision_for(rule: Rule) -> str:
    """2025-11-25 where the rule belongs to it, else the nearest revision that it does belong to."""
    if rule.applies_to("2025-11-25"):
        return "2025-11-25"
    return rule.until or rule.since or "2025-11-25"


@each_rule
def test_fires_on_its_bad_example(rule: Rule) -> None:
    text = rule.example("Bad")
    assert text, "the docstring has no example under Bad:"
    assert rule.id in found(text, revision=revision_for(rule))


@each_rule
def test_keeps_quiet_on_its_good_example(rule: Rule) -> None:
    text = rule.example("Good")
    assert text, "the docstring has no example under Good:"
    report = judge(text, revision=revision_for(rule))
    fired = [finding for finding in report.findings if finding.rule in (rule.id, "internal-error")]
    assert not fired


@each_rule
def test_looks_at_its_good_example(rule: Rule) -> None:
    """A good example the rule never gets to see proves nothing."""
    report = judge(rule.example("Good"), revision=revision_for(rule))
    assert rule.id not in {row.rule for row in report.not_checked}


def patches_of(rule: Rule) -> dict[int | None, Patch]:
    """What it proposes on its bad example, by exchange."""
    found = judge(rule.example("Bad"), revision=revision_for(rule)).findings
    return {one.exchange: one.patch for one in found if one.rule == rule.id and one.patch}


PATCHING = {rule.id: patches for rule in ALL.values() if (patches := patches_of(rule))}


def test_there_are_rules_that_propose_a_patch() -> None:
    assert len(PATCHING) > 100


@pytest.mark.parametrize("rule", [ALL[id] for id in PATCHING], ids=PATCHING)
def test_its_patch_cures_it(rule: Rule) -> None:
    text, revision, patches = rule.example("Bad"), revision_for(rule), PATCHING[rule.id]

    def cured(exchange: Exchange) -> Exchange:
        patch = patches.get(exchange.id)
        if patch is None or exchange.response is None:
            return exchange
        return exchange.model_copy(update={"response": patch(exchange.response)})

    tap = SessionAnalyzer(resource=RESOURCE, revision=revision)
    end = 0.0
    for exchange in map(cured, notation.parse(text)):
        tap.add(exchange)
        end = exchange.ended or end
    assert rule.id not in {finding.rule for finding in build(tap, now=end + 600).findings}


@each_rule
def test_its_page_is_complete(rule: Rule) -> None:
    assert rule.title
    assert len(rule.title) <= 110
    assert len(rule.prose) >= 60, "say why a client cares"
    assert rule.repair, "say what to change under Repair:"
    assert rule.group == rule.check.__module__.split(".")[2].replace("_", "-")
