"""Every rule is held to its own docstring."""

from __future__ import annotations

import pytest

from oauthtap import rules
from oauthtap.rules import Rule
from tests.support.exchanges import found, judge, revision_for

ALL = rules.load()
each_rule = pytest.mark.parametrize("rule", ALL.values(), ids=ALL)


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


@each_rule
def test_its_page_is_complete(rule: Rule) -> None:
    assert rule.title
    assert len(rule.title) <= 110
    assert len(rule.prose) >= 60, "say why a client cares"
    assert rule.repair, "say what to change under Repair:"
    assert rule.group == rule.check.__module__.split(".")[2].replace("_", "-")
