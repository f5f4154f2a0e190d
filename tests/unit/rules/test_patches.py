"""Every patch that a rule proposes cures the example it was proposed for."""

from __future__ import annotations

import pytest

from oauthtap import rules
from oauthtap.diagnosis.findings import Patch
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import notation
from oauthtap.model.exchange import Exchange
from oauthtap.report.build import build
from oauthtap.rules import Rule
from tests.support.exchanges import RESOURCE, judge, revision_for

ALL = rules.load()


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
