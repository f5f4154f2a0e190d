"""Fixes as data: what they touch and what they leave alone, how they are written, and what a trial says."""

from __future__ import annotations

import dataclasses
import json
import os
import stat
import time
from argparse import Namespace
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache, partial
from pathlib import Path

import pytest

from benchmarks.score import RECORDINGS
from oauthtap import rules
from oauthtap.cli.errors import UsageError
from oauthtap.cli.options.fixes import FixOptions
from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.findings import Finding, Patch
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.fixes import toml_io
from oauthtap.fixes.actions import RequestChange, ResponseChange
from oauthtap.fixes.applier import ActiveFixes
from oauthtap.fixes.issuer_candidates import candidates, states, vendor_of
from oauthtap.fixes.model import Fix, When, from_patch, holds_alias, stages_of
from oauthtap.fixes.presets import presets
from oauthtap.formats import loader, notation
from oauthtap.model.exchange import Request, Response
from oauthtap.solve.dry_run import minimal_fixes, simulate
from tests.support.running import call

MCP = "https://mcp.example.com/mcp"
PRM = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
RECORDED = sorted((RECORDINGS / "corpus").glob("*.har"))
EVERY = [*RECORDED, *sorted((RECORDINGS / "live").glob("*.har"))]
VALUES = {"value": "https://x.example", "client_id": "c", "client_secret": "s"}
SEED2 = RECORDINGS / "live" / "cc330__seed2.har"

DEAD_ENTRY = """\
POST https://mcp.example.com/mcp {"jsonrpc":"2.0","id":1,"method":"initialize"}
401 WWW-Authenticate: Bearer resource_metadata="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"

GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://api.workos.com/sso/authorize"]}

GET https://api.workos.com/.well-known/oauth-authorization-server/sso/authorize
404 {}

GET https://api.workos.com/.well-known/openid-configuration/sso/authorize
404 {}

GET https://api.workos.com/sso/authorize/.well-known/openid-configuration
404 {}

POST https://api.workos.com/register {"redirect_uris": ["http://localhost:4000/callback"]}
404 {}
"""


def heard(text: str) -> SessionAnalyzer:
    tap = SessionAnalyzer(MCP)
    for exchange in notation.parse(text):
        tap.add(exchange)
    return tap


@cache
def recorded(path: Path) -> SessionAnalyzer:
    recording = loader.read(path)
    tap = SessionAnalyzer(recording.upstream)
    for exchange in recording.exchanges:
        tap.add(exchange)
    return tap


def answered(tap: SessionAnalyzer) -> Iterator[tuple[AnalyzedExchange, Response]]:
    return ((step, step.exchange.response) for step in tap.steps if step.exchange.response is not None)


# --- what is touched


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_no_preset_touches_an_exchange_that_its_condition_does_not_name(path: Path) -> None:
    tap = recorded(path)
    for step, response in answered(tap):
        asked, slugs = step.exchange.request, [stage.slug for stage in step.stages]
        for fix in presets():
            on = ActiveFixes(fixes=(fix,), values=VALUES)
            after, names = on.apply(step, asked, response)
            assert (after == response) is (not names)
            if names:
                assert any(fnmatchcase(slug, wanted) for slug in slugs for wanted in fix.when.stage), (fix.name, slugs)
                assert fix.when.method in (None, asked.method)
                assert not fix.when.status or response.status in fix.when.status
                assert not fix.when.media_type or response.media_type in fix.when.media_type
                assert fix.when.sent_token in (None, asked.header("authorization") is not None)
                assert not any(name in response.json_object for name in fix.when.lacks)


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_no_preset_changes_a_request_that_its_condition_does_not_name(path: Path) -> None:
    tap = recorded(path)
    changing = [fix for fix in presets() if fix.request is not None]
    for step in tap.steps:
        asked = step.exchange.request
        known = stages_of(asked)
        for fix in changing:
            after, names = ActiveFixes(fixes=(fix,), values=VALUES).request(asked, tap.handshake)
            assert (after == asked) is (not names)
            if names:
                assert set(known) & set(fix.when.stage), (fix.name, known)
                assert (after.method, after.bare_url) == (asked.method, asked.bare_url)


@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_a_patch_that_a_rule_proposes_touches_its_own_place_and_brings_no_stand_in_for_a_secret(path: Path) -> None:
    tap = recorded(path)
    for step in tap.steps:
        for finding in step.findings:
            if finding.patch is None or holds_alias(finding.patch):
                continue
            asked = step.exchange.request
            fix = from_patch(finding.rule, finding.patch, When(method=asked.method, url=asked.bare_url))
            for other, response in answered(tap):
                _, names = ActiveFixes(fixes=(fix,)).apply(other, other.exchange.request, response)
                there = (other.exchange.request.method, other.exchange.request.bare_url)
                assert not names or there == (asked.method, asked.bare_url)


def test_a_patch_with_a_stand_in_for_a_secret_reaches_nobody() -> None:
    tap = heard(DEAD_ENTRY)
    step = tap.steps[1]
    response = step.exchange.response
    assert response is not None
    secret = Fix(name="x", safe=True, answer=ResponseChange(merge={"access_token": "‹token 1›"}))
    assert ActiveFixes(fixes=(secret,)).apply(step, step.exchange.request, response) == (response, ())
    proposed = Finding.model_construct(rule="x", patch=Patch(merge={"access_token": "‹token 1›"}))
    found = dataclasses.replace(step, findings=(proposed,))
    on = ActiveFixes(rules=frozenset({"x"}))
    assert on.apply(found, step.exchange.request, response) == (response, ())
    assert holds_alias(Patch(merge={"access_token": "‹token 1›"}))


def test_a_fix_without_its_value_changes_nothing() -> None:
    tap = heard(DEAD_ENTRY)
    fix = next(one for one in presets() if one.name == "prm-authorization-servers")
    step = tap.steps[1]
    assert step.exchange.response is not None
    after, names = ActiveFixes(fixes=(fix,)).apply(step, step.exchange.request, step.exchange.response)
    assert (after, names) == (step.exchange.response, ())


ELSEWHERE = """\
GET https://mcp.example.com/.well-known/oauth-protected-resource
200 {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"], "scopes_supported": ["a"]}

GET https://as.example.com/.well-known/openid-configuration
200 {"issuer": "https://as.example.com", "authorization_endpoint": "https://as.example.com/a", "token_endpoint": "https://as.example.com/t"}

GET https://mcp.example.com/.well-known/oauth-protected-resource/mcp
404 {}

GET https://as.example.com/.well-known/oauth-authorization-server
404 {}
"""  # noqa: E501


@pytest.mark.parametrize(
    ("name", "member", "place"), [("prm-copy", "scopes_supported", 2), ("as-metadata-copy", "issuer", 3)]
)
def test_metadata_is_copied_from_where_it_lies_and_from_nowhere_when_it_was_not_found(
    name: str, member: str, place: int
) -> None:
    tap = heard(ELSEWHERE)
    on = ActiveFixes(fixes=tuple(fix for fix in presets() if fix.name == name))
    step = tap.steps[place]
    assert step.exchange.response is not None
    after, names = on.apply(step, step.exchange.request, step.exchange.response)
    assert (names, after.status) == ((name,), 200)
    assert member in after.json_object
    nothing = SessionAnalyzer(MCP).handshake
    unknown = dataclasses.replace(step, handshake=nothing)
    assert on.apply(unknown, step.exchange.request, step.exchange.response) == (step.exchange.response, ())


# --- what is made of answers and requests

ASK = Request(method="POST", url="https://as.example.com/token", body="grant_type=authorization_code&code=1")


def test_a_form_becomes_the_json_it_should_have_been() -> None:
    came = Response(
        status=200,
        headers=(("Content-Type", "application/x-www-form-urlencoded"), ("Cache-Control", "no-store")),
        body="access_token=a%2Fb&expires_in=3600&token_type=Bearer",
    )
    made = ResponseChange(form_to_json=True)(ASK, came)
    assert made.json_object == {"access_token": "a/b", "expires_in": 3600, "token_type": "Bearer"}
    assert made.header_lines("content-type") == ("application/json",)
    assert made.header("cache-control") == "no-store"


def test_operations_of_rfc_6902_change_a_body_and_one_that_does_not_fit_changes_nothing() -> None:
    came = Response(status=200, headers=(("Content-Type", "application/json"),), body='{"issuer": "a", "b": [1]}')
    operations = '[{"op": "replace", "path": "/issuer", "value": "c"}, {"op": "add", "path": "/b/-", "value": 2}]'
    assert ResponseChange.model_validate({"patch": operations})(ASK, came).json_object == {"issuer": "c", "b": [1, 2]}
    assert ResponseChange.model_validate({"patch": '[{"op": "remove", "path": "/nowhere"}]'})(ASK, came) == came


def test_a_challenge_keeps_what_it_says_besides() -> None:
    header = ("WWW-Authenticate", 'Basic realm="x", Bearer error="invalid_token", scope="a b"')
    came = Response(status=401, headers=(header,))
    answer = ResponseChange(challenge={"resource_metadata": PRM}, drop_challenge=("error",))
    assert (
        answer(ASK, came).header("www-authenticate")
        == f'Basic realm="x", Bearer scope="a b", resource_metadata="{PRM}"'
    )
    assert answer(ASK, Response(status=401)).header("www-authenticate") == f'Bearer resource_metadata="{PRM}"'


def test_only_the_named_host_becomes_https() -> None:
    body = '{"resource": "http://mcp.example.com/mcp", "other": "http://mcp.example.com.evil.test/"}'
    made = ResponseChange(https=True)(Request(method="GET", url=PRM), Response(status=200, body=body))
    assert made.json_object == {"resource": MCP, "other": "http://mcp.example.com.evil.test/"}


def test_parameters_are_forced_added_and_dropped_and_every_other_byte_stays() -> None:
    url = "https://as.example.com/authorize?client_id=a%2Db&response_type=code&resource=x&resource=y&state=%7E"
    asked = Request(method="GET", url=url)
    forced = RequestChange(set={"resource": MCP})(asked)
    assert forced.url == (
        "https://as.example.com/authorize?client_id=a%2Db&response_type=code"
        "&resource=https%3A%2F%2Fmcp.example.com%2Fmcp&state=%7E"
    )
    assert RequestChange(drop=("resource",))(asked).url.endswith("response_type=code&state=%7E")
    assert RequestChange(add={"resource": MCP})(asked) is asked
    assert RequestChange(add={"scope": "a b"})(ASK).body == "grant_type=authorization_code&code=1&scope=a%20b"


def test_a_request_is_recognized_by_its_parameters() -> None:
    assert stages_of(ASK) == ("token-request",)
    assert stages_of(Request(method="GET", url="https://a.test/?client_id=1&response_type=code")) == (
        "authorization-request",
    )
    assert stages_of(Request(method="POST", url=MCP, body='{"jsonrpc": "2.0", "method": "ping"}')) == ()


# --- presets and files


def test_every_preset_cures_rules_that_exist_and_names_stages_that_exist() -> None:
    from oauthtap.handshake.stages import STAGES

    slugs = {kind.slug for kind in STAGES}
    for fix in presets():
        assert set(fix.cures) <= set(rules.load()), fix.name
        assert fix.when.stage, fix.name
        assert all(any(fnmatchcase(slug, wanted) for slug in slugs) for wanted in fix.when.stage), fix.name
    assert len({fix.name for fix in presets()}) == len(presets())


def test_what_is_written_reads_back_as_the_same_fixes() -> None:
    own = from_patch(
        "as-issuer-mismatch", Patch(merge={"issuer": "a\"'b", "x": None}, headers={"A": "1", "B": None}), When(url=PRM)
    )
    whole = (fix for fix in presets() if "value" not in fix.needs)
    fixes = (*whole, own, *toml_io.presets_for("prm-as-entry-is-endpoint", "https://issuer.example"))
    assert toml_io.read(toml_io.write(fixes, "one\ntwo")) == fixes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('[[fix]]\nname = "a"\nsafe = true\n[fix.when]\nstge = "x"\n', "line 5: `when.stge`"),
        ('[[fix]]\nname = "a"\nsafe = true\n[fix.answer]\nstatus = "x"\n', "line 5: `answer.status`"),
        ('[[fix]]\nname = "a"\nanswer = { status = 1 }\n', 'say either `safe = true` or `assumes = "…"`'),
        ('[[fix]]\nname = "a"\nsafe = true\n', "it changes nothing"),
        ('\n[[fix]]\nuse = "nothing-like-it"\n', "line 3: `use`: there is no preset nothing-like-it"),
        ("fixes = 1\n", "line 1: `fixes` is not known here"),
        ("[[fix\n", "no TOML"),
    ],
)
def test_a_file_that_is_wrong_is_told_by_line_and_key(text: str, words: str) -> None:
    with pytest.raises(toml_io.FixError) as caught:
        toml_io.read(text)
    assert words in str(caught.value)


def flags(*fix: str, **others: object) -> FixOptions:
    return FixOptions(Namespace(**{"fix": list(fix), "fix_header": [], "client_id": None, **others}))


def test_a_rule_that_needs_a_value_says_so_and_none_is_guessed() -> None:
    with pytest.raises(UsageError, match="needs a value, and oauthtap does not guess one"):
        flags("prm-as-entry-is-endpoint")
    with pytest.raises(UsageError, match="Try: --fix as-issuer-mismatch"):
        flags("as-issuer-mismatsh")
    on = flags("prm-as-entry-is-endpoint=https://issuer.example").fixes
    assert [fix.value for fix in on.fixes] == ["https://issuer.example"]


def test_safe_switches_on_nothing_that_assumes() -> None:
    on = flags("safe").fixes
    assert on.every_safe
    assert on.fixes
    assert all(fix.safe and fix.assumes is None for fix in on.fixes)


def test_a_secret_comes_from_the_environment_and_stays_out_of_what_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OAUTHTAP_CLIENT_SECRET", "s3cret-of-before")
    on = flags(client_id="abc").fixes
    assert on.values["client_secret"] == "s3cret-of-before"
    assert "s3cret-of-before" not in toml_io.write(on.fixes)


def test_a_file_is_read_again_when_it_changes_and_a_broken_one_leaves_all_as_it_was(tmp_path: Path) -> None:
    file = tmp_path / "fixes.toml"
    file.write_text('[[fix]]\nuse = "no-store"\n')
    given = flags(str(file))
    assert [fix.name for fix in given.fixes.fixes] == ["no-store"]
    assert list(given.reload_changed_files()) == []
    later = time.time() + 5
    file.write_text('[[fix]]\nuse = "no-store"\n[[fix]]\nuse = "https"\n')
    os.utime(file, (later, later))
    assert "2 fixes are on" in " ".join(given.reload_changed_files())
    assert [fix.name for fix in given.fixes.fixes] == ["no-store", "https"]
    file.write_text("[[fix")
    os.utime(file, (later + 5, later + 5))
    assert "the fixes of before stay on" in " ".join(given.reload_changed_files())
    assert [fix.name for fix in given.fixes.fixes] == ["no-store", "https"]


# --- would it be enough?


def test_without_the_issuer_the_finding_stays_and_with_it_nothing_recorded_is_in_the_way() -> None:
    tap = heard(DEAD_ENTRY)
    new_tap = partial(SessionAnalyzer, MCP)
    trial, stuck = minimal_fixes(new_tap, tap.steps)
    assert not trial.enough
    assert stuck is not None
    assert stuck.rule == "prm-as-entry-is-endpoint"
    given = toml_io.presets_for("prm-as-entry-is-endpoint", "https://tenant.authkit.app")
    trial, stuck = minimal_fixes(new_tap, tap.steps, given)
    assert trial.enough
    assert stuck is None
    assert [fix.name for fix in trial.fixes] == ["prm-authorization-servers"]
    assert trial.touched == (2,)
    assert trial.left_out == (3, 4, 5, 6)
    assert trial.report.connected is False


def test_no_fix_at_all_is_no_trial_that_says_enough() -> None:
    tap = heard(DEAD_ENTRY)
    assert not simulate(partial(SessionAnalyzer, MCP), tap.steps, ()).enough


def test_candidates_are_prefixes_of_the_entry_and_are_checked_by_what_they_state() -> None:
    found = [one.issuer for one in candidates(heard(DEAD_ENTRY).handshake)]
    assert found == ["https://api.workos.com/sso", "https://api.workos.com", "https://mcp.example.com"]
    assert all(one.sure is None for one in candidates(heard(DEAD_ENTRY).handshake))
    assert states("https://a.test", {"issuer": "https://a.test", "authorization_endpoint": "https://a.test/x"})
    assert not states("https://a.test", {"issuer": "https://b.test", "authorization_endpoint": "https://a.test/x"})
    vendor = vendor_of("https://api.workos.com/sso/authorize")
    assert vendor is not None
    assert vendor.name == "WorkOS AuthKit"


def test_a_url_in_the_challenge_that_is_no_pointer_is_a_candidate() -> None:
    named = DEAD_ENTRY.replace(
        "401 WWW-Authenticate: Bearer ",
        '401\nWWW-Authenticate: Bearer authorization_uri="https://tenant.example/as", ',
        1,
    )
    found = candidates(heard(named).handshake)
    assert [one.issuer for one in found][0] == "https://tenant.example/as"  # noqa: RUF015
    assert "authorization_uri" in found[0].why


def test_the_command_asks_for_the_issuer_and_writes_a_private_file_once_it_has_it(tmp_path: Path) -> None:
    file = tmp_path / "fixes.toml"
    ran = call("fix", SEED2, "--offline", "-o", file, home=tmp_path)
    assert ran.returncode == 1
    assert "oauthtap does not guess" in ran.stdout
    assert not file.exists()
    named = "prm-as-entry-is-endpoint=https://tenant.example"
    ran = call("fix", SEED2, "--offline", "--fix", named, "-o", file, home=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "No blocking problem is left in the recording" in ran.stdout
    assert "was never requested, so it is unknown" in ran.stdout
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [fix.value for fix in toml_io.read(file.read_text())] == ["https://tenant.example"]


def test_each_fix_says_what_it_assumes_also_where_that_is_nothing(tmp_path: Path) -> None:
    ran = call(
        "fix",
        RECORDINGS / "corpus" / "059-token-response-form-encoded.har",
        "--offline",
        "-o",
        tmp_path / "fixes.toml",
        home=tmp_path,
    )
    assert "\n    assumes nothing\n" in ran.stdout


def test_a_recording_that_connected_needs_nothing(tmp_path: Path) -> None:
    index = json.loads((RECORDINGS / "live" / "index.json").read_text())
    name = next(name for name, told in index.items() if told["connected"] and name.startswith("cc330"))
    ran = call("fix", RECORDINGS / "live" / f"{name}.har", "--offline", home=tmp_path)
    assert ran.returncode == 0
    assert "No blocking problem found" in ran.stdout


def test_the_document_tells_every_preset_and_its_example_reads() -> None:
    document = (Path(__file__).parents[3] / "docs" / "fixes.md").read_text(encoding="utf-8")
    for fix in presets():
        named = f"`{fix.name}=VALUE`" if "value" in fix.needs else f"`{fix.name}`"
        cured = ", ".join(f"`{rule}`" for rule in fix.cures) or "-"
        assert f"| {named} | {fix.says} | {cured} |" in document
    example = document.partition("```toml\n")[2].partition("```")[0]
    assert [fix.name for fix in toml_io.read(example)] == ["prm-authorization-servers", "our-issuer", "our-resource"]
