"""A recorded server, played again: the same walk comes to the same end, and nobody's secret is in it."""

from __future__ import annotations

import ast
import contextlib
import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt
import pytest

from oauthtap.cli import main
from oauthtap.cli.replay import as_file
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.model import urls
from oauthtap.model.exchange import Exchange, Request, Response
from oauthtap.model.www_authenticate import parse_like_sdks
from oauthtap.replay import server as replay_server
from oauthtap.replay.script import build_script
from oauthtap.replay.server import address, opened
from tests.support.bed import Bed
from tests.support.bed.walk import ACCEPT, CALLBACK, Walk, answered
from tests.support.clients import run
from tests.support.running import started, to_the_bed
from tests.support.tapped import free_port

LIVE = Path(__file__).parents[1] / "recordings" / "live"
Step = tuple[str, str, int]
"""Method, path and status."""


def follow(http: httpx.Client, url: str) -> list[Step]:
    """A sign-in by what the documents say, as far as it gets."""
    walk, steps = Walk(http, url), []

    def noted(answer: httpx.Response) -> httpx.Response:
        steps.append((answer.request.method, urlsplit(str(answer.request.url)).path, answer.status_code))
        return answer

    refused = noted(walk.initialize())
    named = parse_like_sdks(refused.headers.get_list("www-authenticate"), "resource_metadata") or ""
    prm = noted(http.get(str(httpx.URL(url).join(named)))) if named else noted(walk.well_known(PRM, inserted=True))
    issuer = prm.json()["authorization_servers"][0] if prm.is_success else walk.origin
    metadata: dict[str, Any] = {}
    for place in urls.as_metadata_locations(issuer):
        found = noted(http.get(place.url))
        if found.is_success and "json" in found.headers["content-type"]:
            metadata = found.json()
            break
    registered = noted(
        http.post(
            metadata.get("registration_endpoint", walk.origin + "/register"),
            json={"client_name": "walk", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none"},
        )
    )
    if registered.is_success:
        assert registered.json()["redirect_uris"] == [CALLBACK]
        signed_in(walk, registered.json()["client_id"], noted)
    return steps


PRM = "oauth-protected-resource"


def signed_in(walk: Walk, client_id: str, noted: Any) -> None:
    """From the browser to the tools."""
    back = answered(noted(walk.authorize(client_id)))
    assert back.get("state", walk.state) == walk.state
    token = noted(walk.redeem(client_id, back["code"]))
    access = token.json()["access_token"] if "json" in token.headers["content-type"] else ""
    hello = noted(walk.initialize(access))
    if hello.is_success:
        session = hello.headers.get("mcp-session-id", "")
        noted(walk.post("notifications/initialized", token=access, session=session))
        tools = noted(walk.post("tools/list", token=access, session=session))
        assert '"add"' in tools.text


@contextlib.contextmanager
def recording(http: httpx.Client) -> Iterator[list[Exchange]]:
    """Everything that goes through this client meanwhile, secrets and all."""
    kept: list[Exchange] = []

    def keep(answer: httpx.Response) -> None:
        answer.read()
        asked = answer.request
        request = Request(
            method=asked.method,
            url=str(asked.url),
            headers=tuple(asked.headers.items()),
            body=asked.content.decode(),
        )
        response = Response(status=answer.status_code, headers=tuple(answer.headers.multi_items()), body=answer.text)
        kept.append(Exchange(request=request, response=response, started_at=1767225600.0 + len(kept)))

    http.event_hooks = {"response": [keep]}
    yield kept
    http.event_hooks = {}


def played(exchanges: list[Exchange], resource: str) -> dict[str, Any]:
    tap = SessionAnalyzer(resource)
    for exchange in exchanges:
        tap.add(exchange)
    return build_script(tap.handshake)


@contextlib.contextmanager
def playing(recorded: dict[str, Any]) -> Iterator[str]:
    """The recorded server on ports of its own; the MCP URL to give to a client."""
    play, servers = opened(recorded, 0)
    for server in servers:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    try:
        yield address(play)
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()


def plain_http() -> httpx.Client:
    return httpx.Client(trust_env=False, timeout=10)


def recorded_walk(bed: Bed, target: str) -> tuple[list[Step], dict[str, Any]]:
    with bed.http() as http, recording(http) as kept:
        steps = follow(http, bed.url(target))
    return steps, played(kept, bed.url(target))


TARGETS = ["good", "seed2", "f01", "f05", "f06", "f07", "f08", "f09", "f10", "f14", "f15", "f16"]


@pytest.mark.parametrize("target", TARGETS)
def test_the_same_walk_gets_the_same_answers(bed: Bed, target: str) -> None:
    steps, recorded = recorded_walk(bed, target)
    with playing(recorded) as url, plain_http() as http:
        assert follow(http, url) == steps
        assert follow(http, url) == steps, "a second time"


def test_seed2_ends_where_it_ended(bed: Bed) -> None:
    steps, _ = recorded_walk(bed, "seed2")
    assert steps[-1] == ("POST", "/register", 401)
    assert ("GET", "/.well-known/oauth-authorization-server/sso/authorize", 404) in steps


def test_f05_refuses_the_callback_of_today(bed: Bed) -> None:
    _, recorded = recorded_walk(bed, "f05")
    with playing(recorded) as url, plain_http() as http:
        refused = http.post(
            url.removesuffix("/mcp") + "/register", json={"redirect_uris": ["http://localhost:50505/callback"]}
        )
    assert refused.status_code == 400
    assert "http://localhost:50505/callback is not allowed" in refused.text


def test_nobodys_secret_and_no_upstream_name_is_in_what_is_played(bed: Bed) -> None:
    before = set(bed.issued)
    _, recorded = recorded_walk(bed, "good")
    made = {secret for secret in bed.issued - before if len(secret) > 8}
    assert made
    text = json.dumps(recorded, ensure_ascii=False)
    assert not [secret for secret in made if secret in text]
    answers = json.dumps([{**a, "headers": a.get("headers")} for a in recorded["answers"]])
    assert "https://good.mcp.test" not in answers


def test_a_token_is_made_anew_with_the_claims_and_without_the_person() -> None:
    claims = {"aud": "https://a.example.com/mcp", "sub": "ada", "email": "ada@example.com", "iat": 1000, "exp": 4600}
    alias = f"‹token 1 {json.dumps({'alg': 'RS256'})} {json.dumps(claims)}›"
    form = (("Content-Type", "application/x-www-form-urlencoded"),)
    exchange = Exchange(
        request=Request(
            method="POST", url="https://a.example.com/token", headers=form, body="grant_type=authorization_code&code=x"
        ),
        response=Response(
            status=200,
            headers=(("Content-Type", "application/json"),),
            body=json.dumps({"access_token": alias, "token_type": "Bearer"}),
        ),
    )
    with playing(played([exchange], "https://a.example.com/mcp")) as url, plain_http() as http:
        grant = {"grant_type": "authorization_code", "code": "another"}
        token = http.post(url.replace("/mcp", "/token"), data=grant).json()["access_token"]
        again = http.post(url.replace("/mcp", "/token"), data=grant).json()["access_token"]
    said = jwt.decode(token, options={"verify_signature": False})
    assert token == again
    assert said["aud"] == "https://a.example.com/mcp"
    assert "ada" not in json.dumps(said)
    assert abs(said["iat"] - time.time()) < 60
    assert said["exp"] - said["iat"] == 3600


def authorize(answer: Response) -> tuple[dict[str, Any], dict[str, str]]:
    """A script of one authorization request with that answer, and the request's parameters."""
    asked = {
        "response_type": "code",
        "client_id": "c1",
        "redirect_uri": CALLBACK,
        "state": "then",
        "code_challenge": "x",
    }
    url = str(httpx.URL("https://a.example.com/authorize", params=asked))
    exchange = Exchange(request=Request(method="GET", url=url), response=answer, actor="browser")
    return played([exchange], "https://a.example.com/mcp"), asked


def test_a_refusal_at_the_authorization_endpoint_is_the_same_page() -> None:
    page = Response(status=400, headers=(("Content-Type", "text/html"),), body="<h1>Unknown client</h1>")
    recorded, asked = authorize(page)
    with playing(recorded) as url, plain_http() as http:
        again = http.get(url.replace("/mcp", "/authorize"), params=asked | {"state": "now"})
    assert (again.status_code, again.text) == (400, "<h1>Unknown client</h1>")


def test_an_error_comes_back_to_the_callback_of_today_with_the_state_of_today() -> None:
    recorded, asked = authorize(
        Response(status=302, headers=(("Location", f"{CALLBACK}?error=access_denied&state=then"),))
    )
    today = {"redirect_uri": "http://localhost:50505/callback", "state": "now"}
    with playing(recorded) as url, plain_http() as http:
        again = http.get(url.replace("/mcp", "/authorize"), params=asked | today)
    assert again.headers["location"].startswith("http://localhost:50505/callback?")
    assert answered(again) == {"error": "access_denied", "state": "now"}


def test_all_origins_are_played_even_those_nobody_asked(bed: Bed) -> None:
    text = json.dumps({"resource": "https://a.example.com/mcp", "authorization_servers": ["https://b.example.com"]})
    exchange = Exchange(
        request=Request(method="GET", url="https://a.example.com/.well-known/oauth-protected-resource/mcp"),
        response=Response(status=200, headers=(("Content-Type", "application/json"),), body=text),
    )
    recorded = played([exchange], "https://a.example.com/mcp")
    assert recorded["origins"] == ["https://a.example.com", "https://b.example.com"]
    with playing(recorded) as url, plain_http() as http:
        found = http.get(url.replace("/mcp", "/.well-known/oauth-protected-resource/mcp")).json()
        assert found["resource"] == url
        assert urls.origin(found["authorization_servers"][0]) not in ("https://b.example.com", urls.origin(url))
        assert http.get(found["authorization_servers"][0]).status_code == 404


def test_answers_carry_the_id_of_the_request_that_came(bed: Bed) -> None:
    _, recorded = recorded_walk(bed, "good")
    with playing(recorded) as url, plain_http() as http:
        walk = Walk(http, url)
        token = walk.sign_in().json()["access_token"]
        headers = ACCEPT | {"Authorization": f"Bearer {token}"}
        for id in ("seventeen", 17):
            asked = {"jsonrpc": "2.0", "id": id, "method": "tools/list", "params": {}}
            assert json.dumps(id) in http.post(url, json=asked, headers=headers).text
        unknown = {"jsonrpc": "2.0", "id": 5, "method": "prompts/list"}
        assert http.post(url, json=unknown, headers=headers).json()["error"]["code"] == -32601


def test_without_our_token_nobody_gets_in(bed: Bed) -> None:
    _, recorded = recorded_walk(bed, "good")
    with playing(recorded) as url, plain_http() as http:
        assert Walk(http, url).initialize().status_code == 401
        assert Walk(http, url).initialize("somebody-elses").status_code == 401


def test_a_name_that_is_not_ours_is_refused(bed: Bed) -> None:
    _, recorded = recorded_walk(bed, "seed2")
    with playing(recorded) as url, plain_http() as http:
        assert http.get(url, headers={"Host": "rebound.example.com"}).status_code == 421


def test_a_legacy_stream_stays_open_and_answers_come_down_it() -> None:
    said = 'event: endpoint\ndata: /message?s=1\n\nevent: message\ndata: {"jsonrpc":"2.0","id":0,"result":{"ok":1}}\n\n'
    stream = (("Content-Type", "text/event-stream"),)
    hello = '{"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": {}}'
    exchanges = [
        Exchange(
            request=Request(method="GET", url="https://a.example.com/sse", headers=(("Accept", "text/event-stream"),)),
            response=Response(status=200, headers=stream, body=said),
        ),
        Exchange(
            request=Request(method="POST", url="https://a.example.com/message?s=1", body=hello),
            response=Response(status=202, body="Accepted"),
        ),
    ]
    accept = {"Accept": "text/event-stream"}
    recorded = played(exchanges, "https://a.example.com/sse")
    with playing(recorded) as url, plain_http() as http, http.stream("GET", url, headers=accept) as held:
        lines = held.iter_lines()
        assert [next(lines), next(lines)] == ["event: endpoint", "data: /message?s=1"]
        asked = {"jsonrpc": "2.0", "id": 41, "method": "initialize", "params": {}}
        assert http.post(url.replace("/sse", "/message?s=1"), json=asked).status_code == 202
        told = next(line for line in lines if line.startswith("data:"))
        assert json.loads(told.removeprefix("data:"))["id"] == 41


@pytest.mark.parametrize("name", sorted(path.stem for path in LIVE.glob("*.har")))
def test_every_recorded_handshake_can_be_played(name: str) -> None:
    from oauthtap.cli.analyze_file import analyze_recording

    tap, report = analyze_recording(str(LIVE / f"{name}.har"))
    recorded = build_script(tap.handshake)
    assert recorded["upstream"] == report.upstream
    assert json.loads(json.dumps(recorded)) == recorded


def test_a_streamed_answer_that_was_cut_off_is_answered_all_the_same(capfd: pytest.CaptureFixture[str]) -> None:
    hello = '{"jsonrpc": "2.0", "id": 3, "method": "tools/list", "params": {}}'
    noise = 'event: message\ndata: {"jsonrpc":"2.0","method":"notifications/progress"}\n\n'
    for body, truncated in ((noise + 'event: message\ndata: {"jsonrpc":"2.0","id":3,"res', True), (None, False)):
        exchange = Exchange(
            request=Request(method="POST", url="https://a.example.com/mcp", body=hello),
            response=Response(
                status=200, headers=(("Content-Type", "text/event-stream"),), body=body, truncated=truncated
            ),
        )
        with playing(played([exchange], "https://a.example.com/mcp")) as url, plain_http() as http:
            answer = http.post(url, json={"jsonrpc": "2.0", "id": "seven", "method": "tools/list"})
        data = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: ")]
        assert data[-1] == {"jsonrpc": "2.0", "id": "seven", "result": {"tools": []}}
        assert len(data) == (2 if body else 1)
    assert "(made up: the answer to tools/list was not recorded)" in capfd.readouterr().out


# --- as a file


def test_the_file_needs_only_the_standard_library(bed: Bed) -> None:
    tree = ast.parse(as_file(recorded_walk(bed, "seed2")[1]))
    imported = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    imported |= {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in imported} <= sys.stdlib_module_names
    assert replay_server.SCRIPT is None


@pytest.mark.parametrize("target", ["seed2", "f05"])
def test_the_file_alone_plays_the_same(bed: Bed, target: str, tmp_path: Path) -> None:
    steps, recorded = recorded_walk(bed, target)
    file = tmp_path / "server.py"
    file.write_text(as_file(recorded), encoding="utf-8")
    with alone(file, tmp_path) as (url, _), plain_http() as http:
        assert follow(http, url) == steps


def test_a_recording_without_a_server_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.txt").write_text("GET https://a.example.com/mcp\n- refused\n")
    assert main(["replay", str(tmp_path / "none.har"), "--as-file", "-"]) == 2
    assert "Try:" in capsys.readouterr().err


def test_as_file_writes_where_it_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "server.py"
    assert main(["replay", str(LIVE / "py2__seed2.har"), "--as-file", str(file)]) == 0
    assert main(["replay", str(LIVE / "py2__seed2.har"), "--as-file", "-"]) == 0
    assert capsys.readouterr().out == file.read_text()
    compile(file.read_text(), str(file), "exec")


# --- real clients


@pytest.mark.clients
@pytest.mark.parametrize("target", ["seed2", "f05"])
@pytest.mark.parametrize("client", ["claude-code", "python-sdk-2"])
def test_a_real_client_fails_in_the_same_place(bed: Bed, client: str, target: str, tmp_path: Path) -> None:
    session = tmp_path / "session"
    with started(bed.url(target), *to_the_bed(bed), home=tmp_path) as tap:
        first = run(client, tap.url, env=bed.browser_env())
        tap.end()
    recorded = played_session(session)
    with playing(recorded) as url:
        again = run(client, url)
    assert (again.connected, again.tools) == (first.connected, first.tools) == (False, ())
    assert complaint(again.said) == complaint(first.said) != ""


@pytest.mark.clients
@pytest.mark.parametrize("target", ["seed2", "f05"])
def test_claude_code_fails_in_the_same_place_before_the_file_alone(bed: Bed, target: str, tmp_path: Path) -> None:
    """One plain Python file, run by a Python that knows nothing of oauthtap: what is attached to a bug report."""
    with started(bed.url(target), *to_the_bed(bed), home=tmp_path) as tap:
        first = run("claude-code", tap.url, env=bed.browser_env())
        tap.end()
    was = [(step["method"], urlsplit(step["url"]).path, step["status"]) for step in tap.report["exchanges"]]
    file = tmp_path / "server.py"
    assert main(["replay", str(tap.session), "--as-file", str(file)]) == 0
    with alone(file, tmp_path) as (url, said):
        again = run("claude-code", url)
    assert (again.connected, again.tools) == (first.connected, first.tools) == (False, ())
    assert complaint(again.said) == complaint(first.said) != ""
    now = [
        (method, path, int(status))
        for method, path, status in re.findall(r"^(\w+) +\S+://[^/]+(\S*)  (\d+)$", "".join(said), re.M)
    ]
    assert now[-1] == was[-1], "the last request, and how it was answered"


@pytest.mark.clients
@pytest.mark.parametrize("client", ["claude-code", "python-sdk-1"])
def test_what_came_down_a_live_stream_of_2024_is_played(bed: Bed, client: str, tmp_path: Path) -> None:
    """The tap judges such a stream at its first event; what came later stands in the flows of the session."""
    with started(bed.url("seed1"), *to_the_bed(bed), home=tmp_path, path="/sse") as tap:
        first = run(client, tap.url, env=bed.browser_env())
        tap.end()
    with playing(played_session(tap.session)) as url:
        again = run(client, url)
    assert (again.connected, again.tools) == (first.connected, first.tools)
    assert first.connected
    assert client == "claude-code" or first.tools == ("add",)


@contextlib.contextmanager
def alone(file: Path, folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The file played by Python alone: the URL for the client, and the lines that it says."""
    port = free_port()
    command = [sys.executable, "-I", str(file), "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder) as process:
        assert process.stdout
        line = next(line for line in process.stdout if "Give this" in line)
        said: list[str] = []
        listener = threading.Thread(target=lambda: said.extend(process.stdout or ()), daemon=True)
        listener.start()
        try:
            yield next(word for word in line.split() if word.startswith("http")), said
        finally:
            process.terminate()
            listener.join(timeout=5)


def played_session(session: Path) -> dict[str, Any]:
    from oauthtap.cli.analyze_file import analyze_recording
    from oauthtap.session import read_session

    return build_script(analyze_recording(str(session))[0].handshake, read_session(session).streams)


def complaint(said: str) -> str:
    """What the client says of the refusal, without its own port."""
    lines = [line for line in said.splitlines() if "egistration" in line and ("HTTP" in line or "failed" in line)]
    return re.sub(r"localhost:\d+", "localhost", lines[-1].strip()) if lines else ""
