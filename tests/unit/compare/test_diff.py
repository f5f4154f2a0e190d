"""Two recordings of the same server: where two clients part and why, and that one client never parts from itself."""

from __future__ import annotations

import json
import random
import re
from functools import cache
from pathlib import Path

import pytest

from oauthtap.cli import main
from oauthtap.cli.analyze_file import analyze_recording
from oauthtap.clients import profiles
from oauthtap.compare.compared_run import ComparedRun
from oauthtap.compare.diff import Comparison, compare
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import loader
from oauthtap.model.exchange import Exchange
from oauthtap.report.build import build

LIVE = Path(__file__).parents[2] / "recordings" / "live"
NAMES = sorted(path.stem for path in LIVE.glob("*.har"))


@cache
def seen(name: str) -> ComparedRun:
    tap, report = analyze_recording(str(LIVE / f"{name}.har"))
    known = next((profile for profile in profiles() if report.client and profile.slug == report.client.name), None)
    return ComparedRun(tap.handshake, report, known)


def judged(exchanges: list[Exchange], resource: str) -> ComparedRun:
    tap = SessionAnalyzer(resource)
    for exchange in exchanges:
        tap.add(exchange)
    return ComparedRun(tap.handshake, build(tap))


def run_again(name: str, seed: int) -> ComparedRun:
    """What the same client would have recorded on another day: other ids, ports and times, another order of streams."""
    chance = random.Random(seed)
    recording = loader.read(LIVE / f"{name}.har")
    first = seen(name)
    lines = [exchange.model_dump_json() for exchange in recording.exchanges]
    once = {id for id in first.handshake.client_ids if len(id) > 7 and not id.startswith("http")}
    for stage in first.handshake.stages:
        once |= {v for n, v in stage.request.query if n in ("state", "code_challenge", "nonce") and len(v) > 7}
    ports = {m for uri in first.handshake.redirect_uris for m in re.findall(r"://[^/:]+:(\d{4,5})", uri)}
    for old in sorted(once):
        new = "".join(chance.choice("abcdefghij0123456789") for _ in old)
        lines = [line.replace(old, new) for line in lines]
    for port in ports:
        lines = [re.sub(rf"(localhost|127\.0\.0\.1)(:|%3A){port}", rf"\1\g<2>{chance.randint(30000, 60000)}", line)
                 for line in lines]  # fmt: skip
    exchanges = [Exchange.model_validate_json(line) for line in lines]
    day = chance.randint(1, 10**7)
    exchanges = [
        e.model_copy(update={"id": 0, "started_at": None if e.started_at is None else e.started_at + day})
        for e in exchanges
    ]
    documents = [e for e in exchanges if ".well-known" in e.request.url]
    exchanges += [chance.choice(documents)] if documents else []
    return judged(exchanges, recording.upstream or first.report.upstream or "")


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_against_itself_has_no_difference_that_matters(name: str) -> None:
    result = compare(seen(name), seen(name))
    assert result.same, result.sentence
    assert result.sentence.startswith("No difference that matters")
    assert not any(row.differences for row in result.rows)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("name", ["cc330__py1rs", "inspcli__rs1", "py2__py1", "cc330__seed2", "py1__cf022", "ts1__ba"])
def test_a_client_against_itself_on_another_day_has_none_either(name: str, seed: int) -> None:
    again = run_again(name, seed)
    result = compare(seen(name), again)
    assert result.same, (result.sentence, result.detail)
    assert [row for row in result.rows if row.differences] == []


SENTENCES = [
    ("cc330__py1rs", "py2__py1rs", "B checks the issuer, A does not: B stops."),
    ("fm__py1rs", "inspcli__py1rs", "A checks the issuer, B does not: A stops."),
    (
        "ts2__cf022",
        "py1__cf022",
        "B asks for a code with `resource` http://localhost:8112/, A http://localhost:8112: B is refused (401).",
    ),
    (
        "cc330__ba",
        "py1__ba",
        "B registers with `application_type` missing, A native: B is refused (400 invalid_redirect_uri).",
    ),
    (
        "cc197__py1",
        "cc330__py1",
        "A registers with `scope` mcp:read, B mcp:read offline_access: A is refused (invalid_scope).",
    ),
    ("cc330__seed2", "py2__seed2", "No difference that matters: both stop at as-discovery."),
    ("cc330__py1", "py2__py1", "No difference that matters: both connect."),
    ("inspweb1__cfold-sse", "cc330__cfold-sse", "A stops at mcp-challenge, and the wire does not say why."),
]


@pytest.mark.parametrize(("a", "b", "sentence"), SENTENCES)
def test_two_clients_at_the_same_server_part_for_a_reason(a: str, b: str, sentence: str) -> None:
    result = compare(seen(a), seen(b))
    assert result.sentence.startswith(sentence)
    assert result.same is sentence.startswith("No difference")


@pytest.mark.parametrize(("a", "b", "sentence"), SENTENCES)
def test_the_other_way_round_it_is_the_same_reason_with_the_letters_changed(a: str, b: str, sentence: str) -> None:
    letters = {"A": "B", "B": "A"}
    turned = re.sub(r"\b[AB]\b", lambda match: letters[match[0]], sentence)
    assert compare(seen(b), seen(a)).sentence.startswith(turned)


@pytest.mark.parametrize("a", [name for name in NAMES if name.endswith(("__py1", "__ba", "__cf022"))])
def test_any_two_clients_at_one_server_can_be_compared(a: str) -> None:
    for b in NAMES:
        if b.endswith(a.partition("__")[2]):
            result = compare(seen(a), seen(b))
            assert result.sentence
            assert result.same is (result.a.connected == result.b.connected and not any(r.matters for r in result.rows))


PRM = "GET https://{host}/.well-known/oauth-protected-resource/mcp"
SERVER = """
POST https://{host}/mcp {{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {{"protocolVersion": "2025-11-25"}}}}
401
WWW-Authenticate: Bearer resource_metadata="https://{host}/.well-known/oauth-protected-resource/mcp"

GET https://{host}/.well-known/oauth-protected-resource/mcp
200 application/json {{"resource": "https://{host}/mcp", "authorization_servers": ["https://as.{host}"]}}

GET https://as.{host}/.well-known/oauth-authorization-server
200 application/json {{"issuer": "https://as.{host}", "token_endpoint": "https://as.{host}/{token}"}}
"""  # noqa: E501


def served(host: str, token: str = "token") -> ComparedRun:
    from oauthtap.formats import notation

    return judged(list(notation.parse(SERVER.format(host=host, token=token))), f"https://{host}/mcp")


def test_the_same_server_under_another_name_is_the_same() -> None:
    result = compare(served("mcp.example.com"), served("staging.example.org"))
    assert result.same
    assert not any(row.differences for row in result.rows)


def test_another_document_matters_though_both_came_equally_far() -> None:
    result = compare(served("mcp.example.com"), served("mcp.example.com", token="tokens"))
    assert not result.same
    assert result.sentence.startswith(
        "The server answers otherwise: `token_endpoint` is https://as.mcp.example.com/token for A, "
        "and https://as.mcp.example.com/tokens for B"
    )


# --- the command line and the formats


def shown(capsys: pytest.CaptureFixture[str], a: str, b: str, format: str) -> tuple[int, str]:
    code = main(["diff", str(LIVE / f"{a}.har"), str(LIVE / f"{b}.har"), "--format", format])
    return code, capsys.readouterr().out


@pytest.mark.parametrize("format", ["console", "json", "markdown", "html"])
def test_every_format_says_why_and_the_exit_code_says_whether(format: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, text = shown(capsys, "cc330__py1rs", "py2__py1rs", format)
    assert code == 1
    assert "B checks the issuer, A does not: B stops." in text
    code, text = shown(capsys, "cc330__py1", "py2__py1", format)
    assert code == 0
    assert "No difference that matters: both connect." in text


def test_the_json_is_a_comparison(capsys: pytest.CaptureFixture[str]) -> None:
    _, text = shown(capsys, "ts2__cf022", "py1__cf022", "json")
    result = Comparison.model_validate_json(text)
    assert json.loads(text)["version"] == 1
    assert [row.stage for row in result.rows if row.matters] == ["authorization-request"]


def test_the_page_is_static_and_shows_hostile_text_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hostile = SERVER.format(host="mcp.example.com", token="<script>alert(1)</script>\\u202e")
    for name, text in (("a", SERVER.format(host="mcp.example.com", token="token")), ("b", hostile)):
        (tmp_path / name).write_text(text)
    main(["diff", str(tmp_path / "a"), str(tmp_path / "b"), "--format", "html"])
    page = capsys.readouterr().out
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "\u202e" not in page
    assert not re.search(r"(?:src|href)=", page)


def test_the_user_may_say_which_client_it_was(capsys: pytest.CaptureFixture[str]) -> None:
    paths = [str(LIVE / f"{name}.har") for name in ("py1__py1rs", "py2__py1rs")]
    assert main(["diff", *paths, "--client-b", "python-sdk-2"]) == 1
    assert "That is known of Python SDK 2 (measured)." in capsys.readouterr().out


def test_what_cannot_be_read_is_wrong_usage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", str(LIVE / "py1__py1.har"), str(tmp_path / "none.har")]) == 2
    assert "Try:" in capsys.readouterr().err


def test_the_same_step_at_two_places_is_told_as_such(capsys: pytest.CaptureFixture[str]) -> None:
    live = Path(__file__).parents[2] / "recordings" / "live"
    assert main(["diff", str(live / "cc330__rs1.har"), str(live / "cc330__seed2.har")]) == 1
    said = capsys.readouterr().out
    assert said.startswith(
        "B asks GET as-1:/.well-known/oauth-authorization-server/sso/authorize and is answered 401, A asks"
    )
    assert "They asked for the same" not in said
