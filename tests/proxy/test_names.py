"""A sign-in through a running tap, request by request: who sees which names."""

from __future__ import annotations

import contextlib
import json
from urllib.parse import parse_qs, quote, urlsplit

import httpx

from tests.support.tapped import Came, Tapped, Upstream, document, said, tapped, upstream

PRM = "/.well-known/oauth-protected-resource/mcp"
ASM = "/.well-known/oauth-authorization-server/tenant"
ISSUER = "http://as.test/tenant"
SERVER = {
    "issuer": ISSUER,
    "authorization_endpoint": "http://as.test/authorize?tenant=1",
    "token_endpoint": "http://tokens.test/token",
    "registration_endpoint": "http://as.test/register",
    "jwks_uri": "http://keys.test/jwks",
    "code_challenge_methods_supported": ["S256"],
    "authorization_response_iss_parameter_supported": True,
}
CALLBACK = "http://127.0.0.1:33111/callback"


def paths() -> dict[str, object]:
    return {
        "/mcp": said(401, www_authenticate=f'Bearer resource_metadata="http://mcp.test{PRM}"'),
        PRM: document({"resource": "http://mcp.test/mcp", "authorization_servers": [ISSUER]}, etag='"1"'),
        ASM: document(SERVER, cache_control="max-age=3600"),
        "/register": echo_registration,
        "/token": document({"access_token": "tok_aaaaaaaaaaaaaaaa", "token_type": "Bearer", "expires_in": 60}),
    }


async def echo_registration(came: Came, writer: object) -> None:
    asked = json.loads(came.body)
    management = "http://as.test/register/client-7"
    await document({"client_id": "client-7", "registration_client_uri": management, **asked}, 201)(came, writer)


async def discovered(tap: Tapped) -> dict[str, object]:
    """Walk to the authorization server's metadata, as a client does, and give it."""
    challenge = (await tap.client.post(tap.url)).headers["www-authenticate"]
    prm = (await tap.client.get(challenge.split('"')[1])).json()
    issuer = urlsplit(prm["authorization_servers"][0])
    where = f"{issuer.scheme}://{issuer.netloc}/.well-known/oauth-authorization-server{issuer.path}"
    return dict((await tap.client.get(where)).json())


async def sign_in(tap: Tapped, server: Upstream) -> str:
    """The whole walk; gives the URL that the client's own callback was opened with."""
    metadata = await discovered(tap)
    wanted = {"client_name": "t", "redirect_uris": [CALLBACK]}
    registered = (await tap.client.post(str(metadata["registration_endpoint"]), json=wanted)).json()
    assert registered["redirect_uris"] == [CALLBACK]
    asking = f"response_type=code&client_id=client-7&redirect_uri={quote(CALLBACK, safe='')}&state=s1"
    asking += f"&code_challenge=c&code_challenge_method=S256&resource={quote(tap.url, safe='')}"
    sent = await tap.client.get(f"{metadata['authorization_endpoint']}&{asking}")
    assert sent.status_code == 302
    there = sent.headers["location"]
    assert there.startswith("http://as.test/authorize?tenant=1&")
    given = parse_qs(urlsplit(there).query)
    assert given["resource"] == ["http://mcp.test/mcp"]
    back = await tap.client.get(
        f"{given['redirect_uri'][0]}?code=code_bbbbbbbbbbbb&state=s1&iss={quote(ISSUER, safe='')}"
    )
    form = {"grant_type": "authorization_code", "code": "code_bbbbbbbbbbbb", "redirect_uri": CALLBACK}
    await tap.client.post(str(metadata["token_endpoint"]), data={**form, "client_id": "client-7", "resource": tap.url})
    assert parse_qs(server.came[-1].body.decode())["redirect_uri"] == given["redirect_uri"]
    return str(back.headers["location"])


async def test_mitmweb_names_the_upstream_also_where_it_was_not_asked() -> None:
    """The authorization request is only sent on to the real place, by the browser; the list goes by the Host header."""
    async with upstream(paths()) as server, tapped(server) as tap:
        await sign_in(tap, server)
        shown = [urlsplit(flow.request.pretty_url) for flow in tap.flows]
    assert [url.netloc for url in shown if url.path == "/authorize"] == ["as.test"]
    assert {url.netloc for url in shown if "callback" not in url.path} == {"mcp.test", "as.test", "tokens.test"}


async def test_a_whole_sign_in_goes_through() -> None:
    async with upstream(paths()) as server, tapped(server) as tap:
        callback = await sign_in(tap, server)
        told = (await discovered(tap))["issuer"]
    assert callback.startswith(f"{CALLBACK}?code=code_bbbbbbbbbbbb&state=s1&iss=")
    assert parse_qs(urlsplit(callback).query)["iss"] == [told]


async def test_no_local_name_leaves_to_an_upstream() -> None:
    async with upstream(paths()) as server, tapped(server) as tap:
        await sign_in(tap, server)
        ours = {urlsplit(local).port for local in [tap.origin, *tap.listeners.values()]}
        relay = tap.addon.relay.port
    everything = "\n".join(came.text for came in server.came)
    assert not [port for port in ours if f":{port}" in everything or f"%3A{port}" in everything]
    # Our callback is meant to be known there: it is what the browser comes back to.
    assert f":{relay}/callback" in everything


async def test_what_is_judged_is_in_upstream_names_with_the_clients_own_callback() -> None:
    async with upstream(paths()) as server, tapped(server) as tap:
        await sign_in(tap, server)
        local = [str(urlsplit(name).port) for name in [tap.origin, *tap.listeners.values()]] + [
            str(tap.addon.relay.port)
        ]
        exchanges = tap.exchanges
    stages = [step.stage for step in tap.steps]
    assert stages == [
        "mcp-challenge", "prm-discovery", "as-discovery", "client-registration", "authorization-request",
        "authorization-response", "token-request",
    ]  # fmt: skip
    text = "\n".join(exchange.model_dump_json() for exchange in exchanges)
    assert not [port for port in local if f":{port}" in text or f"%3A{port}" in text]
    assert exchanges[0].request.header("host") == "mcp.test"
    assert exchanges[3].request.json_object["redirect_uris"] == [CALLBACK]
    assert exchanges[3].response is not None
    assert exchanges[3].response.json_object["redirect_uris"] == [CALLBACK]
    assert exchanges[5].request.url.startswith(CALLBACK)
    assert dict(exchanges[5].request.query)["iss"] == ISSUER
    assert dict(exchanges[6].request.form)["redirect_uri"] == CALLBACK


async def test_every_named_origin_answers_before_the_document_that_names_it_is_released() -> None:
    async with upstream(paths()) as server, tapped(server) as tap:
        metadata = await discovered(tap)
        for member in ("token_endpoint", "registration_endpoint"):
            assert str(metadata[member]).startswith("http://localhost:")
            with contextlib.suppress(httpx.RemoteProtocolError):  # the listener is there; this upstream hangs up
                await tap.client.get(str(metadata[member]))
        assert set(tap.listeners) == {"http://as.test", "http://tokens.test"}
        # Nobody in a sign-in asks for the keys, so no port stands for them.
        assert metadata["jwks_uri"] == "http://keys.test/jwks"


async def test_the_client_is_answered_under_the_name_it_used() -> None:
    async with upstream(paths()) as server, tapped(server) as tap:
        by_number = tap.url.replace("localhost", "127.0.0.1")
        challenge = (await tap.client.post(by_number)).headers["www-authenticate"]
        assert challenge == f'Bearer resource_metadata="{by_number.removesuffix("/mcp")}{PRM}"'
        prm = (await tap.client.get(challenge.split('"')[1])).json()
    assert prm["resource"] == by_number
    assert prm["authorization_servers"][0].startswith("http://127.0.0.1:")


async def test_renamed_metadata_is_not_to_be_kept_by_a_cache() -> None:
    async with upstream(paths()) as server, tapped(server) as tap:
        answer = await tap.client.get(tap.origin + PRM)
        judged = tap.exchanges[-1].response
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers
    assert judged is not None
    assert judged.header("etag") == '"1"'


async def test_a_registration_of_the_last_run_still_goes_with_our_callback() -> None:
    import tempfile
    from pathlib import Path

    with tempfile.TemporaryDirectory() as folder:
        async with upstream(paths()) as server:
            async with tapped(server, state=Path(folder)) as tap:
                await sign_in(tap, server)
                first, port = dict(tap.listeners), tap.settings.port
            async with tapped(server, state=Path(folder), port=port) as tap:
                metadata = await discovered(tap)
                asking = f"response_type=code&client_id=client-7&redirect_uri={quote(CALLBACK, safe='')}"
                there = (await tap.client.get(f"{metadata['authorization_endpoint']}&{asking}")).headers["location"]
                assert tap.listeners == first
                assert parse_qs(urlsplit(there).query)["redirect_uri"] == [
                    f"http://127.0.0.1:{tap.addon.relay.port}/callback"
                ]


async def test_a_client_id_that_never_registered_here_keeps_its_callback() -> None:
    async with upstream(paths()) as server, tapped(server) as tap:
        metadata = await discovered(tap)
        asking = f"response_type=code&client_id=other&redirect_uri={quote(CALLBACK, safe='')}"
        there = (await tap.client.get(f"{metadata['authorization_endpoint']}&{asking}")).headers["location"]
    assert parse_qs(urlsplit(there).query)["redirect_uri"] == [CALLBACK]
    assert "did not register through oauthtap" in " ".join(tap.notes)


async def test_where_the_client_has_to_compare_the_issuer_its_answer_comes_by_us_all_the_same() -> None:
    async with upstream(paths()) as server, tapped(server) as tap:
        await tap.client.post(tap.url, headers={"MCP-Protocol-Version": "2026-07-28"})
        metadata = await discovered(tap)
        asking = f"response_type=code&client_id=other&redirect_uri={quote(CALLBACK, safe='')}&state=s"
        there = (await tap.client.get(f"{metadata['authorization_endpoint']}&{asking}")).headers["location"]
        ours = parse_qs(urlsplit(there).query)["redirect_uri"][0]
        back = (await tap.client.get(f"{ours}?code=c&state=s&iss={quote(ISSUER, safe='')}")).headers["location"]
    assert back.startswith(f"{CALLBACK}?code=c&state=s&iss=")
    assert parse_qs(urlsplit(back).query)["iss"] == [metadata["issuer"]]
    assert f"{ours} stands in for its callback" in " ".join(tap.notes)


async def test_a_callback_without_state_still_finds_its_client() -> None:
    async with upstream(paths()) as server, tapped(server, callback="relay") as tap:
        metadata = await discovered(tap)
        asking = f"response_type=code&client_id=any&redirect_uri={quote(CALLBACK, safe='')}&state=gone"
        there = (await tap.client.get(f"{metadata['authorization_endpoint']}&{asking}")).headers["location"]
        ours = parse_qs(urlsplit(there).query)["redirect_uri"][0]
        back = await tap.client.get(f"{ours}?error=access_denied")
    assert back.headers["location"] == f"{CALLBACK}?error=access_denied"
    assert tap.flows[-1].request.pretty_url == f"{CALLBACK}?error=access_denied", "mitmweb shows the client's own port"


async def test_a_callback_nobody_waits_for_is_a_404() -> None:
    async with upstream(paths()) as server, tapped(server) as tap:
        answer = await tap.client.get(f"http://localhost:{tap.addon.relay.port}/callback?code=x")
        assert answer.status_code == 404
        assert tap.steps == []


async def test_a_guessed_authorization_endpoint_shows_the_upstreams_own_404() -> None:
    async with upstream({}) as server, tapped(server) as tap:
        answer = await tap.client.get(f"{tap.origin}/authorize?response_type=code&client_id=x&state=s")
    assert answer.status_code == 404
    assert tap.exchanges[0].status == 404


async def test_a_guessed_authorization_endpoint_that_exists_is_opened_at_its_real_place() -> None:
    page = said(200, "<h1>Log in</h1>", content_type="text/html")
    async with upstream({"/authorize": page}) as server, tapped(server) as tap:
        answer = await tap.client.get(f"{tap.origin}/authorize?response_type=code&client_id=x&state=s")
    assert answer.status_code == 302
    assert answer.headers["location"] == "http://mcp.test/authorize?response_type=code&client_id=x&state=s"
    assert tap.exchanges[0].status == 200
