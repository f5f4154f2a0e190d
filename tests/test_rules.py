"""Every rule is held to its own docstring."""

from __future__ import annotations

from dataclasses import replace

import pytest

from benchmarks.score import RECORDINGS
from oauthtap import notation, rules, sources
from oauthtap.report import Report
from oauthtap.rules import Rule
from oauthtap.tap import Tap
from oauthtap.wire import Exchange

from .exchanges import RESOURCE, found, judge

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
def test_without_it_its_bad_example_goes_unsaid(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutation: whatever takes a rule out is noticed, for nothing else says what it says."""
    monkeypatch.setitem(rules.RULES, rule.id, replace(rule, check=lambda *_: iter(())))
    assert rule.id not in found(rule.example("Bad"), revision=revision_for(rule))


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
def test_its_patch_cures_it(rule: Rule) -> None:
    text, revision = rule.example("Bad"), revision_for(rule)
    patches = {
        finding.exchange: finding.patch
        for finding in judge(text, revision=revision).findings
        if finding.rule == rule.id and finding.patch
    }
    if not patches:
        return

    def cured(exchange: Exchange) -> Exchange:
        patch = patches.get(exchange.id)
        if patch is None or exchange.response is None:
            return exchange
        return exchange.model_copy(update={"response": patch(exchange.response)})

    tap = Tap(resource=RESOURCE, revision=revision)
    end = 0.0
    for exchange in map(cured, notation.parse(text)):
        tap.feed(exchange)
        end = exchange.ended or end
    assert rule.id not in {finding.rule for finding in tap.report(now=end + 600).findings}


@each_rule
def test_its_page_is_complete(rule: Rule) -> None:
    assert rule.title
    assert len(rule.title) <= 110
    assert len(rule.prose) >= 60, "say why a client cares"
    assert rule.repair, "say what to change under Repair:"
    assert rule.group == rule.check.__module__.split(".")[2].replace("_", "-")


@each_rule
def test_whoever_lacks_what_a_rule_needs_gives_it_nothing_to_say(rule: Rule, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a rule says that it needs only spares it the asking: on the pages of all rules, it finds the same."""
    pages = [rule.example("Bad"), rule.example("Good")]
    spared = [judge(page, revision=revision_for(rule)) for page in pages]
    for other in ALL.values():
        monkeypatch.setitem(rules.RULES, other.id, replace(other, needs=None))
    assert spared == [judge(page, revision=revision_for(rule)) for page in pages]


def test_nor_does_a_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    recordings = [sources.read(path).exchanges for path in sorted((RECORDINGS / "live").glob("*.har"))]
    assert len(recordings) > 50

    def judged() -> list[Report]:
        taps = [Tap() for _ in recordings]
        for tap, exchanges in zip(taps, recordings, strict=True):
            for exchange in exchanges:
                tap.feed(exchange)
        return [tap.report() for tap in taps]

    spared = judged()
    for rule in ALL.values():
        monkeypatch.setitem(rules.RULES, rule.id, replace(rule, needs=None))
    assert spared == judged()
