"""What a start imports, and in which order: ports first, mitmweb meanwhile, the banner when all of it works."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import logging
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest

from oauthtap.cli.narrator import Narrator
from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.lazily import uncollected
from oauthtap.mitm import growing, run, sparing
from oauthtap.mitm.observing import Ears
from oauthtap.mitm.run import Ready, serve
from oauthtap.mitm.settings import Settings, StartupError
from tests.tapped import Upstream, document, free_port, said, upstream

PAGES: dict[str, Any] = {"/mcp": said(401, www_authenticate='Bearer error="unauthorized"'), "/ok": document({})}

WATCHING = """
import asyncio, json, sys
from pathlib import Path
from oauthtap.cli import watch
from oauthtap.cli.arguments import parser
from oauthtap.mitm import run

seen, bring = [], run.bring

async def first(*arguments, **named):
    seen or seen.append(list(sys.modules))
    await bring(*arguments, **named)

def ready(sitting, told):
    seen.append(list(sys.modules))
    sitting.local = told.url
    sitting.stop.set()

run.bring = first
watch.Sitting.on_ready = ready
watch.watch(parser().parse_args(sys.argv[1:]))
print(json.dumps(seen))
"""
"""`oauthtap --upstream` until its banner; the last line: the modules when the ports opened, and those at the end."""

INTERRUPTED = """
import asyncio, os, signal, sys
from oauthtap.cli import main
from oauthtap.mitm import run

bring = run.bring

async def first(*arguments, **named):
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(0.1)
    await bring(*arguments, **named)

run.bring = first
sys.exit(main(sys.argv[1:]))
"""
"""The same, with Ctrl-C when its ports are open and nothing was said."""


def started(program: str, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    words = ["--upstream", "http://127.0.0.1:9/mcp", "--port", str(free_port()), "--session", str(folder / "s")]
    return subprocess.run(
        [sys.executable, "-c", program, *words, *flags],
        capture_output=True, text=True, timeout=120, env={"HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")},
    )  # fmt: skip


def imported(folder: Path, *flags: str) -> list[set[str]]:
    done = started(WATCHING, folder, *flags)
    assert done.returncode == 0, done.stderr
    return [set(names) for names in json.loads(done.stdout.splitlines()[-1])]


def test_ports_wait_for_no_web_interface_no_rules_and_no_client_of_ours(tmp_path: Path) -> None:
    at_first, at_last = imported(tmp_path, "--web-port", str(free_port()))
    later = {"tornado.web", "mitmproxy.tools.web.app", "mitmproxy.addons.savehar", "oauthtap.mitm.web",
             "oauthtap.render.html.live", "oauthtap.rules.mcp_challenge.header"}  # fmt: skip
    never = {"flask", "ldap3.core", "httpx._client"}
    assert not at_first & (later | never)
    assert later <= at_last
    assert not at_last & never


def test_without_web_interface_none_is_imported(tmp_path: Path) -> None:
    _, at_last = imported(tmp_path, "--no-web")
    assert "oauthtap.rules.mcp_challenge.header" in at_last
    assert not at_last & {"tornado", "flask", "werkzeug", "oauthtap.mitm.web", "mitmproxy.addons.savehar"}


def test_an_interrupted_start_ends_without_a_word(tmp_path: Path) -> None:
    done = started(INTERRUPTED, tmp_path, "--web-port", str(free_port()))
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert not (tmp_path / "s").exists()


# --- a client that is quicker than mitmweb


@dataclass
class Start:
    """A tap that begins to run. Its web interface waits until a test lets it come."""

    settings: Settings
    come: asyncio.Event = field(default_factory=asyncio.Event)
    here: asyncio.Event = field(default_factory=asyncio.Event)
    """The ports are open."""
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    ready: list[Ready] = field(default_factory=list)
    steps: list[AnalyzedExchange] = field(default_factory=list)
    running: asyncio.Task[None] | None = None
    master: Any = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.settings.port}/mcp"

    async def until_ready(self) -> Ready:
        self.come.set()
        while not self.ready and self.running and not self.running.done():
            await asyncio.sleep(0.01)
        return self.ready[0]


@contextlib.asynccontextmanager
async def starting(server: Upstream, folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Start]:
    there = {"upstream": f"{server.origin()}/mcp", "connect_to": (f"::127.0.0.1:{server.port}",)}
    start = Start(Settings(**there, port=free_port(), web_port=free_port(), state=folder))  # type: ignore[arg-type]

    async def bring(master: Any, *arguments: Any, **named: Any) -> None:
        start.master = master
        start.here.set()
        await start.come.wait()
        await growing.bring(master, *arguments, **named)

    monkeypatch.setattr(run, "bring", bring)
    tap = SessionAnalyzer(start.settings.upstream)
    ears = Ears(start.steps.append)
    start.running = asyncio.ensure_future(
        serve(start.settings, tap, ears, on_ready=start.ready.append, stop=start.stop, signals=False)
    )
    await start.here.wait()
    try:
        yield start
    finally:
        start.come.set()
        start.stop.set()
        with contextlib.suppress(StartupError):
            await start.running


async def test_a_request_before_mitmweb_is_answered_judged_and_shown_there_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        upstream(PAGES) as server,
        starting(server, tmp_path, monkeypatch) as start,
        httpx.AsyncClient(trust_env=False, timeout=10) as client,
    ):
        logging.getLogger("mitmproxy").info("logged before mitmweb")
        answer = await client.post(start.url, json={"jsonrpc": "2.0", "id": 1, "method": "initialize"})
        assert answer.status_code == 401
        assert [step.stage for step in start.steps] == ["mcp-challenge"]
        assert start.ready == []
        ready = await start.until_ready()
        assert ready.web_url is not None
        base, _, token = ready.web_url.partition("?")
        assert (await client.get(f"{base}?{token}")).status_code == 200
        (early,) = (await client.get(f"{base}flows")).json()
        assert early["request"]["path"] == "/mcp"
        assert early["response"]["status_code"] == 401
        assert "mcp-challenge" in early["comment"]
        assert "mcp-challenge" in (await client.get(f"{base}oauthtap/")).text
        events = [entry["message"] for entry in (await client.get(f"{base}events")).json()]
        assert "logged before mitmweb" in events[0]
        await client.post(start.url, json={"jsonrpc": "2.0", "id": 2, "method": "initialize"})
        assert len((await client.get(f"{base}flows")).json()) == 2


async def test_a_request_under_way_goes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    let_go, asked = asyncio.Event(), asyncio.Event()

    async def slow(came: Any, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await let_go.wait()
        await PAGES["/mcp"](came, writer)

    monkeypatch.setattr(growing, "_ANSWER", 60.0)
    monkeypatch.setattr(growing, "_ALL", 60.0)
    async with (
        upstream({"/mcp": slow}) as server,
        starting(server, tmp_path, monkeypatch) as start,
        httpx.AsyncClient(trust_env=False, timeout=10) as client,
    ):
        answer = asyncio.ensure_future(client.get(start.url))
        await asked.wait()
        start.come.set()
        await asyncio.sleep(0.1)
        assert not start.master.addons.get("webauth")
        let_go.set()
        assert (await answer).status_code == 401
        assert (await start.until_ready()).web_url


@pytest.mark.parametrize("limit", ["_ANSWER", "_ALL"])
async def test_a_request_that_nobody_answers_holds_nothing_up_for_long(
    limit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = asyncio.Event()

    async def never(came: Any, writer: asyncio.StreamWriter) -> None:
        asked.set()
        await asyncio.sleep(60)

    for name in ("_ANSWER", "_ALL"):
        monkeypatch.setattr(growing, name, 0.05 if name == limit else 60.0)
    async with (
        upstream({"/mcp": never}) as server,
        starting(server, tmp_path, monkeypatch) as start,
        httpx.AsyncClient(trust_env=False, timeout=10) as client,
    ):
        answer = asyncio.ensure_future(client.get(start.url))
        await asked.wait()
        ready = await start.until_ready()
        assert ready.web_url is not None
        base, _, token = ready.web_url.partition("?")
        await client.get(f"{base}?{token}")
        assert [flow["request"]["path"] for flow in (await client.get(f"{base}flows")).json()] == ["/mcp"]
        answer.cancel()


async def test_who_stops_it_before_mitmweb_is_there_sees_no_banner(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with upstream(PAGES) as server, starting(server, tmp_path, monkeypatch) as start:
        start.stop.set()
        await asyncio.sleep(0)
        start.come.set()
        assert start.running
        await asyncio.wait_for(start.running, 20)
        assert start.ready == []
        assert not start.master.addons.get("webauth")


async def test_a_web_port_that_is_taken_meanwhile_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with upstream(PAGES) as server, starting(server, tmp_path, monkeypatch) as start:
        with socket.socket() as other:
            other.bind(("127.0.0.1", start.settings.web_port))
            other.listen()
            start.come.set()
            assert start.running
            with pytest.raises(StartupError, match=f"Web server failed to listen on .*:{start.settings.web_port}"):
                await asyncio.wait_for(start.running, 20)
        assert start.ready == []


async def test_addons_stand_in_the_order_of_mitmweb_and_ours_before_those_that_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mitmproxy.addons import default_addons

    async with upstream(PAGES) as server, starting(server, tmp_path, monkeypatch) as start:
        await start.until_ready()
        names = [_name(addon) for addon in start.master.addons.chain]
    stock = [_name(addon) for addon in default_addons() if _name(addon) != "onboarding"]
    assert [name for name in names if name in stock] == stock
    assert names[names.index("scriptloader") + 1] == "oauthtap"
    for later in ("dnsresolver", "save", "view"):
        assert names.index("oauthtap") < names.index(later)
    assert "oauthtap_meanwhile" not in names
    assert len(names) == len(set(names))


def _name(addon: Any) -> str:
    return str(getattr(addon, "name", type(addon).__name__.lower()))


# --- pieces


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    folder = tmp_path / "grown_by_test"
    folder.mkdir()
    (folder / "__init__.py").write_text("from . import one, two\nwhole = True\n")
    for name, text in {"one": "", "two": "", "three": "import not_there_at_all_by_test"}.items():
        (folder / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    yield "grown_by_test"
    for name in [name for name in sys.modules if name.startswith("grown_by_test")]:
        del sys.modules[name]


def test_a_package_that_stands_for_its_folder_alone_is_imported_in_pieces(package: str) -> None:
    sparing._put_off(package)
    imported = growing.pieces(package)
    for name in ("one", "three", "two"):
        assert f"{package}.{name}" not in sys.modules
        next(imported)
    assert list(imported) == [None]
    assert {f"{package}.one", f"{package}.two"} < set(sys.modules)
    assert "whole" not in vars(sys.modules[package])
    assert sys.modules[package].whole


def test_what_is_there_is_not_imported_again(package: str) -> None:
    assert list(growing.pieces(package)) == [None]
    assert vars(sys.modules[package])["whole"]
    assert list(growing.pieces(package)) == []


def test_a_module_that_is_not_there_is_said() -> None:
    with pytest.raises(ModuleNotFoundError):
        list(growing.pieces("not_there_at_all_by_test"))


def test_the_collector_rests_while_much_is_imported_and_no_longer(package: str) -> None:
    gc.unfreeze()  # what an earlier test froze may be freed meanwhile
    before = gc.get_freeze_count()
    try:
        with uncollected():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() == before
        with uncollected():
            import_module(package)
        assert gc.get_freeze_count() > before
        with pytest.raises(ModuleNotFoundError), uncollected():
            import_module("not_there_at_all_by_test")
        assert gc.isenabled()
    finally:
        gc.unfreeze()


# --- what is said


def test_the_banner_comes_before_what_was_said_meanwhile(tmp_path: Path) -> None:
    out = StringIO()
    narrator = Narrator(out)
    narrator.warn("before")
    narrator.hold()
    narrator.warn("meanwhile")
    narrator.ready("http://localhost:8080/mcp", "https://mcp.example.com/mcp", None, tmp_path)
    narrator.warn("after")
    said = out.getvalue()
    places = [said.index(word) for word in ("before", "http://localhost:8080", "meanwhile", "after")]
    assert places == sorted(places)
