"""mitmproxy inside our own process: its options, its master, its start and its stop. Knows no OAuth."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from pathlib import Path
from typing import Any

import certifi
from mitmproxy import exceptions, options
from mitmproxy.addons.errorcheck import ErrorCheck
from mitmproxy.master import Master

from oauthtap.mitm import carrying, dispatch, messages, sparing
from oauthtap.mitm.growing import GrowingMaster
from oauthtap.mitm.settings import Settings, StartupError

_DAY = 86400
_CHATTY = ("tornado", "asyncio", "hpack", "quic", "mitmproxy.proxy.server", "mitmproxy.proxy.mode_servers")
_PATIENCE = 2.0
"""Seconds that open connections get to end when the tap stops."""


class Startup(ErrorCheck):
    """Says what went wrong at the start, where mitmproxy would only exit."""

    name = "errorcheck"

    async def shutdown_if_errored(self) -> None:
        await asyncio.sleep(0)
        if self.logger.has_errored:
            raise StartupError("; ".join(record.getMessage() for record in self.logger.has_errored))


def make_master(settings: Settings) -> GrowingMaster:
    """A master with those of mitmproxy's own addons that it needs to carry traffic. Its web interface comes later.

    Needs a running event loop. One at a time: mitmproxy keeps it in a global.
    """
    master = GrowingMaster(options.Options(confdir=str(_folder(settings.state / "mitmproxy"))))
    master.to_be_watched = settings.web
    master.addons.add(*sparing.needed())
    master.addons.add(Startup())
    return master


def add_early(master: Master, *ours: Any) -> None:
    """Add addons before those of mitmproxy that save or show flows, so that these see what ours have done."""
    for addon in reversed(ours):
        master.addons.register(addon)
        place = master.addons.chain.index(master.addons.get("scriptloader"))
        master.addons.chain.insert(place + 1, addon)
    dispatch.install(master)
    carrying.install()
    messages.install()


def configure(master: Master, settings: Settings, modes: list[str]) -> None:
    """Set mitmproxy's options. Raises StartupError for what it does not take."""
    wanted: dict[str, Any] = {
        "mode": modes,
        "connection_strategy": "lazy",
        "keep_host_header": True,
        "tcp_timeout": _DAY,
        "ssl_insecure": settings.insecure,
    }
    if settings.ca:
        wanted["ssl_verify_upstream_trusted_ca"] = str(_with_usual_cas(Path(settings.ca), settings.state))
    try:
        master.options.update(**wanted)
    except exceptions.OptionsError as problem:
        raise StartupError(str(problem)) from None


def configure_web(master: Master, settings: Settings) -> None:
    """Set the options of mitmproxy's web interface, when it is there."""
    columns = ["icon", "path", "comment", "method", "status", "size", "time"]
    master.options.update(web_port=settings.web_port, web_open_browser=False, web_columns=columns)


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
    before = {name: logging.getLogger(name).level for name in _CHATTY}
    level = root.level
    root.setLevel(logging.INFO)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.DEBUG if verbose else logging.WARNING)
    try:
        yield
    finally:
        root.setLevel(level)
        for name, old in before.items():
            logging.getLogger(name).setLevel(old)


async def drain(master: Master) -> None:
    """Stop: no new connections, then none of the old ones, each of which tells its flow; then the master."""
    proxies: Any = master.addons.get("proxyserver")
    master.options.update(server=False)
    handlers = list(proxies.connections.values())
    for handler in handlers:
        for transport in list(handler.transports.values()):
            if transport.handler is not None:
                transport.handler.cancel("the tap stops")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_PATIENCE):
            while proxies.connections:
                await asyncio.sleep(0.01)
    master.shutdown()
