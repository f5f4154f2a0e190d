"""JUnit XML: valid by its schema, and errors are failures while warnings are only said."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
import xmlschema

from oauthtap import rules
from oauthtap.render.junit import junit
from oauthtap.report.model import Report
from tests.support.exchanges import judge
from tests.unit.diagnosis.test_root_cause import SEED2
from tests.unit.handshake.test_classify import SIGN_IN
from tests.unit.render.test_markdown import hostile

SCHEMA = xmlschema.XMLSchema(str(Path(__file__).parents[2] / "data" / "junit-10.xsd"))


def parsed(report: Report) -> ElementTree.Element:
    text = junit(report)
    SCHEMA.validate(text)
    return ElementTree.fromstring(text)


@pytest.mark.parametrize("text", [SEED2, SIGN_IN, ""], ids=["seed2", "connected", "nothing"])
def test_every_report_is_valid_by_the_schema(text: str) -> None:
    assert parsed(judge(text)).tag == "testsuites"


def test_the_schema_would_refuse_another_element() -> None:
    with pytest.raises(xmlschema.XMLSchemaException):
        SCHEMA.validate(junit(judge(SEED2)).replace("testcase", "case"))


def test_there_is_a_case_for_each_rule_that_ran_and_for_no_other() -> None:
    report = judge(SEED2)
    cases = [case.get("name") for case in parsed(report).iter("testcase")]
    assert len(cases) == len(set(cases))
    assert set(cases) == rules.load().keys() - {row.rule for row in report.not_checked}


def test_errors_fail_and_warnings_do_not() -> None:
    report = judge(SEED2)
    cases = {case.get("name"): case for case in parsed(report).iter("testcase")}
    errors = {finding.rule for finding in report.findings if finding.severity == "error"}
    others = {finding.rule for finding in report.findings} - errors
    assert errors
    assert others
    assert {name for name, case in cases.items() if case.find("failure") is not None} == errors
    for name in others:
        assert "Change: " in (cases[name].findtext("system-out") or "")


def test_counts_are_those_of_the_cases() -> None:
    root = parsed(judge(SEED2))
    assert root.get("failures") == str(len(root.findall("testsuite/testcase/failure")))
    assert root.get("tests") == str(len(root.findall("testsuite/testcase")))


def test_suites_are_stages_in_the_order_of_the_walk() -> None:
    suites = [suite.get("name") for suite in parsed(judge(SEED2)).iter("testsuite")]
    assert suites.index("mcp-challenge") < suites.index("prm-discovery") < suites.index("as-discovery")


def test_text_that_no_xml_may_hold_is_written_out() -> None:
    text = junit(hostile())
    SCHEMA.validate(text)
    assert "\\x1b" in text
    odd = judge('GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp\n200 {"resource": "x\uffff"}')
    assert "\uffff" not in junit(odd)
    ElementTree.fromstring(junit(odd))
