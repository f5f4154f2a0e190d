"""Rules over the authorization request, where a mistake would hurt."""

from __future__ import annotations

from time import process_time

import pytest

from oauthtap.formats.notation import parse
from oauthtap.handshake.stages import AuthorizationRequest
from oauthtap.handshake.state import Handshake
from oauthtap.rules import RULES
from oauthtap.rules.authorization_request.refusals import refusal
from tests.support.exchanges import found, judge

REGISTERED = """
POST https://as.example.com/register {"redirect_uris": ["http://localhost:8000/callback"]}
201 {"client_id": "client-1", "redirect_uris": ["http://localhost:8000/callback"]}
"""
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
ASKED = (
    "https://as.example.com/authorize?response_type=code&client_id=client-1&state=s1"
    f"&code_challenge={CHALLENGE}&code_challenge_method=S256&resource=https://mcp.example.com/mcp"
)
BACK = "&redirect_uri=http://localhost:8000/callback"


def opened(more: str, answer: str) -> str:
    return f"@browser\nGET {ASKED}{more}\n{answer}\n"


@pytest.mark.parametrize(
    ("answer", "rule"),
    [
        ('400 {"error": "redirect_uri_mismatch"}', "authz-registered-redirect-refused"),
        ("400 <html><h1>Error</h1>The callback URL is not allowed</html>", "authz-registered-redirect-refused"),
        ("200 <html><title>Error 400</title>Invalid redirect URI</html>", "authz-registered-redirect-refused"),
        ('400 {"error": "invalid_request", "error_description": "state is too short"}', "authz-state-refused"),
        ('401 {"message": "Client not found"}', "authz-client-id-unknown"),
        ('404 {"detail": "OAuth application does not exist"}', "authz-client-id-unknown"),
        ('400 {"error": "unauthorized_client"}', "authz-client-id-unknown"),
        ("302\nLocation: http://localhost:8000/callback?error=invalid_scope&state=s1", "authz-scope-missing"),
    ],
)
def test_a_refusal_is_understood_in_many_words(answer: str, rule: str) -> None:
    assert rule in found(REGISTERED + opened(BACK, answer))


@pytest.mark.parametrize(
    "answer",
    [
        "200 <html><title>Sign in</title>Invalid attempts lock the account. State your redirect.</html>",
        "302\nLocation: https://as.example.com/login?next=client-not-found",
        "302\nLocation: http://localhost:8000/callback?code=made-up-code&state=s1",
        "- connection reset",
    ],
)
def test_a_login_page_is_no_refusal(answer: str) -> None:
    report = judge(REGISTERED + opened(BACK, answer))
    errors = {f.rule for f in report.findings if f.severity == "error"}
    refused = {name for name in errors if RULES[name].group == "authorization-request"}
    assert not refused


def test_a_refusal_after_some_pages_is_found_too() -> None:
    text = REGISTERED + opened(BACK, "302\nLocation: https://as.example.com/login")
    text += "@browser\nGET https://as.example.com/login\n400 text/html <html>redirect_uri is not allowed</html>\n"
    assert "authz-registered-redirect-refused" in found(text)


def test_a_refusal_is_told_once_when_the_callback_repeats_it() -> None:
    back = "http://localhost:8000/callback?error=invalid_scope&state=s1"
    text = REGISTERED + opened(BACK, f"302\nLocation: {back}") + f"@browser\nGET {back}\n200 ok\n"
    findings = judge(text).findings
    assert [finding.rule for finding in findings].count("authz-scope-missing") == 1


def test_any_port_of_this_machine_is_registered() -> None:
    other = "&redirect_uri=http://localhost:50123/callback"
    assert "authz-redirect-uri-unregistered" not in found(REGISTERED + opened(other, "302"))
    assert "redirect-loopback-port-rejected" in found(REGISTERED + opened(other, "500"))


def test_an_unknown_client_is_not_a_matter_of_ports() -> None:
    other = "&redirect_uri=http://localhost:50123/callback"
    assert "redirect-loopback-port-rejected" not in found(REGISTERED + opened(other, '400 {"error": "Unknown client"}'))


def test_what_a_redirect_asks_at_an_identity_provider_is_not_the_clients_doing() -> None:
    onward = "https://idp.example.com/authorize?response_type=token&client_id=client-of-the-server"
    text = REGISTERED + opened(BACK, f"302\nLocation: {onward}") + f"@browser\nGET {onward}\n302\n"
    assert "authz-response-type" not in found(text)


def test_parameters_out_of_sight_are_not_missed() -> None:
    text = "@browser\nGET https://as.example.com/authorize?client_id=client-1&request_uri=urn:example:1\n302\n"
    missed = {"authz-response-type", "authz-pkce-missing", "authz-state-missing", "authz-resource-missing"}
    assert not missed & found(text)


def test_a_reload_is_no_second_login() -> None:
    text = opened(BACK, "302") * 2
    assert not {"authz-pkce-reused", "authz-state-reused"} & found(text)


def test_a_reporters_request_says_nothing_about_the_client() -> None:
    text = "@reporter\nGET https://as.example.com/authorize?response_type=token&client_id=client-1\n400\n"
    assert not {rule for rule in found(text) if rule.startswith("authz-")}


def test_a_document_fetched_before_the_request_is_known() -> None:
    client = "https://app.example.net/client.json"
    text = f"""
@authorization-server
GET {client}
200 {{"client_id": "{client}", "redirect_uris": ["http://localhost/callback"]}}
@browser
GET https://as.example.com/authorize?response_type=code&client_id={client}&redirect_uri=http://localhost:8123/callback
400 {{"error": "invalid_request", "error_description": "redirect_uri not registered for client"}}
"""
    rules = found(text)
    assert "redirect-loopback-port-rejected" in rules
    assert "cimd-redirect-not-listed" not in rules


@pytest.mark.parametrize(
    "query", ["", "scope=%00%22", "resource=%ff&resource=[", "state=" + "x" * 9000, "redirect_uri=http://["]
)
def test_no_query_breaks_a_rule(query: str) -> None:
    url = f"https://as.example.com/authorize?client_id=client-1&response_type=code&{query}"
    text = f"@browser\nGET {url}\n400 scope state\n"
    assert "internal-error" not in found(text)


@pytest.mark.parametrize("page", ["client" + "!" * 20_000, "<h1" * 20_000, "<script>" * 20_000, "state " * 20_000])
def test_a_hostile_page_costs_no_time(page: str) -> None:
    request = AuthorizationRequest(next(parse(opened(BACK, f"400 text/html {page}"))))
    began = process_time()
    no = refusal(request, Handshake())
    assert no is not None
    assert isinstance(no.vague, bool)
    assert process_time() - began < 1
