"""Ids are public: `docs/rules/ids.tsv` lists them, and each has its stage. What is not built has its reason."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from oauthtap import rules
from oauthtap.render.labels import STAGE

BUILT = {rule.id: rule for rule in rules.load().values() if rule.group != "own"}
EXCLUDED = tomllib.loads((Path(rules.__file__).parent / "excluded.toml").read_text(encoding="utf-8"))


def test_ids_are_words_in_lower_case() -> None:
    assert [id for id in BUILT if not re.fullmatch(r"[a-z0-9]+(?:-[a-z0-9]+)+", id)] == []


def test_no_rule_is_both_built_and_excluded() -> None:
    assert not set(BUILT) & set(EXCLUDED)


def test_every_exclusion_has_a_reason() -> None:
    assert all(isinstance(reason, str) and len(reason) > 20 for reason in EXCLUDED.values())


def test_rules_are_filed_under_a_stage() -> None:
    assert {rule.group for rule in BUILT.values()} <= set(STAGE)
