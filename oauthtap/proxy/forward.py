"""Runs the forward proxy of one child: starts it with a CA of its own, and stops it again."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mitmproxy.proxy.server_hooks import ServerConnectionHookData
from mitmproxy.tls import ClientHelloData

from oauthtap.diagnosis.analyzer import AnalyzedExchange
from oauthtap.diagnosis.session_analyzer import SessionAnalyzer
from oauthtap.fixes.applier import ActiveFixes
from oauthtap.model.exchange import Exchange
from oauthtap.proxy import master as embed
from oauthtap.proxy import port_store
from oauthtap.proxy.error_layer import ErrorLayerAddon
from oauthtap.proxy.forward_addon import USER, ForwardAddon
from oauthtap.proxy.observer import Observer, ProxyCallbacks
from oauthtap.proxy.reverse import begin, prepare, until_stopped
from oauthtap.proxy.settings import Settings
from oauthtap.proxy.upstream_connections import UpstreamConnections
from oauthtap.wrap.capture_scope import CaptureScope


@dataclass(frozen=True)
class ForwardProxyInfo:
    """The proxy stands: what the child has to be told."""

    proxy: str
    """Its URL, password and all."""
    authority: Path
    """The certificate of the CA that was made for this run (PEM)."""
    web_url: str | None
    """mitmweb's address with its token; None without it."""


class ConnectToAddon(UpstreamConnections):
    """`--connect-to`, and nothing else: where the child goes is the child's choice, and so is its HTTP version."""

    name = "oauthtap_detours"

    def __init__(self, settings: Settings) -> None:
        super().__init__("", settings.connect_to, allow_private=True)

    def server_connect(self, data: ServerConnectionHookData) -> None:
        """mitmproxy offers what the child offered, as long as nobody says otherwise."""
        super().server_connect(data)
        data.server.alpn_offers = ()

    def server_connected(self, data: ServerConnectionHookData) -> None:
        self._name_again(data.server)


class ServerFirst:
    """TLS to the server before TLS to the child, so that both speak the HTTP version they would without us."""

    name = "oauthtap_server_first"

    def tls_clienthello(self, data: ClientHelloData) -> None:
        data.establish_server_tls_first = True


async def run_forward_proxy(
    settings: Settings,
    tap: SessionAnalyzer,
    callbacks: ProxyCallbacks,
    interest: CaptureScope,
    *,
    on_ready: Callable[[ForwardProxyInfo], None],
    stop: asyncio.Event,
) -> None:
    """Be the child's proxy until `stop` is set. Raises StartupError when it cannot start.

    `settings.state` gets the CA, its key included: a private folder that goes with this run.
    When it returns, every exchange that is kept was fed to `tap` and told to `callbacks`.
    """
    if settings.web:
        port_store.check(settings.web_port, "--web-port")
    password = secrets.token_urlsafe(24)
    with embed.quiet_logs(settings.verbose):
        observer = _observer(settings, tap, callbacks, interest)
        addon = ForwardAddon(observer, interest, password, repairing=observer.repairing)
        master = embed.make_master(settings, addon, ConnectToAddon(settings), ErrorLayerAddon())
        master.addons.add(ServerFirst())  # behind mitmproxy's own, which would decide otherwise
        embed.configure(master, settings, ["regular@127.0.0.1:0"])
        watched = prepare(master, settings, tap, observer.sent_flows)
        master.addons.add(embed.Ready(lambda: begin(partial(on_ready, _standing(settings, master, password, watched)))))
        await until_stopped(master, stop, signals=False)
    embed.forget_bundle(settings)


def _observer(settings: Settings, tap: SessionAnalyzer, callbacks: ProxyCallbacks, interest: CaptureScope) -> Observer:
    """An observer that keeps what is of interest, and tells where it leads."""

    def keeps(exchange: Exchange) -> bool:
        return interest.should_record(exchange, tap.handshakes)

    def on_exchange(step: AnalyzedExchange) -> None:
        interest.learn(step)
        callbacks.on_exchange(step)

    heard = dataclasses.replace(callbacks, on_exchange=on_exchange)
    return Observer(tap, heard, settings.fixes or ActiveFixes(frozenset(settings.fix)), keeps)


def _standing(settings: Settings, master: Any, password: str, web_url: str | None) -> ForwardProxyInfo:
    host, port, *_ = master.addons.get("proxyserver").listen_addrs()[0]
    authority = settings.state / "mitmproxy" / "mitmproxy-ca-cert.pem"
    return ForwardProxyInfo(f"http://{USER}:{password}@{host}:{port}", authority, web_url)
