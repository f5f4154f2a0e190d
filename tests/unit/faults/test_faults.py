"""Each injected fault changes exactly what it says, once, and no finding is blamed for it on client or server."""

from __future__ import annotations

import json
import re
import string
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from oauthtap import session
from oauthtap.cli import main
from oauthtap.cli.options.inject import explained, parse_fault, unused_faults_notice
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.faults.injector import FaultInjector, altered_callback_url, answered
from oauthtap.faults.model import Fault, injections, named
from oauthtap.formats import loader
from oauthtap.model.exchange import Exchange, Request, Response
from oauthtap.report.build import build
from oauthtap.report.model import Report
from tests import injected
from tests.support.tapped import Answer, Upstream, document, free_port, said, tapped, upstream

NAMES = [one.name for one in injections()]
ORIGIN = "http://mcp.test"
CHALLENGE = f'Bearer resource_metadata="{ORIGIN}/.well-known/oauth-protected-resource/mcp", scope="mcp:read"'
CALLBACK = "http://localhost:33418/callback"
one_loop = pytest.mark.asyncio(loop_scope="module")
LINES = st.text(string.ascii_letters + string.digits + " ;=/.", max_size=20).map(str.strip)


def fault(name: str) -> Fault:
    found = named(name)
    assert found
    return found


# --- a server, and a client that does the same twice


def server_answers() -> dict[str, Answer]:
    async def mcp(came: Any, writer: Any) -> None:
        if "authorization" not in came.headers:
            await said(401, "{}", content_type="application/json", www_authenticate=CHALLENGE)(came, writer)
            return
        reply = json.dumps({"jsonrpc": "2.0", "id": json.loads(came.body)["id"], "result": {"tools": []}})
        await said(200, f"event: message\ndata: {reply}\n\n", content_type="text/event-stream")(came, writer)

    resource = {
        "resource": f"{ORIGIN}/mcp",
        "authorization_servers": [ORIGIN],
        "scopes_supported": ["mcp:read", "mcp:all"],
    }
    metadata = {
        "issuer": ORIGIN, "authorization_endpoint": f"{ORIGIN}/authorize", "token_endpoint": f"{ORIGIN}/token",
        "registration_endpoint": f"{ORIGIN}/register", "response_types_supported": ["code"],
        "authorization_response_iss_parameter_supported": True, "code_challenge_methods_supported": ["S256"],
    }  # fmt: skip
    tokens = {"access_token": "the-access-token-1", "token_type": "Bearer", "expires_in": 3600}
    tokens |= {"refresh_token": "the-refresh-token-1", "scope": "mcp:read"}
    client = {"client_id": "the-client", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"}
    return {
        "/mcp": mcp,
        "/.well-known/oauth-protected-resource/mcp": document(resource),
        "/.well-known/oauth-authorization-server": document(metadata),
        "/register": document(client, 201),
        "/token": document(tokens, cache_control="no-store"),
    }


STEPS = ("challenge", "prm", "as", "register", "authorize", "callback", "token", "initialize", "list", "refresh")
PLACE = {
    "no-challenge": "challenge", "prm-404": "prm", "resource-mismatch": "prm", "html-metadata": "as", "no-pkce": "as",
    "registration-refused": "register", "unknown-client": "authorize", "access-denied": "callback",
    "drop-state": "callback", "wrong-iss": "callback", "stale-client": "token", "slow-token": "token",
    "revoke-refresh": "refresh", "expired-token": "list", "step-up": "list", "server-error": "list",
    "broken-stream": "list",
}  # fmt: skip
"""The step that each fault meets."""


@dataclass(frozen=True)
class Got:
    """One answer, as the client got it: every header line, every byte."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    broken: bool = False

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    def without(self, *names: str) -> tuple[tuple[str, str], ...]:
        """The other header lines."""
        return tuple(line for line in self.headers if line[0].lower() not in names)


async def walked(client: httpx.AsyncClient, url: str) -> dict[str, Got]:
    """Every step of a sign-in, each request the same every time whatever was answered before."""
    local = url.removesuffix("/mcp")
    got: dict[str, Got] = {}

    async def ask(step: str, method: str, where: str, **how: Any) -> Got:
        async with client.stream(method, where, **how) as answer:
            pieces, broken = [], False
            try:
                async for piece in answer.aiter_raw():
                    pieces.append(piece)
            except httpx.HTTPError:
                broken = True
        lines = tuple((name.decode(), value.decode()) for name, value in answer.headers.raw)
        got[step] = Got(answer.status_code, lines, b"".join(pieces), broken)
        return got[step]

    def rpc(number: int, method: str) -> dict[str, Any]:
        return {"json": {"jsonrpc": "2.0", "id": number, "method": method, "params": {}}}

    token = {"headers": {"Authorization": "Bearer the-access-token-1", "Accept": "application/json, text/event-stream"}}
    await ask("challenge", "POST", url, **rpc(0, "initialize"))
    await ask("prm", "GET", f"{local}/.well-known/oauth-protected-resource/mcp")
    await ask("as", "GET", f"{local}/.well-known/oauth-authorization-server")
    await ask("register", "POST", f"{local}/register", json={"redirect_uris": [CALLBACK], "client_name": "x"})
    asked = {"response_type": "code", "client_id": "the-client", "redirect_uri": CALLBACK, "state": "the-state"}
    sent = await ask("authorize", "GET", f"{local}/authorize?{urlencode(asked)}")
    back = parse_qs(urlsplit(sent.header("location") or "").query).get("redirect_uri", [CALLBACK])[0]
    brought_back = urlencode({"code": "the-code-1", "state": "the-state", "iss": ORIGIN})
    if back != CALLBACK:
        await ask("callback", "GET", f"{back}?{brought_back}", headers={"Accept": "text/html"})
    redeemed = {"grant_type": "authorization_code", "code": "the-code-1", "client_id": "the-client"}
    await ask("token", "POST", f"{local}/token", data=redeemed | {"redirect_uri": CALLBACK, "code_verifier": "v" * 43})
    await ask("initialize", "POST", url, **rpc(1, "initialize"), **token)
    await ask("list", "POST", url, **rpc(2, "tools/list"), **token)
    refreshed = {"grant_type": "refresh_token", "refresh_token": "the-refresh-token-1", "client_id": "the-client"}
    await ask("refresh", "POST", f"{local}/token", data=refreshed)
    return got


@dataclass(frozen=True)
class Walked:
    """Two walks through one tap."""

    first: dict[str, Got]
    second: dict[str, Got]
    came: list[tuple[str, str, bytes]]
    """What reached the server."""
    exchanges: list[Exchange]
    report: Report
    left: tuple[str, ...]


async def twice(server: Upstream, port: int, state: Path, *faults: Fault) -> Walked:
    server.came.clear()
    injecting = FaultInjector(list(faults))
    async with tapped(server, port=port, state=state, injecting=injecting) as tap:
        one = await walked(tap.client, tap.url)
        two = await walked(tap.client, tap.url)
        await tap.ended()
        report = build(tap.tap)
    came = [(one.method, one.target, one.body) for one in server.came]
    steps = {step.exchange.id: step.exchange for step in [*tap.tap.steps, *tap.steps]}
    left = tuple(one.name for one in injecting.pending)
    return Walked(one, two, came, [steps[number] for number in sorted(steps)], report, left)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Upstream, int, Path, Walked]]:
    """The server, the tap's port and folder, and the walks when nothing is injected."""
    state, port = tmp_path_factory.mktemp("state"), free_port()
    async with upstream(server_answers()) as server:
        yield server, port, state, await twice(server, port, state)


def test_every_fault_has_its_place_in_the_walk() -> None:
    assert set(PLACE) == set(NAMES)
    assert set(PLACE.values()) < set(STEPS)


# --- exactly that, exactly once


def expected(name: str, step: str, before: Got, local: str) -> Got:
    """What the client is to get at the place of the fault, given what it gets without."""
    body, headers = before.body, dict(before.headers)
    text = before.body.decode()
    location = headers.get("location") or headers.get("Location") or ""
    own = {"no-challenge": replace(before, headers=before.without("www-authenticate"))}
    if name in own:
        return own[name]
    if step == "callback":
        params = parse_qs(urlsplit(location).query)
        code, state, iss = f"code={params['code'][0]}", f"state={params['state'][0]}", location.rpartition("&")[2]
        url = location.partition("?")[0]
        query = {
            "access-denied": f"{state}&{iss}&error=access_denied&error_description=the%20person%20said%20no",
            "drop-state": f"{code}&{iss}",
            "wrong-iss": f"{code}&{state}&iss=https%3A%2F%2Fother-issuer.example",
        }[name]
        return replace(
            before, headers=tuple((n, f"{url}?{query}" if n.lower() == "location" else v) for n, v in before.headers)
        )
    if name == "resource-mismatch":
        body = text.replace(f'"resource": "{local}/mcp"', '"resource": "https://elsewhere.example/mcp"').encode()
    elif name == "no-pkce":
        body = text.replace(', "code_challenge_methods_supported": ["S256"]', "").encode()
    elif name == "html-metadata":
        body = b"<!doctype html><title>App</title><div id=root></div>"
    elif name == "prm-404":
        body = b"Not Found"
    elif name == "broken-stream":
        return replace(
            before,
            body=body[: body.index(b"data:") + 5 + len(body.split(b"data:")[1].split(b"\n")[0]) // 2],
            broken=True,
        )
    return replace(before, body=body)


FRAMING = ("content-length", "transfer-encoding", "content-type", "cache-control", "pragma", "etag", "last-modified")
"""Header lines that have to follow the body."""


@one_loop
@pytest.mark.parametrize("name", NAMES)
async def test_a_fault_changes_its_own_exchange_and_not_a_byte_of_any_other(
    place: tuple[Upstream, int, Path, Walked], name: str
) -> None:
    server, port, state, plain = place
    one = fault(name).model_copy(update={"value": "0.3"}) if name == "slow-token" else fault(name)
    walks = await twice(server, port, state, one)
    step, local = PLACE[name], f"http://localhost:{port}"
    assert walks.left == ()
    assert walks.second == plain.second, "the second time everything passes untouched"
    gone = {step, "callback"} if name == "unknown-client" else {step}  # no page, no way back
    assert {k: v for k, v in walks.first.items() if k not in gone} == {
        k: v for k, v in plain.first.items() if k not in gone
    }
    assert [exchange.injected_fault for exchange in walks.exchanges].count(name) == 1
    assert {exchange.injected_fault for exchange in walks.exchanges} == {None, name}
    got, before = walks.first[step], plain.first[step]
    if not one.instead:
        wanted = expected(name, step, before, local)
        assert (got.body, got.broken) == (wanted.body, wanted.broken)
        assert got.status == (404 if name == "prm-404" else before.status)
        assert got.without(*FRAMING) == wanted.without(*FRAMING)
        assert name == "slow-token" or got != before
        assert walks.came == plain.came, "what the server hears stays as it was"
    else:
        missing = [entry for entry in plain.came if plain.came.count(entry) != walks.came.count(entry)]
        assert len(plain.came) - len(walks.came) == (0 if step == "authorize" else 1)
        assert len(set(missing)) <= 1


INSTEAD = {
    "registration-refused": (400, {"error": "invalid_client_metadata", "error_description": "registration is closed"}),
    "stale-client": (401, {"error": "invalid_client", "error_description": "this client is not known"}),
    "revoke-refresh": (400, {"error": "invalid_grant", "error_description": "the refresh token was revoked"}),
}


@one_loop
@pytest.mark.parametrize("name", [name for name in NAMES if fault(name).instead])
async def test_what_stands_in_place_of_an_answer_is_what_the_spec_has_for_it(
    place: tuple[Upstream, int, Path, Walked], name: str
) -> None:
    server, port, state, _ = place
    walks = await twice(server, port, state, fault(name))
    got = walks.first[PLACE[name]]
    metadata = f'resource_metadata="http://localhost:{port}/.well-known/oauth-protected-resource/mcp"'
    if name in INSTEAD:
        assert (got.status, json.loads(got.body)) == INSTEAD[name]
        assert got.header("content-type") == "application/json"
        assert got.header("cache-control") == "no-store"
    elif name == "expired-token":
        wanted = f'Bearer error="invalid_token", error_description="The access token expired", {metadata}'
        assert (got.status, got.body, got.header("www-authenticate")) == (401, b"", wanted)
    elif name == "step-up":
        wanted = 'Bearer error="insufficient_scope", scope="mcp:all", error_description="More permission is needed"'
        assert (got.status, got.body, got.header("www-authenticate")) == (403, b"", f"{wanted}, {metadata}")
    elif name == "server-error":
        assert (got.status, got.body) == (500, b"Internal Server Error")
    else:
        assert (got.status, got.header("content-type")) == (400, "text/html; charset=utf-8")


@one_loop
@pytest.mark.parametrize("name", NAMES)
async def test_no_fault_is_laid_on_anybody(place: tuple[Upstream, int, Path, Walked], name: str) -> None:
    server, port, state, plain = place
    one = fault(name).model_copy(update={"value": "0.3"}) if name == "slow-token" else fault(name)
    report = (await twice(server, port, state, one)).report
    assert [(made.name, made.says) for made in report.injected_faults] == [(name, one.says)]
    assert report.cause is None
    before = {(finding.rule, finding.severity) for finding in plain.report.findings}
    new = [f for f in report.findings if f.severity != "note" and (f.rule, f.severity) not in before]
    assert new == []


@one_loop
async def test_two_faults_take_an_exchange_each(place: tuple[Upstream, int, Path, Walked]) -> None:
    server, port, state, _ = place
    walks = await twice(server, port, state, fault("server-error"), fault("expired-token"), fault("server-error"))
    assert [walk["list"].status for walk in (walks.first, walks.second)] == [500, 500]
    assert walks.second["initialize"].status == 401
    assert walks.left == ()


# --- as data


@given(
    st.dictionaries(st.text(max_size=8), st.none() | st.booleans() | st.integers() | st.text(max_size=9), max_size=6),
    st.integers(0, 3),
    st.lists(st.tuples(st.sampled_from(["X-One", "Set-Cookie", "Vary"]), LINES), max_size=4),
)
def test_of_a_document_only_the_member_goes_and_every_other_byte_stays(
    more: dict[str, Any], indent: int, headers: list[tuple[str, str]]
) -> None:
    so_far = SessionAnalyzer("https://mcp.example/mcp").handshake
    request = Request(method="GET", url="https://mcp.example/.well-known/oauth-protected-resource/mcp")
    for name, member, value in (
        ("resource-mismatch", "resource", "https://mcp.example/mcp"),
        ("no-pkce", "code_challenge_methods_supported", ["S256"]),
    ):
        there = {**more, member: value, "zzz": 1}
        text = json.dumps(there, indent=indent or None)
        before = Response(status=200, headers=tuple(headers), body=text)
        after = answered(fault(name), request, before, so_far)
        wanted = (
            {**there, member: fault(name).value}
            if fault(name).value
            else {k: v for k, v in there.items() if k != member}
        )
        assert after.json_value == wanted
        assert (after.status, after.headers) == (before.status, before.headers)
        begin, end = text.index(json.dumps(member)), text.index('"zzz"')
        assert after.body is not None
        assert after.body.startswith(text[:begin])
        assert after.body.endswith(text[end:])


@given(
    st.text(string.ascii_letters, min_size=1),
    st.dictionaries(st.text(string.ascii_letters, min_size=1), LINES, max_size=3),
)
def test_of_a_callback_only_the_named_parameters_change(code: str, more: dict[str, str]) -> None:
    mine = {k: v for k, v in more.items() if k not in ("code", "state", "iss", "error", "error_description")}
    url = f"http://localhost:1/cb?{urlencode({'code': code, 'state': 's', 'iss': 'https://as.example', **mine})}"
    pairs = Request(method="GET", url=url).query

    def after(name: str) -> tuple[tuple[str, str], ...]:
        return Request(method="GET", url=altered_callback_url(fault(name), url)).query

    assert after("drop-state") == tuple(pair for pair in pairs if pair[0] != "state")
    assert after("wrong-iss") == tuple((k, "https://other-issuer.example" if k == "iss" else v) for k, v in pairs)
    denied = tuple(pair for pair in pairs if pair[0] != "code")
    assert after("access-denied") == (*denied, ("error", "access_denied"), ("error_description", "the person said no"))


RECORDINGS = sorted((Path(__file__).parents[2] / "recordings" / "live").glob("*.har"))


@pytest.mark.parametrize("name", NAMES)
def test_a_fault_meets_no_exchange_but_of_the_stages_it_names(name: str) -> None:
    met = 0
    for path in RECORDINGS:
        tap, injecting = SessionAnalyzer(), FaultInjector([fault(name)])
        for exchange in loader.read(path).exchanges:
            bare = exchange.model_copy(update={"response": None, "error": None})
            taken = (
                injecting.instead(bare, tap)
                or injecting.match_response(exchange, tap)
                or injecting.cutting(exchange, tap)
            )
            step = tap.add(exchange if not (taken and taken.instead) else bare)
            if taken:
                met += 1
                slugs = [stage.slug for stage in step.stages]
                assert any(taken.when.asks((slug,), exchange.request) for slug in slugs), (path, exchange.id, slugs)
                break
    if fault(name).callback is None:
        assert met, "no recording has its place"


def test_a_token_just_issued_is_not_refused_before_it_worked_once() -> None:
    tap, injecting = SessionAnalyzer("https://mcp.example/mcp"), FaultInjector([fault("expired-token")])

    def asked(token: str, number: int = 1) -> Exchange:
        headers = (("Authorization", f"Bearer {token}"), ("Content-Type", "application/json"))
        body = json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/list"})
        return Exchange(request=Request(method="POST", url="https://mcp.example/mcp", headers=headers, body=body))

    issued = Response(status=200, body='{"access_token": "fresh-token-of-today", "token_type": "Bearer"}')
    form = "grant_type=authorization_code&code=the-code-of-today"
    tap.add(Exchange(request=Request(method="POST", url="https://mcp.example/token", body=form), response=issued))
    assert injecting.instead(asked("fresh-token-of-today"), tap) is None
    assert injecting.instead(asked("a-token-of-yesterday"), tap) == fault("expired-token")


def test_a_fault_does_one_thing() -> None:
    with pytest.raises(ValidationError, match="give it one of"):
        Fault.model_validate({"name": "x", "says": "", "teaches": "", "when": {}, "holds": True, "cuts": True})


# --- said


def test_the_mark_survives_in_a_session_and_gives_the_same_report(tmp_path: Path) -> None:
    request = Request(
        method="POST", url="https://mcp.example/mcp", headers=(("Authorization", "Bearer abc"),), body="{}"
    )
    shown = Response(status=401, headers=(("WWW-Authenticate", 'Bearer error="invalid_token"'),))
    tap = SessionAnalyzer("https://mcp.example/mcp")
    step = tap.add(
        Exchange(
            request=request, injected_fault="expired-token", delivered_response=shown, started_at=1.0, duration=0.0
        )
    )
    writer = session.SessionWriter(tmp_path / "s", {"upstream": "https://mcp.example/mcp"})
    writer.add(step.exchange.as_json())
    writer.close({}, ended=2.0)
    for name in ("session.jsonl", "session.har"):
        again = loader.read(tmp_path / "s" / name).exchanges
        assert [(one.injected_fault, one.delivered_response, one.response) for one in again] == [
            ("expired-token", shown, None)
        ]
    assert build(tap).injected_faults[0].exchange == 1


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("expire-token", "Try: --inject expired-token"),
        ("nonsense", "Try: --inject list"),
        ("slow-token=soon", "soon is no number of seconds below 1000. Try: --inject slow-token=30"),
        ("slow-token=", "Try: --inject slow-token=30"),
        ("no-pkce=1", "Try: --inject no-pkce"),
    ],
)
def test_a_wrong_word_is_told_what_to_type(capsys: pytest.CaptureFixture[str], word: str, words: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--upstream", "https://mcp.example/mcp", "--inject", word])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_the_list_teaches_every_fault(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--inject", "list"])
    assert ended.value.code == 0
    listed = capsys.readouterr().out
    assert all(f"\n{name}" in listed for name in NAMES)
    assert all(len(line) <= 100 for line in explained())


def test_a_value_takes_the_place_of_the_default() -> None:
    assert parse_fault("slow-token=2").seconds == 2.0
    assert (
        altered_callback_url(parse_fault("wrong-iss=https://evil.example"), CALLBACK)
        == f"{CALLBACK}?iss=https%3A%2F%2Fevil.example"
    )
    scope = answered(parse_fault("step-up=a b"), Request(method="POST", url=""), None, SessionAnalyzer().handshake)
    assert 'scope="a b"' in (scope.header("www-authenticate") or "")


def test_what_found_no_place_is_said_with_what_would_lead_there() -> None:
    words = list(unused_faults_notice(FaultInjector([fault("revoke-refresh")])))
    assert words == [
        "revoke-refresh was not injected: no token-refresh exchange occurred. "
        "Try: --inject expired-token --inject revoke-refresh"
    ]


def test_the_page_names_every_fault_and_says_what_the_code_says() -> None:
    text = injected.PAGE.read_text(encoding="utf-8")
    faults = "\n".join(injected.explained())
    assert injected.replaced(text, "faults", faults) == text, (
        "run: uv run python -m tests.injected > docs/injections.md"
    )
    table = text.partition("<!-- table -->")[2].partition("<!-- end of table -->")[0]
    said_of = [line.partition(" |")[0] for line in table.splitlines() if line.startswith("| `")]
    names = [f"| `{one.name}`" + (", twice" if times == 2 else "") for one, times in injected.trials()]
    assert said_of == names, "run: uv run python -m tests.injected > docs/injections.md"
    assert re.search(r"^Seen on \d{4}-\d\d-\d\d with Claude Code [\d.]+ and Python SDK 2[\d.]+,", table, re.M)
