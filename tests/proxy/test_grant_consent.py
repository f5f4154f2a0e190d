"""A stored grant in the place of consent, where the server takes pushed authorization requests only (RFC 9126)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from oauthtap.grants.grant_file import Grant, GrantFile, new_key
from oauthtap.proxy.grant_consent import NOT_PUSHED, TOLD
from tests.support.tapped import Came, Tapped, Upstream, document, tapped, upstream

AS = "http://mcp.test"
BACK = "http://localhost:50123/callback"
HANDLE = "urn:ietf:params:oauth:request_uri:made-up-1"
ASKED = {"response_type": "code", "client_id": "c1", "redirect_uri": BACK, "state": "s1", "code_challenge": "x"}
METADATA = {
    "issuer": AS,
    "authorization_endpoint": f"{AS}/authorize",
    "token_endpoint": f"{AS}/token",
    "registration_endpoint": f"{AS}/register",
    "pushed_authorization_request_endpoint": f"{AS}/par",
    "require_pushed_authorization_requests": True,
    "authorization_response_iss_parameter_supported": True,
}
PATHS = {
    "/.well-known/oauth-authorization-server": document(METADATA),
    "/register": document({"client_id": "c1", "redirect_uris": [BACK]}, 201),
    "/par": document({"request_uri": HANDLE, "expires_in": 60}, 201),
    "/token": document({"access_token": "at-2", "token_type": "Bearer", "refresh_token": "rt-2"}),
}


@asynccontextmanager
async def registered(folder: Path, **flags: Any) -> AsyncIterator[tuple[Upstream, Tapped, GrantFile]]:
    """A tap with a grant, through which a client has read the metadata and registered."""
    file = GrantFile(folder / "g", new_key())
    file.create(Grant(url=f"{AS}/mcp", token_endpoint=f"{AS}/token", client={"client_id": "c0"}, refresh_token="rt-1"))
    async with upstream(PATHS) as server, tapped(server, grant=file, **flags) as tap:
        await tap.client.get(f"{tap.origin}/.well-known/oauth-authorization-server")
        await tap.client.post(f"{tap.origin}/register", json={"redirect_uris": [BACK]})
        yield server, tap, file


async def opened(tap: Tapped, **asked: str) -> str:
    """Where the browser is sent with this authorization request."""
    return (await tap.client.get(f"{tap.origin}/authorize", params=asked)).headers["location"]


def form(came: Came) -> dict[str, str]:
    return dict(parse_qsl(came.body.decode()))


async def test_the_grant_stands_in_for_a_pushed_request_and_the_server_has_judged_it(tmp_path: Path) -> None:
    async with registered(tmp_path) as (server, tap, file):
        pushed = await tap.client.post(f"{tap.origin}/par", data=ASKED)
        assert (pushed.status_code, pushed.json()["request_uri"]) == (201, HANDLE)
        asked = form(server.came[-1])
        assert asked | {"redirect_uri": BACK} == ASKED
        ours = await opened(tap, client_id="c1", request_uri=HANDLE)
        assert ours.partition("?")[0] == asked["redirect_uri"], "the redirect URI that the server was sent"
        back = (await tap.client.get(ours)).headers["location"]
        came = dict(parse_qsl(urlsplit(back).query))
        assert (back.partition("?")[0], came["state"], came["iss"]) == (BACK, "s1", tap.origin)
        redeemed = {"grant_type": "authorization_code", "client_id": "c1", "redirect_uri": BACK, "code": came["code"]}
        answer = await tap.client.post(f"{tap.origin}/token", data=redeemed)
        assert answer.json() == {"access_token": "at-2", "token_type": "Bearer"}
        assert form(server.came[-1]) == {"grant_type": "refresh_token", "refresh_token": "rt-1", "client_id": "c0"}
        assert file.read().refresh_token == "rt-2"
        assert TOLD.sentence in tap.notes
        assert NOT_PUSHED.sentence not in tap.notes


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(ASKED, id="it was not pushed"),
        pytest.param({"client_id": "c1", "request_uri": f"{HANDLE}-other"}, id="a handle that nobody got"),
        pytest.param({"client_id": "c2", "request_uri": HANDLE}, id="the handle of another client"),
    ],
)
async def test_what_the_server_would_refuse_goes_to_the_server(tmp_path: Path, asked: dict[str, str]) -> None:
    async with registered(tmp_path) as (_, tap, file):
        await tap.client.post(f"{tap.origin}/par", data=ASKED)
        there = await opened(tap, **asked)
        assert there.partition("?")[0] == f"{AS}/authorize"
        assert file.read().refresh_token == "rt-1"
        assert (NOT_PUSHED.sentence in tap.notes) == ("request_uri" not in asked)


async def test_where_the_answer_does_not_come_by_us_again_its_issuer_is_the_one_the_client_knows(
    tmp_path: Path,
) -> None:
    async with registered(tmp_path, callback="direct") as (server, tap, _):
        await tap.client.post(f"{tap.origin}/par", data=ASKED)
        assert form(server.came[-1]) == ASKED
        back = await opened(tap, client_id="c1", request_uri=HANDLE)
        came = dict(parse_qsl(urlsplit(back).query))
        assert (back.partition("?")[0], came["state"], came["iss"]) == (BACK, "s1", tap.origin)


async def test_a_pushed_request_is_answered_once(tmp_path: Path) -> None:
    async with registered(tmp_path) as (_, tap, _):
        await tap.client.post(f"{tap.origin}/par", content=urlencode(ASKED), headers={
            "Content-Type": "application/x-www-form-urlencoded"})  # fmt: skip
        first = await opened(tap, client_id="c1", request_uri=HANDLE)
        second = await opened(tap, client_id="c1", request_uri=HANDLE)
        assert (urlsplit(first).path, second.partition("?")[0]) == ("/callback", f"{AS}/authorize")
