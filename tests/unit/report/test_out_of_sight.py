"""A server of the sign-in has no public name: the report blames neither client nor server for what follows."""

from __future__ import annotations

from textwrap import dedent

import jwt
import pytest

from oauthtap.cli.check import exit_code
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import notation
from oauthtap.render.verdict import headline
from oauthtap.report.build import build
from oauthtap.report.model import Report
from oauthtap.rewriting import public_url
from tests.support.exchanges import QUIET, RESOURCE

ISSUER = "https://as.example.com"
TOKEN = jwt.encode({"iss": ISSUER, "aud": "https://calm-river.tunnel.test/mcp", "exp": 4_000_000_000}, "k" * 32)
CHALLENGE = f"""
    POST {RESOURCE} {{"jsonrpc": "2.0", "id": 1, "method": "initialize"}}
    401
    WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
"""
METADATA = f"""
    GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
    200 {{"resource": "{RESOURCE}", "authorization_servers": ["{ISSUER}"]}}
"""
REFUSED = f"""
    POST {RESOURCE} {{"jsonrpc": "2.0", "id": 1, "method": "initialize"}}
    Authorization: Bearer {TOKEN}
    401 {{"error": "invalid_token"}}
    WWW-Authenticate: Bearer error="invalid_token"
"""


def told(*exchanges: str, unnamed: bool = True) -> Report:
    tap = SessionAnalyzer(resource=RESOURCE)
    tap.notes += [public_url.FIREWALL, *([public_url.missing(ISSUER, 8463)] if unnamed else [])]
    end = notation.START
    for exchange in notation.parse(dedent("".join(exchanges))):
        tap.add(exchange)
        end = exchange.ended or end
    return build(tap, now=end + QUIET)


def test_where_the_client_was_sent_on_nothing_stopped_it_that_is_known() -> None:
    report = told(CHALLENGE, METADATA)
    assert (report.cause, exit_code(report)) == (None, 3)
    assert "out of sight" in headline(report)
    assert report.standstill is not None
    assert ISSUER in report.standstill.unknown
    assert "second tunnel" in report.standstill.where_to_look


def test_a_token_for_the_tunnels_name_is_not_the_authorization_servers_fault() -> None:
    report = told(CHALLENGE, METADATA, REFUSED)
    assert report.refusal is not None
    assert (report.cause, report.causes, exit_code(report)) == (None, (), 3)
    assert {(one.severity, one.consequence_of) for one in report.findings if one.exchange == 3} == {
        ("note", "--public-url")
    }


@pytest.mark.parametrize("exchanges", [(CHALLENGE, METADATA), (CHALLENGE, METADATA, REFUSED)])
def test_with_a_name_for_every_server_it_is_judged_as_ever(exchanges: tuple[str, ...]) -> None:
    report = told(*exchanges, unnamed=False)
    assert exit_code(report) == 1
    assert "out of sight" not in headline(report)
    assert not any(one.consequence_of == "--public-url" for one in report.findings)


def test_the_audience_is_the_cause_where_every_server_has_a_name() -> None:
    report = told(CHALLENGE, METADATA, REFUSED, unnamed=False)
    assert report.cause is not None
    assert report.cause.rule == "token-jwt-audience"
