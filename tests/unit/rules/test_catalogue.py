"""Every rule of the catalogue is built, or excluded with its reason. Ids are public: none is renamed by accident."""

from __future__ import annotations

import csv
import tomllib
from pathlib import Path

from oauthtap import rules

CATALOGUE = {
    row["id"]: row
    for row in csv.DictReader(
        (Path(__file__).parents[2] / "data" / "catalogue.tsv").open(encoding="utf-8"), delimiter="\t"
    )
}
BUILT = {rule.id: rule for rule in rules.load().values() if rule.group != "own"}
EXCLUDED = tomllib.loads((Path(rules.__file__).parent / "excluded.toml").read_text(encoding="utf-8"))


def test_every_rule_is_built_or_excluded() -> None:
    assert set(BUILT) | set(EXCLUDED) == set(CATALOGUE)


def test_no_rule_is_both_built_and_excluded() -> None:
    assert not set(BUILT) & set(EXCLUDED)


def test_every_exclusion_has_a_reason() -> None:
    assert all(isinstance(reason, str) and len(reason) > 20 for reason in EXCLUDED.values())


def test_rules_are_filed_under_their_stage() -> None:
    strayed = {id for id, rule in BUILT.items() if rule.group != CATALOGUE[id]["stage"]}
    assert not strayed


def test_levels_are_those_of_the_documents() -> None:
    changed = {
        id: rule.requirement.level for id, rule in BUILT.items() if rule.requirement.level != CATALOGUE[id]["level"]
    }
    assert not changed


def test_parties_are_those_of_the_catalogue() -> None:
    changed = {id: rule.who for id, rule in BUILT.items() if rule.who != CATALOGUE[id]["who"]}
    assert not changed
