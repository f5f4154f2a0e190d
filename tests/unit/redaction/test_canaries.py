"""No secret of any kind, in any encoding, is in any file, in any format, on the console or on the live page.

The installed command stands between a client and a server that gives everything away.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import html
import io
import json
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
from mitmproxy.io import tnetstring

from oauthtap.cli import main
from oauthtap.cli.verify import scan_files
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats.loader import read
from oauthtap.model.exchange import Exchange, Request
from oauthtap.proxy import flow_file
from oauthtap.redaction import leak_decoding, leak_names, leak_scanner
from oauthtap.redaction.leak_scanner import LeakScanner
from oauthtap.redaction.redactor import Redactor
from oauthtap.render import FORMATS
from oauthtap.render.issue_templates import TRACKERS
from oauthtap.report.build import build
from oauthtap.session import SessionWriter, read_session
from tests import canaries as through_the_tap
from tests.support import planted, templates
from tests.support.canaries import ENCODINGS, KINDS, Hostile, canaries, left_in
from tests.support.planted import Canary
from tests.support.running import started
from tests.support.web_watch import Watched


async def sign_in(http: httpx.AsyncClient, base: str, known: dict[str, str]) -> None:
    """Every stage, and every secret in a place that the protocol has for it."""
    hello = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18"}}
    basic = base64.b64encode(f"client-1:{known['basic']}".encode()).decode()
    await http.post(f"{base}/mcp", json=hello)
    for scheme in (f"Hawk {known['hawk']}", f"SSWS {known['ssws']}", f"Bearer {known['initial']}", known["custom"]):
        await http.post(f"{base}/mcp", json=hello, headers={"Authorization": scheme})
    await http.post(
        f"{base}/mcp?api_key={known['api-key-in-url']}", json=hello, headers={"X-Api-Key": known["api-key"]}
    )
    await http.post(
        f"{base}/mcp", json=hello, headers={"Cookie": f"sid={known['cookie']}", "X-CSRF-Token": known["csrf"]}
    )
    for name in ("oauth-protected-resource", "oauth-authorization-server"):
        await http.get(f"{base}/.well-known/{name}")
    asked = {"client_name": "walk", "redirect_uris": ["http://localhost:1/cb"]}
    await http.post(f"{base}/registration", json=asked, headers={"Authorization": f"Bearer {known['initial']}"})
    login = {"Authorization": f"Basic {basic}"}
    await http.post(
        f"{base}/par", data={"client_id": "client-1", "client_secret": known["client-secret"]}, headers=login
    )
    await http.post(f"{base}/device_authorization", data={"client_id": "client-1"})
    pushed = quote(f"urn:ietf:params:oauth:request_uri:{known['request-uri']}")
    page = {"Accept": "text/html", "Cookie": f"sid={known['cookie']}"}
    for asked in (f"request_uri={pushed}&state=abc", f"redirect_uri={quote('http://localhost:1/cb')}&state=def"):
        at = f"{base}/authorization?client_id=client-1&response_type=code&{asked}"
        while not at.startswith("http://localhost:1/"):  # to the server itself, back through the tap, to the client
            at = (await http.get(at, headers=page)).headers["location"]
    for grant in (
        {"grant_type": "authorization_code", "code": known["code"], "code_verifier": known["verifier"]},
        {"grant_type": "refresh_token", "refresh_token": known["refresh"], "client_secret": known["client-secret"]},
        {"grant_type": "password", "username": "ada", "password": known["password"]},
        {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": known["assertion"]},
        {"grant_type": "urn:ietf:params:oauth:grant-type:device_code", "device_code": known["device"]},
        {"grant_type": "client_credentials", "client_assertion": known["client-assertion"]},
        {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": known["subject"]},
    ):
        await http.post(f"{base}/token", data=grant, headers={"DPoP": known["dpop"]})
    bearer = {"Authorization": f"Bearer {known['access']}"}
    for path in ("introspection", "revocation"):
        await http.post(f"{base}/{path}", data={"token": known["access"]}, headers=login)
    await http.get(f"{base}/page", headers=bearer)
    await http.get(f"{base}/page?id_token_hint={known['id']}&next={quote(quote('/x?code=' + known['code']))}")
    await http.get(f"{base}/nowhere/{quote(known['access'], safe='')}", headers=bearer)
    streaming = {"Accept": "application/json, text/event-stream"}
    for accept in ({}, streaming):
        await http.post(f"{base}/mcp", json=hello, headers=bearer | accept)
    await http.get(f"{base}/page", headers=streaming | bearer)


@dataclass
class Told:
    """One session of the installed command, and everything that it gave away."""

    known: dict[str, str]
    server: Hostile
    session: Path
    console: str
    live: list[str]
    exports: list[str]

    @cached_property
    def files(self) -> dict[str, str]:
        return {file.name: file.read_text("utf-8", "replace") for file in self.session.iterdir()}

    def left_in(self, *texts: str) -> set[str]:
        """The kinds of which a secret stands in one of the texts."""
        return left_in("\n".join(texts), self.known)


@contextlib.contextmanager
def recorded(home: Path, *, early: bool) -> Iterator[Told]:
    known = canaries()
    with Hostile(known, early=early) as server, started(f"{server.origin}/mcp", home=home, web=True) as tap:
        watched, exports = Watched(tap), []

        async def drive() -> None:
            async with watched.live(), httpx.AsyncClient(trust_env=False, timeout=30) as http:
                await sign_in(http, tap.url.removesuffix("/mcp"), known)
            exports.extend(await watched.exports())

        asyncio.run(drive())
        assert tap.end() == 0
        yield Told(known, server, tap.session, tap.said, watched.seen, exports)


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The server repeats what has been in its place."""
    with recorded(tmp_path_factory.mktemp("told"), early=False) as session:
        yield session


@pytest.fixture(scope="module")
def told_too_early(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """The server speaks of secrets from its first answer on, before anybody can know what they are."""
    with recorded(tmp_path_factory.mktemp("early"), early=True) as session:
        yield session


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_search_finds_every_encoding(encoding: str) -> None:
    known = canaries()
    for kind, secret in known.items():
        assert kind in left_in(f"some {ENCODINGS[encoding](secret)} text", known), kind


def test_the_server_really_told_everything_in_every_encoding(told: Told) -> None:
    assert told.server.seen == set(KINDS)
    gossip, sent = told.server.gossip(), "\n".join(told.server.sent)
    assert len(gossip) == len(KINDS) * len(ENCODINGS)
    assert [name for name, value in gossip.items() if value not in sent and json.dumps(value)[1:-1] not in sent] == []


def test_no_secret_is_in_any_file_nor_on_the_console_nor_on_the_live_page_nor_in_an_export(told: Told) -> None:
    assert {
        "session.jsonl",
        "flows.mitm",
        "session.har",
        "report.json",
        "report.md",
        "report.html",
    } <= told.files.keys()
    assert len(told.live) > 10
    assert len(told.exports) > 50
    assert {name: left for name, text in told.files.items() if (left := told.left_in(text))} == {}
    assert told.left_in(told.console) == set()
    assert told.left_in(*told.live) == set()
    assert told.left_in(*told.exports) == set()


def test_what_was_told_before_its_time_is_gone_as_soon_as_it_is_known(told_too_early: Told) -> None:
    told = told_too_early
    assert told.server.seen == set(KINDS)
    assert {name: left for name, text in told.files.items() if (left := told.left_in(text))} == {}
    assert told.left_in(told.console) == set()
    assert told.left_in(told.live[-1]) == set()
    assert told.left_in(*told.exports) == set()


FLAGS = [*(["--format", name] for name in FORMATS), *(["--for", name] for name in TRACKERS)]
MADE = [
    *(["check", *flags] for flags in FLAGS),
    ["lock"],
    ["replay", "--as-file", "-"],
    *(["diff", "--format", name] for name in ("console", "json", "markdown", "html")),
]


@pytest.mark.parametrize("words", MADE, ids=" ".join)
def test_no_secret_is_in_any_format(told: Told, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(told.session)] * (2 if words[0] == "diff" else 1)
    assert main([*words, *paths]) == 0
    said = capsys.readouterr()
    assert said.out
    assert told.left_in(said.out, said.err) == set()


def test_a_recording_of_somebody_else_gives_none_away_either(
    told_too_early: Told, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same traffic, unstruck: judged without a session of ours in between."""
    entries = [
        {
            "startedDateTime": f"2026-11-26T10:00:{number:02}Z",
            "time": 1,
            "request": {"method": "GET", "url": f"https://a.example.com/page/{number}", "headers": []},
            "response": {"status": 200, "headers": [], "content": {"mimeType": "text/html", "text": text}},
        }
        for number, text in enumerate(text for text in told_too_early.server.sent if text.startswith(("<", "{")))
    ]
    (tmp_path / "a.har").write_text(json.dumps({"log": {"entries": entries}}))
    in_their_place = {"access", "refresh", "id", "client-secret", "registration", "device", "user-code", "request-uri"}
    for format in ("json", "html", "sarif"):
        assert main(["check", "--format", format, str(tmp_path / "a.har")]) == 1
        assert not told_too_early.left_in(capsys.readouterr().out) & in_their_place


def test_verify_vouches_for_it(told: Told, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(told.session)]) == 0, capsys.readouterr().out


# --- verify finds each when planted

PLACES = {
    "access": '{"access_token": "…"}',
    "refresh": "grant_type=refresh_token&refresh_token=…",
    "id": "…",
    "code": "http://localhost:1/cb?state=x&code=…",
    "verifier": "POST /token?code_verifier=…",
    "client-secret": '{"client_id": "a", "client_secret": "…"}',
    "registration": '{"registration_access_token": "…"}',
    "initial": "Authorization: Bearer …",
    "assertion": '{"assertion": "…"}',
    "client-assertion": "&client_assertion=…",
    "subject": '{"subject_token": "…"}',
    "cookie": "Cookie: sid=…",
    "set-cookie": "Set-Cookie: session=…; HttpOnly",
    "api-key": "X-Api-Key: …",
    "api-key-in-url": "https://a.example.com/mcp?api_key=…",
    "basic": "Authorization: Basic Y2xpZW50OnNlY3JldC0wMTIzNDU2Nzg5YWJjZGVm",
    "dpop": "DPoP: …",
    "hawk": "Authorization: Hawk …",
    "ssws": "Authorization: SSWS …",
    "custom": "Authorization: …",
    "device": '{"device_code": "…"}',
    "user-code": '{"user_code": "…"}',
    "request-uri": '{"request_uri": "urn:ietf:params:oauth:request_uri:…"}',
    "password": '{"password": "…"}',
    "csrf": "X-CSRF-Token: …",
}
"""Each kind as it would be left behind in a text."""


def in_jsonl(path: Path, text: str) -> None:
    answer = {"status": 200, "headers": [], "body": text}
    line = {"id": 999, "request": {"method": "GET", "url": "https://a.example.com/"}, "response": answer}
    path.write_text(path.read_text() + json.dumps(line) + "\n")


def in_flows(path: Path, text: str) -> None:
    state = next(iter(flow_file._states(path.read_bytes())))
    state["response"]["content"] = text.encode()
    path.write_bytes(path.read_bytes() + tnetstring.dumps(state))


def in_har(path: Path, text: str) -> None:
    document = json.loads(path.read_text())
    document["log"]["entries"][0]["response"]["content"] = {"mimeType": "text/plain", "text": text}
    path.write_text(json.dumps(document))


def in_json(path: Path, text: str) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | {"planted": text}, indent=1))


def in_html(path: Path, text: str) -> None:
    path.write_text(path.read_text().replace("</main>", f"<pre>{html.escape(text)}</pre></main>"))


def in_text(path: Path, text: str) -> None:
    path.write_text(f"{path.read_text()}\n{text}\n")


PLANTED = {
    "session.jsonl": in_jsonl,
    "flows.mitm": in_flows,
    "session.har": in_har,
    "report.json": in_json,
    "report.md": in_text,
    "report.html": in_html,
    "report.sarif": in_json,
    "report.xml": in_text,
    "report.mmd": in_text,
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A session of one handshake, with a report in every format."""
    home = tmp_path_factory.mktemp("small")
    with Hostile(dict.fromkeys(KINDS, "-" * 40)) as server, started(f"{server.origin}/mcp", home=home) as tap:
        httpx.post(tap.url, json={"jsonrpc": "2.0", "id": 1, "method": "initialize"}, trust_env=False)
        tap.wait_for("mcp-challenge")
        tap.end()
    for name, format in (("report.sarif", "sarif"), ("report.xml", "junit"), ("report.mmd", "mermaid")):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            main(["check", str(tap.session), "--format", format])
        (tap.session / name).write_text(out.getvalue())
    assert not [one for one in scan_files(tap.session) if one.leaks]
    return tap.session


@pytest.mark.parametrize("name", PLANTED)
@pytest.mark.parametrize("kind", KINDS)
def test_verify_finds_each_when_planted_in_each_kind_of_file(small: Path, kind: str, name: str, tmp_path: Path) -> None:
    planted = tmp_path / name
    shutil.copy(small / name, planted)
    PLANTED[name](planted, PLACES[kind].replace("…", canaries()[kind]))
    assert [one for one in scan_files(planted) if one.leaks]


# --- by name and by shape, of secrets that nobody has told oauthtap before


@dataclass
class Proof:
    """A session of every planted canary, and what every command says of it."""

    canaries: list[Canary]
    session: Path
    console: str

    @cached_property
    def texts(self) -> dict[str, str]:
        files = {file.name: file.read_text("utf-8", "replace") for file in self.session.iterdir()}
        return files | {"console": self.console}


def played(
    folder: Path, exchanges: Iterable[Exchange], *, at_once: bool = False
) -> tuple[SessionWriter, SessionAnalyzer]:
    """The exchanges as a proxy writes them down, up to where it would end. `at_once`: what is new is swept at once."""
    tap = SessionAnalyzer("https://mcp.example.com/mcp")
    redactor = tap.redactor
    writer = SessionWriter(
        folder,
        {"upstream": tap.resource},
        sweep=redactor.redact_known,
        make_flows=lambda recording: flow_file.write(recording, tap.steps, redactor.redact_known),
        news=redactor.news if at_once else lambda: None,
    )
    for exchange in exchanges:
        writer.add(tap.add(exchange).exchange.as_json())
    return writer, tap


@pytest.fixture(scope="module")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Proof:
    canaries = list(planted.planted())
    folder = tmp_path_factory.mktemp("proof") / "session"
    writer, tap = played(folder, (exchange for canary in canaries for exchange in canary.exchanges))
    report, exchanges = build(tap), tuple(step.exchange for step in tap.steps)
    writer.close({f"report.{name}": render(report, exchanges) for name, render in FORMATS.items()})
    said = []
    fixes = ["fix", "-o", str(folder.with_name("fixes.toml"))]
    for words in (*MADE[len(FORMATS) :], ["check"], fixes, ["verify"]):  # the formats lie in the folder already
        with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
            main([*words, *[str(folder)] * (2 if words[0] == "diff" else 1)])
        said.append(out.getvalue())
    return Proof(canaries, folder, "\n".join(said))


def test_a_search_for_marks_misses_none() -> None:
    for canary in planted.planted():
        text = "\n".join(exchange.as_json() for exchange in canary.exchanges)
        assert canary.mark.lower() in planted.left_in(text), canary.name


def test_no_named_or_shaped_secret_is_in_any_file_or_format(proof: Proof) -> None:
    left = {name: planted.left_in(text) for name, text in proof.texts.items()}
    names = {canary.mark.lower(): canary.name for canary in proof.canaries}
    print(f"\n{len(proof.canaries)} canaries, {len(set().union(*left.values()))} left in {len(left)} texts")
    assert len(proof.canaries) >= 344
    assert {file: sorted(names[mark] for mark in marks) for file, marks in left.items() if marks} == {}


def test_no_secret_is_left_where_nobody_said_that_one_may_stand() -> None:
    canaries, left = [*planted.invented(), *planted.templated("third"), *planted.templated("fourth")], []
    for canary in canaries:
        redactor = Redactor()
        struck = "\n".join(redactor.redact(exchange).as_json() for exchange in canary.exchanges)
        left += [canary.name] * (canary.mark in planted.left_in(struck))
    assert len(canaries) > 2600
    assert left == []


def test_what_a_person_has_to_read_stays_readable() -> None:
    """Client ids, issuers, scopes, error texts, ids in paths, code, sentences about tokens."""
    struck, places = [], set()
    for place, words, exchange in templates.harmless("third"):
        told = Redactor().redact(exchange).as_json()
        places.add(place)
        kept = any(
            spelt in told for spelt in (words, json.dumps(words)[1:-1], json.dumps(json.dumps(words)[1:-1])[1:-1])
        )
        struck += [] if kept or words.startswith(READ_AS_SECRETS) else [(place, words)]
    assert len(places) > 130
    assert struck == []


READ_AS_SECRETS = ("/ipfs/Qm", '"0195f2b8-')
"""A part of a path that nobody would choose, and what is called `session_id`, are struck all the same."""


def test_the_running_product_leaves_none(tmp_path: Path) -> None:
    """One in a hundred; `python -m tests.canaries` sends all of them."""
    pairs = through_the_tap.playable([*planted.planted(), *planted.invented()][::100])
    texts = through_the_tap.gathered(pairs, tmp_path)
    assert len(texts) > 25
    assert through_the_tap.left_over(pairs, texts) == {}


def test_verify_finds_nearly_all_that_went_past_the_redactor() -> None:
    """Each as it came, in a recording; and as a line of a report."""
    missed: dict[str, list[str]] = {"in an exchange": [], "in a line": []}
    canaries = [canary for canary in planted.planted() if not canary.name.startswith("echoed")]
    canaries += [*planted.invented(), *islice(planted.templated("third"), 0, None, 3), *planted.templated("fourth")]
    for canary in canaries:
        search = LeakScanner()
        search.note_public(canary.exchanges)
        if not [leak for exchange in canary.exchanges for leak in search.in_exchange(exchange)]:
            missed["in an exchange"].append(canary.name)
        if not list(LeakScanner().in_text("\n".join(exchange.as_json() for exchange in canary.exchanges))):
            missed["in a line"].append(canary.name)
    for place, names in missed.items():
        print(f"\nverify {place}: {len(canaries) - len(names)} of {len(canaries)}; missed {names[:20]}")
    assert len(missed["in an exchange"]) <= 0.05 * len(canaries)
    assert len(missed["in a line"]) <= 0.05 * len(canaries)


def test_verify_suspects_none_of_what_was_redacted() -> None:
    """One recording in twelve."""
    suspected, files = [], sorted(Path("tests/recordings").rglob("*.har"))[::12]
    for file in files:
        redactor, search = Redactor(), LeakScanner()
        exchanges = [redactor.redact(exchange) for exchange in read(file).exchanges]
        search.note_public(exchanges)
        suspected += [(file.name, leak) for exchange in exchanges for leak in search.in_exchange(exchange)]
    assert len(files) > 40
    assert suspected == []


def test_verify_shares_nothing_with_the_redactor() -> None:
    own = [leak_scanner, leak_names, leak_decoding]
    for module in own:
        lines = Path(module.__file__).read_text().split("\n")
        imported = [line for line in lines if re.match(r"\s*(?:from|import) ", line) and "oauthtap" in line]
        others = [line for line in imported if "import leak_" not in line]
        assert all(line.startswith("from oauthtap.model.exchange import ") for line in others), module.__name__


def test_a_killed_session_holds_no_secret_that_was_named_before_it_was_known(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The server speaks of a secret before it is in its place, and after that comes no end."""
    secret = "correct-horse-battery-staple-cnry"
    known = Exchange(request=Request(method="POST", url="https://as.example/token", body=f"code={secret}&grant_type=x"))
    folder = tmp_path / "session"
    played(folder, [planted._tool(f"soon: {secret}")])
    assert secret in (folder / "session.jsonl").read_text()
    assert main(["check", str(folder)]) == 1
    assert "NOT SWEPT" in capsys.readouterr().err
    played(tmp_path / "other", [planted._tool(f"soon: {secret}"), known], at_once=True)
    for file in (tmp_path / "other").iterdir():
        assert secret.encode() not in file.read_bytes(), file.name
    assert len(read_session(tmp_path / "other").exchanges) == 2
    assert "‹code 1›" in (tmp_path / "other" / "session.jsonl").read_text()


def test_a_session_that_did_not_end_cleanly_is_swept_on_demand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As one that an older oauthtap left: what it did not know, and never swept."""
    folder, secret = tmp_path / "session", "correct-horse-battery-staple-cnry"
    writer = SessionWriter(folder, {"upstream": "https://mcp.example.com/mcp"})
    known = Exchange(request=Request(method="POST", url="https://as.example/token", body=f"code={secret}&grant_type=x"))
    for number, exchange in enumerate((planted._tool(f"soon: {secret}"), known), 1):
        exchange = exchange.replace(id=number)
        writer.add(exchange.as_json())
    assert main(["verify", str(folder)]) == 3
    assert "NOT SWEPT" in capsys.readouterr().out
    assert main(["verify", "--sweep", str(folder)]) == 0, capsys.readouterr().out
    assert "NOT SWEPT" not in capsys.readouterr().out
    for file in folder.iterdir():
        assert secret.encode() not in file.read_bytes(), file.name
    assert main(["check", str(folder)]) == 1
    assert "NOT SWEPT" not in capsys.readouterr().err


@pytest.mark.parametrize("cut", [1, 40, 300])
def test_a_torn_file_of_flows_is_no_traceback(tmp_path: Path, cut: int, capsys: pytest.CaptureFixture[str]) -> None:
    writer, _ = played(tmp_path / "session", [planted._said(a="b"), planted._said(c="d")])
    writer.close()
    flows = tmp_path / "session" / "flows.mitm"
    flows.write_bytes(flows.read_bytes()[:-cut])
    assert main(["verify", str(tmp_path / "session")]) == 3
    assert "torn" in capsys.readouterr().out
    assert main(["verify", "--sweep", str(tmp_path / "session")]) == 0, capsys.readouterr().out
