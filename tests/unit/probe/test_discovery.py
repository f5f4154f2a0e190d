"""What the probe asks, in which order, and where it refuses to go on: against servers made of a table."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.model.exchange import Exchange, Request, Response, first_value
from oauthtap.probe.requests import BrowserStep, ProbeRequest, challenge
from oauthtap.probe.walk import Plan, run_plan
from oauthtap.report.build import build
from oauthtap.report.model import Report

URL, AS, CALLBACK = "https://mcp.example.com/mcp", "https://as.example.com", "http://127.0.0.1:33418/callback"
PRM = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
ROOT_PRM = "https://mcp.example.com/.well-known/oauth-protected-resource"
OAUTH = f"{AS}/.well-known/oauth-authorization-server"
OIDC = f"{AS}/.well-known/openid-configuration"
TOKEN = "made-up-access-token-0123456789"

Answer = Response | None | Callable[[Request], Response]


def answer(status: int, document: Any = None, **headers: str) -> Response:
    """An answer with a JSON body; `_` in a header's name stands for `-`."""
    lines = {name.replace("_", "-"): value for name, value in headers.items()}
    if document is None:
        return Response(status=status, headers=tuple(lines.items()))
    lines.setdefault("content-type", "application/json")
    return Response(status=status, headers=tuple(lines.items()), body=json.dumps(document))


def metadata(**changed: Any) -> Response:
    """The metadata of a healthy authorization server; a member set to None is left out."""
    endpoints = {f"{name}_endpoint": f"{AS}/{name}" for name in ("authorization", "token", "registration")}
    lists = {"response_types": ["code"], "code_challenge_methods": ["S256"], "token_endpoint_auth_methods": ["none"]}
    whole: dict[str, Any] = {"issuer": AS, **endpoints, **{f"{name}_supported": value for name, value in lists.items()}}
    return answer(200, {name: value for name, value in (whole | changed).items() if value is not None})


def mcp(request: Request) -> Response:
    """A healthy MCP endpoint that opens for one token."""
    if request.header("authorization") != f"Bearer {TOKEN}":
        return answer(401, {}, www_authenticate=f'Bearer resource_metadata="{PRM}", scope="tools"')
    method, number = request.json_object.get("method"), request.json_object.get("id")
    if number is None:
        return answer(202)
    result: dict[str, Any] = {"protocolVersion": "2025-11-25"} if method == "initialize" else {"tools": []}
    return answer(200, {"jsonrpc": "2.0", "id": number, "result": result}, mcp_session_id="made-up-session")


def consent(request: Request) -> Response:
    """Consent is given at once."""
    pairs = {"code": "made-up-code-0123456789", "state": first_value(request.query, "state") or ""}
    return answer(302, location=f"{first_value(request.query, 'redirect_uri')}?{urlencode(pairs)}")


HEALTHY: dict[tuple[str, str], Answer] = {
    ("POST", URL): mcp,
    ("DELETE", URL): answer(204),
    ("GET", PRM): answer(200, {"resource": URL, "authorization_servers": [AS]}),
    ("GET", OAUTH): metadata(),
    ("POST", f"{AS}/registration"): lambda asked: answer(201, asked.json_object | {"client_id": "c1"}),
    ("GET", f"{AS}/authorization"): consent,
    ("POST", f"{AS}/token"): answer(200, {"access_token": TOKEN, "token_type": "Bearer"}, cache_control="no-store"),
}
"""Everything else is a 404."""


@dataclass
class Walked:
    """What was asked, and what was made of the answers."""

    report: Report
    exchanges: list[Exchange] = field(default_factory=list)

    def asked(self, actor: str = "client") -> list[str]:
        return [f"{e.request.method} {e.request.bare_url}" for e in self.exchanges if e.actor == actor]

    def request(self, method: str, url: str) -> Request:
        return next(e.request for e in self.exchanges if (e.request.method, e.request.bare_url) == (method, url))


def walked(plan: Plan, changed: Mapping[tuple[str, str], Answer] | None = None) -> Walked:
    """The whole walk to a server that is healthy but for what is changed; None means that nobody answers there."""
    server, tap = HEALTHY | dict(changed or {}), SessionAnalyzer(plan.url, probe_goal=plan.goal)
    came: list[Exchange] = []
    way = run_plan(plan)
    step = next(way)
    try:
        while True:
            came.append(_answered(step, server, plan))
            step = way.send(came[-1])
    except StopIteration:
        steps = [tap.add(exchange) for exchange in came]
    assert len(steps) == len(came)
    return Walked(build(tap), came)


def _answered(step: ProbeRequest | BrowserStep, server: Mapping[tuple[str, str], Answer], plan: Plan) -> Exchange:
    if isinstance(step, BrowserStep):
        back = consent(Request(method="GET", url=step.url)).header("location") or ""
        return Exchange(request=Request(method="GET", url=back), response=answer(200), actor="browser")
    request = step.request
    found = server.get((request.method, request.bare_url), answer(404))
    response = found if isinstance(found, Response) or found is None else found(request)
    error = None if response else "connect ECONNREFUSED"
    return Exchange(request=request, response=response, error=error, actor=step.actor, started_at=0.0, duration=0.0)


READ = Plan(URL, "1.0")
REGISTER = Plan(URL, "1.0", register=True)
HEADLESS = Plan(URL, "1.0", sign_in="headless")


def test_without_leave_it_only_reads() -> None:
    went = walked(READ)
    assert went.asked() == [f"POST {URL}", f"GET {PRM}", f"GET {OAUTH}"]
    assert went.asked("reporter")[:3] == [f"POST {URL}", f"GET {ROOT_PRM}", f"GET {OIDC}"]
    assert went.report.complete
    assert not went.report.connected


def test_signing_in_connects_and_nothing_is_held_against_us() -> None:
    went = walked(HEADLESS)
    assert went.report.connected
    assert went.report.cause is None
    assert [f.rule for f in went.report.findings if f.severity != "note"] == []
    assert not [f.rule for f in went.report.findings if f.responsible == "client"]


def test_a_person_signing_in_connects_too() -> None:
    assert walked(Plan(URL, "1.0", sign_in="person")).report.connected


def test_every_request_says_who_asks() -> None:
    agents = {e.request.header("user-agent") for e in walked(HEADLESS).exchanges}
    assert agents == {"oauthtap/1.0 probe"}


def test_nothing_is_asked_twice_and_the_looks_come_last() -> None:
    went = walked(HEADLESS)
    places = [e.request.url for e in went.exchanges if e.request.method == "GET"]
    assert len(places) == len(set(places))
    actors = [e.actor for e in went.exchanges]
    assert actors == sorted(actors, key=lambda actor: actor == "reporter")
    assert len(actors) < 20


def test_the_token_request_is_bound_to_the_authorization_request() -> None:
    went = walked(HEADLESS)
    asked, redeemed = went.request("GET", f"{AS}/authorization").query, went.request("POST", f"{AS}/token").form
    assert challenge(first_value(redeemed, "code_verifier") or "") == first_value(asked, "code_challenge")
    assert first_value(redeemed, "resource") == first_value(asked, "resource") == URL
    assert first_value(redeemed, "redirect_uri") == first_value(asked, "redirect_uri") == CALLBACK
    assert first_value(asked, "scope") == "tools"


def test_a_secret_goes_where_the_registration_says() -> None:
    def given(method: str) -> Response:
        return answer(
            201, {"client_id": "c 1", "client_secret": "made-up-secret", "token_endpoint_auth_method": method}
        )

    basic = walked(HEADLESS, {("POST", f"{AS}/registration"): given("client_secret_basic")})
    assert basic.request("POST", f"{AS}/token").header("authorization") == "Basic YyUyMDE6bWFkZS11cC1zZWNyZXQ="
    post = walked(HEADLESS, {("POST", f"{AS}/registration"): given("client_secret_post")})
    assert first_value(post.request("POST", f"{AS}/token").form, "client_secret") == "made-up-secret"


def test_a_client_registered_beforehand_is_not_registered_again() -> None:
    went = walked(Plan(URL, "1.0", sign_in="headless", client_id="known"))
    assert f"POST {AS}/registration" not in went.asked()
    assert first_value(went.request("POST", f"{AS}/token").form, "client_id") == "known"


def test_what_was_registered_is_taken_back() -> None:
    managed = {"registration_client_uri": f"{AS}/registration/c1", "registration_access_token": "made-up-registration"}
    granted = answer(201, {"client_id": "c1", "redirect_uris": [CALLBACK], **managed})
    went = walked(REGISTER, {("POST", f"{AS}/registration"): granted, ("DELETE", f"{AS}/registration/c1"): answer(204)})
    assert went.exchanges[-1].request.method == "DELETE"
    assert went.report.complete
    assert went.report.reached == "client-registration"


def test_a_registration_is_not_taken_back_on_another_host() -> None:
    elsewhere = {"registration_client_uri": "https://other.example/c1", "registration_access_token": "made-up-token-1"}
    granted = answer(201, {"client_id": "c1", "redirect_uris": [CALLBACK], **elsewhere})
    assert not [
        a for a in walked(REGISTER, {("POST", f"{AS}/registration"): granted}).asked("reporter") if "other" in a
    ]


def test_parameters_are_pushed_where_the_server_wants_it() -> None:
    wants = metadata(require_pushed_authorization_requests=True, pushed_authorization_request_endpoint=f"{AS}/par")
    pushed = answer(201, {"request_uri": "urn:ietf:params:oauth:request_uri:made-up-1", "expires_in": 60})
    went = walked(HEADLESS, {("GET", OAUTH): wants, ("POST", f"{AS}/par"): pushed})
    names = {name for name, _ in went.request("GET", f"{AS}/authorization").query}
    assert names == {"client_id", "request_uri"}
    assert first_value(went.request("POST", f"{AS}/par").form, "code_challenge_method") == "S256"


# --- where a client has to refuse


def stops(changed: Mapping[tuple[str, str], Answer], plan: Plan = HEADLESS) -> tuple[str, str]:
    """The last thing the client asked, and the cause."""
    went = walked(plan, changed)
    assert not went.report.connected
    own = [e for e in went.exchanges if e.actor != "reporter"]
    return f"{own[-1].request.method} {own[-1].request.bare_url}", went.report.cause.rule if went.report.cause else ""


def test_a_foreign_resource_ends_the_walk() -> None:
    foreign = answer(200, {"resource": "https://other.example/mcp", "authorization_servers": [AS]})
    assert stops({("GET", PRM): foreign}) == (f"GET {PRM}", "prm-resource-origin-mismatch")


def test_a_foreign_issuer_ends_the_walk() -> None:
    assert stops({("GET", OAUTH): metadata(issuer="https://x.example")}) == (f"GET {OAUTH}", "as-issuer-mismatch")


def test_missing_pkce_ends_the_walk() -> None:
    unsafe = metadata(code_challenge_methods_supported=None)
    assert stops({("GET", OAUTH): unsafe}) == (f"GET {OAUTH}", "as-pkce-methods-missing")


def test_a_foreign_state_ends_the_walk() -> None:
    def forgets(request: Request) -> Response:
        return answer(302, location=f"{CALLBACK}?code=made-up-code-0123456789&state=another-state")

    last, cause = stops({("GET", f"{AS}/authorization"): forgets})
    assert last == f"GET {AS}/authorization"
    assert cause == "authz-resp-state-mismatch"


def test_a_foreign_iss_ends_the_walk() -> None:
    def another(request: Request) -> Response:
        state = first_value(request.query, "state")
        return answer(302, location=f"{CALLBACK}?code=made-up-code-01&state={state}&iss=https%3A%2F%2Fx.example")

    assert stops({("GET", f"{AS}/authorization"): another})[0] == f"GET {AS}/authorization"


def test_a_login_page_ends_a_walk_without_hands() -> None:
    page = Response(status=200, headers=(("content-type", "text/html"),), body="<form>Password</form>")
    assert stops({("GET", f"{AS}/authorization"): page})[0] == f"GET {AS}/authorization"


def test_without_a_way_to_register_nothing_is_guessed() -> None:
    closed: dict[tuple[str, str], Answer] = {("GET", OAUTH): metadata(registration_endpoint=None)}
    went = walked(READ, closed)
    assert went.report.cause
    assert went.report.cause.rule == "as-no-registration-path"
    assert not [asked for asked in walked(HEADLESS, closed).asked() if "regist" in asked]


def test_without_any_document_the_old_default_endpoints_are_tried() -> None:
    nothing: dict[tuple[str, str], Answer] = {("GET", PRM): answer(404), ("GET", OAUTH): answer(404)}
    assert "POST https://mcp.example.com/register" in walked(HEADLESS, nothing).asked()
    assert "POST https://mcp.example.com/register" not in walked(READ, nothing).asked()


# --- going carefully


def test_nobody_there_is_said_once() -> None:
    went = walked(READ, {("POST", URL): None})
    assert len(went.exchanges) == 1
    assert went.report.cause
    assert went.report.cause.rule == "connection-failed"


def test_a_wrong_path_is_no_reason_to_sign_in() -> None:
    went = walked(HEADLESS, {("POST", URL): answer(404, {"error": "not found"})})
    assert went.asked() == [f"POST {URL}", f"GET {URL}"]
    assert went.report.cause
    assert went.report.cause.rule == "mcp-endpoint-not-found"


def test_a_server_for_everybody_is_connected_and_not_blamed() -> None:
    def everybody(request: Request) -> Response:
        headers = (("authorization", f"Bearer {TOKEN}"),)
        return mcp(request.model_copy(update={"headers": (*request.headers, *headers)}))

    went = walked(READ, {("POST", URL): everybody, ("GET", PRM): answer(404)})
    assert went.report.connected
    assert [f.rule for f in went.report.findings if f.severity != "note"] == []


def test_each_redirect_is_an_exchange_and_leaves_credentials_behind() -> None:
    moved = answer(307, location="https://new.example.com/mcp")
    went = walked(HEADLESS, {("POST", URL): lambda asked: mcp(asked) if not asked.header("authorization") else moved})
    there = went.request("POST", "https://new.example.com/mcp")
    assert there.header("authorization") is None


def test_a_document_cannot_send_us_to_this_machines_network() -> None:
    inside = answer(200, {"resource": URL, "authorization_servers": ["http://169.254.169.254", "https://10.0.0.1"]})
    went = walked(HEADLESS, {("GET", PRM): inside})
    assert not [a for a in (*went.asked(), *went.asked("reporter")) if "169.254" in a or "10.0.0.1" in a]


def test_a_server_on_this_machine_may_name_this_machine() -> None:
    url, issuer = "http://localhost:3000/mcp", "http://localhost:9000"
    place = "http://localhost:3000/.well-known/oauth-protected-resource/mcp"
    server = {
        ("POST", url): answer(401),
        ("GET", place): answer(200, {"resource": url, "authorization_servers": [issuer]}),
    }
    assert f"GET {issuer}/.well-known/oauth-authorization-server" in walked(Plan(url, "1.0"), server).asked()


def test_who_asks_us_to_slow_down_is_left_alone() -> None:
    went = walked(READ, {("GET", ROOT_PRM): answer(429, {}, retry_after="60")})
    assert went.exchanges[-1].status == 429


def test_a_hundred_servers_are_not_all_asked() -> None:
    many = [f"https://as{number}.example.com/tenant" for number in range(100)]
    went = walked(READ, {("GET", PRM): answer(200, {"resource": URL, "authorization_servers": many})})
    assert len(went.exchanges) < 35


SHAPES: tuple[Any, ...] = (
    *(None, [], 7, "text"),
    {"authorization_servers": "https://as.example.com"},
    {"authorization_servers": [3, None]},
    {"resource": 5, "authorization_servers": ["%%%", "https://[broken", ""]},
    {"client_id": 5, "access_token": 5, "token_type": None},
)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    "place", [("GET", PRM), ("GET", OAUTH), ("POST", f"{AS}/registration"), ("POST", f"{AS}/token")]
)
def test_documents_of_any_shape_are_survived(place: tuple[str, str], shape: Any) -> None:
    assert walked(HEADLESS, {place: answer(200, shape)}).asked("reporter")


def test_a_server_that_takes_any_token_is_told_on() -> None:
    def careless(request: Request) -> Response:
        headers = (("authorization", f"Bearer {TOKEN}"),) if request.header("authorization") else ()
        return mcp(request.model_copy(update={"headers": headers}))

    went = walked(HEADLESS, {("POST", URL): careless})
    assert "rs-accepts-made-up-token" in {finding.rule for finding in went.report.findings}


# --- other transports


def test_a_server_of_2026_is_asked_in_its_own_way() -> None:
    def modern(request: Request) -> Response:
        if request.header("authorization") != f"Bearer {TOKEN}":
            return mcp(request)
        if request.json_object.get("method") == "initialize":
            error = {"code": -32022, "message": "Unsupported protocol version", "data": {"supported": ["2026-07-28"]}}
            return answer(400, {"jsonrpc": "2.0", "id": 1, "error": error})
        return answer(200, {"jsonrpc": "2.0", "id": 1, "result": {"resultType": "complete", "tools": []}})

    went = walked(HEADLESS, {("POST", URL): modern})
    assert went.report.connected
    assert [e.request.header("mcp-method") for e in went.exchanges if e.request.header("mcp-method")] == [
        "server/discover",
        "tools/list",
    ]
    assert not [f.rule for f in went.report.findings if f.responsible == "client" and f.severity != "note"]


def test_a_server_of_2024_is_asked_by_its_stream() -> None:
    stream = Response(
        status=200, headers=(("content-type", "text/event-stream"),), body="event: endpoint\ndata: /message?s=1\n\n"
    )

    def closed(request: Request) -> Response:
        return answer(405, allow="GET") if request.header("authorization") else mcp(request)

    old: dict[tuple[str, str], Answer] = {("POST", URL): closed, ("GET", URL): stream}
    went = walked(HEADLESS, {**old, ("POST", "https://mcp.example.com/message"): answer(202)})
    assert went.report.connected
    assert went.report.reached == "legacy-sse"
    posted = [e.request for e in went.exchanges if e.request.url.endswith("/message?s=1")]
    assert [r.json_object["method"] for r in posted] == ["initialize", "notifications/initialized", "tools/list"]
    assert {r.header("authorization") for r in posted} == {f"Bearer {TOKEN}"}


def test_a_stream_cannot_lead_the_token_to_another_host() -> None:
    body = "event: endpoint\ndata: https://other.example/message\n\n"
    stream = Response(status=200, headers=(("content-type", "text/event-stream"),), body=body)

    def closed(request: Request) -> Response:
        return answer(405, allow="GET") if request.header("authorization") else mcp(request)

    went = walked(HEADLESS, {("POST", URL): closed, ("GET", URL): stream})
    assert not [asked for asked in went.asked() if "other.example" in asked]


def test_a_changed_copy_of_a_message_forgets_what_was_worked_out() -> None:
    request = Request(method="GET", url=URL, headers=(("authorization", "Bearer old"),))
    assert request.header("authorization") == "Bearer old"
    changed = request.model_copy(update={"headers": (("authorization", "Bearer new"),)})
    assert changed.header("authorization") == "Bearer new"
