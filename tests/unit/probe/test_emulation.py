"""A walk as a client: what it sends, what it refuses, and how sure the verdict is. Servers made of a table."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from oauthtap.cli.flags.live import EMULATED_CLIENTS
from oauthtap.clients import emulations
from oauthtap.clients.traits import Behaviour, Emulation, Trait, WalkEnd, confidence
from oauthtap.grants.grant_file import Grant, GrantFile, new_key
from oauthtap.model.exchange import Exchange, Request, Response, first_value
from oauthtap.probe.requests import BrowserStep
from oauthtap.probe.walk import Plan, run_plan
from oauthtap.render.emulation import headline
from tests.unit.probe.test_discovery import (
    AS,
    HEALTHY,
    OAUTH,
    PRM,
    ROOT_PRM,
    TOKEN,
    URL,
    Answer,
    _answered,
    answer,
    consent,
    mcp,
    metadata,
)

CALLBACK = "https://claude.ai/api/mcp/auth_callback"


def walk(
    client: str,
    changed: Mapping[tuple[str, str], Answer] | None = None,
    grant: GrantFile | None = None,
    client_id: str | None = None,
    url: str = URL,
) -> tuple[WalkEnd, list[Exchange]]:
    """How the walk as this client ended, and what it asked itself. `model`: oauthtap's own."""
    plan = Plan(url, "1.0", sign_in="headless", client=emulations().get(client), grant=grant, client_id=client_id)
    server, came, ends = HEALTHY | dict(changed or {}), list[Exchange](), list[WalkEnd]()
    way = run_plan(plan, ends.append)
    step = next(way)
    try:
        while True:
            came.append(_answered(step, server, plan))
            step = way.send(came[-1])
    except StopIteration:
        return ends[0], [one for one in came if one.actor != "reporter"]


def request(came: list[Exchange], method: str, url: str) -> Request:
    return next(e.request for e in came if (e.request.method, e.request.bare_url) == (method, url))


def asked(came: list[Exchange]) -> list[str]:
    return [f"{e.request.method} {e.request.bare_url}" for e in came]


# --- what is known


def test_the_parser_names_the_emulations_there_are() -> None:
    assert tuple(emulations()) == EMULATED_CLIENTS


def test_every_trait_says_where_it_is_known_from() -> None:
    for one in emulations().values():
        for name, trait in one.traits.items():
            assert len(trait.source) > 8, (one.profile.slug, name)
            assert date(2025, 1, 1) < trait.seen <= one.profile.seen or trait.basis == "assumed", (
                one.profile.slug,
                name,
            )


def test_what_nobody_knows_is_listed() -> None:
    assert "whether it compares the issuer" in emulations()["claude-ai"].unknown
    assert "what it does where a scope is missing" in emulations()["cursor"].unknown


# --- what it sends


def test_claude_ai_sends_what_claude_ai_sends() -> None:
    end, came = walk("claude-ai")
    assert end.outcome == "connected"
    agents = {f"{e.request.method} {urlsplit(e.request.url).path}": e.request.header("user-agent") for e in came}
    assert agents["POST /token"] == agents["GET /.well-known/oauth-authorization-server"] == "python-httpx/0.28.1"
    assert came[0].request.header("user-agent") == "python-httpx/0.28.1"
    assert request(came[-2:], "POST", URL).header("user-agent") == "Claude-User"
    registered = request(came, "POST", f"{AS}/registration").json_object
    assert registered["redirect_uris"] == [CALLBACK]
    assert (registered["client_name"], registered["application_type"]) == ("Claude", "web")
    assert registered["token_endpoint_auth_method"] == "none"
    assert first_value(request(came, "GET", f"{AS}/authorization").query, "redirect_uri") == CALLBACK


def test_nothing_is_sent_to_the_vendor_of_the_client_or_to_anybody_else() -> None:
    for client in EMULATED_CLIENTS:
        _, came = walk(client)
        assert {urlsplit(e.request.url).hostname for e in came} <= {"mcp.example.com", "as.example.com"}


def test_a_login_at_a_third_host_is_left_to_a_person() -> None:
    away = answer(302, location="https://login.vendor.example/?client=1")
    end, came = walk("claude-ai", {("GET", f"{AS}/authorization"): away})
    assert (end.outcome, end.stage) == ("waiting", "authorization-interaction")
    assert "GET https://login.vendor.example/" not in asked(came)


def test_a_metadata_url_is_the_client_id_where_the_client_uses_one() -> None:
    offered: dict[tuple[str, str], Answer] = {("GET", OAUTH): metadata(client_id_metadata_document_supported=True)}
    _, came = walk("claude-ai", offered)
    assert f"POST {AS}/registration" not in asked(came)
    sent = first_value(request(came, "GET", f"{AS}/authorization").query, "client_id")
    assert sent == "https://claude.ai/oauth/mcp-oauth-client-metadata"
    without_none = metadata(client_id_metadata_document_supported=True, token_endpoint_auth_methods_supported=["x"])
    assert f"POST {AS}/registration" in asked(walk("claude-ai", {("GET", OAUTH): without_none})[1])


def test_chatgpt_comes_back_elsewhere_where_the_server_promises_iss() -> None:
    def uri(**changed: object) -> str | None:
        _, came = walk("chatgpt", {("GET", OAUTH): metadata(**changed)})
        return first_value(request(came, "GET", f"{AS}/authorization").query, "redirect_uri")

    assert uri() == "https://chatgpt.com/connector/oauth/oauthtap-emulated"
    promised = uri(authorization_response_iss_parameter_supported=True)
    assert promised == "https://chatgpt.com/connector_platform_oauth_redirect"


def test_offline_access_is_added_where_the_server_lists_it_and_the_client_adds_it() -> None:
    listed: dict[tuple[str, str], Answer] = {("GET", OAUTH): metadata(scopes_supported=["tools", "offline_access"])}
    for client, scope in (("claude-ai", "tools offline_access"), ("chatgpt", "tools")):
        _, came = walk(client, listed)
        assert first_value(request(came, "GET", f"{AS}/authorization").query, "scope") == scope


def test_the_servers_own_list_of_scopes_is_asked_for_where_nothing_else_names_any() -> None:
    listed: dict[tuple[str, str], Answer] = {
        ("GET", OAUTH): metadata(scopes_supported=["all", "more"]),
        ("GET", PRM): answer(200, {"resource": URL, "authorization_servers": [AS]}),
        ("POST", URL): lambda asked: without_scope(mcp(asked)),
    }
    for client, scope in (("claude-ai", "all more"), ("vs-code", "all more"), ("chatgpt", None)):
        _, came = walk(client, listed)
        assert first_value(request(came, "GET", f"{AS}/authorization").query, "scope") == scope, client


def test_chatgpt_registers_no_scope_and_claude_ai_does() -> None:
    for client, registers in (("chatgpt", False), ("claude-ai", True)):
        _, came = walk(client)
        assert first_value(request(came, "GET", f"{AS}/authorization").query, "scope")
        assert ("scope" in request(came, "POST", f"{AS}/registration").json_object) is registers, client


def test_where_a_client_id_was_typed_nobody_is_sure_which_endpoints_claude_ai_uses() -> None:
    end, came = walk("claude-ai", client_id="typed")
    assert (end.outcome, confidence(emulations()["claude-ai"], end)) == ("connected", "possible")
    assert f"GET {AS}/authorization" in asked(came)
    behaviour = emulations()["claude-ai"].behaviour.model_copy(update={"typed_id_endpoints": "guessed"})
    guesses = replace(emulations()["claude-ai"], behaviour=behaviour)
    ends = list[WalkEnd]()
    way = run_plan(Plan(URL, "1.0", sign_in="headless", client=guesses, client_id="typed"), ends.append)
    step = next(way)
    while not ends:
        assert not isinstance(step, BrowserStep)
        last, step = step.request.url, way.send(_answered(step, HEALTHY, Plan(URL, "1.0")))
    assert last.startswith("https://mcp.example.com/authorize?")


# --- where it stops


def without_scope(answered: Response) -> Response:
    lines = tuple((name, re.sub(r',? *scope="[^"]*"', "", value)) for name, value in answered.headers)
    return answered.model_copy(update={"headers": lines})


def without_challenge(answered: Response) -> Response:
    lines = tuple(line for line in answered.headers if line[0].lower() != "www-authenticate")
    return answered.model_copy(update={"headers": lines})


NO_PRM: dict[tuple[str, str], Answer] = {("GET", PRM): answer(404)}
BARE = {("GET", PRM): answer(200, {"resource": "https://mcp.example.com", "authorization_servers": [AS]})}
FOREIGN = {("GET", PRM): answer(200, {"resource": "https://x.example", "authorization_servers": [AS]})}
UNSAFE = {("GET", OAUTH): metadata(code_challenge_methods_supported=None)}
OTHER_ISSUER = {("GET", OAUTH): metadata(issuer="https://x.example")}
CLOSED = {("GET", OAUTH): metadata(registration_endpoint=None)}
UNCHALLENGED: dict[tuple[str, str], Answer] = {("POST", URL): lambda asked: without_challenge(mcp(asked))}
REFUSED = {("POST", f"{AS}/registration"): answer(400, {"error": "invalid_redirect_uri"})}


@pytest.mark.parametrize(
    ("client", "changed", "stage", "trait"),
    [
        ("claude-ai", NO_PRM, "prm-discovery", "without_prm"),
        ("claude-ai", BARE, "prm-discovery", "resource_rule"),
        ("chatgpt", UNSAFE, "as-discovery", "pkce"),
        ("chatgpt", UNCHALLENGED, "mcp-challenge", "needs_challenge"),
        ("claude-ai", CLOSED, "as-discovery", "without_registration"),
        ("claude-ai", REFUSED, "client-registration", ""),
        ("chatgpt", OTHER_ISSUER, "as-discovery", "issuer_rule"),
        ("codex", OTHER_ISSUER, "as-discovery", "issuer_rule"),
        ("claude-code", FOREIGN, "prm-discovery", "resource_rule"),
        ("vs-code", FOREIGN, "prm-discovery", ""),
    ],
)  # fmt: skip
def test_it_stops_where_that_client_stops(
    client: str, changed: dict[tuple[str, str], Answer], stage: str, trait: str
) -> None:
    end, _ = walk(client, changed)
    assert (end.outcome, end.stage, end.trait) == ("stopped", stage, trait), end


@pytest.mark.parametrize(
    ("client", "changed"),
    [
        ("claude-code", BARE),
        ("claude-code", OTHER_ISSUER),
        ("cursor", UNSAFE),
        ("claude-ai", UNSAFE),
        ("claude-ai", UNCHALLENGED),
    ],
)
def test_it_goes_on_where_that_client_goes_on(client: str, changed: dict[tuple[str, str], Answer]) -> None:
    assert walk(client, changed)[0].outcome == "connected"


def test_claude_ai_goes_on_without_prm_where_a_client_id_was_typed() -> None:
    origin = "https://mcp.example.com"
    end, came = walk("claude-ai", NO_PRM | {("GET", f"{origin}/authorize"): answer(400)}, client_id="typed")
    assert (end.stage, "without_prm_with_id" in end.depends_on) == ("prm-discovery", True)
    assert first_value(request(came, "GET", f"{origin}/authorize").query, "client_id") == "typed"


def test_claude_ai_drops_the_slash_at_the_end_of_the_url_and_others_keep_it() -> None:
    assert "drops_slash" in walk("claude-ai", url=URL + "/")[0].depends_on
    assert asked(walk("claude-ai", url=URL + "/")[1]) == asked(walk("claude-ai")[1])
    assert asked(walk("chatgpt", url=URL + "/")[1])[0] == f"POST {URL}/"
    assert asked(walk("claude-ai", url="https://mcp.example.com/")[1])[0] == "POST https://mcp.example.com/"


def test_claude_ai_wants_its_redirect_uris_back_from_the_registration() -> None:
    issued: dict[str, Any] = {"client_id": "c", "redirect_uris": []}
    without: dict[tuple[str, str], Answer] = {("POST", f"{AS}/registration"): answer(201, issued)}
    assert walk("claude-ai", without)[0].trait == "registration_redirect_uris"
    assert walk("chatgpt", without)[0].outcome == "connected"


def test_a_page_whose_policy_holds_the_form_back_is_told() -> None:
    def page(policy: str) -> Response:
        made = answer(200, None, content_security_policy=policy)
        lines = (*made.headers, ("Content-Type", "text/html"))
        return made.model_copy(update={"headers": lines, "body": "<form method=post><button>Allow</button></form>"})

    for policy, told in (("form-action 'self'", True), ("form-action 'self' https://claude.ai", False)):
        end, _ = walk("claude-ai", {("GET", f"{AS}/authorization"): page(policy)})
        assert (end.stage, "form-action" in end.why) == ("authorization-interaction", told), end.why


def test_claude_code_compares_the_resource_last_and_claude_ai_at_once() -> None:
    assert f"GET {OAUTH}" in asked(walk("claude-code", FOREIGN)[1])
    assert f"GET {OAUTH}" not in asked(walk("claude-ai", FOREIGN)[1])


def test_vs_code_takes_the_mcp_origin_where_the_resource_is_foreign() -> None:
    _, came = walk("vs-code", FOREIGN)
    assert "GET https://mcp.example.com/.well-known/oauth-authorization-server" in asked(came)
    assert "POST https://mcp.example.com/register" in asked(came)


def test_claude_ai_signs_in_at_an_open_server_whose_metadata_places_do_not_say_404() -> None:
    def opened(asked: Request) -> Response:
        content: dict[str, object] = (
            {"protocolVersion": "2025-11-25"} if asked.json_object.get("method") == "initialize" else {"tools": []}
        )
        return answer(200, {"jsonrpc": "2.0", "id": 1, "result": content})

    nothing: dict[tuple[str, str], Answer] = {("POST", URL): opened, ("GET", PRM): answer(404)}
    assert walk("claude-ai", nothing)[0].outcome == "open"
    closed = nothing | {("GET", ROOT_PRM): answer(401)}
    assert walk("claude-ai", closed)[0].stage == "prm-discovery"
    assert walk("chatgpt", closed)[0].outcome == "open"


def test_a_client_that_signs_in_first_connects_to_an_open_server() -> None:
    def opened(asked: Request) -> Response:
        return answer(200, {"jsonrpc": "2.0", "id": 1, "result": {"protocolVersion": "2025-11-25", "tools": []}})

    open_server: dict[tuple[str, str], Answer] = {("POST", URL): opened, ("GET", PRM): answer(404)}
    assert walk("claude-code", open_server)[0].outcome == "open"


def test_metadata_does_not_lead_a_request_into_this_machines_network() -> None:
    end, came = walk("claude-ai", {("GET", OAUTH): metadata(token_endpoint="https://169.254.169.254/token")})
    assert (end.stage, "169.254" in end.why) == ("as-discovery", True)
    assert not [one for one in came if "169.254" in one.request.url]


def test_a_wrong_iss_stops_only_who_compares_it() -> None:
    def another(asked: Request) -> Response:
        pairs = {"code": "made-up-code-1", "state": first_value(asked.query, "state"), "iss": "https://x.example"}
        return answer(302, location=f"{first_value(asked.query, 'redirect_uri')}?{urlencode(pairs)}")

    changed: dict[tuple[str, str], Answer] = {("GET", f"{AS}/authorization"): another}
    assert walk("chatgpt", changed)[0].trait == "iss_rule"
    assert walk("claude-ai", changed)[0].outcome == "connected"


def test_cursor_sends_no_state_and_the_server_s_own_error_is_told() -> None:
    def strict(asked: Request) -> Response:
        if first_value(asked.query, "state"):
            return consent(asked)
        pairs = {"error": "invalid_request", "error_description": "Missing parameter: state"}
        return answer(302, location=f"{first_value(asked.query, 'redirect_uri')}?{urlencode(pairs)}")

    end, _ = walk("cursor", {("GET", f"{AS}/authorization"): strict})
    assert (end.stage, "Missing parameter: state" in end.why) == ("authorization-response", True)
    assert walk("claude-ai", {("GET", f"{AS}/authorization"): strict})[0].outcome == "connected"
    assert walk("cursor")[0].outcome == "connected"


def test_a_refusal_of_the_metadata_document_is_told_of_the_document() -> None:
    offered: dict[tuple[str, str], Answer] = {("GET", OAUTH): metadata(client_id_metadata_document_supported=True)}
    refused: dict[tuple[str, str], Answer] = {("GET", f"{AS}/authorization"): answer(400, {"error": "invalid_client"})}
    assert walk("claude-ai", offered | refused)[0].stage == "client-metadata-fetch"
    assert walk("claude-ai", refused)[0].stage == "authorization-request"
    for page, stage in (
        ("<p>The client metadata document could not be retrieved.</p>", "client-metadata-fetch"),
        ("<p>Try again later.</p>", "authorization-request"),
    ):
        shown = Response(status=400, headers=(("content-type", "text/html"),), body=page)
        assert walk("claude-ai", offered | {("GET", f"{AS}/authorization"): shown})[0].stage == stage


def test_a_redirect_in_place_of_the_401_is_a_missing_challenge() -> None:
    end, _ = walk("vs-code", {("POST", URL): answer(302, location="https://mcp.example.com/login")})
    assert (end.stage, "redirects to https://mcp.example.com/login" in end.why) == ("mcp-challenge", True)


# --- with a stored grant


@pytest.mark.parametrize(
    ("client", "required", "outcome", "sent"),
    [
        ("claude-code", False, "connected", 1),
        ("claude-code", True, "stopped", 0),
        ("model", True, "connected", 1),  # it pushes
    ],
)
def test_a_grant_is_no_way_around_a_push_that_the_client_does_not_send(
    tmp_path: Path, client: str, required: bool, outcome: str, sent: int
) -> None:
    file = GrantFile(tmp_path / "g", new_key())
    file.create(Grant(url=URL, token_endpoint=f"{AS}/token", client={"client_id": "c0"}, refresh_token="r0"))
    pushing = metadata(
        require_pushed_authorization_requests=required, pushed_authorization_request_endpoint=f"{AS}/pushed"
    )
    end, came = walk(client, tokens() | {("GET", OAUTH): pushing}, file)
    assert end.outcome == outcome, end
    assert asked(came).count(f"POST {AS}/token") == sent
    if outcome == "stopped":
        assert (end.stage, "the client sends none" in end.why) == ("authorization-request", True)
        assert file.read().refresh_token == "r0"


# --- after the sign-in


def tokens(**changed: Any) -> dict[tuple[str, str], Answer]:
    """A token endpoint that gives a refresh token, and answers a refresh with these changes."""

    def granted(asked: Request) -> Response:
        form = dict(asked.form)
        refreshing = form.get("grant_type") == "refresh_token"
        status = changed.get("refused", 200) if refreshing else 200
        if refreshing and "resource" in form and changed.get("no_resource"):
            status = 400
        return answer(status, {"access_token": TOKEN, "token_type": "Bearer", "refresh_token": "r1", "expires_in": 60})

    return {("POST", f"{AS}/token"): granted}


def test_a_refresh_that_is_refused_loses_the_connection_later() -> None:
    end, came = walk("claude-ai", tokens(no_resource=True))
    assert end.outcome == "connected"
    assert "the refresh request is refused" in end.later
    assert "would connect, and lose the connection later" in headline(emulations()["claude-ai"], end)
    assert [dict(e.request.form).get("grant_type") for e in came if e.request.url == f"{AS}/token"] == [
        "authorization_code",
        "refresh_token",
    ]
    assert walk("claude-ai", tokens())[0].later == ""


def test_without_a_refresh_token_the_connection_ends_with_the_token() -> None:
    short: dict[tuple[str, str], Answer] = {
        ("POST", f"{AS}/token"): answer(200, {"access_token": TOKEN, "token_type": "Bearer", "expires_in": 60})
    }
    assert walk("claude-ai", short)[0].later == "the token runs out after 60 s, and there is no refresh token"
    assert walk("claude-ai")[0].later == ""


def test_only_who_steps_up_asks_for_the_scope_that_is_missing() -> None:
    scopes = list[str]()

    def agreed(asked: Request) -> Response:
        scopes.append(first_value(asked.query, "scope") or "")
        return consent(asked)

    def narrow(asked: Request) -> Response:
        if asked.json_object.get("method") == "tools/list" and "more" not in scopes[-1].split():
            return answer(403, {}, www_authenticate='Bearer error="insufficient_scope", scope="tools more"')
        return mcp(asked)

    changed: dict[tuple[str, str], Answer] = {("POST", URL): narrow, ("GET", f"{AS}/authorization"): agreed}
    end, _ = walk("claude-ai", changed)
    assert (end.outcome, scopes) == ("connected", ["tools", "tools more"])
    end, _ = walk("chatgpt", changed)
    assert (end.stage, end.trait) == ("mcp-step-up", "steps_up")


# --- how sure


def test_a_verdict_is_no_surer_than_the_traits_it_depends_on() -> None:
    profile = emulations()["claude-ai"].profile
    known = Trait(value="exact", basis="documented", seen=date(2026, 8, 14), source="documentation")
    doubted = known.model_copy(update={"against": "somebody saw otherwise"})
    end = WalkEnd("stopped", "prm-discovery", trait="resource_rule")
    assert confidence(Emulation(profile, Behaviour(), {"resource_rule": known}), end) == "likely"
    assert confidence(Emulation(profile, Behaviour(), {"resource_rule": doubted}), end) == "possible"
    assert confidence(Emulation(profile, Behaviour(), {}), end) == "possible"
    assert confidence(emulations()["claude-code"], end) == "certain"


def test_the_headline_answers_for_the_client() -> None:
    end, _ = walk("claude-ai", BARE)
    said = headline(emulations()["claude-ai"], end)
    assert said.startswith("Claude.ai and Claude Desktop connectors would stop at prm-discovery")
    assert f"`resource` in the metadata is https://mcp.example.com, and it wants {URL}" in said
    assert end.change == f"Publish `resource`: {URL}"
