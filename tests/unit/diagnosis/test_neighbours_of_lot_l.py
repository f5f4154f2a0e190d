"""What lot l taught, by kind: the neighbours of its cases, and the cases beside them that must stay as they are."""

from __future__ import annotations

import base64
import json

import pytest

from oauthtap.report.model import Report
from tests.support.exchanges import judge

CALLBACK = "http://127.0.0.1:4711/cb"


def jwt(aud: str) -> str:
    parts = ({"alg": "none"}, {"aud": aud, "sub": "u1"})
    head, inside = (base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts)
    return f"{head}.{inside}.bWFkZS11cA"


def signing_in(
    *,
    server: str = "https://mcp.example.com",
    listed: str = "",
    asked: str = "",
    kept: str = CALLBACK,
    token: str = "mF_9.B5f-4.1JqM",
    lifetime: str = "",
    until: str = "token",
) -> str:
    """A healthy sign-in at an authorization server, up to one of its steps."""
    scopes = f', "scopes_supported": {json.dumps(listed.split())}' if listed else ""
    scope = f"&scope={asked.replace(' ', '%20')}" if asked else ""
    version = (
        '"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "some-client", "version": "1"}'
    )
    steps = {
        "challenge": f"""POST https://mcp.example.com/mcp {{"jsonrpc": "2.0", "id": 1, "method": "initialize",
  "params": {{{version}}}}}
401
WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
""",
        "prm": f"""GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
200 {{"resource": "https://mcp.example.com/mcp", "authorization_servers": ["{server}"]{scopes}}}
""",
        "as": f"""GET {server}/.well-known/oauth-authorization-server
200 {{"issuer": "{server}",
     "authorization_endpoint": "{server}/authorize", "token_endpoint": "{server}/token",
     "registration_endpoint": "{server}/register", "response_types_supported": ["code"],
     "code_challenge_methods_supported": ["S256"],
     "token_endpoint_auth_methods_supported": ["none"]}}
""",
        "registration": f"""POST {server}/register {{"client_name": "x",
     "redirect_uris": ["{CALLBACK}"], "token_endpoint_auth_method": "none"}}
201 {{"client_id": "c1", "redirect_uris": ["{kept}"], "token_endpoint_auth_method": "none"}}
""",
        "code": f"""@browser
GET {server}/authorize?response_type=code&client_id=c1&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256&state=s1&redirect_uri={kept}&resource=https://mcp.example.com/mcp{scope}
302
Location: {kept}?code=SplxlOBeZQQYbYS6WxSbIA&state=s1
""",
        "token": f"""POST {server}/token grant_type=authorization_code&code=SplxlOBeZQQYbYS6WxSbIA&client_id=c1&code_verifier=dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk&redirect_uri={kept}&resource=https://mcp.example.com/mcp
200 {{"access_token": "{token}", "token_type": "Bearer"{lifetime}}}
""",
    }
    names = list(steps)
    return "# mcp: https://mcp.example.com/mcp\n" + "\n".join(steps[name] for name in names[: names.index(until) + 1])


def called(answer: str, token: str = "mF_9.B5f-4.1JqM", method: str = "initialize", at: str = "") -> str:
    return (
        f'\n{at}POST https://mcp.example.com/mcp {{"jsonrpc": "2.0", "id": 2, "method": "{method}", "params": {{}}}}\n'
        f"Authorization: Bearer {token}\nMCP-Protocol-Version: 2025-11-25\n{answer}\n"
    )


def cause(report: Report) -> tuple[str, str]:
    assert report.cause is not None
    return report.cause.rule, report.cause.responsible


REFUSED = '401 {"error": "invalid_token"}\nWWW-Authenticate: Bearer error="invalid_token"'


@pytest.mark.parametrize(
    ("server", "aud"),
    [
        ("https://mcp.example.com", "c1"),
        ("https://as.example.com", "c1"),
        ("https://as.example.com", "https://api.example.org"),
    ],
)
def test_a_token_for_another_audience_that_is_refused_at_once_is_refused_for_it(server: str, aud: str) -> None:
    token = jwt(aud)
    report = judge(signing_in(server=server, token=token) + called(REFUSED, token))
    assert cause(report) == ("token-jwt-audience", "authorization-server")


def test_the_audience_is_not_blamed_for_what_the_words_lay_on_the_signature() -> None:
    token = jwt("c1")
    said = '401 {"error": "invalid_token", "error_description": "Signature verification failed"}'
    assert cause(judge(signing_in(token=token) + called(said, token)))[0] != "token-jwt-audience"


LACKS = '403 {"error": "insufficient_scope"}\nWWW-Authenticate: Bearer error="insufficient_scope"'


@pytest.mark.parametrize("asked", ["profile email", ""])
@pytest.mark.parametrize("named", ["", ', scope="mcp:tools"'])
def test_scopes_of_the_resource_metadata_that_the_client_did_not_ask_for_are_the_clients(
    asked: str, named: str
) -> None:
    report = judge(signing_in(listed="mcp:tools mcp:prompts", asked=asked) + called(LACKS + named))
    assert cause(report) == ("authz-scope-not-from-challenge", "client")


@pytest.mark.parametrize(("listed", "asked"), [("", "profile"), ("mcp:tools", "mcp:tools")])
def test_a_scope_that_no_document_told_of_was_not_left_out(listed: str, asked: str) -> None:
    report = judge(signing_in(listed=listed, asked=asked) + called(f'{LACKS}, scope="mcp:admin"'))
    assert cause(report)[0] != "authz-scope-not-from-challenge"


PAGE = (
    "<html><head><title>Authentication incomplete</title></head><body><h1>Authentication incomplete</h1></body></html>"
)


@pytest.mark.parametrize("kept", ["https://mcp.example.com/callback", "https://gateway.example.org/cb"])
@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_page_at_a_callback_that_the_registration_put_in_place_of_the_clients_is_not_the_clients(
    kept: str, status: int
) -> None:
    page = f"\n@browser\nGET {kept}?code=SplxlOBeZQQYbYS6WxSbIA&state=s1\n{status} {PAGE}\nContent-Type: text/html\n"
    report = judge(signing_in(kept=kept, until="code") + page)
    assert cause(report) == ("dcr-response-redirect-uris-changed", "authorization-server")


def test_a_page_at_the_clients_own_callback_is_the_clients() -> None:
    page = f"\n@browser\nGET {CALLBACK}?code=SplxlOBeZQQYbYS6WxSbIA&state=s1\n400 {PAGE}\nContent-Type: text/html\n"
    assert cause(judge(signing_in(until="code") + page))[1] == "client"


ANSWERED = '200 {"jsonrpc": "2.0", "id": 2, "result": {"protocolVersion": "2025-11-25"}}'


@pytest.mark.parametrize(("promised", "after", "told"), [(28800, 3600, True), (3600, 4000, False)])
def test_a_token_refused_before_its_time_is_up_is_told_as_that(promised: int, after: int, told: bool) -> None:
    lifetime = f', "expires_in": {promised}'
    text = signing_in(lifetime=lifetime) + called(ANSWERED) + called(REFUSED, method="tools/list", at=f"@+{after}\n")
    report = judge(text)
    assert report.ending == "lost-later"
    assert report.cause is not None
    assert ("although `expires_in` said" in report.cause.message) == told


def test_a_client_with_a_token_that_only_opens_streams_is_told_to_send_initialize() -> None:
    stream = (
        "\nGET https://mcp.example.com/mcp\nAuthorization: Bearer mF_9.B5f-4.1JqM\nAccept: text/event-stream\n200\n"
    )
    report = judge(signing_in() + f"{stream}Content-Type: text/event-stream\n" * 3)
    assert not report.connected
    assert report.standstill is not None
    assert "initialize" in report.standstill.next_step


@pytest.mark.parametrize("callback", [CALLBACK, "https://client.example.org/cb"])
def test_nobody_waits_for_a_person_whose_browser_was_sent_back_with_a_code(callback: str) -> None:
    report = judge(signing_in(kept=callback, until="code"))
    assert report.ending == "abandoned"
    assert report.standstill is None or "code" in report.standstill.next_step
