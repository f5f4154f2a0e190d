"""Odd cases of protected resource metadata, where a mistake would hurt."""

from __future__ import annotations

import pytest

from tests.support.exchanges import found, judge

REFUSED = """
POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
401
WWW-Authenticate: Bearer
"""


def document(resource: str, path: str = "/mcp") -> str:
    return f"""
GET https://mcp.example.com/.well-known/oauth-protected-resource{path}
200 {{"resource": "{resource}", "authorization_servers": ["https://as.example.com"]}}
"""


def test_the_bare_host_is_right_in_the_document_at_the_root() -> None:
    fired = found(REFUSED + document("https://mcp.example.com", path=""))
    assert not {"prm-resource-not-identical", "prm-resource-path-mismatch", "prm-resource-trailing-slash"} & fired


def test_a_path_that_only_begins_alike_is_another_path() -> None:
    assert "prm-resource-path-mismatch" in found(REFUSED + document("https://mcp.example.com/mc"))


def test_a_default_port_is_the_same_origin() -> None:
    assert "prm-resource-origin-mismatch" not in found(REFUSED + document("https://mcp.example.com:443/mcp"))


def test_each_endpoint_is_held_against_its_own_document() -> None:
    second = """
    POST https://mcp.example.com/files {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
    401
    WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/files"
    """.replace("\n    ", "\n")
    healthy = REFUSED + document("https://mcp.example.com/mcp")
    healthy += second + document("https://mcp.example.com/files", "/files")
    assert not {rule for rule in found(healthy) if rule.startswith("prm-resource")}
    copied = REFUSED + document("https://mcp.example.com/mcp") + second
    copied += document("https://mcp.example.com/mcp", "/files")
    assert "prm-resource-path-mismatch" in found(copied)


def test_an_issuer_may_end_in_a_word_that_endpoints_end_in() -> None:
    text = """
GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com/login"]}

GET https://as.example.com/.well-known/oauth-authorization-server/login
404

GET https://as.example.com/.well-known/openid-configuration/login
200 {"issuer": "https://as.example.com/login", "token_endpoint": "https://as.example.com/login/token"}
"""
    assert "prm-as-entry-is-endpoint" not in found(text)


def test_an_issuer_nobody_looked_for_is_not_called_dead() -> None:
    text = """
GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com/sso/authorize"]}
"""
    assert "prm-as-entry-is-endpoint" not in found(text)


@pytest.mark.parametrize("status", [401, 500, 503])
def test_metadata_out_of_reach_is_not_called_missing(status: int) -> None:
    text = REFUSED
    for path in ("/mcp", ""):
        text += f"\nGET https://mcp.example.com/.well-known/oauth-protected-resource{path}\n{status}\n"
    assert "prm-not-discoverable" not in found(text, revision="2025-11-25")


def test_one_place_without_metadata_is_part_of_a_healthy_run() -> None:
    text = REFUSED + "\nGET https://mcp.example.com/.well-known/oauth-protected-resource/mcp\n404\n"
    assert "prm-not-discoverable" not in found(text, revision="2025-11-25")


def test_a_list_that_is_empty_on_purpose_stays() -> None:
    text = """
GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"],
  "bearer_methods_supported": []}
"""
    assert "prm-empty-or-null-members" not in found(text)


def test_an_open_server_with_a_catch_all_page_is_only_warned() -> None:
    text = """
POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25"}}

GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
200 text/html <!doctype html><title>App</title>
"""
    report = judge(text)
    assert [f.severity for f in report.findings if f.rule == "prm-html-200"] == ["warning"]


def test_a_probe_before_the_refusal_says_nothing_about_the_client() -> None:
    text = (
        """
GET https://mcp.example.com/.well-known/oauth-protected-resource
404
"""
        + REFUSED
    )
    assert "client-prm-probe-order" not in found(text, revision="2025-11-25")


def test_what_a_reporter_tries_by_hand_says_nothing_about_the_client() -> None:
    text = REFUSED + "\n@reporter\nGET https://mcp.example.com/.well-known/oauth-protected-resource\n404\n"
    assert "client-prm-probe-order" not in found(text, revision="2025-11-25")


@pytest.mark.parametrize(
    "value", ["null", "7", "{}", '[["https://as.example.com"]]', '"https://[::1"', '[null, "", 5]']
)
def test_no_value_breaks_a_rule(value: str) -> None:
    for member in ("resource", "authorization_servers", "scopes_supported", "bearer_methods_supported"):
        text = f"""
GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
200 {{"{member}": {value}}}
"""
        assert "internal-error" not in found(REFUSED + text)


def test_who_looks_anew_may_be_a_client_that_never_saw_the_refusal() -> None:
    refused = REFUSED.rstrip() + ' resource_metadata="https://mcp.example.com/meta"\n'
    guess = "\nGET https://mcp.example.com/.well-known/oauth-protected-resource/mcp\n404\n"
    went_on = "\nGET https://as.example.com/.well-known/oauth-authorization-server\n404\n"
    assert "client-ignored-resource-metadata" in found(refused + guess)
    assert "client-ignored-resource-metadata" not in found(refused + went_on + guess)
