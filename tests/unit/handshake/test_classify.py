"""Stages are recognized by what was learned, then by content, then by path; refusals by what they mean."""

from __future__ import annotations

from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import notation
from tests.support.exchanges import RESOURCE

SIGN_IN = """
POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}
401
WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/about-me"

GET https://mcp.example.com/about-me
200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com/t"]}

GET https://as.example.com/.well-known/oauth-authorization-server/t
200 {"issuer": "https://as.example.com/t", "authorization_endpoint": "https://as.example.com/in",
     "token_endpoint": "https://as.example.com/swap", "registration_endpoint": "https://as.example.com/new",
     "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"]}

POST https://as.example.com/new {"redirect_uris": ["http://localhost:3118/callback"]}
201 {"client_id": "c1", "redirect_uris": ["http://localhost:3118/callback"]}

@browser
GET https://as.example.com/in?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2Flocalhost%3A3118%2Fcallback
302
Location: https://as.example.com/login

@browser
GET https://as.example.com/login
Accept: text/html
200 <html>hello</html>

@browser
POST https://as.example.com/login user=me
302
Location: http://localhost:3118/callback?code=SplxlOBeZQQYbYS6WxSbIA&state=s1

@browser
GET http://localhost:3118/callback?code=SplxlOBeZQQYbYS6WxSbIA&state=s1
200 <html>done</html>

POST https://as.example.com/swap grant_type=authorization_code&code=SplxlOBeZQQYbYS6WxSbIA&client_id=c1
200 {"access_token": "mF_9.B5f-4.1JqM", "token_type": "Bearer"}

POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}
Authorization: Bearer mF_9.B5f-4.1JqM
200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18"}}

GET https://mcp.example.com/mcp
Authorization: Bearer mF_9.B5f-4.1JqM
405
"""


def steps(text: str, resource: str | None = RESOURCE) -> list[AnalyzedExchange]:
    tap = SessionAnalyzer(resource=resource)
    return [tap.add(exchange) for exchange in notation.parse(text)]


def slugs(text: str, resource: str | None = RESOURCE) -> list[str]:
    return ["+".join(stage.slug for stage in step.stages) for step in steps(text, resource)]


def test_a_sign_in_is_recognized_from_end_to_end() -> None:
    assert slugs(SIGN_IN) == [
        "mcp-challenge+mcp-initialize",
        "prm-discovery",
        "as-discovery",
        "client-registration",
        "authorization-request",
        "authorization-interaction",
        "authorization-interaction+authorization-response",
        "authorization-response",
        "token-request",
        "mcp-initialize",
        "mcp-stream",
    ]


def test_learned_urls_are_certain() -> None:
    certainties = {step.stage: step.stages[0].certainty for step in steps(SIGN_IN)}
    assert {certainties[slug] for slug in ("prm-discovery", "client-registration", "token-request")} == {"certain"}


def test_every_request_has_its_reason() -> None:
    reasons = {step.exchange.id: step.initiator for step in steps(SIGN_IN)}
    assert reasons[1] is None
    told = {number: (because.exchange, because.at) for number, because in reasons.items() if because}
    assert told[2] == (1, "response.header.www-authenticate.resource_metadata")
    assert told[3] == (2, "response.json.authorization_servers[0]")
    assert told[4] == (3, "response.json.registration_endpoint")
    assert told[5] == (3, "response.json.authorization_endpoint")
    assert told[9] == (3, "response.json.token_endpoint")
    assert told[10] == (9, "response.json.access_token")
    assert not any(because.guess for because in reasons.values() if because)


def test_the_mcp_url_is_inferred_where_nobody_named_it() -> None:
    assert slugs(SIGN_IN, resource=None) == slugs(SIGN_IN)


def test_a_guess_says_by_which_rule_of_thumb() -> None:
    step = steps('POST https://as.example.com/register {"redirect_uris": ["http://localhost/callback"]}\n404')[0]
    assert step.stage == "client-registration"
    assert step.initiator is not None
    assert step.initiator.guess


def test_a_path_alone_is_a_guess() -> None:
    assert steps("POST https://as.example.com/token ...\n404")[0].stages[0].certainty == "guess"


def test_a_login_page_is_a_refusal() -> None:
    assert slugs(
        'POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "method": "initialize"}\n200 <html>Log in</html>'
    ) == ["mcp-challenge+mcp-initialize"]


def test_a_refused_origin_is_no_challenge() -> None:
    text = 'POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "method": "initialize"}\n403 {"error": "Bad Origin"}'
    assert slugs(text) == ["mcp-initialize"]


def test_a_tool_that_fails_is_no_refusal() -> None:
    text = """
    POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 3, "method": "tools/call"}
    200 {"jsonrpc": "2.0", "id": 3, "result": {"isError": true, "content": [{"text": "GitHub: bad credentials"}]}}
    """.replace("\n    ", "\n")
    assert slugs(text) == ["mcp-request"]


def test_a_missing_scope_is_a_step_up_also_with_the_wrong_status() -> None:
    text = """
POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 3, "method": "tools/call"}
Authorization: Bearer mF_9.B5f-4.1JqM
401
WWW-Authenticate: Bearer error="insufficient_scope", scope="files:write"
"""
    assert slugs(text) == ["mcp-step-up+mcp-request"]


def test_a_legacy_stream_teaches_where_to_post() -> None:
    text = """
# the endpoint event is relative
GET https://mcp.example.com/sse
Accept: text/event-stream
200 event: endpoint
  data: /sse/message?id=1

POST https://mcp.example.com/sse/message?id=1 {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
202
"""
    told = steps(text, resource="https://mcp.example.com/sse")
    assert told[0].stage == "legacy-sse"
    assert told[1].initiator is not None
    assert told[1].initiator.at == "response.event.endpoint"


def test_federation_does_not_look_like_a_second_authorization() -> None:
    text = SIGN_IN.partition("@browser\nGET https://as.example.com/login")[0] + (
        "\n@browser\nGET https://idp.example.com/authorize?client_id=upstream&response_type=code&state=other\n"
        "302\nLocation: https://as.example.com/back?code=upstreamcode1234&state=other\n"
    )
    assert "authorization-response" not in slugs(text)[-1]


def test_anything_else_is_other() -> None:
    assert slugs("GET https://elsewhere.example.com/favicon.ico\n200 ...") == ["other"]
