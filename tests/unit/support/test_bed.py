"""The bed is what the fault table says: each line, walked by hand."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import jwt
import pytest

from tests.support.bed import TARGETS, Bed
from tests.support.bed.walk import CALLBACK, Walk, answered, said

PRM = "oauth-protected-resource"
WalkTo = Callable[[str], Walk]


@pytest.fixture
def walk(bed: Bed) -> Iterator[WalkTo]:
    """`walk("f01")`: a handshake by hand with that target."""
    with bed.http() as http:
        yield lambda name: Walk(http, bed.url(name))


def challenge(walk: Walk) -> str:
    response = walk.initialize()
    assert response.status_code == 401
    return str(response.headers.get("www-authenticate", ""))


def tools(walk: Walk, token: str) -> list[str]:
    first = walk.initialize(token)
    assert first.status_code == 200, first.text
    session = first.headers["mcp-session-id"]
    assert walk.post("notifications/initialized", token=token, session=session).status_code == 202
    return [tool["name"] for tool in said(walk.post("tools/list", token=token, session=session))["result"]["tools"]]


def test_the_table_holds_twenty_targets_under_their_own_names(bed: Bed) -> None:
    assert len(TARGETS) == 20
    assert bed.url("good") == "https://good.mcp.test/mcp"
    assert bed.url("seed1") == "https://seed1.mcp.test/sse"
    assert len({kind.host for kind in TARGETS.values()}) == 20


# The healthy base

WALKABLE = ["good", "f01", "f02", "f03", "f04", "f07", "f08", "f09", "f10", "f12", "f13", "f14", "f16"]


@pytest.mark.parametrize("name", WALKABLE)
def test_the_book_leads_to_the_tool_unless_the_fault_is_on_that_way(walk: WalkTo, name: str) -> None:
    by_hand = walk(name)
    assert tools(by_hand, by_hand.sign_in().json()["access_token"]) == ["add"]


def test_good_names_its_metadata_and_serves_it_at_both_places(walk: WalkTo) -> None:
    good = walk("good")
    named = f"{good.origin}/.well-known/{PRM}/mcp"
    assert challenge(good) == f'Bearer resource_metadata="{named}", scope="mcp:tools"'
    inserted, root = good.well_known(PRM, inserted=True).json(), good.well_known(PRM).json()
    assert inserted == root
    assert inserted["resource"] == good.url
    assert inserted["authorization_servers"] == [good.metadata()["issuer"]] == [good.origin]


def test_good_issues_tokens_for_the_resource_and_checks_them(walk: WalkTo) -> None:
    good = walk("good")
    token = good.sign_in().json()["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["aud"] == good.url
    assert good.initialize(token[:-2]).status_code == 401
    assert walk("f13").initialize(token).status_code == 401


def test_good_adds(walk: WalkTo) -> None:
    good = walk("good")
    token = good.sign_in().json()["access_token"]
    session = good.initialize(token).headers["mcp-session-id"]
    answer = said(good.post("tools/call", token=token, session=session, name="add", arguments={"a": 2, "b": 3}))
    assert answer["result"]["content"] == [{"type": "text", "text": "5"}]


def test_good_answers_as_a_stream_and_f16_as_json(walk: WalkTo) -> None:
    for name, kind in (("good", "text/event-stream"), ("f16", "application/json")):
        by_hand = walk(name)
        response = by_hand.initialize(by_hand.sign_in().json()["access_token"])
        assert response.headers["content-type"].startswith(kind)


def test_an_unknown_method_or_revision_is_an_error_that_clients_can_go_on_from(walk: WalkTo, bed: Bed) -> None:
    good = walk("good")
    token = good.sign_in().json()["access_token"]
    session = good.initialize(token).headers["mcp-session-id"]
    assert said(good.post("server/discover", token=token, session=session))["error"]["code"] == -32601
    headers = {"Authorization": f"Bearer {token}", "MCP-Protocol-Version": "2026-07-28"}
    modern = good.http.post(good.url, json={"jsonrpc": "2.0", "id": 1, "method": "server/discover"}, headers=headers)
    assert modern.status_code == 400
    assert "2025-11-25" in modern.json()["error"]["message"]
    assert good.http.get(good.url, headers=headers).status_code == 405


def test_the_authorization_server_takes_no_other_redirect_uri(walk: WalkTo) -> None:
    good = walk("good")
    client_id = good.register().json()["client_id"]
    assert good.authorize(client_id, redirect_uri="http://localhost:33419/callback").status_code == 400
    code = answered(good.authorize(client_id))["code"]
    assert good.redeem(client_id, code, redirect_uri=CALLBACK + "/").json()["error"] == "invalid_grant"


def test_a_code_works_once_and_only_with_its_verifier(walk: WalkTo) -> None:
    good = walk("good")
    client_id, code = good.code()
    assert good.redeem(client_id, code, code_verifier="x" * 43).json()["error"] == "invalid_grant"
    client_id, code = good.code()
    assert good.redeem(client_id, code).status_code == 200
    assert good.redeem(client_id, code).json()["error"] == "invalid_grant"


def test_pkce_and_the_exact_resource_are_required(walk: WalkTo) -> None:
    good = walk("good")
    client_id = good.register().json()["client_id"]
    assert answered(good.authorize(client_id, code_challenge_method="plain"))["error"] == "invalid_request"
    assert answered(good.authorize(client_id, resource=good.url + "/"))["error"] == "invalid_target"
    assert answered(good.authorize(client_id, scope="admin"))["error"] == "invalid_scope"
    code = answered(good.authorize(client_id))["code"]
    assert good.redeem(client_id, code, resource=good.origin).json()["error"] == "invalid_target"


def test_a_confidential_client_must_show_its_secret(walk: WalkTo) -> None:
    good = walk("good")
    client = good.register(token_endpoint_auth_method="client_secret_post").json()
    code = answered(good.authorize(client["client_id"]))["code"]
    refused = good.redeem(client["client_id"], code)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    assert good.redeem(client["client_id"], code, client_secret=client["client_secret"]).status_code == 200


def test_refresh_tokens_rotate(walk: WalkTo) -> None:
    good = walk("good")
    client_id, code = good.code()
    first = good.redeem(client_id, code).json()["refresh_token"]
    second = good.refresh(client_id, first).json()
    assert second["refresh_token"] != first
    assert tools(good, second["access_token"]) == ["add"]
    assert good.refresh(client_id, first).json()["error"] == "invalid_grant"


def test_every_secret_of_a_walk_is_remembered(walk: WalkTo, bed: Bed) -> None:
    good = walk("good")
    client_id, code = good.code()
    tokens = good.redeem(client_id, code).json()
    made = {code, good.verifier, good.state, tokens["access_token"], tokens["refresh_token"]}
    assert made | set(good.http.cookies.values()) <= bed.issued
    assert good.http.cookies


# The faults


def test_f01_names_its_metadata_relatively(walk: WalkTo) -> None:
    assert f'resource_metadata="/.well-known/{PRM}/mcp"' in challenge(walk("f01"))


def test_f02_describes_another_origin(walk: WalkTo) -> None:
    assert walk("f02").well_known(PRM, inserted=True).json()["resource"] == "https://f02-staging.mcp.test/mcp"


def test_f03_has_the_issuer_of_somewhere_else(walk: WalkTo) -> None:
    f03 = walk("f03")
    assert f03.metadata()["issuer"] == "https://f03-login.mcp.test"
    assert f03.well_known(PRM, inserted=True).json()["authorization_servers"] == [f03.origin]


def test_f04_says_nothing_of_pkce_and_requires_it(walk: WalkTo) -> None:
    f04 = walk("f04")
    assert "code_challenge_methods_supported" not in f04.metadata()
    client_id = f04.register().json()["client_id"]
    assert answered(f04.authorize(client_id, code_challenge=""))["error"] == "invalid_request"


def test_f05_registers_https_callbacks_only(walk: WalkTo) -> None:
    refused = walk("f05").register()
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_redirect_uri")
    assert walk("f05").register("https://app.example.com/callback").status_code == 201


def test_f06_turns_its_own_tokens_away(walk: WalkTo) -> None:
    f06 = walk("f06")
    answer = f06.sign_in()
    assert answer.status_code == 200
    refused = f06.initialize(answer.json()["access_token"])
    assert refused.status_code == 401
    assert 'error="invalid_token"' in refused.headers["www-authenticate"]


def test_f07_answers_a_page_where_metadata_should_be(walk: WalkTo) -> None:
    for name in ("oauth-authorization-server", "openid-configuration"):
        answer = walk("f07").well_known(name)
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/html")
    assert walk("f07").well_known(PRM, inserted=True).json()["resource"] == walk("f07").url


def test_f08_gives_a_token_without_its_type(walk: WalkTo) -> None:
    tokens = walk("f08").sign_in().json()
    assert "access_token" in tokens
    assert "token_type" not in tokens


def test_f09_challenges_with_nothing(walk: WalkTo) -> None:
    assert challenge(walk("f09")) == ""
    assert walk("f09").well_known(PRM, inserted=True).status_code == 200


def test_f10_loses_the_state(walk: WalkTo) -> None:
    f10 = walk("f10")
    assert set(answered(f10.authorize(f10.register().json()["client_id"]))) == {"code"}


def test_f11_has_no_way_to_register(walk: WalkTo) -> None:
    f11 = walk("f11")
    assert not {"registration_endpoint", "client_id_metadata_document_supported"} & set(f11.metadata())
    assert f11.register().status_code == 404


def test_f12_advertises_what_it_sees_behind_its_terminator(walk: WalkTo) -> None:
    document = walk("f12").well_known(PRM, inserted=True).json()
    assert document["resource"] == "http://f12.mcp.test/mcp"
    assert document["authorization_servers"] == ["http://f12.mcp.test"]


def test_f13_issues_tokens_for_itself_and_takes_them(walk: WalkTo) -> None:
    token = walk("f13").sign_in().json()["access_token"]
    assert jwt.decode(token, options={"verify_signature": False})["aud"] == "https://f13.mcp.test"
    assert tools(walk("f13"), token) == ["add"]


def test_f14_names_a_document_that_is_not_there(walk: WalkTo) -> None:
    f14 = walk("f14")
    assert f'resource_metadata="{f14.origin}/.well-known/{PRM}/mcp"' in challenge(f14)
    assert f14.well_known(PRM, inserted=True).status_code == f14.well_known(PRM).status_code == 404
    assert f14.metadata()["issuer"] == f14.origin


def test_f15_answers_a_token_request_form_encoded(walk: WalkTo) -> None:
    answer = walk("f15").sign_in()
    assert answer.headers["content-type"].startswith("application/x-www-form-urlencoded")
    assert dict(httpx.QueryParams(answer.text))["token_type"] == "Bearer"


def test_f16_identifies_itself_in_the_response_and_says_so(walk: WalkTo) -> None:
    f16 = walk("f16")
    assert f16.metadata()["authorization_response_iss_parameter_supported"] is True
    assert answered(f16.authorize(f16.register().json()["client_id"]))["iss"] == f16.origin


# The seeds


def opened(walk: Walk, token: str) -> list[str]:
    """The events of a legacy stream, up to the answer to one tools/list."""
    heard: list[str] = []
    headers = {"Authorization": f"Bearer {token}"}
    with walk.http.stream("GET", walk.url, headers=headers) as stream:
        for line in stream.iter_lines():
            if not line.startswith("data: "):
                continue
            heard.append(line.removeprefix("data: "))
            if len(heard) == 2:
                break
            message = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
            walk.http.post(walk.origin + heard[0], json=message, headers=headers)
    return heard


@pytest.mark.parametrize("name", ["seed1", "seed1fix"])
def test_seed1_speaks_the_legacy_transport_to_who_signs_in(walk: WalkTo, name: str) -> None:
    seed = walk(name)
    endpoint, answer = opened(seed, seed.sign_in().json()["access_token"])
    assert endpoint.startswith("/sse/message?sessionId=")
    assert '"name": "add"' in answer
    assert seed.post("initialize", token=seed.sign_in().json()["access_token"]).status_code == 405


@pytest.mark.parametrize("name", ["seed1", "seed1fix"])
def test_seed1_accuses_a_token_nobody_sent_and_names_no_metadata(walk: WalkTo, name: str) -> None:
    said_on_get = walk(name).http.get(walk(name).url).headers["www-authenticate"]
    assert said_on_get == challenge(walk(name))
    assert said_on_get.startswith('Bearer realm="OAuth", error="invalid_token"')
    assert "resource_metadata" not in said_on_get


def test_seed1_has_no_resource_metadata_and_its_fix_only_at_the_root(walk: WalkTo) -> None:
    for inserted in (True, False):
        assert walk("seed1").well_known(PRM, inserted=inserted).status_code == 404
    fixed = walk("seed1fix")
    assert fixed.well_known(PRM, inserted=True).status_code == 404
    assert fixed.well_known(PRM).json()["resource"] == "https://seed1fix.mcp.test"


def test_seed2_names_an_endpoint_as_its_authorization_server(walk: WalkTo) -> None:
    seed2 = walk("seed2")
    assert challenge(seed2) == (
        'Bearer error="unauthorized", error_description="Authorization needed", '
        'resource_metadata="https://seed2.mcp.test/.well-known/oauth-protected-resource"'
    )
    assert seed2.initialize().json() == {"error": "Invalid bearer token."}
    assert seed2.well_known(PRM).json() == {
        "resource": "https://seed2.mcp.test",
        "authorization_servers": ["https://api.workos.com/sso/authorize"],
        "bearer_methods_supported": ["header"],
        "scopes_supported": ["openid", "profile", "email", "offline_access"],
    }


def test_the_server_seed2_names_has_an_authorize_endpoint_and_nothing_else(bed: Bed) -> None:
    with bed.http() as http:
        missing = [
            http.get(f"https://api.workos.com{path}")
            for path in (
                "/.well-known/oauth-authorization-server/sso/authorize",
                "/.well-known/openid-configuration/sso/authorize",
                "/sso/authorize/.well-known/openid-configuration",
                "/.well-known/oauth-authorization-server",
            )
        ]
        missing.append(http.post("https://api.workos.com/register", json={}))
        assert {answer.status_code for answer in missing} == {404}
        assert all(answer.json()["message"] == "Not Found" for answer in missing)
        assert http.get("https://api.workos.com/sso/authorize").headers["content-type"].startswith("text/html")


# The bed itself


def test_the_log_holds_what_arrived(walk: WalkTo, bed: Bed) -> None:
    with bed.watching() as seen:
        walk("good").well_known(PRM)
        walk("f05").register()
    assert list(map(str, seen)) == [
        "GET https://good.mcp.test/.well-known/oauth-protected-resource 200",
        "POST https://f05.mcp.test/register 400",
    ]
    assert CALLBACK in seen[1].body


def test_the_log_is_searched_through_every_encoding(walk: WalkTo, bed: Bed) -> None:
    with bed.watching() as seen:
        walk("good").authorize(walk("good").register().json()["client_id"])
    assert [entry.mentions(CALLBACK) for entry in seen] == [True, True]
    assert not any(entry.mentions("http://localhost:8080") for entry in seen)


def test_nobody_gets_out_of_the_bed(bed: Bed) -> None:
    with bed.http() as http, pytest.raises(httpx.ProxyError):
        http.get("https://example.com/")
    assert bed.refused[-1] == "CONNECT example.com:443"


def test_plain_http_is_refused_as_where_nobody_listens(bed: Bed) -> None:
    with bed.http() as http, pytest.raises(httpx.ConnectError):
        http.get("http://f12.mcp.test/")


async def test_a_bed_can_be_made_in_asynchronous_code() -> None:
    async with Bed() as own:
        with own.http() as http:
            assert Walk(http, own.url("good")).initialize().status_code == 401


def test_help_is_told_and_no_bed_started() -> None:
    command = [sys.executable, "-m", "tests.support.bed", "--help"]
    ran = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.startswith("usage: python -m tests.support.bed")
    assert "--connect-to" not in ran.stdout


# --- its namespace

ROOT = Path(__file__).parents[3]
UNSHARE = ("unshare", "--map-root-user", "--net", "--mount", "true")
ENTER = "import sys; from tests.support.bed import namespace; namespace.enter(['good.mcp.test'], *sys.argv[1:])"
GET = """
import ssl, httpx
from tests.support.bed import Bed
with Bed() as bed:
    trust = ssl.create_default_context(cafile=bed.direct_env()["SSL_CERT_FILE"])
    print("HTTPS_PROXY" in bed.direct_env(), httpx.get(bed.url("good"), verify=trust, trust_env=False).status_code)
"""


@pytest.mark.skipif(
    shutil.which("unshare") is None
    or shutil.which("ip") is None
    or subprocess.run(UNSHARE, check=False).returncode != 0,
    reason="no namespace can be made here",
)
def test_in_its_namespace_it_is_where_its_names_lead_and_needs_no_proxy() -> None:
    command = [sys.executable, "-c", ENTER, sys.executable, "-c", GET]
    ran = subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=Path(__file__).parents[3]
    )
    assert ran.stdout.split() == ["False", "401"], ran.stderr
