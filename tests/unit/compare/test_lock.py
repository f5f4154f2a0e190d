"""A lock holds what a server promised: one changed member is told once, order and new members never."""

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonpointer import resolve_pointer

from oauthtap.cli import main
from oauthtap.compare.json_diff import NOTHING, deviations
from oauthtap.compare.lock_check import against
from oauthtap.compare.lockfile import Lock, lock
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.formats import notation
from oauthtap.handshake.state import Handshake
from oauthtap.model.exchange import Response
from tests.unit.render.test_junit import SCHEMA as JUNIT
from tests.unit.render.test_sarif import SCHEMA as SARIF

LIVE = Path(__file__).parents[2] / "recordings" / "live"

PRM = {
    "resource": "https://mcp.example.com/mcp",
    "authorization_servers": ["https://as.example.com"],
    "scopes_supported": ["mcp:read", "mcp:write"],
}
ASM = {
    "issuer": "https://as.example.com",
    "authorization_endpoint": "https://as.example.com/authorize",
    "token_endpoint": "https://as.example.com/token",
    "registration_endpoint": "https://as.example.com/register",
    "code_challenge_methods_supported": ["S256"],
    "grant_types_supported": ["authorization_code", "refresh_token"],
}
CHALLENGE = (
    'Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp", scope="mcp:read"'
)
CLAIMS = {"iss": "https://as.example.com", "aud": "https://mcp.example.com/mcp", "sub": "ada", "exp": 1767229200}


def sign_in(
    prm: Any = PRM,
    asm: Any = ASM,
    challenge: str = CHALLENGE,
    claims: Any = CLAIMS,
    client: str = "c1",
    status: Any = None,
) -> Handshake:
    """A whole sign-in with these answers."""
    status = status or {}
    token = f"‹token 1 {json.dumps({'alg': 'RS256'})} {json.dumps(claims)}›"
    text = f"""
POST https://mcp.example.com/mcp {{"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {{"protocolVersion": "2025-11-25"}}}}
{status.get("mcp", 401)}
WWW-Authenticate: {challenge}

GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
{status.get("prm", 200)} application/json {json.dumps(prm)}

GET https://as.example.com/.well-known/oauth-authorization-server
{status.get("asm", 200)} application/json {json.dumps(asm)}

POST https://as.example.com/register {{"redirect_uris": ["http://localhost:{random.randint(1025, 65000)}/callback"], "client_name": "walk"}}
{status.get("dcr", 201)} application/json {{"client_id": "{client}", "client_id_issued_at": {random.randint(1, 10**9)}, "client_name": "walk", "token_endpoint_auth_method": "none"}}

POST https://as.example.com/token
Content-Type: application/x-www-form-urlencoded
  grant_type=authorization_code&code=x&client_id={client}
{status.get("token", 200)} application/json {json.dumps({"access_token": token, "token_type": "Bearer", "expires_in": 3600})}
"""  # noqa: E501
    tap = SessionAnalyzer("https://mcp.example.com/mcp")
    for exchange in notation.parse(text):
        tap.add(exchange)
    return tap.handshake


def broken(frozen: Lock, now: Handshake) -> list[tuple[str, str]]:
    return [(row.pointer, row.at) for row in against(frozen, now).broken]


def test_the_same_server_keeps_its_promise_to_a_client_registered_anew() -> None:
    held = against(lock(sign_in()), sign_in(client="c2"))
    assert not held.broken
    assert not held.unasked


def test_a_lock_is_readable_json_and_is_read_back_as_it_was() -> None:
    frozen = lock(sign_in())
    text = frozen.model_dump_json(indent=1)
    assert Lock.model_validate_json(text) == frozen
    assert [entry["stage"] for entry in json.loads(text)["contract"]] == [
        "mcp-challenge",
        "prm-discovery",
        "as-discovery",
        "client-registration",
        "token-request",
    ]
    assert "c1" not in text


@pytest.mark.parametrize(
    ("changed", "at"),
    [
        ({"prm": PRM | {"resource": "https://mcp.example.com"}}, "response.json.resource"),
        ({"asm": ASM | {"issuer": "https://as.example.com/"}}, "response.json.issuer"),
        ({"asm": ASM | {"token_endpoint": "https://as.example.com/t"}}, "response.json.token_endpoint"),
        ({"asm": ASM | {"grant_types_supported": ["authorization_code"]}}, "response.json.grant_types_supported[1]"),
        ({"asm": ASM | {"code_challenge_methods_supported": None}}, "response.json.code_challenge_methods_supported"),
        (
            {"challenge": CHALLENGE.replace("mcp:read", "mcp:all")},
            "response.header.www-authenticate.scope",
        ),
        ({"claims": CLAIMS | {"aud": "https://mcp.example.com"}}, "response.json.access_token.aud"),
        ({"claims": CLAIMS | {"exp": "soon"}}, "response.json.access_token.exp"),
        ({"status": {"dcr": 403}}, "response.status"),
    ],
)
def test_one_changed_member_is_told_once_where_it_is(changed: dict[str, Any], at: str) -> None:
    frozen = lock(sign_in())
    found = broken(frozen, sign_in(**changed))
    assert [place for _, place in found] == [at]
    kept = json.loads(frozen.model_dump_json())
    assert resolve_pointer(kept, found[0][0]) is not None


def test_with_another_status_all_the_rest_of_the_answer_follows() -> None:
    gone = sign_in(prm={"error": "not_found"}, status={"prm": 404})
    assert [at for _, at in broken(lock(sign_in()), gone)] == ["response.status"]


def test_a_page_in_place_of_a_document_is_one_change() -> None:
    tap = SessionAnalyzer("https://mcp.example.com/mcp")
    page = Response(status=200, body="<!doctype html>", headers=(("Content-Type", "text/html"),))
    for stage, *_ in sign_in().exchanges():
        answer = page if "oauth-authorization-server" in stage.url else stage.response
        tap.add(stage.exchange.model_copy(update={"response": answer}))
    assert [at for _, at in broken(lock(sign_in()), tap.handshake)] == ["response.header.content-type"]


def test_another_order_and_new_members_change_nothing() -> None:
    shuffled = dict(reversed(ASM.items())) | {"userinfo_endpoint": "https://as.example.com/me"}
    shuffled["grant_types_supported"] = ["refresh_token", "urn:new", "authorization_code"]
    now = sign_in(asm=shuffled, claims=CLAIMS | {"jti": "1"}, prm=PRM | {"resource_name": "Adder"})
    assert not broken(lock(sign_in()), now)


def test_what_was_not_asked_for_is_said_and_is_no_change() -> None:
    short = SessionAnalyzer("https://mcp.example.com/mcp")
    for stages in sign_in().exchanges()[:2]:
        short.add(stages[0].exchange)
    held = against(lock(sign_in()), short.handshake)
    assert not held.broken
    assert [entry.stage for entry in held.unasked] == ["as-discovery", "client-registration", "token-request"]


def test_an_unseen_body_is_no_change() -> None:
    tap = SessionAnalyzer("https://mcp.example.com/mcp")
    for stage, *_ in sign_in().exchanges():
        answer = stage.response.model_copy(update={"body": None})
        tap.add(stage.exchange.model_copy(update={"response": answer}))
    assert not against(lock(sign_in()), tap.handshake).broken


# --- JSON alone

LEAF = st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.text(max_size=4))
NAME = st.text(max_size=4)
DOCUMENT = st.recursive(
    LEAF,
    lambda inner: st.one_of(
        st.dictionaries(NAME, inner, max_size=4),
        st.lists(inner, max_size=4, unique_by=lambda value: json.dumps(value, sort_keys=True)),
    ),
    max_leaves=12,
)


def members(value: Any, pointer: str = "") -> list[str]:
    """The pointers of all members of objects that are not inside a list."""
    if not isinstance(value, dict):
        return []
    found = []
    for name, inner in value.items():
        here = f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}"
        found += [here, *members(inner, here)]
    return found


def shuffled(value: Any, random: Any) -> Any:
    """The same value with members and items in another order, and members nobody knows."""
    if isinstance(value, dict):
        items = [(name, shuffled(inner, random)) for name, inner in value.items()] + [("new-member", 1)]
        random.shuffle(items)
        return dict(items)
    if isinstance(value, list):
        items = list(value)
        random.shuffle(items)
        return items
    return value


@given(st.dictionaries(NAME, DOCUMENT, max_size=5), st.randoms(use_true_random=False))
def test_any_document_keeps_its_promise_in_any_order_and_with_more_in_it(document: Any, random: Any) -> None:
    assert not list(deviations(document, shuffled(document, random)))


@given(st.dictionaries(NAME, DOCUMENT, min_size=1, max_size=5), st.randoms(use_true_random=False), st.booleans())
def test_any_one_changed_member_of_any_document_is_told_once(document: Any, random: Any, gone: bool) -> None:
    pointer = random.choice(members(document))
    changed = copy.deepcopy(document)
    *before, last = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    holder = changed
    for step in before:
        holder = holder[step]
    if gone:
        del holder[last]
    else:
        holder[last] = "something else entirely"
    found = list(deviations(document, shuffled(changed, random)))
    assert [deviation.pointer for deviation in found] == [pointer]
    assert found[0].actual is NOTHING if gone else found[0].actual == "something else entirely"


@given(DOCUMENT, DOCUMENT)
def test_nothing_departs_exactly_where_both_ways_agree(one: Any, other: Any) -> None:
    there = bool(list(deviations(one, other, both=True)))
    back = bool(list(deviations(other, one, both=True)))
    assert there == back


# --- the command line


def test_check_holds_a_recording_against_a_lock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "server.lock.json"
    recording = LIVE / "py1__py1rs.har"
    assert main(["lock", str(recording), "-o", str(file)]) == 0
    assert main(["check", str(recording), "--against", str(file), "--fail-on", "note"]) == 0
    frozen = json.loads(file.read_text())
    frozen["contract"][2]["answer"]["json"]["issuer"] = "http://elsewhere.example.com"
    file.write_text(json.dumps(frozen))
    capsys.readouterr()
    assert main(["check", str(recording), "--against", str(file), "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out)["findings"]
    assert [(row["rule"], row["at"], row["severity"]) for row in found] == [
        ("contract-changed", "response.json.issuer", "error")
    ]
    assert "/contract/2/answer/json/issuer" in found[0]["message"]
    assert main(["check", str(recording), "--against", str(file), "--fail-on", "error"]) == 1


def test_a_kept_lock_is_passed_cases_and_a_broken_one_a_failed_case(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, recording = tmp_path / "server.lock.json", LIVE / "cc330__rs1.har"
    assert main(["lock", str(recording), "-o", str(file)]) == 0
    held = len(json.loads(file.read_text())["contract"])
    assert junit_of(recording, file, capsys) == (held, 0, 0)
    changed = tmp_path / "changed.har"
    changed.write_text(recording.read_text().replace("S256", "S257"))
    assert junit_of(changed, file, capsys) == (held, 2, 0), "the metadata was fetched at two places"
    shorter = json.loads(recording.read_text())
    del shorter["log"]["entries"][3:]
    changed.write_text(json.dumps(shorter))
    tests, failures, skipped = junit_of(changed, file, capsys)
    assert (tests, failures) == (held, 0)
    assert skipped > 0


def junit_of(recording: Path, lock: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, int, int]:
    assert main(["check", str(recording), "--against", str(lock), "--format", "junit"]) == 0
    text = capsys.readouterr().out
    JUNIT.validate(text)
    root = ElementTree.fromstring(text)
    return int(root.get("tests", "")), int(root.get("failures", "")), len(root.findall("testsuite/testcase/skipped"))


def test_sarif_and_explain_know_what_a_broken_lock_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, changed, recording = tmp_path / "server.lock.json", tmp_path / "changed.har", LIVE / "cc330__rs1.har"
    assert main(["lock", str(recording), "-o", str(file)]) == 0
    changed.write_text(recording.read_text().replace("S256", "S257"))
    assert main(["check", str(changed), "--against", str(file), "--format", "sarif"]) == 0
    told = json.loads(capsys.readouterr().out)
    [rule] = told["runs"][0]["tool"]["driver"]["rules"]
    assert rule["id"] == "contract-changed"
    assert "oauthtap lock" in rule["help"]["markdown"]
    jsonschema.Draft4Validator(SARIF).validate(told)
    assert main(["explain", "contract-changed"]) == 0
    assert "What to change: Put it back" in capsys.readouterr().out


def test_no_lock_is_told_with_what_to_type_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording = str(LIVE / "py1__py1rs.har")
    no_lock = tmp_path / "other.json"
    no_lock.write_text("{}[")
    for path in (no_lock, tmp_path / "missing.json"):
        assert main(["check", recording, "--against", str(path)]) == 2
        assert "Try: oauthtap lock" in capsys.readouterr().err


@pytest.mark.parametrize("name", sorted(path.stem for path in LIVE.glob("*.har")))
def test_every_recorded_handshake_keeps_its_own_lock(name: str) -> None:
    from oauthtap.cli.analyze_file import analyze_recording

    tap, _ = analyze_recording(str(LIVE / f"{name}.har"))
    held = against(lock(tap.handshake), tap.handshake)
    assert (held.broken, held.unasked) == ([], [])
