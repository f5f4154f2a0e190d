"""Every place where an origin occurs in a sign-in, row by row, through a running tap: what each side gets to see.

D rows come down to the client, U rows go up to the server; the numbers are those of the inventory.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import sys
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
import pytest
import trustme
from mitmproxy.net import encoding

from oauthtap.report.build import build
from tests.support.tapped import Came, Tapped, Upstream, document, said, tapped, upstream

UP, AS, THIRD = "http://mcp.test", "http://as.test", "http://third.test"
PRM = "/.well-known/oauth-protected-resource/mcp"
ASM = "/.well-known/oauth-authorization-server/t"
CALLBACK = "http://127.0.0.1:33111/callback"
METADATA: dict[str, Any] = {
    "issuer": f"{AS}/t",
    "authorization_endpoint": f"{AS}/authorize",
    "token_endpoint": f"{AS}/token",
    "registration_endpoint": f"{AS}/register",
    "pushed_authorization_request_endpoint": f"{AS}/par",
    "device_authorization_endpoint": f"{AS}/device",
    "revocation_endpoint": f"{AS}/revoke",
    "introspection_endpoint": f"{AS}/introspect",
    "userinfo_endpoint": f"{THIRD}/userinfo",
    "end_session_endpoint": f"{AS}/logout",
    "backchannel_authentication_endpoint": f"{AS}/bc",
    "jwks_uri": f"{AS}/jwks",
    "response_types_supported": ["code"],
    "authorization_response_iss_parameter_supported": True,
    "client_id_metadata_document_supported": True,
}
JWT = "eyJhbGciOiJub25lIn0.eyJhdWQiOiJodHRwOi8vbWNwLnRlc3QvbWNwIn0.c2ln"


def lines(status: int, *headers: tuple[str, str], body: bytes = b"") -> Any:
    """An answer whose header lines are these, repeated ones too."""

    async def answer(came: Came, writer: asyncio.StreamWriter) -> None:
        head = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *(f"{n}: {v}" for n, v in headers), "", ""]
        writer.write("\r\n".join(head).encode() + body)

    return answer


async def registered(came: Came, writer: Any) -> None:
    own = {"registration_client_uri": f"{AS}/register/1", "client_uri": f"{UP}/about", "logo_uri": f"{AS}/logo.png"}
    await document({"client_id": "client-1", **json.loads(came.body), **own}, 201)(came, writer)


def paths() -> dict[str, Any]:
    token = {"access_token": JWT, "token_type": "Bearer", "resource": f"{UP}/mcp", "scope": f"{UP}/read"}
    return {
        "/mcp": said(401, www_authenticate=f'Bearer resource_metadata="{UP}{PRM}"'),
        PRM: document({"resource": f"{UP}/mcp", "authorization_servers": [f"{AS}/t"]}),
        ASM: document(METADATA),
        "/register": registered,
        "/token": document(token),
    }


async def asked(path: str, answer: Any, method: str = "GET", **headers: str) -> tuple[httpx.Response, Tapped]:
    """One request; to the MCP endpoint by a client that has read all documents."""
    async with upstream(paths() | {path: answer}) as server, tapped(server) as tap:
        if path == "/mcp":
            await discovered(tap)
        body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"} if method == "POST" else None
        answered = await tap.client.request(method, tap.origin + path, json=body, headers=headers)
        return answered, tap


async def discovered(tap: Tapped) -> dict[str, Any]:
    prm = (await tap.client.get(tap.origin + PRM)).json()
    issuer = urlsplit(prm["authorization_servers"][0])
    there = f"{issuer.scheme}://{issuer.netloc}/.well-known/oauth-authorization-server{issuer.path}"
    return dict((await tap.client.get(there)).json())


# --- down


CHALLENGE = f'Basic realm="{UP}", Bearer realm="{UP}", resource_metadata="{UP}{PRM}", error_uri="{UP}/why"'


@pytest.mark.parametrize("status", [401, 403])
async def test_d1_of_every_challenge_only_resource_metadata(status: int) -> None:
    unquoted = f"Bearer resource_metadata={UP}{PRM}"
    answer, tap = await asked(
        "/mcp", lines(status, ("WWW-Authenticate", CHALLENGE), ("WWW-Authenticate", unquoted)), "POST"
    )
    local = f"resource_metadata={tap.origin}{PRM}"
    assert answer.headers.get_list("www-authenticate") == [
        CHALLENGE.replace(f'resource_metadata="{UP}', f'resource_metadata="{tap.origin}'), f"Bearer {local}",
    ]  # fmt: skip


@pytest.mark.parametrize("shape", ["", "/", "/mcp", "/mcp/", "/MCP"])
async def test_d2_the_resource_in_its_shape(shape: str) -> None:
    answer, tap = await asked(PRM, document({"resource": UP + shape, "authorization_servers": []}))
    assert answer.json()["resource"] == tap.origin + shape


async def test_d2_a_resource_on_a_third_host_stays_and_is_reported() -> None:
    answer, tap = await asked(PRM, document({"resource": f"{THIRD}/mcp", "authorization_servers": [f"{AS}/t"]}))
    assert answer.json()["resource"] == f"{THIRD}/mcp"
    assert "prm-resource-origin-mismatch" in {finding.rule for finding in build(tap.tap).findings}


async def test_d3_each_authorization_server_has_a_port_of_its_own_and_keeps_its_path() -> None:
    entries = [f"{AS}/t", f"{AS}/t/", f"{THIRD}", f"{UP}/as%2Ft"]
    answer, tap = await asked(PRM, document({"resource": f"{UP}/mcp", "authorization_servers": entries}))
    there, third = tap.listeners[AS], tap.listeners[THIRD]
    assert answer.json()["authorization_servers"] == [f"{there}/t", f"{there}/t/", third, f"{tap.origin}/as%2Ft"]
    assert len({tap.origin, there, third}) == 3


async def test_d4_what_nobody_in_a_handshake_uses() -> None:
    rest = {
        name: f"{UP}/{name}"
        for name in ("jwks_uri", "resource_documentation", "resource_policy_uri", "resource_tos_uri")
    }
    answer, _ = await asked(PRM, document({"resource": f"{UP}/mcp", **rest}))
    assert {name: answer.json()[name] for name in rest} == rest


@pytest.mark.parametrize("path", [PRM, ASM])
async def test_d5_signed_metadata_is_left_out_and_said(path: str) -> None:
    plain = {"resource": f"{UP}/mcp", "authorization_servers": [f"{AS}/t"]} if path == PRM else METADATA
    async with upstream(paths() | {path: document({**plain, "signed_metadata": JWT})}) as server, tapped(server) as tap:
        metadata = await discovered(tap)
        prm = (await tap.client.get(tap.origin + PRM)).json()
        kept = [exchange.response.json_object for exchange in tap.exchanges if exchange.response]
    assert "signed_metadata" not in {**metadata, **prm}
    assert any("signed_metadata" in one for one in kept), "the recording has it"
    assert len([note for note in tap.notes if "signed_metadata" in note]) == 1


@pytest.mark.parametrize("issuer", [f"{AS}/t", f"{AS}/t/", AS, f"{AS}/", "http://AS.test/t", "http://as.test:80/t"])
async def test_d6_the_issuer_is_exactly_the_string_that_was_listed(issuer: str) -> None:
    known = {
        PRM: document({"resource": f"{UP}/mcp", "authorization_servers": [issuer]}),
        "/.well-known/oauth-authorization-server": document({**METADATA, "issuer": issuer}),
        "/.well-known/oauth-authorization-server/": document({**METADATA, "issuer": issuer}),
        ASM: document({**METADATA, "issuer": issuer}),
        ASM + "/": document({**METADATA, "issuer": issuer}),
    }
    async with upstream(paths() | known) as server, tapped(server) as tap:
        listed = (await tap.client.get(tap.origin + PRM)).json()["authorization_servers"][0]
        assert (await discovered(tap))["issuer"] == listed
    assert listed.lower().startswith("http://localhost:")


async def test_d6_an_issuer_that_only_differs_in_its_spelling_still_differs() -> None:
    known = {ASM: document({**METADATA, "issuer": "http://AS.test/t"})}
    async with upstream(paths() | known) as server, tapped(server) as tap:
        listed = (await tap.client.get(tap.origin + PRM)).json()["authorization_servers"][0]
        issuer = (await discovered(tap))["issuer"]
    assert issuer != listed
    assert issuer.lower() == listed.lower()


async def test_d7_the_authorization_endpoint_is_ours_and_leads_to_the_real_one() -> None:
    async with upstream(paths()) as server, tapped(server) as tap:
        metadata = await discovered(tap)
        before = len(server.came)
        answer = await tap.client.get(f"{metadata['authorization_endpoint']}?response_type=code&client_id=x&state=%20")
        assert len(server.came) == before, "the page is not fetched by us"
    assert metadata["authorization_endpoint"] == f"{tap.listeners[AS]}/authorize"
    assert answer.status_code == 302
    assert answer.headers["location"] == f"{AS}/authorize?response_type=code&client_id=x&state=%20"


async def test_d8_every_endpoint_on_its_own_origin_also_on_a_third_one() -> None:
    aliases = {"token_endpoint": "http://mtls.test/token"}
    known = {ASM: document({**METADATA, "mtls_endpoint_aliases": aliases})}
    async with upstream(paths() | known) as server, tapped(server) as tap:
        metadata = await discovered(tap)
    local = {AS: tap.listeners[AS], THIRD: tap.listeners[THIRD]}
    named = {name: url for name, url in METADATA.items() if name.endswith(("_endpoint", "_uri"))}
    assert len(named) == 11
    for name, url in named.items():
        origin = url[: url.index("/", 8)]
        assert metadata[name] == url.replace(origin, local[origin]), name
    assert "mtls_endpoint_aliases" not in metadata


async def test_d9_flags_stay_but_for_dpop() -> None:
    known = {ASM: document({**METADATA, "dpop_signing_alg_values_supported": ["ES256"]})}
    async with upstream(paths() | known) as server, tapped(server) as tap:
        metadata = await discovered(tap)
    assert metadata["authorization_response_iss_parameter_supported"] is True
    assert metadata["client_id_metadata_document_supported"] is True
    assert "dpop_signing_alg_values_supported" not in metadata


async def sign_in(tap: Tapped) -> dict[str, Any]:
    """A whole one; gives what each step brought."""
    metadata = await discovered(tap)
    wanted = {"redirect_uris": [CALLBACK], "client_name": "t"}
    got: dict[str, Any] = {"metadata": metadata}
    got["client"] = (await tap.client.post(metadata["registration_endpoint"], json=wanted)).json()
    query = (
        f"response_type=code&client_id=client-1&redirect_uri={quote(CALLBACK, safe='')}&state=s%201&code_challenge=c"
    )
    query += f"&resource={quote(tap.url, safe='')}&login_hint=me%40x.test"
    got["authorize"] = (await tap.client.get(f"{metadata['authorization_endpoint']}?{query}")).headers["location"]
    ours = parse_qs(urlsplit(got["authorize"]).query)["redirect_uri"][0]
    back = await tap.client.get(f"{ours}?code=code_0123456789&state=s%201&iss={quote(METADATA['issuer'], safe='')}")
    got["callback"] = back.headers["location"]
    form = {
        "grant_type": "authorization_code",
        "code": "code_0123456789",
        "redirect_uri": CALLBACK,
        "resource": tap.url,
    }
    form |= {"code_verifier": "v" * 43, "client_id": "client-1", "client_secret": "secret_0123456789"}
    got["token"] = (await tap.client.post(metadata["token_endpoint"], data=form)).json()
    return got


@pytest.fixture(scope="module")
def signed_in() -> tuple[dict[str, Any], Upstream, Tapped]:
    """One sign-in, looked at by all rows that it has."""

    async def run() -> tuple[dict[str, Any], Upstream, Tapped]:
        async with upstream(paths()) as server, tapped(server) as tap:
            return await sign_in(tap), server, tap

    return asyncio.run(run())


SignedIn = tuple[dict[str, Any], Upstream, Tapped]


def came(server: Upstream, path: str) -> Came:
    return next(one for one in server.came if one.target.partition("?")[0] == path)


def test_d10_the_redirect_uris_of_a_registration_are_the_clients_own(signed_in: SignedIn) -> None:
    got, server, tap = signed_in
    assert json.loads(came(server, "/register").body)["redirect_uris"] == [
        f"http://127.0.0.1:{tap.addon.relay.port}/callback"
    ]
    assert got["client"]["redirect_uris"] == [CALLBACK]


def test_d11_where_a_registration_is_managed_and_nothing_else_of_it(signed_in: SignedIn) -> None:
    got, _, tap = signed_in
    assert got["client"]["registration_client_uri"] == f"{tap.listeners[AS]}/register/1"
    assert got["client"]["client_uri"] == f"{UP}/about"
    assert got["client"]["logo_uri"] == f"{AS}/logo.png"


@pytest.mark.parametrize("there", [f"{UP}/mcp/", f"{AS}/mcp", f"{THIRD}/mcp", "/mcp/", "mcp/", "https://new.test/mcp"])
async def test_d12_a_redirect_stays_with_us_and_is_reported(there: str) -> None:
    answer, tap = await asked("/mcp", lines(307, ("Location", there)), "POST")
    told = answer.headers["location"]
    if "://" not in there:
        assert told == there
    else:
        origin = there[: there.index("/", 8)]
        local = {**tap.listeners, UP: tap.origin}[origin]
        assert told == there.replace(origin, local)
    report = build(tap.tap)
    assert report.exchanges[-1].status == 307, "the redirect is the server's, and shown as that"
    if there in (f"{UP}/mcp/", "/mcp/"):
        assert "mcp-endpoint-redirect" in {finding.rule for finding in report.findings}


async def test_d13_a_login_page_is_never_shown_under_our_name() -> None:
    page = said(200, f"<a href='{UP}/x'>", content_type="text/html", set_cookie="s=1")
    async with upstream({"/authorize": page}) as server, tapped(server) as tap:
        answer = await tap.client.get(f"{tap.origin}/authorize?response_type=code&client_id=x&state=s")
    assert (answer.status_code, answer.content) == (302, b"")
    assert answer.headers["location"].startswith(f"{UP}/authorize?")
    assert "set-cookie" not in answer.headers


def test_d14_the_issuer_at_the_callback_is_the_one_the_client_was_told(signed_in: SignedIn) -> None:
    got, _, tap = signed_in
    brought = parse_qs(urlsplit(got["callback"]).query)
    assert brought == {"code": ["code_0123456789"], "state": ["s 1"], "iss": [got["metadata"]["issuer"]]}
    judged = next(exchange for exchange in tap.exchanges if exchange.request.url.startswith(CALLBACK))
    assert dict(judged.request.query)["iss"] == METADATA["issuer"], "what is judged is what the server sent"


def test_d15_of_a_token_answer_the_resource_and_nothing_else(signed_in: SignedIn) -> None:
    got, _, tap = signed_in
    assert got["token"]["resource"] == tap.url
    assert got["token"]["scope"] == f"{UP}/read"


def test_d16_a_token_is_never_touched(signed_in: SignedIn) -> None:
    assert signed_in[0]["token"]["access_token"] == JWT


@pytest.mark.parametrize(
    "there", [f"{UP}/messages?session_id=1", f"{AS}/m", "/messages?session_id=1", "http://un.test/m"]
)
async def test_d17_the_endpoint_event_where_it_is_absolute_and_known(there: str) -> None:
    data = f"event: endpoint\r\ndata: {there}\r\n\r\n: {UP}\n\n".encode()
    answer, tap = await asked(
        "/mcp", lines(200, ("Content-Type", "text/event-stream"), body=data), accept="text/event-stream"
    )
    local = {**tap.listeners, UP: tap.origin}
    told = next((there.replace(origin, ours) for origin, ours in local.items() if there.startswith(origin)), there)
    assert answer.content == f"event: endpoint\r\ndata: {told}\r\n\r\n: {UP}\n\n".encode()


async def test_d18_of_mcp_only_the_challenge_in_a_tool_result() -> None:
    result = {
        "isError": True,
        "content": [{"type": "resource_link", "uri": f"{UP}/file", "icons": [{"src": f"{UP}/i.png"}]}],
        "_meta": {"mcp/www_authenticate": [f'Bearer resource_metadata="{UP}{PRM}"'], "url": UP},
    }
    answer, tap = await asked("/mcp", document({"jsonrpc": "2.0", "id": 1, "result": result}), "POST")
    pointer = result["_meta"]["mcp/www_authenticate"][0].replace(UP, tap.origin)  # type: ignore[index]
    assert answer.json()["result"] == {**result, "_meta": {"mcp/www_authenticate": [pointer], "url": UP}}


@pytest.mark.parametrize(
    ("row", "name", "value"),
    [
        ("D19", "Access-Control-Allow-Origin", "http://localhost:6274"),
        ("D19", "Access-Control-Expose-Headers", "WWW-Authenticate"),
        ("D19", "Access-Control-Allow-Headers", "mcp-protocol-version"),
        ("D20", "Set-Cookie", "s=1; Domain=mcp.test; Secure; SameSite=None"),
        ("D21", "Content-Security-Policy", f"connect-src {UP}"),
    ],
)
async def test_d19_d20_d21_what_passes_as_it_is(row: str, name: str, value: str) -> None:
    answer, _ = await asked("/mcp", lines(200, (name, value)), "POST", origin="http://localhost:6274")
    assert answer.headers[name] == value


@pytest.mark.parametrize(("name", "value"), [("Strict-Transport-Security", "max-age=1"), ("Alt-Svc", 'h3=":443"')])
@pytest.mark.parametrize("path", ["/mcp", PRM])
async def test_d21_what_would_lead_past_us_goes(path: str, name: str, value: str) -> None:
    answer, _ = await asked(path, lines(200, (name, value), body=b"{}"))
    assert name not in answer.headers


@pytest.mark.parametrize("coding", ["identity", "gzip", "br", "zstd"])
async def test_d22_length_validators_and_coding_are_those_of_the_body_that_is_sent(coding: str) -> None:
    text = json.dumps({"resource": f"{UP}/mcp", "authorization_servers": [f"{AS}/t"]}).encode()
    body = encoding.encode(text, coding)
    assert isinstance(body, bytes)
    head = [
        ("Content-Type", "application/json"),
        ("ETag", '"1"'),
        ("Digest", "sha-256=x"),
        ("Content-Encoding", coding),
    ]
    async with (
        upstream(paths() | {PRM: lines(200, *head, body=body)}) as server,
        tapped(server) as tap,
        tap.client.stream("GET", tap.origin + PRM, headers={"Accept-Encoding": coding}) as answer,
    ):
        raw = b"".join([piece async for piece in answer.aiter_raw()])
    assert int(answer.headers["content-length"]) == len(raw)
    assert not {"etag", "digest"} & set(answer.headers)
    told = encoding.decode(raw, answer.headers.get("content-encoding", "identity"))
    assert json.loads(told or b"")["resource"] == tap.url


@pytest.mark.parametrize("path", [PRM, ASM])
async def test_d23_metadata_is_kept_by_no_cache(path: str) -> None:
    plain = {"resource": f"{UP}/mcp", "authorization_servers": [f"{AS}/t"]} if path == PRM else METADATA
    known = paths() | {path: document(plain, cache_control="public, max-age=86400", expires="x", age="7")}
    async with upstream(known) as server, tapped(server) as tap:
        prm = await tap.client.get(tap.origin + PRM)
        place = tap.origin + PRM if path == PRM else f"{prm.json()['authorization_servers'][0][:-2]}{ASM}"
        answer = await tap.client.get(place)
    assert answer.headers.get_list("cache-control") == ["no-store"]
    assert not {"expires", "age"} & set(answer.headers)


# --- up


async def test_u1_host_and_sni_are_the_servers() -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("mcp.test").configure_cert(context)
    names: list[str | None] = []
    context.sni_callback = lambda _socket, name, _context: names.append(name)
    async with upstream({"/mcp": said(200)}, context) as server, tapped(server, insecure=True) as tap:
        await tap.client.get(tap.url)
    assert names == ["mcp.test"]
    assert server.came[0].headers["host"] == "mcp.test"


def test_u2_nothing_says_that_we_were_there(signed_in: SignedIn) -> None:
    _, server, _ = signed_in
    known = {"host", "accept", "accept-encoding", "connection", "user-agent", "content-length", "content-type"}
    assert {name for one in server.came for name in one.headers} <= known


@pytest.mark.parametrize(
    ("sent", "arrives"), [("HERE", UP), ("http://localhost:6274", "http://localhost:6274"), ("null", "null")]
)
async def test_u3_origin_and_referer_where_they_name_us(sent: str, arrives: str) -> None:
    async with upstream(paths()) as server, tapped(server) as tap:
        origin = sent.replace("HERE", tap.origin)
        await tap.client.get(tap.url, headers={"Origin": origin, "Referer": f"{origin}/page?x=1"})
    assert server.came[0].headers["origin"] == arrives
    assert server.came[0].headers["referer"] == f"{arrives}/page?x=1"


@pytest.mark.parametrize("shape", ["", "/", "/mcp", "/mcp/"])
@pytest.mark.parametrize("leg", ["authorize", "token", "refresh", "par", "device"])
async def test_u4_the_resource_on_every_leg_in_its_shape(leg: str, shape: str) -> None:
    async with upstream(paths()) as server, tapped(server) as tap:
        metadata = await discovered(tap)
        value = tap.origin + shape
        if leg == "authorize":
            query = f"response_type=code&client_id=x&resource={quote(value, safe='')}&resource={AS}/2"
            answer = await tap.client.get(f"{metadata['authorization_endpoint']}?{query}")
            given = parse_qs(urlsplit(answer.headers["location"]).query)
        else:
            name = {"par": "pushed_authorization_request", "device": "device_authorization"}.get(leg, "token")
            grant = {"refresh": "refresh_token", "token": "authorization_code"}
            form = {"grant_type": grant[leg]} if leg in grant else {"client_id": "x"}
            await tap.client.post(metadata[f"{name}_endpoint"], data={**form, "resource": [value, f"{AS}/2"]})
            given = parse_qs(server.came[-1].body.decode())
    assert given["resource"] == [UP + shape, f"{AS}/2"]


def test_u5_the_redirect_uri_is_one_at_all_three(signed_in: SignedIn) -> None:
    got, server, tap = signed_in
    at_authorize = parse_qs(urlsplit(got["authorize"]).query)["redirect_uri"]
    assert at_authorize == json.loads(came(server, "/register").body)["redirect_uris"]
    assert parse_qs(came(server, "/token").body.decode())["redirect_uri"] == at_authorize
    assert at_authorize == [f"http://127.0.0.1:{tap.addon.relay.port}/callback"]


async def test_u6_a_client_id_that_is_a_url_is_never_touched() -> None:
    async with upstream(paths()) as server, tapped(server) as tap:
        metadata = await discovered(tap)
        document_of_client = f"{tap.origin}/client.json"  # even where it looks like ours: the server fetches it
        await tap.client.post(metadata["token_endpoint"], data={"grant_type": "x", "client_id": document_of_client})
    assert parse_qs(server.came[-1].body.decode())["client_id"] == [document_of_client]


@pytest.mark.parametrize(
    ("row", "name", "value"),
    [
        ("U7", "client_assertion", JWT),
        ("U9", "request", JWT),
        ("U9", "request_uri", "urn:ietf:params:oauth:request_uri:1"),
        ("U9", "software_statement", JWT),
        ("U10", "login_hint", "me+x@example.com"),
        ("U14", "code_verifier", "v-._~" * 9),
        ("U14", "state", "a b/+%=&é"),
        ("U14", "code", "c/+="),
    ],
)
async def test_u7_u9_u10_u14_what_passes_byte_for_byte(row: str, name: str, value: str) -> None:
    async with upstream(paths()) as server, tapped(server) as tap:
        metadata = await discovered(tap)
        body = f"a=1&{name}={quote(value)}&resource={quote(tap.url, safe='')}"
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        await tap.client.post(metadata["token_endpoint"], content=body, headers=form)
    assert server.came[-1].body.decode() == body.replace(quote(tap.url, safe=""), quote(f"{UP}/mcp", safe=""))
    said_of_it = [note for note in tap.notes if "oauthtap run" in note]
    assert len(said_of_it) == (row == "U7")


async def test_u8_a_dpop_proof_passes_and_is_said() -> None:
    async with upstream(paths()) as server, tapped(server) as tap:
        await tap.client.post(tap.url, headers={"DPoP": JWT})
        await tap.client.post(tap.url, headers={"DPoP": JWT})
    assert [one.headers["dpop"] for one in server.came] == [JWT, JWT]
    assert len([note for note in tap.notes if "DPoP" in note]) == 1


@pytest.mark.parametrize("there", [f"{THIRD}/mcp", f"{AS}/elsewhere"])
async def test_u11_a_token_does_not_follow_a_redirect_to_another_server(there: str) -> None:
    """To a client `localhost:1` and `localhost:2` may be one host; `mcp.test` and `third.test` never are."""
    path = there[there.index("/", 8) :]
    moved = {"/mcp": lines(307, ("Location", there))}
    async with upstream(paths() | moved) as server, tapped(server) as tap:
        await discovered(tap)
        told = (await tap.client.post(tap.url, headers={"Authorization": "Bearer at_0123456789"})).headers["location"]
        # It keeps the token, as a client does that takes both for one host.
        server.came.clear()
        await tap.client.post(told, headers={"Authorization": "Bearer at_0123456789"})
    if path != "/mcp":  # else the small server here, which is all hosts at once, redirects again
        assert server.came[0].target == path
    assert "authorization" not in server.came[0].headers


async def test_u11_a_token_for_the_server_that_is_asked_passes() -> None:
    async with upstream(paths() | {"/mcp": lines(307, ("Location", f"{UP}/mcp/"))}) as server, tapped(server) as tap:
        metadata = await discovered(tap)
        shown = {"Authorization": "Bearer at_0123456789"}
        told = (await tap.client.post(tap.url, headers=shown)).headers["location"]
        await tap.client.post(told, headers=shown)
        await tap.client.get(metadata["userinfo_endpoint"], headers=shown)
    assert [one.headers["authorization"] for one in server.came[-3:]] == ["Bearer at_0123456789"] * 3


async def test_u12_credentials_pass_and_are_in_no_recording() -> None:
    basic = "Basic Y2xpZW50LTE6c2VjcmV0XzAxMjM0NTY3ODk="
    async with upstream(paths()) as server, tapped(server) as tap:
        metadata = await discovered(tap)
        form = {"grant_type": "authorization_code", "code": "x", "client_secret": "secret_0123456789"}
        await tap.client.post(metadata["token_endpoint"], data=form, headers={"Authorization": basic})
    assert server.came[-1].headers["authorization"] == basic
    assert "secret_0123456789" in server.came[-1].body.decode()
    recorded = "\n".join(exchange.model_dump_json() for exchange in tap.exchanges)
    assert "secret_0123456789" not in recorded
    assert basic.partition(" ")[2] not in recorded


@pytest.mark.parametrize(
    "path",
    [
        "/.well-known/oauth-authorization-server/t%2Fu/v",
        "/t/.well-known/openid-configuration",
        "/.well-known/oauth-x?a=%20b",
    ],
)
async def test_u13_well_known_paths_are_asked_for_one_to_one(path: str) -> None:
    async with upstream(paths()) as server, tapped(server) as tap:
        await discovered(tap)
        await tap.client.get(tap.listeners[AS] + path)
    assert server.came[-1].target == path
    assert server.came[-1].headers["host"] == "as.test"


def test_no_row_is_missing() -> None:
    tests = [name for name in vars(sys.modules[__name__]) if name.startswith("test_")]
    tested = {row for name in tests for row in re.findall(r"(?<=_)[du]\d+(?=_)", name)}
    assert tested == {*(f"d{n}" for n in range(1, 24)), *(f"u{n}" for n in range(1, 15))}
