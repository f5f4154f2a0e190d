"""`oauthtap run` as a person meets it: the child is what it would be without us, and its sign-in is recorded."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import time
from pathlib import Path

import pytest

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.handshake.state import Handshake
from oauthtap.model.exchange import Exchange, Request, Response
from oauthtap.wrap.browser_shim import real_commands
from oauthtap.wrap.capture_scope import CaptureScope
from oauthtap.wrap.mcp_config import find_servers
from oauthtap.wrap.origin_cache import load, save
from oauthtap.wrap.proxy_support import node_honours_proxy_env, proxy_warning
from tests.support.bed import Bed
from tests.support.running import COMMAND, LIMIT, call, to_the_bed
from tests.support.wrapping import python, surroundings, wrapped

SIGN_IN = """
import httpx
from tests.support.bed.walk import Walk
walk = Walk(httpx.Client(timeout=20), {url!r})
walk.initialize()
walk.well_known("oauth-protected-resource", inserted=True)
walk.metadata()
token = walk.sign_in().json()["access_token"]
print(walk.initialize(token).status_code)
"""
ASK = "import httpx, os\nprint(httpx.get(os.environ['ASKED'], timeout=20).status_code)"

# --- the child is what it would be without us


def test_the_exit_code_of_the_child_is_ours(tmp_path: Path) -> None:
    assert wrapped("sh", "-c", "exit 7", home=tmp_path).code == 7


def test_a_child_that_a_signal_ended_gives_the_code_a_shell_gives(tmp_path: Path) -> None:
    assert wrapped("sh", "-c", "kill -KILL $$", home=tmp_path).code == 128 + signal.SIGKILL


def test_the_child_reads_our_input_and_nothing_of_ours_is_on_its_output(tmp_path: Path) -> None:
    ran = wrapped("cat", home=tmp_path, typed="typed\n")
    assert (ran.out, ran.err) == ("typed\n", "")


def test_the_child_has_our_terminal(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    child = ["sh", "-c", "test -t 0 && test -t 1 && test -t 2 && echo all three"]
    (tmp_path / "t").mkdir()
    process = subprocess.Popen(
        [str(COMMAND), "run", "--", *child],
        env=surroundings(tmp_path), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
    )  # fmt: skip
    os.close(theirs)
    said = b""
    while select.select([ours], [], [], LIMIT)[0]:
        try:
            said += os.read(ours, 4096)
        except OSError:
            break
    os.close(ours)
    assert process.wait(LIMIT) == 0
    assert b"all three" in said
    assert b"saw no OAuth or MCP request" in said


def test_ctrl_c_on_the_terminal_reaches_the_child_once(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    child = "trap 'n=$((n+1))' INT; echo up; sleep 1; sleep 0.5; echo heard $n; exit 3"
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(COMMAND, [str(COMMAND), "run", "--", "sh", "-c", child], surroundings(tmp_path))
    said = b""
    while select.select([terminal], [], [], LIMIT)[0]:
        try:
            said += os.read(terminal, 4096)
        except OSError:
            break
        if said.endswith(b"up\r\n"):
            time.sleep(0.2)
            os.write(terminal, b"\x03")
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    assert b"heard 1" in said


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_go_on_to_the_child_and_it_decides_when_to_end(tmp_path: Path, sign: signal.Signals) -> None:
    (tmp_path / "t").mkdir()
    child = ["sh", "-c", f"trap 'echo heard; exit 5' {sign.name[3:]}; echo up; while :; do sleep 0.1; done"]
    process = subprocess.Popen(
        [str(COMMAND), "run", "--", *child],
        env=surroundings(tmp_path), stdout=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    assert process.stdout
    assert process.stdout.readline() == "up\n"
    process.send_signal(sign)
    said = process.stdout.read()
    assert process.wait(LIMIT) == 5
    assert said == "heard\n"
    assert list((tmp_path / "t").iterdir()) == []


def test_a_command_that_is_not_there_is_said_before_anything_starts(tmp_path: Path) -> None:
    ran = wrapped("no-such-client", home=tmp_path)
    assert ran.code == 2
    assert ran.err == "oauthtap: no-such-client: there is no such command\n"
    assert not ran.session.exists()


def test_without_a_command_it_says_what_to_type(tmp_path: Path) -> None:
    ran = wrapped(home=tmp_path)
    assert ran.code == 2
    assert "Try: oauthtap run -- claude mcp login NAME" in ran.err


# --- what the child is told


def test_the_child_is_told_of_the_proxy_and_of_its_ca_in_every_way_there_is(tmp_path: Path) -> None:
    count = "open(os.environ['SSL_CERT_FILE']).read().count('BEGIN')"
    show = f"import json, os; print(json.dumps([dict(os.environ), {count}]))"
    ran = wrapped(*python(show), home=tmp_path, NO_PROXY="localhost", no_proxy="localhost")
    env, certificates = json.loads(ran.out)
    proxies = {
        env[name] for name in ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "https_proxy", "http_proxy", "all_proxy")
    }
    assert len(proxies) == 1
    assert proxies.pop().startswith("http://oauthtap:")
    assert "NO_PROXY" not in env
    assert "no_proxy" not in env
    assert env["REQUESTS_CA_BUNDLE"] == env["CURL_CA_BUNDLE"] == env["SSL_CERT_FILE"]
    assert certificates > 50
    assert env["NODE_USE_ENV_PROXY"] == "1"
    assert not Path(env["NODE_EXTRA_CA_CERTS"]).exists()
    assert ran.left_behind == []


def test_the_private_folder_is_private_while_it_lasts(tmp_path: Path) -> None:
    ran = wrapped("sh", "-c", 'stat -c %a "$(dirname "$SSL_CERT_FILE")"', home=tmp_path)
    assert ran.out == "700\n"


def test_the_cas_that_the_person_named_are_still_trusted(tmp_path: Path, bed: Bed) -> None:
    theirs = bed.ca_file.read_text().splitlines()[1]
    for name in ("SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS"):
        ran = wrapped("sh", "-c", f'grep -c "{theirs}" "${name}"', home=tmp_path / name, **{name: str(bed.ca_file)})
        assert ran.out == "1\n", name


def test_nobody_without_the_password_gets_through(tmp_path: Path, bed: Bed) -> None:
    ask = "curl -s -o /dev/null -w '%{http_connect} ' -x \"http://${HTTPS_PROXY#*@}\" " + bed.url("good")
    plain = "; curl -s -o /dev/null -w '%{http_code}' -x \"http://${HTTPS_PROXY#*@}\" http://good.mcp.test/"
    with bed.watching() as seen:
        ran = wrapped("sh", "-c", ask + plain, home=tmp_path, bed=bed)
    assert ran.out == "407 407"
    assert seen == []


def test_a_temporary_folder_with_a_long_name_is_no_obstacle(tmp_path: Path) -> None:
    assert wrapped("sh", "-c", "exit 7", home=tmp_path / ("long" * 20)).code == 7


# --- what is recorded


def test_a_sign_in_is_recorded_under_its_real_names_and_nothing_is_said(tmp_path: Path, bed: Bed) -> None:
    with bed.watching() as seen:
        ran = wrapped(*python(SIGN_IN.format(url=bed.url("good"))), home=tmp_path, bed=bed)
    assert (ran.code, ran.out, ran.err) == (0, "200\n", "")
    assert ran.report["connected"] is True
    assert ran.report["cause"] is None
    assert [exchange["response"]["status"] for exchange in ran.exchanges] == [entry.status for entry in seen]
    assert ran.urls == [f"https://{entry.host}{entry.target}" for entry in seen]
    assert all("via" not in entry.headers and "proxy-authorization" not in entry.headers for entry in seen)


def test_no_secret_is_in_the_session(tmp_path: Path, bed: Bed) -> None:
    before = set(bed.issued)
    ran = wrapped(*python(SIGN_IN.format(url=bed.url("good"))), home=tmp_path, bed=bed)
    texts = {file.name: file.read_text("utf-8", "surrogateescape") for file in ran.session.iterdir()}
    states = {entry.query.get("state", "") for entry in bed.log}
    secrets = {value for value in bed.issued - before - states if not value.startswith("jti_")}
    assert secrets
    assert [(name, value) for name, text in texts.items() for value in secrets if value in text] == []


def test_a_sign_in_that_stopped_is_told_when_the_child_has_ended(tmp_path: Path, bed: Bed) -> None:
    documents = (
        "https://seed2.mcp.test/.well-known/oauth-protected-resource",
        "https://api.workos.com/.well-known/oauth-authorization-server/sso/authorize",
        "https://api.workos.com/.well-known/openid-configuration/sso/authorize",
        "https://api.workos.com/sso/authorize/.well-known/openid-configuration",
    )
    look = f"curl -s -X POST {bed.url('seed2')} >&2; for url in $DOCUMENTS; do curl -s $url >&2; done"
    ran = wrapped("sh", "-c", look, home=tmp_path, bed=bed, DOCUMENTS=" ".join(documents))
    assert ran.urls == [bed.url("seed2"), *documents]
    assert ran.report["cause"]["rule"] == "prm-as-entry-is-endpoint"
    assert ran.out == ""
    assert "  Cause    `authorization_servers` names an endpoint where an issuer belongs" in ran.err
    assert f"  Session  {ran.session}" in ran.err


def test_a_server_that_cannot_be_reached_gives_no_answer_of_ours(tmp_path: Path, bed: Bed) -> None:
    ran = wrapped("curl", "-s", "http://good.mcp.test/mcp", home=tmp_path, bed=bed)
    assert (ran.code, ran.out) == (56, "")  # curl: the connection was reset
    assert "Connect call failed" in ran.exchanges[0]["error"]


def test_an_answer_comes_as_the_server_sent_it(tmp_path: Path, bed: Bed) -> None:
    url = "https://good.mcp.test/.well-known/oauth-authorization-server"
    ran = wrapped("curl", "-s", "-i", "--suppress-connect-headers", url, home=tmp_path, bed=bed)
    direct = subprocess.run(
        ["curl", "-s", "-i", "--cacert", bed.ca_file, "--connect-to", bed.connect_to[0], url],
        capture_output=True, text=True, timeout=LIMIT, check=True,
    ).stdout  # fmt: skip
    without_date = [[line for line in text.splitlines() if not line.startswith("date:")] for text in (ran.out, direct)]
    assert without_date[0] == without_date[1]


def test_an_event_stream_passes_as_it_comes(tmp_path: Path, bed: Bed) -> None:
    read = f"""
import httpx
from tests.support.bed.walk import Walk
token = Walk(httpx.Client(timeout=20), {bed.url("seed1")!r}).sign_in().json()["access_token"]
with httpx.stream("GET", {bed.url("seed1")!r}, headers={{"Authorization": f"Bearer {{token}}"}}, timeout=20) as answer:
    print(next(answer.iter_lines()))
"""
    ran = wrapped(*python(read), home=tmp_path, bed=bed)
    assert ran.out == "event: endpoint\n"
    assert "legacy-sse" in {step["stage"] for step in ran.report["exchanges"]}


def test_a_patch_is_applied_where_it_was_asked_for(tmp_path: Path, bed: Bed) -> None:
    url = "https://f03.mcp.test/.well-known/oauth-authorization-server"
    ran = wrapped("curl", "-s", url, home=tmp_path, bed=bed, flags=["--fix", "as-issuer-mismatch"])
    assert json.loads(ran.out)["issuer"] == "https://f03.mcp.test"
    assert json.loads(ran.exchanges[0]["response"]["body"])["issuer"] != "https://f03.mcp.test"


def test_every_file_of_the_session_gives_the_same_report_again(tmp_path: Path, bed: Bed) -> None:
    ran = wrapped(*python(SIGN_IN.format(url=bed.url("good"))), home=tmp_path, bed=bed)
    for name in ("", "session.jsonl", "flows.mitm", "session.har"):
        again = call("check", ran.session / name, "--format", "json", home=tmp_path)
        assert json.loads(again.stdout) == ran.report, name or "the folder"


def test_with_web_its_address_is_there_before_the_child_and_shows_only_what_is_kept(tmp_path: Path, bed: Bed) -> None:
    look = """
import httpx, os, re, time
https = "https:" + "//"  # so that no URL stands on the command line
httpx.get(https + "f01.mcp.test/nobodys-business")
httpx.post(https + "good.mcp.test/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
time.sleep(1)
address = re.search(r"http://127.0.0.1:\\d+/\\?token=\\w+", open(os.environ["SAID"]).read())[0]
page = httpx.get(address.replace("/?", "/flows?"), trust_env=False).json()
print([flow["request"]["host"] for flow in page])
"""
    said = tmp_path / "said"
    assert under_web(tmp_path, bed, python(look), said) == "['good.mcp.test']\n"


def under_web(home: Path, bed: Bed, child: tuple[str, ...], said: Path) -> str:
    """What the child printed; what we say goes to a file that it can read."""
    (home / "t").mkdir()
    words = ["run", "--web", "--session", str(home / "session"), *to_the_bed(bed), "--", *child]
    env = surroundings(home) | {"SAID": str(said)}
    with said.open("w") as err:
        return subprocess.run(
            [str(COMMAND), *words],
            env=env,
            stdout=subprocess.PIPE,
            stderr=err,
            text=True,
            timeout=2 * LIMIT,
            check=True,
        ).stdout


# --- what is left alone


def test_a_host_that_nobody_named_passes_as_a_blind_tunnel(tmp_path: Path, bed: Bed) -> None:
    # The bed's own certificate comes through: with ours in between curl would refuse.
    other = "https://f01.mcp.test/.well-known/oauth-protected-resource/mcp"
    child = ["curl", "-s", "--cacert", str(bed.ca_file), "-o", "/dev/null", "-w", "%{http_code}", "--url", "@"]
    command = ("sh", "-c", " ".join(child).replace("@", "$OTHER"))
    ran = wrapped(*command, home=tmp_path, bed=bed, flags=["--upstream", bed.url("good")], OTHER=other)
    assert ran.out == "200"
    assert ran.exchanges == []
    assert "Passed without a look: f01.mcp.test" in ran.err


def test_with_all_everything_is_opened_and_kept(tmp_path: Path, bed: Bed) -> None:
    asked = "https://f01.mcp.test/somewhere"
    ran = wrapped(*python(ASK), home=tmp_path, bed=bed, flags=["--all", "--upstream", bed.url("good")], ASKED=asked)
    assert ran.urls == [asked]


def test_where_nothing_is_named_only_oauth_and_mcp_are_kept(tmp_path: Path, bed: Bed) -> None:
    walk = SIGN_IN.replace("{url!r}", "os.environ['MCP']").replace("import httpx", "import httpx, os")
    other = "\nfor _ in range(2): httpx.get('https://' + os.environ['OTHER'] + '/profile?q=nobodys-business')"
    ran = wrapped(*python(walk + other), home=tmp_path, bed=bed, MCP=bed.url("good"), OTHER="f01.mcp.test")
    assert ran.report["connected"] is True
    assert ran.report["upstream"] == bed.url("good")
    assert {url.split("/")[2] for url in ran.urls} == {"good.mcp.test"}
    assert all(b"nobodys-business" not in file.read_bytes() for file in ran.session.iterdir())


def test_a_run_that_saw_nothing_leaves_no_session_in_the_usual_place(tmp_path: Path) -> None:
    (tmp_path / "t").mkdir()
    subprocess.run([str(COMMAND), "run", "--", "true"], env=surroundings(tmp_path), timeout=LIMIT, check=True)
    assert list((tmp_path / "state").rglob("session.jsonl")) == []


# --- the browser


def fake_browser(folder: Path, name: str) -> Path:
    """Writes down its environment and what the session held by then."""
    folder.mkdir(exist_ok=True)
    file = folder / name
    lines = [
        f"env > {folder}/env",
        f"cp {folder.parent}/session/session.jsonl {folder}/session",
        f"echo $1 > {folder}/url",
    ]
    file.write_text("#!/bin/sh\n" + "\n".join(lines) + "\n")
    file.chmod(0o700)
    return file


@pytest.mark.parametrize("way", ["BROWSER", "xdg-open", "open"])
def test_the_authorize_request_is_recorded_before_the_browser_opens(tmp_path: Path, bed: Bed, way: str) -> None:
    browser = fake_browser(tmp_path / "programs", "firefox" if way == "BROWSER" else way)
    env = {"BROWSER": str(browser)} if way == "BROWSER" else {}
    path = f"{browser.parent}{os.pathsep}{os.environ['PATH']}"
    url = "https://good.mcp.test/authorize?response_type=code&client_id=c1&state=s1&redirect_uri=http%3A%2F%2Flocalhost%3A1%2Fcb"
    call = '"$BROWSER"' if way == "BROWSER" else way
    ran = wrapped("sh", "-c", f"{call} '{url}'", home=tmp_path, bed=bed, PATH=path, HTTPS_PROXY="", **env)
    kept = (browser.parent / "session").read_text()
    assert url in kept
    assert (browser.parent / "url").read_text() == f"{url}\n"
    assert ran.report["exchanges"][0]["stage"] == "authorization-request"
    assert "out of sight" in ran.exchanges[0]["error"]
    assert ran.report["findings"] == [
        f for f in ran.report["findings"] if f["who"] == "client" or f["severity"] == "note"
    ]


def test_the_browser_has_no_proxy_of_ours_and_finds_the_real_commands(tmp_path: Path, bed: Bed) -> None:
    browser = fake_browser(tmp_path / "programs", "xdg-open")
    path = f"{browser.parent}{os.pathsep}{os.environ['PATH']}"
    wrapped("sh", "-c", "xdg-open https://example.com/", home=tmp_path, PATH=path)
    env = dict(line.partition("=")[::2] for line in (browser.parent / "env").read_text().splitlines() if "=" in line)
    assert env["PATH"] == path
    assert not {"HTTPS_PROXY", "SSL_CERT_FILE", "BROWSER", "NODE_USE_ENV_PROXY"} & set(env)


def test_a_page_that_is_no_sign_in_is_opened_and_forgotten(tmp_path: Path) -> None:
    browser = fake_browser(tmp_path / "programs", "xdg-open")
    path = f"{browser.parent}{os.pathsep}{os.environ['PATH']}"
    ran = wrapped("sh", "-c", "xdg-open https://example.com/private", home=tmp_path, PATH=path)
    assert (browser.parent / "url").read_text() == "https://example.com/private\n"
    assert ran.exchanges == []


def test_a_browser_line_may_have_words_and_a_place_for_the_url(tmp_path: Path) -> None:
    fake = fake_browser(tmp_path / "programs", "firefox")
    env = {"BROWSER": "no-such-browser:firefox --new-tab=%s", "PATH": str(fake.parent)}
    assert list(real_commands("BROWSER", ["https://a.example/"], env)) == [[str(fake), "--new-tab=https://a.example/"]]


# --- what is known beforehand


def test_the_configured_url_is_found_by_the_name_on_the_command_line(tmp_path: Path) -> None:
    servers = {"notes": {"url": "https://a.example/mcp"}, "other": {"url": "https://b.example/mcp"}}
    (tmp_path / ".claude.json").write_text(json.dumps({"projects": {str(tmp_path): {"mcpServers": servers}}}))
    known = find_servers(["claude", "mcp", "login", "notes"], {"HOME": str(tmp_path)}, tmp_path)
    assert known.configured == ("https://a.example/mcp",)
    assert find_servers(["claude", "mcp", "list"], {"HOME": str(tmp_path)}, tmp_path).all == ()


def test_a_url_on_the_command_line_is_found_wherever_it_stands(tmp_path: Path) -> None:
    known = find_servers(["npx", "mcp-remote", "--server=https://a.example/mcp"], {}, tmp_path)
    assert known.mentioned == ("https://a.example/mcp",)


def node(folder: Path, version: str) -> dict[str, str]:
    file = folder / "node"
    file.write_text(f"#!/bin/sh\necho {version}\n")
    file.chmod(0o700)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def test_clients_that_heed_no_proxy_are_named_with_the_command_that_works(tmp_path: Path) -> None:
    old = node(tmp_path, "v20.20.2")
    remote = ["npx", "-y", "mcp-remote@latest", "https://a.example/mcp"]
    assert "Try: oauthtap run -- npx -y mcp-remote@latest https://a.example/mcp --enable-proxy" in (
        proxy_warning(remote, old) or ""
    )
    for command in (
        ["npx", "mcporter@1", "list"],
        ["npx", "@modelcontextprotocol/inspector", "--cli"],
        ["node", "a.mjs"],
    ):
        assert "Node 20.20.2 heeds none" in (proxy_warning(command, old) or ""), command


def test_clients_that_heed_a_proxy_are_not_named(tmp_path: Path) -> None:
    assert (
        proxy_warning(["npx", "mcp-remote", "https://a.example/mcp", "--enable-proxy"], node(tmp_path, "v18.0.0"))
        is None
    )
    assert proxy_warning(["claude", "mcp", "login", "a"], node(tmp_path, "v18.0.0")) is None
    assert proxy_warning(["node", "client.mjs"], node(tmp_path, "v22.21.0")) is None


def test_node_heeds_a_proxy_from_its_backport_on() -> None:
    heeding = [
        version
        for version in ((20, 20, 2), (22, 20, 0), (22, 21, 0), (23, 9, 0), (24, 5, 0))
        if node_honours_proxy_env(version)
    ]
    assert heeding == [(22, 21, 0), (24, 5, 0)]


def test_a_deaf_client_is_named_before_it_starts(tmp_path: Path) -> None:
    env = node(tmp_path, "v20.1.0")
    fake = tmp_path / "mcporter"
    fake.write_text("#!/bin/sh\necho started >&2\n")
    fake.chmod(0o700)
    said = wrapped("mcporter", "list", home=tmp_path, **env).err
    assert said.index("Node 20.1.0 heeds none") < said.index("started")


def test_origins_of_an_earlier_run_are_known_in_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    save("https://mcp.example.com/mcp", ["https://mcp.example.com", "https://as.example.com"])
    assert load(["https://mcp.example.com/mcp"]) == ["https://as.example.com"]
    assert load(["https://other.example.com/mcp"]) == []


# --- what is opened


def exchange(url: str, method: str = "GET", body: str = "", **answer: str) -> Exchange:
    headers = tuple((name.replace("_", "-"), value) for name, value in answer.items())
    return Exchange(request=Request(method=method, url=url, body=body), response=Response(status=200, headers=headers))


def test_a_known_server_is_opened_and_no_other() -> None:
    interest = CaptureScope(["https://mcp.example.com/mcp"])
    assert interest.should_intercept("MCP.example.com", 443)
    assert not interest.should_intercept("mcp.example.com", 8443)
    assert not interest.should_intercept("api.example.com", 443)
    assert list(interest.unopened) == [("mcp.example.com", 8443), ("api.example.com", 443)]


def test_an_authorization_server_is_opened_once_a_document_named_it() -> None:
    interest, tap = CaptureScope(["https://mcp.example.com/mcp"]), SessionAnalyzer("https://mcp.example.com/mcp")
    assert not interest.should_intercept("as.example.com", 443)
    document = json.dumps(
        {"resource": "https://mcp.example.com/mcp", "authorization_servers": ["https://as.example.com"]}
    )
    found = Exchange(
        request=Request(method="GET", url="https://mcp.example.com/.well-known/oauth-protected-resource/mcp"),
        response=Response(status=200, headers=(("Content-Type", "application/json"),), body=document),
    )
    interest.learn(tap.add(found))
    assert interest.should_intercept("as.example.com", 443)


def test_a_host_without_oauth_is_left_alone_after_three_requests() -> None:
    interest, so_far = CaptureScope(), Handshake()
    for _ in range(3):
        assert interest.should_intercept("api.example.com", 443)
        assert not interest.should_record(exchange("https://api.example.com/v1/messages", "POST", "{}"), [so_far])
    assert not interest.should_intercept("api.example.com", 443)


def test_the_programs_own_account_is_not_taken_for_the_sign_in() -> None:
    form = "grant_type=refresh_token&refresh_token=made-up&client_id=c1"
    assert not CaptureScope().should_record(
        exchange("https://console.example.com/oauth/token", "POST", form), [Handshake()]
    )


def test_where_our_certificate_was_refused_the_next_try_passes_unopened() -> None:
    interest = CaptureScope(["https://mcp.example.com/mcp"])
    interest.mark_untrusting("mcp.example.com", 443)
    assert not interest.should_intercept("mcp.example.com", 443)
