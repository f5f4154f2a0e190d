"""The report while it grows, at `/oauthtap/` of mitmweb's own server, behind its password. Draws nothing itself.

Nothing is computed while nobody looks, and looking takes at most a tenth of the time of the proxy.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Generator
from dataclasses import replace
from datetime import date
from typing import Any, ClassVar

from markupsafe import Markup
from mitmproxy.tools.web import app
from mitmproxy.tools.web.master import WebMaster
from tornado.web import HTTPError

from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.fixes.offers import FixSwitch, UnknownOffer
from oauthtap.model.exchange import Exchange
from oauthtap.render import FILES, FORMATS
from oauthtap.render.html import live as drawing
from oauthtap.render.html.environment import asset
from oauthtap.report.build import build
from oauthtap.report.model import Report

PATH = "/oauthtap/"
_LIVE = "oauthtap_live"
_EVERY = 0.5
"""Seconds between two updates, at least."""
_SHARE = 10
"""After an update we wait so many times as long as it took."""
_AT_ONCE = 0.02
"""Seconds of drawing after which it is the proxy's turn again."""
_FEW = 500
"""Exchanges through which fixes are looked for unasked: it takes the time of a thread."""
_QUIET = (2.0, 15.0, 60.0, 300.0)
"""Seconds of quiet after which absence tells something new."""
_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src data:;"
    " base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def mount(master: WebMaster, tap: SessionAnalyzer, fixes: FixSwitch | None = None) -> None:
    """Serve the page from mitmweb's own server. `fixes`: what it can switch."""
    live = LivePageServer(tap, fixes)
    master.addons.add(live)
    master.app.settings[_LIVE] = live
    pages = [
        (r"/", FlowList),
        (r"/oauthtap/mitmweb\.css", FlowListStyle),
        (r"/oauthtap/?", Page),
        (r"/oauthtap/page\.css", Style),
        (r"/oauthtap/((?:page|live)\.js)", Script),
        (r"/oauthtap/rows", Rows),
        (r"/oauthtap/fixes", Fixes),
        (r"/oauthtap/export/([a-z]+)", Export),
        (r"/oauthtap/updates", Updates),
    ]
    master.app.add_handlers(r".*", pages)


class LivePageServer:
    """Looks at the tap for as long as somebody looks at the page."""

    name = _LIVE

    def __init__(self, tap: SessionAnalyzer, fixes: FixSwitch | None = None) -> None:
        self._tap, self.fixes = tap, fixes
        self._proposed: object = None
        """The cause for which fixes were looked for."""
        self._page = drawing.LivePage()
        self._swept: dict[str, tuple[int, Markup, Markup]] = {}
        """Name of a piece to how many secrets were known, the piece as drawn, and the piece as shown."""
        self._seen: tuple[Report, tuple[Exchange, ...]] | None = None
        """The report that was drawn last, and its exchanges."""
        self._watchers: set[Updates] = set()
        self._looking: asyncio.Task[None] | None = None
        self._wanted = False
        self.looks = 0
        """How often the page was computed."""

    async def render_fragments(self) -> drawing.Pieces:
        """The page as of now."""
        self.looks += 1
        report, exchanges = self._seen = self._report()
        offers = self.fixes.offers() if self.fixes else None
        return await self._without_secrets(await _drawn(self._page.draw(report, exchanges, offers)))

    async def render_earlier(self, before: int) -> str:
        """The rows before that exchange, as they were when the page was drawn last."""
        report, exchanges = self._seen or self._report()
        return self._tap.redactor.redact_known(await _drawn(drawing.earlier(report, exchanges, before)))

    async def render_export(self, name: str) -> str:
        """The session so far in one format of `FORMATS`."""
        report, exchanges = self._report()
        return self._tap.redactor.redact_known(await asyncio.to_thread(FORMATS[name], report, exchanges))

    async def propose(self, *, check: bool = False) -> None:
        """Look for fixes, and show them."""
        if self.fixes is not None:
            await self.fixes.propose(check=check)
            self.refresh()

    def refresh(self) -> None:
        """Something else than an exchange is new."""
        self._wanted = True

    def _propose_once(self) -> None:
        """Look for fixes by ourselves where a cause is new, and there is little to look through."""
        cause = self._seen[0].cause if self._seen else None
        if cause is not None and (cause.rule, cause.exchange) != self._proposed and len(self._tap.steps) < _FEW:
            self._proposed = (cause.rule, cause.exchange)
            self._proposing = asyncio.ensure_future(self.propose())

    def _report(self) -> tuple[Report, tuple[Exchange, ...]]:
        report = build(self._tap, now=time.time(), today=date.today())
        return report, tuple(step.exchange for step in self._tap.steps)

    async def _without_secrets(self, state: drawing.Pieces) -> drawing.Pieces:
        """Swept once more: an upstream may tell a secret before anybody can know that it is one."""
        redactor, swept = self._tap.redactor, {}
        known, began = len(redactor.secrets), time.perf_counter()
        for name, text in state.pieces.items():
            was = self._swept.get(name)
            swept[name] = (
                was if was and was[:2] == (known, text) else (known, text, Markup(redactor.redact_known(text)))
            )
            if time.perf_counter() - began > _AT_ONCE:
                await asyncio.sleep(0)
                began = time.perf_counter()
        self._swept = swept
        return replace(state, pieces={name: shown for name, (_, _, shown) in swept.items()})

    def join(self, watcher: Updates) -> None:
        """Somebody looks, and has told what they have."""
        self._watchers.add(watcher)
        self._wanted = True
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look())

    def leave(self, watcher: Updates) -> None:
        self._watchers.discard(watcher)

    def done(self) -> None:
        """The proxy ends."""
        if self._looking is not None:
            self._looking.cancel()

    async def _look(self) -> None:
        seen: Any = None
        heard, quiet = time.monotonic(), list(_QUIET)
        while self._watchers:
            now = time.monotonic()
            newest = (len(self._tap.steps), self._tap.steps[-1] if self._tap.steps else None)
            if newest != seen:
                seen, heard, quiet, self._wanted = newest, now, list(_QUIET), True
            elif quiet and now - heard >= quiet[0]:
                quiet.pop(0)
                self._wanted = True
            if self._wanted:
                self._wanted = False
                state = await self.render_fragments()
                for watcher in list(self._watchers):
                    watcher.show(state)
                self._propose_once()
            await asyncio.sleep(max(_EVERY, _SHARE * (time.monotonic() - now)))
        self._page = drawing.LivePage()


async def _drawn[T](steps: Generator[None, None, T]) -> T:
    """What comes of drawing; now and then it is the proxy's turn."""
    while True:
        began = time.perf_counter()
        while time.perf_counter() - began < _AT_ONCE:
            try:
                next(steps)
            except StopIteration as drawn:
                made: T = drawn.value
                return made
        await asyncio.sleep(0)


class Guarded(app.AuthRequestHandler):
    """Says why it does not open."""

    def auth_fail(self, invalid_password: bool) -> None:
        """A sentence instead of an empty page."""
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        wrong = "This token is not the right one" if invalid_password else "This page needs its token"
        self.finish(f"{wrong}: open the whole address that oauthtap printed when it started (the line Watch).\n")


class Served(Guarded, app.RequestHandler):
    """Allows less than mitmweb's own pages: nothing inline."""

    def set_default_headers(self) -> None:
        super().set_default_headers()
        self.set_header("Content-Security-Policy", _POLICY)
        self.set_header("Referrer-Policy", "no-referrer")
        self.set_header("Cache-Control", "no-store")


class Page(Served):
    async def get(self) -> None:
        """The session so far."""
        state = await self.application.settings[_LIVE].render_fragments()
        assert self.xsrf_token, "asking for it sets its cookie, which the page sends along with what it changes"
        self.write(drawing.document(state, PATH))


class FlowList(app.IndexHandler):
    """mitmweb's own page, with a column for comments that a rule's id fits into."""

    def get(self) -> None:
        """The page with one more style sheet."""
        link = b'<link rel="stylesheet" href="/oauthtap/mitmweb.css"></head>'
        self.write(self.render_string("../index.html").replace(b"</head>", link, 1))

    post = get  # its login form


class FlowListStyle(Served):
    def get(self) -> None:
        """The style sheet for mitmweb's page."""
        self.set_header("Content-Type", "text/css; charset=utf-8")
        self.write(asset("mitmweb.css"))


class Fixes(Served):
    """The buttons of the page: what `f` and numbers do on the keyboard. Only for the page itself: a request needs its
    token, mitmweb's XSRF cookie and header (tornado compares them), and the origin of the page."""

    def prepare(self) -> None:
        """Raises HTTPError for what does not come from our own page."""
        super().prepare()
        if self.request.headers.get("Origin") != f"{self.request.protocol}://{self.request.host}":
            raise HTTPError(403)

    async def post(self) -> None:
        """Takes `{"look": true}`, `{"fix": NAME, "on": true}` or `{"rule": RULE, "value": ISSUER}`."""
        live: LivePageServer = self.application.settings[_LIVE]
        asked = self.json if isinstance(self.json, dict) else {}
        if live.fixes is None:
            raise app.APIError(404, "Nothing can be switched here.")
        try:
            match asked:
                case {"look": True}:
                    await live.propose(check=True)
                case {"fix": str(name), "on": bool(on)}:
                    live.fixes.switch(name, on=on)
                case {"rule": str(rule), "value": str(value)}:
                    live.fixes.give(rule, value.strip())
                case _:
                    raise app.APIError(400, "Not a request of this page.")
        except UnknownOffer as problem:
            raise app.APIError(400, str(problem)) from None
        live.refresh()
        self.set_status(204)


class Export(Served):
    async def get(self, name: str) -> None:
        """The session so far, as a file."""
        if name not in FILES:
            raise HTTPError(404)
        text = await self.application.settings[_LIVE].render_export(name)
        self.set_header("Content-Type", "text/plain; charset=utf-8")
        self.set_header("Content-Disposition", f'attachment; filename="{FILES[name]}"')
        self.write(text)


class Rows(Served):
    async def get(self) -> None:
        """Older rows; `before` names an exchange."""
        before = self.get_argument("before", "")
        if not before.isdecimal():
            raise HTTPError(400)
        self.write(await self.application.settings[_LIVE].render_earlier(int(before[:12])))


class Style(Served):
    def get(self) -> None:
        """The style sheet; `lanes` says for how many parties."""
        count = self.get_argument("lanes", "1")[:2]
        self.set_header("Content-Type", "text/css; charset=utf-8")
        self.write(drawing.style(int(count) if count.isdecimal() else 1))


class Script(Served):
    def get(self, name: str) -> None:
        """One of the two scripts."""
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.write(drawing.script(name))


class Updates(Guarded, app.WebSocketEventBroadcaster):
    """A page that is open. It says first which pieces it has, and then gets those that differ."""

    connections: ClassVar[set[app.WebSocketEventBroadcaster]] = set()
    _has: dict[str, str]

    def on_message(self, message: str | bytes) -> None:
        """What the page has: piece to digest. Anything else closes the connection."""
        try:
            self._has = dict(json.loads(message))
        except (ValueError, TypeError):
            self.close(1003, "not a list of pieces")
            return
        self.application.settings[_LIVE].join(self)

    def on_close(self) -> None:
        super().on_close()
        self.application.settings[_LIVE].leave(self)

    def show(self, state: drawing.Pieces) -> None:
        """Send what differs; also when nothing does, which says that this is live."""
        digests = state.digests
        changed = [name for name, digest in digests.items() if self._has.get(name) != digest]
        self._has = digests
        self.send(
            self._json_dumps(
                {
                    "title": state.title,
                    "lanes": state.lanes,
                    "total": state.total,
                    "order": state.order,
                    "pieces": {name: state.pieces[name] for name in changed},
                    "digests": {name: digests[name] for name in changed},
                }
            )
        )
