"""The few words beside an underlined value."""

from __future__ import annotations

import pytest

from oauthtap import rules
from oauthtap.render.marks import mark, marks
from tests.support.exchanges import judge
from tests.unit.render.test_console import OF, told


def test_each_belongs_to_a_rule_and_is_short() -> None:
    known = rules.load()
    for rule, words in marks().items():
        assert rule in known
        assert 1 <= len(words.replace("{expected}", "").split()) <= 8, rule
        assert not words.endswith("."), rule


def test_most_causes_have_one() -> None:
    assert len(marks()) >= 60


@pytest.mark.parametrize(
    ("rule", "expected", "title", "words"),
    [
        ("as-issuer-mismatch", "https://a.example", "…", "the client asked for https://a.example"),
        ("as-issuer-mismatch", None, "`issuer` is not a string", "not a string"),
        ("prm-as-entry-is-endpoint", "an issuer, from which metadata can be found", "…", "an endpoint, not an issuer"),
        ("a-rule-of-mine", "a name", "…", "expected: a name"),
        ("a-rule-of-mine", None, "The response has no `name`", "no `name`"),
        ("a-rule-of-mine", None, "The server speaks Latin", ""),
    ],
)
def test_the_words_of_the_rule_or_what_is_expected_or_the_end_of_the_title(
    rule: str, expected: str | None, title: str, words: str
) -> None:
    any_finding = judge("POST https://mcp.example.com/mcp {}\n401\n").findings[0]
    assert mark(any_finding.model_copy(update={"rule": rule, "expected": expected, "title": title})) == words


def test_it_stands_beside_the_value_on_the_screen() -> None:
    lines = told("abandoned", columns=100).splitlines()
    under = next(line for line in lines if "────" in line)
    following = lines[lines.index(under) + 1]
    assert "an endpoint, not an issuer" in under + following
    assert "already replaced by a newer one" in told("lost-later")
    assert all("{expected}" not in told(name) for name in OF)


def test_of_a_token_the_claim_is_shown() -> None:
    from oauthtap.cli.analyze_file import analyze_recording
    from oauthtap.render.verdict import finding_of_cause, line_of_cause
    from tests.unit.render.test_console import RECORDINGS

    tap, report = analyze_recording(str(RECORDINGS / "corpus/047-aud-is-base-url.har"))
    shown = line_of_cause(report, finding_of_cause(report), [step.exchange for step in tap.steps], 70)
    assert shown is not None
    assert shown.line == 'access_token: { … "aud": "https://memo.example.com" … }'
    assert shown.line[shown.start : shown.end] == "https://memo.example.com"
