"""Drives the clients of `oauthtap drive` by their files, and two more beside this module, in the tests' sandbox."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from unittest import mock

from oauthtap.drive import driver as files
from oauthtap.drive.install import InstalledClient, locate_client
from oauthtap.drive.keyboard import Keyboard
from tests.support.clients import HERE, Driver, Sandbox, Transport
from tests.support.clients.installed import cache, only_one
from tests.support.clients.python_sdk import listed

FILES = {
    name: name if name in files.drivers() else str(HERE / f"{name}.toml")
    for name in ("codex", "opencode", "gemini-cli", "qwen-code", "ai-sdk", "mcp-use", "mcp-use-python", "langchain")
}
"""Client → what `oauthtap drive` would be given."""


def installed(name: str) -> InstalledClient:
    """The client, fetched into the tests' cache on first use."""
    place = cache() / "drive"
    with only_one(place / name), mock.patch.dict(os.environ, {"OAUTHTAP_CLIENTS": str(place)}):
        return locate_client(files.find_driver(FILES[name]), None, install=True, say=print)


def drive(name: str, sandbox: Sandbox, url: str, transport: Transport) -> tuple[bool, tuple[str, ...]]:
    """All its commands, one after the other, as `oauthtap drive` runs them."""
    driver, client = files.find_driver(FILES[name]), installed(name)
    values = {
        "client": str(client.program), "modules": str(client.modules or ""), "python": sys.executable,
        "programs": str(files.PROGRAMS), "folder": str(driver.folder), "home": str(sandbox.home), "url": url,
        "transport": driver.transports.get(transport, transport),
    }  # fmt: skip
    for path, text in driver.filled_files(values).items():
        (sandbox.home / path).parent.mkdir(parents=True, exist_ok=True)
        (sandbox.home / path).write_text(text)
    sandbox.env.update({key: files.fill(text, values) for key, text in driver.env.items()})
    sandbox.env["PATH"] = os.pathsep.join([*map(str, client.path), sandbox.env["PATH"]])

    def browse(url: str) -> None:
        subprocess.run([sandbox.env["BROWSER"], url], env=sandbox.env, check=False)

    for command in driver.run:
        opening = browse if command.follow else None
        keyboard = Keyboard(command.keys, command.until, opening) if command.keys or command.until or opening else None
        ran = sandbox.run(
            *command.filled(values), terminal=command.terminal, keyboard=keyboard, limit=command.limit or 1e6
        )
    connected = (ran.code is not None or ran.done) and driver.is_connected(ran.said, ran.code)
    return connected, listed(ran.said)


DRIVERS: dict[str, Driver] = {name: partial(drive, name) for name in FILES}
