"""`oauthtap drive` with a client that we made up: what it runs, what it says, what it leaves. No real clients."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from oauthtap.cli import main
from oauthtap.drive import install as installed
from oauthtap.drive.driver import BROWSER, PROGRAMS, Driver, DriverError, drivers, find_driver
from tests.cli.test_watch import serving
from tests.support.bed import Bed
from tests.support.running import COMMAND, LIMIT, environment, to_the_bed
from tests.support.servers.threads import Answer, Case, serve

ROOT = Path(__file__).parents[2]
FAKE = (
    f"#!{sys.executable}\nimport sys; sys.path.insert(0, {str(ROOT)!r}); ROOT = {str(ROOT)!r}\n"
    + '''
"""`claude`, as far as it is driven: signs in by the book, and says how that went."""
import base64, hashlib, http.server, json, os, pathlib, subprocess, sys, time
import urllib.parse, urllib.request

MOOD = open(pathlib.Path(__file__).with_name("mood")).read().strip()
HOME = pathlib.Path(os.environ["HOME"])
came = []


class Callback(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        came.append(dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(self.path).query)))
        self.send_response(200); self.send_header("Content-Length", "0"); self.end_headers()

    def log_message(self, *_):
        pass


def ask(url, body=None, **headers):
    asked = urllib.request.Request(url, body, headers)
    try:
        return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=20).read().decode()
    except urllib.error.HTTPError as problem:
        return f"HTTP {problem.code}"


def login(url):
    local = url.rpartition("/")[0]
    server = http.server.HTTPServer(("127.0.0.1", 0), Callback)
    back = f"http://localhost:{server.server_port}/callback"
    told = {"client_name": "fake", "redirect_uris": [back], "token_endpoint_auth_method": "none"}
    client = json.loads(ask(f"{local}/register", json.dumps(told).encode(), **{"Content-Type": "application/json"}))
    verifier = "v" * 50
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    asked = {"response_type": "code", "client_id": client["client_id"], "redirect_uri": back, "state": "s",
             "code_challenge": challenge, "code_challenge_method": "S256", "resource": url}
    subprocess.run([os.environ["BROWSER"], f"{local}/authorize?{urllib.parse.urlencode(asked)}"], check=True)
    server.timeout = 300 if MOOD == "patient" else 20
    server.handle_request()
    redeemed = {"grant_type": "authorization_code", "client_id": client["client_id"], "code": came[0]["code"],
                "redirect_uri": back, "code_verifier": verifier, "resource": url}
    tokens = json.loads(ask(f"{local}/token", urllib.parse.urlencode(redeemed).encode()))
    (HOME / "token").write_text(tokens["access_token"])
    print("the token is", tokens["access_token"])
    print("and OPENAI_API_KEY=sk-proj-canary0123456789abcdef")


words = sys.argv[1:]
if words == ["--version"]:
    print("9.9.9 (Claude Code)")
elif words[1] == "add":
    (HOME / "url").write_text(words[-1])
    pathlib.Path(__file__).with_name("env").write_text(json.dumps(sorted(os.environ)))
    print("TERMINAL", sys.stdout.isatty())
elif words[1] == "login":
    print("TERMINAL", sys.stdout.isatty())
    if MOOD == "hangs":
        child = [sys.executable, "-c", "import time; time.sleep(600)"]
        runaway = subprocess.Popen(child, start_new_session=True)
        pathlib.Path(__file__).with_name("running").write_text(f"{os.getpid()} {runaway.pid}")
        time.sleep(600)
    login((HOME / "url").read_text())
else:
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    token = (HOME / "token").read_text() if (HOME / "token").exists() else "none"
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "fake", "version": "1"}}
    message = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}
    said = ask((HOME / "url").read_text(), json.dumps(message).encode(), Authorization=f"Bearer {token}", **headers)
    failed = f"Status: Failed to connect ({said})"
    good = "protocolVersion" in said or MOOD == "boasts"
    print("\\x1b[32mStatus: \\u2714 Connected\\x1b[0m" if good else failed)
'''
)


@dataclass(frozen=True)
class Drove:
    """One run of `oauthtap drive claude-code` that has ended."""

    code: int
    out: str
    err: str
    session: Path
    temporary: Path

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.session / "report.json").read_text())
        return found

    @property
    def left_behind(self) -> list[Path]:
        return list(self.temporary.glob("oauthtap-*"))


def started(bed: Bed, home: Path, *flags: str, target: str = "good", mood: str = "well") -> subprocess.Popen[str]:
    """The command as a process of its own, the made-up client on its PATH."""
    programs, temporary = home / "programs", home / "t"
    programs.mkdir()
    temporary.mkdir()
    (programs / "mood").write_text(mood)
    (programs / "claude").write_text(FAKE)
    (programs / "claude").chmod(0o755)
    env = environment(home) | {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "TMPDIR": str(temporary)}
    words = [
        "drive",
        "claude-code",
        "--upstream",
        bed.url(target),
        "--session",
        str(home / "s"),
        *to_the_bed(bed),
        *flags,
    ]
    return subprocess.Popen(
        [str(COMMAND), *words, *flags], env=env | {"ANTHROPIC_API_KEY": "made-up"}, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def drove(bed: Bed, home: Path, *flags: str, target: str = "good", mood: str = "well") -> Drove:
    process = started(bed, home, *flags, target=target, mood=mood)
    out, err = process.communicate(timeout=3 * LIMIT)
    return Drove(process.returncode, out, err, home / "s", home / "t")


def lives(process: int) -> bool:
    """Whether it still runs; one that ended and waits to be collected does not."""
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


# --- from start to verdict


def test_a_client_that_connects_gives_zero_and_its_last_words(bed: Bed, tmp_path: Path) -> None:
    ran = drove(bed, tmp_path)
    assert (ran.code, ran.err) == (0, "")
    assert "  Claude Code 9.9.9 signs in at https://good.mcp.test/mcp\n" in ran.out
    assert "Claude Code said, to `claude mcp get oauthtap` (exit 0):\n  | Status: ✔ Connected\n" in ran.out
    assert " connected to https://good.mcp.test/mcp: an MCP request was answered." in ran.out
    assert ran.out.index("Claude Code 9.9.9: connected.\n") < ran.out.index("\n✓ ")
    assert ran.report["connected"] is True
    assert {"session.jsonl", "flows.mitm", "session.har", "report.html"} <= {
        file.name for file in ran.session.iterdir()
    }
    assert ran.left_behind == []


def test_the_client_has_an_empty_environment_and_its_login_a_terminal(bed: Bed, tmp_path: Path) -> None:
    out = drove(bed, tmp_path).out
    env = json.loads((tmp_path / "programs" / "env").read_text())
    known = {"BROWSER", "HOME", "LANG", "LC_ALL", "LC_CTYPE", "NO_COLOR", "OAUTHTAP_PATIENCE", "PATH", "TERM", "TMPDIR"}
    assert set(env) <= known | set(drivers()["claude-code"].env)
    assert "ANTHROPIC_API_KEY" not in env
    assert "TERMINAL False" in out.partition("mcp add")[2].partition("mcp login")[0]
    assert "TERMINAL True" in out.partition("mcp login")[2].partition("mcp get")[0]


def test_a_secret_that_the_client_prints_is_struck_out(bed: Bed, tmp_path: Path) -> None:
    ran = drove(bed, tmp_path)
    assert "| the token is ‹token" in ran.out
    assert not [secret for secret in bed.issued if len(secret) > 12 and secret in ran.out + ran.err]
    assert "| and OPENAI_API_KEY=‹key" in ran.out, "one that was never on the wire"
    assert "canary" not in ran.out + ran.err


def test_a_client_that_does_not_connect_gives_one_and_the_cause(bed: Bed, tmp_path: Path) -> None:
    ran = drove(bed, tmp_path, target="f06")
    assert ran.code == 1
    assert "| Status: Failed to connect (HTTP 401)" in ran.out
    assert "  Cause    " in ran.out
    assert "Claude Code 9.9.9: did not connect (its own words are above).\n" in ran.out


def test_a_client_that_says_connected_with_a_refused_token_is_not(bed: Bed, tmp_path: Path) -> None:
    """Qwen Code 0.24 says "Successfully authenticated" as soon as it has a token."""
    ran = drove(bed, tmp_path, target="f06", mood="boasts")
    assert "| Status: ✔ Connected" in ran.out
    assert "Claude Code 9.9.9: did not connect: it says that it is, and the MCP server refused it (exchange" in ran.out
    assert ran.code == 1


def test_a_report_as_data_stands_alone_on_the_output(bed: Bed, tmp_path: Path) -> None:
    ran = drove(bed, tmp_path, "--format", "json")
    assert ran.code == 0
    assert json.loads(ran.out) == ran.report
    assert "Claude Code 9.9.9: connected." in ran.err


def test_connected_is_not_enough_where_findings_are_to_fail(bed: Bed, tmp_path: Path) -> None:
    assert drove(bed, tmp_path, "--fail-on", "note").code == 1


def test_what_is_injected_reaches_the_client_and_is_said(bed: Bed, tmp_path: Path) -> None:
    ran = drove(bed, tmp_path, "--inject", "stale-client")
    assert ran.code == 1
    assert "injected by oauthtap (--inject): stale-client; not sent to the server; the client saw 401" in ran.out
    told = " ".join(ran.out.split())  # whatever the width of the terminal
    assert "It stopped after a fault that oauthtap injected; no finding blames client or server for it." in told
    assert ran.report["cause"] is None


def test_a_fix_is_laid_over_the_server(bed: Bed, tmp_path: Path) -> None:
    ran = drove(bed, tmp_path, "--fix-header", "X-Patched: yes")
    assert ran.code == 0
    assert "patched by header X-Patched: `x-patched`: upstream said nothing, client saw yes" in ran.out


# --- how it ends when it does not end well


def test_a_client_that_waits_for_ever_is_ended_in_time(bed: Bed, tmp_path: Path) -> None:
    ran = drove(bed, tmp_path, "--timeout", "3", mood="hangs")
    assert ran.code == 3, "nothing arrived"
    assert "Claude Code 9.9.9: did not connect: it was not done after 3 s (--timeout)." in ran.out
    assert not any(map(lives, map(int, (tmp_path / "programs" / "running").read_text().split())))
    assert ran.left_behind == []


@pytest.mark.parametrize("sign", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_client_with_its_children_and_removes_its_home(
    bed: Bed, tmp_path: Path, sign: signal.Signals
) -> None:
    process = started(bed, tmp_path, mood="hangs")
    running = tmp_path / "programs" / "running"
    deadline = time.monotonic() + LIMIT
    while not (running.exists() and len(running.read_text().split()) == 2) and time.monotonic() < deadline:
        time.sleep(0.05)
    processes = [int(word) for word in running.read_text().split()]
    assert all(map(lives, processes))
    process.send_signal(sign)
    out, err = process.communicate(timeout=LIMIT)
    assert process.returncode == 130
    assert "Traceback" not in out + err
    assert "did not connect: it was interrupted." in out
    assert not any(map(lives, processes))
    assert list((tmp_path / "t").glob("oauthtap-*")) == []
    assert (tmp_path / "s" / "report.json").exists()


def test_a_sign_in_that_wants_a_person_ends_early_and_says_so(bed: Bed, tmp_path: Path) -> None:
    ran = drove(bed, tmp_path, "--inject", "unknown-client", mood="patient")
    assert ran.code == 1
    assert "did not connect: the sign-in ended at an error page, http://localhost:" in ran.out


# --- where the client comes from


def test_the_page_that_refuses_the_sign_in_is_recorded_and_told(bed: Bed, tmp_path: Path) -> None:
    page = (403, {"Content-Type": "text/html"}, "<h1>Access denied</h1><p>Your workspace has switched MCP off</p>")
    with serving({("GET", "/sorry"): page}) as elsewhere:

        class LeadsAway(Case):
            def authorize(self, query: dict[str, str]) -> Answer:
                return 302, "", {"Location": f"{elsewhere}/sorry"}

        server = serve(LeadsAway, 0)
        with server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            ran = drove(bed, tmp_path, "--upstream", f"http://127.0.0.1:{server.server_port}/mcp", mood="patient")
            server.shutdown()
    assert ran.report["exchanges"][-1]["url"] == f"{elsewhere}/sorry"
    assert (ran.report["cause"]["rule"], ran.report["cause"]["who"]) == ("refused", "authorization-server")
    assert "Your workspace has switched MCP off" in ran.report["refusal"]["words"]


def test_a_client_that_is_not_there_is_never_fetched_unasked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("OAUTHTAP_CLIENTS", str(tmp_path / "cache"))
    assert main(["drive", "claude-code", "--upstream", "https://mcp.example/mcp"]) == 2
    assert capsys.readouterr().err == (
        "oauthtap: Claude Code is neither on the PATH nor in oauthtap's cache. --install takes it from npm. "
        "Try: oauthtap drive claude-code --upstream URL --install\n"
    )
    assert not (tmp_path / "cache").exists()


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH with an `npm` that installs what a file says, and writes down what it was asked for."""
    programs = tmp_path / "bin"
    programs.mkdir()
    program = programs / "npm"
    program.write_text(
        '#!/bin/sh\necho "$@" >> "$(dirname "$0")/asked"\n'
        '[ -f "$(dirname "$0")/down" ] && { echo no network; exit 1; }\n'
        'place=$3/node_modules/@anthropic-ai/claude-code\nmkdir -p "$place" "$3/node_modules/.bin"\n'
        'cp "$(dirname "$0")/package.json" "$place"\n'
    )
    program.chmod(0o755)
    (programs / "package.json").write_text('{"version": "2.1.10"}')
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.setenv("OAUTHTAP_CLIENTS", str(tmp_path / "cache"))
    return programs


def found(version: str | None = None, *, install: bool = False) -> installed.InstalledClient:
    return installed.locate_client(drivers()["claude-code"], version, install=install, say=lambda words: None)


def test_install_fetches_once_and_then_takes_what_is_there(npm: Path) -> None:
    one = found(install=True)
    assert (one.version, one.program.parts[-4:]) == ("2.1.10", ("2.1.10", "node_modules", ".bin", "claude"))
    assert found(install=True) == one
    assert found() == one
    assert len((npm / "asked").read_text().splitlines()) == 1
    (npm / "package.json").write_text('{"version": "2.1.9"}')
    assert found("2.1.9", install=True).version == "2.1.9"
    assert found().version == "2.1.10", "the newest, by number"
    assert found("2.1.9").version == "2.1.9"
    (npm / "package.json").write_text('{"version": "2.2.0"}')
    assert found("latest", install=True).version == "2.2.0"
    asked = (npm / "asked").read_text()
    assert [word for line in asked.splitlines() for word in line.split() if "claude" in word and "@" in word[1:]] == [
        "@anthropic-ai/claude-code@latest", "@anthropic-ai/claude-code@2.1.9", "@anthropic-ai/claude-code@latest",
    ]  # fmt: skip


def test_an_install_that_fails_says_why_and_leaves_nothing(npm: Path, tmp_path: Path) -> None:
    (npm / "down").touch()
    with pytest.raises(DriverError, match=r"(?s)could not be installed\. Try by hand: npm install .*no network"):
        found(install=True)
    assert list((tmp_path / "cache" / "claude-code").iterdir()) == []


def test_another_version_than_the_one_on_the_path_is_asked_for_by_name(npm: Path) -> None:
    (npm / "claude").write_text("#!/bin/sh\necho 1.2.3\n")
    (npm / "claude").chmod(0o755)
    assert found().version == "1.2.3"
    assert found("1.2.3").source.endswith("from the PATH")
    with pytest.raises(DriverError, match=r"Claude Code 9\.9 is neither .* --install --client-version 9\.9"):
        found("9.9")


def test_a_node_that_is_too_old_is_said(npm: Path) -> None:
    (npm / "mcp-remote").touch(mode=0o755)
    (npm / "node").write_text("#!/bin/sh\necho v18.1.0\n")
    (npm / "node").chmod(0o755)
    with pytest.raises(DriverError, match=r"mcp-remote needs Node 22, and this one is 18\. Try: .*--install"):
        installed.locate_client(drivers()["mcp-remote"], None, install=False, say=print)


# --- the data


@pytest.mark.parametrize("name", drivers())
def test_a_client_is_one_file_and_what_it_names_is_there(name: str) -> None:
    driver = drivers()[name]
    assert driver.run[-1].words
    words = [word for run in driver.run for word in run.words if word.startswith("${programs}/")]
    assert all((PROGRAMS / word.partition("/")[2]).is_file() for word in words)
    assert driver.title in (ROOT / "docs" / "drive.md").read_text()
    assert f"`{name}`" in (ROOT / "docs" / "drive.md").read_text()


def test_a_file_with_a_key_that_nobody_knows_fails() -> None:
    good = {
        "name": "x",
        "title": "X",
        "npm": "x",
        "command": "x",
        "connected": "ok",
        "proves": "it",
        "run": [{"words": ["${client}"]}],
    }
    assert Driver.model_validate(good).is_connected("ok", 1)
    assert not Driver.model_validate({**good, "exits": True}).is_connected("ok", 1)
    assert not Driver.model_validate({**good, "failed": "no"}).is_connected("ok no", 0)
    for wrong in (
        {"more": 1},
        {"pypi": "x"},
        {"npm": None, "command": ""},
        {"run": [{"words": ["${nothing}"]}]},
        {"run": [{"words": ["x"], "keys": [KEYS]}]},
        {"files": {"../x": ""}},
        {"env": {"A": "${nothing}"}},
    ):
        with pytest.raises(ValidationError):
            Driver.model_validate({**good, **wrong})


# --- a client of somebody's own

MINE = """
title = "Mine"
proves = "it was told so"
connected = '^SIGNED IN$'
env = { SERVER = "${url}" }

[files]
"etc/mine.json" = '{"url": "${url}", "home": "${home}"}'

[[run]]
words = ["${python}", "${folder}/mine.py"]
terminal = true
until = 'SIGNED IN'
keys = [{ after = 'name\\?', type = "ada\\r", wait = 0.1 }, { after = 'sure\\?', type = "\\r", wait = 0.1 }]
"""
SCREEN = """
import json, os, subprocess, sys, time
settings = json.load(open("etc/mine.json"))
assert settings["url"] == os.environ["SERVER"] and settings["home"] == os.getcwd()
assert input("name? ") == "ada"
input("sure? ")
subprocess.run([os.environ["BROWSER"], settings["url"]])
print("\\x1b[1mSIGNED IN\\x1b[0m", flush=True)
time.sleep(60)
"""
KEYS = {"after": "x", "type": "y"}


def test_a_file_of_ones_own_is_driven_at_its_screen_with_its_configuration(bed: Bed, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(MINE)
    (tmp_path / "mine.py").write_text(SCREEN)
    (tmp_path / "ca.pem").write_bytes(bed.ca_file.read_bytes())
    reach = [word for rule in bed.connect_to for word in ("--connect-to", rule)]
    ran = subprocess.run(
        [str(COMMAND), "drive", "./mine.toml", "--upstream", bed.url("good"), "--ca", "ca.pem", *reach],
        env=environment(tmp_path), cwd=tmp_path, capture_output=True, text=True, timeout=LIMIT, check=False,
    )  # fmt: skip
    assert "Mine: connected." in ran.stdout, ran.stdout + ran.stderr
    assert "Connected, for this client, means: it was told so." in ran.stdout
    assert ran.returncode == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cannot read .*: No such file"),
        ("title =", "is not TOML: "),
        ("title = 'x'\nmore = 1", "proves: Field required"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, text: str | None, words: str) -> None:
    file = tmp_path / "mine.toml"
    if text is not None:
        file.write_text(text)
    with pytest.raises(DriverError, match=words):
        find_driver(str(file))


def test_a_client_that_is_not_known_is_told_which_are() -> None:
    with pytest.raises(DriverError, match=r"there is no client claude\. There are: ai-sdk, claude-code, .*mine\.toml"):
        find_driver("claude")


# --- the browser without hands


def browsed(folder: Path, url: str, **orders: Any) -> list[dict[str, Any]]:
    """What it wrote down of a visit."""
    file, log = folder / "orders.json", folder / "log"
    log.unlink(missing_ok=True)
    said = {"connect_to": [], "ca": None, "insecure": False, "person": False, "log": str(log), **orders}
    file.write_text(json.dumps(said))
    subprocess.run([sys.executable, str(BROWSER), str(file), url], check=True, timeout=LIMIT)
    return [json.loads(line) for line in log.read_text().splitlines()]


def test_the_browser_follows_redirects_to_the_callback_and_stops_at_a_page(tmp_path: Path) -> None:
    page = (200, {"Content-Type": "text/html"}, "<form>")
    with serving({("GET", "/login"): page, ("GET", "/cb"): (200, {}, "ok")}) as origin:
        redirects = {("GET", "/a?redirect_uri=x"): (302, {"Location": f"{origin}/login"}, "")}
        done = {("GET", f"/b?redirect_uri={origin}/cb"): (302, {"Location": f"{origin}/cb?code=1"}, "")}
        with serving({**redirects, **done}) as second:
            log = browsed(tmp_path, f"{second}/a?redirect_uri=x")
            assert {**log[-1], "hops": []} == {"ended": "page", "url": f"{origin}/login", "status": 200, "hops": []}
            assert [(hop["status"], hop["body"]) for hop in log[-1]["hops"]] == [(302, ""), (200, "<form>")]
            log = browsed(tmp_path, f"{second}/b?redirect_uri={origin}/cb")
            assert (log[-1]["ended"], log[-1]["url"]) == ("callback", f"{origin}/cb?code=1")
            log = browsed(tmp_path, f"{origin}/cb?code=1&state=2")
            assert log[-1]["ended"] == "callback", "known also where the authorize URL names no redirect URI"


def test_a_person_is_told_the_url_and_nothing_is_fetched(tmp_path: Path) -> None:
    assert browsed(tmp_path, "https://nobody.invalid/authorize", person=True) == [
        {"opened": "https://nobody.invalid/authorize"}
    ]


def test_a_host_that_is_not_there_is_written_down(tmp_path: Path) -> None:
    log = browsed(tmp_path, "https://nobody.invalid/authorize")
    assert log[-1]["ended"] == "lost"
