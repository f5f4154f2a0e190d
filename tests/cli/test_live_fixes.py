"""Fixes switched on while the tap runs: by key, from another terminal, by command; and what the session then tells."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
import time
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from oauthtap.cli.errors import UsageError
from oauthtap.cli.fix import _put
from oauthtap.cli.live_fixes import LiveFixController
from oauthtap.cli.options.fixes import LIVE_FIX_FILE, FixOptions
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.fixes import toml_io
from oauthtap.fixes.applier import ActiveFixes
from oauthtap.proxy import live_page
from oauthtap.proxy.contentview import page
from oauthtap.render import FORMATS
from oauthtap.report.build import build
from oauthtap.upstream.options import UpstreamOptions
from tests.support.bed import Bed
from tests.support.clients import installed
from tests.support.running import COMMAND, LIMIT, Started, call, environment, started, to_the_bed
from tests.support.tapped import document, free_port, said, tapped, upstream
from tests.unit.render.test_html import chromium

TENANT = "https://tenant.authkit.test"
RULE = "prm-as-entry-is-endpoint"
PRM = "/.well-known/oauth-protected-resource"
INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-11-25"}}


def sign_in(tap_url: str) -> list[str]:
    """What a client does that goes by what it is told, as far as the authorization server's metadata.

    Gives the issuers that the metadata named.
    """
    origin = tap_url.removesuffix("/mcp")
    with httpx.Client(trust_env=False, timeout=20) as client:
        client.post(tap_url, json=INITIALIZE, headers={"Accept": "application/json, text/event-stream"})
        entries: list[str] = client.get(origin + PRM).json()["authorization_servers"]
        base, _, path = entries[0].partition("://")[2].partition("/")
        suffix = f"/{path}" if path else ""
        places = (
            f"http://{base}/.well-known/oauth-authorization-server{suffix}",
            f"http://{base}/.well-known/openid-configuration{suffix}",
            f"http://{base}{suffix}/.well-known/openid-configuration",
        )
        if not any(client.get(place).status_code == 200 for place in places[: 3 if path else 1]):
            client.post(f"http://{base}/register", json={"redirect_uris": ["http://localhost:4000/callback"]})
    return entries


class OnTerminal:
    """The command on a terminal of its own, whose keys a test presses."""

    def __init__(self, *words: str, home: Path) -> None:
        self.ours, theirs = pty.openpty()
        self.before = termios.tcgetattr(theirs)
        self.theirs = theirs
        self._said = b""
        # Its own session and its own terminal: so it is in the foreground there, as a shell would have it.
        self.process = subprocess.Popen(
            [sys.executable, "-c", _CHILD, str(COMMAND), *words],
            stdin=theirs, stdout=theirs, stderr=theirs, env=environment(home), start_new_session=True,
        )  # fmt: skip
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        try:
            while data := os.read(self.ours, 4096):
                self._said += data
        except OSError:
            return

    @property
    def said(self) -> str:
        return self._said.decode("utf-8", "replace").replace("\r\n", "\n")

    def press(self, keys: str) -> None:
        os.write(self.ours, keys.encode())

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + LIMIT
        while text not in self.said:
            assert time.monotonic() < deadline, f"never said {text!r}:\n{self.said}"
            assert self.process.poll() is None, self.said
            time.sleep(0.05)


_CHILD = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def on_terminal(bed: Bed, tmp_path: Path) -> Iterator[OnTerminal]:
    words = ["--upstream", bed.url("f12"), "--port", str(free_port()), "--no-web", *to_the_bed(bed)]
    run = OnTerminal(*words, "--session", str(tmp_path / "session"), home=tmp_path)
    yield run
    if run.process.poll() is None:
        run.process.kill()
    run.process.wait(timeout=LIMIT)
    os.close(run.theirs)
    os.close(run.ours)


def test_a_key_lists_what_would_repair_it_and_a_number_switches_it(on_terminal: OnTerminal) -> None:
    on_terminal.wait_for("f lists fixes")
    url = next(word for word in on_terminal.said.split() if word.startswith("http://localhost:"))
    with httpx.Client(trust_env=False, timeout=20) as client:
        client.post(url, json=INITIALIZE)
        assert client.get(url.replace("/mcp", f"{PRM}/mcp")).json()["authorization_servers"] != []
    on_terminal.press("f")
    on_terminal.wait_for("1  off  scheme-downgrade-behind-proxy")
    on_terminal.press("1")
    on_terminal.wait_for("On: scheme-downgrade-behind-proxy")
    with httpx.Client(trust_env=False, timeout=20) as client:
        client.get(url.replace("/mcp", f"{PRM}/mcp"))
    on_terminal.wait_for("patched by scheme-downgrade-behind-proxy")
    assert '"http://f12.mcp.test/mcp"' in on_terminal.said
    on_terminal.press("1")
    on_terminal.wait_for("Off: scheme-downgrade-behind-proxy")
    on_terminal.press("7")
    on_terminal.wait_for("There is no number 7")


@pytest.mark.parametrize("how", ["key", "signal"])
def test_ctrl_c_ends_it_and_the_terminal_is_as_it_was(on_terminal: OnTerminal, how: str) -> None:
    on_terminal.wait_for("Ctrl-C ends it")
    deadline = time.monotonic() + LIMIT
    while termios.tcgetattr(on_terminal.theirs)[3] & termios.ICANON:
        assert time.monotonic() < deadline, "keys do not come one by one"
        time.sleep(0.05)
    if how == "key":
        on_terminal.press("\x03")
    else:
        on_terminal.process.send_signal(signal.SIGINT)
    assert on_terminal.process.wait(timeout=LIMIT) == 3
    assert termios.tcgetattr(on_terminal.theirs) == on_terminal.before


@pytest.fixture
def tap(bed: Bed, tmp_path: Path) -> Iterator[Started]:
    with started(bed.url("seed2"), *to_the_bed(bed), home=tmp_path) as running:
        yield running


def test_another_terminal_applies_a_fix_and_takes_it_back(bed: Bed, tap: Started, tmp_path: Path) -> None:
    sign_in(tap.url)
    refused = call("fix", "--apply", tap.session, *to_the_bed(bed), home=tmp_path)
    assert refused.returncode == 1
    assert "oauthtap does not guess" in refused.stdout
    given = ("--fix", f"{RULE}={TENANT}")
    ran = call("fix", "--apply", tap.session, *given, *to_the_bed(bed), home=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "The tap switches them on within a second" in ran.stdout
    tap.wait_for("was read again: 1 fix is on")
    entry = sign_in(tap.url)[0]
    tap.wait_for("https://tenant.authkit.test is now at")
    assert call("fix", "--undo", tap.session, home=tmp_path).returncode == 0
    tap.wait_for("is off again")
    assert sign_in(tap.url)[0] != entry
    tap.end()
    attempts = tap.report["attempts"]
    assert [one["fixes"] for one in attempts] == [[], [f"prm-authorization-servers={TENANT}"], []]
    assert attempts[0]["cause"] == RULE
    assert (attempts[0]["changed"], attempts[2]["changed"]) == ([], [])
    assert attempts[1]["changed"][0]["said"] == '["https://api.workos.com/sso/authorize"]'
    assert attempts[1]["changed"][0]["saw"] == f'["{TENANT}"]'


def test_what_is_patched_is_told_in_every_file_and_judged_by_the_upstreams_words(
    bed: Bed, tap: Started, tmp_path: Path
) -> None:
    sign_in(tap.url)
    call("fix", "--apply", tap.session, "--fix", f"{RULE}={TENANT}", *to_the_bed(bed), home=tmp_path)
    tap.wait_for("was read again")
    sign_in(tap.url)
    tap.end()
    live = tap.report
    (patched,) = [step for step in live["exchanges"] if step["patched"]]
    assert patched["patched_by"] == ["prm-authorization-servers"]
    assert patched["patched"][0]["at"] == "response.json.authorization_servers"
    lines = [json.loads(line) for line in (tap.session / "session.jsonl").read_text().splitlines()]
    (line,) = [one for one in lines if one.get("id") == patched["id"]]
    assert "api.workos.com" in line["response"]["body"]
    assert TENANT in line["shown"]["body"]
    for file in ("", "session.jsonl", "flows.mitm", "session.har"):
        ran = call("check", tap.session / file, "--format", "json", home=tmp_path)
        assert json.loads(ran.stdout) == live, file
    for name in ("report.md", "report.html"):
        text = (tap.session / name).read_text()
        assert "api.workos.com/sso/authorize" in text
        assert TENANT in text
    assert "What oauthtap changed" in (tap.session / "report.md").read_text()
    assert "as the client received it" in (tap.session / "report.html").read_text()
    console = call("check", tap.session, "-v", home=tmp_path).stdout
    assert "Tried before: stopped at as-discovery; with `authorization_servers` →" in " ".join(console.split())
    assert f'upstream said ["https://api.workos.com/sso/authorize"], client saw ["{TENANT}"]' in console
    assert call("verify", tap.session, home=tmp_path).returncode == 0


def test_a_session_that_has_ended_takes_no_fix(bed: Bed, tap: Started, tmp_path: Path) -> None:
    tap.end()
    ran = call("fix", "--apply", tap.session, "--offline", home=tmp_path)
    assert ran.returncode == 2
    assert "has ended" in ran.stderr
    assert not (tap.session / LIVE_FIX_FILE).exists()


# --- the command of mitmweb


def switches(folder: Path, tap: SessionAnalyzer) -> tuple[LiveFixController, FixOptions]:
    fixing = FixOptions(Namespace(fix=[], fix_header=[], client_id=None))
    return LiveFixController(tap, fixing, folder, UpstreamOptions(), lambda lines: None), fixing


def test_the_command_lists_switches_and_switches_all_off(tmp_path: Path) -> None:
    made, fixing = switches(tmp_path, SessionAnalyzer("https://mcp.example.com/mcp"))
    assert made.command([]) == ["Nothing is proposed, and nothing is on."]
    assert "needs a value" in made.command([RULE])[0]
    said = made.command([f"{RULE}={TENANT}"])
    assert said[0].startswith(f"On: prm-authorization-servers={TENANT}")
    assert fixing.fixes.names == (f"prm-authorization-servers={TENANT}",)
    other = "https://other.authkit.test"
    made.command([f"{RULE}={other}"])
    assert fixing.fixes.names == (f"prm-authorization-servers={other}",)
    assert made.command(["1"])[0].startswith("On: ")
    assert fixing.fixes.names == (f"prm-authorization-servers={TENANT}",)
    assert made.command(["off"]) == ["Every fix is off."]
    assert fixing.fixes.names == ()


async def test_mitmproxy_knows_the_command() -> None:
    from mitmproxy.test import taddons

    from oauthtap.proxy.commands import Commands

    asked: list[Any] = []
    addon = Commands(lambda words: asked.append(tuple(words)) or ["listed"])  # type: ignore[func-returns-value]
    with taddons.context(addon) as context:
        assert context.master.commands.call_strings("oauthtap.fix", []) == ["listed"]
        context.master.commands.call_strings("oauthtap.fix", [f"{RULE}={TENANT}"])
    assert asked == [(), (f"{RULE}={TENANT}",)]


async def test_mitmweb_its_view_and_the_live_page_tell_both_sides_of_answer_and_request() -> None:
    wrong = {"resource": "https://other.test/mcp", "authorization_servers": ["http://mcp.test"]}
    pages = {f"{PRM}/mcp": document(wrong), "/token": said(400, "{}", content_type="application/json")}
    on = ActiveFixes(fixes=(*toml_io.presets_for("prm-resource"), *toml_io.presets_for("drop-resource")))
    async with upstream(pages) as server, tapped(server, web=True, web_port=free_port(), fixes=on) as tap:
        await tap.client.get(f"{tap.origin}{PRM}/mcp")
        form = {"grant_type": "refresh_token", "refresh_token": "r", "resource": "https://other.test/mcp"}
        await tap.client.post(f"{tap.origin}/token", data=form)
        document_step, token_step = tap.tap.steps
        assert [step.exchange.applied_fixes for step in tap.steps] == [("prm-resource",), ("drop-resource",)]
        assert document_step.exchange.delivered_response is not None
        assert token_step.exchange.forwarded_request is not None
        assert "resource=" not in server.came[-1].text
        shown, sent = tap.flows
        assert 'upstream said "https://other.test/mcp", client saw' in shown.comment
        assert "client said https://other.test/mcp, upstream saw nothing" in sent.comment
        text = "\n".join(page(document_step, shown, answer=True))
        assert "patched by prm-resource" in text
        live = await tap.client.get((tap.web_url or "").replace("/?", "/oauthtap/?"))
        assert "as the client received it (patched)" in live.text
        assert "as the server received it (patched)" in live.text
        report = build(tap.tap)
        assert report.deploy is not None
        assert len(report.deploy.requests) == 1


# --- the buttons of the live page


async def test_the_live_page_switches_the_same_fixes_and_nobody_else_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("this check is broken")

    wrong = {"resource": "http://mcp.test/mcp", "authorization_servers": ["https://api.workos.com/sso/authorize"]}
    pages = {f"{PRM}/mcp": document(wrong)}
    fixing, told = FixOptions(Namespace(fix=[], fix_header=[], client_id=None)), list[str]()

    def switch(tap: SessionAnalyzer) -> LiveFixController:
        return LiveFixController(tap, fixing, tmp_path, UpstreamOptions(), told.extend)

    async with (
        upstream(pages) as server,
        tapped(server, web=True, web_port=free_port(), fixes=fixing.fixes, switch=switch) as tap,
    ):
        base, _, query = (tap.web_url or "").partition("?")
        place = f"{base}oauthtap/fixes"
        assert (await tap.client.get(f"{base}oauthtap/?{query}")).status_code == 200
        own = {"Origin": base.rstrip("/"), "X-XSRFToken": tap.client.cookies["_mitmproxy_xsrf"]}
        given = {"rule": RULE, "value": TENANT}
        for headers in (
            {},
            {"Origin": own["Origin"]},
            {"X-XSRFToken": own["X-XSRFToken"]},
            {**own, "Origin": "http://evil.test"},
            {**own, "Sec-Fetch-Site": "cross-site"},
        ):
            assert (await tap.client.post(place, json=given, headers=headers)).status_code in (403, 500), headers
        async with httpx.AsyncClient(trust_env=False) as stranger:
            stranger.cookies.set("_mitmproxy_xsrf", own["X-XSRFToken"])
            assert (await stranger.post(place, json=given, headers=own)).status_code == 403
        assert (await tap.client.get(place, headers=own)).status_code == 405
        assert fixing.fixes.names == ()

        assert (await tap.client.post(place, json=given, headers=own)).status_code == 204
        (name,) = fixing.fixes.names
        assert told[0].startswith(f"On: {name}")
        answer = (await tap.client.get(f"{tap.origin}{PRM}/mcp")).json()
        assert answer["authorization_servers"][0] != wrong["authorization_servers"][0]
        assert tap.tap.steps[-1].exchange.applied_fixes == ("prm-authorization-servers",)
        live = (await tap.client.get(f"{base}oauthtap/")).text
        assert f'data-fix="{name}" aria-pressed="true"' in live

        assert (await tap.client.post(place, json={"fix": name, "on": False}, headers=own)).status_code == 204
        assert fixing.fixes.names == ()
        for bad in ({"fix": "no-such", "on": True}, {"rule": RULE, "value": "javascript:1"}, {"fix": name}, [1]):
            refused = await tap.client.post(place, json=bad, headers=own)
            assert refused.status_code == 400, bad
            assert refused.text
        for check in ("prepare", "check_xsrf_cookie", "get_current_user"):
            with monkeypatch.context() as patched:
                patched.setattr(live_page.Fixes, check, broken)
                assert (await tap.client.post(place, json=given, headers=own)).status_code == 500, check
        assert fixing.fixes.names == ()


@pytest.mark.browser
def test_a_person_types_the_issuer_and_sees_what_came_of_it(bed: Bed, tmp_path: Path) -> None:
    modules = installed.from_npm("page", "playwright-core@1", "axe-core@4")
    program = Path(__file__).parents[1] / "support" / "browser" / "fix.mjs"
    with started(bed.url("seed2"), *to_the_bed(bed), home=tmp_path, web=True) as tap:
        sign_in(tap.url)
        address = re.search(r"http://\S+/oauthtap/\?token=\w+", tap.said)
        assert address is not None
        command = ["node", str(program), str(modules), chromium(), address[0], TENANT, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as looking:
            assert looking.stdout is not None
            assert looking.stdout.readline() == "applied\n"
            assert sign_in(tap.url)[0].startswith("http://localhost:")
            seen = json.loads(looking.stdout.read())
    assert seen["refused"] == "nonsense is no URL. Type an issuer: https://…"
    assert [row.split()[0] for row in seen["attempts"]] == ["none", f"prm-authorization-servers={TENANT}"]
    assert "✗ stopped at as-discovery" in seen["attempts"][0]
    assert seen["off"]
    assert seen["kept"], "the button that was pressed keeps the focus while the page is drawn anew"
    applied, off = "prm-as-entry-is-endpoint is applied.", f"prm-authorization-servers={TENANT} is no longer applied."
    assert seen["told"][0].startswith(applied), "a screen reader hears it"
    assert off in seen["told"]
    assert any(words.startswith(seen["heading"]) for words in seen["told"]), "and what came of it"
    assert seen["violations"] == []


async def test_the_live_page_has_the_session_in_every_format() -> None:
    pages = {"/token": document({"access_token": "tok_canary_0123456789abcdef", "token_type": "Bearer"})}
    async with upstream(pages) as server, tapped(server, web=True, web_port=free_port()) as tap:
        base, _, query = (tap.web_url or "").partition("?")
        await tap.client.get(f"{tap.origin}/token")
        text = (await tap.client.get(f"{base}oauthtap/?{query}")).text
        links = re.findall(r'href="/(oauthtap/export/[a-z]+)"', text)
        assert len(links) == len(FORMATS)
        for link in links:
            got = await tap.client.get(base + link)
            assert got.status_code == 200, link
            assert "attachment" in got.headers["content-disposition"]
            assert "tok_canary" not in got.text
        assert (await tap.client.get(f"{base}oauthtap/export/nothing")).status_code == 404
        async with httpx.AsyncClient(trust_env=False) as stranger:
            assert (await stranger.get(base + links[0])).status_code == 403


def test_a_device_that_is_written_to_stays_one(tmp_path: Path) -> None:
    """`-o /dev/null`, as root, put a file in place of the device."""
    ours, theirs = pty.openpty()
    device = Path(os.ttyname(theirs))
    _put(device, "nothing", "-o FILE")
    assert device.is_char_device()
    assert os.read(ours, 20) == b"nothing"
    for end in (ours, theirs):
        os.close(end)
    with pytest.raises(UsageError):
        _put(tmp_path, "nothing", "-o FILE")
