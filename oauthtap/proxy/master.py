"""mitmproxy inside our own process: its options, its master, its start and its stop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import certifi
from mitmproxy import exceptions, options
from mitmproxy.addons import block, disable_h2c, next_layer, proxyserver, tlsconfig, update_alt_svc
from mitmproxy.addons.errorcheck import ErrorCheck
from mitmproxy.connection import Client
from mitmproxy.master import Master

from oauthtap.proxy import _mitmproxy_internals as internals
from oauthtap.proxy.settings import Settings, StartupError

_DAY = 86400
_CHATTY = ("tornado", "asyncio", "hpack", "quic", "mitmproxy.proxy.server", "mitmproxy.proxy.mode_servers")
_OF_A_CONNECTION = ("mitmproxy.proxy.server", "mitmproxy.proxy.mode_servers", "mitmproxy.master", "asyncio")
"""Log what went wrong on one connection: mitmproxy stumbles over a client that left before it was greeted."""
_SILENT = ("mitmproxy.tools.web.webaddons",)
"""Warns that a token is worse than a hash of it: the token of mitmweb is long, and read from a file of the user's."""
_PATIENCE = 2.0
"""Seconds that open connections get to end when the tap stops."""
_NEEDED = (
    block.Block,
    disable_h2c.DisableH2C,
    proxyserver.Proxyserver,
    next_layer.NextLayer,
    tlsconfig.TlsConfig,
    update_alt_svc.UpdateAltSvc,
)
"""mitmproxy's own addons without which there is no proxy. The others wait for options that are given in mitmweb only,
and each costs time in every request."""


class StartupErrors(ErrorCheck):
    """Says what went wrong at the start, where mitmproxy would only exit."""

    name = "errorcheck"

    async def shutdown_if_errored(self) -> None:
        await asyncio.sleep(0)
        fatal = [one.getMessage() for one in self.logger.has_errored if one.name not in _OF_A_CONNECTION]
        if fatal:
            raise StartupError("; ".join(fatal))


class Ready:
    """The last addon. Clients wait until all others are told that the proxy runs: ports are open a moment before."""

    name = "oauthtap_ready"

    def __init__(self, on_ready: Callable[[], None]) -> None:
        self._on_ready, self._runs = on_ready, asyncio.Event()

    async def client_connected(self, client: Client) -> None:
        """A connection that came before all addons were ready."""
        await self._runs.wait()

    def running(self) -> None:
        """Everything runs. What goes wrong in `on_ready` is logged, and so an error of the start."""
        self._runs.set()
        self._on_ready()


class Together:
    """mitmproxy's own addons in one place of the chain, which costs little more than one: mitmproxy guards each place
    by itself. Where one of them fails, those behind it do not hear of that event; so none of ours stands there."""

    def __init__(self, name: str, *addons: Any) -> None:
        self.name, self.addons = name, addons


def make_master(settings: Settings, *ours: Any) -> Master:
    """A master with `ours` before mitmproxy's own addons: mitmweb's (most of which rest until somebody looks), or those
    that it takes to carry traffic.

    Needs a running event loop. One at a time: mitmproxy keeps it in a global.
    """
    chosen = options.Options(confdir=str(_folder(settings.state / "mitmproxy")))
    if settings.web:
        from mitmproxy.tools.web.master import WebMaster

        from oauthtap.proxy.resting_addons import RestingAddons

        web = WebMaster(chosen, with_termlog=False)
        theirs = web.addons.get("errorcheck")
        theirs.finish()
        web.addons.remove(theirs)
        web.addons.add(RestingAddons(web))
        master: Master = web
    else:
        master = Master(chosen)
        master.addons.add(Together("oauthtap_stock", *(addon() for addon in _NEEDED)))
    internals.put_first(master, ours)
    master.addons.add(StartupErrors())
    return master


def configure(master: Master, settings: Settings, modes: list[str]) -> None:
    """Set mitmproxy's options. Raises StartupError for what it does not take."""
    wanted: dict[str, Any] = {
        "mode": modes,
        "connection_strategy": "lazy",
        "keep_host_header": True,
        "tcp_timeout": _DAY,
        "ssl_insecure": settings.insecure,
    }
    if settings.web:
        columns = ["icon", "path", "comment", "method", "status", "size", "time"]
        wanted |= {
            "web_port": settings.web_port,
            "web_open_browser": False,
            "web_columns": columns,
            "onboarding": False,
        }
        if modes[0].startswith("reverse:"):  # the modes say where we listen; mitmweb's footer shows these two as well
            wanted |= {"listen_host": "127.0.0.1", "listen_port": settings.port}
    if settings.ca:
        wanted["ssl_verify_upstream_trusted_ca"] = str(_with_usual_cas(Path(settings.ca), settings.state))
    try:
        master.options.update(**wanted)
    except exceptions.OptionsError as problem:
        raise StartupError(str(problem)) from None


def _with_usual_cas(ca: Path, state: Path) -> Path:
    """A file with the person's CA and the usual ones: mitmproxy takes one in place of the other."""
    try:
        own = ca.read_text()
    except (OSError, UnicodeDecodeError) as problem:
        raise StartupError(f"--ca {ca} cannot be read ({problem}). It has to be a PEM file") from None
    if "-----BEGIN CERTIFICATE-----" not in own:
        raise StartupError(f"--ca {ca} holds no certificate. It has to be a PEM file")
    bundle = _folder(state / "mitmproxy") / f"trusted-{os.getpid()}.pem"
    bundle.write_text(f"{own.rstrip()}\n{Path(certifi.where()).read_text()}")
    return bundle


def forget_bundle(settings: Settings) -> None:
    """Take away the file of `_with_usual_cas`."""
    (settings.state / "mitmproxy" / f"trusted-{os.getpid()}.pem").unlink(missing_ok=True)


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as problem:
        raise StartupError(f"{path} cannot be written ({problem.strerror})") from None
    return path


@contextlib.contextmanager
def quiet_logs(verbose: bool) -> Any:
    """mitmproxy's log at the level we want, as long as the tap runs; the old one afterwards."""
    root = logging.getLogger()
    before = {name: logging.getLogger(name).level for name in (*_CHATTY, *_SILENT)}
    level = root.level
    root.setLevel(logging.INFO)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.WARNING)
    for name in _SILENT:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        yield
    finally:
        root.setLevel(level)
        for name, old in before.items():
            logging.getLogger(name).setLevel(old)


async def drain(master: Master) -> None:
    """Stop: no new connections, then none of the old ones, each of which tells its flow; then the master."""
    master.options.update(server=False)
    are_open = internals.end_connections(master)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            while are_open():
                await asyncio.sleep(0.01)
    master.shutdown()
