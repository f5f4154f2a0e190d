"""SARIF: valid by its schema, accepted by code scanning, and the same finding is the same finding tomorrow."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import notation
from oauthtap.model.exchange import Exchange
from oauthtap.render.sarif import fingerprint, sarif
from oauthtap.report.build import build
from oauthtap.report.model import Report
from tests.support.exchanges import judge
from tests.unit.diagnosis.test_root_cause import SEED2
from tests.unit.handshake.test_classify import SIGN_IN
from tests.unit.render.test_markdown import hostile

SCHEMA = json.loads((Path(__file__).parents[2] / "data" / "sarif-2.1.0-rtm.5.json").read_text())
BROKEN = """
POST https://mcp.example.com:8443/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
- connection reset

POST https://mcp.example.com:8443/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
- connection reset
"""


def tapped(text: str) -> tuple[Report, tuple[Exchange, ...]]:
    """The report on exchanges in notation, and the exchanges it is about."""
    named = re.search(r"^# mcp: (\S+)$", text, re.M)
    tap = SessionAnalyzer(resource=named[1] if named else None)
    for exchange in notation.parse(text):
        tap.add(exchange)
    return build(tap), tuple(step.exchange for step in tap.steps)


def run(text: str) -> dict[str, Any]:
    log = json.loads(sarif(*tapped(text)))
    jsonschema.Draft4Validator(SCHEMA).validate(log)
    assert len(log["runs"]) == 1
    return dict(log["runs"][0])


@pytest.mark.parametrize("text", [SEED2, SIGN_IN, BROKEN, ""], ids=["seed2", "connected", "no answer", "nothing"])
def test_every_report_is_valid_by_the_schema(text: str) -> None:
    log = json.loads(sarif(judge(text)))
    jsonschema.Draft4Validator(SCHEMA).validate(log)
    assert run(text)["tool"]["driver"]["name"] == "oauthtap"


def test_the_schema_would_refuse_a_misspelt_member() -> None:
    log = json.loads(sarif(judge(SEED2)))
    log["runs"][0]["results"][0]["rule"] = "x"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft4Validator(SCHEMA).validate(log)


def test_each_finding_is_a_result_with_its_rule_and_its_exchange() -> None:
    found, (report, _) = run(SEED2), tapped(SEED2)
    driver = found["tool"]["driver"]["rules"]
    assert len(found["results"]) == len(report.findings)
    for result, finding in zip(found["results"], report.findings, strict=True):
        assert driver[result["ruleIndex"]]["id"] == result["ruleId"] == finding.rule
        assert result["level"] == finding.severity
        assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"] == finding.at
        if finding.exchange:
            request = found["webRequests"][result["webRequest"]["index"]]
            assert request["properties"]["exchange"] == finding.exchange


def test_a_rule_brings_its_page() -> None:
    page = next(r for r in run(SEED2)["tool"]["driver"]["rules"] if r["id"] == "prm-as-entry-is-endpoint")
    assert "**What to change.**" in page["help"]["markdown"]
    assert "```http\n" in page["help"]["markdown"]
    assert page["helpUri"].startswith("https://")


def test_a_consequence_points_at_its_cause() -> None:
    found = [r for r in run(SEED2)["results"] if r["properties"].get("consequenceOf")]
    assert found
    assert all(result["relatedLocations"] for result in found)


def test_locations_have_no_scheme_because_code_scanning_refuses_them() -> None:
    for text in (SEED2, BROKEN):
        for result in run(text)["results"]:
            uri = result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
            assert ":" not in uri.partition("/")[0]
            assert uri.startswith(("logs.example.com", "api.workos.com", "mcp.example.com%3A8443"))


def test_what_went_over_the_wire_is_there() -> None:
    found = run(SEED2)
    assert found["webResponses"][0]["statusCode"] == 401
    assert "resource_metadata=" in found["webResponses"][0]["headers"]["WWW-Authenticate"]
    assert '"authorization_servers"' in found["webResponses"][1]["body"]["text"]
    assert run(BROKEN)["webResponses"][0]["noResponseReceived"] is True


def test_the_same_defect_has_the_same_fingerprint_another_day() -> None:
    later = SEED2.replace('"id": 1', '"id": 77').replace("localhost:3118", "localhost:49152")
    later = "@+86400\n" + later
    assert fingerprints(later) == fingerprints(SEED2)


def test_a_request_more_does_not_change_a_fingerprint() -> None:
    first, rest = SEED2.split("\n\n", 1)
    assert fingerprints(f"{first}\n\nGET https://logs.example.com/favicon.ico\n404\n\n{rest}") >= fingerprints(SEED2)


def test_another_port_is_the_same_defect_and_another_path_another() -> None:
    finding = judge(SEED2).findings[0]
    one, other_port = (fingerprint(finding, f"https://mcp.example.com:{port}/mcp?x=1") for port in (443, 8443))
    assert one == other_port != fingerprint(finding, "https://mcp.example.com/other")


def fingerprints(text: str) -> set[str]:
    return {result["partialFingerprints"]["oauthtap/v1"] for result in run(text)["results"]}


def test_upstream_text_steers_nothing() -> None:
    text = sarif(hostile())
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "[link](" not in "".join(r["message"]["text"] for r in json.loads(text)["runs"][0]["results"])
