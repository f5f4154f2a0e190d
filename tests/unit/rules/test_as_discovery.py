"""Rules over authorization server metadata, where a mistake would hurt."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.exchanges import found, judge

AS = "https://as.example.com"
PRM = f"""
GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
200 {{"resource": "https://mcp.example.com/mcp", "authorization_servers": ["{AS}"]}}
"""
WHOLE: dict[str, Any] = {
    "issuer": AS,
    "authorization_endpoint": f"{AS}/authorize",
    "token_endpoint": f"{AS}/token",
    "registration_endpoint": f"{AS}/register",
    "response_types_supported": ["code"],
    "grant_types_supported": ["authorization_code", "refresh_token"],
    "code_challenge_methods_supported": ["S256"],
    "token_endpoint_auth_methods_supported": ["none"],
    "client_id_metadata_document_supported": True,
    "scopes_supported": ["files"],
    "dpop_signing_alg_values_supported": ["ES256"],
    "response_modes_supported": ["query"],
    "signed_metadata": "a.b.c",
}


def published(document: object, *, at: str = f"{AS}/.well-known/oauth-authorization-server") -> str:
    return f"{PRM}\nGET {at}\n200 application/json {json.dumps(document)}\n"


def errors(text: str) -> set[str]:
    return {finding.rule for finding in judge(text).findings if finding.severity == "error"}


@pytest.mark.parametrize("value", [None, 7, "", "x", [], [None], [[]], {}, {"a": [1]}, True, "‹token 1›", "http://["])
@pytest.mark.parametrize("member", WHOLE)
def test_no_value_of_any_member_breaks_a_rule(member: str, value: object) -> None:
    text = published({**WHOLE, member: value}) + (
        "@browser\nGET https://as.example.com/authorize?response_type=code&client_id=client-1\n400 {}\n"
    )
    assert "internal-error" not in found(text)


@pytest.mark.parametrize("body", ["[]", "null", "7", '"text"', "{}", "", "<p>", "{" * 5000])
def test_no_body_breaks_a_rule(body: str) -> None:
    assert "internal-error" not in found(
        f"{PRM}GET {AS}/.well-known/openid-configuration\n200 application/json {body}\n"
    )


def test_a_whole_document_has_no_error() -> None:
    assert not errors(published(WHOLE))


def test_leading_misses_stay_silent() -> None:
    text = f"{PRM}\nGET {AS}/.well-known/oauth-authorization-server\n404\n" + published(
        {**WHOLE, "jwks_uri": f"{AS}/jwks", "subject_types_supported": ["public"]}
        | {"id_token_signing_alg_values_supported": ["RS256"]},
        at=f"{AS}/.well-known/openid-configuration",
    )
    assert not errors(text)


def test_a_search_that_comes_again_is_told_once() -> None:
    places = "".join(
        f"GET {AS}/.well-known/{name}\n404\n" for name in ("oauth-authorization-server", "openid-configuration")
    )
    findings = judge(PRM + places + places).findings
    assert [finding.rule for finding in findings].count("as-metadata-not-found") == 1


def test_a_redirect_does_not_change_whose_metadata_was_wanted() -> None:
    moved = f"GET {AS}/.well-known/oauth-authorization-server\n301\nLocation: https://idp.example.com/.well-known/x\n"
    document = json.dumps({**WHOLE, "issuer": "https://idp.example.com"})
    findings = judge(f"{PRM}{moved}GET https://idp.example.com/.well-known/x\n200 {document}\n").findings
    assert [f.expected for f in findings if f.rule == "as-issuer-mismatch"] == [AS]


def test_an_issuer_of_several_tenants_is_no_error() -> None:
    assert "as-issuer-mismatch" not in errors(published({**WHOLE, "issuer": f"{AS}/{{tenantid}}/v2.0"}))


def test_what_a_reporter_fetched_says_nothing_about_the_client() -> None:
    text = f"{PRM}@reporter\nGET https://mcp.example.com/.well-known/oauth-authorization-server\n404\n"
    assert "client-fell-back-to-legacy-endpoints" not in found(text)


def test_a_server_for_machines_needs_no_authorization_endpoint() -> None:
    machine = {"issuer": AS, "token_endpoint": f"{AS}/token", "grant_types_supported": ["client_credentials"]}
    assert "as-authorization-endpoint-missing" not in found(published({**machine, "response_types_supported": []}))


def test_a_server_that_has_a_client_id_already_needs_no_registration() -> None:
    closed = {name: value for name, value in WHOLE.items() if name != "registration_endpoint"}
    closed["client_id_metadata_document_supported"] = False
    asked = "@browser\nGET https://as.example.com/authorize?response_type=code&client_id=client-1\n302\n"
    assert "as-no-registration-path" in found(published(closed))
    assert "as-no-registration-path" not in found(published(closed) + asked)


def test_a_client_still_searching_has_not_given_up() -> None:
    first = f"GET {AS}/.well-known/openid-configuration\n404\n"
    second = f"GET {AS}/.well-known/oauth-authorization-server\n404\n"
    order = [f for f in judge(PRM + first + second).findings if f.rule == "client-as-discovery-order"]
    assert {finding.severity for finding in order} <= {"note", "warning"}
    assert "never asked" in judge(PRM + first).findings[-1].message
