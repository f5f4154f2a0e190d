"""What fixes changed: told place by place, kept apart by sign-in, and turned into what to deploy."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import jsonpatch
import pytest

from oauthtap import rules
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.fixes import toml_io
from oauthtap.fixes.applier import ActiveFixes
from oauthtap.fixes.attempts import attempts
from oauthtap.fixes.change_log import changes, phrase
from oauthtap.fixes.deploy_plan import change, deploy, recognized
from oauthtap.fixes.model import PLACEHOLDER, Fix
from oauthtap.fixes.presets import presets
from oauthtap.fixes.stacks import Stack, stacks
from oauthtap.formats import notation
from oauthtap.model.exchange import Exchange, Request, Response
from oauthtap.render import FORMATS
from oauthtap.render import deploy_plan as words
from oauthtap.render.labels import cured, outcome
from oauthtap.report.build import build
from tests.unit.diagnosis.multi.test_attribution import Client, in_turns

MCP = "https://mcp.example.com/mcp"
PRM = "https://mcp.example.com/.well-known/oauth-protected-resource/mcp"
TENANT = "https://tenant.authkit.app"
JSON = ("Content-Type", "application/json")

FAILS = f"""\
POST {MCP} {{"jsonrpc":"2.0","id":1,"method":"initialize"}}
401
WWW-Authenticate: Bearer error_description="Authorization needed", resource_metadata="{PRM}"

GET {PRM}
200 {{"resource": "{MCP}", "authorization_servers": ["https://api.workos.com/sso/authorize"]}}

GET https://api.workos.com/.well-known/oauth-authorization-server/sso/authorize
404 {{}}

GET https://api.workos.com/.well-known/openid-configuration/sso/authorize
404 {{}}

GET https://api.workos.com/sso/authorize/.well-known/openid-configuration
404 {{}}

POST https://api.workos.com/register {{"redirect_uris": ["http://localhost:4000/callback"]}}
404 {{}}
"""
GOES_ON = f"""\
POST {MCP} {{"jsonrpc":"2.0","id":1,"method":"initialize"}}
401
WWW-Authenticate: Bearer error_description="Authorization needed", resource_metadata="{PRM}"

GET {PRM}
200 {{"resource": "{MCP}", "authorization_servers": ["https://api.workos.com/sso/authorize"]}}

GET {TENANT}/.well-known/oauth-authorization-server
200
  {{"issuer": "{TENANT}", "authorization_endpoint": "{TENANT}/a", "token_endpoint": "{TENANT}/t",
  "registration_endpoint": "{TENANT}/r", "response_types_supported": ["code"],
  "code_challenge_methods_supported": ["S256"]}}
"""


def on(*fixes: Fix) -> ActiveFixes:
    return ActiveFixes(fixes=fixes)


def heard(*parts: tuple[str, ActiveFixes]) -> SessionAnalyzer:
    """A tap that hears these exchanges, each part with its fixes on: what the proxy does, without the proxy."""
    tap = SessionAnalyzer(MCP)
    number, were = 0, ()
    for text, fixes in parts:
        for exchange in notation.parse(text):
            number += 1
            exchange = exchange.replace(id=number, started_at=1000.0 + number, duration=0.1)
            if fixes.names != were:
                were = fixes.names
                exchange = exchange.replace(active_fixes=were)
            analyzed = tap.analyze(exchange)
            assert exchange.response is not None
            delivered, applied = fixes.apply(analyzed, exchange.request, exchange.response)
            tap.record_delivery(analyzed, delivered if applied else None, applied)
    return tap


ISSUER = toml_io.presets_for("prm-as-entry-is-endpoint", TENANT)


def live() -> SessionAnalyzer:
    return heard((FAILS, on()), (GOES_ON, on(*ISSUER)))


# --- place by place


def test_every_place_that_changed_is_told_once_with_both_sides() -> None:
    before = Response(
        status=403, headers=(JSON, ("WWW-Authenticate", "Basic"), ("Content-Length", "9")), body='{"a": 1}'
    )
    after = Response(status=401, headers=(JSON, ("ETag", "x"), ("Content-Length", "22")), body='{"a": 2, "b": null}')
    asked = Request(method="GET", url=f"{MCP}?resource=a&x=1")
    sent = Request(method="GET", url=f"{MCP}?resource=b&x=1")
    exchange = Exchange(
        request=asked, response=before, forwarded_request=sent, delivered_response=after, applied_fixes=("x",)
    )
    assert [(one.at, one.original, one.delivered) for one in changes(exchange)] == [
        ("request.query.resource", "a", "b"),
        ("response.status", "403", "401"),
        ("response.header.www-authenticate", "Basic", None),
        ("response.header.etag", None, "x"),
        ("response.json.a", "1", "2"),
        ("response.json.b", None, "null"),
    ]
    assert phrase(changes(exchange)) == "`resource` → b, `status` → 401, `www-authenticate` → nothing and 3 more"
    assert changes(Exchange(request=asked, response=before)) == ()


# --- sign-in by sign-in


def test_sign_ins_are_told_apart_and_judged_by_the_upstreams_own_words() -> None:
    report = build(live())
    first, second = report.attempts
    assert (first.fixes, first.reached, first.connected, first.cause) == (
        (), "as-discovery", False, "prm-as-entry-is-endpoint",
    )  # fmt: skip
    assert second.fixes == (f"prm-authorization-servers={TENANT}",)
    assert (second.first, second.reached) == (7, "as-discovery")
    assert (second.good, second.steps) == (3, 3)
    patched = report.exchanges[7]
    assert patched.patched[0].original == '["https://api.workos.com/sso/authorize"]'
    assert report.exchanges[8].initiator is not None
    assert (report.exchanges[8].initiator.exchange, report.exchanges[8].initiator.guess) == (8, False)
    assert report.cause is None or report.cause.exchange is None or report.cause.exchange >= 7


def test_what_a_fix_took_away_is_no_cause_and_keeps_its_weight() -> None:
    missing = toml_io.presets_for("prm-resource-origin-mismatch")
    wrong = GOES_ON.replace(f'"resource": "{MCP}"', '"resource": "https://other.example/mcp"')
    report = build(heard((wrong, on(*ISSUER, *missing))))
    (found,) = [one for one in report.findings if one.rule == "prm-resource-origin-mismatch"]
    assert set(found.fixed_by) == {"prm-resource", "prm-authorization-servers"}
    assert found.severity == "error"
    assert report.cause is None or report.cause.rule != "prm-resource-origin-mismatch"
    assert [one.rule for one in cured(report)] == ["prm-resource-origin-mismatch"]
    without = build(heard((wrong, on())))
    assert without.cause is not None
    assert without.attempts == ()
    assert "fixes of oauthtap" not in outcome(without)


def test_switching_without_a_request_in_between_makes_no_sign_in() -> None:
    tap = heard((FAILS, on()))
    for number, name in ((7, "a"), (8, "b")):  # a look of ours is nobody's sign-in
        ask = Request(method="GET", url=PRM)
        tap.add(Exchange(id=number, request=ask, response=Response(status=404), active_fixes=(name,), actor="reporter"))
    assert [one.fixes for one in build(tap).attempts] == [()]
    assert tap.newest_period.since == 7


@pytest.mark.parametrize("format", ["console", "markdown", "html", "json"])
def test_each_format_tells_both_sides_and_what_to_deploy(format: str) -> None:
    tap = live()
    text = FORMATS[format](build(tap), tuple(step.exchange for step in tap.steps))
    assert "https://api.workos.com/sso/authorize" in text
    assert TENANT in text
    assert "prm-authorization-servers" in text
    if format in ("markdown", "html"):
        assert "What to deploy (not proven by a client)" in text


# --- what to deploy


def patched_by(fix: Fix, exchange: Exchange) -> Exchange:
    assert fix.answer is not None
    assert exchange.response is not None
    return exchange.replace(
        delivered_response=fix.answer(exchange.request, exchange.response), applied_fixes=(fix.name,)
    )


def preset(name: str) -> Fix:
    return next(fix for fix in presets() if fix.name == name)


def test_the_change_is_a_diff_and_a_json_patch_that_makes_one_of_the_other() -> None:
    (made,) = [one for step in live().steps if (one := change(step.exchange))]
    assert made.json_patch == ({"op": "replace", "path": "/authorization_servers/0", "value": TENANT},)
    assert '-    "https://api.workos.com/sso/authorize"' in made.diff
    assert f'+    "{TENANT}"' in made.diff
    assert made.diff.startswith(f"--- {PRM} (as it is)\n+++ {PRM} (as it has to be)")
    assert (made.was, made.status, made.headers) == (200, None, {})
    document = json.loads('{"authorization_servers": ["https://api.workos.com/sso/authorize"]}')
    assert jsonpatch.apply_patch(document, list(made.json_patch))["authorization_servers"] == [TENANT]


def test_a_form_becomes_json_and_a_registration_repeats_what_was_asked() -> None:
    token = Exchange(
        request=Request(method="POST", url="https://as.example.com/token"),
        response=Response(
            status=200,
            headers=(("Content-Type", "application/x-www-form-urlencoded"),),
            body="access_token=%E2%80%B9token+1%E2%80%BA&expires_in=60",
        ),
    )
    made = change(patched_by(preset("token-json"), token))
    assert made is not None
    assert (made.encoding, made.json_patch) == ("json", ({"op": "replace", "path": "/expires_in", "value": 60},))
    refused = Exchange(
        request=Request(
            method="POST", url="https://as.example.com/r", body='{"redirect_uris": ["http://localhost:1/"]}'
        ),
        response=Response(status=400, headers=(JSON,), body='{"error": "invalid_redirect_uri"}'),
    )
    filled = preset("client-id").filled({"client_id": "c"})
    assert filled is not None
    made = change(patched_by(filled, refused))
    assert made is not None
    assert (made.was, made.status, made.repeats) == (400, 201, ("redirect_uris",))
    assert {"op": "remove", "path": "/error"} in made.json_patch


def test_a_page_is_replaced_as_a_whole_and_hostile_text_ends_no_fence() -> None:
    page = Response(status=200, headers=(("Content-Type", "text/html"),), body="```\n<script>alert(1)</script>\x1b[31m")
    exchange = Exchange(id=1, request=Request(method="GET", url=PRM), response=page)
    shown = Response(status=200, headers=(JSON,), body='{"resource": "a"}')
    exchange = exchange.replace(delivered_response=shown, applied_fixes=("x",))
    made = deploy([exchange], SessionAnalyzer(MCP).handshake, proved=True)
    assert made is not None
    assert made.changes[0].json_patch == ({"op": "add", "path": "", "value": {"resource": "a"}},)
    text = "\n".join(words.markdown(made))
    assert "\n````diff\n" in text
    assert "\x1b" not in text
    assert "\x1b" not in "\n".join(words.console(made))


def test_nothing_patched_is_nothing_to_deploy() -> None:
    assert build(heard((FAILS, on()))).deploy is None


# --- stacks

CODES: dict[str, dict[str, str]] = {
    "cloudflare": {"WWW-Authenticate": 'Bearer realm="OAuth", resource_metadata="x"'},
    "python-sdk": {"WWW-Authenticate": 'Bearer error="invalid_token", error_description="Authentication required"'},
    "typescript-sdk": {
        "WWW-Authenticate": 'Bearer error="invalid_token", error_description="Missing Authorization header"'
    },
    "fastmcp": {
        "WWW-Authenticate": 'Bearer error="invalid_token", error_description="Authentication failed. '
        'The provided bearer token is invalid, expired, or no longer recognized by the server."'
    },
    "raindrop-workos": {"WWW-Authenticate": 'Bearer error="unauthorized", error_description="Authorization needed"'},
}
ENTRIES = {
    "keycloak": "https://sso.example.com/realms/mcp",
    "entra": "https://login.microsoftonline.com/tenant/v2.0",
    "better-auth": "https://app.example.com/api/auth",
    "raindrop-workos": "https://api.workos.com/sso/authorize",
}


def seen(*exchanges: Exchange) -> dict[str, tuple[str, ...]]:
    tap = SessionAnalyzer(MCP)
    for exchange in exchanges:
        tap.add(exchange)
    return recognized(tap.handshake)


def refusal(headers: dict[str, str]) -> Exchange:
    asked = Request(method="POST", url=MCP, headers=(JSON,), body='{"jsonrpc":"2.0","id":1,"method":"initialize"}')
    return Exchange(request=asked, response=Response(status=401, headers=tuple(headers.items())))


@pytest.mark.parametrize("name", CODES)
def test_a_stack_is_recognized_by_its_401_and_taken_for_no_other(name: str) -> None:
    assert list(seen(refusal(CODES[name]))) == [name]


@pytest.mark.parametrize("name", ENTRIES)
def test_a_stack_is_recognized_by_its_issuer(name: str) -> None:
    document = json.dumps({"resource": MCP, "authorization_servers": [ENTRIES[name]]})
    answer = Response(status=200, headers=(JSON,), body=document)
    assert list(seen(Exchange(request=Request(method="GET", url=PRM), response=answer))) == [name]


def test_a_server_that_says_nothing_of_itself_is_not_recognized() -> None:
    assert seen(refusal({"WWW-Authenticate": f'Bearer resource_metadata="{PRM}"'})) == {}


@pytest.mark.parametrize(("name", "stack"), stacks().items(), ids=stacks())
def test_a_stacks_lines_are_for_fixes_that_exist_and_hold_names_that_are_looked_up(name: str, stack: Stack) -> None:
    known = {fix.name for fix in presets()} | set(rules.load())
    values: set[str] = set()
    for lines in stack.lines:
        assert set(lines.for_) <= known, set(lines.for_) - known
        values |= {match[1] for match in PLACEHOLDER.finditer(lines.text + lines.where)}
    assert values <= {"issuer", "resource", "document_resource", "origin", "path", "client_id", "scope", "as_metadata",
                      "as_metadata_path"}  # fmt: skip
    text = "".join(lines.text for lines in stack.lines)
    assert set(stack.names) <= set(re.findall(r"\w+", text)), "names that no line uses"
    assert stack.source.startswith("https://")
    assert bool(stack.package) is bool(stack.names)


def test_the_seed_gets_the_lines_of_its_stack() -> None:
    report = build(live())
    assert report.deploy is not None
    assert {one.stack for one in report.deploy.recipes} == {"Raindrop manifest with WorkOS AuthKit"}
    assert f'authorization_server = "{TENANT}"' in report.deploy.recipes[0].text


def test_a_stack_may_be_named() -> None:
    tap = live()
    made: Any = deploy([step.exchange for step in tap.steps], tap.handshake, proved=True, stack="fastmcp")
    assert {one.stack for one in made.recipes} == {"FastMCP"}
    assert f'authorization_servers=["{TENANT}"]' in made.recipes[0].text
    assert 'mcp.run(transport="http", path="/mcp")' in made.recipes[0].text


def test_the_document_tells_every_stack() -> None:
    document = (Path(__file__).parents[3] / "docs" / "fixes.md").read_text(encoding="utf-8")
    for name, stack in stacks().items():
        assert f"| `{name}` | {stack.name} | {stack.version} | {stack.checked} | {stack.how} |" in document


def test_fixes_are_on_for_every_client_when_there_are_several() -> None:
    first, second, third = (Client(name, 40001 + number).whole() for number, name in enumerate("abc"))
    tap = SessionAnalyzer(MCP)
    walks = [*in_turns(first[:7], second[:7]), *in_turns(first[7:], second[7:], third)]
    for number, exchange in enumerate(walks, 1):
        fixes = ("x",) if number == 10 else None
        tap.add(exchange.replace(id=number, started_at=1000.0 + number, duration=0.1, active_fixes=fixes))
    made = [attempts(client, tap.fix_periods(client), client.findings_until(None)) for client in tap.clients]
    assert [[one.fixes for one in each] for each in made] == [[(), ("x",)], [(), ("x",)], [("x",)]]
