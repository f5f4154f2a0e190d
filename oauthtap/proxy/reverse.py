"""The reverse proxy of the tap: put together, started, stopped."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from mitmproxy.master import Master

from oauthtap import rules
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.fixes.applier import ActiveFixes
from oauthtap.fixes.offers import FixSwitch
from oauthtap.model import urls
from oauthtap.proxy import master as embed
from oauthtap.proxy import port_store as ports
from oauthtap.proxy.commands import Commands
from oauthtap.proxy.error_layer import ErrorLayerAddon
from oauthtap.proxy.grant_consent import GrantConsent
from oauthtap.proxy.listeners import Listeners, modes
from oauthtap.proxy.observer import Observer, ProxyCallbacks
from oauthtap.proxy.origin_discovery import OriginDiscovery
from oauthtap.proxy.port_store import CALLBACK, Ports
from oauthtap.proxy.reverse_addon import TapAddon
from oauthtap.proxy.sent_flows import SentFlows
from oauthtap.proxy.settings import Settings, StartupError
from oauthtap.proxy.upstream_connections import UpstreamConnections
from oauthtap.rewriting.callback_relay import CALLBACKS, Relay
from oauthtap.rewriting.origins import Origins, local_origin

_STOPPING = (signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else []))
"""Ctrl-C, a polite end, and a terminal that was closed."""


@dataclass(frozen=True)
class Ready:
    """The tap stands: what to tell the person."""

    url: str
    """The local MCP URL, for the client."""
    web_url: str | None
    """mitmweb's address with its token; None without it."""
    addon: TapAddon


async def run_reverse_proxy(
    settings: Settings,
    tap: SessionAnalyzer,
    callbacks: ProxyCallbacks,
    *,
    on_ready: Callable[[Ready], None] = lambda ready: None,
    stop: asyncio.Event | None = None,
    signals: bool = True,
) -> None:
    """Stand between client and upstream until `stop` is set, or Ctrl-C, SIGTERM or SIGHUP comes.

    Raises StartupError when it cannot start. When it returns, every exchange was fed to
    `tap` and told to `callbacks`, those of streams that were still open too.
    """
    stop = stop or asyncio.Event()
    pieces = build_components(settings, tap, callbacks)
    with embed.quiet_logs(settings.verbose):
        addon = pieces.addon
        # Without mitmweb there is no command bar, and each addon takes its time of every request.
        commands = [Commands(callbacks.fixes.command)] if callbacks.fixes and settings.web else []
        master = embed.make_master(settings, addon, addon.hops, ErrorLayerAddon(addon.sent), *commands)
        embed.configure(master, settings, pieces.modes)
        watched = prepare(master, settings, tap, pieces.sent_flows, callbacks.fixes)
        told = Ready(local_url(settings), watched, addon)
        master.addons.add(embed.Ready(lambda: begin(partial(on_ready, told))))
        pieces.ports.remember()
        await until_stopped(master, stop, signals)
    embed.forget_bundle(settings)


@dataclass(frozen=True)
class Components:
    """A tap before it runs."""

    addon: TapAddon
    ports: Ports
    sent_flows: SentFlows
    modes: list[str]
    """mitmproxy's words for the first local ports."""


def build_components(settings: Settings, tap: SessionAnalyzer, callbacks: ProxyCallbacks) -> Components:
    """All that is ours, put together. Raises StartupError for an upstream or a port that cannot be."""
    origin = urls.origin(settings.upstream)
    if not origin.startswith(("http://", "https://")):
        raise StartupError(f"{settings.upstream} is no http or https URL. Try: --upstream https://…")
    known, relay = _ports(settings, origin)
    observer = Observer(
        tap, callbacks, settings.fixes or ActiveFixes(frozenset(settings.fix)), injecting=settings.injecting
    )
    hops = UpstreamConnections(settings.upstream, settings.connect_to, allow_private=settings.allow_private)
    opening = OriginDiscovery(Origins({origin: settings.port}, settings.public), Listeners(known), hops, observer)
    consent = GrantConsent(settings.grant) if settings.grant else None
    addon = TapAddon(observer, opening, relay, hops, remember=known.remember, consent=consent)
    first = modes(origin, settings.port)
    if relay.port is not None:
        # The callback's port leads nowhere: `.invalid` never resolves (RFC 6761, 6.4).
        first += modes(f"http://oauth-callback.invalid:{relay.port}", relay.port)  # as the footer of mitmweb names it
    return Components(addon, known, observer.sent_flows, first)


def _ports(settings: Settings, origin: str) -> tuple[Ports, Relay]:
    """The ports of this run, the first and the callback's already chosen."""
    ports.check(settings.port, "--port", taken=[settings.web_port])
    reserved = {settings.web_port} if settings.web else set()
    if settings.web:
        ports.check(settings.web_port, "--web-port", taken=[settings.port])
    offered = tuple(port for port in settings.public if port != settings.port)
    known = Ports(settings.state, origin, settings.port, frozenset({settings.port, *reserved}), offered)
    callback = known.choose(CALLBACK) if settings.callback != "direct" else None
    known.taken[origin] = settings.port
    word = next((word for word in CALLBACKS if word == settings.callback), None)
    named = "" if word else settings.callback
    public = settings.public.get(settings.port)
    return known, Relay(callback, word or "relay", known.registered, public=public, named=named)


def prepare(
    master: Master, settings: Settings, tap: SessionAnalyzer, sent: SentFlows, fixes: FixSwitch | None = None
) -> str | None:
    """Give mitmweb what is ours. Gives its address with its token; None without it."""
    if not settings.web:
        return None
    from oauthtap.proxy.web import set_up

    return set_up(master, settings, tap, sent, fixes)


def begin(on_ready: Callable[[], None]) -> None:
    """The ports are open: say so, and then load the rules, while nobody has asked yet. Who asks earlier waits for them:
    no answer goes on before it was judged."""
    on_ready()
    asyncio.get_running_loop().call_soon(rules.load)


def local_url(settings: Settings) -> str:
    """The MCP URL for the client: the upstream's path on the first local port, or on its public name."""
    _, slash, path = settings.upstream.partition("://")[2].partition("/")
    return settings.public.get(settings.port, local_origin(settings.port)) + slash + path


async def until_stopped(master: Master, stop: asyncio.Event, signals: bool) -> None:
    """Run the proxy until `stop` is set, or, with `signals`, one of `_STOPPING` comes. Raises StartupError."""
    loop = asyncio.get_running_loop()
    if signals:
        for sign in _STOPPING:
            if signal.getsignal(sign) is not signal.SIG_IGN:  # `nohup` wants a closed terminal to change nothing
                _handle(loop, sign, _stopping(master, stop))
    running = asyncio.ensure_future(master.run())
    stopped = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([running, stopped], return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            await embed.drain(master)
        await running
    except OSError as problem:
        raise StartupError(str(problem.strerror or problem).splitlines()[0]) from None
    finally:
        stopped.cancel()


def _handle(loop: asyncio.AbstractEventLoop, sign: signal.Signals, stopping: Callable[[], None]) -> None:
    try:
        loop.add_signal_handler(sign, stopping)
    except NotImplementedError:  # Windows
        signal.signal(sign, lambda *_: loop.call_soon_threadsafe(stopping))


def _stopping(master: Master, stop: asyncio.Event) -> Callable[[], None]:
    """The first signal drains, the second ends at once."""

    def stopping() -> None:
        if stop.is_set():
            master.shutdown()
        stop.set()

    return stopping
