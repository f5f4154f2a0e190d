"""How far it got, whether it connected, and which finding becomes the cause."""

from __future__ import annotations

import re

from oauthtap.clients import profiles
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import notation
from oauthtap.report.build import build
from tests.support.exchanges import RESOURCE, judge
from tests.unit.handshake.test_classify import SIGN_IN

SEED2 = """
# mcp: https://logs.example.com/
POST https://logs.example.com/ {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}}
401 {"error": "Invalid bearer token."}
WWW-Authenticate: Bearer error="unauthorized", error_description="Authorization needed", resource_metadata="https://logs.example.com/.well-known/oauth-protected-resource"

GET https://logs.example.com/.well-known/oauth-protected-resource
200 {"resource": "https://logs.example.com", "authorization_servers": ["https://api.workos.com/sso/authorize"]}

GET https://api.workos.com/.well-known/oauth-authorization-server/sso/authorize
404

GET https://api.workos.com/.well-known/openid-configuration/sso/authorize
404

GET https://api.workos.com/sso/authorize/.well-known/openid-configuration
404

POST https://api.workos.com/register {"redirect_uris": ["http://localhost:3118/callback"]}
404 {"message": "Not Found"}
"""  # noqa: E501


def test_the_first_field_report_has_its_one_cause() -> None:
    report = judge(SEED2)
    assert report.cause is not None
    assert report.cause.rule == "prm-as-entry-is-endpoint"
    assert report.cause.responsible == "resource-server"
    assert "https://api.workos.com/sso/authorize" in report.cause.message
    assert not report.connected
    assert report.reached == "as-discovery"


def test_who_only_stops_is_shown_what_the_challenge_said() -> None:
    stops = SEED2[: SEED2.index("POST https://api.workos.com/register")]
    report = judge(stops)
    assert (report.ending, report.refusal and report.refusal.exchange) == ("abandoned", 1)
    assert report.refusal is not None
    assert report.refusal.words == "Invalid bearer token."
    assert judge(stops.replace(' {"error": "Invalid bearer token."}\nWWW', "\nX")).refusal is None, "it said nothing"


def test_the_guessed_registration_follows_from_it() -> None:
    follows = {f.rule: f for f in judge(SEED2).findings if f.consequence_of == "prm-as-entry-is-endpoint"}
    assert any(finding.exchange == 6 for finding in follows.values())


def test_the_side_findings_are_there_and_are_not_the_cause() -> None:
    found = {finding.rule for finding in judge(SEED2).findings}
    assert {"challenge-error-code-unknown", "challenge-error-without-credentials"} <= found


NO_SUCH_HOST = """
# mcp: https://mcp.example.com/mcp
POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
401
WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"

GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://nobody.example.com"]}

GET https://nobody.example.com/.well-known/oauth-authorization-server
- [Errno -2] Name or service not known

GET https://mcp.example.com/mcp/.well-known/openid-configuration
401 {"error": "unauthorized", "error_description": "a bearer token is needed"}

GET https://nobody.example.com/.well-known/oauth-authorization-server
- [Errno -2] Name or service not known
"""


def test_a_refusal_at_a_guess_explains_nothing_where_the_named_server_cannot_be_reached() -> None:
    report = judge(NO_SUCH_HOST)
    assert report.ending == "unreachable"
    assert report.refusal is None
    assert report.cause is not None
    assert report.cause.rule == "connection-failed"


def test_a_sign_in_that_ends_well_has_no_cause() -> None:
    report = judge(SIGN_IN)
    assert report.connected
    assert report.cause is None
    assert not [finding for finding in report.findings if finding.severity == "error"]


def test_a_refused_token_is_no_connection() -> None:
    refused = SIGN_IN + (
        '\nPOST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list"}\n'
        'Authorization: Bearer mF_9.B5f-4.1JqM\n401\nWWW-Authenticate: Bearer error="invalid_token"\n'
    )
    report = judge(refused)
    assert not report.connected
    assert report.exchanges[-1].stage == "mcp-token-rejected"


REFUSED_LOOP = """
POST https://as.example.net/token grant_type=authorization_code&code=made-up-code&client_id=app
200 {"access_token": "made-up-token-1", "token_type": "Bearer", "refresh_token": "made-up-refresh"}

POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
Authorization: Bearer made-up-token-1
401 {"error": "unauthorized", "error_description": "a bearer token is needed"}

POST https://as.example.net/token grant_type=refresh_token&refresh_token=made-up-refresh&client_id=app
200 {"access_token": "made-up-token-2", "token_type": "Bearer", "refresh_token": "made-up-refresh"}
"""


def test_a_client_that_refreshes_a_refused_token_for_ever_has_the_same_cause_at_each_step() -> None:
    """opencode at a server that takes no token: 401, refresh, 401, … until somebody ends it."""
    again = REFUSED_LOOP + (
        '\nPOST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "initialize"}\n'
        'Authorization: Bearer made-up-token-2\n401 {"error": "unauthorized"}\n'
    )
    causes = [report.cause and report.cause.rule for report in map(judge, (REFUSED_LOOP, again))]
    assert causes == ["token-rejected-immediately"] * 2


def test_a_public_server_connects_without_a_token() -> None:
    report = judge(
        'POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}\n'
        '200 {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-06-18"}}'
    )
    assert report.connected
    assert report.cause is None


def test_nothing_at_all_is_no_connection_and_no_cause() -> None:
    report = judge("")
    assert (report.reached, report.connected, report.cause) == ("other", False, None)


def test_what_had_nothing_to_look_at_is_listed() -> None:
    unchecked = {row.rule: row.because for row in judge(SEED2).not_checked}
    assert "token-request" in unchecked["token-resp-token-type-missing"]


def test_an_unknown_newer_revision_is_judged_by_the_newest_known_one() -> None:
    report = judge(SIGN_IN, revision="2031-01-01")
    assert report.judged_by == "2026-07-28"
    assert any("2031-01-01" in note for note in report.notes)


def test_a_revision_can_be_forced() -> None:
    assert judge(SIGN_IN, revision="2025-03-26").judged_by == "2025-03-26"


def test_a_standstill_without_a_cause_says_what_to_look_at() -> None:
    report = judge(SIGN_IN.partition("@browser")[0])
    assert report.cause is None
    assert report.standstill is not None
    assert report.standstill.stage == "client-registration"
    assert report.standstill.where_to_look


def test_a_cause_that_explains_needs_no_further_look() -> None:
    assert judge(SEED2).standstill is None
    assert judge(SIGN_IN).standstill is None


def test_what_a_guessed_place_says_of_itself_does_not_outweigh_what_made_the_client_guess() -> None:
    report = judge("""
# mcp: https://mcp.example.com/mcp
GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
200 {"resource": "http://mcp.example.com/mcp", "authorization_servers": ["http://mcp.example.com"]}

GET http://mcp.example.com/.well-known/oauth-authorization-server
- connection refused

GET https://mcp.example.com/.well-known/oauth-authorization-server/mcp
404

GET https://mcp.example.com/mcp/.well-known/openid-configuration
401 {"error": "unauthorized", "error_description": "a bearer token is needed"}
""")
    assert report.cause is not None
    assert report.cause.rule == "scheme-downgrade-behind-proxy"


PKCE = "&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"


def test_a_client_that_asks_again_while_the_browser_is_away_has_given_nothing_up() -> None:
    # `claude mcp list`, while the login page is open, or says no where nobody can see it.
    begun = SIGN_IN[: SIGN_IN.index("@browser\nPOST")].replace("state=s1", f"state=s1{PKCE}")
    asked = SIGN_IN[: SIGN_IN.index("POST https://as.example.com/new")]
    assert judge(begun).ending == judge(begun + asked).ending == "waiting"
    assert judge(asked).ending == "abandoned"


def test_the_version_of_a_library_is_not_the_clients() -> None:
    named = SIGN_IN[: SIGN_IN.index("@browser")].replace(
        '{"redirect_uris"', '{"client_name": "Claude Code (logs)", "redirect_uris"', 1
    )
    wants = '\n201 {"client_id"'
    assert wants in named
    for agent, version in (("Bun/1.4.6", None), ("claude-code/2.1.332 (sdk-cli)", "2.1.332")):
        tap = SessionAnalyzer(resource=RESOURCE, profiles=profiles())
        for exchange in notation.parse(named.replace(wants, f"\nUser-Agent: {agent}{wants}")):
            tap.add(exchange)
        client = build(tap).client
        assert client is not None
        assert (client.name, client.version) == ("claude-code", version)


def test_the_version_of_what_opened_the_login_page_is_not_the_clients() -> None:
    named = SIGN_IN[: SIGN_IN.index("@browser\nPOST")].replace(
        '{"redirect_uris"', '{"client_name": "Claude Code (logs)", "redirect_uris"', 1
    )
    opened = re.sub(r"@browser\n(GET \S+)", r"\1\nUser-Agent: curl/7.88.1", named, count=1)
    assert opened != named
    tap = SessionAnalyzer(resource=RESOURCE, profiles=profiles())
    for exchange in notation.parse(opened):
        tap.add(exchange)
    client = build(tap).client
    assert client is not None
    assert (client.name, client.version) == ("claude-code", None)


def test_a_page_that_is_out_of_sight_is_not_one_that_got_no_answer() -> None:
    begun = SIGN_IN[: SIGN_IN.index("302\nLocation: https://as.example.com/login")].replace(
        "state=s1", f"state=s1{PKCE}"
    )
    assert judge(begun + "- out of sight: the browser does not use the proxy\n").ending == "waiting"
    assert judge(begun + "- connection refused\n").ending == "unreachable"


def test_a_session_that_can_be_ended_is_not_therefore_known() -> None:
    after = (
        SIGN_IN[: SIGN_IN.rindex("GET https://mcp.example.com/mcp")]
        + """
POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 2, "method": "tools/list", "params": {}}
Authorization: Bearer mF_9.B5f-4.1JqM
Mcp-Session-Id: s-1
404 {"jsonrpc": "2.0", "id": 2, "error": {"code": -32001, "message": "Session not found on this instance"}}

DELETE https://mcp.example.com/mcp
Authorization: Bearer mF_9.B5f-4.1JqM
Mcp-Session-Id: s-1
204
"""
    )
    report = judge(after)
    assert report.refusal is not None
    assert report.refusal.words == "Session not found on this instance"


def test_a_parameter_that_is_refused_as_such_is_not_refused_for_its_value() -> None:
    asked = SIGN_IN[: SIGN_IN.index("302\nLocation: https://as.example.com/login")].replace(
        "state=s1", f"state=s1{PKCE}&resource=https://other.example.com/"
    )
    said = "The 'resource' request parameter is not supported."
    report = judge(f'{asked}400 {{"error": "invalid_request", "error_description": "{said}"}}\n')
    assert "authz-resource-mismatch" in {finding.rule for finding in report.findings}
    assert report.cause is not None
    assert report.cause.rule == "refused"


LOOKED_AT_BOTH_PLACES = """
POST https://mcp.example.com/mcp {"jsonrpc": "2.0", "id": 1, "method": "initialize"}
401
WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"

GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}

GET https://as.example.com/.well-known/oauth-authorization-server
200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/a", "token_endpoint": "https://as.example.com/t", "registration_endpoint": "https://as.example.com/r", "response_types_supported": ["code"], "code_challenge_methods_supported": ["S256"]}

GET https://as.example.com/.well-known/openid-configuration
404
"""  # noqa: E501


def test_a_walk_to_the_metadata_has_arrived_also_where_the_last_place_it_looks_at_has_none() -> None:
    for goal, arrives in (("as-discovery", True), ("client-registration", False)):
        tap = SessionAnalyzer(resource=RESOURCE, probe_goal=goal)
        for exchange in notation.parse(LOOKED_AT_BOTH_PLACES):
            tap.add(exchange)
        assert build(tap).complete == arrives
